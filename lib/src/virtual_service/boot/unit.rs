//! The unit of our own, and all that it needs: systemd.unit(5), systemd.service(5), modules-load.d(5).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::TASK;
use crate::resource::{Item, Layer, Plan, State};
use crate::root::Root;
use crate::virtual_service::installed::{Installed, Part};
use crate::virtual_service::item::{Key, Value};
use crate::virtual_service::service::Service;
use crate::virtual_service::{VirtualService, refusal};
use crate::{Error, Result, file, gathered};

/// Where the program may be: where programs are that no person starts, or where an image that cannot be written to has room for the
/// host's own (ostree, for one).
const PROGRAMS: [&str; 2] =
    ["/usr/libexec/lvs-host/boot/virtual_service", "/usr/local/libexec/lvs-host/boot/virtual_service"];
const UNIT: &str = "/etc/systemd/system/lvs-host-virtual-service.service";
const LINK: &str = "/etc/systemd/system/sysinit.target.wants/lvs-host-virtual-service.service";
const TARGET: &str = "../lvs-host-virtual-service.service";
const MODULES: &str = "/etc/modules-load.d/lvs-host-virtual-service.conf";
const HEADER: &str = "# Made by lvs.host.virtual_service, which replaces all of this file.\n";

/// The unit and its files on a host.
#[derive(Debug)]
pub(super) struct Unit {
    parts: [(Part, Rc<Path>); 4],
    /// The module that runs.
    ours: Rc<[u8]>,
    text: String,
    /// The directories that were not there before this run.
    missing: Vec<PathBuf>,
}

impl Unit {
    /// Finds where the files go on the host at `root`.
    pub(super) fn find(root: &Root) -> Result<Self> {
        let program = place(root)?;
        let at = |path: &str| Rc::<Path>::from(root.at(path));
        let parts = [
            (Part::Modules, at(MODULES)),
            (Part::Unit, at(UNIT)),
            (Part::Link, at(LINK)),
            (Part::Program, at(program)),
        ];
        let own = Path::new("/proc/self/exe");
        let ours = fs::read(own).map_err(Error::path("read", own))?.into();
        let paths = parts.iter().map(|(_, path)| path.to_path_buf()).chain([root.at(TASK)]);
        let above = paths.flat_map(|path| path.ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>());
        let missing = above.filter(|directory| !directory.exists()).collect();
        Ok(Self { parts, ours, text: unit_for(program), missing })
    }

    /// Returns what is there of the files.
    pub(super) fn observe(&self) -> Result<State<VirtualService>> {
        let mut state = State::<VirtualService>::new();
        for (part, path) in &self.parts {
            let is_link = *part == Part::Link;
            if !is_link && path.is_symlink() {
                return Err(Error::invalid(format!(
                    "cannot use {}: it is a link, as that of a unit which is masked; remove it, as systemctl unmask does",
                    path.display()
                )));
            }
            let found = Installed::read(path, is_link)?;
            state.extend(found.map(|found| (item(*part, path), Value::Installed(found))));
        }
        Ok(state)
    }

    /// Returns what should be there for these services.
    pub(super) fn wanted<'a>(&self, services: impl Iterator<Item = &'a Service>) -> Vec<(Item<Key>, Value)> {
        let modules: BTreeSet<_> = gathered(services.flat_map(refusal::modules));
        let modules = modules.into_iter().map(|module| module + "\n").collect::<String>();
        let text = |text: String| Installed::File { content: text.into_bytes().into(), mode: file::MODE };
        let wanted = |part| match part {
            Part::Modules => text(format!("{HEADER}ip_vs\n{modules}")),
            Part::Unit => text(self.text.clone()),
            Part::Link => Installed::Link(Path::new(TARGET).into()),
            Part::Program => Installed::File { content: self.ours.clone(), mode: 0o755 },
        };
        let entries = self.parts.iter();
        entries.map(|(part, path)| (item(*part, path), Value::Installed(wanted(*part)))).collect()
    }

    /// Writes what `plan` says about the file at `path`.
    pub(super) fn write(&self, path: &Path, plan: &Plan<VirtualService>) -> Result<()> {
        for (_, change) in plan.iter() {
            let before = change.before.as_ref().and_then(Value::installed);
            match change.after.as_ref().and_then(Value::installed) {
                Some(after) => after.write(path, before)?,
                None => self.remove(path)?,
            }
        }
        Ok(())
    }

    /// Removes the file at `path`, and the directories above it that are empty then and ours.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        if path.is_symlink() { file::set_link(path, None) } else { file::withdraw(path) }?;
        let is_ours = |directory: &&Path| {
            self.missing.iter().any(|missing| missing == directory)
                || directory.iter().any(|name| name == "lvs-host")
        };
        for directory in path.ancestors().skip(1).take_while(is_ours) {
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn item(part: Part, path: &Rc<Path>) -> Item<Key> {
    Item { layer: Layer::File(path.clone()), key: Key::Part { part } }
}

/// Returns where the program is, or can be.
fn place(root: &Root) -> Result<&'static str> {
    let is_there = |path: &&&str| root.at(path).exists();
    let is_writable = |path: &&&str| {
        let path = root.at(path);
        let directory = path.ancestors().skip(1).find(|directory| directory.exists());
        directory.is_some_and(|directory| access(directory, AccessFlags::W_OK) != Err(Errno::EROFS))
    };
    let place = PROGRAMS.iter().find(is_there).or_else(|| PROGRAMS.iter().find(is_writable));
    place.copied().ok_or_else(|| {
        Error::invalid(
            "cannot keep services with systemd: /usr and /usr/local are mounted read-only, so the program that a boot starts has no place; mount one of them writable, or leave persist out",
        )
    })
}

/// Returns the unit that starts `program`. IPv4 needs the loopback interface alone, which systemd brings up before all units.
fn unit_for(program: &str) -> String {
    format!(
        "{HEADER}[Unit]
Description=Virtual services of IPVS
Documentation=https://galaxy.ansible.com/ui/repo/published/lvs/host/content/module/virtual_service/
DefaultDependencies=no
RequiresMountsFor={program} {TASK}
After=systemd-modules-load.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} --brief {TASK}
TimeoutStartSec=60

[Install]
WantedBy=sysinit.target
"
    )
}

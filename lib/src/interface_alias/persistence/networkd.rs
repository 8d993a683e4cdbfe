//! systemd-networkd: a drop-in beside the file that it uses for an interface, systemd.network(5).

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::brought::Brought;
use super::entry::{each_once, label, not_kept, not_ours, plain, words};
use super::files::{Files, assignments, is_there, link};
use super::form::{Form, HEADER, Objection, Rewrite, may_return};
use super::reader::Verdict;
use super::running::{netplan_id, network_file, network_files};
use super::sharing::sharing;
use super::store::{Device, Manager, Store, each};
use crate::interface_alias::address::{Address, Attributes};
use crate::interface_alias::cidr;
use crate::interface_alias::item::{Addresses, Alias};
use crate::{Result, file};

pub(super) static MANAGER: Manager = Manager {
    word: "networkd",
    is_shared: false,
    is_before_lease: true,
    // None of its programs reads a file that is not there yet. Ours are read anew, strictly, before a task is done.
    ask: |_, _| Ok(Verdict::Taken),
    find: |files, devices| each(devices, |device| find(files, device)),
    for_lo,
};

const OURS: &str = "/etc/systemd/network";

/// Where its files are. Of the same name the first is read (systemd.network(5)).
const PLACES: [&str; 4] =
    [OURS, "/run/systemd/network", "/usr/local/lib/systemd/network", "/usr/lib/systemd/network"];

/// The file for lo, of which networkd takes no care unless a file tells it to.
const LO: &str = "20-lvs-host-lo.network";

/// What that file begins with.
const LO_MATCH: &str = "[Match]\nName=lo\n\n";

/// Sections, one for each address.
#[derive(Debug)]
struct Sections {
    interface: Rc<str>,
    /// What comes before them.
    head: &'static str,
    /// What to know of the file beside which they are.
    warning: Option<String>,
}

/// Returns where the addresses of a device go, if networkd manages it by a file that Netplan did not write.
fn find(files: &mut Files, device: &Device) -> Result<Option<Store>> {
    let Some(index) = device.index else { return left_behind(files, device) };
    match network_file(files, index)? {
        Some(file) if netplan_id(&file).is_some() => Ok(None),
        Some(file) if file.ends_with(LO) => Ok(Some(own_lo(files, device))),
        Some(file) => beside(files, device, &file).map(Some),
        None => Ok(None),
    }
}

/// Returns the drop-in beside the file by which networkd manages a device.
fn beside(files: &mut Files, device: &Device, network: &Path) -> Result<Store> {
    let sharing = sharing(files, device, network)?;
    let name = network.file_name().unwrap_or_default().to_string_lossy();
    let file = files.at(OURS).join(format!("{name}.d")).join(drop_in(&device.name));
    let mut elsewhere = vec![network.to_owned()];
    elsewhere.extend(drop_ins(files, &name)?);
    let form = Sections { interface: device.name.clone(), head: "", warning: sharing.warning };
    let store = store(device, file, form);
    Ok(store.among(elsewhere.into(), sharing.objection))
}

/// Returns the drop-ins for a file that networkd reads: of those with the same name the first, unless that only masks the others
/// (systemd.unit(5)).
fn drop_ins(files: &mut Files, network: &str) -> Result<Vec<PathBuf>> {
    let (mut found, mut known) = (Vec::new(), HashSet::<OsString>::new());
    for place in PLACES {
        for path in files.entries(&files.at(place).join(format!("{network}.d")))? {
            let name = path.file_name().unwrap_or_default();
            if has_suffix(&path, ".conf") && known.insert(name.to_owned()) && !is_mask(&path)? {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Returns whether a file is a link to nothing.
fn is_mask(path: &Path) -> Result<bool> {
    Ok(link(path)?.is_some_and(|target| target == Path::new("/dev/null")))
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
}

fn store(device: &Device, file: PathBuf, form: Sections) -> Store {
    Store::new(&MANAGER, device, file, file::MODE, form)
}

fn drop_in(interface: &str) -> String {
    format!("lvs-host-{interface}.conf")
}

/// Returns the file for lo, where networkd manages others by files that Netplan did not write.
fn for_lo(files: &mut Files, lo: &Device) -> Result<Option<Store>> {
    let is_own = |(_, file): &(u32, PathBuf)| netplan_id(file).is_none();
    Ok(network_files(files)?.iter().any(is_own).then(|| own_lo(files, lo)))
}

fn own_lo(files: &Files, lo: &Device) -> Store {
    let form = Sections { interface: lo.name.clone(), head: LO_MATCH, warning: None };
    store(lo, files.at(OURS).join(LO), form)
}

/// Returns our file for an interface that is not there.
fn left_behind(files: &mut Files, device: &Device) -> Result<Option<Store>> {
    let directories = files.entries(&files.at(OURS))?;
    for directory in directories.iter().filter(|path| has_suffix(path, ".network.d")) {
        let file = directory.join(drop_in(&device.name));
        if is_there(&file)? {
            let form = Sections { interface: device.name.clone(), head: "", warning: None };
            return Ok(Some(store(device, file, form)));
        }
    }
    Ok(None)
}

impl Form for Sections {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        let body = content.strip_prefix(HEADER).unwrap_or(content);
        let body = body.strip_prefix(self.head).unwrap_or(body);
        let body = format!("\n{body}");
        let mut sections = body.split("\n[Address]\n");
        if sections.next().is_some_and(|before| !before.trim().is_empty()) {
            return Err("we did not write what it begins with; move that to another file".into());
        }
        each_once(sections.map(|section| self.address(section)))
    }

    fn written(&self, _content: &str, addresses: &Addresses) -> String {
        if addresses.is_empty() {
            return String::new();
        }
        let sections: Vec<String> =
            addresses.iter().map(|(alias, address)| section(alias, address)).collect();
        format!("{HEADER}{}{}", self.head, sections.join("\n"))
    }

    fn review(&self, rewrite: &Rewrite) -> Result<(), Objection> {
        const KEPT: &[&str] =
            &["label", "broadcast", "scope", "metric", "preferred_lft", "noprefixroute", "nodad"];
        // It ignores Broadcast= there (address_section_verify in its networkd-address.c).
        let has_no_broadcast = |address: &Address| address.set.prefix > 30 && address.set.broadcast.is_some();
        let lost = |address: &Address| {
            has_no_broadcast(address)
                .then(|| "it gives no broadcast address to one of a prefix of 31 or 32; leave broadcast or persist out".into())
        };
        rewrite.keeps(|alias, address| not_kept(alias, address, KEPT).or_else(|| lost(address)))
    }

    fn brought(&self, content: &str) -> Brought {
        let mut brought = Brought::default();
        for (key, value) in content.lines().filter_map(|line| line.split_once('=')) {
            match key.trim() {
                "Address" => brought.address(value.trim()),
                "Label" => brought.label(value.trim()),
                _ => {}
            }
        }
        brought
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    /// It keeps what it has read, and sets that again when the interface loses its carrier; a reload would configure the
    /// interface anew, and drop the addresses and routes of others.
    fn tell(&self, _file: &Path, gone: &[&Alias]) -> Option<String> {
        may_return(gone, "systemd-networkd", "when the interface loses its carrier", "networkctl reload")
    }
}

impl Sections {
    /// Returns the address of a section.
    fn address(&self, section: &str) -> Result<(Alias, Address), String> {
        let keys = assignments(section);
        let (ip, prefix) = keys
            .get("Address")
            .and_then(|value| cidr::stored(value))
            .ok_or("a section has no address; remove the file")?;
        let (alias, mut address) = plain(&self.interface, ip, prefix);
        let mut known = HashSet::new();
        for line in section.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let is_new = known.insert(key);
            take(&mut address.set, key, value).filter(|()| is_new).ok_or_else(|| not_ours(line))?;
        }
        Ok((alias, address))
    }
}

/// Takes an attribute over from a line of a section; nothing if we do not write such lines.
fn take(set: &mut Attributes, key: &str, value: &str) -> Option<()> {
    match (key, value) {
        ("Address", _) => {}
        ("Label", _) => set.label = Some(value.into()),
        ("Broadcast", "no") => set.broadcast = None,
        ("Broadcast", _) => set.broadcast = Some(value.parse().ok()?),
        ("Scope", _) => set.scope = value.parse().ok()?,
        ("RouteMetric", _) => set.metric = Some(value.parse().ok()?),
        ("PreferredLifetime", "0") => set.deprecated = true,
        ("AddPrefixRoute", "no") => set.noprefixroute = true,
        ("DuplicateAddressDetection", "none") => set.nodad = true,
        _ => return None,
    }
    Some(())
}

/// Returns the section of an address.
fn section(alias: &Alias, address: &Address) -> String {
    let (set, usual) = (&address.set, plain(&alias.interface, alias.address, address.set.prefix).1.set);
    let broadcast = || set.broadcast.map_or_else(|| "no".to_owned(), |broadcast| broadcast.to_string());
    let lines = [
        label(alias, address).map(|label| format!("Label={label}")),
        (set.broadcast != usual.broadcast).then(|| format!("Broadcast={}", broadcast())),
        (set.scope != usual.scope).then(|| format!("Scope={}", set.scope)),
        set.metric.map(|metric| format!("RouteMetric={metric}")),
        set.deprecated.then(|| "PreferredLifetime=0".into()),
        set.noprefixroute.then(|| "AddPrefixRoute=no".into()),
        set.nodad.then(|| "DuplicateAddressDetection=none".into()),
    ];
    let lines: String = lines.into_iter().flatten().map(|line| line + "\n").collect();
    format!("[Address]\nAddress={}\n{lines}", words(alias, address))
}

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>) -> Box<dyn Form> {
    Box::new(Sections { interface: interface.clone(), head: "", warning: None })
}

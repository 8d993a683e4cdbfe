//! What ifupdown takes for up: /run/network/ifstate and a file beside it for each interface, as ifup(8) leaves them.
//!
//! ifupdown adds an alias that it does not take for up, and fails because the address is there. So it has to know of an
//! alias that we have added.

use std::collections::{BTreeSet, HashSet};
use std::ffi::CString;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::entry::{label, plain, stored_changes};
use super::files::{is_there, ours};
use crate::file::{self, Lock, Owners, Place};
use crate::interface_alias::InterfaceAlias;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::{Addresses, Alias};
use crate::resource::Plan;
use crate::{Error, Result, gathered};

/// The state of ifupdown since the boot.
#[derive(Debug)]
pub(super) struct IfState {
    file: Rc<Path>,
}

/// Returns the entry of an address that ifupdown knows by its label; the others belong to the interface's own.
pub(super) fn up(alias: &Alias, address: &Address) -> Option<(Alias, Address)> {
    let label = label(alias, address)?;
    let (alias, mut up) = plain(&alias.interface, alias.address, address.set.prefix);
    up.set.label = Some(label.into());
    Some((alias, up))
}

impl IfState {
    /// Returns the state in `directory`, if ifupdown has one there.
    pub(super) fn find(directory: &Path) -> Result<Option<Self>> {
        let file = directory.join("ifstate");
        Ok(is_there(&file)?.then(|| Self { file: file.into() }))
    }

    /// Returns the main file.
    pub(super) fn file(&self) -> &Rc<Path> {
        &self.file
    }

    /// Returns the file of one interface.
    fn own_file(&self, label: &str) -> PathBuf {
        self.file.with_file_name(format!("ifstate.{label}"))
    }

    /// Returns those of `possible` that ifupdown takes for up, and those of `unwanted` of which a run that was killed may have left one
    /// of the two traces.
    pub(super) fn read(&self, possible: &Addresses, unwanted: &Addresses) -> Result<Addresses> {
        let content = ours(&self.file)?;
        let lines: HashSet<&str> = content.lines().collect();
        let (mut known, place) = (Addresses::new(), self.place()?);
        for (addresses, enough) in [(possible, 2), (unwanted, 1)] {
            for (alias, up) in addresses.iter().filter_map(|(alias, address)| up(alias, address)) {
                let traces = self.traces(&place, &lines, &label(&alias, &up).unwrap_or_default())?;
                if traces.into_iter().filter(|is_there| *is_there).count() >= enough {
                    known.insert(alias, up);
                }
            }
        }
        Ok(known)
    }

    /// Returns the place of all these files, found once: there may be thousands.
    fn place(&self) -> Result<Place> {
        Place::find(&self.file, Owners::Ours)
    }

    /// Returns whether the main file, which has these `lines`, and that of the label itself take an address for up: both together are
    /// an entry.
    fn traces(&self, place: &Place, lines: &HashSet<&str>, label: &str) -> Result<[bool; 2]> {
        let is_listed = lines.contains(&*format!("{label}={label}"));
        Ok([is_listed, self.own_text(place, label)?.trim() == label])
    }

    /// Returns what the file of one interface holds, nothing if there is none.
    fn own_text(&self, place: &Place, label: &str) -> Result<String> {
        let path = self.own_file(label);
        let name = CString::new(format!("ifstate.{label}")).unwrap_or_default();
        match place.own(&name) {
            Err(Errno::ENOENT) => Ok(String::new()),
            file => {
                file.map_err(io::Error::from).and_then(io::read_to_string).map_err(Error::path("read", &path))
            }
        }
    }

    /// Writes what `plan` says about it, while ifupdown waits. A label stays as long as one of the `stored` addresses has it.
    pub(super) fn write(&self, plan: &Plan<InterfaceAlias>, stored: &Addresses) -> Result<()> {
        let (mut gone, mut up) = (BTreeSet::new(), BTreeSet::new());
        for (alias, before, after) in stored_changes(plan, &self.file) {
            gone.extend(before.and_then(|address| label(alias, address)));
            up.extend(after.and_then(|address| label(alias, address)));
        }
        if gone.is_empty() && up.is_empty() {
            return Ok(());
        }
        let _turn = Lock::on("ifstate")?;
        let _lock = self.lock()?;
        let kept: BTreeSet<String> =
            gathered(stored.iter().filter_map(|(alias, address)| label(alias, address)));
        gone.retain(|label| !kept.contains(label) && !up.contains(label));
        self.set(&gone, &up)
    }

    /// Takes `gone` out of the main file, with the files of their own, and puts `up` in.
    fn set(&self, gone: &BTreeSet<String>, up: &BTreeSet<String>) -> Result<()> {
        let content = ours(&self.file)?;
        let lines: HashSet<&str> = content.lines().collect();
        let (mut new, place) = (BTreeSet::new(), self.place()?);
        for label in up {
            if self.traces(&place, &lines, label)? != [true; 2] {
                new.insert(label);
            }
        }
        let changed: HashSet<String> =
            gone.iter().chain(new.iter().copied()).map(|label| format!("{label}={label}")).collect();
        let others: String =
            content.lines().filter(|line| !changed.contains(*line)).map(|line| format!("{line}\n")).collect();
        let added: String = new.iter().map(|label| format!("{label}={label}\n")).collect();
        gone.iter().try_for_each(|label| file::remove(&self.own_file(label)))?;
        let replace = |text: &str| file::replace(&self.file, text.as_bytes(), file::MODE);
        let own = |label: &&String| {
            file::replace(&self.own_file(label), format!("{label}\n").as_bytes(), file::MODE)
        };
        new.iter().try_for_each(own).and_then(|()| replace(&(others.clone() + &added))).inspect_err(|_| {
            // One without the other is no entry, so nobody would take it away.
            new.iter().for_each(|label| drop(file::remove(&self.own_file(label))));
            drop(replace(&others));
        })
    }

    /// Returns ifupdown's own lock (update_state in its main.c); it is free again when dropped. It is one for reading: that and
    /// ifupdown's, which is for writing, exclude each other, and who can only read the file can keep none that excludes it.
    fn lock(&self) -> Result<File> {
        const PATIENCE: Duration = Duration::from_secs(30);
        const PAUSE: Duration = Duration::from_millis(20);
        let path = self.file.with_file_name(".ifstate.lock");
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::path("open", &path))?;
        // Who can open it can keep it, also from ifupdown, which leaves the mode as it is and makes it readable by all.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(Error::path("lock", &path))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match fcntl(&file, FcntlArg::F_SETLK(&WHOLE)) {
                Ok(_) => return Ok(file),
                Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) if Instant::now() < end => sleep(PAUSE),
                Err(Errno::EAGAIN | Errno::EACCES) => return Err(file::held(&path, &file)),
                Err(error) => return Err(Error::path("lock", &path)(error)),
            }
        }
    }
}

/// A lock for reading on a whole file (fcntl_locking(2)).
const WHOLE: libc::flock = libc::flock {
    l_type: libc::F_RDLCK as libc::c_short,
    l_whence: libc::SEEK_SET as libc::c_short,
    l_start: 0,
    l_len: 0,
    l_pid: 0,
};

//! What ifupdown takes for up: /run/network/ifstate and a file beside it for each interface, as ifup(8) leaves them.
//!
//! ifupdown adds an alias that it does not take for up, and fails because the address is there. So it has to know of an
//! alias that we have added.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::files::{is_there, text};
use super::{Addresses, Alias, InterfaceAlias, label, plain};
use crate::file;
use crate::interface_alias::address::Address;
use crate::resource::Plan;
use crate::{Error, Result};

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

    /// Returns those of `possible` that ifupdown takes for up.
    pub(super) fn read(&self, possible: &Addresses) -> Result<Addresses> {
        let lines = text(&self.file)?;
        let lines: HashSet<&str> = lines.lines().collect();
        let mut known = Addresses::new();
        for (alias, up) in possible.iter().filter_map(|(alias, address)| up(alias, address)) {
            let label = label(&alias, &up).unwrap_or_default();
            if self.knows(&lines, &label)? {
                known.insert(alias, up);
            }
        }
        Ok(known)
    }

    /// Returns whether the main file, which has these `lines`, and that of the label itself take it for up.
    fn knows(&self, lines: &HashSet<&str>, label: &str) -> Result<bool> {
        let is_listed = lines.contains(format!("{label}={label}").as_str());
        Ok(is_listed && text(&self.own_file(label))?.trim() == label)
    }

    /// Writes what `plan` says about it, while ifupdown waits. A label stays as long as one of the `stored` addresses has it.
    pub(super) fn write(&self, plan: &Plan<InterfaceAlias>, stored: &Addresses) -> Result<()> {
        let (mut gone, mut up) = (BTreeSet::new(), BTreeSet::new());
        for (alias, before, after) in super::changes(plan, &self.file) {
            gone.extend(before.and_then(|address| label(alias, address)));
            up.extend(after.and_then(|address| label(alias, address)));
        }
        if gone.is_empty() && up.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let kept: BTreeSet<String> =
            stored.iter().filter_map(|(alias, address)| label(alias, address)).collect();
        gone.difference(&kept).try_for_each(|label| self.set(label, false))?;
        up.iter().try_for_each(|label| self.set(label, true))
    }

    fn set(&self, label: &str, is_up: bool) -> Result<()> {
        let lines = text(&self.file)?;
        if is_up && self.knows(&lines.lines().collect(), label)? {
            return Ok(());
        }
        let own = self.own_file(label);
        let lines = with_entry(&lines, label, is_up);
        if !is_up {
            file::remove(&own)?;
            return file::replace(&self.file, lines.as_bytes(), file::MODE);
        }
        let written = file::replace(&own, format!("{label}\n").as_bytes(), file::MODE)
            .and_then(|()| file::replace(&self.file, lines.as_bytes(), file::MODE));
        // One without the other is no entry, so nobody would take it away.
        written.inspect_err(|_| drop(self.set(label, false)))
    }

    /// Returns ifupdown's own lock (update_state in its main.c); it is free again when dropped.
    fn lock(&self) -> Result<File> {
        const PATIENCE: Duration = Duration::from_secs(30);
        const PAUSE: Duration = Duration::from_millis(20);
        let path = self.file.with_file_name(".ifstate.lock");
        let file =
            OpenOptions::new().append(true).create(true).open(&path).map_err(Error::path("open", &path))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match fcntl(&file, FcntlArg::F_SETLK(&WHOLE)) {
                Ok(_) => return Ok(file),
                Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) if Instant::now() < end => sleep(PAUSE),
                Err(error) => return Err(Error::path("lock", &path)(error)),
            }
        }
    }
}

/// Returns the main file's text with the entry of `label` as its last line, or without it. A last line without a line feed stays one.
fn with_entry(text: &str, label: &str, is_up: bool) -> String {
    let entry = format!("{label}={label}");
    let body = text.strip_suffix('\n').unwrap_or(text);
    let there = body.split('\n').filter(|line| *line != entry && !text.is_empty());
    let lines: Vec<&str> = there.chain(is_up.then_some(entry.as_str())).collect();
    let is_ended = text.is_empty() || text.ends_with('\n');
    let end = if is_ended && !lines.is_empty() { "\n" } else { "" };
    lines.join("\n") + end
}

/// A lock for writing on a whole file (fcntl_locking(2)).
const WHOLE: libc::flock = libc::flock {
    l_type: libc::F_WRLCK as libc::c_short,
    l_whence: libc::SEEK_SET as libc::c_short,
    l_start: 0,
    l_len: 0,
    l_pid: 0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_and_goes_whether_the_last_line_is_ended_or_not() {
        for (without, with) in [
            ("", "v0:1=v0:1\n"),
            ("lo=lo\nv0=v0\n", "lo=lo\nv0=v0\nv0:1=v0:1\n"),
            ("lo=lo\nv0=v0", "lo=lo\nv0=v0\nv0:1=v0:1"),
            ("\n", "\nv0:1=v0:1\n"),
        ] {
            assert_eq!(with_entry(without, "v0:1", true), with);
            assert_eq!(with_entry(with, "v0:1", true), with);
            assert_eq!(with_entry(with, "v0:1", false), without);
        }
    }
}

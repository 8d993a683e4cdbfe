//! A file that is to take another one's place, or to be a new one.

use std::collections::hash_map::RandomState;
use std::fs::{File, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

use nix::dir::Dir;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use xattr::FileExt;

use super::{ACL, Place};

/// How the name of a draft ends. Nobody who reads whole directories takes such a name for one of his files, as it begins with
/// a dot: sysctl.d(5) and procps want `.conf` at the end, interfaces(5) and netplan go by patterns, which match no dot in
/// front, and systemd.network(5) and nm-settings-keyfile(5) have other endings and no hidden files.
const ENDING: &str = ".lvs-host-draft";

/// A temporary file beside the one whose place it is to take; gone when dropped unpublished.
///
/// It is locked as long as its run lives, so one that a killed run has left is known by being free, and the next run that
/// writes in its directory removes it. Nobody can tell its name beforehand and take it.
pub(super) struct Draft<'a> {
    place: &'a Place,
    /// The directory once more, as the descriptor that only names it can be neither listed nor synchronized.
    directory: Dir,
    name: String,
    file: File,
}

impl<'a> Draft<'a> {
    pub(super) fn create(place: &'a Place) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut directory = Dir::openat(place.directory(), ".", flags, Mode::empty())?;
        remove_stale(&mut directory, place);
        loop {
            let name = format!(".{:016x}{ENDING}", RandomState::new().build_hasher().finish());
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let file = File::from(openat(&directory, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
            file.lock()?;
            // Another run may have taken it for a stale one before it was locked.
            if file.metadata()?.nlink() > 0 {
                return Ok(Self { place, directory, name, file });
            }
        }
    }

    /// Writes `content`, and makes the file like the `old` one; one that replaces none gets `mode`.
    pub(super) fn fill(&self, content: &[u8], old: Option<&File>, mode: u32) -> io::Result<()> {
        (&self.file).write_all(content)?;
        match old {
            Some(old) => self.dress_as(old)?,
            None => self.file.set_permissions(Permissions::from_mode(mode))?,
        }
        self.file.sync_all()
    }

    /// Takes over owner, mode and extended attributes; the mode last, as a change of owner clears bits of it.
    fn dress_as(&self, old: &File) -> io::Result<()> {
        let (new, meta) = (self.file.metadata()?, old.metadata()?);
        if (new.uid(), new.gid()) != (meta.uid(), meta.gid()) {
            fchown(&self.file, Some(meta.uid()), Some(meta.gid()))?;
        }
        if xattr::SUPPORTED_PLATFORM {
            copy_attributes(old, &self.file)?;
        }
        self.file.set_permissions(meta.permissions())
    }

    /// Gives the file its name, for good; a new one that the disk may not have is taken away again. Returns the file, which no more is
    /// locked, if it can stay open.
    pub(super) fn publish(self) -> io::Result<Option<File>> {
        let name = self.place.name().as_os_str();
        renameat(&self.directory, self.name.as_str(), &self.directory, name)?;
        fsync(&self.directory).map_err(|errno| {
            if !self.place.is_there() {
                let _ = self.place.remove();
            }
            io::Error::from(errno)
        })?;
        Ok(self.file.unlock().and_then(|()| self.file.try_clone()).ok())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // Published, it is gone already; else nothing better can be done.
        let _ = unlinkat(&self.directory, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Removes the drafts of runs that were killed. One that cannot be removed harms nobody, as names differ.
fn remove_stale(directory: &mut Dir, place: &Place) {
    let is_draft = |name: &[u8]| name.starts_with(b".") && name.ends_with(ENDING.as_bytes());
    let names = directory.iter().flatten().map(|entry| entry.file_name().to_owned());
    for name in names.filter(|name| is_draft(name.to_bytes())) {
        let Ok(draft) = place.own(&name) else { continue };
        if draft.try_lock().is_ok() {
            let _ = unlinkat(place.directory(), name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Copies every extended attribute that differs, and takes away the access rights that a new file has by its directory
/// (acl(5)); a file system without them has none to copy.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let names = match from.list_xattr() {
        Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => return Ok(()),
        names => names?.collect::<Vec<_>>(),
    };
    if !names.iter().any(|name| name == ACL) && to.list_xattr()?.any(|name| name == ACL) {
        to.remove_xattr(ACL)?;
    }
    for name in names {
        let value = from.get_xattr(&name)?;
        if value.is_some() && value != to.get_xattr(&name)? {
            to.set_xattr(&name, &value.unwrap_or_default())?;
        }
    }
    Ok(())
}

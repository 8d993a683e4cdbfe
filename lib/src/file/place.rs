//! Where a file is: found by a walk along open directories, none of which another user can write to.
//!
//! A path that another user can exchange means another file a moment later. So each directory from the root down, also along
//! symbolic links, belongs to root or to who executes, and nobody else can write to it; then what was found stays.

use std::ffi::{CStr, OsString};
use std::fs::{File, read_to_string};
use std::iter::once;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, getegid, geteuid, unlinkat};

use super::ACL;
use crate::error::brief;
use crate::{Error, Result};

/// Whose directories a walk may go along.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Owners {
    /// Root's, and those of the user who executes.
    Ours,
    /// Anybody's, as long as nobody else but root can write to them.
    Any,
}

/// How a directory on the way is opened, or a link that may be there instead.
const ON_THE_WAY: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How a file is opened; a pipe would be waited for.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// An open directory on the way to a file.
#[derive(Debug)]
struct Directory {
    descriptor: OwnedFd,
    /// Without symbolic links.
    path: PathBuf,
    /// Whether everybody can make files in it, and remove their own alone, as in /tmp.
    is_shared: bool,
}

/// What a directory has under a name.
enum Entry {
    Directory(Directory),
    Link(PathBuf),
    Other(FileStat),
    Nothing,
}

/// The place of a file, which may be missing.
#[derive(Debug)]
pub(crate) struct Place {
    directory: Directory,
    /// The file's name; above it those of the directories that are missing, the last one first.
    names: Vec<OsString>,
    found: Option<FileStat>,
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Returns the names in `path`, the last one first.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name)
}

/// Returns whether the user with this number is root, who executes, or nobody whom this user namespace knows, as is the
/// machine's root (user_namespaces(7)).
fn is_ours(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw() || is_unmapped(user)
}

fn is_unmapped(user: u32) -> bool {
    let number = |word: &str| word.parse::<u64>().ok();
    let overflow = read_to_string("/proc/sys/kernel/overflowuid").ok().and_then(|text| number(text.trim()));
    let maps = |line: &str| {
        let mut words = line.split_whitespace().map(number);
        let (first, length) = (words.next()??, words.nth(1)??);
        Some((first..first + length).contains(&user.into()))
    };
    // A map that cannot be read may have it.
    let map = read_to_string("/proc/self/uid_map").ok();
    overflow == Some(user.into()) && map.is_some_and(|map| map.lines().all(|line| maps(line) == Some(false)))
}

impl Directory {
    fn root(owners: Owners) -> Result<Self> {
        let path = PathBuf::from("/");
        let descriptor = open(&path, ON_THE_WAY, Mode::empty()).map_err(Error::path("open", &path))?;
        let stat = fstat(&descriptor).map_err(Error::path("look at", &path))?;
        Self::checked(descriptor, path, &stat, owners)
    }

    /// Returns the directory if what is in it can be relied on.
    fn checked(descriptor: OwnedFd, path: PathBuf, stat: &FileStat, owners: Owners) -> Result<Self> {
        let is_open =
            stat.st_mode & 0o002 != 0 || (stat.st_mode & 0o020 != 0 && !is_own_group(stat, &descriptor));
        let is_shared = is_open && stat.st_mode & 0o1000 != 0;
        if (is_open && !is_shared) || (owners == Owners::Ours && !is_ours(stat.st_uid)) {
            return Err(untrusted(&path, stat));
        }
        Ok(Self { descriptor, path, is_shared })
    }

    /// Returns what is there under `name`; of what is last on the way no directory is opened.
    fn entry(&self, name: &OsString, is_last: bool, owners: Owners) -> Result<Entry> {
        let path = if name == ".." { self.above() } else { self.path.join(name) };
        let act = || Error::path::<Errno>("look at", &path);
        let opened = match is_last {
            true => fstatat(&self.descriptor, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                .map(|stat| (None, stat)),
            false => openat(&self.descriptor, name.as_os_str(), ON_THE_WAY, Mode::empty())
                .and_then(|descriptor| fstat(&descriptor).map(|stat| (Some(descriptor), stat))),
        };
        let (descriptor, stat) = match opened {
            Err(Errno::ENOENT) => return Ok(Entry::Nothing),
            opened => opened.map_err(act())?,
        };
        // Where everybody can make files, only what is nobody else's is what was meant.
        if self.is_shared && ![0, geteuid().as_raw()].contains(&stat.st_uid) {
            return Err(untrusted(&path, &stat));
        }
        match (kind(&stat), descriptor) {
            (SFlag::S_IFLNK, _) => self.link(name, &path, owners),
            (SFlag::S_IFDIR, Some(descriptor)) => {
                Self::checked(descriptor, path, &stat, owners).map(Entry::Directory)
            }
            (_, None) => Ok(Entry::Other(stat)),
            _ => Err(act()(Errno::ENOTDIR)),
        }
    }

    fn above(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("/")).to_owned()
    }

    /// Returns where a link leads.
    fn link(&self, name: &OsString, path: &Path, owners: Owners) -> Result<Entry> {
        let act = || Error::path::<Errno>("follow", path);
        let flags = self.flags().map_err(act())?;
        if flags.contains(OFlag::O_NOFOLLOW) {
            let target = readlinkat(&self.descriptor, name.as_os_str()).map_err(act())?;
            return Ok(Entry::Link(target.into()));
        }
        let descriptor = openat(&self.descriptor, name.as_os_str(), flags, Mode::empty()).map_err(act())?;
        let stat = fstat(&descriptor).map_err(act())?;
        match kind(&stat) {
            SFlag::S_IFDIR => Self::checked(descriptor, path.to_owned(), &stat, owners).map(Entry::Directory),
            _ => Ok(Entry::Other(stat)),
        }
    }

    /// Returns how what is in it is opened. Links of /proc lead to what has no path to go along (proc_pid_fd(5)), so only the
    /// kernel can follow them.
    fn flags(&self) -> nix::Result<OFlag> {
        let is_proc = fstatfs(&self.descriptor)?.filesystem_type() == PROC_SUPER_MAGIC;
        Ok(if is_proc { ON_THE_WAY.difference(OFlag::O_NOFOLLOW) } else { ON_THE_WAY })
    }
}

/// Returns whether the group that can write to a directory is root's or that of who executes, and no access control list
/// names others (acl(5): the mode has the rights that the list has at most).
fn is_own_group(stat: &FileStat, descriptor: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let has_no_list = || match xattr::get_deref(path, ACL) {
        Ok(list) => list.is_none(),
        Err(error) => error.raw_os_error() == Some(nix::libc::EOPNOTSUPP),
    };
    [0, getegid().as_raw()].contains(&stat.st_gid) && has_no_list()
}

fn untrusted(path: &Path, stat: &FileStat) -> Error {
    Error::invalid(format!(
        "cannot rely on {}, which belongs to user {} and group {} and has mode {:04o}: another user could exchange what is in it; use a place that only root can write to, or change owner and mode",
        path.display(),
        stat.st_uid,
        stat.st_gid,
        stat.st_mode & 0o7777
    ))
}

impl Place {
    /// Returns the place that `path` leads to; a link may lead to a file that does not exist yet.
    pub(crate) fn find(path: &Path, owners: Owners) -> Result<Self> {
        /// As many as the kernel follows (path_resolution(7)).
        const LINKS: usize = 40;
        /// As the kernel takes (PATH_MAX in linux/limits.h).
        const LONGEST: usize = 4095;
        if path.as_os_str().len() > LONGEST {
            return Err(Error::io("look at", brief(&path.to_string_lossy()))(Errno::ENAMETOOLONG));
        }
        let (mut directory, mut links) = (Directory::root(owners)?, 0);
        let mut rest: Vec<OsString> = names(path).collect();
        while let Some(name) = rest.pop() {
            let found = match directory.entry(&name, rest.is_empty(), owners)? {
                Entry::Directory(next) => {
                    directory = next;
                    continue;
                }
                Entry::Link(_) if links == LINKS => return Err(Error::path("follow", path)(Errno::ELOOP)),
                Entry::Link(target) => {
                    links += 1;
                    rest.extend(names(&target));
                    if target.is_absolute() {
                        directory = Directory::root(owners)?;
                    }
                    continue;
                }
                Entry::Other(stat) => Some(stat),
                Entry::Nothing => None,
            };
            let names = rest.into_iter().chain(once(name)).collect();
            return Ok(Self { directory, names, found });
        }
        Err(Error::invalid(format!("cannot use {}: it is a directory; name a file", path.display())))
    }

    /// Returns the directory that holds the file, or is to hold the first one that is missing.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory.descriptor
    }

    /// Returns the file's name.
    pub(crate) fn name(&self) -> &OsString {
        &self.names[0]
    }

    /// Returns its path without symbolic links.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path.join(self.names.iter().rev().collect::<PathBuf>())
    }

    /// Returns whether there is such a file.
    pub(crate) fn is_there(&self) -> bool {
        self.found.is_some()
    }

    /// Returns whether what is there is `file`.
    pub(crate) fn has(&self, file: &File) -> bool {
        let now = file.metadata().map(|now| (now.dev(), now.ino())).ok();
        self.found.is_some_and(|found| now == Some((found.st_dev, found.st_ino)))
    }

    /// Returns the place of another name in the same directory, where nothing is yet.
    pub(crate) fn beside(self, name: OsString) -> Self {
        Self { names: vec![name], found: None, ..self }
    }

    /// Returns what is not there: the file, and the directories above it.
    pub(crate) fn missing(&self) -> Vec<PathBuf> {
        if self.is_there() {
            return Vec::new();
        }
        self.path().ancestors().take(self.names.len()).map(Path::to_owned).collect()
    }

    /// Opens the file, nothing if there is none; what is no regular file is an error.
    pub(crate) fn open(&self) -> Result<Option<File>> {
        let Some(found) = &self.found else { return Ok(None) };
        let path = self.path();
        // A device might take being opened for a wish.
        if kind(found) != SFlag::S_IFREG {
            return Err(super::irregular(&path));
        }
        let file = openat(self.directory(), self.name().as_os_str(), READ, Mode::empty()).map(File::from);
        let file = file.map_err(Error::path("open", &path))?;
        let now = file.metadata().map_err(Error::path("look at", &path))?;
        match now.is_file() && now.uid() == found.st_uid {
            true => Ok(Some(file)),
            false => Err(super::irregular(&path)),
        }
    }

    /// Opens a file beside it that nobody else has put there.
    pub(crate) fn own(&self, name: &CStr) -> nix::Result<File> {
        let stat = fstatat(self.directory(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if kind(&stat) != SFlag::S_IFREG || (self.directory.is_shared && stat.st_uid != geteuid().as_raw()) {
            return Err(Errno::EPERM);
        }
        openat(self.directory(), name, READ, Mode::empty()).map(File::from)
    }

    /// Opens a network namespace or what else is no ordinary file, once; nothing if there is none.
    pub(crate) fn open_any(&self) -> Result<Option<OwnedFd>> {
        if !self.is_there() {
            return Ok(None);
        }
        let flags = self.directory.flags().map_err(Error::path("open", &self.path()))?;
        let opened = openat(self.directory(), self.name().as_os_str(), flags, Mode::empty());
        opened.map(Some).map_err(Error::path("open", &self.path()))
    }

    /// Makes the directories that are missing; returns the place in the last one.
    pub(crate) fn made(mut self) -> Result<Self> {
        while self.names.len() > 1 {
            let Some(name) = self.names.pop() else { break };
            let path = self.directory.path.join(&name);
            match mkdirat(self.directory(), name.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::path("make", &path)(errno)),
            }
            match self.directory.entry(&name, false, Owners::Ours)? {
                Entry::Directory(next) => self.directory = next,
                _ => return Err(Error::path("make", &path)(Errno::ENOTDIR)),
            }
        }
        Ok(self)
    }

    /// Removes the file; that it is not there is fine.
    pub(crate) fn remove(&self) -> nix::Result<()> {
        match unlinkat(self.directory(), self.name().as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            answer => answer,
        }
    }
}

//! The kernel's side: /proc/sys.
//!
//! Each value is read in one large read, as a short one loses the rest, and written in one write, as a second one
//! is ignored (Documentation/admin-guide/sysctl/kernel.rst, sysctl_writes_strict).

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstatat};

use super::{Key, Setting, refusal, value};
use crate::error::brief;
use crate::root::Root;
use crate::{Error, Result};

/// Room for any value but long lists; and what one write can carry of these (proc_do_large_bitmap).
const PAGE: usize = 4096;

/// Returns all of a value, in `page` if it has room there; what does not fit into one read is lost, so one that came close is
/// read again with more.
fn read_whole<'a>(file: &File, page: &'a mut [u8; PAGE]) -> std::io::Result<Cow<'a, [u8]>> {
    let length = file.read_at(page, 0)?;
    if length <= PAGE / 2 {
        return Ok(Cow::Borrowed(&page[..length]));
    }
    let mut text = vec![0; value::MOST];
    let length = file.read_at(&mut text, 0)?;
    text.truncate(length);
    Ok(Cow::Owned(text))
}

/// What can be read, and is an act all the same (mm/vmstat.c, `vmstat_refresh`).
const ACTS: [&str; 1] = ["vm/stat_refresh"];

/// How a parameter can be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Access {
    Readable,
    WriteOnly,
}

/// The directory /proc/sys; nothing outside it can be reached through it.
#[derive(Debug)]
pub(super) struct ProcSys {
    directory: OwnedFd,
    path: PathBuf,
}

impl ProcSys {
    /// Returns the parameters of the host at `root`.
    pub(super) fn open(root: &Root) -> Result<Self> {
        let path = root.at("/proc/sys");
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
        let directory = open(&path, flags, Mode::empty()).map_err(Error::path("open", &path))?;
        Ok(Self { directory, path })
    }

    /// Returns how `key` can be used, nothing if this kernel has no such parameter.
    pub(super) fn look_up(&self, key: &Key) -> Result<Option<Access>> {
        match fstatat(&self.directory, key.path(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() => Ok(None),
            Ok(stat) if stat.st_mode & 0o444 == 0 || ACTS.contains(&key.path()) => {
                Ok(Some(Access::WriteOnly))
            }
            Ok(_) => Ok(Some(Access::Readable)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(Error::io("look up", key.to_string())(errno)),
        }
    }

    /// Returns how `key` can be used, as [`Self::look_up`] does, and its value if that could be read on the way: one call less.
    pub(super) fn look_at(&self, key: &Key) -> Result<Option<(Access, Option<Setting>)>> {
        if !ACTS.contains(&key.path())
            && let Ok(Some(setting)) = self.read(key)
        {
            return Ok(Some((Access::Readable, Some(setting))));
        }
        Ok(self.look_up(key)?.map(|access| (access, None)))
    }

    /// Returns whether there is a parameter or a directory at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.path.join(path).exists()
    }

    /// Returns the names below the directory at `path`.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path.join(path)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Returns whether `key` can be written by nobody.
    pub(super) fn is_locked(&self, key: &Key) -> Result<bool> {
        match fstatat(&self.directory, key.path(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(stat.st_mode & 0o222 == 0),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            Err(errno) => Err(Error::io("look up", key.to_string())(errno)),
        }
    }

    /// Returns the parameter that `name`, which is not one, means: the only one that differs in which of its
    /// separators are dots of an interface's name.
    pub(super) fn find(&self, name: &Key) -> Result<Option<Key>> {
        let parts: Vec<&str> = name.path().split('/').collect();
        let mut readings = Vec::new();
        self.readings(&mut readings, "", &parts);
        match readings.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(Key::at(only.clone()))),
            [one, other, ..] => Err(Error::invalid(format!(
                "cannot tell what {name} means: there are {one} and {other}; write it with slashes like these"
            ))),
        }
    }

    fn readings(&self, found: &mut Vec<String>, above: &str, parts: &[&str]) {
        for count in 1..=parts.len() {
            let path = format!("{above}{}", parts[..count].join("."));
            let full = self.path.join(&path);
            match &parts[count..] {
                [] if full.is_file() => found.push(path),
                rest if !rest.is_empty() && full.is_dir() => self.readings(found, &format!("{path}/"), rest),
                _ => {}
            }
        }
    }

    /// Returns the parameters that `pattern` matches, as glob(7) does.
    pub(super) fn matching(&self, pattern: &Key) -> Result<Vec<Key>> {
        let directory = self.path.display().to_string();
        let pattern = format!("{}/{}", glob::Pattern::escape(&directory), pattern.path().replace("[^", "[!"));
        let paths =
            glob::glob(&pattern).map_err(|error| Error::invalid(format!("cannot use {pattern}: {error}")))?;
        let key = |path: PathBuf| Some(Key::at(path.strip_prefix(&self.path).ok()?.to_str()?.to_owned()));
        Ok(paths.flatten().filter(|path| path.is_file()).filter_map(key).collect())
    }

    /// Returns the value of `key`, nothing if there is no such parameter or it was never set.
    pub(super) fn read(&self, key: &Key) -> Result<Option<Setting>> {
        let failed = || Error::io::<std::io::Error>("read", key.to_string());
        let file = match self.file(key, OFlag::O_RDONLY) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(failed()(errno.into())),
        };
        let mut page = [0; PAGE];
        let text = match read_whole(&file, &mut page) {
            // What a secret that was never set answers (net/ipv6/addrconf.c, `addrconf_sysctl_stable_secret`).
            Err(error)
                if error.raw_os_error() == Some(nix::libc::EIO) && key.path().ends_with("/stable_secret") =>
            {
                return Ok(None);
            }
            text => text.map_err(failed())?,
        };
        let text = str::from_utf8(&text).map_err(|_| {
            Error::invalid(format!("cannot manage {key}: its value is no text; set it by other means"))
        })?;
        Ok(Some(Setting::new(key, text)))
    }

    /// Writes the value of `key`; what the kernel makes of it is for the caller to read.
    pub(super) fn write(&self, key: &Key, setting: &Setting) -> Result<()> {
        let value = if key.is_secret() { "another value".into() } else { brief(setting.text()) };
        let act = || Error::io::<std::io::Error>("set", format!("{key} to {value}"));
        let file = self.file(key, OFlag::O_WRONLY).map_err(std::io::Error::from);
        let mut file = file.map(File::from).map_err(act())?;
        let text = format!("{}\n", setting.text());
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let taken = match file.write(rest) {
                Err(error) => {
                    let told = refusal::error(key, setting, &error, |other| self.read(other).ok()?);
                    return Err(told.unwrap_or_else(|| act()(error)));
                }
                Ok(taken) => taken,
            };
            if taken < rest.len() && (taken == 0 || text.len() < PAGE) {
                // Switches of IPv6 answer 1 for whatever they took (net/ipv6/addrconf.c, `addrconf_fixup_linkdown`, and on older
                // kernels like 5.10 `addrconf_fixup_forwarding`).
                if matches!(self.read(key), Ok(Some(got)) if got == *setting) {
                    return Ok(());
                }
                return Err(Error::invalid(format!(
                    "cannot set {key} to {}: the kernel takes only {} of it; ask for what it takes",
                    brief(setting.text()),
                    brief(text[..text.len() - rest.len() + taken].trim_end())
                )));
            }
            rest = &rest[taken..];
        }
        Ok(())
    }

    fn file(&self, key: &Key, flags: OFlag) -> nix::Result<OwnedFd> {
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let how = OpenHow::new().flags(flags).resolve(beneath);
        match openat2(self.directory.as_fd(), key.path(), how) {
            // Kernels before 5.6 and some sandboxes lack the call; a key has no "..", and /proc/sys no links.
            Err(Errno::ENOSYS | Errno::EPERM) => {
                openat(self.directory.as_fd(), key.path(), flags, Mode::empty())
            }
            answer => answer,
        }
    }
}

//! The kernel's side: /proc/sys.
//!
//! Each value is read in one large read, as a short one loses the rest, and written in one write, as a second one
//! is ignored (Documentation/admin-guide/sysctl/kernel.rst, sysctl_writes_strict).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;

use super::{Key, Setting, inside};
use crate::{Error, Result};

/// Room for any value but the longest lists, which are read on.
const ROOM: usize = 64 * 1024;

/// What one write can carry to a list that may be longer (proc_do_large_bitmap takes a page at a time).
const PAGE: usize = 4096;

/// The directory /proc/sys; nothing outside it can be reached through it.
pub(super) struct ProcSys {
    directory: OwnedFd,
}

impl ProcSys {
    /// Returns the parameters of the host at `root`.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let path = inside(root, Path::new("/proc/sys"));
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
        open(&path, flags, Mode::empty())
            .map(|directory| Self { directory })
            .map_err(Error::path("open", &path))
    }

    /// Returns the value of `key`, nothing if this kernel has no such parameter.
    pub(super) fn read(&self, key: &Key) -> Result<Option<Setting>> {
        let mut file = match self.file(key, OFlag::O_RDONLY) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(Error::io("read", key.to_string())(errno)),
        };
        let mut text = Vec::with_capacity(ROOM);
        file.read_to_end(&mut text).map_err(Error::io("read", key.to_string()))?;
        let text = String::from_utf8(text)
            .map_err(|_| Error::invalid(format!("cannot read {key}: its value is no text")))?;
        Ok(Some(Setting::new(key, &text)))
    }

    /// Writes the value of `key`; what the kernel makes of it is for the caller to read.
    pub(super) fn write(&self, key: &Key, setting: &Setting) -> Result<()> {
        let act = || Error::io::<std::io::Error>("set", format!("{key} to {}", setting.text()));
        let file = self.file(key, OFlag::O_WRONLY).map_err(std::io::Error::from);
        let mut file = file.map(File::from).map_err(act())?;
        let text = format!("{}\n", setting.text());
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let taken = file.write(rest).map_err(act())?;
            if taken < rest.len() && (taken == 0 || text.len() < PAGE) {
                return Err(Error::invalid(format!(
                    "cannot set {key} to {}: the kernel takes only {} of it; ask for what it takes",
                    setting.text(),
                    text[..text.len() - rest.len() + taken].trim_end()
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

/// Returns the error about a parameter that this kernel does not have, naming what would bring it.
pub(super) fn unknown(key: &Key) -> Error {
    /// Where a parameter is found, and the kernel module that makes it.
    const BRINGERS: [(&str, &str); 5] = [
        ("net/bridge/", "br_netfilter"),
        ("net/netfilter/nf_conntrack", "nf_conntrack"),
        ("net/nf_conntrack", "nf_conntrack"),
        ("net/ipv4/vs/", "ip_vs"),
        ("net/mpls/", "mpls_router"),
    ];
    let module = BRINGERS.iter().find(|(prefix, _)| key.path().starts_with(prefix));
    Error::invalid(match module {
        Some((_, module)) => {
            format!("cannot find {key}: the kernel module {module} brings it; load it first")
        }
        None => format!("cannot find {key}: this kernel has no such parameter; check the name"),
    })
}

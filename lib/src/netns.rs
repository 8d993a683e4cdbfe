//! Network namespaces, as a task names them.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use crate::file::{Owners, Place};
use crate::root::Root;
use crate::{Error, Result};

/// A network namespace: the name that `ip netns` gave it, or a path to it.
#[derive(Clone, Debug)]
pub struct Namespace(PathBuf);

/// Which network namespace one is, whatever paths lead to it: its file's device and inode (namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net-{:x}-{}", self.0, self.1)
    }
}

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "." | ".." => {
                Err(Error::invalid(format!("cannot use netns {text:?}: give its name or path")))
            }
            _ if text.starts_with('/') => Ok(Self(text.into())),
            _ if text.contains('/') => Err(Error::invalid(format!(
                "cannot use netns {text}: give its name, or a path that begins with /"
            ))),
            _ => Ok(Self(Path::new("/run/netns").join(text))),
        }
    }
}

impl Namespace {
    /// Takes the calling thread into the namespace, on the host at `root`; returns which one it is.
    pub fn enter(&self, root: &Root) -> Result<Identity> {
        let path = root.at(&self.0);
        let act = || Error::io::<io::Error>("enter", format!("the network namespace {}", path.display()));
        let found = Place::find(&path, Owners::Any)?.open_any()?;
        let found = found.ok_or_else(|| act()(Errno::ENOENT.into()))?;
        let file = opened(&found).map_err(act())?;
        let metadata = file.metadata().map_err(act())?;
        setns(&file, CloneFlags::CLONE_NEWNET).map_err(|errno| act()(errno.into()))?;
        Ok(Identity(metadata.dev(), metadata.ino()))
    }
}

/// Opens what was found, if it is a namespace: anything else may take being opened for a wish.
fn opened(found: &OwnedFd) -> io::Result<File> {
    if fstatfs(found)?.filesystem_type() != NSFS_MAGIC {
        return Err(io::Error::other("it is not a namespace; name one that `ip netns` or `lsns` shows"));
    }
    // The same file, whatever the path that led to it leads to by now.
    File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

/// Returns the network namespace of the calling thread.
pub fn current() -> Result<Identity> {
    let path = Path::new("/proc/thread-self/ns/net");
    let metadata = path.metadata().map_err(Error::path("look at", path))?;
    Ok(Identity(metadata.dev(), metadata.ino()))
}

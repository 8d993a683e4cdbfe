//! Network namespaces, as a task names them.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::libc;
use nix::sched::{CloneFlags, setns};

use crate::root::Root;
use crate::{Error, Result};

/// A network namespace: the name that `ip netns` gave it, or a path to it.
#[derive(Clone, Debug)]
pub struct Namespace(PathBuf);

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
    /// Takes the calling thread into the namespace, on the host at `root`.
    pub fn enter(&self, root: &Root) -> Result<()> {
        let path = root.at(&self.0);
        let act = || Error::io::<io::Error>("enter", format!("the network namespace {}", path.display()));
        // A pipe of that name would be waited for.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).map_err(act())?;
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| act()(errno.into()))
    }
}

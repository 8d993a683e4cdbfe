//! Where the files of a host are.

use std::path::{Path, PathBuf};

/// The root directory of a host: `/`, or another one in a test.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// Returns the root directory at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns where the absolute `path` is on this host.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns `path`, which is on this host, without this directory.
    pub fn below<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.0).unwrap_or(path)
    }
}

/// The host that this process runs on.
impl Default for Root {
    fn default() -> Self {
        Self::new("/")
    }
}

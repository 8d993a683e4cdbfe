//! What a manager leaves in files, read so that what cannot be read is an error and never taken for absent.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::file;
use crate::{Error, Result};

/// Returns the files that match a pattern, in order.
pub(super) fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(&pattern.display().to_string()).into_iter().flatten();
    paths.map(|path| path.map_err(|error| Error::path("read", pattern)(error))).collect()
}

/// Returns whether there is such a file.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    path.try_exists().map_err(Error::path("look for", path))
}

/// Returns the paths in a directory, none if there is no such directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::path("read", directory))?,
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(Error::path("read", directory)))
        .collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Returns the content of a file, nothing if there is none.
pub(super) fn text(path: &Path) -> Result<String> {
    let content = file::read(path)?.unwrap_or_default();
    String::from_utf8(content)
        .map_err(|_| Error::invalid(format!("cannot use {}: it is no UTF-8; mend it", path.display())))
}

/// Returns the content of a file that is only looked at, nothing if there is none; a comment in it may be no UTF-8.
pub(super) fn foreign(path: &Path) -> Result<String> {
    let content = file::foreign(path)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// Returns `path` below `root`; a relative one as it is.
pub(super) fn inside(root: &Path, path: &str) -> PathBuf {
    path.strip_prefix('/').map_or_else(|| path.into(), |path| root.join(path))
}

/// Returns the values by key of a file of lines `KEY=VALUE`.
pub(super) fn assignments(content: &str) -> BTreeMap<&str, &str> {
    content
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}

//! What a manager leaves in files, read so that what cannot be read is an error and never taken for absent.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use glob::{MatchOptions, Pattern};

use crate::file;
use crate::root::Root;
use crate::{Error, Result, gathered};

/// As the shell and glob(7) match a name: no sign but a dot stands for a leading dot, so that no hidden file is found.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files of a host that are only looked at. Each is read once, so that all of a run speaks of the same.
#[derive(Debug)]
pub(in super::super) struct Files {
    root: Root,
    contents: HashMap<PathBuf, Rc<str>>,
    listings: HashMap<PathBuf, Rc<[PathBuf]>>,
}

/// Returns what `known` has under `path`, which `look` finds out if it is new.
fn once<T: Clone>(
    known: &mut HashMap<PathBuf, T>,
    path: &Path,
    look: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if let Some(found) = known.get(path) {
        return Ok(found.clone());
    }
    let found = look()?;
    known.insert(path.to_owned(), found.clone());
    Ok(found)
}

impl Files {
    /// Returns those below `root`.
    pub(super) fn new(root: &Root) -> Self {
        Self { root: root.clone(), contents: HashMap::new(), listings: HashMap::new() }
    }

    /// Returns where the absolute `path` is on this host.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.at(path)
    }

    /// Returns the root directory that they are below.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Returns where `path` is that stands in a file: an absolute one on this host, a relative one as it is.
    pub(super) fn inside(&self, path: &str) -> PathBuf {
        if path.starts_with('/') { self.at(path) } else { path.into() }
    }

    /// Returns the content of a file, nothing if there is none; a comment in it may be no UTF-8.
    pub(super) fn content(&mut self, path: &Path) -> Result<Rc<str>> {
        once(&mut self.contents, path, || {
            let content = file::foreign(path)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&content).into())
        })
    }

    /// Returns the paths in a directory but hidden ones, none if there is no such directory.
    pub(super) fn entries(&mut self, directory: &Path) -> Result<Vec<PathBuf>> {
        let paths = self.listing(directory)?;
        Ok(paths.iter().filter(|path| !name(path).starts_with('.')).cloned().collect())
    }

    fn listing(&mut self, directory: &Path) -> Result<Rc<[PathBuf]>> {
        once(&mut self.listings, directory, || listing(directory).map(Into::into))
    }

    /// Returns the files that match a pattern, in order.
    pub(super) fn matching(&mut self, pattern: &Path) -> Result<Vec<PathBuf>> {
        let mut paths = vec![PathBuf::new()];
        for part in pattern.components() {
            let part = part.as_os_str();
            match part.to_str().filter(|text| text.contains(['*', '?', '['])).map(Pattern::new) {
                Some(Ok(pattern)) => paths = self.children(&paths, &pattern)?,
                _ => paths.iter_mut().for_each(|path| path.push(part)),
            }
        }
        only(paths, is_there)
    }

    /// Returns what is in these directories by a name that matches.
    fn children(&mut self, directories: &[PathBuf], pattern: &Pattern) -> Result<Vec<PathBuf>> {
        let mut children = Vec::new();
        for directory in directories {
            let found = self.listing(directory)?;
            children.extend(found.iter().filter(|path| pattern.matches_with(&name(path), OPTIONS)).cloned());
        }
        Ok(children)
    }
}

/// Returns the paths of which `is_so` holds.
fn only(paths: Vec<PathBuf>, is_so: impl Fn(&Path) -> Result<bool>) -> Result<Vec<PathBuf>> {
    let kept = paths.into_iter().map(|path| Ok(is_so(&path)?.then_some(path)));
    kept.filter_map(Result::transpose).collect()
}

/// Returns the last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns whether there is such a file.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    unless_absent("look for", path, path.metadata()).map(|found| found.is_some())
}

/// Returns whether `path` leads to a directory.
pub(super) fn is_directory(path: &Path) -> Result<bool> {
    unless_absent("look for", path, path.metadata()).map(|found| found.is_some_and(|found| found.is_dir()))
}

/// Returns where a symbolic link leads, nothing if `path` is none.
pub(super) fn link(path: &Path) -> Result<Option<PathBuf>> {
    match path.read_link() {
        // What it gives for what is no link (readlink(2)).
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(None),
        link => unless_absent("follow", path, link),
    }
}

fn listing(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = unless_absent("read", directory, directory.read_dir())?;
    let mut paths: Vec<_> = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.map(|entry| entry.path()).map_err(Error::path("read", directory)))
        .collect::<Result<_>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// Returns what a look at `path` brought, nothing if there is no such file. Below what is no directory none can be; every other
/// failure, as a link that leads to itself, tells nothing about that.
fn unless_absent<T>(act: &'static str, path: &Path, look: io::Result<T>) -> Result<Option<T>> {
    match look {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        look => look.map(Some).map_err(Error::path(act, path)),
    }
}

/// Returns the content of a file that we write, as it is now; nothing if there is none.
pub(super) fn ours(path: &Path) -> Result<String> {
    let content = file::read(path)?.unwrap_or_default();
    String::from_utf8(content)
        .map_err(|_| Error::invalid(format!("cannot use {}: it is no UTF-8; mend it", path.display())))
}

/// Returns the values by key of a file of lines `KEY=VALUE`.
pub(super) fn assignments(content: &str) -> BTreeMap<&str, &str> {
    let entries = content.lines().filter_map(|line| line.split_once('='));
    gathered(entries.map(|(key, value)| (key.trim(), value.trim())))
}

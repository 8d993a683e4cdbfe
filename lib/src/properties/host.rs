//! The files of a host, below a directory of the thread's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Root;

/// A host's root directory; gone when dropped.
pub(crate) struct Host {
    root: Root,
}

impl Host {
    /// Returns a host with the files in `text`: `-- PATH --` in a line of its own, and then the content; `-- PATH -> PATH --` is a
    /// link. What would be outside is left out.
    pub(crate) fn with(text: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        // In memory, so that no disk is waited for.
        let name = format!("properties.{}.{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let host = Self { root: Root::new(Path::new("/run").join(name)) };
        for place in ["etc", "run", "proc/sys"] {
            // What is missing then is seen by the property.
            drop(fs::create_dir_all(host.root.at(place)));
        }
        files(text).into_iter().for_each(|(path, content)| host.put(path, &content));
        host
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    fn put(&self, path: &str, content: &str) {
        let (path, target) = path.split_once(" -> ").map_or((path, None), |(path, to)| (path, Some(to)));
        let Some(path) = self.inside(path) else { return };
        let directory = path.parent().unwrap_or(self.root.path());
        // Two paths that exclude each other are one, the first.
        drop(match target.and_then(|target| self.inside(target)) {
            Some(target) => fs::create_dir_all(directory).and_then(|()| symlink(target, &path)),
            // The kernel shows one line, and a file that it has is always there.
            None if path.starts_with(self.root.at("proc")) => fs::create_dir_all(directory).and_then(|()| {
                fs::write(&path, content.lines().next().unwrap_or_default().trim().to_owned() + "\n")
            }),
            None => fs::create_dir_all(directory).and_then(|()| fs::write(&path, content)),
        });
    }

    /// Returns a path below the root, if `path` is one.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        let is_plain = |part| matches!(part, Component::Normal(name) if name.len() < 200);
        let path = Path::new(path);
        let is_plain = path.components().all(is_plain) && path.components().count() < 12;
        (is_plain && !path.as_os_str().is_empty()).then(|| self.root.at(path))
    }

    /// Returns every file below the root with its content, but for a last line feed.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        walk(self.root.path(), &mut |path| {
            let name = path.strip_prefix(self.root.path()).unwrap_or(path);
            let content = fs::read(path).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            // A line that is written over a longer one of the kernel's leaves line feeds, and a last line may get the one it lacks.
            let is_kernels = name.starts_with("proc");
            let content =
                if is_kernels { content.trim() } else { content.strip_suffix('\n').unwrap_or(&content) };
            found.insert(name.to_owned(), content.to_owned());
        });
        found
    }

    /// Returns every file with all that shows whether it was written.
    pub(crate) fn look(&self) -> String {
        let mut lines = String::new();
        walk(self.root.path(), &mut |path| {
            let content = fs::read(path).unwrap_or_default();
            let meta = path.symlink_metadata().map(|meta| (meta.ino(), meta.mode(), meta.mtime_nsec()));
            lines += &format!("{} {meta:?} {:?}\n", path.display(), String::from_utf8_lossy(&content));
        });
        lines
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(self.root.path()));
    }
}

/// Calls `see` with every file and link below `directory`, in order; but not with ifupdown's lock, which is there from its first use on.
fn walk(directory: &Path, see: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.is_dir() && !path.is_symlink() {
            true => walk(&path, see),
            false if path.ends_with(".ifstate.lock") => {}
            false => see(&path),
        }
    }
}

/// Returns the files in a text by their paths.
fn files(text: &str) -> Vec<(&str, String)> {
    let mut files: Vec<(&str, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match header(line) {
            Some(path) => files.push((path, String::new())),
            None => files.last_mut().into_iter().for_each(|(_, content)| content.push_str(line)),
        }
    }
    files
}

/// Returns the path in `-- PATH --`.
pub(super) fn header(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix("-- ")?.strip_suffix(" --")
}

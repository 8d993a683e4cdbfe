//! The text of keepalived's configuration as it reads that: with the files that it includes, without lines that are for other
//! hosts, and with what names stand for (keepalived.conf(5); tried with keepalived 2.2.7).

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::MAIN;
use super::definition::Definitions;
use super::include::{MOST, matching};
use crate::root::Root;
use crate::{Error, Result, file};

/// Where distributions have the options that keepalived is started with.
const OPTIONS: [&str; 2] = ["/etc/default/keepalived", "/etc/sysconfig/keepalived"];

/// The most that all of it may be, in bytes.
const LARGEST: usize = 32 << 20;

/// What is left of a file, or of a definition of several lines.
struct Reading {
    path: Rc<Path>,
    lines: std::vec::IntoIter<String>,
}

/// All that is read, and how far that is.
struct Reader<'a> {
    root: &'a Root,
    /// What conditions compare: lines for other hosts begin with `@` and another word.
    id: String,
    definitions: Definitions,
    open: Vec<Reading>,
    /// The files that were read, each also as part of a list.
    known: HashSet<((u64, u64), usize)>,
    includes: usize,
    text: String,
    /// How many braces are open.
    depth: usize,
}

/// Returns the whole text; nothing if keepalived has no configuration.
pub(super) fn whole(root: &Root) -> Result<String> {
    let (definitions, open, known) = (Definitions::default(), Vec::new(), HashSet::new());
    let id = id(root)?;
    let mut reader =
        Reader { root, id, definitions, open, known, includes: 0, text: String::new(), depth: 0 };
    reader.open(root.at(MAIN))?;
    while let Some(reading) = reader.open.last_mut() {
        let path = reading.path.clone();
        match reading.lines.next() {
            Some(line) => reader.take(&path, &line)?,
            None => drop(reader.open.pop()),
        }
    }
    Ok(reader.text)
}

impl Reader<'_> {
    /// Opens a file, unless it was read at such a place already.
    fn open(&mut self, path: PathBuf) -> Result<()> {
        if let Some(identity) = identity(&path)?
            && self.known.insert((identity, self.depth.min(2)))
        {
            let content = file::foreign(&path)?.unwrap_or_default();
            self.push(&path.into(), &String::from_utf8_lossy(&content));
        }
        Ok(())
    }

    fn push(&mut self, path: &Rc<Path>, text: &str) {
        self.open.push(Reading { path: path.clone(), lines: joined(text).into_iter() });
    }

    fn take(&mut self, path: &Rc<Path>, line: &str) -> Result<()> {
        let line = line.split(['#', '!']).next().unwrap_or_default();
        let Some(line) = self.for_this_host(line) else { return Ok(()) };
        if self.definitions.take(line) {
            return Ok(());
        }
        let line = self.definitions.expanded(line)?;
        if line.contains('\n') {
            self.count(path, 1)?;
            self.push(path, &line);
            return Ok(());
        }
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (
                Some("include" | "includer" | "includem" | "includew" | "includeb" | "includea"),
                Some(pattern),
            ) => self.include(path, pattern),
            _ => {
                let closed = line.matches('}').count();
                self.depth = (self.depth + line.matches('{').count()).saturating_sub(closed);
                self.text += &line;
                self.text.push('\n');
                self.count(path, 0)
            }
        }
    }

    /// Returns a line without its condition, nothing if that is not met here.
    fn for_this_host<'l>(&self, line: &'l str) -> Option<&'l str> {
        let Some(condition) = line.trim_start().strip_prefix('@') else { return Some(line) };
        let (id, rest) = condition.split_once(char::is_whitespace)?;
        let is_met = id.strip_prefix('^').map_or(id == self.id, |other| other != self.id);
        is_met.then_some(rest)
    }

    /// Counts what was taken up in a file; returns an error if that is more than anybody has.
    fn count(&mut self, path: &Path, includes: usize) -> Result<()> {
        self.includes += includes;
        if self.includes > MOST || self.text.len() > LARGEST {
            return Err(Error::invalid(format!(
                "cannot tell which addresses keepalived on this host owns: {} includes more than {MOST} files or stands for more than {} MiB; look for files and definitions that have each other in them",
                path.display(),
                LARGEST >> 20
            )));
        }
        Ok(())
    }

    /// Takes up what `include` names.
    fn include(&mut self, path: &Path, pattern: &str) -> Result<()> {
        let found = matching(self.root, path, pattern)?;
        self.count(path, 1 + found.len())?;
        found.into_iter().rev().try_for_each(|path| self.open(path))
    }
}

/// Returns what tells a file from others; nothing if there is none, or it is none of those that keepalived reads
/// (read_conf_file in its lib/parser.c), as a directory.
fn identity(path: &Path) -> Result<Option<(u64, u64)>> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file().then(|| (metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::path("read", path)(error)),
    }
}

/// Returns the lines of a text; those of a definition that a backslash continues are one, with the ends of lines in it.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let is_definition = is_open || line.trim_start().starts_with('$');
        let part = if is_definition { line.strip_suffix('\\').unwrap_or(line) } else { line };
        match lines.last_mut().filter(|_| is_open) {
            Some(last) => *last += &format!("\n{part}"),
            None => lines.push(part.to_owned()),
        }
        is_open = is_definition && part.len() < line.len();
    }
    lines
}

/// Returns what a condition has to name: what keepalived is started with as `-i`, else the first part of the host's name
/// (keepalived(8)).
fn id(root: &Root) -> Result<String> {
    for path in OPTIONS {
        let content = file::foreign(&root.at(path))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content).into_owned();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        if let Some(id) = lines.filter_map(option).next_back() {
            return Ok(id);
        }
    }
    let name = nix::sys::utsname::uname().map_err(Error::io("ask for", "the name of this host"))?;
    let name = name.nodename().to_string_lossy().into_owned();
    Ok(name.split('.').next().unwrap_or_default().to_owned())
}

/// Returns the value of the option `-i` in a line of options.
fn option(line: &str) -> Option<String> {
    let mut words = line.split(['=', ' ', '\t', '"', '\'']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "-i" | "--config-id" => return words.next().map(str::to_owned),
            _ => {}
        }
    }
    None
}

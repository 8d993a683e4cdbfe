//! What ifupdown reads, in the order in which it does, interfaces(5).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::{Files, is_directory, name};
use crate::Result;

/// The main file.
pub(super) const INTERFACES: &str = "/etc/network/interfaces";

/// How the person has an interface brought up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// By a line `auto`, which then brings the aliases up after it.
    Auto,
    /// Otherwise, as by `allow-hotplug` or by hand: an alias by itself would not come up, so it comes with the interface.
    Other {
        /// Whether our file is read before the interface's own stanza.
        is_first: bool,
    },
}

/// All that ifupdown reads.
#[derive(Default)]
pub(super) struct Interfaces {
    paths: Vec<PathBuf>,
    /// The patterns that led to them, each with its place among all that is read.
    sources: Vec<(usize, glob::Pattern)>,
    /// Where each interface has stanzas.
    stanzas: HashMap<String, Vec<(usize, Rc<Path>)>>,
    /// What is on lines `auto`, and in which file.
    started: Vec<(String, Rc<Path>)>,
    /// How many lines were read.
    lines: usize,
}

/// A file that is read, with the lines that are left of it.
struct Reading {
    path: Rc<Path>,
    lines: std::vec::IntoIter<String>,
}

impl Reading {
    fn of(files: &mut Files, path: &Path) -> Result<Self> {
        let lines: Vec<String> = whole_lines(&files.content(path)?).lines().map(str::to_owned).collect();
        Ok(Self { path: path.into(), lines: lines.into_iter() })
    }
}

impl Interfaces {
    /// Returns what it reads on this host.
    pub(super) fn read(files: &mut Files) -> Result<Self> {
        let mut all = Self::default();
        let mut open = all.open(files, vec![files.at(INTERFACES)])?;
        while let Some(reading) = open.last_mut() {
            let Some(line) = reading.lines.next() else {
                open.pop();
                continue;
            };
            let path = reading.path.clone();
            let found = all.take(files, &line, &path)?;
            open.extend(all.open(files, found)?);
        }
        Ok(all)
    }

    /// Opens those of `found` that are files and were not read before, the first one last.
    fn open(&mut self, files: &mut Files, found: Vec<PathBuf>) -> Result<Vec<Reading>> {
        let mut opened = Vec::new();
        for path in found {
            if !is_directory(&path)? && !self.paths.contains(&path) {
                opened.push(Reading::of(files, &path)?);
                self.paths.push(path);
            }
        }
        opened.reverse();
        Ok(opened)
    }

    /// Takes up what a line says; returns the files that it tells to read.
    fn take(&mut self, files: &mut Files, line: &str, path: &Rc<Path>) -> Result<Vec<PathBuf>> {
        self.lines += 1;
        let mut words = line.split_whitespace();
        match words.next() {
            Some("iface") => {
                let stanzas = self.stanzas.entry(words.next().unwrap_or_default().to_owned()).or_default();
                stanzas.push((self.lines, path.clone()));
            }
            Some("auto" | "allow-auto") => {
                self.started.extend(words.map(|word| (word.to_owned(), path.clone())));
            }
            _ => {}
        }
        let mut found = Vec::new();
        for source in sources(files, line) {
            found.extend(source.files(files)?);
            let pattern = glob::Pattern::new(&source.pattern.display().to_string());
            self.sources.extend(pattern.map(|pattern| (self.lines, pattern)));
        }
        Ok(found)
    }

    /// Returns the files, in order.
    pub(super) fn paths(&self) -> Rc<[PathBuf]> {
        self.paths.as_slice().into()
    }

    /// Returns whether it reads `path`, or would if that was there.
    pub(super) fn reads(&self, path: &Path) -> bool {
        self.paths.iter().any(|read| read == path) || self.sources.iter().any(|source| leads_to(source, path))
    }

    /// Returns whether a stanza defines `interface`.
    pub(super) fn define(&self, interface: &str) -> bool {
        self.stanzas.contains_key(interface)
    }

    /// Returns how the person, whose file `ours` is not, has `interface` brought up.
    pub(super) fn start(&self, interface: &str, ours: &Path) -> Start {
        let is_named = |word: &str| word == interface || is_pattern_of(word, interface);
        let mut started = self.started.iter().filter(|(_, path)| **path != *ours);
        let stanzas = self.stanzas.get(interface).into_iter().flatten();
        let first = stanzas.filter(|(_, path)| **path != *ours).min();
        // It brings lo up by itself.
        match first {
            Some((line, path)) if interface != "lo" && !started.any(|(word, _)| is_named(word)) => {
                let is_before = |source: &&(usize, glob::Pattern)| {
                    source.0 < *line && !(leads_to(source, path) && **path < *ours)
                };
                let mut leading = self.sources.iter().filter(|source| leads_to(source, ours));
                Start::Other { is_first: leading.next().as_ref().is_some_and(is_before) }
            }
            _ => Start::Auto,
        }
    }
}

fn leads_to((_, pattern): &(usize, glob::Pattern), path: &Path) -> bool {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    pattern.matches_path_with(path, options)
}

/// Returns whether a word like `/eth*` or `/pci*/eth*` may stand for an interface.
fn is_pattern_of(word: &str, interface: &str) -> bool {
    let pattern = word.rsplit_once('/').map(|(_, pattern)| glob::Pattern::new(pattern));
    pattern.is_some_and(|pattern| pattern.is_ok_and(|pattern| pattern.matches(interface)))
}

/// Returns whether `source-directory` reads a file of such a name.
fn has_plain_name(path: &Path) -> bool {
    name(path).chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
}

/// Returns the same text with lines that a backslash continues as one, interfaces(5).
pub(super) fn whole_lines(content: &str) -> String {
    content.replace("\\\n", " ")
}

/// Returns a file's text without the lines that tell to read others.
pub(super) fn without_sources(content: &str) -> String {
    let is_source =
        |line: &&str| line.split_whitespace().next().is_some_and(|word| word.starts_with("source"));
    let whole = whole_lines(content);
    whole.lines().filter(|line| !is_source(line)).map(|line| format!("{line}\n")).collect()
}

/// What a line tells to read.
struct Source {
    pattern: PathBuf,
    /// Whether it is all of a directory, of which only some names are read.
    is_directory: bool,
}

impl Source {
    /// Returns what is there of it now.
    fn files(&self, files: &mut Files) -> Result<Vec<PathBuf>> {
        let found = files.matching(&self.pattern)?.into_iter();
        Ok(found.filter(|path| !self.is_directory || has_plain_name(path)).collect())
    }
}

fn sources(files: &mut Files, line: &str) -> Vec<Source> {
    let mut words = line.split_whitespace();
    let is_directory = match words.next() {
        Some("source") => false,
        Some("source-directory") => true,
        _ => return Vec::new(),
    };
    // Read part by part, as people write a slash too many.
    let pattern = |word| files.at("/etc/network").join(files.inside(word)).components().collect::<PathBuf>();
    let all = |word| if is_directory { pattern(word).join("*") } else { pattern(word) };
    words.map(|word| Source { pattern: all(word), is_directory }).collect()
}

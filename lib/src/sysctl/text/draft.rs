//! A file as it is going to be, line by line.

use std::collections::{BTreeMap, BTreeSet};

use super::{assignment, last_line, split};
use crate::sysctl::{Key, Setting};

/// The lines that a file is going to have.
#[derive(Clone)]
pub(in crate::sysctl) struct Draft {
    lines: Vec<DraftLine>,
    ended: bool,
}

/// One of them; if it assigns a parameter, with its path and its value.
#[derive(Clone)]
pub(in crate::sysctl) struct DraftLine {
    assigned: Option<(Key, String)>,
    bytes: Vec<u8>,
}

impl DraftLine {
    fn new(bytes: Vec<u8>) -> Self {
        let assigned = assignment(&bytes)
            .map(|(path, value)| (Key::at(path), String::from_utf8_lossy(value).into_owned()));
        Self { assigned, bytes }
    }

    fn key(&self) -> Option<&Key> {
        self.assigned.as_ref().map(|(key, _)| key)
    }

    /// Returns the same line with another value and comment, where these are another's; spelling and spacing stay.
    fn with(&self, key: &Key, text: &str, comment: Option<&str>) -> Self {
        let line = last_line(&self.bytes);
        let old = assignment(line).map_or(&b""[..], |(_, value)| value);
        let start = old.as_ptr().addr() - line.as_ptr().addr();
        let value = match String::from_utf8_lossy(old) {
            same if Setting::new(key, text).is_loaded_by(key, &same) => old,
            _ => text.as_bytes(),
        };
        let line = [&line[..start], value, &line[start + old.len()..]].concat();
        let above = &self.bytes[..self.bytes.len() - last_line(&self.bytes).len()];
        let above = comment.map_or(above.to_vec(), |comment| format!("# {key}: {comment}\n").into_bytes());
        Self::new([above, line].concat())
    }
}

impl Draft {
    /// Returns the lines of `content`.
    pub(in crate::sysctl) fn new(content: &[u8]) -> Self {
        let (lines, ended) = split(content);
        Self { lines: lines.into_iter().map(|(_, bytes)| DraftLine::new(bytes.to_vec())).collect(), ended }
    }

    /// Keeps the lines of the parameters for which `keeps` holds, and all that assign none.
    pub(in crate::sysctl) fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        self.lines.retain(|line| line.key().is_none_or(|key| keeps(key.path())));
    }

    /// Sets the last line of each of `wanted` that has one; returns those.
    pub(in crate::sysctl) fn set<'k>(
        &mut self,
        wanted: &BTreeMap<&'k Key, &str>,
        comment: Option<&str>,
    ) -> BTreeSet<&'k Key> {
        let mut done = BTreeSet::new();
        for line in self.lines.iter_mut().rev() {
            if let Some((key, text)) = line.key().and_then(|key| wanted.get_key_value(key))
                && done.insert(*key)
            {
                *line = line.with(key, text, comment);
            }
        }
        done
    }

    /// Adds a line that sets `key` at a place.
    pub(in crate::sysctl) fn insert(&mut self, at: usize, key: &Key, text: &str, comment: Option<&str>) {
        let above = comment.map(|comment| format!("# {key}: {comment}\n")).unwrap_or_default();
        self.lines.insert(at, DraftLine::new(format!("{above}{key}={text}").into_bytes()));
        self.ended = true;
    }

    /// Takes all lines of the parameters `keys` out; returns the last one of each, the one that counts.
    pub(in crate::sysctl) fn take(&mut self, keys: &BTreeSet<&Key>) -> BTreeMap<Key, DraftLine> {
        let mut taken = BTreeMap::new();
        for line in self.lines.extract_if(.., |line| line.key().is_some_and(|key| keys.contains(key))) {
            taken.extend(line.key().cloned().map(|key| (key, line)));
        }
        self.ended |= !taken.is_empty();
        taken
    }

    /// Puts a line that was taken out at a place.
    pub(in crate::sysctl) fn put(&mut self, at: usize, line: DraftLine) {
        self.lines.insert(at, line);
    }

    /// Returns how many lines there are.
    pub(in crate::sysctl) fn count(&self) -> usize {
        self.lines.len()
    }

    /// Returns the place, name and value of each line that assigns a parameter.
    pub(in crate::sysctl) fn assigned(&self) -> impl Iterator<Item = (usize, &Key, &str)> {
        (0..self.count()).filter_map(|at| self.assignment(at).map(|(key, value)| (at, key, value)))
    }

    /// Returns the name and value of the line at a place, if it assigns a parameter.
    pub(in crate::sysctl) fn assignment(&self, at: usize) -> Option<(&Key, &str)> {
        self.lines.get(at)?.assigned.as_ref().map(|(key, value)| (key, value.as_str()))
    }

    /// Returns the place above the comments that stand right above the line at `at`.
    pub(in crate::sysctl) fn above_comments(&self, at: usize) -> usize {
        let is_comment =
            |line: &&DraftLine| line.assigned.is_none() && line.bytes.trim_ascii().starts_with(b"#");
        at - self.lines[..at].iter().rev().take_while(is_comment).count()
    }

    /// Returns what the file holds with these lines.
    pub(in crate::sysctl) fn content(&self) -> Vec<u8> {
        let lines: Vec<&[u8]> = self.lines.iter().map(|line| line.bytes.as_slice()).collect();
        let mut text = lines.join(&b'\n');
        if !lines.is_empty() && self.ended {
            text.push(b'\n');
        }
        text
    }
}

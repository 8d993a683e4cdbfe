//! A reader of the files: in which order it writes what they assign.
//!
//! systemd-sysctl writes each name once, where its last line stands; a line with the value that the name has already moves
//! nothing (src/sysctl/sysctl.c, `parse_line`). procps and BusyBox write line by line. A name beats a pattern, and BusyBox
//! knows neither patterns nor `-` before a name (procps/sysctl.c of each; all tried).

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::watched::Watched;
use crate::sysctl::Key;
use crate::sysctl::patterns::Patterns;
use crate::sysctl::text::{self, Assignments, Line};

/// Who reads files at boot.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) name: &'static str,
    /// One after the other.
    pub(super) runs: Vec<Run>,
}

/// What one program reads, file by file.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) syntax: Syntax,
    pub(super) files: Vec<PathBuf>,
}

/// How a program reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Syntax {
    Systemd,
    Procps,
    Busybox,
}

impl Reader {
    pub(super) fn new(name: &'static str, syntax: Syntax, files: Vec<PathBuf>) -> Self {
        Self { name, runs: vec![Run { syntax, files }] }
    }
}

/// A line, and the file that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) file: &'a Path,
    pub(super) line: &'a Line,
}

/// Where a line stands among those of all files.
type Place = (usize, usize);

/// A line, and where it stands.
type Stand<'a> = (Place, Origin<'a>);

/// One write to the kernel.
#[derive(Debug)]
pub(super) struct Write<'a> {
    place: Place,
    /// Where what is written stands among what is watched.
    pub(super) at: usize,
    pub(super) text: Cow<'a, str>,
    pub(super) origin: Origin<'a>,
}

/// The files that a run reads.
pub(super) struct Loaded<'a> {
    syntax: Syntax,
    files: Vec<(&'a Path, &'a Assignments)>,
    patterns: Patterns<'a, Stand<'a>>,
    leaves_out: bool,
}

impl<'a> Loaded<'a> {
    pub(super) fn new(syntax: Syntax, files: Vec<(&'a Path, &'a Assignments)>) -> Self {
        let mut loaded = Self { syntax, files: Vec::new(), patterns: Patterns::default(), leaves_out: false };
        let mut patterns = Vec::new();
        for (index, (file, assignments)) in files.iter().enumerate() {
            loaded.leaves_out |= text::leaves_out(assignments);
            for (key, lines) in
                assignments.iter().filter(|(key, _)| key.is_pattern() && !key.path().starts_with('-'))
            {
                let origins = lines.iter().map(|line| Origin { file, line });
                patterns.extend(origins.map(|origin| ((index, origin.line.at()), key.path(), origin)));
            }
        }
        patterns.sort_unstable_by_key(|(place, ..)| *place);
        for (place, path, origin) in patterns {
            loaded.patterns.add(path, (place, origin));
        }
        loaded.files = files;
        loaded
    }

    /// Returns what is written to what is `watched`, in order.
    pub(super) fn writes(&self, watched: &Watched) -> Vec<Write<'a>> {
        let naming = self.naming(watched);
        let mut naming = naming.as_slice();
        let mut writes = Vec::new();
        for (at, key) in watched.keys().iter().enumerate() {
            let (own, rest) = naming.split_at(naming.partition_point(|(other, _)| *other == at));
            let mut write = |(place, origin): Stand<'a>| {
                writes.push(Write { place, at, text: origin.line.value(), origin });
            };
            match own {
                // Most are named once.
                [(_, one)] if self.takes_first(one) => write(*one),
                _ => self.taken(key, own).into_iter().for_each(write),
            }
            naming = rest;
        }
        writes.sort_unstable_by_key(|write| (write.place, write.at));
        writes
    }

    /// Returns the lines that name what is `watched`, in the order of its places.
    fn naming(&self, watched: &Watched) -> Vec<(usize, Stand<'a>)> {
        let mut naming = Vec::new();
        for (index, (file, assignments)) in self.files.iter().enumerate() {
            for (key, lines) in *assignments {
                if let Some(at) = watched.place(key) {
                    let stands = lines.iter().map(|line| ((index, line.at()), Origin { file, line }));
                    naming.extend(stands.map(|stand| (at, stand)));
                }
            }
        }
        naming.sort_unstable_by_key(|(at, (place, _))| (*at, *place));
        naming
    }

    /// Returns the lines that are written to `key`, which is named by `own`.
    fn taken(&self, key: &Key, own: &[(usize, Stand<'a>)]) -> Vec<Stand<'a>> {
        let named: Vec<Stand> = own.iter().map(|(_, stand)| *stand).collect();
        match self.syntax {
            Syntax::Busybox => named.into_iter().filter(|(_, it)| !it.line.is_dashed()).collect(),
            Syntax::Procps if !named.is_empty() => named,
            Syntax::Procps => self.matched(key),
            Syntax::Systemd => match self.last(key, &named) {
                Some(one) => vec![one],
                None => self.matched(key),
            },
        }
    }

    /// Returns whether a line is written if it is the only one that names a parameter.
    fn takes_first(&self, (_, origin): &Stand) -> bool {
        match self.syntax {
            Syntax::Systemd => !self.leaves_out,
            Syntax::Procps => true,
            Syntax::Busybox => !origin.line.is_dashed(),
        }
    }

    fn matched(&self, key: &Key) -> Vec<Stand<'a>> {
        if self.leaving_out(key).is_empty() {
            self.patterns.matching(key.path()).into_iter().copied().collect()
        } else {
            Vec::new()
        }
    }

    /// Returns the lines that leave `key` out.
    fn leaving_out(&self, key: &Key) -> Vec<Stand<'a>> {
        let mut found = Vec::new();
        if self.leaves_out {
            let name = format!("-{}", key.path());
            for (index, (file, assignments)) in self.files.iter().enumerate() {
                let lines = assignments.get(name.as_str()).into_iter().flatten();
                found.extend(lines.map(|line| ((index, line.at()), Origin { file, line })));
            }
        }
        found
    }

    /// Returns the line that systemd's reader takes, of those that name `key` and those that leave it out.
    fn last(&self, key: &Key, named: &[Stand<'a>]) -> Option<Stand<'a>> {
        let left_out = self.leaving_out(key);
        let mut events: Vec<(Place, Option<Origin>)> =
            named.iter().map(|(place, origin)| (*place, Some(*origin))).collect();
        events.extend(left_out.iter().map(|(place, _)| (*place, None)));
        events.sort_unstable_by_key(|(place, _)| *place);
        let mut taken: Option<Stand> = None;
        for (place, origin) in events {
            let same = taken.zip(origin).is_some_and(|((_, old), new)| old.line.value() == new.line.value());
            if !same {
                taken = origin.map(|origin| (place, origin));
            }
        }
        taken
    }

    /// Returns whether `file` is one of them.
    pub(super) fn reads(&self, file: &Path) -> bool {
        self.files.iter().any(|(read, _)| *read == file)
    }

    /// Returns the last line that leaves `key` out.
    pub(super) fn left_out(&self, key: &Key) -> Option<Origin<'a>> {
        self.leaving_out(key).last().map(|(_, origin)| *origin)
    }
}

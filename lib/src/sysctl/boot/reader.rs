//! A reader of the files: in which order it writes what they assign.
//!
//! systemd-sysctl writes each name once, where its last line stands; a line with the value that the name has already moves
//! nothing (src/sysctl/sysctl.c, `parse_line`). procps and BusyBox write line by line. A name beats a pattern, and BusyBox
//! knows neither patterns nor `-` before a name (procps/sysctl.c of each; all tried).

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::sysctl::key::is_pattern;
use crate::sysctl::patterns::Patterns;
use crate::sysctl::text::{Assignments, Line};

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

/// One write to the kernel.
#[derive(Debug)]
pub(super) struct Write<'a> {
    place: Place,
    pub(super) path: &'a str,
    pub(super) text: Cow<'a, str>,
    pub(super) origin: Origin<'a>,
}

/// The files that a run reads.
pub(super) struct Loaded<'a> {
    syntax: Syntax,
    files: Vec<(&'a Path, &'a Assignments)>,
    patterns: Patterns<'a, (Place, Origin<'a>)>,
    leaves_out: bool,
}

impl<'a> Loaded<'a> {
    pub(super) fn new(syntax: Syntax, files: Vec<(&'a Path, &'a Assignments)>) -> Self {
        let mut loaded = Self { syntax, files: Vec::new(), patterns: Patterns::default(), leaves_out: false };
        let mut patterns = Vec::new();
        for (index, (file, assignments)) in files.iter().enumerate() {
            loaded.leaves_out |= assignments.range("-".to_owned()..".".to_owned()).next().is_some();
            for (path, lines) in
                assignments.iter().filter(|(path, _)| is_pattern(path) && !path.starts_with('-'))
            {
                let origins = lines.iter().map(|line| Origin { file, line });
                patterns.extend(origins.map(|origin| ((index, origin.line.at()), path.as_str(), origin)));
            }
        }
        patterns.sort_by_key(|(place, ..)| *place);
        for (place, path, origin) in patterns {
            loaded.patterns.add(path, (place, origin));
        }
        loaded.files = files;
        loaded
    }

    /// Returns what is written to the parameters at `paths`, in order.
    pub(super) fn writes(&self, paths: impl Iterator<Item = &'a str>) -> Vec<Write<'a>> {
        let mut writes: Vec<Write> = paths
            .flat_map(|path| self.to(path).into_iter().map(move |(place, origin)| (path, place, origin)))
            .map(|(path, place, origin)| Write { place, path, text: origin.line.value(), origin })
            .collect();
        writes.sort_by(|one, other| (one.place, one.path).cmp(&(other.place, other.path)));
        writes
    }

    /// Returns the lines that are written to the one at `path`.
    fn to(&self, path: &str) -> Vec<(Place, Origin<'a>)> {
        let named = self.lines(path);
        match self.syntax {
            Syntax::Busybox => named.into_iter().filter(|(_, it)| !it.line.is_dashed()).collect(),
            Syntax::Procps if !named.is_empty() => named,
            Syntax::Procps => self.matched(path),
            Syntax::Systemd => match self.last(path, &named) {
                Some(one) => vec![one],
                None => self.matched(path),
            },
        }
    }

    fn matched(&self, path: &str) -> Vec<(Place, Origin<'a>)> {
        if self.is_left_out(path) {
            Vec::new()
        } else {
            self.patterns.matching(path).into_iter().copied().collect()
        }
    }

    fn is_left_out(&self, path: &str) -> bool {
        self.leaves_out && !self.lines(&format!("-{path}")).is_empty()
    }

    /// Returns the line that systemd's reader takes, of those that name `path` and those that leave it out.
    fn last(&self, path: &str, named: &[(Place, Origin<'a>)]) -> Option<(Place, Origin<'a>)> {
        let left_out = if self.leaves_out { self.lines(&format!("-{path}")) } else { Vec::new() };
        let mut events: Vec<(Place, Option<Origin>)> =
            named.iter().map(|(place, origin)| (*place, Some(*origin))).collect();
        events.extend(left_out.iter().map(|(place, _)| (*place, None)));
        events.sort_by_key(|(place, _)| *place);
        let mut taken: Option<(Place, Origin)> = None;
        for (place, origin) in events {
            let same = taken.zip(origin).is_some_and(|((_, old), new)| old.line.value() == new.line.value());
            if !same {
                taken = origin.map(|origin| (place, origin));
            }
        }
        taken
    }

    fn lines(&self, path: &str) -> Vec<(Place, Origin<'a>)> {
        let mut found = Vec::new();
        for (index, (file, assignments)) in self.files.iter().enumerate() {
            let lines = assignments.get(path).into_iter().flatten();
            found.extend(lines.map(|line| ((index, line.at()), Origin { file, line })));
        }
        found
    }

    /// Returns whether `file` is one of them.
    pub(super) fn reads(&self, file: &Path) -> bool {
        self.files.iter().any(|(read, _)| *read == file)
    }

    /// Returns the last line that leaves out the one at `path`.
    pub(super) fn left_out(&self, path: &str) -> Option<Origin<'a>> {
        self.lines(&format!("-{path}")).last().map(|(_, origin)| *origin)
    }
}

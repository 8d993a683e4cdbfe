//! The simulated boot: all that its readers write, and what the kernel makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::reader::{Loaded, Origin, Reader, Syntax, Write};
use super::{Boot, Source};
use crate::sysctl::coupling::{self, Bound};
use crate::sysctl::key::is_pattern;
use crate::sysctl::text::Assignments;
use crate::sysctl::value::same_number;

/// The parameters that a simulation follows: those wanted, and all that have a hand in them.
pub(super) struct Watched {
    paths: BTreeSet<String>,
    /// Which of them change along when one is written.
    followers: BTreeMap<String, Vec<String>>,
}

impl Watched {
    /// Returns what to follow for the `wanted` ones; `defaults` says whether a boot sets defaults of interfaces.
    pub(super) fn new<'k>(wanted: impl Iterator<Item = &'k str>, defaults: bool) -> Self {
        let mut watched = Self { paths: BTreeSet::new(), followers: BTreeMap::new() };
        let mut open: Vec<String> = wanted.map(ToOwned::to_owned).collect();
        let default = |path: &str| if defaults { coupling::default_of(path) } else { None };
        while let Some(path) = open.pop() {
            if watched.paths.contains(&path) {
                continue;
            }
            for changer in coupling::changers(&path).into_iter().chain(default(&path)) {
                watched.followers.entry(changer.clone()).or_default().push(path.clone());
                open.push(changer);
            }
            open.extend(Bound::of(&path).map(|(other, _)| other.to_owned()));
            watched.paths.insert(path);
        }
        watched
    }
}

/// What the kernel holds of a parameter after a boot, and the line that brought it about.
pub(super) struct Held<'a> {
    pub(super) text: String,
    /// The parameter that the line is about.
    pub(super) by: &'a str,
    pub(super) origin: Origin<'a>,
}

/// What a boot leads to; what it does not touch is not here.
#[derive(Default)]
pub(super) struct Outcome<'a> {
    pub(super) held: HashMap<&'a str, Held<'a>>,
    /// Writes that the kernel refuses, and the other side of the bound.
    pub(super) refused: HashMap<&'a str, (Origin<'a>, &'static str)>,
}

impl<'a> Outcome<'a> {
    fn write(&mut self, write: &Write<'a>, syntax: Syntax, watched: &'a Watched) {
        let path = write.path;
        if let Some((other, _)) = Bound::of(path)
            && self.text(other).is_some_and(|other| coupling::broken(path, &write.text, other))
        {
            self.refused.insert(path, (write.origin, other));
            return;
        }
        self.refused.remove(path);
        // systemd's reader reads first (src/basic/sysctl-util.c, `sysctl_write`), so what is there already changes nothing.
        let differs = self.text(path).is_none_or(|before| !same_number(before, &write.text));
        let is_written = differs || syntax != Syntax::Systemd;
        if !is_written && self.held.contains_key(path) {
            return;
        }
        for follower in watched.followers.get(path).into_iter().flatten().filter(|_| is_written) {
            let text = match coupling::effect(path, &write.text, follower, differs) {
                None if self.follows_default(follower, path) => write.text.clone().into_owned(),
                Some(text) => text,
                None => continue,
            };
            self.held.insert(follower, Held { text, by: path, origin: write.origin });
        }
        let text = write.text.clone().into_owned();
        self.held.insert(path, Held { text, by: path, origin: write.origin });
    }

    /// Returns whether an interface's parameter was not written yet and so follows its default, which is at `changer`.
    fn follows_default(&self, path: &str, changer: &str) -> bool {
        let is_untouched = self.held.get(path).is_none_or(|held| held.by != path);
        is_untouched && coupling::default_of(path).as_deref() == Some(changer)
    }

    /// Returns what is there at this moment, as far as that is known.
    fn text(&self, path: &str) -> Option<&str> {
        self.held.get(path).map(|held| held.text.as_str()).or_else(|| coupling::at_boot(path))
    }
}

impl Boot {
    /// Returns whether a boot sets defaults of interfaces, or may by a pattern.
    pub(super) fn sets_defaults(&self, texts: &[&Assignments]) -> bool {
        let sets = |assignments: &Assignments| {
            let (from, to) = ("net/ipv4/conf/default/".to_owned(), "net/ipv4/conf/default0".to_owned());
            assignments.range(from..to).next().is_some() || assignments.keys().any(|path| is_pattern(path))
        };
        let others = self.files.values().filter_map(|source| match source {
            Source::Other(assignments) => Some(assignments),
            Source::Managed(_) => None,
        });
        others.chain(texts.iter().copied()).any(sets)
    }

    /// Returns what `reader` leads to, where the managed files assign what `texts` says; and what its runs have loaded.
    pub(super) fn simulate<'a>(
        &'a self,
        reader: &'a Reader,
        texts: &[&'a Assignments],
        watched: &'a Watched,
    ) -> (Outcome<'a>, Vec<Loaded<'a>>) {
        let mut outcome = Outcome::default();
        let mut runs = Vec::new();
        for run in &reader.runs {
            let files =
                run.files.iter().filter_map(|file| Some((file.as_path(), self.assignments(file, texts)?)));
            let loaded = Loaded::new(run.syntax, files.collect());
            for write in loaded.writes(watched.paths.iter().map(String::as_str)) {
                outcome.write(&write, run.syntax, watched);
            }
            runs.push(loaded);
        }
        (outcome, runs)
    }

    fn assignments<'a>(&'a self, file: &Path, texts: &[&'a Assignments]) -> Option<&'a Assignments> {
        match self.files.get(file)? {
            Source::Managed(place) => texts.get(*place).copied(),
            Source::Other(assignments) => Some(assignments),
        }
    }
}

//! The simulated boot: all that its readers write, and what the kernel makes of it.

use std::borrow::Cow;
use std::ops;
use std::path::Path;

use super::reader::{Loaded, Origin, Reader, Syntax, Write};
use super::watched::Watched;
use super::{Boot, Source};
use crate::sysctl::Key;
use crate::sysctl::coupling::{self, Bound};
use crate::sysctl::text::Assignments;
use crate::sysctl::value::same_number;

/// What the kernel holds of a parameter after a boot, and the line that brought it about.
pub(super) struct Held<'a> {
    pub(super) text: Cow<'a, str>,
    /// The parameter that the line is about.
    pub(super) by: &'a Key,
    pub(super) origin: Origin<'a>,
}

/// A write that the kernel refuses, and the other side of the bound.
type Refused<'a> = (Origin<'a>, &'static str);

/// What a boot makes of one parameter; nothing if it leaves that alone.
#[derive(Default)]
struct End<'a> {
    held: Option<Held<'a>>,
    refused: Option<Refused<'a>>,
    /// The last line for it, with the value there, which a write to another one may undo.
    line: Option<(Cow<'a, str>, Origin<'a>)>,
}

/// What a boot leads to, for each place of what is watched.
pub(super) struct Outcome<'a> {
    watched: &'a Watched,
    ends: Vec<End<'a>>,
}

impl<'a> Outcome<'a> {
    fn new(watched: &'a Watched) -> Self {
        Self { watched, ends: watched.keys().iter().map(|_| End::default()).collect() }
    }

    /// Returns what the kernel holds of `key`, if the boot sets that.
    pub(super) fn held(&self, key: &Key) -> Option<&Held<'a>> {
        self.ends[self.watched.place(key)?].held.as_ref()
    }

    /// Returns the last write to `key`, if that was refused.
    pub(super) fn refused(&self, key: &Key) -> Option<&Refused<'a>> {
        self.ends[self.watched.place(key)?].refused.as_ref()
    }

    /// Returns the line for `key` that was undone by a write to another one.
    pub(super) fn undone(&self, key: &Key) -> Option<&Origin<'a>> {
        self.line(key, false).map(|(_, origin)| origin)
    }

    /// Returns the value in the last line for `key`, if that is what it leads to.
    pub(super) fn as_named(&self, key: &Key) -> Option<&str> {
        self.line(key, true).map(|(text, _)| &**text)
    }

    /// Returns the last line for `key`, with its value, if that `stands` or does not.
    fn line(&self, key: &Key, stands: bool) -> Option<&(Cow<'a, str>, Origin<'a>)> {
        let end = &self.ends[self.watched.place(key)?];
        let held = end.held.as_ref()?;
        end.line.as_ref().filter(|(text, _)| same_number(&held.text, text) == stands)
    }

    fn write(&mut self, write: &Write<'a>, syntax: Syntax) {
        let (watched, at) = (self.watched, write.at);
        let key = &watched.keys()[at];
        self.ends[at].refused = self.bound(key, &write.text).map(|other| (write.origin, other));
        if self.ends[at].refused.is_some() {
            return;
        }
        self.ends[at].line = Some((write.text.clone(), write.origin));
        // systemd's reader reads first (src/basic/sysctl-util.c, `sysctl_write`), so what is there already changes nothing.
        let differs = self.present(at).is_none_or(|before| !same_number(before, &write.text));
        let is_written = differs || syntax != Syntax::Systemd;
        if !is_written && self.ends[at].held.is_some() {
            return;
        }
        for follower in watched.followers(at).filter(|_| is_written) {
            let text =
                match coupling::effect(key.path(), &write.text, watched.keys()[follower].path(), differs) {
                    None if self.follows_default(follower, key) => write.text.clone(),
                    Some(text) => text.into(),
                    None => continue,
                };
            self.ends[follower].held = Some(Held { text, by: key, origin: write.origin });
        }
        self.ends[at].held = Some(Held { text: write.text.clone(), by: key, origin: write.origin });
    }

    /// Returns the other side if the bound of `key` does not let it become `text` at this moment.
    fn bound(&self, key: &Key, text: &str) -> Option<&'static str> {
        let (other, _) = Bound::of(key.path())?;
        let held = self.present(self.watched.place(&Key::at(other.to_owned()))?)?;
        coupling::broken(key.path(), text, held).then_some(other)
    }

    /// Returns whether an interface's parameter was not written yet and so follows its default, which is `changer`.
    fn follows_default(&self, at: usize, changer: &Key) -> bool {
        let key = &self.watched.keys()[at];
        let is_untouched = self.ends[at].held.as_ref().is_none_or(|held| held.by != key);
        is_untouched && coupling::default_of(key.path()).as_deref() == Some(changer.path())
    }

    /// Returns what is there at this moment, as far as that is known.
    fn present(&self, at: usize) -> Option<&str> {
        let held = self.ends[at].held.as_ref().map(|held| &*held.text);
        held.or_else(|| coupling::at_boot(self.watched.keys()[at].path()))
    }
}

impl Boot {
    /// Returns what each file assigns that is read.
    pub(super) fn read<'a>(&'a self, texts: &[&'a Assignments]) -> Vec<&'a Assignments> {
        self.files.keys().filter_map(|file| self.assignments(file, texts)).collect()
    }

    /// Returns whether a boot sets defaults of interfaces, or may by a pattern.
    pub(super) fn sets_defaults(&self, texts: &[&Assignments]) -> bool {
        let sets = |assignments: &Assignments| {
            let defaults = (
                ops::Bound::Included("net/ipv4/conf/default/"),
                ops::Bound::Excluded("net/ipv4/conf/default0"),
            );
            assignments.range::<str, _>(defaults).next().is_some() || assignments.keys().any(Key::is_pattern)
        };
        self.read(texts).into_iter().any(sets)
    }

    /// Returns what `reader` leads to, where the managed files assign what `texts` says; and what its runs have loaded.
    pub(super) fn simulate<'a>(
        &'a self,
        reader: &'a Reader,
        texts: &[&'a Assignments],
        watched: &'a Watched,
    ) -> (Outcome<'a>, Vec<Loaded<'a>>) {
        let mut outcome = Outcome::new(watched);
        let mut runs = Vec::new();
        for run in &reader.runs {
            let files =
                run.files.iter().filter_map(|file| Some((file.as_path(), self.assignments(file, texts)?)));
            let loaded = Loaded::new(run.syntax, files.collect());
            for write in loaded.writes(watched) {
                outcome.write(&write, run.syntax);
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

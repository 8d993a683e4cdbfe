//! Where a line is added to a file: above the lines that it would undo, if nothing undoes it there, else at the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::sysctl::Key;
use crate::sysctl::coupling;
use crate::sysctl::patterns::Patterns;
use crate::sysctl::text::Draft;

/// The lines of a draft by what they change and what changes them: a look at each of them for each that is added would take
/// minutes for thousands.
pub(super) struct Places<'a> {
    /// Where the lines of each name stand.
    at: BTreeMap<&'a Key, Vec<usize>>,
    /// What a write to one parameter may undo, or makes room for.
    undone: BTreeMap<Key, Vec<&'a Key>>,
    patterns: Patterns<'a, &'a Key>,
}

impl<'a> Places<'a> {
    /// Returns those of `draft`, to which lines are going to be added; `names` are those of all of them.
    pub(super) fn new(draft: &Draft, names: &'a BTreeSet<Key>) -> Self {
        let mut places = Self { at: BTreeMap::new(), undone: BTreeMap::new(), patterns: Patterns::default() };
        for name in names {
            places.patterns.add(name.path(), name);
            for changer in coupling::above(name.path()) {
                places.undone.entry(changer).or_default().push(name);
            }
        }
        for (at, key, _) in draft.assigned() {
            places.stand(at, names.get(key));
        }
        places
    }

    fn stand(&mut self, at: usize, name: Option<&'a Key>) {
        if let Some(name) = name {
            self.at.entry(name).or_default().push(at);
        }
    }

    /// Returns where in `draft` a line that sets `key` to `text` is added.
    pub(super) fn find(&self, draft: &Draft, key: &Key, text: &str) -> usize {
        let path = key.path();
        if !coupling::changes_others(path) {
            return draft.count();
        }
        let lines = |names: BTreeSet<&'a Key>| {
            let others = names.into_iter().filter(|other| *other != key);
            let at = others.filter_map(|other| self.at.get(other)).flatten();
            at.filter_map(|at| draft.assignment(*at).map(|(other, value)| (*at, other, value)))
        };
        let undone = lines(self.undone_by(key));
        let undone = undone.filter(|(_, other, value)| coupling::precedes(path, text, other.path(), value));
        let undoing = lines(self.undoing(path));
        let undoing = undoing.filter(|(_, other, value)| coupling::precedes(other.path(), value, path, text));
        match (undone.map(|(at, ..)| at).min(), undoing.map(|(at, ..)| at).max()) {
            (Some(first), last) if last.is_none_or(|last| last < first) => draft.above_comments(first),
            _ => draft.count(),
        }
    }

    /// Returns the names that a write to `key`, which may be a pattern, may undo.
    fn undone_by(&self, key: &Key) -> BTreeSet<&'a Key> {
        let mut names = BTreeSet::new();
        names.extend(self.undone.get(key).into_iter().flatten());
        let mut pattern = Patterns::default();
        pattern.add(key.path(), ());
        if key.is_pattern() {
            let matched =
                self.undone.iter().filter(|(changer, _)| !pattern.matching(changer.path()).is_empty());
            names.extend(matched.flat_map(|(_, names)| names));
        }
        names
    }

    /// Returns the names, patterns among them, whose writing may undo the one at `path`.
    fn undoing(&self, path: &str) -> BTreeSet<&'a Key> {
        let mut names = BTreeSet::new();
        for changer in coupling::above(path) {
            names.extend(self.at.get_key_value(&changer).map(|(name, _)| *name));
            names.extend(self.patterns.matching(changer.path()));
        }
        names
    }

    /// Takes note of a line for `name` that was added at a place.
    pub(super) fn added(&mut self, at: usize, name: Option<&'a Key>) {
        for place in self.at.values_mut().flatten().filter(|place| **place >= at) {
            *place += 1;
        }
        self.stand(at, name);
    }
}

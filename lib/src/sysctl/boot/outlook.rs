//! The difference between what a boot leads to and what the task wants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Boot;
use super::reader::{Loaded, Origin};
use super::simulation::Outcome;
use super::watched::Watched;
use crate::sysctl::coupling;
use crate::sysctl::text::Assignments;
use crate::sysctl::{Key, Setting};

/// What a boot should lead to.
pub(in crate::sysctl) struct Wanted<'a> {
    pub(in crate::sysctl) values: BTreeMap<&'a Key, &'a str>,
    /// Whether a greater number will do.
    pub(in crate::sysctl) at_least: bool,
}

impl Wanted<'_> {
    /// Returns whether `text` will do for `key`, of which `wanted` is wanted.
    pub(in crate::sysctl) fn is_met(&self, key: &Key, wanted: &str, text: &str) -> bool {
        if wanted == text {
            return true;
        }
        let wanted = Setting::new(key, wanted);
        let number = Setting::new(key, text).number();
        wanted.is_loaded_by(key, text)
            || (self.at_least && number.zip(wanted.number()).is_some_and(|(is, least)| is >= least))
    }
}

impl Boot {
    /// Returns the wanted parameters that a boot does not bring about, each with its reader's name.
    pub(in crate::sysctl) fn unmet<'a>(
        &self,
        texts: &[&Assignments],
        wanted: &Wanted<'a>,
    ) -> BTreeSet<(&'static str, &'a Key)> {
        if wanted.values.is_empty() {
            return BTreeSet::new();
        }
        let watched = Watched::new(wanted.values.keys().copied(), self.sets_defaults(texts));
        let mut unmet = BTreeSet::new();
        for reader in &self.readers {
            let (outcome, _) = self.simulate(reader, texts, &watched);
            let is_met = |(key, text): &(&&Key, &&str)| {
                outcome.held(key).is_some_and(|held| wanted.is_met(key, text, &held.text))
            };
            let missed = wanted.values.iter().filter(|it| !is_met(it));
            unmet.extend(missed.map(|(key, _)| (reader.name, *key)));
        }
        unmet
    }

    /// Returns the values to which each reader leads for each of `keys`; nothing for one that leaves it alone.
    pub(in crate::sysctl) fn values<'k>(
        &self,
        texts: &[&Assignments],
        keys: impl Iterator<Item = &'k Key> + Clone,
    ) -> BTreeMap<&'k Key, Vec<Option<String>>> {
        let watched = Watched::new(keys.clone(), self.sets_defaults(texts));
        let mut values = BTreeMap::<&Key, Vec<Option<String>>>::new();
        for reader in &self.readers {
            let (outcome, _) = self.simulate(reader, texts, &watched);
            for key in keys.clone() {
                let value = outcome.held(key).map(|held| held.text.clone().into_owned());
                values.entry(key).or_default().push(value);
            }
        }
        values
    }

    /// Returns those of `keys` that every boot sets as a line of their own says, with the value.
    pub(in crate::sysctl) fn named<'k>(
        &self,
        texts: &[&Assignments],
        keys: &BTreeSet<&'k Key>,
    ) -> BTreeMap<&'k Key, String> {
        let watched = Watched::new(keys.iter().copied(), self.sets_defaults(texts));
        let mut named: Option<BTreeMap<&Key, String>> = None;
        for reader in &self.readers {
            let (outcome, _) = self.simulate(reader, texts, &watched);
            let own = |key: &&'k Key| Some((*key, outcome.as_named(key)?.to_owned()));
            let mut found = BTreeMap::new();
            found.extend(keys.iter().filter_map(own));
            match &mut named {
                Some(named) => named.retain(|key, text| found.get(key) == Some(text)),
                None => named = Some(found),
            }
        }
        named.unwrap_or_default()
    }

    /// Returns warnings about what the next boot makes of the `wanted` parameters, and about lines for others that these undo;
    /// `file` is the first of the managed ones, and `matching` returns what a pattern matches.
    pub(in crate::sysctl) fn warnings(
        &self,
        texts: &[&Assignments],
        wanted: &Wanted,
        file: &Path,
        matching: impl Fn(&Key) -> Vec<Key>,
    ) -> Vec<String> {
        let others = self.undone_by(texts, wanted, matching);
        let keys = wanted.values.keys().copied().chain(&others);
        let watched = Watched::new(keys, self.sets_defaults(texts));
        let mut warnings = BTreeMap::<String, Vec<&str>>::new();
        for reader in &self.readers {
            let (outcome, runs) = self.simulate(reader, texts, &watched);
            let told = wanted.values.iter();
            let told = told.filter_map(|(key, text)| warning(key, text, wanted, file, &outcome, &runs));
            let undone = others.iter().filter_map(|key| undone(key, wanted, &outcome));
            // Of all that a pattern matches, one says enough.
            let mut lines = BTreeSet::new();
            let undone = undone.filter(|(line, _)| lines.insert(line.clone())).map(|(_, warning)| warning);
            for warning in told.chain(undone) {
                let names = warnings.entry(warning).or_default();
                if !names.contains(&reader.name) {
                    names.push(reader.name);
                }
            }
        }
        let by = |(warning, names): (String, Vec<&str>)| format!("{warning} (by {})", names.join(" and "));
        self.warnings.iter().cloned().chain(warnings.into_iter().map(by)).collect()
    }

    /// Returns the other parameters, named in a file or matched by a pattern there, that a wanted one may undo.
    fn undone_by(
        &self,
        texts: &[&Assignments],
        wanted: &Wanted,
        matching: impl Fn(&Key) -> Vec<Key>,
    ) -> BTreeSet<Key> {
        let mut others = BTreeSet::new();
        if wanted.values.keys().any(|key| coupling::changes_others(key.path())) {
            for assignments in self.read(texts) {
                let found = assignments.keys().filter(|key| !wanted.values.contains_key(key));
                let may_be = |key: &&Key| {
                    coupling::changers(key.path())
                        .into_iter()
                        .any(|it| wanted.values.contains_key(&Key::at(it)))
                };
                for key in found.filter(may_be) {
                    others.extend(if key.is_pattern() { matching(key) } else { vec![key.clone()] });
                }
            }
        }
        others.retain(|key| !wanted.values.contains_key(key));
        others
    }
}

/// Returns the line for `key`, which is not wanted, and a warning, if that is undone by a wanted parameter's.
fn undone(key: &Key, wanted: &Wanted, outcome: &Outcome) -> Option<(String, String)> {
    let (origin, held) = (outcome.undone(key)?, outcome.held(key)?);
    if !wanted.values.contains_key(held.by) {
        return None;
    }
    let line = stands(origin);
    let warning = format!(
        "the next boot undoes {line}, as {} sets {key} to {} too; take one of them away",
        held.by, held.text,
    );
    Some((line, warning))
}

/// Returns what the person should know of `key`.
fn warning(
    key: &Key,
    text: &str,
    wanted: &Wanted,
    file: &Path,
    outcome: &Outcome,
    runs: &[Loaded],
) -> Option<String> {
    if let Some((origin, other)) = outcome.refused(key) {
        let other = Key::at((*other).to_owned());
        return Some(format!(
            "the next boot cannot set {key}, as {} comes before {other} has made room for it; set both in this order",
            stands(origin)
        ));
    }
    let Some(held) = outcome.held(key) else {
        let left_out = runs.iter().filter_map(|run| run.left_out(key)).next_back();
        return Some(match left_out {
            Some(origin) => left_out_by(key, &origin),
            None if runs.iter().any(|run| run.reads(file)) => misunderstood(key),
            None => unread(file),
        });
    };
    if wanted.is_met(key, text, &held.text) {
        return None;
    }
    let value = if key.is_secret() { "another value" } else { &*held.text };
    let stands = stands(&held.origin);
    Some(match held.by {
        by if by == key => {
            format!("the next boot sets {key} to {value}, as {stands} comes last; change it there")
        }
        by => format!("the next boot sets {key} to {value}, as {stands} sets {by} later; change it there"),
    })
}

fn stands(origin: &Origin) -> String {
    format!("{} line {}", origin.file.display(), origin.line.number())
}

fn left_out_by(key: &Key, origin: &Origin) -> String {
    format!("the next boot does not set {key}, as {} leaves it out; take that line away", stands(origin))
}

fn misunderstood(key: &Key) -> String {
    format!(
        "the next boot does not set {key}, as no line that it understands names it; name it in full, with no - before"
    )
}

fn unread(file: &Path) -> String {
    format!(
        "no boot sets what {} holds: it is not read; use a file like /etc/sysctl.d/50-lvs.conf",
        file.display()
    )
}

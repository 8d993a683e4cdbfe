//! The files' side: what they hold, and what they are going to hold.
//!
//! A boot writes lines in their order, and some undo others. So a new line stands where neither it nor another one is
//! undone, and one that is there already moves only if the boot, simulated, does not bring about what is wanted.

mod places;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use super::boot::Wanted;
use super::patterns::Patterns;
use super::text::{self, Assignments, Draft};
use super::{Item, Key, Line, Setting, Sysctl, Value, coupling};
use crate::resource::{Change, Layer, Plan, State};
use crate::{Result, file, gathered};
use places::Places;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) found: Assignments,
}

impl Content {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { found: text::assignments(&bytes), bytes }
    }
}

/// Returns how many lines of a file undo the one that sets `path`, which is `line`, from below it.
fn undone_by(path: &str, line: &Line, patterns: &Patterns<&Key>, found: &Assignments) -> usize {
    let above = coupling::above(path);
    let mut names = BTreeSet::new();
    names.extend(above.iter());
    names.extend(above.iter().flat_map(|key| patterns.matching(key.path())));
    let value = line.value();
    let lines =
        names.into_iter().flat_map(|name| found.get(name).into_iter().flatten().map(move |it| (name, it)));
    let undo = |(name, other): &(&Key, &Line)| {
        other.at() > line.at() && coupling::precedes(name.path(), &other.value(), path, &value)
    };
    lines.filter(undo).count()
}

impl Sysctl {
    /// Returns the lines that `file` holds of the parameters in scope, or all of them if it may hold no others.
    pub(super) fn observed(&self, file: &Rc<Path>, found: &Assignments) -> Vec<(Item, Value)> {
        let mut observed = Vec::new();
        let going = self.going();
        let mut patterns = Patterns::default();
        found.keys().for_each(|key| patterns.add(key.path(), key));
        for (key, lines) in found {
            let named = self.scope.stored.get_key_value(key).map(|(key, _)| key);
            let all = self.options.exclusive || (!going.is_empty() && going.contains(&flat(key.path())));
            let Some(name) = named.or(all.then_some(key)) else { continue };
            let mut lines = lines.clone();
            if let (Some(_), Some(last)) = (named, lines.last_mut()) {
                last.undone_by = undone_by(key.path(), last, &patterns, found);
            }
            observed.push((Item::stored(name.clone(), file), Value::Lines(lines.into())));
        }
        observed
    }

    /// Returns the names that are to go by their letters: with dots alone nobody can tell an interface's name once it is gone.
    fn going(&self) -> BTreeSet<String> {
        let mut going = BTreeSet::new();
        if self.options.is_absent() {
            going.extend(self.scope.stored.keys().map(|key| flat(key.path())));
        }
        going
    }

    /// Returns what the files are going to hold: the first one has the lines, any other one none. Nothing is returned for one
    /// that stays as it is.
    pub(super) fn wanted_texts(&self, now: &State<Self>) -> Vec<Option<Vec<u8>>> {
        let contents: Vec<&Content> = self.files.iter().filter_map(|file| self.contents.get(file)).collect();
        let found: Vec<&Assignments> = contents.iter().map(|content| &content.found).collect();
        let is_right = found.iter().enumerate().all(|(place, found)| self.is_right(found, place == 0));
        if is_right && self.undone(&found).is_empty() {
            return contents.iter().map(|_| None).collect();
        }
        let going = self.going();
        let mut drafts: Vec<Draft> = contents.iter().map(|content| Draft::new(&content.bytes)).collect();
        for (place, draft) in drafts.iter_mut().enumerate() {
            draft.retain(|path| match self.scope.stored.get(path) {
                Some(text) => text.is_some() && place == 0,
                None => !self.options.exclusive && (going.is_empty() || !going.contains(&flat(path))),
            });
        }
        let others: Vec<Assignments> =
            drafts.iter().skip(1).map(|draft| text::assignments(&draft.content())).collect();
        if let Some(first) = drafts.first_mut() {
            self.fill(first, &others.iter().collect::<Vec<_>>(), now);
        }
        drafts.iter().map(|draft| Some(draft.content())).collect()
    }

    /// Returns whether a file assigns what it should, for all that its order does.
    fn is_right(&self, found: &Assignments, holds: bool) -> bool {
        let options = &self.options;
        if options.is_absent() || options.exclusive || options.at_least || options.comment.is_some() {
            return false;
        }
        self.scope.stored.iter().all(|(key, text)| {
            let last = found.get(key).and_then(|lines| lines.last());
            match text.as_deref().filter(|_| holds) {
                Some(text) => last.is_some_and(|line| {
                    let value = line.value();
                    *value == *text || Setting::new(key, text).is_loaded_by(key, &value)
                }),
                None => last.is_none(),
            }
        })
    }

    /// Returns the parameters that a boot does not bring about though another place in the file might.
    fn undone(&self, texts: &[&Assignments]) -> BTreeSet<(&'static str, &Key)> {
        let (Some(boot), Some(own)) = (&self.boot, texts.first()) else { return BTreeSet::new() };
        let mut wanted = self.wanted_at_boot(texts);
        wanted.values.retain(|key, _| is_ordered(own, key));
        boot.unmet(texts, &wanted)
    }

    /// Sets and adds the lines of the task, in an order that boots to what is wanted.
    fn fill(&self, draft: &mut Draft, others: &[&Assignments], now: &State<Self>) {
        let comment = self.options.comment.as_deref();
        let mut wanted: BTreeMap<&Key, &str> =
            gathered(self.scope.stored.iter().filter_map(|(key, text)| Some((key, text.as_deref()?))));
        if self.options.at_least {
            let own = text::assignments(&draft.content());
            let found = with_others(&own, others);
            let values = self.boot.as_ref().map(|boot| boot.values(&found, wanted.keys().copied()));
            let values = values.unwrap_or_default();
            wanted.retain(|key, text| {
                let led_to = values.get(key).map_or(&[][..], Vec::as_slice);
                self.is_to_be_stored(key, text, own.get(*key), led_to, now)
            });
        }
        let done = draft.set(&wanted, comment);
        let mut new: Vec<(&Key, &str)> = wanted.into_iter().filter(|(key, _)| !done.contains(key)).collect();
        new.sort_by_key(|(key, text)| self.position(key, text));
        let names = names(draft, new.iter().map(|(key, _)| *key));
        let mut places = Places::new(draft, &names);
        for (key, text) in new {
            let at = places.find(draft, key, text);
            draft.insert(at, key, text, comment);
            places.added(at, names.get(key));
        }
        self.settle(draft, others);
    }

    /// Returns where a line of `key` stands among new ones: as the person gave them, or as the kernel is written.
    fn position(&self, key: &Key, text: &str) -> (usize, u8) {
        let given = self.options.order.get(key).copied();
        (given.unwrap_or_default(), coupling::rank(key, text, false))
    }

    /// Returns whether a number that may be greater is to be stored: not where the task's file has a greater one, where a boot
    /// leads to one without it, each of whose readers has its place in `values`, or where the kernel has one by itself.
    fn is_to_be_stored(
        &self,
        key: &Key,
        text: &str,
        own: Option<&Vec<Line>>,
        values: &[Option<String>],
        now: &State<Self>,
    ) -> bool {
        let wanted = Wanted { values: BTreeMap::from([(key, text)]), at_least: true };
        if let Some(line) = own.and_then(|lines| lines.last()) {
            return !wanted.is_met(key, text, &line.value());
        }
        let kernel = now.get(&Item::kernel(key.clone())).and_then(Value::setting);
        let has_more =
            kernel.is_some_and(|it| wanted.is_met(key, text, it.text()) && !it.is_loaded_by(key, text));
        match values.iter().flatten().next() {
            Some(_) => {
                !values.iter().all(|value| value.as_ref().is_some_and(|it| wanted.is_met(key, text, it)))
            }
            None => !has_more,
        }
    }

    /// Moves lines of the task that a boot undoes to where it does not; where that does not help, they stay.
    fn settle(&self, draft: &mut Draft, others: &[&Assignments]) {
        let undone = |draft: &Draft| {
            let own = text::assignments(&draft.content());
            self.undone(&with_others(&own, others))
        };
        let unmet = undone(draft);
        let mut best = unmet.len();
        let mut moving: BTreeSet<&Key> = BTreeSet::new();
        let mut open = BTreeSet::new();
        open.extend(unmet.into_iter().map(|(_, key)| key));
        let before = draft.clone();
        while !open.is_subset(&moving) {
            moving.extend(&open);
            let moved = self.moved(&before, &moving);
            let unmet = undone(&moved);
            open.clear();
            open.extend(unmet.iter().map(|(_, key)| *key));
            if unmet.len() < best {
                best = unmet.len();
                *draft = moved;
            }
        }
    }

    /// Returns the same lines with those of `keys` placed anew.
    fn moved(&self, draft: &Draft, keys: &BTreeSet<&Key>) -> Draft {
        let mut draft = draft.clone();
        let stored = || self.scope.stored.iter().filter_map(|(key, text)| Some((key, text.as_deref()?)));
        let mut patterns = Patterns::default();
        stored().for_each(|(key, _)| patterns.add(key.path(), key));
        let mut theirs = BTreeSet::new();
        theirs.extend(keys.iter().filter(|key| self.scope.stored.get(**key).is_some_and(Option::is_some)));
        theirs.extend(keys.iter().flat_map(|key| patterns.matching(key.path())));
        let mut taken = draft.take(&theirs);
        let mut lines: Vec<_> =
            stored().filter_map(|(key, text)| Some((key, text, taken.remove(key)?))).collect();
        lines.sort_by_key(|(key, text, _)| self.position(key, text));
        let names = names(&draft, lines.iter().map(|(key, ..)| *key));
        let mut places = Places::new(&draft, &names);
        for (key, text, line) in lines {
            let at = places.find(&draft, key, text);
            draft.put(at, line);
            places.added(at, names.get(key));
        }
        draft
    }

    /// Returns those of `keys` that the kernel holds as a boot sets them by lines of their own, once the files hold `texts`: what a
    /// switch would change along, and another task wants otherwise.
    pub(super) fn kept<'k>(
        &self,
        keys: BTreeSet<&'k Key>,
        texts: &[Option<Vec<u8>>],
        now: &State<Self>,
    ) -> BTreeSet<&'k Key> {
        let Some(boot) = self.boot.as_ref().filter(|_| !keys.is_empty()) else { return BTreeSet::new() };
        let texts: Vec<Option<Assignments>> =
            texts.iter().map(|text| text.as_deref().map(text::assignments)).collect();
        let texts = self.assigned(&texts);
        let held = |key: &Key| now.get(&Item::kernel(key.clone()))?.setting();
        let named = boot.named(&texts, &keys);
        let mut kept = keys;
        kept.retain(|key| {
            named.get(key).is_some_and(|text| held(key).is_some_and(|it| it.is_loaded_by(key, text)))
        });
        kept
    }

    /// Returns what a boot should lead to, where the files assign what `texts` says.
    pub(super) fn wanted_at_boot(&self, texts: &[&Assignments]) -> Wanted<'_> {
        let mut values = self.scope.at_boot();
        let is_stored = |key: &Key| texts.first().is_some_and(|own| own.contains_key(key));
        values.retain(|key, _| !self.options.at_least || is_stored(key));
        Wanted { values, at_least: self.options.at_least }
    }

    /// Returns what `plan` makes of the content of a file; nothing if it plans nothing there.
    pub(super) fn planned_text(
        &self,
        path: &Rc<Path>,
        now: &State<Self>,
        plan: &Plan<Self>,
    ) -> Result<Option<Vec<u8>>> {
        let planned = plan.iter().filter(|(item, _)| item.is_in(path));
        let mut edits: BTreeMap<&str, &[Line]> = BTreeMap::new();
        edits
            .extend(planned.map(|(item, change)| {
                (item.key.path(), change.after.as_ref().map_or(&[][..], Value::lines))
            }));
        if edits.is_empty() {
            return Ok(None);
        }
        let bytes = self.contents.get(path).map_or(&[][..], |content| content.bytes.as_slice());
        let mut text = text::edited(bytes, &edits);
        if !self.leads_to(path, &text, plan) {
            // Lines of the task that stay as they are have to move too.
            let place = self.files.iter().position(|file| file == path);
            let wanted = place.and_then(|place| self.wanted_texts(now).into_iter().nth(place)?);
            text = wanted.filter(|wanted| self.leads_to(path, wanted, plan)).unwrap_or(text);
        }
        if text.len() as u64 > file::MOST {
            return Err(file::too_large(path, file::MOST));
        }
        Ok(Some(text))
    }

    /// Returns whether the file at `path` is as `plan` says once it holds `text`.
    fn leads_to(&self, path: &Rc<Path>, text: &[u8], plan: &Plan<Self>) -> bool {
        let then: BTreeMap<Item, Value> = self.observed(path, &text::assignments(text)).into_iter().collect();
        let mut planned = plan.iter().filter(|(item, _)| item.is_in(path));
        planned.all(|(item, change)| then.get(item) == change.after.as_ref())
    }

    /// Returns warnings about what the next boot makes of the files that `plan` leads to.
    pub(super) fn boot_warnings(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<Vec<String>> {
        let (Some(file), Some(boot)) = (self.files.first(), &self.boot) else { return Ok(Vec::new()) };
        let mut planned = Vec::new();
        for file in &self.files {
            planned.push(self.planned_text(file, now, plan)?.as_deref().map(text::assignments));
        }
        let texts = self.assigned(&planned);
        let mut warnings: Vec<String> = plan.iter().filter_map(|it| self.overruled(it)).collect();
        let matching = |pattern: &Key| {
            let matched = self.kernel.as_ref().map(|kernel| kernel.matching(pattern).unwrap_or_default());
            matched.unwrap_or_default()
        };
        warnings.extend(boot.warnings(&texts, &self.wanted_at_boot(&texts), file, matching));
        Ok(warnings)
    }

    /// Returns a warning if a line that another task may have stored gets the value of a pattern, whose names are stored.
    fn overruled(&self, (item, change): (&Item, &Change<Value>)) -> Option<String> {
        let (Layer::File(file), true) = (&item.layer, self.scope.expanded.contains(&item.key)) else {
            return None;
        };
        let line = change.before.as_ref().map(Value::lines)?.last()?;
        let (key, now) = (&item.key, change.after.as_ref().map(Value::lines)?.last()?.value());
        let differs = !Setting::new(key, &now).is_loaded_by(key, &line.value());
        let shown = |value| if key.is_secret() { Cow::Borrowed("another value") } else { value };
        differs.then(|| {
            format!(
                "{} line {} sets {key} to {}, and a pattern to {}; name it beside the pattern if another task wants it so",
                file.display(),
                line.number(),
                shown(line.value()),
                shown(now),
            )
        })
    }

    /// Returns what the files assign where they are `planned` to change, and elsewhere.
    fn assigned<'a>(&'a self, planned: &'a [Option<Assignments>]) -> Vec<&'a Assignments> {
        let held = self.files.iter().filter_map(|file| self.contents.get(file));
        planned.iter().zip(held).map(|(planned, held)| planned.as_ref().unwrap_or(&held.found)).collect()
    }
}

/// Returns whether it matters where in a file `key` has its line.
fn is_ordered(own: &Assignments, key: &Key) -> bool {
    let path = key.path();
    own.get(key).is_none_or(|lines| lines.len() > 1)
        || !coupling::above(path).is_empty()
        || text::leaves_out(own)
}

/// Returns the names of the lines of a draft, and of those that are going to be added.
fn names<'k>(draft: &Draft, new: impl Iterator<Item = &'k Key>) -> BTreeSet<Key> {
    let mut names = BTreeSet::new();
    names.extend(draft.assigned().map(|(_, key, _)| key.clone()));
    names.extend(new.cloned());
    names
}

fn flat(path: &str) -> String {
    path.replace('/', ".")
}

/// Returns what the managed files assign: the first one, and the others.
fn with_others<'a>(own: &'a Assignments, others: &[&'a Assignments]) -> Vec<&'a Assignments> {
    std::iter::once(own).chain(others.iter().copied()).collect()
}

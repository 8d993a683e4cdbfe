//! What every resource shares: [`Resource::check`] and [`Resource::apply`], written once.
//!
//! A resource reads what is there, says what should be there given that, and writes the difference.
//! *Changed* is the comparison of the two, check mode is the engine stopping before the first write, and the
//! diff is the same two states, shown. After a write the engine reads again; what differs is an error and is
//! put back. Only the entries of the plan are compared and put back: what others do meanwhile is theirs.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Display};
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::brief;
use crate::file::Lock;
use crate::{Error, Result};

/// Whether a run has begun to write.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// Returns whether this process has begun to write, so that something may have changed.
pub(crate) fn has_begun_to_write() -> bool {
    BEGUN.load(Memory::Relaxed)
}

/// How far a run may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read and predict; write nothing, send nothing.
    Check,
    /// Bring the host to the target.
    Apply,
}

/// What is there, entry by entry; what is absent has no entry.
pub type State<R> = BTreeMap<<R as Resource>::Item, <R as Resource>::Value>;

/// One entry's two sides; `None` is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<V> {
    /// What is there.
    pub before: Option<V>,
    /// What should be there.
    pub after: Option<V>,
}

/// The entries that differ between two states.
pub struct Plan<R: Resource + ?Sized>(BTreeMap<R::Item, Change<R::Value>>);

/// What a run found and did.
pub struct Report<R: Resource + ?Sized> {
    /// The state that was found.
    pub found: State<R>,
    /// The entries that were changed, or would be.
    pub plan: Plan<R>,
    /// What the person should know though nothing failed.
    pub warnings: Vec<String>,
}

/// Something of the host that can be observed and brought to a target.
pub trait Resource {
    /// One thing that can differ: a key in the kernel, an entry in a file, an address of a device.
    type Item: Ord + Clone + Debug + Display + Serialize;
    /// What it holds; equal where the kernel makes no difference.
    type Value: Clone + PartialEq + Debug + Display + Serialize;

    /// Returns the present state of what the task manages. Never writes.
    fn observe(&self) -> Result<State<Self>>;

    /// Returns the state wanted, given the present one, without input or output; the target of a target is itself.
    fn target(&self, now: &State<Self>) -> Result<State<Self>>;

    /// Writes the entries of `plan`, which may be the way back. `now` is the state it starts from.
    fn write(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()>;

    /// Returns where an entry shows in a diff, a line in which it shows there, in that order.
    fn show(&self, item: &Self::Item, value: &Self::Value) -> (String, String);

    /// Prepares the process (network namespace, waiting for a device); returns a lock when applying, where one is needed.
    fn enter(&self, _mode: Mode) -> Result<Option<Lock>> {
        Ok(None)
    }

    /// Returns an error if `plan` must not be carried out; called when applying, before the first write.
    fn permit(&self, _plan: &Plan<Self>) -> Result<()> {
        Ok(())
    }

    /// Returns whether `item` may vanish while the task runs, as what a pattern matched may.
    fn may_vanish(&self, _item: &Self::Item) -> bool {
        false
    }

    /// Returns what the person should know, or an error if the plan must not be carried out; when checking and
    /// applying alike. Only reads.
    fn review(&self, _found: &State<Self>, _plan: &Plan<Self>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Returns further keys of the answer, besides what changed.
    fn remarks(&self, _report: &Report<Self>) -> Map<String, Value> {
        Map::new()
    }

    /// Does what follows a verified change and is not state; returns warnings for what failed of it.
    fn finish(&self, _plan: &Plan<Self>) -> Vec<String> {
        Vec::new()
    }

    /// Returns what [`Resource::apply`] would change. Writes nothing.
    fn check(&self) -> Result<Report<Self>> {
        let _lock = self.enter(Mode::Check)?;
        self.compare()
    }

    /// Brings the host to the target and returns what was changed; a failure leaves the host as it was found.
    fn apply(&self) -> Result<Report<Self>> {
        let _lock = self.enter(Mode::Apply)?;
        let mut report = self.compare()?;
        if !report.plan.is_empty() {
            self.permit(&report.plan)?;
            self.carry_out(&report)?;
            report.warnings.extend(self.finish(&report.plan));
        }
        Ok(report)
    }

    /// Returns the present state, how it differs from the target, and what to warn of.
    #[doc(hidden)]
    fn compare(&self) -> Result<Report<Self>> {
        let found = self.observe()?;
        let plan = Plan::between(&found, &self.target(&found)?);
        let warnings = self.review(&found, &plan)?;
        Ok(Report { found, plan, warnings })
    }

    /// Writes and verifies the plan, or puts back what it changed.
    #[doc(hidden)]
    fn carry_out(&self, report: &Report<Self>) -> Result<()> {
        let _held = HeldSignals::hold()?;
        BEGUN.store(true, Memory::Relaxed);
        self.write(&report.found, &report.plan)
            .and_then(|()| self.verify(&report.plan))
            .map_err(|cause| self.undo(&report.plan, &cause))
    }

    /// Returns an error if an entry of `plan` is not what it should be now.
    #[doc(hidden)]
    fn verify(&self, plan: &Plan<Self>) -> Result<()> {
        let now = self.observe()?;
        match plan.unmet(&now).find(|(item, _)| now.contains_key(item) || !self.may_vanish(item)) {
            None => Ok(()),
            Some((item, change)) => Err(Error::NotTaken {
                item: item.to_string(),
                asked: words(change.after.as_ref()),
                got: words(now.get(item)),
            }),
        }
    }

    /// Puts the entries of `plan` back; returns the error that tells both what failed and what is in force.
    #[doc(hidden)]
    fn undo(&self, plan: &Plan<Self>, cause: &Error) -> Error {
        let cause = cause.sentence();
        match self.put_back(plan) {
            Ok(now) => Error::Undone { in_force: self.in_force(&now, plan.items(), &cause), cause },
            Err(undo) => Error::NotUndone {
                undo: undo.sentence(),
                in_force: match self.observe() {
                    Ok(now) => self.in_force(&now, plan.reversed(&now).items(), &cause),
                    Err(error) => format!(", what is in force is unknown: {}", error.sentence()),
                },
                cause,
            },
        }
    }

    /// Writes the way back of `plan`, as far as it was carried out; returns the state after it.
    #[doc(hidden)]
    fn put_back(&self, plan: &Plan<Self>) -> Result<State<Self>> {
        let now = self.observe()?;
        let back = plan.reversed(&now);
        if back.is_empty() {
            return Ok(now);
        }
        let written = self.write(&now, &back).or_else(|error| self.put_back_singly(plan).and(Err(error)));
        self.verify(&back).map_err(|unmet| written.err().unwrap_or(unmet))?;
        self.observe()
    }

    /// Puts back one entry after the other, as one that cannot be put back must not keep the others from it.
    #[doc(hidden)]
    fn put_back_singly(&self, plan: &Plan<Self>) -> Result<()> {
        let mut tried = BTreeSet::new();
        loop {
            let now = self.observe()?;
            let Plan(back) = plan.reversed(&now);
            let Some((item, change)) = back.into_iter().find(|(item, _)| !tried.contains(item)) else {
                return Ok(());
            };
            tried.insert(item.clone());
            // What fails again is seen in what is in force.
            drop(self.write(&now, &Plan(BTreeMap::from([(item, change)]))));
        }
    }

    /// Returns what `items` hold in `now`, to follow an error message; those that `cause` mentions first.
    #[doc(hidden)]
    fn in_force<'a>(
        &self,
        now: &State<Self>,
        items: impl Iterator<Item = &'a Self::Item>,
        cause: &str,
    ) -> String
    where
        Self::Item: 'a,
    {
        /// More than this many entries would hide the reason.
        const SHOWN: usize = 3;
        let mut lines: Vec<String> = items
            .filter_map(|item| now.get(item).map(|value| brief(&self.show(item, value).1).into_owned()))
            .collect();
        let is_mentioned = |line: &String| line.split(' ').next().is_some_and(|name| cause.contains(name));
        lines.sort_by_key(|line| !is_mentioned(line));
        match lines.len() {
            0 => String::new(),
            n if n > SHOWN => format!(", in force are {} and {} more", lines[..SHOWN].join(", "), n - SHOWN),
            _ => format!(", in force is {}", lines.join(", ")),
        }
    }
}

impl<R: Resource + ?Sized> Plan<R> {
    /// Returns the entries in which `now` and `then` differ, by one walk along both.
    pub fn between(now: &State<R>, then: &State<R>) -> Self {
        let mut plan = BTreeMap::new();
        let (mut old, mut new) = (now.iter().peekable(), then.iter().peekable());
        loop {
            let (before, after) = match (old.peek(), new.peek()) {
                (None, None) => return Self(plan),
                (Some((one, _)), Some((other, _))) => match one.cmp(other) {
                    Ordering::Less => (old.next(), None),
                    Ordering::Equal => (old.next(), new.next()),
                    Ordering::Greater => (None, new.next()),
                },
                _ => (old.next(), new.next()),
            };
            let values = [before, after].map(|entry| entry.map(|(_, value)| value));
            if let (Some((item, _)), [before, after]) = (before.or(after), values)
                && before != after
            {
                plan.insert(item.clone(), Change { before: before.cloned(), after: after.cloned() });
            }
        }
    }

    /// Returns whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the entries and their changes, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&R::Item, &Change<R::Value>)> {
        self.0.iter()
    }

    /// Returns the entries alone, in order.
    pub fn items(&self) -> impl Iterator<Item = &R::Item> {
        self.0.keys()
    }

    /// Returns the change of `item`, if it is planned.
    pub fn get(&self, item: &R::Item) -> Option<&Change<R::Value>> {
        self.0.get(item)
    }

    /// Returns the entries that are not in `now` as they should be.
    fn unmet(&self, now: &State<R>) -> impl Iterator<Item = (&R::Item, &Change<R::Value>)> {
        self.iter().filter(move |(item, change)| now.get(item) != change.after.as_ref())
    }

    /// Returns the way back from `now` for the planned entries, and no others.
    fn reversed(&self, now: &State<R>) -> Self {
        Self(
            self.iter()
                .filter(|(item, change)| now.get(item) != change.before.as_ref())
                .map(|(item, change)| {
                    let back = Change { before: now.get(item).cloned(), after: change.before.clone() };
                    (item.clone(), back)
                })
                .collect(),
        )
    }
}

impl<R: Resource + ?Sized> Report<R> {
    /// Returns the state that the plan leads to.
    pub fn then(&self) -> State<R> {
        let mut then = self.found.clone();
        for (item, change) in self.plan.iter() {
            match &change.after {
                Some(value) => then.insert(item.clone(), value.clone()),
                None => then.remove(item),
            };
        }
        then
    }
}

impl<R: Resource + ?Sized> Debug for Plan<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<R: Resource + ?Sized> PartialEq for Plan<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Returns a value in words.
fn words<V: Display>(value: Option<&V>) -> Option<String> {
    value.map(|value| brief(&value.to_string()).into_owned())
}

/// Keeps the signals that a dropped connection sends away until it is dropped, so that no write is cut off.
struct HeldSignals {
    after: SigSet,
}

impl HeldSignals {
    fn hold() -> Result<Self> {
        let mut signals = SigSet::empty();
        // The last one comes with a write beyond the limit of a file's size, which then fails instead (setrlimit(2)); it stays
        // held, as it would come afterwards.
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGXFSZ] {
            signals.add(signal);
        }
        let before = signals
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .map_err(Error::io("hold back", "signals"))?;
        let mut after = before;
        after.add(Signal::SIGXFSZ);
        Ok(Self { after })
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // A mask like it was in force a moment ago; the kernel takes it again.
        let _ = self.after.thread_set_mask();
    }
}

#[cfg(test)]
mod tests;

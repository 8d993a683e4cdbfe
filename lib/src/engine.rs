//! How every resource is brought to its target: [`check`] and [`apply`], written once.
//!
//! *Changed* is the comparison of two states, check mode is the engine stopping before the first write, and the diff is the
//! same two states, shown. Entries are written rank by rank; after each the engine reads again, and what differs is an
//! error and is put back. Only the entries of the plan are compared and put back: what others do meanwhile is theirs.

mod signals;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::brief;
use crate::resource::{END, Item, Layer, Mode, Plan, Report, Resource, State};
use crate::{Error, Result};
use signals::HeldSignals;

/// How often the engine looks whether what it waits for has come.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether a run has begun to write.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// Returns whether this process has begun to write, so that something may have changed.
pub(crate) fn has_begun_to_write() -> bool {
    BEGUN.load(Ordering::Relaxed)
}

/// Returns what [`apply`] would change. Writes nothing.
pub fn check<R: Resource>(resource: &mut R) -> Result<Report<R>> {
    compare(resource, Mode::Check)
}

/// Brings the host to the target and returns what was changed; a failure leaves the host as it was found.
pub fn apply<R: Resource>(resource: &mut R) -> Result<Report<R>> {
    let mut report = compare(resource, Mode::Apply)?;
    carry_out(resource, &report)?;
    if !report.plan.is_empty() {
        report.warnings.extend(resource.finish(&report.plan));
    }
    report.warnings.extend(resource.lock().into_iter().flat_map(|lock| lock.warnings().to_vec()));
    Ok(report)
}

/// Returns the present state, how it differs from the target, and what to warn of.
fn compare<R: Resource>(resource: &mut R, mode: Mode) -> Result<Report<R>> {
    let found = resource.observe()?;
    let plan = Plan::between(&found, &resource.target(&found)?);
    let warnings = resource.review(&found, &plan, mode)?;
    Ok(Report { found, plan, warnings })
}

/// Writes and verifies the plan, or puts back what it changed.
fn carry_out<R: Resource>(resource: &mut R, report: &Report<R>) -> Result<()> {
    let held = HeldSignals::hold()?;
    let whole = report.plan.with_held(&report.found, |item| resource.is_named(item));
    BEGUN.store(!report.plan.is_empty(), Ordering::Relaxed);
    write(resource, &report.found, &report.plan, Some(&held))
        .and_then(|now| verify(resource, &whole, &now))
        .map_err(|cause| undo(resource, &whole, &cause))
}

/// Writes a plan rank by rank, the kernel before files, verifies each rank before the next, and all of it at the end;
/// returns the state after it. Before each rank and at the end it waits, if it can be interrupted.
fn write<R: Resource>(
    resource: &mut R,
    found: &State<R>,
    plan: &Plan<R>,
    held: Option<&HeldSignals>,
) -> Result<State<R>> {
    let steps = plan.split(|item, change| resource.rank(item, change));
    let mut now = Cow::Borrowed(found);
    for (rank, step) in &steps {
        if let Some(held) = held {
            now = wait(resource, *rank, now, held)?;
        }
        for (layer, part) in step.split(|item, _| item.layer.clone()) {
            resource.write(&layer, &now, &part)?;
        }
        now = Cow::Owned(resource.observe()?);
        verify(resource, step, &now)?;
    }
    if let Some(held) = held {
        now = wait(resource, END, now, held)?;
    }
    verify(resource, plan, &now)?;
    Ok(now.into_owned())
}

/// Waits for what must be before the entries of `rank` are written, or before the end, without the lock, and returns the state after that.
fn wait<'a, R: Resource>(
    resource: &mut R,
    rank: u8,
    mut now: Cow<'a, State<R>>,
    held: &HeldSignals,
) -> Result<Cow<'a, State<R>>> {
    while resource.waits(rank, &now)? {
        if let Some(lock) = resource.lock() {
            lock.release()?;
        }
        let waited = held.let_through_for(PAUSE);
        if let Some(lock) = resource.lock() {
            lock.retake()?;
        }
        waited?;
        now = Cow::Owned(resource.observe()?);
    }
    Ok(now)
}

/// Returns an error if an entry of `plan` is not in `now` what it should be.
fn verify<R: Resource>(resource: &R, plan: &Plan<R>, now: &State<R>) -> Result<()> {
    match plan.unmet(now).find(|(item, _)| now.contains_key(item) || !resource.may_vanish(item)) {
        None => Ok(()),
        Some((item, change)) => Err(Error::NotTaken {
            item: item.to_string(),
            asked: words(change.after.as_ref()),
            got: words(now.get(item)),
        }),
    }
}

/// Puts the entries of `plan` back; returns the error that tells both what failed and what is in force.
fn undo<R: Resource>(resource: &mut R, plan: &Plan<R>, cause: &Error) -> Error {
    let cause = cause.sentence();
    let (kept, plan) =
        (&plan.filtered(|item| resource.is_kept(item)), &plan.filtered(|item| !resource.is_kept(item)));
    let put_back = put_back(resource, plan);
    let lost = resource.lost().map(|lost| format!("; lost is {lost}")).unwrap_or_default();
    match put_back {
        Ok(now) if !kept.reversed(&now).is_empty() => {
            Error::Kept { in_force: in_force(resource, &now, kept.items(), &cause) + &lost, cause }
        }
        Ok(now) => {
            Error::Undone { in_force: in_force(resource, &now, plan.changed(), &cause) + &lost, cause }
        }
        Err(undo) => Error::NotUndone {
            undo: undo.sentence(),
            in_force: match resource.observe() {
                Ok(now) => in_force(resource, &now, plan.reversed(&now).items(), &cause) + &lost,
                Err(error) => format!(", what is in force is unknown: {}", error.sentence()),
            },
            cause,
        },
    }
}

/// Writes the way back of `plan`, as far as it was carried out; returns the state after it.
fn put_back<R: Resource>(resource: &mut R, plan: &Plan<R>) -> Result<State<R>> {
    let now = resource.observe()?;
    let back = plan.reversed(&now);
    if back.is_empty() {
        return Ok(now);
    }
    let written = write(resource, &now, &back, None).map(drop);
    let written = written.or_else(|error| put_back_singly(resource, plan).and(Err(error)));
    let now = resource.observe()?;
    verify(resource, &back, &now).map_err(|unmet| written.err().unwrap_or(unmet))?;
    Ok(now)
}

/// Puts back one entry after the other, as one that cannot be put back must not keep the others from it.
fn put_back_singly<R: Resource>(resource: &mut R, plan: &Plan<R>) -> Result<()> {
    let mut tried = BTreeSet::new();
    loop {
        let now = resource.observe()?;
        let back = plan.reversed(&now);
        let Some(item) = back.items().find(|item| !tried.contains(*item)).cloned() else {
            return Ok(());
        };
        let one = back.filtered(|other| *other == item);
        // What fails again is seen in what is in force.
        drop(resource.write(&item.layer, &now, &one));
        tried.insert(item);
    }
}

/// Returns what `items` hold in `now`, to follow an error message; those that `cause` mentions first.
fn in_force<'a, R: Resource + 'a>(
    resource: &R,
    now: &State<R>,
    items: impl Iterator<Item = &'a Item<R::Key>>,
    cause: &str,
) -> String {
    /// More than this many entries would hide the reason.
    const SHOWN: usize = 3;
    let line = |item: &Item<R::Key>| {
        let line = brief(&resource.show(item, now.get(item)?).1).into_owned();
        Some(match &item.layer {
            Layer::Kernel => line,
            Layer::File(file) => format!("{line} in {}", file.display()),
        })
    };
    let is_mentioned = |line: &String| line.split(' ').next().is_some_and(|name| cause.contains(name));
    let (mut lines, others): (Vec<String>, Vec<String>) = items.filter_map(line).partition(is_mentioned);
    lines.extend(others);
    match lines.len() {
        0 => String::new(),
        n if n > SHOWN => format!(", in force are {} and {} more", lines[..SHOWN].join(", "), n - SHOWN),
        _ => format!(", in force is {}", lines.join(", ")),
    }
}

/// Returns a value in words.
fn words<V: Display>(value: Option<&V>) -> Option<String> {
    value.map(|value| brief(&value.to_string()).into_owned())
}

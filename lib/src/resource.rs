//! What every resource is: two layers of entries that can be read, compared and written.
//!
//! A [`Task`] is what a person wrote. Opened on a host it is a [`Resource`], which reads what is there, says what should
//! be there given that, and writes the difference. All else is the [engine](crate::engine)'s.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::path::Path;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::file::Lock;
use crate::root::Root;
use crate::{Result, gathered};

/// How far a run may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read and predict; write nothing, send nothing.
    Check,
    /// Bring the host to the target.
    Apply,
}

/// Where an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// In the running kernel.
    Kernel,
    /// In a file that a boot reads.
    File(Rc<Path>),
}

/// The kernel first, then files by their paths; most are the same text, which then need not be read.
impl Ord for Layer {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Kernel, Self::Kernel) => Ordering::Equal,
            (Self::Kernel, Self::File(_)) => Ordering::Less,
            (Self::File(_), Self::Kernel) => Ordering::Greater,
            (Self::File(one), Self::File(other)) if Rc::ptr_eq(one, other) => Ordering::Equal,
            (Self::File(one), Self::File(other)) => one.cmp(other),
        }
    }
}

impl PartialOrd for Layer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One thing that can differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item<K> {
    /// Where it is.
    pub layer: Layer,
    /// What tells it from the others of its layer.
    pub key: K,
}

/// What [`Resource::waits`] is asked about when all entries are written.
pub const END: u8 = u8::MAX;

/// What is there, entry by entry; what is absent has no entry.
pub type State<R> = BTreeMap<Item<<R as Resource>::Key>, <R as Resource>::Value>;

/// One entry's two sides; `None` is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<V> {
    /// What is there.
    pub before: Option<V>,
    /// What should be there.
    pub after: Option<V>,
}

/// The entries that differ between two states.
pub struct Plan<R: Resource>(BTreeMap<Item<R::Key>, Change<R::Value>>);

/// What a run found and did.
pub struct Report<R: Resource> {
    /// The state that was found.
    pub found: State<R>,
    /// The entries that were changed, or would be.
    pub plan: Plan<R>,
    /// What the person should know though nothing failed.
    pub warnings: Vec<String>,
}

/// What a person wrote, checked as far as that needs no look at a host.
pub trait Task: DeserializeOwned {
    /// What the task is about.
    type Resource: Resource;

    /// Finds on the host at `root` what the task is about: goes where that is, waits for what it needs, and takes the lock
    /// when applying. What is found here is not looked for again.
    fn open(self, mode: Mode, root: &Root) -> Result<Self::Resource>;
}

/// Something of a host that can be observed and brought to a target.
pub trait Resource: Sized {
    /// What tells an entry from the others of its layer: a parameter, an address of an interface.
    type Key: Ord + Clone + Debug + Display + Serialize;
    /// What an entry holds; equal where the kernel makes no difference.
    type Value: Clone + PartialEq + Debug + Display + Serialize;

    /// Returns the present state of what the task manages. Never writes to the host.
    fn observe(&mut self) -> Result<State<Self>>;

    /// Returns the state wanted, given the present one, without input or output; the target of a target is itself.
    fn target(&self, now: &State<Self>) -> Result<State<Self>>;

    /// Writes the entries of `plan`, which are all of one layer and one rank, and may be the way back. `now` is the state
    /// it starts from.
    fn write(&mut self, layer: &Layer, now: &State<Self>, plan: &Plan<Self>) -> Result<()>;

    /// Returns where an entry shows in a diff, and a line in which it shows there, in that order.
    fn show(&self, item: &Item<Self::Key>, value: &Self::Value) -> (String, String);

    /// Returns what the person should know of a plan, or an error if it must not be carried out. Only reads, but when
    /// applying it may ask other hosts.
    fn review(&mut self, _found: &State<Self>, _plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Returns when an entry is written: lower ranks first, the kernel before files within a rank. What cannot be taken
    /// back has the highest, so that all that may fail comes before it.
    fn rank(&self, _item: &Item<Self::Key>, _change: &Change<Self::Value>) -> u8 {
        0
    }

    /// Returns whether there is still something to wait for before the entries of `rank` are written, or with [`END`] before the
    /// run is over, also one that has nothing to write.
    fn waits(&mut self, _rank: u8, _now: &State<Self>) -> Result<bool> {
        Ok(false)
    }

    /// Returns the lock that other runs respect, which is let go while the engine waits.
    fn lock(&mut self) -> Option<&mut Lock> {
        None
    }

    /// Returns whether `item` may vanish while the task runs, as what a pattern matched may.
    fn may_vanish(&self, _item: &Item<Self::Key>) -> bool {
        false
    }

    /// Returns whether `item` stays as it was written although the task failed.
    fn is_kept(&self, _item: &Item<Self::Key>) -> bool {
        false
    }

    /// Returns whether `item`, where it is right already and not planned, must still be so at the end.
    fn is_named(&self, _item: &Item<Self::Key>) -> bool {
        false
    }

    /// Returns what is lost although the task failed and was undone.
    fn lost(&self) -> Option<String> {
        None
    }

    /// Returns further keys of the answer, besides what changed.
    fn remarks(&self, _report: &Report<Self>) -> Map<String, Value> {
        Map::new()
    }

    /// Does what follows a verified change and is not state; returns warnings for what failed of it.
    fn finish(&mut self, _plan: &Plan<Self>) -> Vec<String> {
        Vec::new()
    }
}

impl<K> Item<K> {
    /// Returns the entry for `key` in the running kernel.
    pub fn kernel(key: K) -> Self {
        Self { layer: Layer::Kernel, key }
    }

    /// Returns the entry for `key` in a file.
    pub fn stored(key: K, file: &Rc<Path>) -> Self {
        Self { layer: Layer::File(file.clone()), key }
    }

    /// Returns whether it is in the running kernel.
    pub fn is_live(&self) -> bool {
        self.layer == Layer::Kernel
    }

    /// Returns whether it is in the file at `path`.
    pub fn is_in(&self, path: &Path) -> bool {
        matches!(&self.layer, Layer::File(file) if **file == *path)
    }
}

impl<K: Display> Display for Item<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.layer {
            Layer::Kernel => self.key.fmt(f),
            Layer::File(file) => write!(f, "{} in {}", self.key, file.display()),
        }
    }
}

impl<R: Resource> Plan<R> {
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

    fn of(entries: impl Iterator<Item = (Item<R::Key>, Change<R::Value>)>) -> Self {
        Self(gathered(entries))
    }

    /// Returns whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the entries and their changes, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Item<R::Key>, &Change<R::Value>)> {
        self.0.iter()
    }

    /// Returns the entries alone, in order.
    pub fn items(&self) -> impl Iterator<Item = &Item<R::Key>> {
        self.0.keys()
    }

    /// Returns the entries that do not stay as they are.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Item<R::Key>> {
        self.0.iter().filter(|(_, change)| change.before != change.after).map(|(item, _)| item)
    }

    /// Returns the change of `item`, if it is planned.
    pub fn get(&self, item: &Item<R::Key>) -> Option<&Change<R::Value>> {
        self.0.get(item)
    }

    /// Returns the entries that are not in `now` as they should be.
    pub(crate) fn unmet(&self, now: &State<R>) -> impl Iterator<Item = (&Item<R::Key>, &Change<R::Value>)> {
        self.iter().filter(move |(item, change)| now.get(item) != change.after.as_ref())
    }

    /// Returns the way back from `now` for the planned entries, and no others.
    pub(crate) fn reversed(&self, now: &State<R>) -> Self {
        let differs =
            |(item, change): &(&Item<R::Key>, &Change<R::Value>)| now.get(item) != change.before.as_ref();
        let back = |(item, change): (&Item<R::Key>, &Change<R::Value>)| {
            (item.clone(), Change { before: now.get(item).cloned(), after: change.before.clone() })
        };
        Self::of(self.iter().filter(differs).map(back))
    }

    /// Returns the plan and those entries of `found` that stay as they are, and for which `holds` says that they must.
    pub(crate) fn with_held(&self, found: &State<R>, holds: impl Fn(&Item<R::Key>) -> bool) -> Self {
        let held = found.iter().filter(|(item, _)| !self.0.contains_key(*item) && holds(item));
        let stays = |(item, value): (&Item<R::Key>, &R::Value)| {
            (item.clone(), Change { before: Some(value.clone()), after: Some(value.clone()) })
        };
        let entries = self.iter().map(|(item, change)| (item.clone(), change.clone()));
        Self::of(entries.chain(held.map(stays)))
    }

    /// Returns the entries for which `keeps` holds.
    pub(crate) fn filtered(&self, keeps: impl Fn(&Item<R::Key>) -> bool) -> Self {
        let entries = self.iter().filter(|(item, _)| keeps(item));
        Self::of(entries.map(|(item, change)| (item.clone(), change.clone())))
    }

    /// Returns the same entries in parts, by what `part` says of each, in that order.
    pub(crate) fn split<P: Ord>(
        &self,
        part: impl Fn(&Item<R::Key>, &Change<R::Value>) -> P,
    ) -> BTreeMap<P, Self> {
        let mut parts = BTreeMap::<P, Self>::new();
        for (item, change) in self.iter() {
            let Self(entries) = parts.entry(part(item, change)).or_insert_with(|| Self(BTreeMap::new()));
            entries.insert(item.clone(), change.clone());
        }
        parts
    }
}

impl<R: Resource> Report<R> {
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

impl<R: Resource> Debug for Plan<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<R: Resource> PartialEq for Plan<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

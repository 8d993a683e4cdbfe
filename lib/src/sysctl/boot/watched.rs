//! What a simulated boot is watched for.

use std::collections::BTreeSet;

use crate::sysctl::Key;
use crate::sysctl::coupling::{self, Bound};

/// The parameters that a simulation follows: those wanted, and all that have a hand in them.
pub(super) struct Watched {
    /// In order, so that each has a place.
    keys: Vec<Key>,
    /// The places of those that change along when the one at each place is written.
    followers: Vec<Vec<usize>>,
}

impl Watched {
    /// Returns what to follow for the `wanted` ones; `defaults` says whether a boot sets defaults of interfaces.
    pub(super) fn new<'k>(wanted: impl Iterator<Item = &'k Key>, defaults: bool) -> Self {
        let mut keys = BTreeSet::new();
        keys.extend(wanted.cloned());
        let mut open: Vec<Key> = keys.iter().cloned().collect();
        let mut pairs = Vec::new();
        let default = |path: &str| if defaults { coupling::default_of(path) } else { None };
        while let Some(key) = open.pop() {
            let changers = coupling::changers(key.path()).into_iter().chain(default(key.path()));
            let changers: Vec<Key> = changers.map(Key::at).collect();
            let bound = Bound::of(key.path()).map(|(other, _)| Key::at(other.to_owned()));
            let others = changers.iter().cloned().chain(bound);
            open.extend(others.filter(|other| keys.insert(other.clone())));
            pairs.extend(changers.into_iter().map(|changer| (changer, key.clone())));
        }
        let mut watched = Self { followers: vec![Vec::new(); keys.len()], keys: keys.into_iter().collect() };
        for (changer, follower) in pairs {
            if let (Some(changer), Some(follower)) = (watched.place(&changer), watched.place(&follower)) {
                watched.followers[changer].push(follower);
            }
        }
        watched
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Returns the places of those that change along when the one at `at` is written.
    pub(super) fn followers(&self, at: usize) -> impl Iterator<Item = usize> {
        self.followers[at].iter().copied()
    }

    /// Returns the place of `key`, if that is followed.
    pub(super) fn place(&self, key: &Key) -> Option<usize> {
        self.keys.binary_search(key).ok()
    }
}

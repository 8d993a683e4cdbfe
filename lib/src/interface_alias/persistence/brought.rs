//! What files that are not ours bring.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::Files;
use crate::Result;
use crate::interface_alias::label::Label;
use crate::interface_alias::wish::Wish;

/// What each file brings that a task has come across: many interfaces may have the same.
pub(super) type Known = HashMap<PathBuf, Rc<Brought>>;

/// The files of a manager other than ours, and what each brings; one task may ask for thousands.
pub(super) struct Others<'a>(Vec<(&'a Path, Rc<Brought>)>);

/// The addresses and labels of a file.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) addresses: HashSet<IpAddr>,
    pub(super) labels: HashSet<String>,
}

impl Brought {
    /// Returns whether it has `address`, or any under `label`.
    pub(super) fn has(&self, address: Option<IpAddr>, label: Option<&str>) -> bool {
        address.is_some_and(|address| self.addresses.contains(&address))
            || label.is_some_and(|label| self.labels.contains(label))
    }

    /// Takes up an address that `word` may be, alone or with a prefix length.
    pub(super) fn address(&mut self, word: &str) {
        self.addresses.extend(word.split('/').next().and_then(|ip| ip.parse::<IpAddr>().ok()));
    }

    /// Takes up a label.
    pub(super) fn label(&mut self, label: &str) {
        self.labels.insert(label.to_owned());
    }
}

impl<'a> Others<'a> {
    /// Returns what the files at `paths` bring.
    pub(super) fn read(
        paths: impl Iterator<Item = &'a Path>,
        files: &mut Files,
        known: &mut Known,
        brought: impl Fn(&str) -> Brought,
    ) -> Result<Self> {
        let mut found = Vec::new();
        for path in paths {
            if !known.contains_key(path) {
                known.insert(path.to_owned(), Rc::new(brought(&files.content(path)?)));
            }
            found.extend(known.get(path).map(|brought| (path, brought.clone())));
        }
        Ok(Self(found))
    }

    /// Returns the file that brings `address`, or any under `label`.
    pub(super) fn bring(&self, address: Option<IpAddr>, label: Option<&str>) -> Option<&'a Path> {
        self.0.iter().find(|(_, brought)| brought.has(address, label)).map(|(path, _)| *path)
    }

    /// Returns a warning if one of them brings back what is to be gone.
    pub(super) fn bring_back(&self, wish: &Wish) -> Option<String> {
        let label = wish.label.as_ref().filter(|_| wish.address.is_none()).map(Label::whole);
        let path = self.bring(wish.address, label)?.display();
        let what = wish.address.map_or_else(|| label.unwrap_or_default().to_owned(), |ip| ip.to_string());
        Some(format!("{what} is in {path}, which we did not write, so a boot brings it back"))
    }
}

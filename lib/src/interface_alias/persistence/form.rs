//! How a manager writes down addresses.

use std::fmt::Debug;
use std::path::Path;

use super::brought::Brought;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::{Addresses, Alias};
use crate::interface_alias::listed;

/// The first line of every file of ours.
pub(super) const HEADER: &str = "# Made by lvs.host.interface_alias, which replaces all of this file.\n";

/// How a manager writes down the addresses of one interface.
pub(super) trait Form: Debug {
    /// Returns the addresses that `content` brings, or why it cannot be used.
    fn read(&self, content: &str) -> Result<Addresses, String>;

    /// Returns `content` with these addresses and no others; nothing if no file is needed for that.
    fn written(&self, content: &str, addresses: &Addresses) -> String;

    /// Returns why the file must not be rewritten so, if that would not do what the person wants.
    fn review(&self, rewrite: &Rewrite) -> Result<(), Objection>;

    /// Returns what another file of the manager, whose content this is, brings.
    fn brought(&self, _content: &str) -> Brought {
        Brought::default()
    }

    /// Returns what the person should know of using these files.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Tells the running manager of the file, as far as it needs that; returns what the person should know.
    fn tell(&self, _file: &Path, _gone: &[&Alias]) -> Option<String> {
        None
    }
}

/// What is to be made of a file.
pub(super) struct Rewrite<'a> {
    pub(super) before: &'a str,
    pub(super) after: &'a str,
    /// What is new or other than before.
    pub(super) put: &'a [(&'a Alias, &'a Address)],
}

/// Why a file must not be rewritten.
#[derive(Debug)]
pub(super) enum Objection {
    /// This address cannot be kept.
    Alias(Alias, String),
    /// Something of the person's would be lost.
    File(String),
}

impl Rewrite<'_> {
    /// Returns an objection to the first address that is put there and cannot be kept, as `why` says.
    pub(super) fn keeps(&self, why: impl Fn(&Alias, &Address) -> Option<String>) -> Result<(), Objection> {
        let object = |(alias, address): &(&Alias, &Address)| {
            why(alias, address).map(|why| Objection::Alias((*alias).clone(), why))
        };
        self.put.iter().find_map(object).map_or(Ok(()), Err)
    }
}

/// Returns a warning that a running manager, which has read the files before, may set again what is gone.
pub(super) fn may_return(gone: &[&Alias], who: &str, when: &str, until: &str) -> Option<String> {
    let listed = listed(gone.iter().copied());
    (!gone.is_empty()).then(|| format!("{who} may set {listed} again {when}, until `{until}`"))
}

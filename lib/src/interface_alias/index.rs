//! The addresses of the interfaces, found by what a wish asks for: one task may have thousands of wishes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};

use super::address::Address;
use super::item::{Alias, Item, addresses};
use super::label::Label;
use super::options::{Purge, Wish};
use super::{InterfaceAlias, listed};
use crate::resource::{Plan, State};
use crate::{Error, Result};

type Entry<'a> = (&'a Alias, &'a Address);

/// The entries of a state by address, by label and by network, and the addresses that the task wants.
pub(super) struct Index<'a> {
    by_address: HashMap<(&'a str, IpAddr), Vec<Entry<'a>>>,
    by_label: HashMap<(&'a str, &'a OsStr), Vec<Entry<'a>>>,
    networks: HashSet<(&'a str, u8, u32)>,
    wanted: HashSet<(&'a str, IpAddr)>,
}

impl<'a> Index<'a> {
    /// Returns the index of a state for a task.
    pub(super) fn of(now: &'a State<InterfaceAlias>, wishes: &'a [Wish]) -> Self {
        let wanted = wishes.iter().filter(|wish| wish.present);
        let mut index = Self {
            by_address: HashMap::new(),
            by_label: HashMap::new(),
            networks: HashSet::new(),
            wanted: wanted.filter_map(|wish| Some((&*wish.interface, wish.address?))).collect(),
        };
        for entry @ (alias, address) in addresses(now) {
            let interface = &*alias.interface;
            index.by_address.entry((interface, alias.address)).or_default().push(entry);
            if let Some(label) = &address.set.label {
                index.by_label.entry((interface, label)).or_default().push(entry);
            }
            if let IpAddr::V4(ip) = alias.address {
                index.networks.insert((interface, address.set.prefix, network(ip, address.set.prefix)));
            }
        }
        index
    }

    fn at(&self, wish: &'a Wish, address: IpAddr) -> &[Entry<'a>] {
        self.by_address.get(&(&*wish.interface, address)).map_or(&[], Vec::as_slice)
    }

    fn under_label(&self, wish: &'a Wish) -> &[Entry<'a>] {
        let label = wish.label.as_ref().map_or("", Label::text);
        self.by_label.get(&(&*wish.interface, OsStr::new(label))).map_or(&[], Vec::as_slice)
    }

    /// Returns the entries that a wish wants gone.
    pub(super) fn unwanted(&self, wish: &'a Wish) -> Result<Vec<&'a Alias>> {
        let candidates =
            wish.address.map_or_else(|| self.under_label(wish), |address| self.at(wish, address));
        let matches = |(_, address): &&Entry| {
            wish.prefix.is_none_or(|prefix| prefix == address.set.prefix)
                && (wish.label.is_none() || wish.is_labelled(address))
        };
        let found: Vec<&Entry> = candidates.iter().filter(matches).collect();
        // What a run that was cut off left beside the address goes with it.
        if found.iter().filter(|(_, address)| !address.is_stand_in()).count() > 1 {
            return Err(Error::invalid(format!(
                "cannot tell which address of {} to remove: {} match; give address and prefix",
                wish.interface,
                listed(found.iter().map(|(alias, _)| *alias))
            )));
        }
        Ok(found.into_iter().map(|(alias, _)| *alias).collect())
    }

    /// Returns the entries that stand in the way of a present alias and go: another address under its label, and the
    /// same address with another prefix length if it is ours or under its label.
    pub(super) fn displaced(&self, wish: &'a Wish, wanted: &Alias, purge: Purge) -> Result<Vec<&'a Alias>> {
        let same_address = self.at(wish, wanted.address);
        let other_length = |(_, address): &&Entry| Some(address.set.prefix) != wish.prefix;
        let foreign = |(_, address): &&Entry| !address.is_ours() && !wish.is_labelled(address);
        if let Some((_, address)) = same_address.iter().filter(other_length).find(foreign) {
            return Err(Error::invalid(format!(
                "cannot add {wanted}: {0} is there already as {0}/{1}, which we did not add; remove that first, or ask for its prefix length",
                wanted.address, address.set.prefix
            )));
        }
        let replaced = same_address.iter().map(|(alias, _)| *alias).filter(|alias| *alias != wanted);
        Ok(replaced.chain(self.label_holder(wish, wanted, purge)?).collect())
    }

    /// Returns the other address that holds the label which a wish wants, if one does that the task does not list.
    fn label_holder(&self, wish: &'a Wish, wanted: &Alias, purge: Purge) -> Result<Option<&'a Alias>> {
        let holders = self.under_label(wish).iter().map(|(alias, _)| *alias);
        let is_listed = |alias: &&Alias| self.wanted.contains(&(&*alias.interface, alias.address));
        let own = holders.clone().any(|alias| alias == wanted);
        let others: Vec<&Alias> = holders.filter(|item| !is_listed(item)).collect();
        match others.as_slice() {
            [] => Ok(None),
            [other] if !own => Ok(Some(other)),
            // What is to be purged is not in the way.
            _ if purge != Purge::None => Ok(None),
            _ => Err(Error::invalid(format!(
                "cannot give {wanted} the label {}: {} hold it; remove all but one",
                wish.label.as_ref().map_or("", Label::text),
                listed(others.into_iter().chain(own.then_some(wanted)))
            ))),
        }
    }

    /// Returns what the person should know of a wish.
    pub(super) fn warnings(&self, wish: &'a Wish, plan: &Plan<InterfaceAlias>) -> Vec<String> {
        match (wish.present, wish.address, wish.prefix) {
            (true, Some(address), Some(prefix)) => {
                let alias = Alias::new(&wish.interface, address, prefix);
                let change = plan.get(&Item::Address(alias.clone()));
                let is_new = change.is_some_and(|change| change.before.is_none());
                if is_new {
                    self.consequences(wish, &alias, prefix).into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            (false, Some(address), _) => {
                let Some(label) = &wish.label else { return Vec::new() };
                let stay = self
                    .at(wish, address)
                    .iter()
                    .filter(|(alias, _)| plan.get(&Item::Address((*alias).clone())).is_none());
                stay.map(|(alias, _)| {
                    format!("{alias} is there, but not under the label {label}, so it stays")
                })
                .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns what a new address brings that its person may not want.
    fn consequences(&self, wish: &'a Wish, alias: &Alias, prefix: u8) -> Option<String> {
        let IpAddr::V4(address) = alias.address else { return None };
        if &*wish.interface == "lo" {
            let warn = || {
                format!(
                    "{alias} makes all of its prefix local to this host; an address on lo usually has prefix 32"
                )
            };
            return (prefix < 32 && !address.is_loopback()).then(warn);
        }
        let shared = self.networks.contains(&(&*wish.interface, prefix, network(address, prefix)));
        let first = prefix < 31 && wish.label.is_some() && !shared;
        first.then(|| format!("{alias} is the first address of its prefix, so what this host sends there comes from it; give it prefix 32, or add the host's own address first"))
    }
}

impl Wish {
    fn is_labelled(&self, address: &Address) -> bool {
        self.label.as_ref().is_some_and(|label| address.is_labelled(label))
    }
}

/// Returns the bits of an address that its prefix length, 1 to 32, leaves.
fn network(address: Ipv4Addr, prefix: u8) -> u32 {
    address.to_bits() & (u32::MAX << (32 - u32::from(prefix)))
}

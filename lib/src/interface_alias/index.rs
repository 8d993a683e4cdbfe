//! What is there of that which a wish asks for: one task may have thousands of wishes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};

use super::address::Address;
use super::item::{Alias, Item, Value, addresses};
use super::label::Label;
use super::purge::Purge;
use super::wish::Wish;
use super::{InterfaceAlias, listed};
use crate::resource::{Plan, State};
use crate::{Error, Result};

type Entry<'a> = (&'a Alias, &'a Address);

/// A state, with its entries by the labels of a task.
pub(super) struct Index<'a> {
    now: &'a State<InterfaceAlias>,
    by_label: HashMap<(&'a str, &'a OsStr), Holders<'a>>,
}

/// The entries under a label.
#[derive(Default)]
struct Holders<'a> {
    all: Vec<Entry<'a>>,
    /// Those whose addresses the task does not want there.
    unlisted: Vec<&'a Alias>,
}

impl<'a> Index<'a> {
    /// Returns the index of a state for a task.
    pub(super) fn of(now: &'a State<InterfaceAlias>, wishes: &'a [Wish]) -> Self {
        let labels = wishes.iter().filter_map(|wish| Some((&*wish.interface, wish.label.as_ref()?)));
        let mut by_label: HashMap<_, _> = labels
            .map(|(interface, label)| ((interface, label.whole().as_ref()), Holders::default()))
            .collect();
        if by_label.is_empty() {
            return Self { now, by_label };
        }
        let wanted = wishes.iter().filter(|wish| wish.present);
        let wanted: HashSet<_> = wanted.filter_map(|wish| Some((&*wish.interface, wish.address?))).collect();
        for (alias, address) in addresses(now) {
            if let Some(label) = &address.set.label
                && let Some(holders) = by_label.get_mut(&(&*alias.interface, label.as_os_str()))
            {
                holders.all.push((alias, address));
                let is_listed = wanted.contains(&(&*alias.interface, alias.address));
                holders.unlisted.extend((!is_listed).then_some(alias));
            }
        }
        Self { now, by_label }
    }

    /// Returns the entries of a wish's interface from one address to another, both included.
    fn between(&self, wish: &Wish, first: IpAddr, last: IpAddr) -> impl Iterator<Item = Entry<'a>> {
        let alias = |address, prefix| Alias { interface: wish.interface.clone(), address, prefix };
        let bounds = Item::live(alias(first, None))..=Item::live(alias(last, Some(u8::MAX)));
        let entry = |(item, value): (&'a Item, &'a Value)| Some((item.alias()?, value.address()?));
        self.now.range(bounds).filter_map(entry)
    }

    fn at(&self, wish: &Wish, address: IpAddr) -> impl Iterator<Item = Entry<'a>> {
        self.between(wish, address, address)
    }

    fn under_label(&self, wish: &'a Wish) -> Option<&Holders<'a>> {
        let label = wish.label.as_ref().map_or("", Label::whole);
        self.by_label.get(&(&*wish.interface, OsStr::new(label)))
    }

    /// Returns the entries that a wish wants gone.
    pub(super) fn unwanted(&self, wish: &'a Wish) -> Result<Vec<&'a Alias>> {
        let under_label = || self.under_label(wish).map_or_else(Vec::new, |holders| holders.all.clone());
        let candidates = wish.address.map_or_else(under_label, |address| self.at(wish, address).collect());
        let matches = |(_, address): &Entry| {
            wish.prefix.is_none_or(|prefix| prefix == address.set.prefix)
                && (wish.label.is_none() || wish.is_labelled(address))
        };
        let found: Vec<Entry> = candidates.into_iter().filter(matches).collect();
        // What a run that was cut off left beside the address goes with it.
        if found.iter().filter(|(_, address)| !address.is_stand_in()).count() > 1 {
            return Err(Error::invalid(format!(
                "cannot tell which address of {} to remove: {} match; give address and prefix",
                wish.interface,
                listed(found.iter().map(|(alias, _)| *alias))
            )));
        }
        Ok(found.into_iter().map(|(alias, _)| alias).collect())
    }

    /// Returns the entries that stand in the way of a present alias and go: another address under its label, and the
    /// same address with another prefix length if it is ours or under its label.
    pub(super) fn displaced(&self, wish: &'a Wish, wanted: &Alias, purge: Purge) -> Result<Vec<&'a Alias>> {
        let same_address = || self.at(wish, wanted.address);
        let other_length = |(_, address): &Entry| Some(address.set.prefix) != wish.prefix;
        let foreign = |(_, address): &Entry| !address.is_ours() && !wish.is_labelled(address);
        if let Some((_, address)) = same_address().filter(other_length).find(foreign) {
            return Err(Error::invalid(format!(
                "cannot add {wanted}: {0} is there already as {0}/{1}, which we did not add; ask for its prefix length, or remove that one first if nothing needs it",
                wanted.address, address.set.prefix
            )));
        }
        let replaced = same_address().map(|(alias, _)| alias).filter(|alias| *alias != wanted);
        Ok(replaced.chain(self.label_holder(wish, wanted, purge)?).collect())
    }

    /// Returns the other address that holds the label which a wish wants, if one does that the task does not list.
    fn label_holder(&self, wish: &'a Wish, wanted: &Alias, purge: Purge) -> Result<Option<&'a Alias>> {
        let is_own = |(alias, address): Entry| alias == wanted && wish.is_labelled(address);
        let own = self.at(wish, wanted.address).any(is_own);
        match self.under_label(wish).map_or(&[][..], |holders| &holders.unlisted) {
            [] => Ok(None),
            [other] if !own => Ok(Some(other)),
            // What is to be purged is not in the way.
            _ if purge != Purge::None => Ok(None),
            others => Err(Error::invalid(format!(
                "cannot give {wanted} the label {}: {} hold it; remove all but one",
                wish.label.as_ref().map_or("", Label::whole),
                listed(others.iter().copied().chain(own.then_some(wanted)))
            ))),
        }
    }

    /// Returns what the person should know of a wish.
    pub(super) fn warnings(&self, wish: &'a Wish, plan: &Plan<InterfaceAlias>) -> Vec<String> {
        let change = |alias: &Alias| plan.get(&Item::live(alias.clone()));
        match (wish.present, wish.address, wish.prefix) {
            (true, Some(address), Some(prefix)) => {
                let alias = Alias::new(&wish.interface, address, prefix);
                let is_new = change(&alias).is_some_and(|change| change.before.is_none());
                if is_new {
                    self.consequences(wish, &alias, prefix).into_iter().collect()
                } else {
                    Vec::new()
                }
            }
            (false, Some(address), _) => {
                let Some(label) = &wish.label else { return Vec::new() };
                let stay = self.at(wish, address).filter(|(alias, _)| change(alias).is_none());
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
        let [first, last] = network(address, prefix).map(IpAddr::from);
        let is_first = || self.between(wish, first, last).all(|(_, other)| other.set.prefix != prefix);
        (prefix < 31 && wish.label.is_some() && is_first()).then(|| format!("{alias} is the first address of its prefix, so what this host sends there comes from it; give it prefix 32, or add the host's own address first"))
    }
}

impl Wish {
    /// Returns a warning if the wanted address is there, and will not stay.
    pub(super) fn expires(
        &self,
        found: &State<InterfaceAlias>,
        plan: &Plan<InterfaceAlias>,
    ) -> Option<String> {
        let item = Item::live(self.wanted()?);
        let after = plan.get(&item).map_or_else(|| found.get(&item), |change| change.after.as_ref());
        let expires = after.and_then(Value::address).is_some_and(|address| address.set.dynamic);
        expires.then(|| {
            format!("{item} has a lifetime that ends, as who added it wants it; with preferred_lft: forever it stays")
        })
    }

    fn is_labelled(&self, address: &Address) -> bool {
        self.label.as_ref().is_some_and(|label| address.is_labelled(label))
    }
}

/// Returns the first and the last address of a network, whose prefix length is 1 to 32.
fn network(address: Ipv4Addr, prefix: u8) -> [Ipv4Addr; 2] {
    let mask = u32::MAX << (32 - u32::from(prefix));
    [address.to_bits() & mask, address.to_bits() | !mask].map(Ipv4Addr::from)
}

//! An address as the files of the managers have it.

use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use crate::error::brief;
use crate::interface_alias::InterfaceAlias;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::{Addresses, Alias};
use crate::resource::Plan;

/// Returns an address as a file has it that says no more than the address and its prefix length.
pub(super) fn plain(interface: &Rc<str>, address: IpAddr, prefix: u8) -> (Alias, Address) {
    (Alias::new(interface, address, prefix), Address::new(interface, address, prefix))
}

/// Returns what a plan changes in `file`: each address, before and after.
pub(super) fn stored_changes<'a>(
    plan: &'a Plan<InterfaceAlias>,
    file: &'a Path,
) -> impl Iterator<Item = (&'a Alias, Option<&'a Address>, Option<&'a Address>)> {
    plan.iter().filter_map(move |(item, change)| {
        let [before, after] = [&change.before, &change.after].map(|value| value.as_ref()?.address());
        Some((item.stored_in(file)?, before, after))
    })
}

/// Returns `192.0.2.10/24`.
pub(super) fn words(alias: &Alias, address: &Address) -> String {
    format!("{}/{}", alias.address, address.set.prefix)
}

/// Returns addresses as a file of ours has them, or an error if it has one twice, which would be lost.
pub(super) fn each_once(
    found: impl Iterator<Item = Result<(Alias, Address), String>>,
) -> Result<Addresses, String> {
    let mut addresses = Addresses::new();
    for entry in found {
        let (alias, mut address) = entry?;
        address.status.place = addresses.len();
        let twice = format!("it has {} twice; remove one of them", words(&alias, &address));
        if addresses.insert(alias, address).is_some() {
            return Err(twice);
        }
    }
    Ok(addresses)
}

/// Returns addresses in the order in which a file has them.
pub(super) fn in_order(addresses: &Addresses) -> Vec<(&Alias, &Address)> {
    by_place(addresses.iter().collect())
}

fn by_place<'a>(mut all: Vec<(&'a Alias, &'a Address)>) -> Vec<(&'a Alias, &'a Address)> {
    all.sort_by_key(|(_, address)| address.status.place);
    all
}

/// Returns the addresses of a file with those that come: each where it was before it went, or behind all others as the task has them.
pub(super) fn joined(there: &Addresses, come: Vec<(&Alias, &Address)>) -> Addresses {
    let mut order = in_order(there);
    for entry in by_place(come) {
        order.insert(entry.1.status.place.min(order.len()), entry);
    }
    let mut all = Addresses::new();
    for (place, (alias, address)) in order.into_iter().enumerate() {
        let mut address = address.clone();
        address.status.place = place;
        all.insert(alias.clone(), address);
    }
    all
}

/// Returns the label of an address if it is another one than the interface's name, which an address has by itself.
pub(super) fn label(alias: &Alias, address: &Address) -> Option<String> {
    let label = address.set.label.as_ref()?.to_string_lossy().into_owned();
    (*label != *alias.interface).then_some(label)
}

/// Returns the first option that was given for an address and that is not among those which a manager keeps.
pub(super) fn not_kept(alias: &Alias, address: &Address, kept: &[&str]) -> Option<String> {
    let usual = Address::new(&alias.interface, alias.address, address.set.prefix).set;
    let set = &address.set;
    let options = [
        ("label", set.label != usual.label),
        ("broadcast", set.broadcast != usual.broadcast),
        ("scope", set.scope != usual.scope),
        ("peer", set.peer != usual.peer),
        ("metric", set.metric != usual.metric),
        ("preferred_lft", set.deprecated != usual.deprecated),
        ("noprefixroute", set.noprefixroute != usual.noprefixroute),
        ("nodad", set.nodad != usual.nodad),
    ];
    let lost = options.iter().find(|(option, is_given)| *is_given && !kept.contains(option));
    lost.map(|(option, _)| format!("it keeps no {option}; leave that out, or leave persist out"))
}

/// Returns why a file of ours with such a line cannot be used.
pub(super) fn not_ours(line: &str) -> String {
    format!("we did not write its line {:?}; move that to another file", brief(line))
}

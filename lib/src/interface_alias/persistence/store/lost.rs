//! What a manager has lost of an address in a boot.

use super::{Store, stored};
use crate::interface_alias::InterfaceAlias;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::{Alias, Item, Value};
use crate::interface_alias::wish::Wish;
use crate::resource::State;

impl Store {
    /// Returns the addresses that are to go by their label, and that the kernel has without it, as a manager has lost it in a boot.
    pub(in crate::interface_alias) fn unlabelled(
        &self,
        now: &State<InterfaceAlias>,
        wishes: &[Wish],
    ) -> Vec<Alias> {
        let is_to_go = |(alias, address): &(&Alias, &Address)| {
            let by_label =
                wishes.iter().filter(|wish| wish.label.is_some() && wish.interface == alias.interface);
            by_label.into_iter().any(|wish| wish.rejects(alias, address))
        };
        let is_plain = |(alias, _): &(&Alias, &Address)| {
            let live = now.get(&Item::live((*alias).clone())).and_then(Value::address);
            live.and_then(|live| live.set.label.as_ref()).is_some_and(|label| **label == *alias.interface)
        };
        stored(now, &self.file).filter(is_to_go).filter(is_plain).map(|(alias, _)| alias.clone()).collect()
    }
}

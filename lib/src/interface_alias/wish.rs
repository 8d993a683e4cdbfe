//! What a task wants of one address.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use super::address::{self, Address, FOREVER};
use super::item::Alias;
use super::label::Label;
use crate::{Error, Result};

/// One alias that should be there or not.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The interface, as the task names it until it was looked up, and then by its own name.
    pub(super) interface: Rc<str>,
    pub(super) label: Option<Label>,
    /// None only when the label alone says what is to go.
    pub(super) address: Option<IpAddr>,
    /// None only when an address is to go whatever its prefix.
    pub(super) prefix: Option<u8>,
    pub(super) present: bool,
    /// Whether the interface is brought up.
    pub(super) link_up: bool,
    pub(super) asked: Asked,
}

/// The attributes that the task names; the others are not compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) broadcast: Option<Broadcast>,
    pub(super) scope: Option<u8>,
    pub(super) peer: Option<IpAddr>,
    pub(super) metric: Option<u32>,
    pub(super) noprefixroute: Option<bool>,
    pub(super) nodad: Option<bool>,
    pub(super) deprecated: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Broadcast {
    Auto,
    None,
    Address(Ipv4Addr),
}

impl Wish {
    /// Returns the same wish if it says enough.
    pub(super) fn complete(self, has_length: bool) -> Result<Self> {
        let interface = &self.interface;
        match (self.address, &self.label) {
            (Some(address @ IpAddr::V6(_)), Some(label)) => Err(Error::invalid(format!(
                "cannot use label {label} for {address}: IPv6 addresses have no labels; leave it out"
            ))),
            (Some(address), _) if self.present && self.prefix.is_none() => {
                let ways = if address.is_ipv4() { "netmask, prefix or" } else { "prefix or" };
                let usual = if address.is_ipv4() { 24 } else { 64 };
                Err(Error::invalid(format!(
                    "cannot add {address} to {interface}: its prefix length is missing; give {ways} {address}/{usual}"
                )))
            }
            (None, _) if self.present => Err(Error::invalid(format!(
                "cannot add an address to {interface}: option address is missing; give it"
            ))),
            (None, _) if has_length => {
                Err(Error::invalid("cannot use netmask or prefix without address: give the address too"))
            }
            (None, None) => Err(Error::invalid(format!(
                "cannot tell which address of {interface} to remove: give address, or a label as in name: {interface}:1"
            ))),
            _ => Ok(self),
        }
    }

    /// Returns the address that should be there, if one should.
    pub(super) fn wanted(&self) -> Option<Alias> {
        let alias = Alias::new(&self.interface, self.address?, self.prefix?);
        self.present.then_some(alias)
    }

    /// Returns whether an address of the same interface is to go.
    pub(super) fn rejects(&self, alias: &Alias, address: &Address) -> bool {
        !self.present
            && self.address.is_none_or(|unwanted| unwanted == alias.address)
            && self.prefix.is_none_or(|prefix| prefix == address.set.prefix)
            && self.label.as_ref().is_none_or(|label| address.is_labelled(label))
    }

    /// Returns the same wish for the interface whose own name is `interface`.
    pub(super) fn on(&self, interface: &Rc<str>) -> Result<Self> {
        let label = self.label.as_ref().map(|label| label.on(interface)).transpose()?;
        Ok(Self { interface: interface.clone(), label, ..self.clone() })
    }

    /// Returns `present`, or a new address if there is none, with the attributes that the task names; nothing if no address
    /// should be there.
    pub(super) fn applied(&self, present: Option<&Address>) -> Option<Address> {
        let (address, prefix) = (self.address?, self.prefix?);
        let mut wanted = present.cloned().unwrap_or_else(|| Address::new(&self.interface, address, prefix));
        let (set, asked) = (&mut wanted.set, &self.asked);
        set.prefix = prefix;
        if let Some(label) = &self.label {
            set.label = Some(label.whole().into());
        }
        match asked.broadcast {
            None => {}
            Some(Broadcast::Auto) => set.broadcast = address::broadcast(address, prefix),
            Some(Broadcast::None) => set.broadcast = None,
            Some(Broadcast::Address(broadcast)) => set.broadcast = Some(broadcast),
        }
        set.scope = asked.scope.unwrap_or(set.scope);
        set.peer = asked.peer.or(set.peer).filter(|peer| *peer != address);
        set.metric = asked.metric.or(set.metric).filter(|metric| *metric != 0);
        set.noprefixroute = asked.noprefixroute.unwrap_or(set.noprefixroute);
        set.nodad = asked.nodad.unwrap_or(set.nodad);
        // Detection is tried anew, as another host may have given the address up.
        set.dadfailed = false;
        if let Some(deprecated) = asked.deprecated {
            (set.deprecated, set.dynamic) = (deprecated, false);
            wanted.status.preferred = if deprecated { 0 } else { FOREVER };
            wanted.status.valid = FOREVER;
        }
        Some(wanted)
    }
}

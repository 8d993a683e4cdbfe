//! The interface alias: a second address of an interface, with a label, as `ifconfig eth0:1 192.0.2.10 netmask
//! 255.255.255.0` or `ip address add 192.0.2.10/24 dev eth0 label eth0:1` makes one.
//!
//! The state is all addresses of the interface, so that a diff shows them and a label is known to be free; only
//! what the task names is ever planned.

mod address;
mod kernel;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use address::{Address, Attributes, Status};

use crate::ansible::{Number, Text};
use crate::file::Lock;
use crate::resource::{Change, Mode, Plan, Resource, State};
use crate::{Error, Result};
use address::{Cidr, Label};
use kernel::Kernel;

/// One address of an interface and what a task wants of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Arguments")]
pub struct InterfaceAlias {
    interface: String,
    label: Option<Label>,
    /// None only when the label alone says what is to go.
    address: Option<IpAddr>,
    /// None only when an address is to go whatever its prefix.
    prefix: Option<u8>,
    present: bool,
}

/// The options of the task.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    name: Text,
    #[serde(alias = "ip")]
    address: Option<Text>,
    netmask: Option<Text>,
    prefix: Option<Number>,
    label: Option<Text>,
    state: Option<Presence>,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Presence {
    #[default]
    Present,
    Absent,
}

/// An address of an interface; in IPv4 one address with two prefix lengths is two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Item {
    /// The interface's name.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// The prefix length that tells IPv4 addresses apart; none for IPv6, where it is an attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
}

impl TryFrom<Arguments> for InterfaceAlias {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        let (interface, suffix) = address::interface(&arguments.name.0)?;
        let label = Label::of(&interface, suffix, arguments.label.as_ref().map(|label| label.0.as_str()))?;
        let present = arguments.state.unwrap_or_default() == Presence::Present;
        let length = address::prefix(
            arguments.netmask.as_ref().map(|netmask| netmask.0.as_str()),
            arguments.prefix.map(|prefix| prefix.0),
        )?;
        let cidr = arguments
            .address
            .map(|address| Cidr::parse(&address.0, length, interface == "lo" && present))
            .transpose()?;
        let alias = Self {
            interface,
            label,
            address: cidr.as_ref().map(|cidr| cidr.address),
            prefix: cidr.and_then(|cidr| cidr.prefix),
            present,
        };
        alias.complete(length.is_some())
    }
}

impl InterfaceAlias {
    /// Returns the same task if it says enough.
    fn complete(self, has_length: bool) -> Result<Self> {
        match (self.address, &self.label) {
            (Some(address @ IpAddr::V6(_)), Some(label)) => Err(Error::invalid(format!(
                "cannot use label {label} for {address}: IPv6 addresses have no labels; leave it out"
            ))),
            (Some(address), _) if self.present && self.prefix.is_none() => Err(Error::invalid(format!(
                "cannot add {address} to {}: its prefix length is missing; give netmask, prefix or {address}/24",
                self.interface
            ))),
            (None, _) if self.present => Err(Error::invalid(format!(
                "cannot add an address to {}: option address is missing; give it",
                self.interface
            ))),
            (None, _) if has_length => {
                Err(Error::invalid("cannot use netmask or prefix without address: give the address too"))
            }
            (None, None) => Err(Error::invalid(format!(
                "cannot tell which address of {} to remove: give address, or a label as in name: {}:1",
                self.interface, self.interface
            ))),
            _ => Ok(self),
        }
    }

    /// Returns the entry that a present alias has.
    fn item(&self, address: IpAddr, prefix: u8) -> Item {
        Item { interface: self.interface.clone(), address, prefix: address.is_ipv4().then_some(prefix) }
    }

    /// Returns the entries that the task wants gone.
    fn unwanted(&self, now: &State<Self>) -> Result<Vec<Item>> {
        let matches = |(item, address): &(&Item, &Address)| {
            self.address.is_none_or(|wanted| wanted == item.address)
                && self.prefix.is_none_or(|prefix| prefix == address.set.prefix)
                && self.label.as_ref().is_none_or(|label| address.is_labelled(label))
        };
        let found: Vec<Item> = now.iter().filter(matches).map(|(item, _)| item.clone()).collect();
        if found.len() > 1 {
            return Err(Error::invalid(format!(
                "cannot tell which address of {} to remove: {} match; give address and prefix",
                self.interface,
                listed(found.iter())
            )));
        }
        Ok(found)
    }

    /// Returns the entries that stand in the way of a present alias and go: another address under its label, and
    /// the same address with another prefix length under its label.
    fn displaced(&self, now: &State<Self>, wanted: &Item) -> Result<Vec<Item>> {
        let others = || now.iter().filter(|(item, _)| *item != wanted);
        let ours = |address: &Address| self.label.as_ref().is_some_and(|label| address.is_labelled(label));
        if let Some((item, _)) =
            others().find(|(item, address)| item.address == wanted.address && !ours(address))
        {
            return Err(Error::invalid(format!(
                "cannot add {wanted}: {} is there already as {item}; remove that first, or ask for its prefix length",
                wanted.address
            )));
        }
        let held: Vec<Item> =
            others().filter(|(_, address)| ours(address)).map(|(item, _)| item.clone()).collect();
        if held.len() > 1 {
            return Err(Error::invalid(format!(
                "cannot give {wanted} the label {}: {} hold it; remove all but one",
                self.label.as_ref().map_or("", Label::text),
                listed(held.iter())
            )));
        }
        Ok(held)
    }

    /// Returns the state with the alias in it.
    fn with_alias(&self, now: &State<Self>, address: IpAddr, prefix: u8) -> Result<State<Self>> {
        let item = self.item(address, prefix);
        let mut then = now.clone();
        for other in self.displaced(now, &item)? {
            then.remove(&other);
        }
        let new = || Address::new(&self.interface, address, prefix);
        let entry = then.entry(item.clone()).or_insert_with(new);
        if entry.set.prefix != prefix {
            return Err(Error::invalid(format!(
                "cannot add {address}/{prefix}: {address} is there already as {address}/{}; remove that first, or ask for its prefix length",
                entry.set.prefix
            )));
        }
        if let Some(label) = &self.label {
            entry.set.label = Some(label.text().into());
        }
        Ok(then)
    }

    fn missing(&self) -> Error {
        Error::invalid(format!(
            "cannot find the interface {}: there is none of that name; check the name with `ip link`",
            self.interface
        ))
    }
}

impl Resource for InterfaceAlias {
    type Item = Item;
    type Value = Address;

    /// Two runs in one network namespace take turns.
    fn enter(&self, mode: Mode) -> Result<Option<Lock>> {
        match mode {
            Mode::Check => Ok(None),
            Mode::Apply => Lock::on("/proc/thread-self/ns/net".as_ref()).map(Some),
        }
    }

    fn observe(&self) -> Result<State<Self>> {
        let kernel = Kernel::connect()?;
        match kernel.link(&self.interface)? {
            Some(link) => kernel.addresses(&link),
            None if self.present => Err(self.missing()),
            None => Ok(State::<Self>::new()),
        }
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        if let (true, Some(address), Some(prefix)) = (self.present, self.address, self.prefix) {
            return self.with_alias(now, address, prefix);
        }
        let mut then = now.clone();
        for item in self.unwanted(now)? {
            then.remove(&item);
        }
        Ok(then)
    }

    /// What is new comes first, so that what it replaces is never missed; secondaries go before their primary.
    fn write(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let kernel = Kernel::connect()?;
        let Some(link) = kernel.link(&self.interface)? else {
            return Err(self.missing());
        };
        for (item, change) in plan.iter() {
            match change {
                Change { before: None, after: Some(address) } => kernel.add(&link, item, address)?,
                Change { before: Some(old), after: Some(new) } => kernel.mend(&link, now, item, old, new)?,
                _ => {}
            }
        }
        let mut gone: Vec<_> = plan
            .iter()
            .filter(|(_, change)| change.after.is_none())
            .filter_map(|(item, change)| Some((item, change.before.as_ref()?)))
            .collect();
        gone.sort_by_key(|(_, address)| !address.status.secondary);
        gone.iter().try_for_each(|(item, address)| kernel.remove(&link, now, item, address))
    }

    fn show(&self, item: &Item, address: &Address) -> (String, String) {
        (item.interface.clone(), format!("{}{address}", item.address))
    }

    fn review(&self, found: &State<Self>, plan: &Plan<Self>) -> Result<Vec<String>> {
        let (Some(label), Some(wanted), false) = (&self.label, self.address, self.present) else {
            return Ok(Vec::new());
        };
        Ok(found
            .iter()
            .filter(|(item, _)| item.address == wanted && plan.get(item).is_none())
            .map(|(item, _)| format!("{item} is there, but not under the label {label}, so it stays"))
            .collect())
    }
}

/// As ip(8) names it: with the interface.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(prefix) = self.prefix {
            write!(f, "/{prefix}")?;
        }
        write!(f, " on {}", self.interface)
    }
}

fn listed<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    items.map(Item::to_string).collect::<Vec<_>>().join(" and ")
}

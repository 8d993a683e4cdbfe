//! What a task about aliases may change, and what it holds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use serde::Serialize;

use super::InterfaceAlias;
use super::address::Address;
use crate::netlink::Operation;
use crate::resource::State;

/// What a task about aliases may change: in the kernel, or in a file that a boot reads.
pub type Item = crate::resource::Item<Key>;

/// What can differ: whether an interface is up, or an address of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Key {
    /// The interface itself.
    Link {
        /// Its name.
        interface: Rc<str>,
    },
    /// An address of the interface.
    Address(Alias),
}

/// What tells an address of an interface from all others; in IPv4 one address with two prefix lengths is two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Alias {
    /// The interface's name.
    pub interface: Rc<str>,
    /// The address.
    pub address: IpAddr,
    /// The prefix length that tells IPv4 addresses apart; none for IPv6, where it is an attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
}

/// What an [`Item`] holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Whether an interface is up.
    Link(Operation),
    /// What the kernel knows of an address.
    Address(Address),
}

/// The addresses of interfaces.
pub(super) type Addresses = BTreeMap<Alias, Address>;

impl Item {
    /// Returns the entry of an interface in the kernel.
    pub(super) fn link(interface: &Rc<str>) -> Self {
        Self::kernel(Key::Link { interface: interface.clone() })
    }

    /// Returns the entry of an address in the kernel.
    pub(super) fn live(alias: Alias) -> Self {
        Self::kernel(Key::Address(alias))
    }

    /// Returns the name of the interface that it is about.
    pub fn interface(&self) -> &str {
        match &self.key {
            Key::Link { interface } | Key::Address(Alias { interface, .. }) => interface,
        }
    }

    /// Returns the address of the interface that it is about, if it is one.
    pub fn alias(&self) -> Option<&Alias> {
        self.any_alias().filter(|_| self.is_live())
    }

    /// Returns the address that it is about, of the interface or in a file.
    pub(super) fn any_alias(&self) -> Option<&Alias> {
        match &self.key {
            Key::Address(alias) => Some(alias),
            Key::Link { .. } => None,
        }
    }

    /// Returns the address in `path` that it is about, if it is one.
    pub(super) fn stored_in(&self, path: &Path) -> Option<&Alias> {
        self.any_alias().filter(|_| self.is_in(path))
    }
}

impl Alias {
    /// Returns what tells `address` with `prefix` from the other addresses of `interface`.
    pub(super) fn new(interface: &Rc<str>, address: IpAddr, prefix: u8) -> Self {
        Self { interface: interface.clone(), address, prefix: address.is_ipv4().then_some(prefix) }
    }
}

impl Value {
    /// Returns what is known of an address, if it is one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Address(address) => Some(address),
            Self::Link(_) => None,
        }
    }
}

/// Returns those addresses, each by what tells it from others. Each place that collects into a map brings a sort of its own along, so
/// it is one place for the thousands that a task may have.
pub(super) fn by_alias(addresses: Vec<(Alias, Address)>) -> Addresses {
    addresses.into_iter().collect()
}

/// Returns the addresses of interfaces among the entries of a state.
pub(super) fn addresses(
    state: &State<InterfaceAlias>,
) -> impl DoubleEndedIterator<Item = (&Alias, &Address)> {
    state.iter().filter_map(|(item, value)| Some((item.alias()?, value.address()?)))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link { interface } => write!(f, "the interface {interface}"),
            Self::Address(alias) => alias.fmt(f),
        }
    }
}

/// As ip(8) names it: with the interface.
impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(prefix) = self.prefix {
            write!(f, "/{prefix}")?;
        }
        write!(f, " on {}", self.interface)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(Operation::Up) => f.write_str("up"),
            Self::Link(Operation::Down) => f.write_str("down"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

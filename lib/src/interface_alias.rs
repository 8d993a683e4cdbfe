//! The interface alias: a second address of an interface, with a label, as `ifconfig eth0:1 192.0.2.10 netmask
//! 255.255.255.0` or `ip address add 192.0.2.10/24 dev eth0 label eth0:1` makes one.
//!
//! The state is all addresses of the interfaces, so that a diff shows them and a label is known to be free; only
//! what the task names, or tells to purge, is ever planned.

mod address;
mod cidr;
mod keepalived;
mod kernel;
mod label;
mod options;
mod purge;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use address::{Address, Attributes, Status};

use crate::file::Lock;
use crate::resource::{Change, Mode, Plan, Resource, State};
use crate::{Error, Result};
use kernel::{Kernel, Link};
use options::{Options, Purge, Wish};

/// Addresses of interfaces and what a task wants of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct InterfaceAlias {
    options: Options,
    /// Where /etc is; a test has its own.
    root: PathBuf,
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

impl TryFrom<options::Arguments> for InterfaceAlias {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        Ok(Self { options: arguments.try_into()?, root: PathBuf::from("/") })
    }
}

impl Item {
    fn new(interface: &str, address: IpAddr, prefix: u8) -> Self {
        Self { interface: interface.to_owned(), address, prefix: address.is_ipv4().then_some(prefix) }
    }
}

impl InterfaceAlias {
    /// Returns the same resource on a host whose root directory is `root`, for tests.
    #[must_use]
    pub fn under(mut self, root: &Path) -> Self {
        self.root = root.to_owned();
        self
    }

    fn interfaces(&self) -> BTreeSet<&str> {
        self.options.wishes.iter().map(|wish| wish.interface.as_str()).collect()
    }

    /// Returns whether something is wanted on `interface`, which then must be there.
    fn needs(&self, interface: &str) -> bool {
        self.options.wishes.iter().any(|wish| wish.present && wish.interface == interface)
    }

    /// Waits until all interfaces that are needed are there, at most as long as the task says.
    fn wait(&self, kernel: &Kernel) -> Result<()> {
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
        let end = std::time::Instant::now() + self.options.wait;
        for interface in self.interfaces() {
            while self.needs(interface)
                && kernel.link(interface)?.is_none()
                && std::time::Instant::now() < end
            {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Returns the interfaces of the task that are there.
    fn links(&self, kernel: &Kernel) -> Result<BTreeMap<String, Link>> {
        let mut links = BTreeMap::new();
        for interface in self.interfaces() {
            match kernel.link(interface)? {
                Some(link) => {
                    links.insert(interface.to_owned(), link);
                }
                None if self.needs(interface) && self.options.wait.is_zero() => {
                    return Err(missing(interface));
                }
                None => {}
            }
        }
        Ok(links)
    }

    /// Writes the planned entries of one interface: what is new comes first, so that what it replaces is never missed.
    fn write_link(&self, kernel: &Kernel, link: &Link, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let planned = || plan.iter().filter(|(item, _)| item.interface == link.name);
        for (item, change) in planned() {
            match change {
                Change { before: None, after: Some(address) } => kernel.add(link, item, address)?,
                Change { before: Some(old), after: Some(new) } => kernel.mend(link, now, item, old, new)?,
                _ => {}
            }
        }
        let gone = planned().filter(|(_, change)| change.after.is_none());
        let mut gone: Vec<_> =
            gone.filter_map(|(item, change)| Some((item, change.before.as_ref()?))).collect();
        // Secondaries before their primary: the other way round the kernel promotes one after the other, which takes minutes.
        gone.sort_by_key(|(_, address)| !address.status.secondary);
        let stays = |item: &Item| plan.get(item).is_none_or(|change| change.after.is_some());
        let promote = now
            .iter()
            .any(|(item, address)| item.interface == link.name && address.status.secondary && stays(item));
        kernel.remove_all(link, promote, &gone)?;
        let added = planned().filter(|(_, change)| change.after.is_some()).map(|(item, _)| item);
        kernel.settle(link, &added.collect())
    }

    /// Returns an error if keepalived would take an address away again that is to be added.
    fn leave_to_keepalived(&self, plan: &Plan<Self>) -> Result<()> {
        let path = self.root.join("etc/keepalived/keepalived.conf");
        let added: Vec<&Item> =
            plan.iter().filter(|(_, change)| change.before.is_none()).map(|(item, _)| item).collect();
        if added.is_empty() {
            return Ok(());
        }
        let theirs = keepalived::addresses(&path)?;
        match added.iter().find(|item| theirs.contains(&item.address)) {
            None => Ok(()),
            Some(item) => Err(Error::invalid(format!(
                "cannot add {item}: keepalived on this host owns {}, as {} lists it, and would take it away; leave it to keepalived",
                item.address,
                path.display()
            ))),
        }
    }
}

impl Resource for InterfaceAlias {
    type Item = Item;
    type Value = Address;

    /// Two runs in one network namespace take turns, as both may switch promote_secondaries.
    fn enter(&self, mode: Mode) -> Result<Option<Lock>> {
        if let Some(namespace) = &self.options.netns {
            namespace.enter(&self.root)?;
        }
        if mode == Mode::Check {
            return Ok(None);
        }
        if !self.options.wait.is_zero() {
            self.wait(&Kernel::connect()?)?;
        }
        Lock::on(Path::new("/proc/thread-self/ns/net")).map(Some)
    }

    fn observe(&self) -> Result<State<Self>> {
        let kernel = Kernel::connect()?;
        let mut state = State::<Self>::new();
        for link in self.links(&kernel)?.values() {
            state.extend(kernel.addresses(link)?);
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        let mut wanted = BTreeSet::new();
        for wish in &self.options.wishes {
            match (wish.present, wish.address, wish.prefix) {
                (true, Some(address), Some(prefix)) => {
                    let item = Item::new(&wish.interface, address, prefix);
                    for other in wish.displaced(now, &item, self.options.purge, &self.options.wishes)? {
                        then.remove(&other);
                    }
                    then.insert(item.clone(), wish.applied(now.get(&item), address, prefix));
                    wanted.insert(item);
                }
                _ => {
                    for item in wish.unwanted(now)? {
                        then.remove(&item);
                    }
                }
            }
        }
        purge::purge(&self.options, now, &wanted, &mut then)?;
        Ok(then)
    }

    fn write(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let kernel = Kernel::connect()?;
        let links = self.links(&kernel)?;
        let items: BTreeSet<&str> = plan.items().map(|item| item.interface.as_str()).collect();
        for interface in items {
            match links.get(interface) {
                Some(link) => self.write_link(&kernel, link, now, plan)?,
                None if self.needs(interface) => return Err(missing(interface)),
                // What was to be removed went with its interface.
                None => {}
            }
        }
        Ok(())
    }

    fn show(&self, item: &Item, address: &Address) -> (String, String) {
        (item.interface.clone(), format!("{}{address}", item.address))
    }

    fn review(&self, found: &State<Self>, plan: &Plan<Self>) -> Result<Vec<String>> {
        self.leave_to_keepalived(plan)?;
        let mut warnings = Vec::new();
        if !self.options.wait.is_zero() {
            let links = self.links(&Kernel::connect()?)?;
            let absent =
                self.interfaces().into_iter().filter(|name| self.needs(name) && !links.contains_key(*name));
            warnings.extend(absent.map(|name| {
                format!("the interface {name} is not there yet, so what it will hold is not known")
            }));
        }
        for wish in &self.options.wishes {
            warnings.extend(wish.warnings(found, plan));
        }
        Ok(warnings)
    }

    fn finish(&self, plan: &Plan<Self>) -> Vec<String> {
        let tentative = |now: State<Self>| {
            let items = now
                .into_iter()
                .filter(|(item, address)| address.status.tentative && plan.get(item).is_some());
            items.map(|(item, _)| item.to_string()).collect::<Vec<_>>()
        };
        // A failure to look changes nothing that was done and verified.
        let left = self.observe().map(tentative).unwrap_or_default();
        let warn = |item| {
            format!(
                "{item} cannot be used before its interface has a carrier: whether another host has it is not known yet"
            )
        };
        left.into_iter().map(warn).collect()
    }
}

impl Wish {
    fn is_labelled(&self, address: &Address) -> bool {
        self.label.as_ref().is_some_and(|label| address.is_labelled(label))
    }

    /// Returns the entries that the wish wants gone.
    fn unwanted(&self, now: &State<InterfaceAlias>) -> Result<Vec<Item>> {
        let matches = |(item, address): &(&Item, &Address)| {
            item.interface == self.interface
                && self.address.is_none_or(|wanted| wanted == item.address)
                && self.prefix.is_none_or(|prefix| prefix == address.set.prefix)
                && (self.label.is_none() || self.is_labelled(address))
        };
        let found: Vec<Item> = now.iter().filter(matches).map(|(item, _)| item.clone()).collect();
        // What a run that was cut off left beside the address goes with it.
        let proper = now.iter().filter(matches).filter(|(_, address)| !address.is_stand_in()).count();
        if found.len() > 1 && proper > 1 {
            return Err(Error::invalid(format!(
                "cannot tell which address of {} to remove: {} match; give address and prefix",
                self.interface,
                listed(&found)
            )));
        }
        Ok(found)
    }

    /// Returns the entries that stand in the way of a present alias and go: another address under its label, and the
    /// same address with another prefix length if it is ours or under its label.
    fn displaced(
        &self,
        now: &State<InterfaceAlias>,
        wanted: &Item,
        purge: Purge,
        all: &[Wish],
    ) -> Result<Vec<Item>> {
        let others = || now.iter().filter(|(item, _)| *item != wanted && item.interface == self.interface);
        // IPv6 has one prefix length for an address, which then is not another entry.
        let same = now.get(wanted).filter(|address| Some(address.set.prefix) != self.prefix);
        let clash = others().find(|(item, address)| {
            item.address == wanted.address && !address.is_ours() && !self.is_labelled(address)
        });
        if let Some(address) = clash.map(|(_, address)| address).or(same.filter(|address| !address.is_ours()))
        {
            return Err(Error::invalid(format!(
                "cannot add {wanted}: {0} is there already as {0}/{1}, which we did not add; remove that first, or ask for its prefix length",
                wanted.address, address.set.prefix
            )));
        }
        let listed_too = |item: &Item| {
            all.iter().any(|wish| {
                wish.present && wish.interface == item.interface && wish.address == Some(item.address)
            })
        };
        let held: Vec<Item> = others()
            .filter(|(item, address)| self.is_labelled(address) && !listed_too(item))
            .map(|(item, _)| item.clone())
            .collect();
        if held.len() > 1 && purge == Purge::None {
            return Err(Error::invalid(format!(
                "cannot give {wanted} the label {}: {} hold it; remove all but one",
                self.label.as_ref().map_or("", label::Label::text),
                listed(&held)
            )));
        }
        let same_address =
            others().filter(|(item, _)| item.address == wanted.address).map(|(item, _)| item.clone());
        Ok(same_address.chain(held).collect())
    }

    /// Returns what the person should know of this wish.
    fn warnings(&self, found: &State<InterfaceAlias>, plan: &Plan<InterfaceAlias>) -> Vec<String> {
        match (self.present, self.address, self.prefix) {
            (true, Some(address), Some(prefix)) => {
                let item = Item::new(&self.interface, address, prefix);
                let is_new = plan.get(&item).is_some_and(|change| change.before.is_none());
                self.consequences(&item, prefix, found).into_iter().filter(|_| is_new).collect()
            }
            (false, Some(wanted), _) => {
                let stays = |item: &&Item| {
                    item.interface == self.interface && item.address == wanted && plan.get(item).is_none()
                };
                let label = self.label.as_ref().map_or("", label::Label::text);
                let warn = |item| format!("{item} is there, but not under the label {label}, so it stays");
                found.keys().filter(stays).filter(|_| !label.is_empty()).map(warn).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns what a new address brings that its person may not want.
    fn consequences(&self, item: &Item, prefix: u8, found: &State<InterfaceAlias>) -> Option<String> {
        let IpAddr::V4(address) = item.address else { return None };
        if self.interface == "lo" {
            let warn = || {
                format!(
                    "{item} makes all of its prefix local to this host; an address on lo usually has prefix 32"
                )
            };
            return (prefix < 32 && !address.is_loopback()).then(warn);
        }
        let network = |ip: std::net::Ipv4Addr| ip.to_bits() & (u32::MAX << (32 - prefix));
        let shares = |other: &Item| matches!(other.address, IpAddr::V4(ip) if other.interface == self.interface && other.prefix == Some(prefix) && network(ip) == network(address));
        let first = prefix < 31 && self.label.is_some() && !found.keys().any(shares);
        first.then(|| format!("{item} is the first address of its prefix, so what this host sends there comes from it; give it prefix 32, or add the host's own address first"))
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

fn listed(items: &[Item]) -> String {
    items.iter().map(Item::to_string).collect::<Vec<_>>().join(" and ")
}

fn missing(interface: &str) -> Error {
    Error::invalid(format!(
        "cannot find the interface {interface}: there is none of that name; check the name with `ip link`"
    ))
}

//! The interface alias: a second address of an interface, with a label, as `ifconfig eth0:1 192.0.2.10 netmask
//! 255.255.255.0` or `ip address add 192.0.2.10/24 dev eth0 label eth0:1` makes one.
//!
//! The state is all addresses of the interfaces, so that a diff shows them and a label is known to be free; only
//! what the task names, or tells to purge, is ever planned.

mod address;
mod announcement;
mod cidr;
mod index;
mod keepalived;
mod kernel;
mod label;
mod options;
mod purge;
mod wire;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use address::{Address, Attributes, Status};

use crate::file::Lock;
use crate::resource::{Change, Mode, Plan, Resource, State};
use crate::{Error, Result};
use index::Index;
use kernel::{Kernel, Link};
use options::Options;

/// Addresses of interfaces and what a task wants of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct InterfaceAlias {
    options: Options,
    /// Where /etc is; a test has its own.
    root: PathBuf,
    /// The connection to the kernel, made in the network namespace of the task.
    kernel: OnceCell<Kernel>,
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
        Ok(Self { options: arguments.try_into()?, root: PathBuf::from("/"), kernel: OnceCell::new() })
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

    fn kernel(&self) -> Result<&Kernel> {
        if let Some(kernel) = self.kernel.get() {
            return Ok(kernel);
        }
        let kernel = Kernel::connect()?;
        Ok(self.kernel.get_or_init(|| kernel))
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
        let added = added(plan);
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
            self.wait(self.kernel()?)?;
        }
        Lock::on(Path::new("/proc/thread-self/ns/net")).map(Some)
    }

    fn observe(&self) -> Result<State<Self>> {
        let kernel = self.kernel()?;
        let mut state = State::<Self>::new();
        for link in self.links(kernel)?.values() {
            state.extend(kernel.addresses(link)?);
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let index = Index::of(now, &self.options.wishes);
        let mut then = now.clone();
        let mut wanted = BTreeSet::new();
        for wish in &self.options.wishes {
            match (wish.present, wish.address, wish.prefix) {
                (true, Some(address), Some(prefix)) => {
                    let item = Item::new(&wish.interface, address, prefix);
                    for other in index.displaced(wish, &item, self.options.purge)? {
                        then.remove(other);
                    }
                    then.insert(item.clone(), wish.applied(now.get(&item), address, prefix));
                    wanted.insert(item);
                }
                _ => {
                    for item in index.unwanted(wish)? {
                        then.remove(item);
                    }
                }
            }
        }
        purge::purge(&self.options, now, &wanted, &mut then)?;
        Ok(then)
    }

    fn write(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let kernel = self.kernel()?;
        let links = self.links(kernel)?;
        let items: BTreeSet<&str> = plan.items().map(|item| item.interface.as_str()).collect();
        for interface in items {
            match links.get(interface) {
                Some(link) => self.write_link(kernel, link, now, plan)?,
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
            let links = self.links(self.kernel()?)?;
            let absent =
                self.interfaces().into_iter().filter(|name| self.needs(name) && !links.contains_key(*name));
            warnings.extend(absent.map(|name| {
                format!("the interface {name} is not there yet, so what it will hold is not known")
            }));
        }
        let index = Index::of(found, &self.options.wishes);
        for wish in &self.options.wishes {
            warnings.extend(index.warnings(wish, plan));
        }
        Ok(warnings)
    }

    fn permit(&self, plan: &Plan<Self>) -> Result<()> {
        if self.options.check_conflict { announcement::probe(&added(plan)) } else { Ok(()) }
    }

    fn finish(&self, plan: &Plan<Self>) -> Vec<String> {
        let announced = self.options.announce.map(|how| announcement::announce(&added(plan), how));
        let mut warnings = announced.unwrap_or_default();
        if plan.items().all(|item| item.address.is_ipv4()) {
            return warnings;
        }
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
        warnings.extend(left.into_iter().map(warn));
        warnings
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

/// Returns the addresses that a plan adds.
fn added(plan: &Plan<InterfaceAlias>) -> Vec<&Item> {
    plan.iter().filter(|(_, change)| change.before.is_none()).map(|(item, _)| item).collect()
}

fn listed<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    items.map(Item::to_string).collect::<Vec<_>>().join(" and ")
}

fn missing(interface: &str) -> Error {
    Error::invalid(format!(
        "cannot find the interface {interface}: there is none of that name; check the name with `ip link`"
    ))
}

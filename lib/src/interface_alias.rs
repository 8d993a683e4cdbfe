//! The interface alias: a second address of an interface, with a label, as `ifconfig eth0:1 192.0.2.10 netmask
//! 255.255.255.0` or `ip address add 192.0.2.10/24 dev eth0 label eth0:1` makes one.
//!
//! The state is all addresses of the interfaces, so that a diff shows them and a label is known to be free; only
//! what the task names, or tells to purge, is ever planned.

mod address;
mod announcement;
mod cidr;
mod conflict;
mod contradiction;
mod frame;
mod index;
mod item;
mod keepalived;
mod kernel;
mod label;
mod message;
mod netlink;
mod options;
pub(crate) mod persistence;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod purge;
mod wire;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Map;

pub use address::{Address, Attributes, Status};
pub use item::{Alias, Item, Operation, Value};

use crate::file::Lock;
use crate::resource::{Change, Mode, Plan, Report, Resource, State};
use crate::{Error, Result};
use index::Index;
use item::{Addresses, addresses};
use kernel::Kernel;
use message::Link;
use options::{Options, Wish};
use persistence::{Device, Persist, Store};

/// Addresses of interfaces and what a task wants of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct InterfaceAlias {
    options: Options,
    /// Where /etc is; a test has its own.
    root: PathBuf,
    /// The connection to the kernel, made in the network namespace of the task.
    kernel: OnceCell<Kernel>,
    /// What the task wants, with the interfaces' own names; found once, so that the same entries are compared before and after.
    wishes: OnceCell<Vec<Wish>>,
    /// Where a boot finds the addresses; found once as well.
    stores: OnceCell<Vec<Store>>,
}

/// The interfaces of a task that are there, by their own names.
type Links = BTreeMap<Rc<str>, Link>;

impl TryFrom<options::Arguments> for InterfaceAlias {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        Ok(Self {
            options: arguments.try_into()?,
            root: PathBuf::from("/"),
            kernel: OnceCell::new(),
            wishes: OnceCell::new(),
            stores: OnceCell::new(),
        })
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

    /// Returns what the task wants; as it is written, until the interfaces were looked up.
    fn wishes(&self) -> &[Wish] {
        self.wishes.get().unwrap_or(&self.options.wishes)
    }

    fn interfaces(&self) -> BTreeSet<&Rc<str>> {
        self.wishes().iter().map(|wish| &wish.interface).collect()
    }

    /// Returns whether something is wanted on `interface`, which then must be there.
    fn needs(&self, interface: &str) -> bool {
        self.wishes().iter().any(|wish| wish.present && *wish.interface == *interface)
    }

    /// Waits until all interfaces that are needed are there, at most as long as the task says.
    fn wait(&self, kernel: &Kernel) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(50);
        let end = Instant::now() + self.options.wait;
        for interface in self.interfaces() {
            while self.needs(interface) && kernel.link(interface)?.is_none() && Instant::now() < end {
                sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Returns the interfaces of the task that are there.
    fn links(&self, kernel: &Kernel) -> Result<Links> {
        let (mut links, mut names) = (Links::new(), BTreeMap::new());
        for interface in self.interfaces() {
            match kernel.link(interface)? {
                Some(link) => {
                    names.insert(interface.clone(), link.name.clone());
                    links.insert(link.name.clone(), link);
                }
                None if self.needs(interface) && self.options.wait.is_zero() => {
                    return Err(missing(interface));
                }
                None => {}
            }
        }
        if self.wishes.get().is_none() {
            let wishes = self.named(&names)?;
            self.wishes.get_or_init(|| wishes);
        }
        Ok(links)
    }

    /// Returns what the task wants, with the interfaces' own names, which an alternative name leads to.
    fn named(&self, names: &BTreeMap<Rc<str>, Rc<str>>) -> Result<Vec<Wish>> {
        let name = |wish: &Wish| match names.get(&wish.interface) {
            Some(name) => wish.on(name),
            None => Ok(wish.clone()),
        };
        let wishes = self.options.wishes.iter().map(name).collect::<Result<_>>()?;
        if names.iter().all(|(written, own)| written == own) {
            return Ok(wishes);
        }
        contradiction::fit_together(wishes)
    }

    /// Returns where a boot finds the addresses, if the task is about that.
    fn stores(&self, links: &Links) -> Result<&[Store]> {
        if let Some(stores) = self.stores.get() {
            return Ok(stores);
        }
        let device =
            |name: &Rc<str>| Device { name: name.clone(), index: links.get(name).map(|link| link.index) };
        // One that is waited for has no manager yet.
        let known = |device: &Device| device.index.is_some() || !self.needs(&device.name);
        let devices: Vec<_> = self.interfaces().into_iter().map(device).filter(known).collect();
        let stores = persistence::stores(&self.root, self.options.persist, self.options.purge, &devices)?;
        Ok(self.stores.get_or_init(|| stores))
    }

    /// Returns what `wishes` make of the addresses in `now`, in the kernel or in a file alike.
    fn wanted(&self, now: &State<Self>, wishes: &[Wish]) -> Result<State<Self>> {
        let index = Index::of(now, wishes);
        let mut then = now.clone();
        let remove = |then: &mut State<Self>, aliases: Vec<&Alias>| {
            aliases.into_iter().for_each(|alias| drop(then.remove(&Item::Address(alias.clone()))));
        };
        // What is to go goes first, so that nothing is kept for the sake of the label that it had.
        let (present, absent): (Vec<_>, Vec<_>) = wishes.iter().partition(|wish| wish.present);
        for wish in absent.into_iter().chain(present) {
            let Some(alias) = wish.wanted() else {
                remove(&mut then, index.unwanted(wish)?);
                continue;
            };
            remove(&mut then, index.displaced(wish, &alias, self.options.purge)?);
            let item = Item::Address(alias);
            let present = then.get(&item).and_then(Value::address);
            if let Some(wanted) = wish.applied(present) {
                then.insert(item, Value::Address(wanted));
            }
        }
        purge::purge(self.options.purge, wishes, now, &mut then)?;
        Ok(then)
    }

    /// Writes the planned entries of one interface but those that go.
    fn write_link(&self, kernel: &Kernel, link: &Link, now: &Addresses, plan: &Plan<Self>) -> Result<()> {
        let planned: Vec<_> = changes(plan).filter(|(alias, _)| alias.interface == link.name).collect();
        for (alias, change) in &planned {
            match change {
                Change { before: None, after: Some(address) } => kernel.add(link, alias, address)?,
                Change { before: Some(old), after: Some(new) } => kernel.mend(link, now, alias, old, new)?,
                _ => {}
            }
        }
        self.operate(kernel, link, now, plan)?;
        let added = planned.iter().filter_map(|(alias, change)| Some((*alias, change.after?)));
        kernel.settle(&link.name, &added.collect::<Vec<_>>())
    }

    /// Brings an interface up that is to be up, or takes it down again on the way back, after its addresses: an IPv6 address is
    /// tried for duplicates then, and those that go with the interface come back.
    fn operate(&self, kernel: &Kernel, link: &Link, now: &Addresses, plan: &Plan<Self>) -> Result<()> {
        let change = plan.get(&Item::Link { interface: link.name.clone() });
        let Some(Value::Link(operation)) = change.and_then(|change| change.after.as_ref()) else {
            return Ok(());
        };
        kernel.operate(link, *operation)?;
        if *operation == Operation::Up {
            return Ok(());
        }
        let left = kernel.addresses(link)?;
        let goes = |alias: &Alias| {
            plan.get(&Item::Address(alias.clone())).is_some_and(|change| change.after.is_none())
        };
        now.iter()
            .filter(|(alias, address)| address.status.is_kept() && !left.contains_key(alias) && !goes(alias))
            .try_for_each(|(alias, address)| kernel.add(link, alias, address))
    }

    /// Returns the interfaces that are not there yet and are waited for.
    fn awaited(&self) -> Result<Vec<String>> {
        if self.options.wait.is_zero() {
            return Ok(Vec::new());
        }
        let links = self.links(self.kernel()?)?;
        let absent = |name: &&Rc<str>| self.needs(name) && !links.contains_key(*name);
        Ok(self
            .interfaces()
            .into_iter()
            .filter(absent)
            .map(|name| format!("the interface {name} is not there yet, so what it will hold is not known"))
            .collect())
    }
}

impl Resource for InterfaceAlias {
    type Item = Item;
    type Value = Value;

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
        let links = self.links(kernel)?;
        let operated: HashSet<&str> =
            self.wishes().iter().filter(|wish| wish.link_up).map(|wish| &*wish.interface).collect();
        for link in links.values() {
            if operated.contains(&*link.name) {
                state.insert(Item::Link { interface: link.name.clone() }, Value::Link(link.operation));
            }
            let found = kernel.addresses(link)?.into_iter();
            state.extend(found.map(|(alias, address)| (Item::Address(alias), Value::Address(address))));
        }
        for store in self.stores(&links)? {
            state.extend(store.observe(self.wishes())?);
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = self.wanted(now, self.wishes())?;
        for wish in self.wishes().iter().filter(|wish| wish.link_up) {
            then.insert(Item::Link { interface: wish.interface.clone() }, Value::Link(Operation::Up));
        }
        for store in self.stores.get().into_iter().flatten() {
            let wishes: Vec<Wish> =
                self.wishes().iter().filter(|wish| wish.interface == *store.interface()).cloned().collect();
            store.bring(&mut then, &self.wanted(&store.layer(now), &wishes)?);
        }
        Ok(then)
    }

    fn write(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let kernel = self.kernel()?;
        let links = self.links(kernel)?;
        let now: Addresses =
            addresses(now).map(|(alias, address)| (alias.clone(), address.clone())).collect();
        let live = plan.items().filter(|item| !matches!(item, Item::Stored { .. }));
        let interfaces: BTreeSet<&str> = live.map(Item::interface).collect();
        for interface in &interfaces {
            match links.get(*interface) {
                Some(link) => self.write_link(kernel, link, &now, plan)?,
                None if self.needs(interface) => return Err(missing(interface)),
                // What was to be removed went with its interface.
                None => {}
            }
        }
        self.stores(&links)?.iter().try_for_each(|store| store.write(plan))?;
        // What goes comes last: what replaces it is there, and routes that the kernel removes with an interface's last address
        // would not come back with that, if something failed after it.
        interfaces.iter().filter_map(|interface| links.get(*interface)).try_for_each(|link| {
            let gone = changes(plan)
                .filter(|(alias, change)| alias.interface == link.name && change.after.is_none())
                .filter_map(|(alias, change)| Some((alias, change.before?)));
            kernel.remove_all(link, &gone.collect::<Vec<_>>())
        })
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        match item {
            Item::Link { interface } => (interface.to_string(), format!("link {value}")),
            Item::Address(alias) => (alias.interface.to_string(), format!("{}{value}", alias.address)),
            Item::Stored { alias, file } => (file.display().to_string(), format!("{}{value}", alias.address)),
        }
    }

    fn review(&self, found: &State<Self>, plan: &Plan<Self>) -> Result<Vec<String>> {
        keepalived::review(&self.root, plan)?;
        self.kernel()?.permits(&added(plan))?;
        let mut warnings = self.awaited()?;
        warnings.extend(self.wishes().iter().filter_map(|wish| wish.expires(found, plan)));
        if plan.is_empty() && self.wishes().iter().all(|wish| wish.present) {
            return Ok(warnings);
        }
        for store in self.stores.get().into_iter().flatten() {
            warnings.extend(store.review(plan, self.wishes())?);
        }
        let index = Index::of(found, self.wishes());
        warnings.extend(self.wishes().iter().flat_map(|wish| index.warnings(wish, plan)));
        Ok(warnings)
    }

    fn permit(&self, plan: &Plan<Self>) -> Result<()> {
        if self.options.check_conflict { conflict::probe(&added(plan)) } else { Ok(()) }
    }

    fn remarks(&self, _report: &Report<Self>) -> Map<String, serde_json::Value> {
        let stores = self.stores.get().into_iter().flatten();
        let kept: Map<_, _> = stores.map(|store| (store.interface().to_string(), store.remark())).collect();
        let remark = (self.options.persist != Persist::None).then(|| ("persist".into(), kept.into()));
        remark.into_iter().collect()
    }

    fn finish(&self, plan: &Plan<Self>) -> Vec<String> {
        let announced = self.options.announce.map(|how| announcement::announce(&added(plan), how));
        let mut warnings = announced.unwrap_or_default();
        warnings.extend(self.stores.get().into_iter().flatten().filter_map(|store| store.tell(plan)));
        if changes(plan).all(|(alias, _)| alias.address.is_ipv4()) {
            return warnings;
        }
        // A failure to look changes nothing that was done and verified.
        let now = self.observe().unwrap_or_default();
        let left = addresses(&now).filter(|(alias, address)| {
            address.status.tentative && plan.get(&Item::Address((*alias).clone())).is_some()
        });
        warnings.extend(left.map(|(alias, _)| {
            format!("{alias} cannot be used before its interface has a carrier: whether another host has it is not known yet")
        }));
        warnings
    }
}

/// Returns the changes of addresses.
fn changes(plan: &Plan<InterfaceAlias>) -> impl Iterator<Item = (&Alias, Change<&Address>)> {
    plan.iter().filter_map(|(item, change)| {
        let [before, after] = [&change.before, &change.after].map(|value| value.as_ref()?.address());
        Some((item.alias()?, Change { before, after }))
    })
}

/// Returns the addresses that a plan adds.
fn added(plan: &Plan<InterfaceAlias>) -> Vec<&Alias> {
    changes(plan).filter(|(_, change)| change.before.is_none()).map(|(alias, _)| alias).collect()
}

fn listed<'a>(aliases: impl Iterator<Item = &'a Alias>) -> String {
    aliases.map(Alias::to_string).collect::<Vec<_>>().join(" and ")
}

fn missing(interface: &str) -> Error {
    Error::invalid(format!(
        "cannot find the interface {interface}: there is none of that name; check the name with `ip link`"
    ))
}

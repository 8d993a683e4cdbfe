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
mod persistence;
mod purge;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Map;

pub use address::{Address, Attributes, Status};
pub use item::{Alias, Item, Key, Operation, Value};

use crate::file::Lock;
use crate::resource::{Change, Layer, Mode, Plan, Report, Resource, State};
use crate::root::Root;
use crate::{Error, Result};
use index::Index;
use item::{Addresses, addresses};
use kernel::Kernel;
use message::Link;
use options::{Options, Wish};
use persistence::{Device, Persist, Store};
use purge::Purger;

/// What a person wants of addresses of interfaces.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct Task(Options);

/// The interfaces of a task and their addresses, on one host.
#[derive(Debug)]
pub struct InterfaceAlias {
    options: Options,
    root: Root,
    kernel: Kernel,
    /// What the task wants, with the interfaces' own names.
    wishes: Vec<Wish>,
    /// The interfaces that were there, by their own names.
    interfaces: Vec<Rc<str>>,
    /// What goes that the task does not list.
    purger: Purger,
    /// Where a boot finds the addresses.
    stores: Vec<Store>,
    /// What is not there yet, and is waited for: only when checking.
    awaited: Vec<Rc<str>>,
    /// Two runs in one network namespace take turns, as both may switch promote_secondaries.
    lock: Option<Lock>,
}

/// Interfaces that are there, by their own names.
type Links = BTreeMap<Rc<str>, Link>;

impl TryFrom<options::Arguments> for Task {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        arguments.try_into().map(Self)
    }
}

impl crate::resource::Task for Task {
    type Resource = InterfaceAlias;

    fn open(self, mode: Mode, root: &Root) -> Result<InterfaceAlias> {
        let Self(options) = self;
        if let Some(namespace) = &options.netns {
            namespace.enter(root)?;
        }
        let kernel = Kernel::connect()?;
        if mode == Mode::Apply {
            options.wait_for_interfaces(&kernel)?;
        }
        let lock = match mode {
            Mode::Apply => Some(Lock::on(Path::new("/proc/thread-self/ns/net"))?),
            Mode::Check => None,
        };
        let found = options.look_up(&kernel)?;
        let awaited: Vec<_> = options.needed().filter(|name| !found.contains_key(*name)).cloned().collect();
        if let Some(name) = awaited.first().filter(|_| mode == Mode::Apply || options.wait.is_zero()) {
            return Err(missing(name));
        }
        let wishes = options.named(&found)?;
        let stores = options.stores(root, &found, &awaited)?;
        let interfaces = found.into_values().map(|link| link.name).collect();
        let purger = Purger::find(options.purge)?;
        let root = root.clone();
        Ok(InterfaceAlias { options, root, kernel, wishes, interfaces, purger, stores, awaited, lock })
    }
}

impl Options {
    /// Returns the interfaces as the task names them.
    fn interfaces(&self) -> BTreeSet<&Rc<str>> {
        self.wishes.iter().map(|wish| &wish.interface).collect()
    }

    /// Returns those on which something is wanted, and which then must be there.
    fn needed(&self) -> impl Iterator<Item = &Rc<str>> {
        let present = self.wishes.iter().filter(|wish| wish.present);
        present.map(|wish| &wish.interface).collect::<BTreeSet<_>>().into_iter()
    }

    /// Waits until all interfaces that are needed are there, at most as long as the task says.
    fn wait_for_interfaces(&self, kernel: &Kernel) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(50);
        let end = Instant::now() + self.wait;
        for interface in self.needed().filter(|_| !self.wait.is_zero()) {
            while kernel.link(interface)?.is_none() && Instant::now() < end {
                sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Returns the interfaces of the task that are there, by what the task calls them.
    fn look_up(&self, kernel: &Kernel) -> Result<Links> {
        let mut links = Links::new();
        for interface in self.interfaces() {
            links.extend(kernel.link(interface)?.map(|link| (interface.clone(), link)));
        }
        Ok(links)
    }

    /// Returns what the task wants, with the interfaces' own names, which an alternative name leads to.
    fn named(&self, found: &Links) -> Result<Vec<Wish>> {
        let name = |wish: &Wish| match found.get(&wish.interface) {
            Some(link) => wish.on(&link.name),
            None => Ok(wish.clone()),
        };
        let wishes = self.wishes.iter().map(name).collect::<Result<_>>()?;
        if found.iter().all(|(written, link)| *written == link.name) {
            return Ok(wishes);
        }
        contradiction::fit_together(wishes)
    }

    /// Returns where a boot finds the addresses, if the task is about that. What is waited for has no manager yet.
    fn stores(&self, root: &Root, found: &Links, awaited: &[Rc<str>]) -> Result<Vec<Store>> {
        let device = |name: &Rc<str>| match found.get(name) {
            Some(link) => Device { name: link.name.clone(), index: Some(link.index) },
            None => Device { name: name.clone(), index: None },
        };
        let mut names = self.interfaces();
        names.retain(|name| !awaited.contains(name));
        let mut devices: Vec<_> = names.into_iter().map(device).collect();
        devices.sort_by(|one, other| one.name.cmp(&other.name));
        devices.dedup_by(|one, other| one.name == other.name);
        persistence::stores(root, self.persist, self.purge, &devices)
    }
}

impl InterfaceAlias {
    /// Returns the interfaces that are still there, as they are now.
    fn links(&self) -> Result<Links> {
        let mut links = Links::new();
        for name in &self.interfaces {
            links.extend(self.kernel.link(name)?.map(|link| (name.clone(), link)));
        }
        Ok(links)
    }

    /// Returns whether something is wanted on `interface`, which then must be there.
    fn needs(&self, interface: &str) -> bool {
        self.wishes.iter().any(|wish| wish.present && *wish.interface == *interface)
    }

    /// Returns what `wishes` make of the addresses in `now`, in the kernel or in a file alike.
    fn wanted(&self, now: &State<Self>, wishes: &[Wish]) -> Result<State<Self>> {
        let index = Index::of(now, wishes);
        let mut then = now.clone();
        let remove = |then: &mut State<Self>, aliases: Vec<&Alias>| {
            aliases.into_iter().for_each(|alias| drop(then.remove(&Item::live(alias.clone()))));
        };
        // What is to go goes first, so that nothing is kept for the sake of the label that it had.
        let (present, absent): (Vec<_>, Vec<_>) = wishes.iter().partition(|wish| wish.present);
        for wish in absent.into_iter().chain(present) {
            let Some(alias) = wish.wanted() else {
                remove(&mut then, index.unwanted(wish)?);
                continue;
            };
            remove(&mut then, index.displaced(wish, &alias, self.options.purge)?);
            let item = Item::live(alias);
            let present = then.get(&item).and_then(Value::address);
            if let Some(wanted) = wish.applied(present) {
                then.insert(item, Value::Address(wanted));
            }
        }
        self.purger.purge(wishes, now, &mut then);
        Ok(then)
    }

    /// Writes the planned entries of one interface. What goes goes last: what replaces it is there by then.
    fn write_link(&self, link: &Link, now: &Addresses, plan: &Plan<Self>) -> Result<()> {
        let planned: Vec<_> = changes(plan).filter(|(alias, _)| alias.interface == link.name).collect();
        for (alias, change) in &planned {
            match change {
                Change { before: None, after: Some(address) } => self.kernel.add(link, alias, address)?,
                Change { before: Some(old), after: Some(new) } => {
                    self.kernel.mend(link, now, alias, old, new)?;
                }
                _ => {}
            }
        }
        self.operate(link, now, plan)?;
        let added = planned.iter().filter_map(|(alias, change)| Some((*alias, change.after?)));
        self.kernel.settle(&link.name, &added.collect::<Vec<_>>())?;
        let gone = planned.iter().filter(|(_, change)| change.after.is_none());
        let gone: Vec<_> = gone.filter_map(|(alias, change)| Some((*alias, change.before?))).collect();
        if gone.is_empty() { Ok(()) } else { self.kernel.remove_all(link, &gone) }
    }

    /// Brings an interface up that is to be up, or takes it down again on the way back, after its addresses: an IPv6 address is
    /// tried for duplicates then, and those that go with the interface come back.
    fn operate(&self, link: &Link, now: &Addresses, plan: &Plan<Self>) -> Result<()> {
        let change = plan.get(&Item::link(&link.name));
        let Some(Value::Link(operation)) = change.and_then(|change| change.after.as_ref()) else {
            return Ok(());
        };
        self.kernel.operate(link, *operation)?;
        if *operation == Operation::Up {
            return Ok(());
        }
        let left = self.kernel.addresses(link)?;
        let goes =
            |alias: &Alias| plan.get(&Item::live(alias.clone())).is_some_and(|change| change.after.is_none());
        now.iter()
            .filter(|(alias, address)| address.status.is_kept() && !left.contains_key(alias) && !goes(alias))
            .try_for_each(|(alias, address)| self.kernel.add(link, alias, address))
    }

    fn write_kernel(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let links = self.links()?;
        let now: Addresses =
            addresses(now).map(|(alias, address)| (alias.clone(), address.clone())).collect();
        let interfaces: BTreeSet<&str> = plan.items().map(Item::interface).collect();
        for interface in interfaces {
            match links.get(interface) {
                Some(link) => self.write_link(link, &now, plan)?,
                None if self.needs(interface) => return Err(missing(interface)),
                // What was to be removed went with its interface.
                None => {}
            }
        }
        Ok(())
    }
}

impl Resource for InterfaceAlias {
    type Key = Key;
    type Value = Value;

    fn observe(&mut self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        let operated: HashSet<&str> =
            self.wishes.iter().filter(|wish| wish.link_up).map(|wish| &*wish.interface).collect();
        for link in self.links()?.values() {
            if operated.contains(&*link.name) {
                state.insert(Item::link(&link.name), Value::Link(link.operation));
            }
            let found = self.kernel.addresses(link)?.into_iter();
            state.extend(found.map(|(alias, address)| (Item::live(alias), Value::Address(address))));
        }
        for store in &self.stores {
            state.extend(store.observe(&self.wishes)?);
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = self.wanted(now, &self.wishes)?;
        for wish in self.wishes.iter().filter(|wish| wish.link_up) {
            then.insert(Item::link(&wish.interface), Value::Link(Operation::Up));
        }
        for store in &self.stores {
            let wishes: Vec<Wish> =
                self.wishes.iter().filter(|wish| wish.interface == *store.interface()).cloned().collect();
            store.bring(&mut then, &self.wanted(&store.layer(now), &wishes)?);
        }
        Ok(then)
    }

    fn write(&mut self, layer: &Layer, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        match layer {
            Layer::Kernel => self.write_kernel(now, plan),
            Layer::File(path) => self.stores.iter().try_for_each(|store| store.write(path, plan)),
        }
    }

    /// What goes from the kernel goes after all else: routes that the kernel removes with an interface's last address would
    /// not come back with that, if something failed after it.
    fn rank(&self, item: &Item, change: &Change<Value>) -> u8 {
        let goes_down = change.after == Some(Value::Link(Operation::Down));
        u8::from(item.is_live() && (change.after.is_none() || goes_down))
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        let place = match &item.layer {
            Layer::Kernel => item.interface().to_owned(),
            Layer::File(file) => file.display().to_string(),
        };
        match &item.key {
            Key::Link { .. } => (place, format!("link {value}")),
            Key::Address(alias) => (place, format!("{}{value}", alias.address)),
        }
    }

    fn review(&mut self, found: &State<Self>, plan: &Plan<Self>, mode: Mode) -> Result<Vec<String>> {
        keepalived::review(&self.root, plan)?;
        self.kernel.review(&added(plan))?;
        let mut warnings: Vec<String> = self.awaited.iter().map(|name| awaited(name)).collect();
        warnings.extend(self.wishes.iter().filter_map(|wish| wish.expires(found, plan)));
        if plan.is_empty() && self.wishes.iter().all(|wish| wish.present) {
            return Ok(warnings);
        }
        for store in &self.stores {
            warnings.extend(store.review(plan, &self.wishes)?);
        }
        let index = Index::of(found, &self.wishes);
        warnings.extend(self.wishes.iter().flat_map(|wish| index.warnings(wish, plan)));
        if mode == Mode::Apply && self.options.check_conflict {
            conflict::probe(&added(plan))?;
        }
        Ok(warnings)
    }

    fn remarks(&self, _report: &Report<Self>) -> Map<String, serde_json::Value> {
        let kept: Map<_, _> =
            self.stores.iter().map(|store| (store.interface().to_string(), store.remark())).collect();
        let remark = (self.options.persist != Persist::None).then(|| ("persist".into(), kept.into()));
        remark.into_iter().collect()
    }

    fn finish(&mut self, plan: &Plan<Self>) -> Vec<String> {
        let announced = self.options.announce.map(|how| announcement::announce(&added(plan), how));
        let mut warnings = announced.unwrap_or_default();
        warnings.extend(self.stores.iter().filter_map(|store| store.tell(plan)));
        if changes(plan).all(|(alias, _)| alias.address.is_ipv4()) {
            return warnings;
        }
        // A failure to look changes nothing that was done and verified.
        let now = self.observe().unwrap_or_default();
        let left = addresses(&now).filter(|(alias, address)| {
            address.status.tentative && plan.get(&Item::live((*alias).clone())).is_some()
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

fn awaited(interface: &str) -> String {
    format!("the interface {interface} is not there yet, so what it will hold is not known")
}

fn missing(interface: &str) -> Error {
    Error::invalid(format!(
        "cannot find the interface {interface}: there is none of that name; check the name with `ip link`"
    ))
}

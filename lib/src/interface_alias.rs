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
mod options;
pub(crate) mod persistence;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod purge;
mod route;
mod scope;
mod task;
mod wire;
mod wish;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use serde_json::Map;

pub use crate::netlink::Operation;
pub use address::{Address, Attributes, Status};
pub use item::{Alias, Item, Key, Value};
pub use task::Task;

use crate::file::Lock;
use crate::netlink::Link;
use crate::resource::{Change, Layer, Mode, Plan, Report, Resource, State};
use crate::root::Root;
use crate::{Result, gathered};
use index::Index;
use item::{Addresses, addresses, by_alias};
use kernel::Kernel;
use options::Options;
use persistence::{Files, Store};
use purge::Purger;
use task::missing;
use wish::Wish;

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
    /// What managers of the network left, each file read once.
    files: Files,
    /// Where a boot finds the addresses.
    stores: Vec<Store>,
    /// What is not there yet, and is waited for: only when checking.
    awaited: Vec<Rc<str>>,
    /// Two runs in one network namespace take turns, as both may switch promote_secondaries.
    lock: Option<Lock>,
}

/// Interfaces that are there, by their own names.
type Links = BTreeMap<Rc<str>, Link>;

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
        let planned: Vec<_> =
            address_changes(plan).filter(|(alias, _)| alias.interface == link.name).collect();
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
        let left = self.kernel.read(link)?;
        let goes =
            |alias: &Alias| plan.get(&Item::live(alias.clone())).is_some_and(|change| change.after.is_none());
        now.iter()
            .filter(|(alias, address)| address.status.is_kept() && !left.contains_key(alias) && !goes(alias))
            .try_for_each(|(alias, address)| self.kernel.add(link, alias, address))
    }

    fn write_kernel(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let links = self.links()?;
        let now = by_alias(addresses(now).map(|(alias, address)| (alias.clone(), address.clone())).collect());
        let interfaces: BTreeSet<&str> = gathered(plan.items().map(Item::interface));
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
            let found = self.kernel.read(link)?.into_iter();
            state.extend(found.map(|(alias, address)| (Item::live(alias), Value::Address(address))));
        }
        for store in &self.stores {
            let stored = store.observe(&mut self.files, &self.wishes, &state)?;
            state.extend(stored);
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
            store.bring(&mut then, &self.wanted(&store.layer(now), &wishes)?, &wishes)?;
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
        let mut warnings: Vec<String> = self.awaited.iter().map(|name| awaited(name)).collect();
        warnings.extend(keepalived::review(&self.root, plan)?);
        self.kernel.review(&added(plan))?;
        warnings.extend(self.wishes.iter().filter_map(|wish| wish.expires(found, plan)));
        warnings.extend(route::review(found, plan)?);
        warnings.extend(persistence::review(&mut self.files, &self.stores, plan, &self.wishes, found)?);
        if plan.is_empty() && self.wishes.iter().all(|wish| wish.present) {
            return Ok(warnings);
        }
        let index = Index::of(found, &self.wishes);
        warnings.extend(self.wishes.iter().flat_map(|wish| index.warnings(wish, plan)));
        if mode == Mode::Apply && self.options.check_conflict {
            conflict::probe(&added(plan))?;
        }
        Ok(warnings)
    }

    fn remarks(&self, _report: &Report<Self>) -> Map<String, serde_json::Value> {
        let stores = self.stores.iter().map(|store| (store.interface().to_string(), store.remark()));
        let kept = || gathered::<Map<_, _>, _>(stores).into();
        gathered(self.options.persist.is_on().then(|| ("persist".into(), kept())))
    }

    fn finish(&mut self, plan: &Plan<Self>) -> Vec<String> {
        let announced = self.options.announce.map(|how| announcement::announce(&added(plan), how));
        let mut warnings = announced.unwrap_or_default();
        warnings.extend(self.stores.iter().filter_map(|store| store.tell(plan)));
        if address_changes(plan).all(|(alias, _)| alias.address.is_ipv4()) {
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
fn address_changes(plan: &Plan<InterfaceAlias>) -> impl Iterator<Item = (&Alias, Change<&Address>)> {
    plan.iter().filter_map(|(item, change)| {
        let [before, after] = [&change.before, &change.after].map(|value| value.as_ref()?.address());
        Some((item.alias()?, Change { before, after }))
    })
}

/// Returns the addresses that a plan adds.
fn added(plan: &Plan<InterfaceAlias>) -> Vec<&Alias> {
    address_changes(plan).filter(|(_, change)| change.before.is_none()).map(|(alias, _)| alias).collect()
}

fn listed<'a>(aliases: impl Iterator<Item = &'a Alias>) -> String {
    aliases.map(Alias::to_string).collect::<Vec<_>>().join(" and ")
}

fn awaited(interface: &str) -> String {
    format!("the interface {interface} is not there yet, so what it will hold is not known")
}

//! The virtual service: an entry of the IPVS table with its real servers, as `ipvsadm -A -t 192.0.2.10:80 -s wlc` and
//! `ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.11:80 -m` make one.
//!
//! The state is the services that the task names, each with all of its real servers. An entry is always sent whole: what the
//! task does not name of it is what was found. A service is never removed to be changed, so no connection is lost by that.

mod address;
pub(crate) mod boot;
mod caution;
mod drain;
mod flags;
mod installed;
mod ipvs;
mod item;
mod message;
mod options;
mod owner;
mod persistence;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod real_server;
mod refusal;
mod scheduler;
mod service;
mod task;
mod tunnel;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Map, json};

pub use flags::Flags;
pub use installed::{Installed, Part};
pub use item::{Entry, Item, Key, Value};
pub use persistence::{Netmask, Persistence};
pub use real_server::{Connections, Forward, RealServer};
pub use service::{Family, Ingress, Protocol, Service};
pub use task::Task;
pub use tunnel::Tunnel;

use crate::file::Lock;
use crate::resource::{Change, Layer, Mode, Plan, Report, Resource, State};
use crate::root::Root;
use crate::{Result, gathered};
use boot::Store;
pub(crate) use ipvs::Ipvs as Table;
use options::{Options, Purge, ServerState, ServiceWish};
pub(crate) use refusal::unreadable;

/// The services of a task and their real servers, on one host.
#[derive(Debug)]
pub struct VirtualService {
    options: Options,
    root: Root,
    table: Table,
    /// What a boot brings back, if the task is about that too.
    store: Option<Store>,
    /// How many connections a real server had when it was last seen.
    connections: BTreeMap<(Ingress, SocketAddr), Connections>,
    /// Which real servers were kept from new requests, so that their connections end.
    closed: BTreeSet<Entry>,
    /// Until when those are waited for.
    deadline: Option<Instant>,
    /// Two runs in one network namespace take turns.
    lock: Option<Lock>,
}

/// When an entry is written: what may be refused first, and what cannot be taken back in full at last.
mod rank {
    /// Each service before its real servers, so that a new one is without them no longer than it must be.
    pub(super) const PRESENT: u8 = 0;
    pub(super) const FILES: u8 = 1;
    pub(super) const GONE_REAL_SERVERS: u8 = 2;
    pub(super) const GONE_SERVICES: u8 = 3;
}

impl VirtualService {
    /// Returns whether an entry stays that the task says nothing of.
    fn stays(&self, entry: &Entry) -> bool {
        let wish = self.options.services.get(&entry.service);
        match (wish, entry.real_server) {
            (None, _) => self.options.purge != Purge::All,
            (Some(wish), None) => wish.present,
            (Some(wish), Some(at)) => {
                wish.present && (self.options.purge == Purge::None || wish.real_servers.contains_key(&at))
            }
        }
    }

    /// Returns which services are read: those of the task, or all.
    fn read(&mut self) -> Result<BTreeSet<Ingress>> {
        let mut read: BTreeSet<_> = gathered(self.options.services.keys().copied());
        if self.options.purge == Purge::All {
            read.extend(self.table.services()?);
        }
        Ok(read)
    }
}

impl Resource for VirtualService {
    type Key = Key;
    type Value = Value;

    fn observe(&mut self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        let read: Vec<_> = self.read()?.into_iter().collect();
        for (ingress, service) in self.table.those_of(&read)? {
            state.insert(Item::service(ingress), Value::Service(service));
            for (at, (server, connections)) in self.table.real_servers(ingress)? {
                self.connections.insert((ingress, at), connections);
                state.insert(Item::real_server(ingress, at), Value::RealServer(server));
            }
        }
        if let Some(store) = &self.store {
            state.extend(store.observe()?);
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        then.retain(|item, _| item.key.entry().is_none_or(|entry| self.stays(entry)));
        let wishes = || self.options.services.iter().filter(|(_, wish)| wish.present);
        for (ingress, wish) in wishes() {
            let present = |entry: Entry| now.get(&entry.within(&Layer::Kernel));
            put(&Layer::Kernel, *ingress, wish, &present, &mut then)?;
        }
        if let Some(store) = &self.store {
            let (layer, live) = (store.layer(), then.clone());
            for (ingress, wish) in wishes() {
                // What is not kept yet is kept as it is then.
                let present = |entry: Entry| {
                    now.get(&entry.within(&layer)).or_else(|| live.get(&entry.within(&Layer::Kernel)))
                };
                put(&layer, *ingress, wish, &present, &mut then)?;
            }
            store.complete(&mut then);
        }
        Ok(then)
    }

    fn write(&mut self, layer: &Layer, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        match (layer, &self.store) {
            (Layer::File(path), Some(store)) => store.write(path, now, plan),
            _ => {
                let changes = plan.iter().filter_map(|(item, change)| Some((item.live()?, change)));
                self.table.write_all(&changes.collect::<Vec<_>>())
            }
        }
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        let place = match &item.layer {
            Layer::Kernel => "the IPVS table".into(),
            Layer::File(path) => path.display().to_string(),
        };
        let entry = item.key.entry().map(|entry| item::line(entry, value));
        let line = entry.or_else(|| value.installed().map(Installed::shown));
        (place, line.unwrap_or_default())
    }

    fn review(&mut self, found: &State<Self>, plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        if !plan.is_empty() {
            owner::review(&self.root, plan, self.options.purge == Purge::All, self.options.netns.is_some())?;
            self.table.review(plan)?;
        }
        let mut warnings = self.caution(found, plan);
        if let Some(store) = &self.store {
            warnings.extend(store.review(found, plan)?);
        }
        Ok(warnings)
    }

    fn rank(&self, item: &Item, change: &Change<Value>) -> u8 {
        match (item.live().map(|entry| entry.real_server), &change.after) {
            (None, _) => rank::FILES,
            (Some(_), Some(_)) => rank::PRESENT,
            (Some(Some(_)), None) => rank::GONE_REAL_SERVERS,
            (Some(None), None) => rank::GONE_SERVICES,
        }
    }

    fn waits(&mut self, rank: u8, now: &State<Self>) -> Result<bool> {
        self.drain(rank, now)
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }

    /// One that was kept from new requests would get them again.
    fn is_kept(&self, item: &Item) -> bool {
        item.live().is_some_and(|entry| self.closed.contains(entry))
    }

    fn remarks(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let then = report.then();
        let services: Vec<_> =
            item::services(&then).map(|(ingress, service)| described(ingress, service, &then)).collect();
        let remarks = [("connections", json!(self.told(report))), ("services", json!(services))];
        let persist = self.store.as_ref().map(|store| ("persist", store.remark()));
        let mut all = Map::new();
        all.extend(remarks.into_iter().chain(persist).map(|(key, value)| (key.to_owned(), value)));
        all
    }
}

/// Brings one service and its real servers in a layer to what is wished; `present` returns what there is of them.
fn put<'a>(
    layer: &Layer,
    ingress: Ingress,
    wish: &ServiceWish,
    present: &dyn Fn(Entry) -> Option<&'a Value>,
    then: &mut State<VirtualService>,
) -> Result<()> {
    let entry = Entry::service(ingress);
    let service = wish.asked.applied(ingress, present(entry).and_then(Value::service))?;
    let is_persistent = service.persistence.is_some();
    then.insert(entry.within(layer), Value::Service(service));
    for (at, server) in &wish.real_servers {
        let entry = Entry::real_server(ingress, *at);
        let present = present(entry).and_then(Value::real_server);
        let mut asked = server.asked.clone();
        match (server.state, present) {
            (ServerState::Absent, _) => {
                then.remove(&entry.within(layer));
                continue;
            }
            // One that is not there gets no requests.
            (ServerState::Drained, _) if !then.contains_key(&entry.within(layer)) => continue,
            // A boot brings it back as it was.
            (ServerState::Drained, _) if *layer == Layer::Kernel => asked.weight = Some(0),
            _ => {}
        }
        let server = asked.applied(ingress, is_persistent, *at, present)?;
        then.insert(entry.within(layer), Value::RealServer(server));
    }
    Ok(())
}

/// Returns a service as the option `services` takes it.
fn described(ingress: Ingress, service: &Service, state: &State<VirtualService>) -> serde_json::Value {
    let mut all = json!(service);
    match ingress {
        Ingress::Address(protocol, at) => {
            all["protocol"] = json!(protocol.name());
            all["address"] = json!(at.ip().to_string());
            all["port"] = json!(at.port());
        }
        Ingress::Mark(mark, family) => {
            all["fwmark"] = json!(mark);
            all["family"] = json!(family.name());
        }
    }
    let servers = item::real_servers(state, ingress).map(|(at, server)| {
        let mut server = json!(server);
        server["address"] = json!(at.ip().to_string());
        server["port"] = json!(at.port());
        server
    });
    all["real_servers"] = servers.collect();
    all
}

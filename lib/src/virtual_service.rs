//! The virtual service: an entry of the IPVS table with its real servers, as `ipvsadm -A -t 192.0.2.10:80 -s wlc` and
//! `ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.11:80 -m` make one.
//!
//! The state is the services that the task names, each with all of its real servers. An entry is always sent whole: what the
//! task does not name of it is what was found. A service is never removed to be changed, so no connection is lost by that.

mod address;
mod caution;
mod drain;
mod flags;
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
pub use item::{Item, Key, Value};
pub use persistence::{Netmask, Persistence};
pub use real_server::{Connections, Forward, RealServer};
pub use service::{Family, Ingress, Protocol, Service};
pub use task::Task;
pub use tunnel::Tunnel;

use crate::Result;
use crate::file::Lock;
use crate::resource::{Change, Layer, Mode, Plan, Report, Resource, State};
use crate::root::Root;
use ipvs::Ipvs;
use options::{Options, Purge, ServerState, ServiceWish};

/// The services of a task and their real servers, on one host.
#[derive(Debug)]
pub struct VirtualService {
    options: Options,
    root: Root,
    table: Ipvs,
    /// How many connections a real server had when it was last seen.
    connections: BTreeMap<(Ingress, SocketAddr), Connections>,
    /// Which real servers were kept from new requests, so that their connections end.
    closed: BTreeSet<Item>,
    /// Until when those are waited for.
    deadline: Option<Instant>,
    /// Two runs in one network namespace take turns.
    lock: Option<Lock>,
}

/// When an entry is written: what may be refused first, and what cannot be taken back in full at last.
mod rank {
    pub(super) const SERVICES: u8 = 0;
    pub(super) const REAL_SERVERS: u8 = 1;
    pub(super) const GONE_REAL_SERVERS: u8 = 2;
    pub(super) const GONE_SERVICES: u8 = 3;
}

impl VirtualService {
    /// Brings one service and its real servers to what the task wants.
    fn apply(
        &self,
        ingress: Ingress,
        wish: &ServiceWish,
        now: &State<Self>,
        then: &mut State<Self>,
    ) -> Result<()> {
        let item = Item::service(ingress);
        let service = wish.asked.applied(ingress, now.get(&item).and_then(Value::service))?;
        let is_persistent = service.persistence.is_some();
        then.insert(item, Value::Service(service));
        for (at, server) in &wish.real_servers {
            let item = Item::real_server(ingress, *at);
            let present = now.get(&item).and_then(Value::real_server);
            let mut asked = server.asked.clone();
            match (server.state, present) {
                (ServerState::Absent, _) => {
                    then.remove(&item);
                    continue;
                }
                // One that is not there gets no requests.
                (ServerState::Drained, None) => continue,
                (ServerState::Drained, Some(_)) => asked.weight = Some(0),
                (ServerState::Present, _) => {}
            }
            let server = asked.applied(ingress, is_persistent, *at, present)?;
            then.insert(item, Value::RealServer(server));
        }
        Ok(())
    }

    /// Returns whether an entry stays that the task says nothing of.
    fn stays(&self, item: &Item) -> bool {
        let wish = self.options.services.get(&item.key.service);
        match (wish, item.key.real_server) {
            (None, _) => self.options.purge != Purge::All,
            (Some(wish), None) => wish.present,
            (Some(wish), Some(at)) => {
                wish.present && (self.options.purge == Purge::None || wish.real_servers.contains_key(&at))
            }
        }
    }

    /// Returns which services are read: those of the task, or all.
    fn read(&mut self) -> Result<BTreeSet<Ingress>> {
        let mut read: BTreeSet<_> = self.options.services.keys().copied().collect();
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
        for ingress in self.read()? {
            let Some(service) = self.table.service(ingress)? else { continue };
            state.insert(Item::service(ingress), Value::Service(service));
            for (at, (server, connections)) in self.table.real_servers(ingress)? {
                self.connections.insert((ingress, at), connections);
                state.insert(Item::real_server(ingress, at), Value::RealServer(server));
            }
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        then.retain(|item, _| self.stays(item));
        for (ingress, wish) in self.options.services.iter().filter(|(_, wish)| wish.present) {
            self.apply(*ingress, wish, now, &mut then)?;
        }
        Ok(then)
    }

    fn write(&mut self, _layer: &Layer, _now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        plan.iter().try_for_each(|(item, change)| self.table.write(&item.key, change))
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        ("the IPVS table".into(), item::line(&item.key, value))
    }

    fn review(&mut self, found: &State<Self>, plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        if !plan.is_empty() {
            owner::review(&self.root, plan, self.options.purge == Purge::All, self.options.netns.is_some())?;
            self.table.review(plan)?;
        }
        Ok(self.caution(found, plan))
    }

    fn rank(&self, item: &Item, change: &Change<Value>) -> u8 {
        match (item.key.real_server, &change.after) {
            (None, Some(_)) => rank::SERVICES,
            (Some(_), Some(_)) => rank::REAL_SERVERS,
            (Some(_), None) => rank::GONE_REAL_SERVERS,
            (None, None) => rank::GONE_SERVICES,
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
        self.closed.contains(item)
    }

    fn remarks(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let then = report.then();
        let services: Vec<_> =
            item::services(&then).map(|(ingress, service)| described(ingress, service, &then)).collect();
        let remarks = [("connections", json!(self.told(report))), ("services", json!(services))];
        remarks.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
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

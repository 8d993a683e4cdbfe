//! What a person should know of a plan though nothing is wrong with it.

use std::collections::BTreeMap;
use std::fs;

use super::item::{self, Value};
use super::options::ServerState;
use super::service::{Ingress, Service};
use super::{VirtualService, scheduler};
use crate::resource::{Plan, State};

/// The real servers of a service that get no new requests any more.
#[derive(Default)]
struct Leaving {
    /// Those that are at weight 0 now.
    closed: Vec<String>,
    /// Those that are removed though they have connections.
    cut_off: Vec<String>,
}

/// Returns what helps clients whose real server is at weight 0 where the scheduler sends them there all the same.
fn remedy(service: &Service) -> Option<String> {
    let name = &*service.scheduler;
    match name {
        _ if !scheduler::hashes(name) => None,
        "dh" => Some("remove it".into()),
        _ if service.flags.falls_back() => None,
        _ => Some(format!("use flags: [{name}-fallback], or remove it")),
    }
}

impl VirtualService {
    /// Returns the warnings about a plan.
    pub(super) fn caution(&self, found: &State<Self>, plan: &Plan<Self>) -> Vec<String> {
        let mut then = found.clone();
        for (item, change) in plan.iter() {
            match &change.after {
                Some(value) => then.insert(item.clone(), value.clone()),
                None => then.remove(item),
            };
        }
        let mut warnings = self.idle(&then);
        for (ingress, leaving) in self.leaving(plan) {
            if !leaving.cut_off.is_empty() && !self.is_set("expire_nodest_conn") {
                warnings.push(format!(
                    "{} of {ingress} is removed with connections, the packets of which are dropped without a word for up to 15 minutes; use drain, or set net.ipv4.vs.expire_nodest_conn to 1",
                    leaving.cut_off.join(", ")
                ));
            }
            let service = then.get(&item::Item::service(ingress)).and_then(Value::service);
            if let Some(service) = service {
                warnings.extend(self.of_service(ingress, service, &leaving, &then));
            }
        }
        warnings
    }

    /// Returns the warnings about a service that stays.
    fn of_service(
        &self,
        ingress: Ingress,
        service: &Service,
        leaving: &Leaving,
        then: &State<Self>,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let closed = leaving.closed.join(", ");
        if let Some(remedy) = remedy(service).filter(|_| !closed.is_empty()) {
            warnings.push(format!(
                "{closed} of {ingress} is at weight 0, and clients that the scheduler {} hashes to it are refused; {remedy}",
                service.scheduler
            ));
        }
        if let Some(persistence) = &service.persistence
            && !closed.is_empty()
            && !self.is_set("expire_quiescent_template")
        {
            warnings.push(format!(
                "{closed} of {ingress} is at weight 0, and clients of the last {} s still come to it, as the service is persistent; set net.ipv4.vs.expire_quiescent_template to 1 to have them sent elsewhere",
                persistence.timeout
            ));
        }
        if item::real_servers(then, ingress).all(|(_, server)| server.weight == 0) {
            warnings.push(format!(
                "{ingress} has no real server with a weight any more, so its clients are refused"
            ));
        }
        warnings
    }

    /// Returns the warnings about real servers that a task wants and that get nothing.
    fn idle(&self, then: &State<Self>) -> Vec<String> {
        let mut warnings = Vec::new();
        for (ingress, wish) in self.options.services.iter().filter(|(_, wish)| wish.present) {
            let idle = item::real_servers(then, *ingress).filter(|(at, server)| {
                server.weight == 0
                    && wish
                        .real_servers
                        .get(at)
                        .is_some_and(|wish| wish.state == ServerState::Present && wish.asked.weight.is_none())
            });
            let idle: Vec<_> = idle.map(|(at, _)| at.to_string()).collect();
            if !idle.is_empty() {
                warnings.push(format!(
                    "{} of {ingress} is at weight 0, which the task leaves alone, so it gets no requests; give weight to bring it back",
                    idle.join(", ")
                ));
            }
        }
        warnings
    }

    /// Returns what a plan takes requests from, service by service.
    fn leaving(&self, plan: &Plan<Self>) -> BTreeMap<Ingress, Leaving> {
        let mut leaving = BTreeMap::<_, Leaving>::new();
        for (item, change) in plan.iter() {
            let Some((entry, at)) = item.live().and_then(|entry| Some((entry, entry.real_server?))) else {
                continue;
            };
            let weight = |value: &Option<Value>| value.as_ref()?.real_server().map(|server| server.weight);
            let of = leaving.entry(entry.service).or_default();
            match (weight(&change.before), weight(&change.after)) {
                (Some(_), None) if self.options.drain.is_zero() && self.connections_of(entry).active > 0 => {
                    of.cut_off.push(at.to_string());
                }
                (Some(1..), Some(0)) => of.closed.push(at.to_string()),
                _ => {}
            }
        }
        leaving
    }

    /// Returns whether a switch of IPVS is on in this network namespace.
    fn is_set(&self, name: &str) -> bool {
        let path = self.root.at("/proc/sys/net/ipv4/vs").join(name);
        fs::read_to_string(path).is_ok_and(|value| value.trim() != "0")
    }
}

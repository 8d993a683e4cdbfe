//! What a task about services says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::address;
use super::boot::Persist;
use super::flags;
use super::persistence;
use super::real_server::{Forward, Wanted as WantedServer};
use super::scheduler;
use super::service::{Family, Ingress, Protocol, Wanted as WantedService};
use super::tunnel::{self, Tunnel};
use crate::ansible::{Number, Presence, Text};
use crate::netns::Namespace;
use crate::{Error, Result};

/// What the task gives; each entry of `services` gives the like, and takes what it leaves out from the task.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    address: Option<Text>,
    port: Option<Number>,
    protocol: Option<Protocol>,
    fwmark: Option<Number>,
    family: Option<Family>,
    scheduler: Option<Text>,
    flags: Option<Vec<Text>>,
    #[serde(default, deserialize_with = "persistence::deserialize")]
    persistence: Option<persistence::Arguments>,
    forward: Option<Forward>,
    real_servers: Option<Vec<ServerArguments>>,
    state: Option<Presence>,
    services: Option<Vec<Arguments>>,
    purge: Option<Purge>,
    drain: Option<Number>,
    drain_until: Option<Until>,
    netns: Option<Text>,
    persist: Option<Persist>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerArguments {
    address: Option<Text>,
    port: Option<Number>,
    weight: Option<Number>,
    forward: Option<Forward>,
    upper_threshold: Option<Number>,
    lower_threshold: Option<Number>,
    tunnel: Option<tunnel::Arguments>,
    state: Option<ServerState>,
}

/// What becomes of a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ServerState {
    #[default]
    Present,
    /// It gets no new requests.
    Drained,
    Absent,
}

/// What goes that the task does not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purge {
    #[default]
    None,
    /// Other real servers of the services that it lists.
    RealServers,
    /// Other services as well.
    All,
}

/// Which connections are waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Until {
    /// Those that are established.
    #[default]
    Active,
    /// Those that are remembered as well.
    All,
}

/// What the task wants, checked as far as that needs no look at the host.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) services: BTreeMap<Ingress, ServiceWish>,
    pub(super) purge: Purge,
    /// How long connections are waited for.
    pub(super) drain: Duration,
    pub(super) until: Until,
    pub(super) netns: Option<Namespace>,
    pub(super) persist: Persist,
}

/// What the task wants of one service.
#[derive(Clone, Debug)]
pub(super) struct ServiceWish {
    pub(super) present: bool,
    pub(super) asked: WantedService,
    pub(super) real_servers: BTreeMap<SocketAddr, ServerWish>,
}

/// What the task wants of one real server.
#[derive(Clone, Debug)]
pub(super) struct ServerWish {
    pub(super) state: ServerState,
    pub(super) asked: WantedServer,
}

impl TryFrom<Arguments> for Options {
    type Error = Error;

    fn try_from(mut arguments: Arguments) -> Result<Self> {
        let netns = arguments.netns.take().map(|netns| netns.0.parse()).transpose()?;
        let persist = arguments.persist.take().unwrap_or_default();
        if netns.is_some() && persist != Persist::None {
            return Err(Error::invalid(
                "cannot use persist with netns: a boot makes no such network namespace; leave one of them out",
            ));
        }
        let purge = arguments.purge.take().unwrap_or_default();
        let drain = Duration::from_secs(arguments.drain.take().map_or(0, |seconds| seconds.0.into()));
        let until = arguments.drain_until.take().unwrap_or_default();
        let items = match arguments.services.take() {
            None => vec![arguments],
            Some(items) => {
                let filled = items.into_iter().enumerate();
                filled.map(|(number, item)| item.with_defaults(&arguments, number)).collect::<Result<_>>()?
            }
        };
        let mut services = BTreeMap::new();
        for item in items {
            let (ingress, wish) = item.service()?;
            if services.insert(ingress, wish).is_some() {
                return Err(Error::invalid(format!("cannot use {ingress} twice: list each service once")));
            }
        }
        if services.is_empty() && purge != Purge::All {
            return Err(Error::invalid(
                "cannot do anything with empty services: give at least one, or purge: all to have none",
            ));
        }
        let options = Self { services, purge, drain, until, netns, persist };
        options.waits_for_what_ends().map(|()| options)
    }
}

impl Options {
    /// Returns an error if the task waits for connections that never end.
    fn waits_for_what_ends(&self) -> Result<()> {
        let is_udp = |ingress: &&Ingress| matches!(ingress, Ingress::Address(Protocol::Udp, _));
        match self.services.keys().find(is_udp) {
            Some(ingress) if self.until == Until::All && !self.drain.is_zero() => {
                Err(Error::invalid(format!(
                    "cannot use drain_until: all for {ingress}: packets of UDP that keep coming never end what they belong to; use drain_until: active, or give it a task of its own"
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Arguments {
    /// Returns the item number `number` with what it leaves out as the task has it.
    fn with_defaults(self, task: &Self, number: usize) -> Result<Self> {
        let is_for_the_task = self.services.is_some()
            || self.purge.is_some()
            || self.drain.is_some()
            || self.drain_until.is_some()
            || self.netns.is_some()
            || self.persist.is_some();
        if is_for_the_task {
            return Err(Error::invalid(format!(
                "cannot use services[{number}]: services, purge, drain, drain_until, netns and persist are for the whole task; give them beside services"
            )));
        }
        let task = task.clone();
        let (has_mark, has_address) = (self.fwmark.is_some(), self.address.is_some());
        let has_port = has_mark || self.address.as_ref().is_some_and(address::has_port);
        Ok(Self {
            address: self.address.or(task.address.filter(|_| !has_mark)),
            port: self.port.or(task.port.filter(|_| !has_port)),
            protocol: self.protocol.or(task.protocol.filter(|_| !has_mark)),
            fwmark: self.fwmark.or(task.fwmark.filter(|_| !has_address)),
            family: self.family.or(task.family.filter(|_| !has_address)),
            scheduler: self.scheduler.or(task.scheduler),
            flags: self.flags.or(task.flags),
            persistence: self.persistence.or(task.persistence),
            forward: self.forward.or(task.forward),
            real_servers: self.real_servers.or(task.real_servers),
            state: self.state.or(task.state),
            ..Self::default()
        })
    }

    /// Returns the service that these options are about, and what is wanted of it.
    fn service(self) -> Result<(Ingress, ServiceWish)> {
        let ingress = self.ingress()?;
        let is_ipv4 = ingress.is_ipv4();
        let names = self.flags.as_ref().map(|names| names.iter().map(|name| name.0.as_str()));
        let wanted = WantedService {
            scheduler: self.scheduler.as_ref().map(|name| scheduler::parse(&name.0)).transpose()?,
            flags: names.map(flags::Wanted::parse).transpose()?,
            persistence: self
                .persistence
                .as_ref()
                .map(|persistence| persistence::Wanted::parse(persistence, is_ipv4))
                .transpose()?,
        };
        wanted.suits(ingress)?;
        let mut real_servers = BTreeMap::new();
        for server in self.real_servers.unwrap_or_default() {
            let (at, wish) = server.wish(ingress, self.forward)?;
            if real_servers.insert(at, wish).is_some() {
                return Err(Error::invalid(format!(
                    "cannot use the real server {at} of {ingress} twice: list it once"
                )));
            }
        }
        let present = self.state.unwrap_or_default() == Presence::Present;
        Ok((ingress, ServiceWish { present, asked: wanted, real_servers }))
    }

    fn ingress(&self) -> Result<Ingress> {
        let Some(address) = &self.address else {
            return self.mark();
        };
        if self.fwmark.is_some() || self.family.is_some() {
            return Err(Error::invalid(format!(
                "cannot use fwmark or family with address {}: a service is told by one or the other; leave one out",
                address.0
            )));
        }
        let (ip, port) = address::parse("address", address, self.port)?;
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use address {}: {why}", address.0)));
        match (address::no_host(ip), port) {
            (Some(why), _) => refuse(&format!("{why}; give the address that clients use")),
            (None, None) => refuse("the port is missing; give port, 0 for any"),
            (None, Some(port)) => {
                Ok(Ingress::Address(self.protocol.unwrap_or_default(), SocketAddr::new(ip, port)))
            }
        }
    }

    fn mark(&self) -> Result<Ingress> {
        match self.fwmark {
            None => {
                Err(Error::invalid("cannot tell which service is meant: give address and port, or fwmark"))
            }
            Some(Number(0)) => {
                Err(Error::invalid("cannot use fwmark 0: that is a packet without a mark; give another"))
            }
            Some(Number(mark)) if self.port.is_some() || self.protocol.is_some() => {
                Err(Error::invalid(format!(
                    "cannot use port or protocol with fwmark {mark}: what the firewall marks decides; leave them out"
                )))
            }
            Some(Number(mark)) => Ok(Ingress::Mark(mark, self.family.unwrap_or_default())),
        }
    }
}

impl WantedService {
    /// Returns an error if `ingress` cannot have it, whatever is there.
    fn suits(&self, ingress: Ingress) -> Result<()> {
        let is_udp = ingress.may_be(Protocol::Udp);
        let refuse =
            |what: &str, why: &str| Err(Error::invalid(format!("cannot use {what} for {ingress}: {why}")));
        match self {
            Self { flags: Some(flags), .. } if flags.has_ops() && !is_udp => {
                refuse("flag ops", "only packets of UDP can be scheduled one by one; leave it out")
            }
            Self { persistence: Some(persistence), .. } if persistence.has_engine() && !is_udp => {
                refuse("engine sip", "it reads SIP over UDP only; leave it out, or use protocol: udp")
            }
            _ => Ok(()),
        }
    }
}

impl ServerArguments {
    /// Returns the address of a real server of `service`, and what is wanted of it.
    fn wish(self, service: Ingress, forward: Option<Forward>) -> Result<(SocketAddr, ServerWish)> {
        let address = self.address.ok_or_else(|| {
            Error::invalid(format!("cannot use a real server of {service} without address: give it"))
        })?;
        let (ip, port) = address::parse("address", &address, self.port)?;
        let at = SocketAddr::new(ip, port.unwrap_or(service.port()));
        let refuse =
            |why: &str| Err(Error::invalid(format!("cannot use the real server {at} of {service}: {why}")));
        let no_host = address::no_host(ip);
        if let Some(why) = no_host.or(address::is_link_local(ip).then_some("it is a link-local address")) {
            return refuse(&format!("{why}; give the address of a host"));
        }
        if self.weight.is_some_and(|weight| weight.0 > 65535) {
            return refuse("its weight is over 65535; give one that is not, as only the proportions count");
        }
        let asked = WantedServer {
            forward: self.forward.or(forward),
            weight: self.weight.map(|weight| weight.0),
            upper_threshold: self.upper_threshold.map(|threshold| threshold.0),
            lower_threshold: self.lower_threshold.map(|threshold| threshold.0),
            tunnel: self.tunnel.as_ref().map(Tunnel::parse).transpose()?,
        };
        Ok((at, ServerWish { state: self.state.unwrap_or_default(), asked }))
    }
}

//! A virtual service: where packets come in, and how a real server is chosen for them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::flags::{Flags, Named, Wanted as WantedFlags};
use super::persistence::{Persistence, Wanted as WantedPersistence};
use super::scheduler;
use crate::{Error, Result};

/// What tells a service from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ingress {
    /// Packets of a protocol to an address and a port; port 0 is any.
    Address(Protocol, SocketAddr),
    /// Packets that a firewall has marked.
    Mark(u32, Family),
}

/// A transport protocol that IPVS knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The default.
    #[default]
    Tcp,
    /// Without connections: what a client sends within some minutes counts as one.
    Udp,
    /// Streams of messages.
    Sctp,
}

/// The family of the packets that bear a mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// The default.
    #[default]
    Ipv4,
    /// The other.
    Ipv6,
}

/// What the kernel knows of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// How it chooses a real server.
    pub scheduler: Rc<str>,
    /// What else is said of that.
    pub flags: Flags,
    /// How it keeps its clients, if it does.
    pub persistence: Option<Persistence>,
}

/// What a task says of a service; what it leaves out is left alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) scheduler: Option<Rc<str>>,
    pub(super) flags: Option<WantedFlags>,
    pub(super) persistence: Option<WantedPersistence>,
}

impl Ingress {
    /// Returns whether its packets are of IPv4.
    pub(super) fn is_ipv4(self) -> bool {
        match self {
            Self::Address(_, at) => at.is_ipv4(),
            Self::Mark(_, family) => family == Family::Ipv4,
        }
    }

    /// Returns the port that packets come in on; 0 for any.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Address(_, at) => at.port(),
            Self::Mark(..) => 0,
        }
    }

    /// Returns the address and port that packets come in on, if that tells it.
    pub(super) fn at(self) -> Option<(IpAddr, u16)> {
        match self {
            Self::Address(_, at) => Some((at.ip(), at.port())),
            Self::Mark(..) => None,
        }
    }

    /// Returns whether it is of that protocol, or may be as its packets are told by a mark.
    pub(super) fn may_be(self, protocol: Protocol) -> bool {
        !matches!(self, Self::Address(other, _) if other != protocol)
    }
}

impl Protocol {
    /// Returns what a task calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Returns its number (RFC 5237).
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl Family {
    /// Returns what a task calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl Wanted {
    /// Returns what becomes of the service that is there, or of none.
    pub(super) fn applied(&self, ingress: Ingress, present: Option<&Service>) -> Result<Service> {
        let found = present.map(|present| present.scheduler.clone());
        let scheduler = self.scheduler.clone().or(found).unwrap_or_else(|| scheduler::DEFAULT.into());
        let flags = match &self.flags {
            Some(flags) => flags.on(&ingress.to_string(), &scheduler)?,
            None => present.map_or(Flags::default(), |present| present.flags),
        };
        let found = present.and_then(|present| present.persistence.as_ref());
        let persistence = match &self.persistence {
            Some(wanted) => wanted.applied(found, ingress.is_ipv4()),
            None => found.cloned(),
        };
        if persistence.is_none() && ingress.at().is_some_and(|(_, port)| port == 0) {
            return Err(Error::invalid(format!(
                "cannot set {ingress}: port 0, which is any, needs persistence; give persistence, or another port"
            )));
        }
        Ok(Service { scheduler, flags, persistence })
    }
}

/// As a person calls it: `tcp 192.0.2.10:80`, `fwmark 7`.
impl fmt::Display for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(protocol, at) => write!(f, "{} {at}", protocol.name()),
            Self::Mark(fwmark, Family::Ipv4) => write!(f, "fwmark {fwmark}"),
            Self::Mark(fwmark, Family::Ipv6) => write!(f, "fwmark {fwmark} of IPv6"),
        }
    }
}

impl Serialize for Ingress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut service = serializer.serialize_struct("Service", 3)?;
        service.serialize_field("scheduler", &self.scheduler)?;
        service.serialize_field("flags", &Named(self.flags, &self.scheduler))?;
        match &self.persistence {
            Some(persistence) => service.serialize_field("persistence", persistence)?,
            None => service.serialize_field("persistence", &0)?,
        }
        service.end()
    }
}

/// As ipvsadm(8) prints and takes it.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-s {}", self.scheduler)?;
        if let Some(persistence) = &self.persistence {
            write!(f, " -p {}", persistence.timeout)?;
            if !persistence.netmask.is_whole() {
                write!(f, " -M {}", persistence.netmask)?;
            }
            if let Some(engine) = &persistence.engine {
                write!(f, " --pe {engine}")?;
            }
        }
        Named(self.flags, &self.scheduler).fmt(f)
    }
}

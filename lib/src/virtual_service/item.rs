//! What a task about services may change, and what it holds.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use super::installed::{Installed, Part};
use super::real_server::RealServer;
use super::service::{Family, Ingress, Protocol, Service};
use crate::resource::{Layer, State};
use crate::virtual_service::VirtualService;

/// What a task about services may change: in the kernel, or in a file that a boot reads.
pub type Item = crate::resource::Item<Key>;

/// What tells an entry from the others of its layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Key {
    /// A service or a real server.
    Entry(Entry),
    /// A file that a boot needs to have them, as a whole.
    Part {
        /// Which one.
        part: Part,
    },
}

/// A service, or a real server of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entry {
    /// The service.
    pub service: Ingress,
    /// The address and port of the real server, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub real_server: Option<SocketAddr>,
}

/// serde's way tells the two families apart in the code of the binary.
fn as_text<S: serde::Serializer>(at: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.map_or_else(String::new, |at| at.to_string()))
}

/// What an [`Item`] holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// How a service chooses.
    Service(Service),
    /// How packets get to a real server.
    RealServer(RealServer),
    /// What a file is.
    Installed(Installed),
}

impl Entry {
    /// Returns the entry of a service.
    pub(super) fn service(service: Ingress) -> Self {
        Self { service, real_server: None }
    }

    /// Returns the entry of a real server.
    pub(super) fn real_server(service: Ingress, at: SocketAddr) -> Self {
        Self { service, real_server: Some(at) }
    }

    /// Returns what it is in a layer.
    pub(super) fn within(self, layer: &Layer) -> Item {
        Item { layer: layer.clone(), key: Key::Entry(self) }
    }
}

impl Key {
    /// Returns the service or real server, if it is one.
    pub(super) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Part { .. } => None,
        }
    }
}

impl Item {
    /// Returns the entry of a service in the kernel.
    pub(super) fn service(service: Ingress) -> Self {
        Entry::service(service).within(&Layer::Kernel)
    }

    /// Returns the entry of a real server in the kernel.
    pub(super) fn real_server(service: Ingress, at: SocketAddr) -> Self {
        Entry::real_server(service, at).within(&Layer::Kernel)
    }

    /// Returns the service or real server in the kernel, if it is one.
    pub(super) fn live(&self) -> Option<&Entry> {
        self.key.entry().filter(|_| self.is_live())
    }
}

impl Value {
    /// Returns what is known of a service, if it is one.
    pub fn service(&self) -> Option<&Service> {
        match self {
            Self::Service(service) => Some(service),
            _ => None,
        }
    }

    /// Returns what is known of a real server, if it is one.
    pub fn real_server(&self) -> Option<&RealServer> {
        match self {
            Self::RealServer(server) => Some(server),
            _ => None,
        }
    }

    /// Returns what is known of a file, if it is one.
    pub fn installed(&self) -> Option<&Installed> {
        match self {
            Self::Installed(installed) => Some(installed),
            _ => None,
        }
    }
}

/// Returns the real servers of a service in the kernel.
pub(super) fn real_servers(
    state: &State<VirtualService>,
    service: Ingress,
) -> impl Iterator<Item = (SocketAddr, &RealServer)> {
    let entries =
        state.range(Item::service(service)..).map_while(|(item, value)| Some((item.live()?, value)));
    let entries = entries.take_while(move |(entry, _)| entry.service == service);
    entries.filter_map(|(entry, value)| Some((entry.real_server?, value.real_server()?)))
}

/// Returns the services in the kernel.
pub(super) fn services(state: &State<VirtualService>) -> impl Iterator<Item = (Ingress, &Service)> {
    state.iter().filter_map(|(item, value)| Some((item.live()?.service, value.service()?)))
}

/// Returns the line that adds an entry with ipvsadm(8), where each is one command.
pub(super) fn line(key: &Entry, value: &Value) -> String {
    let command = if key.real_server.is_none() { "-A" } else { "-a" };
    let service = match key.service {
        Ingress::Address(Protocol::Tcp, at) => format!("-t {at}"),
        Ingress::Address(Protocol::Udp, at) => format!("-u {at}"),
        Ingress::Address(Protocol::Sctp, at) => format!("--sctp-service {at}"),
        Ingress::Mark(mark, Family::Ipv4) => format!("-f {mark}"),
        Ingress::Mark(mark, Family::Ipv6) => format!("-f {mark} -6"),
    };
    let server = key.real_server.map_or_else(String::new, |at| format!(" -r {at}"));
    format!("{command} {service}{server} {value}")
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(entry) => entry.fmt(f),
            Self::Part { part } => part.fmt(f),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.real_server {
            None => write!(f, "the service {}", self.service),
            Some(at) => write!(f, "the real server {at} of {}", self.service),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::RealServer(server) => server.fmt(f),
            Self::Installed(installed) => installed.fmt(f),
        }
    }
}

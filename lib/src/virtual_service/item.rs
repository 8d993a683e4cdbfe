//! What a task about services may change, and what it holds.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use super::real_server::RealServer;
use super::service::{Family, Ingress, Protocol, Service};
use crate::resource::State;
use crate::virtual_service::VirtualService;

/// What a task about services may change: in the kernel, or in a file that a boot reads.
pub type Item = crate::resource::Item<Key>;

/// A service, or a real server of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
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
}

impl Item {
    /// Returns the entry of a service in the kernel.
    pub(super) fn service(service: Ingress) -> Self {
        Self::kernel(Key { service, real_server: None })
    }

    /// Returns the entry of a real server in the kernel.
    pub(super) fn real_server(service: Ingress, at: SocketAddr) -> Self {
        Self::kernel(Key { service, real_server: Some(at) })
    }
}

impl Value {
    /// Returns what is known of a service, if it is one.
    pub fn service(&self) -> Option<&Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::RealServer(_) => None,
        }
    }

    /// Returns what is known of a real server, if it is one.
    pub fn real_server(&self) -> Option<&RealServer> {
        match self {
            Self::RealServer(server) => Some(server),
            Self::Service(_) => None,
        }
    }
}

/// Returns the real servers of a service in the kernel.
pub(super) fn real_servers(
    state: &State<VirtualService>,
    service: Ingress,
) -> impl Iterator<Item = (SocketAddr, &RealServer)> {
    let entries =
        state.range(Item::service(service)..).take_while(move |(item, _)| item.key.service == service);
    entries.filter_map(|(item, value)| Some((item.key.real_server?, value.real_server()?)))
}

/// Returns the services in the kernel.
pub(super) fn services(state: &State<VirtualService>) -> impl Iterator<Item = (Ingress, &Service)> {
    state.iter().filter_map(|(item, value)| Some((item.key.service, value.service()?)))
}

/// Returns the line that adds an entry with ipvsadm(8), where each is one command.
pub(super) fn line(key: &Key, value: &Value) -> String {
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
        }
    }
}

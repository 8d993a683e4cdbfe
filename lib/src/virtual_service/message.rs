//! Requests and answers of IPVS, as bytes (linux/ip_vs.h).
//!
//! A request always sends an entry whole: what is left out of a service the kernel sets anew, an engine it removes
//! (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_edit_service).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::libc::{AF_INET, AF_INET6};
use rtnetlink::packet_core::NLA_F_NESTED;

use super::flags::Flags;
use super::persistence::{Netmask, Persistence};
use super::real_server::{Connections, Forward, RealServer};
use super::service::{Family, Ingress, Protocol, Service};
use super::tunnel::Tunnel;
use crate::netlink::generic::{content, request};
use crate::netlink::{Message, append_attribute, attributes, c_string, number};

/// What is asked of the kernel (IPVS_CMD_).
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(super) enum Command {
    NewService = 1,
    SetService,
    DelService,
    GetService,
    NewDest,
    SetDest,
    DelDest,
    GetDest,
}

/// IPVS_CMD_ATTR_.
const SERVICE: u16 = 1;
const DEST: u16 = 2;

/// IPVS_SVC_ATTR_.
mod svc {
    pub(super) const AF: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const ADDR: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const FWMARK: u16 = 5;
    pub(super) const SCHED_NAME: u16 = 6;
    pub(super) const FLAGS: u16 = 7;
    pub(super) const TIMEOUT: u16 = 8;
    pub(super) const NETMASK: u16 = 9;
    pub(super) const PE_NAME: u16 = 11;
}

/// IPVS_DEST_ATTR_.
mod dest {
    pub(super) const ADDR: u16 = 1;
    pub(super) const PORT: u16 = 2;
    pub(super) const FWD_METHOD: u16 = 3;
    pub(super) const WEIGHT: u16 = 4;
    pub(super) const U_THRESH: u16 = 5;
    pub(super) const L_THRESH: u16 = 6;
    pub(super) const ACTIVE_CONNS: u16 = 7;
    pub(super) const INACT_CONNS: u16 = 8;
    pub(super) const PERSIST_CONNS: u16 = 9;
    pub(super) const ADDR_FAMILY: u16 = 11;
    pub(super) const TUN_TYPE: u16 = 13;
    pub(super) const TUN_PORT: u16 = 14;
    pub(super) const TUN_FLAGS: u16 = 15;
}

/// IP_VS_SVC_F_PERSISTENT.
const PERSISTENT: u32 = 1;

/// The method among the flags of a connection (IP_VS_CONN_F_FWD_MASK).
const METHOD: u32 = 7;

/// Attributes one after the other.
#[derive(Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        append_attribute(&mut self.0, kind, value);
        self
    }

    /// Adds a number in the machine's order.
    fn number(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// Adds a short number in the machine's order.
    fn short(self, kind: u16, value: u16) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// Adds a port, which is in the network's order.
    fn port(self, kind: u16, value: u16) -> Self {
        self.with(kind, &value.to_be_bytes())
    }

    /// Adds a string, with the zero that ends it.
    fn string(self, kind: u16, value: &str) -> Self {
        self.with(kind, &[value.as_bytes(), b"\0"].concat())
    }

    fn address(self, kind: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.with(kind, &address.octets()),
            IpAddr::V6(address) => self.with(kind, &address.octets()),
        }
    }
}

/// Returns the request about all services.
pub(super) fn all(family: u16) -> Message {
    request(family, Command::GetService as u8)
}

/// Returns the request about a service that its key is enough for.
pub(super) fn about(family: u16, command: Command, ingress: Ingress) -> Message {
    request(family, command as u8).with(SERVICE | NLA_F_NESTED, &key(ingress).0)
}

/// Returns the request that adds or sets a service.
pub(super) fn service(family: u16, command: Command, ingress: Ingress, service: &Service) -> Message {
    let persistence = service.persistence.as_ref();
    let set = service.flags.bits() | if persistence.is_some() { PERSISTENT } else { 0 };
    let flags = [set, Flags::MASK | PERSISTENT].map(u32::to_ne_bytes).concat();
    let netmask = persistence.map_or(Netmask::whole(ingress.is_ipv4()), |persistence| persistence.netmask);
    let mut attributes = key(ingress)
        .string(svc::SCHED_NAME, &service.scheduler)
        .with(svc::FLAGS, &flags)
        .number(svc::TIMEOUT, persistence.map_or(0, |persistence| persistence.timeout));
    attributes = match netmask {
        Netmask::V4(mask) => attributes.with(svc::NETMASK, &mask.octets()),
        Netmask::V6(prefix) => attributes.number(svc::NETMASK, prefix),
    };
    if let Some(engine) = persistence.and_then(|persistence| persistence.engine.as_ref()) {
        attributes = attributes.string(svc::PE_NAME, engine);
    }
    request(family, command as u8).with(SERVICE | NLA_F_NESTED, &attributes.0)
}

/// Returns the request that adds, sets or, without `server`, removes a real server.
pub(super) fn real_server(
    family: u16,
    command: Command,
    ingress: Ingress,
    at: SocketAddr,
    server: Option<&RealServer>,
) -> Message {
    let mut attributes = Attributes::default()
        .short(dest::ADDR_FAMILY, family_of(at.is_ipv4()))
        .address(dest::ADDR, at.ip())
        .port(dest::PORT, at.port());
    if let Some(server) = server {
        attributes = attributes
            .number(dest::FWD_METHOD, server.forward.number())
            .number(dest::WEIGHT, server.weight)
            .number(dest::U_THRESH, server.upper_threshold)
            .number(dest::L_THRESH, server.lower_threshold);
        if server.forward == Forward::Tun {
            attributes = attributes
                .with(dest::TUN_TYPE, &[server.tunnel.kind])
                .port(dest::TUN_PORT, server.tunnel.port)
                .short(dest::TUN_FLAGS, server.tunnel.flags);
        }
    }
    about(family, command, ingress).with(DEST | NLA_F_NESTED, &attributes.0)
}

fn key(ingress: Ingress) -> Attributes {
    let family = Attributes::default().short(svc::AF, family_of(ingress.is_ipv4()));
    match ingress {
        Ingress::Mark(mark, _) => family.number(svc::FWMARK, mark),
        Ingress::Address(protocol, at) => family
            .short(svc::PROTOCOL, protocol.number())
            .address(svc::ADDR, at.ip())
            .port(svc::PORT, at.port()),
    }
}

fn family_of(is_ipv4: bool) -> u16 {
    (if is_ipv4 { AF_INET } else { AF_INET6 }) as u16
}

/// Returns the service that an answer describes; nothing for one that no task can name, as of another protocol.
pub(super) fn read_service(message: &Message) -> Option<(Ingress, Service)> {
    let (_, nested) = attributes(content(message)).find(|(kind, _)| *kind == SERVICE)?;
    let (mut is_ipv4, mut protocol, mut address, mut port, mut mark) = (true, 0, None, 0, None);
    let (mut scheduler, mut flags, mut timeout, mut netmask, mut engine) = ("".into(), 0, 0, None, None);
    for (kind, value) in attributes(nested) {
        match kind {
            svc::AF => is_ipv4 = i32::from(short(value)?) == AF_INET,
            svc::PROTOCOL => protocol = short(value)?,
            svc::ADDR => address = Some(value),
            svc::PORT => port = read_port(value)?,
            svc::FWMARK => mark = number(value),
            svc::SCHED_NAME => scheduler = c_string(value).to_string_lossy(),
            svc::FLAGS => flags = number(value)?,
            svc::TIMEOUT => timeout = number(value)?,
            svc::NETMASK => netmask = value.first_chunk::<4>().copied(),
            svc::PE_NAME => engine = Some(c_string(value).to_string_lossy().into()),
            _ => {}
        }
    }
    let ingress = match mark {
        Some(mark) => Ingress::Mark(mark, if is_ipv4 { Family::Ipv4 } else { Family::Ipv6 }),
        None => {
            let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
            let protocol = protocols.into_iter().find(|known| known.number() == protocol)?;
            Ingress::Address(protocol, SocketAddr::new(ip(address?, is_ipv4)?, port))
        }
    };
    let netmask = netmask?;
    let netmask = match is_ipv4 {
        true => Netmask::V4(Ipv4Addr::from(netmask)),
        false => Netmask::V6(u32::from_ne_bytes(netmask)),
    };
    let persistence = (flags & PERSISTENT != 0).then_some(Persistence { timeout, netmask, engine });
    Some((ingress, Service { scheduler: scheduler.into(), flags: Flags::of(flags), persistence }))
}

/// Returns the real server of a service that an answer describes, and its connections.
pub(super) fn read_real_server(
    message: &Message,
    is_ipv4: bool,
) -> Option<(SocketAddr, RealServer, Connections)> {
    let (_, nested) = attributes(content(message)).find(|(kind, _)| *kind == DEST)?;
    let mut server = RealServer {
        forward: Forward::Nat,
        weight: 0,
        upper_threshold: 0,
        lower_threshold: 0,
        tunnel: Tunnel::default(),
    };
    let mut connections = Connections::default();
    // Before Linux 3.18 the family was that of the service and not told.
    let (mut is_ipv4, mut address, mut port) = (is_ipv4, None, 0);
    for (kind, value) in attributes(nested) {
        match kind {
            dest::ADDR => address = Some(value),
            dest::ADDR_FAMILY => is_ipv4 = i32::from(short(value)?) == AF_INET,
            dest::PORT => port = read_port(value)?,
            dest::FWD_METHOD => server.forward = Forward::of(number(value)? & METHOD),
            dest::WEIGHT => server.weight = number(value)?,
            dest::U_THRESH => server.upper_threshold = number(value)?,
            dest::L_THRESH => server.lower_threshold = number(value)?,
            dest::ACTIVE_CONNS => connections.active = number(value)?,
            dest::INACT_CONNS => connections.inactive = number(value)?,
            dest::PERSIST_CONNS => connections.persistent = number(value)?,
            dest::TUN_TYPE => server.tunnel.kind = *value.first()?,
            dest::TUN_PORT => server.tunnel.port = read_port(value)?,
            dest::TUN_FLAGS => server.tunnel.flags = short(value)?,
            _ => {}
        }
    }
    Some((SocketAddr::new(ip(address?, is_ipv4)?, port), server, connections))
}

fn short(value: &[u8]) -> Option<u16> {
    value.first_chunk::<2>().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn read_port(value: &[u8]) -> Option<u16> {
    value.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Returns an address, which has 16 bytes in answers whatever its family.
fn ip(value: &[u8], is_ipv4: bool) -> Option<IpAddr> {
    match is_ipv4 {
        true => value.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into()),
        false => value.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into()),
    }
}

#[cfg(test)]
mod tests;

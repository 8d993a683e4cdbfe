//! The messages of rtnetlink(7) that addresses and interfaces need, as bytes.
//!
//! The messages of the crate rtnetlink know all that the kernel may send, which makes the binary three times as large, and
//! drop an address whose label is no UTF-8.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use nix::libc::{
    AF_INET, AF_INET6, AF_UNSPEC, IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_F_DADFAILED,
    IFA_F_DEPRECATED, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_MCAUTOJOIN, IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, IFA_F_TENTATIVE, IFA_FLAGS, IFA_LABEL, IFA_LOCAL, IFF_LOWER_UP,
    IFF_UP, IFLA_AF_SPEC, IFLA_ALT_IFNAME, IFLA_IFNAME, IFLA_MTU, IFNAMSIZ, RTM_DELADDR, RTM_GETADDR,
    RTM_GETLINK, RTM_NEWADDR, RTM_SETLINK,
};
use rtnetlink::packet_core::{
    NLA_F_NESTED, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, NlasIterator,
};

use super::address::{Address, Attributes, FOREVER, Status};
use super::item::{Addresses, Alias, Operation};

/// linux/if_addr.h.
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;

/// linux/if_link.h and linux/ip.h.
const IFLA_INET_CONF: u16 = 1;
const IPV4_DEVCONF_PROMOTE_SECONDARIES: u16 = 20;

/// Further flags that a request can set (linux/if_addr.h), which are kept as they are.
const SETTABLE: u32 = IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_MCAUTOJOIN;

/// A message: its type, and the bytes that follow netlink's header.
#[derive(Clone, Debug)]
pub(super) struct Message {
    kind: u16,
    body: Vec<u8>,
}

impl Message {
    /// Returns a message of type `kind` with the family's header and no attributes.
    pub(super) fn new(kind: u16, header: &[u8]) -> Self {
        Self { kind, body: header.to_vec() }
    }

    /// Returns the same message with one more attribute.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        append_attribute(&mut self.body, kind, value);
        self
    }
}

/// Appends an attribute: length, type, value, padding to four bytes (rtnetlink(3)).
pub(super) fn append_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    const HEADER: usize = 4;
    // No value here is longer than a name or an address.
    let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&length.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Returns the attributes in `bytes`, type and value.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(4..length)?))
    })
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self { kind: header.message_type, body: payload.to_vec() })
    }
}

/// An interface.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: Rc<str>,
    pub(super) operation: Operation,
    pub(super) has_carrier: bool,
    pub(super) promotes_secondaries: bool,
    pub(super) mtu: u32,
    /// Whether IPv6 knows of it.
    pub(super) has_ipv6: bool,
}

impl Link {
    /// Returns the request for the interface called `name`; a name that is too long for one can be another name of it.
    pub(super) fn request(name: &str) -> Message {
        let kind = if name.len() < IFNAMSIZ { IFLA_IFNAME } else { IFLA_ALT_IFNAME };
        let name = [name.as_bytes(), b"\0"].concat();
        Message::new(RTM_GETLINK, &ifinfomsg(0, 0, 0)).with(kind, &name)
    }

    /// Returns the interface that a message describes.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let (header, rest) = message.body.split_first_chunk::<16>()?;
        let flags = number(&header[8..12])?;
        let mut link = Self {
            index: number(&header[4..8])?,
            name: Rc::default(),
            operation: if flags & IFF_UP as u32 == 0 { Operation::Down } else { Operation::Up },
            has_carrier: flags & IFF_LOWER_UP as u32 != 0,
            promotes_secondaries: false,
            mtu: 0,
            has_ipv6: false,
        };
        for (kind, value) in attributes(rest) {
            match kind {
                IFLA_IFNAME => link.name = text(value).to_string_lossy().into(),
                IFLA_MTU => link.mtu = number(value)?,
                IFLA_AF_SPEC => {
                    link.promotes_secondaries = promotes_secondaries(value).unwrap_or(false);
                    link.has_ipv6 = attributes(value).any(|(family, _)| family == AF_INET6 as u16);
                }
                _ => {}
            }
        }
        Some(link)
    }

    /// Returns the request that brings it up or takes it down.
    pub(super) fn operate(&self, operation: Operation) -> Message {
        let up = IFF_UP as u32;
        let flags = if operation == Operation::Up { up } else { 0 };
        Message::new(RTM_SETLINK, &ifinfomsg(self.index, flags, up))
    }

    /// Returns the request that sets promote_secondaries for it; unlike /proc/sys this is never read-only.
    pub(super) fn promote_secondaries(&self, on: bool) -> Message {
        let [mut conf, mut family, mut families] = [const { Vec::new() }; 3];
        append_attribute(&mut conf, IPV4_DEVCONF_PROMOTE_SECONDARIES, &u32::from(on).to_ne_bytes());
        append_attribute(&mut family, IFLA_INET_CONF | NLA_F_NESTED, &conf);
        append_attribute(&mut families, AF_INET as u16 | NLA_F_NESTED, &family);
        Message::new(RTM_SETLINK, &ifinfomsg(self.index, 0, 0)).with(IFLA_AF_SPEC | NLA_F_NESTED, &families)
    }
}

/// Returns the header of messages about interfaces (struct ifinfomsg in linux/rtnetlink.h).
fn ifinfomsg(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let family = u32::from(AF_UNSPEC as u8);
    [family, index, flags, change].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Returns whether the interface's own promote_secondaries is set; the kernel lists all its settings, the first is number 1.
fn promotes_secondaries(families: &[u8]) -> Option<bool> {
    let (_, family) = attributes(families).find(|(kind, _)| *kind == AF_INET as u16)?;
    let (_, conf) = attributes(family).find(|(kind, _)| *kind == IFLA_INET_CONF)?;
    let at = 4 * usize::from(IPV4_DEVCONF_PROMOTE_SECONDARIES - 1);
    Some(number(conf.get(at..)?)? != 0)
}

/// Returns the request for all addresses of the interface number `index`.
pub(super) fn list(index: u32) -> Message {
    Message::new(RTM_GETADDR, &ifaddrmsg(AF_UNSPEC, 0, 0, index))
}

/// Returns the request that adds an address.
pub(super) fn add(index: u32, alias: &Alias, address: &Address) -> Message {
    describe(RTM_NEWADDR, index, alias, address)
}

/// Returns the request that removes this address and no other: what it leaves out the kernel does not compare.
pub(super) fn remove(index: u32, alias: &Alias, address: &Address) -> Message {
    describe(RTM_DELADDR, index, alias, address)
}

fn describe(kind: u16, index: u32, alias: &Alias, address: &Address) -> Message {
    let set = &address.set;
    let family = if alias.address.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut message = Message::new(kind, &ifaddrmsg(family, set.prefix, set.scope, index))
        .with(IFA_LOCAL, &octets(alias.address))
        .with(IFA_ADDRESS, &octets(set.peer.unwrap_or(alias.address)));
    if let Some(label) = &set.label {
        message = message.with(IFA_LABEL, &[label.as_bytes(), b"\0"].concat());
    }
    if let Some(broadcast) = set.broadcast {
        message = message.with(IFA_BROADCAST, &broadcast.octets());
    }
    if let Some(metric) = set.metric {
        message = message.with(IFA_RT_PRIORITY, &metric.to_ne_bytes());
    }
    if let Some(protocol) = address.status.protocol {
        message = message.with(IFA_PROTO, &[protocol]);
    }
    message = match flags(set) {
        0 => message,
        flags => message.with(IFA_FLAGS, &flags.to_ne_bytes()),
    };
    match lifetimes(address) {
        None => message,
        Some(lifetimes) => message.with(IFA_CACHEINFO, &lifetimes),
    }
}

/// Returns the header of messages about addresses (struct ifaddrmsg in linux/if_addr.h).
fn ifaddrmsg(family: i32, prefix: u8, scope: u8, index: u32) -> Vec<u8> {
    [&[family as u8, prefix, 0, scope][..], &index.to_ne_bytes()].concat()
}

fn flags(set: &Attributes) -> u32 {
    let noprefixroute = if set.noprefixroute { IFA_F_NOPREFIXROUTE } else { 0 };
    let nodad = if set.nodad { IFA_F_NODAD } else { 0 };
    set.flags | noprefixroute | nodad
}

/// Returns the lifetimes (struct ifa_cacheinfo in linux/if_addr.h) if they are not for ever. A deprecated address has none to
/// be preferred, which the kernel does not say of a permanent IPv4 address (net/ipv4/devinet.c, inet_fill_ifaddr).
fn lifetimes(address: &Address) -> Option<Vec<u8>> {
    let preferred = if address.set.deprecated { 0 } else { address.status.preferred };
    let lifetimes = [preferred, address.status.valid];
    (lifetimes != [FOREVER, FOREVER])
        .then(|| [lifetimes[0], lifetimes[1], 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect())
}

/// Returns the addresses of `link` among what the kernel lists.
pub(super) fn read_addresses(link: &Link, messages: &[Message]) -> Addresses {
    messages.iter().filter_map(|message| read_address(link, message)).collect()
}

/// Returns what the kernel says of one address; nothing for another interface's, which old kernels list as well.
fn read_address(link: &Link, message: &Message) -> Option<(Alias, Address)> {
    let (header, rest) = message.body.split_first_chunk::<8>()?;
    let [_, prefix, _, scope, index @ ..] = header;
    if message.kind != RTM_NEWADDR || u32::from_ne_bytes(*index) != link.index {
        return None;
    }
    let mut set = Attributes { prefix: *prefix, scope: *scope, ..Attributes::default() };
    let mut status = Status::default();
    let (mut address, mut local, mut flags) = (None, None, 0);
    for (kind, value) in attributes(rest) {
        match kind {
            IFA_ADDRESS => address = ip(value),
            IFA_LOCAL => local = ip(value),
            IFA_LABEL => set.label = Some(text(value).to_owned()),
            IFA_BROADCAST => set.broadcast = value.first_chunk::<4>().copied().map(Ipv4Addr::from),
            IFA_RT_PRIORITY => set.metric = number(value),
            IFA_PROTO => status.protocol = value.first().copied(),
            IFA_FLAGS => flags = number(value)?,
            IFA_CACHEINFO => (status.preferred, status.valid) = (number(value)?, number(value.get(4..)?)?),
            _ => {}
        }
    }
    let own = local.or(address)?;
    set.peer = address.filter(|peer| *peer != own);
    set.flags = flags & SETTABLE;
    set.noprefixroute = flags & IFA_F_NOPREFIXROUTE != 0;
    set.nodad = flags & IFA_F_NODAD != 0;
    set.dadfailed = flags & IFA_F_DADFAILED != 0;
    set.deprecated = flags & IFA_F_DEPRECATED != 0;
    set.dynamic = status.counts_down();
    status.tentative = flags & IFA_F_TENTATIVE != 0;
    // In IPv6 the same bit says that an address is temporary.
    status.secondary = flags & IFA_F_SECONDARY != 0 && own.is_ipv4();
    Some((Alias::new(&link.name, own, *prefix), Address { set, status }))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
    let v6 = || <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from);
    v4().map(IpAddr::from).or_else(|| v6().map(IpAddr::from))
}

/// Returns the first four bytes as a number in the machine's order.
fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Returns the text before the zero that ends it, whatever its bytes are.
fn text(value: &[u8]) -> &OsStr {
    OsStr::from_bytes(value.split(|byte| *byte == 0).next().unwrap_or_default())
}

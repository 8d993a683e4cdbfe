//! The messages of rtnetlink(7) about addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;

use nix::libc::{
    AF_INET, AF_INET6, AF_UNSPEC, IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_F_DADFAILED,
    IFA_F_DEPRECATED, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_MCAUTOJOIN, IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, IFA_F_TENTATIVE, IFA_FLAGS, IFA_LABEL, IFA_LOCAL, RTM_DELADDR,
    RTM_GETADDR, RTM_NEWADDR,
};

use super::address::{Address, Attributes, FOREVER, Status};
use super::item::{Addresses, Alias, by_alias};
use crate::netlink::{Link, Message, attributes, c_string, number};

/// linux/if_addr.h.
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;

/// Further flags that a request can set (linux/if_addr.h), which are kept as they are.
const SETTABLE: u32 = IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_MCAUTOJOIN;

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
    by_alias(messages.iter().filter_map(|message| read_address(link, message)).collect())
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
            IFA_LABEL => set.label = Some(c_string(value).to_owned()),
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

//! The kernel's side: rtnetlink(7).

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nix::libc::{EADDRNOTAVAIL, EEXIST, ENODEV};
use rtnetlink::packet_core::{
    DefaultNla, ErrorMessage, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::link::{AfSpecInet, AfSpecUnspec, LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use tokio::runtime::Runtime;

use super::address::{Address, Attributes, FOREVER, OURS, Status};
use super::{InterfaceAlias, Item};
use crate::resource::State;
use crate::{Error, Result};

/// How long the kernel may take to answer one request; a lost answer is an error, not a hang.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long duplicate address detection may take (RFC 4862; the kernel's defaults make it two seconds at most).
const DETECTION: Duration = Duration::from_secs(5);

/// How often a dump that was interrupted by a change is asked for again.
const TRIES: usize = 20;

/// Further flags that a request can set (linux/if_addr.h), which are kept as they are: home, mngtmpaddr, autojoin.
const SETTABLE: AddressFlags =
    AddressFlags::Homeaddress.union(AddressFlags::Managetempaddr).union(AddressFlags::Mcautojoin);

/// A connection to the kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    runtime: Runtime,
    handle: rtnetlink::Handle,
}

/// An interface.
#[derive(Debug)]
pub(super) struct Link {
    index: u32,
    pub(super) name: String,
    promotes_secondaries: bool,
    has_carrier: bool,
}

impl Kernel {
    /// Returns a connection in the network namespace of this thread.
    pub(super) fn connect() -> Result<Self> {
        let failed = || Error::io("connect to", "the kernel by netlink");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed())?;
        let entered = runtime.enter();
        // Strict, the kernel dumps the addresses of one interface; before Linux 4.20 it cannot.
        let strict = rtnetlink::new_connection_with_strict_check();
        let (mut connection, handle, _) = strict.or_else(|_| rtnetlink::new_connection()).map_err(failed())?;
        // The end of a dump may carry an error, which would otherwise be lost.
        connection.set_forward_done(true);
        runtime.spawn(connection);
        drop(entered);
        Ok(Self { runtime, handle })
    }

    /// Returns the answer to a request, or the error that `act` on `object` met.
    fn ask<T>(
        &self,
        act: &'static str,
        object: impl Into<String>,
        request: impl Future<Output = Result<T, rtnetlink::Error>>,
    ) -> Result<T> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, request).await });
        match answer {
            Ok(answer) => answer.map_err(|error| Error::io(act, object)(errno(error))),
            Err(_) => Err(Error::io(act, object)(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }

    /// Returns the interface called `name`, if there is one.
    pub(super) fn link(&self, name: &str) -> Result<Option<Link>> {
        let request = self.handle.link().get().match_name(name.to_owned()).execute();
        let answer = self.ask("look up", format!("the interface {name}"), async move {
            std::pin::pin!(request).try_next().await
        });
        match answer {
            Ok(message) => Ok(message.map(|message| Link {
                index: message.header.index,
                name: name.to_owned(),
                promotes_secondaries: promotes_secondaries(&message),
                has_carrier: message.header.flags.contains(LinkFlags::LowerUp),
            })),
            Err(error) if is(&error, ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns all addresses of an interface.
    pub(super) fn addresses(&self, link: &Link) -> Result<State<InterfaceAlias>> {
        let object = || format!("the addresses of {}", link.name);
        for _ in 0..TRIES {
            if let Some(messages) = self.ask("read", object(), dump(self.handle.clone(), link.index))? {
                return Ok(messages.iter().filter_map(|message| entry(link, message)).collect());
            }
        }
        Err(Error::io("read", object())(std::io::Error::other("they keep changing; try again")))
    }

    /// Adds an address.
    pub(super) fn add(&self, link: &Link, item: &Item, address: &Address) -> Result<()> {
        match self.send(link, item, address, false) {
            // Somebody else was faster, which is fine if it is the same.
            Err(error) if is(&error, EEXIST) => match self.addresses(link)?.get(item) {
                Some(there) if there == address => Ok(()),
                Some(_) => Err(error),
                None => Err(Error::invalid(format!(
                    "cannot add {}: it is there already under a label that is no text; remove that first",
                    object(item, &address.set)
                ))),
            },
            answer => answer,
        }
    }

    /// Sends an address, as a new one or in place of one that is there.
    fn send(&self, link: &Link, item: &Item, address: &Address, replace: bool) -> Result<()> {
        let mut request = self.handle.address().add(link.index, item.address, address.set.prefix);
        *request.message_mut() = message(link, item.address, address);
        let request = if replace { request.replace() } else { request };
        self.ask("add", object(item, &address.set), request.execute())
    }

    /// Removes addresses and nothing with them; with `promote`, others take their place that the kernel would take along.
    pub(super) fn remove_all(&self, link: &Link, promote: bool, gone: &[(&Item, &Address)]) -> Result<()> {
        let has_primary =
            gone.iter().any(|(item, address)| item.address.is_ipv4() && !address.status.secondary);
        let delete = || gone.iter().try_for_each(|(item, address)| self.delete(link, item, address));
        if !promote || !has_primary || link.promotes_secondaries {
            return delete();
        }
        self.promote_secondaries(link, true)?;
        let deleted = delete();
        self.promote_secondaries(link, false).and(deleted)
    }

    /// Gives an address other attributes. IPv6 takes all but another prefix length and a new detection of duplicates in
    /// place (net/ipv6/addrconf.c, inet6_addr_modify). Else the address is removed and added anew, as IPv4 keeps most
    /// attributes for ever; meanwhile it lives on with another prefix length, so that no route that needs it is lost.
    pub(super) fn mend(
        &self,
        link: &Link,
        now: &State<InterfaceAlias>,
        item: &Item,
        old: &Address,
        new: &Address,
    ) -> Result<()> {
        if item.address.is_ipv6() && old.set.prefix == new.set.prefix && !old.set.dadfailed {
            return self.send(link, item, new, true);
        }
        let stand_in = stand_in(now, item, old);
        if let Some((item, address)) = &stand_in {
            self.add(link, item, address)?;
        }
        let followed =
            now.iter().any(|(other, address)| other.interface == item.interface && address.status.secondary);
        let mended = self.remove_all(link, followed, &[(item, old)]).and_then(|()| self.add(link, item, new));
        // If the new one was refused, the old one must be there before the stand-in goes.
        let restored = match mended {
            Err(_) => self.add(link, item, old),
            Ok(()) => Ok(()),
        };
        let cleared = stand_in.map_or(Ok(()), |(item, address)| self.delete(link, &item, &address));
        mended.and(restored).and(cleared)
    }

    /// Waits until duplicate address detection of `added` is over; without a carrier it does not begin.
    pub(super) fn settle(&self, link: &Link, added: &BTreeSet<&Item>) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(20);
        let waits = link.has_carrier && added.iter().any(|item| item.address.is_ipv6());
        let end = std::time::Instant::now() + DETECTION;
        while waits && std::time::Instant::now() < end {
            let now = self.addresses(link)?;
            let tentative = |item: &&&Item| {
                now.get(**item).is_some_and(|address| address.status.tentative && !address.set.dadfailed)
            };
            if !added.iter().any(|item| tentative(&item)) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn delete(&self, link: &Link, item: &Item, address: &Address) -> Result<()> {
        let message = message(link, item.address, address);
        let request = self.handle.address().del(message).execute();
        match self.ask("remove", object(item, &address.set), request) {
            // Somebody else was faster.
            Err(error) if is(&error, EADDRNOTAVAIL) || is(&error, ENODEV) => Ok(()),
            answer => answer,
        }
    }

    /// Sets promote_secondaries of one interface; by netlink, as /proc/sys may be read-only.
    fn promote_secondaries(&self, link: &Link, on: bool) -> Result<()> {
        /// linux/if_link.h and linux/ip.h.
        const IFLA_INET_CONF: u16 = 1;
        const IPV4_DEVCONF_PROMOTE_SECONDARIES: u16 = 20;
        /// linux/netlink.h.
        const NLA_F_NESTED: u16 = 1 << 15;
        const LENGTH_OF_ATTRIBUTE: u16 = 8;
        // rtnetlink's own type for this leaves out what is zero.
        let attribute = [
            &LENGTH_OF_ATTRIBUTE.to_ne_bytes()[..],
            &IPV4_DEVCONF_PROMOTE_SECONDARIES.to_ne_bytes(),
            &u32::from(on).to_ne_bytes(),
        ]
        .concat();
        let conf = AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF | NLA_F_NESTED, attribute));
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        message.attributes = vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![conf])])];
        let object = format!("promote_secondaries of {}", link.name);
        self.ask("set", object, self.handle.link().set(message).execute())
    }
}

/// Returns the stand-in for an IPv4 address while it is replaced: itself with a prefix length that is free.
fn stand_in(now: &State<InterfaceAlias>, item: &Item, address: &Address) -> Option<(Item, Address)> {
    let free = |prefix: &u8| {
        let item = Item { prefix: Some(*prefix), ..item.clone() };
        !now.contains_key(&item)
    };
    let prefix = item.address.is_ipv4().then(|| (1..=32).rev().find(free))??;
    let item = Item { prefix: Some(prefix), ..item.clone() };
    let set = Attributes { prefix, scope: address.set.scope, noprefixroute: true, ..Attributes::default() };
    Some((item, Address { set, status: Status { protocol: Some(OURS), ..Status::default() } }))
}

/// Returns the request that names an address exactly.
fn message(link: &Link, address: IpAddr, value: &Address) -> AddressMessage {
    let set = &value.set;
    let mut message = AddressMessage::default();
    message.header.index = link.index;
    message.header.prefix_len = set.prefix;
    message.header.scope = set.scope.into();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let mut attributes =
        vec![AddressAttribute::Local(address), AddressAttribute::Address(set.peer.unwrap_or(address))];
    attributes.extend(set.label.clone().map(AddressAttribute::Label));
    attributes.extend(set.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(set.metric.map(AddressAttribute::RoutePriority));
    attributes.extend(value.status.protocol.map(|protocol| AddressAttribute::Protocol(protocol.into())));
    let mut flags = AddressFlags::from_bits_retain(set.flags);
    flags.set(AddressFlags::Noprefixroute, set.noprefixroute);
    flags.set(AddressFlags::Nodad, set.nodad);
    if !flags.is_empty() {
        attributes.push(AddressAttribute::Flags(flags));
    }
    attributes.extend(lifetime(value).map(AddressAttribute::CacheInfo));
    message.attributes = attributes;
    message
}

/// Returns the lifetimes if they are not for ever. A deprecated address has none to be preferred, which the kernel does
/// not say of a permanent IPv4 address (net/ipv4/devinet.c, inet_fill_ifaddr).
fn lifetime(value: &Address) -> Option<CacheInfo> {
    let preferred = if value.set.deprecated { 0 } else { value.status.preferred };
    if (preferred, value.status.valid) == (FOREVER, FOREVER) {
        return None;
    }
    let mut info = CacheInfo::default();
    info.ifa_preferred = preferred;
    info.ifa_valid = value.status.valid;
    Some(info)
}

/// Returns what the kernel says of one address; nothing for what is none, like an anycast entry.
fn entry(link: &Link, message: &AddressMessage) -> Option<(Item, Address)> {
    let mut set = Attributes {
        prefix: message.header.prefix_len,
        scope: message.header.scope.into(),
        ..Attributes::default()
    };
    let mut status = Status::default();
    let (mut address, mut local, mut flags) = (None, None, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Label(label) => set.label = Some(label.clone()),
            AddressAttribute::Broadcast(ip) => set.broadcast = Some(*ip),
            AddressAttribute::RoutePriority(metric) => set.metric = Some(*metric),
            AddressAttribute::Protocol(protocol) => status.protocol = Some((*protocol).into()),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::CacheInfo(info) => {
                (status.preferred, status.valid) = (info.ifa_preferred, info.ifa_valid);
            }
            _ => {}
        }
    }
    set.flags = flags.intersection(SETTABLE).bits();
    set.noprefixroute = flags.contains(AddressFlags::Noprefixroute);
    set.nodad = flags.contains(AddressFlags::Nodad);
    set.dadfailed = flags.contains(AddressFlags::Dadfailed);
    set.deprecated = flags.contains(AddressFlags::Deprecated);
    status.tentative = flags.contains(AddressFlags::Tentative);
    status.secondary = flags.contains(AddressFlags::Secondary) && address.is_some_and(|ip| ip.is_ipv4());
    let own = local.or(address)?;
    set.peer = address.filter(|peer| *peer != own);
    let item =
        Item { interface: link.name.clone(), address: own, prefix: own.is_ipv4().then_some(set.prefix) };
    Some((item, Address { set, status }))
}

/// Returns the addresses of an interface as the kernel sends them; nothing if they changed meanwhile.
async fn dump(
    mut handle: rtnetlink::Handle,
    index: u32,
) -> Result<Option<Vec<AddressMessage>>, rtnetlink::Error> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetAddress(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut answers = handle.request(request)?;
    let (mut messages, mut torn) = (Vec::new(), false);
    while let Some(answer) = answers.next().await {
        torn |= answer.header.flags & NLM_F_DUMP_INTR != 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => messages.push(message),
            NetlinkPayload::Error(error) => return Err(rtnetlink::Error::NetlinkError(error)),
            NetlinkPayload::Done(done) if done.code < 0 => {
                let mut error = ErrorMessage::default();
                error.code = std::num::NonZeroI32::new(done.code);
                return Err(rtnetlink::Error::NetlinkError(error));
            }
            _ => {}
        }
    }
    // Where the kernel did not choose, we do.
    messages.retain(|message| message.header.index == index);
    Ok((!torn).then_some(messages))
}

/// Returns whether a link's own promote_secondaries is set.
fn promotes_secondaries(message: &LinkMessage) -> bool {
    message.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::AfSpecUnspec(families) => families.iter().any(|family| match family {
            AfSpecUnspec::Inet(parts) => parts
                .iter()
                .any(|part| matches!(part, AfSpecInet::DevConf(conf) if conf.promote_secondaries != 0)),
            _ => false,
        }),
        _ => false,
    })
}

/// Returns how an error message names an address.
fn object(item: &Item, set: &Attributes) -> String {
    let label = match &set.label {
        Some(label) if *label != item.interface => format!(" as {label}"),
        _ => String::new(),
    };
    format!("{}/{} on {}{label}", item.address, set.prefix, item.interface)
}

/// Returns what the kernel answered; any other failure is one of the connection.
fn errno(error: rtnetlink::Error) -> std::io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => std::io::Error::other(other),
    }
}

fn is(error: &Error, errno: i32) -> bool {
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(errno))
}

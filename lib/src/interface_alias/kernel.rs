//! The kernel's side: rtnetlink(7).

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::TryStreamExt;
use nix::libc::{EADDRNOTAVAIL, ENODEV};
use rtnetlink::packet_core::DefaultNla;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use rtnetlink::packet_route::link::{AfSpecInet, AfSpecUnspec, LinkAttribute, LinkMessage};
use tokio::runtime::Runtime;

use super::address::{Address, Attributes, FOREVER, Status};
use super::{InterfaceAlias, Item};
use crate::resource::State;
use crate::{Error, Result};

/// How long the kernel may take to answer one request; a lost answer is an error, not a hang.
const DEADLINE: Duration = Duration::from_secs(10);

/// The flags of an address that a request can set (linux/if_addr.h): nodad, home, mngtmpaddr, noprefixroute, autojoin.
const SETTABLE: AddressFlags = AddressFlags::Nodad
    .union(AddressFlags::Homeaddress)
    .union(AddressFlags::Managetempaddr)
    .union(AddressFlags::Noprefixroute)
    .union(AddressFlags::Mcautojoin);

/// A connection to the kernel.
pub(super) struct Kernel {
    runtime: Runtime,
    handle: rtnetlink::Handle,
}

/// An interface.
pub(super) struct Link {
    index: u32,
    name: String,
    promotes_secondaries: bool,
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
        let (connection, handle, _) = rtnetlink::new_connection().map_err(failed())?;
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
            })),
            Err(error) if is(&error, ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns all addresses of an interface.
    pub(super) fn addresses(&self, link: &Link) -> Result<State<InterfaceAlias>> {
        let request = self.handle.address().get().set_link_index_filter(link.index).execute();
        let object = format!("the addresses of {}", link.name);
        let messages: Vec<AddressMessage> = self.ask("read", object, request.try_collect())?;
        Ok(messages.iter().filter_map(|message| entry(link, message)).collect())
    }

    /// Adds an address.
    pub(super) fn add(&self, link: &Link, item: &Item, address: &Address) -> Result<()> {
        let mut request = self.handle.address().add(link.index, item.address, address.set.prefix);
        *request.message_mut() = message(link, item.address, address);
        self.ask("add", object(item, &address.set), request.execute())
    }

    /// Removes an address and nothing with it: its secondaries, which the kernel would take along, take its place.
    pub(super) fn remove(
        &self,
        link: &Link,
        now: &State<InterfaceAlias>,
        item: &Item,
        address: &Address,
    ) -> Result<()> {
        let followed = !address.status.secondary && now.values().any(|other| other.status.secondary);
        if !followed || link.promotes_secondaries {
            return self.delete(link, item, address);
        }
        self.promote_secondaries(link, true)?;
        let deleted = self.delete(link, item, address);
        self.promote_secondaries(link, false).and(deleted)
    }

    /// Gives an address other attributes. Most can only be set when it is added, so it is removed and added anew;
    /// meanwhile an IPv4 address lives on with another prefix length, so that no route that needs it is lost.
    pub(super) fn mend(
        &self,
        link: &Link,
        now: &State<InterfaceAlias>,
        item: &Item,
        old: &Address,
        new: &Address,
    ) -> Result<()> {
        let stand_in = stand_in(now, item, old);
        if let Some((item, address)) = &stand_in {
            self.add(link, item, address)?;
        }
        let mended = self.remove(link, now, item, old).and_then(|()| self.add(link, item, new));
        // If the new one was refused, the old one must be there before the stand-in goes.
        let restored = match mended {
            Err(_) => self.add(link, item, old),
            Ok(()) => Ok(()),
        };
        let cleared = stand_in.map_or(Ok(()), |(item, address)| self.delete(link, &item, &address));
        mended.and(restored).and(cleared)
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
    let set = Attributes {
        prefix,
        scope: address.set.scope,
        flags: AddressFlags::Noprefixroute.bits(),
        ..Attributes::default()
    };
    Some((item, Address { set, ..address.clone() }))
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
    attributes
        .extend(set.protocol.map(|protocol| AddressAttribute::Protocol(AddressProtocol::from(protocol))));
    if set.flags != 0 {
        attributes.push(AddressAttribute::Flags(AddressFlags::from_bits_retain(set.flags)));
    }
    attributes.extend(lifetime(&value.status).map(AddressAttribute::CacheInfo));
    message.attributes = attributes;
    message
}

/// Returns the lifetimes if they are not for ever.
fn lifetime(status: &Status) -> Option<CacheInfo> {
    if (status.preferred, status.valid) == (FOREVER, FOREVER) {
        return None;
    }
    let mut info = CacheInfo::default();
    info.ifa_preferred = status.preferred;
    info.ifa_valid = status.valid;
    Some(info)
}

/// Returns what the kernel says of one address; nothing for what is none, like an anycast entry.
fn entry(link: &Link, message: &AddressMessage) -> Option<(Item, Address)> {
    let mut set = Attributes {
        prefix: message.header.prefix_len,
        scope: message.header.scope.into(),
        ..Attributes::default()
    };
    let mut status = Status { secondary: false, preferred: FOREVER, valid: FOREVER };
    let (mut address, mut local, mut flags) = (None, None, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Label(label) => set.label = Some(label.clone()),
            AddressAttribute::Broadcast(ip) => set.broadcast = Some(*ip),
            AddressAttribute::RoutePriority(metric) => set.metric = Some(*metric),
            AddressAttribute::Protocol(protocol) => set.protocol = Some((*protocol).into()),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::CacheInfo(info) => {
                (status.preferred, status.valid) = (info.ifa_preferred, info.ifa_valid);
            }
            _ => {}
        }
    }
    set.flags = flags.intersection(SETTABLE).bits();
    status.secondary = flags.contains(AddressFlags::Secondary) && address.is_some_and(|ip| ip.is_ipv4());
    let own = local.or(address)?;
    set.peer = address.filter(|peer| *peer != own);
    let item =
        Item { interface: link.name.clone(), address: own, prefix: own.is_ipv4().then_some(set.prefix) };
    Some((item, Address { set, status }))
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

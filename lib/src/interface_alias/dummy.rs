//! Dummy interfaces that we make for addresses, and what tells them from those of others: the mark on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use nix::libc::{AF_INET, AF_INET6, EOPNOTSUPP, RTA_MULTIPATH, RTA_OIF, RTM_GETROUTE};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use serde::Deserialize;

use super::InterfaceAlias;
use super::item::{Alias, Item, addresses};
use super::kernel::Kernel;
use super::task::missing;
use super::wish::Wish;
use crate::netlink::{Link, Message, attributes, errno, number};
use crate::resource::State;
use crate::{Error, Result};

/// The kind of an interface that is made if it is not there.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Create {
    Dummy,
}

/// What is written on an interface that we have made.
pub(super) const MARK: &str = "lvs.host.interface_alias";

/// Why an interface stays.
const ROUTED: &str = "a route that somebody else added leads to it";

/// Who adds a route: the kernel by itself (linux/rtnetlink.h, RTPROT_KERNEL).
const KERNELS: u8 = 2;

/// The interfaces of a task that are to go with their addresses, each with why it stays although it is there, if so.
pub(super) type Leaving = BTreeMap<Rc<str>, Option<String>>;

impl Create {
    /// Returns an error if no interface that is made can have this name.
    pub(super) fn takes(self, name: &str) -> Result<Self> {
        /// IFNAMSIZ in linux/if.h, without the zero at the end.
        const MOST: usize = 15;
        let refuse = |why: &str| Err(Error::invalid(format!("cannot make the interface {name:?}: {why}")));
        match self {
            // The kernel makes a number of it (net/core/dev.c, __dev_alloc_name).
            _ if name.contains('%') => refuse("a name with % is a pattern to the kernel; leave that out"),
            _ if name.len() > MOST => refuse("the kernel takes names of 15 bytes; shorten it"),
            _ => Ok(self),
        }
    }
}

impl Link {
    /// Returns whether we have made it.
    pub(super) fn is_marked(&self) -> bool {
        self.is_dummy && *self.mark == *MARK.as_bytes()
    }
}

impl Kernel {
    /// Makes a dummy interface and marks it.
    pub(super) fn make_dummy(&self, name: &str) -> Result<()> {
        let refused = |error| match errno(&error) {
            Some(EOPNOTSUPP) => Error::invalid(format!(
                "cannot make the interface {name}: this kernel has no dummy interfaces; load its module dummy"
            )),
            _ => Error::io("make", format!("the interface {name}"))(error),
        };
        self.noted(&super::pending::Pending::Dummy(name.into()), || {
            self.connection.ask(Link::make_dummy(name), NLM_F_CREATE | NLM_F_EXCL).map_err(refused)?;
            let link = self.link(name)?.ok_or_else(|| missing(name))?;
            self.mark(&link).inspect_err(|_| drop(self.remove(&link)))
        })
    }

    /// Marks an interface as made by us.
    pub(super) fn mark(&self, link: &Link) -> Result<()> {
        self.act("mark", format!("the interface {}", link.name), link.write_mark(MARK.as_bytes()), 0)
    }

    fn remove(&self, link: &Link) -> Result<()> {
        self.act("remove", format!("the interface {}", link.name), link.remove(), 0)
    }

    /// Removes an interface that we have made, unless somebody has come to use it meanwhile.
    pub(super) fn unmake(&self, link: &Link) -> Result<()> {
        let refuse = |why: &str| Error::invalid(format!("cannot remove the interface {}: {why}", link.name));
        if !link.is_dummy {
            return Err(refuse("it is not a dummy interface"));
        }
        if let Some(alias) = self.read(link)?.keys().find(|alias| !is_its_own(alias)) {
            return Err(refuse(&format!("it has {alias} by now; try again")));
        }
        self.remove(link)
    }

    /// Returns why an interface stays when its last address goes, if so. One that our file has a boot make is ours too, as not every
    /// manager marks it.
    pub(super) fn stays(&self, link: &Link, is_stored: bool) -> Result<Option<String>> {
        Ok(match link {
            Link { is_dummy: false, .. } => Some("it is not a dummy interface".into()),
            _ if !is_stored && !link.is_marked() => {
                Some(format!("we did not make it, or its mark is gone (the ifalias {MARK})"))
            }
            Link { has_master: true, .. } => Some("it is part of another interface".into()),
            _ if self.has_routes(link, AF_INET)? => Some(ROUTED.into()),
            _ if self.has_routes(link, AF_INET6)? => Some(ROUTED.into()),
            _ => None,
        })
    }

    /// Returns whether a route of a family leads to an interface that the kernel did not add with an address.
    fn has_routes(&self, link: &Link, family: i32) -> Result<bool> {
        // struct rtmsg in linux/rtnetlink.h; since Linux 4.20 the kernel lists only those of the interface.
        let header = [&[family as u8][..], &[0; 11]].concat();
        let request = Message::new(RTM_GETROUTE, &header).with(RTA_OIF, &link.index.to_ne_bytes());
        let answer = self.connection.ask(request, NLM_F_DUMP);
        let answer = answer.map_err(Error::io("read", format!("the routes of {}", link.name)))?;
        Ok(answer.messages.iter().any(|route| leads_to(route, link.index)))
    }

    /// Returns an error if an interface that is to go loses its last IPv4 address, and with that a route of somebody else's, which would
    /// be why it stays (net/ipv4/fib_frontend.c, fib_inetaddr_event).
    pub(super) fn review_routes(&self, leaving: &Leaving, bare: &BTreeSet<&str>) -> Result<()> {
        for name in leaving.keys().filter(|name| bare.contains(&***name)) {
            if let Some(link) = self.link(name)?
                && self.has_routes(&link, AF_INET)?
            {
                return Err(Error::invalid(format!(
                    "cannot remove the last address of {name}: {ROUTED}, which the kernel would remove with it; remove that route first, or leave create out"
                )));
            }
        }
        Ok(())
    }
}

/// Returns whether a route that the kernel did not add by itself leads to the interface number `index`, alone or beside others.
fn leads_to(route: &Message, index: u32) -> bool {
    let Some((header, rest)) = route.body.split_first_chunk::<12>() else { return false };
    header[5] != KERNELS
        && attributes(rest).any(|(kind, value)| match kind {
            RTA_OIF => number(value) == Some(index),
            RTA_MULTIPATH => hops(value).any(|hop| hop == index),
            _ => false,
        })
}

/// Returns the interfaces of a route by several (struct rtnexthop in linux/rtnetlink.h).
fn hops(mut value: &[u8]) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let (hop, length) = (number(value.get(4..)?)?, u16::from_ne_bytes(*value.first_chunk()?));
        value = value.get(usize::from(length).next_multiple_of(4).max(8)..).unwrap_or_default();
        Some(hop)
    })
}

/// Returns whether an address is one that an interface has by itself, and that goes with it.
fn is_its_own(alias: &Alias) -> bool {
    matches!(alias.address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Takes interfaces out of `then` that are to go and have no address there any more.
pub(super) fn leave(leaving: &Leaving, then: &mut State<InterfaceAlias>) {
    for name in leaving.iter().filter(|(_, why)| why.is_none()).map(|(name, _)| name) {
        if !addresses(then).any(|(alias, _)| alias.interface == *name && !is_its_own(alias)) {
            then.remove(&Item::link(name));
        }
    }
}

/// Returns why interfaces stay that are to go, if they do; `then` is the state that the task leads to.
pub(super) fn staying(leaving: &Leaving, then: &State<InterfaceAlias>) -> Vec<String> {
    let has = |name: &Rc<str>| {
        let other = addresses(then).find(|(alias, _)| alias.interface == *name && !is_its_own(alias));
        other.map(|(alias, _)| format!("it has {} as well", alias.address))
    };
    let stays = leaving.iter().filter(|(name, _)| then.contains_key(&Item::link(name)));
    stays
        .filter_map(|(name, why)| Some((name, why.clone().or_else(|| has(name))?)))
        .map(|(name, why)| format!("the interface {name} stays: {why}"))
        .collect()
}

/// Returns the interfaces that wishes want gone with their addresses.
pub(super) fn to_go(wishes: &[Wish]) -> impl Iterator<Item = &Rc<str>> {
    let is_kept = |name: &Rc<str>| wishes.iter().any(|wish| wish.present && wish.interface == *name);
    wishes
        .iter()
        .filter(|wish| wish.create.is_some() && !wish.present)
        .map(|wish| &wish.interface)
        .filter(move |name| !is_kept(name))
}

//! The options of the task.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::cidr::{self, Cidr};
use super::contradiction;
use super::dummy::Create;
use super::label::{self, Label};
use super::persistence::Persist;
use super::purge::Purge;
use super::scope;
use super::wish::{Asked, Broadcast, Wish};
use crate::ansible::{Flag, Number, Presence, Text};
use crate::error::brief;
use crate::netns::Namespace;
use crate::{Error, Result};

/// What the task gives; each entry of `aliases` gives the like, and takes what it leaves out from the task.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    name: Option<Text>,
    #[serde(alias = "ip")]
    address: Option<Text>,
    netmask: Option<Text>,
    prefix: Option<Number>,
    label: Option<Text>,
    state: Option<Presence>,
    broadcast: Option<Text>,
    scope: Option<Text>,
    peer: Option<Text>,
    metric: Option<Number>,
    noprefixroute: Option<Flag>,
    nodad: Option<Flag>,
    preferred_lft: Option<Text>,
    link_up: Option<Flag>,
    create: Option<Create>,
    aliases: Option<Vec<Arguments>>,
    netns: Option<Text>,
    wait: Option<Number>,
    purge: Option<Purge>,
    check_conflict: Option<Flag>,
    announce: Option<Announce>,
    persist: Option<Persist>,
}

/// How often and how far apart a new address is announced.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Announce {
    #[serde(default = "Announce::count")]
    pub(super) count: Number,
    #[serde(default = "Announce::interval")]
    interval: Number,
}

impl Announce {
    /// RFC 5227, section 1.1: ANNOUNCE_NUM.
    fn count() -> Number {
        Number(2)
    }

    /// RFC 5227, section 1.1: ANNOUNCE_INTERVAL, here in milliseconds.
    fn interval() -> Number {
        Number(2000)
    }

    /// Returns the time between two announcements.
    pub(super) fn interval_between(self) -> Duration {
        Duration::from_millis(self.interval.0.into())
    }
}

/// What the task wants, checked as far as that needs no look at the host.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) wishes: Vec<Wish>,
    pub(super) netns: Option<Namespace>,
    /// How long to wait for the interfaces to be there.
    pub(super) wait: Duration,
    pub(super) purge: Purge,
    /// Whether another host is asked for before an address is added.
    pub(super) check_conflict: bool,
    /// How other hosts are told of an address that was added.
    pub(super) announce: Option<Announce>,
    /// Which network manager brings the addresses back after a boot.
    pub(super) persist: Persist,
}

impl TryFrom<Arguments> for Options {
    type Error = Error;

    fn try_from(mut arguments: Arguments) -> Result<Self> {
        let netns = arguments.netns.take().map(|netns| netns.0.parse()).transpose()?;
        let wait = Duration::from_secs(arguments.wait.take().map_or(0, |seconds| seconds.0.into()));
        let purge = arguments.purge.take().unwrap_or_default();
        let check_conflict = arguments.check_conflict.take().is_some_and(|flag| flag.0);
        let announce = arguments.announce.take();
        let persist = arguments.persist.take().unwrap_or_default();
        if persist.is_on() && netns.is_some() {
            return Err(Error::invalid(
                "cannot use persist with netns: nothing brings a network namespace back after a boot; leave one of them out",
            ));
        }
        let wishes = match arguments.aliases.take() {
            None => vec![Wish::try_from(arguments)?],
            Some(items) => items
                .into_iter()
                .enumerate()
                .map(|(number, item)| item.with_defaults(&arguments, number).and_then(Wish::try_from))
                .collect::<Result<_>>()?,
        };
        if wishes.is_empty() {
            return Err(Error::invalid("cannot do anything with empty aliases: give at least one"));
        }
        let wishes = contradiction::fit_together(wishes)?;
        Ok(Self { wishes, netns, wait, purge, check_conflict, announce, persist })
    }
}

impl Arguments {
    /// Returns whether it has what only a task can have.
    fn has_more_than_an_address(&self) -> bool {
        let for_the_task = [
            self.aliases.is_some(),
            self.netns.is_some(),
            self.wait.is_some(),
            self.purge.is_some(),
            self.check_conflict.is_some(),
            self.announce.is_some(),
            self.persist.is_some(),
        ];
        for_the_task.contains(&true)
    }

    /// Returns the item number `number` with what it leaves out as the task has it.
    fn with_defaults(self, task: &Self, number: usize) -> Result<Self> {
        if self.has_more_than_an_address() {
            return Err(Error::invalid(format!(
                "cannot use aliases[{number}]: aliases, netns, wait, purge, check_conflict, announce and persist are for the whole task; give them beside aliases"
            )));
        }
        let has_length = self.netmask.is_some() || self.prefix.is_some();
        let has_label = self.label.is_some() || self.name.as_ref().is_some_and(|name| name.0.contains(':'));
        let task = task.clone();
        Ok(Self {
            name: self.name.or(task.name),
            address: self.address.or(task.address),
            netmask: self.netmask.or(task.netmask.filter(|_| !has_length)),
            prefix: self.prefix.or(task.prefix.filter(|_| !has_length)),
            label: self.label.or(task.label.filter(|_| !has_label)),
            state: self.state.or(task.state),
            broadcast: self.broadcast.or(task.broadcast),
            scope: self.scope.or(task.scope),
            peer: self.peer.or(task.peer),
            metric: self.metric.or(task.metric),
            noprefixroute: self.noprefixroute.or(task.noprefixroute),
            nodad: self.nodad.or(task.nodad),
            preferred_lft: self.preferred_lft.or(task.preferred_lft),
            link_up: self.link_up.or(task.link_up),
            create: self.create.or(task.create),
            ..Self::default()
        })
    }
}

impl TryFrom<Arguments> for Wish {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        let name = arguments
            .name
            .as_ref()
            .ok_or_else(|| Error::invalid("cannot do without option name: give it"))?;
        let (interface, suffix) = label::interface(&name.0)?;
        let label = Label::of(&interface, suffix, arguments.label.as_ref().map(|label| label.0.as_str()))?;
        let present = arguments.state.unwrap_or_default() == Presence::Present;
        let netmask = arguments.netmask.as_ref().map(|netmask| netmask.0.as_str());
        let length = cidr::prefix(netmask, arguments.prefix.map(|prefix| prefix.0))?;
        let host = &*interface == "lo" && present;
        let create = match arguments.create {
            Some(create) if present => Some(create.takes(&interface)?),
            create => create,
        };
        let link_up = present && (create.is_some() || arguments.link_up.is_some_and(|flag| flag.0));
        let cidr =
            arguments.address.as_ref().map(|address| Cidr::parse(&address.0, length, host)).transpose()?;
        let address = cidr.as_ref().map(|cidr| cidr.address);
        let asked = address.map_or_else(|| Ok(Asked::default()), |address| Asked::of(&arguments, address))?;
        let prefix = cidr.and_then(|cidr| cidr.prefix);
        Self { interface, label, address, prefix, present, link_up, create, asked }.complete(length.is_some())
    }
}

impl Asked {
    fn of(arguments: &Arguments, address: IpAddr) -> Result<Self> {
        let refuse = |option: &str, why: &str| {
            Err(Error::invalid(format!("cannot use {option} for {address}: {why}; leave it out")))
        };
        match address {
            IpAddr::V6(_) if arguments.broadcast.is_some() => refuse("broadcast", "IPv6 has none"),
            IpAddr::V6(_) if arguments.scope.is_some() => {
                refuse("scope", "that of an IPv6 address follows from it")
            }
            IpAddr::V4(_) if arguments.nodad.is_some() => {
                refuse("nodad", "the kernel detects no duplicates of IPv4")
            }
            _ => Ok(Self {
                broadcast: arguments.broadcast.as_ref().map(|text| broadcast(&text.0)).transpose()?,
                scope: arguments.scope.as_ref().map(|text| scope::parse(&text.0)).transpose()?,
                peer: arguments.peer.as_ref().map(|text| peer(&text.0, address)).transpose()?,
                metric: arguments.metric.map(|metric| metric.0),
                noprefixroute: arguments.noprefixroute.map(|flag| flag.0),
                nodad: arguments.nodad.map(|flag| flag.0),
                deprecated: arguments.preferred_lft.as_ref().map(|text| deprecated(&text.0)).transpose()?,
            }),
        }
    }
}

fn broadcast(text: &str) -> Result<Broadcast> {
    match text {
        "auto" => Ok(Broadcast::Auto),
        // The kernel makes no difference (net/ipv4/devinet.c, inet_fill_ifaddr).
        "none" | "0.0.0.0" => Ok(Broadcast::None),
        _ => text.parse().map(Broadcast::Address).map_err(|_| {
            Error::invalid(format!(
                "cannot use broadcast {:?}: give auto, none or an address like 192.0.2.255",
                brief(text)
            ))
        }),
    }
}

fn peer(text: &str, address: IpAddr) -> Result<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(peer) if peer.is_ipv4() == address.is_ipv4() && !peer.is_unspecified() => Ok(peer),
        _ => Err(Error::invalid(format!(
            "cannot use peer {:?} for {address}: give the other end's address, of the same family",
            brief(text)
        ))),
    }
}

/// Returns whether a preferred lifetime makes an address deprecated.
fn deprecated(text: &str) -> Result<bool> {
    match text {
        "0" => Ok(true),
        "forever" => Ok(false),
        _ => Err(Error::invalid(format!("cannot use preferred_lft {:?}: give 0 or forever", brief(text)))),
    }
}

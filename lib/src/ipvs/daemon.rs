//! A daemon that tells another director of connections, or is told (net/netfilter/ipvs/ip_vs_sync.c).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::refuse;
use crate::ansible::{Number, Presence, Text};
use crate::{Error, Result};

/// What the kernel fills in (IP_VS_SYNC_GROUP, IP_VS_SYNC_PORT).
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
const PORT: u16 = 8848;
const TTL: u8 = 1;

/// Which of the two a daemon is; both may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It tells.
    Master,
    /// It is told.
    Backup,
}

/// How a daemon talks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Daemon {
    /// On which interface.
    pub interface: Rc<str>,
    /// Which directors belong together; a backup with 0 listens to all.
    pub syncid: u32,
    /// To which address.
    pub group: IpAddr,
    /// To which port.
    pub port: u16,
    /// How far packets go.
    pub ttl: u8,
    /// How many bytes a packet has at most.
    pub maxlen: u16,
}

/// An interface: how large its packets are, and whether it is up; nothing if it is not there.
pub(super) type Links = BTreeMap<Rc<str>, Option<(u32, bool)>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    state: Option<Presence>,
    interface: Option<Text>,
    syncid: Option<Number>,
    group: Option<Text>,
    port: Option<Number>,
    ttl: Option<Number>,
    maxlen: Option<Number>,
}

/// What a task says of a daemon; what it leaves out is left alone.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    present: bool,
    pub(super) interface: Option<Rc<str>>,
    syncid: Option<u32>,
    group: Option<IpAddr>,
    port: Option<u16>,
    ttl: Option<u8>,
    maxlen: Option<u16>,
}

/// Returns a number of an option that is within bounds.
fn within<T: TryFrom<u32>>(option: &str, number: Option<Number>, least: u32, most: u32) -> Result<Option<T>> {
    let Some(Number(number)) = number else { return Ok(None) };
    let refuse = || {
        Error::invalid(format!(
            "cannot use {option} {number}: it is not from {least} to {most}; give one that is"
        ))
    };
    let fits = Some(number)
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| T::try_from(number).ok());
    fits.map(Some).ok_or_else(refuse)
}

impl Wish {
    pub(super) fn parse(role: Role, arguments: &Arguments) -> Result<Self> {
        /// As long as the kernel lets a name be (linux/if.h, IFNAMSIZ, with the zero that ends it).
        const LONGEST: usize = 15;
        let present = arguments.state != Some(Presence::Absent);
        let interface = arguments.interface.as_ref().map(|Text(name)| name.as_str());
        if let Some(name) =
            interface.filter(|name| name.is_empty() || name.len() > LONGEST || name.contains(['/', ' ']))
        {
            return Err(Error::invalid(format!(
                "cannot use interface {name:?}: it is not the name of one; give one that `ip link` shows"
            )));
        }
        Ok(Self {
            present,
            interface: interface.map(Into::into),
            syncid: within("syncid", arguments.syncid, 0, 255)?,
            group: arguments.group.as_ref().map(group).transpose()?,
            port: within("port", arguments.port, 1, 65535)?,
            ttl: within("ttl", arguments.ttl, 1, 255)?,
            // The kernel makes less of what a backup is given.
            maxlen: within("maxlen", arguments.maxlen, if role == Role::Backup { 1024 } else { 1 }, 65507)?,
        })
    }

    /// Returns what becomes of the daemon that is there, or of none.
    pub(super) fn applied(
        &self,
        role: Role,
        present: Option<&Daemon>,
        links: &Links,
    ) -> Result<Option<Daemon>> {
        if !self.present {
            return Ok(None);
        }
        let Some(interface) = self.interface.clone().or(present.map(|present| present.interface.clone()))
        else {
            return Err(refuse(role, "its interface is missing; give interface"));
        };
        let mtu = mtu(role, links, &interface)?;
        let group = self.group.or(present.map(|present| present.group)).unwrap_or(GROUP);
        let maxlen = self.maxlen.or(present.map(|present| present.maxlen));
        let room = mtu.saturating_sub(headers(group));
        if role == Role::Master && self.maxlen.is_some_and(|maxlen| u32::from(maxlen) > room) {
            let why = format!(
                "maxlen is over {room}, which is what packets of {interface} have room for; give less"
            );
            return Err(refuse(role, &why));
        }
        Ok(Some(Daemon {
            interface,
            syncid: self.syncid.or(present.map(|present| present.syncid)).unwrap_or_default(),
            group,
            port: self.port.or(present.map(|present| present.port)).unwrap_or(PORT),
            ttl: self.ttl.or(present.map(|present| present.ttl)).unwrap_or(TTL),
            maxlen: maxlen.unwrap_or_else(|| usual(role, mtu, group)),
        }))
    }
}

/// Returns how large packets of an interface may be, if it is there and up.
fn mtu(role: Role, links: &Links, interface: &str) -> Result<u32> {
    let why = match links.get(interface) {
        Some(Some((mtu, true))) => return Ok(*mtu),
        Some(Some((_, false))) => format!("the interface {interface} is down; bring it up first"),
        // One that is gone stays in the kernel's list, and talks with nobody.
        _ => format!("there is no interface {interface}; check the name with `ip link`"),
    };
    Err(refuse(role, &why))
}

/// Returns what the headers of a packet take.
fn headers(group: IpAddr) -> u32 {
    if group.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// Returns the length that the kernel fills in (ip_vs_sync.c, start_sync_thread).
fn usual(role: Role, mtu: u32, group: IpAddr) -> u16 {
    let mtu = if role == Role::Backup { mtu.clamp(1500, 65535) } else { 1500 };
    (mtu - headers(group)) as u16
}

fn group(Text(text): &Text) -> Result<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(group) if group.is_multicast() => Ok(group),
        _ => Err(Error::invalid(format!(
            "cannot use group {text:?}: it is not a multicast address; give one such as 224.0.0.81"
        ))),
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// As ipvsadm(8) takes it.
impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, syncid, group, port, ttl, maxlen } = self;
        write!(
            f,
            "--mcast-interface {interface} --syncid {syncid} --sync-maxlen {maxlen} --mcast-group {group} --mcast-port {port} --mcast-ttl {ttl}"
        )
    }
}

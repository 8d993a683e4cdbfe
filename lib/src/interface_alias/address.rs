//! An address with its attributes.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Serialize, Serializer};

use super::label::Label;
use super::scope;
use crate::Result;

/// Who adds an address, as IFA_PROTO keeps it since Linux 5.18: we do. The number is nobody else's in iproute2's lists.
pub(super) const OURS: u8 = 76;

/// What the kernel knows of an address. Two are equal if their attributes are: what the kernel sets by itself is only shown.
#[derive(Clone, Debug)]
pub struct Address {
    /// What was set when it was added.
    pub set: Attributes,
    /// What the kernel made of it.
    pub status: Status,
}

/// The attributes of an address that are set when it is added (rtnetlink(7)).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attributes {
    /// Prefix length, 1 to 32 or 128.
    pub prefix: u8,
    /// Label; IPv4 only. The kernel takes any bytes for one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "label_text")]
    pub label: Option<OsString>,
    /// Broadcast address; IPv4 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Ipv4Addr>,
    /// Scope, as rtnetlink(7) numbers it: 0 is global, 253 link, 254 host.
    #[serde(serialize_with = "scope_word")]
    pub scope: u8,
    /// The other end of a point-to-point address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Metric of the prefix route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Whether it is not used as a source address (a preferred lifetime of 0).
    #[serde(skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// Whether a lifetime of it counts down, so that it goes by itself or is deprecated then.
    #[serde(skip_serializing_if = "is_false")]
    pub dynamic: bool,
    /// Whether it brings no route to its prefix.
    #[serde(skip_serializing_if = "is_false")]
    pub noprefixroute: bool,
    /// Whether duplicate address detection is left out; IPv6 only.
    #[serde(skip_serializing_if = "is_false")]
    pub nodad: bool,
    /// Whether duplicate address detection found another host with it, so that it cannot be used.
    #[serde(skip_serializing_if = "is_false")]
    pub dadfailed: bool,
    /// Further flags that can be set, as linux/if_addr.h numbers them.
    #[serde(skip)]
    pub flags: u32,
}

/// What the kernel sets by itself or counts down, and the mark of who added it, which is not compared either.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Whether it goes when its primary goes, unless promote_secondaries is set.
    pub secondary: bool,
    /// Whether duplicate address detection is still going on.
    pub tentative: bool,
    /// Who added it (IFA_PROTO).
    pub protocol: Option<u8>,
    /// Seconds until it is deprecated; the largest number is for ever.
    pub preferred: u32,
    /// Seconds until it is removed; the largest number is for ever.
    pub valid: u32,
}

impl Default for Status {
    fn default() -> Self {
        Self { secondary: false, tentative: false, protocol: None, preferred: FOREVER, valid: FOREVER }
    }
}

impl Status {
    /// Returns whether a lifetime counts down.
    pub(super) fn counts_down(&self) -> bool {
        self.valid != FOREVER || ![0, FOREVER].contains(&self.preferred)
    }

    /// Returns whether an address is there until someone removes it: neither counted down nor the kernel's own.
    pub(super) fn is_kept(&self) -> bool {
        self.valid == FOREVER && self.protocol.is_none_or(|protocol| protocol > KERNELS)
    }
}

/// The largest IFA_PROTO that the kernel uses for what it adds by itself (linux/if_addr.h, IFAPROT_KERNEL_LL).
const KERNELS: u8 = 3;

/// A lifetime without end (linux/if_addr.h, INFINITY_LIFE_TIME).
pub(super) const FOREVER: u32 = u32::MAX;

impl Address {
    /// Returns the attributes that an address gets when the task says no more, as ifconfig(8) and ip(8) choose them.
    pub fn new(interface: &str, address: IpAddr, prefix: u8) -> Self {
        let set = Attributes {
            prefix,
            label: address.is_ipv4().then(|| interface.into()),
            broadcast: broadcast(address, prefix),
            scope: scope(address),
            ..Attributes::default()
        };
        Self { set, status: Status { protocol: Some(OURS), ..Status::default() } }
    }

    /// Returns whether we added it.
    pub(super) fn is_ours(&self) -> bool {
        self.status.protocol == Some(OURS)
    }

    /// Returns whether it is what a run that was cut off left of an address that it replaced.
    pub(super) fn is_stand_in(&self) -> bool {
        self.is_ours() && self.set.noprefixroute && self.set.broadcast.is_none()
    }

    /// Returns whether it carries `label`.
    pub(super) fn is_labelled(&self, label: &Label) -> bool {
        self.set.label.as_deref() == Some(label.whole().as_ref())
    }
}

/// Returns the broadcast address that goes with an IPv4 address; below a prefix of two addresses there is none (RFC 3021).
pub(super) fn broadcast(address: IpAddr, prefix: u8) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) if prefix < 31 => Some(address | Ipv4Addr::from(u32::MAX >> prefix)),
        _ => None,
    }
}

/// Returns the scope that the kernel gives an IPv6 address (ipv6_addr_scope in net/ipv6.h) and ip(8) an IPv4 one.
fn scope(address: IpAddr) -> u8 {
    match address {
        address if address.is_loopback() => scope::HOST,
        IpAddr::V6(address) if address.is_unicast_link_local() => scope::LINK,
        IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfec0 => scope::SITE,
        _ => 0,
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.set == other.set
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.set.serialize(serializer)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn label_text<S: Serializer>(label: &Option<OsString>, serializer: S) -> Result<S::Ok, S::Error> {
    label.as_ref().map(|label| label.to_string_lossy()).serialize(serializer)
}

fn scope_word<S: Serializer>(scope: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&scope::Shown(*scope))
}

/// The attributes as ip(8) prints them, to follow the address: `/24 brd 192.0.2.255 scope global eth0:1`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = &self.set;
        if let Some(peer) = set.peer {
            write!(f, " peer {peer}")?;
        }
        write!(f, "/{}", set.prefix)?;
        if let Some(metric) = set.metric {
            write!(f, " metric {metric}")?;
        }
        if let Some(broadcast) = set.broadcast {
            write!(f, " brd {broadcast}")?;
        }
        write!(f, " scope {}", scope::Shown(set.scope))?;
        for (is_set, word) in [
            (set.dynamic, "dynamic"),
            (set.deprecated, "deprecated"),
            (set.noprefixroute, "noprefixroute"),
            (set.nodad, "nodad"),
            (set.dadfailed, "dadfailed"),
        ] {
            if is_set {
                write!(f, " {word}")?;
            }
        }
        match &set.label {
            Some(label) => write!(f, " {}", label.display()),
            None => Ok(()),
        }
    }
}

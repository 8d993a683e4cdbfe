//! An address with its attributes, and how a person writes one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

use crate::{Error, Result};

/// The most bytes a label or an interface name has (IFNAMSIZ in linux/if.h, without the zero at the end).
const NAME_MAX: usize = 15;

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
    /// Label; IPv4 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
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
    /// Who added it (IFA_PROTO, since Linux 5.18).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// The flags that can be set, as linux/if_addr.h numbers them.
    #[serde(skip)]
    pub flags: u32,
}

/// What the kernel sets by itself or counts down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// Whether it goes when its primary goes, unless promote_secondaries is set.
    pub secondary: bool,
    /// Seconds until it is deprecated; the largest number is for ever.
    pub preferred: u32,
    /// Seconds until it is removed; the largest number is for ever.
    pub valid: u32,
}

/// A lifetime without end (linux/if_addr.h, INFINITY_LIFE_TIME).
pub(super) const FOREVER: u32 = u32::MAX;

impl Address {
    /// Returns the attributes that an address gets when the task says no more, as ifconfig(8) and ip(8) choose them.
    pub fn new(interface: &str, address: IpAddr, prefix: u8) -> Self {
        let set = Attributes {
            prefix,
            label: address.is_ipv4().then(|| interface.to_owned()),
            broadcast: broadcast(address, prefix),
            scope: scope(address),
            ..Attributes::default()
        };
        let status = Status { secondary: false, preferred: FOREVER, valid: FOREVER };
        Self { set, status }
    }

    /// Returns whether it carries `label`.
    pub(super) fn is_labelled(&self, label: &Label) -> bool {
        self.set.label.as_deref() == Some(label.text())
    }
}

/// Returns the broadcast address that goes with an IPv4 address; below a prefix of two addresses there is none (RFC 3021).
fn broadcast(address: IpAddr, prefix: u8) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) if prefix < 31 => Some(address | Ipv4Addr::from(u32::MAX >> prefix)),
        _ => None,
    }
}

/// Returns the scope that the kernel gives an IPv6 address (ipv6_addr_scope in net/ipv6.h) and ip(8) an IPv4 one.
fn scope(address: IpAddr) -> u8 {
    match address {
        address if address.is_loopback() => 254,
        IpAddr::V6(address) if address.is_unicast_link_local() => 253,
        IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfec0 => 200,
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

fn scope_word<S: Serializer>(scope: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Scope(*scope))
}

struct Scope(u8);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("global"),
            200 => f.write_str("site"),
            253 => f.write_str("link"),
            254 => f.write_str("host"),
            other => write!(f, "{other}"),
        }
    }
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
        write!(f, " scope {}", Scope(set.scope))?;
        match &set.label {
            Some(label) => write!(f, " {label}"),
            None => Ok(()),
        }
    }
}

/// A label: the interface's name, a colon and something, at most 15 bytes in all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label(String);

impl Label {
    /// Returns the label that a task names: behind the interface's colon, or in an option of its own, whole or the last part.
    pub(super) fn of(interface: &str, suffix: Option<&str>, option: Option<&str>) -> Result<Option<Self>> {
        let whole = |text: &str| match text.split_once(':') {
            Some(_) => text.to_owned(),
            None => format!("{interface}:{text}"),
        };
        let (by_name, by_option) = (suffix.map(whole), option.map(whole));
        if let (Some(one), Some(other)) = (&by_name, &by_option)
            && one != other
        {
            return Err(Error::invalid(format!(
                "cannot use label {other} for {one}: name and label differ; give one of them"
            )));
        }
        by_name.or(by_option).map(|text| Self::checked(interface, text)).transpose()
    }

    fn checked(interface: &str, text: String) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use label {text}: {why}")));
        match text.strip_prefix(interface).and_then(|rest| rest.strip_prefix(':')) {
            None => refuse(&format!("it is not of {interface}; begin it with {interface}:")),
            Some("") => refuse("nothing follows the colon; put a number or word there"),
            Some(rest) if rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') => {
                refuse("it has white space, a control character or a slash in it; take it out")
            }
            _ if text.len() > NAME_MAX => {
                refuse(&format!("it has {} bytes and the kernel takes {NAME_MAX}; shorten it", text.len()))
            }
            _ => Ok(Self(text)),
        }
    }

    /// Returns the whole label, as the kernel has it.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the interface in `eth0` or `eth0:1`, and what follows the colon.
pub(super) fn interface(name: &str) -> Result<(String, Option<&str>)> {
    let name = name.trim();
    let (interface, suffix) = match name.split_once(':') {
        Some((interface, suffix)) => (interface, Some(suffix)),
        None => (name, None),
    };
    let refuse = |why: &str| Err(Error::invalid(format!("cannot use the name {name:?}: {why}")));
    if interface.is_empty() {
        return refuse("the interface is missing; give one like eth0 or eth0:1");
    }
    if interface.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        return refuse(
            "no interface has a slash, white space or a control character in its name; take it out",
        );
    }
    if interface.len() > NAME_MAX {
        return refuse(&format!("an interface's name has at most {NAME_MAX} bytes; shorten it"));
    }
    Ok((interface.to_owned(), suffix))
}

/// An address and, where it was given, its prefix length.
#[derive(Debug)]
pub(super) struct Cidr {
    pub(super) address: IpAddr,
    pub(super) prefix: Option<u8>,
}

/// A prefix length as a task gives it: as a number, or as a netmask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Bits(u32),
    Mask(Ipv4Addr),
}

impl Length {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Ok(bits) = text.parse() {
            return Ok(Self::Bits(bits));
        }
        text.parse().map(Self::Mask).map_err(|_| {
            Error::invalid(format!("cannot use netmask {text:?}: it is neither a netmask nor a number; give one like 255.255.255.0"))
        })
    }

    fn bits(self, address: IpAddr) -> Result<u8> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        match self {
            Self::Bits(0) => Err(Error::invalid(format!(
                "cannot use prefix 0 for {address}: it would make every address local; give 1 to {most}"
            ))),
            Self::Bits(bits) if bits > most => {
                Err(Error::invalid(format!("cannot use prefix {bits} for {address}: it must be 1 to {most}")))
            }
            Self::Mask(mask) if address.is_ipv6() => Err(Error::invalid(format!(
                "cannot use netmask {mask} for {address}: an IPv6 address has a prefix length; give prefix"
            ))),
            Self::Mask(mask) if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() != 32 => {
                Err(Error::invalid(format!(
                    "cannot use netmask {mask}: its ones are not all in front; give one like 255.255.255.0"
                )))
            }
            Self::Mask(mask) => Self::Bits(mask.to_bits().leading_ones()).bits(address),
            // At most 128, as checked above.
            #[allow(clippy::cast_possible_truncation)]
            Self::Bits(bits) => Ok(bits as u8),
        }
    }
}

/// Returns the prefix length that the options netmask and prefix give.
pub(super) fn prefix(netmask: Option<&str>, prefix: Option<u32>) -> Result<Option<Length>> {
    match (netmask, prefix) {
        (Some(_), Some(_)) => Err(Error::invalid("cannot use both netmask and prefix: give one of them")),
        (Some(netmask), None) => Length::parse(netmask).map(Some),
        (None, prefix) => Ok(prefix.map(Length::Bits)),
    }
}

impl Cidr {
    /// Returns what `address`, or `address/prefix`, means together with the prefix length given apart; `host` is
    /// for a single address where nobody gives a length, as on lo.
    pub(super) fn parse(text: &str, apart: Option<Length>, host: bool) -> Result<Self> {
        let (text, behind) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(Length::parse(length)?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = text.parse().map_err(|_| {
            Error::invalid(format!(
                "cannot use address {text:?}: it is no IP address; give one like 192.0.2.10"
            ))
        })?;
        let [behind, apart] =
            [behind, apart].map(|length| length.map(|length| length.bits(address)).transpose());
        let prefix = match (behind?, apart?) {
            (Some(one), Some(other)) if one != other => {
                return Err(Error::invalid(format!(
                    "cannot add {address}: address says prefix {one} and netmask or prefix says {other}; give one of them"
                )));
            }
            (None, None) if host => Some(if address.is_ipv4() { 32 } else { 128 }),
            (one, other) => one.or(other),
        };
        usable(address, prefix)?;
        Ok(Self { address, prefix })
    }
}

/// Returns an error for what the kernel takes and no interface can use.
fn usable(address: IpAddr, prefix: Option<u8>) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid(format!("cannot use address {address}: {why}")));
    match address {
        _ if address.is_multicast() => refuse("it is a multicast address; give a host's own"),
        IpAddr::V4(Ipv4Addr::BROADCAST) => refuse("it is the broadcast address; give a host's own"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 => refuse("0.0.0.0/8 is no host's; give a host's own address"),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => refuse("it stands for no address; give a host's own"),
        IpAddr::V4(v4) => match prefix {
            Some(prefix) if prefix < 31 && v4.to_bits() << prefix == 0 => {
                refuse(&format!("with prefix {prefix} it names the network; give a host's own address"))
            }
            Some(prefix) if prefix < 31 && broadcast(address, prefix) == Some(v4) => {
                refuse(&format!("with prefix {prefix} it is the broadcast address; give a host's own"))
            }
            _ => Ok(()),
        },
        IpAddr::V6(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str, netmask: Option<&str>, bits: Option<u32>) -> Result<(String, Option<u8>)> {
        let cidr = Cidr::parse(text, prefix(netmask, bits)?, false)?;
        Ok((cidr.address.to_string(), cidr.prefix))
    }

    #[test]
    fn a_prefix_length_may_be_written_in_each_usual_way() {
        for (text, netmask, bits, expected) in [
            ("192.0.2.10/24", None, None, Some(24)),
            ("192.0.2.10", Some("255.255.255.0"), None, Some(24)),
            ("192.0.2.10", Some("24"), None, Some(24)),
            ("192.0.2.10", None, Some(32), Some(32)),
            ("192.0.2.10/255.255.255.128", None, None, Some(25)),
            ("192.0.2.10/24", None, Some(24), Some(24)),
            ("192.0.2.10", None, None, None),
            ("2001:db8::1/64", None, None, Some(64)),
            ("192.0.2.10", Some("255.255.255.255"), None, Some(32)),
            ("192.0.2.0/31", None, None, Some(31)),
        ] {
            assert_eq!(cidr(text, netmask, bits).unwrap().1, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_usable_address_is_refused_by_name() {
        for (text, netmask, bits, named) in [
            ("192.0.2", None, None, "192.0.2"),
            ("192.0.2.10/33", None, None, "prefix 33"),
            ("2001:db8::1/129", None, None, "prefix 129"),
            ("192.0.2.10/0", None, None, "prefix 0"),
            ("192.0.2.10", Some("255.0.255.0"), None, "255.0.255.0"),
            ("192.0.2.10", Some("0.0.0.0"), None, "prefix 0"),
            ("192.0.2.10", Some("x"), None, "\"x\""),
            ("192.0.2.10", Some("255.255.255.0"), Some(24), "both"),
            ("192.0.2.10/24", None, Some(25), "25"),
            ("2001:db8::1", Some("255.255.255.0"), None, "IPv6"),
            ("224.0.0.1/24", None, None, "multicast"),
            ("ff02::1/64", None, None, "multicast"),
            ("0.1.2.3/24", None, None, "0.0.0.0/8"),
            ("255.255.255.255/32", None, None, "broadcast"),
            ("192.0.2.0/24", None, None, "network"),
            ("192.0.2.255/24", None, None, "broadcast"),
            ("::/64", None, None, "no address"),
        ] {
            let error = cidr(text, netmask, bits).unwrap_err().sentence();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_label_is_found_wherever_it_is_written() {
        for (name, option, label) in [
            ("eth0", None, None),
            ("eth0:1", None, Some("eth0:1")),
            ("eth0", Some("1"), Some("eth0:1")),
            ("eth0", Some("eth0:vip"), Some("eth0:vip")),
            ("eth0:1", Some("1"), Some("eth0:1")),
        ] {
            let (interface, suffix) = interface(name).unwrap();
            let found = Label::of(&interface, suffix, option).unwrap();
            assert_eq!(found.as_ref().map(Label::text), label);
        }
    }

    #[test]
    fn names_and_labels_that_no_kernel_should_get_are_refused() {
        for name in ["", ":1", "a/b", "a b", "sixteen-bytes-xx", "eth0:", "eth0:a b", "enp0s31f6.1000:1"] {
            let result = interface(name).and_then(|(interface, suffix)| Label::of(&interface, suffix, None));
            result.unwrap_err();
        }
        Label::of("eth0", None, Some("eth1:1")).unwrap_err();
        Label::of("eth0", Some("1"), Some("2")).unwrap_err();
    }
}

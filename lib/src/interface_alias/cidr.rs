//! An address and its prefix length, as a person writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::broadcast;
use crate::{Error, Result};

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
        let most = longest(address);
        match self {
            Self::Bits(0) => Err(Error::invalid(format!(
                "cannot use prefix 0 for {address}: it would make every address local; give 1 to {most}"
            ))),
            Self::Bits(bits) if bits > most.into() => {
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

/// Returns an address and its prefix length as files have them: `192.0.2.10/24`.
pub(super) fn stored(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.trim().parse().ok()?;
    Some((address, prefix.trim().parse().ok().filter(|prefix| *prefix <= longest(address))?))
}

/// Returns the length of a prefix that is one address.
fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
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
            (None, None) if host => Some(longest(address)),
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
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => refuse(&format!("it is an IPv4 address in IPv6 letters; give {v4}")),
            None => Ok(()),
        },
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
            ("::ffff:192.0.2.10/128", None, None, "give 192.0.2.10"),
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
}

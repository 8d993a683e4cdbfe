//! Addresses and ports, as a task writes them.

use std::net::{IpAddr, SocketAddr};

use crate::ansible::{Number, Text};
use crate::{Error, Result};

/// Returns the address in `text`, and the port that stands behind it or in the option of its own.
pub(super) fn parse(option: &str, text: &Text, port: Option<Number>) -> Result<(IpAddr, Option<u16>)> {
    let Text(text) = text;
    let refuse = |why: &str| Err(Error::invalid(format!("cannot use {option} {text:?}: {why}")));
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let (address, behind) = match (text.parse::<SocketAddr>(), bare.unwrap_or(text).parse::<IpAddr>()) {
        (Ok(both), _) => (both.ip(), Some(both.port())),
        (_, Ok(address)) => (address, None),
        _ => {
            return refuse(
                "it is not an IP address, which may have a port, such as 192.0.2.10, 192.0.2.10:80 or [2001:db8::10]:443",
            );
        }
    };
    let port = port.map(|Number(port)| u16::try_from(port)).transpose();
    match (behind, port) {
        (_, Err(_)) => refuse("its port is over 65535; give one that is not"),
        (Some(one), Ok(Some(other))) if one != other => {
            refuse(&format!("option port says {other}; give the port once"))
        }
        (behind, Ok(port)) => Ok((address, behind.or(port))),
    }
}

/// Returns why no host can have `address`, if none can.
pub(super) fn no_host(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("it means no host"),
        _ if address.is_multicast() => Some("it is a multicast address"),
        IpAddr::V4(address) if address.is_broadcast() => Some("it is the broadcast address"),
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Some("it is an IPv4 address in IPv6 form; give that")
        }
        _ => None,
    }
}

/// Returns whether a port stands behind the address.
pub(super) fn has_port(text: &Text) -> bool {
    text.0.parse::<SocketAddr>().is_ok()
}

/// Returns whether `address` means another host on each interface.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_its_port_behind_it() {
        let parsed = |text: &str, port: Option<u32>| {
            parse("address", &Text(text.into()), port.map(Number))
                .map(|(address, port)| (address.to_string(), port))
        };
        let is = |address: &str, port| Ok::<_, ()>((address.to_owned(), port));
        assert_eq!(parsed("192.0.2.10", None).map_err(drop), is("192.0.2.10", None));
        assert_eq!(parsed("192.0.2.10:80", None).map_err(drop), is("192.0.2.10", Some(80)));
        assert_eq!(parsed("192.0.2.10", Some(80)).map_err(drop), is("192.0.2.10", Some(80)));
        assert_eq!(parsed("[2001:db8::10]:443", Some(443)).map_err(drop), is("2001:db8::10", Some(443)));
        assert_eq!(parsed("2001:db8::10", None).map_err(drop), is("2001:db8::10", None));
        assert_eq!(parsed("[2001:db8::10]", None).map_err(drop), is("2001:db8::10", None));
        for (text, port) in [
            ("192.0.2", None),
            ("192.0.2.10:80", Some(81)),
            ("www", None),
            ("192.0.2.10", Some(65536)),
            ("", None),
        ] {
            assert!(parsed(text, port).is_err(), "{text}");
        }
    }
}

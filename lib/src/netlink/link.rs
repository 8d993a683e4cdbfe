//! Interfaces, as rtnetlink(7) has them.

use std::rc::Rc;

use nix::libc::{
    AF_INET, AF_INET6, AF_UNSPEC, IFF_LOWER_UP, IFF_UP, IFLA_AF_SPEC, IFLA_ALT_IFNAME, IFLA_IFALIAS,
    IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFNAMSIZ, RTM_DELLINK, RTM_GETLINK,
    RTM_NEWLINK, RTM_SETLINK,
};
use rtnetlink::packet_core::NLA_F_NESTED;
use serde::Serialize;

use super::message::{Message, append_attribute, attributes, c_string, number};

/// linux/if_link.h and linux/ip.h.
const IFLA_INET_CONF: u16 = 1;
const IPV4_DEVCONF_PROMOTE_SECONDARIES: u16 = 20;

/// Whether an interface is meant to carry packets (IFF_UP in netdevice(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is not.
    Down,
    /// It is.
    Up,
}

/// An interface.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: Rc<str>,
    pub(crate) operation: Operation,
    pub(crate) has_carrier: bool,
    pub(crate) promotes_secondaries: bool,
    pub(crate) mtu: u32,
    /// Whether IPv6 knows of it.
    pub(crate) has_ipv6: bool,
    /// Whether it is of the kind dummy.
    pub(crate) is_dummy: bool,
    /// Whether it is part of another interface, as a port of a bridge.
    pub(crate) has_master: bool,
    /// What is written on it (its ifalias).
    pub(crate) mark: Box<[u8]>,
}

/// The kind of interface that we make.
const DUMMY: &[u8] = b"dummy";

impl Link {
    /// Returns the request for the interface called `name`; a name that is too long for one can be another name of it.
    pub(crate) fn request(name: &str) -> Message {
        let kind = if name.len() < IFNAMSIZ { IFLA_IFNAME } else { IFLA_ALT_IFNAME };
        let name = [name.as_bytes(), b"\0"].concat();
        Message::new(RTM_GETLINK, &ifinfomsg(0, 0, 0)).with(kind, &name)
    }

    /// Returns the request for the interface with a number.
    pub(crate) fn request_number(index: u32) -> Message {
        Message::new(RTM_GETLINK, &ifinfomsg(index, 0, 0))
    }

    /// Returns the interface that a message describes.
    pub(crate) fn read(message: &Message) -> Option<Self> {
        let (header, rest) = message.body.split_first_chunk::<16>()?;
        let flags = number(&header[8..12])?;
        let mut link = Self {
            index: number(&header[4..8])?,
            name: Rc::default(),
            operation: if flags & IFF_UP as u32 == 0 { Operation::Down } else { Operation::Up },
            has_carrier: flags & IFF_LOWER_UP as u32 != 0,
            promotes_secondaries: false,
            mtu: 0,
            has_ipv6: false,
            is_dummy: false,
            has_master: false,
            mark: Box::default(),
        };
        for (kind, value) in attributes(rest) {
            match kind {
                IFLA_IFNAME => link.name = c_string(value).to_string_lossy().into(),
                IFLA_MTU => link.mtu = number(value)?,
                IFLA_MASTER => link.has_master = true,
                IFLA_IFALIAS => link.mark = c_string(value).as_encoded_bytes().into(),
                IFLA_LINKINFO => {
                    let is_kind = |(kind, name): (u16, &[u8])| {
                        kind == IFLA_INFO_KIND && c_string(name).as_encoded_bytes() == DUMMY
                    };
                    link.is_dummy = attributes(value).any(is_kind);
                }
                IFLA_AF_SPEC => {
                    link.promotes_secondaries = promotes_secondaries(value).unwrap_or(false);
                    link.has_ipv6 = attributes(value).any(|(family, _)| family == AF_INET6 as u16);
                }
                _ => {}
            }
        }
        Some(link)
    }

    /// Returns the request that brings it up or takes it down.
    pub(crate) fn operate(&self, operation: Operation) -> Message {
        let up = IFF_UP as u32;
        let flags = if operation == Operation::Up { up } else { 0 };
        Message::new(RTM_SETLINK, &ifinfomsg(self.index, flags, up))
    }

    /// Returns the request that makes a dummy interface.
    pub(crate) fn make_dummy(name: &str) -> Message {
        let mut information = Vec::new();
        append_attribute(&mut information, IFLA_INFO_KIND, DUMMY);
        Message::new(RTM_NEWLINK, &ifinfomsg(0, 0, 0))
            .with(IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat())
            .with(IFLA_LINKINFO | NLA_F_NESTED, &information)
    }

    /// Returns the request that writes `mark` on it.
    pub(crate) fn write_mark(&self, mark: &[u8]) -> Message {
        Message::new(RTM_SETLINK, &ifinfomsg(self.index, 0, 0)).with(IFLA_IFALIAS, mark)
    }

    /// Returns the request that removes it.
    pub(crate) fn remove(&self) -> Message {
        Message::new(RTM_DELLINK, &ifinfomsg(self.index, 0, 0))
    }

    /// Returns the request that sets promote_secondaries for it; unlike /proc/sys this is never read-only.
    pub(crate) fn promote_secondaries(&self, on: bool) -> Message {
        let [mut conf, mut family, mut families] = [const { Vec::new() }; 3];
        append_attribute(&mut conf, IPV4_DEVCONF_PROMOTE_SECONDARIES, &u32::from(on).to_ne_bytes());
        append_attribute(&mut family, IFLA_INET_CONF | NLA_F_NESTED, &conf);
        append_attribute(&mut families, AF_INET as u16 | NLA_F_NESTED, &family);
        Message::new(RTM_SETLINK, &ifinfomsg(self.index, 0, 0)).with(IFLA_AF_SPEC | NLA_F_NESTED, &families)
    }
}

/// Returns the header of messages about interfaces (struct ifinfomsg in linux/rtnetlink.h).
fn ifinfomsg(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let family = u32::from(AF_UNSPEC as u8);
    [family, index, flags, change].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Returns whether the interface's own promote_secondaries is set; the kernel lists all its settings, the first is number 1.
fn promotes_secondaries(families: &[u8]) -> Option<bool> {
    let (_, family) = attributes(families).find(|(kind, _)| *kind == AF_INET as u16)?;
    let (_, conf) = attributes(family).find(|(kind, _)| *kind == IFLA_INET_CONF)?;
    let at = 4 * usize::from(IPV4_DEVCONF_PROMOTE_SECONDARIES - 1);
    Some(number(conf.get(at..)?)? != 0)
}

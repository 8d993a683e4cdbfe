//! What a run notes while a change is half done, so that the next run puts right what it left if it is killed.

use std::fmt::{self, Display};

use nix::libc::RTM_NEWADDR;

use super::address::Address;
use super::item::Alias;
use super::message;
use crate::netlink::{Link, Message};

/// A change of several requests that has begun.
#[derive(Debug, PartialEq)]
pub(super) enum Pending {
    /// promote_secondaries of this interface is on for a moment.
    Promotion(String),
    /// An address of this interface is not there while another stands in for it; both are bodies of a request that adds one.
    Replacement { interface: String, old: Vec<u8>, stand_in: Vec<u8> },
    /// This dummy interface is made and not marked yet.
    Dummy(String),
}

impl Pending {
    /// Returns the replacement of an address by way of a stand-in.
    pub(super) fn replacement(link: &Link, old: (&Alias, &Address), stand_in: &(Alias, Address)) -> Self {
        let body = |alias, address| message::add(link.index, alias, address).body;
        Self::Replacement {
            interface: link.name.to_string(),
            old: body(old.0, old.1),
            stand_in: body(&stand_in.0, &stand_in.1),
        }
    }

    /// Returns what a line says; nothing if a run that was killed has written only a part of it.
    pub(super) fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["promote", interface, "."] => Some(Self::Promotion((*interface).into())),
            ["dummy", interface, "."] => Some(Self::Dummy((*interface).into())),
            ["replace", interface, old, stand_in, "."] => Some(Self::Replacement {
                interface: (*interface).into(),
                old: bytes(old)?,
                stand_in: bytes(stand_in)?,
            }),
            _ => None,
        }
    }
}

/// As it is noted: a line that ends with a dot. No name of an interface has a space in it.
impl Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promotion(interface) => writeln!(f, "promote {interface} ."),
            Self::Dummy(interface) => writeln!(f, "dummy {interface} ."),
            Self::Replacement { interface, old, stand_in } => {
                writeln!(f, "replace {interface} {} {} .", Hexadecimal(old), Hexadecimal(stand_in))
            }
        }
    }
}

/// Returns the address that a request adds to an interface, if it is for that one.
pub(super) fn added(link: &Link, body: &[u8]) -> Option<(Alias, Address)> {
    message::read_address(link, &Message { kind: RTM_NEWADDR, body: body.to_vec() })
}

struct Hexadecimal<'a>(&'a [u8]);

impl Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let pairs = hexadecimal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_reads_back_and_a_part_of_it_is_nothing() {
        for pending in [
            Pending::Promotion("eth0".into()),
            Pending::Dummy("vip0".into()),
            Pending::Replacement { interface: "größe".into(), old: vec![0, 15, 255], stand_in: vec![1] },
        ] {
            let text = pending.to_string();
            let line = text.trim_end();
            assert_eq!(Pending::read(line), Some(pending));
            for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
                assert_eq!(Pending::read(&line[..end]), None, "{line} to {end}");
            }
        }
    }
}

//! Telling other hosts of a new address, and asking them for it before.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Item;
use super::options::Announce;
use super::wire::{Mac, Wire};
use crate::{Error, Result};

/// Everyone on the wire.
const BROADCAST: Mac = [0xff; 6];

/// RFC 5227, section 1.1: PROBE_NUM.
const PROBES: u32 = 3;

/// RFC 5227, section 1.1: PROBE_MIN, and how long the last probe is waited for.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The operations of ARP (RFC 826).
const REQUEST: u16 = 1;

/// Announces addresses as often as `how` says; returns warnings for what could not be announced.
pub(super) fn announce(items: &[&Item], how: Announce) -> Vec<String> {
    let mut warnings = Vec::new();
    for round in 0..how.count.0 {
        if round > 0 {
            sleep(how.interval_between());
        }
        warnings =
            items.iter().filter_map(|item| announce_once(item).err()).map(|error| error.sentence()).collect();
    }
    warnings
}

fn announce_once(item: &Item) -> Result<()> {
    let Some(wire) = Wire::open(&item.interface)? else {
        return Err(Error::invalid(format!(
            "cannot announce {item}: nobody asks for addresses on this interface; leave announce out"
        )));
    };
    wire.send(&match item.address {
        // A request that asks for the own address renews the entries of all who have one (RFC 5227, section 3).
        IpAddr::V4(address) => arp_request(wire.mac, address, address),
        IpAddr::V6(address) => neighbour_advertisement(wire.mac, address),
    })
}

/// Returns an error that names the host if another one answers for an IPv4 address that is to be added (RFC 5227,
/// section 2.1). Of IPv6 addresses the kernel takes care.
pub(super) fn probe(items: &[&Item]) -> Result<()> {
    for item in items {
        let (IpAddr::V4(address), Some(wire)) = (item.address, Wire::open(&item.interface)?) else {
            continue;
        };
        for _ in 0..PROBES {
            wire.send(&arp_request(wire.mac, Ipv4Addr::UNSPECIFIED, address))?;
            if let Some([a, b, c, d, e, f]) = answer(&wire, address)? {
                return Err(Error::invalid(format!(
                    "cannot add {item}: the host with the MAC address {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} has it already; take it away there"
                )));
            }
        }
    }
    Ok(())
}

/// Returns the network card of a host that says it has `address`, or that asks for it as we do, before the next probe.
fn answer(wire: &Wire, address: Ipv4Addr) -> Result<Option<Mac>> {
    let end = Instant::now() + PROBE_INTERVAL;
    while let Some(frame) = wire.receive(end)? {
        if let Some(arp) = Arp::read(&frame)
            && arp.sender != wire.mac
            && (arp.sender_address == address
                || (arp.sender_address.is_unspecified() && arp.target_address == address))
        {
            return Ok(Some(arp.sender));
        }
    }
    Ok(None)
}

/// What matters of an ARP packet.
struct Arp {
    sender: Mac,
    sender_address: Ipv4Addr,
    target_address: Ipv4Addr,
}

impl Arp {
    /// Returns the ARP packet in an Ethernet frame, if there is one for IPv4.
    fn read(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(12..42)?;
        let (kind, packet) = packet.split_at(2);
        if kind != [0x08, 0x06] || packet[..6] != [0, 1, 0x08, 0x00, 6, 4] {
            return None;
        }
        let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..at + 4)?.first_chunk::<4>()?));
        Some(Self {
            sender: *packet.get(8..14)?.first_chunk::<6>()?,
            sender_address: address(14)?,
            target_address: address(24)?,
        })
    }
}

/// Returns a broadcast that asks for `target` in the name of `sender` (RFC 826).
fn arp_request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    [
        &BROADCAST[..],
        &mac,
        // Ethernet type ARP; Ethernet and IPv4, and the lengths of their addresses.
        &[0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4],
        &REQUEST.to_be_bytes(),
        &mac,
        &sender.octets(),
        &[0; 6],
        &target.octets(),
    ]
    .concat()
}

/// Returns an unsolicited neighbour advertisement that overrides what its receivers know (RFC 4861, sections 4.4 and 7.2.6).
fn neighbour_advertisement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    const EVERYONE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    const OVERRIDE: u8 = 0x20;
    // Type, code, checksum; flags; target; its link-layer address, in units of eight bytes.
    let mut message = [&[136, 0, 0, 0, OVERRIDE, 0, 0, 0][..], &address.octets(), &[2, 1], &mac].concat();
    let sum = checksum(address, EVERYONE, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    // Ethernet's address for everyone and type; IPv6 with ICMPv6 and a hop limit of 255, which no router forwards.
    let length = [0, u8::try_from(message.len()).unwrap_or(u8::MAX)];
    [
        &[0x33, 0x33, 0, 0, 0, 1][..],
        &mac,
        &[0x86, 0xdd, 0x60, 0, 0, 0],
        &length,
        &[58, 255],
        &address.octets(),
        &EVERYONE.octets(),
        &message,
    ]
    .concat()
}

/// Returns the checksum of an ICMPv6 message (RFC 4443, section 2.3; RFC 1071).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    const ICMPV6: u8 = 58;
    let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
    let pseudo =
        [&source.octets()[..], &destination.octets(), &[0, 0, 0, length, 0, 0, 0, ICMPV6], message].concat();
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = pseudo.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    // At most 16 bits are left.
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

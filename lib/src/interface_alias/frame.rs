//! The Ethernet frames by which hosts ask for addresses and tell of them: ARP (RFC 826) and neighbour discovery (RFC 4861).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of a network card.
pub(super) type Mac = [u8; 6];

/// Everyone on the wire.
const BROADCAST: Mac = [0xff; 6];

/// The Ethernet type of ARP; then Ethernet and IPv4, and the lengths of their addresses.
const ARP: [u8; 8] = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4];

/// The Ethernet type of IPv6 and the first bytes of its header.
const IPV6: [u8; 6] = [0x86, 0xdd, 0x60, 0, 0, 0];

/// IPv6's number for ICMPv6, and the hop limit of what no router forwards.
const ICMPV6: u8 = 58;
const HOP_LIMIT: u8 = 255;

/// The ICMPv6 types of neighbour discovery.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Returns the question whether another host has an address that this one does not have yet (RFC 5227, section 2.1.1; RFC
/// 4862, section 5.4.2).
pub(super) fn question(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp_request(mac, Ipv4Addr::UNSPECIFIED, address),
        IpAddr::V6(address) => {
            let [.., a, b, c] = address.octets();
            let group = Ipv6Addr::from_bits(
                Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits()
                    | u128::from(u32::from_be_bytes([0, a, b, c])),
            );
            let message = [&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0][..], &address.octets()].concat();
            icmpv6(mac, Ipv6Addr::UNSPECIFIED, group, message)
        }
    }
}

/// Returns what makes all who know an address take it for this card's: an ARP request for the own address (RFC 5227, section
/// 3), or an unsolicited neighbour advertisement that overrides (RFC 4861, section 7.2.6).
pub(super) fn announcement(mac: Mac, address: IpAddr) -> Vec<u8> {
    const EVERYONE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    const OVERRIDE: u8 = 0x20;
    match address {
        IpAddr::V4(address) => arp_request(mac, address, address),
        IpAddr::V6(address) => {
            // Behind the target follows the card's address, in units of eight bytes.
            let message =
                [&[ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0][..], &address.octets(), &[2, 1], &mac].concat();
            icmpv6(mac, address, EVERYONE, message)
        }
    }
}

/// Returns which address a frame claims, and for which card: that of its sender, or one that its sender asks for as
/// [`question`] does.
pub(super) fn claim(frame: &[u8]) -> Option<(IpAddr, Mac)> {
    arp_claim(frame).or_else(|| icmpv6_claim(frame))
}

fn arp_claim(frame: &[u8]) -> Option<(IpAddr, Mac)> {
    let packet = frame.get(12..42)?.strip_prefix(&ARP)?;
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
    let (sender, target) = (address(8)?, address(18)?);
    let claimed = if sender.is_unspecified() { target } else { sender };
    Some((claimed.into(), *packet.get(2..)?.first_chunk()?))
}

fn icmpv6_claim(frame: &[u8]) -> Option<(IpAddr, Mac)> {
    let (kind, packet) = frame.get(12..)?.split_first_chunk::<2>()?;
    if *kind != [IPV6[0], IPV6[1]] || *packet.get(6)? != ICMPV6 || *packet.get(7)? != HOP_LIMIT {
        return None;
    }
    let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?));
    let claims = match *packet.get(40)? {
        SOLICITATION => address(8)?.is_unspecified(),
        kind => kind == ADVERTISEMENT,
    };
    claims.then_some((address(48)?.into(), *frame.get(6..)?.first_chunk()?))
}

/// Returns a broadcast that asks for `target` in the name of `sender`.
fn arp_request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    const REQUEST: [u8; 2] = [0, 1];
    [&BROADCAST[..], &mac, &ARP, &REQUEST, &mac, &sender.octets(), &[0; 6], &target.octets()].concat()
}

/// Returns an ICMPv6 message for a multicast group, in its frame (RFC 2464, section 7).
fn icmpv6(mac: Mac, source: Ipv6Addr, group: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let sum = checksum(source, group, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = [0, u8::try_from(message.len()).unwrap_or(u8::MAX)];
    let [.., a, b, c, d] = group.octets();
    let end = [ICMPV6, HOP_LIMIT];
    [&[0x33, 0x33, a, b, c, d][..], &mac, &IPV6, &length, &end, &source.octets(), &group.octets(), &message]
        .concat()
}

/// Returns the checksum of an ICMPv6 message (RFC 4443, section 2.3; RFC 1071).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 10];

    #[test]
    fn a_frame_that_asks_or_tells_is_a_claim_and_no_other_frame_is() {
        for text in ["192.0.2.10", "2001:db8::10"] {
            let address: IpAddr = text.parse().unwrap();
            for frame in [question(MAC, address), announcement(MAC, address)] {
                assert_eq!(claim(&frame), Some((address, MAC)));
                for length in 0..frame.len() - 8 {
                    assert_eq!(claim(&frame[..length]), None, "cut to {length} bytes");
                }
                let mut other = frame.clone();
                other[13] ^= 1;
                assert_eq!(claim(&other), None, "another Ethernet type");
            }
        }
    }

    #[test]
    fn a_solicitation_by_a_host_that_has_an_address_claims_nothing() {
        let mut frame = question(MAC, "2001:db8::10".parse().unwrap());
        frame[14 + 8] = 0x20;
        assert_eq!(claim(&frame), None);
    }
}

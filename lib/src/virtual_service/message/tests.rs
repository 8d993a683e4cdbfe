//! Requests and answers as the bytes that the kernel sees (x86_64 and aarch64 are both little-endian).

use super::*;

const FAMILY: u16 = 0x21;

/// Returns what an attribute is as bytes: length, type, value, padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((4 + value.len() as u16).to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Returns a whole message: generic netlink's header and a nested attribute for each part.
fn message(command: u8, parts: &[(u16, Vec<Vec<u8>>)]) -> Vec<u8> {
    let nested = parts.iter().flat_map(|(kind, inside)| attribute(*kind, &inside.concat()));
    [command, 1, 0, 0].into_iter().chain(nested).collect()
}

fn web() -> Ingress {
    Ingress::Address(Protocol::Tcp, "192.0.2.10:80".parse().unwrap())
}

fn key_of_web() -> Vec<Vec<u8>> {
    vec![attribute(1, &[2, 0]), attribute(2, &[6, 0]), attribute(3, &[192, 0, 2, 10]), attribute(4, &[0, 80])]
}

#[test]
fn a_service_is_sent_whole() {
    let persistence =
        Some(Persistence { timeout: 300, netmask: Netmask::V4([255, 255, 255, 0].into()), engine: None });
    let all = Service { scheduler: "sh".into(), flags: Flags::of(8 | 16), persistence };
    let mut parts = key_of_web();
    parts.extend([
        attribute(6, b"sh\0"),
        attribute(7, &[8 | 16 | 1, 0, 0, 0, 0x3d, 0, 0, 0]),
        attribute(8, &[0x2c, 1, 0, 0]),
        attribute(9, &[255, 255, 255, 0]),
    ]);
    let sent = service(FAMILY, Command::SetService, web(), &all);
    assert_eq!(sent.kind, FAMILY);
    assert_eq!(sent.body, message(2, &[(0x8001, parts)]));
}

#[test]
fn what_is_not_persistent_has_no_timeout_and_the_whole_address_counts() {
    let plain = Service { scheduler: "wlc".into(), flags: Flags::default(), persistence: None };
    let mark = Ingress::Mark(7, Family::Ipv6);
    let parts = vec![
        attribute(1, &[10, 0]),
        attribute(5, &[7, 0, 0, 0]),
        attribute(6, b"wlc\0"),
        attribute(7, &[0, 0, 0, 0, 0x3d, 0, 0, 0]),
        attribute(8, &[0, 0, 0, 0]),
        attribute(9, &[128, 0, 0, 0]),
    ];
    assert_eq!(service(FAMILY, Command::NewService, mark, &plain).body, message(1, &[(0x8001, parts)]));
}

#[test]
fn an_engine_is_sent_or_the_kernel_would_remove_it() {
    let persistence =
        Some(Persistence { timeout: 60, netmask: Netmask::whole(true), engine: Some("sip".into()) });
    let all = Service { scheduler: "rr".into(), flags: Flags::default(), persistence };
    let sent = service(FAMILY, Command::SetService, web(), &all).body;
    assert!(sent.ends_with(&attribute(11, b"sip\0")));
}

#[test]
fn a_real_server_is_sent_whole_with_its_family() {
    let server = RealServer {
        forward: Forward::Tun,
        weight: 5,
        upper_threshold: 100,
        lower_threshold: 50,
        tunnel: Tunnel { kind: 1, port: 6080, flags: 1 },
    };
    let at = "[2001:db8::11]:80".parse().unwrap();
    let address: std::net::Ipv6Addr = "2001:db8::11".parse().unwrap();
    let parts = vec![
        attribute(11, &[10, 0]),
        attribute(1, &address.octets()),
        attribute(2, &[0, 80]),
        attribute(3, &[2, 0, 0, 0]),
        attribute(4, &[5, 0, 0, 0]),
        attribute(5, &[100, 0, 0, 0]),
        attribute(6, &[50, 0, 0, 0]),
        attribute(13, &[1]),
        attribute(14, &[0x17, 0xc0]),
        attribute(15, &[1, 0]),
    ];
    let sent = real_server(FAMILY, Command::NewDest, web(), at, Some(&server)).body;
    assert_eq!(sent, message(5, &[(0x8001, key_of_web()), (0x8002, parts)]));
}

#[test]
fn what_is_removed_or_asked_for_is_told_by_its_key() {
    let at = "10.0.0.11:8080".parse().unwrap();
    let parts = vec![attribute(11, &[2, 0]), attribute(1, &[10, 0, 0, 11]), attribute(2, &[0x1f, 0x90])];
    let sent = real_server(FAMILY, Command::DelDest, web(), at, None).body;
    assert_eq!(sent, message(7, &[(0x8001, key_of_web()), (0x8002, parts)]));
    for (command, number) in [(Command::GetService, 4), (Command::DelService, 3), (Command::GetDest, 8)] {
        assert_eq!(about(FAMILY, command, web()).body, message(number, &[(0x8001, key_of_web())]));
    }
    assert_eq!(all(FAMILY).body, [4, 1, 0, 0]);
}

/// Returns an answer of the kernel with one entry.
fn answer(kind: u16, inside: &[Vec<u8>]) -> Message {
    Message { kind: FAMILY, body: message(1, &[(kind, inside.to_vec())]) }
}

#[test]
fn a_service_is_read_with_the_hashed_bit_left_out_and_addresses_of_16_bytes() {
    let address = [&[192, 0, 2, 10][..], &[0; 12]].concat();
    let parts = [
        attribute(1, &[2, 0]),
        attribute(2, &[17, 0]),
        attribute(3, &address),
        attribute(4, &[0x13, 0xc4]),
        attribute(6, b"mh\0"),
        attribute(11, b"sip\0"),
        attribute(7, &[1 | 2 | 4 | 8, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff]),
        attribute(8, &[0x2c, 1, 0, 0]),
        attribute(9, &[255, 0, 255, 0]),
        attribute(10, &[1, 2, 3, 4]),
    ];
    let (ingress, service) = read_service(&answer(1, &parts)).unwrap();
    assert_eq!(ingress.to_string(), "udp 192.0.2.10:5060");
    assert_eq!(service.to_string(), "-s mh -p 300 -M 255.0.255.0 --pe sip -o -b mh-fallback");
}

#[test]
fn a_mark_of_ipv6_is_read() {
    let parts = [
        attribute(1, &[10, 0]),
        attribute(5, &[8, 0, 0, 0]),
        attribute(6, b"rr\0"),
        attribute(7, &[3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        attribute(8, &[60, 0, 0, 0]),
        attribute(9, &[64, 0, 0, 0]),
    ];
    let (ingress, service) = read_service(&answer(1, &parts)).unwrap();
    assert_eq!(ingress, Ingress::Mark(8, Family::Ipv6));
    assert_eq!(service.persistence.unwrap().netmask, Netmask::V6(64));
}

#[test]
fn a_real_server_is_read_with_its_connections() {
    let parts = [
        attribute(1, &[&[10, 0, 0, 11][..], &[0; 12]].concat()),
        attribute(2, &[0, 80]),
        attribute(3, &[0x03, 1, 0, 0]),
        attribute(4, &[7, 0, 0, 0]),
        attribute(13, &[0]),
        attribute(14, &[0, 0]),
        attribute(15, &[0, 0]),
        attribute(5, &[9, 0, 0, 0]),
        attribute(6, &[4, 0, 0, 0]),
        attribute(7, &[1, 0, 0, 0]),
        attribute(8, &[2, 0, 0, 0]),
        attribute(9, &[3, 0, 0, 0]),
        attribute(11, &[2, 0]),
    ];
    let (at, server, connections) = read_real_server(&answer(2, &parts), false).unwrap();
    assert_eq!((at.to_string().as_str(), server.to_string().as_str()), ("10.0.0.11:80", "-g -w 7 -x 9 -y 4"));
    assert_eq!(connections, Connections { active: 1, inactive: 2, persistent: 3 });
}

#[test]
fn what_no_task_can_name_and_what_is_cut_short_is_passed_over() {
    let icmp = [
        attribute(1, &[2, 0]),
        attribute(2, &[1, 0]),
        attribute(3, &[0; 16]),
        attribute(4, &[0, 0]),
        attribute(9, &[0; 4]),
    ];
    assert!(read_service(&answer(1, &icmp)).is_none());
    let whole = answer(2, &[attribute(1, &[0; 16]), attribute(2, &[0, 80]), attribute(11, &[2, 0])]).body;
    for length in 0..whole.len() {
        let _ = read_real_server(&Message { kind: FAMILY, body: whole[..length].to_vec() }, true);
        let _ = read_service(&Message { kind: FAMILY, body: whole[..length].to_vec() });
    }
}

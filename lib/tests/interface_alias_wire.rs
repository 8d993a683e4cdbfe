//! What other hosts see of an alias: announcements, questions, packets; each test in a network namespace of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use host::{Run, enter_network, fail_by_the_laws, ip, task};
use lvs_host::interface_alias::Task;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn alias(arguments: Value) -> Run<Task> {
    task(arguments)
}

fn refuse(arguments: Value) -> String {
    fail_by_the_laws(&alias(arguments), || ip("-oneline -4 address show"))
}

/// Returns every frame that is seen in this network namespace while `act` runs and shortly after.
fn captured(act: impl FnOnce()) -> Vec<Vec<u8>> {
    use std::io::Read;
    /// ETH_P_ALL of linux/if_ether.h, in network order.
    const EVERYTHING: i32 = 0x0300;
    let protocol = Some(socket2::Protocol::from(EVERYTHING));
    let mut socket = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, protocol).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    act();
    let mut frames = Vec::new();
    let mut frame = [0; 2048];
    while let Ok(length) = socket.read(&mut frame) {
        frames.push(frame[..length].to_vec());
    }
    frames
}

#[test]
fn a_new_address_is_announced_on_the_wire_and_one_that_was_there_is_not() {
    enter_network();
    ip("link set v0 address 02:00:00:00:00:0a");
    let mac = [2, 0, 0, 0, 0, 0x0a];
    let announce = json!({"count": 2, "interval": 50});
    let task = json!({"name": "v0:1", "address": "192.0.2.10/32", "announce": announce});
    let arps = |frames: &[Vec<u8>]| {
        // Type ARP, an Ethernet and IPv4 request, asking for the sender's own address, to everyone; seen at both ends.
        let expected = [
            &[0xff; 6][..],
            &mac,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
            &mac,
            &[192, 0, 2, 10],
            &[0; 6],
            &[192, 0, 2, 10],
        ]
        .concat();
        frames.iter().filter(|frame| frame.starts_with(&expected)).count()
    };
    assert_eq!(arps(&captured(|| drop(alias(task.clone()).apply().unwrap()))), 2 * 2);
    assert_eq!(arps(&captured(|| drop(alias(task.clone()).apply().unwrap()))), 0);
    let v6 = json!({"name": "v0", "address": "2001:db8::10/64", "nodad": true, "announce": announce});
    let frames = captured(|| drop(alias(v6).apply().unwrap()));
    let own: std::net::Ipv6Addr = "2001:db8::10".parse().unwrap();
    let is_advertisement = |frame: &&Vec<u8>| {
        // An ICMPv6 neighbour advertisement with the override flag for the address, and the card's own address.
        frame.len() == 86
            && frame[20] == 58
            && frame[54] == 136
            && frame[58] == 0x20
            && frame[62..78] == own.octets()
            && frame[80..86] == mac
    };
    assert_eq!(frames.iter().filter(is_advertisement).count(), 2 * 2);
}

/// Another host: a network namespace that lives as long as a process in it.
struct Neighbour(std::process::Child);

impl Neighbour {
    /// Returns a host that has v0's far end.
    fn at_the_far_end() -> Self {
        let child = std::process::Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
        let neighbour = Self(child);
        let other = format!("/proc/{}/ns/net", neighbour.0.id());
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        while std::fs::read_link(&other).unwrap() == own {
            std::thread::sleep(Duration::from_millis(5));
        }
        ip(&format!("link set v0-far netns {}", neighbour.0.id()));
        neighbour.ip("link set v0-far up");
        neighbour
    }

    fn ip(&self, arguments: &str) -> String {
        let mut command = std::process::Command::new("nsenter");
        command.arg("--net").args(["--target", &self.0.id().to_string(), "ip"]).args(arguments.split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_host_that_hears_the_announcement_finds_the_address_at_its_new_place() {
    enter_network();
    ip("link set v0 address 02:00:00:00:00:0a");
    let neighbour = Neighbour::at_the_far_end();
    neighbour.ip("address add 192.0.2.1/24 dev v0-far");
    neighbour.ip("address add 2001:db8::1/64 dev v0-far nodad");
    for address in ["192.0.2.10", "2001:db8::10"] {
        neighbour.ip(&format!("neighbour add {address} lladdr 02:00:00:00:00:99 dev v0-far nud stale"));
    }
    let aliases = json!([{"address": "192.0.2.10/32"}, {"address": "2001:db8::10/128", "nodad": true}]);
    alias(json!({"name": "v0", "aliases": aliases, "announce": {"count": 1}})).apply().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    for address in ["192.0.2.10", "2001:db8::10"] {
        let entry = neighbour.ip(&format!("neighbour show {address} dev v0-far"));
        assert!(entry.contains("02:00:00:00:00:0a"), "{entry}");
    }
}

#[test]
fn an_announcement_that_cannot_be_made_warns() {
    enter_network();
    let report = alias(json!({"name": "lo:1", "address": "192.0.2.10", "announce": {}})).apply().unwrap();
    assert!(report.warnings[0].contains("cannot announce 192.0.2.10/32 on lo"), "{:?}", report.warnings);
}

#[test]
fn an_ipv4_address_that_another_host_has_is_not_added_and_its_card_is_named() {
    enter_network();
    ip("link set v0-far address 02:00:00:00:00:0b");
    ip("address add 192.0.2.10/24 dev v0-far");
    let task = json!({"name": "v0:1", "address": "192.0.2.10/24", "check_conflict": true});
    let frames = captured(|| drop(alias(task.clone()).check().unwrap()));
    assert!(!frames.iter().any(|frame| frame[12..14] == [8, 6]), "check mode sends nothing");
    let error = refuse(task);
    assert!(error.contains("02:00:00:00:00:0b has it already"), "{error}");
    let free = json!({"name": "v0:1", "address": "192.0.2.11/24", "check_conflict": true});
    assert!(!alias(free).apply().unwrap().plan.is_empty());
}

#[test]
fn an_ipv6_address_that_another_host_has_is_not_added_and_its_card_is_named() {
    enter_network();
    ip("link set v0-far address 02:00:00:00:00:0b");
    ip("address add 2001:db8::10/64 dev v0-far nodad");
    // Without detection by the kernel, ours is the only look.
    let task =
        |address: &str| json!({"name": "v0", "address": address, "nodad": true, "check_conflict": true});
    let frames = captured(|| drop(alias(task("2001:db8::10/64")).check().unwrap()));
    let asked: std::net::Ipv6Addr = "2001:db8::10".parse().unwrap();
    let is_question =
        |frame: &&Vec<u8>| frame.get(54) == Some(&135) && frame.get(62..78) == Some(&asked.octets());
    assert_eq!(frames.iter().filter(is_question).count(), 0, "check mode sends nothing");
    let error = alias(task("2001:db8::10/64")).apply().err().expect("another host has it").sentence();
    assert!(error.contains("2001:db8::10 on v0: the host with the MAC address 02:00:00:00:00:0b"), "{error}");
    assert!(!ip("-6 address show dev v0").contains("2001:db8::10"));
    assert!(!alias(task("2001:db8::11/64")).apply().unwrap().plan.is_empty());
}

#[test]
fn many_addresses_are_asked_for_at_the_same_time() {
    enter_network();
    ip("link set v0-far address 02:00:00:00:00:0b");
    ip("address add 192.0.2.50/24 dev v0-far");
    let aliases = |numbers: std::ops::Range<u8>| -> Vec<Value> {
        numbers.map(|number| json!({"address": format!("192.0.2.{number}/24")})).collect()
    };
    let task = |aliases| json!({"name": "v0", "check_conflict": true, "aliases": aliases});
    let error = refuse(task(aliases(10..60)));
    assert!(
        error.contains("192.0.2.50/24 on v0: the host with the MAC address 02:00:00:00:00:0b"),
        "{error}"
    );
    let start = std::time::Instant::now();
    alias(task(aliases(10..50))).apply().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn where_nothing_can_be_asked_the_conflict_is_not_ruled_out() {
    enter_network();
    ip("link set v0 down");
    let error = refuse(json!({"name": "v0:1", "address": "192.0.2.10/24", "check_conflict": true}));
    assert!(error.contains("v0 is down"), "{error}");
}

#[test]
fn an_address_that_is_not_to_be_announced_sends_nothing() {
    enter_network();
    let task = json!({"name": "v0:1", "address": "192.0.2.10/32"});
    let frames = captured(|| drop(alias(task).apply().unwrap()));
    assert!(!frames.iter().any(|frame| frame[12..14] == [8, 6]), "the kernel does not, and neither do we");
}

/// How long the stream below may take on the busiest machine.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_stream_of_packets_to_an_address_loses_none_while_it_is_relabelled() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    for (prefix, address) in [(32, "203.0.113.10"), (24, "192.0.2.10")] {
        alias(json!({"name": "v0:0", "address": format!("{address}/{prefix}")})).apply().unwrap();
        let server = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let client = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        client.connect((address, server.local_addr().unwrap().port())).unwrap();
        let begun = Instant::now();
        let (done, sent) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) && begun.elapsed() < LONG {
                    let number = sent.fetch_add(1, Relaxed);
                    client
                        .send(&number.to_be_bytes())
                        .unwrap_or_else(|error| panic!("packet {number}: {error}"));
                    let mut packet = [0; 4];
                    server.recv(&mut packet).unwrap();
                    assert_eq!(u32::from_be_bytes(packet), number);
                }
            });
            for label in 1..=20 {
                // However busy the machine is, there are packets before each.
                let before = sent.load(Relaxed);
                while sent.load(Relaxed) < before + 5 {
                    assert!(begun.elapsed() < LONG, "only {before} packets were sent");
                    std::thread::sleep(Duration::from_millis(1));
                }
                let task = json!({"name": format!("v0:{label}"), "address": format!("{address}/{prefix}")});
                assert!(!alias(task).apply().unwrap().plan.is_empty());
            }
            done.store(true, Relaxed);
        });
    }
}

//! What the kernel refuses of services and daemons and by which number, what it takes without a word, and what a task makes of both, in a
//! guest: `make ipvs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use director::{Raw, attribute, enter_director, ipvsadm, look, restore, saved};
use nix::libc::{EAFNOSUPPORT, EEXIST, EINVAL, ENETUNREACH, ENODEV, ENOENT, EPERM, ERANGE, ESRCH};
use serde_json::{Value, json};

const MODULE: &str = "/modules/virtual_service";

/// IPVS_CMD_ in linux/ip_vs.h.
const NEW_SERVICE: u8 = 1;
const SET_SERVICE: u8 = 2;
const DEL_SERVICE: u8 = 3;
const GET_SERVICE: u8 = 4;
const NEW_DEST: u8 = 5;
const SET_DEST: u8 = 6;
const DEL_DEST: u8 = 7;
const NEW_DAEMON: u8 = 9;
const DEL_DAEMON: u8 = 10;

/// Attributes by their numbers; one that is empty is left out.
type Attributes = BTreeMap<u16, Vec<u8>>;

/// What is asked, the attributes that it has otherwise, a task that means the same, and what is said of that.
type Row<'a> = (&'a str, &'a [(u16, &'a [u8])], i32, Value, &'a str);

/// Returns the attributes of tcp 192.0.2.10:80 with changes (IPVS_SVC_ATTR_).
fn service(changes: &[(u16, &[u8])]) -> Vec<u8> {
    let all: [(u16, &[u8]); 8] = [
        (1, &[2, 0]),
        (2, &[6, 0]),
        (3, &[192, 0, 2, 10]),
        (4, &[0, 80]),
        (6, b"rr\0"),
        (7, &[0, 0, 0, 0, 0x3d, 0, 0, 0]),
        (8, &[0; 4]),
        (9, &[255; 4]),
    ];
    nested(1, &all, changes)
}

/// Returns the attributes of the real server 10.0.0.11:80 with changes (IPVS_DEST_ATTR_).
fn server(changes: &[(u16, &[u8])]) -> Vec<u8> {
    let all: [(u16, &[u8]); 7] = [
        (1, &[10, 0, 0, 11]),
        (2, &[0, 80]),
        (3, &[0; 4]),
        (4, &[1, 0, 0, 0]),
        (5, &[0; 4]),
        (6, &[0; 4]),
        (11, &[2, 0]),
    ];
    nested(2, &all, changes)
}

/// Returns the attributes of a daemon (IPVS_DAEMON_ATTR_).
fn daemon(state: u8, interface: &str, changes: &[(u16, &[u8])]) -> Vec<u8> {
    let interface = format!("{interface}\0");
    nested(3, &[(1, &[state, 0, 0, 0]), (2, interface.as_bytes()), (3, &[0; 4])], changes)
}

fn nested(kind: u16, all: &[(u16, &[u8])], changes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut attributes = Attributes::new();
    attributes.extend(all.iter().chain(changes).map(|(kind, value)| (*kind, value.to_vec())));
    attributes.retain(|_, value| !value.is_empty());
    let inside: Vec<u8> = attributes.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
    attribute(0x8000 | kind, &inside)
}

fn address6(text: &str) -> Vec<u8> {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()
}

/// Runs the module that is shipped; returns the sentence of a failure, which has changed nothing, or what it did.
fn run(task: &Value) -> String {
    let before = look();
    let output = Command::new(MODULE).arg(task.to_string()).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let Some(said) = answer["msg"].as_str() else { return format!("changed: {}", answer["changed"]) };
    assert_eq!((look(), &answer["changed"]), (before, &json!(false)), "{task}: {answer}");
    said.to_owned()
}

/// Returns a task about tcp 192.0.2.10:80 with further options.
fn web(options: Value) -> Value {
    let mut task = json!({"address": "192.0.2.10:80"});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

/// Returns a task about one real server of tcp 192.0.2.10:80.
fn with(options: Value) -> Value {
    let mut server = json!({"address": "10.0.0.11", "forward": "nat"});
    server.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    web(json!({"real_servers": [server]}))
}

/// Asks the kernel, and tells what was asked where it answers otherwise.
fn expect(raw: &Raw, what: &str, command: u8, attributes: &[u8], errno: i32) {
    assert_eq!(raw.ask(command, 0, attributes).0, errno, "{what}");
}

/// A daemon that is stopped before it has run is stopped without an answer (net/netlink/af_netlink.c, netlink_rcv_skb, of EINTR).
fn let_it_run() {
    std::thread::sleep(std::time::Duration::from_secs(1));
}

#[test]
fn an_entry_that_is_there_or_absent_has_its_number_and_a_task_goes_on() {
    enter_director();
    let raw = Raw::open();
    let both = || [service(&[]), server(&[])].concat();
    for (what, command) in [("set", SET_SERVICE), ("get", GET_SERVICE), ("delete", DEL_SERVICE)] {
        expect(&raw, &format!("{what} an absent service"), command, &service(&[]), ESRCH);
    }
    expect(&raw, "a real server into an absent service", NEW_DEST, &both(), ESRCH);
    assert_eq!(run(&web(json!({"state": "absent"}))), "changed: false");
    assert_eq!(run(&web(json!({"scheduler": "rr"}))), "changed: true");
    expect(&raw, "a service twice", NEW_SERVICE, &service(&[]), EEXIST);
    assert_eq!(run(&web(json!({"scheduler": "rr"}))), "changed: false");
    for (what, command) in [("set", SET_DEST), ("delete", DEL_DEST)] {
        expect(&raw, &format!("{what} an absent real server"), command, &both(), ENOENT);
    }
    assert_eq!(run(&with(json!({"state": "absent"}))), "changed: false");
    assert_eq!(run(&with(json!({}))), "changed: true");
    expect(&raw, "a real server twice", NEW_DEST, &both(), EEXIST);
    let other_tunnel = [service(&[]), server(&[(3, &[2, 0, 0, 0]), (13, &[2])])].concat();
    expect(&raw, "a tunnel is no part of its key", NEW_DEST, &other_tunnel, EEXIST);
    assert_eq!(run(&with(json!({}))), "changed: false");
    assert_eq!(run(&with(json!({"forward": "tun", "tunnel": {"type": "gre"}}))), "changed: true");
}

#[test]
fn a_service_that_the_kernel_refuses_is_refused_in_words() {
    enter_director();
    let raw = Raw::open();
    let long = "a234567890123456";
    let rows: &[Row<'_>] = &[
        (
            "an unknown scheduler",
            &[(6, b"nosuch\0")],
            ENOENT,
            web(json!({"scheduler": "nosuch"})),
            "cannot set the service tcp 192.0.2.10:80: the kernel has no scheduler nosuch (module ip_vs_nosuch); give one that it has",
        ),
        (
            "an empty scheduler",
            &[(6, b"\0")],
            ENOENT,
            web(json!({"scheduler": ""})),
            "cannot use scheduler \"\": it is not the name of one",
        ),
        (
            "an unknown engine",
            &[(2, &[17, 0]), (7, &[1, 0, 0, 0, 0x3d, 0, 0, 0]), (8, &[60, 0, 0, 0]), (11, b"nosuch\0")],
            ENOENT,
            web(json!({"protocol": "udp", "persistence": {"engine": "nosuch"}})),
            "cannot use option persistence: there is no nosuch, expected none or sip",
        ),
        (
            "a scheduler's name of 16 bytes",
            &[(6, b"a234567890123456\0")],
            EINVAL,
            web(json!({"scheduler": long})),
            "cannot use scheduler \"a234567890123456\": it is not the name of one",
        ),
        ("no scheduler", &[(6, b"")], EINVAL, json!({}), "cannot tell which service is meant"),
        ("no flags", &[(7, b"")], EINVAL, json!({}), "cannot tell which service is meant"),
        ("no timeout", &[(8, b"")], EINVAL, json!({}), "cannot tell which service is meant"),
        ("no netmask", &[(9, b"")], EINVAL, json!({}), "cannot tell which service is meant"),
        (
            "the family 5",
            &[(1, &[5, 0])],
            EAFNOSUPPORT,
            json!({"fwmark": 7, "family": "5"}),
            "cannot use option family: there is no 5, expected ipv4 or ipv6",
        ),
        ("no family", &[(1, b"")], EINVAL, json!({}), "cannot tell which service is meant"),
    ];
    for (what, changes, errno, task, said) in rows {
        expect(&raw, what, NEW_SERVICE, &service(changes), *errno);
        let answer = run(task);
        assert!(answer.starts_with(said), "{what}: {answer}");
    }
    let v6 = address6("2001:db8::10");
    for (prefix, least) in [(0_u8, EINVAL), (129, EINVAL), (1, 0), (128, 0)] {
        let changes: [(u16, &[u8]); 3] = [(1, &[10, 0]), (3, &v6), (9, &[prefix, 0, 0, 0])];
        expect(&raw, &format!("the prefix {prefix}"), NEW_SERVICE, &service(&changes), least);
        ipvsadm("-C");
        let task = json!({"address": "[2001:db8::10]:80", "persistence": {"prefix": prefix}});
        let answer = run(&task);
        let refused = format!("cannot use persistence: prefix {prefix} is not from 1 to 128");
        assert_eq!(answer.starts_with(&refused), least == EINVAL, "{prefix}: {answer}");
        ipvsadm("-C");
    }
    assert_eq!(saved(), Vec::<String>::new());
}

#[test]
fn a_real_server_that_the_kernel_refuses_is_refused_in_words() {
    enter_director();
    host::ip("address add 10.1.0.1/24 dev lo");
    let raw = Raw::open();
    expect(&raw, "a service", NEW_SERVICE, &service(&[]), 0);
    let v6 = address6("2001:db8::11");
    let nowhere = "it means no host; give the address of a host";
    let rows: &[Row<'_>] = &[
        (
            "multicast",
            &[(1, &[224, 0, 0, 1])],
            EINVAL,
            json!({"address": "224.0.0.1"}),
            "it is a multicast address",
        ),
        (
            "broadcast",
            &[(1, &[255, 255, 255, 255])],
            EINVAL,
            json!({"address": "255.255.255.255"}),
            "it is the broadcast address",
        ),
        (
            "the broadcast address of a network",
            &[(1, &[10, 1, 0, 255])],
            EINVAL,
            json!({"address": "10.1.0.255"}),
            "10.1.0.255 is not the address of a host here",
        ),
        ("0.0.0.0", &[(1, &[0, 0, 0, 0])], EINVAL, json!({"address": "0.0.0.0"}), nowhere),
        (
            "another family",
            &[(1, &v6), (11, &[10, 0])],
            EINVAL,
            json!({"address": "2001:db8::11"}),
            "it is of another family than the service; give an address of the same, or forward: tun",
        ),
        (
            "gue with port 0",
            &[(3, &[2, 0, 0, 0]), (13, &[1]), (14, &[0, 0])],
            EINVAL,
            json!({"forward": "tun", "tunnel": {"type": "gue", "port": 0}}),
            "cannot use tunnel: port is not from 1 to 65535",
        ),
        (
            "no method",
            &[(3, b"")],
            EINVAL,
            json!({"forward": null}),
            "how packets get there is missing; give forward: nat, dr or tun",
        ),
        ("no weight", &[(4, b"")], EINVAL, json!({"weight": ""}), "is not a whole number"),
        ("no threshold", &[(5, b"")], EINVAL, json!({"upper_threshold": ""}), "is not a whole number"),
        (
            "a lower over the upper threshold",
            &[(5, &[5, 0, 0, 0]), (6, &[6, 0, 0, 0])],
            ERANGE,
            json!({"upper_threshold": 5, "lower_threshold": 6}),
            "lower_threshold 6 is over upper_threshold 5",
        ),
        (
            "a lower threshold alone",
            &[(6, &[1, 0, 0, 0])],
            ERANGE,
            json!({"lower_threshold": 1}),
            "lower_threshold 1 is over upper_threshold 0",
        ),
        (
            "a weight below 0",
            &[(4, &[255, 255, 255, 255])],
            ERANGE,
            json!({"weight": -1}),
            "-1 is not a whole number",
        ),
    ];
    for (what, changes, errno, task, said) in rows {
        expect(&raw, what, NEW_DEST, &[service(&[]), server(changes)].concat(), *errno);
        let answer = run(&with(task.clone()));
        assert!(answer.contains(said), "{what}: {answer}");
    }
    let at6: [(u16, &[u8]); 3] = [(1, &[10, 0]), (3, &address6("2001:db8::10")), (9, &[128, 0, 0, 0])];
    expect(&raw, "a service of IPv6", NEW_SERVICE, &service(&at6), 0);
    for (address, said) in [
        ("ff02::1", "it is a multicast address"),
        ("::", nowhere),
        ("fe80::1", "it is a link-local address; give the address of a host"),
    ] {
        let changes: [(u16, &[u8]); 2] = [(1, &address6(address)), (11, &[10, 0])];
        expect(&raw, address, NEW_DEST, &[service(&at6), server(&changes)].concat(), EINVAL);
        let task =
            json!({"address": "[2001:db8::10]:80", "forward": "nat", "real_servers": [{"address": address}]});
        let answer = run(&task);
        assert!(answer.contains(said), "{address}: {answer}");
    }
}

#[test]
fn mixed_families_and_a_sync_daemon_exclude_each_other() {
    enter_director();
    host::ip("link add dummy0 up type dummy");
    host::ip("address add 10.2.0.1/24 dev dummy0");
    let raw = Raw::open();
    let mixed = [service(&[]), server(&[(1, &address6("2001:db8::11")), (3, &[2, 0, 0, 0]), (11, &[10, 0])])]
        .concat();
    let task = with(json!({"address": "2001:db8::11", "forward": "tun"}));
    expect(&raw, "a service", NEW_SERVICE, &service(&[]), 0);
    expect(&raw, "a daemon", NEW_DAEMON, &daemon(1, "dummy0", &[]), 0);
    expect(&raw, "another family while a daemon runs", NEW_DEST, &mixed, EINVAL);
    assert!(run(&task).contains("a sync daemon runs, and cannot know services of mixed families; stop it"));
    let_it_run();
    expect(&raw, "stop it", DEL_DAEMON, &daemon(1, "dummy0", &[]), 0);
    assert_eq!(run(&task), "changed: true");
    expect(&raw, "a daemon while one is there", NEW_DAEMON, &daemon(1, "dummy0", &[]), EINVAL);
}

#[test]
fn a_daemon_that_the_kernel_refuses_has_its_number() {
    enter_director();
    host::ip("link add dummy0 type dummy");
    let raw = Raw::open();
    // In words: what_cannot_be_started_is_said_and_nothing_is_changed, in ipvs_guest.rs.
    expect(&raw, "an unknown interface", NEW_DAEMON, &daemon(1, "nosuch7", &[]), ENODEV);
    expect(&raw, "one that is down", NEW_DAEMON, &daemon(1, "dummy0", &[]), ENETUNREACH);
    expect(&raw, "a stop without one", DEL_DAEMON, &daemon(1, "dummy0", &[]), ESRCH);
    host::ip("link set dummy0 up");
    host::ip("address add 10.2.0.1/24 dev dummy0");
    expect(&raw, "a daemon", NEW_DAEMON, &daemon(1, "dummy0", &[]), 0);
    expect(&raw, "a second one", NEW_DAEMON, &daemon(1, "dummy0", &[]), EEXIST);
    let_it_run();
    expect(&raw, "stop it", DEL_DAEMON, &daemon(1, "dummy0", &[]), 0);
    // What it takes, and a task does not.
    expect(&raw, "the syncid 256", NEW_DAEMON, &daemon(2, "dummy0", &[(3, &[0, 1, 0, 0])]), 0);
    for (what, task) in [
        (
            "cannot use syncid 256: it is not from 0 to 255",
            json!({"backup": {"interface": "dummy0", "syncid": 256}}),
        ),
        ("maxlen is over 1472", json!({"master": {"interface": "dummy0", "maxlen": 65507}})),
        (
            "cannot use maxlen 65535: it is not from 1 to 65507",
            json!({"master": {"interface": "dummy0", "maxlen": 65535}}),
        ),
    ] {
        let output = Command::new("/modules/ipvs").arg(task.to_string()).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(answer["msg"].as_str().unwrap().contains(what), "{answer}");
    }
    let_it_run();
    expect(&raw, "stop it", DEL_DAEMON, &daemon(2, "dummy0", &[]), 0);
}

#[test]
fn where_no_address_of_ipv4_was_ever_added_only_ipv6_is_taken() {
    host::only_in_a_guest();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let raw = Raw::open();
    expect(&raw, "a service", NEW_SERVICE, &service(&[]), 0);
    expect(&raw, "IPv4 without lo", NEW_DEST, &[service(&[]), server(&[])].concat(), EINVAL);
    assert!(run(&with(json!({}))).contains("this network namespace has no IPv4 yet: bring lo up first"));
    let task = json!({"address": "[2001:db8::10]:80", "forward": "nat", "real_servers": [{"address": "2001:db8::11"}]});
    assert_eq!(run(&task), "changed: true");
}

#[test]
fn without_the_privilege_the_kernel_says_eperm_and_a_task_says_why() {
    enter_director();
    ipvsadm("-A -t 192.0.2.10:80 -s rr");
    // As on a host; there a run keeps its lock.
    std::fs::set_permissions("/tmp", std::fs::Permissions::from_mode(0o1777)).unwrap();
    for check in [true, false] {
        let task = web(json!({"scheduler": "wlc", "_ansible_check_mode": check})).to_string();
        let mut as_nobody = Command::new(MODULE);
        as_nobody.arg(&task).uid(65534).gid(65534);
        let mut in_container = Command::new("unshare");
        in_container.args(["-U", "-r", MODULE, &task]);
        for (mut command, remedy) in [
            (as_nobody, "use become: true"),
            (in_container, "no container without root of the host can; run it on the host"),
        ] {
            let output = command.output().unwrap();
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            let said = answer["msg"].as_str().unwrap();
            assert!(said.contains(&format!("(os error {EPERM})")) && said.contains(remedy), "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
    assert_eq!(saved(), ["-A -t 192.0.2.10:80 -s rr"]);
}

#[test]
fn services_that_the_kernel_takes_without_a_word_are_refused() {
    enter_director();
    let raw = Raw::open();
    let flags = |flags: u8| [flags, 0, 0, 0, 0x3d, 0, 0, 0];
    let rows: &[Row<'_>] = &[
        (
            "protocol 1",
            &[(2, &[1, 0])],
            0,
            web(json!({"protocol": "icmp"})),
            "cannot use option protocol: there is no icmp",
        ),
        (
            "protocol 51",
            &[(2, &[51, 0])],
            0,
            web(json!({"protocol": "ah"})),
            "cannot use option protocol: there is no ah",
        ),
        (
            "port 0 without persistence",
            &[(4, &[0, 0])],
            0,
            json!({"address": "192.0.2.10:0"}),
            "cannot set tcp 192.0.2.10:0: port 0, which is any, needs persistence",
        ),
        (
            "the VIP 0.0.0.0",
            &[(3, &[0, 0, 0, 0])],
            0,
            json!({"address": "0.0.0.0:80"}),
            "cannot use address 0.0.0.0:80: it means no host",
        ),
        (
            "a VIP of multicast",
            &[(3, &[224, 0, 0, 1])],
            0,
            json!({"address": "224.0.0.1:80"}),
            "cannot use address 224.0.0.1:80: it is a multicast address",
        ),
        (
            "the scheduler none",
            &[(6, b"none\0")],
            0,
            web(json!({"scheduler": "none"})),
            "cannot use scheduler none: the service would refuse its clients",
        ),
        (
            "engine sip for tcp",
            &[(7, &flags(1)), (8, &[60, 0, 0, 0]), (11, b"sip\0")],
            0,
            web(json!({"persistence": {"engine": "sip"}})),
            "cannot use engine sip for tcp 192.0.2.10:80: it reads SIP over UDP only",
        ),
        (
            "engine sip without persistence",
            &[(2, &[17, 0]), (11, b"sip\0")],
            0,
            web(json!({"protocol": "udp", "persistence": {"timeout": 0, "engine": "sip"}})),
            "cannot use persistence: a timeout of 0 switches it off",
        ),
        (
            "ops for tcp",
            &[(7, &flags(4))],
            0,
            web(json!({"flags": ["ops"]})),
            "cannot use flag ops for tcp 192.0.2.10:80",
        ),
        (
            "flags that nothing has",
            &[(7, &[0xff; 8])],
            0,
            web(json!({"flags": ["flag-29"]})),
            "cannot use flag \"flag-29\": there is no such flag",
        ),
        (
            "a timeout that overflows",
            &[(7, &flags(1)), (8, &4_000_000_000_u32.to_ne_bytes())],
            0,
            web(json!({"persistence": 4_000_000_000_u32})),
            "cannot use persistence: its timeout can be 2678400 seconds at most",
        ),
        (
            "the netmask 0",
            &[(7, &flags(1)), (8, &[60, 0, 0, 0]), (9, &[0; 4])],
            0,
            web(json!({"persistence": {"netmask": "0.0.0.0"}})),
            "cannot use netmask \"0.0.0.0\" of persistence: all clients would count as one",
        ),
        (
            "a netmask with holes",
            &[(7, &flags(1)), (8, &[60, 0, 0, 0]), (9, &[255, 0, 255, 0])],
            0,
            web(json!({"persistence": {"netmask": "255.0.255.0"}})),
            "cannot use netmask \"255.0.255.0\" of persistence: its ones are not together",
        ),
        (
            "an address of two bytes",
            &[(3, &[10, 0])],
            0,
            json!({"address": "10.0:80"}),
            "cannot use address \"10.0:80\": it is not an IP address",
        ),
    ];
    for (what, changes, errno, task, said) in rows {
        expect(&raw, what, NEW_SERVICE, &service(changes), *errno);
        ipvsadm("-C");
        let answer = run(task);
        assert!(answer.starts_with(said), "{what}: {answer}");
    }
    let mark: [(u16, &[u8]); 4] = [(2, b""), (3, b""), (4, b""), (5, &[0; 4])];
    expect(&raw, "the firewall mark 0", NEW_SERVICE, &service(&mark), 0);
    ipvsadm("-C");
    assert!(run(&json!({"fwmark": 0})).starts_with("cannot use fwmark 0: that is a packet without a mark"));
    // Services come before the virtual IP.
    assert_eq!(
        run(&json!({"address": "198.51.100.1:80"})),
        "changed: true",
        "a VIP that this host has not yet"
    );
}

#[test]
fn real_servers_that_the_kernel_takes_without_a_word_are_refused() {
    enter_director();
    let raw = Raw::open();
    expect(&raw, "a service", NEW_SERVICE, &service(&[]), 0);
    let rows: &[Row<'_>] = &[
        (
            "a weight of 31 bits",
            &[(4, &[255, 255, 255, 127])],
            0,
            json!({"weight": 2_147_483_647}),
            "its weight is over 65535",
        ),
        (
            "dr with another port",
            &[(2, &[31, 144]), (3, &[3, 0, 0, 0])],
            0,
            json!({"forward": "dr", "port": 8080}),
            "with forward: dr the packet is not changed, so port 8080 would never be used",
        ),
        (
            "tun with another port",
            &[(2, &[31, 144]), (3, &[2, 0, 0, 0])],
            0,
            json!({"forward": "tun", "port": 8080}),
            "with forward: tun the packet is not changed, so port 8080 would never be used",
        ),
        (
            "the tunnel type 9",
            &[(3, &[2, 0, 0, 0]), (13, &[9])],
            0,
            json!({"forward": "tun", "tunnel": {"type": "9"}}),
            "there is no 9, expected one of ipip, gue, gre",
        ),
        (
            "gue with dr",
            &[(3, &[3, 0, 0, 0]), (13, &[1]), (14, &[23, 192])],
            0,
            json!({"forward": "dr", "tunnel": {"type": "gue", "port": 6080}}),
            "only forward: tun has a tunnel; leave tunnel out",
        ),
        (
            "the method 7",
            &[(3, &[7, 0, 0, 0])],
            0,
            json!({"forward": "7"}),
            "there is no 7, expected one of nat, dr, tun",
        ),
    ];
    for (what, changes, errno, task, said) in rows {
        let port: &[u8] = if changes[0].0 == 2 { changes[0].1 } else { &[0, 80] };
        expect(&raw, what, NEW_DEST, &[service(&[]), server(changes)].concat(), *errno);
        expect(&raw, what, DEL_DEST, &[service(&[]), server(&[(2, port)])].concat(), 0);
        let answer = run(&with(task.clone()));
        assert!(answer.contains(said), "{what}: {answer}");
    }
}

/// What somebody else had the kernel take is no reason to fail, unless the task is about that.
#[test]
fn what_the_kernel_took_of_others_is_left_alone() {
    enter_director();
    let raw = Raw::open();
    expect(&raw, "odd flags", NEW_SERVICE, &service(&[(7, &[0xfe, 255, 255, 255, 255, 255, 255, 255])]), 0);
    expect(
        &raw,
        "an odd real server",
        NEW_DEST,
        &[service(&[]), server(&[(3, &[7, 0, 0, 0]), (4, &[0, 0, 2, 0])])].concat(),
        0,
    );
    assert_eq!(run(&web(json!({}))), "changed: false");
    assert_eq!(run(&web(json!({"scheduler": "wlc"}))), "changed: true");
    assert_eq!(run(&web(json!({"real_servers": [{"address": "10.0.0.11"}]}))), "changed: false");
    assert_eq!(
        run(&web(json!({"real_servers": [{"address": "10.0.0.11", "weight": 2, "forward": "dr"}]}))),
        "changed: true"
    );
    ipvsadm("-C");
    restore("-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.11:80 -g -w 70000\n");
    assert_eq!(
        run(&web(json!({"real_servers": [{"address": "10.0.0.12", "forward": "dr"}]}))),
        "changed: true"
    );
    assert!(look().contains("-r 10.0.0.11:80 -g -w 70000"), "{}", look());
}

/// The last test here, as no kernel takes that back.
#[test]
fn without_the_right_to_load_modules_there_is_no_ipvs_to_be_had() {
    host::only_in_a_guest();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let modules = std::fs::read_to_string("/proc/modules").unwrap();
    let of_ipvs =
        modules.lines().filter_map(|line| line.split(' ').next()).filter(|name| name.starts_with("ip_vs"));
    // The newest first, so what uses ip_vs before that.
    of_ipvs.for_each(|name| assert!(Command::new("rmmod").arg(name).status().unwrap().success(), "{name}"));
    std::fs::write("/proc/sys/kernel/modules_disabled", "1").unwrap();
    let output = Command::new(MODULE).arg(web(json!({})).to_string()).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = answer["msg"].as_str().unwrap();
    assert!(said.starts_with("cannot use IPVS: the kernel has no module ip_vs or may not load it, as in a container or with modules_disabled"), "{said}");
    assert!(said.ends_with("load it on the host with modprobe ip_vs; nothing is changed"), "{said}");
    let task = json!({"address": "192.0.2.10:80", "state": "absent"}).to_string();
    assert!(
        Command::new(MODULE).arg(task).output().unwrap().status.success(),
        "nothing is what there should be"
    );
}

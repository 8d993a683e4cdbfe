//! Aliases on the real kernel, each test in a network namespace of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use host::{apply_by_the_laws, enter_network, fail_by_the_laws, ip, resource};
use lvs_host::{InterfaceAlias, Resource};
use serde_json::{Value, json};

/// Returns addresses and routes as ip(8) sees them, without what counts down or settles by itself.
fn look() -> String {
    let addresses = ip("-oneline address show").replace(" tentative", "");
    format!("{addresses}{}{}", ip("route show table all"), ip("-6 route show table main"))
}

fn alias(arguments: Value) -> InterfaceAlias {
    resource(arguments)
}

fn apply(arguments: Value) -> bool {
    !apply_by_the_laws(&alias(arguments), look).plan.is_empty()
}

fn refuse(arguments: Value) -> String {
    fail_by_the_laws(&alias(arguments), look)
}

/// Returns what ip(8) shows of v0's IPv4 addresses, in order: address, label, secondary or not.
fn shown() -> Vec<String> {
    ip("-oneline -4 address show dev v0")
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let secondary = if words.contains(&"secondary") { " secondary" } else { "" };
            let label = words.iter().find(|word| word.starts_with("v0") && word.ends_with('\\'));
            format!("{} {}{secondary}", words[3], label.unwrap().trim_end_matches('\\'))
        })
        .collect()
}

#[test]
fn an_alias_is_added_as_ifconfig_would() {
    enter_network();
    ip("address add 192.168.31.172/24 dev v0");
    assert!(apply(json!({"name": "v0:1", "address": "192.168.31.173", "netmask": "255.255.255.0"})));
    assert_eq!(shown(), ["192.168.31.172/24 v0", "192.168.31.173/24 v0:1 secondary"]);
    assert!(
        ip("address show dev v0")
            .contains("inet 192.168.31.173/24 brd 192.168.31.255 scope global secondary v0:1")
    );
    assert!(!apply(json!({"name": "v0:1", "address": "192.168.31.173/24"})));
}

#[test]
fn an_alias_without_a_label_is_the_interfaces_own_and_any_label_will_do() {
    enter_network();
    assert!(apply(json!({"name": "v0", "ip": "192.0.2.10", "prefix": 24})));
    assert_eq!(shown(), ["192.0.2.10/24 v0"]);
    assert!(apply(json!({"name": "v0", "label": "vip", "ip": "192.0.2.10/24"})));
    assert_eq!(shown(), ["192.0.2.10/24 v0:vip"]);
    assert!(
        !apply(json!({"name": "v0", "ip": "192.0.2.10/24"})),
        "a label that the task does not name is not compared"
    );
}

#[test]
fn an_address_on_lo_is_a_single_one_unless_told_otherwise() {
    enter_network();
    assert!(apply(json!({"name": "lo:0", "address": "203.0.113.10"})));
    assert!(ip("address show dev lo").contains("inet 203.0.113.10/32 scope global lo:0"));
    assert!(apply(json!({"name": "lo", "address": "127.0.0.5", "prefix": 8})));
    assert!(
        ip("address show dev lo").contains("inet 127.0.0.5/8 brd 127.255.255.255 scope host secondary lo")
    );
    assert!(apply(json!({"name": "lo", "address": "2001:db8::10"})));
    assert!(ip("address show dev lo").contains("inet6 2001:db8::10/128 scope global"));
}

#[test]
fn an_ipv6_address_is_added_and_removed() {
    enter_network();
    assert!(apply(json!({"name": "v0", "address": "2001:db8::10/64"})));
    assert!(ip("-6 address show dev v0").contains("inet6 2001:db8::10/64 scope global"));
    assert!(apply(json!({"name": "v0", "address": "2001:db8::10", "state": "absent"})));
    assert!(!ip("-6 address show dev v0").contains("2001:db8::10"));
}

#[test]
fn another_prefix_length_of_the_same_ipv6_address_is_refused() {
    enter_network();
    ip("address add 2001:db8::10/64 dev v0 nodad");
    let error = refuse(json!({"name": "v0", "address": "2001:db8::10/128"}));
    assert!(error.contains("2001:db8::10/64"), "{error}");
}

#[test]
fn a_label_holds_one_address_and_a_new_one_replaces_it() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    ip("address add 192.0.2.10/24 dev v0 label v0:1");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.11/24"})));
    assert_eq!(shown(), ["192.0.2.1/24 v0", "192.0.2.11/24 v0:1 secondary"]);
    ip("address add 192.0.2.12/24 dev v0 label v0:1");
    let error = refuse(json!({"name": "v0:1", "address": "192.0.2.13/24"}));
    assert!(error.contains("192.0.2.11/24 on v0 and 192.0.2.12/24 on v0"), "{error}");
}

#[test]
fn another_prefix_length_is_replaced_under_the_tasks_label_and_refused_elsewhere() {
    enter_network();
    ip("address add 192.0.2.10/24 dev v0 label v0:1");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/32"})));
    assert_eq!(shown(), ["192.0.2.10/32 v0:1"]);
    let error = refuse(json!({"name": "v0:2", "address": "192.0.2.10/24"}));
    assert!(error.contains("192.0.2.10/32 on v0"), "{error}");
}

#[test]
fn a_new_label_costs_no_sibling_and_no_gateway_route() {
    for (promote, prefix) in [(0, 24), (1, 24), (0, 32)] {
        enter_network();
        std::fs::write("/proc/sys/net/ipv4/conf/v0/promote_secondaries", promote.to_string()).unwrap();
        ip(&format!("address add 192.0.2.1/{prefix} dev v0"));
        ip("route add default via 192.0.2.254 dev v0 onlink");
        ip("address add 192.0.2.2/24 dev v0");
        ip("address add 198.51.100.1/24 dev v0");
        assert!(apply(json!({"name": "v0:9", "address": format!("192.0.2.1/{prefix}")})));
        let mut labels = shown();
        labels.iter_mut().for_each(|line| *line = line.replace(" secondary", ""));
        labels.sort();
        assert_eq!(
            labels,
            [format!("192.0.2.1/{prefix} v0:9"), "192.0.2.2/24 v0".into(), "198.51.100.1/24 v0".into()]
        );
        assert!(ip("route show default").contains("via 192.0.2.254"));
        let after = std::fs::read_to_string("/proc/sys/net/ipv4/conf/v0/promote_secondaries").unwrap();
        assert_eq!(after.trim(), promote.to_string(), "promote_secondaries is as before");
    }
}

#[test]
fn the_last_addresss_default_route_survives_a_new_label() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    ip("route add default via 192.0.2.254");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.1/24"})));
    assert_eq!(shown(), ["192.0.2.1/24 v0:1"]);
    assert!(ip("route show default").contains("via 192.0.2.254"));
}

#[test]
fn siblings_survive_the_removal_of_their_primary() {
    enter_network();
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        ip(&format!("address add {address}/24 dev v0"));
    }
    assert!(apply(json!({"name": "v0", "address": "192.0.2.1", "state": "absent"})));
    assert_eq!(shown(), ["192.0.2.2/24 v0", "192.0.2.3/24 v0 secondary"]);
    let promote = std::fs::read_to_string("/proc/sys/net/ipv4/conf/v0/promote_secondaries").unwrap();
    assert_eq!(promote.trim(), "0");
}

#[test]
fn an_alias_is_removed_by_its_label_alone() {
    enter_network();
    ip("address add 192.0.2.10/24 dev v0 label v0:1");
    ip("address add 192.0.2.11/24 dev v0 label v0:2");
    assert!(apply(json!({"name": "v0:1", "state": "absent"})));
    assert_eq!(shown(), ["192.0.2.11/24 v0:2"]);
    assert!(!apply(json!({"name": "v0:1", "state": "absent"})));
    assert!(
        !apply(json!({"name": "nowhere:1", "state": "absent"})),
        "an interface that is not there has no alias"
    );
}

#[test]
fn an_address_under_another_label_stays_with_a_warning() {
    enter_network();
    ip("address add 192.0.2.10/24 dev v0");
    let report = alias(json!({"name": "v0:1", "address": "192.0.2.10", "state": "absent"})).apply().unwrap();
    assert!(report.plan.is_empty());
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
}

#[test]
fn an_absent_address_that_is_there_twice_must_be_told_apart() {
    enter_network();
    ip("address add 192.0.2.10/24 dev v0");
    ip("address add 192.0.2.10/32 dev v0");
    let error = refuse(json!({"name": "v0", "address": "192.0.2.10", "state": "absent"}));
    assert!(error.contains("192.0.2.10/24 on v0 and 192.0.2.10/32 on v0"), "{error}");
    assert!(apply(json!({"name": "v0", "address": "192.0.2.10/32", "state": "absent"})));
    assert_eq!(shown(), ["192.0.2.10/24 v0"]);
}

#[test]
fn what_the_kernel_refuses_leaves_everything_as_it_was() {
    enter_network();
    std::fs::write("/proc/sys/net/ipv6/conf/v0/disable_ipv6", "1").unwrap();
    let error = refuse(json!({"name": "v0", "address": "2001:db8::10/64"}));
    assert!(error.starts_with("cannot add 2001:db8::10/64 on v0: "), "{error}");
    // The first address is added, the label's old holder cannot be told from a scope that the subnet refuses.
    ip("address add 192.0.2.1/24 dev v0 scope link");
    ip("address add 198.51.100.1/24 dev v0 label v0:1");
    let error = refuse(json!({"name": "v0:1", "address": "192.0.2.2/24"}));
    assert!(error.starts_with("cannot add 192.0.2.2/24 on v0 as v0:1: Invalid argument"), "{error}");
}

#[test]
fn a_missing_interface_is_named() {
    enter_network();
    let error = refuse(json!({"name": "nowhere:1", "address": "192.0.2.1/24"}));
    assert!(error.starts_with("cannot find the interface nowhere: "), "{error}");
}

#[test]
fn many_runs_at_once_take_turns() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    std::thread::scope(|scope| {
        for number in 1..=20 {
            let namespace = &namespace;
            scope.spawn(move || {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let address = format!("192.0.2.{}/24", 10 + number);
                let alias = alias(json!({"name": format!("v0:{number}"), "address": address}));
                assert!(!alias.apply().unwrap().plan.is_empty());
            });
        }
    });
    assert_eq!(shown().len(), 21);
}

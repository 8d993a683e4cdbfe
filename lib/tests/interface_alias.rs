//! Aliases on the real kernel, each test in a network namespace of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;

use aliases::{alias, apply, refuse, shown};
use host::{enter_network, ip};
use lvs_host::interface_alias::Task;
use serde_json::{Value, json};

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
fn what_becomes_a_secondary_in_the_same_task_outlives_its_primary() {
    let task = |aliases: Value| json!({"name": "v0", "prefix": 24, "aliases": aliases});
    for (aliases, left) in [
        (json!([{"address": "192.0.2.11", "label": 1}]), vec!["192.0.2.11/24 v0:1"]),
        (
            json!([{"address": "192.0.2.9", "label": 9}, {"address": "192.0.2.10", "label": 2}]),
            vec!["192.0.2.9/24 v0:9", "192.0.2.10/24 v0:2 secondary"],
        ),
    ] {
        enter_network();
        ip("address add 192.0.2.10/24 dev v0 label v0:1");
        ip("route add default via 192.0.2.254");
        assert!(apply(task(aliases)));
        assert_eq!(shown(), left);
        assert!(ip("route show").contains("default via 192.0.2.254"), "{}", ip("route show"));
    }
    // A change of the primary makes a primary of the secondary that is to go.
    enter_network();
    ip("address add 192.0.2.10/24 dev v0 label v0:1");
    ip("address add 192.0.2.11/24 dev v0 label v0:2");
    let gone = json!({"address": "192.0.2.11", "state": "absent"});
    assert!(apply(task(json!([{"address": "192.0.2.10", "label": 3}, gone]))));
    assert_eq!(shown(), ["192.0.2.10/24 v0:3"]);
}

#[test]
fn what_no_run_could_satisfy_is_refused() {
    enter_network();
    let v4 = json!({"address": "192.0.2.10/24"});
    let v6 = json!({"address": "2001:db8::10/64"});
    for (one, other, named) in [
        (v4.clone(), json!({"address": "192.0.2.10/32"}), "192.0.2.10 on v0 is there twice"),
        (
            v4.clone(),
            json!({"address": "192.0.2.10", "state": "absent"}),
            "192.0.2.10 on v0 is to be present",
        ),
        (v4.clone(), json!({"address": "192.0.2.10/24", "state": "absent", "label": 2}), "is to be present"),
        (
            v6,
            json!({"address": "2001:db8::10/128", "state": "absent"}),
            "2001:db8::10 on v0 is to be present",
        ),
        (
            json!({"address": "192.0.2.10/24", "label": 1}),
            json!({"label": 1, "state": "absent"}),
            "v0:1 is to be present",
        ),
    ] {
        for aliases in [json!([one, other]), json!([other, one])] {
            let task = json!({"name": "v0", "aliases": aliases});
            let error = serde_json::from_value::<Task>(task).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
    // Another prefix length may go, and a label may be taken from an address that stays, in either order.
    let stays = json!({"address": "192.0.2.10/24"});
    let gone =
        [json!({"address": "192.0.2.10/32", "state": "absent"}), json!({"label": 1, "state": "absent"})];
    for (gone, turned) in gone.iter().flat_map(|gone| [(gone, false), (gone, true)]) {
        ip("address flush dev v0");
        ip("address add 192.0.2.10/24 dev v0 label v0:1");
        let aliases = if turned { json!([stays, gone]) } else { json!([gone, stays]) };
        apply(json!({"name": "v0", "aliases": aliases}));
        assert_eq!(shown(), [if gone["label"] == 1 { "192.0.2.10/24 v0" } else { "192.0.2.10/24 v0:1" }]);
    }
}

#[test]
fn another_prefix_length_is_replaced_under_the_tasks_label_and_refused_elsewhere() {
    enter_network();
    ip("address add 192.0.2.10/24 dev v0 label v0:1");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/32"})));
    assert_eq!(shown(), ["192.0.2.10/32 v0:1"]);
    assert!(apply(json!({"name": "v0:2", "address": "192.0.2.10/24"})), "it is ours now");
    assert_eq!(shown(), ["192.0.2.10/24 v0:2"]);
    ip("address add 198.51.100.1/32 dev v0");
    let error = refuse(json!({"name": "v0:3", "address": "198.51.100.1/24"}));
    assert!(error.contains("198.51.100.1/32"), "{error}");
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
    assert!(error.contains("Invalid scope value"), "the kernel's own words: {error}");
}

#[test]
fn an_interface_that_is_too_small_for_ipv6_is_refused_by_check_mode_too() {
    enter_network();
    ip("link set v0 mtu 1279");
    let small = json!({"name": "v0", "address": "2001:db8::10/64"});
    let error = alias(small.clone()).check().err().expect("check must fail").sentence();
    assert_eq!(refuse(small.clone()), error);
    assert!(error.contains("raise it"), "{error}");
    ip("link set v0 mtu 1280");
    apply(small);
}

#[test]
fn every_attribute_that_the_task_names_is_set_compared_and_mended() {
    enter_network();
    for (option, value, shown) in [
        ("broadcast", json!("none"), "inet 192.0.2.10/24 scope global v0:1"),
        ("broadcast", json!("0.0.0.0"), "inet 192.0.2.10/24 scope global v0:1"),
        ("broadcast", json!("192.0.2.99"), "inet 192.0.2.10/24 brd 192.0.2.99 scope global v0:1"),
        ("broadcast", json!("auto"), "inet 192.0.2.10/24 brd 192.0.2.255 scope global v0:1"),
        ("scope", json!("link"), "inet 192.0.2.10/24 brd 192.0.2.255 scope link v0:1"),
        ("scope", json!("global"), "scope global v0:1"),
        ("metric", json!(50), "inet 192.0.2.10/24 metric 50 brd 192.0.2.255"),
        ("metric", json!(0), "inet 192.0.2.10/24 brd 192.0.2.255"),
        ("noprefixroute", json!(true), "noprefixroute v0:1"),
        ("noprefixroute", json!(false), "scope global v0:1"),
        ("preferred_lft", json!(0), "deprecated v0:1"),
        ("preferred_lft", json!("forever"), "scope global v0:1"),
        ("peer", json!("192.0.2.20"), "inet 192.0.2.10 peer 192.0.2.20/24"),
    ] {
        let mut task = json!({"name": "v0:1", "address": "192.0.2.10/24"});
        task[option] = value.clone();
        apply(task);
        let found = ip("-oneline address show dev v0");
        assert!(found.contains(shown), "{option}={value}: {found}");
    }
    assert!(
        !apply(json!({"name": "v0:1", "address": "192.0.2.10/24"})),
        "what the task does not name is not compared"
    );
}

#[test]
fn attributes_of_an_ipv6_address_are_changed_in_place() {
    enter_network();
    apply(json!({"name": "v0", "address": "2001:db8::10/64", "nodad": true}));
    assert!(ip("-6 address show dev v0").contains("2001:db8::10/64 scope global nodad"));
    assert!(apply(
        json!({"name": "v0", "address": "2001:db8::10/64", "preferred_lft": 0, "metric": 70, "noprefixroute": true})
    ));
    let found = ip("-6 address show dev v0");
    assert!(
        found.contains("2001:db8::10/64 metric 70 scope global nodad deprecated noprefixroute"),
        "{found}"
    );
    assert!(apply(
        json!({"name": "v0", "address": "2001:db8::10/64", "preferred_lft": "forever", "noprefixroute": false})
    ));
    assert!(
        apply(json!({"name": "v0", "address": "2001:db8::10/128"})),
        "it is ours, so another prefix length replaces it"
    );
}

#[test]
fn many_aliases_are_one_task_with_the_tasks_options_as_defaults() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    ip("address add 192.0.2.99/24 dev v0 label v0:99");
    let task = json!({"name": "v0", "prefix": 24, "aliases": [
        {"address": "192.0.2.10", "label": "1"},
        {"address": "192.0.2.11", "name": "v0:2", "prefix": 32},
        {"name": "lo", "address": "203.0.113.1", "prefix": 32},
        {"address": "192.0.2.99", "label": "99", "state": "absent"},
    ]});
    assert!(apply(task.clone()));
    assert_eq!(shown(), ["192.0.2.1/24 v0", "192.0.2.11/32 v0:2", "192.0.2.10/24 v0:1 secondary"]);
    assert!(ip("address show dev lo").contains("203.0.113.1/32"));
    // Labels are exchanged in one task.
    let swapped = json!({"name": "v0", "aliases": [
        {"address": "192.0.2.10/24", "label": "2"}, {"address": "192.0.2.11/32", "label": "1"}]});
    assert!(apply(swapped));
    assert_eq!(shown(), ["192.0.2.1/24 v0", "192.0.2.11/32 v0:1", "192.0.2.10/24 v0:2 secondary"]);
}

#[test]
fn a_failure_in_the_middle_of_many_undoes_all_of_them() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0 scope link");
    std::fs::write("/proc/sys/net/ipv6/conf/v0/disable_ipv6", "1").unwrap();
    let error = refuse(json!({"name": "v0", "aliases": [
        {"address": "198.51.100.1/24"}, {"address": "198.51.100.2/32"}, {"address": "2001:db8::1/64"}]}));
    assert!(error.starts_with("cannot add 2001:db8::1/64 on v0"), "{error}");
}

#[test]
fn what_an_address_brings_that_one_may_not_want_is_told() {
    enter_network();
    let warnings = |task: Value| alias(task).check().unwrap().warnings;
    assert!(
        warnings(json!({"name": "lo:0", "address": "203.0.113.10/24"}))[0].contains("local to this host")
    );
    assert!(
        warnings(json!({"name": "v0:1", "address": "192.0.2.10/24"}))[0]
            .contains("first address of its prefix")
    );
    assert_eq!(warnings(json!({"name": "v0:1", "address": "192.0.2.10/32"})), [""; 0]);
    ip("address add 192.0.2.1/24 dev v0");
    assert_eq!(warnings(json!({"name": "v0:1", "address": "192.0.2.10/24"})), [""; 0]);
}

#[test]
fn an_address_whose_label_is_no_text_is_found_relabelled_and_removed() {
    enter_network();
    let add = |address: &str| {
        // ip(8) passes any bytes on.
        let label = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"v0:\xff\xfe");
        let mut command = std::process::Command::new("ip");
        command.args(["address", "add", address, "dev", "v0", "label"]).arg(label);
        assert!(command.status().unwrap().success());
    };
    let apply = |task: Value| !alias(task).apply().unwrap().plan.is_empty();
    add("192.0.2.10/24");
    assert!(!apply(json!({"name": "v0", "address": "192.0.2.10/24"})), "another label is not asked for");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/24"})));
    assert_eq!(shown(), ["192.0.2.10/24 v0:1"]);
    add("192.0.2.11/24");
    assert!(apply(json!({"name": "v0", "address": "192.0.2.11", "state": "absent"})));
    assert_eq!(shown(), ["192.0.2.10/24 v0:1"]);
    // The way back gives the very same label.
    add("198.51.100.1/32");
    let before = ip_bytes();
    std::fs::write("/proc/sys/net/ipv6/conf/v0/disable_ipv6", "1").unwrap();
    let task = json!({"name": "v0", "aliases": [{"address": "198.51.100.1/32", "label": "2"}, {"address": "2001:db8::1/64"}]});
    alias(task).apply().err().expect("IPv6 is switched off");
    assert_eq!(ip_bytes(), before);
}

/// Returns what ip(8) shows of v0's IPv4 addresses, as it is.
fn ip_bytes() -> Vec<u8> {
    std::process::Command::new("ip").args(["-4", "address", "show", "dev", "v0"]).output().unwrap().stdout
}

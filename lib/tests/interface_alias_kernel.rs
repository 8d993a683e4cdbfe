//! What the kernel does to addresses and routes that an alias must survive; each test in a network namespace of its own.
//!
//! The facts are Linux's: net/ipv4/devinet.c, net/ipv4/fib_frontend.c, net/ipv6/addrconf.c.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;

use std::fs::{read_to_string, write};
use std::time::{Duration, Instant};

use aliases::{add_as_keepalived_does, alias, apply, refuse, shown};
use host::{enter_network, ip};
use serde_json::{Value, json};

const PROMOTE: &str = "/proc/sys/net/ipv4/conf/v0/promote_secondaries";

fn absent(address: &str) -> bool {
    apply(json!({"name": "v0", "address": address, "state": "absent"}))
}

/// Returns the addresses of v0 alone, sorted.
fn left() -> Vec<String> {
    let mut left: Vec<String> =
        shown().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    left.sort();
    left
}

// --- what IPv6 keeps of an address that is changed in place ---

#[test]
fn a_metric_and_a_peer_of_ipv6_come_and_go_with_their_routes() {
    enter_network();
    let add = |option: &str, value: Value| {
        let mut task = json!({"name": "v0", "address": "2001:db8:7::10/64", "nodad": true});
        task[option] = value;
        // Not by the laws: the kernel adds the route of a peer a moment after the address (addrconf_dad_work).
        assert!(!alias(task.clone()).apply().unwrap().plan.is_empty(), "{option}");
        assert!(alias(task).check().unwrap().plan.is_empty(), "{option}");
        ip("-6 route show dev v0")
    };
    add("metric", json!(70));
    let routes = add("metric", json!(0));
    assert!(
        !routes.contains("metric 70") && routes.contains("2001:db8:7::/64 proto kernel metric 256"),
        "{routes}"
    );
    add("peer", json!("2001:db8:8::9"));
    let routes = add("peer", json!("2001:db8:7::10"));
    assert!(!routes.contains("2001:db8:8::9"), "{routes}");
}

// --- primaries and secondaries ---

#[test]
fn a_primary_goes_alone_whichever_promote_secondaries_is_set() {
    for (device, all) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        enter_network();
        write(PROMOTE, device.to_string()).unwrap();
        write("/proc/sys/net/ipv4/conf/all/promote_secondaries", all.to_string()).unwrap();
        for address in ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "192.0.2.9/25", "198.51.100.1/24"] {
            ip(&format!("address add {address} dev v0"));
        }
        assert!(absent("192.0.2.1"));
        assert_eq!(left(), ["192.0.2.2/24", "192.0.2.3/24", "192.0.2.9/25", "198.51.100.1/24"]);
        assert_eq!(read_to_string(PROMOTE).unwrap().trim(), device.to_string(), "it is as before");
    }
}

#[test]
fn the_removal_of_a_primary_keeps_the_routes_of_its_siblings() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    ip("address add 192.0.2.2/24 dev v0");
    ip("route add 198.51.100.0/24 via 192.0.2.254 src 192.0.2.2");
    ip("route add default via 192.0.2.254");
    assert!(absent("192.0.2.1"));
    let routes = ip("route show");
    for route in [
        "default via 192.0.2.254",
        "198.51.100.0/24 via 192.0.2.254 dev v0 src 192.0.2.2",
        "192.0.2.0/24 dev v0",
    ] {
        assert!(routes.contains(route), "{route}: {routes}");
    }
}

#[test]
fn a_purge_by_label_that_takes_a_primary_leaves_the_other_labels() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0 label v0:1");
    ip("address add 192.0.2.2/24 dev v0 label v0:1");
    ip("address add 192.0.2.3/24 dev v0 label v0:2");
    let task = json!({"name": "v0:1", "address": "192.0.2.2/24", "purge": "label"});
    assert!(apply(task));
    assert_eq!(left(), ["192.0.2.2/24", "192.0.2.3/24"]);
}

#[test]
fn a_single_virtual_address_leaves_the_source_of_traffic_alone() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/32"})));
    assert!(ip("route get 192.0.2.99").contains("src 192.0.2.1 "));
    assert!(shown().contains(&"192.0.2.10/32 v0:1".to_owned()), "it is no secondary: {:?}", shown());
}

#[test]
fn many_addresses_of_one_network_go_without_being_promoted_one_after_the_other() {
    enter_network();
    write(PROMOTE, "1").unwrap();
    let aliases: Vec<Value> =
        (0..2500).map(|n| json!({"address": format!("10.1.{}.{}", n / 250, 1 + n % 250)})).collect();
    let task = |state: &str| json!({"name": "v0", "prefix": 8, "state": state, "aliases": aliases});
    alias(task("present")).apply().unwrap();
    let start = Instant::now();
    alias(task("absent")).apply().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "primaries first takes more than ten: {:?}",
        start.elapsed()
    );
    assert_eq!(left(), [""; 0]);
}

// --- what NLM_F_REPLACE resets or ignores ---

#[test]
fn a_change_of_one_attribute_keeps_those_that_the_task_does_not_name() {
    enter_network();
    ip(
        "address add 192.0.2.10/24 brd 192.0.2.99 dev v0 label v0:x metric 7 valid_lft 1000 preferred_lft 900",
    );
    assert!(apply(json!({"name": "v0", "address": "192.0.2.10/24", "scope": "link"})));
    let found = ip("address show dev v0");
    for kept in ["192.0.2.10/24 metric 7 brd 192.0.2.99 scope link", "v0:x"] {
        assert!(found.contains(kept), "{found}");
    }
    assert!(
        !found.contains("valid_lft forever preferred_lft forever\n    inet6"),
        "it still counts down: {found}"
    );
    ip("address add 2001:db8::10/64 dev v0 nodad home metric 7 valid_lft 1000 preferred_lft 900");
    assert!(apply(json!({"name": "v0", "address": "2001:db8::10/64", "noprefixroute": true})));
    let found = ip("-6 address show dev v0 to 2001:db8::10");
    assert!(
        found.contains("2001:db8::10/64 metric 7 scope global nodad home dynamic noprefixroute"),
        "{found}"
    );
    assert!(!found.contains("valid_lft forever"), "it still counts down: {found}");
}

#[test]
fn an_address_that_is_changed_stays_with_who_added_it() {
    enter_network();
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/32"})));
    ip("address add 192.0.2.11/32 dev v0");
    add_as_keepalived_does("v0", "192.0.2.12");
    for (number, address) in [(2, "192.0.2.11/32"), (3, "192.0.2.12/32")] {
        assert!(apply(json!({"name": format!("v0:{number}"), "address": address})), "another label");
    }
    assert!(apply(json!({"name": "v0:4", "address": "192.0.2.13/32", "purge": "owned"})));
    assert_eq!(left(), ["192.0.2.11/32", "192.0.2.12/32", "192.0.2.13/32"], "only ours goes");
    assert!(apply(json!({"name": "v0:4", "address": "192.0.2.13/32", "purge": "all"})));
    assert_eq!(left(), ["192.0.2.12/32", "192.0.2.13/32"], "keepalived's stays");
}

// --- labels ---

#[test]
fn labels_that_only_the_kernel_takes_are_read_replaced_and_removed() {
    enter_network();
    for (number, label) in
        ["foo", "w9:1", "v0:", "v0:1:2", "v0:/", "v0:%d", "fifteen-bytes-x"].iter().enumerate()
    {
        ip(&format!("address add 192.0.2.{}/24 dev v0 label {label}", number + 1));
    }
    for number in 1..=7 {
        let task = json!({"name": format!("v0:{number}"), "address": format!("192.0.2.{number}/24")});
        assert!(apply(task), "number {number}");
    }
    assert!(
        shown().iter().enumerate().all(|(n, line)| line.contains(&format!(" v0:{}", n + 1))),
        "{:?}",
        shown()
    );
    ip("address add 198.51.100.1/24 dev v0 label bar");
    assert!(absent("198.51.100.1"));
}

#[test]
fn a_label_that_several_addresses_hold_removes_none_of_them() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0 label v0:1");
    ip("address add 192.0.2.2/24 dev v0 label v0:1");
    let error = refuse(json!({"name": "v0:1", "state": "absent"}));
    assert!(error.contains("192.0.2.1/24 on v0 and 192.0.2.2/24 on v0"), "{error}");
}

#[test]
fn labels_that_a_new_name_of_the_interface_scrambled_are_mended() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0 label v0:1");
    ip("address add 192.0.2.2/24 dev v0 label v0:2");
    ip("link set v0 down");
    ip("link set v0 name wan0");
    ip("link set wan0 up");
    let aliases =
        json!([{"address": "192.0.2.1/24", "label": "1"}, {"address": "192.0.2.2/24", "label": "2"}]);
    let task = json!({"name": "wan0", "aliases": aliases});
    assert!(apply(task));
    let found = ip("-oneline address show dev wan0");
    assert!(found.contains(" wan0:1\\") && found.contains(" wan0:2\\"), "{found}");
}

// --- identity ---

#[test]
fn an_address_with_two_prefixes_and_on_two_interfaces_is_four() {
    enter_network();
    for device in ["v0", "v0-far"] {
        ip(&format!("address add 192.0.2.10/24 dev {device}"));
        ip(&format!("address add 192.0.2.10/32 dev {device}"));
    }
    assert!(absent("192.0.2.10/24"));
    assert_eq!(left(), ["192.0.2.10/32"]);
    assert_eq!(ip("-4 address show dev v0-far").matches("inet ").count(), 2);
}

#[test]
fn a_task_never_takes_the_first_address_for_one_that_is_not_there() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0 label v0:1");
    for task in [
        json!({"name": "v0", "address": "192.0.2.1/32", "state": "absent"}),
        json!({"name": "v0:2", "address": "192.0.2.1", "state": "absent"}),
        json!({"name": "v0:2", "state": "absent"}),
        json!({"name": "v0", "address": "192.0.2.2", "state": "absent"}),
        json!({"name": "v0", "address": "2001:db8::1", "state": "absent"}),
    ] {
        assert!(!apply(task.clone()), "{task}");
    }
}

// --- detection of duplicates ---

#[test]
fn an_ipv6_address_without_detection_and_one_on_lo_are_usable_at_once() {
    enter_network();
    let bind = |address: &str| std::net::UdpSocket::bind((address, 0)).unwrap();
    let start = Instant::now();
    alias(json!({"name": "v0", "address": "2001:db8::10/64", "nodad": true})).apply().unwrap();
    bind("2001:db8::10");
    alias(json!({"name": "lo", "address": "2001:db8::11"})).apply().unwrap();
    bind("2001:db8::11");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    alias(json!({"name": "v0", "address": "2001:db8::12/64"})).apply().unwrap();
    bind("2001:db8::12");
}

#[test]
fn an_address_whose_lifetime_ends_is_told_and_made_to_stay_when_asked() {
    enter_network();
    for address in ["192.0.2.10/24", "2001:db8::10/64"] {
        ip(&format!("address add {address} dev v0 valid_lft 1000 preferred_lft 500"));
        let task = json!({"name": "v0", "address": address});
        let report = alias(task.clone()).apply().unwrap();
        assert!(
            report.plan.is_empty() && report.warnings[0].contains("lifetime that ends"),
            "{:?}",
            report.warnings
        );
        let stays = json!({"name": "v0", "address": address, "preferred_lft": "forever"});
        assert!(apply(stays));
        assert!(alias(task).apply().unwrap().warnings.is_empty());
    }
    assert_eq!(ip("address show dev v0 permanent scope global").matches("valid_lft forever").count(), 2);
}

// --- many at once ---

#[test]
fn a_thousand_aliases_come_and_go_in_one_task() {
    enter_network();
    ip("address add 10.1.0.1/16 dev v0");
    let aliases: Vec<Value> =
        (0..1000).map(|n| json!({"address": format!("10.1.{}.{}", 1 + n / 250, 1 + n % 250)})).collect();
    let mut task = json!({"name": "v0", "prefix": 16, "aliases": aliases});
    assert!(apply(task.clone()));
    assert_eq!(shown().len(), 1001);
    task["state"] = json!("absent");
    assert!(apply(task));
    assert_eq!(shown(), ["10.1.0.1/16 v0"]);
}

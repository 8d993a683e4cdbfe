//! The routes that go with an address, and the events that other programs get of a change; each test in a network namespace of
//! its own.
//!
//! The facts are Linux's: net/ipv4/devinet.c, net/ipv4/fib_frontend.c, net/ipv6/addrconf.c.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;

use aliases::{alias, apply, monitored};
use host::{enter_network, ip};
use serde_json::json;

#[test]
fn a_new_alias_makes_the_events_that_ip_makes_and_no_other() {
    for address in ["192.0.2.10/24", "192.0.2.10/32"] {
        enter_network();
        ip("address add 192.0.2.1/24 dev v0");
        let theirs = monitored(|| drop(ip(&format!("address add {address} brd + dev v0 label v0:1"))));
        ip(&format!("address del {address} dev v0"));
        let task = json!({"name": "v0:1", "address": address});
        let ours = monitored(|| drop(alias(task).apply().unwrap()));
        let unmarked = |events: Vec<String>| {
            events.into_iter().map(|event| event.replace(" proto 0x4c", "")).collect::<Vec<_>>()
        };
        assert_eq!(unmarked(ours), unmarked(theirs));
    }
    // On lo, ifconfig makes the whole classful network local for a moment.
    enter_network();
    let events = monitored(|| drop(alias(json!({"name": "lo:0", "address": "10.1.1.10"})).apply().unwrap()));
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].contains("inet 10.1.1.10/32") && events[1].contains("local 10.1.1.10 dev lo"),
        "{events:?}"
    );
}

#[test]
fn a_run_that_changes_nothing_makes_no_event() {
    enter_network();
    let task = json!({"name": "v0:1", "address": "192.0.2.10/24"});
    alias(task.clone()).apply().unwrap();
    assert_eq!(monitored(|| drop(alias(task).apply().unwrap())), [""; 0]);
}

#[test]
fn a_relabelled_single_address_has_its_own_events_alone() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    ip("address add 203.0.113.10/32 dev v0 label v0:1");
    let task = json!({"name": "v0:2", "address": "203.0.113.10/32"});
    let events = monitored(|| drop(alias(task).apply().unwrap()));
    assert_eq!(events.len(), 4, "the stand-in and the address come and go: {events:?}");
    assert!(events.iter().all(|event| event.contains("inet 203.0.113.10/3")), "{events:?}");
}

#[test]
fn a_relabelled_address_loses_its_own_network_route_for_a_moment_and_no_other() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    ip("route add default via 192.0.2.254");
    ip("route add 198.51.100.0/24 via 192.0.2.254 src 192.0.2.1");
    let task = json!({"name": "v0:2", "address": "192.0.2.1/24"});
    let events = monitored(|| drop(alias(task).apply().unwrap()));
    let lost: Vec<&String> =
        events.iter().filter(|event| event.starts_with("Deleted") && !event.contains("inet ")).collect();
    assert!(!lost.is_empty());
    for event in lost {
        assert!(
            event.contains("192.0.2.0/24 dev v0") || event.contains("broadcast 192.0.2.255"),
            "{events:#?}"
        );
    }
    let routes = ip("route show");
    for route in [
        "default via 192.0.2.254",
        "198.51.100.0/24 via 192.0.2.254 dev v0 src 192.0.2.1",
        "192.0.2.0/24 dev v0",
    ] {
        assert!(routes.contains(route), "{route}: {routes}");
    }
}

#[test]
fn what_an_interface_that_went_down_forgot_is_added_again() {
    enter_network();
    let task =
        json!({"name": "v0", "aliases": [{"address": "192.0.2.10/24"}, {"address": "2001:db8::10/64"}]});
    assert!(apply(task.clone()));
    ip("link set v0 down");
    ip("link set v0 up");
    let report = alias(task.clone()).check().unwrap();
    let items: Vec<String> = report.plan.items().map(ToString::to_string).collect();
    assert_eq!(items, ["2001:db8::10 on v0"], "IPv4 stays, IPv6 does not");
    assert!(apply(task));
}

//! The order of addresses, what another interface has as well, and what a manager has lost of an address.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use aliases::{alias as kernel_alias, apply, look, shown};
use host::{apply_by_the_laws, enter_network, ip};
use managers::{Host, PROFILE, STANZAS, YAML, alias, hosts, with};
use serde_json::{Value, json};

/// Two addresses of one network, the higher one first.
fn higher_first() -> Value {
    json!([{"address": "198.51.100.20/24"}, {"address": "198.51.100.10/24"}])
}

#[test]
fn the_first_address_of_a_task_is_the_primary() {
    enter_network();
    assert!(apply(json!({"name": "v0", "aliases": higher_first()})));
    assert_eq!(shown(), ["198.51.100.20/24 v0", "198.51.100.10/24 v0 secondary"]);
    // What is there keeps its place, as the kernel moves nothing.
    let other = json!([{"address": "198.51.100.10/24"}, {"address": "198.51.100.5/24"}, {"address": "198.51.100.20/24"}]);
    assert!(apply(json!({"name": "v0", "aliases": other})));
    assert_eq!(shown()[0], "198.51.100.20/24 v0");
}

#[test]
fn a_failure_leaves_the_primary_what_it_was() {
    enter_network();
    ip("address add 2001:db8::10/64 dev v0-far nodad");
    ip("address add 198.51.100.20/24 dev v0");
    ip("address add 198.51.100.10/24 dev v0");
    let before = shown();
    // Both are replaced before detection finds that another host has the third.
    let other = json!([{"address": "198.51.100.20/24"}, {"address": "198.51.100.10/24"}, {"address": "2001:db8::10/64"}]);
    let error = kernel_alias(json!({"name": "v0", "metric": 7, "aliases": other})).apply().err();
    assert!(error.expect("another host has it").sentence().contains("another host has it already"));
    assert_eq!(shown(), before);
}

#[test]
fn a_file_has_addresses_in_the_order_in_which_they_are_given() {
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        // ifupdown takes an address of prefix 24 by a label alone.
        let label =
            if [PROFILE].contains(&file) { json!([null, null, null]) } else { json!(["c", "a", "b"]) };
        let aliases = |order: &[usize]| {
            let alias = |number: &usize| {
                let address = ["198.51.100.20/24", "198.51.100.10/24", "198.51.100.15/24"][*number];
                match &label[*number] {
                    Value::Null => json!({"address": address}),
                    label => json!({"address": address, "label": label}),
                }
            };
            json!({"name": "v0", "persist": "auto", "aliases": order.iter().map(alias).collect::<Vec<_>>()})
        };
        let places = || {
            let text = host.text(file);
            let place = |ip: &str| text.find(&format!("{ip}/24"));
            ["198.51.100.20", "198.51.100.10", "198.51.100.15"].map(place)
        };
        host.apply(aliases(&[0, 1]));
        let [first, second, none] = places();
        assert!(first < second && none.is_none(), "{}", host.text(file));
        host.apply(aliases(&[2, 1, 0]));
        let [first, second, third] = places();
        assert!(
            first < second && second < third,
            "{file}: what is there keeps its place: {}",
            host.text(file)
        );
        let one = with(aliases(&[1]), json!({"state": "absent"}));
        host.apply(one);
        let [first, _, third] = places();
        assert!(first < third, "{file}");
        host.apply(with(aliases(&[0, 2]), json!({"state": "absent"})));
    }
}

#[test]
fn an_address_that_another_interface_has_is_told() {
    enter_network();
    ip("address add 192.0.2.10/32 dev lo");
    let on_v0 = json!({"name": "v0", "address": "192.0.2.10/24"});
    let is_told = |warnings: &[String]| {
        warnings.iter().any(|one| one.contains("192.0.2.10/24 on v0 is on lo of this host as well"))
    };
    assert!(is_told(&kernel_alias(on_v0.clone()).check().unwrap().warnings), "in check mode too");
    assert!(is_told(&apply_by_the_laws(&kernel_alias(on_v0.clone()), look).warnings));
    assert!(!is_told(&kernel_alias(on_v0).check().unwrap().warnings), "once it is there it is known");
    ip("address flush dev v0");
    let moved = json!({"aliases": [{"name": "lo", "address": "192.0.2.10/32", "state": "absent"}, {"name": "v0", "address": "192.0.2.10/24"}]});
    assert!(
        !is_told(&apply_by_the_laws(&kernel_alias(moved), look).warnings),
        "one that moves is on one alone"
    );
    ip("address add fe80::1/64 dev lo nodad");
    let link_local = json!({"name": "v0", "address": "fe80::1/64"});
    assert_eq!(kernel_alias(link_local).check().unwrap().warnings, [""; 0]);
}

#[test]
fn what_is_to_go_by_its_label_goes_though_a_manager_has_lost_that() {
    for (manage, file) in [(Host::with_netplan as managers::Manage, YAML), (Host::with_ifupdown, STANZAS)] {
        for by_address in [true, false] {
            let host = Host::new();
            manage(&host);
            host.apply(with(alias(), json!({"name": "v0:1"})));
            // As after a boot of a manager that keeps no labels, and marks nothing as ours.
            ip("address del 192.0.2.10/32 dev v0");
            ip("address add 192.0.2.10/32 dev v0");
            let task = json!({"name": "v0:1", "state": "absent", "persist": "auto"});
            let task = if by_address { with(task, json!({"address": "192.0.2.10/32"})) } else { task };
            assert_eq!(host.apply(task).warnings, host_warnings(file), "{file}");
            assert!(!host.path(file).exists() && !look().contains("192.0.2.10"), "{file}");
            // What nobody stored under the label is not ours to take.
            ip("address add 192.0.2.10/32 dev v0");
            let task =
                json!({"name": "v0:1", "address": "192.0.2.10/32", "state": "absent", "persist": "auto"});
            assert!(host.apply(task).warnings[0].contains("so it stays"));
        }
    }
}

/// Returns what a manager says where an address goes.
fn host_warnings(file: &str) -> Vec<String> {
    let netplan = [
        "netplan was not asked whether it takes the files: its program generate is not there",
        "what Netplan configures may set 192.0.2.10/32 on v0 again when the interface loses its carrier, until `netplan apply`",
    ];
    let ifupdown = ["ifupdown was not asked whether it takes the files: ifquery is not there"];
    (if file == YAML { &netplan[..] } else { &ifupdown[..] }).iter().map(|text| (*text).into()).collect()
}

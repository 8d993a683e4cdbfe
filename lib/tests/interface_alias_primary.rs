//! The interface's own address stays the source of what the host sends, also after a boot, or the person is told before.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use host::ip;
use managers::{DROP_IN, Host, alias, hosts, with};
use serde_json::{Value, json};

fn in_the_leased_network(address: &str) -> Value {
    json!({"name": "v0", "address": address, "persist": "auto"})
}

/// Returns whether check mode and the run tell that the alias comes first.
fn is_told(host: &Host, task: Value) -> bool {
    let tells =
        |warnings: &[String]| warnings.iter().any(|one| one.contains("before the interface's own address"));
    let checked = tells(&host.task(task.clone()).check().unwrap().warnings);
    assert_eq!(tells(&host.task(task).apply().unwrap().warnings), checked);
    checked
}

#[test]
fn an_alias_that_a_boot_sets_before_the_leased_address_is_told() {
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        ip("address add 198.51.100.7/24 dev v0 valid_lft 3600 preferred_lft 3600");
        // ifupdown, which waits for the lease, needs a label for such an alias.
        let is_ifupdown = file.contains("interfaces.d");
        let label = if is_ifupdown { json!({"label": 1}) } else { json!({}) };
        assert_eq!(
            is_told(&host, with(in_the_leased_network("198.51.100.10/24"), label)),
            !is_ifupdown,
            "{file}"
        );
        assert!(!is_told(&host, in_the_leased_network("198.51.100.11/32")), "{file}");
        assert!(!is_told(&host, in_the_leased_network("198.51.100.12/32")), "{file}");
    }
    let host = Host::new();
    host.with_networkd();
    ip("address add 198.51.100.7/24 dev v0 valid_lft 3600 preferred_lft 3600");
    for other in ["192.0.2.10/24", "198.51.100.10/25", "203.0.113.1/24"] {
        assert!(!is_told(&host, in_the_leased_network(other)), "{other}");
    }
}

#[test]
fn an_alias_that_is_stored_before_the_interfaces_own_address_is_told() {
    for (name, is_behind) in [("zz.conf", true), ("a.conf", false)] {
        let host = Host::new();
        host.with_networkd();
        host.put("etc/systemd/network/10-lan.network", "[Match]\nName=v0\n");
        host.put(&DROP_IN.replace("lvs-host-v0.conf", name), "[Network]\nAddress=192.0.2.1/24\n");
        assert_eq!(is_told(&host, with(alias(), json!({"address": "192.0.2.10/24"}))), is_behind, "{name}");
    }
}

#[test]
fn a_broadcast_address_that_networkd_ignores_is_refused() {
    for prefix in [31, 32] {
        let host = Host::new();
        host.with_networkd();
        let task = json!({"name": "v0", "address": "192.0.2.10", "prefix": prefix, "broadcast": "192.0.2.255", "persist": "auto"});
        let error = host.refuse(task);
        assert!(error.contains("no broadcast address"), "{error}");
    }
}

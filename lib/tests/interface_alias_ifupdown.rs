//! How ifupdown brings an interface up: an alias comes with it, whichever way the person chose.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use host::ip;
use managers::{Host, STANZAS};
use serde_json::{Value, json};

const SOURCE: &str = "source /etc/network/interfaces.d/*\n";
const HOTPLUG: &str = "allow-hotplug v0\niface v0 inet static\n address 192.0.2.1/24\n";

fn labelled(address: &str) -> Value {
    json!({"name": "v0:1", "address": address, "persist": "ifupdown"})
}

#[test]
fn an_interface_that_the_person_does_not_start_by_auto_is_not_started_by_auto() {
    for start in ["allow-hotplug v0\n", "", "auto v1\n", "allow-hotplug /v*\n", "no-auto-down v0\n"] {
        let host = Host::new();
        let own = format!("{start}iface v0 inet static\n address 192.0.2.1/24\n");
        host.with_ifupdown().put("etc/network/interfaces", &(own + SOURCE));
        assert_eq!(
            host.changes(labelled("192.0.2.10/24")),
            2,
            "the kernel and the file, but not what is up: {start}"
        );
        let text = host.text(STANZAS);
        assert!(!text.contains("auto "), "{text}");
        let command = "iface v0 inet manual\n    up ip -4 address replace 192.0.2.10/24 dev v0 broadcast 192.0.2.255 label v0:1\n    down ip -4 address delete 192.0.2.10/24 dev v0 || true\n";
        assert!(text.contains(command), "{text}");
        assert_eq!(host.changes(json!({"name": "v0:1", "state": "absent", "persist": "ifupdown"})), 2);
        assert!(!host.path(STANZAS).exists());
    }
}

#[test]
fn an_interface_that_auto_starts_has_its_aliases_started_after_it() {
    for start in ["auto v0\n", "allow-auto v1 v0\n", "auto /v*\n", "auto v1 \\\n v0\n"] {
        let host = Host::new();
        let own = format!("{start}iface v0 inet static\n address 192.0.2.1/24\n");
        host.with_ifupdown().put("etc/network/interfaces", &(SOURCE.to_owned() + &own));
        assert_eq!(host.changes(labelled("192.0.2.10/24")), 3, "{start}");
        assert!(host.text(STANZAS).contains("auto v0 v0:1\niface v0:1 inet static\n"), "{start}");
    }
}

#[test]
fn an_alias_that_would_come_before_the_interfaces_own_address_is_refused() {
    type Lay = fn(&Host) -> &Host;
    let late: Lay =
        |host| host.put("etc/network/interfaces.d/v0", HOTPLUG).put("etc/network/interfaces", SOURCE);
    let early: Lay = |host| host.put("etc/network/interfaces", &(HOTPLUG.to_owned() + SOURCE));
    let before: Lay =
        |host| host.put("etc/network/interfaces.d/a", HOTPLUG).put("etc/network/interfaces", SOURCE);
    let behind: Lay = |host| host.put("etc/network/interfaces", &(SOURCE.to_owned() + HOTPLUG));
    for (lay, is_first) in [(behind, true), (late, true), (early, false), (before, false)] {
        let host = Host::new();
        lay(host.with_ifupdown());
        assert_eq!(host.changes(labelled("192.0.2.11/32")), 2);
        if is_first {
            let error = host.refuse(labelled("192.0.2.10/24"));
            assert!(error.contains("is not brought up by auto") && error.contains("prefix 32"), "{error}");
        } else {
            assert_eq!(
                host.changes(json!({"name": "v0:2", "address": "192.0.2.10/24", "persist": "ifupdown"})),
                2
            );
        }
    }
}

#[test]
fn two_interfaces_whose_names_look_alike_have_a_file_each() {
    let host = Host::new();
    for name in ["v0.5", "v0_5"] {
        ip(&format!("link add {name} type veth"));
    }
    let stanzas = "iface v0.5 inet manual\niface v0_5 inet manual\n";
    host.with_ifupdown().put("etc/network/interfaces", &(SOURCE.to_owned() + stanzas));
    let task = |name: &str, address: &str| json!({"name": name, "address": address, "persist": "ifupdown"});
    for (name, address) in [("v0.5", "198.51.100.5/32"), ("v0_5", "198.51.100.6/32")] {
        assert_eq!(host.changes(task(name, address)), 2, "{name}");
    }
    assert!(host.text("etc/network/interfaces.d/lvs-host-v0_5").contains("198.51.100.5/32"));
    assert!(host.text("etc/network/interfaces.d/lvs-host_5f-v0_5").contains("198.51.100.6/32"));
    // As an earlier version named it.
    host.put(
        "etc/network/interfaces.d/lvs-host-v0_5",
        "iface v0_5 inet static\n    address 198.51.100.6/32\n",
    );
    std::fs::remove_file(host.path("etc/network/interfaces.d/lvs-host_5f-v0_5")).unwrap();
    assert_eq!(host.changes(task("v0_5", "198.51.100.6/32")), 0);
}

//! NetworkManager's profiles, wherever they are and however they are written.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use host::ip;
use managers::{Host, YAML, alias, index, with};
use serde_json::{Value, json};

const DIRECTORY: &str = "etc/NetworkManager/system-connections";
const LAN: &str =
    "[connection]\nuuid=1-2\ninterface-name=v0\n\n[ipv4]\naddress1=192.0.2.1/24\nmethod=manual\n";

fn absent() -> Value {
    with(alias(), json!({"state": "absent"}))
}

/// As NetworkManager leaves an interface that it manages by the profile 1-2.
fn managed() -> Host {
    let host = Host::new();
    let state = "[device]\nmanaged=true\nconnection-uuid=1-2\n";
    host.put(&format!("run/NetworkManager/devices/{}", index("v0")), state);
    host
}

#[test]
fn a_profile_has_any_name_that_networkmanager_takes() {
    for name in ["lan", "a lan", "Wired connection 1", "lan.bak", "lan.swp", "lan.dpkg-old"] {
        let host = managed();
        let file = format!("{DIRECTORY}/{name}");
        host.put(&file, LAN);
        assert_eq!(host.changes(alias()), 2, "{name}");
        assert!(host.text(&file).contains("address2=192.0.2.10/32"));
        host.apply(absent());
        assert_eq!(host.text(&file), LAN, "{name}");
    }
    for name in ["lan~", ".lan", "lan.pem", "lan.der", "lan.nmconnection~", "lan.A1b2C3", "lan.rpmnew"] {
        let host = managed();
        host.put(&format!("{DIRECTORY}/{name}"), LAN);
        assert!(host.refuse(alias()).contains("its profile 1-2 is in no file below"), "{name}");
        host.put(&format!("{DIRECTORY}/the-one"), LAN);
        assert_eq!(host.changes(alias()), 2, "{name}");
        assert_eq!(host.text(&format!("{DIRECTORY}/{name}")), LAN, "a copy is left alone");
    }
}

#[test]
fn an_address_without_a_prefix_length_or_of_the_older_form_is_seen_and_removed() {
    for (line, prefix) in [
        ("address2=192.0.2.10", 24),
        ("addresses2=192.0.2.10;32;", 32),
        ("addresses2=192.0.2.10;32;0.0.0.0;", 32),
    ] {
        let host = managed();
        let file = format!("{DIRECTORY}/lan.nmconnection");
        host.put(&file, &LAN.replace("method", &format!("{line}\nmethod")));
        ip(&format!("address add 192.0.2.10/{prefix} dev v0"));
        let task = json!({"name": "v0", "address": "192.0.2.10", "prefix": prefix, "persist": "auto"});
        assert_eq!(host.changes(task.clone()), 0, "{line} is there already");
        assert_eq!(host.changes(with(task, json!({"state": "absent"}))), 2, "{line}");
        assert_eq!(host.text(&file), LAN);
    }
}

#[test]
fn a_profile_that_netplan_has_by_its_uuid_is_netplans() {
    let host = managed();
    let id = "NM-1-2";
    // As Netplan writes it where the person's file tells the uuid; it need not name the interface.
    host.put(
        &format!("run/NetworkManager/system-connections/netplan-{id}.nmconnection"),
        "[connection]\nid=lan\ntype=ethernet\nuuid=1-2\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.1/24\n",
    );
    host.put(
        "etc/netplan/90-NM-1-2.yaml",
        "network:\n  ethernets:\n    NM-1-2:\n      renderer: NetworkManager\n      networkmanager: {uuid: \"1-2\"}\n",
    );
    assert_eq!(host.changes(alias()), 2);
    assert!(host.text(YAML).contains(id));
    assert_eq!(host.changes(absent()), 2);
    assert!(!host.path(YAML).exists());
}

#[test]
fn a_profile_of_the_older_format_is_refused_with_what_to_do() {
    let host = managed();
    host.put("etc/sysconfig/network-scripts/ifcfg-v0", "DEVICE=v0\nUUID=\"1-2\"\nIPADDR=192.0.2.1\n");
    let error = host.refuse(alias());
    assert!(error.contains("ifcfg-v0") && error.contains("nmcli connection migrate 1-2"), "{error}");
}

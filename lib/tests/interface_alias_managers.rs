//! Which manager brings an interface up: what is in force counts, whatever files others left.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use managers::{DROP_IN, Host, PROFILE, STANZAS, YAML, alias, hosts, index, with};
use serde_json::{Value, json};

const STANZA: &str = "source /etc/network/interfaces.d/*\nauto v0\niface v0 inet dhcp\n";

fn absent() -> Value {
    with(alias(), json!({"state": "absent"}))
}

#[test]
fn a_stanza_that_was_left_behind_is_not_taken_for_the_manager() {
    let host = Host::new();
    // As on a host that was upgraded to Netplan, with ifupdown purged or only unused.
    host.with_netplan().put("etc/network/interfaces", STANZA);
    assert_eq!(host.changes(alias()), 2);
    assert!(host.text(YAML).contains("192.0.2.10/32"));
    host.apply(absent());
    host.put("usr/sbin/ifup", "").put("run/network/ifstate", "lo=lo\n");
    assert_eq!(host.changes(alias()), 2, "ifupdown has not brought it up");
    assert!(host.path(YAML).exists() && !host.path(STANZAS).exists());
}

#[test]
fn a_manager_whose_files_we_do_not_write_is_named_with_what_to_do() {
    for (program, file, told) in [
        ("usr/sbin/wicked", "etc/sysconfig/network/ifcfg-v0", "wicked has it in"),
        (
            "etc/sysconfig/network-scripts/ifup",
            "etc/sysconfig/network-scripts/ifcfg-v0",
            "the service network has it in",
        ),
    ] {
        let host = Host::new();
        host.put(program, "");
        assert!(host.refuse(alias()).contains("neither ifupdown"), "of another interface it tells nothing");
        host.put(file, "BOOTPROTO=static\n");
        for persist in ["auto", "ifupdown"] {
            let error = host.refuse(with(alias(), json!({"persist": persist})));
            assert!(error.contains(told) && error.contains(file), "{error}");
        }
    }
}

#[test]
fn a_vlan_whose_definition_is_gone_is_no_card() {
    let host = Host::new();
    host.with_netplan().put("sys/class/net/v0/uevent", "DEVTYPE=vlan\n");
    host.apply(alias());
    assert!(host.text(YAML).contains("\"ethernets\""), "one that was made otherwise is a card to Netplan");
    host.apply(absent());
    // As after `netplan generate` without the definition, which a comment still names.
    fs::remove_file(host.path(managers::NETPLANS)).unwrap();
    host.apply(alias());
    assert!(host.text(YAML).contains("\"vlans\""), "{}", host.text(YAML));
}

#[test]
fn a_stanza_counts_where_no_other_manager_has_the_interface() {
    let host = Host::new();
    host.put("etc/network/interfaces", STANZA);
    assert!(host.refuse(alias()).contains("neither ifupdown"), "nothing reads it");
    host.put("usr/sbin/ifup", "");
    assert_eq!(host.changes(alias()), 2);
    assert!(host.text(STANZAS).contains("192.0.2.10/32"));
}

#[test]
fn what_is_to_go_goes_from_both_managers_that_have_the_interface() {
    let host = Host::new();
    host.with_ifupdown();
    host.apply(alias());
    host.with_networkd();
    assert!(host.refuse(alias()).contains("ifupdown and networkd have it"));
    host.apply(with(alias(), json!({"persist": "networkd"})));
    assert!(host.path(STANZAS).exists() && host.path(DROP_IN).exists());
    assert_eq!(host.changes(absent()), 3);
    assert!(!host.path(STANZAS).exists() && !host.path(DROP_IN).exists());
}

#[test]
fn a_manager_that_has_set_the_address_and_not_yet_said_so_is_waited_for() {
    let host = Host::new();
    host.with_network_manager();
    let state = host.path(&format!("run/NetworkManager/devices/{}", index("v0")));
    let late = fs::read_to_string(&state).unwrap();
    fs::write(&state, "[device]\n").unwrap();
    let written = state.clone();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(400));
        fs::write(written, late).unwrap();
    });
    host.task(alias()).check().unwrap();
    writer.join().unwrap();
    fs::write(&state, "[device]\nmanaged=false\n").unwrap();
    let begin = Instant::now();
    assert!(host.refuse(alias()).contains("neither ifupdown"));
    assert!(begin.elapsed() < Duration::from_secs(1), "what it does not manage is not waited for");
    assert!(host.path(PROFILE).exists());
}

#[test]
fn a_reader_that_is_not_there_is_told_where_something_changes() {
    let is_told = |warnings: &[String]| warnings.iter().any(|one| one.contains("was not asked"));
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        // networkd has none.
        assert_eq!(is_told(&host.apply(alias()).warnings), file != DROP_IN, "{file}");
        assert!(!is_told(&host.task(alias()).apply().unwrap().warnings), "{file}: nothing changes");
        host.apply(absent());
    }
}

//! What must never cost a host its network at the next boot, and what is left where it did; lab/boots boots such hosts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use std::fs;
use std::os::unix::fs::symlink;

use host::ip;
use managers::{DROP_IN, Host, NETPLANS, STANZAS, YAML, alias, hosts, index, with};
use serde_json::{Value, json};

const LAN: &str = "network: {ethernets: {lan: {addresses: [192.0.2.1/24]}}}\n";

fn absent() -> Value {
    with(alias(), json!({"state": "absent"}))
}

/// As the module stored it before it knew of the order of Netplan's files.
fn stored(id: &str) -> String {
    let yaml = json!({"network": {"version": 2, "ethernets": {id: {"addresses": ["192.0.2.10/32"]}}}});
    format!("# Made by lvs.host.interface_alias, which replaces all of this file.\n{yaml:#}\n")
}

#[test]
fn a_definition_of_ours_never_comes_before_the_persons() {
    for (file, text) in [
        ("etc/netplan/99-netcfg-vmware.yaml", LAN),
        ("etc/netplan/config.yaml", LAN),
        ("lib/netplan/my.yaml", LAN),
        ("run/netplan/my.yaml", LAN),
        ("etc/netplan/my.yaml", "network:\n  ethernets:\n    \"\\x6can\": {}\n"),
        ("run/netplan/90-lvs-host-v0.yaml", "network: {}\n"),
    ] {
        let host = Host::new();
        host.with_netplan().put(file, text);
        let error = host.refuse(alias());
        let named = format!("with netplan: {}", host.path(file).display());
        assert!(error.contains(&named) && error.contains("rename it"), "{file}: {error}");
        assert_eq!(host.changes(with(alias(), json!({"persist": "none"}))), 1, "{file}");
    }
    let host = Host::new();
    host.with_netplan();
    fs::rename(host.path("etc/netplan/50-lan.yaml"), host.path("etc/netplan/50-lan.yaml.off")).unwrap();
    assert!(host.refuse(alias()).contains("has lan any more"), "a device of which only ours tells");
}

#[test]
fn a_file_of_netplan_that_cannot_be_in_the_way_is_not() {
    for (file, text) in [
        ("etc/netplan/10-more.yaml", LAN),
        ("etc/netplan/99-wan.yaml", "network: {ethernets: {lan2: {}, wlan: {}}}\n"),
        ("etc/netplan/.99-draft.yaml", LAN),
        ("etc/netplan/99-lan.yaml.bak", LAN),
        ("etc/netplan/90-lvs-host-v1.yaml", "{\"network\": {\"ethernets\": {\"wan\": {}}}}\n"),
    ] {
        let host = Host::new();
        host.with_netplan().put(file, text);
        assert_eq!(host.changes(alias()), 2, "{file}");
    }
    let host = Host::new();
    host.with_netplan().put("etc/netplan/99-lan.yaml", LAN).put("run/netplan/99-lan.yaml", "network: {}\n");
    assert_eq!(host.changes(alias()), 2, "that of /etc is not read");
}

#[test]
fn what_is_stored_too_early_is_told_by_every_run_and_can_be_removed() {
    let host = Host::new();
    host.with_netplan();
    host.apply(alias());
    fs::rename(host.path("etc/netplan/50-lan.yaml"), host.path("etc/netplan/99-lan.yaml")).unwrap();
    let told = |warnings: &[String]| {
        warnings
            .iter()
            .any(|one| one.contains("next boot at risk") && one.contains("99-lan.yaml comes after"))
    };
    let again = host.task(alias());
    assert!(told(&again.check().unwrap().warnings), "in check mode");
    let report = again.apply().unwrap();
    assert!(report.plan.is_empty() && told(&report.warnings), "{:?}", report.warnings);
    ip("address del 192.0.2.10/32 dev v0");
    assert!(told(&host.apply(alias()).warnings), "with a change of the kernel");
    let other = json!({"name": "v0", "address": "192.0.2.11/32", "persist": "auto"});
    assert!(told(&host.apply(with(other.clone(), json!({"state": "absent"}))).warnings));
    assert!(host.refuse(other).contains("99-lan.yaml comes after"), "it gets no further address");
    let gone = host.apply(absent());
    assert_eq!((gone.plan.iter().count(), told(&gone.warnings)), (2, false));
    assert!(!host.path(YAML).exists());
}

#[test]
fn a_file_of_ours_is_removed_from_a_host_that_has_lost_its_network_by_it() {
    let host = Host::new();
    host.with_netplan().put(YAML, &stored("lan"));
    // As a boot leaves it on which Netplan has failed.
    fs::remove_file(host.path(NETPLANS)).unwrap();
    host.put(&format!("run/systemd/netif/links/{}", index("v0")), "ADMIN_STATE=unmanaged\n");
    assert!(host.refuse(alias()).contains("neither ifupdown, ifupdown2, ifupdown-ng, networkd, netplan"));
    assert!(host.refuse(with(alias(), json!({"persist": "netplan"}))).contains("does not manage it"));
    assert_eq!(host.changes(absent()), 1);
    assert!(!host.path(YAML).exists());
    host.put(YAML, &stored("lan")).put(STANZAS, "iface v0 inet static\n    address 192.0.2.10/32\n");
    assert_eq!(host.changes(with(absent(), json!({"persist": "netplan"}))), 1);
    host.put(YAML, &stored("lan"));
    assert_eq!(host.changes(absent()), 2, "of each manager that has one");
    assert!(!host.path(YAML).exists() && !host.path(STANZAS).exists());
    // As one that has another manager since.
    host.with_networkd().put(YAML, &stored("lan"));
    assert_eq!(host.changes(absent()), 1);
    assert!(!host.path(YAML).exists());
    host.put(YAML, &stored("lan")).put(STANZAS, "iface v0 inet static\n    address 192.0.2.10/32\n");
    ip("link del v0");
    assert_eq!(host.changes(absent()), 2, "nor has it to be there");
}

#[test]
fn a_device_that_netplan_calls_otherwise_by_now_is_told_and_its_file_removed() {
    let host = Host::new();
    host.with_netplan().put(YAML, &stored("old"));
    ip("address add 192.0.2.10/32 dev v0");
    let warnings = host.apply(alias()).warnings;
    assert!(warnings[0].contains("has it as old, and Netplan has it as lan by now"), "{warnings:?}");
    assert_eq!(host.changes(absent()), 2);
    assert!(!host.path(YAML).exists());
    // One of a kind that we never stored cannot be in the way of that either.
    host.put(&NETPLANS.replace(".network", ".netdev"), "[NetDev]\nKind=sit\n").put(YAML, &stored("lan"));
    assert_eq!(host.changes(absent()), 1);
    assert!(!host.path(YAML).exists());
}

#[test]
fn a_host_of_ifupdown2_or_ifupdown_ng_is_known_by_its_program_and_kept_in_its_own_form() {
    type Lay = fn(&Host) -> &Host;
    let ng_beside: Lay = |host| {
        host.put("usr/sbin/ifup", "").put("run/ifstate", "v0=v0 1\n").put("run/network/ifstate", "lo=lo\n")
    };
    let left: Lay = |host| host.put("usr/sbin/ifup", "").put("etc/network/ifupdown2/addons.conf", "");
    let left_by_ng: Lay = |host| host.put("usr/sbin/ifup", "").put("run/ifstate", "v0=v0 1\n");
    for (lay, named) in [
        (ifupdown2, Some("ifupdown2")),
        (|host| host.put("run/network/ifstatenew", ""), Some("ifupdown2")),
        (ng, Some("ifupdown-ng")),
        (|host| host.put("usr/sbin/ifupdown-ng", ""), Some("ifupdown-ng")),
        (|host| ng(host.put("etc/network/ifupdown2/addons.conf", "")), Some("ifupdown-ng")),
        (|host| ifupdown2(host.put("run/ifstate", "v0=v0 1\n")), Some("ifupdown2")),
        (ng_beside, Some("ifupdown-ng")),
        (left, None),
        (left_by_ng, None),
    ] as [(Lay, Option<&str>); 9]
    {
        let host = Host::new();
        lay(host.with_ifupdown());
        let Some(named) = named else {
            assert_eq!(host.changes(alias()), 2);
            continue;
        };
        let error = host.refuse(with(alias(), json!({"persist": "ifupdown"})));
        assert!(
            error.contains("cannot keep addresses of v0 with ifupdown: that does not manage it"),
            "{error}"
        );
        let (other, source) = match named {
            "ifupdown2" => ("source-directory", "source /etc/network/interfaces.d/*"),
            _ => ("source", "source-directory /etc/network/interfaces.d"),
        };
        let main = |line: &str| format!("{line}\nauto v0\niface v0 inet static\n address 192.0.2.1/24\n");
        let place =
            if other == "source" { "/etc/network/interfaces.d/*" } else { "/etc/network/interfaces.d" };
        host.put("etc/network/interfaces", &main(&format!("{other} {place}")));
        let error = host.refuse(alias());
        assert!(error.contains(named) && error.contains(&format!("add the line: {source}")), "{error}");
        host.put("etc/network/interfaces", &main(source));
        let labelled = with(alias(), json!({"name": "v0:1", "address": "192.0.2.10/24"}));
        assert_eq!(host.changes(labelled.clone()), 2, "{named}");
        let text = host.text(STANZAS);
        assert!(text.contains("iface v0 inet manual\n    up ip -4 address replace 192.0.2.10/24 "), "{text}");
        assert!(text.contains(" label v0:1") && !text.contains("auto"), "{text}");
        assert_eq!(host.changes(with(labelled, json!({"state": "absent"}))), 2, "{named}");
        // As it was stored when the host was taken for one of ifupdown.
        host.put(STANZAS, "iface v0 inet static\n    address 192.0.2.10/32\n");
        ip("address add 192.0.2.10/32 dev v0");
        let warnings = host.apply(alias()).warnings;
        assert!(warnings[0].contains("next boot at risk") && warnings[0].contains(named), "{warnings:?}");
        assert_eq!(host.changes(absent()), 2, "{named}");
        assert!(!host.path(STANZAS).exists());
    }
}

fn ifupdown2(host: &Host) -> &Host {
    host.put("usr/share/ifupdown2/__main__.py", "").put("etc/network/ifupdown2/ifupdown2.conf", "");
    symlink("__main__.py", host.path("usr/share/ifupdown2/ifupdown2")).unwrap();
    link_ifup(host, "/usr/share/ifupdown2/ifupdown2")
}

fn ng(host: &Host) -> &Host {
    link_ifup(host.put("usr/sbin/ifupdown", ""), "ifupdown")
}

fn link_ifup<'a>(host: &'a Host, to: &str) -> &'a Host {
    fs::create_dir_all(host.path("usr/sbin")).unwrap();
    symlink("usr/sbin", host.path("sbin")).unwrap();
    symlink(to, host.path("usr/sbin/ifup")).unwrap();
    host
}

#[test]
fn no_hidden_file_is_read_and_no_draft_that_a_kill_left_is_in_the_way() {
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        let path = host.path(file);
        let hidden = path.with_file_name(format!(".{}", path.file_name().unwrap().to_string_lossy()));
        let draft =
            path.with_file_name(format!(".{}.lvs-host-draft", path.file_name().unwrap().to_string_lossy()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Whichever manager, its reader would find the address in it.
        let text = "[connection]\nuuid=1-2\n[Network]\nAddress=192.0.2.10/32\n iface v0 inet static\n address 192.0.2.10/32\n";
        fs::write(&hidden, text).unwrap();
        fs::write(&draft, text).unwrap();
        assert_eq!(host.changes(alias()), 2, "{file}");
        assert_eq!(host.changes(absent()), 2, "{file}");
        assert_eq!(fs::read_to_string(hidden).unwrap(), text);
    }
    let host = Host::new();
    host.with_ifupdown().put("etc/network/interfaces", "source /etc/network/interfaces.d/*\n");
    host.put("etc/network/interfaces.d/.v0.swp", "iface v0 inet static\n");
    assert!(host.refuse(alias()).contains("neither ifupdown"), "a stanza in a hidden file is none");
}

#[test]
fn looking_that_fails_is_never_taken_for_not_there() {
    let lost = "Too many levels of symbolic links";
    for (manage, file) in [
        (Host::with_netplan as fn(&Host) -> &Host, "etc/netplan/60-more.yaml"),
        (Host::with_netplan, "run/netplan"),
        (Host::with_netplan, "run/systemd/system/netplan-ovs-lan.service"),
        (Host::with_ifupdown, "sbin/ifup"),
        (Host::with_ifupdown, "run/ifstate"),
        (Host::with_ifupdown, "etc/network/interfaces.d/mine"),
        (Host::with_networkd, "run/systemd/network"),
        (Host::with_network_manager, "etc/NetworkManager/system-connections/a.nmconnection"),
        (Host::with_network_manager, "run/systemd/netif/links"),
    ] {
        let host = Host::new();
        manage(&host);
        fs::create_dir_all(host.path(file).parent().unwrap()).unwrap();
        symlink(host.path(file).file_name().unwrap(), host.path(file)).unwrap();
        for task in [alias(), absent()] {
            let error = host.refuse(task);
            assert!(error.contains(lost) && error.contains(file), "{file}: {error}");
        }
    }
}

/// Has v1 managed as v0 is, with a file of ours that cannot be written, and that after the one of v0.
fn with_unwritable(host: &Host, file: &str) {
    ip("link add v1 type veth peer name far");
    let links = |name: &str| {
        let state = format!("ADMIN_STATE=configured\nNETWORK_FILE=/{name}\n");
        host.put(name, "[Match]\nName=v1\n").put(&format!("run/systemd/netif/links/{}", index("v1")), &state);
    };
    let other = match file {
        STANZAS => {
            host.put("etc/network/interfaces.d/wan", "iface v1 inet manual\n");
            "etc/network/interfaces.d/lvs-host-v1"
        }
        DROP_IN => {
            links("etc/systemd/network/11-wan.network");
            "etc/systemd/network/11-wan.network.d/lvs-host-v1.conf"
        }
        _ => {
            links("run/systemd/network/10-netplan-wan.network");
            host.put("etc/netplan/60-wan.yaml", "network: {ethernets: {wan: {}}}\n");
            "etc/netplan/90-lvs-host-v1.yaml"
        }
    };
    fs::create_dir_all(host.path(other).parent().unwrap()).unwrap();
    symlink("/proc/nowhere/file", host.path(other)).unwrap();
}

#[test]
fn no_way_back_removes_what_it_did_not_make() {
    let both = json!({"name": "v0", "persist": "auto", "aliases": [
        {"address": "192.0.2.10/32"}, {"name": "v1", "address": "203.0.113.9/32"}
    ]});
    for (manage, file) in [hosts()[0], hosts()[1], hosts()[2]] {
        for lay in ["an empty directory", "an empty file", "a link to an empty file", "a link to none"] {
            let host = Host::new();
            manage(&host);
            with_unwritable(&host, file);
            fs::create_dir_all(host.path(file).parent().unwrap()).unwrap();
            match lay {
                "an empty file" => drop(host.put(file, "")),
                "a link to an empty file" => {
                    symlink(host.path("elsewhere"), host.put("elsewhere", "").path(file)).unwrap();
                }
                "a link to none" => symlink(host.path("elsewhere"), host.path(file)).unwrap(),
                _ => {}
            }
            let before = bare(&host);
            let error = host.task(both.clone()).apply().err().unwrap().sentence();
            assert!(error.contains("/proc/nowhere") && error.contains("nothing is changed"), "{error}");
            assert_eq!(bare(&host), before, "{file}, {lay}");
            host.apply(alias());
            assert!(fs::read_to_string(host.path(file)).unwrap().contains("192.0.2.10/32"), "{file}");
            host.apply(absent());
            let link = fs::read_link(host.path(file)).ok();
            assert_eq!(link, lay.starts_with("a link").then(|| host.path("elsewhere")), "{file}, {lay}");
        }
    }
}

/// Returns the addresses and the files without the times and numbers that each has.
fn bare(host: &Host) -> String {
    let root = host.path("").display().to_string();
    let strip = |line: &str| match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
        [path, _, _, content] if path.starts_with(&root) => format!("{path} {content}\n"),
        _ => format!("{line}\n"),
    };
    host.look().lines().map(strip).collect()
}

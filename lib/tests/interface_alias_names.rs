//! Names, labels and files that would mislead what reads a boot's files, or us.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use managers::{DROP_IN, Host, Manage, NETPLANS, PROFILE, STANZAS, YAML, alias, hosts, with};
use serde_json::{Value, json};

/// What may follow the colon of a label in the kernel, and is more than a name to a shell, a reader of lines or a program.
const HOSTILE: [&str; 20] = [
    "$(>c)", "`>c`", ";>c", "|>c", "&>c", ">c", "<c", "a\\", "'", "\"", "*", "?", "[a-z]", "{a,b}", "~",
    "%i", "#c", "!c", "$IFS", "a=b",
];

/// Those managers whose files have labels.
fn labelling() -> [(Manage, &'static str); 3] {
    let [ifupdown, networkd, netplan, _] = hosts();
    [ifupdown, networkd, netplan]
}

#[test]
fn a_label_that_is_more_than_a_name_is_never_stored_and_the_kernel_alone_takes_it() {
    for (manage, file) in labelling() {
        let host = Host::new();
        manage(&host);
        for label in HOSTILE {
            let task = json!({"name": "v0", "address": "192.0.2.10/24", "label": label});
            let stored = with(task.clone(), json!({"persist": "auto"}));
            let why = host.refuse(stored.clone());
            assert!(why.contains("for more than a name; use another label"), "{label}: {why}");
            assert_eq!(host.task(stored).check().err().unwrap().sentence(), why, "{label}");
            assert!(!host.path(file).exists());
        }
    }
    let host = Host::new();
    for label in HOSTILE {
        let task = json!({"name": "v0", "address": "192.0.2.10/24", "label": label});
        assert_eq!(host.changes(task.clone()), 1, "{label}");
        assert_eq!(host.changes(with(task, json!({"state": "absent"}))), 1, "{label}");
    }
}

/// Calls v0 otherwise, as anyone who may make interfaces can.
fn rename(name: &str) {
    for words in [["set", "v0", "down"].as_slice(), &["set", "v0", "name", name], &["set", name, "up"]] {
        let status = Command::new("ip").arg("link").args(words).status().unwrap();
        assert!(status.success(), "ip link {words:?}");
    }
}

#[test]
fn an_interface_of_such_a_name_keeps_its_addresses_only_where_no_file_has_the_name() {
    for name in HOSTILE.into_iter().filter(|name| !name.contains('%')).chain(["-x", ".x"]) {
        for (manage, _) in hosts() {
            let host = Host::new();
            manage(&host);
            rename(name);
            let text = format!("source interfaces.d/*\niface {name} inet manual\n");
            if host.path("etc/network").exists() {
                host.put("etc/network/interfaces", &text);
            }
            let task = with(alias(), json!({"name": name}));
            if host.path(PROFILE).exists() {
                assert_eq!(host.changes(task), 2, "{name}");
                continue;
            }
            let why = host.refuse(task.clone());
            assert!(why.contains("for more than a name; rename the interface"), "{name}: {why}");
            assert_eq!(host.changes(with(task.clone(), json!({"state": "absent"}))), 0, "{name}");
            assert_eq!(host.changes(with(task, json!({"persist": "none"}))), 1, "{name}");
        }
    }
}

#[test]
fn names_that_hosts_have_are_kept() {
    for name in ["eth0.100", "br-lan", "wlp2s0", "enp0s31f6np0", "veth1@if5", "a_b+c", "größe"] {
        for (manage, _) in hosts() {
            let host = Host::new();
            manage(&host);
            rename(name);
            if host.path("etc/network").exists() {
                host.put(
                    "etc/network/interfaces",
                    &format!("source interfaces.d/*\niface {name} inet manual\n"),
                );
            }
            let task = with(alias(), json!({"name": name}));
            assert_eq!(host.changes(task.clone()), 2, "{name}");
            assert_eq!(host.changes(with(task, json!({"state": "absent"}))), 2, "{name}");
        }
    }
}

#[test]
fn a_name_is_no_pattern_of_files() {
    for name in ["*", "v*", "?0", "[v]0", "{v0,v1}", "**", "v0*"] {
        for (manage, file) in hosts() {
            let host = Host::new();
            manage(&host);
            host.apply(alias());
            let before = host.look();
            for manager in ["auto", "ifupdown", "networkd", "netplan", "networkmanager"] {
                let task =
                    json!({"name": name, "address": "192.0.2.10", "state": "absent", "persist": manager});
                // One whose files say that it is not theirs refuses.
                let _ = host.task(task).apply();
                assert_eq!(host.look(), before, "{name} with {manager} and {file}");
            }
        }
    }
}

#[test]
fn what_an_earlier_version_stored_is_refused_until_it_is_removed() {
    let stanzas = "auto v0 v0:$(>c)\niface v0:$(>c) inet static\n    address 192.0.2.10/24\n";
    let sections = "[Address]\nAddress=192.0.2.10/24\nLabel=v0:$(>c)\n";
    let yaml = r#"{"network": {"version": 2, "ethernets": {"lan": {"addresses": [{"192.0.2.10/24": {"label": "v0:$(>c)"}}]}}}}"#;
    for ((manage, file), text) in labelling().into_iter().zip([stanzas, sections, yaml]) {
        for absent in [json!({"label": "$(>c)"}), json!({"address": "192.0.2.10"})] {
            let host = Host::new();
            manage(&host);
            host.put(file, text);
            let why = host.refuse(json!({"name": "v0:1", "address": "192.0.2.11/24", "persist": "auto"}));
            assert!(why.contains("\"v0:$(>c)\" for more than a name"), "{why}");
            let absent = with(absent, json!({"name": "v0", "state": "absent", "persist": "auto"}));
            assert!(host.changes(absent) > 0);
            assert!(!host.path(file).exists(), "{file}");
        }
    }
}

#[test]
fn a_file_of_ours_in_another_shape_is_one_sentence_and_stays() {
    let deep = "[".repeat(100_000);
    let twice = r#"{"network": {"version": 2, "ethernets": {"lan": {"addresses": ["192.0.2.9/32", "192.0.2.9/32"]}}}}"#;
    let shapes: [(Manage, &str, &[&str]); 3] = [
        (
            Host::with_netplan,
            YAML,
            &[
                "[]",
                "null",
                "7",
                "{\"network\": []}",
                "{\"network\": {\"ethernets\": 1}}",
                &deep,
                "\u{1}",
                twice,
            ],
        ),
        (
            Host::with_ifupdown,
            STANZAS,
            &[
                "iface v1:1 inet static\n    address 192.0.2.9/24\n",
                "iface v1 inet6 manual\n    up ip -6 address replace 2001:db8::9/64 dev v0\n    down ip -6 address delete 2001:db8::9/64 dev v0 || true\n",
                "auto v1\niface v0:1 inet static\n    address 192.0.2.9/24\n",
                "iface v0 inet static\n    address 192.0.2.9/32\niface v0 inet static\n    address 192.0.2.9/32\n",
                "\u{1}",
            ],
        ),
        (
            Host::with_networkd,
            DROP_IN,
            &["[]", "[Address]\nAddress=192.0.2.9/32\n[Address]\nAddress=192.0.2.9/32\n", "[Address]\n\u{1}"],
        ),
    ];
    for (manage, file, texts) in shapes {
        for text in texts {
            let host = Host::new();
            manage(&host);
            host.put(file, text);
            for task in [alias(), with(alias(), json!({"state": "absent"}))] {
                let why = host.refuse(task);
                assert!(why.contains(file) && !why.contains('\u{1}'), "{why:?}");
                assert!(why.len() < 400 && !why.contains('\n'), "{why:?}");
            }
        }
    }
}

#[test]
fn what_ifupdown_takes_for_up_loses_no_line() {
    let host = Host::new();
    host.with_ifupdown().put("run/network/ifstate", "lo=lo\nv0=v0");
    let task = json!({"name": "v0:1", "address": "192.0.2.10/24", "persist": "ifupdown"});
    host.apply(task.clone());
    assert_eq!(host.text("run/network/ifstate"), "lo=lo\nv0=v0\nv0:1=v0:1\n");
    host.apply(with(task, json!({"state": "absent"})));
    assert_eq!(host.text("run/network/ifstate"), "lo=lo\nv0=v0\n");
}

#[test]
fn a_draft_that_a_kill_left_and_files_that_no_manager_reads_block_nothing() {
    let text = "iface v0:1 inet static\n address 192.0.2.10/32\n";
    let unread: [(Manage, &[(&str, &str)]); 4] = [
        (
            Host::with_ifupdown,
            &[
                ("etc/network/interfaces.d/.lvs-host-v0.lvs-host-draft", text),
                (
                    "etc/network/interfaces.d/.hidden",
                    "source /nowhere/*\niface v0:1 inet static\n address 192.0.2.10/32\n",
                ),
                ("etc/network/more/mine.old", text),
                ("etc/network/more/mine~", text),
                ("run/network/.ifstate.lvs-host-draft", "v0:1=v0:1\n"),
            ],
        ),
        (
            Host::with_networkd,
            &[
                (
                    "etc/systemd/network/10-lan.network.d/.lvs-host-v0.conf.lvs-host-draft",
                    "[Address]\nAddress=192.0.2.10/32\n",
                ),
                ("etc/systemd/network/10-lan.network.d/.a.conf", "[Address]\nAddress=192.0.2.10/32\n"),
                ("etc/systemd/network/10-lan.network.d/a.conf~", "[Address]\nAddress=192.0.2.10/32\n"),
                ("run/systemd/network/10-lan.network.d/masked.conf", "[Address]\nAddress=192.0.2.10/32\n"),
            ],
        ),
        (
            Host::with_netplan,
            &[
                ("etc/netplan/.90-lvs-host-v0.yaml.lvs-host-draft", "[192.0.2.10/32]"),
                ("etc/netplan/.a.yaml", "[192.0.2.10/32]"),
                ("etc/netplan/a.yml", "[192.0.2.10/32]"),
                ("etc/netplan/60-shadowed.yaml", "[192.0.2.10/32]"),
                ("run/netplan/60-shadowed.yaml", "network: {}"),
            ],
        ),
        (
            Host::with_network_manager,
            &[
                (
                    "etc/NetworkManager/system-connections/.lan.nmconnection.lvs-host-draft",
                    "[connection]\nuuid=1-2\n",
                ),
                ("etc/NetworkManager/system-connections/.a.nmconnection", "[connection]\nuuid=1-2\n"),
                ("etc/NetworkManager/system-connections/a.nmconnection~", "[connection]\nuuid=1-2\n"),
            ],
        ),
    ];
    for (manage, files) in unread {
        let host = Host::new();
        manage(&host);
        for (path, text) in files {
            host.put(path, text);
        }
        if host.path("etc/network").exists() {
            let more = host.text("etc/network/interfaces") + "source-directory more\n";
            host.put("etc/network/interfaces", &more);
        }
        if host.path("etc/systemd/network").exists() {
            symlink("/dev/null", host.path("etc/systemd/network/10-lan.network.d/masked.conf")).unwrap();
        }
        assert_eq!(host.changes(alias()), 2, "{files:?}");
        assert_eq!(host.changes(with(alias(), json!({"state": "absent"}))), 2, "{files:?}");
    }
}

#[test]
fn looking_that_fails_is_never_not_there() {
    let places: [(Manage, &str); 6] = [
        (Host::with_ifupdown, "etc/network/interfaces.d"),
        (Host::with_ifupdown, "run/network/ifstate"),
        (Host::with_networkd, "etc/systemd/network/10-lan.network.d"),
        (Host::with_networkd, "etc/keepalived/keepalived.conf"),
        (Host::with_netplan, NETPLANS),
        (Host::with_network_manager, "etc/NetworkManager/system-connections"),
    ];
    for (manage, place) in places {
        let host = Host::new();
        manage(&host);
        // A link to itself is the failure that root meets too.
        let path = host.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        symlink(&path, &path).unwrap();
        let why = host.task(alias()).apply().err().unwrap().sentence();
        assert!(why.contains("symbolic links"), "{place}: {why}");
        fs::remove_file(&path).unwrap();
    }
}

/// Returns a task with so many addresses, each with a label of its own if it may have one.
fn many(count: u32, is_labelled: bool) -> Value {
    let alias = |number: u32| {
        let address = format!("10.{}.{}.{}/32", number >> 16, number >> 8 & 255, number & 255);
        if is_labelled { json!({"address": address, "label": number}) } else { json!({"address": address}) }
    };
    let aliases: Vec<Value> = (1..=count).map(alias).collect();
    json!({"name": "v0", "aliases": aliases, "persist": "auto"})
}

#[test]
fn thousands_of_addresses_take_linear_time() {
    const LONGEST: Duration = Duration::from_secs(20);
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        let task = host.task(many(10_000, file != PROFILE));
        let start = Instant::now();
        assert!(task.check().unwrap().plan.iter().count() >= 20_000, "{file}");
        assert!(start.elapsed() < LONGEST, "{file}: {:?}", start.elapsed());
    }
}

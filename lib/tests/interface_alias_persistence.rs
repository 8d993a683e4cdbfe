//! What a boot brings back, beside the real kernel: each network manager's files below a directory of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::ip;
use lvs_host::interface_alias::Task;
use lvs_host::{Mode, engine};
use managers::{DROP_IN, Host, NETPLANS, PROFILE, STANZAS, YAML, alias, hosts, with};
use serde_json::{Value, json};

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_address_comes_into_both_layers_and_leaves_both_as_they_were() {
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        let before = fs::read(host.path(file)).ok();
        assert_eq!(host.changes(alias()), 2, "{file}");
        assert!(host.text(file).contains("192.0.2.10/32"), "{file}");
        assert_eq!(host.changes(with(alias(), json!({"state": "absent"}))), 2);
        assert_eq!(fs::read(host.path(file)).ok(), before, "{file}");
        assert!(!host.path("etc/systemd/network/10-lan.network.d").exists());
    }
}

#[test]
fn drift_in_either_layer_is_mended_alone() {
    for (manage, file) in hosts() {
        let host = Host::new();
        manage(&host);
        let before = fs::read(host.path(file)).ok();
        host.apply(alias());
        ip("address del 192.0.2.10/32 dev v0");
        let kernel = host.apply(alias()).plan;
        assert_eq!(kernel.items().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.10/32 on v0"]);
        match before {
            Some(text) => fs::write(host.path(file), text).unwrap(),
            None => fs::remove_file(host.path(file)).unwrap(),
        }
        let stored = host.apply(alias()).plan;
        let expected = format!("192.0.2.10/32 on v0 in {}", host.path(file).display());
        assert_eq!(stored.items().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn ifupdown_is_told_of_an_alias_and_forgets_it_with_it() {
    let host = Host::new();
    host.with_ifupdown();
    let task = json!({"name": "v0:1", "address": "192.0.2.10/24", "persist": "ifupdown"});
    let before = host.text("run/network/ifstate");
    assert_eq!(host.changes(task.clone()), 3);
    assert_eq!(host.text("run/network/ifstate"), before.clone() + "v0:1=v0:1\n");
    assert_eq!(host.text("run/network/ifstate.v0:1"), "v0:1\n");
    fs::write(host.path("run/network/ifstate"), &before).unwrap();
    assert_eq!(host.changes(task.clone()), 1, "what ifupdown takes for up is mended alone");
    assert_eq!(host.changes(json!({"name": "v0:1", "address": "192.0.2.11/24", "persist": "ifupdown"})), 6);
    assert!(!host.text(STANZAS).contains("192.0.2.10"), "a label holds one address, in the file as well");
    assert_eq!(host.changes(json!({"name": "v0:1", "state": "absent", "persist": "ifupdown"})), 3);
    assert_eq!(host.text("run/network/ifstate"), before);
    assert!(!host.path(STANZAS).exists() && !host.path("run/network/ifstate.v0:1").exists());
}

/// Starts a process that locks a file as fcntl_locking(2) has it, for so many seconds, and waits until it has.
fn locker(file: &Path, mode: &str, kind: &str, seconds: u32) -> Child {
    let script = "import fcntl, sys, time\nfile = open(sys.argv[1], sys.argv[2])\nfcntl.lockf(file, getattr(fcntl, sys.argv[3]))\nprint('locked', flush=True)\ntime.sleep(int(sys.argv[4]))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(file).args([mode, kind, &seconds.to_string()]).stdout(Stdio::piped());
    let mut process = python.spawn().unwrap();
    std::io::Read::read_exact(process.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    process
}

#[test]
fn ifupdown_is_waited_for_and_nobody_who_can_only_read_its_lock() {
    let host = Host::new();
    host.with_ifupdown().put("run/network/.ifstate.lock", "");
    let lock = host.path("run/network/.ifstate.lock");
    let task = json!({"name": "v0:1", "address": "192.0.2.10/24", "persist": "ifupdown"});
    let start = Instant::now();
    let mut ifupdown = locker(&lock, "a", "LOCK_EX", 1);
    assert_eq!(host.changes(task.clone()), 3);
    assert!(start.elapsed() >= Duration::from_secs(1), "ifupdown would have lost our entry");
    ifupdown.wait().unwrap();
    let mut reader = locker(&lock, "r", "LOCK_SH", 60);
    let start = Instant::now();
    let changes = host.changes(json!({"name": "v0:1", "state": "absent", "persist": "ifupdown"}));
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(changes == 3 && start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn ifupdown_knows_a_label_as_long_as_an_address_has_it() {
    let host = Host::new();
    host.with_ifupdown();
    let task = |address: &str| json!({"name": "v0:1", "address": address, "persist": "ifupdown"});
    host.apply(task("192.0.2.10/24"));
    let known = host.text("run/network/ifstate");
    assert!(known.ends_with("v0:1=v0:1\n"));
    for address in ["192.0.2.9/24", "192.0.2.9/32", "192.0.2.9/23", "192.0.2.11/24"] {
        assert_eq!(host.changes(task(address)), 6, "{address}");
        assert_eq!(host.text("run/network/ifstate"), known);
    }
    let more = json!({"name": "v0:1", "persist": "ifupdown", "aliases": [{"address": "192.0.2.11/24"}, {"address": "192.0.2.12/24"}]});
    host.apply(more);
    host.apply(json!({"name": "v0", "address": "192.0.2.11", "state": "absent", "persist": "ifupdown"}));
    assert_eq!(host.text("run/network/ifstate"), known, "192.0.2.12 has it");
}

#[test]
fn what_is_stored_is_for_the_right_eyes() {
    for ((manage, file), expected) in hosts().into_iter().zip([0o644, 0o644, 0o600, 0o600]) {
        let host = Host::new();
        manage(&host);
        if file == PROFILE {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(host.path(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        host.apply(alias());
        assert_eq!(mode(&host.path(file)), expected, "{file}");
    }
}

#[test]
fn the_answer_says_which_manager_and_which_file_and_nothing_without_persist() {
    let host = Host::new();
    host.with_networkd();
    let remarks = Value::from(host.task(alias()).remarks(Mode::Apply));
    assert_eq!(remarks, json!({"persist": {"v0": {"manager": "networkd", "file": host.path(DROP_IN)}}}));
    let runtime = host.task(json!({"name": "v0", "address": "192.0.2.10/32"}));
    assert!(runtime.remarks(Mode::Apply).is_empty());
    assert!(runtime.check().unwrap().found.keys().all(|item| !item.to_string().contains(" in ")));
}

/// Makes a directory read-only for this thread.
fn freeze(directory: &Path) {
    let mount = |arguments: &str| {
        let status = std::process::Command::new("mount").args(arguments.split(' ')).arg(directory).status();
        assert!(status.unwrap().success(), "mount {arguments}");
    };
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount(&format!("--no-mtab --bind {}", directory.display()));
    mount("--no-mtab -o remount,bind,ro");
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_kernel_as_it_was() {
    for (manage, file) in hosts() {
        for is_there in [false, true] {
            let host = Host::new();
            manage(&host);
            let mut task = alias();
            if is_there {
                host.apply(task.clone());
                task = with(task, json!({"state": "absent"}));
                // With the last address the kernel would remove the route.
                ip("address del 192.0.2.1/24 dev v0");
                ip("route add default dev v0");
            }
            fs::create_dir_all(host.path(file).parent().unwrap()).unwrap();
            freeze(host.path(file).parent().unwrap());
            let error = host.refuse(task);
            assert!(
                error.contains("Read-only file system") && error.contains("nothing is changed"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_link_is_followed_and_a_foreign_file_is_left_alone() {
    let host = Host::new();
    host.with_netplan().put("elsewhere/mine.yaml", "network: {}\n");
    std::os::unix::fs::symlink(host.path("elsewhere/mine.yaml"), host.path(YAML)).unwrap();
    let error = host.refuse(alias());
    assert!(error.contains("90-lvs-host-v0.yaml: we did not write it so"), "{error}");
    fs::write(host.path("elsewhere/mine.yaml"), "").unwrap();
    host.apply(alias());
    assert!(host.path(YAML).is_symlink() && host.text("elsewhere/mine.yaml").contains("192.0.2.10/32"));
}

#[test]
fn an_interface_without_a_manager_or_with_two_is_refused() {
    let host = Host::new();
    let error = host.refuse(alias());
    assert!(
        error.contains("neither ifupdown, ifupdown2, ifupdown-ng, networkd, netplan nor networkmanager"),
        "{error}"
    );
    host.with_ifupdown().with_network_manager();
    let error = host.refuse(alias());
    assert!(error.contains("ifupdown and networkmanager have it"), "{error}");
    assert!(host.refuse(with(alias(), json!({"persist": "networkd"}))).contains("does not manage it"));
    assert_eq!(host.changes(with(alias(), json!({"persist": "networkmanager"}))), 2);
}

#[test]
fn what_a_manager_cannot_keep_is_refused_before_anything_is_written() {
    let host = Host::new();
    host.with_network_manager();
    assert!(host.refuse(with(alias(), json!({"label": 1}))).contains("it keeps no label"));
    assert!(host.refuse(with(alias(), json!({"purge": "owned"}))).contains("cannot use purge"));
    let netns: Result<Task, _> = serde_json::from_value(with(alias(), json!({"netns": "blue"})));
    assert!(netns.unwrap_err().to_string().contains("persist with netns"));
}

#[test]
fn what_the_person_stored_is_theirs() {
    let host = Host::new();
    host.with_ifupdown()
        .put("etc/network/interfaces.d/mine", "iface v0:7 inet static\n address 192.0.2.10/24\n");
    let error = host.refuse(alias());
    assert!(error.contains("interfaces.d/mine, which we did not write, has the address"), "{error}");
    let error = host.refuse(json!({"name": "v0:7", "address": "192.0.2.12/24", "persist": "auto"}));
    assert!(error.contains("its label already"), "{error}");
    let gone = host.apply(with(alias(), json!({"state": "absent"})));
    assert!(gone.warnings[0].contains("so a boot brings it back"), "{:?}", gone.warnings);
}

#[test]
fn interfaces_that_are_not_read_or_shared_are_said() {
    let host = Host::new();
    host.with_ifupdown().put("etc/network/interfaces", "iface v0 inet static\n address 192.0.2.1/24\n");
    let error = host.refuse(alias());
    assert!(error.contains("source /etc/network/interfaces.d/*"), "{error}");
    let host = Host::new();
    host.with_networkd().put("etc/systemd/network/10-lan.network", "[Match]\nName=v*\n");
    assert!(host.apply(alias()).warnings[0].contains("have it match v0 alone"));
    let host = Host::new();
    host.with_networkd().put(
        "run/systemd/netif/links/77",
        "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10-lan.network\n",
    );
    assert!(host.refuse(alias()).contains("is for interface 77 too"));
}

#[test]
fn a_definition_of_netplan_for_other_interfaces_too_or_of_another_kind_is_said() {
    let host = Host::new();
    host.with_netplan().put(NETPLANS, "[Match]\nName=v*\n");
    assert!(host.apply(alias()).warnings[0].contains("have it match v0 alone"));
    let state = format!("ADMIN_STATE=configured\nNETWORK_FILE=/{NETPLANS}\n");
    host.put("run/systemd/netif/links/77", &state);
    let error = host.refuse(json!({"name": "v0", "address": "192.0.2.11/32", "persist": "auto"}));
    assert!(error.contains("with netplan") && error.contains("is for interface 77 too"), "{error}");
    // Under another key Netplan refuses all of its files.
    for (kind, key) in [
        ("sit", None),
        ("dummy", Some("\"dummy-devices\": {\n      \"lan\"")),
        ("bridge", Some("\"bridges\": {\n      \"lan\"")),
    ] {
        let host = Host::new();
        host.with_netplan()
            .put(&NETPLANS.replace(".network", ".netdev"), &format!("[NetDev]\nKind={kind}\n"));
        if let Some(key) = key {
            host.apply(alias());
            assert!(host.text(YAML).contains(key), "{}", host.text(YAML));
        } else {
            assert!(host.refuse(alias()).contains(&format!("it is a {kind}")));
        }
    }
}

#[test]
fn what_the_person_stored_is_found_however_it_is_written() {
    for text in [
        "iface v0 inet dhcp\n up ip addr add 192.0.2.10/32 dev v0\n",
        "iface v0 inet dhcp\n post-up /sbin/ifconfig v0:1 192.0.2.10 netmask 255.255.255.255\n",
        "iface \\\n v0:3 inet static\n address \\\n  192.0.2.10/32\n",
    ] {
        let host = Host::new();
        host.with_ifupdown().put("etc/network/interfaces.d/mine", text);
        assert!(host.refuse(alias()).contains("has the address"), "{text}");
    }
    for text in ["iface v0 inet dhcp\n up ip route add default via 192.0.2.10\n", "# address 192.0.2.10\n"] {
        let host = Host::new();
        host.with_ifupdown().put("etc/network/interfaces.d/mine", text);
        assert_eq!(host.changes(alias()), 2, "{text}");
    }
    let host = Host::new();
    host.with_networkd()
        .put("run/systemd/network/10-lan.network.d/a.conf", "[Network]\nAddress=192.0.2.10/32\n");
    assert!(host.refuse(alias()).contains("a.conf, which we did not write, has the address"));
    let host = Host::new();
    let anchored =
        "network:\n  ethernets:\n    lan:\n      addresses:\n      - &vip 192.0.2.10/32 # to: all\n";
    host.with_netplan().put("etc/netplan/60-more.yaml", anchored);
    assert!(host.refuse(alias()).contains("60-more.yaml, which we did not write, has the address"));
}

#[test]
fn a_profile_never_loses_its_gateway_nor_the_last_address_that_it_needs() {
    let absent = with(alias(), json!({"state": "absent"}));
    for (ipv4, named) in [
        ("address1=192.0.2.10/32,192.0.2.254\naddress2=192.0.2.1/24\nmethod=manual\n", "has the gateway too"),
        ("address1=192.0.2.10/32\nmethod=manual\n", "its method for ipv4 is manual, which needs an address"),
    ] {
        let host = Host::new();
        host.with_network_manager().put(PROFILE, &format!("[connection]\nuuid=1-2\n\n[ipv4]\n{ipv4}"));
        ip("address add 192.0.2.10/32 dev v0");
        let error = host.refuse(absent.clone());
        assert!(error.contains("lan.nmconnection") && error.contains(named), "{error}");
    }
    for key in ["address", "addresses", "addresses7"] {
        let host = Host::new();
        let profile = format!("[connection]\nuuid=1-2\n\n[ipv4]\n{key}=192.0.2.10/32\nmethod=auto\n");
        host.with_network_manager().put(PROFILE, &profile);
        assert_eq!(host.changes(alias()), 1, "{key} is there already");
        host.apply(absent.clone());
        assert!(!host.text(PROFILE).contains("192.0.2.10"), "{key}");
    }
}

#[test]
fn a_file_that_the_person_has_ifupdown_read_is_found_however_it_is_written() {
    let host = Host::new();
    for (line, is_read) in [
        ("source-directory /etc/network/interfaces.d/", true),
        ("source-directory interfaces.d", true),
        ("source /etc//network/./interfaces.d/*", true),
        ("  source\tinterfaces.d/*", true),
        ("source \\\n interfaces.d/lvs-*", true),
        ("source /etc/network/*", false),
        ("source /etc/network/interfaces.d/*.cfg", false),
    ] {
        host.with_ifupdown();
        // A comment in the letters of old is none of our business.
        let text = [line.as_bytes(), b"\n# Br\xfccke\niface v0 inet manual\n"].concat();
        fs::write(host.path("etc/network/interfaces"), text).unwrap();
        match host.task(alias()).check() {
            Ok(_) => assert!(is_read, "{line}"),
            Err(error) => assert!(!is_read && error.sentence().contains("does not read"), "{line}: {error}"),
        }
    }
}

#[test]
fn an_interface_that_is_gone_leaves_no_address_behind() {
    for (manage, file) in [hosts()[0], hosts()[1], hosts()[2]] {
        let host = Host::new();
        manage(&host);
        host.apply(alias());
        ip("link del v0");
        assert_eq!(host.changes(with(alias(), json!({"state": "absent"}))), 1, "{file}");
        assert!(!host.path(file).exists(), "{file}");
    }
}

#[test]
fn many_addresses_are_one_file_and_purge_is_for_ours_alone() {
    let host = Host::new();
    host.with_networkd();
    let task = |addresses: &[&str], purge: &str| {
        let aliases: Vec<Value> = addresses.iter().map(|address| json!({"address": address})).collect();
        json!({"name": "v0", "prefix": 32, "aliases": aliases, "purge": purge, "persist": "auto"})
    };
    assert_eq!(host.changes(task(&["192.0.2.10", "192.0.2.11", "192.0.2.12"], "none")), 6);
    assert_eq!(host.changes(task(&["192.0.2.11"], "owned")), 4);
    assert_eq!(host.text(DROP_IN).matches("[Address]").count(), 1);
}

/// What the task is about was found when it was opened: an interface that comes later is in neither layer.
#[test]
fn an_interface_that_appears_between_reading_and_writing_is_written_nowhere() {
    let host = Host::new();
    host.with_networkd();
    let task = json!({"name": "x0", "address": "192.0.2.10/32", "wait": 1, "persist": "auto"});
    let mut opened = host.task(task).open(Mode::Check).unwrap();
    ip("link add x0 type veth peer name x1");
    let before = host.look();
    let error = engine::apply(&mut opened).err().expect("it was not there").sentence();
    assert!(error.starts_with("cannot find the interface x0"), "{error}");
    assert_eq!(host.look(), before);
}

//! The kernel's own ways: parameters that change others, that are one under two names, that refuse in odd ways.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::fs;
use std::io::Write;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::Path;
use std::time::{Duration, Instant};

use host::ip;
use lvs_host::{Layer, Mode, Plan, Resource};
use parameters::{Host, kernel, refuse_arguments, set};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

/// Returns every file below `path`.
fn parameters_below(path: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(path).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => parameters_below(&entry.path(), found),
            false => found.push(entry.path().to_str().unwrap().to_owned()),
        }
    }
}

/// What was read can be written back, and then nothing has changed: so every undo is sound, and no value that a
/// person copies from the kernel is ever a change.
#[test]
fn writing_what_was_read_changes_nothing_for_every_parameter_of_a_network_namespace() {
    let host = Host::new();
    let mut paths = Vec::new();
    parameters_below(Path::new("/proc/sys/net"), &mut paths);
    let mut tried = 0;
    for path in &paths {
        // A user namespace has no name for the groups that are in force here.
        let nameless = path.ends_with("/ping_group_range")
            && !fs::read_to_string("/proc/self/gid_map").unwrap().contains("4294967295");
        let Ok(before) = fs::read(path) else { continue };
        let Ok(mut file) = fs::OpenOptions::new().write(true).open(path) else { continue };
        let text = String::from_utf8(before.clone()).unwrap();
        let name = path.strip_prefix("/proc/sys/").unwrap();
        let task = json!({"settings": {name: text.trim_end()}, "persist": false});
        assert!(host.sysctl(task).apply().unwrap().plan.is_empty(), "{name}");
        if nameless {
            continue;
        }
        file.write_all(&before).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(fs::read(path).unwrap(), before, "{path}");
        tried += 1;
    }
    assert!(tried > 300, "{tried} of {} parameters", paths.len());
}

#[test]
fn a_change_of_ip_forward_says_all_that_changes_along_with_it() {
    let host = Host::new();
    ip("link add a0 type veth peer name a1");
    set("net/ipv4/conf/a0/forwarding", "1");
    let report = host.report(json!({"name": "net.ipv4.ip_forward", "value": 1, "persist": false}));
    let changed: Vec<&str> = report.plan.items().map(|item| item.key.path()).collect();
    let expected = [
        "all/accept_redirects",
        "a1/forwarding",
        "all/forwarding",
        "default/forwarding",
        "lo/forwarding",
        "v0-far/forwarding",
        "v0/forwarding",
    ];
    let mut expected: Vec<String> = expected.iter().map(|path| format!("net/ipv4/conf/{path}")).collect();
    expected.push("net/ipv4/ip_forward".into());
    expected.sort();
    let mut sorted = changed.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "a0 had it already");
}

#[test]
fn every_switch_is_predicted_in_full() {
    let host = Host::new();
    for name in [
        "net.ipv4.ip_forward",
        "net.ipv4.conf.all.forwarding",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.all.disable_ipv6",
        "net.ipv6.conf.all.addr_gen_mode",
        "net.ipv6.conf.all.ignore_routes_with_linkdown",
        "net.ipv6.conf.all.force_forwarding",
    ] {
        if !Path::new("/proc/sys").join(name.replace('.', "/")).exists() {
            // force_forwarding is younger than some kernels.
            continue;
        }
        for value in [1, 0] {
            let before = conf();
            let report =
                host.sysctl(json!({"name": name, "value": value, "persist": false})).apply().unwrap();
            let after = conf();
            let differ = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            assert_eq!(report.plan.items().count(), differ, "{name}={value}: {:?}", report.plan);
        }
    }
    // By itself the kernel takes these back, or leaves them.
    assert_eq!(kernel("net/ipv4/conf/all/accept_redirects"), "1");
    set("net/ipv6/conf/all/force_forwarding", "0");
    host.sysctl(json!({"name": "net.ipv6.conf.all.force_forwarding", "value": 1, "persist": false}))
        .apply()
        .unwrap();
    assert_eq!(kernel("net/ipv6/conf/default/force_forwarding"), "0");
}

/// Returns all of net.ipv4.conf, net.ipv6.conf and ip_forward.
fn conf() -> Vec<(String, String)> {
    let mut paths = vec!["/proc/sys/net/ipv4/ip_forward".to_owned()];
    for family in ["ipv4", "ipv6"] {
        parameters_below(&Path::new("/proc/sys/net").join(family).join("conf"), &mut paths);
    }
    paths.sort();
    paths.into_iter().filter_map(|path| Some((path.clone(), fs::read_to_string(&path).ok()?))).collect()
}

#[test]
fn two_names_of_one_value_that_contradict_each_other_are_refused() {
    let host = Host::new();
    for (one, other) in [
        (("net.ipv4.ip_forward", 1), ("net.ipv4.conf.all.forwarding", 0)),
        (("net.ipv4.neigh.v0.base_reachable_time", 30), ("net.ipv4.neigh.v0.base_reachable_time_ms", 31000)),
        (("net.ipv6.neigh.v0.retrans_time", 100), ("net.ipv6.neigh.v0.retrans_time_ms", 1004)),
        (("net.ipv4.neigh.v0.unres_qlen", 31), ("net.ipv4.neigh.v0.unres_qlen_bytes", 64790)),
    ] {
        let error = host.refuse_in_check(json!({"settings": {one.0: one.1, other.0: other.1}}));
        assert!(error.contains("two names"), "{error}");
    }
    let both = json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.forwarding": 1, "net.ipv4.neigh.v0.base_reachable_time": 40, "net.ipv4.neigh.v0.base_reachable_time_ms": 40000});
    assert!(host.apply(json!({"settings": both})));
    let twice = json!({"net.ipv4.ip_forward": 1, "net/ipv4/ip_forward": 1});
    assert!(refuse_arguments(json!({"settings": twice})).contains("twice"));
}

/// With 250 ticks a second 101 hundredths are kept as 1008 ms and shown as 100; with other ticks all of it is taken.
#[test]
fn a_time_that_is_rounded_to_what_it_was_is_put_back_where_it_is_kept() {
    let host = Host::new();
    let task = json!({"name": "net.ipv4.neigh.v0.retrans_time", "value": 101, "persist": false});
    if let Err(error) = host.sysctl(task).apply() {
        assert!(error.sentence().contains("nothing is changed"), "{}", error.sentence());
        assert_eq!(kernel("net/ipv4/neigh/v0/retrans_time_ms"), "1000");
    }
}

#[test]
fn a_value_that_is_changed_by_a_failing_write_is_put_back() {
    let host = Host::new();
    set("net/core/rps_default_mask", "1");
    let error = host.refuse(json!({"name": "net.core.rps_default_mask", "value": "1,2", "persist": false}));
    assert!(error.starts_with("cannot set net.core.rps_default_mask"), "{error}");
    assert_eq!(kernel("net/core/rps_default_mask").trim_start_matches('0'), "1");
}

#[test]
fn errors_of_a_write_are_not_taken_for_a_missing_parameter() {
    let host = Host::new();
    let error = host.refuse(json!({"name": "net.ipv4.tcp_congestion_control", "value": "nosuch"}));
    assert!(
        error.starts_with("cannot set net.ipv4.tcp_congestion_control to nosuch: this kernel does not have it; load its module, tcp_nosuch, first"),
        "{error}"
    );
    let error = host.refuse(json!({"name": "net.ipv6.conf.v0.stable_secret", "value": "junk"}));
    assert!(
        error.starts_with("cannot set net.ipv6.conf.v0.stable_secret to another value: Input/output error"),
        "{error}"
    );
    let error = host.refuse_in_check(json!({"name": "net.ipv4.conf.v0.mc_forwarding", "value": 1}));
    assert!(error.contains("the kernel lets nobody set it here (its mode is 0444)"), "{error}");
}

#[test]
fn long_lists_are_written_and_read_whole() {
    let host = Host::new();
    let ports: Vec<String> = (0..9000).map(|number| (1000 + 7 * number).to_string()).collect();
    let ports = &ports[..9000];
    assert!(host.apply(json!({"name": "net.ipv4.ip_local_reserved_ports", "value": ports.join(",")})));
    assert_eq!(kernel("net/ipv4/ip_local_reserved_ports"), ports.join(","));
    assert!(host.apply(json!({"settings": {"net.ipv4.ip_local_reserved_ports": ""}})));
    assert_eq!(kernel("net/ipv4/ip_local_reserved_ports"), "");
}

#[test]
fn arp_parameters_where_they_have_no_effect_are_told() {
    let host = Host::new();
    let warnings = |settings: serde_json::Value| {
        host.sysctl(json!({"settings": settings, "persist": false})).check().unwrap().warnings
    };
    assert_eq!(warnings(json!({"net.ipv4.conf.lo.arp_ignore": 1})).len(), 1);
    assert_eq!(warnings(json!({"net.ipv4.conf.default.arp_announce": 2})).len(), 1);
    assert_eq!(warnings(json!({"net.ipv4.conf.v0.arp_ignore": 1})), [""; 0]);
    assert_eq!(
        warnings(json!({"net.ipv4.conf.lo.arp_ignore": 1, "net.ipv4.conf.all.arp_ignore": 1})),
        [""; 0]
    );
}

#[test]
fn a_route_from_a_router_advertisement_is_not_lost_to_forwarding() {
    let host = Host::new();
    ip("link add r0 type veth peer name r1");
    for (path, value) in [
        ("r0/accept_dad", "0"),
        ("r1/accept_dad", "0"),
        ("r0/accept_ra_from_local", "1"),
        ("r1/accept_ra", "0"),
    ] {
        set(&format!("net/ipv6/conf/{path}"), value);
    }
    ip("link set r0 up");
    ip("link set r1 up");
    advertise("r1");
    wait_for(|| ip("-6 route show default").contains("proto ra"));
    let error = host.refuse_in_check(json!({"name": "net.ipv6.conf.all.forwarding", "value": 1}));
    assert!(error.contains("set net.ipv6.conf.r0.accept_ra to 2 first"), "{error}");
    let settings = json!({"net.ipv6.conf.all.forwarding": 1, "net.ipv6.conf.r0.accept_ra": 2});
    assert!(host.apply(json!({"settings": settings})));
    assert!(ip("-6 route show default").contains("proto ra"), "accept_ra is written first");
}

/// Sends a router advertisement (RFC 4861, section 4.2) out of `device`.
fn advertise(device: &str) {
    let index = fs::read_to_string(format!("/sys/class/net/{device}/ifindex")).map_or_else(
        |_| ip(&format!("-oneline link show dev {device}")).split(':').next().unwrap().parse().unwrap(),
        |text| text.trim().parse().unwrap_or(0),
    );
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
    socket.set_multicast_hops_v6(255).unwrap();
    socket.bind_device(Some(device.as_bytes())).unwrap();
    // Type, code, checksum (the kernel fills it in), hop limit, flags, lifetime of 1800 s, two timers.
    let message = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    let everyone = SocketAddrV6::new("ff02::1".parse::<Ipv6Addr>().unwrap(), 0, 0, index);
    wait_for(|| socket.send_to(&message, &everyone.into()).is_ok());
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < end, "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_matched_interface_may_vanish_meanwhile_and_a_named_one_may_not() {
    let host = Host::new();
    ip("link add x0 type veth peer name x1");
    let open = |name| {
        let task = host.sysctl(json!({"name": name, "value": 1, "persist": false}));
        let mut sysctl = task.open(Mode::Apply).unwrap();
        let found = sysctl.observe().unwrap();
        let plan = Plan::between(&found, &sysctl.target(&found).unwrap());
        (sysctl, found, plan)
    };
    let (mut pattern, found, matched) = open("net.ipv4.conf.*.arp_notify");
    let (mut named, also, by_name) = open("net.ipv4.conf.x0.arp_notify");
    ip("link del x0");
    pattern.write(&Layer::Kernel, &found, &matched).unwrap();
    assert_eq!(kernel("net/ipv4/conf/v0/arp_notify"), "1");
    named.write(&Layer::Kernel, &also, &by_name).unwrap_err();
}

#[test]
fn the_file_may_hold_the_tasks_parameters_and_no_others() {
    let host = Host::new();
    host.write(
        "etc/a.conf",
        "# note\nnet.ipv4.conf.gone.rp_filter=1\n-net.ipv4.conf.x\nnonsense\nnet.ipv4.ip_default_ttl = 64\n",
    );
    let task = json!({"settings": {"net.ipv4.ip_default_ttl": 64, "net.ipv4.ip_forward": 1}, "exclusive": true, "sysctl_file": "/etc/a.conf"});
    assert!(host.apply(task));
    assert_eq!(host.text("etc/a.conf"), "# note\nnet.ipv4.ip_default_ttl = 64\nnet.ipv4.ip_forward=1\n");
    assert!(refuse_arguments(json!({"name": "a.b", "value": 1, "exclusive": true})).contains("exclusive"));
}

#[test]
fn a_backup_is_made_only_when_the_file_is_replaced_and_kept_only_if_that_went_well() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "# mine\n");
    let task = json!({"name": "net.ipv4.ip_default_ttl", "value": 65, "backup": true});
    let copy = host.sysctl(task.clone()).remarks(Mode::Apply)["backup_file"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(&copy).unwrap(), "# mine\n");
    assert!(copy.ends_with('~'), "a name that no boot reads");
    assert!(!host.apply(task));
    let count = || fs::read_dir(host.path("etc")).unwrap().count();
    let before = count();
    host.refuse(json!({"name": "net.ipv4.ip_default_ttl", "value": 999, "backup": true}));
    assert_eq!(count(), before);
    // What is mounted cannot be replaced.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let file = host.path("etc/sysctl.conf");
    let mount =
        std::process::Command::new("mount").args(["--no-mtab", "--bind"]).args([&file, &file]).status();
    assert!(mount.unwrap().success());
    let error = host.refuse(json!({"name": "net.ipv4.ip_default_ttl", "value": 66, "backup": true}));
    assert!(error.contains("Resource busy") || error.contains("busy"), "{error}");
    assert_eq!(count(), before);
}

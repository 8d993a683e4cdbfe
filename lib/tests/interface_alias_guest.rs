//! Dummy interfaces, in a guest, as not every kernel has them: `make guests`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;
#[path = "host/managers.rs"]
mod managers;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use host::{Run, apply_by_the_laws, fail_by_the_laws, ip, only_in_a_guest};
use lvs_host::interface_alias::{InterfaceAlias, Task};
use lvs_host::{Mode, Report};
use managers::{Host, Manage};
use serde_json::{Value, json};

const MADE: &str = "etc/systemd/network/20-lvs-host-vip0.netdev";
const NETWORK: &str = "etc/systemd/network/20-lvs-host-vip0.network";
const STANZAS: &str = "etc/network/interfaces.d/lvs-host-vip0";

fn enter() -> Host {
    only_in_a_guest();
    let host = Host::new();
    // An IPv6 address of the interface itself is there at once.
    fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
    host
}

fn vip() -> Value {
    json!({"name": "vip0", "address": "198.51.100.10/32", "create": "dummy"})
}

fn with(mut arguments: Value, more: Value) -> Value {
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

fn absent() -> Value {
    with(vip(), json!({"state": "absent"}))
}

fn stored(arguments: Value) -> Value {
    with(arguments, json!({"persist": "auto"}))
}

fn is_there() -> bool {
    ip("-brief link").contains("vip0")
}

/// Returns the host as other eyes see it, interfaces by their names and without their numbers, which are new each time.
fn look(host: &Host) -> String {
    let numberless = |line: &str| line.split_once(": ").map_or(line, |(_, rest)| rest).to_owned() + "\n";
    let links = ip("-brief link");
    let names: Vec<&str> = links.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.join(" ") + &host.look().lines().map(numberless).collect::<String>()
}

fn apply(host: &Host, arguments: Value) -> Report<InterfaceAlias> {
    apply_by_the_laws(&host.task(arguments), || look(host))
}

fn changes(host: &Host, arguments: Value) -> usize {
    apply(host, arguments).plan.iter().count()
}

fn refuse(host: &Host, arguments: Value) -> String {
    fail_by_the_laws(&host.task(arguments), || look(host))
}

/// Returns the warning of a task that must leave the interface where it is.
fn stays(host: &Host) -> String {
    let warnings = apply(host, absent()).warnings;
    assert!(is_there(), "{warnings:?}");
    warnings.into_iter().find(|one| one.contains("the interface vip0 stays")).expect("that it stays is said")
}

#[test]
fn a_dummy_interface_is_made_with_its_first_address_and_goes_with_its_last() {
    let host = enter();
    let other = with(vip(), json!({"address": "198.51.100.11/32"}));
    assert_eq!(changes(&host, vip()), 2, "the interface and the address");
    let link = ip("-details link show vip0");
    assert!(link.contains("alias lvs.host.interface_alias") && link.contains("dummy"), "{link}");
    assert!(
        ip("-brief address show vip0").contains("UNKNOWN") && ip("link show vip0 up").contains("vip0"),
        "it is up"
    );
    assert_eq!(changes(&host, other.clone()), 1);
    assert!(stays(&host).contains("it has 198.51.100.11 as well"));
    assert_eq!(changes(&host, with(other, json!({"state": "absent"}))), 2);
    assert!(!is_there());
    assert_eq!(changes(&host, absent()), 0, "that there is none is fine");
}

#[test]
fn what_is_added_to_a_made_interface_in_other_ways_keeps_it() {
    let host = enter();
    for (use_it, leave_it, why) in [
        (
            "address add 203.0.113.1/32 dev vip0",
            "address del 203.0.113.1/32 dev vip0",
            "it has 203.0.113.1 as well",
        ),
        (
            "address add 169.254.9.9/32 dev vip0",
            "address del 169.254.9.9/32 dev vip0",
            "it has 169.254.9.9 as well",
        ),
        ("route add 203.0.113.0/24 dev vip0", "route del 203.0.113.0/24", "a route that somebody else added"),
        (
            "-6 route add 2001:db8:1::/64 dev vip0",
            "-6 route del 2001:db8:1::/64",
            "a route that somebody else added",
        ),
        (
            "route add 203.0.113.0/24 nexthop dev v0 nexthop dev vip0",
            "route del 203.0.113.0/24",
            "a route that somebody else added",
        ),
        ("link set vip0 alias mine", "link set vip0 alias lvs.host.interface_alias", "we did not make it"),
        ("link set vip0 master br0", "link set vip0 nomaster", "it is part of another interface"),
    ] {
        if why.contains("part") {
            ip("link add br0 type bridge");
        }
        apply(&host, vip());
        ip(use_it);
        if use_it.starts_with("route") {
            // The kernel would remove it with the last address, and the next run would find nothing.
            let error = refuse(&host, absent());
            assert!(error.contains(why) && error.contains("remove that route first"), "{error}");
        } else {
            assert!(stays(&host).contains(why), "{use_it}");
        }
        ip(leave_it);
        assert!(changes(&host, absent()) > 0, "{use_it}: it goes afterwards");
        assert!(!is_there(), "{use_it}");
    }
}

#[test]
fn an_interface_that_was_there_before_is_never_removed() {
    let host = enter();
    for kind in ["dummy", "veth peer name far0"] {
        ip(&format!("link add vip0 type {kind}"));
        apply(&host, vip());
        assert!(!ip("-details link show vip0").contains("alias "), "it is not marked");
        let why = if kind == "dummy" { "we did not make it" } else { "it is not a dummy interface" };
        assert!(stays(&host).contains(why));
        // Nor if it has the mark and is of another kind.
        if kind != "dummy" {
            ip("link set vip0 alias lvs.host.interface_alias");
            assert!(stays(&host).contains(why));
        }
        ip("link del vip0");
    }
    let report = apply(&host, json!({"name": "vip0", "label": "1", "state": "absent", "create": "dummy"}));
    assert!(report.plan.is_empty() && report.warnings.is_empty());
    assert!(
        refuse(&host, json!({"name": "vip0", "address": "198.51.100.10/32"}))
            .contains("cannot find the interface")
    );
    assert!(refuse(&host, with(vip(), json!({"name": "vip0:1", "netns": "none"}))).contains("none"));
}

#[test]
fn a_failure_leaves_no_interface() {
    let host = enter();
    host.with_networkd();
    let directory = host.path("etc/systemd/network");
    let mount = |options: &str| {
        let done =
            Command::new("mount").args(["-o", options]).arg(&directory).arg(&directory).status().unwrap();
        assert!(done.success());
    };
    mount("bind");
    mount("remount,ro,bind");
    let why = refuse(&host, stored(vip()));
    assert!(why.contains("Read-only") && !is_there(), "{why}");
    assert!(Command::new("umount").arg(&directory).status().unwrap().success());
    apply(&host, stored(vip()));
    // And one that was to go is there again, with its addresses.
    mount("bind");
    mount("remount,ro,bind");
    let why = refuse(&host, stored(absent()));
    assert!(why.contains("Read-only") && is_there(), "{why}");
    assert!(ip("-details link show vip0").contains("alias lvs.host.interface_alias"));
    assert!(Command::new("umount").arg(&directory).status().unwrap().success());
}

#[test]
fn each_manager_that_can_has_a_boot_make_the_interface() {
    for (manage, files) in [
        (Host::with_networkd as Manage, &[MADE, NETWORK][..]),
        (Host::with_ifupdown, &[STANZAS]),
        (Host::with_netplan, &["etc/netplan/90-lvs-host-vip0.yaml"]),
    ] {
        let host = enter();
        manage(&host);
        let before = host::files(host.root.path());
        apply(&host, stored(vip()));
        files.iter().for_each(|file| assert!(host.path(file).exists(), "{file}"));
        let other = json!({"name": "vip0", "address": "198.51.100.11/32", "persist": "auto"});
        assert_eq!(changes(&host, other.clone()), 2, "a task that makes none is about the same file");
        apply(&host, with(other, json!({"state": "absent"})));
        // As after a boot of a manager that leaves no mark: the file says that it is ours.
        ip("link set vip0 alias none");
        apply(&host, stored(absent()));
        assert!(!is_there(), "{files:?}");
        assert_eq!(host::files(host.root.path()), before, "{files:?}");
        apply(&host, stored(vip()));
        ip("link del vip0");
        apply(&host, stored(absent()));
        assert_eq!(host::files(host.root.path()), before, "one that is not there is forgotten: {files:?}");
    }
    let host = enter();
    host.with_network_manager();
    assert!(refuse(&host, stored(vip())).contains("nmcli connection add type dummy"));
}

#[test]
fn what_ifupdown_runs_makes_the_interface_with_its_mark() {
    let host = enter();
    host.with_ifupdown();
    apply(&host, stored(with(vip(), json!({"name": "vip0:1", "address": "198.51.100.10/24"}))));
    let shown = || ip("-details address show vip0").replace("proto 0x4c ", "");
    let words = |text: String| {
        text.split_whitespace()
            .skip(1)
            .filter(|word| !word.contains(':'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = words(shown());
    ip("link del vip0");
    let text = host.text(STANZAS);
    let commands = text.lines().filter_map(|line| line.trim().split_once(' '));
    // Twice, as an interface that is there is left as it is.
    for (option, command) in commands.clone().chain(commands) {
        if ["pre-up", "up"].contains(&option) {
            // BusyBox's sh has an ip of its own.
            let command = &command.replace("ip ", "/bin/ip ");
            assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
        }
    }
    assert_eq!(words(shown()), before);
    assert_eq!(
        changes(&host, stored(with(vip(), json!({"name": "vip0:1", "address": "198.51.100.10/24"})))),
        0
    );
}

/// Runs the binary under strace(1) with these options.
fn traced(host: &Host, options: &[&str], task: &Value) -> Output {
    let _ = host;
    let mut command = Command::new("strace");
    command.args(options).arg("/modules/interface_alias");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn killed_at_any_request_no_interface_of_ours_is_left_without_its_mark() {
    let host = enter();
    for state in ["present", "absent"] {
        let mut kills = 0;
        for number in 1.. {
            let _ = Command::new("ip").args(["link", "del", "vip0"]).stderr(Stdio::null()).status();
            if state == "absent" {
                apply(&host, vip());
            }
            let inject = format!("inject=sendto:signal=SIGKILL:when={number}");
            let task = with(vip(), json!({"state": state}));
            let output = traced(&host, &["-f", "-qq", "-e", "trace=sendto", "-e", &inject], &task);
            let is_through = output.status.success();
            let after = traced(&host, &["-f", "-qq", "-e", "trace=none"], &task);
            assert!(after.status.success(), "{state} {number}: {}", String::from_utf8_lossy(&after.stdout));
            assert_eq!(is_there(), state == "present", "{state} {number}");
            apply(&host, absent());
            assert!(!is_there(), "{state} {number}: a killed run left one without its mark");
            if is_through {
                break;
            }
            kills += 1;
        }
        assert!(kills > 3, "{state}: {kills} kills are few");
    }
}

#[test]
fn check_mode_says_what_will_be_made() {
    let host = enter();
    let checked: Report<_> = host.task(vip()).check().unwrap();
    assert_eq!(checked.plan.iter().count(), 2);
    assert!(!is_there());
    let run: Run<Task> = host.task(stored(vip()));
    assert!(
        run.open(Mode::Check).unwrap_err().sentence().contains("cannot keep addresses of vip0"),
        "nobody manages this host"
    );
}

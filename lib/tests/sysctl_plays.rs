//! Plays of several tasks, and the files of distributions and hardening roles: a boot leads to what the kernel holds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/boot.rs"]
mod boot;
mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::collections::BTreeMap;

use boot::{OWN, PROCPS, SYSTEMD, applied, boot, compare, full, host_with, path};
use parameters::kernel;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// What forwarding changes, and what changes it.
const FAMILY: [&str; 10] = [
    "4.ip_forward",
    "c.all.accept_redirects",
    "c.v0.forwarding",
    "c.lo.forwarding",
    "c.default.forwarding",
    "c.v0.accept_redirects",
    "6.all.forwarding",
    "6.v0.forwarding",
    "6.default.forwarding",
    "6.lo.forwarding",
];

/// A value for some of the family, each in one of three tasks, which come in any order.
fn play() -> impl Strategy<Value = Vec<(usize, bool, usize)>> {
    let entry = (0..FAMILY.len(), any::<bool>(), 0..3usize);
    prop::collection::vec(entry, 1..8)
}

fn tasks_of(play: &[(usize, bool, usize)]) -> Vec<Value> {
    let unique: BTreeMap<usize, (bool, usize)> =
        play.iter().map(|(name, value, task)| (*name, (*value, *task))).collect();
    let mut tasks: BTreeMap<usize, BTreeMap<String, u8>> = BTreeMap::new();
    for (name, (value, task)) in unique {
        tasks.entry(task).or_default().insert(full(FAMILY[name]), value.into());
    }
    let task = |settings| json!({"settings": settings, "sysctl_file": format!("/{OWN}")});
    tasks.into_values().map(task).collect()
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn whatever_the_order_of_tasks_a_boot_leads_to_what_the_kernel_holds() {
    let mut runner = TestRunner::new(Config { cases: 25, failure_persistence: None, ..Config::default() });
    let paths: Vec<String> = FAMILY.iter().map(|name| path(&full(name))).collect();
    runner
        .run(&play(), |play| {
            let host = host_with(false, &[]);
            let tasks = tasks_of(&play);
            let answers = applied(&host, &tasks);
            assert!(!answers.contradict && answers.warnings.is_empty(), "{tasks:?}: {:?}", answers.warnings);
            compare(&host, &answers, &[], "");
            for reader in [&SYSTEMD, &PROCPS] {
                for (path, booted) in boot(&host, reader, &paths) {
                    assert_eq!(
                        booted,
                        kernel(&path),
                        "{path} by {} after {tasks:?}:\n{}",
                        reader.name,
                        host.text(OWN)
                    );
                }
            }
            Ok(())
        })
        .unwrap();
}

/// Two names of one value each, and what the first changes: tasks can contradict each other by them.
const TWINS: [&str; 8] = [
    "4.ip_forward",
    "c.all.forwarding",
    "c.all.accept_redirects",
    "c.v0.forwarding",
    "4.neigh.v0.retrans_time",
    "4.neigh.v0.retrans_time_ms",
    "6.all.forwarding",
    "6.v0.forwarding",
];

/// Returns a value for one of them; those of twins may agree.
fn value_of(name: &str, high: bool) -> u32 {
    match name {
        "4.neigh.v0.retrans_time" => 200 + 100 * u32::from(high),
        "4.neigh.v0.retrans_time_ms" => 2000 + 1000 * u32::from(high),
        _ => high.into(),
    }
}

/// Whether each of them is high, and one to three tasks: whether that is a list, and which it names, in that order.
type Play = (Vec<bool>, Vec<(bool, Vec<usize>)>);

fn ordered_play() -> impl Strategy<Value = Play> {
    let names = prop::sample::subsequence((0..TWINS.len()).collect::<Vec<_>>(), 2..5).prop_shuffle();
    let tasks = prop::collection::vec((any::<bool>(), names), 1..4);
    (prop::collection::vec(any::<bool>(), TWINS.len()), tasks)
}

fn ordered_task(high: &[bool], (is_list, names): &(bool, Vec<usize>)) -> Value {
    let entries = names.iter().map(|name| (full(TWINS[*name]), value_of(TWINS[*name], high[*name])));
    let settings: Value = match is_list {
        true => entries.map(|(name, value)| json!({name: value})).collect(),
        false => entries.map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, _>>().into(),
    };
    json!({"settings": settings, "sysctl_file": format!("/{OWN}")})
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn tasks_with_twins_and_orders_of_their_own_change_nothing_again_or_a_warning_says_which_contradict() {
    for (one, other) in [(0, 1), (1, 0), (4, 5), (5, 4)] {
        let mut high = vec![false; TWINS.len()];
        high[one] = true;
        let host = host_with(false, &[]);
        let answers = applied(&host, &[one, other].map(|name| ordered_task(&high, &(true, vec![name]))));
        assert!(answers.contradict, "{} and {} contradict each other", TWINS[one], TWINS[other]);
    }
    let mut runner = TestRunner::new(Config { cases: 20, failure_persistence: None, ..Config::default() });
    runner
        .run(&ordered_play(), |(high, play)| {
            let host = host_with(false, &[]);
            let tasks: Vec<Value> = play.iter().map(|task| ordered_task(&high, task)).collect();
            for (task, (is_list, _)) in tasks.iter().zip(&play) {
                if let Err(error) = host.sysctl(task.clone()).apply() {
                    let error = error.sentence();
                    // Of an order that does not lead to what it says the kernel holds something else at the end.
                    let is_wrong = *is_list && error.contains("is read back");
                    assert!(is_wrong || error.contains("one value under two names"), "{task}: {error}");
                    return Ok(());
                }
            }
            let answers = applied(&host, &tasks);
            if !answers.contradict {
                compare(&host, &answers, &[&SYSTEMD, &PROCPS], &format!("{tasks:?}"));
            }
            Ok(())
        })
        .unwrap();
}

/// Files by the shape of those of distributions, their packages and hardening roles.
const FILES: [(&str, &str, &str); 12] = [
    (
        "Debian",
        "etc/sysctl.conf",
        "#\n# See sysctl.conf(5).\n#\n\n#kernel.domainname = example.org\n\n# Uncomment to route\n#net.ipv4.ip_forward=1\n#net.ipv6.conf.all.forwarding=1\n\n#net.ipv4.conf.all.accept_redirects = 0\n",
    ),
    (
        "Ubuntu",
        "etc/sysctl.d/10-network-security.conf",
        "# Source address verification\nnet.ipv4.conf.default.rp_filter=2\nnet.ipv4.conf.all.rp_filter=2\n",
    ),
    (
        "Ubuntu's privacy",
        "etc/sysctl.d/10-ipv6-privacy.conf",
        "# RFC 4941\nnet.ipv6.conf.all.use_tempaddr = 2\nnet.ipv6.conf.default.use_tempaddr = 2\n",
    ),
    (
        "systemd",
        "usr/lib/sysctl.d/50-default.conf",
        "-net.ipv4.conf.all.rp_filter\nnet.ipv4.conf.default.rp_filter = 2\nnet.ipv4.conf.*.rp_filter = 2\nnet.ipv4.conf.default.accept_source_route = 0\nnet.ipv4.conf.*.accept_source_route = 0\n-net.ipv4.conf.all.accept_source_route\nnet.ipv4.conf.default.promote_secondaries = 1\nnet.ipv4.conf.*.promote_secondaries = 1\n-net.ipv4.conf.all.promote_secondaries\n-net.ipv4.ping_group_range = 0 2147483647\n-net.core.default_qdisc = fq_codel\n",
    ),
    (
        "a hardening role",
        "etc/sysctl.d/99-hardening.conf",
        "net.ipv4.ip_forward = 0\nnet.ipv6.conf.all.forwarding = 0\nnet.ipv4.conf.all.send_redirects = 0\nnet.ipv4.conf.default.send_redirects = 0\nnet.ipv4.conf.all.accept_redirects = 0\nnet.ipv4.tcp_syncookies = 1\nnet.ipv4.icmp_ratelimit=100\nnet.ipv4.icmp_ratemask=88089\n",
    ),
    (
        "a hardening role without IPv6",
        "etc/sysctl.d/60-noipv6.conf",
        "net.ipv6.conf.all.disable_ipv6=1\nnet.ipv6.conf.default.disable_ipv6=1\nnet.ipv6.conf.lo.disable_ipv6=1\n",
    ),
    (
        "a benchmark",
        "etc/sysctl.d/60-netipv4_sysctl.conf",
        "net.ipv4.conf.all.log_martians=1\nnet.ipv4.conf.default.log_martians=1\nnet.ipv4.route.flush=1\nnet.ipv4.conf.all.secure_redirects=0\nnet.ipv4.route.flush=1\n",
    ),
    (
        "Kubernetes",
        "etc/sysctl.d/k8s.conf",
        "net.bridge.bridge-nf-call-ip6tables = 1\nnet.bridge.bridge-nf-call-iptables  = 1\nnet.ipv4.ip_forward                 = 1\n",
    ),
    (
        "Proxmox",
        "usr/lib/sysctl.d/pve.conf",
        "fs.aio-max-nr = 1048576\nnet.bridge.bridge-nf-call-arptables = 0\n",
    ),
    (
        "Alpine",
        "usr/lib/sysctl.d/00-alpine.conf",
        "net.ipv4.tcp_syncookies = 1\nnet.ipv4.conf.default.rp_filter = 1\nnet.ipv4.conf.all.rp_filter = 1\nnet.ipv4.ping_group_range=999 59999\nkernel.panic = 120\n",
    ),
    (
        "a router",
        "etc/sysctl.d/90-router.conf",
        "net.ipv4.conf.all.accept_redirects=1\r\nnet/ipv4/conf/all/forwarding=1\r\n; old\r\nnet.ipv6.conf.v0.forwarding = 0\r\nnet.ipv6.conf.all.forwarding=1",
    ),
    (
        "a role of long ago",
        "etc/sysctl.conf",
        "net.ipv4.conf.all.arp_ignore=0\nnet.ipv4.conf.all.arp_ignore=1 # lvs\n\tnet.ipv4.conf.lo.arp_announce   =\t2\nnet.ipv4.ip_forward=1\nnet.ipv4.ip_forward=0\n",
    ),
];

/// What people set on hosts that have these.
const TASKS: [&[(&str, &str)]; 4] = [
    &[("c.all.arp_ignore", "1"), ("c.all.arp_announce", "2"), ("c.lo.arp_ignore", "1")],
    &[("4.ip_forward", "1"), ("c.all.accept_redirects", "1"), ("c.v0.rp_filter", "0")],
    &[("6.all.forwarding", "1"), ("6.v0.forwarding", "0"), ("6.lo.disable_ipv6", "0")],
    &[("4.tcp_syncookies", "1"), ("c.*.rp_filter", "2"), ("c.default.send_redirects", "0")],
];

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn the_files_of_distributions_and_roles_keep_their_lines_and_are_understood() {
    for (whose, file, text) in FILES {
        for (number, task) in TASKS.iter().enumerate() {
            let settings: BTreeMap<String, &str> =
                task.iter().map(|(name, value)| (full(name), *value)).collect();
            let host = host_with(false, &[(file, text)]);
            let beside = json!({"settings": settings, "sysctl_file": format!("/{OWN}")});
            let predicted = host.sysctl(beside.clone()).check().unwrap().plan;
            assert_eq!(
                host.sysctl(beside.clone()).apply().unwrap().plan,
                predicted,
                "{whose}, task {number}"
            );
            let answers = applied(&host, &[beside]);
            assert_eq!(host.text(file), text, "{whose}: the file is another's");
            compare(&host, &answers, &[&SYSTEMD, &PROCPS], &format!("{whose}, task {number}"));
            // And in that file itself: all other lines stay as they are and in their order.
            let host = host_with(false, &[(file, text)]);
            let within = json!({"settings": settings, "sysctl_file": format!("/{file}")});
            assert!(host.apply(within.clone()), "{whose}, task {number}");
            let is_other = |line: &&str| {
                let name =
                    line.trim().trim_start_matches('-').split('=').next().unwrap().trim().replace('/', ".");
                !settings.contains_key(&name)
            };
            let after = host.text(file);
            let (old, new): (Vec<&str>, Vec<&str>) =
                (text.lines().filter(is_other).collect(), after.lines().filter(is_other).collect());
            assert_eq!(old, new, "{whose}, task {number}");
            let answers = applied(&host, &[within]);
            compare(&host, &answers, &[&SYSTEMD, &PROCPS], &format!("within {whose}, task {number}"));
        }
    }
}

#[test]
fn a_line_that_stays_as_it_is_moves_with_one_that_it_would_be_undone_by() {
    let host = host_with(false, &[]);
    let file = format!("/{OWN}");
    let other = full("4.ip_forward=1\nc.v0.forwarding=0\nc.all.forwarding=0\n");
    host.write(OWN, &other);
    let settings = json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.v0.forwarding": 0});
    let task = json!({"settings": settings, "sysctl_file": file});
    host.sysctl(task.clone()).apply().map_err(|error| error.sentence()).unwrap();
    assert_eq!(host.text(OWN), full("c.all.forwarding=0\n4.ip_forward=1\nc.v0.forwarding=0\n"));
    assert!(host.sysctl(task).apply().unwrap().plan.is_empty());
}

//! The next boot: for each row of a table the real readers bring up a fresh network namespace over the stored files, and what
//! the kernel then holds is what the tasks wanted, or their answers said that it would not be.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

#[path = "host/boot.rs"]
mod boot;

use std::collections::BTreeMap;
use std::fs;

use boot::{BUSYBOX, OPENWRT, OWN, PROCPS, Reader, SYSTEMD, applied, compare, full, host_with, path};
use serde_json::{Value, json};

/// Files that are there, then tasks, one after the other; `4.` is net.ipv4, `c.` net.ipv4.conf, `6.` net.ipv6.conf.
struct Row {
    files: &'static [(&'static str, &'static str)],
    tasks: &'static [&'static [(&'static str, &'static str)]],
}

const fn row(
    files: &'static [(&'static str, &'static str)],
    tasks: &'static [&'static [(&'static str, &'static str)]],
) -> Row {
    Row { files, tasks }
}

/// Files that are read before and after that of the tasks.
const BEFORE: &str = "etc/sysctl.d/10-other.conf";
const AFTER: &str = "etc/sysctl.d/90-other.conf";
const VENDOR: &str = "usr/lib/sysctl.d/50-lvs.conf";
const CLASSIC: &str = "etc/sysctl.conf";

const ROWS: &[Row] = &[
    // One task with a switch and what it changes.
    row(&[], &[&[("4.ip_forward", "1"), ("c.all.accept_redirects", "1"), ("c.v0.forwarding", "0")]]),
    row(&[], &[&[("4.ip_forward", "1"), ("c.default.forwarding", "0"), ("c.lo.forwarding", "0")]]),
    row(&[], &[&[("c.all.forwarding", "1"), ("c.all.accept_redirects", "1"), ("c.v0.forwarding", "0")]]),
    row(&[], &[&[("c.all.forwarding", "1"), ("4.ip_forward", "1"), ("c.all.accept_redirects", "1")]]),
    row(&[], &[&[("6.all.forwarding", "1"), ("6.v0.forwarding", "0"), ("6.default.forwarding", "0")]]),
    row(&[], &[&[("6.all.disable_ipv6", "1"), ("6.v0.disable_ipv6", "0"), ("6.default.disable_ipv6", "0")]]),
    row(
        &[],
        &[&[("6.all.addr_gen_mode", "1"), ("6.v0.addr_gen_mode", "0"), ("6.default.addr_gen_mode", "3")]],
    ),
    row(&[], &[&[("6.all.ignore_routes_with_linkdown", "1"), ("6.v0.ignore_routes_with_linkdown", "0")]]),
    row(&[], &[&[("6.v0.stable_secret", "::1"), ("6.v0.addr_gen_mode", "0")]]),
    row(&[], &[&[("6.default.stable_secret", "::1"), ("6.v0.addr_gen_mode", "0")]]),
    row(&[], &[&[("6.all.addr_gen_mode", "3"), ("6.v0.stable_secret", "::1")]]),
    row(&[], &[&[("c.default.rp_filter", "1"), ("c.v0.rp_filter", "2"), ("c.all.rp_filter", "0")]]),
    // Several tasks; each row is tried in both orders.
    row(&[], &[&[("c.all.accept_redirects", "1")], &[("4.ip_forward", "1")]]),
    row(&[], &[&[("c.v0.forwarding", "0")], &[("4.ip_forward", "1")], &[("c.all.accept_redirects", "1")]]),
    row(&[], &[&[("c.v0.forwarding", "0"), ("c.all.accept_redirects", "1")], &[("c.all.forwarding", "1")]]),
    row(&[], &[&[("6.v0.forwarding", "0")], &[("6.all.forwarding", "1")]]),
    row(&[], &[&[("6.v0.disable_ipv6", "0")], &[("6.all.disable_ipv6", "1")]]),
    row(&[], &[&[("6.v0.addr_gen_mode", "0")], &[("6.all.addr_gen_mode", "1")]]),
    row(&[], &[&[("6.v0.addr_gen_mode", "0")], &[("6.v0.stable_secret", "::1")]]),
    row(&[], &[&[("6.v0.addr_gen_mode", "3")], &[("6.default.stable_secret", "::1")]]),
    row(&[], &[&[("4.ip_forward", "1")], &[("c.all.forwarding", "1")]]),
    row(&[], &[&[("c.*.forwarding", "1")], &[("c.lo.forwarding", "0")]]),
    row(&[], &[&[("6.*.disable_ipv6", "1")], &[("6.lo.disable_ipv6", "0")]]),
    // Bounds.
    row(&[], &[&[("4.ipfrag_high_thresh", "200000"), ("4.ipfrag_low_thresh", "100000")]]),
    row(&[], &[&[("4.ipfrag_high_thresh", "9000000"), ("4.ipfrag_low_thresh", "8000000")]]),
    row(&[], &[&[("net.ipv6.ip6frag_high_thresh", "200000"), ("net.ipv6.ip6frag_low_thresh", "100000")]]),
    row(&[], &[&[("net.ipv6.ip6frag_high_thresh", "9000000"), ("net.ipv6.ip6frag_low_thresh", "8000000")]]),
    row(&[], &[&[("4.ip_local_port_range", "500 60000"), ("4.ip_unprivileged_port_start", "400")]]),
    row(&[], &[&[("4.ip_local_port_range", "45000 60000"), ("4.ip_unprivileged_port_start", "40000")]]),
    row(&[], &[&[("4.ip_unprivileged_port_start", "0")], &[("4.ip_local_port_range", "2000 60000")]]),
    row(
        &[(OWN, "4.ipfrag_high_thresh=200000\n4.ipfrag_low_thresh=100000\n")],
        &[&[("4.ipfrag_high_thresh", "200000"), ("4.ipfrag_low_thresh", "100000")]],
    ),
    row(&[(AFTER, "4.ipfrag_low_thresh=100000\n")], &[&[("4.ipfrag_low_thresh", "100000")]]),
    // Twins.
    row(&[], &[&[("4.neigh.v0.base_reachable_time", "40"), ("4.neigh.v0.base_reachable_time_ms", "40000")]]),
    row(
        &[(OWN, "4.neigh.v0.base_reachable_time_ms=50000\n")],
        &[&[("4.neigh.v0.base_reachable_time", "40")]],
    ),
    row(
        &[(AFTER, "4.neigh.v0.base_reachable_time_ms=50000\n")],
        &[&[("4.neigh.v0.base_reachable_time", "40")]],
    ),
    row(&[(AFTER, "4.neigh.v0.retrans_time=300\n")], &[&[("4.neigh.v0.retrans_time_ms", "2000")]]),
    row(&[(AFTER, "4.neigh.v0.retrans_time=200\n")], &[&[("4.neigh.v0.retrans_time_ms", "2000")]]),
    row(&[(AFTER, "4.neigh.v0.unres_qlen_bytes=100000\n")], &[&[("4.neigh.v0.unres_qlen", "20")]]),
    row(&[(BEFORE, "4.neigh.v0.unres_qlen=20\n")], &[&[("4.neigh.v0.unres_qlen_bytes", "100000")]]),
    row(&[(OWN, "4.neigh.v0.unres_qlen=20\n")], &[&[("4.neigh.v0.unres_qlen_bytes", "100000")]]),
    row(&[(OWN, "c.all.forwarding=0\n")], &[&[("4.ip_forward", "1")]]),
    row(&[(AFTER, "c.all.forwarding=0\n")], &[&[("4.ip_forward", "1")]]),
    row(&[(BEFORE, "c.all.forwarding=0\n")], &[&[("4.ip_forward", "1")]]),
    row(&[(AFTER, "4.ip_forward=0\n")], &[&[("c.all.forwarding", "1"), ("c.v0.forwarding", "1")]]),
    // Files of a person, in whatever order; only what the boot undoes moves.
    row(&[(OWN, "c.all.accept_redirects=1\n4.ip_forward=1\n")], &[&[("c.all.accept_redirects", "1")]]),
    row(
        &[(OWN, "c.v0.forwarding=0\n# on\n4.ip_forward=1\nx.y=1\n")],
        &[&[("c.v0.forwarding", "0")], &[("4.ip_forward", "1")]],
    ),
    row(
        &[(OWN, "c.all.accept_redirects=1\n4.ip_forward=1\nc.all.accept_redirects=1\n")],
        &[&[("c.all.accept_redirects", "1")]],
    ),
    row(
        &[(OWN, "6.v0.disable_ipv6=0\n6.all.disable_ipv6=1\n6.lo.disable_ipv6=1\n")],
        &[&[("6.v0.disable_ipv6", "0"), ("6.lo.disable_ipv6", "0")]],
    ),
    row(
        &[(OWN, "4.ip_forward=0\nc.all.accept_redirects=1\n4.ip_forward=0\n")],
        &[&[("c.all.accept_redirects", "1"), ("4.ip_forward", "1")]],
    ),
    row(&[(OWN, "c.lo.forwarding=0\nc.*.forwarding=1\n")], &[&[("c.lo.forwarding", "0")]]),
    row(&[(OWN, "-c.v0.rp_filter\nc.*.rp_filter=1\n")], &[&[("c.v0.rp_filter", "2")]]),
    row(&[(OWN, "c.v0.rp_filter=2\n-c.v0.rp_filter\n")], &[&[("c.v0.rp_filter", "2")]]),
    row(&[(OWN, "-c.v0.rp_filter=1\nc/v0/rp_filter=1\n")], &[&[("c.v0.rp_filter", "2")]]),
    row(&[(OWN, "-4.ip_default_ttl=65\n")], &[&[("4.ip_default_ttl", "65")]]),
    // Other files.
    row(&[(AFTER, "6.all.disable_ipv6=1\n")], &[&[("6.v0.disable_ipv6", "0")]]),
    row(&[(AFTER, "6.all.disable_ipv6=0\n")], &[&[("6.v0.disable_ipv6", "0")]]),
    row(&[(AFTER, "6.all.forwarding=0\n")], &[&[("6.v0.forwarding", "1")]]),
    row(&[(BEFORE, "6.all.forwarding=0\n")], &[&[("6.v0.forwarding", "1")]]),
    row(&[(AFTER, "6.all.addr_gen_mode=0\n")], &[&[("6.v0.addr_gen_mode", "1")]]),
    row(&[(AFTER, "6.all.ignore_routes_with_linkdown=0\n")], &[&[("6.v0.ignore_routes_with_linkdown", "1")]]),
    row(&[(AFTER, "6.v0.stable_secret=::1\n")], &[&[("6.v0.addr_gen_mode", "1")]]),
    row(&[(AFTER, "4.ip_forward=1\n")], &[&[("c.all.accept_redirects", "1")]]),
    row(
        &[(BEFORE, "c.all.accept_redirects=1\n"), (AFTER, "4.ip_forward=1\n")],
        &[&[("c.all.accept_redirects", "0")]],
    ),
    row(&[(BEFORE, "4.ip_forward=1\n"), (AFTER, "4.ip_forward=1\n")], &[&[("c.all.accept_redirects", "1")]]),
    row(
        &[(BEFORE, "c.all.accept_redirects=1\n")],
        &[&[("4.ip_forward", "1"), ("c.all.accept_redirects", "1")]],
    ),
    row(&[(AFTER, "c.v?.rp_filter=1\nc.*.rp_filter=2\n")], &[&[("c.*.rp_filter", "1")]]),
    row(&[(AFTER, "c.[^v]*.rp_filter=1\n")], &[&[("c.v0.rp_filter", "2")]]),
    row(&[(AFTER, "c.[^v]*.rp_filter=1\n")], &[&[("c.*.rp_filter", "2")]]),
    row(&[(AFTER, "c.*.forwarding=1\n")], &[&[("c.all.accept_redirects", "1"), ("c.v0.forwarding", "0")]]),
    row(&[(AFTER, "-c.v0.rp_filter\nc.*.rp_filter=1\n")], &[&[("c.v0.rp_filter", "2")]]),
    row(&[(AFTER, "4.tcp_syncookies = 1 # why\n")], &[&[("4.tcp_syncookies", "1")]]),
    row(&[(AFTER, "4.tcp_syncookies = 2 # why\n")], &[&[("4.tcp_syncookies", "1")]]),
    row(&[(AFTER, "4.tcp_rmem = 4096 8192 16384 # why\n")], &[&[("4.tcp_rmem", "4096 8192 16384")]]),
    row(&[(OWN, "4.tcp_syncookies = 1 # why\n")], &[&[("4.tcp_syncookies", "1")]]),
    row(&[(CLASSIC, "4.ip_forward=0\n")], &[&[("4.ip_forward", "1")]]),
    row(&[(CLASSIC, "c.all.forwarding=0\n")], &[&[("c.v0.forwarding", "1")]]),
    row(&[(VENDOR, "c.all.rp_filter=2\n")], &[&[("4.ip_forward", "1")]]),
    row(
        &[("etc/sysctl.d/.hidden.conf", "4.ip_forward=1\n"), (AFTER, "c.all.forwarding=0\n")],
        &[&[("c.v0.forwarding", "0")]],
    ),
    row(&[("usr/lib/sysctl.d/90-other.conf", "c.all.forwarding=0\n")], &[&[("4.ip_forward", "1")]]),
    row(&[("usr/lib/sysctl.d/90-other.conf", "6.all.forwarding=1\n")], &[&[("6.v0.forwarding", "0")]]),
    row(&[("etc/sysctl.d/no-suffix", "4.ip_forward=0\n")], &[&[("4.ip_forward", "1")]]),
    row(&[(AFTER, "4.ip_default_ttl=0x41\r\n")], &[&[("4.ip_default_ttl", "65")]]),
];

/// Tasks of which a second round changes something, and a warning says why.
const CONTRADICTIONS: &[&[&[(&str, &str)]]] = &[
    &[&[("c.*.forwarding", "1")], &[("c.lo.forwarding", "0")]],
    &[&[("6.*.disable_ipv6", "1")], &[("6.lo.disable_ipv6", "0")]],
];

fn tasks_of(row: &Row) -> Vec<Value> {
    let settings = |task: &&[(&str, &str)]| {
        let settings: BTreeMap<String, &str> =
            task.iter().map(|(name, value)| (full(name), *value)).collect();
        json!({"settings": settings, "sysctl_file": format!("/{OWN}")})
    };
    row.tasks.iter().map(settings).collect()
}

fn try_rows(readers: &[&Reader], busybox: bool) {
    assert!(ROWS.len() >= 60);
    for (number, row) in ROWS.iter().enumerate() {
        let mut tasks = tasks_of(row);
        for order in 0..tasks.len().min(2) {
            let host = host_with(busybox, row.files);
            let answers = applied(&host, &tasks);
            if answers.contradict {
                assert!(CONTRADICTIONS.contains(&row.tasks), "row {number} contradicts itself");
                continue;
            }
            compare(&host, &answers, readers, &format!("row {number}, order {order}: {tasks:?}"));
            tasks.reverse();
        }
    }
}

/// Files with a line for another parameter, a task, and that parameter with its value; the number of the line if the boot undoes it.
type Neighbour =
    (&'static str, &'static str, (&'static str, &'static str), (&'static str, &'static str), usize);

const NEIGHBOURS: &[Neighbour] = &[
    (
        OWN,
        "c.all.accept_redirects=1\n4.ip_forward=1\n",
        ("4.ip_forward", "1"),
        ("c.all.accept_redirects", "1"),
        1,
    ),
    (OWN, "c.v0.forwarding=0\n", ("4.ip_forward", "1"), ("c.v0.forwarding", "0"), 0),
    (
        OWN,
        "6.v0.addr_gen_mode=0\n6.all.addr_gen_mode=1\n",
        ("6.all.addr_gen_mode", "1"),
        ("6.v0.addr_gen_mode", "0"),
        1,
    ),
    (BEFORE, "# why\nc.v0.forwarding=0\n", ("4.ip_forward", "1"), ("c.v0.forwarding", "0"), 2),
    (BEFORE, "c.v0.forwarding=1\n", ("4.ip_forward", "1"), ("c.v0.forwarding", "1"), 0),
    (BEFORE, "c.all.accept_redirects=1\n", ("c.all.forwarding", "1"), ("c.all.accept_redirects", "1"), 1),
    (BEFORE, "6.v0.disable_ipv6=0\n", ("6.all.disable_ipv6", "1"), ("6.v0.disable_ipv6", "0"), 1),
    (BEFORE, "6.v0.forwarding=0\n", ("6.all.forwarding", "1"), ("6.v0.forwarding", "0"), 1),
    (BEFORE, "6.v0.addr_gen_mode=0\n", ("6.v0.stable_secret", "::1"), ("6.v0.addr_gen_mode", "0"), 1),
    (
        BEFORE,
        "4.neigh.v0.retrans_time=200\n",
        ("4.neigh.v0.retrans_time_ms", "3000"),
        ("4.neigh.v0.retrans_time", "200"),
        1,
    ),
    (BEFORE, "\nc.*.forwarding=0\n", ("4.ip_forward", "1"), ("c.all.forwarding", "0"), 2),
    (BEFORE, "c.v?.forwarding=0\n", ("c.all.forwarding", "1"), ("c.v0.forwarding", "0"), 1),
    (BEFORE, "6.*.disable_ipv6=0\n", ("6.all.disable_ipv6", "1"), ("6.default.disable_ipv6", "0"), 1),
    (BEFORE, "c.*.rp_filter=2\n", ("c.default.rp_filter", "1"), ("c.v0.rp_filter", "2"), 0),
    (AFTER, "c.*.forwarding=0\n", ("c.v0.forwarding", "1"), ("c.lo.forwarding", "0"), 0),
    (AFTER, "c.v0.forwarding=0\n", ("4.ip_forward", "1"), ("c.v0.forwarding", "0"), 0),
    (AFTER, "c.v0.rp_filter=2\n", ("c.default.rp_filter", "1"), ("c.v0.rp_filter", "2"), 0),
];

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn lines_for_others_that_a_boot_undoes_by_ours_are_told_with_file_and_line() {
    for (file, text, task, (name, value), line) in NEIGHBOURS {
        let host = host_with(false, &[(file, text)]);
        let settings = json!({full(task.0): task.1});
        let answers = applied(&host, &[json!({"settings": settings, "sysctl_file": format!("/{OWN}")})]);
        let (name, what) = (full(name), format!("{} line {line}", host.path(file).display()));
        for reader in [&SYSTEMD, &PROCPS] {
            let is = &boot::boot(&host, reader, &[path(&name)])[&path(&name)];
            assert_eq!(is != value, *line > 0, "{file}: {text} leads to {is} by {}", reader.name);
            let told = |warning: &&String| warning.contains(reader.name) && warning.contains("undoes");
            let told: Vec<&String> = answers.warnings.iter().filter(told).collect();
            let sentence =
                format!("the next boot undoes {what}, as {} sets {name} to {is} too", full(task.0));
            assert_eq!(told.len(), usize::from(*line > 0), "{file}: {text}: {told:?}");
            assert!(told.iter().all(|warning| warning.starts_with(&sentence)), "{sentence}: {told:?}");
        }
    }
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn a_boot_by_systemd_or_procps_leads_to_what_the_tasks_want_or_they_say_so() {
    try_rows(&[&SYSTEMD, &PROCPS], false);
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn a_boot_by_busybox_leads_to_what_the_tasks_want_or_they_say_so() {
    try_rows(&[&BUSYBOX], true);
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn busybox_gets_the_names_that_a_pattern_matches() {
    let old = full("c.*.arp_ignore=2\nc.v0.arp_announce=2\n");
    let host = host_with(true, &[(OWN, &old)]);
    let file = format!("/{OWN}");
    let task = |arguments: Value| {
        let mut arguments = arguments;
        arguments["sysctl_file"] = json!(file);
        arguments
    };
    let settings = json!({"net.ipv4.conf.*.arp_ignore": 1, "net.ipv4.conf.lo.arp_ignore": 0});
    let answers = applied(&host, &[task(json!({"settings": settings}))]);
    assert!(answers.warnings.is_empty(), "{:?}", answers.warnings);
    compare(&host, &answers, &[&BUSYBOX], "a pattern");
    let stored = fs::read_to_string(host.path(OWN)).unwrap();
    assert!(!stored.contains('*') && stored.contains("net.ipv4.conf.v0.arp_ignore=1"), "{stored}");
    assert!(stored.contains("net.ipv4.conf.lo.arp_ignore=0"), "{stored}");

    let gone = task(json!({"name": "net.ipv4.conf.*.arp_ignore", "state": "absent"}));
    assert!(!host.sysctl(gone.clone()).apply().unwrap().plan.is_empty());
    assert!(host.sysctl(gone).apply().unwrap().plan.is_empty());
    assert_eq!(fs::read_to_string(host.path(OWN)).unwrap(), full("c.v0.arp_announce=2\n"));
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn openwrt_reads_no_files_of_vendors() {
    let files = [("etc/openwrt_release", ""), ("usr/lib/sysctl.d/90-other.conf", "4.ip_forward=0\n")];
    let before = [("etc/sysctl.d/40-other.conf", "4.ip_forward=0\n"), (CLASSIC, "c.v0.forwarding=0\n")];
    let host = host_with(true, &[files, before].concat());
    let settings = json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.v0.forwarding": 1});
    let answers = applied(&host, &[json!({"settings": settings, "sysctl_file": format!("/{OWN}")})]);
    compare(&host, &answers, &[&OPENWRT], "OpenWrt");
    assert_eq!(answers.warnings.len(), 1, "{:?}", answers.warnings);
    assert!(answers.tell("net.ipv4.conf.v0.forwarding", OPENWRT.name), "{:?}", answers.warnings);
    for directory in ["usr/lib", "run"] {
        let file = format!("/{directory}/sysctl.d/50-lvs.conf");
        let task = json!({"name": "net.ipv4.ip_default_ttl", "value": 65, "sysctl_file": file});
        let told = host.sysctl(task).check().unwrap().warnings;
        assert!(told.iter().any(|it| it.starts_with("no boot sets what")), "{directory}: {told:?}");
    }
}

#[test]
fn openrcs_own_boot_without_procps_is_told() {
    let host = host_with(true, &[("etc/init.d/sysctl", "BSD_sysctl()\n{\n")]);
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": format!("/{OWN}")});
    let told = host.sysctl(task.clone()).check().unwrap().warnings;
    assert!(
        matches!(&told[..], [one] if one.contains("etc/init.d/sysctl, which is OpenRC's own,")),
        "{told:?}"
    );
    let host = host_with(false, &[("etc/init.d/sysctl", "BSD_sysctl()\n{\n")]);
    assert_eq!(host.sysctl(task).check().unwrap().warnings, [""; 0], "procps reads them");
}

#[test]
#[ignore = "needs root: a boot mounts the files of its host"]
fn busybox_gets_names_where_the_kernel_is_not_set_too() {
    let host = host_with(true, &[]);
    let task = json!({
        "name": "net.ipv4.conf.*.arp_ignore", "value": 1, "reload": false, "sysctl_file": format!("/{OWN}")
    });
    let report = host.sysctl(task).apply().unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    assert!(fs::read_to_string(host.path(OWN)).unwrap().contains("net.ipv4.conf.lo.arp_ignore=1\n"));
}

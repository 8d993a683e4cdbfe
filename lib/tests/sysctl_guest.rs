//! Parameters that only a whole machine has, in a guest: `make guests`. Connection tracking, IPVS, memory, the kernel itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::process::Command;
use std::time::Duration;

use host::{apply_by_the_laws, fail_by_the_laws, files};
use lvs_host::Report;
use lvs_host::sysctl::Sysctl;
use parameters::{Host, kernel, set};
use serde_json::{Value, json};

/// All that these tests change, and what changes along.
const CHANGED: [&str; 25] = [
    "kernel/kexec_load_disabled",
    "kernel/modules_disabled",
    "kernel/nmi_watchdog",
    "kernel/printk_devkmsg",
    "kernel/sched_rt_period_us",
    "kernel/sched_rt_runtime_us",
    "kernel/seccomp/actions_logged",
    "kernel/soft_watchdog",
    "kernel/watchdog",
    "kernel/watchdog_cpumask",
    "net/core/default_qdisc",
    "net/core/flow_limit_cpu_bitmap",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/vs/conntrack",
    "net/ipv4/vs/sync_threshold",
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_max",
    "vm/dirty_background_bytes",
    "vm/dirty_background_ratio",
    "vm/dirty_bytes",
    "vm/dirty_ratio",
    "vm/min_free_kbytes",
    "vm/overcommit_kbytes",
    "vm/overcommit_memory",
    "vm/overcommit_ratio",
];

/// The file of the tasks.
const FILE: &str = "/etc/sysctl.d/50-lvs.conf";

/// Returns this machine, which has IPVS and connection tracking, with an /etc of its own.
fn machine() -> Host {
    host::only_in_a_guest();
    host::only_in_a_guest();
    run("modprobe ip_vs");
    Host::of_this_network()
}

fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn look(host: &Host) -> String {
    // What this machine does not have is looked at by none of these tests.
    let values = CHANGED.map(|path| {
        let is_there = std::path::Path::new("/proc/sys").join(path).exists();
        format!("{path} {}", if is_there { kernel(path) } else { String::new() })
    });
    format!("{}\n{}", values.join("\n"), files(&host.path("etc")))
}

fn task(settings: &Value) -> Value {
    json!({"settings": settings, "sysctl_file": FILE})
}

fn apply(host: &Host, settings: &Value) -> Report<Sysctl> {
    apply_by_the_laws(&host.sysctl(task(settings)), || look(host))
}

fn refuse(host: &Host, settings: &Value) -> String {
    fail_by_the_laws(&host.sysctl(task(settings)), || look(host))
}

fn refuse_in_check(host: &Host, settings: &Value) -> String {
    let error = host.sysctl(task(settings)).check().err().expect("check must fail").sentence();
    assert_eq!(refuse(host, settings), error);
    error
}

/// K1: what only a boot takes back is written when nothing else can fail, and a failure says what is lost.
#[test]
fn a_one_way_parameter_is_written_last_and_its_loss_is_told() {
    let host = machine();
    let before = kernel("vm/overcommit_ratio");
    for (name, value) in [("kernel.kexec_load_disabled", 1), ("kernel.modules_disabled", 1)] {
        let error = refuse(&host, &json!({name: value, "vm.overcommit_ratio": "x"}));
        assert!(error.contains("vm.overcommit_ratio") && !error.contains("lost"), "{error}");
        assert_eq!(kernel(&name.replace('.', "/")), "0");
        host.write("etc/blocked", "");
        let blocked =
            json!({"settings": {name: value, "vm.overcommit_ratio": 51}, "sysctl_file": "/etc/blocked/a"});
        let error = host.sysctl(blocked).apply().err().unwrap().sentence();
        assert!(!error.contains("lost"), "{error}");
        assert_eq!(kernel(&name.replace('.', "/")), "0");
        assert_eq!(kernel("vm/overcommit_ratio"), before);
    }
    // Behind it comes only what cannot be taken back either.
    let settings = json!([{"kernel.kexec_load_disabled": 1}, {"net.ipv6.conf.lo.stable_secret": "junk"}]);
    let error = host.sysctl(task(&settings)).apply().err().unwrap().sentence();
    assert!(
        error.contains("lost is with kernel.kexec_load_disabled: the way back; it takes a boot"),
        "{error}"
    );
    assert_eq!(kernel("kernel/kexec_load_disabled"), "1");

    let settings =
        json!({"kernel.modules_disabled": 1, "kernel.kexec_load_disabled": 1, "vm.overcommit_ratio": 50});
    apply(&host, &settings);
    let stored = host.text(&FILE[1..]);
    assert!(
        stored.starts_with("vm.overcommit_ratio=50\n") && stored.contains("kernel.modules_disabled=1\n"),
        "{stored}"
    );
    let error = host.sysctl(task(&json!({"kernel.modules_disabled": 0}))).apply().err().unwrap().sentence();
    assert!(error.contains("kernel.modules_disabled"), "{error}");
}

/// Values of two parameters that can be together.
type States = &'static [(&'static str, &'static str)];

/// K2: from any state to any other, in one task, in the kernel and by a boot over the stored file.
#[test]
fn bounds_and_twins_get_from_any_state_to_any_other() {
    let host = machine();
    let states: [(&str, &str, States); 4] = [
        (
            "kernel.sched_rt_runtime_us",
            "kernel.sched_rt_period_us",
            &[("950000", "1000000"), ("100000", "200000"), ("1900000", "2000000"), ("200000", "200000")],
        ),
        ("vm.dirty_ratio", "vm.dirty_bytes", &[("20", "0"), ("0", "100000000"), ("35", "0")]),
        ("vm.dirty_background_ratio", "vm.dirty_background_bytes", &[("10", "0"), ("0", "50000000")]),
        ("vm.overcommit_ratio", "vm.overcommit_kbytes", &[("50", "0"), ("0", "400000"), ("60", "0")]),
    ];
    for (one, other, values) in states {
        for (from, to) in values.iter().flat_map(|from| values.iter().map(move |to| (from, to))) {
            host.sysctl(task(&json!({one: from.0, other: from.1}))).apply().unwrap();
            apply(&host, &json!({one: to.0, other: to.1}));
            assert_eq!(
                [one, other].map(|name| kernel(&name.replace('.', "/"))),
                [to.0, to.1],
                "from {from:?}"
            );
            // As a boot finds the kernel.
            let first = values[0];
            host.sysctl(json!({"settings": {one: first.0, other: first.1}, "persist": false}))
                .apply()
                .unwrap();
            run(&format!("busybox sysctl -p {}", host.path(&FILE[1..]).display()));
            assert_eq!([one, other].map(|name| kernel(&name.replace('.', "/"))), [to.0, to.1], "a boot");
        }
    }
    // What is unset along comes back when a task fails, and a 0 alone is answered with what it takes.
    apply(&host, &json!({"vm.dirty_ratio": 20, "vm.overcommit_ratio": 50}));
    let error = refuse(
        &host,
        &json!({"vm.dirty_bytes": 100_000_000, "vm.overcommit_kbytes": 9000, "vm.swappiness": "x"}),
    );
    assert!(error.contains("vm.swappiness"), "{error}");
    let changed = apply(&host, &json!({"vm.dirty_bytes": 100_000_000}));
    assert!(changed.plan.items().any(|item| item.is_live() && item.key.path() == "vm/dirty_ratio"));
    let error = refuse(&host, &json!({"vm.dirty_bytes": 0}));
    assert!(error.contains("the kernel does so itself when vm.dirty_ratio is set; set that"), "{error}");
    // In the order that a person gives, where that is one that the kernel takes.
    let ordered = |entries: Value| host.sysctl(json!({"settings": entries, "persist": false}));
    ordered(json!([{"kernel.sched_rt_period_us": 2_000_000}, {"kernel.sched_rt_runtime_us": 1_900_000}]))
        .apply()
        .unwrap();
    let wrong = json!([{"kernel.sched_rt_period_us": 1_000_000}, {"kernel.sched_rt_runtime_us": 950_000}]);
    let error = ordered(wrong).apply().err().unwrap().sentence();
    assert!(
        error.contains("it must not be less than kernel.sched_rt_runtime_us, which is 1900000"),
        "{error}"
    );
    ordered(json!([{"kernel.sched_rt_runtime_us": 950_000}, {"kernel.sched_rt_period_us": 1_000_000}]))
        .apply()
        .unwrap();
    let error =
        refuse_in_check(&host, &json!({"kernel.sched_rt_runtime_us": 900, "kernel.sched_rt_period_us": 800}));
    assert!(error.contains("the first must not be greater than the second"), "{error}");
    let error = refuse(&host, &json!({"kernel.sched_rt_runtime_us": 3_000_000}));
    assert!(
        error.contains("it must not be greater than kernel.sched_rt_period_us, which is 1000000; set both"),
        "{error}"
    );
}

/// K3: equal is what the kernel makes equal, of a director under memory pressure too.
#[test]
fn what_the_kernel_shows_otherwise_than_it_was_written_is_no_change() {
    let host = machine();
    for name in ["drop_entry", "drop_packet", "secure_tcp"] {
        apply(&host, &json!({format!("net.ipv4.vs.{name}"): 1}));
    }
    let threshold = kernel("net/ipv4/vs/amemthresh");
    // More than there is, so that the director defends itself within a second (net/netfilter/ipvs/ip_vs_ctl.c).
    set("net/ipv4/vs/amemthresh", "100000000");
    let defends =
        || ["drop_entry", "drop_packet", "secure_tcp"].map(|name| kernel(&format!("net/ipv4/vs/{name}")));
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(100));
        if defends() == ["2", "2", "2"] {
            break;
        }
    }
    assert_eq!(defends(), ["2", "2", "2"]);
    let settings =
        json!({"net.ipv4.vs.drop_entry": 1, "net.ipv4.vs.drop_packet": 1, "net.ipv4.vs.secure_tcp": 1});
    assert!(host.sysctl(task(&settings)).apply().unwrap().plan.is_empty());
    host.sysctl(json!({"name": "net.ipv4.vs.drop_entry", "value": 0, "persist": false})).apply().unwrap();
    assert_eq!(kernel("net/ipv4/vs/drop_entry"), "0");
    set("net/ipv4/vs/amemthresh", &threshold);

    for (name, first, value) in [
        ("net.core.flow_limit_cpu_bitmap", "0", "000003"),
        ("kernel.printk_devkmsg", "off", "on"),
        ("kernel.seccomp.actions_logged", "trap log", "log errno kill_process"),
        ("kernel.watchdog_cpumask", "0", "0,1"),
        ("net.ipv4.vs.sync_threshold", "2 60", "3  50"),
        ("net.netfilter.nf_conntrack_max", "4096", "0x2000"),
        ("vm.overcommit_memory", "0", "01"),
    ] {
        apply(&host, &json!({name: first}));
        assert!(!apply(&host, &json!({name: value})).plan.is_empty(), "{name}");
    }
}

/// K4: what cannot be together is told, whichever is planned; and two names of one value are one.
#[test]
fn every_named_parameter_is_verified_at_the_end() {
    let host = machine();
    for settings in [
        json!({"kernel.watchdog": 0, "kernel.soft_watchdog": 1}),
        json!({"kernel.watchdog": 1, "kernel.soft_watchdog": 0, "kernel.nmi_watchdog": 0}),
    ] {
        let error = refuse(&host, &settings);
        assert!(error.contains("watchdog") && error.contains("is read back"), "{error}");
    }
    apply(&host, &json!({"net.nf_conntrack_max": 16384}));
    assert_eq!(kernel("net/netfilter/nf_conntrack_max"), "16384");
    let both = json!({"net.nf_conntrack_max": 16384, "net.netfilter.nf_conntrack_max": 16384});
    apply(&host, &both);
    let error =
        refuse_in_check(&host, &json!({"net.nf_conntrack_max": 1, "net.netfilter.nf_conntrack_max": 2}));
    assert!(error.contains("one value under two names"), "{error}");
    // What is no power of two, and so on, the kernel makes another number of.
    let buckets = host.sysctl(json!({"name": "net.netfilter.nf_conntrack_buckets", "value": 8192})).apply();
    buckets.map_err(|error| error.sentence()).unwrap();
    assert_eq!(kernel("net/netfilter/nf_conntrack_buckets"), "8192");
    apply(
        &host,
        &json!({"vm.min_free_kbytes": 20000, "vm.overcommit_memory": 1, "net.ipv4.vs.conntrack": 1}),
    );
}

/// K5: what nobody can set is told in check mode.
#[test]
fn a_parameter_that_can_only_be_read_is_refused_in_check_mode() {
    let host = machine();
    for name in ["net.netfilter.nf_conntrack_count", "kernel.osrelease"] {
        let error = refuse_in_check(&host, &json!({name: 7}));
        assert!(error.contains(&format!("cannot set {name}: the kernel lets nobody set it here")), "{error}");
    }
}

/// K6: an act that can be read is done each time, stored nowhere and never read.
#[test]
fn an_act_that_can_be_read_is_an_act() {
    let host = machine();
    for name in ["vm.stat_refresh", "vm.compact_memory", "vm.drop_caches"] {
        let settings = json!({name: 1, "vm.overcommit_memory": 1});
        let run = host.sysctl(task(&settings));
        run.apply().map_err(|error| error.sentence()).unwrap();
        assert_eq!(
            run.check().unwrap().plan.items().map(|item| item.key.to_string()).collect::<Vec<_>>(),
            [name]
        );
        assert_eq!(run.apply().unwrap().plan.items().count(), 1, "{name} is done again");
        assert_eq!(host.text(&FILE[1..]), "vm.overcommit_memory=1\n");
    }
    let read = host.sysctl(json!({"settings": ["vm.*", "vm.stat_refresh"], "state": "read"}));
    let remarks = read.remarks(lvs_host::Mode::Check);
    assert!(remarks["unreadable"].as_array().unwrap().contains(&json!("vm.stat_refresh")), "{remarks:?}");
    assert!(
        remarks["settings"].get("vm.stat_refresh").is_none()
            && remarks["settings"].get("vm.swappiness").is_some()
    );
}

/// K7: the cause, not a guess.
#[test]
fn an_error_names_its_cause() {
    let host = machine();
    for (name, answer) in [
        ("net.netfilter.nf_conntrack_maks", "did you mean net.netfilter.nf_conntrack_max?"),
        ("net.ipv4.vs.drop_entri", "did you mean net.ipv4.vs.drop_entry?"),
        ("vm.swapiness", "did you mean vm.swappiness?"),
        ("net.bridge.bridge-nf-call-iptables", "the kernel module br_netfilter brings it; load it first"),
    ] {
        let error = refuse_in_check(&host, &json!({name: 1}));
        assert!(error.contains(answer), "{error}");
    }
    for (name, module) in
        [("net.core.default_qdisc", "sch_nosuch"), ("net.ipv4.tcp_congestion_control", "tcp_nosuch")]
    {
        let error = refuse(&host, &json!({name: "nosuch"}));
        assert!(
            error.contains(&format!("this kernel does not have it; load its module, {module}, first")),
            "{error}"
        );
    }
}

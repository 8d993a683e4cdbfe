//! Timeouts and sync daemons on a kernel that has IPVS, in a guest: `make guests`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::process::Command;
use std::time::{Duration, Instant};

use director::{attribute, enter_director, ipvsadm};
use host::{Run, apply_by_the_laws, fail_by_the_laws, ip, task};
use lvs_host::ipvs::Task;
use serde_json::{Value, json};

/// Gives the test a director with an interface for daemons.
fn enter() {
    enter_director();
    ip("link add dummy0 up type dummy");
    ip("address add 10.2.0.1/24 dev dummy0");
}

fn ipvs(arguments: Value) -> Run<Task> {
    task(arguments)
}

/// Returns the timeouts and the daemons, as ipvsadm(8) shows them.
fn look() -> String {
    ipvsadm("-L --timeout") + &ipvsadm("-L --daemon")
}

fn apply(task: Value) -> usize {
    apply_by_the_laws(&ipvs(task), look).plan.iter().count()
}

fn refuse(task: Value) -> String {
    fail_by_the_laws(&ipvs(task), look)
}

#[test]
fn where_ipvs_is_not_loaded_check_mode_and_what_is_usual_do_not_load_it() {
    enter();
    for scheduler in ["rr", "wlc", "sh", "mh"] {
        let _ = Command::new("rmmod").arg(format!("ip_vs_{scheduler}")).output();
    }
    assert!(
        Command::new("sh")
            .args(["-c", "! lsmod | grep -q '^ip_vs ' || rmmod ip_vs"])
            .status()
            .unwrap()
            .success()
    );
    let changing = json!({"timeouts": {"tcp": 60}, "master": {"interface": "dummy0"}});
    assert_eq!(ipvs(changing).check().unwrap().plan.iter().count(), 2);
    let usual = json!({"timeouts": {"tcp": 900, "tcpfin": 120, "udp": 300}, "backup": {"state": "absent"}});
    assert!(ipvs(usual.clone()).apply().unwrap().plan.is_empty());
    let other = director::services(json!({"address": "192.0.2.10:80", "scheduler": "rr"})).check().unwrap();
    assert_eq!(other.plan.iter().count(), 1);
    assert!(!std::path::Path::new("/sys/module/ip_vs").exists());
    ipvsadm("-L");
    assert!(ipvs(usual).apply().unwrap().plan.is_empty(), "what the kernel begins with is what was said");
}

#[test]
fn timeouts_are_set_one_by_one() {
    enter();
    assert_eq!(apply(json!({"timeouts": {"tcp": 3600}})), 1);
    assert!(look().contains("3600 120 300"), "{}", look());
    assert_eq!(apply(json!({"timeouts": {"tcp": 3600, "tcpfin": 30, "udp": 10}})), 2);
    assert!(look().contains("3600 30 10"), "{}", look());
    assert_eq!(apply(json!({"timeouts": {"udp": 2147483}})), 1);
}

#[test]
fn daemons_start_change_and_stop() {
    enter();
    assert_eq!(
        apply(
            json!({"master": {"interface": "dummy0", "syncid": 7}, "backup": {"interface": "dummy0", "syncid": 7}})
        ),
        2
    );
    let shown = look();
    assert!(
        shown.contains(
            "master sync daemon (mcast=dummy0, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
        ),
        "{shown}"
    );
    assert!(shown.contains("backup sync daemon (mcast=dummy0, syncid=7, maxlen=1472"), "{shown}");
    assert_eq!(apply(json!({"master": {"interface": "dummy0"}})), 0, "what is not named is left alone");
    assert_eq!(apply(json!({"master": {"group": "239.1.2.3", "port": 9000, "ttl": 3, "maxlen": 1000}})), 1);
    let shown = look();
    assert!(
        shown.contains(
            "master sync daemon (mcast=dummy0, syncid=7, maxlen=1000, group=239.1.2.3, port=9000, ttl=3)"
        ),
        "{shown}"
    );
    assert_eq!(apply(json!({"master": {"state": "absent"}})), 1);
    assert_eq!(apply(json!({"master": {"state": "absent"}})), 0);
    assert_eq!(apply(json!({"backup": {"state": "absent"}})), 1);
    ip("link set dummy0 mtu 9000");
    assert_eq!(apply(json!({"backup": {"interface": "dummy0"}})), 1);
    assert!(look().contains("maxlen=8972"), "{}", look());
    assert_eq!(apply(json!({"backup": {"state": "absent"}})), 1);
    ip("-6 address add 2001:db8:1::1/64 dev dummy0 nodad");
    assert_eq!(apply(json!({"master": {"interface": "dummy0", "group": "ff05::81"}})), 1);
    assert!(look().contains("maxlen=1452, group=ff05::81"), "{}", look());
}

#[test]
fn what_cannot_be_started_is_said_and_nothing_is_changed() {
    enter();
    apply(json!({"timeouts": {"tcp": 3600}, "master": {"interface": "dummy0"}}));
    let said = refuse(json!({"master": {"interface": "eth7"}, "timeouts": {"tcp": 60}}));
    assert_eq!(
        said,
        "cannot start the sync daemon master: there is no interface eth7; check the name with `ip link`"
    );
    let said = refuse(json!({"master": {"interface": "dummy0", "maxlen": 1473}}));
    assert!(said.contains("maxlen is over 1472"), "{said}");
    let said = refuse(json!({"backup": {"syncid": 7}}));
    assert!(said.contains("its interface is missing; give interface"), "{said}");
    ip("link set dummy0 down");
    let said = refuse(json!({"backup": {"interface": "dummy0"}}));
    assert!(said.contains("the interface dummy0 is down; bring it up first"), "{said}");
    ip("link del dummy0");
    let said = refuse(json!({"master": {"syncid": 0}}));
    assert!(said.contains("there is no interface dummy0"), "a daemon outlives its interface: {said}");
    apply(json!({"master": {"state": "absent"}}));
    ip("link add dummy0 up type dummy");
    ip("address add 10.2.0.1/24 dev dummy0");
    ipvsadm("-A -t 192.0.2.10:80 -s rr");
    ipvsadm("-a -t 192.0.2.10:80 -r [2001:db8::11]:80 -i");
    let said = refuse(json!({"timeouts": {"tcp": 60}, "master": {"interface": "dummy0"}}));
    assert!(
        said.contains("real servers of another family") && said.contains("; nothing is changed"),
        "{said}"
    );
    ipvsadm("-D -t 192.0.2.10:80");
    apply(json!({"timeouts": {"tcp": 60}, "master": {"interface": "dummy0"}}));
    for task in
        [json!({"timeouts": {"tcp": 61}}), json!({"timeouts": {"tcp": 61}, "_ansible_check_mode": true})]
    {
        let output =
            Command::new("unshare").args(["-U", "-r", "/modules/ipvs", &task.to_string()]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            answer["msg"].as_str().unwrap().contains("CAP_NET_ADMIN of the host, for check mode too"),
            "{answer}"
        );
    }
}

/// Has the thread run before all that are not as urgent.
fn run_at_priority(priority: &str) {
    let thread = nix::unistd::gettid().to_string();
    assert!(Command::new("chrt").args(["-f", "-p", priority, &thread]).status().unwrap().success());
}

#[test]
fn a_daemon_that_has_not_run_yet_is_stopped_though_the_kernel_does_not_answer() {
    const LIMIT: &str = "/proc/sys/kernel/sched_rt_runtime_us";
    enter();
    let raw = director::Raw::open();
    let stop = ipvs(json!({"master": {"state": "absent"}}));
    let usual = std::fs::read_to_string(LIMIT).unwrap();
    std::fs::write(LIMIT, "-1").unwrap();
    std::thread::scope(|scope| {
        // The daemon is a thread of the kernel's. It gets no processor, as one is taken for seconds and the other is the test's.
        scope.spawn(|| {
            run_at_priority("10");
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(5) {}
        });
        std::thread::sleep(Duration::from_secs(1));
        run_at_priority("20");
        let master = [attribute(1, &[1, 0, 0, 0]), attribute(2, b"dummy0\0"), attribute(3, &[0; 4])];
        assert_eq!(raw.ask(9, 0, &attribute(0x8003, &master.concat())).0, 0);
        let stopped = stop.apply().map(|report| report.plan.iter().count());
        assert_eq!(stopped.map_err(|error| error.sentence()), Ok(1));
    });
    std::fs::write(LIMIT, usual).unwrap();
}

#[test]
fn a_change_that_fails_starts_the_daemon_again_as_it_was() {
    enter();
    apply(json!({"timeouts": {"tcp": 3600}, "master": {"interface": "dummy0", "syncid": 7}}));
    let before = look();
    let task = json!({"timeouts": {"tcp": 60}, "master": {"syncid": 8}, "backup": {"interface": "dummy0"}})
        .to_string();
    for call in 1..60 {
        let inject = format!("inject=sendto:error=ENOMEM:when={call}");
        let output = Command::new("strace")
            .args(["-f", "-e", "trace=sendto", "-e", &inject, "/modules/ipvs", &task])
            .output()
            .unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        if answer["failed"] != json!(true) {
            assert!(call > 6, "{call} requests are few");
            return;
        }
        assert_eq!((look(), &answer["changed"]), (before.clone(), &json!(false)), "call {call}: {answer}");
    }
    panic!("the task has fewer requests than were tried");
}

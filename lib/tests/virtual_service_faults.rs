//! Virtual services while others write, runs are killed and the kernel refuses, in a guest: `make guests`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use director::{Raw, apply, attribute, enter_director, ipvsadm, look, refuse, restore, saved, services};
use serde_json::{Value, json};

const MODULE: &str = "/modules/virtual_service";

/// IPVS_CMD_ in linux/ip_vs.h.
const NEW_SERVICE: u8 = 1;
const DEL_SERVICE: u8 = 3;
const GET_SERVICE: u8 = 4;

/// Returns the key of a service of TCP on a port of 192.0.2.10, with a scheduler.
fn service(port: u16) -> Vec<u8> {
    let inside = [
        attribute(1, &[2, 0]),
        attribute(2, &[6, 0]),
        attribute(3, &[192, 0, 2, 10]),
        attribute(4, &port.to_be_bytes()),
        attribute(6, b"rr\0"),
        attribute(7, &[0, 0, 0, 0, 0x3d, 0, 0, 0]),
        attribute(8, &[0; 4]),
        attribute(9, &[255; 4]),
    ];
    attribute(0x8001, &inside.concat())
}

#[test]
fn dumps_are_torn_while_others_write_and_a_task_reads_what_is_there() {
    enter_director();
    let ports = || 1..=200_u16;
    restore(&ports().map(|port| format!("-A -t 192.0.2.10:{port} -s rr\n")).collect::<String>());
    let named: Vec<Value> = ports().map(|port| json!({"address": format!("192.0.2.10:{port}")})).collect();
    let named = services(json!({"services": named}));
    let done = AtomicBool::new(false);
    let (mut torn, mut dumps) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let raw = Raw::open();
            while !done.load(Ordering::Relaxed) {
                for port in 1000..1200 {
                    raw.ask(NEW_SERVICE, 0, &service(port));
                }
                for port in 1000..1200 {
                    raw.ask(DEL_SERVICE, 0, &service(port));
                }
            }
        });
        let raw = Raw::open();
        let end = Instant::now() + Duration::from_secs(60);
        while (torn == 0 || dumps < 5) && Instant::now() < end {
            const DUMP: u16 = 0x300;
            let (_, answer) = raw.ask(GET_SERVICE, DUMP, &[]);
            let has = |port: u16| {
                let wanted = [6, 0, 4, 0, port.to_be_bytes()[0], port.to_be_bytes()[1]];
                answer.windows(6).filter(|window| *window == wanted).count()
            };
            torn += u32::from(ports().any(|port| has(port) != 1));
            dumps += 1;
            assert!(named.check().unwrap().plan.is_empty(), "each named one is there, whatever a dump says");
        }
        done.store(true, Ordering::Relaxed);
    });
    eprintln!("{torn} of {dumps} dumps missed a service that was there or had it twice; no task did");
    assert!(torn > 0, "nothing was torn in {dumps} dumps, so nothing is shown");
}

#[test]
fn two_runs_at_once_both_succeed() {
    enter_director();
    let run = |number: u8| {
        move || {
            for round in 0..10 {
                let server = json!([{"address": format!("10.0.{number}.{round}"), "forward": "nat"}]);
                services(json!({"address": "192.0.2.10:80", "real_servers": server})).apply().unwrap();
            }
        }
    };
    std::thread::scope(|scope| (1..=3).for_each(|number| drop(scope.spawn(run(number)))));
    assert_eq!(saved().len(), 1 + 30);
}

#[test]
fn a_writer_without_our_lock_that_is_faster_is_no_failure() {
    enter_director();
    let (raw, done) = (Raw::open(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                raw.ask(NEW_SERVICE, 0, &service(80));
                raw.ask(DEL_SERVICE, 0, &service(80));
            }
        });
        // It may be gone again when it is verified; what must not be is an errno that says nothing to a person.
        for _ in 0..50 {
            for state in ["present", "absent"] {
                if let Err(error) =
                    services(json!({"address": "192.0.2.10:80", "scheduler": "rr", "state": state})).apply()
                {
                    let said = error.sentence();
                    assert!(said.contains("look for who") || said.contains("someone else"), "{said}");
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// What is there before the task and what the task makes of it: something is added, changed and removed.
fn reset() {
    ipvsadm("-C");
    restore(
        "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1\n-a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 1 -x 9 -y 4\n-A -t 192.0.2.10:81 -s rr\n-a -t 192.0.2.10:81 -r 10.0.0.11:81 -m -w 1\n",
    );
}

/// More entries than go in one write, so that some writes are in the middle of a service.
fn change() -> Value {
    let many: Vec<_> =
        (1..=40).map(|host| json!({"address": format!("10.0.1.{host}"), "forward": "dr"})).collect();
    json!({"services": [
        {"address": "192.0.2.10:80", "scheduler": "mh", "persistence": 60,
            "real_servers": [{"address": "10.0.0.11", "weight": 3}, {"address": "10.0.0.13", "forward": "nat"}]},
        {"fwmark": 7, "real_servers": many}], "purge": "all"})
}

fn traced(inject: &str) -> std::process::Output {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=sendto", "-e", inject, MODULE, &change().to_string()]).output().unwrap()
}

#[test]
fn a_run_that_is_killed_at_any_request_is_finished_by_the_next() {
    enter_director();
    reset();
    services(change()).apply().unwrap();
    let after = look();
    for call in 1..100 {
        reset();
        let killed = !traced(&format!("inject=sendto:signal=SIGKILL:when={call}")).status.success();
        services(change()).apply().unwrap();
        assert_eq!(look(), after, "call {call}");
        if !killed {
            eprintln!("killed at each of {} writes", call - 1);
            assert!(call > 15, "{call} writes are few");
            return;
        }
    }
    panic!("the task has fewer requests than were tried");
}

#[test]
fn whatever_request_fails_the_answer_is_true_and_nothing_is_changed() {
    enter_director();
    reset();
    let before = look();
    for call in 1..100 {
        reset();
        let error = ["ENOMEM", "EPERM"][call % 2];
        let output = traced(&format!("inject=sendto:error={error}:when={call}"));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        if answer["failed"] != json!(true) {
            assert!(call > 15, "{call} writes are few");
            return;
        }
        assert_eq!((look(), &answer["changed"]), (before.clone(), &json!(false)), "call {call}: {answer}");
    }
    panic!("the task has fewer writes than were tried");
}

#[test]
fn what_the_kernel_refuses_is_undone_and_said_in_words() {
    enter_director();
    // Each is refused by the kernel alone, after something was written.
    let with = |server: Value| json!({"services": [{"fwmark": 7}, {"address": "192.0.2.10:80", "forward": "nat", "real_servers": [server]}]});
    ipvsadm("-A -t 192.0.2.10:79");
    host::ip("address add 10.1.0.1/24 dev lo");
    let said = refuse(with(json!({"address": "10.1.0.255"})));
    assert!(said.starts_with("cannot add the real server 10.1.0.255:80 of tcp 192.0.2.10:80: 10.1.0.255 is not the address of a host here"), "{said}");
    assert!(said.contains("; nothing is changed"), "{said}");
    let said = refuse(json!({"address": "192.0.2.10:80", "scheduler": "nosuch"}));
    assert_eq!(
        said,
        "cannot set the service tcp 192.0.2.10:80: the kernel has no scheduler nosuch (module ip_vs_nosuch); give one that it has"
    );
    // In the middle of what goes in one write, the one is named and all others are taken back.
    let mut servers: Vec<_> = (1..=100).map(|host| json!({"address": format!("10.1.1.{host}")})).collect();
    servers[50] = json!({"address": "10.1.0.255"});
    let said = refuse(json!({"address": "192.0.2.10:80", "forward": "nat", "real_servers": servers}));
    assert!(said.starts_with("cannot add the real server 10.1.0.255:80 of tcp 192.0.2.10:80: "), "{said}");
    // Where nobody can tell beforehand, the kernel does.
    host::ip("link add dummy7 type dummy");
    let bare =
        services(json!({"services": [{"fwmark": 7}, {"address": "192.0.2.10:80", "scheduler": "nosuch"}]}));
    let proc = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/proc", proc.path().join("proc")).unwrap();
    let said = bare.under(proc.path()).apply().err().unwrap().sentence();
    assert!(
        said.starts_with("cannot add the service tcp 192.0.2.10:80: the kernel has no scheduler nosuch"),
        "{said}"
    );
    assert!(said.ends_with("; nothing is changed"), "{said}");
}

#[test]
fn a_namespace_without_ipv4_and_one_with_a_sync_daemon_are_told_of() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let task = |address: &str| json!({"address": "192.0.2.10:80", "forward": "tun", "real_servers": [{"address": address}]});
    let said = refuse(task("10.0.0.11"));
    assert!(said.contains("bring lo up first"), "{said}");
    enter_director();
    host::ip("link add dummy0 up type dummy");
    host::ip("address add 10.2.0.1/24 dev dummy0");
    ipvsadm("-A -t 192.0.2.10:79");
    ipvsadm("--start-daemon master --mcast-interface dummy0");
    let said = refuse(task("2001:db8::11"));
    assert!(said.contains("a sync daemon runs"), "{said}");
    ipvsadm("--stop-daemon master");
    apply(task("2001:db8::11"));
}

#[test]
fn who_owns_the_table_is_left_alone() {
    enter_director();
    let root = tempfile::tempdir().unwrap();
    for place in ["proc", "sys", "lib"] {
        std::os::unix::fs::symlink(format!("/{place}"), root.path().join(place)).unwrap();
    }
    let said = |task: Value| services(task).under(root.path()).apply().err().map(|error| error.sentence());
    let refused = |task: Value, words: &str| {
        let said = said(task).unwrap_or_default();
        assert!(said.contains(words), "{said}");
    };
    let main = "/etc/keepalived/keepalived.conf";
    for (file, text, by) in [
        (main, "virtual_server 192.0.2.10 80 {\n}\nvirtual_server fwmark 7 {\n}\n", "keepalived"),
        (
            main,
            "virtual_server_group web {\n192.0.2.10 80\nfwmark 7\n}\nvirtual_server group web {\n}\n",
            "keepalived",
        ),
        ("/etc/ha.d/ldirectord.cf", "virtual=192.0.2.10:80\nvirtual=7\n", "ldirectord"),
        ("/etc/ldirectord.cf", "virtual=192.0.2.10:80\nvirtual=7\n", "ldirectord"),
    ] {
        let path = root.path().join(&file[1..]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let theirs = format!("{by} on this host owns it, as ");
        refused(json!({"address": "192.0.2.10:80"}), &theirs);
        refused(json!({"fwmark": 7}), &theirs);
        refused(json!({"address": "192.0.2.10:81", "purge": "all"}), "use purge: real_servers");
        assert_eq!(saved(), Vec::<String>::new());
        assert_eq!(said(json!({"address": "192.0.2.10:81"})), None);
        ipvsadm("-C");
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(said(json!({"address": "192.0.2.10:81"})), None);
    for (device, by) in [("kube-ipvs0", "kube-proxy owns it"), ("kube-dummy-if", "kube-router owns it")] {
        host::ip(&format!("link add {device} type dummy"));
        refused(json!({"address": "192.0.2.10:82"}), by);
        assert_eq!(said(json!({"address": "192.0.2.10:81"})), None, "nothing to change");
        host::ip(&format!("link del {device}"));
    }
}

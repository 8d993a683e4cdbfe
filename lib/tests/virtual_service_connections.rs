//! Connections through virtual services on a kernel that has IPVS, in a guest: `make guests`. Clients, director and real servers
//! are on the loopback of a network namespace of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use director::{Client, balance, enter_director, ipvsadm, look, saved, served, services};
use lvs_host::Mode;
use serde_json::{Value, json};

const SERVICE: &str = "192.0.2.10:80";
const A: &str = "127.0.1.1:8080";
const B: &str = "127.0.1.2:8080";

/// Starts the real servers a and b, and a service that sends to both.
fn enter(scheduler: &str) {
    enter_director();
    balance(SERVICE, A, B, scheduler);
}

/// Returns a task about the service with further options.
fn web(options: Value) -> Value {
    let mut task = json!({"address": SERVICE});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

fn apply(options: Value) -> lvs_host::Report<lvs_host::virtual_service::VirtualService> {
    services(web(options)).apply().unwrap()
}

/// Returns a connection that a serves.
fn connection_to_a() -> Client {
    (1..20)
        .filter_map(|from| Client::connect(from, SERVICE).ok())
        .find(|client| client.server == "a")
        .unwrap()
}

#[test]
fn no_connection_is_lost_while_everything_about_a_service_changes() {
    enter_director();
    change_everything(SERVICE, A, B, json!({"timeout": 60, "netmask": "255.255.255.0"}));
}

#[test]
fn no_connection_of_ipv6_is_lost_either() {
    enter_director();
    let (a, b) = ("[2001:db8:7f::a]:8080", "[2001:db8:7f::b]:8080");
    change_everything("[2001:db8::10]:80", a, b, json!({"timeout": 60, "prefix": 64}));
}

/// Changes a service and its real servers while 10 connections last and clients come.
fn change_everything(service: &str, a: &str, b: &str, persistence: Value) {
    balance(service, a, b, "rr");
    let mut long: Vec<_> = (1..=10).map(|from| Client::connect(from, service).unwrap()).collect();
    let (done, requests) = (AtomicBool::new(false), AtomicU32::new(0));
    let (current, failures) = (Mutex::new(String::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for from in (100..=200).cycle() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let before = current.lock().unwrap().clone();
                let outcome = Client::connect(from, service).map(|mut client| client.is_alive());
                let change = format!("{before} and {}", current.lock().unwrap());
                match outcome {
                    Ok(true) => drop(requests.fetch_add(1, Ordering::Relaxed)),
                    failed => failures.lock().unwrap().push(format!("{failed:?} with {change}")),
                }
            }
        });
        for _ in 0..4 {
            for change in [
                json!({"scheduler": "wlc"}),
                json!({"scheduler": "sh", "flags": ["sh-port", "sh-fallback"]}),
                json!({"scheduler": "mh", "flags": ["mh-fallback"]}),
                json!({"persistence": persistence}),
                json!({"real_servers": [{"address": a, "weight": 5, "upper_threshold": 1000}]}),
                json!({"persistence": 0, "flags": [], "scheduler": "wrr"}),
                json!({"real_servers": [{"address": a, "weight": 0}]}),
                json!({"real_servers": [{"address": b, "weight": 3}, {"address": a, "weight": 1, "upper_threshold": 0}]}),
            ] {
                *current.lock().unwrap() = change.to_string();
                let mut task = change.clone();
                task["address"] = json!(service);
                assert!(!services(task).apply().unwrap().plan.is_empty(), "{change}");
                *current.lock().unwrap() = "nothing".to_owned();
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(long.iter_mut().all(Client::is_alive));
    tell(requests.into_inner(), failures.into_inner().unwrap());
}

/// While the kernel changes the scheduler, a service has none for a moment (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_edit_service), and
/// refuses new clients; nothing else may fail.
fn tell(requests: u32, failures: Vec<String>) {
    eprintln!("{requests} requests were answered during 32 changes, and 10 connections lived through them");
    let (refused, lost): (Vec<_>, Vec<_>) = failures
        .into_iter()
        .partition(|failure| failure.contains("ConnectionRefused") && failure.contains("scheduler"));
    eprintln!("{} new clients were refused while the scheduler changed", refused.len());
    assert_eq!(lost, Vec::<String>::new());
    assert!(requests > 100, "{requests} requests are few");
}

#[test]
fn a_real_server_is_drained_before_it_goes() {
    enter("rr");
    let mut client = connection_to_a();
    let task = web(json!({"real_servers": [{"address": A, "state": "absent"}], "drain": 60}));
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            services(task).apply().map(|report| report.plan.iter().count()).map_err(|error| error.sentence())
        });
        while !look().contains(&format!("-r {A} -m -w 0")) {
            assert!(!run.is_finished());
        }
        assert_eq!(served(6, SERVICE), ["b"; 6], "new clients go elsewhere");
        std::thread::sleep(Duration::from_secs(1));
        assert!(!run.is_finished() && client.is_alive());
        drop(client);
        let began = Instant::now();
        assert_eq!(run.join().unwrap(), Ok(1));
        assert!(began.elapsed() < Duration::from_secs(20));
    });
    assert!(!look().contains(A));
}

#[test]
fn all_of_a_purge_is_drained_too_and_a_service_that_goes() {
    enter("rr");
    let client = connection_to_a();
    let began = Instant::now();
    let closing = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(2));
        drop(client);
    });
    apply(json!({"state": "absent", "drain": 60}));
    assert!(began.elapsed() >= Duration::from_secs(2));
    closing.join().unwrap();
    assert_eq!(saved(), Vec::<String>::new());
}

#[test]
fn a_drain_that_takes_too_long_fails_and_the_weight_stays_0() {
    enter("rr");
    let mut client = connection_to_a();
    for (options, counts) in [
        (json!({"real_servers": [{"address": A, "state": "absent"}], "drain": 1}), "has 1 active;"),
        (json!({"real_servers": [{"address": B}], "purge": "real_servers", "drain": 1}), "has 1 active;"),
        (json!({"real_servers": [{"address": A, "state": "drained"}], "drain": 1}), "has 1 active;"),
        (
            json!({"real_servers": [{"address": A, "state": "drained"}], "drain": 1, "drain_until": "all"}),
            "has 1 active, 0 inactive, 0 persistent;",
        ),
    ] {
        services(web(json!({"real_servers": [{"address": A, "weight": 7}]}))).apply().unwrap();
        let error = services(web(options.clone())).apply().err().unwrap();
        let said = error.sentence();
        let wanted = format!(
            "cannot wait any longer for connections to end after 1 s: the real server {A} of tcp {SERVICE} {counts}"
        );
        assert!(said.starts_with(&wanted), "{said}");
        assert!(
            said.ends_with(
                "; nothing else is changed, in force is -a -t 192.0.2.10:80 -r 127.0.1.1:8080 -m -w 0"
            ),
            "{said}"
        );
        assert!(error.left_changes(), "{options}");
        assert!(look().contains(&format!("-r {A} -m -w 0")) && client.is_alive());
        // Again, when nothing is left to write.
        let again = services(web(options)).apply().err().unwrap();
        assert!(again.sentence().contains(counts), "{}", again.sentence());
        assert!(!again.left_changes(), "{}", again.sentence());
    }
    drop(client);
    apply(json!({"real_servers": [{"address": A, "state": "absent"}], "drain": 10}));
    assert!(!look().contains(A));
}

#[test]
fn a_task_that_does_not_wait_tells_how_many_connections_are_left_until_there_are_none() {
    enter("rr");
    let client = connection_to_a();
    let task = services(web(json!({"real_servers": [{"address": A, "state": "drained"}]})));
    let told = |mode| task.remarks(mode)["connections"][0].clone();
    let active =
        |count| json!({"service": "tcp 192.0.2.10:80", "real_server": A, "weight": 0, "active": count});
    let without_others = |mut told: Value| {
        told.as_object_mut().unwrap().retain(|key, _| !["inactive", "persistent"].contains(&key.as_str()));
        told
    };
    assert_eq!(without_others(told(Mode::Check)), active(1));
    assert_eq!(without_others(told(Mode::Apply)), active(1));
    assert!(task.apply().unwrap().plan.is_empty());
    drop(client);
    let end = Instant::now() + Duration::from_secs(10);
    while without_others(told(Mode::Apply)) != active(0) {
        assert!(Instant::now() < end, "{}", told(Mode::Apply));
    }
}

#[test]
fn a_removal_that_is_put_back_keeps_its_connections() {
    enter("rr");
    let mut client = connection_to_a();
    ipvsadm("-A -t 192.0.2.10:81 -s rr");
    let before = look();
    let task = json!({"services": [], "purge": "all"}).to_string();
    // The last request of all is the removal of the second service; what is read after it does not matter.
    let trace = |inject: &str| {
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-e", "trace=sendto", "-e", inject, "/modules/virtual_service", &task]);
        strace.output().unwrap()
    };
    let mut undone = 0;
    for call in 1..60 {
        let output = trace(&format!("inject=sendto:error=EPERM:when={call}"));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        if answer["failed"] != json!(true) {
            assert_eq!(saved(), Vec::<String>::new(), "{answer}");
            assert!(undone > 5, "{undone}");
            return;
        }
        undone += 1;
        assert_eq!((look(), &answer["changed"]), (before.clone(), &json!(false)), "call {call}: {answer}");
        assert!(client.is_alive(), "call {call}: {answer}");
    }
    panic!("the task has fewer requests than were tried");
}

#[test]
fn schedulers_that_hash_refuse_clients_of_weight_0_and_that_is_warned_of() {
    enter("rr");
    for (scheduler, flags, refused) in [
        ("sh", json!([]), true),
        ("mh", json!([]), true),
        ("dh", json!([]), true),
        ("sh", json!(["sh-fallback"]), false),
        ("mh", json!(["mh-fallback"]), false),
        ("rr", json!([]), false),
    ] {
        let both = |weight| json!([{"address": A, "weight": weight}, {"address": B, "weight": 1}]);
        apply(json!({"scheduler": scheduler, "flags": flags, "real_servers": both(1)}));
        let report = apply(json!({"real_servers": both(0)}));
        let warned = report.warnings.iter().any(|warning| warning.contains("are refused"));
        assert_eq!(warned, refused, "{scheduler} {flags}: {:?}", report.warnings);
        let served = served(30, SERVICE);
        // dh has one real server for all clients of one address.
        let is_refused = served.iter().any(|server| server == "-");
        assert!(scheduler == "dh" || is_refused == refused, "{scheduler} {flags}: {served:?}");
        assert!(served.iter().all(|server| server != "a"), "{scheduler} {flags}: {served:?}");
    }
}

#[test]
fn what_lets_clients_come_to_weight_0_or_drops_them_is_warned_of() {
    enter("rr");
    let warnings = |options: Value| services(web(options)).check().unwrap().warnings;
    let drained = json!({"real_servers": [{"address": A, "state": "drained"}]});
    assert_eq!(warnings(drained.clone()), Vec::<String>::new());
    apply(json!({"persistence": 300}));
    let said = warnings(drained.clone());
    assert!(said[0].contains("clients of the last 300 s still come to it"), "{said:?}");
    std::fs::write("/proc/sys/net/ipv4/vs/expire_quiescent_template", "1").unwrap();
    assert_eq!(warnings(drained), Vec::<String>::new());
    let all =
        json!({"real_servers": [{"address": A, "state": "drained"}, {"address": B, "state": "drained"}]});
    assert!(
        warnings(all)[0].ends_with("has no real server with a weight any more, so its clients are refused")
    );
    apply(json!({"persistence": 0}));
    let _client = connection_to_a();
    let gone = json!({"real_servers": [{"address": A, "state": "absent"}]});
    let said = warnings(gone.clone());
    assert!(said[0].contains("is removed with connections"), "{said:?}");
    std::fs::write("/proc/sys/net/ipv4/vs/expire_nodest_conn", "1").unwrap();
    assert_eq!(warnings(gone), Vec::<String>::new());
    apply(json!({"real_servers": [{"address": A, "weight": 0}]}));
    let said = warnings(json!({"real_servers": [{"address": A}]}));
    assert!(said[0].contains("give weight to bring it back"), "{said:?}");
}

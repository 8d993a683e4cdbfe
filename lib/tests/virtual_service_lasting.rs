//! Which connections last while what they go through changes, on a kernel that has IPVS, in a guest: `make ipvs`. What the page promises
//! of connections is the kernel's doing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use director::{Client, balance, enter_director, ipvsadm, served, services};
use lvs_host::Mode;
use serde_json::{Value, json};

const SERVICE: &str = "192.0.2.10:80";
const A: &str = "127.0.1.1:80";
const B: &str = "127.0.1.2:80";

/// Long enough for what is sent again.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_secs(1);

/// Starts the real servers a and b and a service that sends to both; returns a connection that a serves.
fn enter() -> Client {
    enter_director();
    balance(SERVICE, A, B, "rr");
    (1..20)
        .filter_map(|from| Client::connect(from, SERVICE).ok())
        .find(|client| client.server == "a")
        .unwrap()
}

/// Changes the service; something must change.
fn apply(options: Value) {
    let mut task = json!({"address": SERVICE});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    assert!(!services(task).apply().unwrap().plan.is_empty(), "{options}");
}

/// Changes the real server a of the service.
fn apply_to_a(options: Value) {
    let mut server = json!({"address": A});
    server.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    apply(json!({"real_servers": [server]}));
}

/// Returns what the answer tells of the connections of a.
fn connections_of_a() -> Value {
    let task = json!({"address": SERVICE, "real_servers": [{"address": A, "state": "drained"}]});
    services(task).remarks(Mode::Check)["connections"][0].clone()
}

/// Has another service keep the hooks of IPv4 in place.
fn keep_the_family() {
    ipvsadm("-A -t 192.0.2.10:81 -s rr");
}

/// Returns how new clients of the service are turned away.
fn turned_away() -> ErrorKind {
    Client::connect(99, SERVICE).map(drop).unwrap_err().kind()
}

#[test]
fn at_weight_0_a_connection_goes_on_and_new_clients_go_elsewhere() {
    let mut client = enter();
    apply_to_a(json!({"weight": 0}));
    assert_eq!(client.fate(SHORT), "alive");
    assert_eq!(connections_of_a()["active"], json!(1));
    assert_eq!(served(6, SERVICE), ["b"; 6]);
}

#[test]
fn a_real_server_that_goes_drops_in_silence_and_one_that_comes_back_goes_on() {
    let mut client = enter();
    let counted = || {
        // The kernel adds up what it counted every two seconds (net/netfilter/ipvs/ip_vs_est.c).
        std::thread::sleep(Duration::from_secs(5));
        let stats = ipvsadm("-Ln --stats --exact");
        let line = stats.lines().find(|line| line.contains(A)).unwrap().to_owned();
        line.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap()
    };
    let before = counted();
    assert!(before > 0);
    apply_to_a(json!({"state": "absent"}));
    assert_eq!(client.fate(SHORT), "silent");
    assert!(ipvsadm("-Lnc").contains("ESTABLISHED"), "{}", ipvsadm("-Lnc"));
    assert_eq!(served(6, SERVICE), ["b"; 6]);
    // With another weight, and another method than the connection began with.
    apply_to_a(json!({"weight": 5, "forward": "dr"}));
    assert_eq!(client.fate(LONG), "alive");
    assert_eq!(counted(), before, "what was counted is back");
}

#[test]
fn a_service_that_is_made_anew_goes_on() {
    let mut client = enter();
    keep_the_family();
    apply(json!({"state": "absent"}));
    assert_eq!(turned_away(), ErrorKind::ConnectionRefused);
    assert_eq!(client.fate(SHORT), "silent");
    apply(json!({"scheduler": "wlc", "forward": "nat", "real_servers": [{"address": A}]}));
    assert_eq!(client.fate(LONG), "alive", "what was sent meanwhile too");
}

#[test]
fn the_last_service_of_its_family_takes_its_connections_along() {
    let mut client = enter();
    apply(json!({"state": "absent"}));
    assert_eq!(client.fate(SHORT), "reset");
}

#[test]
fn a_table_that_is_emptied_and_made_anew_keeps_idle_connections() {
    let mut client = enter();
    assert!(!services(json!({"services": [], "purge": "all"})).apply().unwrap().plan.is_empty());
    apply(json!({"scheduler": "rr", "forward": "nat", "real_servers": [{"address": A}, {"address": B}]}));
    assert_eq!(client.fate(LONG), "alive");
    let lines = director::saved().join("\n") + "\n";
    ipvsadm("-C");
    director::restore(&lines);
    assert_eq!(client.fate(LONG), "alive", "by ipvsadm too");
}

#[test]
fn with_expire_nodest_conn_a_removal_is_for_ever() {
    let mut client = enter();
    std::fs::write("/proc/sys/net/ipv4/vs/expire_nodest_conn", "1").unwrap();
    apply_to_a(json!({"state": "absent"}));
    assert_ne!(client.fate(SHORT), "alive");
    apply_to_a(json!({"forward": "nat"}));
    assert_ne!(client.fate(LONG), "alive");
}

#[test]
fn a_service_that_has_nobody_to_send_to_refuses() {
    let _client = enter();
    for (what, options) in [
        (
            "only weight 0",
            json!({"real_servers": [{"address": A, "weight": 0}, {"address": B, "weight": 0}]}),
        ),
        // a has a connection.
        (
            "over the upper threshold",
            json!({"real_servers": [{"address": A, "weight": 1, "upper_threshold": 1}]}),
        ),
        ("no real server", json!({"real_servers": [], "purge": "real_servers"})),
    ] {
        apply(options);
        // Linux 5.10 looks at a threshold only when a connection comes, which it lets in (ip_vs_conn.c, ip_vs_bind_dest).
        let _next = Client::connect(98, SERVICE);
        assert_eq!(turned_away(), ErrorKind::ConnectionRefused, "{what}");
    }
    apply(json!({"forward": "nat", "real_servers": [{"address": B}]}));
    assert_eq!(served(1, SERVICE), ["b"]);
    ipvsadm("-E -t 192.0.2.10:80 -s none");
    assert_eq!(turned_away(), ErrorKind::ConnectionRefused, "the scheduler none");
    let log = Command::new("dmesg").output().unwrap();
    assert!(String::from_utf8_lossy(&log.stdout).contains("no destination available"));
}

#[test]
fn what_was_closed_is_inactive_at_once_and_templates_outlive_persistence() {
    let client = enter();
    let is = |name: &str, wanted: u32| {
        let told = connections_of_a();
        assert_eq!(told[name], json!(wanted), "{name}: {told}");
    };
    is("active", 1);
    drop(client);
    std::thread::sleep(SHORT);
    is("active", 0);
    assert!(connections_of_a()["inactive"].as_u64().unwrap() >= 1);
    is("persistent", 0);
    apply(json!({"persistence": 300}));
    assert_eq!(served(4, SERVICE).len(), 4);
    let templates = connections_of_a()["persistent"].clone();
    assert!(templates.as_u64().unwrap() >= 1, "{templates}");
    apply(json!({"persistence": 0}));
    assert_eq!(connections_of_a()["persistent"], templates);
}

#[test]
fn a_connection_keeps_the_method_that_it_began_with_whatever_changes() {
    let mut client = enter();
    for options in [
        json!({"scheduler": "mh"}),
        json!({"scheduler": "sh"}),
        json!({"scheduler": "wlc", "flags": ["flag-1"]}),
        json!({"persistence": 300}),
        json!({"persistence": 0}),
        json!({"real_servers": [{"address": A, "upper_threshold": 1}]}),
        json!({"real_servers": [{"address": A, "forward": "dr"}, {"address": B, "forward": "dr"}]}),
        json!({"real_servers": [{"address": A, "weight": 0}]}),
    ] {
        apply(options.clone());
        assert_eq!(client.fate(SHORT), "alive", "{options}");
    }
    let _new = Client::connect(98, SERVICE);
    let connections = ipvsadm("-Ln");
    assert!(connections.contains("Route") && !connections.contains("Masq"), "{connections}");
}

//! An alias and who else is there: other runs, other hosts, keepalived, other namespaces, interfaces that come later.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;

use aliases::{add_as_keepalived_does, alias, apply, look, refuse, shown};
use host::{enter_network, fail_by_the_laws, ip};
use serde_json::json;

#[test]
fn a_missing_interface_is_named() {
    enter_network();
    let error = refuse(json!({"name": "nowhere:1", "address": "192.0.2.1/24"}));
    assert!(error.starts_with("cannot find the interface nowhere: "), "{error}");
}

#[test]
fn many_runs_at_once_take_turns() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    std::thread::scope(|scope| {
        for number in 1..=20 {
            let namespace = &namespace;
            scope.spawn(move || {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let address = format!("192.0.2.{}/24", 10 + number);
                let alias = alias(json!({"name": format!("v0:{number}"), "address": address}));
                assert!(!alias.apply().unwrap().plan.is_empty());
            });
        }
    });
    assert_eq!(shown().len(), 21);
}

#[test]
fn a_run_waits_for_another_one_in_the_same_namespace_and_check_mode_does_not() {
    enter_network();
    let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let lock = lvs_host::file::Lock::on(&lvs_host::netns::current().unwrap().to_string()).unwrap();
    let task = json!({"name": "v0:1", "address": "192.0.2.10/32"});
    assert_eq!(alias(task.clone()).check().unwrap().plan.items().count(), 1);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            alias(task.clone()).apply().unwrap();
        });
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!run.is_finished() && shown().is_empty(), "it waits");
        drop(lock);
        run.join().unwrap();
    });
    assert_eq!(shown(), ["192.0.2.10/32 v0:1"]);
}

#[test]
fn a_lock_on_the_namespace_which_everybody_can_open_stops_nobody() {
    enter_network();
    let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    namespace.lock().unwrap();
    let start = std::time::Instant::now();
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/32"})));
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn purge_takes_what_is_not_listed_and_never_what_is_not_its_own() {
    enter_network();
    let start = || {
        ip("-4 address flush dev v0");
        for address in
            ["192.0.2.1/24", "192.0.2.7/24 label v0:1", "192.0.2.8/24 label v0:1", "192.0.2.9/24 label v0:2"]
        {
            ip(&format!("address add {address} dev v0"));
        }
        ip("address add 192.0.2.50/32 dev v0 valid_lft 1000 preferred_lft 1000");
        add_as_keepalived_does("v0", "192.0.2.51");
        alias(json!({"name": "v0:3", "address": "192.0.2.60/24"})).apply().unwrap();
        ip("address add 169.254.1.1/16 dev v0 scope link");
    };
    let left = |purge: &str| {
        start();
        apply(json!({"name": "v0:1", "address": "192.0.2.7/24", "purge": purge}));
        let mut left: Vec<String> =
            shown().iter().map(|line| line.split('/').next().unwrap().replace("192.0.2.", "")).collect();
        left.sort();
        left.join(" ")
    };
    assert_eq!(left("label"), "1 169.254.1.1 50 51 60 7 9");
    assert_eq!(left("owned"), "1 169.254.1.1 50 51 7 8 9");
    assert_eq!(left("all"), "169.254.1.1 50 51 7");
    start();
    let error = refuse(json!({"name": "v0:1", "address": "192.0.2.7/24"}));
    assert!(error.contains("hold it"), "nothing is purged unasked: {error}");
}

#[test]
fn a_stand_in_that_a_killed_run_left_is_recognised_and_goes() {
    enter_network();
    ip("address add 192.0.2.1/24 dev v0");
    let killed_before_the_new_one = || {
        apply(json!({"name": "v0", "address": "192.0.2.10/32", "noprefixroute": true}));
    };
    killed_before_the_new_one();
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/24"})));
    assert_eq!(shown(), ["192.0.2.1/24 v0", "192.0.2.10/24 v0:1 secondary"]);
    ip("address del 192.0.2.10/24 dev v0");
    killed_before_the_new_one();
    ip("address add 192.0.2.10/24 dev v0");
    assert!(apply(json!({"name": "v0", "address": "192.0.2.10", "state": "absent"})));
    assert_eq!(shown(), ["192.0.2.1/24 v0"]);
}

#[test]
fn an_address_that_another_host_has_fails_and_is_tried_anew() {
    enter_network();
    // The far end is another host in all but name: detection goes over the wire.
    ip("address add 2001:db8::10/64 dev v0-far nodad");
    let task = json!({"name": "v0", "address": "2001:db8::10/64"});
    let error = alias(task.clone()).apply().err().expect("another host has it").sentence();
    assert!(error.contains("another host has it already"), "{error}");
    assert!(!ip("-6 address show dev v0").contains("2001:db8::10"), "it is taken back");
    ip("address del 2001:db8::10/64 dev v0-far");
    assert!(apply(task.clone()));
    assert!(!ip("-6 address show dev v0 tentative").contains("2001:db8::10"), "it is waited for");
}

#[test]
fn an_address_that_failed_detection_is_drift_and_is_mended() {
    enter_network();
    ip("address add 2001:db8::10/64 dev v0-far nodad");
    ip("address add 2001:db8::10/64 dev v0");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !ip("-6 address show dev v0").contains("dadfailed") {
        assert!(std::time::Instant::now() < end, "detection fails");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ip("address del 2001:db8::10/64 dev v0-far");
    assert!(apply(json!({"name": "v0", "address": "2001:db8::10/64"})));
    assert!(!ip("-6 address show dev v0").contains("dadfailed"));
}

#[test]
fn without_a_carrier_a_tentative_address_is_accepted_with_a_warning() {
    enter_network();
    ip("link set v0-far down");
    let report = alias(json!({"name": "v0", "address": "2001:db8::10/64"})).apply().unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("carrier")), "{:?}", report.warnings);
}

#[test]
fn an_interface_that_is_to_come_is_waited_for() {
    enter_network();
    let task = json!({"name": "w0:1", "address": "192.0.2.10/32", "wait": 5});
    let report = alias(task.clone()).check().unwrap();
    assert_eq!(report.plan.items().count(), 1, "check mode predicts the address");
    assert!(report.warnings[0].contains("w0 is not there yet"), "{:?}", report.warnings);
    let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            ip("link add w0 type veth peer name w1");
        });
        assert!(!alias(task.clone()).apply().unwrap().plan.is_empty());
    });
    let late =
        alias(json!({"name": "x0", "address": "192.0.2.11/32", "wait": 1})).apply().err().unwrap().sentence();
    assert!(late.contains("cannot find the interface x0"), "{late}");
}

#[test]
fn another_network_namespace_is_entered() {
    enter_network();
    let own = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            enter_network();
            let task = json!({"name": "v0:1", "address": "192.0.2.10/24", "netns": path});
            assert!(!alias(task).apply().unwrap().plan.is_empty());
        });
    });
    nix::sched::setns(&own, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    assert_eq!(shown(), ["192.0.2.10/24 v0:1"]);
}

#[test]
fn an_address_that_keepalived_owns_is_refused() {
    enter_network();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc/keepalived")).unwrap();
    let text = "vrrp_instance VI_1 {\n virtual_ipaddress {\n  192.0.2.10/24 dev v0\n }\n}\n";
    std::fs::write(root.path().join("etc/keepalived/keepalived.conf"), text).unwrap();
    let alias = |address: &str| alias(json!({"name": "v0:1", "address": address})).under(root.path());
    let error = alias("192.0.2.10/24").check().err().expect("check refuses it too").sentence();
    assert!(error.contains("keepalived on this host owns 192.0.2.10"), "{error}");
    assert_eq!(fail_by_the_laws(&alias("192.0.2.10/24"), look), error);
    alias("192.0.2.11/24").apply().unwrap();
    let text = format!("{text}static_ipaddress {{\n ~SEQ(last, 20, 25) 192.0.2.${{last}}\n}}\n");
    std::fs::write(root.path().join("etc/keepalived/keepalived.conf"), text).unwrap();
    let tells = |address: &str| {
        let warnings = alias(address).check().unwrap().warnings;
        warnings.iter().any(|one| one.contains("~SEQ(last") && one.contains("only keepalived knows"))
    };
    assert!(tells("192.0.2.12/24"));
    assert!(!tells("192.0.2.11/24"), "nothing is added");
}

#[test]
fn an_interface_is_brought_up_when_asked_and_taken_down_again_by_a_failure() {
    enter_network();
    let is_up = || ip("link show dev v0").contains(",UP");
    ip("address add 192.0.2.1/24 dev v0");
    ip("link set v0 down");
    assert!(apply(json!({"name": "v0:1", "address": "192.0.2.10/24"})));
    assert!(!is_up(), "nobody asked for it");
    let task = json!({"name": "v0:1", "address": "192.0.2.10/24", "link_up": true});
    assert!(apply(task.clone()), "an interface that is down is drift");
    assert!(is_up() && !apply(task));
    // A failure after it came up: another host has the address. What an interface that is down forgets comes back.
    ip("address add 2001:db8::10/64 dev v0-far nodad");
    ip("link set v0 down");
    ip("address add 2001:db8::1/64 dev v0 nodad");
    let before = look();
    let error = refuse(json!({"name": "v0", "address": "2001:db8::10/64", "link_up": true}));
    assert!(error.contains("another host has it already"), "{error}");
    assert!(!is_up() && look() == before);
    let absent = json!({"name": "v0:1", "address": "192.0.2.10", "state": "absent", "link_up": true});
    assert!(apply(absent) && !is_up(), "what is to go needs no interface that is up");
}

#[test]
fn an_interface_is_found_by_an_alternative_name_and_the_label_is_of_its_own() {
    enter_network();
    let long = "an-alternative-name-may-be-longer-than-fifteen-bytes";
    ip("link property add dev v0 altname enp0s31f6np0");
    ip(&format!("link property add dev v0 altname {long}"));
    assert!(apply(json!({"name": "enp0s31f6np0:vip", "address": "192.0.2.10/24"})));
    assert!(!apply(json!({"name": "v0:vip", "address": "192.0.2.10/24"})));
    assert!(apply(json!({"name": long, "label": format!("{long}:2"), "address": "192.0.2.11/24"})));
    assert!(apply(json!({"name": long, "address": "192.0.2.12/24"})), "the kernel's own label");
    assert_eq!(
        shown(),
        ["192.0.2.10/24 v0:vip", "192.0.2.11/24 v0:2 secondary", "192.0.2.12/24 v0 secondary"]
    );
    let twice = json!({"aliases": [{"name": "v0", "address": "192.0.2.9/24"}, {"name": long, "address": "192.0.2.9/24"}]});
    assert!(refuse(twice).contains("192.0.2.9 on v0 is there twice"));
    let error = refuse(json!({"name": format!("{long}:much-too-long"), "address": "192.0.2.13/24"}));
    assert!(error.contains("label \"v0:much-too-long\""), "{error}");
    assert!(apply(json!({"name": format!("{long}:2"), "state": "absent"})));
    assert!(!apply(json!({"name": format!("{long}x:2"), "state": "absent"})));
}

//! Virtual services on a kernel that has IPVS, in a guest: `make guests`. Each test in a network namespace of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use director::{apply, enter_director, ipvsadm, look, refuse, restore, saved, services};
use lvs_host::Mode;
use lvs_host::Resource;
use serde_json::{Value, json};

/// Returns a task about the service tcp 192.0.2.10:80 with further options.
fn web(options: Value) -> Value {
    let mut task = json!({"address": "192.0.2.10:80"});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

#[test]
fn services_of_every_kind_come_change_and_go() {
    enter_director();
    let real = |address: &str| json!([{"address": address}]);
    for (create, change, line) in [
        (
            json!({"address": "192.0.2.10:80", "forward": "dr", "real_servers": real("10.0.0.11")}),
            json!({"address": "192.0.2.10", "port": 80, "scheduler": "sh", "flags": ["sh-port"]}),
            "-A -t 192.0.2.10:80 -s sh -b sh-port",
        ),
        (
            json!({"address": "192.0.2.10", "port": 53, "protocol": "udp", "flags": ["ops"], "forward": "nat",
                "real_servers": real("10.0.0.11:5353")}),
            json!({"address": "192.0.2.10:53", "protocol": "udp", "flags": [], "scheduler": "rr"}),
            "-A -u 192.0.2.10:53 -s rr",
        ),
        (
            json!({"address": "192.0.2.10:36412", "protocol": "sctp", "forward": "tun", "real_servers": real("10.0.0.11")}),
            json!({"address": "192.0.2.10:36412", "protocol": "sctp", "persistence": {"netmask": "255.255.255.0"}}),
            "-A --sctp-service 192.0.2.10:36412 -s wlc -p 360 -M 255.255.255.0",
        ),
        (
            json!({"fwmark": 7, "forward": "nat", "real_servers": real("10.0.0.11")}),
            json!({"fwmark": 7, "persistence": 60}),
            "-A -f 7 -s wlc -p 60",
        ),
        (
            json!({"fwmark": 8, "family": "ipv6", "forward": "dr", "real_servers": real("2001:db8::11")}),
            json!({"fwmark": 8, "family": "ipv6", "persistence": {"timeout": 60, "prefix": 64}, "scheduler": "mh",
                "flags": ["mh-port", "mh-fallback"]}),
            "-A -f 8 -6 -s mh -p 60 -M 64 -b mh-fallback,mh-port",
        ),
        (
            json!({"address": "[2001:db8::10]:443", "forward": "dr", "real_servers": real("2001:db8::11")}),
            json!({"address": "2001:db8::10", "port": 443, "persistence": 0, "flags": ["flag-3"]}),
            "-A -t [2001:db8::10]:443 -s wlc -b flag-3",
        ),
        (
            json!({"address": "192.0.2.10:5060", "protocol": "udp", "persistence": {"timeout": 60, "engine": "sip"}}),
            json!({"address": "192.0.2.10:5060", "protocol": "udp", "scheduler": "rr"}),
            "-A -u 192.0.2.10:5060 -s rr -p 60 --pe sip",
        ),
        (
            json!({"address": "192.0.2.10:0", "persistence": 300, "forward": "nat", "real_servers": real("10.0.0.11")}),
            json!({"address": "192.0.2.10:0", "scheduler": "lc"}),
            "-A -t 192.0.2.10:0 -s lc -p 300",
        ),
    ] {
        assert!(!apply(create.clone()).plan.is_empty(), "{create}");
        assert!(!apply(change.clone()).plan.is_empty(), "{change}");
        let lines = diff(&change);
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:?}");
        let mut gone = create.clone();
        gone["state"] = json!("absent");
        assert!(!apply(gone).plan.is_empty(), "{create}");
        assert_eq!(saved(), Vec::<String>::new(), "{create}");
    }
}

/// Returns the lines with which a task shows what is there.
fn diff(task: &Value) -> Vec<String> {
    let mut resource = services(task.clone()).open(Mode::Check).unwrap();
    let found = resource.observe().unwrap();
    found.iter().map(|(item, value)| resource.show(item, value).1).collect()
}

#[test]
fn what_a_task_does_not_name_is_left_alone_though_the_kernel_takes_entries_whole() {
    enter_director();
    ipvsadm("-A -t 192.0.2.10:80 -s sh -p 100 -M 255.255.0.0 -b sh-port");
    ipvsadm(
        "-a -t 192.0.2.10:80 -r 10.0.0.11 -i -w 5 -x 100 -y 50 --tun-type gue --tun-port 6080 --tun-csum",
    );
    ipvsadm("-a -t 192.0.2.10:80 -r 10.0.0.12 -g -w 7 -x 9 -y 8");
    ipvsadm("-A -t 192.0.2.10:81 -s rr");
    let before = look();
    assert!(apply(web(json!({}))).plan.is_empty());
    assert!(apply(web(json!({"real_servers": [{"address": "10.0.0.11"}]}))).plan.is_empty());
    assert_eq!(look(), before);
    apply(web(json!({"scheduler": "mh"})));
    assert!(look().contains("-s mh -p 100 -M 255.255.0.0"), "{}", look());
    apply(web(json!({"scheduler": "sh", "persistence": 200})));
    assert!(look().contains("-s sh -p 200 -M 255.255.0.0"), "{}", look());
    apply(web(json!({"real_servers": [{"address": "10.0.0.11", "weight": 6}]})));
    assert!(look().contains("-r 10.0.0.11:80 -i -w 6 --tun-type gue --tun-port 6080"), "{}", look());
    apply(web(
        json!({"real_servers": [{"address": "10.0.0.11", "weight": 5}], "scheduler": "sh", "persistence": 100}),
    ));
    assert_eq!(look(), before, "there and back, thresholds and the other service too");
}

#[test]
fn the_lines_of_a_diff_can_be_pasted_into_ipvsadm() {
    enter_director();
    let all = json!({"services": [
        {"address": "192.0.2.10:80", "scheduler": "sh", "flags": ["sh-fallback", "sh-port"],
            "persistence": {"timeout": 300, "netmask": "255.255.255.0"}, "real_servers": [
                {"address": "10.0.0.11", "forward": "dr", "weight": 3, "upper_threshold": 100, "lower_threshold": 50},
                {"address": "10.0.0.12:8080", "forward": "nat", "weight": 0},
                {"address": "10.0.0.13", "forward": "tun"},
                {"address": "10.0.0.14", "forward": "tun", "tunnel": {"type": "gue", "port": 6080, "checksum": "csum"}},
                {"address": "10.0.0.15", "forward": "tun", "tunnel": {"type": "gue", "port": 6080}},
                {"address": "10.0.0.16", "forward": "tun", "tunnel": {"type": "gue", "port": 6080, "checksum": "remcsum"}},
                {"address": "10.0.0.17", "forward": "tun", "tunnel": {"type": "gre"}},
                {"address": "10.0.0.18", "forward": "tun", "tunnel": {"type": "gre", "checksum": "csum"}},
                {"address": "2001:db8::11", "forward": "tun"}]},
        {"address": "192.0.2.10:53", "protocol": "udp", "flags": ["ops"], "scheduler": "rr"},
        {"address": "192.0.2.10:5060", "protocol": "udp", "persistence": {"engine": "sip"}},
        {"address": "192.0.2.10:36412", "protocol": "sctp", "scheduler": "lblcr"},
        {"fwmark": 7, "scheduler": "mh", "flags": ["mh-port", "flag-3"], "real_servers": [{"address": "10.0.0.11", "forward": "nat"}]},
        {"fwmark": 8, "family": "ipv6", "persistence": {"prefix": 64}, "real_servers": [{"address": "2001:db8::11", "forward": "dr"}]},
        {"address": "[2001:db8::10]:443", "flags": ["flag-1", "flag-2"]}]});
    apply(all.clone());
    let (there, shown) = (look(), diff(&all));
    ipvsadm("-C");
    restore(&(shown.join("\n") + "\n"));
    assert_eq!(look(), there);
    assert!(apply(all).plan.is_empty(), "flags and tunnels too, which ipvsadm does not show all of");
}

#[test]
fn what_the_answer_tells_of_services_is_the_task_that_makes_them() {
    enter_director();
    restore(
        "-A -t 192.0.2.10:80 -s sh -p 300 -M 255.255.255.0 -b sh-port\n-a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 0 -x 9 -y 4\n\
         -a -t 192.0.2.10:80 -r 10.0.0.12:80 -i -w 2 --tun-type gue --tun-port 6080 --tun-csum\n-A -f 8 -6 -s rr -p 60 -M 64\n",
    );
    let there = look();
    let task = json!({"services": [{"address": "192.0.2.10:80"}, {"fwmark": 8, "family": "ipv6"}]});
    let told = services(task).remarks(Mode::Check)["services"].clone();
    ipvsadm("-C");
    apply(json!({"services": told}));
    assert_eq!(look(), there);
}

#[test]
fn only_what_purge_says_goes() {
    enter_director();
    let fill = || {
        ipvsadm("-C");
        restore(
            "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.11:80 -m\n-a -t 192.0.2.10:80 -r 10.0.0.12:80 -m\n-A -t 192.0.2.10:81 -s rr\n-A -f 7 -s rr\n-a -f 7 -r 10.0.0.11:0 -g\n",
        );
    };
    let servers = json!([{"address": "10.0.0.11"}]);
    for (purge, left) in [("none", 6), ("real_servers", 5), ("all", 2)] {
        fill();
        apply(web(json!({"real_servers": servers, "purge": purge})));
        assert_eq!(saved().len(), left, "{purge}: {:?}", saved());
    }
    fill();
    apply(json!({"services": [], "purge": "all"}));
    assert_eq!(saved().len(), 0);
    fill();
    apply(web(json!({"real_servers": [{"address": "10.0.0.12", "state": "absent"}]})));
    assert_eq!(saved().len(), 5);
    let twice = web(json!({"real_servers": [{"address": "10.0.0.12", "state": "drained"}]}));
    assert!(apply(twice).plan.is_empty(), "one that is not there gets no requests");
}

#[test]
fn a_mixed_family_needs_a_tunnel() {
    enter_director();
    let task =
        |forward: &str| web(json!({"forward": forward, "real_servers": [{"address": "2001:db8::11"}]}));
    assert!(refuse(task("nat")).contains("another family"));
    apply(task("tun"));
    assert!(look().contains("-r [2001:db8::11]:80 -i"), "{}", look());
}

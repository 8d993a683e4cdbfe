//! The binary that manages virtual services with bad input: each task is refused before anything is looked at that needs IPVS.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use std::process::Command;

use serde_json::{Value, json};

const MODULE: &str = env!("CARGO_BIN_EXE_virtual_service");

fn run(task: &Value) -> (Option<i32>, Value) {
    let output = Command::new(MODULE).arg(task.to_string()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Returns a task about tcp 192.0.2.10:80 with further options.
fn web(options: Value) -> Value {
    let mut task = json!({"address": "192.0.2.10:80"});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

/// Returns a task about one real server of tcp 192.0.2.10:80.
fn server(options: Value) -> Value {
    let mut server = json!({"address": "10.0.0.11", "forward": "nat"});
    server.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    web(json!({"real_servers": [server]}))
}

/// Returns a task about one real server that is reached through a tunnel.
fn tunnel(options: Value) -> Value {
    server(json!({"forward": "tun", "tunnel": options}))
}

/// Returns tasks, and what each is refused with.
fn refused() -> Vec<(Value, &'static str)> {
    let mut all = about_the_service();
    all.extend(about_how_it_chooses());
    all.extend(about_real_servers());
    all.extend(about_the_task());
    all
}

fn about_the_service() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), "cannot tell which service is meant: give address and port, or fwmark"),
        (json!({"port": 80}), "cannot tell which service is meant: give address and port, or fwmark"),
        (
            json!({"address": "192.0.2.10"}),
            "cannot use address 192.0.2.10: the port is missing; give port, 0 for any",
        ),
        (
            json!({"address": "www.example.com:80"}),
            "cannot use address \"www.example.com:80\": it is not an IP address, which may have a port, such as 192.0.2.10, 192.0.2.10:80 or [2001:db8::10]:443",
        ),
        (
            json!({"address": "192.0.2", "port": 80}),
            "cannot use address \"192.0.2\": it is not an IP address",
        ),
        (json!({"address": "", "port": 80}), "cannot use address \"\": it is not an IP address"),
        (
            json!({"address": "192.0.2.10/24", "port": 80}),
            "cannot use address \"192.0.2.10/24\": it is not an IP address",
        ),
        (
            json!({"address": "192.0.2.10:80:80"}),
            "cannot use address \"192.0.2.10:80:80\": it is not an IP address",
        ),
        (
            json!({"address": ["192.0.2.10"], "port": 80}),
            "cannot use option address: [\"192.0.2.10\"] is not text",
        ),
        (
            json!({"address": "192.0.2.10:80", "port": 81}),
            "cannot use address \"192.0.2.10:80\": option port says 81; give the port once",
        ),
        (
            json!({"address": "192.0.2.10", "port": 65536}),
            "cannot use address \"192.0.2.10\": its port is over 65535; give one that is not",
        ),
        (json!({"address": "192.0.2.10", "port": -1}), "cannot use option port: -1 is not a whole number"),
        (
            json!({"address": "192.0.2.10", "port": "http"}),
            "cannot use option port: \"http\" is not a whole number",
        ),
        (
            json!({"address": "0.0.0.0:80"}),
            "cannot use address 0.0.0.0:80: it means no host; give the address that clients use",
        ),
        (json!({"address": "[::]:80"}), "cannot use address [::]:80: it means no host"),
        (json!({"address": "224.0.0.1:80"}), "cannot use address 224.0.0.1:80: it is a multicast address"),
        (json!({"address": "[ff02::1]:80"}), "cannot use address [ff02::1]:80: it is a multicast address"),
        (
            json!({"address": "255.255.255.255:80"}),
            "cannot use address 255.255.255.255:80: it is the broadcast address",
        ),
        (
            json!({"address": "[::ffff:192.0.2.10]:80"}),
            "cannot use address [::ffff:192.0.2.10]:80: it is an IPv4 address in IPv6 form",
        ),
        (
            json!({"address": "192.0.2.10:0"}),
            "cannot set tcp 192.0.2.10:0: port 0, which is any, needs persistence; give persistence, or another port",
        ),
        (
            json!({"address": "192.0.2.10:0", "persistence": 0}),
            "cannot set tcp 192.0.2.10:0: port 0, which is any, needs persistence",
        ),
        (
            web(json!({"protocol": "icmp"})),
            "cannot use option protocol: there is no icmp, expected one of tcp, udp, sctp",
        ),
        (web(json!({"protocol": 6})), "cannot use option protocol: "),
        (json!({"fwmark": 0}), "cannot use fwmark 0: that is a packet without a mark; give another"),
        (json!({"fwmark": -1}), "cannot use option fwmark: -1 is not a whole number"),
        (json!({"fwmark": 4_294_967_296_u64}), "cannot use option fwmark: 4294967296 is not a whole number"),
        (
            json!({"fwmark": 7, "port": 80}),
            "cannot use port or protocol with fwmark 7: what the firewall marks decides; leave them out",
        ),
        (json!({"fwmark": 7, "protocol": "udp"}), "cannot use port or protocol with fwmark 7"),
        (
            json!({"fwmark": 7, "family": "inet"}),
            "cannot use option family: there is no inet, expected ipv4 or ipv6",
        ),
        (
            web(json!({"fwmark": 7})),
            "cannot use fwmark or family with address 192.0.2.10:80: a service is told by one or the other; leave one out",
        ),
        (web(json!({"family": "ipv4"})), "cannot use fwmark or family with address 192.0.2.10:80"),
        (
            web(json!({"state": "gone"})),
            "cannot use option state: there is no gone, expected present or absent",
        ),
    ]
}

fn about_how_it_chooses() -> Vec<(Value, &'static str)> {
    vec![
        (
            web(json!({"scheduler": "none"})),
            "cannot use scheduler none: the service would refuse its clients; to stop it, use state: absent, or weight 0",
        ),
        (
            web(json!({"scheduler": ""})),
            "cannot use scheduler \"\": it is not the name of one; give one such as wlc, rr, sh or mh",
        ),
        (
            web(json!({"scheduler": "least connections"})),
            "cannot use scheduler \"least connections\": it is not the name of one",
        ),
        (web(json!({"scheduler": "../../x"})), "cannot use scheduler \"../../x\": it is not the name of one"),
        (
            web(json!({"scheduler": "a234567890123456"})),
            "cannot use scheduler \"a234567890123456\": it is not the name of one",
        ),
        (
            web(json!({"flags": ["fallback"]})),
            "cannot use flag \"fallback\": there is no such flag, give ops, sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3",
        ),
        (
            web(json!({"flags": "sh-port"})),
            "cannot use option flags: invalid type: string \"sh-port\", expected a sequence",
        ),
        (
            web(json!({"flags": ["sh-port"]})),
            "cannot use flag sh-port for tcp 192.0.2.10:80: only the scheduler sh has it and the service has wlc; give scheduler: sh, or leave the flag out",
        ),
        (
            web(json!({"scheduler": "mh", "flags": ["sh-port"]})),
            "cannot use flag sh-port for tcp 192.0.2.10:80: only the scheduler sh has it and the service has mh",
        ),
        (
            web(json!({"scheduler": "sh", "flags": ["sh-port", "mh-port"]})),
            "cannot use flags sh-port and mh-port together: they are of different schedulers; leave one out",
        ),
        (
            web(json!({"flags": ["ops"]})),
            "cannot use flag ops for tcp 192.0.2.10:80: only packets of UDP can be scheduled one by one; leave it out",
        ),
        (web(json!({"persistence": "5m"})), "cannot use option persistence: \"5m\" is not a whole number"),
        (web(json!({"persistence": -1})), "cannot use option persistence: -1 is not a whole number"),
        (
            web(json!({"persistence": 2_678_401})),
            "cannot use persistence: its timeout can be 2678400 seconds at most, which is 31 days; give less",
        ),
        (
            web(json!({"persistence": {"timeout": 60, "mask": 24}})),
            "cannot use option persistence: there is no mask, expected one of timeout, netmask, prefix, engine",
        ),
        (
            web(json!({"persistence": {"timeout": 0, "prefix": 24}})),
            "cannot use persistence: a timeout of 0 switches it off, so netmask and engine have no effect; leave them out",
        ),
        (
            web(json!({"persistence": {"netmask": "255.255.255.0", "prefix": 24}})),
            "cannot use persistence: netmask and prefix say the same; give one of them",
        ),
        (
            web(json!({"persistence": {"netmask": "24"}})),
            "cannot use netmask \"24\" of persistence: it is not a netmask; give one such as 255.255.255.0, or prefix",
        ),
        (
            web(json!({"persistence": {"netmask": "0.0.0.0"}})),
            "cannot use netmask \"0.0.0.0\" of persistence: all clients would count as one",
        ),
        (
            web(json!({"persistence": {"netmask": "255.0.255.0"}})),
            "cannot use netmask \"255.0.255.0\" of persistence: its ones are not together",
        ),
        (web(json!({"persistence": {"prefix": 0}})), "cannot use persistence: prefix 0 is not from 1 to 32"),
        (
            web(json!({"persistence": {"prefix": 33}})),
            "cannot use persistence: prefix 33 is not from 1 to 32",
        ),
        (
            json!({"fwmark": 7, "family": "ipv6", "persistence": {"prefix": 129}}),
            "cannot use persistence: prefix 129 is not from 1 to 128",
        ),
        (
            json!({"fwmark": 7, "family": "ipv6", "persistence": {"netmask": "255.0.0.0"}}),
            "cannot use netmask \"255.0.0.0\" of persistence: the service is of IPv6; give prefix",
        ),
        (
            web(json!({"persistence": {"engine": "ftp"}})),
            "cannot use option persistence: there is no ftp, expected none or sip",
        ),
        (
            web(json!({"persistence": {"engine": "sip"}})),
            "cannot use engine sip for tcp 192.0.2.10:80: it reads SIP over UDP only; leave it out, or use protocol: udp",
        ),
    ]
}

fn about_real_servers() -> Vec<(Value, &'static str)> {
    vec![
        (
            web(json!({"real_servers": {"address": "10.0.0.11"}})),
            "cannot use option real_servers: invalid type: map, expected a sequence",
        ),
        (
            web(json!({"real_servers": ["10.0.0.11"]})),
            "cannot use option real_servers[0]: invalid type: string \"10.0.0.11\"",
        ),
        (
            web(json!({"real_servers": [{}]})),
            "cannot use a real server of tcp 192.0.2.10:80 without address: give it",
        ),
        (
            web(json!({"real_servers": [{"address": "10.0.0.11"}]})),
            "cannot set the real server 10.0.0.11:80 of tcp 192.0.2.10:80: how packets get there is missing; give forward: nat, dr or tun",
        ),
        (server(json!({"address": "web1"})), "cannot use address \"web1\": it is not an IP address"),
        (
            server(json!({"name": "web1"})),
            "cannot use option name: there is no such option, expected one of address, port",
        ),
        (
            server(json!({"address": "0.0.0.0"})),
            "cannot use the real server 0.0.0.0:80 of tcp 192.0.2.10:80: it means no host; give the address of a host",
        ),
        (
            server(json!({"address": "224.0.0.1"})),
            "cannot use the real server 224.0.0.1:80 of tcp 192.0.2.10:80: it is a multicast address",
        ),
        (
            server(json!({"address": "255.255.255.255"})),
            "cannot use the real server 255.255.255.255:80 of tcp 192.0.2.10:80: it is the broadcast address",
        ),
        (
            server(json!({"address": "fe80::1"})),
            "cannot use the real server [fe80::1]:80 of tcp 192.0.2.10:80: it is a link-local address",
        ),
        (
            server(json!({"address": "2001:db8::11"})),
            "cannot set the real server [2001:db8::11]:80 of tcp 192.0.2.10:80: it is of another family than the service; give an address of the same, or forward: tun",
        ),
        (
            server(json!({"weight": 65536})),
            "cannot use the real server 10.0.0.11:80 of tcp 192.0.2.10:80: its weight is over 65535",
        ),
        (server(json!({"weight": -1})), "cannot use option real_servers[0].weight: -1 is not a whole number"),
        (
            server(json!({"weight": "heavy"})),
            "cannot use option real_servers[0].weight: \"heavy\" is not a whole number",
        ),
        (server(json!({"port": 65536})), "cannot use address \"10.0.0.11\": its port is over 65535"),
        (
            server(json!({"forward": "masq"})),
            "cannot use option real_servers[0].forward: there is no masq, expected one of nat, dr, tun",
        ),
        (
            server(json!({"forward": "dr", "port": 8080})),
            "cannot set the real server 10.0.0.11:8080 of tcp 192.0.2.10:80: with forward: dr the packet is not changed, so port 8080 would never be used; leave the port out, or use nat",
        ),
        (
            server(json!({"forward": "tun", "port": 8080})),
            "cannot set the real server 10.0.0.11:8080 of tcp 192.0.2.10:80: with forward: tun the packet is not changed",
        ),
        (
            server(json!({"upper_threshold": 5, "lower_threshold": 6})),
            "cannot set the real server 10.0.0.11:80 of tcp 192.0.2.10:80: lower_threshold 6 is over upper_threshold 5; give a lower one",
        ),
        (
            server(json!({"lower_threshold": 1})),
            "cannot set the real server 10.0.0.11:80 of tcp 192.0.2.10:80: lower_threshold 1 is over upper_threshold 0",
        ),
        (
            server(json!({"tunnel": {"type": "gre"}})),
            "cannot set the real server 10.0.0.11:80 of tcp 192.0.2.10:80: only forward: tun has a tunnel; leave tunnel out",
        ),
        (
            server(json!({"state": "maintenance"})),
            "cannot use option real_servers[0].state: there is no maintenance, expected one of present, drained, absent",
        ),
        (
            tunnel(json!({"type": "vxlan"})),
            "cannot use option real_servers[0].tunnel.type: there is no vxlan, expected one of ipip, gue, gre",
        ),
        (
            tunnel(json!({"type": "gue"})),
            "cannot use tunnel: type gue needs the port on which the real server takes it; give port",
        ),
        (tunnel(json!({"type": "gue", "port": 0})), "cannot use tunnel: port is not from 1 to 65535"),
        (
            tunnel(json!({"type": "gre", "port": 6080})),
            "cannot use tunnel: only type gue has a port; leave it out",
        ),
        (
            tunnel(json!({"checksum": "csum"})),
            "cannot use tunnel: type ipip has no checksum; leave it out, or use type gue or gre",
        ),
        (
            tunnel(json!({"type": "gre", "checksum": "remcsum"})),
            "cannot use tunnel: type gre has no checksum remcsum; give csum or none",
        ),
        (
            json!({"address": "192.0.2.10:0", "persistence": 60, "forward": "nat", "real_servers": [{"address": "10.0.0.11:80"}]}),
            "cannot set the real server 10.0.0.11:80 of tcp 192.0.2.10:0: a persistent service of any port keeps the port, so 80 would never be used; leave it out",
        ),
        (
            web(
                json!({"forward": "nat", "real_servers": [{"address": "10.0.0.11"}, {"address": "10.0.0.11:80"}]}),
            ),
            "cannot use the real server 10.0.0.11:80 of tcp 192.0.2.10:80 twice: list it once",
        ),
    ]
}

fn about_the_task() -> Vec<(Value, &'static str)> {
    let entry = |entry: Value| json!({"services": [entry]});
    vec![
        (
            web(json!({"weigth": 1})),
            "cannot use option weigth: there is no such option, expected one of address, port",
        ),
        (
            json!({"services": []}),
            "cannot do anything with empty services: give at least one, or purge: all to have none",
        ),
        (json!({"services": "all"}), "cannot use option services: invalid type: string \"all\""),
        (
            entry(json!({"address": "192.0.2.10:80", "drain": 5})),
            "cannot use services[0]: services, purge, drain, drain_until, netns and persist are for the whole task; give them beside services",
        ),
        (
            entry(json!({"address": "192.0.2.10:80", "services": []})),
            "cannot use services[0]: services, purge,",
        ),
        (
            entry(json!({"adress": "192.0.2.10:80"})),
            "cannot use option adress: there is no such option, expected one of address, port",
        ),
        (
            json!({"services": [{"fwmark": 7}, {"fwmark": 7}]}),
            "cannot use fwmark 7 twice: list each service once",
        ),
        (
            web(json!({"purge": "some"})),
            "cannot use option purge: there is no some, expected one of none, real_servers, all",
        ),
        (web(json!({"drain": "a while"})), "cannot use option drain: \"a while\" is not a whole number"),
        (web(json!({"drain": -1})), "cannot use option drain: -1 is not a whole number"),
        (
            web(json!({"drain_until": "ended"})),
            "cannot use option drain_until: there is no ended, expected active or all",
        ),
        (
            web(json!({"protocol": "udp", "drain": 5, "drain_until": "all"})),
            "cannot use drain_until: all for udp 192.0.2.10:80: packets of UDP that keep coming never end what they belong to",
        ),
        (
            web(json!({"persist": "forever"})),
            "cannot use option persist: there is no forever, expected one of none, auto, systemd, ipvsadm",
        ),
        (
            web(json!({"persist": "auto", "netns": "a"})),
            "cannot use persist with netns: a boot makes no such network namespace; leave one of them out",
        ),
        (web(json!({"netns": "a/b"})), "cannot use netns a/b: give its name, or a path that begins with /"),
        (
            web(json!({"netns": "no-such"})),
            "cannot enter the network namespace /run/netns/no-such: No such file or directory",
        ),
    ]
}

#[test]
fn bad_input_gets_one_sentence_that_names_the_item_and_says_what_to_do() {
    let all = refused();
    assert!(all.len() > 60);
    for (task, sentence) in all {
        for check in [true, false] {
            let mut task = task.clone();
            task["_ansible_check_mode"] = json!(check);
            let (status, answer) = run(&task);
            let said = answer["msg"].as_str().unwrap_or_default();
            assert!(said.starts_with(sentence), "{task}\n  {answer}\n  {sentence}");
            assert!(!said.contains('\n'), "{said}");
            assert_eq!(
                (status, &answer["failed"], &answer["changed"]),
                (Some(1), &json!(true), &json!(false)),
                "{task}"
            );
        }
    }
}

/// As in check mode before `modprobe ip_vs`, and after the removal of the last service.
#[test]
fn where_there_is_no_table_what_is_absent_is_fine_and_nothing_is_loaded() {
    let task = web(json!({"state": "absent", "real_servers": [{"address": "10.0.0.11"}]}));
    let (status, answer) = run(&task);
    assert_eq!(
        (status, answer),
        (Some(0), json!({"changed": false, "changes": [], "connections": [], "services": []}))
    );
}

#[test]
fn an_entry_of_services_takes_from_the_task_what_it_leaves_out() {
    let task = json!({"port": 80, "forward": "dr", "real_servers": [{"address": "10.0.0.11"}], "state": "absent", "services": [
        {"address": "192.0.2.10"}, {"address": "192.0.2.11:81"}, {"fwmark": 7, "forward": "nat"},
        {"address": "192.0.2.12", "port": 82, "real_servers": []}]});
    let (status, answer) = run(&task);
    assert_eq!(status, Some(0), "{answer}");
}

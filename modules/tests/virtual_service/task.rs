//! Tasks that cannot be.

use serde_json::{Value, json};

use super::web;

/// Returns tasks, and what each is refused with.
pub(crate) fn refused() -> Vec<(Value, &'static str)> {
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

//! Schedulers, their flags and persistence that cannot be.

use serde_json::{Value, json};

use super::web;

/// Returns tasks, and what each is refused with.
pub(crate) fn refused() -> Vec<(Value, &'static str)> {
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

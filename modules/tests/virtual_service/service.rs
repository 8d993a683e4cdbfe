//! Services that cannot be.

use serde_json::{Value, json};

use super::web;

/// Returns tasks, and what each is refused with.
pub(crate) fn refused() -> Vec<(Value, &'static str)> {
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

//! Real servers that cannot be.

use serde_json::{Value, json};

use super::{server, tunnel, web};

/// Returns tasks, and what each is refused with.
pub(crate) fn refused() -> Vec<(Value, &'static str)> {
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

//! The virtual services of a configuration.

use std::net::IpAddr;

/// What tells a service: its address and port, which do not tell the protocol, or its firewall mark.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    /// An address and a port.
    At(IpAddr, u16),
    /// A mark.
    Mark(u32),
}

/// Returns the services that a text lists, each by itself or as a member of a group.
pub(super) fn listed(text: &str) -> Vec<Service> {
    let mut words = Vec::new();
    for line in text.lines() {
        let line = line.split(['#', '!']).next().unwrap_or_default();
        words.extend(line.replace('{', " { ").replace('}', " } ").split_whitespace().map(str::to_owned));
    }
    let mut words = words.iter().map(String::as_str);
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "virtual_server" => {
                found.extend(members(&[words.next(), words.next()].map(Option::unwrap_or_default)));
            }
            "virtual_server_group" => {
                let inside = words.by_ref().skip_while(|word| *word != "{").skip(1);
                let inside: Vec<_> = inside.take_while(|word| *word != "}").collect();
                found.extend(inside.chunks_exact(2).flat_map(members));
            }
            _ => {}
        }
    }
    found
}

/// Returns the services that two words name: `192.0.2.10 80`, `192.0.2.10-20 80` or `fwmark 7`.
fn members(words: &[&str]) -> Vec<Service> {
    let [what, number] = words else { return Vec::new() };
    if *what == "fwmark" {
        return number.parse().map(Service::Mark).into_iter().collect();
    }
    let Ok(port) = number.parse() else { return Vec::new() };
    range(what).into_iter().map(|address| Service::At(address, port)).collect()
}

/// Returns the addresses from `192.0.2.10` or to the last in `192.0.2.10-20`.
fn range(text: &str) -> Vec<IpAddr> {
    let (first, last) = text.split_once('-').unwrap_or((text, ""));
    match first.parse() {
        Ok(IpAddr::V4(first)) => {
            let [a, b, c, from] = first.octets();
            let to = last.parse().unwrap_or(from);
            (from..=to).map(|last| IpAddr::from([a, b, c, last])).collect()
        }
        Ok(IpAddr::V6(first)) => {
            let mut parts = first.segments();
            let to = u16::from_str_radix(last, 16).unwrap_or(parts[7]);
            let addresses = (parts[7]..=to).map(|last| {
                parts[7] = last;
                IpAddr::from(parts)
            });
            addresses.collect()
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_service_is_found_and_no_other() {
        let text = "vrrp_instance a { virtual_ipaddress { 192.0.2.1 } }\nvirtual_server 192.0.2.10 80 {\n real_server 10.0.0.1 80 { weight 1 } }\n# virtual_server 192.0.2.11 80 {\nvirtual_server group web {\n}\nvirtual_server_group web {\n 192.0.2.20-21 443\n 2001:db8::f-10 443\n fwmark 8 # all\n}\nvirtual_server fwmark 7 {}\n";
        let at = |address: &str, port| Service::At(address.parse().unwrap(), port);
        let wanted = [
            at("192.0.2.10", 80),
            at("192.0.2.20", 443),
            at("192.0.2.21", 443),
            at("2001:db8::f", 443),
            at("2001:db8::10", 443),
            Service::Mark(7),
            Service::Mark(8),
        ];
        assert_eq!(BTreeSet::from_iter(listed(text)), BTreeSet::from(wanted));
    }
}

//! Others on the host that own services, and would take ours away.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use nix::net::if_::if_nametoindex;

use super::VirtualService;
use super::service::Ingress;
use crate::file;
use crate::resource::Plan;
use crate::root::Root;
use crate::{Error, Result};

/// Devices of programs that own the table as a whole, and remove what is not theirs within seconds (kubernetes' pkg/proxy/ipvs,
/// kube-router's pkg/controllers/proxy).
const DEVICES: [(&str, &str); 2] = [("kube-ipvs0", "kube-proxy"), ("kube-dummy-if", "kube-router")];

/// What tells a service in a file: its address and port, or its mark; these do not tell the protocol.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Theirs {
    At(IpAddr, u16),
    Mark(u32),
}

/// Returns an error if another program on the host owns what a plan changes; `everything` is to go that the task does not list.
pub(super) fn review(
    root: &Root,
    plan: &Plan<VirtualService>,
    everything: bool,
    in_namespace: bool,
) -> Result<()> {
    for (device, program) in DEVICES {
        if if_nametoindex(device).is_ok() {
            return Err(Error::invalid(format!(
                "cannot change the IPVS table: {program} owns it, as its device {device} tells, and would take this away; leave it to {program}"
            )));
        }
    }
    // What these read is about the namespace that the host boots with.
    if in_namespace {
        return Ok(());
    }
    let keepalived = (root.at("/etc/keepalived/keepalived.conf"), "keepalived", keepalived as Reader);
    let ldirectord = ["/etc/ha.d/ldirectord.cf", "/etc/ldirectord.cf"]
        .map(|path| (root.at(path), "ldirectord", ldirectord as Reader));
    for (path, program, read) in [keepalived].into_iter().chain(ldirectord) {
        let theirs = read(&path)?;
        let mut changed = plan.items().map(|item| item.key.service);
        let refuse = |what: String, remedy: &str| {
            Err(Error::invalid(format!(
                "cannot change {what}: {program} on this host owns it, as {} lists it; {remedy}",
                path.display()
            )))
        };
        if let Some(service) = changed.find(|service| theirs.contains(&key_of(*service))) {
            return refuse(format!("the service {service}"), &format!("leave it to {program}"));
        }
        if everything && !theirs.is_empty() {
            return refuse("all services".into(), "use purge: real_servers");
        }
    }
    Ok(())
}

type Reader = fn(&Path) -> Result<BTreeSet<Theirs>>;

fn key_of(service: Ingress) -> Theirs {
    match service {
        Ingress::Address(_, at) => Theirs::At(at.ip(), at.port()),
        Ingress::Mark(mark, _) => Theirs::Mark(mark),
    }
}

/// Returns the services that the configuration of keepalived at `path` lists (keepalived.conf(5)).
fn keepalived(path: &Path) -> Result<BTreeSet<Theirs>> {
    let words = crate::keepalived::words(path)?;
    let mut words = words.iter().map(String::as_str);
    let mut found = BTreeSet::new();
    while let Some(word) = words.next() {
        match word {
            "virtual_server" => {
                found.extend(members(&[words.next(), words.next()].map(Option::unwrap_or_default)))
            }
            "virtual_server_group" => {
                let inside = words.by_ref().skip_while(|word| *word != "{").skip(1);
                let inside: Vec<_> = inside.take_while(|word| *word != "}").collect();
                found.extend(inside.chunks_exact(2).flat_map(members));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Returns the services that two words name: `192.0.2.10 80`, `192.0.2.10-20 80` or `fwmark 7`.
fn members(words: &[&str]) -> Vec<Theirs> {
    let [what, number] = words else { return Vec::new() };
    if *what == "fwmark" {
        return number.parse().map(Theirs::Mark).into_iter().collect();
    }
    let Ok(port) = number.parse() else { return Vec::new() };
    addresses(what).into_iter().map(|address| Theirs::At(address, port)).collect()
}

/// Returns the addresses from `192.0.2.10` or to the last in `192.0.2.10-20`.
fn addresses(text: &str) -> Vec<IpAddr> {
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
            let range = (parts[7]..=to).map(|last| {
                parts[7] = last;
                IpAddr::from(parts)
            });
            range.collect()
        }
        Err(_) => Vec::new(),
    }
}

/// Returns the services that the configuration of ldirectord at `path` lists (ldirectord(8)).
fn ldirectord(path: &Path) -> Result<BTreeSet<Theirs>> {
    let content = file::read(path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content).into_owned();
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.split('#').next()?.split_once('=')?;
        matches!(name.trim(), "virtual" | "virtual6").then(|| value.trim().to_owned())
    });
    let theirs = values.filter_map(|value| match value.parse::<SocketAddr>() {
        Ok(at) => Some(Theirs::At(at.ip(), at.port())),
        Err(_) => value.parse().ok().map(Theirs::Mark),
    });
    Ok(theirs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_of_keepalived_is_found_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keepalived.conf");
        let text = "vrrp_instance a { virtual_ipaddress { 192.0.2.1 } }\nvirtual_server 192.0.2.10 80 {\n real_server 10.0.0.1 80 { weight 1 } }\n# virtual_server 192.0.2.11 80 {\nvirtual_server group web {\n}\nvirtual_server_group web {\n 192.0.2.20-21 443\n 2001:db8::f-10 443\n fwmark 8 # all\n}\nvirtual_server fwmark 7 {}\ninclude more/*.conf\n";
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir(directory.path().join("more")).unwrap();
        std::fs::write(directory.path().join("more/b.conf"), "virtual_server 192.0.2.30 53{}").unwrap();
        let at = |address: &str, port| Theirs::At(address.parse().unwrap(), port);
        let wanted = [
            at("192.0.2.10", 80),
            at("192.0.2.20", 443),
            at("192.0.2.21", 443),
            at("2001:db8::f", 443),
            at("2001:db8::10", 443),
            at("192.0.2.30", 53),
            Theirs::Mark(7),
            Theirs::Mark(8),
        ];
        assert_eq!(keepalived(&file).unwrap(), BTreeSet::from(wanted));
        assert!(keepalived(&directory.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn every_service_of_ldirectord_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ldirectord.cf");
        let text = "checktimeout=3\nvirtual = 192.0.2.10:80 # web\n\treal=10.0.0.1:80 gate\nvirtual=7\nvirtual6=[2001:db8::10]:80\n#virtual=192.0.2.11:80\n";
        std::fs::write(&file, text).unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().map(|at| Theirs::At(at.ip(), at.port())).unwrap();
        let wanted = [at("192.0.2.10:80"), at("[2001:db8::10]:80"), Theirs::Mark(7)];
        assert_eq!(ldirectord(&file).unwrap(), BTreeSet::from(wanted));
    }
}

//! Why a parameter is not there.

use super::Key;
use super::runtime::ProcSys;
use crate::Error;

/// Where a parameter is found, the kernel module that makes it, and one that is there with that module.
const BRINGERS: [(&str, &str, &str); 5] = [
    ("net/bridge/", "br_netfilter", "net/bridge/bridge-nf-call-iptables"),
    ("net/netfilter/nf_conntrack", "nf_conntrack", "net/netfilter/nf_conntrack_count"),
    ("net/nf_conntrack", "nf_conntrack", "net/netfilter/nf_conntrack_count"),
    ("net/ipv4/vs/", "ip_vs", "net/ipv4/vs/conntrack"),
    ("net/mpls/", "mpls_router", "net/mpls/platform_labels"),
];

/// Returns the error about a parameter that this kernel does not have, naming the cause.
pub(super) fn error(key: &Key, kernel: &ProcSys) -> Error {
    let bringer =
        BRINGERS.iter().find(|(prefix, _, sign)| key.path().starts_with(prefix) && !kernel.has(sign));
    Error::invalid(match (bringer, missing_interface(key, kernel), nearest(key, kernel)) {
        (Some((_, module, _)), ..) => {
            format!("cannot find {key}: the kernel module {module} brings it; load it first")
        }
        (_, Some(interface), _) => {
            format!(
                "cannot find {key}: there is no interface {interface} here; make it first, or check its name"
            )
        }
        (.., Some(near)) => {
            format!("cannot find {key}: this kernel has no such parameter; did you mean {near}?")
        }
        _ => format!("cannot find {key}: this kernel has no such parameter; check the name"),
    })
}

/// Returns the interface that `key` is about, if only that is not there.
fn missing_interface<'a>(key: &'a Key, kernel: &ProcSys) -> Option<&'a str> {
    let mut parts: Vec<&str> = key.path().split('/').collect();
    let interface = *parts.get(3).filter(|_| {
        parts.len() == 5 && parts[0] == "net" && ["conf", "neigh"].contains(&parts[2]) && !key.is_pattern()
    })?;
    let is_there = kernel.has(&parts[..4].join("/"));
    // What there is for lo there is for any interface.
    parts[3] = "lo";
    (!is_there && kernel.has(&parts.join("/"))).then_some(interface)
}

/// Returns the parameter whose name differs least from `key`, if it differs little.
fn nearest(key: &Key, kernel: &ProcSys) -> Option<Key> {
    if key.is_pattern() {
        return None;
    }
    let mut path = String::new();
    for part in key.path().split('/') {
        let names = kernel.names(&path);
        let by_distance = names.iter().map(|name| (distance(name, part), name));
        let (distance, name) = by_distance.min()?;
        if distance > part.len().div_ceil(3) {
            return None;
        }
        path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
    }
    let key = Key::at(path);
    kernel.look_up(&key).ok().flatten().map(|_| key)
}

/// Returns how many letters differ (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for place in 1..row.len() {
            let replaced = diagonal + usize::from(other[place - 1] != letter);
            diagonal = row[place];
            row[place] = replaced.min(diagonal + 1).min(row[place - 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

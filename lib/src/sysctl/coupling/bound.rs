//! Parameters that bound each other: the kernel takes none that would exceed its bound at that moment.

use std::collections::BTreeMap;

use super::super::value::leading_number;
use super::super::{Key, Setting};

/// Two parameters of which the lower must not exceed the upper, each with what a boot finds.
pub(in super::super) struct Bound {
    lower: (&'static str, &'static str),
    upper: (&'static str, &'static str),
}

/// net/ipv4/ip_fragment.c, net/ipv6/reassembly.c, net/ipv6/netfilter/nf_conntrack_reasm.c, net/ipv4/sysctl_net_ipv4.c
/// (`ipv4_local_port_range`, `ipv4_privileged_ports`), kernel/sched/rt.c (`sched_rt_global_validate`).
pub(in super::super) const BOUNDS: [Bound; 5] = [
    Bound {
        lower: ("net/ipv4/ipfrag_low_thresh", "3145728"),
        upper: ("net/ipv4/ipfrag_high_thresh", "4194304"),
    },
    Bound {
        lower: ("net/ipv6/ip6frag_low_thresh", "3145728"),
        upper: ("net/ipv6/ip6frag_high_thresh", "4194304"),
    },
    Bound {
        lower: ("net/netfilter/nf_conntrack_frag6_low_thresh", "3145728"),
        upper: ("net/netfilter/nf_conntrack_frag6_high_thresh", "4194304"),
    },
    Bound {
        lower: ("net/ipv4/ip_unprivileged_port_start", "1024"),
        upper: ("net/ipv4/ip_local_port_range", "32768 60999"),
    },
    Bound {
        lower: ("kernel/sched_rt_runtime_us", "950000"),
        upper: ("kernel/sched_rt_period_us", "1000000"),
    },
];

impl Bound {
    /// Returns the other parameter of the pair that the one at `path` is of, and whether that one is the upper.
    pub(in super::super) fn of(path: &str) -> Option<(&'static str, bool)> {
        BOUNDS.iter().find_map(|bound| match path {
            path if path == bound.lower.0 => Some((bound.upper.0, false)),
            path if path == bound.upper.0 => Some((bound.lower.0, true)),
            _ => None,
        })
    }
}

/// Returns what a boot finds in a parameter that bounds another one.
pub(super) fn at_boot(path: &str) -> Option<&'static str> {
    let sides = BOUNDS.iter().flat_map(|bound| [bound.lower, bound.upper]);
    sides.into_iter().find(|(name, _)| *name == path).map(|(_, text)| text)
}

/// Returns whether the kernel refuses `text` for the one at `path` as long as the other one holds `other`.
pub(in super::super) fn broken(path: &str, text: &str, other: &str) -> bool {
    let Some((_, is_upper)) = Bound::of(path) else { return false };
    let (Some(own), Some(other)) = (leading_number(text), leading_number(other)) else { return false };
    if is_upper { own < other } else { own > other }
}

/// Returns whether a change makes less room for the other one, so that it has to come after that one's.
pub(in super::super) fn narrows(key: &Key, before: Option<&Setting>, after: &Setting) -> bool {
    let Some((_, is_upper)) = Bound::of(key.path()) else { return false };
    let (Some(before), Some(after)) =
        (before.and_then(|it| leading_number(it.text())), leading_number(after.text()))
    else {
        return false;
    };
    if is_upper { after < before } else { after > before }
}

/// Returns two of `wanted` that no order could bring about.
pub(in super::super) fn unordered(wanted: &BTreeMap<&Key, &str>) -> Option<(Key, Key)> {
    BOUNDS.iter().find_map(|bound| {
        let [lower, upper] = [bound.lower.0, bound.upper.0].map(|path| Key::at(path.to_owned()));
        broken(lower.path(), wanted.get(&lower)?, wanted.get(&upper)?).then_some((lower, upper))
    })
}

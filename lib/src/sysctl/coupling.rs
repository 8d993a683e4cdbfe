//! Parameters that change or bound each other. All of it was measured on Linux 6.18; the code is in net/ipv4/devinet.c
//! (`inet_forward_change`), net/ipv6/addrconf.c, net/core/neighbour.c, mm/page-writeback.c and mm/util.c.

mod bound;

use std::collections::{BTreeMap, BTreeSet};

use super::key::is_pattern;
use super::patterns;
use super::value::{leading_number, same_number};
use super::{Item, Key, Setting, Sysctl, Value};
use crate::resource::State;
use crate::{Error, Result, gathered};

pub(super) use bound::{Bound, broken};
use bound::{narrows, unordered};

/// The switch for IPv4 forwarding, under both of its names.
const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"];

/// What a change of IPv4 forwarding sets to its opposite.
const REDIRECTS: &str = "net/ipv4/conf/all/accept_redirects";

/// The parameters of IPv6 that, set for `all`, are set for every interface.
const IPV6_SWITCHES: [&str; 5] =
    ["addr_gen_mode", "disable_ipv6", "force_forwarding", "forwarding", "ignore_routes_with_linkdown"];

/// Returns whether a change of `key` changes others. `default` does for interfaces that have no address yet.
pub(super) fn is_switch(key: &Key) -> bool {
    let path = key.path();
    FORWARDING.contains(&path)
        || ipv6_switch(path).is_some()
        || path.ends_with("/stable_secret")
        || path.starts_with("net/ipv4/conf/default/")
        || unset_with(path).is_some()
}

/// Returns the one that becomes 0, and so unset, when that at `path` is set.
pub(super) fn unset_with(path: &str) -> Option<String> {
    let mut twins = TWINS.iter().filter(|twins| matches!(twins.2, Relation::Either));
    // Most are not asked about memory, and a task may have hundreds of them.
    if path.starts_with("vm/") { twins.find_map(|twins| twins.other(path)) } else { None }
}

/// The rank of switches for everything.
const SWITCHES: u8 = 1;

/// The rank of what changes nothing else.
const ORDINARY: u8 = 3;

/// The rank of files: what the kernel made another value of is not stored.
pub(super) const FILES: u8 = 4;

/// The rank of what cannot be taken back: all that may fail comes before it.
pub(super) const LAST: u8 = u8::MAX;

/// Returns in which order parameters are written, in the kernel and in a file: what saves a route from a switch, the
/// switches for everything, those for new interfaces, all others, what cannot be taken back. Of an order that is `given` only
/// the ends are not the person's.
pub(super) fn rank(key: &Key, text: &str, given: bool) -> u8 {
    match key.path() {
        _ if loss(key, text).is_some() => LAST,
        path if path.starts_with("net/ipv6/conf/") && path.ends_with("/accept_ra") => 0,
        _ if given => ORDINARY,
        path if path.starts_with("net/ipv4/conf/default/") => 2,
        _ if is_switch(key) => SWITCHES,
        _ => ORDINARY,
    }
}

/// Returns what is lost for good once `key` is set to `text`, if anything is: `disable_ipv6` takes addresses and routes away
/// (net/ipv6/addrconf.c, `addrconf_ifdown`), a secret that was set cannot be unset, and others can only be set
/// (kernel/module/main.c, kernel/kexec_core.c, kernel/bpf/syscall.c, security/yama/yama_lsm.c).
pub(super) fn loss(key: &Key, text: &str) -> Option<&'static str> {
    let number = leading_number(text);
    match key.path() {
        path if path.ends_with("/stable_secret") => Some("that it had never been set"),
        path if path.ends_with("/disable_ipv6") && number != Some(0) => {
            Some("IPv6 addresses and routes; restart the network to have them again")
        }
        "kernel/modules_disabled" | "kernel/kexec_load_disabled" | "kernel/unprivileged_bpf_disabled"
            if number == Some(1) =>
        {
            Some("the way back; it takes a boot")
        }
        "kernel/yama/ptrace_scope" if number == Some(3) => Some("the way back; it takes a boot"),
        _ => None,
    }
}

/// Returns whether `key` is a time that the kernel may keep finer than it shows it: in ticks (kernel/sysctl.c,
/// proc_dointvec_userhz_jiffies, proc_dointvec_ms_jiffies).
pub(super) fn is_rounded(key: &Key) -> bool {
    key.path().contains("/neigh/") || key.path().ends_with("_ms")
}

/// Returns the name of the parameter that `path` sets for all interfaces.
fn ipv6_switch(path: &str) -> Option<&str> {
    path.strip_prefix("net/ipv6/conf/all/").filter(|name| IPV6_SWITCHES.contains(name))
}

/// Returns the names and patterns of what changes along with the switch at `path`.
pub(super) fn followed_by(path: &str) -> Vec<String> {
    match (ipv6_switch(path), path.strip_suffix("/stable_secret")) {
        (Some(name), _) => vec![format!("net/ipv6/conf/*/{name}")],
        (_, Some("net/ipv6/conf/default")) => vec!["net/ipv6/conf/*/addr_gen_mode".into()],
        (_, Some(directory)) => vec![format!("{directory}/addr_gen_mode")],
        _ if FORWARDING.contains(&path) => {
            vec![FORWARDING[0].into(), REDIRECTS.into(), "net/ipv4/conf/*/forwarding".into()]
        }
        _ => unset_with(path).into_iter().collect(),
    }
}

/// Returns what the kernel gives each of `followers` when the switches in `set` are not in `now` what they should be.
pub(super) fn followed<'a>(
    set: &BTreeMap<Key, String>,
    now: &State<Sysctl>,
    followers: &'a BTreeSet<Key>,
) -> Vec<(&'a Key, String)> {
    let switches = set.iter().filter(|(key, _)| is_switch(key));
    let switches: BTreeMap<_, _> =
        gathered(switches.map(|(key, text)| ((rank(key, text, false), key), text)));
    let mut values = Vec::new();
    for ((_, switch), text) in switches {
        let wanted = Value::Set(Setting::new(switch, text));
        if now.get(&Item::kernel(switch.clone())) == Some(&wanted) {
            continue;
        }
        let there = |key: &&Key| now.contains_key(&Item::kernel((*key).clone()));
        let follows = |key: &'a Key| Some((key, effect(switch.path(), text, key.path(), true)?));
        values.extend(followers.iter().filter(there).filter_map(follows));
    }
    values
}

/// Returns whether a change in the kernel has to come after the others of its rank: it makes less room for a bound, or is the 0
/// that follows when its twin is set, and that the kernel may refuse by itself (mm/page-writeback.c, `dirty_bytes_min`).
pub(super) fn comes_late(key: &Key, before: Option<&Setting>, after: &Setting) -> bool {
    narrows(key, before, after) || (unset_with(key.path()).is_some() && after.number() == Some(0))
}

/// Returns whether a line that sets `first` to `text` must stand above one that sets `path` to `wanted`, as it would undo that
/// below it, or has to make room for it. `first` may be a pattern.
pub(super) fn precedes(first: &str, text: &str, path: &str, wanted: &str) -> bool {
    let undoes =
        |changer: &str| effect(changer, text, path, true).is_some_and(|value| !same_number(&value, wanted));
    if let Some((other, _)) = Bound::of(path)
        && matches(first, other)
        && at_boot(other).is_some_and(|found| broken(path, wanted, found))
    {
        return true;
    }
    changers(path).iter().any(|changer| matches(first, changer) && undoes(changer))
}

/// Returns whether `name`, which may be a pattern, stands for the parameter at `path`.
pub(super) fn matches(name: &str, path: &str) -> bool {
    name == path || (is_pattern(name) && patterns::compiled(name).is_some_and(|it| patterns::fits(&it, path)))
}

/// Returns what must come before the one at `path`, as it may undo that or has to make room for it.
pub(super) fn above(path: &str) -> Vec<Key> {
    let bound = Bound::of(path).map(|(other, _)| other.to_owned());
    changers(path).into_iter().chain(bound).map(Key::at).collect()
}

/// Returns the parameters whose writing may change the one at `path`.
pub(super) fn changers(path: &str) -> Vec<String> {
    if is_alone(path) {
        return Vec::new();
    }
    let mut found: Vec<String> = TWINS.iter().filter_map(|twins| twins.other(path)).collect();
    if path == REDIRECTS || is_ipv4_forwarding(path) {
        found.extend(FORWARDING.map(String::from));
    }
    if let Some((interface, name)) = path.strip_prefix("net/ipv6/conf/").and_then(|rest| rest.split_once('/'))
    {
        if IPV6_SWITCHES.contains(&name) {
            found.push(format!("net/ipv6/conf/all/{name}"));
        }
        if name == "addr_gen_mode" && !["all", "default"].contains(&interface) {
            found.extend([interface, "default"].map(|from| format!("net/ipv6/conf/{from}/stable_secret")));
        }
    }
    found.retain(|changer| changer != path);
    found
}

/// Returns the parameter that interfaces without an address follow until theirs is written (net/ipv4/devinet.c,
/// `devinet_copy_dflt_conf`); lo has one from the start.
pub(super) fn default_of(path: &str) -> Option<String> {
    let (interface, name) = path.strip_prefix("net/ipv4/conf/")?.split_once('/')?;
    let follows = !["all", "default", "lo"].contains(&interface) && name != "forwarding";
    follows.then(|| format!("net/ipv4/conf/default/{name}"))
}

/// Returns whether what is at `path`, which is no pattern, is of an interface, changed by nothing and changes nothing: most are,
/// and a task may have hundreds of them.
fn is_alone(path: &str) -> bool {
    path.starts_with("net/ipv4/conf/") && !path.ends_with("/forwarding") && path != REDIRECTS
}

fn is_ipv4_forwarding(path: &str) -> bool {
    path.starts_with("net/ipv4/conf/") && path.ends_with("/forwarding")
}

/// Returns whether writing what is at `path`, which may be a pattern, can change or bound other parameters.
pub(super) fn changes_others(path: &str) -> bool {
    let changes = || {
        FORWARDING.contains(&path)
            || ipv6_switch(path).is_some()
            || path.ends_with("/stable_secret")
            || TWINS.iter().any(|twins| twins.other(path).is_some())
            || Bound::of(path).is_some()
    };
    is_pattern(path) || (!is_alone(path) && changes())
}

/// Returns what the parameter at `path` becomes when `text` is written to that at `changer`; nothing if it stays. `differs`
/// says whether the changer was something else before.
pub(super) fn effect(changer: &str, text: &str, path: &str, differs: bool) -> Option<String> {
    if changer == path {
        return None;
    }
    if let Some(twins) = TWINS.iter().find(|twins| twins.other(path).as_deref() == Some(changer)) {
        return twins.given(path, text, differs);
    }
    if let Some(directory) = changer.strip_suffix("/stable_secret") {
        let all = directory == "net/ipv6/conf/default" && !path.starts_with("net/ipv6/conf/all/");
        let own = path.strip_suffix("/addr_gen_mode")?;
        return (own != "net/ipv6/conf/default" && (all || own == directory)).then(|| "2".into());
    }
    if let Some(name) = ipv6_switch(changer) {
        // This one leaves new interfaces as they are, and all others where nothing changes.
        let stays = name == "force_forwarding" && (path.starts_with("net/ipv6/conf/default/") || !differs);
        let follows = path.strip_prefix("net/ipv6/conf/")?.split_once('/')?.1 == name;
        return (follows && !stays).then(|| text.to_owned());
    }
    if !FORWARDING.contains(&changer) || !differs {
        return None;
    }
    match path {
        REDIRECTS => Some(if leading_number(text) == Some(0) { "1" } else { "0" }.into()),
        path => is_ipv4_forwarding(path).then(|| text.to_owned()),
    }
}

/// Returns what a boot finds in a switch that does nothing where it already is what is written.
pub(super) fn at_boot(path: &str) -> Option<&'static str> {
    match path {
        "net/ipv4/ip_forward" | "net/ipv4/conf/all/forwarding" => Some("0"),
        path if ipv6_switch(path).is_some() => Some("0"),
        "vm/dirty_ratio" => Some("20"),
        "vm/dirty_bytes" => Some("0"),
        path => bound::at_boot(path),
    }
}

/// Two names for one thing, and what of the second is one of the first.
struct Twins(&'static str, &'static str, Relation);

const TWINS: [Twins; 8] = [
    Twins("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", Relation::Same),
    Twins("net/nf_conntrack_max", "net/netfilter/nf_conntrack_max", Relation::Same),
    Twins("base_reachable_time", "base_reachable_time_ms", Relation::Times(1000)),
    // In USER_HZ, which is 100 on every architecture of today (include/asm-generic/param.h).
    Twins("retrans_time", "retrans_time_ms", Relation::Times(10)),
    Twins("unres_qlen", "unres_qlen_bytes", Relation::Somehow),
    Twins("vm/dirty_bytes", "vm/dirty_ratio", Relation::Either),
    Twins("vm/dirty_background_bytes", "vm/dirty_background_ratio", Relation::Either),
    Twins("vm/overcommit_kbytes", "vm/overcommit_ratio", Relation::Either),
];

enum Relation {
    Same,
    Times(i128),
    /// To set one is to set the other to 0, which means that it is unset.
    Either,
    /// Nobody can tell what the other one becomes.
    Somehow,
}

impl Twins {
    /// Returns the other name of what is at `path`.
    fn other(&self, path: &str) -> Option<String> {
        let Self(one, other, _) = self;
        let twin = |name, twin| Some(format!("{}{twin}", base(path, name)?));
        twin(one, other).or_else(|| twin(other, one))
    }

    /// Returns what the one at `path` becomes when `text` is written to the other.
    fn given(&self, path: &str, text: &str, differs: bool) -> Option<String> {
        let Self(_, second, relation) = self;
        match relation {
            Relation::Same => Some(text.to_owned()),
            Relation::Times(factor) => {
                let number = leading_number(text)?;
                let is_second = base(path, second).is_some();
                Some((if is_second { number * factor } else { number / factor }).to_string())
            }
            // Only these look whether it changes (mm/page-writeback.c, `dirty_ratio_handler`).
            Relation::Either if !differs && path.starts_with("vm/dirty_") && !path.contains("background") => {
                None
            }
            Relation::Either => Some("0".into()),
            Relation::Somehow => Some("another value".into()),
        }
    }

    fn agree(&self, one: &Setting, other: &Setting) -> bool {
        let numbers = one.number().zip(other.number());
        match self.2 {
            Relation::Same => one == other,
            Relation::Times(factor) => numbers.is_some_and(|(a, b)| a * factor == b),
            Relation::Either => numbers.is_some_and(|(a, b)| a == 0 || b == 0),
            Relation::Somehow => false,
        }
    }
}

/// Returns an error if two names of one value contradict each other, or two bounds, since no order would satisfy both.
pub(super) fn contradiction(wanted: &BTreeMap<&Key, &str>) -> Result<()> {
    for (key, text) in wanted {
        for twins in &TWINS {
            let Some(base) = base(key.path(), twins.0) else { continue };
            let twin = Key::at(format!("{base}{}", twins.1));
            let Some(twin_text) = wanted.get(&twin) else { continue };
            if !twins.agree(&Setting::new(key, text), &Setting::new(&twin, twin_text)) {
                return Err(Error::invalid(format!(
                    "cannot set both {key} to {text} and {twin} to {twin_text}: they are one value under two names; give one of them"
                )));
            }
        }
    }
    match unordered(wanted) {
        None => Ok(()),
        Some((low, high)) => Err(Error::invalid(format!(
            "cannot set both {low} to {} and {high} to {}: the first must not be greater than the second; give others",
            wanted[&low], wanted[&high]
        ))),
    }
}

/// Returns what stands before `name` in `path`: nothing for a whole path, the directory for a neighbour's parameter.
fn base<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let base = path.strip_suffix(name)?;
    let neighbour = base.ends_with('/') && base.contains("/neigh/");
    (base.is_empty() || (neighbour && !name.contains('/'))).then_some(base)
}

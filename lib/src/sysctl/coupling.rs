//! Parameters that change each other. All of it was measured on Linux 6.18; the code is in net/ipv4/devinet.c
//! (`inet_forward_change`) and net/ipv6/addrconf.c.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::runtime::ProcSys;
use super::{Item, Key, Setting, Sysctl, Value};
use crate::resource::{Change, Layer, Plan, State};
use crate::root::Root;
use crate::{Error, Result};

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
    FORWARDING.contains(&path) || ipv6_switch(path).is_some() || path.starts_with("net/ipv4/conf/default/")
}

/// The rank of switches for everything.
pub(super) const SWITCHES: u8 = 1;

/// The rank of what changes nothing else.
const ORDINARY: u8 = 3;

/// The rank of files: what the kernel made another value of is not stored.
pub(super) const FILES: u8 = 4;

/// Returns in which order parameters are written: what saves a route from a switch, the switches for everything, those
/// for new interfaces, all others.
pub(super) fn rank(key: &Key) -> u8 {
    match key.path() {
        path if path.starts_with("net/ipv6/conf/") && path.ends_with("/accept_ra") => 0,
        path if path.starts_with("net/ipv4/conf/default/") => 2,
        _ if is_switch(key) => SWITCHES,
        _ => ORDINARY,
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

/// Returns the parameters that change along with those in `set`, if these are not what they should be yet.
pub(super) fn followers(set: &BTreeMap<Key, String>, kernel: &ProcSys) -> Result<BTreeSet<Key>> {
    let mut followers = BTreeSet::new();
    for (key, text) in set.iter().filter(|(key, _)| is_switch(key)) {
        if kernel.read(key)?.as_ref() == Some(&Setting::new(key, text)) {
            continue;
        }
        for pattern in patterns(key.path()) {
            followers.extend(kernel.matching(&Key::at(pattern))?);
        }
    }
    followers.retain(|key| !set.contains_key(key));
    Ok(followers)
}

fn patterns(path: &str) -> Vec<String> {
    match ipv6_switch(path) {
        Some(name) => vec![format!("net/ipv6/conf/*/{name}")],
        None if FORWARDING.contains(&path) => {
            vec![FORWARDING[0].into(), REDIRECTS.into(), "net/ipv4/conf/*/forwarding".into()]
        }
        None => Vec::new(),
    }
}

/// Returns what the kernel gives each of `followers` when the switches in `set` are not in `now` what they should be.
pub(super) fn followed<'a>(
    set: &BTreeMap<Key, String>,
    now: &State<Sysctl>,
    followers: &'a BTreeSet<Key>,
) -> Vec<(&'a Key, String)> {
    let mut values = Vec::new();
    for (switch, text) in set.iter().filter(|(key, _)| is_switch(key)) {
        let wanted = Value::Set(Setting::new(switch, text));
        if now.get(&Item::kernel(switch.clone())) == Some(&wanted) {
            continue;
        }
        let follows = |key: &&Key| match ipv6_switch(switch.path()) {
            // This one leaves new interfaces as they are.
            Some("force_forwarding") if key.path() == "net/ipv6/conf/default/force_forwarding" => false,
            Some(name) => {
                key.path().starts_with("net/ipv6/conf/") && key.path().ends_with(&format!("/{name}"))
            }
            None => FORWARDING.contains(&switch.path()) && key.path().starts_with("net/ipv4/"),
        };
        let there = |key: &&Key| now.contains_key(&Item::kernel((*key).clone()));
        values.extend(followers.iter().filter(follows).filter(there).map(|key| (key, follower(key, text))));
    }
    values
}

/// Returns what a switch that is set to `text` gives the follower `key`.
fn follower(key: &Key, text: &str) -> String {
    if key.path() == REDIRECTS {
        let off = Setting::new(key, text) == Setting::new(key, "0");
        return if off { "1" } else { "0" }.into();
    }
    text.to_owned()
}

/// Two names for one thing, and what of the second is one of the first.
const TWINS: [(&str, &str, Relation); 8] = [
    ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", Relation::Same),
    ("net/nf_conntrack_max", "net/netfilter/nf_conntrack_max", Relation::Same),
    ("base_reachable_time", "base_reachable_time_ms", Relation::Times(1000)),
    // In USER_HZ, which is 100 on every architecture of today (include/asm-generic/param.h).
    ("retrans_time", "retrans_time_ms", Relation::Times(10)),
    ("unres_qlen", "unres_qlen_bytes", Relation::Either),
    ("vm/dirty_bytes", "vm/dirty_ratio", Relation::Either),
    ("vm/dirty_background_bytes", "vm/dirty_background_ratio", Relation::Either),
    ("vm/overcommit_kbytes", "vm/overcommit_ratio", Relation::Either),
];

enum Relation {
    Same,
    Times(i128),
    /// To set one is to unset the other, or nobody can tell what it becomes.
    Either,
}

/// Returns an error if two names of one value contradict each other, since neither order would satisfy both.
pub(super) fn contradiction(wanted: &BTreeMap<&Key, &str>) -> Result<()> {
    for (key, text) in wanted {
        for (one, other, relation) in &TWINS {
            let Some(base) = base(key.path(), one) else { continue };
            let twin = Key::at(format!("{base}{other}"));
            let Some(twin_text) = wanted.get(&twin) else { continue };
            if !agree(relation, &Setting::new(key, text), &Setting::new(&twin, twin_text)) {
                return Err(Error::invalid(format!(
                    "cannot set both {key} to {text} and {twin} to {twin_text}: they are one value under two names; give one of them"
                )));
            }
        }
    }
    Ok(())
}

/// Returns what stands before `name` in `path`: nothing for a whole path, the directory for a neighbour's parameter.
fn base<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let base = path.strip_suffix(name)?;
    let neighbour = base.ends_with('/') && base.contains("/neigh/");
    (base.is_empty() || (neighbour && !name.contains('/'))).then_some(base)
}

fn agree(relation: &Relation, one: &Setting, other: &Setting) -> bool {
    match relation {
        Relation::Same => one == other,
        Relation::Times(factor) => one.number().zip(other.number()).is_some_and(|(a, b)| a * factor == b),
        Relation::Either => false,
    }
}

/// Returns an error if the plan switches IPv6 forwarding on where the default route comes from a router advertisement
/// and accept_ra is not 2: the kernel would remove that route (net/ipv6/route.c, `rt6_purge_dflt_routers`).
pub(super) fn keeps_routes(root: &Root, kernel: &ProcSys, plan: &Plan<Sysctl>) -> Result<()> {
    let Some(key) = plan.iter().find_map(|(item, change)| forwarding_on(item, change)) else {
        return Ok(());
    };
    for device in advertised(&root.at("/proc/thread-self/net/ipv6_route"))? {
        let accept = Key::at(format!("net/ipv6/conf/{device}/accept_ra"));
        let planned = plan.get(&Item::kernel(accept.clone())).and_then(|change| change.after.clone());
        let setting = match planned {
            Some(Value::Set(setting)) => Some(setting),
            _ => kernel.read(&accept)?,
        };
        if setting.and_then(|setting| setting.number()) != Some(2) {
            return Err(Error::invalid(format!(
                "cannot set {key}: the default route by {device} comes from a router advertisement and would be lost; set {accept} to 2 first"
            )));
        }
    }
    Ok(())
}

/// Returns the parameter if the change makes a host or an interface forward IPv6.
fn forwarding_on<'a>(item: &'a Item, change: &Change<Value>) -> Option<&'a Key> {
    let (Layer::Kernel, Some(Value::Set(setting))) = (&item.layer, &change.after) else {
        return None;
    };
    let scope = item.key.path().strip_prefix("net/ipv6/conf/")?.strip_suffix("/forwarding")?;
    (scope != "default" && setting.number() != Some(0)).then_some(&item.key)
}

/// Returns the devices with a default route from a router advertisement: the flag RTF_DEFAULT (linux/ipv6_route.h)
/// in the ninth field of /proc/net/ipv6_route; the tenth is the device. A router has millions of lines, so they are read singly.
fn advertised(routes: &Path) -> Result<BTreeSet<String>> {
    const RTF_DEFAULT: u32 = 0x0001_0000;
    fn device(line: &str) -> Option<&str> {
        let mut fields = line.split_whitespace().skip(8);
        let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
        fields.next().filter(|_| flags & RTF_DEFAULT != 0)
    }
    let failed = || Error::path::<io::Error>("read", routes);
    let file = match File::open(routes) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        opened => opened.map_err(failed())?,
    };
    let mut devices = BTreeSet::new();
    for line in BufReader::new(file).lines() {
        devices.extend(device(&line.map_err(failed())?).map(ToOwned::to_owned));
    }
    Ok(devices)
}

/// Returns warnings about ARP parameters that are set where no packet is seen to use them.
pub(super) fn without_effect(set: &BTreeMap<Key, String>, kernel: &ProcSys) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (key, text) in set {
        let Some((place, name)) =
            key.path().strip_prefix("net/ipv4/conf/").and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        if !["lo", "default"].contains(&place) || !["arp_ignore", "arp_announce"].contains(&name) {
            continue;
        }
        let all = Key::at(format!("net/ipv4/conf/all/{name}"));
        let in_force = match set.get(&all) {
            Some(text) => Setting::new(&all, text).number(),
            None => kernel.read(&all)?.and_then(|setting| setting.number()),
        };
        if Setting::new(key, text).number() > in_force.max(Some(0)) {
            warnings.push(format!(
                "{key} has no effect on the ARP of other interfaces, as the larger of all and the interface's own counts; set {all} or that of the interface"
            ));
        }
    }
    Ok(warnings)
}

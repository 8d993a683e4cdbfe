//! What a task must not do, or has no use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::runtime::ProcSys;
use super::{Item, Key, Setting, Sysctl, Value};
use crate::resource::{Change, Layer, Plan};
use crate::root::Root;
use crate::{Error, Result};

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

/// Returns an error if a planned parameter is one that nobody can set, as its mode says.
pub(super) fn is_writable(kernel: &ProcSys, plan: &Plan<Sysctl>) -> Result<()> {
    for (item, _) in plan.iter().filter(|(item, _)| item.is_live()) {
        if kernel.is_locked(&item.key)? {
            let key = &item.key;
            return Err(Error::invalid(format!(
                "cannot set {key}: the kernel lets nobody set it here (its mode is 0444), as in a container or a network namespace; set it from outside, or leave it out"
            )));
        }
    }
    Ok(())
}

/// Returns whether what is there is a greater number than `text`, or as great; an error if it is none.
pub(super) fn is_greater(key: &Key, there: &Setting, text: &str) -> Result<bool> {
    match (there.number(), Setting::new(key, text).number()) {
        (Some(there), Some(least)) => Ok(there >= least),
        _ => Err(Error::invalid(format!(
            "cannot use at_least with {key}: it holds {}, which is no single number; leave at_least out",
            there.text()
        ))),
    }
}

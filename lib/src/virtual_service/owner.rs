//! Others on the host that own services, and would take ours away.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use nix::net::if_::if_nametoindex;

use super::VirtualService;
use super::service::Ingress;
use crate::file;
use crate::keepalived::{self, Service};
use crate::resource::Plan;
use crate::root::Root;
use crate::{Error, Result, gathered};

/// Devices of programs that own the table as a whole, and remove what is not theirs within seconds (kubernetes' pkg/proxy/ipvs,
/// kube-router's pkg/controllers/proxy).
const DEVICES: [(&str, &str); 2] = [("kube-ipvs0", "kube-proxy"), ("kube-dummy-if", "kube-router")];

/// Returns an error if another program on the host owns what a plan changes; `everything` is to go that the task does not list.
pub(super) fn review(
    root: &Root,
    plan: &Plan<VirtualService>,
    everything: bool,
    in_namespace: bool,
) -> Result<()> {
    is_nobodys()?;
    // What these read is about the namespace that the host boots with.
    if in_namespace {
        return Ok(());
    }
    let [old, new] = ["/etc/ldirectord.cf", "/etc/ha.d/ldirectord.cf"].map(|path| root.at(path));
    for (path, program, theirs) in [
        (root.at(keepalived::MAIN), "keepalived", keepalived::services(root)?),
        (new.clone(), "ldirectord", ldirectord(&new)?),
        (old.clone(), "ldirectord", ldirectord(&old)?),
    ] {
        let mut changed = plan.items().filter_map(|item| item.key.entry()).map(|entry| entry.service);
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

/// Returns an error if a program owns the whole table, as its device tells.
fn is_nobodys() -> Result<()> {
    match DEVICES.into_iter().find(|(device, _)| if_nametoindex(*device).is_ok()) {
        None => Ok(()),
        Some((device, program)) => Err(Error::invalid(format!(
            "cannot change the IPVS table: {program} owns it, as its device {device} tells, and would take this away; leave it to {program}"
        ))),
    }
}

fn key_of(service: Ingress) -> Service {
    match service {
        Ingress::Address(_, at) => Service::At(at.ip(), at.port()),
        Ingress::Mark(mark, _) => Service::Mark(mark),
    }
}

/// Returns the services that the configuration of ldirectord at `path` lists (ldirectord(8)).
fn ldirectord(path: &Path) -> Result<BTreeSet<Service>> {
    let content = file::foreign(path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content).into_owned();
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.split('#').next()?.split_once('=')?;
        matches!(name.trim(), "virtual" | "virtual6").then(|| value.trim().to_owned())
    });
    let theirs = values.filter_map(|value| match value.parse::<SocketAddr>() {
        Ok(at) => Some(Service::At(at.ip(), at.port())),
        Err(_) => value.parse().ok().map(Service::Mark),
    });
    Ok(gathered(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_of_ldirectord_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ldirectord.cf");
        let text = "checktimeout=3\nvirtual = 192.0.2.10:80 # web\n\treal=10.0.0.1:80 gate\nvirtual=7\nvirtual6=[2001:db8::10]:80\n#virtual=192.0.2.11:80\n";
        std::fs::write(&file, text).unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().map(|at| Service::At(at.ip(), at.port())).unwrap();
        let wanted = [at("192.0.2.10:80"), at("[2001:db8::10]:80"), Service::Mark(7)];
        assert_eq!(ldirectord(&file).unwrap(), BTreeSet::from(wanted));
    }
}

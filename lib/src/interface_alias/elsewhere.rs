//! Addresses that another interface of this host has as well.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use rtnetlink::packet_core::NLM_F_DUMP;

use super::item::{Alias, Item};
use super::kernel::Kernel;
use super::{InterfaceAlias, added, message};
use crate::netlink::Link;
use crate::resource::Plan;
use crate::{Error, Result, gathered};

/// Returns a warning for each address that a plan adds and that another interface has and keeps.
pub(super) fn review(kernel: &Kernel, plan: &Plan<InterfaceAlias>) -> Result<Vec<String>> {
    let added = added(plan);
    // Each interface has the same link-local addresses.
    let is_alone = |alias: &&&Alias| !matches!(alias.address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let added: HashMap<IpAddr, &Alias> =
        added.iter().filter(is_alone).map(|alias| (alias.address, *alias)).collect();
    let mut warnings = Vec::new();
    if added.is_empty() {
        return Ok(warnings);
    }
    for (index, address) in kernel.owners(|address| added.contains_key(address))? {
        let (Some(alias), Some(link)) = (added.get(&address), kernel.link_number(index)?) else { continue };
        let goes = plan.iter().any(|(item, change)| is_at(item, &link, address) && change.after.is_none());
        if link.name != alias.interface && !goes {
            warnings.push(format!(
                "{alias} is on {} of this host as well, and either may answer for it; remove it there unless that is meant",
                link.name
            ));
        }
    }
    Ok(warnings)
}

fn is_at(item: &Item, link: &Link, address: IpAddr) -> bool {
    item.alias().is_some_and(|alias| alias.interface == link.name && alias.address == address)
}

impl Kernel {
    /// Returns the addresses of all interfaces for which `is_sought` holds, each with the number of its interface.
    fn owners(&self, is_sought: impl Fn(&IpAddr) -> bool) -> Result<BTreeSet<(u32, IpAddr)>> {
        let answer = self.connection.ask(message::list(0), NLM_F_DUMP);
        let answer = answer.map_err(Error::io("read", "the addresses of all interfaces"))?;
        let owners = answer.messages.iter().filter_map(message::owner);
        Ok(gathered(owners.filter(|(_, ip)| is_sought(ip))))
    }
}

//! What keepalived on this host would take away again when it starts.

use super::InterfaceAlias;
use crate::error::brief;
use crate::keepalived::{MAIN, owned_addresses};
use crate::resource::Plan;
use crate::root::Root;
use crate::{Error, Result};

/// Returns an error if keepalived would take an address away again that is to be added, to the kernel or to a file; a warning if only
/// keepalived can tell.
pub(super) fn review(root: &Root, plan: &Plan<InterfaceAlias>) -> Result<Option<String>> {
    let path = root.at(MAIN);
    let added = plan.iter().filter(|(_, change)| change.before.is_none());
    let mut added = added.filter_map(|(item, _)| item.any_alias()).peekable();
    if added.peek().is_none() {
        return Ok(None);
    }
    let owned = owned_addresses(root)?;
    match added.find(|alias| owned.addresses.contains(&alias.address)) {
        None => Ok(owned.unresolved.first().map(|line| {
            format!(
                "{} has {:?}, of which only keepalived knows whether it is one of these addresses; if it is, leave that to keepalived",
                path.display(),
                brief(line)
            )
        })),
        Some(alias) => Err(Error::invalid(format!(
            "cannot add {alias}: keepalived on this host owns {}, as {} lists it, and would take it away; leave it to keepalived",
            alias.address,
            path.display()
        ))),
    }
}

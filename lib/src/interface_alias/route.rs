//! The routes that go with an interface's last address.

use std::collections::BTreeSet;
use std::fs::read_to_string;

use super::InterfaceAlias;
use super::item::addresses;
use crate::resource::{Plan, State};
use crate::{Error, Result, gathered};

/// The IPv4 routes of this thread's network namespace (proc_net(5)).
const ROUTES: &str = "/proc/thread-self/net/route";

/// Returns a warning for each interface that loses its last IPv4 address and a default route with it, which the kernel removes then
/// (net/ipv4/fib_frontend.c, fib_inetaddr_event).
pub(super) fn review(found: &State<InterfaceAlias>, plan: &Plan<InterfaceAlias>) -> Result<Vec<String>> {
    let bare = bared(found, plan);
    if bare.is_empty() {
        return Ok(Vec::new());
    }
    let routes = read_to_string(ROUTES).map_err(Error::path("read", ROUTES.as_ref()))?;
    let is_default =
        |fields: &Vec<&str>| (fields.get(1), fields.get(7)) == (Some(&"00000000"), Some(&"00000000"));
    let defaults = routes.lines().map(|line| line.split_whitespace().collect()).filter(is_default);
    let leading: BTreeSet<&str> = gathered(defaults.filter_map(|fields| fields.first().copied()));
    let warn = |interface: &&str| {
        format!(
            "{interface} loses its last IPv4 address, and the kernel removes this host's default route by {interface} with it; give it another address first, or set the route again"
        )
    };
    Ok(bare.iter().filter(|interface| leading.contains(**interface)).map(warn).collect())
}

/// Returns the interfaces that have IPv4 addresses, of which none stays and to which none comes.
fn bared<'a>(found: &'a State<InterfaceAlias>, plan: &Plan<InterfaceAlias>) -> BTreeSet<&'a str> {
    let before = addresses(found).filter(|(alias, _)| alias.address.is_ipv4());
    let mut bare: BTreeSet<&str> = gathered(before.map(|(alias, _)| &*alias.interface));
    for (item, value) in found.iter() {
        let stays = plan.get(item).is_none_or(|change| change.after.is_some());
        if value.address().is_some() && stays && item.alias().is_some_and(|alias| alias.address.is_ipv4()) {
            bare.remove(item.interface());
        }
    }
    for (item, change) in plan.iter() {
        if change.after.is_some() && item.alias().is_some_and(|alias| alias.address.is_ipv4()) {
            bare.remove(item.interface());
        }
    }
    bare
}

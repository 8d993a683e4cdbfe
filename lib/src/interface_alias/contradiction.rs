//! What one task cannot want at once: no order would satisfy it, and each run would change what the last one did.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::rc::Rc;

use super::label::Label;
use super::wish::Wish;
use crate::{Error, Result};

/// Returns the same wishes if no address is wanted twice, and nothing both present and absent.
pub(super) fn fit_together(wishes: Vec<Wish>) -> Result<Vec<Wish>> {
    let prefixes = prefixes(&wishes)?;
    let present = wishes.iter().filter(|wish| wish.present);
    let labels: HashSet<&str> = present.filter_map(|wish| wish.label.as_ref().map(Label::whole)).collect();
    for wish in wishes.iter().filter(|wish| !wish.present) {
        match (wish.address, &wish.label) {
            (Some(address), _) => {
                let wanted = prefixes.get(&(wish.interface.clone(), address));
                // In IPv6 the prefix length tells no addresses apart.
                let covers = |prefix: &Option<u8>| {
                    wish.prefix.is_none() || prefix.is_none_or(|prefix| wish.prefix == Some(prefix))
                };
                if wanted.is_some_and(covers) {
                    return Err(both(format_args!("{address} on {}", wish.interface)));
                }
            }
            (None, Some(label)) if labels.contains(label.whole()) => return Err(both(label)),
            _ => {}
        }
    }
    Ok(wishes)
}

/// What tells the IPv4 addresses apart that should be there, by interface and address.
type Prefixes = HashMap<(Rc<str>, IpAddr), Option<u8>>;

fn prefixes(wishes: &[Wish]) -> Result<Prefixes> {
    let mut prefixes = Prefixes::new();
    for alias in wishes.iter().filter_map(Wish::wanted) {
        if prefixes.insert((alias.interface.clone(), alias.address), alias.prefix).is_some() {
            let what = format!("{} on {}", alias.address, alias.interface);
            return Err(Error::invalid(format!("cannot use aliases: {what} is there twice; give it once")));
        }
    }
    Ok(prefixes)
}

fn both(what: impl Display) -> Error {
    Error::invalid(format!("cannot use aliases: {what} is to be present and absent; leave one of them out"))
}

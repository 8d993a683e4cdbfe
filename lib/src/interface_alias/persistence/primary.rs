//! Which address of a network a boot sets first: that is the source of what the host sends there (net/ipv4/devinet.c).

use std::net::{IpAddr, Ipv4Addr};

use crate::interface_alias::address::Address;
use crate::interface_alias::item::Alias;
use crate::interface_alias::listed;

/// Returns a warning if what is `put` into a file is set by a boot before an address of the host's own, which is one of `late`.
pub(super) fn outrun<'a>(
    put: &[(&Alias, &Address)],
    late: impl Iterator<Item = (&'a Alias, &'a Address)>,
) -> Option<String> {
    let late: Vec<_> = late.filter(|(_, address)| !address.status.secondary && !address.is_ours()).collect();
    let overtakes = |(alias, address): &&(&Alias, &Address)| {
        late.iter().any(|(own, other)| {
            own.interface == alias.interface
                && own.address != alias.address
                && network(alias, address).is_some_and(|network| Some(network) == self::network(own, other))
        })
    };
    let first: Vec<&Alias> = put.iter().filter(overtakes).map(|(alias, _)| *alias).collect();
    (!first.is_empty()).then(|| {
        format!(
            "a boot sets {} before the interface's own address of that network, which is leased or stored behind it, so what this host sends there comes from the alias then; give it prefix 32",
            listed(first.iter().copied())
        )
    })
}

/// Returns the network of an IPv4 address that has others, with its prefix length.
fn network(alias: &Alias, address: &Address) -> Option<(Ipv4Addr, u8)> {
    let prefix = address.set.prefix;
    match alias.address {
        IpAddr::V4(ip) if (1..32).contains(&prefix) => {
            Some((ip & Ipv4Addr::from(!(u32::MAX >> prefix)), prefix))
        }
        _ => None,
    }
}

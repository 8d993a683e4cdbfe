//! Asking other hosts for an address before it is added.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::frame::{self, Mac};
use super::item::Alias;
use super::wire::Wire;
use crate::{Error, Result};

/// RFC 5227, section 1.1: PROBE_NUM.
const PROBES: u32 = 3;

/// RFC 5227, section 1.1: PROBE_MIN, and how long the last probe is waited for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Returns an error that names the card if another host has an address that is to be added. All addresses of an interface
/// are asked for together.
pub(super) fn probe(aliases: &[&Alias]) -> Result<()> {
    let mut interfaces = BTreeMap::<&str, HashMap<IpAddr, &Alias>>::new();
    for alias in aliases {
        interfaces.entry(&*alias.interface).or_default().insert(alias.address, alias);
    }
    for (interface, aliases) in interfaces {
        // Where nobody asks for addresses, as on lo, nobody else has one.
        let Some(wire) = Wire::open(interface)? else { continue };
        for _ in 0..PROBES {
            for address in aliases.keys() {
                wire.send(&frame::question(wire.mac, *address)).map_err(|error| unasked(interface, error))?;
            }
            listen(&wire, &aliases)?;
        }
    }
    Ok(())
}

/// Returns an error if a host claims one of the addresses before the next probe.
fn listen(wire: &Wire, aliases: &HashMap<IpAddr, &Alias>) -> Result<()> {
    let end = Instant::now() + INTERVAL;
    while let Some(frame) = wire.receive(end)? {
        if let Some((address, mac)) = frame::claim(&frame)
            && mac != wire.mac
            && let Some(alias) = aliases.get(&address)
        {
            return Err(taken(alias, mac));
        }
    }
    Ok(())
}

/// Returns the error for a question that could not be asked.
fn unasked(interface: &str, error: Error) -> Error {
    match &error {
        Error::Io { source, .. } if source.kind() == ErrorKind::NetworkDown => Error::invalid(format!(
            "cannot ask whether another host has an address: the interface {interface} is down; bring it up first, or leave check_conflict out"
        )),
        _ => error,
    }
}

fn taken(alias: &Alias, [a, b, c, d, e, f]: Mac) -> Error {
    Error::invalid(format!(
        "cannot add {alias}: the host with the MAC address {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} has it already; take it away there"
    ))
}

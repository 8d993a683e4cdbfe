//! Telling other hosts of a new address.

use std::thread::sleep;

use super::frame;
use super::item::Alias;
use super::options::Announce;
use super::wire::Wire;
use crate::{Error, Result};

/// Announces addresses as often as `how` says; returns warnings for what could not be announced.
pub(super) fn announce(aliases: &[&Alias], how: Announce) -> Vec<String> {
    let mut warnings = Vec::new();
    for round in 0..how.count.0 {
        if round > 0 {
            sleep(how.interval_between());
        }
        let failed = aliases.iter().filter_map(|alias| announce_once(alias).err());
        warnings = failed.map(|error| error.sentence()).collect();
    }
    warnings
}

fn announce_once(alias: &Alias) -> Result<()> {
    match Wire::open(&alias.interface)? {
        Some(wire) => wire.send(&frame::announcement(wire.mac, alias.address)),
        None => Err(Error::invalid(format!(
            "cannot announce {alias}: nobody asks for addresses on this interface; leave announce out"
        ))),
    }
}

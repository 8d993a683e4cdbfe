//! What comes of it that networkd's file for a device is for others too.

use std::path::{Path, PathBuf};

use super::files::Files;
use super::running::network_files;
use super::store::Device;
use crate::Result;

/// What comes of it that networkd's file for a device is for others too.
#[derive(Default)]
pub(super) struct Sharing {
    /// What to know if others may come.
    pub(super) warning: Option<String>,
    /// Why nothing is kept, if one of them is there.
    pub(super) objection: Option<String>,
}

/// Returns what comes of it if networkd's file for a device is for others too.
pub(super) fn sharing(files: &mut Files, device: &Device, network: &Path) -> Result<Sharing> {
    let (name, network_name) = (&device.name, network.display());
    if let Some(other) = shared_with(files, device, network)? {
        let objection = format!(
            "{network_name} is for interface {other} too, which would get the address as well; give {name} a file of its own"
        );
        return Ok(Sharing { objection: Some(objection), warning: None });
    }
    let warning = (!names(&files.content(network)?, name)).then(|| {
        format!(
            "{network_name} is for every interface that it matches, and each would get the addresses of {name}; have it match {name} alone"
        )
    });
    Ok(Sharing { warning, objection: None })
}

/// Returns the number of another interface that networkd manages by the same file.
fn shared_with(files: &mut Files, device: &Device, network: &Path) -> Result<Option<u32>> {
    let is_other = |(index, file): &(u32, PathBuf)| Some(*index) != device.index && file == network;
    Ok(network_files(files)?.into_iter().find(is_other).map(|(index, _)| index))
}

/// Returns whether a file is for that interface alone.
fn names(network: &str, interface: &str) -> bool {
    network.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| match key.trim() {
        "Name" => value.trim() == interface,
        "MACAddress" | "PermanentMACAddress" => value.split_whitespace().count() == 1,
        _ => false,
    })
}

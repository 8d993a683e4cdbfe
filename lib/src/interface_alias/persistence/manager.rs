//! Which manager an interface has, by the files that it leaves, without a bus.

use std::path::Path;
use std::rc::Rc;

use super::{Persist, Store, ifupdown, netplan, network_manager, networkd};
use crate::interface_alias::options::Purge;
use crate::root::Root;
use crate::{Error, Result};

/// An interface, and its number if it is there.
#[derive(Debug)]
pub(in super::super) struct Device {
    pub(in super::super) name: Rc<str>,
    pub(in super::super) index: Option<u32>,
}

const MANAGERS: [Persist; 4] =
    [Persist::Ifupdown, Persist::Networkd, Persist::Netplan, Persist::NetworkManager];

/// Returns where each device's addresses go.
pub(in super::super) fn stores(
    root: &Root,
    persist: Persist,
    purge: Purge,
    devices: &[Device],
) -> Result<Vec<Store>> {
    let root = &root.at("/");
    let found = devices.iter().map(|device| match persist {
        Persist::None => Ok(None),
        Persist::Auto => the_one(root, device),
        manager => named(root, manager, device),
    });
    found.filter_map(Result::transpose).map(|store| store?.permit(purge)).collect()
}

fn find(root: &Path, manager: Persist, device: &Device) -> Result<Option<Store>> {
    match manager {
        Persist::None | Persist::Auto => Ok(None),
        Persist::Ifupdown => ifupdown::find(root, device),
        Persist::Networkd => networkd::find(root, device),
        Persist::Netplan => netplan::find(root, device),
        Persist::NetworkManager => network_manager::find(root, device),
    }
}

/// Returns the file of the one manager that a device has; none where it is not there and nobody knows it.
fn the_one(root: &Path, device: &Device) -> Result<Option<Store>> {
    let mut found = Vec::new();
    for manager in MANAGERS {
        found.extend(find(root, manager, device)?);
    }
    if found.is_empty() && &*device.name == "lo" {
        for manager in MANAGERS {
            found.extend(for_lo(root, manager, device)?);
        }
    }
    match (found.len(), device.index) {
        (1, _) => Ok(found.pop()),
        (0, None) => Ok(None),
        (0, _) => Err(Error::invalid(format!(
            "cannot keep addresses of {}: neither ifupdown, networkd, netplan nor networkmanager manages it; leave persist out, or have one of them manage it",
            device.name
        ))),
        _ => {
            let names: Vec<_> = found.iter().map(|store| store.manager.word()).collect();
            Err(Error::invalid(format!(
                "cannot tell which manager keeps the addresses of {}: {} have it; set persist to the one that brings it up",
                device.name,
                names.join(" and ")
            )))
        }
    }
}

/// Returns the file of a manager that the task names, if the device is that one's.
fn named(root: &Path, manager: Persist, device: &Device) -> Result<Option<Store>> {
    let mut found = find(root, manager, device)?;
    if found.is_none() && &*device.name == "lo" {
        found = for_lo(root, manager, device)?;
    }
    match found {
        None if device.index.is_some() => Err(Error::invalid(format!(
            "cannot keep addresses of {} with {}: that does not manage it; set persist to the one that does, or to auto",
            device.name,
            manager.word()
        ))),
        found => Ok(found),
    }
}

/// Returns the file of a manager for lo, which the manager of the other interfaces brings up if it is told to.
fn for_lo(root: &Path, manager: Persist, lo: &Device) -> Result<Option<Store>> {
    let mut managed = Vec::new();
    for index in networkd::numbers(&root.join(networkd::LINKS))? {
        managed.extend(networkd::network_file(root, index)?.map(|file| netplan::id_of(&file).is_some()));
    }
    match manager {
        Persist::Networkd if managed.contains(&false) => Ok(Some(networkd::for_lo(root, lo))),
        Persist::Netplan if managed.contains(&true) => netplan::for_lo(root, lo).map(Some),
        Persist::NetworkManager if network_manager::has_profiles(root)? => {
            Ok(Some(network_manager::for_lo(root, lo)))
        }
        _ => Ok(None),
    }
}

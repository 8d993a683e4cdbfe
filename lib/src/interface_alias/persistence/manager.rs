//! Which manager an interface has, by the files that it leaves, without a bus.

use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;

use super::{Store, ifupdown, netplan, network_manager, networkd};
use crate::interface_alias::options::Purge;
use crate::root::Root;
use crate::{Error, Result};

/// Which network manager brings the addresses back after a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Persist {
    /// None: the task is about the running kernel alone.
    #[default]
    None,
    /// The one that manages the interface.
    Auto,
    /// ifupdown, by interfaces(5).
    Ifupdown,
    /// systemd-networkd, by systemd.network(5).
    Networkd,
    /// Netplan, whichever renderer it has.
    Netplan,
    /// NetworkManager, by nm-settings-keyfile(5).
    NetworkManager,
}

impl Persist {
    /// Returns the word that chooses it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Auto => "auto",
            Self::Ifupdown => "ifupdown",
            Self::Networkd => "networkd",
            Self::Netplan => "netplan",
            Self::NetworkManager => "networkmanager",
        }
    }
}

/// An interface, and its number if it is there.
#[derive(Debug)]
pub(in super::super) struct Device {
    pub(in super::super) name: Rc<str>,
    pub(in super::super) index: Option<u32>,
    /// Whether the task wants an address on it, not only none.
    pub(in super::super) is_needed: bool,
}

impl Device {
    pub(in super::super) fn new(name: &Rc<str>, index: Option<u32>, is_needed: bool) -> Self {
        Self { name: name.clone(), index, is_needed }
    }
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
    let mut stores = Vec::new();
    for device in devices {
        match persist {
            Persist::None => {}
            Persist::Auto => stores.extend(of_the_one(root, device)?),
            manager => stores.extend(of_the_named(root, manager, device)?),
        }
    }
    stores.into_iter().map(|store| store.permit(purge)).collect()
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

/// Returns the file of the one manager that a device has, and what we left with others; none where it is not there and nobody
/// knows it.
fn of_the_one(root: &Path, device: &Device) -> Result<Vec<Store>> {
    let found = known_to(root, &MANAGERS, device)?;
    let names: Vec<_> = found.iter().map(|store| store.manager.word()).collect();
    if found.len() > 1 && device.index.is_some() {
        return Err(Error::invalid(format!(
            "cannot tell which manager keeps the addresses of {}: {} have it; set persist to the one that brings it up",
            device.name,
            names.join(" and ")
        )));
    }
    with_left(root, &MANAGERS, device, found, || {
        format!(
            "cannot keep addresses of {}: neither ifupdown, networkd, netplan nor networkmanager manages it; leave persist out, or have one of them manage it",
            device.name
        )
    })
}

/// Returns the file of a manager that the task names, if the device is that one's.
fn of_the_named(root: &Path, manager: Persist, device: &Device) -> Result<Vec<Store>> {
    let found = known_to(root, &[manager], device)?;
    with_left(root, &[manager], device, found, || {
        format!(
            "cannot keep addresses of {} with {}: that does not manage it; set persist to the one that does, or to auto",
            device.name,
            manager.word()
        )
    })
}

/// Returns the files of those managers that have a device.
fn known_to(root: &Path, managers: &[Persist], device: &Device) -> Result<Vec<Store>> {
    let by = |look: fn(&Path, Persist, &Device) -> Result<Option<Store>>| {
        let found = managers.iter().map(|manager| look(root, *manager, device));
        found.filter_map(Result::transpose).collect::<Result<Vec<_>>>()
    };
    let found = by(find)?;
    if found.is_empty() && &*device.name == "lo" { by(for_lo) } else { Ok(found) }
}

/// Returns what was `found` of a device that is there, and if nothing is wanted on it what we left with managers that do not have it
/// any more: our file may be why the last boot brought no network. That there is neither is an error, `why`, where something is
/// wanted; nothing to take away is none.
fn with_left(
    root: &Path,
    managers: &[Persist],
    device: &Device,
    found: Vec<Store>,
    why: impl FnOnce() -> String,
) -> Result<Vec<Store>> {
    if device.index.is_none() {
        return Ok(found);
    }
    let mut stores = Vec::new();
    let gone = Device::new(&device.name, None, false);
    // A profile of NetworkManager is the person's.
    let others = managers.iter().filter(|manager| **manager != Persist::NetworkManager);
    let others = others.filter(|manager| found.iter().all(|store| store.manager != **manager));
    for manager in others.filter(|_| !device.is_needed) {
        stores.extend(find(root, *manager, &gone)?);
    }
    stores.extend(found);
    if stores.is_empty() && device.is_needed { Err(Error::invalid(why())) } else { Ok(stores) }
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

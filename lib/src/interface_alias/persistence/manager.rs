//! Which manager an interface has, by the files that it leaves, without a bus.

use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;

use super::{Store, ifupdown, netplan, network_manager, networkd};
use crate::interface_alias::options::Purge;
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
    root: &Path,
    persist: Persist,
    purge: Purge,
    devices: &[Device],
) -> Result<Vec<Store>> {
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

/// Returns the file of the one manager that a device has; none where it is not there and nobody knows it.
fn of_the_one(root: &Path, device: &Device) -> Result<Vec<Store>> {
    let mut found = found_by(&MANAGERS, find, root, device)?;
    if found.is_empty() && &*device.name == "lo" {
        found = found_by(&MANAGERS, for_lo, root, device)?;
    }
    if found.is_empty() {
        return left_by(root, &MANAGERS, device, || {
            format!(
                "cannot keep addresses of {}: neither ifupdown, networkd, netplan nor networkmanager manages it; leave persist out, or have one of them manage it",
                device.name
            )
        });
    }
    if found.len() == 1 {
        return Ok(found);
    }
    let names: Vec<_> = found.iter().map(|store| store.manager.word()).collect();
    Err(Error::invalid(format!(
        "cannot tell which manager keeps the addresses of {}: {} have it; set persist to the one that brings it up",
        device.name,
        names.join(" and ")
    )))
}

/// Returns the file of a manager that the task names, if the device is that one's.
fn of_the_named(root: &Path, manager: Persist, device: &Device) -> Result<Vec<Store>> {
    let mut found = found_by(&[manager], find, root, device)?;
    if found.is_empty() && &*device.name == "lo" {
        found = found_by(&[manager], for_lo, root, device)?;
    }
    if !found.is_empty() {
        return Ok(found);
    }
    left_by(root, &[manager], device, || {
        format!(
            "cannot keep addresses of {} with {}: that does not manage it; set persist to the one that does, or to auto",
            device.name,
            manager.word()
        )
    })
}

type Look = fn(&Path, Persist, &Device) -> Result<Option<Store>>;

fn found_by(managers: &[Persist], look: Look, root: &Path, device: &Device) -> Result<Vec<Store>> {
    let found = managers.iter().map(|manager| look(root, *manager, device));
    found.filter_map(Result::transpose).collect()
}

/// Returns the files that we left with managers which do not have a device any more, if all that the task wants is to remove what is
/// in them: our file may be why the last boot brought no network. Else it is an error, `why`, unless the device is not there.
fn left_by(
    root: &Path,
    managers: &[Persist],
    device: &Device,
    why: impl FnOnce() -> String,
) -> Result<Vec<Store>> {
    if device.index.is_none() {
        return Ok(Vec::new());
    }
    let gone = Device::new(&device.name, None, false);
    // A profile of NetworkManager is the person's.
    let ours = managers.iter().filter(|manager| **manager != Persist::NetworkManager).copied();
    let left = found_by(&ours.collect::<Vec<_>>(), find, root, &gone)?;
    if left.is_empty() || device.is_needed { Err(Error::invalid(why())) } else { Ok(left) }
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

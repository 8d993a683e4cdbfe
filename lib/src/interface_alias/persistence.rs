//! What a boot brings back: the addresses in the files of the host's network manager.
//!
//! The kernel is set by ourselves, without the manager. It is told no more than it needs so that it neither fails nor
//! undoes that later, and what it only has to find at its next start or reload is left for then.

mod brought;
mod entry;
mod files;
mod form;
mod ifstate;
mod ifup;
mod ifupdown;
mod interfaces;
mod keyfile;
mod netplan;
mod network_manager;
mod networkd;
mod origin;
mod primary;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod reader;
mod running;
mod sharing;
mod stanza;
mod store;
mod yaml;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::de::{Deserialize, Deserializer, Error as _};

pub(super) use files::Files;
pub(super) use store::{Device, Store};

use super::InterfaceAlias;
use super::purge::Purge;
use super::wish::Wish;
use crate::resource::{Plan, State};
use crate::root::Root;
use crate::{Error, Result};
use brought::Known;
use reader::Verdict;
use store::Manager;

/// The managers that there are. All about one is in its own file.
static MANAGERS: &[&Manager] =
    &[&ifupdown::MANAGER, &networkd::MANAGER, &netplan::MANAGER, &network_manager::MANAGER];

/// Which network manager brings the addresses back after a boot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Persist {
    /// None: the task is about the running kernel alone.
    #[default]
    None,
    /// The one that manages the interface.
    Auto,
    /// The one that the task names.
    Named(&'static Manager),
}

/// The words that choose.
static WORDS: [&str; MANAGERS.len() + 2] = {
    let mut words = ["none"; MANAGERS.len() + 2];
    words[1] = "auto";
    let mut next = 0;
    while next < MANAGERS.len() {
        words[next + 2] = MANAGERS[next].word;
        next += 1;
    }
    words
};

impl<'de> Deserialize<'de> for Persist {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let named = || MANAGERS.iter().find(|manager| manager.word == word);
        match word.as_str() {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            _ => named()
                .map(|manager| Self::Named(manager))
                .ok_or_else(|| D::Error::unknown_variant(&word, &WORDS)),
        }
    }
}

impl Persist {
    /// Returns whether anything is kept.
    pub(super) fn is_on(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns those that may be the one.
    fn managers(&self) -> &[&'static Manager] {
        match self {
            Self::None => &[],
            Self::Auto => MANAGERS,
            Self::Named(manager) => std::slice::from_ref(manager),
        }
    }

    /// Returns the error that none of them manages a device.
    fn unmanaged(self, device: &Device) -> Error {
        let name = &device.name;
        Error::invalid(match self {
            Self::Named(Manager { word, .. }) => format!(
                "cannot keep addresses of {name} with {word}: that does not manage it; set persist to the one that does, or to auto"
            ),
            _ => format!(
                "cannot keep addresses of {name}: neither {} manages it; leave persist out, or have one of them manage it",
                listed(MANAGERS, "nor")
            ),
        })
    }
}

/// Returns the words of managers.
fn listed(managers: &[&Manager], conjunction: &str) -> String {
    let words: Vec<_> = managers.iter().map(|manager| manager.word).collect();
    let (last, first) = words.split_last().unwrap_or((&"", &[]));
    if first.is_empty() { (*last).to_owned() } else { format!("{} {conjunction} {last}", first.join(", ")) }
}

/// Returns where each device's addresses go, and what was read to find that.
pub(super) fn stores(
    root: &Root,
    persist: Persist,
    purge: Purge,
    devices: &[Device],
) -> Result<(Files, Vec<Store>)> {
    if !persist.is_on() {
        return Ok((Files::new(root), Vec::new()));
    }
    let mut stores = look(root, persist, devices);
    let end = Instant::now() + PATIENCE;
    while stores.is_err() && Instant::now() < end && running::is_late(&mut Files::new(root), devices)? {
        sleep(PAUSE);
        stores = look(root, persist, devices);
    }
    let (files, stores) = stores?;
    if let Some(store) = stores.iter().find(|store| purge != Purge::None && store.manager.is_shared) {
        return Err(Error::invalid(format!(
            "cannot use purge with {}: its profile does not tell our addresses from yours; leave purge or persist out",
            store.manager.word
        )));
    }
    Ok((files, stores.into_iter().map(Store::with_origin).collect::<Result<_>>()?))
}

/// How long a manager may take, after an address is there, to say that it manages the interface; what is tried without one says no
/// more later.
const PATIENCE: Duration = Duration::from_secs(if cfg!(any(test, fuzzing)) { 0 } else { 3 });

const PAUSE: Duration = Duration::from_millis(50);

/// Returns where each device's addresses go, as it is now.
fn look(root: &Root, persist: Persist, devices: &[Device]) -> Result<(Files, Vec<Store>)> {
    let mut files = Files::new(root);
    let mut found = Found::default();
    found.look(&mut files, persist.managers(), devices)?;
    let mut stores = Vec::new();
    for device in devices {
        stores.extend(found.of(&mut files, persist, device)?);
    }
    Ok((files, stores))
}

/// The stores of each interface.
#[derive(Default)]
struct Found(BTreeMap<Rc<str>, Vec<Store>>);

impl Found {
    /// Takes up where those managers have the addresses of devices.
    fn look(&mut self, files: &mut Files, managers: &[&Manager], devices: &[Device]) -> Result<()> {
        for manager in managers {
            for store in (manager.find)(files, devices)? {
                self.0.entry(store.interface().clone()).or_default().push(store);
            }
        }
        Ok(())
    }

    /// Returns the store of a device with the one manager that has it, or what may bring addresses back that are to go; none where it
    /// is not there and nobody knows it.
    fn of(&mut self, files: &mut Files, persist: Persist, device: &Device) -> Result<Vec<Store>> {
        let mut found = self.0.remove(&device.name).unwrap_or_default();
        if found.is_empty() && &*device.name == "lo" {
            let for_lo = persist.managers().iter().map(|manager| (manager.for_lo)(files, device));
            found = for_lo.filter_map(Result::transpose).collect::<Result<_>>()?;
        }
        if device.index.is_none() {
            return Ok(found);
        }
        if !device.is_needed {
            // What is to go, goes from all that may bring it back.
            let mut stores = left(files, persist, device, &found)?;
            stores.extend(found);
            return Ok(stores);
        }
        the_one(found, device)?.map(|store| vec![store]).ok_or_else(|| persist.unmanaged(device))
    }
}

/// Returns the store of the one manager that brings a device up: that it did counts more than that it would by a file, which may be
/// a left-over of one that was there before.
fn the_one(mut found: Vec<Store>, device: &Device) -> Result<Option<Store>> {
    if found.iter().any(|store| store.is_in_force) {
        found.retain(|store| store.is_in_force);
    }
    if found.len() > 1 {
        let managers: Vec<_> = found.iter().map(|store| store.manager).collect();
        return Err(Error::invalid(format!(
            "cannot tell which manager keeps the addresses of {}: {} have it; set persist to the one that brings it up",
            device.name,
            listed(&managers, "and")
        )));
    }
    Ok(found.pop())
}

/// Returns what we left with managers that do not have a device any more: our file may be why the last boot brought no network.
fn left(files: &mut Files, persist: Persist, device: &Device, found: &[Store]) -> Result<Vec<Store>> {
    let gone = [Device::new(&device.name, None, false)];
    let has = |manager: &Manager| found.iter().any(|store| store.manager.word == manager.word);
    let others = persist.managers().iter().filter(|manager| !manager.is_shared && !has(manager));
    let mut stores = Vec::new();
    for manager in others {
        stores.extend((manager.find)(files, &gone)?);
    }
    Ok(stores)
}

/// Returns an error if a store must not have what the plan puts there; else what the person should know.
pub(super) fn review(
    files: &mut Files,
    stores: &[Store],
    plan: &Plan<InterfaceAlias>,
    wishes: &[Wish],
    found: &State<InterfaceAlias>,
) -> Result<Vec<String>> {
    let (mut warnings, mut known) = (Vec::new(), Known::default());
    for store in stores {
        warnings.extend(store.hazard(plan)?);
    }
    if plan.is_empty() && wishes.iter().all(|wish| wish.present) {
        return Ok(warnings);
    }
    for store in stores {
        warnings.extend(store.review(files, plan, wishes, found, &mut known)?);
    }
    for manager in MANAGERS {
        let is_its_own = |store: &&Store| store.manager.word == manager.word;
        let stores: Vec<_> = stores.iter().filter(is_its_own).collect();
        warnings.extend(have_read(manager, files, &stores, plan)?);
    }
    Ok(warnings)
}

/// Has a manager's reader read what a plan makes of the files of these stores. Returns what the person should know, or an error if it
/// takes what is there and not what is to be put there.
fn have_read(
    manager: &Manager,
    files: &mut Files,
    stores: &[&Store],
    plan: &Plan<InterfaceAlias>,
) -> Result<Option<String>> {
    let (mut before, mut after, mut puts) = (Vec::new(), Vec::new(), false);
    for store in stores {
        if let Some([old, new]) = store.drafts(plan)? {
            before.push(old);
            after.push(new);
            puts = puts || store.puts(plan);
        }
    }
    if after.is_empty() {
        return Ok(None);
    }
    let word = manager.word;
    let why = match (manager.ask)(files, &after)? {
        Verdict::Taken => return Ok(None),
        Verdict::NotAsked(why) => {
            return Ok(Some(format!("{word} was not asked whether it takes the files: {why}")));
        }
        Verdict::Refused(why) => why,
    };
    match (manager.ask)(files, &before)? {
        Verdict::Refused(_) => Ok(Some(format!(
            "{word} does not take its files, with this change or without it: {why}; mend that"
        ))),
        _ if !puts => Ok(Some(format!(
            "{word} does not take its files when these addresses are gone: {why}; mend that"
        ))),
        _ => Err(Error::invalid(format!(
            "cannot keep these addresses with {word}: it would not take its files any more ({why}), and the next boot would lack what they have; mend that, or leave persist out"
        ))),
    }
}

#[cfg(test)]
mod tests;

//! What a boot brings back: the addresses in the files of the host's network manager.
//!
//! The kernel is set by ourselves, without the manager. It is told no more than it needs so that it neither fails nor
//! undoes that later, and what it only has to find at its next start or reload is left for then.

mod files;
mod ifstate;
mod ifupdown;
mod manager;
mod netplan;
mod network_manager;
mod networkd;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;

use std::fmt::Debug;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Deserialize;
use serde_json::json;

pub(super) use manager::{Device, stores};

use super::InterfaceAlias;
use super::address::Address;
use super::item::{Addresses, Alias, Item, Value, addresses};
use super::label::Label;
use super::options::{Purge, Wish};
use crate::file;
use crate::resource::{Plan, State};
use crate::{Error, Result};
use files::{foreign, text};
use ifstate::IfState;

/// Which network manager brings the addresses back after a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Persist {
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

/// How a manager writes down addresses.
trait Form: Debug {
    /// Returns the addresses that `content` brings, or why it cannot be used.
    fn read(&self, content: &str) -> Result<Addresses, String>;

    /// Returns `content` with these addresses and no others; nothing if no file is needed for that.
    fn written(&self, content: &str, addresses: &Addresses) -> String;

    /// Returns why an address cannot be kept so, if it cannot.
    fn refusal(&self, content: &str, alias: &Alias, address: &Address) -> Option<String>;

    /// Returns what the person would lose with a change of what is theirs from `before` to `after`, if anything.
    fn loss(&self, _before: &str, _after: &str) -> Option<String> {
        None
    }

    /// Returns whether another file of the manager, whose content this is, brings `address`, or any under `label`.
    fn brings(&self, _content: &str, _address: Option<IpAddr>, _label: Option<&str>) -> bool {
        false
    }

    /// Returns what the person should know of using these files.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Tells the running manager of the file, as far as it needs that; returns what the person should know.
    fn tell(&self, _file: &Path, _gone: &[&Alias]) -> Option<String> {
        None
    }
}

/// The place where a manager finds the addresses that we want on an interface.
#[derive(Debug)]
pub(super) struct Store {
    manager: Persist,
    interface: Rc<str>,
    file: Rc<Path>,
    /// The mode of the file if it is new.
    mode: u32,
    form: Box<dyn Form>,
    /// Other files in which the person may have written down an address.
    elsewhere: Vec<PathBuf>,
    /// What ifupdown takes for up, where it is the manager and has run since the boot.
    ifstate: Option<IfState>,
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

impl Store {
    /// Returns the interface.
    pub(super) fn interface(&self) -> &Rc<str> {
        &self.interface
    }

    /// Returns what the answer tells of it.
    pub(super) fn remark(&self) -> serde_json::Value {
        json!({"manager": self.manager.word(), "file": self.file})
    }

    /// Returns an error if the task wants to purge where the addresses of the person are among ours.
    fn permit(self, purge: Purge) -> Result<Self> {
        if purge != Purge::None && self.manager == Persist::NetworkManager {
            return Err(Error::invalid(
                "cannot use purge with networkmanager: its profile does not tell our addresses from yours; leave purge or persist out",
            ));
        }
        Ok(self)
    }

    fn content(&self) -> Result<String> {
        text(&self.file)
    }

    fn read(&self, content: &str) -> Result<Addresses> {
        let refuse = |why| Error::invalid(format!("cannot use {}: {why}", self.file.display()));
        self.form.read(content).map_err(refuse)
    }

    /// Returns what it holds.
    pub(super) fn observe(&self, wishes: &[Wish]) -> Result<State<InterfaceAlias>> {
        let stored = self.read(&self.content()?)?;
        let mut state: State<InterfaceAlias> =
            stored.iter().map(|(alias, address)| entry(alias, address, &self.file)).collect();
        if let Some(ifstate) = &self.ifstate {
            // A label is that of the address which is stored under it, until that is replaced.
            let taken: Vec<_> = stored.iter().filter_map(|(alias, address)| label(alias, address)).collect();
            let wish = |wish: &Wish| Some((wish.wanted()?, wish.applied(None)?));
            let is_free = |(alias, address): &(Alias, Address)| {
                alias.interface == self.interface
                    && label(alias, address).is_none_or(|label| !taken.contains(&label))
            };
            let wanted = wishes.iter().filter_map(wish).filter(is_free);
            let possible: Addresses = wanted.chain(stored).collect();
            let known = ifstate.read(&possible)?;
            state.extend(known.iter().map(|(alias, address)| entry(alias, address, ifstate.file())));
        }
        Ok(state)
    }

    /// Returns what `now` has there, as if it were the interface's.
    pub(super) fn layer(&self, now: &State<InterfaceAlias>) -> State<InterfaceAlias> {
        let entry = |(alias, address): (&Alias, &Address)| {
            (Item::Address(alias.clone()), Value::Address(address.clone()))
        };
        stored(now, &self.file).map(entry).collect()
    }

    /// Brings what `then` has there, and what ifupdown takes for up, to what `layer` has.
    pub(super) fn bring(&self, then: &mut State<InterfaceAlias>, layer: &State<InterfaceAlias>) {
        then.retain(|item, _| item.stored_in(&self.file).is_none());
        then.extend(addresses(layer).map(|(alias, address)| entry(alias, address, &self.file)));
        if let Some(ifstate) = &self.ifstate {
            let up = addresses(layer).filter_map(|(alias, address)| ifstate::up(alias, address));
            then.retain(|item, _| item.stored_in(ifstate.file()).is_none());
            then.extend(up.map(|(alias, address)| entry(&alias, &address, ifstate.file())));
        }
    }

    /// Returns an error if the plan puts something there that the manager cannot keep or that the person has put there
    /// already; else what the person should know.
    pub(super) fn review(&self, plan: &Plan<InterfaceAlias>, wishes: &[Wish]) -> Result<Vec<String>> {
        let content = self.content()?;
        let mut is_used = false;
        for (alias, before, after) in self.changes(plan) {
            let Some(address) = after else { continue };
            is_used = true;
            self.permits(&content, alias, address, before.is_none())?;
        }
        if let Some(after) = self.planned(&content, plan)?
            && let Some(why) = self.form.loss(&content, &after)
        {
            return Err(Error::invalid(format!("cannot change {}: {why}", self.file.display())));
        }
        let mut warnings: Vec<String> = self.form.warning().filter(|_| is_used).into_iter().collect();
        for wish in wishes.iter().filter(|wish| !wish.present && wish.interface == self.interface) {
            warnings.extend(self.comes_back(wish)?);
        }
        Ok(warnings)
    }

    /// Returns an error if an address cannot be kept there, or is new there and the person's elsewhere.
    fn permits(&self, content: &str, alias: &Alias, address: &Address, is_new: bool) -> Result<()> {
        if let Some(why) = self.form.refusal(content, alias, address) {
            return Err(self.refuse(alias, &why));
        }
        let label = label(alias, address);
        match self.brought_elsewhere(Some(alias.address), label.as_deref())?.filter(|_| is_new) {
            None => Ok(()),
            Some(path) => Err(self.refuse(
                alias,
                &format!(
                    "{}, which we did not write, has the address or its label already; remove that there, or leave persist out",
                    path.display()
                ),
            )),
        }
    }

    fn refuse(&self, alias: &Alias, why: &str) -> Error {
        Error::invalid(format!("cannot keep {alias} with {}: {why}", self.manager.word()))
    }

    /// Returns a warning if what is to be gone is in a file that is not ours.
    fn comes_back(&self, wish: &Wish) -> Result<Option<String>> {
        let label = wish.label.as_ref().filter(|_| wish.address.is_none()).map(Label::text);
        let warn = |path: &Path| {
            let what = wish
                .address
                .map_or_else(|| label.unwrap_or_default().to_owned(), |address| address.to_string());
            format!("{what} is in {}, which we did not write, so a boot brings it back", path.display())
        };
        Ok(self.brought_elsewhere(wish.address, label)?.map(warn))
    }

    /// Returns the file other than ours that brings `address`, or any under `label`.
    fn brought_elsewhere(&self, address: Option<IpAddr>, label: Option<&str>) -> Result<Option<&Path>> {
        for path in &self.elsewhere {
            if self.form.brings(&foreign(path)?, address, label) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Writes what `plan` says about it.
    pub(super) fn write(&self, plan: &Plan<InterfaceAlias>) -> Result<()> {
        let content = self.content()?;
        if let Some(ifstate) = &self.ifstate {
            ifstate.write(plan, &self.after(&content, plan)?)?;
        }
        match self.planned(&content, plan)? {
            None => Ok(()),
            Some(text) if text.is_empty() => self.withdraw(),
            Some(text) => file::replace(&self.file, text.as_bytes(), self.mode),
        }
    }

    /// Returns what `plan` makes of `content`; nothing if it plans nothing there.
    fn planned(&self, content: &str, plan: &Plan<InterfaceAlias>) -> Result<Option<String>> {
        if self.changes(plan).next().is_none() {
            return Ok(None);
        }
        Ok(Some(self.form.written(content, &self.after(content, plan)?)))
    }

    /// Returns the addresses that `plan` makes of those in `content`.
    fn after(&self, content: &str, plan: &Plan<InterfaceAlias>) -> Result<Addresses> {
        let mut addresses = self.read(content)?;
        for (alias, _, after) in self.changes(plan) {
            match after {
                Some(address) => addresses.insert(alias.clone(), address.clone()),
                None => addresses.remove(alias),
            };
        }
        Ok(addresses)
    }

    /// Removes the file, and the directory that is only for drop-ins like it if that was the last.
    fn withdraw(&self) -> Result<()> {
        file::withdraw(&self.file)?;
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        if directory.as_os_str().as_encoded_bytes().ends_with(b".network.d") {
            // One with something in it stays.
            let _ = std::fs::remove_dir(directory);
        }
        Ok(())
    }

    /// Tells the running manager of what was carried out, as far as it needs that; returns what the person should know.
    pub(super) fn tell(&self, plan: &Plan<InterfaceAlias>) -> Option<String> {
        let changes: Vec<_> = self.changes(plan).collect();
        let gone: Vec<&Alias> =
            changes.iter().filter(|(_, _, after)| after.is_none()).map(|(alias, ..)| *alias).collect();
        (!changes.is_empty()).then(|| self.form.tell(&self.file, &gone)).flatten()
    }

    fn changes<'a>(
        &'a self,
        plan: &'a Plan<InterfaceAlias>,
    ) -> impl Iterator<Item = (&'a Alias, Option<&'a Address>, Option<&'a Address>)> {
        changes(plan, &self.file)
    }
}

/// Returns the addresses that a state has in `file`.
pub(super) fn stored<'a>(
    state: &'a State<InterfaceAlias>,
    file: &'a Path,
) -> impl Iterator<Item = (&'a Alias, &'a Address)> {
    state.iter().filter_map(move |(item, value)| Some((item.stored_in(file)?, value.address()?)))
}

/// Returns what a plan changes in `file`: each address, before and after.
fn changes<'a>(
    plan: &'a Plan<InterfaceAlias>,
    file: &'a Path,
) -> impl Iterator<Item = (&'a Alias, Option<&'a Address>, Option<&'a Address>)> {
    plan.iter().filter_map(move |(item, change)| {
        let [before, after] = [&change.before, &change.after].map(|value| value.as_ref()?.address());
        Some((item.stored_in(file)?, before, after))
    })
}

fn entry(alias: &Alias, address: &Address, file: &Rc<Path>) -> (Item, Value) {
    (Item::Stored { alias: alias.clone(), file: file.clone() }, Value::Address(address.clone()))
}

/// Returns an address as a file has it that says no more than the address and its prefix length.
fn plain(interface: &Rc<str>, address: IpAddr, prefix: u8) -> (Alias, Address) {
    (Alias::new(interface, address, prefix), Address::new(interface, address, prefix))
}

/// Returns an address and its prefix length as files have them: `192.0.2.10/24`.
fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.trim().parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    Some((address, prefix.trim().parse().ok().filter(|prefix| *prefix <= most)?))
}

/// Returns `192.0.2.10/24`.
fn words(alias: &Alias, address: &Address) -> String {
    format!("{}/{}", alias.address, address.set.prefix)
}

/// Returns the label of an address if it is another one than the interface's name, which an address has by itself.
fn label(alias: &Alias, address: &Address) -> Option<String> {
    let label = address.set.label.as_ref()?.to_string_lossy().into_owned();
    (*label != *alias.interface).then_some(label)
}

/// Returns the first option that was given for an address and that is not among those which a manager keeps.
fn not_kept(alias: &Alias, address: &Address, kept: &[&str]) -> Option<String> {
    let usual = Address::new(&alias.interface, alias.address, address.set.prefix).set;
    let set = &address.set;
    let options = [
        ("label", set.label != usual.label),
        ("broadcast", set.broadcast != usual.broadcast),
        ("scope", set.scope != usual.scope),
        ("peer", set.peer != usual.peer),
        ("metric", set.metric != usual.metric),
        ("preferred_lft", set.deprecated != usual.deprecated),
        ("noprefixroute", set.noprefixroute != usual.noprefixroute),
        ("nodad", set.nodad != usual.nodad),
    ];
    let lost = options.iter().find(|(option, is_given)| *is_given && !kept.contains(option));
    lost.map(|(option, _)| format!("it keeps no {option}; leave that out, or leave persist out"))
}

/// Returns a warning that a running manager, which has read the files before, may set again what is gone.
fn may_return(gone: &[&Alias], who: &str, when: &str, until: &str) -> Option<String> {
    let listed = super::listed(gone.iter().copied());
    (!gone.is_empty()).then(|| format!("{who} may set {listed} again {when}, until `{until}`"))
}

/// The first line of every file of ours.
const HEADER: &str = "# Made by lvs.host.interface_alias, which replaces all of this file.\n";

#[cfg(test)]
mod tests;

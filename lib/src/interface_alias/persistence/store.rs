//! Network managers, and where a boot finds the addresses of one interface with one of them.

mod review;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::json;

use super::brought::{Known, Others};
use super::entry::{label, stored_changes};
use super::files::{Files, ours};
use super::form::Form;
use super::ifstate::{self, IfState};
use super::origin::Origin;
use super::reader::{Draft, Verdict};
use crate::interface_alias::InterfaceAlias;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::{Addresses, Alias, Item, Key, Value, addresses, by_alias};
use crate::interface_alias::label;
use crate::interface_alias::wish::Wish;
use crate::resource::{Plan, State};
use crate::{Error, Result, file, gathered};

/// A network manager, whose file here has all else about it.
#[derive(Debug)]
pub(in super::super) struct Manager {
    /// The word that chooses it.
    pub(super) word: &'static str,
    /// Whether its file is the person's, which has no names in it and does not tell our addresses from others.
    pub(super) is_shared: bool,
    /// Whether it sets what is stored before what it leases.
    pub(super) is_before_lease: bool,
    /// Has its own reader read files as they may be, instead of those that are there.
    pub(super) ask: fn(&mut Files, &[Draft]) -> Result<Verdict>,
    /// Returns where the addresses of those devices go that it manages; for one that is not there, where they went.
    pub(super) find: fn(&mut Files, &[Device]) -> Result<Vec<Store>>,
    /// Returns where those of lo go, if it manages the other interfaces: it leaves lo alone unless it is told to.
    pub(super) for_lo: fn(&mut Files, &Device) -> Result<Option<Store>>,
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

/// Returns the stores that `find` has for each of these devices.
pub(super) fn each(
    devices: &[Device],
    mut find: impl FnMut(&Device) -> Result<Option<Store>>,
) -> Result<Vec<Store>> {
    devices.iter().filter_map(|device| find(device).transpose()).collect()
}

/// The place where a manager finds the addresses that we want on an interface.
#[derive(Debug)]
pub(in super::super) struct Store {
    pub(super) manager: &'static Manager,
    /// Whether the manager has brought the interface up, not only a file that tells it to.
    pub(super) is_in_force: bool,
    interface: Rc<str>,
    file: Rc<Path>,
    /// The mode of the file if it is new.
    mode: u32,
    form: Box<dyn Form>,
    /// The files in which the person may have written down an address, and perhaps our own.
    elsewhere: Rc<[PathBuf]>,
    /// What ifupdown takes for up, where it is the manager and has run since the boot.
    ifstate: Option<IfState>,
    /// Why nothing new is kept there, if so. What is there already is told by every run, and can always be removed.
    objection: Option<String>,
    origin: Origin,
}

impl Store {
    /// Returns the store for a device in a file of that mode, which a manager has in that form.
    pub(super) fn new(
        manager: &'static Manager,
        device: &Device,
        file: PathBuf,
        mode: u32,
        form: impl Form + 'static,
    ) -> Self {
        Self {
            manager,
            is_in_force: true,
            interface: device.name.clone(),
            file: file.into(),
            mode,
            form: Box::new(form),
            elsewhere: Rc::default(),
            ifstate: None,
            objection: None,
            origin: Origin::default(),
        }
    }

    /// Returns the same store among other files, with why nothing new is kept there, if so.
    pub(super) fn among(self, elsewhere: Rc<[PathBuf]>, objection: Option<String>) -> Self {
        Self { elsewhere, objection, ..self }
    }

    /// Returns the same store of ifupdown, which may have brought the interface up and keeps what it takes for up.
    pub(super) fn with_ifstate(self, is_in_force: bool, ifstate: Option<IfState>) -> Self {
        Self { is_in_force, ifstate, ..self }
    }

    /// Returns the same store, which knows what was in its place.
    pub(super) fn with_origin(self) -> Result<Self> {
        let origin = Origin::of(&self.file)?;
        Ok(Self { origin, ..self })
    }

    /// Returns the interface.
    pub(in super::super) fn interface(&self) -> &Rc<str> {
        &self.interface
    }

    /// Returns the file.
    #[cfg(any(test, fuzzing))]
    pub(super) fn file(&self) -> &Rc<Path> {
        &self.file
    }

    /// Returns what the answer tells of it.
    pub(in super::super) fn remark(&self) -> serde_json::Value {
        json!({"manager": self.manager.word, "file": self.file})
    }

    fn content(&self) -> Result<String> {
        ours(&self.file)
    }

    fn read(&self, content: &str) -> Result<Addresses> {
        let refuse = |why| Error::invalid(format!("cannot use {}: {why}", self.file.display()));
        self.form.read(content).map_err(refuse)
    }

    /// Returns what it holds.
    pub(in super::super) fn observe(
        &self,
        files: &mut Files,
        wishes: &[Wish],
        live: &State<InterfaceAlias>,
    ) -> Result<State<InterfaceAlias>> {
        let stored = self.read(&self.content()?)?;
        let mut state: State<InterfaceAlias> =
            gathered(stored.iter().map(|(alias, address)| entry(alias, address, &self.file)));
        if let Some(ifstate) = &self.ifstate {
            // A label is that of the address which is stored under it, until that is replaced.
            let taken: HashSet<_> =
                stored.iter().filter_map(|(alias, address)| label(alias, address)).collect();
            let wish = |wish: &Wish| Some((wish.wanted()?, wish.applied(None)?));
            let is_free = |(alias, address): &(Alias, Address)| {
                alias.interface == self.interface
                    && label(alias, address).is_none_or(|label| !taken.contains(&label))
            };
            let wanted = wishes.iter().filter_map(wish).filter(is_free);
            let unwanted = self.unwanted(files, wishes, live, &stored, &taken)?;
            let possible = by_alias(wanted.chain(stored).collect());
            let known = ifstate.read(&possible, &unwanted)?;
            state.extend(known.iter().map(|(alias, address)| entry(alias, address, ifstate.file())));
        }
        Ok(state)
    }

    /// Returns the labelled addresses that are to go, also those that a run which was killed has taken out of the file only. A label that
    /// another address has there, or another stanza, is still in use.
    fn unwanted(
        &self,
        files: &mut Files,
        wishes: &[Wish],
        live: &State<InterfaceAlias>,
        stored: &Addresses,
        taken: &HashSet<String>,
    ) -> Result<Addresses> {
        let is_to_go = |(alias, address): &(&Alias, &Address)| {
            alias.interface == self.interface && wishes.iter().any(|wish| wish.rejects(alias, address))
        };
        let is_free = |(alias, address): &(&Alias, &Address)| {
            label(alias, address).is_none_or(|label| !taken.contains(&label))
        };
        let all = addresses(live).filter(is_free).chain(stored).filter(is_to_go);
        let mut unwanted = by_alias(all.map(|(alias, address)| (alias.clone(), address.clone())).collect());
        if !unwanted.is_empty() {
            let others = self.others(files, &mut Known::default())?;
            unwanted.retain(|alias, address| others.bring(None, label(alias, address).as_deref()).is_none());
        }
        Ok(unwanted)
    }

    /// Returns what files other than ours bring.
    fn others(&self, files: &mut Files, known: &mut Known) -> Result<Others<'_>> {
        let elsewhere = self.elsewhere.iter().map(PathBuf::as_path).filter(|path| **path != *self.file);
        Others::read(elsewhere, files, known, |content| self.form.brought(content))
    }

    /// Returns what `now` has there, as if it were the interface's.
    pub(in super::super) fn layer(&self, now: &State<InterfaceAlias>) -> State<InterfaceAlias> {
        let entry = |(alias, address): (&Alias, &Address)| {
            (Item::live(alias.clone()), Value::Address(address.clone()))
        };
        gathered(stored(now, &self.file).map(entry))
    }

    /// Brings what `then` has there, and what ifupdown takes for up, to what `layer` has, or returns an error if `wishes` want
    /// something there and the manager cannot have all of the names.
    pub(in super::super) fn bring(
        &self,
        then: &mut State<InterfaceAlias>,
        layer: &State<InterfaceAlias>,
        wishes: &[Wish],
    ) -> Result<()> {
        if wishes.iter().any(|wish| wish.present) {
            addresses(layer).try_for_each(|(alias, address)| self.takes_names(alias, address))?;
        }
        then.retain(|item, _| item.stored_in(&self.file).is_none());
        then.extend(addresses(layer).map(|(alias, address)| entry(alias, address, &self.file)));
        if let Some(ifstate) = &self.ifstate {
            let up = addresses(layer).filter_map(|(alias, address)| ifstate::up(alias, address));
            then.retain(|item, _| item.stored_in(ifstate.file()).is_none());
            then.extend(up.map(|(alias, address)| entry(&alias, &address, ifstate.file())));
        }
        Ok(())
    }

    /// Returns an error if what reads the file, would take a name for more.
    fn takes_names(&self, alias: &Alias, address: &Address) -> Result<()> {
        let label = label(alias, address);
        let refuse = |what: &str, name: &str, act: &str| {
            let why = format!(
                "what reads its files, a shell among them, may take the {what} {name:?} for more than a name; {act} (of letters, digits and {} alone), or leave persist out",
                label::SIGNS
            );
            Err(self.refuse(alias, &why))
        };
        match label {
            _ if self.manager.is_shared => Ok(()),
            _ if !label::is_plain(&alias.interface) => {
                refuse("name", &alias.interface, "rename the interface")
            }
            Some(label) if !label::is_plain(&label) => refuse("label", &label, "use another label"),
            _ => Ok(()),
        }
    }

    /// Returns whether `plan` puts something there.
    pub(super) fn puts(&self, plan: &Plan<InterfaceAlias>) -> bool {
        self.differences(plan).any(|(.., after)| after.is_some())
    }

    /// Returns the file before and after `plan`, if that plans something there. What nothing is kept in, its reader is not asked about.
    pub(super) fn drafts(&self, plan: &Plan<InterfaceAlias>) -> Result<Option<[Draft<'_>; 2]>> {
        if self.objection.is_some() {
            return Ok(None);
        }
        let before = self.content()?;
        let after = self.planned(&before, plan)?;
        Ok(after.map(|after| [before, after].map(|content| Draft { file: &self.file, content })))
    }

    fn refuse(&self, alias: &Alias, why: &str) -> Error {
        Error::invalid(format!("cannot keep {alias} with {}: {why}", self.manager.word))
    }

    /// Writes what `plan` says about the file at `path`, if that is its own or ifupdown's state.
    pub(in super::super) fn write(&self, path: &Path, plan: &Plan<InterfaceAlias>) -> Result<()> {
        match &self.ifstate {
            _ if *self.file == *path => self.write_own(plan),
            Some(ifstate) if **ifstate.file() == *path => ifstate.write(plan, &self.read(&self.content()?)?),
            _ => Ok(()),
        }
    }

    fn write_own(&self, plan: &Plan<InterfaceAlias>) -> Result<()> {
        match self.planned(&self.content()?, plan)? {
            None => Ok(()),
            Some(text) if text.is_empty() => self.origin.restore(&self.file, self.mode),
            Some(text) => file::replace(&self.file, text.as_bytes(), self.mode),
        }
    }

    /// Returns what `plan` makes of `content`; nothing if it plans nothing there.
    fn planned(&self, content: &str, plan: &Plan<InterfaceAlias>) -> Result<Option<String>> {
        if self.differences(plan).next().is_none() {
            return Ok(None);
        }
        Ok(Some(self.form.written(content, &self.after(content, plan)?)))
    }

    /// Returns the addresses that `plan` makes of those in `content`.
    fn after(&self, content: &str, plan: &Plan<InterfaceAlias>) -> Result<Addresses> {
        let mut addresses = self.read(content)?;
        for (alias, _, after) in self.differences(plan) {
            match after {
                Some(address) => addresses.insert(alias.clone(), address.clone()),
                None => addresses.remove(alias),
            };
        }
        Ok(addresses)
    }

    /// Tells the running manager of what was carried out, as far as it needs that; returns what the person should know.
    pub(in super::super) fn tell(&self, plan: &Plan<InterfaceAlias>) -> Option<String> {
        let changes: Vec<_> = self.differences(plan).collect();
        let gone: Vec<&Alias> =
            changes.iter().filter(|(_, _, after)| after.is_none()).map(|(alias, ..)| *alias).collect();
        (!changes.is_empty()).then(|| self.form.tell(&self.file, &gone)).flatten()
    }

    fn differences<'a>(
        &'a self,
        plan: &'a Plan<InterfaceAlias>,
    ) -> impl Iterator<Item = (&'a Alias, Option<&'a Address>, Option<&'a Address>)> {
        stored_changes(plan, &self.file)
    }
}

/// Returns the addresses that a state has in `file`.
fn stored<'a>(
    state: &'a State<InterfaceAlias>,
    file: &'a Path,
) -> impl Iterator<Item = (&'a Alias, &'a Address)> {
    state.iter().filter_map(move |(item, value)| Some((item.stored_in(file)?, value.address()?)))
}

fn entry(alias: &Alias, address: &Address, file: &Rc<Path>) -> (Item, Value) {
    (Item::stored(Key::Address(alias.clone()), file), Value::Address(address.clone()))
}

//! What a boot brings back: the addresses in the files of the host's network manager.
//!
//! The kernel is set by ourselves, without the manager. It is told no more than it needs so that it neither fails nor
//! undoes that later, and what it only has to find at its next start or reload is left for then.

mod brought;
mod entry;
mod files;
mod ifstate;
mod ifup;
mod ifupdown;
mod manager;
mod netplan;
mod network_manager;
mod networkd;
mod origin;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod yaml;

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::json;

pub(super) use manager::{Device, Persist, stores};

use super::InterfaceAlias;
use super::address::Address;
use super::item::{Addresses, Alias, Item, Key, Value, addresses};
use super::label;
use super::options::{Purge, Wish};
use crate::file;
use crate::resource::{Plan, State};
use crate::{Error, Result};
use brought::{Brought, Others};
use entry::{cidr, each_once, label, not_kept, not_ours, plain, words};
use files::text;
use ifstate::IfState;
use origin::Origin;

/// How a manager writes down addresses.
trait Form: Debug {
    /// Returns the addresses that `content` brings, or why it cannot be used.
    fn read(&self, content: &str) -> Result<Addresses, String>;

    /// Returns `content` with these addresses and no others; nothing if no file is needed for that.
    fn written(&self, content: &str, addresses: &Addresses) -> String;

    /// Returns why an address cannot be kept so, if it cannot.
    fn refusal(&self, alias: &Alias, address: &Address) -> Option<String>;

    /// Returns why no address of a family can be kept where `content` is, if so.
    fn closed(&self, _content: &str, _is_ipv6: bool) -> Option<String> {
        None
    }

    /// Returns what the person would lose with a change of what is theirs from `before` to `after`, if anything.
    fn loss(&self, _before: &str, _after: &str) -> Option<String> {
        None
    }

    /// Returns what another file of the manager, whose content this is, brings.
    fn brought(&self, _content: &str) -> Brought {
        Brought::default()
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
    /// Why nothing new is kept there, if so. What is there already is told by every run, and can always be removed.
    refusal: Option<String>,
    origin: Origin,
}

impl Store {
    fn new(manager: Persist, device: &Device, file: PathBuf, mode: u32, form: Box<dyn Form>) -> Self {
        Self {
            manager,
            interface: device.name.clone(),
            file: file.into(),
            mode,
            form,
            elsewhere: Vec::new(),
            ifstate: None,
            refusal: None,
            origin: Origin::default(),
        }
    }

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
        let origin = Origin::of(&self.file)?;
        Ok(Self { origin, ..self })
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
            let taken: HashSet<_> =
                stored.iter().filter_map(|(alias, address)| label(alias, address)).collect();
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
            (Item::live(alias.clone()), Value::Address(address.clone()))
        };
        stored(now, &self.file).map(entry).collect()
    }

    /// Brings what `then` has there, and what ifupdown takes for up, to what `layer` has, or returns an error if `wishes` want
    /// something there and the manager cannot have all of the names.
    pub(super) fn bring(
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

    /// Returns an error if what reads the file, which no name gets into with NetworkManager, would take a name for more.
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
            _ if self.manager == Persist::NetworkManager => Ok(()),
            _ if !label::is_plain(&alias.interface) => {
                refuse("name", &alias.interface, "rename the interface")
            }
            Some(label) if !label::is_plain(&label) => refuse("label", &label, "use another label"),
            _ => Ok(()),
        }
    }

    /// Returns an error if the plan puts something there that the manager cannot keep or that the person has put there
    /// already; else what the person should know.
    pub(super) fn review(&self, plan: &Plan<InterfaceAlias>, wishes: &[Wish]) -> Result<Vec<String>> {
        let content = self.content()?;
        let others = Others::read(&self.elsewhere, &*self.form)?;
        let mut is_used = false;
        self.is_open(&content, plan)?;
        for (alias, before, after) in self.changes(plan) {
            let Some(address) = after else { continue };
            is_used = true;
            self.permits(&others, alias, address, before.is_none())?;
        }
        if let Some(after) = self.planned(&content, plan)?
            && let Some(why) = self.form.loss(&content, &after)
        {
            return Err(Error::invalid(format!("cannot change {}: {why}", self.file.display())));
        }
        let mut warnings: Vec<String> = self.form.warning().filter(|_| is_used).into_iter().collect();
        for wish in wishes.iter().filter(|wish| !wish.present && wish.interface == self.interface) {
            warnings.extend(others.bring_back(wish));
        }
        Ok(warnings)
    }

    /// Returns an error if the plan puts addresses there of a family that has none there.
    fn is_open(&self, content: &str, plan: &Plan<InterfaceAlias>) -> Result<()> {
        let put = |is_ipv6| {
            let is_of = |alias: &Alias| alias.address.is_ipv6() == is_ipv6;
            self.changes(plan).find(|(alias, _, after)| after.is_some() && is_of(alias))
        };
        for is_ipv6 in [false, true] {
            if let Some((alias, ..)) = put(is_ipv6)
                && let Some(why) = self.form.closed(content, is_ipv6)
            {
                return Err(self.refuse(alias, &why));
            }
        }
        Ok(())
    }

    /// Returns an error if an address cannot be kept there, or is new there and the person's elsewhere.
    fn permits(&self, others: &Others, alias: &Alias, address: &Address, is_new: bool) -> Result<()> {
        if let Some(why) = self.refusal.clone().or_else(|| self.form.refusal(alias, address)) {
            return Err(self.refuse(alias, &why));
        }
        let label = label(alias, address);
        match others.bring(Some(alias.address), label.as_deref()).filter(|_| is_new) {
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

    /// Writes what `plan` says about the file at `path`, if that is its own or ifupdown's state.
    pub(super) fn write(&self, path: &Path, plan: &Plan<InterfaceAlias>) -> Result<()> {
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

/// Returns warnings of what stays in a file of ours that nothing may be kept in.
pub(super) fn hazards(stores: &[Store], plan: &Plan<InterfaceAlias>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for store in stores {
        let Some(why) = &store.refusal else { continue };
        if !store.after(&store.content()?, plan)?.is_empty() {
            warnings.push(format!(
                "{} puts the next boot at risk, and state absent removes it: {why}",
                store.file.display()
            ));
        }
    }
    Ok(warnings)
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
    (Item::stored(Key::Address(alias.clone()), file), Value::Address(address.clone()))
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

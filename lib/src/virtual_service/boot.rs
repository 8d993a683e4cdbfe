//! What a boot brings back: services and real servers in a file, and what reads that.
//!
//! The file is a task in JSON that a unit of our own hands to an installed copy of the module before the network is up; where the
//! boot service of ipvsadm is on, which empties the table before it fills it, its file is used instead.

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod rules;
mod unit;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::item::{Entry, Item, Value};
use super::{Task, VirtualService, described, item, put};
use crate::resource::{Layer, Plan, State};
use crate::root::Root;
use crate::{Error, Result, ansible, file};
use unit::Unit;

/// Where the task is that a boot carries out.
const TASK: &str = "/etc/lvs-host/virtual_services.json";

/// The most that the file may hold, in bytes, which is as much as a task may.
const MOST: u64 = ansible::MOST;

/// What brings services back after a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Persist {
    /// Nothing: the task is about the running kernel alone.
    #[default]
    None,
    /// What this host has.
    Auto,
    /// A unit of our own.
    Systemd,
    /// The boot service of ipvsadm, as Debian has it.
    Ipvsadm,
}

/// Where services are kept for a boot.
#[derive(Debug)]
pub(super) struct Store {
    file: Rc<Path>,
    /// What carries out the task in the file; nothing where ipvsadm reads lines there.
    unit: Option<Unit>,
    /// A task of ours that a boot of ipvsadm undoes.
    left: Option<Rc<Path>>,
}

impl Store {
    /// Returns where this host keeps services; nothing where that is nowhere and none `is_wanted`.
    pub(super) fn find(root: &Root, persist: Persist, is_wanted: bool) -> Result<Option<Self>> {
        let refuse = |how: &str, why: &str| Err(Error::invalid(format!("cannot keep services{how}: {why}")));
        let (has_rules, has_systemd) = (rules::are_read(root), root.at("/run/systemd/system").is_dir());
        match persist {
            Persist::None => Ok(None),
            Persist::Auto | Persist::Ipvsadm if has_rules => Ok(Some(Self::of_ipvsadm(root))),
            Persist::Ipvsadm => refuse(
                " with ipvsadm",
                "no boot reads its file, as the package is not there, AUTO in /etc/default/ipvsadm is not true, or the service is off; switch that on, or use persist: systemd",
            ),
            Persist::Systemd if has_rules => refuse(
                " with systemd",
                "the boot service of ipvsadm is on and would take them away, as AUTO in /etc/default/ipvsadm is true; use persist: ipvsadm, or set that to false",
            ),
            Persist::Auto | Persist::Systemd if has_systemd => Self::of_systemd(root).map(Some),
            Persist::Auto if !is_wanted => Ok(None),
            Persist::Auto | Persist::Systemd => refuse(
                "",
                "this host does not run systemd, and the boot service of ipvsadm is not on; use that, or leave persist out and have the task run at boot",
            ),
        }
    }

    fn of_ipvsadm(root: &Root) -> Self {
        let left = root.at(TASK);
        Self { file: root.at(rules::FILE).into(), unit: None, left: left.exists().then(|| left.into()) }
    }

    fn of_systemd(root: &Root) -> Result<Self> {
        Ok(Self { file: root.at(TASK).into(), unit: Some(Unit::find(root)?), left: None })
    }

    /// Returns the layer in which it has services and real servers.
    pub(super) fn layer(&self) -> Layer {
        Layer::File(self.file.clone())
    }

    /// Returns what the answer tells of it.
    pub(super) fn remark(&self) -> Json {
        let by = if self.unit.is_some() { "systemd" } else { "ipvsadm" };
        json!({"manager": by, "file": self.file})
    }

    /// Returns what is there.
    pub(super) fn observe(&self) -> Result<State<VirtualService>> {
        let mut state = self.entries(&self.content()?)?;
        if let Some(unit) = &self.unit {
            state.extend(unit.observe()?);
        }
        Ok(state)
    }

    fn content(&self) -> Result<String> {
        let content = file::read_up_to(&self.file, MOST)?.map(|(content, _)| content);
        String::from_utf8(content.unwrap_or_default()).map_err(|_| self.unusable("it is no UTF-8"))
    }

    fn unusable(&self, why: &str) -> Error {
        Error::invalid(format!(
            "cannot use {}: {why}; mend it, or remove it to have no services there",
            self.file.display()
        ))
    }

    /// Returns the services and real servers that the file brings.
    fn entries(&self, text: &str) -> Result<State<VirtualService>> {
        let task = match &self.unit {
            _ if text.is_empty() => return Ok(State::<VirtualService>::new()),
            Some(_) => text.to_owned(),
            None => match rules::task(text).map_err(|why| self.unusable(&why))? {
                Some(task) => task.to_string(),
                None => return Ok(State::<VirtualService>::new()),
            },
        };
        let unusable = |error: Error| self.unusable(&error.sentence());
        let Task(options) = ansible::task(task.as_bytes()).map_err(unusable)?;
        let mut state = State::<VirtualService>::new();
        for (ingress, wish) in &options.services {
            put(&self.layer(), *ingress, wish, &|_| None, &mut state).map_err(unusable)?;
        }
        Ok(state)
    }

    /// Brings the files that a boot needs to what the services in `then` need.
    pub(super) fn complete(&self, then: &mut State<VirtualService>) {
        let Some(unit) = &self.unit else { return };
        then.retain(|item, _| item.key.entry().is_some());
        let stored = self.as_live(then.iter());
        if !stored.is_empty() {
            then.extend(unit.wanted(item::services(&stored).map(|(_, service)| service)));
        }
    }

    /// Returns what `entries` have in the file, as if it were the kernel's.
    fn as_live<'a>(&self, entries: impl Iterator<Item = (&'a Item, &'a Value)>) -> State<VirtualService> {
        let mut live = State::<VirtualService>::new();
        for (item, value) in entries.filter(|(item, _)| item.is_in(&self.file)) {
            if let Some(entry) = item.key.entry() {
                live.insert(entry.within(&Layer::Kernel), value.clone());
            }
        }
        live
    }

    /// Returns an error if a boot could not carry out what a plan puts there, else what the person should know.
    pub(super) fn review(
        &self,
        found: &State<VirtualService>,
        plan: &Plan<VirtualService>,
    ) -> Result<Vec<String>> {
        if plan.items().any(|item| item.is_in(&self.file)) {
            let text = self.written(found, plan)?;
            if text.len() as u64 > MOST {
                return Err(file::too_large(&self.file, MOST));
            }
            self.entries(&text)?;
        }
        let warning = |left: &Rc<Path>| {
            format!(
                "{} has services too, which the boot service of ipvsadm takes away after they were set; list them in a task with persist: ipvsadm, and remove the file",
                left.display()
            )
        };
        Ok(self.left.iter().map(warning).collect())
    }

    /// Writes what `plan` says about the file at `path`.
    pub(super) fn write(
        &self,
        path: &Path,
        now: &State<VirtualService>,
        plan: &Plan<VirtualService>,
    ) -> Result<()> {
        if *self.file != *path {
            return self.unit.as_ref().map_or(Ok(()), |unit| unit.write(path, plan));
        }
        let text = self.written(now, plan)?;
        match &self.unit {
            Some(unit) if text.is_empty() => unit.remove(path),
            Some(_) => file::replace(path, text.as_bytes(), 0o600),
            None => file::replace(path, text.as_bytes(), file::MODE),
        }
    }

    /// Returns what the file holds after `plan`; nothing if it is not needed.
    fn written(&self, now: &State<VirtualService>, plan: &Plan<VirtualService>) -> Result<String> {
        let mut changes = BTreeMap::<Entry, Option<&Value>>::new();
        for (item, change) in plan.iter().filter(|(item, _)| item.is_in(&self.file)) {
            if let Some(entry) = item.key.entry() {
                changes.insert(*entry, change.after.as_ref());
            }
        }
        if self.unit.is_none() {
            return rules::written(&self.content()?, changes).map_err(|why| self.unusable(&why));
        }
        let mut then = self.as_live(now.iter());
        for (entry, after) in changes {
            let item = entry.within(&Layer::Kernel);
            match after {
                Some(value) => then.insert(item, value.clone()),
                None => then.remove(&item),
            };
        }
        Ok(as_task(&then))
    }
}

/// Returns the task that makes these services, one on each line.
fn as_task(state: &State<VirtualService>) -> String {
    let services: Vec<_> = item::services(state)
        .map(|(ingress, service)| described(ingress, service, state).to_string())
        .collect();
    if services.is_empty() {
        String::new()
    } else {
        format!("{{\"services\": [\n{}\n]}}\n", services.join(",\n"))
    }
}

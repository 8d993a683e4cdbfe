//! The task about aliases, and how it is opened on a host.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::kernel::Kernel;
use super::options::{self, Options};
use super::persistence::{self, Device};
use super::purge::Purger;
use super::wish::Wish;
use super::{InterfaceAlias, Links, contradiction};
use crate::file::Lock;
use crate::resource::Mode;
use crate::root::Root;
use crate::{Error, Result, gathered, netns};

/// What a person wants of addresses of interfaces.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct Task(Options);

impl TryFrom<options::Arguments> for Task {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        arguments.try_into().map(Self)
    }
}

impl crate::resource::Task for Task {
    type Resource = InterfaceAlias;

    fn open(self, mode: Mode, root: &Root) -> Result<InterfaceAlias> {
        let Self(options) = self;
        let entered = options.netns.as_ref().map(|namespace| namespace.enter(root)).transpose()?;
        let kernel = Kernel::connect()?;
        if mode == Mode::Apply {
            options.wait_for_interfaces(&kernel)?;
        }
        let lock = match mode {
            Mode::Apply => Some(Lock::on(&entered.map_or_else(netns::current, Ok)?.to_string())?),
            Mode::Check => None,
        };
        let kernel = match &lock {
            Some(lock) => kernel.with_lock(lock)?,
            None => kernel,
        };
        let found = options.look_up(&kernel)?;
        let awaited: Vec<_> = options.needed().filter(|name| !found.contains_key(*name)).cloned().collect();
        if let Some(name) = awaited.first().filter(|_| mode == Mode::Apply || options.wait.is_zero()) {
            return Err(missing(name));
        }
        let wishes = options.named(&found)?;
        let devices = options.devices(&found, &awaited, &wishes);
        let (files, stores) = persistence::stores(root, options.persist, options.purge, &devices)?;
        let interfaces = found.into_values().map(|link| link.name).collect();
        let purger = Purger::find(options.purge)?;
        let root = root.clone();
        Ok(InterfaceAlias { options, root, kernel, wishes, interfaces, purger, files, stores, awaited, lock })
    }
}

impl Options {
    /// Returns the interfaces as the task names them.
    fn interfaces(&self) -> BTreeSet<&Rc<str>> {
        gathered(self.wishes.iter().map(|wish| &wish.interface))
    }

    /// Returns those on which something is wanted, and which then must be there.
    fn needed(&self) -> impl Iterator<Item = &Rc<str>> {
        let present = self.wishes.iter().filter(|wish| wish.present);
        gathered::<BTreeSet<_>, _>(present.map(|wish| &wish.interface)).into_iter()
    }

    /// Waits until all interfaces that are needed are there, at most as long as the task says.
    fn wait_for_interfaces(&self, kernel: &Kernel) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(50);
        let end = Instant::now() + self.wait;
        for interface in self.needed().filter(|_| !self.wait.is_zero()) {
            while kernel.link(interface)?.is_none() && Instant::now() < end {
                sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Returns the interfaces of the task that are there, by what the task calls them.
    fn look_up(&self, kernel: &Kernel) -> Result<Links> {
        let mut links = Links::new();
        for interface in self.interfaces() {
            links.extend(kernel.link(interface)?.map(|link| (interface.clone(), link)));
        }
        Ok(links)
    }

    /// Returns what the task wants, with the interfaces' own names, which an alternative name leads to.
    fn named(&self, found: &Links) -> Result<Vec<Wish>> {
        let name = |wish: &Wish| match found.get(&wish.interface) {
            Some(link) => wish.on(&link.name),
            None => Ok(wish.clone()),
        };
        let wishes = self.wishes.iter().map(name).collect::<Result<_>>()?;
        if found.iter().all(|(written, link)| *written == link.name) {
            return Ok(wishes);
        }
        contradiction::fit_together(wishes)
    }

    /// Returns the interfaces whose addresses a boot may have to find. What is waited for has no manager yet.
    fn devices(&self, found: &Links, awaited: &[Rc<str>], wishes: &[Wish]) -> Vec<Device> {
        let names = self.interfaces().into_iter().filter(|name| !awaited.contains(name));
        let own = |name: &Rc<str>| match found.get(name) {
            Some(link) => (link.name.clone(), Some(link.index)),
            None => (name.clone(), None),
        };
        // Two names may lead to one interface.
        let interfaces: BTreeMap<_, _> = gathered(names.map(own));
        let is_needed = |name: &Rc<str>| wishes.iter().any(|wish| wish.present && wish.interface == *name);
        interfaces.iter().map(|(name, index)| Device::new(name, *index, is_needed(name))).collect()
    }
}

/// Returns the error about an interface that is not there.
pub(super) fn missing(interface: &str) -> Error {
    Error::invalid(format!(
        "cannot find the interface {interface}: there is none of that name; check the name with `ip link`"
    ))
}

//! The task about services, and how it is opened on a host.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::VirtualService;
use super::boot::Store;
use super::ipvs::Ipvs;
use super::options::{self, Options};
use crate::file::Lock;
use crate::resource::Mode;
use crate::root::Root;
use crate::{Error, Result, netns};

/// What a person wants of virtual services.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct Task(pub(super) Options);

impl TryFrom<options::Arguments> for Task {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        arguments.try_into().map(Self)
    }
}

impl crate::resource::Task for Task {
    type Resource = VirtualService;

    fn open(self, mode: Mode, root: &Root) -> Result<VirtualService> {
        let Self(options) = self;
        let entered = options.netns.as_ref().map(|namespace| namespace.enter(root)).transpose()?;
        let lock = match mode {
            Mode::Apply => Some(Lock::on(&entered.map_or_else(netns::current, Ok)?.to_string())?),
            Mode::Check => None,
        };
        let is_wanted = options.services.values().any(|wish| wish.present);
        let store = Store::find(root, options.persist, is_wanted)?;
        let table = Ipvs::new(root);
        Ok(VirtualService {
            options,
            root: root.clone(),
            table,
            store,
            connections: BTreeMap::new(),
            closed: BTreeSet::new(),
            deadline: None,
            lock,
        })
    }
}

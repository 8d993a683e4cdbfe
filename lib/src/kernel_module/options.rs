//! What a task about modules says, and how it is opened on a host.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Deserialize;

use super::KernelModule;
use super::boot::Files;
use crate::ansible::{Flag, Presence, Text};
use crate::file::Lock;
use crate::resource::Mode;
use crate::root::Root;
use crate::{Error, Result};

/// As long as the kernel lets a name be on 64 bits (linux/module.h, MODULE_NAME_LEN, with the zero that ends it).
const LONGEST: usize = 55;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    name: Vec<Text>,
    parameters: Option<BTreeMap<String, Text>>,
    #[serde(default)]
    state: Presence,
    persist: Option<Flag>,
}

/// What the task wants.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) modules: BTreeSet<Rc<str>>,
    pub(super) parameters: BTreeMap<Rc<str>, Rc<str>>,
    pub(super) present: bool,
    pub(super) persist: bool,
}

/// What a person wants of modules.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Arguments")]
pub struct Task(Options);

impl TryFrom<Arguments> for Task {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        let mut modules = BTreeSet::new();
        for Text(name) in &arguments.name {
            modules.insert(module(name)?);
        }
        let parameters = arguments.parameters.unwrap_or_default();
        let present = arguments.state == Presence::Present;
        match (modules.len(), parameters.is_empty()) {
            (0, _) => return Err(Error::invalid("cannot do anything without a module: give name")),
            (2.., false) => {
                return Err(Error::invalid(
                    "cannot use parameters for several modules, which differ in what they have; give each a task of its own",
                ));
            }
            (_, false) if !present => {
                return Err(Error::invalid("cannot use parameters with state: absent; leave them out"));
            }
            _ => {}
        }
        let parameters =
            parameters.iter().map(|(name, Text(value))| parameter(name, value)).collect::<Result<_>>()?;
        let persist = arguments.persist.is_none_or(|Flag(persist)| persist);
        Ok(Self(Options { modules, parameters, present, persist }))
    }
}

/// Returns a name as the kernel has it, which makes no difference between two of its signs.
pub(super) fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn module(name: &str) -> Result<Rc<str>> {
    if name.len() > LONGEST || !is_name(name) || name.starts_with('-') {
        return Err(Error::invalid(format!(
            "cannot use name {name:?}: it is not the name of a module, which has letters, digits, _ and - alone; give one such as ip_vs, without .ko"
        )));
    }
    Ok(plain(name).into())
}

fn parameter(name: &str, value: &str) -> Result<(Rc<str>, Rc<str>)> {
    if !is_name(name) {
        return Err(Error::invalid(format!(
            "cannot use parameter {name:?}: it is not the name of one; look at modinfo -p"
        )));
    }
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"'\\#".contains(c);
    if value.is_empty() || !value.chars().all(is_plain) {
        return Err(Error::invalid(format!(
            "cannot use value {value:?} of parameter {name}: what reads the file would take it for more than a value; give one without spaces, quotes, backslashes and #"
        )));
    }
    // YAML's truth values are the kernel's by one letter.
    let value = match value {
        "true" => "Y",
        "false" => "N",
        value => value,
    };
    Ok((name.into(), value.into()))
}

impl crate::resource::Task for Task {
    type Resource = KernelModule;

    fn open(self, mode: Mode, root: &Root) -> Result<KernelModule> {
        let Self(options) = self;
        let lock = if mode == Mode::Apply { Some(Lock::on("kernel_module")?) } else { None };
        Ok(KernelModule { options, root: root.clone(), came: Vec::new(), files: Files::find(root), lock })
    }
}

//! The options of the task: those of ansible.posix.sysctl, with their meaning, and ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Key;
use super::value::{self, Words};
use crate::ansible::{Flag, Presence, Text};
use crate::netns::Namespace;
use crate::{Error, Result};

/// What the task gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    #[serde(alias = "key")]
    name: Option<Text>,
    #[serde(alias = "val")]
    value: Option<Words>,
    settings: Option<BTreeMap<String, Option<Words>>>,
    state: Option<Presence>,
    reload: Option<Flag>,
    sysctl_set: Option<Flag>,
    sysctl_file: Option<Text>,
    ignoreerrors: Option<Flag>,
    persist: Option<Flag>,
    backup: Option<Flag>,
    netns: Option<Text>,
    exclusive: Option<Flag>,
}

/// What the task wants, checked as far as that needs no look at the host.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Each parameter's value; none is for a line to be removed. A name may be a pattern.
    pub(super) wanted: BTreeMap<Key, Option<String>>,
    /// Whether the running kernel is read and set.
    pub(super) runtime: bool,
    /// Whether a file is read and set.
    pub(super) persist: bool,
    /// The file that the task names.
    pub(super) file: Option<PathBuf>,
    /// Whether a parameter that this kernel does not have is passed over.
    pub(super) lenient: bool,
    /// Whether a copy of a file is kept before it is replaced.
    pub(super) backup: bool,
    /// The network namespace to work in.
    pub(super) netns: Option<Namespace>,
    /// Whether the file holds these parameters and no others.
    pub(super) exclusive: bool,
}

impl Options {
    /// Returns whether the task takes parameters out of files.
    pub(super) fn is_absent(&self) -> bool {
        self.wanted.values().all(Option::is_none)
    }
}

impl TryFrom<Arguments> for Options {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        arguments.fit_together()?;
        let present = arguments.state.unwrap_or_default() == Presence::Present;
        let persist = is(arguments.persist, arguments.netns.is_none());
        let runtime = is(arguments.reload, true) || is(arguments.sysctl_set, false) || !persist;
        let options = Self {
            runtime: runtime && present,
            persist,
            file: arguments.sysctl_file.as_ref().map(|file| absolute(&file.0)).transpose()?,
            lenient: is(arguments.ignoreerrors, false),
            backup: is(arguments.backup, false),
            netns: arguments.netns.as_ref().map(|netns| netns.0.parse()).transpose()?,
            exclusive: is(arguments.exclusive, false),
            wanted: match arguments.settings {
                Some(settings) => many(settings, present)?,
                None => one(arguments.name, arguments.value, present)?,
            },
        };
        match options.wanted.keys().find(|key| options.netns.is_some() && !key.path().starts_with("net/")) {
            None => Ok(options),
            Some(key) => Err(Error::invalid(format!(
                "cannot set {key} with netns: only what begins with net. belongs to a network namespace; leave netns out"
            ))),
        }
    }
}

impl Arguments {
    /// Returns an error about options that contradict each other.
    fn fit_together(&self) -> Result<()> {
        let absent = self.state == Some(Presence::Absent);
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use {why}")));
        match self {
            _ if self.settings.is_some() && (self.name.is_some() || self.value.is_some()) => {
                refuse("settings together with name or value: give one or the other")
            }
            _ if self.netns.is_some() && is(self.persist, false) => refuse(
                "persist: true with netns: no boot sets the parameters of a network namespace; leave persist out",
            ),
            _ if absent && !is(self.persist, self.netns.is_none()) => refuse(
                "state: absent without a file: it takes lines out of files; leave out persist: false and netns",
            ),
            _ if is(self.exclusive, false)
                && (absent || self.settings.is_none() || self.sysctl_file.is_none()) =>
            {
                refuse(
                    "exclusive without settings and sysctl_file: give what the file should hold, and which file",
                )
            }
            _ => Ok(()),
        }
    }
}

fn is(option: Option<Flag>, default: bool) -> bool {
    option.map_or(default, |flag| flag.0)
}

/// Returns the one parameter of a task; the sentences about blanks are those of ansible.posix.sysctl.
fn one(name: Option<Text>, value: Option<Words>, present: bool) -> Result<BTreeMap<Key, Option<String>>> {
    let name = name.ok_or_else(|| Error::invalid("cannot do without option name: give it, or settings"))?;
    let key: Key = name.0.parse()?;
    if !present {
        return Ok(BTreeMap::from([(key, None)]));
    }
    let value = value.ok_or_else(|| Error::invalid("value cannot be None"))?;
    let text = value::checked(&key, &value)?;
    if text.is_empty() {
        return Err(Error::invalid("value cannot be blank"));
    }
    Ok(BTreeMap::from([(key, Some(text))]))
}

/// Returns the parameters of a task with many; a value may be empty here, as some can only be cleared so.
fn many(settings: BTreeMap<String, Option<Words>>, present: bool) -> Result<BTreeMap<Key, Option<String>>> {
    let mut wanted = BTreeMap::new();
    for (name, value) in settings {
        let key: Key = name.parse()?;
        let text = match value {
            _ if !present => None,
            None => return Err(Error::invalid(format!("cannot set {key}: its value is missing; give one"))),
            Some(value) => Some(value::checked(&key, &value)?),
        };
        if wanted.insert(key.clone(), text).is_some() {
            return Err(Error::invalid(format!(
                "cannot set {key}: settings has it twice, as {name} too; give it once"
            )));
        }
    }
    if wanted.is_empty() {
        return Err(Error::invalid("cannot do anything with empty settings: give at least one parameter"));
    }
    Ok(wanted)
}

fn absolute(path: &str) -> Result<PathBuf> {
    let path = Path::new(path);
    if path.is_absolute() && path.file_name().is_some() {
        return Ok(path.to_owned());
    }
    Err(Error::invalid(format!(
        "cannot use sysctl_file {}: give the full path of a file, like /etc/sysctl.d/50-lvs.conf",
        path.display()
    )))
}

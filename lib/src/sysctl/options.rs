//! The options of the task: those of ansible.posix.sysctl, with their meaning, and ours.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};

use super::Key;
use super::Setting;
use super::value::{self, Words};
use crate::ansible::{Flag, Text};
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
    settings: Option<Settings>,
    state: Option<Wish>,
    reload: Option<Flag>,
    sysctl_set: Option<Flag>,
    sysctl_file: Option<Text>,
    ignoreerrors: Option<Flag>,
    persist: Option<Flag>,
    backup: Option<Flag>,
    netns: Option<Text>,
    exclusive: Option<Flag>,
    comment: Option<Text>,
    at_least: Option<Flag>,
}

/// Each parameter's value; none is for a line to be removed. A name may be a pattern.
type Values = BTreeMap<Key, Option<String>>;

/// What is to become of the parameters.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wish {
    /// They have the values.
    #[default]
    Present,
    /// No file has a line for them.
    Absent,
    /// They are read, and nothing else.
    Read,
}

/// Names and values: a mapping, or a list of mappings with one name each, or of names, in the order of which they are written.
#[derive(Default)]
struct Settings {
    entries: Vec<(String, Option<Words>)>,
    is_ordered: bool,
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingsVisitor)
    }
}

/// Takes settings entry by entry, as there may be thousands.
struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::default();
        while let Some(entry) = map.next_entry()? {
            settings.entries.push(entry);
        }
        Ok(settings)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Settings, A::Error> {
        let mut settings = Settings { entries: Vec::new(), is_ordered: true };
        while let Some(entry) = list.next_element::<serde_json::Value>()? {
            settings.entries.push(one_entry(entry).map_err(A::Error::custom)?);
        }
        Ok(settings)
    }
}

/// Returns the name of a list's entry, and its value if it has one.
fn one_entry(entry: serde_json::Value) -> Result<(String, Option<Words>), serde_json::Error> {
    if let serde_json::Value::String(name) = entry {
        return Ok((name, None));
    }
    let mut entries = BTreeMap::<String, Option<Words>>::deserialize(entry)?.into_iter();
    let only = entries.next().filter(|_| entries.next().is_none());
    only.ok_or_else(|| serde_json::Error::custom("a list has one name and its value in each entry"))
}

/// What the task wants, checked as far as that needs no look at the host.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// What to set.
    pub(super) wanted: Values,
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
    /// What is to become of them.
    pub(super) wish: Wish,
    /// The place of each in the order in which they are written, if the person gave one.
    pub(super) order: BTreeMap<Key, usize>,
    /// What the comment above a line says.
    pub(super) comment: Option<String>,
    /// Whether a greater number will do.
    pub(super) at_least: bool,
}

impl Options {
    /// Returns whether the task takes parameters out of files.
    pub(super) fn is_absent(&self) -> bool {
        self.wish == Wish::Absent
    }
}

impl TryFrom<Arguments> for Options {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        arguments.fit_together()?;
        let wish = arguments.state.unwrap_or_default();
        let present = wish == Wish::Present;
        let persist = is(arguments.persist, arguments.netns.is_none()) && wish != Wish::Read;
        let runtime = is(arguments.reload, true) || is(arguments.sysctl_set, false) || !persist;
        let (wanted, order) = match arguments.settings {
            Some(settings) => many(settings, present)?,
            None => (one(arguments.name, arguments.value, present)?, BTreeMap::new()),
        };
        let options = Self {
            runtime: (runtime && present) || wish == Wish::Read,
            persist,
            file: arguments.sysctl_file.as_ref().map(|file| absolute(&file.0)).transpose()?,
            lenient: is(arguments.ignoreerrors, false),
            backup: is(arguments.backup, false),
            netns: arguments.netns.as_ref().map(|netns| netns.0.parse()).transpose()?,
            exclusive: is(arguments.exclusive, false),
            wish,
            wanted,
            order,
            comment: arguments.comment.map(|comment| line(comment.0)).transpose()?,
            at_least: is(arguments.at_least, false),
        };
        if options.at_least {
            options.wanted.iter().try_for_each(|(key, text)| comparable(key, text.as_deref()))?;
        }
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
        let absent = self.state == Some(Wish::Absent);
        let values = self.value.is_some() || self.comment.is_some() || self.at_least.is_some();
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use {why}")));
        match self {
            _ if self.settings.is_some() && (self.name.is_some() || self.value.is_some()) => {
                refuse("settings together with name or value: give one or the other")
            }
            _ if self.state == Some(Wish::Read) && (values || self.sysctl_file.is_some()) => refuse(
                "state: read with value, comment, at_least or sysctl_file: it reads what the kernel holds; leave them out",
            ),
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
fn one(name: Option<Text>, value: Option<Words>, present: bool) -> Result<Values> {
    let name = name.ok_or_else(|| Error::invalid("cannot do without option name: give it, or settings"))?;
    let key: Key = name.0.parse()?;
    if !present {
        return Ok(only(key, None));
    }
    let value = value.ok_or_else(|| Error::invalid("value cannot be None"))?;
    let text = value::checked(&key, &value)?;
    if text.is_empty() {
        return Err(Error::invalid("value cannot be blank"));
    }
    Ok(only(key, Some(text)))
}

fn only(key: Key, text: Option<String>) -> Values {
    let mut values = Values::new();
    values.insert(key, text);
    values
}

/// Returns the parameters of a task with many, and their order if it has one; a value may be empty here, as some can only
/// be cleared so.
fn many(settings: Settings, present: bool) -> Result<(Values, BTreeMap<Key, usize>)> {
    let (mut wanted, mut order) = (Values::new(), BTreeMap::new());
    for (name, value) in settings.entries {
        let key: Key = name.parse()?;
        let text = match value {
            _ if !present => None,
            None => return Err(Error::invalid(format!("cannot set {key}: its value is missing; give one"))),
            Some(value) => Some(value::checked(&key, &value)?),
        };
        if settings.is_ordered {
            order.insert(key.clone(), order.len());
        }
        if wanted.insert(key.clone(), text).is_some() {
            return Err(Error::invalid(format!(
                "cannot set {key}: settings has it twice, as {name} too; give it once"
            )));
        }
    }
    if wanted.is_empty() {
        return Err(Error::invalid("cannot do anything with empty settings: give at least one parameter"));
    }
    Ok((wanted, order))
}

/// Returns a comment that fits in a line.
fn line(comment: String) -> Result<String> {
    if comment.trim().is_empty() || comment.contains(char::is_control) {
        return Err(Error::invalid("cannot use comment: give some words in one line"));
    }
    Ok(comment.trim().to_owned())
}

/// Returns an error if `text` is nothing that a greater number could stand for.
fn comparable(key: &Key, text: Option<&str>) -> Result<()> {
    let number = text.and_then(|text| Setting::new(key, text).number());
    if number.is_some_and(|number| number >= 0) && !key.is_pattern() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "cannot use at_least with {key}: it compares the value of one parameter, a number from 0 on; give that, or leave at_least out"
    )))
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

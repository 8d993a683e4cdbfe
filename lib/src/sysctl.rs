//! The sysctl parameter: its value in the running kernel and its line in a file that a boot loads.
//!
//! Two layers, one resource: the kernel is written first, as it alone knows which values it takes, so what it
//! refuses is never stored; a file that cannot be written puts the kernel back.

mod boot;
mod key;
mod runtime;
mod text;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use key::Key;
pub use text::Line;
pub use value::Setting;

use crate::ansible::{Flag, Text};
use crate::file::{self, Lock};
use crate::resource::{Mode, Plan, Resource, State};
use crate::{Error, Result};
use runtime::ProcSys;

/// Kernel parameters and what a task wants of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Arguments")]
pub struct Sysctl {
    /// Each parameter's value; none is for a line to be removed.
    wanted: BTreeMap<Key, Option<String>>,
    /// Whether the running kernel is read and set.
    runtime: bool,
    /// Whether a file is read and set.
    persist: bool,
    /// The file that the task names.
    file: Option<PathBuf>,
    /// Whether a parameter that this kernel does not have is passed over.
    lenient: bool,
    /// Where /proc and /etc are; a test has its own.
    root: PathBuf,
}

/// The options of the task, those of ansible.posix.sysctl and ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(alias = "key")]
    name: Option<Text>,
    #[serde(alias = "val")]
    value: Option<Text>,
    state: Option<Presence>,
    reload: Option<Flag>,
    sysctl_set: Option<Flag>,
    sysctl_file: Option<Text>,
    ignoreerrors: Option<Flag>,
    persist: Option<Flag>,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Presence {
    #[default]
    Present,
    Absent,
}

/// What can differ: a parameter in the kernel, or its line in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "layer", rename_all = "lowercase")]
pub enum Item {
    /// The parameter in the running kernel.
    Runtime {
        /// Its name.
        key: Key,
    },
    /// The parameter's lines in a file.
    Persistent {
        /// Its name.
        key: Key,
        /// Which file.
        file: PathBuf,
    },
}

/// What an [`Item`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A value in the kernel.
    Set(Setting),
    /// The lines that assign it, in the file's order; the last one counts.
    Lines(Vec<Line>),
}

impl TryFrom<Arguments> for Sysctl {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        let flag = |option: Option<Flag>, default| option.map_or(default, |flag| flag.0);
        let present = arguments.state.unwrap_or_default() == Presence::Present;
        let persist = flag(arguments.persist, true);
        let runtime = flag(arguments.reload, true) || flag(arguments.sysctl_set, false) || !persist;
        if !present && !persist {
            return Err(Error::invalid(
                "cannot use persist: false with state: absent, which takes lines out of files; leave one of them out",
            ));
        }
        let file = arguments.sysctl_file.map(|file| absolute(&file.0));
        Ok(Self {
            wanted: one_parameter(arguments.name, arguments.value, present)?,
            runtime: runtime && present,
            persist,
            file: file.transpose()?,
            lenient: flag(arguments.ignoreerrors, false),
            root: PathBuf::from("/"),
        })
    }
}

/// Returns the one parameter of a task; the sentences about blanks are those of ansible.posix.sysctl.
fn one_parameter(
    name: Option<Text>,
    value: Option<Text>,
    present: bool,
) -> Result<BTreeMap<Key, Option<String>>> {
    let name = name.ok_or_else(|| Error::invalid("cannot do without option name: give it"))?;
    if name.0.trim().is_empty() {
        return Err(Error::invalid("name cannot be blank"));
    }
    let key: Key = name.0.parse()?;
    if !present {
        return Ok(BTreeMap::from([(key, None)]));
    }
    let value = value.ok_or_else(|| Error::invalid("value cannot be None"))?;
    if value.0.trim().is_empty() {
        return Err(Error::invalid("value cannot be blank"));
    }
    let value = value::checked(&key, &value.0)?;
    Ok(BTreeMap::from([(key, Some(value))]))
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

impl Sysctl {
    /// Returns the same resource on a host whose root directory is `root`, for tests.
    #[must_use]
    pub fn under(mut self, root: &Path) -> Self {
        self.file = self.file.map(|file| inside(root, &file));
        self.root = root.to_owned();
        self
    }

    /// Returns the file that is written, then those that must not name the same parameters.
    fn files(&self) -> Vec<PathBuf> {
        match &self.file {
            _ if !self.persist => Vec::new(),
            Some(file) => vec![file.clone()],
            None => boot::default_files(&self.root),
        }
    }

    /// Adds what the kernel holds of the wanted parameters.
    fn observe_kernel(&self, state: &mut State<Self>) -> Result<()> {
        let kernel = ProcSys::open(&self.root)?;
        for key in self.wanted.keys() {
            match kernel.read(key)? {
                Some(setting) => {
                    state.insert(Item::Runtime { key: key.clone() }, Value::Set(setting));
                }
                None if self.lenient => {}
                None => return Err(runtime::unknown(key)),
            }
        }
        Ok(())
    }

    /// Adds the lines that `file` holds of the wanted parameters.
    fn observe_file(&self, file: &Path, state: &mut State<Self>) -> Result<()> {
        let content = file::read(file)?.unwrap_or_default();
        let mut found = text::assignments(&content);
        for key in self.wanted.keys() {
            if let Some(lines) = found.remove(key.path()) {
                let item = Item::Persistent { key: key.clone(), file: file.to_owned() };
                state.insert(item, Value::Lines(lines));
            }
        }
        Ok(())
    }

    /// Writes the planned parameters to the kernel.
    fn write_kernel(&self, plan: &Plan<Self>) -> Result<()> {
        let kernel = ProcSys::open(&self.root)?;
        for (item, change) in plan.iter() {
            if let (Item::Runtime { key }, Some(Value::Set(setting))) = (item, &change.after) {
                kernel.write(key, setting)?;
                // Before the file is written: what the kernel made another value of must not be stored.
                let got = kernel.read(key)?;
                if got.as_ref() != Some(setting) {
                    return Err(Error::NotTaken {
                        item: item.to_string(),
                        asked: setting.text().into(),
                        got: got.map_or_else(|| "nothing".into(), |got| got.text().into()),
                    });
                }
            }
        }
        Ok(())
    }

    /// Writes the planned lines to `file`, which is read anew so that nothing else in it is lost.
    fn write_file(&self, path: &Path, plan: &Plan<Self>) -> Result<()> {
        let edits: BTreeMap<&str, &[Line]> = plan
            .iter()
            .filter_map(|(item, change)| match (item, &change.after) {
                (Item::Persistent { key, file }, Some(Value::Lines(lines))) if file == path => {
                    Some((key.path(), lines.as_slice()))
                }
                (Item::Persistent { key, file }, None) if file == path => Some((key.path(), &[][..])),
                _ => None,
            })
            .collect();
        if edits.is_empty() {
            return Ok(());
        }
        let content = file::read(path)?.unwrap_or_default();
        file::replace(path, &text::edited(&content, &edits))
    }
}

impl Resource for Sysctl {
    type Item = Item;
    type Value = Value;

    /// Runs that write files take turns: one lock for all files, as links may give one file many names.
    fn enter(&self, mode: Mode) -> Result<Option<Lock>> {
        match mode {
            Mode::Apply if self.persist => Lock::on(&inside(&self.root, Path::new("/etc"))).map(Some),
            _ => Ok(None),
        }
    }

    fn observe(&self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        if self.runtime {
            self.observe_kernel(&mut state)?;
        }
        for file in self.files() {
            self.observe_file(&file, &mut state)?;
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        for (key, value) in &self.wanted {
            let runtime = Item::Runtime { key: key.clone() };
            if let (Some(text), true) = (value, now.contains_key(&runtime)) {
                then.insert(runtime, Value::Set(Setting::new(key, text)));
            }
            for (place, file) in self.files().into_iter().enumerate() {
                let item = Item::Persistent { key: key.clone(), file };
                // The first file holds the line, any other one must not.
                let text = value.as_deref().filter(|_| place == 0);
                match text {
                    Some(text) => {
                        let lines = text::with_value(key, then.get(&item).and_then(Value::lines), text);
                        then.insert(item, Value::Lines(lines))
                    }
                    None => then.remove(&item),
                };
            }
        }
        Ok(then)
    }

    fn write(&self, _now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        self.write_kernel(plan)?;
        // The line that counts comes last: what could fail before it needs no file to be put back.
        for file in self.files().iter().rev() {
            self.write_file(file, plan)?;
        }
        Ok(())
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        match (item, value) {
            (Item::Runtime { key }, Value::Set(setting)) => {
                ("the running kernel".into(), format!("{key} = {}", setting.text()))
            }
            (Item::Persistent { file, .. }, value) => (file.display().to_string(), value.to_string()),
            (Item::Runtime { .. }, Value::Lines(_)) => (item.to_string(), value.to_string()),
        }
    }

    fn warnings(&self, found: &State<Self>, _plan: &Plan<Self>) -> Result<Vec<String>> {
        let missing =
            |key: &&Key| self.runtime && !found.contains_key(&Item::Runtime { key: (*key).clone() });
        Ok(self
            .wanted
            .keys()
            .filter(missing)
            .map(|key| {
                format!(
                    "{}; ignoreerrors is set, so it is passed over and not in force",
                    runtime::unknown(key)
                )
            })
            .collect())
    }
}

impl Value {
    fn lines(&self) -> Option<&[Line]> {
        match self {
            Self::Lines(lines) => Some(lines),
            Self::Set(_) => None,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime { key } => write!(f, "{key} in the running kernel"),
            Self::Persistent { key, file } => write!(f, "{key} in {}", file.display()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(setting) => f.write_str(setting.text()),
            Self::Lines(lines) => {
                let texts: Vec<_> = lines.iter().map(Line::text).collect();
                f.write_str(&texts.join("\n"))
            }
        }
    }
}

/// A value as the person wrote or would write it: the kernel's text, or what the last line assigns.
impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(setting) => serializer.serialize_str(setting.text()),
            Self::Lines(lines) => {
                serializer.serialize_str(&lines.last().map(Line::value).unwrap_or_default())
            }
        }
    }
}

/// Returns `path`, which is absolute, below `root`.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

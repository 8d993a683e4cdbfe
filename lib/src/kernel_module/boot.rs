//! What a boot loads, and with which parameters: two files of our own for each module (modules-load.d(5), modprobe.d(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::item::{Item, Key, Value};
use super::{KernelModule, options};
use crate::resource::{Plan, State};
use crate::root::Root;
use crate::{Result, file};

/// Where a boot finds which modules to load, and with which parameters.
const DIRECTORIES: [&str; 2] = ["/etc/modules-load.d", "/etc/modprobe.d"];

/// Where a boot finds modules to load, whoever wants them.
const LISTS: [&str; 3] = ["/etc/modules-load.d", "/run/modules-load.d", "/usr/lib/modules-load.d"];

/// The files of our own that a boot reads.
#[derive(Debug)]
pub(super) struct Files {
    root: Root,
    /// The directories that were not there before this run.
    missing: Vec<PathBuf>,
}

impl Files {
    /// Returns those of the host at `root`.
    pub(super) fn find(root: &Root) -> Self {
        let places = DIRECTORIES.map(|directory| root.at(directory));
        let missing = places.into_iter().filter(|directory| !directory.exists()).collect();
        Self { root: root.clone(), missing }
    }

    /// Returns the two about a module: the list, and the parameters.
    pub(super) fn of(&self, module: &str) -> [Rc<Path>; 2] {
        DIRECTORIES.map(|directory| self.root.at(directory).join(format!("lvs-host.{module}.conf")).into())
    }

    /// Adds what they say of a module.
    pub(super) fn observe(&self, module: &Rc<str>, state: &mut State<KernelModule>) -> Result<()> {
        let [list, parameters] = self.of(module);
        if content(&list)?.lines().any(|line| line.trim() == &**module) {
            state.insert(Item::stored(Key::of(module), &list), Value::Loaded);
        }
        for (name, value) in stored(&content(&parameters)?, module) {
            let key = Key::parameter(module, &name);
            state.insert(Item::stored(key, &parameters), Value::Set(value));
        }
        Ok(())
    }

    /// Writes what `plan` makes of the file at `path`.
    pub(super) fn write(
        &self,
        path: &Path,
        now: &State<KernelModule>,
        plan: &Plan<KernelModule>,
    ) -> Result<()> {
        let mut then = BTreeMap::new();
        for (item, value) in now.iter().filter(|(item, _)| item.is_in(path)) {
            then.insert(&item.key, value);
        }
        for (item, change) in plan.iter() {
            match &change.after {
                Some(value) => then.insert(&item.key, value),
                None => then.remove(&item.key),
            };
        }
        if !then.is_empty() {
            return file::replace(path, written(&then).as_bytes(), file::MODE);
        }
        file::withdraw(path)?;
        let made = self.missing.iter().filter(|directory| path.starts_with(directory));
        made.for_each(|directory| drop(fs::remove_dir(directory)));
        Ok(())
    }

    /// Returns warnings of what else brings one of `modules` back.
    pub(super) fn others(&self, modules: &BTreeSet<Rc<str>>) -> Vec<String> {
        let mut files = vec![self.root.at("/etc/modules")];
        for directory in LISTS {
            let entries = fs::read_dir(self.root.at(directory)).into_iter().flatten().flatten();
            files.extend(entries.map(|entry| entry.path()));
        }
        let mut warnings = Vec::new();
        for module in modules {
            let [ours, _] = self.of(module);
            for file in files.iter().filter(|file| ***file != *ours) {
                let text = fs::read_to_string(file).unwrap_or_default();
                if text.lines().any(|line| options::plain(line.trim()) == **module) {
                    warnings.push(format!(
                        "{} has a boot load {module} all the same; take it out there",
                        file.display()
                    ));
                }
            }
        }
        warnings
    }
}

fn content(path: &Path) -> Result<String> {
    let content = file::read(path)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// Returns the parameters that a text of modprobe.d(5) has for a module.
pub(super) fn stored(text: &str, module: &str) -> Vec<(Rc<str>, Rc<str>)> {
    let of_it = text.lines().filter_map(|line| {
        let (name, words) = line.strip_prefix("options ")?.trim_start().split_once(char::is_whitespace)?;
        (options::plain(name) == module).then_some(words)
    });
    let words = of_it.flat_map(str::split_whitespace);
    words.filter_map(|word| word.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

/// Returns the text of a file that has these entries.
fn written(entries: &BTreeMap<&Key, &Value>) -> String {
    let lines = entries.iter().map(|(key, value)| line(key, value) + "\n");
    "# Made by lvs.host.kernel_module, which replaces all of this file.\n".to_owned()
        + &lines.collect::<String>()
}

/// Returns the line of a file that has a boot do it.
pub(super) fn line(key: &Key, value: &Value) -> String {
    match (&key.parameter, value) {
        (Some(parameter), value) => format!("options {} {parameter}={value}", key.module),
        (None, _) => key.module.to_string(),
    }
}

//! The sysctl parameter: its value in the running kernel and its line in a file that a boot loads.
//!
//! The kernel is written first, as it alone knows which values it takes: what it refuses is never stored, and a file that
//! cannot be written puts the kernel back.

mod boot;
mod coupling;
mod item;
mod key;
mod options;
mod patterns;
#[cfg(test)]
mod properties;
mod rewritten;
mod runtime;
mod scope;
mod text;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, json};

pub use item::{Item, Value};
pub use key::Key;
pub use text::Line;
pub use value::Setting;

use crate::file::{self, Lock};
use crate::resource::{Change, Layer, Mode, Plan, Report, Resource, State};
use crate::root::Root;
use crate::{Error, Result};
use options::Options;
use rewritten::Rewritten;
use runtime::ProcSys;
use scope::Scope;

/// What a person wants of kernel parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct Task(Options);

/// The kernel parameters of a task, on one host.
#[derive(Debug)]
pub struct Sysctl {
    options: Options,
    root: Root,
    /// The running kernel, if the task is about that.
    kernel: Option<ProcSys>,
    /// What the names mean on this host.
    scope: Scope,
    /// The file that is written, then those that must not name the same parameters.
    files: Vec<Rc<Path>>,
    /// What these held when they were last observed.
    contents: BTreeMap<Rc<Path>, Vec<u8>>,
    /// The files that were replaced; a second time is the way back.
    rewritten: BTreeMap<Rc<Path>, Rewritten>,
    /// Held while files are written: one lock for all files, as links may give one file many names.
    lock: Option<Lock>,
}

impl TryFrom<options::Arguments> for Task {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        arguments.try_into().map(Self)
    }
}

impl crate::resource::Task for Task {
    type Resource = Sysctl;

    fn open(self, mode: Mode, root: &Root) -> Result<Sysctl> {
        let Self(options) = self;
        if let Some(namespace) = &options.netns {
            namespace.enter(root)?;
        }
        let takes_turns = mode == Mode::Apply && options.persist;
        let lock = if takes_turns { Some(Lock::on("sysctl")?) } else { None };
        let kernel = if options.runtime { Some(ProcSys::open(root)?) } else { None };
        let scope = Scope::find(&options, kernel.as_ref())?;
        let files = match &options.file {
            _ if !options.persist => Vec::new(),
            Some(file) => vec![root.at(file).into()],
            None => boot::default_files(root)?.into_iter().map(Rc::from).collect(),
        };
        let (contents, rewritten) = (BTreeMap::new(), BTreeMap::new());
        Ok(Sysctl { options, root: root.clone(), kernel, scope, files, contents, rewritten, lock })
    }
}

impl Sysctl {
    /// Adds what the kernel holds of the parameters in scope.
    fn observe_kernel(&self, state: &mut State<Self>) -> Result<()> {
        let Some(kernel) = &self.kernel else { return Ok(()) };
        for key in self.scope.set.keys().chain(&self.scope.followers) {
            if let Some(setting) = kernel.read(key)? {
                state.insert(Item::kernel(key.clone()), Value::Set(setting));
            }
        }
        Ok(())
    }

    /// Adds the lines that `file` holds of the parameters in scope, or all of them if it may hold no others.
    fn observe_file(&self, file: &Rc<Path>, content: &[u8], state: &mut State<Self>) {
        let stored = &self.scope.stored;
        // With dots alone nobody can tell an interface's name once it is gone, so what is to go goes by its letters.
        let flat = |path: &str| path.replace('/', ".");
        let going: BTreeSet<String> = match self.options.is_absent() {
            true => stored.keys().map(|key| flat(key.path())).collect(),
            false => BTreeSet::new(),
        };
        for (path, lines) in text::assignments(content) {
            let named = stored.get_key_value(path.as_str()).map(|(key, _)| key.clone());
            let all = self.options.exclusive || going.contains(&flat(&path));
            if let Some(key) = named.or_else(|| all.then(|| Key::at(path))) {
                state.insert(Item::stored(key, file), Value::Lines(lines));
            }
        }
    }

    /// Writes parameters of one rank to the kernel: switches first, then what the task names, so that an error is about
    /// that, and then what changes along.
    fn write_kernel(&self, kernel: &ProcSys, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let mut planned: Vec<_> = plan.iter().filter_map(planned_setting).collect();
        planned.sort_by_key(|(key, _)| (!coupling::is_switch(key), !self.scope.set.contains_key(*key)));
        let has_switch = planned.iter().any(|(key, _)| coupling::is_switch(key));
        let now_of = |key: &Key| now.get(&Item::kernel(key.clone()))?.setting().cloned();
        let written = planned.into_iter().try_for_each(|(key, setting)| match has_switch {
            true => self.set(kernel, key, setting),
            false => self.put(kernel, key, now_of(key), setting),
        });
        if !has_switch {
            return written;
        }
        // What a switch has changed along is put back where that is not planned, and on no way back by itself.
        let kept = now.iter().filter(|(item, _)| item.is_live() && plan.get(item).is_none());
        let mut kept = kept.filter_map(|(item, value)| Some((&item.key, value.setting()?)));
        match written {
            Ok(()) => kept.try_for_each(|(key, setting)| self.set(kernel, key, setting)),
            Err(error) => {
                kept.for_each(|(key, setting)| drop(self.set(kernel, key, setting)));
                Err(error)
            }
        }
    }

    /// Writes one parameter if it differs by now.
    fn set(&self, kernel: &ProcSys, key: &Key, setting: &Setting) -> Result<()> {
        let before = kernel.read(key)?;
        if before.as_ref() == Some(setting) { Ok(()) } else { self.put(kernel, key, before, setting) }
    }

    /// Writes one parameter in place of what it was `before`.
    fn put(&self, kernel: &ProcSys, key: &Key, before: Option<Setting>, setting: &Setting) -> Result<()> {
        if self.may_vanish(&Item::kernel(key.clone())) && kernel.look_up(key)?.is_none() {
            return Ok(());
        }
        kernel.write(key, setting)?;
        // A time that is kept finer than it is shown has changed unseen: nobody else could put it back.
        match before.filter(|_| coupling::is_rounded(key)) {
            Some(before) if kernel.read(key)?.as_ref() == Some(&before) => kernel.write(key, &before),
            _ => Ok(()),
        }
    }

    /// Returns what `plan` makes of the content of the file at `path`; nothing if it plans nothing there.
    fn planned_text(&self, path: &Path, plan: &Plan<Self>) -> Result<Option<Vec<u8>>> {
        let edits: BTreeMap<&str, &[Line]> = plan
            .iter()
            .filter(|(item, _)| item.is_in(path))
            .map(|(item, change)| (item.key.path(), change.after.as_ref().map_or(&[][..], Value::lines)))
            .collect();
        if edits.is_empty() {
            return Ok(None);
        }
        let text = text::edited(self.contents.get(path).map_or(&[][..], Vec::as_slice), &edits);
        if text.len() as u64 > file::MOST {
            return Err(file::too_large(path, file::MOST));
        }
        Ok(Some(text))
    }

    /// Writes the planned lines to a file, as it was observed last.
    fn write_file(&mut self, path: &Rc<Path>, plan: &Plan<Self>) -> Result<()> {
        let Some(text) = self.planned_text(path, plan)? else { return Ok(()) };
        match self.rewritten.remove(path) {
            Some(done) => done.undo(path, &text),
            None => {
                let before = self.contents.remove(path).unwrap_or_default();
                let done = Rewritten::write(path, before, text, self.options.backup)?;
                self.rewritten.insert(path.clone(), done);
                Ok(())
            }
        }
    }

    /// Returns the present and the planned value of each parameter that the task names, in the kernel if that is managed.
    fn settings(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let mut settings = Map::new();
        let unchanged = |(item, value)| (item, (Some(value), Some(value)));
        let planned =
            report.plan.iter().map(|(item, change)| (item, (change.before.as_ref(), change.after.as_ref())));
        let mut entries: BTreeMap<&Item, _> = report.found.iter().map(unchanged).collect();
        entries.extend(planned);
        for (item, (before, after)) in entries {
            let follows = item.is_live() && self.scope.followers.contains(&item.key);
            if !follows && !matches!(after, Some(Value::Act(_))) {
                settings
                    .entry(item.key.to_string())
                    .or_insert_with(|| json!({"before": before, "after": after}));
            }
        }
        settings
    }

    /// Brings the lines of one file in `then` to what they should be: the first file has them, any other one none.
    fn target_file(&self, file: &Rc<Path>, holds: bool, then: &mut State<Self>) {
        let stored = &self.scope.stored;
        if self.options.exclusive || self.options.is_absent() {
            let kept = |key: &Key| stored.get(key).is_some_and(Option::is_some);
            then.retain(|item, _| !item.is_in(file) || kept(&item.key));
        }
        for (key, text) in stored {
            let item = Item::stored(key.clone(), file);
            match text.as_deref().filter(|_| holds) {
                None => {
                    then.remove(&item);
                }
                Some(text) => {
                    let value = then.entry(item).or_insert_with(|| Value::Lines(Vec::new()));
                    *value = Value::Lines(text::with_value(key, value.lines(), text));
                }
            }
        }
    }
}

impl Resource for Sysctl {
    type Key = Key;
    type Value = Value;

    fn observe(&mut self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        self.observe_kernel(&mut state)?;
        for file in &self.files {
            let content = file::read(file)?.unwrap_or_default();
            self.observe_file(file, &content, &mut state);
            self.contents.insert(file.clone(), content);
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let scope = &self.scope;
        let mut then = now.clone();
        let value = |key: &Key, text: &str| Value::Set(Setting::new(key, text));
        for (key, text) in coupling::followed(&scope.set, now, &scope.followers) {
            then.insert(Item::kernel(key.clone()), value(key, &text));
        }
        for (key, text) in &scope.set {
            let item = Item::kernel(key.clone());
            // What a pattern matched may have vanished.
            if scope.names(key) || now.contains_key(&item) {
                then.insert(item, value(key, text));
            }
        }
        for (key, text) in &scope.effects {
            then.insert(Item::kernel(key.clone()), Value::Act(Setting::new(key, text)));
        }
        for (place, file) in self.files.iter().enumerate() {
            self.target_file(file, place == 0, &mut then);
        }
        Ok(then)
    }

    fn write(&mut self, layer: &Layer, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        match (layer, &self.kernel) {
            (Layer::File(path), _) => self.write_file(path, plan),
            (Layer::Kernel, Some(kernel)) => self.write_kernel(kernel, now, plan),
            (Layer::Kernel, None) => Ok(()),
        }
    }

    fn rank(&self, item: &Item, change: &Change<Value>) -> u8 {
        match change.after {
            // What an act does cannot be taken back.
            Some(Value::Act(_)) => u8::MAX,
            _ if !item.is_live() => coupling::FILES,
            _ if self.scope.followers.contains(&item.key) => coupling::SWITCHES,
            _ => coupling::rank(&item.key),
        }
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }

    fn may_vanish(&self, item: &Item) -> bool {
        item.is_live() && !self.scope.names(&item.key)
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        match (&item.layer, value) {
            (Layer::File(file), _) => (file.display().to_string(), value.to_string()),
            (_, Value::Act(_)) => ("done, and not to be read back".into(), format!("{} = {value}", item.key)),
            _ => ("the running kernel".into(), format!("{} = {value}", item.key)),
        }
    }

    fn review(&mut self, _found: &State<Self>, plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        let mut warnings = self.scope.warnings.clone();
        if let Some(kernel) = &self.kernel {
            coupling::keeps_routes(&self.root, kernel, plan)?;
            warnings.extend(coupling::without_effect(&self.scope.set, kernel)?);
        }
        if let (Some(file), false) = (self.files.first(), self.options.is_absent()) {
            let mut texts = BTreeMap::new();
            for file in &self.files {
                let text = self.planned_text(file, plan)?;
                texts.extend(text.or_else(|| self.contents.get(file).cloned()).map(|text| (&**file, text)));
            }
            warnings.extend(boot::contradictions(&self.root, file, &texts, &self.scope.at_boot()));
        }
        Ok(warnings)
    }

    fn remarks(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let mut remarks = Map::new();
        remarks.insert("settings".into(), self.settings(report).into());
        if let Some(copy) = self.rewritten.values().filter_map(|done| done.copy.as_ref()).next_back() {
            remarks.insert("backup_file".into(), json!(copy));
        }
        remarks
    }
}

/// Returns a parameter and what a plan sets it to.
fn planned_setting<'a>((item, change): (&'a Item, &'a Change<Value>)) -> Option<(&'a Key, &'a Setting)> {
    Some((&item.key, change.after.as_ref()?.setting()?))
}

//! The sysctl parameter: its value in the running kernel and its line in a file that a boot loads.
//!
//! Two layers, one resource: the kernel is written first, as it alone knows which values it takes, so what it
//! refuses is never stored; a file that cannot be written puts the kernel back.

mod boot;
mod coupling;
mod item;
mod key;
mod options;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod rewritten;
mod runtime;
mod scope;
mod text;
mod value;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, json};

pub use item::{Item, Value};
pub use key::Key;
pub use text::Line;
pub use value::Setting;

use crate::error::brief;
use crate::file::{self, Lock};
use crate::resource::{Mode, Plan, Report, Resource, State};
use crate::{Error, Result};
use options::Options;
use rewritten::Rewritten;
use runtime::ProcSys;
use scope::Scope;

/// Kernel parameters and what a task wants of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "options::Arguments")]
pub struct Sysctl {
    options: Options,
    /// Where /proc and /etc are; a test has its own.
    root: PathBuf,
    /// What the names mean on this host; found once, so that the same entries are compared before and after.
    scope: OnceCell<Scope>,
    /// The files that are read and written; found once as well.
    files: OnceCell<Vec<Rc<Path>>>,
    /// The files that were replaced; a second time is the way back.
    rewritten: RefCell<BTreeMap<PathBuf, Rewritten>>,
}

impl TryFrom<options::Arguments> for Sysctl {
    type Error = Error;

    fn try_from(arguments: options::Arguments) -> Result<Self> {
        Ok(Self {
            options: arguments.try_into()?,
            root: PathBuf::from("/"),
            scope: OnceCell::new(),
            files: OnceCell::new(),
            rewritten: RefCell::default(),
        })
    }
}

impl Sysctl {
    /// Returns the same resource on a host whose root directory is `root`, for tests.
    #[must_use]
    pub fn under(mut self, root: &Path) -> Self {
        self.options.file = self.options.file.map(|file| inside(root, &file));
        self.root = root.to_owned();
        self
    }

    fn scope(&self) -> Result<&Scope> {
        if let Some(scope) = self.scope.get() {
            return Ok(scope);
        }
        let scope = Scope::find(&self.options, &self.root)?;
        Ok(self.scope.get_or_init(|| scope))
    }

    /// Returns the file that is written, then those that must not name the same parameters.
    fn files(&self) -> &[Rc<Path>] {
        self.files.get_or_init(|| match &self.options.file {
            _ if !self.options.persist => Vec::new(),
            Some(file) => vec![file.as_path().into()],
            None => boot::default_files(&self.root).into_iter().map(Rc::from).collect(),
        })
    }

    /// Adds what the kernel holds of the parameters in scope.
    fn observe_kernel(&self, state: &mut State<Self>) -> Result<()> {
        let kernel = ProcSys::open(&self.root)?;
        let scope = self.scope()?;
        for key in scope.set.keys().chain(&scope.followers) {
            if let Some(setting) = kernel.read(key)? {
                state.insert(Item::Runtime { key: key.clone() }, Value::Set(setting));
            }
        }
        Ok(())
    }

    /// Adds the lines that `file` holds of the parameters in scope, or all of them if it may hold no others.
    fn observe_file(&self, file: &Rc<Path>, state: &mut State<Self>) -> Result<()> {
        let content = file::read(file)?.unwrap_or_default();
        let stored = &self.scope()?.stored;
        // With dots alone nobody can tell an interface's name once it is gone, so what is to go goes by its letters.
        let flat = |path: &str| path.replace('/', ".");
        let going: BTreeSet<String> = match self.options.is_absent() {
            true => stored.keys().map(|key| flat(key.path())).collect(),
            false => BTreeSet::new(),
        };
        for (path, lines) in text::assignments(&content) {
            let named = stored.get_key_value(path.as_str()).map(|(key, _)| key.clone());
            let all = self.options.exclusive || going.contains(&flat(&path));
            if let Some(key) = named.or_else(|| all.then(|| Key::at(path))) {
                state.insert(Item::Persistent { key, file: file.clone() }, Value::Lines(lines));
            }
        }
        Ok(())
    }

    /// Writes the planned parameters to the kernel: those first that change others, and then what these had changed.
    /// What the task names goes before what changes along, so that an error is about the former.
    fn write_kernel(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        if !self.options.runtime {
            return Ok(());
        }
        let kernel = ProcSys::open(&self.root)?;
        let named = &self.scope()?.set;
        let mut wanted: BTreeMap<&Key, &Setting> = BTreeMap::new();
        let planned = plan.iter().map(|(item, change)| (item, change.after.as_ref()));
        for (item, value) in now.iter().map(|(item, value)| (item, Some(value))).chain(planned) {
            match (item, value) {
                (Item::Runtime { key }, Some(Value::Set(setting))) => wanted.insert(key, setting),
                (Item::Runtime { key }, None) => wanted.remove(key),
                _ => None,
            };
        }
        let is_planned = |key: &Key| plan.get(&Item::Runtime { key: key.clone() }).is_some();
        let mut ordered: Vec<_> = wanted.into_iter().collect();
        ordered.sort_by_key(|(key, _)| (coupling::rank(key), !named.contains_key(*key)));
        if !ordered.iter().any(|(key, _)| coupling::is_switch(key) && is_planned(key)) {
            ordered.retain(|(key, _)| is_planned(key));
        }
        ordered.iter().try_for_each(|(key, setting)| self.set(&kernel, key, setting)).inspect_err(|_| {
            // What a switch has changed along, and nobody had planned, is not on the way back.
            let others = ordered.iter().filter(|(key, _)| !is_planned(key));
            others.for_each(|(key, setting)| drop(self.set(&kernel, key, setting)));
        })
    }

    /// Writes one parameter if it differs, and reads it back: what the kernel made another value of must not be stored.
    fn set(&self, kernel: &ProcSys, key: &Key, setting: &Setting) -> Result<()> {
        let item = Item::Runtime { key: key.clone() };
        if self.may_vanish(&item) && kernel.look_up(key)?.is_none() {
            return Ok(());
        }
        let before = kernel.read(key)?;
        if before.as_ref() == Some(setting) {
            return Ok(());
        }
        kernel.write(key, setting)?;
        let got = kernel.read(key)?;
        if got.as_ref() == Some(setting) {
            return Ok(());
        }
        // A time that is kept in other units than it is shown in has changed unseen.
        if let Some(before) = before.filter(|before| got.as_ref() == Some(before)) {
            kernel.write(key, &before)?;
        }
        Err(Error::NotTaken {
            item: item.to_string(),
            asked: Some(brief(setting.text()).into()),
            got: got.map(|got| brief(got.text()).into()),
        })
    }

    /// Writes what cannot be read back.
    fn take_effect(&self, plan: &Plan<Self>) -> Result<()> {
        for (item, change) in plan.iter() {
            if let (Item::Effect { key }, Some(Value::Set(setting))) = (item, &change.after) {
                ProcSys::open(&self.root)?.write(key, setting)?;
            }
        }
        Ok(())
    }

    /// Returns what `plan` makes of the content of the file at `path`; nothing if it plans nothing there.
    fn planned_text(&self, path: &Path, plan: &Plan<Self>) -> Result<Option<Vec<u8>>> {
        let edits: BTreeMap<&str, &[Line]> = plan
            .iter()
            .filter_map(|(item, change)| match item {
                Item::Persistent { key, file } if **file == *path => {
                    Some((key.path(), change.after.as_ref().map_or(&[][..], Value::lines)))
                }
                _ => None,
            })
            .collect();
        if edits.is_empty() {
            return Ok(None);
        }
        let content = file::read(path)?.unwrap_or_default();
        Ok(Some(text::edited(&content, &edits)))
    }

    /// Writes the planned lines to the file at `path`, which is read anew so that nothing else in it is lost.
    fn write_file(&self, path: &Path, plan: &Plan<Self>) -> Result<()> {
        let Some(text) = self.planned_text(path, plan)? else {
            return Ok(());
        };
        let done = self.rewritten.borrow_mut().remove(path);
        if let Some(done) = done {
            return done.undo(path, &text);
        }
        let done = Rewritten::write(path, text, self.options.backup)?;
        self.rewritten.borrow_mut().insert(path.to_owned(), done);
        Ok(())
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
            let follows = matches!(item, Item::Runtime { key } if self.scope.get().is_some_and(|scope| scope.followers.contains(key)));
            if !follows && !matches!(item, Item::Effect { .. }) {
                settings
                    .entry(item.key().to_string())
                    .or_insert_with(|| json!({"before": before, "after": after}));
            }
        }
        settings
    }

    /// Brings the lines of one file in `then` to what they should be: the first file has them, any other one none.
    fn target_file(&self, file: &Rc<Path>, holds: bool, scope: &Scope, then: &mut State<Self>) {
        let item = |key: &Key| Item::Persistent { key: key.clone(), file: file.clone() };
        if self.options.exclusive || self.options.is_absent() {
            let kept = |key: &Key| scope.stored.get(key).is_some_and(Option::is_some);
            then.retain(
                |item, _| !matches!(item, Item::Persistent { key, file: of } if of == file && !kept(key)),
            );
        }
        for (key, text) in &scope.stored {
            match text.as_deref().filter(|_| holds) {
                None => {
                    then.remove(&item(key));
                }
                Some(text) => {
                    let value = then.entry(item(key)).or_insert_with(|| Value::Lines(Vec::new()));
                    *value = Value::Lines(text::with_value(key, value.lines(), text));
                }
            }
        }
    }
}

impl Resource for Sysctl {
    type Item = Item;
    type Value = Value;

    /// Runs that write files take turns: one lock for all files, as links may give one file many names.
    fn enter(&self, mode: Mode) -> Result<Option<Lock>> {
        if let Some(namespace) = &self.options.netns {
            namespace.enter(&self.root)?;
        }
        match mode {
            Mode::Apply if self.options.persist => Lock::on(&inside(&self.root, Path::new("/etc"))).map(Some),
            _ => Ok(None),
        }
    }

    fn observe(&self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        if self.options.runtime {
            self.observe_kernel(&mut state)?;
        }
        for file in self.files() {
            self.observe_file(file, &mut state)?;
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let scope = self.scope()?;
        let mut then = now.clone();
        let value = |key: &Key, text: &str| Value::Set(Setting::new(key, text));
        for (key, text) in coupling::followed(&scope.set, now, &scope.followers) {
            then.insert(Item::Runtime { key: key.clone() }, value(key, &text));
        }
        for (key, text) in &scope.set {
            let item = Item::Runtime { key: key.clone() };
            // What a pattern matched may have vanished.
            if scope.names(key) || now.contains_key(&item) {
                then.insert(item, value(key, text));
            }
        }
        for (key, text) in &scope.effects {
            then.insert(Item::Effect { key: key.clone() }, value(key, text));
        }
        for (place, file) in self.files().iter().enumerate() {
            self.target_file(file, place == 0, scope, &mut then);
        }
        Ok(then)
    }

    fn write(&self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        self.write_kernel(now, plan)?;
        // The lines that count come last: what could fail before them needs no new file to be put back.
        for file in self.files().iter().rev() {
            self.write_file(file, plan)?;
        }
        self.take_effect(plan)
    }

    fn may_vanish(&self, item: &Item) -> bool {
        match item {
            Item::Runtime { key } => self.scope.get().is_some_and(|scope| !scope.names(key)),
            Item::Effect { .. } => true,
            Item::Persistent { .. } => false,
        }
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        match item {
            Item::Runtime { key } => ("the running kernel".into(), format!("{key} = {value}")),
            Item::Persistent { file, .. } => (file.display().to_string(), value.to_string()),
            Item::Effect { key } => ("done, and not to be read back".into(), format!("{key} = {value}")),
        }
    }

    fn review(&self, _found: &State<Self>, plan: &Plan<Self>) -> Result<Vec<String>> {
        let scope = self.scope()?;
        let mut warnings = scope.warnings.clone();
        coupling::keeps_routes(&self.root, plan)?;
        warnings.extend(coupling::without_effect(&scope.set, &self.root)?);
        let mut texts = BTreeMap::new();
        for file in self.files() {
            texts.extend(self.planned_text(file, plan)?.map(|text| (file.to_path_buf(), text)));
        }
        if let (Some(file), false) = (self.files().first(), self.options.is_absent()) {
            warnings.extend(boot::contradictions(&self.root, file, &texts, &scope.at_boot()));
        }
        Ok(warnings)
    }

    fn remarks(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let mut remarks = Map::new();
        remarks.insert("settings".into(), self.settings(report).into());
        if let Some(copy) = self.rewritten.borrow().values().filter_map(|done| done.copy.as_ref()).next_back()
        {
            remarks.insert("backup_file".into(), json!(copy));
        }
        remarks
    }
}

/// Returns `path`, which is absolute, below `root`.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

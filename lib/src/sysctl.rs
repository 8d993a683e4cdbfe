//! The sysctl parameter: its value in the running kernel and its line in a file that a boot loads.
//!
//! The kernel is written first, as it alone knows which values it takes: what it refuses is never stored, and a file that
//! cannot be written puts the kernel back.

mod advice;
mod boot;
mod coupling;
mod item;
mod key;
mod options;
mod patterns;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod refusal;
mod rewritten;
mod runtime;
mod scope;
mod stored;
mod text;
mod unknown;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, json};

pub use item::{Item, Value};
pub use key::Key;
pub use text::Line;
pub use value::Setting;

use crate::file::{Lock, Opened};
use crate::resource::{Change, Layer, Mode, Plan, Report, Resource, State};
use crate::root::Root;
use crate::{Error, Result, gathered};
use boot::Boot;
use options::{Options, Wish};
use rewritten::Rewritten;
use runtime::ProcSys;
use scope::Scope;
use stored::Content;

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
    /// What else the next boot reads, where that matters.
    boot: Option<Boot>,
    /// What was set and cannot be taken back.
    spent: Vec<Key>,
    /// What these held when they were last observed.
    contents: BTreeMap<Rc<Path>, Content>,
    /// The files themselves.
    opened: BTreeMap<Rc<Path>, Opened>,
    /// The files in which nothing is planned, so that nothing of them is verified.
    idle: Vec<Rc<Path>>,
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
        let names_for = if options.persist && boot::takes_names(root)? { Some(root) } else { None };
        let scope = Scope::find(&options, kernel.as_ref(), names_for)?;
        let files = match &options.file {
            _ if !options.persist => Vec::new(),
            Some(file) => vec![root.at(file).into()],
            None => boot::default_files(root)?.into_iter().map(Rc::from).collect(),
        };
        let boot = (options.persist && !options.is_absent()).then(|| Boot::find(root, &files));
        Ok(Sysctl {
            options,
            root: root.clone(),
            kernel,
            scope,
            files,
            boot,
            spent: Vec::new(),
            contents: BTreeMap::new(),
            opened: BTreeMap::new(),
            idle: Vec::new(),
            rewritten: BTreeMap::new(),
            lock,
        })
    }
}

impl Sysctl {
    /// Adds what the kernel holds of the parameters in scope.
    fn observe_kernel(&mut self, found: &mut Vec<(Item, Value)>) -> Result<()> {
        let Some(kernel) = &self.kernel else { return Ok(()) };
        let mut read = std::mem::take(&mut self.scope.read).into_iter().peekable();
        for key in self.scope.set.keys().chain(&self.scope.followers) {
            let setting = match read.next_if(|(other, _)| other == key) {
                Some((_, setting)) => Some(setting),
                None => kernel.read(key)?,
            };
            found.extend(setting.map(|setting| (Item::kernel(key.clone()), Value::Set(setting))));
        }
        Ok(())
    }

    /// Writes parameters of one rank to the kernel: as the person ordered them; else switches first, then what the task names,
    /// so that an error is about that, and then what changes along; of what bounds or unsets each other, what makes room first.
    fn write_kernel(&mut self, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let now_of = |key: &Key| now.get(&Item::kernel(key.clone())).and_then(Value::setting);
        let mut planned: Vec<_> = plan.iter().filter_map(planned_setting).collect();
        planned.sort_by_cached_key(|(key, setting, is_act)| {
            let given = self.scope.place(key, &self.options.order);
            let follows = !self.scope.set.contains_key(*key);
            let late = coupling::comes_late(key, now_of(key), setting);
            (!is_act, given, !coupling::is_switch(key), late, follows)
        });
        let has_switch = planned.iter().any(|(key, ..)| coupling::is_switch(key));
        let written = planned.into_iter().try_for_each(|(key, setting, _)| {
            match has_switch {
                true => self.set(key, setting),
                false => self.put(key, now_of(key), setting),
            }?;
            let is_spent = coupling::loss(key, setting.text()).is_some();
            self.spent.extend(is_spent.then(|| key.clone()));
            Ok(())
        });
        if !has_switch {
            return written;
        }
        // What a switch has changed along is put back where that is not planned, and on no way back by itself.
        let kept = now.iter().filter(|(item, _)| item.is_live() && plan.get(item).is_none());
        let mut kept = kept.filter_map(|(item, value)| Some((&item.key, value.setting()?)));
        match written {
            Ok(()) => kept.try_for_each(|(key, setting)| self.set(key, setting)),
            Err(error) => {
                kept.for_each(|(key, setting)| drop(self.set(key, setting)));
                Err(error)
            }
        }
    }

    /// Writes one parameter if it differs by now.
    fn set(&self, key: &Key, setting: &Setting) -> Result<()> {
        let before = self.kernel.as_ref().map_or(Ok(None), |kernel| kernel.read(key))?;
        if before.as_ref() == Some(setting) { Ok(()) } else { self.put(key, before.as_ref(), setting) }
    }

    /// Writes one parameter in place of what it was `before`.
    fn put(&self, key: &Key, before: Option<&Setting>, setting: &Setting) -> Result<()> {
        let Some(kernel) = &self.kernel else { return Ok(()) };
        if self.may_vanish(&Item::kernel(key.clone())) && kernel.look_up(key)?.is_none() {
            return Ok(());
        }
        kernel.write(key, setting)?;
        // A time that is kept finer than it is shown has changed unseen: nobody else could put it back.
        match before.filter(|_| coupling::is_rounded(key)) {
            Some(before) if kernel.read(key)?.as_ref() == Some(before) => kernel.write(key, before),
            _ => Ok(()),
        }
    }

    /// Writes the planned lines to a file, as it was observed last.
    fn write_file(&mut self, path: &Rc<Path>, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let Some(text) = self.planned_text(path, now, plan)? else { return Ok(()) };
        match self.rewritten.remove(path) {
            Some(done) => done.undo(path, &text),
            None => {
                let before = self.contents.remove(path).unwrap_or_default().bytes;
                let opened = self.opened.entry(path.clone()).or_default();
                let done = Rewritten::write(path, opened, before, text, self.options.backup)?;
                self.rewritten.insert(path.clone(), done);
                Ok(())
            }
        }
    }

    /// Adds what the kernel is to hold of the parameters that the task sets.
    fn want(&self, now: &State<Self>, then: &mut State<Self>) -> Result<()> {
        for (key, text) in &self.scope.set {
            let item = Item::kernel(key.clone());
            // What a pattern matched may have vanished.
            let there = now.get(&item).and_then(Value::setting);
            if self.options.at_least && there.map_or(Ok(false), |it| advice::is_greater(key, it, text))? {
                continue;
            }
            if there.map_or_else(|| self.scope.names(key), |there| !there.is(key, text)) {
                then.insert(item, Value::Set(Setting::new(key, text)));
            }
        }
        Ok(())
    }

    /// Returns the present and the planned value of each parameter that the task names, in the kernel if that is managed.
    fn settings(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let unchanged = |(item, value)| (item, (Some(value), Some(value)));
        let planned =
            report.plan.iter().map(|(item, change)| (item, (change.before.as_ref(), change.after.as_ref())));
        let mut entries: BTreeMap<&Item, _> = gathered(report.found.iter().map(unchanged));
        entries.extend(planned);
        let mut settings = BTreeMap::new();
        for (item, (before, after)) in entries {
            let follows = item.is_live() && self.scope.followers.contains(&item.key);
            if !follows && !matches!(after, Some(Value::Act(_))) {
                settings.entry(&item.key).or_insert((before, after));
            }
        }
        let shown =
            |(key, (before, after)): (&Key, _)| (key.to_string(), json!({"before": before, "after": after}));
        gathered(settings.into_iter().map(shown))
    }
}

impl Resource for Sysctl {
    type Key = Key;
    type Value = Value;

    fn observe(&mut self) -> Result<State<Self>> {
        let mut found = Vec::new();
        self.observe_kernel(&mut found)?;
        for file in &self.files {
            let known = self.contents.remove(file).filter(|_| self.idle.contains(file));
            let content = match known {
                Some(content) => content,
                None => {
                    let opened = self.opened.entry(file.clone()).or_default();
                    Content::new(opened.read(file)?.unwrap_or_default())
                }
            };
            found.extend(self.observed(file, &content.found));
            self.contents.insert(file.clone(), content);
        }
        Ok(found.into_iter().collect())
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let scope = &self.scope;
        let mut then = now.clone();
        if self.options.wish == Wish::Read {
            return Ok(then);
        }
        let texts = self.wanted_texts(now);
        let followed = coupling::followed(&scope.set, now, &scope.followers);
        // Not a second name of a switch, as that is the switch.
        let singles =
            followed.iter().map(|(key, _)| *key).filter(|key| !coupling::changes_others(key.path()));
        let kept = self.kept(gathered(singles), &texts, now);
        for (key, text) in followed.iter().filter(|(key, _)| !kept.contains(key)) {
            then.insert(Item::kernel((*key).clone()), Value::Set(Setting::new(key, text)));
        }
        self.want(now, &mut then)?;
        for (key, text) in &scope.effects {
            then.insert(Item::kernel(key.clone()), Value::Act(Setting::new(key, text)));
        }
        for (file, text) in self.files.iter().zip(&texts) {
            if let Some(text) = text {
                then.retain(|item, _| !item.is_in(file));
                then.extend(self.observed(file, &text::assignments(text)));
            }
        }
        Ok(then)
    }

    fn write(&mut self, layer: &Layer, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        match layer {
            Layer::File(path) => self.write_file(path, now, plan),
            Layer::Kernel => self.write_kernel(now, plan),
        }
    }

    fn rank(&self, item: &Item, change: &Change<Value>) -> u8 {
        let text = match &change.after {
            // What an act does cannot be taken back.
            Some(Value::Act(_)) => return coupling::LAST,
            _ if !item.is_live() => return coupling::FILES,
            Some(Value::Set(setting)) => setting.text(),
            _ => "",
        };
        let rank = |key: &Key, text: &str| coupling::rank(key, text, !self.options.order.is_empty());
        let own = rank(&item.key, text);
        if !self.scope.followers.contains(&item.key) {
            return own;
        }
        // What changes along does so with the last of its switches.
        let set = |path: String| self.scope.set.get_key_value(path.as_str());
        let switches = coupling::changers(item.key.path()).into_iter().filter_map(set);
        switches.map(|(key, text)| rank(key, text)).max().unwrap_or(own)
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }

    fn may_vanish(&self, item: &Item) -> bool {
        item.is_live() && !self.scope.names(&item.key)
    }

    fn is_named(&self, item: &Item) -> bool {
        item.is_live() && self.scope.names(&item.key) && self.options.wish == Wish::Present
    }

    fn lost(&self) -> Option<String> {
        let loss = |key: &Key| Some(format!("with {key}: {}", coupling::loss(key, "1")?));
        let lost: Vec<String> = self.spent.iter().filter_map(loss).collect();
        (!lost.is_empty()).then(|| lost.join(", and "))
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        match (&item.layer, value) {
            (Layer::File(file), _) => (file.display().to_string(), value.to_string()),
            (_, Value::Act(_)) => ("done, and not to be read back".into(), format!("{} = {value}", item.key)),
            _ => ("the running kernel".into(), format!("{} = {value}", item.key)),
        }
    }

    fn review(&mut self, found: &State<Self>, plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        let mut warnings = self.scope.warnings.clone();
        if let (Some(kernel), true) = (&self.kernel, self.options.wish == Wish::Present) {
            advice::is_writable(kernel, plan)?;
            advice::keeps_routes(&self.root, kernel, plan)?;
            warnings.extend(advice::without_effect(&self.scope.set, kernel)?);
        }
        warnings.extend(self.boot_warnings(found, plan)?);
        let is_idle = |file: &&Rc<Path>| !plan.items().any(|item| item.is_in(file));
        self.idle = self.files.iter().filter(is_idle).cloned().collect();
        Ok(warnings)
    }

    fn remarks(&self, report: &Report<Self>) -> Map<String, serde_json::Value> {
        let mut remarks = Map::new();
        remarks.insert("settings".into(), self.settings(report).into());
        if self.options.wish == Wish::Read {
            remarks.insert("unreadable".into(), json!(self.scope.unreadable));
        }
        if let Some(copy) = self.rewritten.values().filter_map(|done| done.copy.as_ref()).next_back() {
            remarks.insert("backup_file".into(), json!(copy));
        }
        remarks
    }
}

/// Returns a parameter and what a plan sets it to, and whether that is an act.
fn planned_setting<'a>(
    (item, change): (&'a Item, &'a Change<Value>),
) -> Option<(&'a Key, &'a Setting, bool)> {
    let value = change.after.as_ref()?;
    Some((&item.key, value.setting()?, matches!(value, Value::Act(_))))
}

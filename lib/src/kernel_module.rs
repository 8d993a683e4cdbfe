//! Modules of the kernel and their parameters: loaded now, and at the next boot by modules-load.d(5) and modprobe.d(5).
//!
//! One that is built in counts as loaded. The files are of our own, two for each module, so nothing of others is edited.

mod boot;
mod item;
mod loader;
mod options;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;

pub use item::{Item, Key, Value};
pub(crate) use loader::{is_available, load};
pub use options::Task;

use crate::file::Lock;
use crate::resource::{Change, Layer, Mode, Plan, Resource, State};
use crate::root::Root;
use crate::{Error, Result};
use boot::Files;
use options::Options;

/// The modules of a task, on one host.
#[derive(Debug)]
pub struct KernelModule {
    options: Options,
    root: Root,
    /// What was loaded by this run, with what that depends on, the newest first.
    came: Vec<String>,
    files: Files,
    /// Two runs take turns.
    lock: Option<Lock>,
}

/// What may fail comes before what cannot be taken back in full.
mod rank {
    pub(super) const PRESENT: u8 = 0;
    pub(super) const UNLOADED: u8 = 1;
}

impl KernelModule {
    fn parameter(&self, module: &str, parameter: &str) -> PathBuf {
        self.root.at("/sys/module").join(module).join("parameters").join(parameter)
    }

    fn is_built_in(&self, module: &str) -> bool {
        loader::is_built_in(&self.root, module)
    }

    fn observe_kernel(&self, module: &Rc<str>, state: &mut State<Self>) -> Result<()> {
        if !self.is_built_in(module) && !self.root.at("/sys/module").join(&**module).exists() {
            return Ok(());
        }
        state.insert(Item::kernel(Key::of(module)), Value::Loaded);
        for parameter in self.options.parameters.keys() {
            let path = self.parameter(module, parameter);
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let key = Key::parameter(module, parameter);
                    state.insert(Item::kernel(key), Value::Set(text.trim_end_matches('\n').into()));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::path("read", &path)(error)),
            }
        }
        Ok(())
    }

    /// Returns an error if the kernel cannot do what is planned for a module, as far as that can be known.
    fn permits(&self, module: &str, found: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        let key = Key::of(&module.into());
        match plan.get(&Item::kernel(key.clone())) {
            Some(Change { after: Some(_), .. }) => self.can_load(module),
            Some(_) if self.is_built_in(module) => {
                Err(refuse("remove", module, "it is built into the kernel; leave it"))
            }
            None if found.contains_key(&Item::kernel(key)) => self.can_set(module, plan),
            _ => Ok(()),
        }
    }

    fn can_load(&self, module: &str) -> Result<()> {
        match loader::is_available(&self.root, module) {
            Some(true) => Ok(()),
            Some(false) => Err(refuse(
                "load",
                module,
                "the kernel that runs has no module of that name; give one that it has",
            )),
            None => Err(refuse(
                "load",
                module,
                "there are no modules of the kernel that runs below /lib/modules, as in a container or after an update of it; load it on the host that the container is on, or boot",
            )),
        }
    }

    /// Returns an error if a parameter cannot be set while the module is loaded.
    fn can_set(&self, module: &str, plan: &Plan<Self>) -> Result<()> {
        for (item, change) in plan.iter().filter(|(item, _)| item.is_live() && &*item.key.module == module) {
            let Some(parameter) = &item.key.parameter else { continue };
            let path = self.parameter(module, parameter);
            let why = match path.metadata() {
                Err(_) => "the module, which is loaded, shows none of that name; look at `modinfo -p`",
                Ok(metadata) if metadata.permissions().readonly() => {
                    "it can be set only while the module is loaded, and that is; remove the module first with state: absent"
                }
                Ok(_) => continue,
            };
            let wanted = change.after.as_ref().map_or_else(String::new, Value::to_string);
            return Err(Error::invalid(format!("cannot set {} to {wanted}: {why}", item.key)));
        }
        Ok(())
    }

    fn write_kernel(&mut self, plan: &Plan<Self>) -> Result<()> {
        let loads =
            |module: &Rc<str>| plan.get(&Item::kernel(Key::of(module))).map(|change| change.after.is_some());
        for (item, change) in plan.iter() {
            let module = &item.key.module;
            match (&item.key.parameter, loads(module), &change.after) {
                (None, Some(true), _) => self.load(module, plan)?,
                (None, Some(false), _) => self.unload(module)?,
                (Some(parameter), None, Some(value)) => {
                    let path = self.parameter(module, parameter);
                    fs::write(&path, value.to_string()).map_err(Error::path("write", &path))?;
                }
                // It comes and goes with the module.
                _ => {}
            }
        }
        Ok(())
    }

    fn load(&mut self, module: &Rc<str>, plan: &Plan<Self>) -> Result<()> {
        let of_it = plan.iter().filter(|(item, _)| item.key.module == *module);
        let parameters = of_it.filter_map(|(item, change)| {
            Some(format!("{}={}", item.key.parameter.as_ref()?, change.after.as_ref()?))
        });
        let before = loader::loaded(&self.root);
        let outcome = loader::load(&self.root, module, &parameters.collect::<Vec<_>>());
        let come = loader::loaded(&self.root).into_iter().filter(|name| !before.contains(name));
        self.came = come.chain(self.came.drain(..)).collect();
        outcome.map_err(|words| {
            let why = format!("{words}; if this is a container, load it on the host that it is on; the kernel's log may say more");
            refuse("load", module, &why)
        })
    }

    /// Removes a module, and where that is the way back, what came along with it.
    fn unload(&mut self, module: &str) -> Result<()> {
        unload(module)?;
        // What something else uses by now stays.
        self.came.drain(..).for_each(|name| drop(loader::unload(&name)));
        Ok(())
    }
}

impl Resource for KernelModule {
    type Key = Key;
    type Value = Value;

    fn observe(&mut self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        for module in &self.options.modules {
            self.observe_kernel(module, &mut state)?;
            if self.options.persist {
                self.files.observe(module, &mut state)?;
            }
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        if !self.options.present {
            return Ok(State::<Self>::new());
        }
        let mut then = now.clone();
        for module in &self.options.modules {
            let [list, options] = self.files.of(module);
            let is_kept = self.options.persist && !self.is_built_in(module);
            then.insert(Item::kernel(Key::of(module)), Value::Loaded);
            if is_kept {
                then.insert(Item::stored(Key::of(module), &list), Value::Loaded);
            }
            for (parameter, value) in &self.options.parameters {
                let key = Key::parameter(module, parameter);
                if is_kept {
                    then.insert(Item::stored(key.clone(), &options), Value::Set(value.clone()));
                }
                then.insert(Item::kernel(key), Value::Set(value.clone()));
            }
        }
        Ok(then)
    }

    fn write(&mut self, layer: &Layer, now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        match layer {
            Layer::Kernel => self.write_kernel(plan),
            Layer::File(path) => self.files.write(path, now, plan),
        }
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        let place = match &item.layer {
            Layer::Kernel => "the modules of the kernel".into(),
            Layer::File(path) => path.display().to_string(),
        };
        (place, boot::line(&item.key, value))
    }

    fn review(&mut self, found: &State<Self>, plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        for module in &self.options.modules {
            self.permits(module, found, plan)?;
        }
        Ok(if self.options.present { Vec::new() } else { self.files.others(&self.options.modules) })
    }

    fn rank(&self, item: &Item, change: &Change<Value>) -> u8 {
        if item.is_live() && change.after.is_none() { rank::UNLOADED } else { rank::PRESENT }
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }

    /// What is right already must still be so.
    fn is_named(&self, item: &Item) -> bool {
        item.is_live()
    }
}

fn refuse(act: &str, module: &str, why: &str) -> Error {
    Error::invalid(format!("cannot {act} the module {module}: {why}"))
}

fn unload(module: &str) -> Result<()> {
    match loader::unload(module) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ResourceBusy) => {
            Err(refuse("remove", module, "it is in use, as `lsmod` shows; end what uses it first"))
        }
        Err(error) => Err(Error::io("remove", format!("the module {module}"))(error)),
    }
}

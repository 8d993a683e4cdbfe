//! What the names in a task mean on this host.

use std::collections::{BTreeMap, BTreeSet};

use super::options::{Options, Wish};
use super::runtime::{Access, ProcSys};
use super::{Key, Setting, coupling, unknown};
use crate::root::Root;
use crate::{Error, Result, gathered};

/// The parameters that a task is about.
#[derive(Debug)]
pub(super) struct Scope {
    /// What files should say: names and patterns, and their values; none for what they should not say.
    pub(super) stored: BTreeMap<Key, Option<String>>,
    /// Names that are stored in place of a pattern.
    pub(super) expanded: BTreeSet<Key>,
    /// What the kernel should hold.
    pub(super) set: BTreeMap<Key, String>,
    /// What was read of that when it was looked up, in the same order, for the first observation.
    pub(super) read: Vec<(Key, Setting)>,
    /// What is written last and cannot be read.
    pub(super) effects: BTreeMap<Key, String>,
    /// What the kernel changes along with the above.
    pub(super) followers: BTreeSet<Key>,
    /// What was passed over.
    pub(super) warnings: Vec<String>,
    /// What was to be read and cannot be.
    pub(super) unreadable: BTreeSet<Key>,
    /// Names that this kernel does not have.
    missing: BTreeSet<Key>,
    /// Keys that only a pattern names, each with that.
    matched: BTreeMap<Key, Key>,
}

impl Scope {
    /// Returns the scope of a task on a host; where the kernel is not managed it is not asked, and a name means what it says.
    /// The host `names_for` is given if its boot does not know patterns: it gets the names that they match.
    pub(super) fn find(
        options: &Options,
        kernel: Option<&ProcSys>,
        names_for: Option<&Root>,
    ) -> Result<Self> {
        let mut scope = Self {
            stored: options.wanted.clone(),
            expanded: BTreeSet::new(),
            set: BTreeMap::new(),
            read: Vec::new(),
            effects: BTreeMap::new(),
            followers: BTreeSet::new(),
            warnings: Vec::new(),
            unreadable: BTreeSet::new(),
            missing: BTreeSet::new(),
            matched: BTreeMap::new(),
        };
        if let (Some(kernel), Wish::Read) = (kernel, options.wish) {
            options.wanted.keys().try_for_each(|name| scope.read(name, options.lenient, kernel))?;
            return Ok(scope);
        }
        if let Some(kernel) = kernel {
            scope.look_up(options, kernel)?;
            scope.find_followers(kernel)?;
        }
        if let Some(root) = names_for {
            scope.store_names(root)?;
        }
        coupling::contradiction(&scope.at_boot())?;
        scope.store_no_zeros();
        Ok(scope)
    }

    /// Finds what changes along with what is set, where that is not what it should be yet.
    fn find_followers(&mut self, kernel: &ProcSys) -> Result<()> {
        for (key, text) in self.set.iter().filter(|(key, _)| coupling::is_switch(key)) {
            if kernel.read(key)?.as_ref() == Some(&Setting::new(key, text)) {
                continue;
            }
            for pattern in coupling::followed_by(key.path()) {
                self.followers.extend(kernel.matching(&Key::at(pattern))?);
            }
        }
        self.followers.retain(|key| !self.set.contains_key(key));
        Ok(())
    }

    /// Returns whether the task names `key` itself.
    pub(super) fn names(&self, key: &Key) -> bool {
        self.set.contains_key(key) && !self.matched.contains_key(key)
    }

    /// Returns the place of `key` in an order that a person gave, where it or its pattern has one; what changes along comes last.
    pub(super) fn place(&self, key: &Key, order: &BTreeMap<Key, usize>) -> usize {
        let named = self.matched.get(key).unwrap_or(key);
        order.get(named).copied().unwrap_or(usize::MAX)
    }

    /// Returns the parameters, each by its own name, that a boot should set; those in the kernel, and those that are
    /// only stored.
    pub(super) fn at_boot(&self) -> BTreeMap<&Key, &str> {
        let only_stored = |(key, _): &(&Key, _)| self.set.is_empty() || self.missing.contains(*key);
        let stored = self.stored.iter().filter(only_stored).filter(|(key, _)| !key.is_pattern());
        let stored = stored.filter_map(|(key, text)| Some((key, text.as_deref()?)));
        let any_goes = self.stored.values().any(Option::is_none);
        let set = self.set.iter().filter(|(key, _)| !any_goes || self.stored.get(*key) != Some(&None));
        gathered(set.map(|(key, text)| (key, text.as_str())).chain(stored))
    }

    /// Stores no 0 beside the twin that brings it about: the kernel may refuse it, and then BusyBox's sysctl reads no further.
    fn store_no_zeros(&mut self) {
        let number = |key: &Key, text: Option<&Option<String>>| {
            text?.as_deref().and_then(|text| Setting::new(key, text).number())
        };
        let is_set = |key: Key| number(&key, self.stored.get(&key)).is_some_and(|number| number != 0);
        let is_zero = |(key, text): &(&Key, &Option<String>)| {
            let twin = coupling::unset_with(key.path()).filter(|_| number(key, Some(text)) == Some(0));
            twin.is_some_and(|twin| is_set(Key::at(twin)))
        };
        let zeros: Vec<Key> = self.stored.iter().filter(is_zero).map(|(key, _)| key.clone()).collect();
        zeros.into_iter().for_each(|key| drop(self.stored.insert(key, None)));
    }

    /// Stores the names that each pattern matches in its place; a name beats a pattern.
    fn store_names(&mut self, root: &Root) -> Result<()> {
        let patterns: Vec<Key> = self.stored.keys().filter(|key| key.is_pattern()).cloned().collect();
        for pattern in patterns {
            let Ok(kernel) = ProcSys::open(root) else {
                self.warnings.push(unread_pattern(&pattern));
                continue;
            };
            // What an earlier version stored goes: no boot reads it.
            let text = self.stored.insert(pattern.clone(), None).flatten();
            for key in kernel.matching(&pattern)? {
                if !self.stored.contains_key(&key) && kernel.look_up(&key)? == Some(Access::Readable) {
                    self.stored.insert(key.clone(), text.clone());
                    self.expanded.insert(key);
                }
            }
        }
        Ok(())
    }

    /// Finds each wanted name in the kernel. A name beats a pattern that matches it.
    fn look_up(&mut self, options: &Options, kernel: &ProcSys) -> Result<()> {
        for (name, text) in &options.wanted {
            if let (Some(text), false) = (text, name.is_pattern()) {
                self.look_up_name(name, text, options.lenient, kernel)?;
            }
        }
        for (pattern, text) in &options.wanted {
            if let (Some(text), true) = (text, pattern.is_pattern()) {
                self.look_up_pattern(pattern, text, options.lenient, kernel)?;
            }
        }
        Ok(())
    }

    /// Finds what can be read by a name or pattern; a secret is only read by its name.
    fn read(&mut self, name: &Key, lenient: bool, kernel: &ProcSys) -> Result<()> {
        let found = if name.is_pattern() {
            let found = kernel.matching(name)?;
            found.into_iter().filter(|key| !key.is_secret()).collect()
        } else if kernel.look_up(name)?.is_some() {
            vec![name.clone()]
        } else {
            kernel.find(name)?.into_iter().collect()
        };
        if found.is_empty() {
            return self.pass_over(name, lenient, kernel);
        }
        for key in found {
            let is_readable = kernel.look_up(&key)? == Some(Access::Readable) && kernel.read(&key).is_ok();
            if is_readable {
                self.set.insert(key, String::new());
            } else {
                self.unreadable.insert(key);
            }
        }
        Ok(())
    }

    fn look_up_name(&mut self, name: &Key, text: &str, lenient: bool, kernel: &ProcSys) -> Result<()> {
        match kernel.look_at(name)? {
            Some((Access::Readable, read)) => {
                self.set.insert(name.clone(), text.to_owned());
                self.read.extend(read.map(|setting| (name.clone(), setting)));
            }
            Some((Access::WriteOnly, _)) => {
                self.stored.remove(name);
                self.effects.insert(name.clone(), text.to_owned());
            }
            None => match kernel.find(name)? {
                None => return self.pass_over(name, lenient, kernel),
                Some(key) => {
                    // The files get the name that means the same to a boot.
                    self.stored.remove(name);
                    if self.stored.insert(key.clone(), Some(text.to_owned())).is_some() {
                        return Err(Error::invalid(format!(
                            "cannot set {key}: settings has it twice, as {name} too; give it once"
                        )));
                    }
                    self.set.insert(key, text.to_owned());
                }
            },
        }
        Ok(())
    }

    fn look_up_pattern(&mut self, pattern: &Key, text: &str, lenient: bool, kernel: &ProcSys) -> Result<()> {
        let found = kernel.matching(pattern)?;
        if found.is_empty() {
            return self.pass_over(pattern, lenient, kernel);
        }
        for key in found {
            match self.set.get(&key) {
                Some(_) if !self.matched.contains_key(&key) => {}
                Some(other) if other != text => {
                    return Err(Error::invalid(format!(
                        "cannot set {key}: two patterns match it, for {other} and for {text}; name it too, with its value"
                    )));
                }
                _ if kernel.look_up(&key)? != Some(Access::Readable) => {}
                _ => {
                    self.matched.insert(key.clone(), pattern.clone());
                    self.set.insert(key, text.to_owned());
                }
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, name: &Key, lenient: bool, kernel: &ProcSys) -> Result<()> {
        let error = unknown::error(name, kernel);
        if !lenient {
            return Err(error);
        }
        self.missing.insert(name.clone());
        self.warnings.push(format!(
            "{}; it is passed over and not in force, as ignoreerrors is set",
            error.sentence()
        ));
        Ok(())
    }
}

fn unread_pattern(pattern: &Key) -> String {
    format!("no boot sets {pattern}: BusyBox's sysctl does not know patterns; name each parameter in full")
}

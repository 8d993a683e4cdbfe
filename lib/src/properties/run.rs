//! Whole runs of a task.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::host::{Host, header};
use super::is_a_sentence;
use crate::{Mode, Report, Result, Task, engine};

/// The options of a task.
pub(crate) type Arguments = Map<String, Value>;

/// What runs are made on.
pub(crate) struct Run<'a> {
    pub(crate) host: &'a Host,
    /// Returns what a run may change besides files.
    pub(crate) kernel: &'a dyn Fn() -> String,
}

impl Run<'_> {
    /// Runs a task once, opened anew, as each run is a process of its own.
    fn once<T: Task>(&self, task: T, mode: Mode) -> Result<Report<T::Resource>> {
        let mut resource = task.open(mode, self.host.root())?;
        match mode {
            Mode::Check => engine::check(&mut resource),
            Mode::Apply => engine::apply(&mut resource),
        }
    }

    /// Returns all that a run may change, as others see it.
    fn look(&self) -> String {
        self.host.look() + &(self.kernel)()
    }

    /// Returns the same without whether a file was written.
    pub(crate) fn contents(&self) -> (BTreeMap<PathBuf, String>, String) {
        (self.host.contents(), (self.kernel)())
    }

    /// Runs a task by the laws of every resource: check changes nothing and says what apply does; changed is what happened; again
    /// changes nothing; a failure leaves the host as it was. Returns what was done, nothing if the task is refused.
    pub(crate) fn by_the_laws<T: Task + Clone>(&self, arguments: &Arguments) -> Option<Report<T::Resource>> {
        let task: T = serde_json::from_value(arguments.clone().into()).ok()?;
        let (before, contents) = (self.look(), self.contents());
        let checked = self.once(task.clone(), Mode::Check);
        assert_eq!(self.look(), before, "check changed the host");
        let applied = self.once(task.clone(), Mode::Apply);
        let after = self.look();
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => {
                is_a_sentence(&error);
                assert!(error.left_changes() || self.contents() == contents, "{error}: \n{before}\n{after}");
                return None;
            }
        };
        match checked {
            Ok(checked) => assert_eq!(applied.plan, checked.plan, "apply did what check had not said"),
            Err(error) => panic!("check refused what apply did: {error}"),
        }
        let is_same = before == after;
        assert_eq!(is_same, applied.plan.is_empty(), "changed is not what happened:\n{before}\n{after}");
        match self.once(task, Mode::Apply) {
            Ok(again) => assert!(again.plan.is_empty(), "a second run changes something: {:?}", again.plan),
            Err(error) => panic!("a second run fails: {error}"),
        }
        assert_eq!(self.look(), after, "a second run changed the host");
        Some(applied)
    }
}

/// Returns the same task with `state: absent`.
pub(crate) fn absent(arguments: &Arguments) -> Arguments {
    let mut absent = arguments.clone();
    absent.retain(|option, _| !["value", "val", "purge"].contains(&option.as_str()));
    absent.insert("state".into(), "absent".into());
    for alias in absent.get_mut("aliases").and_then(Value::as_array_mut).into_iter().flatten() {
        alias["state"] = "absent".into();
    }
    absent
}

/// Returns a task's arguments, which stand before the files of the host, and these; nothing if they lead out of the host's directory.
pub(crate) fn arguments_and_files(data: &[u8]) -> Option<(Arguments, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    let end = text.split_inclusive('\n').take_while(|line| header(line).is_none()).map(str::len).sum();
    let (arguments, files) = text.split_at(end);
    let arguments = arguments_in(arguments);
    let leads_out = arguments.values().filter_map(Value::as_str).any(|text| text.contains(".."));
    (!leads_out && !arguments.contains_key("netns")).then_some((arguments, files))
}

/// Returns the arguments in lines `OPTION=VALUE`, as a change of one leaves the others. A value is JSON or text. Behind a line
/// `aliases` are the options of one more entry, and behind `settings` parameters.
pub(crate) fn arguments_in(text: &str) -> Arguments {
    let mut task = Arguments::new();
    let (mut aliases, mut settings) = (Vec::new(), None);
    let mut list = "";
    for line in text.lines() {
        match (line, line.split_once('=')) {
            ("aliases", _) => aliases.push(Arguments::new()),
            (_, Some((option, value))) => {
                let place = match list {
                    "aliases" => aliases.last_mut().unwrap_or(&mut task),
                    "settings" => settings.get_or_insert_default(),
                    _ => &mut task,
                };
                place.insert(option.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
            }
            _ => {}
        }
        list = if let "aliases" | "settings" = line { line } else { list };
    }
    task.extend(settings.map(|settings: Arguments| ("settings".into(), settings.into())));
    task.extend((!aliases.is_empty()).then(|| ("aliases".into(), aliases.into())));
    task
}

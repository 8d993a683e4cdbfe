//! Ansible's module protocol: arguments in, answer out.
//!
//! Ansible names a file of JSON as the first argument. By hand, and from the collection's action plugin, that argument is
//! the JSON itself, or the JSON comes on standard input. The answer is one JSON object on standard output and nothing else.

mod by_hand;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod scalar;
mod visible;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

pub(crate) use scalar::truth_of;
pub use scalar::{Flag, Number, Presence, Text};

use crate::engine::{self, has_begun_to_write};
use crate::resource::{Item, Layer, Mode, Plan, Report, Resource, Task};
use crate::root::Root;
use crate::{Error, Result, gathered};

/// Whether the task has `no_log`, which a panic must heed as well.
static NO_LOG: AtomicBool = AtomicBool::new(false);

/// Runs the module `name` on the arguments of this process, which `schema` describes; returns the exit status, 0 for success and 1
/// for failure.
pub fn run<T: Task>(name: &str, schema: &str) -> ExitCode {
    answer_on_panic(name);
    let mut arguments = std::env::args_os().skip(1).peekable();
    if let Some(told) = arguments.peek().and_then(|question| by_hand::told(question, name, schema)) {
        return say(told);
    }
    // The log of a boot is no place for all that was found and done.
    let is_brief = arguments.next_if(|argument| argument == "--brief").is_some();
    let argument = arguments.next();
    let mut answer = match input(argument.as_deref()).and_then(|text| perform::<T>(&text)) {
        Ok(answer) => answer,
        Err(error) => failure(&error),
    };
    if let (true, Value::Object(answer)) = (is_brief, &mut answer) {
        answer.retain(|key, _| ["changed", "failed", "msg", "warnings"].contains(&key.as_str()));
    }
    respond(answer)
}

/// The most that arguments may have, in bytes: some fifty thousand settings.
pub(crate) const MOST: u64 = 4 << 20;

/// Returns the JSON that the module was given.
fn input(argument: Option<&OsStr>) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(8 << 10);
    match argument {
        // Standard input costs a round trip more over SSH: a server takes nothing for it before it has started the command.
        Some(json) if json.as_bytes().starts_with(b"{") => text = json.as_bytes().into(),
        Some(path) if path != "-" => {
            let failed = || Error::path("read the arguments in", Path::new(path));
            let file = File::open(path).map_err(failed())?;
            file.take(MOST + 1).read_to_end(&mut text).map_err(failed())?;
        }
        _ if io::stdin().is_terminal() => {}
        _ => {
            io::stdin()
                .take(MOST + 1)
                .read_to_end(&mut text)
                .map_err(Error::io("read the arguments on", "standard input"))?;
        }
    }
    if text.len() as u64 > MOST {
        return Err(Error::invalid(format!(
            "cannot read the arguments: they have more than {} MiB; use several tasks",
            MOST >> 20
        )));
    }
    if text.trim_ascii().is_empty() {
        return Err(Error::invalid(
            "cannot read the arguments: there are none; give a JSON object, or the name of a file that holds one, as the argument, or the object on standard input",
        ));
    }
    Ok(text)
}

/// Carries out a task given as JSON; returns the answer.
fn perform<T: Task>(text: &[u8]) -> Result<Value> {
    let (task, wishes) = parse::<T>(text)?;
    let mut resource = task.open(wishes.mode, &Root::default())?;
    let report = match wishes.mode {
        Mode::Check => engine::check(&mut resource)?,
        Mode::Apply => engine::apply(&mut resource)?,
    };
    let answer = success(&resource, &report, &wishes);
    // The process ends soon: to give back the memory of thousands of entries one by one would only take time.
    std::mem::forget(report);
    Ok(answer)
}

/// What Ansible asks of every module.
struct Wishes {
    mode: Mode,
    diff: bool,
}

/// Returns the task that the arguments describe, and how to treat it.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<(T, Wishes)> {
    let options = object(text)?;
    NO_LOG.store(wish(&options, "_ansible_no_log")?, Ordering::Relaxed);
    let mode = if wish(&options, "_ansible_check_mode")? { Mode::Check } else { Mode::Apply };
    let wishes = Wishes { mode, diff: wish(&options, "_ansible_diff")? };
    described(options).map(|task| (task, wishes))
}

/// Returns the task that a text describes that is no argument, as one that a boot carries out.
pub(crate) fn task<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    object(text).and_then(described)
}

fn object(text: &[u8]) -> Result<Map<String, Value>> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Error::invalid(format!("cannot read the arguments: they are no JSON: {error}")))?;
    match value {
        Value::Object(options) => Ok(options),
        _ => Err(Error::invalid(
            "cannot read the arguments: they must be one JSON object, like {\"name\": \"…\"}",
        )),
    }
}

fn described<T: DeserializeOwned>(mut options: Map<String, Value>) -> Result<T> {
    // An option that is null was not given; Ansible passes `omit` and defaults so.
    options.retain(|name, value| !name.starts_with("_ansible_") && !value.is_null());
    serde_path_to_error::deserialize(Value::Object(options))
        .map_err(|error| Error::invalid(complaint(&error)))
}

/// Returns what Ansible asks by the key `name`. A word is refused: what was meant as check mode must not apply.
fn wish(options: &Map<String, Value>, name: &str) -> Result<bool> {
    match options.get(name) {
        None => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(other) => Err(Error::invalid(format!(
            "cannot use {name}: {other} is not true or false; give one of these, without quotes"
        ))),
    }
}

/// Returns one sentence about an argument that does not fit; serde's word for an option is "field".
fn complaint(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let reason = error.inner().to_string().replace('`', "");
    if let Some(reason) = reason.strip_prefix("unknown field ") {
        return format!("cannot use option {}", reason.replacen(", ", ": there is no such option, ", 1));
    }
    if let Some(name) = reason.strip_prefix("missing field ") {
        return format!("cannot do without option {name}: give it");
    }
    if let Some(name) = reason.strip_prefix("duplicate field ") {
        return format!(
            "cannot use option {name}: it is there twice, under another name of it too; give it once"
        );
    }
    let reason = reason.replacen("unknown variant ", "there is no ", 1);
    match error.path().to_string().as_str() {
        // The resource refused the options as a whole, in a sentence of its own.
        "." if !reason.starts_with("invalid type") => reason,
        path => format!("cannot use option {path}: {reason}"),
    }
}

/// Returns the answer of a task that went well.
fn success<R: Resource>(resource: &R, report: &Report<R>, wishes: &Wishes) -> Value {
    let mut answer = json!({
        "changed": !report.plan.is_empty(),
        "changes": entries(&report.plan),
    });
    for (key, value) in resource.remarks(report) {
        answer[key] = value;
    }
    if !report.warnings.is_empty() {
        answer["warnings"] = json!(report.warnings);
    }
    if wishes.diff {
        answer["diff"] = json!(diff(resource, report));
    }
    answer
}

/// Returns the answer of a task that failed.
fn failure(error: &Error) -> Value {
    json!({"failed": true, "changed": error.left_changes(), "msg": error.sentence()})
}

/// Returns the plan as JSON: each entry's layer and what tells it there, beside what was there and what is there.
fn entries<R: Resource>(plan: &Plan<R>) -> Value {
    plan.iter()
        .map(|(item, change)| {
            let mut entry = json!({"item": item.key, "before": change.before, "after": change.after});
            match &item.layer {
                Layer::Kernel => entry["layer"] = json!("kernel"),
                Layer::File(file) => (entry["layer"], entry["file"]) = (json!("file"), json!(file)),
            }
            entry
        })
        .collect()
}

/// One place of a diff: what the task saw there and what it leaves.
#[derive(Serialize)]
struct Place {
    before_header: String,
    after_header: String,
    before: String,
    after: String,
}

/// Returns the diff in Ansible's form: each place that changes, with all that the task saw there as context.
fn diff<R: Resource>(resource: &R, report: &Report<R>) -> Vec<Place> {
    let then = report.then();
    let items: BTreeSet<&Item<R::Key>> = gathered(report.found.keys().chain(then.keys()));
    let mut places: Vec<Place> = Vec::new();
    for item in items {
        for (value, is_new) in [(report.found.get(item), false), (then.get(item), true)] {
            let Some(value) = value else { continue };
            let (name, line) = resource.show(item, value);
            let place = place(&mut places, name);
            let side = if is_new { &mut place.after } else { &mut place.before };
            side.push_str(&line);
            side.push('\n');
        }
    }
    places.retain(|place| place.before != place.after);
    places
}

/// Returns the place called `name`, the items of which stand together.
fn place(places: &mut Vec<Place>, name: String) -> &mut Place {
    let at = places.iter().rposition(|place| place.before_header == name).unwrap_or_else(|| {
        let after_header = name.clone();
        places.push(Place { before_header: name, after_header, before: String::new(), after: String::new() });
        places.len() - 1
    });
    &mut places[at]
}

/// Makes a panic answer as a failed task, so that it cannot look like success.
pub(crate) fn answer_on_panic(name: &str) {
    let name = name.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        respond(defect(&name, &panic.to_string(), has_begun_to_write()));
        std::process::exit(1);
    }));
}

/// Returns the answer of a task that came upon a defect; once it had begun to write, something may have changed.
fn defect(name: &str, panic: &str, has_begun: bool) -> Value {
    let left = if has_begun { ", and something may have changed" } else { ", and nothing is changed" };
    let msg = format!("cannot go on{left}: this is a defect of lvs.host.{name}, please report it: {panic}");
    json!({"failed": true, "changed": has_begun, "msg": msg})
}

/// Writes the answer to standard output; returns the exit status that goes with it.
fn respond(mut answer: Value) -> ExitCode {
    if NO_LOG.load(Ordering::Relaxed) {
        hide(&mut answer);
    }
    let failed = answer.get("failed").is_some();
    visible::make(&mut answer);
    let said = serde_json::to_string(&answer).map_or(ExitCode::FAILURE, say);
    std::mem::forget(answer);
    if failed { ExitCode::FAILURE } else { said }
}

/// Takes out of an answer the sentences and the diff, which Ansible shows and which may name values.
fn hide(answer: &mut Value) {
    let Value::Object(answer) = answer else { return };
    answer.remove("diff");
    if let Some(msg) = answer.get_mut("msg") {
        *msg = json!(
            "cannot do the task: no_log hides the reason, which may name a value; run it without no_log to see it"
        );
    }
    if let Some(warnings) = answer.get_mut("warnings") {
        *warnings = json!([
            "no_log hides what the task warns of, which may name a value; run it without no_log to see it"
        ]);
    }
}

/// Writes one line to standard output, the only place that does; returns failure if nobody could get it, as on a full disk.
fn say(mut line: String) -> ExitCode {
    line.push('\n');
    match io::stdout().lock().write_all(line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_whether_something_may_have_changed() {
        for has_begun in [false, true] {
            let answer = defect("sysctl", "index out of bounds", has_begun);
            assert_eq!((&answer["failed"], &answer["changed"]), (&json!(true), &json!(has_begun)));
            let msg = answer["msg"].as_str().unwrap();
            assert!(msg.contains("index out of bounds") && msg.contains("may have changed") == has_begun);
        }
    }
}

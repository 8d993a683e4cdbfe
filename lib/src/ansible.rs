//! Ansible's module protocol: arguments in, answer out.
//!
//! Ansible names a file of JSON as the first argument. By hand, and from the collection's action plugin, that argument is
//! the JSON itself, or the JSON comes on standard input. The answer is one JSON object on standard output and nothing else.

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod scalar;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

pub use scalar::{Flag, Number, Presence, Text};

use crate::{Error, Report, Resource, Result};

/// Runs the module `name` on the arguments of this process; returns the exit status, 0 for success and 1 for failure.
pub fn run<R: Resource + DeserializeOwned>(name: &str) -> ExitCode {
    answer_on_panic(name);
    let argument = std::env::args_os().nth(1);
    if argument.as_ref().is_some_and(|argument| argument == "--version") {
        return say(&format!("{name} (lvs.host) {}", env!("CARGO_PKG_VERSION")));
    }
    match input(argument.as_deref()).and_then(|text| perform::<R>(&text)) {
        Ok(answer) => say(&answer.to_string()),
        Err(error) => {
            say(&failure(&error).to_string());
            ExitCode::FAILURE
        }
    }
}

/// Returns the JSON that the module was given.
fn input(argument: Option<&OsStr>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    match argument {
        // Standard input costs a round trip more over SSH: a server takes nothing for it before it has started the command.
        Some(json) if json.as_bytes().starts_with(b"{") => text = json.as_bytes().into(),
        Some(path) if path != "-" => {
            text = std::fs::read(path).map_err(Error::path("read the arguments in", Path::new(path)))?;
        }
        _ if io::stdin().is_terminal() => {}
        _ => {
            io::stdin()
                .read_to_end(&mut text)
                .map_err(Error::io("read the arguments on", "standard input"))?;
        }
    }
    if text.trim_ascii().is_empty() {
        return Err(Error::invalid(
            "cannot read the arguments: there are none; give a JSON object, or the name of a file that holds one, as the argument, or the object on standard input",
        ));
    }
    Ok(text)
}

/// Carries out a task given as JSON; returns the answer.
fn perform<R: Resource + DeserializeOwned>(text: &[u8]) -> Result<Value> {
    let (resource, wishes) = parse::<R>(text)?;
    let report = if wishes.check { resource.check()? } else { resource.apply()? };
    Ok(success(&resource, &report, &wishes))
}

/// What Ansible asks of every module.
struct Wishes {
    check: bool,
    diff: bool,
}

/// Returns the resource that the arguments describe, and how to treat it.
fn parse<R: DeserializeOwned>(text: &[u8]) -> Result<(R, Wishes)> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Error::invalid(format!("cannot read the arguments: they are no JSON: {error}")))?;
    let Value::Object(mut options) = value else {
        return Err(Error::invalid(
            "cannot read the arguments: they must be one JSON object, like {\"name\": \"…\"}",
        ));
    };
    let wishes =
        Wishes { check: is_true(&options, "_ansible_check_mode"), diff: is_true(&options, "_ansible_diff") };
    // An option that is null was not given; Ansible passes `omit` and defaults so.
    options.retain(|name, value| !name.starts_with("_ansible_") && !value.is_null());
    serde_path_to_error::deserialize(Value::Object(options))
        .map(|resource| (resource, wishes))
        .map_err(|error| Error::invalid(complaint(&error)))
}

fn is_true(options: &Map<String, Value>, name: &str) -> bool {
    options.get(name).and_then(Value::as_bool).unwrap_or(false)
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
        "changes": changes(&report.plan),
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

/// Returns the plan as JSON: each entry's names beside what was there and what is there.
fn changes<R: Resource>(plan: &crate::Plan<R>) -> Value {
    plan.iter()
        .map(|(item, change)| {
            let mut entry = json!(item);
            entry["before"] = json!(change.before);
            entry["after"] = json!(change.after);
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
    let items: BTreeSet<&R::Item> = report.found.keys().chain(then.keys()).collect();
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
fn answer_on_panic(name: &str) {
    let name = name.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        let msg = format!("cannot go on: this is a defect of lvs.host.{name}, please report it: {panic}");
        say(&json!({"failed": true, "msg": msg}).to_string());
        std::process::exit(1);
    }));
}

/// Writes one line to standard output, the only place that does; returns failure if nobody could get it, as on a full disk.
fn say(line: &str) -> ExitCode {
    match writeln!(io::stdout().lock(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

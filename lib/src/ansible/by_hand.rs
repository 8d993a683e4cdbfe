//! What a module tells a person who calls it by hand.

use std::ffi::OsStr;
use std::fmt::Write;

use serde_json::Value;

/// What is linked into the binaries, as `collection/provenance.py` finds it.
const LINKED: &str = include_str!("licenses.txt");

/// Returns what the module `name` answers to a question such as `--help`; `schema` is the JSON Schema of its arguments.
pub(super) fn told(question: &OsStr, name: &str, schema: &str) -> Option<String> {
    match question.to_str()? {
        "--version" => Some(format!("{name} (lvs.host) {}", env!("CARGO_PKG_VERSION"))),
        "--help" | "-h" => Some(help(name, &serde_json::from_str(schema).unwrap_or_default())),
        "--schema" => Some(schema.trim_end().into()),
        "--licenses" => Some(licenses(name)),
        _ => None,
    }
}

fn licenses(name: &str) -> String {
    format!(
        "{name} (lvs.host): GPL-3.0-or-later\n{LINKED}\nThe texts are in the files LICENSE and NOTICES.txt of the collection lvs.host, and at https://spdx.org/licenses/."
    )
}

fn help(name: &str, schema: &Value) -> String {
    let mut text = format!(
        "{title}: {description}

Usage: {name} JSON      the options, as one JSON object: {name} '{{\"OPTION\": VALUE}}'
       {name} FILE      a file that holds them
       {name} < FILE    or standard input
       {name} --help | --version | --schema | --licenses

The answer is one JSON object; the exit status is 0, or 1 for a failure. With \"_ansible_check_mode\": true nothing is changed.

Options:
",
        title = text_of(schema, "title"),
        description = text_of(schema, "description"),
    );
    for (option, described) in schema["properties"].as_object().into_iter().flatten() {
        describe(&mut text, option, described, 2);
    }
    text.trim_end().into()
}

/// Adds an option with what it may be, and below it those that are in it.
fn describe(text: &mut String, option: &str, described: &Value, indent: usize) {
    let choices = described["enum"]
        .as_array()
        .map(|choices| format!(", one of {}", listed(choices)))
        .unwrap_or_default();
    let default =
        described.get("default").map(|value| format!(" (by default {})", plain(value))).unwrap_or_default();
    // To a String, which takes all.
    let _ = writeln!(text, "{:indent$}{option}{choices}{default}", "");
    for line in text_of(described, "description").lines() {
        let _ = writeln!(text, "{:below$}{line}", "", below = indent + 4);
    }
    let inner = described["properties"].as_object().or_else(|| described["items"]["properties"].as_object());
    for (option, described) in inner.into_iter().flatten() {
        describe(text, option, described, indent + 4);
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn listed(values: &[Value]) -> String {
    values.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// Returns text without its quotes, and whatever else it is as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

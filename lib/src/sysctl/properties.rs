//! What must hold for every file, name, value and task; `make fuzz` tries for long, random ones are tried for a moment here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::text::{assignments, edited, with_value};
use super::value::{self, Words};
use super::{Item, Key, Line, Setting, Sysctl, boot};
use crate::ansible::Text;
use crate::properties::{Arguments, Host, Run, absent, arguments_and_files, first_line};
use crate::resource::Report;

/// The properties of a file, with the name of a parameter in the first line, a value in the second, and the file behind them.
pub fn sysctl_text(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n').map(<[u8]>::to_vec);
    let mut text = || String::from_utf8(parts.next().unwrap_or_default()).ok();
    let (Some(name), Some(value)) = (text(), text()) else { return };
    let content = parts.next().unwrap_or_default();
    let Ok(key) = name.parse::<Key>() else { return };
    if value.contains(['\r', '\0']) {
        return;
    }
    what_is_set_is_read_back(&content, &key, &value);
    setting_twice_is_setting_once(&content, &key, &value);
    other_bytes_are_untouched(&content, &key, &value);
    what_is_removed_is_gone_and_can_be_put_back(&content, &key);
}

/// The properties of a name in the first line, and of two values in the next ones.
pub fn sysctl_words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, values) = first_line(text);
    let (one, other) = first_line(values);
    a_name_that_is_taken_stays_inside_and_breaks_no_line(name);
    for path in ["net/ipv4/some", "net/ipv4/tcp_fastopen_key", "net/ipv6/conf/all/stable_secret"] {
        equal_values_are_equal_both_ways(&Key::at(path.into()), one, other);
    }
}

/// A task on a host's files, of which those below proc/sys are the kernel: it keeps the laws of all resources, and what it stored
/// goes again and leaves the files as they were.
pub fn sysctl_run(data: &[u8]) {
    let Some((arguments, files)) = arguments_and_files(data) else { return };
    let host = Host::with(files);
    let run = Run { host: &host, under: Sysctl::under, kernel: &String::new };
    let before = host.contents();
    let Some(applied) = run.by_the_laws(&arguments) else { return };
    if arguments.get("state").is_none() && arguments.get("persist").is_none() {
        what_is_asked_for_is_stored(&arguments, &host.contents());
    }
    let leaves_more = ["exclusive", "backup"].iter().any(|option| arguments.contains_key(*option));
    if is_all_new(&applied) && !leaves_more {
        assert!(run.by_the_laws(&absent(&arguments)).is_some(), "what was stored cannot be removed");
        assert_eq!(stored(host.contents()), stored(before), "what was stored did not go, or more did");
    }
}

/// Fails if a value that a task names is in no file. Which dots of a name are an interface's is for the host to say.
fn what_is_asked_for_is_stored(arguments: &Arguments, files: &BTreeMap<PathBuf, String>) {
    let option = |names: [&str; 2]| names.iter().find_map(|name| arguments.get(*name)?.as_str());
    let one = option(["name", "key"]).zip(option(["value", "val"]));
    let settings = arguments.get("settings").and_then(serde_json::Value::as_object);
    let many =
        settings.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let flat = |path: &str| path.replace('/', ".");
    for (name, value) in one.into_iter().chain(many) {
        let Ok(key) = name.parse::<Key>() else { continue };
        let Ok(value) = value::checked(&key, &Words::One(Text(value.into()))) else { continue };
        let is_it = |(path, lines): (String, Vec<Line>)| {
            let stored = lines.last().map(|line| Setting::new(&key, &line.value()));
            flat(&path) == flat(key.path()) && stored == Some(Setting::new(&key, &value))
        };
        let is_stored = files.values().any(|text| assignments(text.as_bytes()).into_iter().any(is_it));
        assert!(is_stored, "{key} = {value} is stored nowhere");
    }
}

/// Returns whether a run stored something, and all of it where nothing was.
fn is_all_new(applied: &Report<Sysctl>) -> bool {
    let is_stored = |item: &Item| matches!(item, Item::Persistent { .. });
    let mut changes = applied.plan.iter().filter(|(item, _)| is_stored(item)).peekable();
    let nothing_was_there = !applied.found.keys().any(is_stored);
    changes.peek().is_some() && nothing_was_there && changes.all(|(_, change)| change.before.is_none())
}

/// Returns the files but the kernel's, without a last line feed and those that are empty.
fn stored(mut files: BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    for text in files.values_mut() {
        text.truncate(text.strip_suffix('\n').unwrap_or(text).len());
    }
    files.retain(|path, text| !path.starts_with("proc") && !text.is_empty());
    files
}

/// Sets every parameter that a file has, each to one value, and removes them.
pub(crate) fn text_edited(content: &[u8]) {
    let found = assignments(content);
    let keys: BTreeMap<&str, Key> = found.keys().map(|path| (path.as_str(), Key::at(path.clone()))).collect();
    let lines: BTreeMap<&str, Vec<Line>> =
        keys.iter().map(|(path, key)| (*path, with_value(key, &found[*path], "1"))).collect();
    let edits = lines.iter().map(|(path, lines)| (*path, lines.as_slice())).collect();
    edited(content, &edits);
    edited(content, &keys.keys().map(|path| (*path, &[][..])).collect());
}

/// Reads a file as a boot does, and asks for some of the parameters in it: each is held against every pattern.
pub(crate) fn boot_read(content: &[u8]) {
    let root = Path::new("/nonexistent");
    let file = root.join("etc/sysctl.d/50-lvs.conf");
    let keys: Vec<Key> = assignments(content).into_keys().take(20).map(Key::at).collect();
    let wanted = keys.iter().map(|key| (key, "1")).collect();
    boot::contradictions(root, &file, &BTreeMap::from([(file.clone(), content.to_vec())]), &wanted);
}

fn lines_of(content: &[u8], key: &Key) -> Vec<Line> {
    assignments(content).remove(key.path()).unwrap_or_default()
}

fn edit(content: &[u8], key: &Key, lines: &[Line]) -> Vec<u8> {
    edited(content, &BTreeMap::from([(key.path(), lines)]))
}

fn set(content: &[u8], key: &Key, value: &str) -> Vec<u8> {
    edit(content, key, &with_value(key, &lines_of(content, key), value))
}

/// Returns all lines but those of `key`, without a last empty one.
fn others<'a>(content: &'a [u8], key: &Key) -> Vec<&'a [u8]> {
    let mine: Vec<usize> = lines_of(content, key).iter().filter_map(Line::number).collect();
    let mut lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let others = lines.into_iter().enumerate().filter(|(at, _)| !mine.contains(&(at + 1)));
    others.map(|(_, line)| line).collect()
}

fn what_is_set_is_read_back(content: &[u8], key: &Key, value: &str) {
    let lines = lines_of(&set(content, key, value), key);
    let read = lines.last().map(|line| line.value().into_owned()).unwrap_or_default();
    assert_eq!(Setting::new(key, &read), Setting::new(key, value));
}

fn setting_twice_is_setting_once(content: &[u8], key: &Key, value: &str) {
    let once = set(content, key, value);
    assert_eq!(set(&once, key, value), once);
}

fn other_bytes_are_untouched(content: &[u8], key: &Key, value: &str) {
    let (with, without) = (set(content, key, value), edit(content, key, &[]));
    assert_eq!(others(&with, key), others(content, key));
    assert_eq!(others(&without, key), others(content, key));
    let (_, last) = content.split_at(content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    if !last.is_empty() && lines_of(last, key).is_empty() {
        assert!(!without.ends_with(b"\n"), "a line feed came along");
    }
}

fn what_is_removed_is_gone_and_can_be_put_back(content: &[u8], key: &Key) {
    let before = lines_of(content, key);
    let without = edit(content, key, &[]);
    assert!(lines_of(&without, key).is_empty());
    let mut again = edit(&without, key, &before);
    // Of a file that had no line feed at its end, the line that was last has one now.
    if !content.ends_with(b"\n") && again.ends_with(b"\n") {
        again.pop();
    }
    assert_eq!(again, content);
}

fn a_name_that_is_taken_stays_inside_and_breaks_no_line(name: &str) {
    let Ok(key) = name.parse::<Key>() else { return };
    assert!(key.path().split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
    assert_eq!(key.to_string().parse::<Key>().ok().as_ref(), Some(&key));
    let lines = with_value(&key, &[], "1");
    assert_eq!(lines_of(&edit(b"", &key, &lines), &key), lines);
}

fn equal_values_are_equal_both_ways(key: &Key, one: &str, other: &str) {
    let (one, other) = (Setting::new(key, one), Setting::new(key, other));
    assert_eq!(one, one.clone());
    let (there, back) = (one == other, other == one);
    assert_eq!(there, back, "{one:?} {other:?}");
}

#[cfg(test)]
mod random {
    use proptest::prelude::*;

    use super::*;

    /// Names of few letters, so that they meet; with each kind of separator, and what only looks like a name.
    fn name() -> impl Strategy<Value = String> {
        "[ab]([./]{1,2}[ab]){1,3}|[ab.*/?=#; -]{0,8}|\\PC{0,6}"
    }

    /// A line that assigns, a comment, a line that a pattern leaves out, or any bytes but a line feed.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let space = || "[ \t]{0,2}";
        let assignment = (space(), "-?", name(), space(), space(), "[0-9a-z ]{0,4}", "[ \t]{0,2}\r?")
            .prop_map(|(a, dash, name, b, c, value, d)| {
                format!("{a}{dash}{name}{b}={c}{value}{d}").into_bytes()
            });
        let other = prop::collection::vec(
            any::<u8>().prop_map(|byte| if byte == b'\n' { b'=' } else { byte }),
            0..12,
        );
        prop_oneof![4 => assignment, 1 => "[#;][ a.b=1]{0,8}".prop_map(String::into_bytes), 2 => other]
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        (prop::collection::vec(line(), 0..8), any::<bool>()).prop_map(|(lines, ended)| {
            let mut text = lines.join(&b'\n');
            if ended && !lines.is_empty() {
                text.push(b'\n');
            }
            text
        })
    }

    fn key() -> impl Strategy<Value = String> {
        "[ab]([./]{1,2}[ab*]){1,3}|[ab]{1,2}/[ab.#;-]{1,3}[ab]"
    }

    proptest! {
        #[test]
        fn files(content in content(), key in key(), value in "[0-9a-z]{0,4}( [0-9]{1,2})?") {
            sysctl_text(&[key.as_bytes(), b"\n", value.as_bytes(), b"\n", &content].concat());
        }

        #[test]
        fn names_and_values(name in name(), a in "[-0-9a-fx, \t]{0,8}", b in "[-0-9a-fx, \t]{0,8}") {
            sysctl_words(format!("{name}\n{a}\n{b}").as_bytes());
        }
    }
}

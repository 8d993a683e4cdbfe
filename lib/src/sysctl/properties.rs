//! What must hold for every file, name, value and task; `make fuzz` tries for long, random ones are tried for a moment here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::boot::{Boot, Wanted};
use super::text::{Draft, assignments, edited};
use super::value::{self, Words};
use super::{Item, Key, Line, Setting, Sysctl, Task};
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
    let run = Run { host: &host, kernel: &String::new };
    let before = host.contents();
    let Some(applied) = run.by_the_laws::<Task>(&arguments) else { return };
    let may_be_stored_nowhere = ["state", "persist", "at_least"];
    if may_be_stored_nowhere.iter().all(|option| !arguments.contains_key(*option)) {
        what_is_asked_for_is_stored(&arguments, &host.contents());
    }
    let leaves_more = ["exclusive", "backup"].iter().any(|option| arguments.contains_key(*option));
    if is_all_new(&applied) && !leaves_more {
        let gone = run.by_the_laws::<Task>(&absent(&arguments));
        assert!(gone.is_some(), "what was stored cannot be removed");
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
        let wanted = Setting::new(&key, &value);
        let is_it = |(stored, lines): (Key, Vec<Line>)| {
            flat(stored.path()) == flat(key.path())
                && lines.last().is_some_and(|line| wanted.is_loaded_by(&key, &line.value()))
        };
        let is_stored = files.values().any(|text| assignments(text.as_bytes()).into_iter().any(is_it));
        assert!(is_stored, "{key} = {value} is stored nowhere");
    }
}

/// Returns whether a run stored something, and all of it where nothing was.
fn is_all_new(applied: &Report<Sysctl>) -> bool {
    let is_stored = |item: &Item| !item.is_live();
    let mut changes = applied.plan.iter().filter(|(item, _)| is_stored(item)).peekable();
    let nothing_was_there = !applied.found.keys().any(is_stored);
    changes.peek().is_some() && nothing_was_there && changes.all(|(_, change)| change.before.is_none())
}

/// Returns the files but the kernel's and those that are empty.
fn stored(mut files: BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    files.retain(|path, text| !path.starts_with("proc") && !text.is_empty());
    files
}

/// Sets every parameter that a file has, each to one value, and removes them.
pub(crate) fn text_edited(content: &[u8]) {
    let keys: Vec<Key> = assignments(content).into_keys().collect();
    let mut draft = Draft::new(content);
    draft.set(&keys.iter().map(|key| (key, "1")).collect(), None);
    let then = assignments(&draft.content());
    edited(content, &then.iter().map(|(key, lines)| (key.path(), lines.as_slice())).collect());
    edited(content, &keys.iter().map(|key| (key.path(), &[][..])).collect());
}

/// Reads a file as a boot does, and asks for some of the parameters in it: each is held against every pattern.
pub(crate) fn boot_read(content: &[u8]) {
    let host = Host::with("");
    let at = |path: &str| host.root().at(path);
    let theirs = at("/etc/sysctl.d/50-theirs.conf");
    if std::fs::create_dir(at("/etc/sysctl.d")).and_then(|()| std::fs::write(theirs, content)).is_err() {
        return;
    }
    let ours: Rc<Path> = at("/etc/sysctl.d/90-ours.conf").into();
    let boot = Boot::find(host.root(), std::slice::from_ref(&ours));
    let keys: Vec<Key> = assignments(content).into_keys().take(20).collect();
    let wanted = Wanted { values: keys.iter().map(|key| (key, "1")).collect(), at_least: false };
    boot.warnings(&[&Default::default()], &wanted, &ours, |_| Vec::new());
}

fn lines_of(content: &[u8], key: &Key) -> Vec<Line> {
    assignments(content).remove(key.path()).unwrap_or_default()
}

fn edit(content: &[u8], key: &Key, lines: &[Line]) -> Vec<u8> {
    edited(content, &BTreeMap::from([(key.path(), lines)]))
}

fn set(content: &[u8], key: &Key, value: &str) -> Vec<u8> {
    let mut draft = Draft::new(content);
    if draft.set(&BTreeMap::from([(key, value)]), None).is_empty() {
        draft.insert(draft.count(), key, value, None);
    }
    edit(content, key, &lines_of(&draft.content(), key))
}

/// Returns all lines but those of `key`, without a last empty one.
fn others<'a>(content: &'a [u8], key: &Key) -> Vec<&'a [u8]> {
    let mine: Vec<usize> = lines_of(content, key).iter().map(Line::number).collect();
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
    assert!(Setting::new(key, value).is_loaded_by(key, &read), "{value:?} is read back as {read:?}");
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
    let lines = lines_of(&set(b"", &key, "1"), &key);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].value(), "1");
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

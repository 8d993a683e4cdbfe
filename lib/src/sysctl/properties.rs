//! What must hold for every file and every name, tried with random ones; `make fuzz` tries for minutes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::text::{Draft, assignments, edited};
use super::{Key, Line, Setting};

/// Names of few letters, so that they meet; with each kind of separator, and what only looks like a name.
fn name() -> impl Strategy<Value = String> {
    "[ab]([./]{1,2}[ab]){1,3}|[ab.*/?=#; -]{0,8}|\\PC{0,6}"
}

/// A line that assigns, a comment, a line that a pattern leaves out, or any bytes but a line feed.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let space = || "[ \t]{0,2}";
    let assignment = (space(), "-?", name(), space(), space(), "[0-9a-z ]{0,4}", "[ \t]{0,2}\r?")
        .prop_map(|(a, dash, name, b, c, value, d)| format!("{a}{dash}{name}{b}={c}{value}{d}").into_bytes());
    let other =
        prop::collection::vec(any::<u8>().prop_map(|byte| if byte == b'\n' { b'=' } else { byte }), 0..12);
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

fn key() -> impl Strategy<Value = Key> {
    "[ab]([./]{1,2}[ab*]){1,3}|[ab]{1,2}/[ab.#;-]{1,3}[ab]".prop_map(|name| name.parse().expect("a name"))
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
    edit(content, key, &lines_of(&draft.text(), key))
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

proptest! {
    #[test]
    fn what_is_set_is_read_back(content in content(), key in key(), value in "[0-9a-z]{1,4}( [0-9]{1,2})?") {
        let lines = lines_of(&set(&content, &key, &value), &key);
        let read = lines.last().map(|line| line.value().into_owned()).unwrap_or_default();
        prop_assert_eq!(Setting::new(&key, &read), Setting::new(&key, &value));
    }

    #[test]
    fn setting_twice_is_setting_once(content in content(), key in key(), value in "[0-9a-z]{0,4}") {
        let once = set(&content, &key, &value);
        prop_assert_eq!(set(&once, &key, &value), once);
    }

    #[test]
    fn other_bytes_are_untouched(content in content(), key in key(), value in "[0-9a-z]{0,4}") {
        let (with, without) = (set(&content, &key, &value), edit(&content, &key, &[]));
        prop_assert_eq!(others(&with, &key), others(&content, &key));
        prop_assert_eq!(others(&without, &key), others(&content, &key));
    }

    #[test]
    fn what_is_removed_is_gone_and_can_be_put_back(content in content(), key in key()) {
        let before = lines_of(&content, &key);
        let without = edit(&content, &key, &[]);
        prop_assert!(lines_of(&without, &key).is_empty());
        let mut again = edit(&without, &key, &before);
        // Of a file that had no line feed at its end, the line that was last has one now.
        if !content.ends_with(b"\n") && again.ends_with(b"\n") {
            again.pop();
        }
        prop_assert_eq!(again, content);
    }

    #[test]
    fn a_name_that_is_taken_stays_inside_and_breaks_no_line(name in name()) {
        if let Ok(key) = name.parse::<Key>() {
            prop_assert!(key.path().split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            let dotted = key.to_string();
            prop_assert_eq!(&dotted.parse::<Key>()?, &key);
            let lines = lines_of(&set(b"", &key, "1"), &key);
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(&*lines[0].value(), "1");
        }
    }

    #[test]
    fn equal_values_are_equal_both_ways(a in "[-0-9a-fx, \t]{0,8}", b in "[-0-9a-fx, \t]{0,8}") {
        let key = Key::at("net/ipv4/some".into());
        let (a, b) = (Setting::new(&key, &a), Setting::new(&key, &b));
        prop_assert_eq!(&a, &a);
        prop_assert_eq!(a == b, b == a);
    }
}

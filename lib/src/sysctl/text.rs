//! The text of a sysctl.d file: bytes, of which only the lines of managed parameters ever change.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::key::path_of;
use super::{Key, Setting};

/// A line that assigns a parameter.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its place, counted from 0; none for one that is to be added.
    at: Option<usize>,
    /// All of it but the line feed.
    bytes: Vec<u8>,
}

/// Equal if the text is: what stands above a line may change without it.
impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Line {
    /// Returns the line for a person to read.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Returns the value that the line assigns.
    pub fn value(&self) -> Cow<'_, str> {
        match assignment(&self.bytes) {
            Some((_, value)) => String::from_utf8_lossy(value),
            None => Cow::default(),
        }
    }

    /// Returns its number, counted from 1 as editors do.
    pub(super) fn number(&self) -> Option<usize> {
        self.at.map(|at| at + 1)
    }

    /// Returns the same line with another value; spelling and spacing stay.
    fn with_value(&self, value: &str) -> Self {
        let old = assignment(&self.bytes).map_or(&b""[..], |(_, value)| value);
        let start = old.as_ptr().addr() - self.bytes.as_ptr().addr();
        let (head, tail) = (&self.bytes[..start], &self.bytes[start + old.len()..]);
        Self { at: self.at, bytes: [head, value.as_bytes(), tail].concat() }
    }
}

/// Returns the parameter's path and its value if `line` assigns one; `-` before the name only tells a boot to ignore errors.
fn assignment(line: &[u8]) -> Option<(String, &[u8])> {
    let start = line.trim_ascii();
    if start.is_empty() || start.starts_with(b"#") || start.starts_with(b";") {
        return None;
    }
    let Some(equals) = line.iter().position(|&byte| byte == b'=') else {
        // What a pattern leaves out, or nothing that a boot understands.
        let name = start.strip_prefix(b"-").unwrap_or(start);
        return Some((format!("-{}", path_of(&String::from_utf8_lossy(name))), &line[line.len()..]));
    };
    let name = line[..equals].trim_ascii();
    let name = name.strip_prefix(b"-").unwrap_or(name).trim_ascii();
    let rest = &line[equals + 1..];
    let value = rest.trim_ascii();
    // An empty value still has a place: right behind the sign.
    let value = if value.is_empty() { &rest[..0] } else { value };
    Some((path_of(&String::from_utf8_lossy(name)), value))
}

/// Returns the lines that assign parameters, by the parameter's path; a line that assigns none is under `-` and its text.
pub(super) fn assignments(content: &[u8]) -> BTreeMap<String, Vec<Line>> {
    let mut found = BTreeMap::<String, Vec<Line>>::new();
    for (at, bytes) in content.split(|&byte| byte == b'\n').enumerate() {
        if let Some((path, _)) = assignment(bytes) {
            found.entry(path).or_default().push(Line { at: Some(at), bytes: bytes.to_vec() });
        }
    }
    found
}

/// Returns the lines of `key` with the last one, the one that counts, assigning `value`; a new line if there is none.
pub(super) fn with_value(key: &Key, lines: &[Line], value: &str) -> Vec<Line> {
    let mut lines = lines.to_vec();
    match lines.last_mut() {
        Some(last) if Setting::new(key, &last.value()) == Setting::new(key, value) => {}
        Some(last) => *last = last.with_value(value),
        None => lines.push(Line { at: None, bytes: format!("{key}={value}").into_bytes() }),
    }
    lines
}

/// Returns `content` with exactly the given lines for each of the given parameters, and all else as it is.
pub(super) fn edited(content: &[u8], edits: &BTreeMap<&str, &[Line]>) -> Vec<u8> {
    let managed = |line: &[u8]| assignment(line).is_some_and(|(path, _)| edits.contains_key(path.as_str()));
    let (mut lines, ended) = split(content);
    // What is added at the end must not run into a last line that has no line feed.
    let ended = ended || lines.last().is_some_and(|line| managed(line));
    lines.retain(|line| !managed(line));
    let mut others = lines.into_iter();
    let (mut kept, added): (Vec<&Line>, Vec<&Line>) =
        edits.values().copied().flatten().partition(|line| line.at.is_some());
    kept.sort_by_key(|line| line.at);
    let mut lines: Vec<&[u8]> = Vec::new();
    for line in kept {
        let above = line.at.unwrap_or(usize::MAX).saturating_sub(lines.len());
        lines.extend(others.by_ref().take(above));
        lines.push(&line.bytes);
    }
    lines.extend(others.chain(added.iter().map(|line| line.bytes.as_slice())));
    let mut text = lines.join(&b'\n');
    if !lines.is_empty() && (ended || !added.is_empty()) {
        text.push(b'\n');
    }
    text
}

/// Returns the lines of `content`, and whether the last one has a line feed.
fn split(content: &[u8]) -> (Vec<&[u8]>, bool) {
    if content.is_empty() {
        return (Vec::new(), true);
    }
    let body = content.strip_suffix(b"\n");
    let lines = body.unwrap_or(content).split(|&byte| byte == b'\n');
    (lines.collect(), body.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        name.parse().unwrap()
    }

    fn set(content: &str, name: &str, value: Option<&str>) -> String {
        let key = key(name);
        let found = assignments(content.as_bytes());
        let old = found.get(key.path()).map_or(&[][..], Vec::as_slice);
        let lines = value.map(|value| with_value(&key, old, value)).unwrap_or_default();
        let edits = BTreeMap::from([(key.path(), lines.as_slice())]);
        String::from_utf8(edited(content.as_bytes(), &edits)).unwrap()
    }

    #[test]
    fn only_the_managed_line_changes() {
        for (before, after) in [
            ("", "a.b=1\n"),
            ("# c\n x.y  =  2\n", "# c\n x.y  =  2\na.b=1\n"),
            ("a.b=0\nx.y=2\n", "a.b=1\nx.y=2\n"),
            ("  a.b = 0  \nx\n", "  a.b = 1  \nx\n"),
            ("-a/b =0\r\nx=1\r\n", "-a/b =1\r\nx=1\r\n"),
            ("a.b=0\nx=1\na.b=0\n", "a.b=0\nx=1\na.b=1\n"),
            ("a.b=\n", "a.b=1\n"),
            ("#a.b=0\n", "#a.b=0\na.b=1\n"),
            ("x=1", "x=1\na.b=1\n"),
            ("x=1\n\n\n", "x=1\n\n\na.b=1\n"),
            ("a.b=0x1\n", "a.b=0x1\n"),
            ("a.b=1 # why\n", "a.b=1\n"),
        ] {
            assert_eq!(set(before, "a.b", Some("1")), after, "{before:?}");
            assert_eq!(set(after, "a.b", Some("1")), after, "{before:?} a second time");
        }
    }

    #[test]
    fn absent_removes_every_spelling() {
        assert_eq!(set("a.b=1\n-a.b = 2\nx=1\na/b=\n # a.b=1\n", "a.b", None), "x=1\n # a.b=1\n");
    }

    #[test]
    fn putting_the_old_lines_back_restores_every_byte() {
        for content in ["x=1\na.b=0\n# y\n-a/b = 3\nz\n", "a.b=5\n", "\n\na.b=5\n\n", "a.b=1\r\nx\r\n"] {
            let key = key("a.b");
            let before = assignments(content.as_bytes());
            let changed = set(content, "a.b", None);
            let edits = BTreeMap::from([(key.path(), before["a/b"].as_slice())]);
            assert_eq!(edited(changed.as_bytes(), &edits), content.as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let key = key("a.b");
        let content = b"# caf\xe9\nx=\xff\n";
        let lines = with_value(&key, &[], "1");
        let edits = BTreeMap::from([(key.path(), lines.as_slice())]);
        assert_eq!(edited(content, &edits), b"# caf\xe9\nx=\xff\na.b=1\n");
    }
}

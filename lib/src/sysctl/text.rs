//! The text of a sysctl.d file: bytes, of which only the lines of managed parameters ever change.

mod draft;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::rc::Rc;

use super::Key;
use super::key::path_of;

pub(super) use draft::Draft;

/// A line that assigns a parameter, with the comment above it that names the parameter.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its place, counted from 0; a line with its comment counts as one.
    at: usize,
    /// Its number, counted from 1 as editors do.
    number: usize,
    /// All of it but the last line feed.
    bytes: Rc<[u8]>,
    /// Where in that the value is.
    value: Range<usize>,
    /// How many lines below it undo it at boot.
    pub(super) undone_by: usize,
}

/// Equal if the text is, and what undoes it: what else stands above or below a line may change without it.
impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.undone_by == other.undone_by
    }
}

impl Line {
    /// Returns the line for a person to read.
    pub fn shown(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.undone_by == 0 { text } else { format!("{text} (undone by a line below)").into() }
    }

    /// Returns the value that the line assigns.
    pub fn value(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes.get(self.value.clone()).unwrap_or_default())
    }

    /// Returns its number, counted from 1 as editors do.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Returns its place among the others of its file.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns whether it begins with the sign that tells a boot to ignore errors.
    pub(super) fn is_dashed(&self) -> bool {
        last_line(&self.bytes).trim_ascii_start().starts_with(b"-")
    }
}

/// A file's assignments, by the parameter's path; a line that assigns nothing is under `-` and its text.
pub(super) type Assignments = BTreeMap<Key, Vec<Line>>;

/// Returns whether a line leaves something out.
pub(super) fn leaves_out(assignments: &Assignments) -> bool {
    assignments.range::<str, _>((Bound::Included("-"), Bound::Excluded("."))).next().is_some()
}

/// Returns the line without the comment above it.
fn last_line(bytes: &[u8]) -> &[u8] {
    bytes.rsplit(|&byte| byte == b'\n').next().unwrap_or_default()
}

/// Returns the parameter's path and its value if `line` assigns one; `-` before the name only tells a boot to ignore errors.
fn assignment(line: &[u8]) -> Option<(String, &[u8])> {
    let line = last_line(line);
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

/// Returns the parameter that a comment like `# net.ipv4.ip_forward: why` is about.
fn commented(line: &[u8]) -> Option<String> {
    let comment = line.trim_ascii().strip_prefix(b"#")?;
    let colon = comment.windows(2).position(|two| two == b": ")?;
    Some(path_of(&String::from_utf8_lossy(comment[..colon].trim_ascii())))
}

/// Returns the lines of `content`, one with the comment that names its parameter as one, each with its number; and whether
/// the last one has a line feed.
fn split(content: &[u8]) -> (Vec<(usize, &[u8])>, bool) {
    if content.is_empty() {
        return (Vec::new(), true);
    }
    let body = content.strip_suffix(b"\n");
    let ended = body.is_some();
    let body = body.unwrap_or(content);
    let mut lines: Vec<(usize, &[u8])> = Vec::new();
    let mut start = 0;
    for (number, line) in (1..).zip(body.split(|&byte| byte == b'\n')) {
        let above = lines.last().and_then(|(_, above)| commented(above));
        let end = start + line.len();
        match above.filter(|path| assignment(line).is_some_and(|(own, _)| own == *path)) {
            Some(_) => {
                let length = lines.pop().map_or(0, |(_, above)| above.len() + 1);
                lines.push((number, &body[start - length..end]));
            }
            None => lines.push((number, line)),
        }
        start = end + 1;
    }
    (lines, ended)
}

/// Returns the lines that assign parameters.
pub(super) fn assignments(content: &[u8]) -> Assignments {
    let mut found = Assignments::new();
    for (at, (number, bytes)) in split(content).0.into_iter().enumerate() {
        if let Some((path, value)) = assignment(bytes) {
            let start = value.as_ptr().addr() - bytes.as_ptr().addr();
            let value = start..start + value.len();
            // Most are assigned once.
            found.entry(Key::at(path)).or_insert_with(|| Vec::with_capacity(1)).push(Line {
                at,
                number,
                bytes: bytes.into(),
                value,
                undone_by: 0,
            });
        }
    }
    found
}

/// Returns `content` with exactly the given lines for each of the given parameters, and all else as it is.
pub(super) fn edited(content: &[u8], edits: &BTreeMap<&str, &[Line]>) -> Vec<u8> {
    let managed = |line: &[u8]| assignment(line).is_some_and(|(path, _)| edits.contains_key(path.as_str()));
    let (lines, ended) = split(content);
    // What is added at the end must not run into a last line that has no line feed.
    let ended = ended || lines.last().is_some_and(|(_, line)| managed(line));
    let count = lines.len();
    let mut others = lines.into_iter().map(|(_, line)| line).filter(|line| !managed(line));
    let mut placed: Vec<&Line> = edits.values().copied().flatten().collect();
    placed.sort_by_key(|line| line.at);
    let mut lines: Vec<&[u8]> = Vec::new();
    for line in placed {
        let above = line.at.saturating_sub(lines.len());
        lines.extend(others.by_ref().take(above));
        lines.push(&line.bytes);
    }
    lines.extend(others);
    let mut text = lines.join(&b'\n');
    if !lines.is_empty() && (ended || lines.len() > count) {
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        name.parse().unwrap()
    }

    fn set(content: &str, name: &str, value: Option<&str>) -> String {
        String::from_utf8(changed(content.as_bytes(), &key(name), value, None)).unwrap()
    }

    fn changed(content: &[u8], key: &Key, value: Option<&str>, comment: Option<&str>) -> Vec<u8> {
        let mut draft = Draft::new(content);
        match value {
            None => draft.retain(|path| path != key.path()),
            Some(value) if draft.set(&BTreeMap::from([(key, value)]), comment).is_empty() => {
                draft.insert(draft.count(), key, value, comment);
            }
            Some(_) => {}
        }
        let text = draft.content();
        let lines = assignments(&text).remove(key.path()).unwrap_or_default();
        let edits = BTreeMap::from([(key.path(), lines.as_slice())]);
        let edited = edited(content, &edits);
        assert_eq!(assignments(&edited), assignments(&text), "the plan leads to the draft");
        edited
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
            ("a.b=1 # why\n", "a.b=1 # why\n"),
            ("a.b=0 # why\n", "a.b=1\n"),
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
        assert_eq!(changed(content, &key, Some("1"), None), b"# caf\xe9\nx=\xff\na.b=1\n");
    }

    #[test]
    fn a_comment_is_kept_with_its_line_replaced_and_removed_with_it() {
        let key = key("a.b");
        let set = |content: &str, value, comment| {
            String::from_utf8(changed(content.as_bytes(), &key, value, comment)).unwrap()
        };
        let own = "x=1\n# mine\n# a.b: why\na.b=1\n";
        assert_eq!(set("x=1\n# mine\n", Some("1"), Some("why")), own);
        assert_eq!(set(own, Some("1"), Some("why")), own);
        assert_eq!(set(own, Some("1"), None), own);
        assert_eq!(set(own, Some("2"), Some("so")), "x=1\n# mine\n# a.b: so\na.b=2\n");
        assert_eq!(set(own, None, None), "x=1\n# mine\n");
        assert_eq!(set("# mine\na.b=1\n", Some("1"), Some("why")), "# mine\n# a.b: why\na.b=1\n");
        assert_eq!(assignments(own.as_bytes())["a/b"][0].number(), 4);
    }
}

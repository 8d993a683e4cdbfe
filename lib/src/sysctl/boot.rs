//! What a boot loads: which files, in which order, and what of them counts.
//!
//! systemd-sysctl and procps' `sysctl --system` read the same directories, but only procps reads /etc/sysctl.conf, as
//! the last file, and hidden files. In both a file masks those of its name in later directories, files are taken in the
//! order of their names, the last assignment wins, and a name beats a pattern (sysctl.d(5), sysctl(8); tried).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::text::{self, Line};
use super::{Key, Setting};
use crate::file;
use crate::root::Root;

/// Where sysctl.d files are looked for, first come first served.
const DIRECTORIES: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// The file of old, which systemd reads only through a link.
const CLASSIC: &str = "/etc/sysctl.conf";

/// Our own file where the classic one would not be read.
const OWN: &str = "/etc/sysctl.d/99-lvs-host.conf";

/// Where systemd's reader is.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd-sysctl", "/lib/systemd/systemd-sysctl"];

/// Where the other one is.
const PROCPS: [&str; 4] = ["/usr/sbin/sysctl", "/sbin/sysctl", "/usr/bin/sysctl", "/bin/sysctl"];

/// Returns the file to write on the host at `root` when the task names none, then the one that must not contradict it.
pub(super) fn default_files(root: &Root) -> Vec<PathBuf> {
    let [classic, own] = [CLASSIC, OWN].map(|file| root.at(file));
    match reads_classic(root, &classic) {
        _ if is_same(&own, &classic) => vec![own],
        true => vec![classic, own],
        false => vec![own, classic],
    }
}

fn any_exists(root: &Root, paths: &[&str]) -> bool {
    paths.iter().any(|path| root.at(path).exists())
}

/// Returns whether a boot reads /etc/sysctl.conf: procps and busybox do, systemd only if a drop-in links to it.
fn reads_classic(root: &Root, classic: &Path) -> bool {
    !any_exists(root, &SYSTEMD) || drop_ins(root, None).iter().any(|file| is_same(file, classic))
}

/// Returns whether both paths lead to one file, as one is a symbolic link to the other.
fn is_same(one: &Path, other: &Path) -> bool {
    (one.is_symlink() || other.is_symlink())
        && one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Returns the files of the directories in the order in which they are read, hidden ones among them; `new` is one that
/// is going to be there.
fn drop_ins(root: &Root, new: Option<&Path>) -> Vec<PathBuf> {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        let directory = root.at(directory);
        let there = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let new = new.filter(|new| new.parent() == Some(&directory)).map(Path::to_owned);
        for path in there.chain(new) {
            // As bytes: names that are no text would be one name else.
            let name = path.file_name().unwrap_or_default().to_owned();
            if name.as_encoded_bytes().ends_with(b".conf") {
                files.entry(name).or_insert(path);
            }
        }
    }
    files.into_values().collect()
}

/// Who reads the files, and which.
struct Reader {
    name: &'static str,
    /// Whether a name that is left out of patterns also loses what was assigned to it before: so does systemd's.
    forgets: bool,
    files: Vec<PathBuf>,
}

/// Returns the readers of the host at `root`, on which `new` is going to be; one without systemd boots with the other.
fn readers(root: &Root, new: &Path) -> Vec<Reader> {
    let is_hidden =
        |file: &&PathBuf| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut readers = Vec::new();
    let mut files = drop_ins(root, Some(new));
    let systemd = any_exists(root, &SYSTEMD);
    if systemd {
        let files = files.iter().filter(|file| !is_hidden(file)).cloned().collect();
        readers.push(Reader { name: "systemd-sysctl", forgets: true, files });
    }
    if !systemd || any_exists(root, &PROCPS) {
        files.push(root.at(CLASSIC));
        readers.push(Reader { name: "sysctl --system", forgets: false, files });
    }
    readers
}

/// A file's assignments, by the parameter's path.
type Assignments = BTreeMap<String, Vec<Line>>;

/// What a reader makes of its files.
#[derive(Default)]
struct Loaded<'a> {
    named: HashMap<&'a str, (&'a Path, &'a Line)>,
    patterns: Vec<(Pattern, &'a Path, &'a Line)>,
    left_out: HashMap<&'a str, (&'a Path, &'a Line)>,
}

impl<'a> Loaded<'a> {
    fn add(&mut self, file: &'a Path, assignments: &'a Assignments, forgets: bool) {
        for (path, lines) in assignments {
            let Some(last) = lines.last() else { continue };
            if let Some(path) = path.strip_prefix('-') {
                self.left_out.insert(path, (file, last));
                self.named.retain(|name, _| !forgets || *name != path);
            } else if forgets && left_out_below(assignments, path, last) {
                self.named.remove(path.as_str());
            } else if !path.contains(['*', '?', '[']) {
                self.named.insert(path, (file, last));
            } else if let Ok(pattern) = Pattern::new(path) {
                self.patterns.push((pattern, file, last));
            }
        }
    }

    /// Returns the file and line that decide about `key`.
    fn winner(&self, key: &Key) -> Option<(&'a Path, &'a Line)> {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let matched = || {
            let last =
                self.patterns.iter().rev().find(|(pattern, ..)| pattern.matches_with(key.path(), options));
            last.filter(|_| !self.left_out.contains_key(key.path())).map(|(_, file, line)| (*file, *line))
        };
        self.named.get(key.path()).copied().or_else(matched)
    }
}

/// Returns whether the same file leaves out the parameter at `path` in a line below `line`.
fn left_out_below(assignments: &Assignments, path: &str, line: &Line) -> bool {
    let out = assignments.get(&format!("-{path}")).and_then(|lines| lines.last());
    out.is_some_and(|out| out.number() > line.number())
}

/// Returns the assignments of every file that `readers` read, where `texts` has the content that files have or are going to
/// have.
fn parsed(readers: &[Reader], texts: &BTreeMap<&Path, Vec<u8>>) -> HashMap<PathBuf, Assignments> {
    // One file may have several names.
    let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let texts: Vec<_> = texts.iter().map(|(path, text)| (*path, identity(path), text)).collect();
    let mut parsed = HashMap::new();
    for file in readers.iter().flat_map(|reader| &reader.files) {
        parsed.entry(file.clone()).or_insert_with(|| {
            let same = |(path, id, _): &&(&Path, Option<_>, &Vec<u8>)| {
                *path == file || (id.is_some() && *id == identity(file))
            };
            match texts.iter().find(same) {
                Some((.., text)) => text::assignments(text),
                // What cannot be read, like /dev/null, assigns nothing.
                None => text::assignments(&file::foreign(file).ok().flatten().unwrap_or_default()),
            }
        });
    }
    parsed
}

/// Returns warnings about what the next boot makes of the `wanted` parameters: another file that wins over `file`, or
/// that nothing reads it. `texts` has the content that files have or are going to have.
pub(super) fn contradictions(
    root: &Root,
    file: &Path,
    texts: &BTreeMap<&Path, Vec<u8>>,
    wanted: &BTreeMap<&Key, &str>,
) -> Vec<String> {
    let readers = readers(root, file);
    let parsed = parsed(&readers, texts);
    let mut warnings = BTreeMap::<String, Vec<&str>>::new();
    for reader in &readers {
        let mut loaded = Loaded::default();
        for file in &reader.files {
            loaded.add(file, &parsed[file], reader.forgets);
        }
        for (key, text) in wanted {
            let warning = match loaded.winner(key) {
                Some((_, line)) if Setting::new(key, &line.value()) == Setting::new(key, text) => continue,
                Some((winner, line)) => overruled(key, winner, line),
                None => match loaded.left_out.get(key.path()) {
                    Some((file, line)) => left_out(key, file, line),
                    None => unread(file),
                },
            };
            let names = warnings.entry(warning).or_default();
            if !names.contains(&reader.name) {
                names.push(reader.name);
            }
        }
    }
    warnings.into_iter().map(|(warning, names)| format!("{warning} (by {})", names.join(" and "))).collect()
}

fn overruled(key: &Key, winner: &Path, line: &Line) -> String {
    format!(
        "the next boot sets {key} to {}, as {} line {} comes last; change it there",
        line.value(),
        winner.display(),
        line.number().unwrap_or_default()
    )
}

fn left_out(key: &Key, file: &Path, line: &Line) -> String {
    format!(
        "the next boot does not set {key}, as {} line {} leaves it out; take that line away",
        file.display(),
        line.number().unwrap_or_default()
    )
}

fn unread(file: &Path) -> String {
    format!(
        "no boot sets what {} holds: it is not read; use a file like /etc/sysctl.d/50-lvs.conf",
        file.display()
    )
}

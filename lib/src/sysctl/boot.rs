//! What a boot loads: which files, in which order, and what of them counts.
//!
//! systemd-sysctl and procps' `sysctl --system` read the same directories, but only procps reads /etc/sysctl.conf, as
//! the last file, and hidden files. In both a file masks those of its name in later directories, files are taken in the
//! order of their names, the last assignment wins, and a name beats a pattern (sysctl.d(5), sysctl(8); tried).

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::patterns::Patterns;
use super::text::{self, Line};
use super::{Key, Setting};
use crate::file;
use crate::root::Root;
use crate::{Error, Result};

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
pub(super) fn default_files(root: &Root) -> Result<Vec<PathBuf>> {
    let [classic, own] = [CLASSIC, OWN].map(|file| root.at(file));
    if is_same(&own, &classic)? {
        return Ok(vec![own]);
    }
    Ok(if reads_classic(root, &classic)? { vec![classic, own] } else { vec![own, classic] })
}

/// Returns whether one of the programs is there; one that may be and cannot be looked for is an error.
fn any_exists(root: &Root, paths: &[&str]) -> Result<bool> {
    for path in paths {
        if look(&root.at(path))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns what a path leads to, nothing if that is not there.
fn look(path: &Path) -> Result<Option<Metadata>> {
    there(fs::metadata(path)).map_err(Error::path("look at", path))
}

/// Takes what is not there apart from what cannot be looked at; a link that leads round in a circle leads to nothing.
fn there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => Ok(None),
        looked => looked.map(Some),
    }
}

/// Returns whether a boot reads /etc/sysctl.conf: procps and busybox do, systemd only if a drop-in links to it.
fn reads_classic(root: &Root, classic: &Path) -> Result<bool> {
    if !any_exists(root, &SYSTEMD)? {
        return Ok(true);
    }
    for file in drop_ins(root, None)? {
        if is_same(&file, classic)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether both paths lead to one file, as one is a symbolic link to the other.
fn is_same(one: &Path, other: &Path) -> Result<bool> {
    if !is_link(one)? && !is_link(other)? {
        return Ok(false);
    }
    let led = |path: &Path| there(path.canonicalize()).map_err(Error::path("follow", path));
    let one = led(one)?;
    Ok(one.is_some() && one == led(other)?)
}

fn is_link(path: &Path) -> Result<bool> {
    let found = there(path.symlink_metadata()).map_err(Error::path("look at", path))?;
    Ok(found.is_some_and(|found| found.is_symlink()))
}

/// Returns the files of the directories in the order in which they are read, hidden ones among them; `new` is one that
/// is going to be there.
fn drop_ins(root: &Root, new: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        let directory = root.at(directory);
        let failed = || Error::path::<io::Error>("read", &directory);
        let entries = there(fs::read_dir(&directory)).map_err(failed())?.into_iter().flatten();
        let found = entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed()));
        let new = new.filter(|new| new.parent() == Some(&directory)).map(Path::to_owned);
        for path in found.chain(new.map(Ok)) {
            let path = path?;
            // As bytes: names that are no text would be one name else.
            let name = path.file_name().unwrap_or_default().to_owned();
            if name.as_encoded_bytes().ends_with(b".conf") {
                files.entry(name).or_insert(path);
            }
        }
    }
    Ok(files.into_values().collect())
}

/// Who reads the files, and which.
struct Reader {
    name: &'static str,
    /// Whether a name that is left out of patterns also loses what was assigned to it before: so does systemd's.
    forgets: bool,
    files: Vec<PathBuf>,
}

/// Returns the readers of the host at `root`, on which `new` is going to be; one without systemd boots with the other.
fn readers(root: &Root, new: &Path) -> Result<Vec<Reader>> {
    let is_hidden =
        |file: &&PathBuf| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut readers = Vec::new();
    let mut files = drop_ins(root, Some(new))?;
    let systemd = any_exists(root, &SYSTEMD)?;
    if systemd {
        let files = files.iter().filter(|file| !is_hidden(file)).cloned().collect();
        readers.push(Reader { name: "systemd-sysctl", forgets: true, files });
    }
    if !systemd || any_exists(root, &PROCPS)? {
        files.push(root.at(CLASSIC));
        readers.push(Reader { name: "sysctl --system", forgets: false, files });
    }
    Ok(readers)
}

/// A file's assignments, by the parameter's path.
type Assignments = BTreeMap<String, Vec<Line>>;

/// What a reader makes of its files.
#[derive(Default)]
struct Loaded<'a> {
    named: HashMap<&'a str, (&'a Path, &'a Line)>,
    patterns: Patterns<'a, (&'a Path, &'a Line)>,
    left_out: HashMap<&'a str, (&'a Path, &'a Line)>,
}

impl<'a> Loaded<'a> {
    fn add(&mut self, file: &'a Path, assignments: &'a Assignments, forgets: bool) {
        for (path, lines) in assignments {
            let Some(last) = lines.last() else { continue };
            if let Some(path) = path.strip_prefix('-') {
                self.left_out.insert(path, (file, last));
                if forgets {
                    self.named.remove(path);
                }
            } else if forgets && left_out_below(assignments, path, last) {
                self.named.remove(path.as_str());
            } else if !path.contains(['*', '?', '[']) {
                self.named.insert(path, (file, last));
            } else {
                self.patterns.add(path, (file, last));
            }
        }
    }

    /// Returns the file and line that decide about `key`.
    fn winner(&self, key: &Key) -> Option<(&'a Path, &'a Line)> {
        let is_left_out = self.left_out.contains_key(key.path());
        let matched = || self.patterns.last_match(key.path()).filter(|_| !is_left_out).copied();
        self.named.get(key.path()).copied().or_else(matched)
    }

    /// Returns what the person should know of `key`, which `file` sets to `text`.
    fn warning(&self, key: &Key, text: &str, file: &Path) -> Option<String> {
        Some(match self.winner(key) {
            Some((_, line)) if Setting::new(key, &line.value()) == Setting::new(key, text) => return None,
            Some((winner, line)) => overruled(key, winner, line),
            None => match self.left_out.get(key.path()) {
                Some((file, line)) => left_out(key, file, line),
                None => unread(file),
            },
        })
    }
}

/// Returns whether the same file leaves out the parameter at `path` in a line below `line`.
fn left_out_below(assignments: &Assignments, path: &str, line: &Line) -> bool {
    let out = assignments.get(&format!("-{path}")).and_then(|lines| lines.last());
    out.is_some_and(|out| out.number() > line.number())
}

/// Returns the assignments of every file that `readers` read, where `texts` has the content that files have or are going
/// to have;
/// what cannot be read is told in `warnings`.
fn parsed(
    readers: &[Reader],
    texts: &BTreeMap<&Path, Vec<u8>>,
    warnings: &mut Vec<String>,
) -> HashMap<PathBuf, Assignments> {
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
                None => text::assignments(&content(file).unwrap_or_else(|error| {
                    warnings.push(unknown(&error));
                    Vec::new()
                })),
            }
        });
    }
    parsed
}

/// Returns what a boot reads of a file: of what is no regular file, like /dev/null, nothing.
fn content(path: &Path) -> Result<Vec<u8>> {
    match look(path)? {
        Some(found) if found.is_file() => file::contents(path, file::MOST),
        _ => Ok(Vec::new()),
    }
}

/// Returns warnings about what the next boot makes of the `wanted` parameters: another file that wins over `file`, or
/// that nothing reads it. `texts` has the content that files have or are going to have.
pub(super) fn contradictions(
    root: &Root,
    file: &Path,
    texts: &BTreeMap<&Path, Vec<u8>>,
    wanted: &BTreeMap<&Key, &str>,
) -> Vec<String> {
    let readers = match readers(root, file) {
        Ok(readers) => readers,
        Err(error) => return vec![unknown(&error)],
    };
    let mut unread_files = Vec::new();
    let parsed = parsed(&readers, texts, &mut unread_files);
    let mut warnings = BTreeMap::<String, Vec<&str>>::new();
    for reader in &readers {
        let mut loaded = Loaded::default();
        for file in &reader.files {
            loaded.add(file, &parsed[file], reader.forgets);
        }
        for (key, text) in wanted {
            let Some(warning) = loaded.warning(key, text, file) else { continue };
            let names = warnings.entry(warning).or_default();
            if !names.contains(&reader.name) {
                names.push(reader.name);
            }
        }
    }
    let warnings =
        warnings.into_iter().map(|(warning, names)| format!("{warning} (by {})", names.join(" and ")));
    unread_files.into_iter().chain(warnings).collect()
}

fn unknown(error: &Error) -> String {
    format!("whether the next boot sets what was asked for is not known: {}", error.sentence())
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

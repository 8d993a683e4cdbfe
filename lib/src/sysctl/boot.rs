//! What a boot loads: who reads which files, in which order; and what the next one will do with them.
//!
//! systemd-sysctl and procps' `sysctl --system` read the same directories, but only procps reads /etc/sysctl.conf, as
//! the last file, and hidden files. In both a file masks those of its name in later directories, and files are taken in the
//! order of their names (sysctl.d(5), sysctl(8); tried).

mod outlook;
mod reader;
mod simulation;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::text::{self, Assignments};
use crate::file;
use crate::root::Root;
use crate::{Error, Result};
use reader::{Reader, Run, Syntax};

pub(super) use outlook::Wanted;

/// Where sysctl.d files are looked for, first come first served.
const DIRECTORIES: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// The file of old, which systemd reads only through a link.
const CLASSIC: &str = "/etc/sysctl.conf";

/// Our own file where the classic one would not be read.
const OWN: &str = "/etc/sysctl.d/99-lvs-host.conf";

/// Where systemd's reader is.
const SYSTEMD: [&str; 3] = [
    "/usr/lib/systemd/systemd-sysctl",
    "/lib/systemd/systemd-sysctl",
    // NixOS has no programs in those.
    "/run/current-system/systemd/lib/systemd/systemd-sysctl",
];

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
    merged(root, &DIRECTORIES, new)
}

/// Returns the files of some directories in the order of their names; of one name the first counts.
fn merged(root: &Root, directories: &[&str], new: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    for directory in directories {
        for path in drop_ins_of(&root.at(directory), new)? {
            files.entry(path.file_name().unwrap_or_default().to_owned()).or_insert(path);
        }
    }
    Ok(files.into_values().collect())
}

/// Returns those of one directory, in the order of their names.
fn drop_ins_of(directory: &Path, new: Option<&Path>) -> Result<BTreeSet<PathBuf>> {
    let failed = || Error::path::<io::Error>("read", directory);
    let mut files = BTreeSet::new();
    for entry in there(fs::read_dir(directory)).map_err(failed())?.into_iter().flatten() {
        files.insert(entry.map_err(failed())?.path());
    }
    files.extend(new.filter(|new| new.parent() == Some(directory)).map(Path::to_owned));
    // As bytes: names that are no text would be one name else.
    files.retain(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".conf")));
    Ok(files)
}

/// What a boot of this host reads, but for the files that the task manages.
#[derive(Debug)]
pub(super) struct Boot {
    readers: Vec<Reader>,
    /// Each file that is read: what it assigns, or which of the managed ones it is.
    files: HashMap<PathBuf, Source>,
    /// What could not be read, and what the file that is going to be there masks.
    warnings: Vec<String>,
}

/// Where the assignments of a file are.
#[derive(Debug)]
enum Source {
    /// In the managed file of this place.
    Managed(usize),
    Other(Assignments),
}

impl Boot {
    /// Finds what the host at `root` reads once there are the `managed` files, the first of which is written.
    pub(super) fn find(root: &Root, managed: &[Rc<Path>]) -> Self {
        let mut boot = Self { readers: Vec::new(), files: HashMap::new(), warnings: Vec::new() };
        let Some(new) = managed.first() else { return boot };
        match readers(root, new) {
            Ok(readers) => boot.readers = readers,
            Err(error) => boot.warnings.push(unknown(&error)),
        }
        // One file may have several names.
        let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        let identities: Vec<_> = managed.iter().map(|path| identity(path)).collect();
        for file in boot.readers.iter().flat_map(|reader| &reader.runs).flat_map(|run| &run.files) {
            if boot.files.contains_key(file) {
                continue;
            }
            let id = identity(file);
            let is_same =
                |place: &usize| *managed[*place] == **file || (id.is_some() && identities[*place] == id);
            let source = match (0..managed.len()).find(is_same) {
                Some(place) => Source::Managed(place),
                None => Source::Other(text::assignments(&content(file).unwrap_or_else(|error| {
                    boot.warnings.push(unknown(&error));
                    Vec::new()
                }))),
            };
            boot.files.insert(file.clone(), source);
        }
        match by_openrc(root) {
            Ok(warning) => boot.warnings.extend(warning),
            Err(error) => boot.warnings.push(unknown(&error)),
        }
        boot.warnings.extend(masked(root, new));
        boot
    }
}

/// Returns what a boot reads of a file: of what is no regular file, like /dev/null, nothing.
fn content(path: &Path) -> Result<Vec<u8>> {
    match look(path)? {
        Some(found) if found.is_file() => file::contents(path, file::MOST),
        _ => Ok(Vec::new()),
    }
}

/// Returns the readers of the host at `root`, on which `new` is going to be; one without systemd boots with the other.
fn readers(root: &Root, new: &Path) -> Result<Vec<Reader>> {
    let mut readers = Vec::new();
    let mut files = drop_ins(root, Some(new))?;
    let systemd = any_exists(root, &SYSTEMD)?;
    if systemd {
        let visible = files.iter().filter(|file| !is_hidden(file)).cloned().collect();
        readers.push(Reader::new("systemd-sysctl", Syntax::Systemd, visible));
    }
    if is_busybox(root) {
        let files = if is_openwrt(root)? { of_openwrt(root, new)? } else { of_alpine(root, new)? };
        readers.push(Reader::new("BusyBox's sysctl", Syntax::Busybox, files));
    } else if !systemd || any_exists(root, &PROCPS)? {
        files.push(root.at(CLASSIC));
        readers.push(Reader::new("sysctl --system", Syntax::Procps, files));
    }
    let files = of_tuned(root, new)?;
    if !files.is_empty() {
        let run = Run { syntax: Syntax::Busybox, files };
        readers.iter_mut().for_each(|reader| reader.runs.push(run.clone()));
    }
    if let Some(file) = file_of_ufw(root)? {
        // ufw loads it when it starts, after all else.
        let run = Run { syntax: Syntax::Procps, files: vec![file] };
        readers.iter_mut().for_each(|reader| reader.runs.push(run.clone()));
    }
    Ok(readers)
}

fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Returns the files in the order in which Alpine's service gives them to BusyBox's sysctl: one directory after the other, a file
/// only if a later one has none of its name (aports, main/openrc/sysctl.initd).
fn of_alpine(root: &Root, new: &Path) -> Result<Vec<PathBuf>> {
    let [vendor, own, run] =
        [&["/lib/sysctl.d", "/usr/lib/sysctl.d"][..], &["/etc/sysctl.d"], &["/run/sysctl.d"]];
    let mut files = Vec::new();
    for (directories, hiding) in [(vendor, &[own[0], run[0]][..]), (own, &run[..1])] {
        for directory in directories {
            for file in drop_ins_of(&root.at(directory), Some(new))? {
                let name = file.file_name().unwrap_or_default();
                let is_below = |other: &&str| root.at(other).join(name);
                let hides = hiding.iter().any(|other| is_below(other) == *new || is_below(other).is_file());
                files.extend((!hides && !is_hidden(&file)).then_some(file));
            }
        }
    }
    files.push(root.at(CLASSIC));
    files.extend(drop_ins_of(&root.at(run[0]), Some(new))?.into_iter().filter(|file| !is_hidden(file)));
    Ok(files)
}

/// Returns whether the host at `root` is one of OpenWrt.
fn is_openwrt(root: &Root) -> Result<bool> {
    any_exists(root, &["/etc/openwrt_release"])
}

/// Returns the files that OpenWrt's service gives to BusyBox's sysctl (package/base-files/files/etc/init.d/sysctl).
fn of_openwrt(root: &Root, new: &Path) -> Result<Vec<PathBuf>> {
    let files = drop_ins_of(&root.at("/etc/sysctl.d"), Some(new))?;
    let visible = files.into_iter().filter(|file| !is_hidden(file));
    Ok(visible.chain([root.at(CLASSIC)]).collect())
}

/// Returns a warning if the boot of the host at `root` is that of OpenRC itself, which without procps takes the files apart by sed and
/// read (init.d/sysctl.in, `BSD_sysctl`); Alpine has a service of its own.
fn by_openrc(root: &Root) -> Result<Option<String>> {
    let service = root.at("/etc/init.d/sysctl");
    let is_it = is_busybox(root) && content(&service)?.windows(10).any(|word| word == b"BSD_sysctl");
    Ok(is_it.then(|| {
        format!(
            "the next boot may set less than what was asked for: {}, which is OpenRC's own, takes /etc/sysctl.conf first, only the first word of a value, and no name with - before; install procps",
            service.display()
        )
    }))
}

/// Returns whether a boot of the host at `root` knows names and no patterns, as that of BusyBox alone does.
pub(super) fn takes_names(root: &Root) -> Result<bool> {
    Ok(is_busybox(root) && !any_exists(root, &SYSTEMD)?)
}

/// Returns whether the host's sysctl is BusyBox's.
fn is_busybox(root: &Root) -> bool {
    PROCPS.iter().any(|path| {
        let target = fs::read_link(root.at(path)).unwrap_or_default();
        target.file_name().is_some_and(|name| name == OsStr::new("busybox"))
    })
}

/// Returns the files that TuneD reads behind its profile, if it has one and is not told otherwise: it takes names alone, and the
/// file of old last (tuned/plugins/plugin_sysctl.py, `_apply_system_sysctl`).
fn of_tuned(root: &Root, new: &Path) -> Result<Vec<PathBuf>> {
    let has_profile = !content(&root.at("/etc/tuned/active_profile"))?.trim_ascii().is_empty();
    let options = text::assignments(&content(&root.at("/etc/tuned/tuned-main.conf"))?);
    let reapply =
        options.get("reapply_sysctl").and_then(|lines| lines.last()).map(|line| line.value().to_lowercase());
    if !has_profile || reapply.is_some_and(|word| ["0", "false", "no", "off", "n", "f"].contains(&&*word)) {
        return Ok(Vec::new());
    }
    let mut files = merged(root, &["/run/sysctl.d", "/etc/sysctl.d"], Some(new))?;
    files.push(root.at(CLASSIC));
    Ok(files)
}

/// Returns the file of parameters that ufw loads, if ufw is enabled (ufw-framework(8)).
fn file_of_ufw(root: &Root) -> Result<Option<PathBuf>> {
    let enabled = content(&root.at("/etc/ufw/ufw.conf"))?;
    let is_enabled = enabled
        .split(|&byte| byte == b'\n')
        .any(|line| line.trim_ascii().eq_ignore_ascii_case(b"ENABLED=yes"));
    let file = root.at("/etc/ufw/sysctl.conf");
    Ok((is_enabled && look(&file)?.is_some()).then_some(file))
}

/// Returns a warning if the file `new`, which is not there yet, hides one of its name in a later directory.
fn masked(root: &Root, new: &Path) -> Option<String> {
    let mut directories = DIRECTORIES.iter().map(|directory| root.at(directory));
    directories.find(|directory| new.parent() == Some(directory))?;
    let hidden = directories.map(|directory| directory.join(new.file_name().unwrap_or_default()));
    let is_new = new.symlink_metadata().is_err();
    let has_lines =
        |file: &PathBuf| content(file).is_ok_and(|content| !text::assignments(&content).is_empty());
    let hidden = hidden.filter(|_| is_new).find(has_lines)?;
    Some(format!(
        "no boot reads {} any more, as {} has the same name; use another name, unless that is meant",
        hidden.display(),
        new.display()
    ))
}

fn unknown(error: &Error) -> String {
    format!("whether the next boot sets what was asked for is not known: {}", error.sentence())
}

//! What a boot loads.

use std::fs;
use std::path::{Path, PathBuf};

use super::inside;

/// Where sysctl.d files are looked for, first come first served (sysctl.d(5)).
const DIRECTORIES: [&str; 4] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];

/// The file of old, which systemd reads only through a link.
const CLASSIC: &str = "/etc/sysctl.conf";

/// Our own file where the classic one would not be read.
const OWN: &str = "/etc/sysctl.d/99-lvs-host.conf";

/// Returns the file to write on the host at `root` when the task names none, then the one that must not contradict it.
pub(super) fn default_files(root: &Path) -> Vec<PathBuf> {
    let [classic, own] = [CLASSIC, OWN].map(|file| inside(root, Path::new(file)));
    if reads_classic(root, &classic) { vec![classic, own] } else { vec![own, classic] }
}

/// Returns whether a boot reads /etc/sysctl.conf: procps and busybox do, systemd only if a drop-in links to it.
fn reads_classic(root: &Path, classic: &Path) -> bool {
    let systemd = ["/usr/lib/systemd/systemd-sysctl", "/lib/systemd/systemd-sysctl"];
    if !systemd.iter().any(|program| inside(root, Path::new(program)).exists()) {
        return true;
    }
    DIRECTORIES.iter().any(|directory| links_to(&inside(root, Path::new(directory)), classic))
}

fn links_to(directory: &Path, file: &Path) -> bool {
    let (Ok(entries), Ok(file)) = (fs::read_dir(directory), file.canonicalize()) else {
        return false;
    };
    entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "conf"))
        .any(|entry| entry.path().canonicalize().is_ok_and(|path| path == file))
}

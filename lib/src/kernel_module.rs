//! Modules of the kernel: whether it has one, and how one is loaded.

use std::fs;
use std::process::{Command, Stdio};

use crate::root::Root;

/// Returns whether the kernel has the module `name`, loaded, built in or in a file; nothing where nobody can tell, as in a
/// container.
pub(crate) fn is_available(root: &Root, name: &str) -> Option<bool> {
    if root.at("/sys/module").join(name).exists() {
        return Some(true);
    }
    let release = fs::read_to_string(root.at("/proc/sys/kernel/osrelease")).ok()?;
    let directory = root.at("/lib/modules").join(release.trim_end());
    // Of a module, or of what it is packed with: /ip_vs_rr.ko.xz (modules.dep(5)).
    let file = format!("/{name}.ko");
    let lists = |list| Some(fs::read_to_string(directory.join(list)).ok()?.replace('-', "_").contains(&file));
    Some(lists("modules.dep")? || lists("modules.builtin").unwrap_or(false))
}

/// Loads a module as the kernel does when it needs one (/proc/sys/kernel/modprobe); returns what that said.
pub(crate) fn load(root: &Root, name: &str) -> String {
    let path = fs::read_to_string(root.at("/proc/sys/kernel/modprobe")).unwrap_or_default();
    let mut modprobe = Command::new(path.trim_end());
    match modprobe.arg(name).stdin(Stdio::null()).output() {
        Err(_) => String::new(),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
    }
}

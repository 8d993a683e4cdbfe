//! The kernel's side: which modules it has, and how one is loaded and removed.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};

use crate::root::Root;

/// The kernel unpacks the file (linux/module.h, MODULE_INIT_COMPRESSED_FILE; Linux 5.17).
const COMPRESSED_FILE: u32 = 4;

/// Returns the directory of the modules of the kernel that runs.
pub(super) fn directory(root: &Root) -> Option<PathBuf> {
    let release = fs::read_to_string(root.at("/proc/sys/kernel/osrelease")).ok()?;
    Some(root.at("/lib/modules").join(release.trim_end()))
}

/// Returns whether the kernel has the module `name`, loaded, built in or in a file; nothing where nobody can tell, as in a
/// container.
pub(crate) fn is_available(root: &Root, name: &str) -> Option<bool> {
    if root.at("/sys/module").join(name).exists() {
        return Some(true);
    }
    let dependencies = fs::read_to_string(directory(root)?.join("modules.dep")).ok()?;
    Some(line_of(&dependencies, name).is_some() || is_built_in(root, name))
}

/// Returns whether the module is a part of the kernel itself.
pub(super) fn is_built_in(root: &Root, name: &str) -> bool {
    let list =
        directory(root).and_then(|directory| fs::read_to_string(directory.join("modules.builtin")).ok());
    list.is_some_and(|list| line_of(&list, name).is_some())
}

/// Returns the line about a module, `kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: DEPENDENCIES` (modules.dep(5)).
fn line_of<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let is_its = |line: &&str| {
        let file = line.split(':').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        file.split('.').next().is_some_and(|stem| stem.replace('-', "_") == name)
    };
    list.lines().find(is_its)
}

/// Loads a module with what it depends on, as the kernel does when it needs one (/proc/sys/kernel/modprobe), or by itself where there is
/// no such program; returns why it could not.
pub(crate) fn load(root: &Root, name: &str, parameters: &[String]) -> Result<(), String> {
    let path = fs::read_to_string(root.at("/proc/sys/kernel/modprobe")).unwrap_or_default();
    let mut modprobe = Command::new(path.trim_end());
    match modprobe.arg(name).args(parameters).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            load_files(root, name, parameters).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn load_files(root: &Root, name: &str, parameters: &[String]) -> io::Result<()> {
    let directory = directory(root).ok_or(ErrorKind::NotFound)?;
    let list = fs::read_to_string(directory.join("modules.dep"))?;
    let line = line_of(&list, name).ok_or(ErrorKind::NotFound)?;
    // The last one depends on none of the others.
    for file in line.replace(':', " ").split_whitespace().rev() {
        let is_it = line.starts_with(file);
        let words = CString::new(if is_it { parameters.join(" ") } else { String::new() })?;
        let flags = if file.ends_with(".ko") { 0 } else { COMPRESSED_FILE };
        let file = File::open(directory.join(file))?;
        match finit_module(&file, &words, ModuleInitFlags::from_bits_retain(flags)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Returns the modules that are loaded, the newest first (/proc/modules).
pub(super) fn loaded(root: &Root) -> Vec<String> {
    let list = fs::read_to_string(root.at("/proc/modules")).unwrap_or_default();
    list.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Removes a module that nothing uses; returns why it could not.
pub(super) fn unload(name: &str) -> io::Result<()> {
    Ok(delete_module(&CString::new(name)?, DeleteModuleFlags::O_NONBLOCK)?)
}

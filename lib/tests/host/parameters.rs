//! A host of the test's own for kernel parameters: the real /proc, an /etc in a directory.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lvs_host::Report;
use lvs_host::sysctl::{Sysctl, Task};
use serde_json::Value;
use tempfile::TempDir;

use crate::host::{Run, apply_by_the_laws, enter_network, fail_by_the_laws, files, task};

/// The real kernel in a network namespace of its own, and an /etc of its own.
pub(crate) struct Host {
    root: TempDir,
}

#[allow(dead_code, reason = "not every test binary uses all of it")]
impl Host {
    pub(crate) fn new() -> Self {
        enter_network();
        Self::of_this_network()
    }

    /// Returns one with the network that the test is in.
    pub(crate) fn of_this_network() -> Self {
        let root = TempDir::new().unwrap();
        symlink("/proc", root.path().join("proc")).unwrap();
        fs::create_dir_all(root.path().join("etc/sysctl.d")).unwrap();
        Self { root }
    }

    /// Returns a host that boots with systemd, which reads /etc/sysctl.conf only through a link.
    pub(crate) fn with_systemd() -> Self {
        let host = Self::new();
        host.write("usr/lib/systemd/systemd-sysctl", "");
        host
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Writes a file, with the directories above it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// Returns all of the files and of the parameters that a test may change.
    pub(crate) fn look(&self) -> String {
        let parameters = ["net/ipv4/conf", "net/ipv4/neigh", "net/ipv6/conf"]
            .map(|path| directory(Path::new("/proc/sys").join(path)));
        let single =
            ["ip_forward", "ip_default_ttl", "tcp_rmem", "ip_local_reserved_ports", "ping_group_range"];
        let single = single.map(|name| kernel(&format!("net/ipv4/{name}")));
        format!("{}\n{}\n{}", parameters.join("\n"), single.join("\n"), files(&self.path("etc")))
    }

    pub(crate) fn sysctl(&self, arguments: Value) -> Run<Task> {
        task(arguments).under(self.root.path())
    }

    /// Applies a task by the laws of every resource; returns whether anything changed.
    pub(crate) fn apply(&self, arguments: Value) -> bool {
        !self.report(arguments).plan.is_empty()
    }

    pub(crate) fn report(&self, arguments: Value) -> Report<Sysctl> {
        apply_by_the_laws(&self.sysctl(arguments), || self.look())
    }

    /// Applies a task that must fail and leave everything as it was; check mode must refuse what can be read.
    pub(crate) fn refuse(&self, arguments: Value) -> String {
        fail_by_the_laws(&self.sysctl(arguments), || self.look())
    }

    /// Applies a task that check mode must refuse already.
    pub(crate) fn refuse_in_check(&self, arguments: Value) -> String {
        let error = self.sysctl(arguments.clone()).check().err().expect("check must fail").sentence();
        assert_eq!(self.refuse(arguments), error);
        error
    }
}

/// Returns why a task is refused before it looks at the host.
#[allow(dead_code, reason = "not every test binary uses it")]
pub(crate) fn refuse_arguments(arguments: Value) -> String {
    serde_json::from_value::<Task>(arguments).unwrap_err().to_string()
}

/// Returns the kernel's value of a parameter.
pub(crate) fn kernel(path: &str) -> String {
    // In one read, as a long list is lost beyond the first.
    let mut text = vec![0; 1 << 18];
    let file = fs::File::open(Path::new("/proc/sys").join(path)).unwrap();
    let length = (&file).read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..length]).trim().to_owned()
}

/// Sets a parameter by other means.
#[allow(dead_code, reason = "not every test binary uses it")]
pub(crate) fn set(path: &str, value: &str) {
    fs::write(Path::new("/proc/sys").join(path), value).unwrap();
}

/// Returns every parameter below `path` that can be read.
fn directory(path: PathBuf) -> String {
    let mut lines = Vec::new();
    for entry in fs::read_dir(path).unwrap().flatten() {
        match fs::read_to_string(entry.path()) {
            Ok(value) => lines.push(format!("{} {value}", entry.path().display())),
            Err(_) if entry.path().is_dir() => lines.push(directory(entry.path())),
            Err(_) => {}
        }
    }
    lines.sort();
    lines.join("")
}

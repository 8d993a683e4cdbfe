//! A host of the test's own: a network namespace for its thread, a directory for its files.

use std::path::Path;
use std::process::Command;

use lvs_host::{Mode, Report, Resource, Result, Root, Task, engine};
use serde_json::{Map, Value};

/// A task, and the host on which it is carried out; each run opens it anew.
#[derive(Clone)]
pub(crate) struct Run<T> {
    pub(crate) task: T,
    pub(crate) root: Root,
}

#[allow(dead_code, reason = "not every test binary uses all of it")]
impl<T: Task + Clone> Run<T> {
    /// Returns the same task on a host whose root directory is `root`.
    pub(crate) fn under(self, root: &Path) -> Self {
        Self { root: Root::new(root), ..self }
    }

    pub(crate) fn open(&self, mode: Mode) -> Result<T::Resource> {
        self.task.clone().open(mode, &self.root)
    }

    pub(crate) fn check(&self) -> Result<Report<T::Resource>> {
        engine::check(&mut self.open(Mode::Check)?)
    }

    pub(crate) fn apply(&self) -> Result<Report<T::Resource>> {
        engine::apply(&mut self.open(Mode::Apply)?)
    }

    /// Returns what the answer of a run has besides what changed.
    pub(crate) fn remarks(&self, mode: Mode) -> Map<String, Value> {
        let mut resource = self.open(mode).unwrap();
        let run = if mode == Mode::Check { engine::check } else { engine::apply };
        let report = run(&mut resource).unwrap();
        resource.remarks(&report)
    }
}

#[allow(dead_code, reason = "not every test binary uses it")]
/// Gives the calling thread a network namespace of its own with the interface v0, which has a carrier, and lo.
pub(crate) fn enter_network() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    ip("link set lo up");
    ip("link add v0 type veth peer name v0-far");
    ip("link set v0-far up");
    ip("link set v0 up");
}

/// Runs ip(8) with the words of `arguments`; returns what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the task that arguments describe, on this host.
pub(crate) fn task<T: Task>(arguments: Value) -> Run<T> {
    Run { task: serde_json::from_value(arguments).unwrap(), root: Root::default() }
}

#[allow(dead_code, reason = "not every test binary uses it")]
/// Applies a task as every one must let itself be applied: check first, which changes nothing and predicts
/// the plan; then apply; then once more, which changes nothing. `look` shows the host to other eyes.
pub(crate) fn apply_by_the_laws<T: Task + Clone>(
    task: &Run<T>,
    look: impl Fn() -> String,
) -> Report<T::Resource> {
    let before = look();
    let checked = task.check().unwrap();
    assert_eq!(look(), before, "check changed the host");
    let applied = task.apply().unwrap();
    assert_eq!(applied.plan, checked.plan, "apply did what check had not said");
    let after = look();
    assert_eq!(before == after, applied.plan.is_empty(), "changed is not what happened:\n{before}\n{after}");
    assert!(task.apply().unwrap().plan.is_empty(), "a second apply changed something");
    assert_eq!(look(), after, "a second apply changed the host");
    applied
}

/// Applies a task that must fail and leave the host as it was; returns the sentence.
pub(crate) fn fail_by_the_laws<T: Task + Clone>(task: &Run<T>, look: impl Fn() -> String) -> String {
    let before = look();
    let error = task.apply().err().expect("this must fail");
    assert_eq!(look(), before, "a failure left changes");
    assert!(!error.left_changes());
    error.sentence()
}

/// Returns every file below `directory` with its content, inode and time of change.
#[allow(dead_code, reason = "not every test binary has files")]
pub(crate) fn files(directory: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines.push(format!("{}\n{}", path.display(), files(&path)));
        } else {
            let (meta, text) = (path.symlink_metadata().unwrap(), std::fs::read(&path).unwrap_or_default());
            let text = String::from_utf8_lossy(&text);
            lines.push(format!(
                "{} {} {}.{} {text:?}",
                path.display(),
                meta.ino(),
                meta.mtime(),
                meta.mtime_nsec()
            ));
        }
    }
    lines.sort();
    lines.join("\n")
}

/// Ends a test that changes all of its machine, unless that is a guest.
#[allow(dead_code, reason = "not every test binary uses it")]
pub(crate) fn only_in_a_guest() {
    assert!(Path::new("/payload/program").exists(), "this runs in a guest alone: make guests");
}

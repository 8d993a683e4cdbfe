//! The binary that keeps an alias for the next boot while the world fails: killed at any instant, each system call
//! refused once. The manager is ifupdown, which has the most to write.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;

use host::enter_host;
use host::traced::Traced;
use serde_json::{Value, json};

const MODULE: &str = env!("CARGO_BIN_EXE_interface_alias");
const FILE: &str = "/etc/network/interfaces.d/lvs-host-v0";
const STATE: &str = "/run/network/ifstate";
const STATE_BEFORE: &str = "lo=lo\nv0=v0\n";

/// Gives the calling thread a host that ifupdown has brought up.
fn enter() {
    enter_host();
    for directory in ["/etc/network", "/run/network"] {
        fs::create_dir_all(directory).unwrap();
        let mount = ["--no-mtab", "-t", "tmpfs", "network", directory];
        assert!(Command::new("mount").args(mount).status().unwrap().success());
    }
    fs::create_dir("/etc/network/interfaces.d").unwrap();
    fs::write(
        "/etc/network/interfaces",
        "auto v0\nsource /etc/network/interfaces.d/*\niface v0 inet manual\n",
    )
    .unwrap();
}

/// Everything that the task may change: the address, our file, ifupdown's state and the state of the alias.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    address: bool,
    file: Option<String>,
    state: String,
    alias: Option<String>,
}

impl Seen {
    fn now() -> Self {
        let ip = Command::new("ip").args(["-oneline", "address", "show", "dev", "v0"]).output().unwrap();
        Self {
            address: String::from_utf8_lossy(&ip.stdout).contains("192.0.2.10/32 scope global v0:1"),
            file: fs::read_to_string(FILE).ok(),
            state: fs::read_to_string(STATE).unwrap(),
            alias: fs::read_to_string("/run/network/ifstate.v0:1").ok(),
        }
    }

    /// Puts the host into the state before the task.
    fn reset() -> Self {
        let _ = Command::new("ip").args(["-4", "address", "flush", "dev", "v0"]).status();
        for path in [FILE, "/run/network/ifstate.v0:1"] {
            let _ = fs::remove_file(path);
        }
        fs::write(STATE, STATE_BEFORE).unwrap();
        fs::write("/run/network/ifstate.v0", "v0\n").unwrap();
        let before = Self { address: false, file: None, state: STATE_BEFORE.into(), alias: None };
        assert_eq!(Self::now(), before);
        before
    }
}

fn task() -> Traced {
    task_to("present")
}

/// Returns the task that has the alias present or absent.
fn task_to(state: &str) -> Traced {
    let task = json!({"name": "v0:1", "address": "192.0.2.10/32", "persist": "auto", "state": state});
    Traced { binary: MODULE, task: task.to_string() }
}

/// Carries the task out and returns what is there then.
fn completed() -> Seen {
    let output = task().run(&["-e", "trace=none"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Seen::now()
}

fn drafts() -> Vec<String> {
    let entries = ["/etc/network/interfaces.d", "/run/network"].map(|path| fs::read_dir(path).unwrap());
    let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("draft")).collect()
}

#[test]
fn killed_at_any_instant_each_file_is_old_or_new_and_the_next_run_finishes() {
    enter();
    let before = Seen::reset();
    let after = completed();
    assert!(after.address && after.file.is_some() && after.alias.is_some() && after.state != before.state);
    task().each_kill(
        || drop(Seen::reset()),
        |call| {
            let left = Seen::now();
            assert!([&before.file, &after.file].contains(&&left.file), "{call}: {left:?}");
            assert!([&before.state, &after.state].contains(&&left.state), "{call}: {left:?}");
            assert!([&before.alias, &after.alias].contains(&&left.alias), "{call}: {left:?}");
            assert!(
                left.address || left.file.is_none(),
                "{call}: stored, though the kernel has not taken it"
            );
            assert_eq!(completed(), after, "{call}");
            assert_eq!(drafts(), [""; 0], "{call}");
        },
    );
}

#[test]
fn a_removal_that_is_killed_at_any_instant_is_finished_by_the_next() {
    enter();
    let before = Seen::reset();
    let lefts = RefCell::new(Vec::new());
    task_to("absent").each_kill(
        || {
            Seen::reset();
            completed();
        },
        |call| {
            let left = Seen::now();
            assert!(left.address || left.file.is_none(), "{call}: {left:?}");
            let output = task_to("absent").run(&["-e", "trace=none"]);
            assert!(output.status.success(), "{call}: {}", String::from_utf8_lossy(&output.stdout));
            assert_eq!(Seen::now(), before, "{call}, which left {left:?}");
            assert_eq!(drafts(), [""; 0], "{call}");
            if !lefts.borrow().contains(&left) {
                lefts.borrow_mut().push(left);
            }
        },
    );
    assert!(lefts.borrow().len() > 3, "{lefts:?}");
}

/// Whichever call fails, once, the answer is true: success means that all is set, failure that nothing is.
#[test]
fn whatever_system_call_fails_the_answer_is_true() {
    enter();
    let before = Seen::reset();
    let after = completed();
    let calls = [
        "openat",
        "read",
        "write",
        "fsync",
        "renameat",
        "statx",
        "fstat",
        "newfstatat",
        "fchmod",
        "unlinkat",
        "fcntl",
    ];
    let mut failures = 0;
    let reset = || drop(Seen::reset());
    task().each_refusal(&calls, &["EIO", "ENOSPC"], reset, |output, case| {
        let refused = case.lines().find(|line| line.contains("(INJECTED)")).unwrap();
        // What tokio writes to wake itself cannot fail.
        if refused.starts_with("write(") && !refused.contains("lvs-host-draft") {
            return;
        }
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let failed = answer["failed"] == json!(true);
        if answer.is_null() {
            assert!(!output.status.success(), "{case}");
        } else {
            assert_eq!(Seen::now(), if failed { before.clone() } else { after.clone() }, "{case}\n{answer}");
            assert!(!failed || answer["changed"] == json!(false), "{case}\n{answer}");
        }
        failures += u32::from(failed);
    });
    assert!(failures > 20, "{failures} failures are few");
    assert!(Path::new(FILE).parent().unwrap().exists());
}

//! A binary under strace(1), which kills it or refuses what it asks of the kernel.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// How many calls of one kind are refused or killed at; a task has fewer.
const MOST: usize = 500;

/// System calls that change something, or after which the task would.
const CHANGES: [&str; 16] = [
    "openat",
    "write",
    "pwrite64",
    "renameat",
    "renameat2",
    "linkat",
    "unlinkat",
    "mkdirat",
    "ftruncate",
    "fchmod",
    "fchown",
    "fsetxattr",
    "fsync",
    "flock",
    "sendto",
    "recvfrom",
];

/// Runs a command with `input` on its standard input, and returns what came of it.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A binary and its task.
pub(crate) struct Traced {
    pub(crate) binary: &'static str,
    pub(crate) task: String,
}

impl Traced {
    /// Runs the task under strace with these options; strace's own output goes to standard error.
    pub(crate) fn run(&self, options: &[&str]) -> Output {
        run(Command::new("strace").args(options).arg(self.binary), &self.task)
    }

    /// Kills the task before each system call that may change something, one kind after the other, as strace(1) counts each kind by itself.
    /// Each run starts on what `reset` makes; `look` sees what is left.
    pub(crate) fn each_kill(&self, reset: impl Fn(), look: impl Fn(&str)) {
        let mut kills = 0;
        for call in CHANGES {
            let is_through = |number| {
                reset();
                let inject = format!("inject={call}:signal=SIGKILL:when={number}");
                let is_through =
                    self.run(&["-f", "-e", &format!("trace={call}"), "-e", &inject]).status.success();
                look(&format!("{call} {number}"));
                kills += u32::from(!is_through);
                is_through
            };
            assert!((1..MOST).any(is_through), "the task has more than {MOST} calls of {call}");
        }
        assert!(kills > 20, "{kills} kills are few");
    }

    /// Refuses each of these system calls once, with each of these errors. Each run starts on what `reset` makes; `look` sees its output and
    /// what was refused, with all calls of that kind.
    pub(crate) fn each_refusal(
        &self,
        calls: &[&str],
        errors: &[&str],
        reset: impl Fn(),
        mut look: impl FnMut(&Output, &str),
    ) {
        for (call, error) in calls.iter().flat_map(|call| errors.iter().map(move |error| (call, error))) {
            for number in 1..MOST {
                reset();
                let inject = format!("inject={call}:error={error}:when={number}");
                let output = self.run(&["-qq", "-y", "-e", &format!("trace={call}"), "-e", &inject]);
                let trace = String::from_utf8_lossy(&output.stderr);
                if !trace.contains("(INJECTED)") {
                    break;
                }
                look(&output, &format!("{call} {number}: {error}\n{trace}"));
            }
        }
    }
}

//! The binary while the world fails: killed at any instant, each system call refused once, watched by strace.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use host::enter_host;
use host::traced::Traced;
use serde_json::{Value, json};

const SYSCTL: &str = env!("CARGO_BIN_EXE_sysctl");
const FILE: &str = "/etc/sysctl.d/50-fault.conf";
const OLD: &str = "# mine\nnet.ipv4.ip_default_ttl = 63\n";
const NEW: &str = "# mine\nnet.ipv4.ip_default_ttl = 65\nnet.ipv4.conf.v0.rp_filter=2\n";

/// Everything that the task may change: the two parameters and the file.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    parameters: [String; 2],
    file: String,
}

impl Seen {
    fn now() -> Self {
        let paths = ["net/ipv4/ip_default_ttl", "net/ipv4/conf/v0/rp_filter"];
        let parameters =
            paths.map(|path| fs::read_to_string(format!("/proc/sys/{path}")).unwrap().trim().to_owned());
        Self { parameters, file: fs::read_to_string(FILE).unwrap() }
    }

    fn before() -> Self {
        Self { parameters: ["64".into(), "0".into()], file: OLD.into() }
    }

    fn after() -> Self {
        Self { parameters: ["65".into(), "2".into()], file: NEW.into() }
    }

    /// Puts the host into the state before the task.
    fn reset() {
        fs::write("/proc/sys/net/ipv4/ip_default_ttl", "64").unwrap();
        fs::write("/proc/sys/net/ipv4/conf/v0/rp_filter", "0").unwrap();
        fs::write(FILE, OLD).unwrap();
        assert_eq!(Self::now(), Self::before());
    }
}

fn task() -> Traced {
    let settings = json!({"net.ipv4.ip_default_ttl": 65, "net.ipv4.conf.v0.rp_filter": 2});
    Traced { binary: SYSCTL, task: json!({"settings": settings, "sysctl_file": FILE}).to_string() }
}

fn trace(options: &[&str]) -> Vec<String> {
    let output = task().run(options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).unwrap().lines().map(ToOwned::to_owned).collect()
}

fn leftovers() -> Vec<String> {
    let names =
        fs::read_dir("/etc/sysctl.d").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !FILE.ends_with(name.as_str())).collect()
}

#[test]
fn a_file_is_on_the_disk_before_it_takes_the_old_ones_place_and_the_directory_after() {
    enter_host();
    Seen::reset();
    let calls = trace(&["-y", "-e", "trace=fsync,rename,renameat,renameat2"]);
    let at = |call: &str, path: &str| {
        calls.iter().position(|line| line.starts_with(call) && line.contains(path)).unwrap()
    };
    let draft = at("fsync", ".lvs-host-draft>");
    let rename = at("rename", "\"50-fault.conf\"");
    let directory = at("fsync", "/etc/sysctl.d>");
    assert!(draft < rename && rename < directory, "{calls:#?}");
}

#[test]
fn a_parameter_is_written_in_one_write_and_only_if_it_differs() {
    enter_host();
    Seen::reset();
    let writes = |calls: Vec<String>| {
        calls.into_iter().filter(|line| line.contains("</proc/sys/")).collect::<Vec<_>>()
    };
    let first = writes(trace(&["-y", "-e", "trace=write"]));
    assert_eq!(first.len(), 2, "{first:#?}");
    assert!(first.iter().any(|line| line.contains("\"65\\n\", 3) = 3")), "{first:#?}");
    assert!(writes(trace(&["-y", "-e", "trace=write"])).is_empty());
}

/// The default is to look into two files, and only one of them changes.
#[test]
fn the_kernels_directory_and_a_file_that_stays_are_opened_once() {
    enter_host();
    Seen::reset();
    fs::OpenOptions::new().create(true).append(true).open("/etc/sysctl.conf").unwrap();
    let task = json!({"name": "net.ipv4.ip_default_ttl", "value": 65}).to_string();
    let output = Traced { binary: SYSCTL, task }.run(&["-e", "trace=open,openat,openat2"]);
    let calls = String::from_utf8(output.stderr).unwrap();
    let count = |name: &str| calls.lines().filter(|line| line.contains(name)).count();
    assert_eq!(Seen::now().parameters[0], "65", "{calls}");
    assert_eq!((count("\"/proc/sys\""), count("sysctl.conf\"")), (1, 1), "{calls}");
}

#[test]
fn no_other_program_is_run() {
    enter_host();
    Seen::reset();
    let calls = trace(&["-f", "-e", "trace=execve,fork,vfork,clone,clone3"]);
    let calls: Vec<_> = calls.iter().filter(|line| !line.starts_with("+++")).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
}

/// A run that is killed leaves the old file or the new one, whole, and nothing that a boot would read; and the next
/// run finishes what it left.
#[test]
fn killed_at_any_instant_the_file_is_old_or_new_and_the_next_run_finishes() {
    enter_host();
    task().each_kill(Seen::reset, |call| {
        let file = Seen::now().file;
        assert!(file == OLD || file == NEW, "{call}: {file:?}");
        assert!(leftovers().iter().all(|name| !name.ends_with(".conf")), "{call}: {:?}", leftovers());
        trace(&["-e", "trace=none"]);
        assert_eq!(Seen::now(), Seen::after(), "{call}");
        assert_eq!(leftovers(), [""; 0], "{call}");
    });
}

/// Whichever call fails, once, the answer is true: success means that all is set, failure that nothing is.
#[test]
fn whatever_system_call_fails_the_answer_is_true() {
    enter_host();
    let calls = [
        "openat2",
        "openat",
        "read",
        "pread64",
        "write",
        "flock",
        "fsync",
        "renameat",
        "statx",
        "fstat",
        "fchmod",
        "unlinkat",
        "newfstatat",
        "fcntl",
    ];
    let mut failures = 0;
    task().each_refusal(&calls, &["EIO", "EINTR", "EACCES"], Seen::reset, |output, case| {
        failures += u32::from(answered_truly(output, case));
    });
    assert!(failures > 50, "{failures} failures are few");
}

/// Returns whether the run failed, after a look whether its answer is true; one that could not start says nothing.
fn answered_truly(output: &Output, case: &str) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout) else {
        let is_whole = [Seen::before(), Seen::after()].contains(&Seen::now());
        assert!(is_whole && !(output.status.success() && Seen::now() == Seen::before()), "{case}");
        return true;
    };
    let failed = answer["failed"] == json!(true);
    let expected = if failed { Seen::before() } else { Seen::after() };
    assert_eq!(Seen::now(), expected, "{case}\n{answer}");
    assert!(!failed || answer["changed"] == json!(false), "{case}\n{answer}");
    failed
}

#[test]
fn a_run_waits_for_another_that_holds_the_lock_and_goes_on_when_that_ends() {
    enter_host();
    Seen::reset();
    let lock = lvs_host::file::Lock::on("sysctl").unwrap();
    let mut run = Command::new(SYSCTL).arg(task().task).stdout(Stdio::piped()).spawn().unwrap();
    // It tells of one that keeps it for more than ten seconds.
    std::thread::sleep(std::time::Duration::from_millis(10_500));
    assert!(run.try_wait().unwrap().is_none(), "it waits");
    assert_eq!(Seen::now(), Seen::before());
    drop(lock);
    let answer: Value = serde_json::from_slice(&run.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(answer["changed"], json!(true), "{answer}");
    let told = answer["warnings"][0].as_str().unwrap();
    let holder = format!("this run waited for process {} (", std::process::id());
    assert!(told.starts_with(&holder) && told.contains("the lock /run/lvs-host/sysctl"), "{told}");
    assert_eq!(Seen::now(), Seen::after());
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    enter_host();
    Seen::reset();
    let mut filler = fs::File::create("/etc/sysctl.d/filler").unwrap();
    let page = [0_u8; 4096];
    while filler.write_all(&page).is_ok() {}
    let mut child = Command::new(SYSCTL).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(task().task.as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert!(answer["msg"].as_str().unwrap().contains("No space left on device"), "{answer}");
    assert_eq!(answer["changed"], json!(false));
    assert_eq!(Seen::now(), Seen::before());
    assert_eq!(leftovers(), ["filler"]);
}

#[test]
fn a_file_beyond_the_limit_of_its_size_is_an_error_and_kills_nobody() {
    enter_host();
    Seen::reset();
    let script = format!("ulimit -f 0; exec {SYSCTL} '{}'", task().task);
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["msg"].as_str().unwrap().contains("File too large"), "{answer}");
    assert_eq!(Seen::now(), Seen::before());
    assert_eq!(leftovers(), [""; 0]);
}

#[test]
fn an_answer_that_nobody_gets_is_no_success() {
    enter_host();
    Seen::reset();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(SYSCTL).arg(task().task).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

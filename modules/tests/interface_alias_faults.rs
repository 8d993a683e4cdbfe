//! The binary that manages aliases while the world fails: killed at any instant, each system call refused once, an answer
//! of the kernel lost.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::cell::Cell;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use host::enter_host;
use host::traced::{Traced, run};
use serde_json::{Value, json};

const MODULE: &str = env!("CARGO_BIN_EXE_interface_alias");
const PROMOTE: &str = "/proc/sys/net/ipv4/conf/v0/promote_secondaries";

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Gives v0 a primary address with a default route that needs it, and a sibling: what the task must not lose.
fn reset() {
    ip("-4 address flush dev v0");
    // With what the task does not name, and which no run may lose, killed or not.
    ip("address add 192.0.2.1/24 brd 192.0.2.77 metric 7 dev v0 label v0:1");
    ip("address add 192.0.2.2/24 dev v0");
    ip("route replace default via 192.0.2.254 src 192.0.2.2");
    std::fs::write(PROMOTE, "0").unwrap();
}

/// Returns the addresses of v0, with labels, sorted, whichever is the primary.
fn addresses() -> String {
    let found = ip("-oneline -4 address show dev v0").replace(" secondary", "");
    let mut lines: Vec<&str> = found.lines().map(|line| line.split('\\').next().unwrap()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A new label for the primary, and another address.
fn task() -> Value {
    json!({"name": "v0", "aliases": [{"address": "192.0.2.1/24", "label": "9"}, {"address": "192.0.2.3/24"}]})
}

/// Runs a task under strace with these options.
fn traced(options: &[&str], task: &Value) -> Output {
    Traced { binary: MODULE, task: task.to_string() }.run(options)
}

fn plain() -> Value {
    serde_json::from_slice(&run(&mut Command::new(MODULE), &task().to_string()).stdout).unwrap()
}

#[test]
fn killed_at_any_instant_no_address_is_missing_and_the_next_run_finishes() {
    enter_host();
    reset();
    assert_eq!(plain()["changed"], json!(true));
    let after = addresses();
    let is_switched = || std::fs::read_to_string(PROMOTE).unwrap() == "1\n";
    let was_left_switched = Cell::new(false);
    Traced { binary: MODULE, task: task().to_string() }.each_kill(reset, |call| {
        let left = addresses();
        was_left_switched.set(was_left_switched.get() || is_switched());
        assert!(left.contains("192.0.2.1/") && left.contains("192.0.2.2/24"), "{call}: {left}");
        assert!(ip("route show default").contains("via 192.0.2.254"), "{call}");
        let answer = plain();
        assert_eq!(addresses(), after, "{call}: {answer}");
        assert!(!is_switched(), "{call}: promote_secondaries is on");
    });
    assert!(was_left_switched.get(), "a kill leaves promote_secondaries on, which the next run knows");
}

/// Whichever call fails, once, the answer is true: success means that all is set, failure that nothing is, or that
/// something is and the answer says so.
#[test]
fn whatever_system_call_fails_the_answer_is_true() {
    enter_host();
    reset();
    let before = addresses();
    assert_eq!(plain()["changed"], json!(true));
    let after = addresses();
    let calls = [
        "socket",
        "bind",
        "setsockopt",
        "sendto",
        "recvfrom",
        "epoll_create1",
        "epoll_ctl",
        "flock",
        "openat",
    ];
    let mut failures = 0;
    let task = Traced { binary: MODULE, task: task().to_string() };
    task.each_refusal(&calls, &["EIO", "ENOBUFS", "EPERM"], reset, |output, case| {
        let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout) else {
            return assert!(!output.status.success() && addresses() == before, "{case}");
        };
        let failed = answer["failed"] == json!(true);
        failures += u32::from(failed);
        let now = addresses();
        assert_eq!(std::fs::read_to_string(PROMOTE).unwrap(), "0\n", "{case}\n{answer}");
        match (failed, answer["changed"] == json!(true)) {
            (false, _) => assert_eq!(now, after, "{case}\n{answer}"),
            (true, false) => assert_eq!(now, before, "{case}\n{answer}"),
            // The way back has a connection of its own, if the first one broke.
            (true, true) => panic!("not undone: {case}\n{answer}"),
        }
    });
    assert!(failures > 20, "{failures} failures are few");
}

/// Every answer that can be lost takes the whole deadline, so all are tried at the same time, each on a host of its own.
#[test]
fn an_answer_of_the_kernel_that_is_lost_is_a_failure_and_no_hang() {
    enter_host();
    reset();
    let calls = traced(&["-qq", "-e", "trace=sendto,recvfrom"], &task());
    let calls = String::from_utf8_lossy(&calls.stderr).into_owned();
    let is_write =
        |line: &str| ["RTM_NEWADDR", "RTM_DELADDR", "RTM_SETLINK"].iter().any(|kind| line.contains(kind));
    let is_request = |line: &&str| line.starts_with("sendto");
    let first = calls.lines().filter(is_request).position(is_write).expect(&calls);
    let writes = calls.lines().filter(is_request).filter(|line| is_write(line)).count();
    assert!(
        writes >= 7,
        "stand-in, promotion, removal, promotion, address, stand-in, other address: {calls}"
    );
    std::thread::scope(|scope| {
        for write in 0..writes {
            scope.spawn(move || lose_the_answer_to_request(first + write));
        }
    });
}

fn lose_the_answer_to_request(number: usize) {
    enter_host();
    reset();
    let before = addresses();
    let start = Instant::now();
    // strace decodes nothing here: the requests are counted, and the first try to receive after the one meant fails.
    let calls = traced(&["-qq", "-e", "trace=sendto,recvfrom"], &task());
    let calls = String::from_utf8_lossy(&calls.stderr).into_owned();
    let at = calls.lines().enumerate().filter(|(_, line)| line.starts_with("sendto")).nth(number).unwrap().0;
    let after = addresses();
    let receive = calls.lines().take(at).filter(|line| line.starts_with("recvfrom")).count() + 1;
    reset();
    let inject = format!("inject=recvfrom:error=EAGAIN:when={receive}");
    let output = traced(&["-qq", "-e", "trace=recvfrom", "-e", &inject], &task());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let promote = std::fs::read_to_string("/proc/sys/net/ipv4/conf/v0/promote_secondaries").unwrap();
    assert_eq!(promote.trim(), "0", "request {number}: {answer}");
    // That which takes a stand-in away is sent again.
    if answer["failed"] != json!(true) {
        return assert_eq!(addresses(), after, "request {number}: {answer}");
    }
    assert!(
        answer["msg"].as_str().unwrap().contains("the kernel did not answer"),
        "request {number}: {answer}"
    );
    assert!(start.elapsed() < Duration::from_secs(40), "request {number}: {:?}", start.elapsed());
    assert_eq!(answer["changed"], json!(false), "request {number}: {answer}");
    assert_eq!(addresses(), before, "request {number}: {answer}");
}

#[test]
fn a_check_of_one_interface_reads_nothing_of_the_others() {
    enter_host();
    reset();
    let check = json!({"name": "v0", "address": "192.0.2.1/24", "_ansible_check_mode": true});
    let reads = || {
        let output = traced(&["-qq", "-e", "trace=recvfrom"], &check);
        String::from_utf8_lossy(&output.stderr).lines().count()
    };
    let alone = reads();
    let batch: String =
        (0..2000).map(|n| format!("address add 10.1.{}.{}/32 dev lo\n", n / 250, n % 250)).collect();
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(reads(), alone);
}

#[test]
#[ignore = "needs root: only it can become another user"]
fn check_mode_needs_no_privilege() {
    enter_host();
    reset();
    let copy = tempfile::Builder::new().prefix("module").tempfile_in("/run").unwrap().into_temp_path();
    std::fs::copy(MODULE, &copy).unwrap();
    std::os::unix::fs::chown(&copy, Some(65534), Some(65534)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
    let mut task = task();
    let refused: Value = serde_json::from_slice(&run(&mut command, &task.to_string()).stdout).unwrap();
    assert!(refused["msg"].as_str().unwrap().contains("this needs root"), "{refused}");
    task["_ansible_check_mode"] = json!(true);
    let predicted: Value = serde_json::from_slice(&run(&mut command, &task.to_string()).stdout).unwrap();
    assert_eq!(predicted["changed"], json!(true), "{predicted}");
    assert_eq!(predicted["changes"], plain()["changes"]);
}

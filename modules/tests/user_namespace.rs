//! The binary in a user namespace, where the machine's root is a user that nobody knows, as in a container of an ordinary user.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use host::enter_host;
use serde_json::{Value, json};

const SYSCTL: &str = env!("CARGO_BIN_EXE_sysctl");
/// An ordinary user.
const USER: u32 = 12345;

/// Runs the task as what `how` makes of it, and returns the answer.
fn answer(how: &[&str], file: &str) -> Value {
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file, "reload": false});
    let mut words = how.iter().chain([&SYSCTL]);
    let mut command = Command::new(words.next().unwrap());
    let output = command.args(words).arg(task.to_string()).output().unwrap();
    serde_json::from_slice(&output.stdout).expect("an answer")
}

/// Makes a directory in /etc that belongs to `owner`.
fn directory(name: &str, owner: u32) -> String {
    let path = format!("/etc/sysctl.d/{name}");
    fs::create_dir(&path).unwrap();
    chown(&path, Some(owner), Some(owner)).unwrap();
    format!("{path}/a.conf")
}

#[test]
#[ignore = "needs root: only it can be several users"]
fn an_owner_whom_the_user_namespace_does_not_map_stands_for_root_and_where_it_is_mapped_for_nobody() {
    enter_host();
    let nobody = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap().trim().parse().unwrap();
    let [own, others] = [directory("own", USER), directory("others", nobody)];
    let user = USER.to_string();
    let container =
        ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "unshare", "--map-root-user"];
    let answer_within = answer(&container, &own);
    assert_eq!(answer_within["changed"], json!(true), "{answer_within}");
    assert_eq!(fs::read_to_string(&own).unwrap(), "net.ipv4.ip_forward=1\n");
    // Here the machine's nobody is a user like any other.
    let refused = answer(&["env"], &others);
    let why = format!("cannot rely on /etc/sysctl.d/others, which belongs to user {nobody} ");
    assert!(refused["msg"].as_str().unwrap().starts_with(&why), "{refused}");
}

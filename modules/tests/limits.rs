//! What is too long, too deep or too large: the binary answers in a sentence and changes nothing, with little memory too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

use host::enter_host;
use serde_json::{Value, json};

const SYSCTL: &str = env!("CARGO_BIN_EXE_sysctl");
const ALIAS: &str = env!("CARGO_BIN_EXE_interface_alias");

/// Runs a module with no more than 256 MiB of address space; returns its answer.
fn answer(module: &str, input: &str) -> Value {
    let script = format!("ulimit -v 262144; exec timeout 60 {module}");
    let mut shell = Command::new("sh");
    let mut child = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It may refuse its arguments before it has read all of them.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let start: String = input.chars().take(100).collect();
    serde_json::from_slice(&output.stdout).expect(&start)
}

fn refused(module: &str, input: &str, why: &str) {
    let answer = answer(module, input);
    let start: String = input.chars().take(100).collect();
    let sentence = answer["msg"].as_str().expect(&start);
    assert!(sentence.contains(why) && answer["changed"] == json!(false), "{start}: {sentence}");
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap(), "64\n", "{start}");
}

fn task(name: &str, value: &Value, file: &str) -> String {
    json!({"name": name, "value": value, "sysctl_file": file}).to_string()
}

const NAME: &str = "net.ipv4.ip_default_ttl";
/// Not in /etc/sysctl.d, which has little room here.
const FILE: &str = "/run/50-limit.conf";

#[test]
fn what_is_too_long_deep_or_large_is_refused_in_a_sentence_before_anything_is_written() {
    enter_host();
    let stars = vec!["*"; 100_000].join(".");
    refused(SYSCTL, &task(&format!("net.{stars}"), &json!(1), FILE), "it is longer than 1000 bytes");
    refused(SYSCTL, &task(&"a".repeat(3_000_000), &json!(1), FILE), "it is longer than 1000 bytes");
    refused(SYSCTL, &task(NAME, &json!("1".repeat(300_000)), FILE), "is longer than 256 KiB");
    refused(SYSCTL, &task(NAME, &json!(vec![1; 500_000]), FILE), "is longer than 256 KiB");
    refused(SYSCTL, &format!("{{\"name\":{}1", "[".repeat(100_000)), "recursion limit exceeded");
    refused(SYSCTL, &task(NAME, &json!("1".repeat(20_000_000)), FILE), "they have more than 4 MiB");
    refused(SYSCTL, &format!("{{\"name\":[{}1]}}", "[],".repeat(1_300_000)), "cannot use option name");
    refused(
        SYSCTL,
        &task(NAME, &json!(65), &format!("/etc/{}b", "a/".repeat(100_000))),
        "File name too long",
    );
    refused(
        ALIAS,
        &json!({"name": "v0", "address": "192.0.2.1/24", "netns": "../".repeat(9) + &"/a".repeat(90_000)})
            .to_string(),
        "netns",
    );
    File::create(FILE).unwrap().set_len(300 << 20).unwrap();
    refused(SYSCTL, &task(NAME, &json!(65), FILE), "50-limit.conf: it holds more than 1 MiB");
    fs::write(FILE, "#".repeat((1 << 20) - 10)).unwrap();
    refused(SYSCTL, &task(NAME, &json!(65), FILE), "50-limit.conf: it holds more than 1 MiB");
}

#[test]
fn files_of_others_may_hold_anything() {
    enter_host();
    let stars = vec!["*"; 30_000].join(".");
    fs::write("/etc/sysctl.d/99-other.conf", format!("net.{stars}=1\nnet.{}=2\n", "*a".repeat(400))).unwrap();
    let answer = answer(SYSCTL, &task(NAME, &json!(65), "/etc/unread.conf"));
    assert_eq!(answer["changed"], json!(true), "{answer}");
    fs::remove_file("/etc/unread.conf").unwrap();
}

//! Which files a task opens, and how often, as strace(1) sees the binaries.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use host::enter_host;
use host::traced::Traced;
use serde_json::{Value, json};

const ALIAS: &str = env!("CARGO_BIN_EXE_interface_alias");
const SYSCTL: &str = env!("CARGO_BIN_EXE_sysctl");

/// Runs a task that must change something; returns how often it opened each file to read it.
fn read_by(binary: &'static str, task: &Value) -> BTreeMap<String, usize> {
    let traced = Traced { binary, task: task.to_string() };
    let output = traced.run(&["-qq", "-y", "-s", "4096", "-e", "trace=open,openat,openat2"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.success(), &answer["changed"]), (true, &json!(true)), "{answer}");
    let mut opened = BTreeMap::new();
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        let path = line.rsplit_once(") = ").and_then(|(_, end)| end.split_once('<')?.1.strip_suffix('>'));
        if let Some(path) = path.filter(|_| !line.contains("O_WRONLY") && !line.contains("O_RDWR")) {
            *opened.entry(path.to_owned()).or_default() += 1;
        }
    }
    opened
}

#[test]
fn a_changed_parameter_has_its_file_and_the_directory_of_parameters_opened_once() {
    enter_host();
    let before = fs::read("/etc/sysctl.conf").ok();
    fs::write("/etc/sysctl.conf", "# mine\nnet.ipv4.ip_forward=0\n").unwrap();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.conf"});
    let opened = read_by(SYSCTL, &task);
    match before {
        Some(content) => fs::write("/etc/sysctl.conf", content).unwrap(),
        None => fs::remove_file("/etc/sysctl.conf").unwrap(),
    }
    assert_eq!((opened["/proc/sys"], opened["/etc/sysctl.conf"]), (1, 1), "{opened:?}");
}

#[test]
fn a_thousand_aliases_have_each_file_of_the_person_opened_once() {
    enter_host();
    for directory in ["/etc/network", "/run/network"] {
        fs::create_dir_all(directory).unwrap();
        let mount = ["--no-mtab", "-t", "tmpfs", "network", directory];
        assert!(Command::new("mount").args(mount).status().unwrap().success());
    }
    fs::create_dir("/etc/network/interfaces.d").unwrap();
    fs::write("/etc/network/interfaces", "auto v0\nsource interfaces.d/*\niface v0 inet manual\n").unwrap();
    fs::write("/run/network/ifstate", "lo=lo\nv0=v0\n").unwrap();
    fs::write("/run/network/ifstate.v0", "v0\n").unwrap();
    let mut theirs = vec!["/etc/network/interfaces".to_owned()];
    for name in ["a", "b", "c", "d"] {
        theirs.push(format!("/etc/network/interfaces.d/{name}"));
        fs::write(format!("/etc/network/interfaces.d/{name}"), "# nothing\n").unwrap();
    }
    let alias = |n| json!({"address": format!("10.1.{}.{}", n / 250, 1 + n % 250)});
    let aliases: Vec<Value> = (0..1000).map(alias).collect();
    let task = json!({"name": "v0", "prefix": 32, "aliases": aliases, "persist": "ifupdown"});
    let opened = read_by(ALIAS, &task);
    let counts: Vec<usize> = theirs.iter().map(|path| opened[path]).collect();
    assert_eq!(counts, [1; 5], "{opened:?}");
}

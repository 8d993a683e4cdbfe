//! What others do to interfaces and addresses while a task is at work.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/aliases.rs"]
mod aliases;
mod host;

use std::thread;

use aliases::{alias, shown};
use host::{enter_network, ip};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

/// Runs `disturb` over and over while `act` runs in another thread of this network namespace; returns what that returns.
fn disturbed<T: Send>(disturb: impl Fn(), act: impl FnOnce() -> T + Send) -> T {
    let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        while !run.is_finished() {
            disturb();
        }
        run.join().unwrap()
    })
}

#[test]
fn a_list_that_changes_while_it_is_read_is_read_again() {
    enter_network();
    let aliases: Vec<Value> =
        (0..1000).map(|n| json!({"address": format!("10.1.{}.{}", n / 250, 1 + n % 250)})).collect();
    let task = json!({"name": "lo", "prefix": 32, "aliases": aliases});
    alias(task.clone()).apply().unwrap();
    disturbed(
        || {
            ip("address add 10.9.9.9/32 dev lo");
            ip("address del 10.9.9.9/32 dev lo");
        },
        || {
            for _ in 0..100 {
                assert!(alias(task.clone()).check().unwrap().plan.is_empty());
            }
        },
    );
}

#[test]
fn an_interface_that_vanishes_and_comes_again_ends_in_a_true_answer() {
    enter_network();
    let task = json!({"name": "w0:1", "address": "192.0.2.10/32"});
    let answers = disturbed(
        || {
            ip("link add w0 type veth peer name w1");
            ip("link del w0");
        },
        || {
            let mut answers = [0, 0];
            for _ in 0..300 {
                match alias(task.clone()).apply() {
                    Ok(_) => answers[0] += 1,
                    Err(error) => {
                        let sentence = error.sentence();
                        assert!(sentence.contains("w0"), "{sentence}");
                        answers[1] += 1;
                    }
                }
            }
            answers
        },
    );
    assert!(answers[1] > 0, "it was there every time: {answers:?}");
}

#[test]
fn an_address_that_somebody_else_adds_at_the_same_moment_is_no_failure() {
    enter_network();
    let task = json!({"name": "v0", "address": "192.0.2.10/32", "label": "1"});
    disturbed(
        || {
            let words = ["address", "add", "192.0.2.10/32", "dev", "v0", "label", "v0:1"];
            let _ = std::process::Command::new("ip").args(words).stderr(std::process::Stdio::null()).status();
        },
        || {
            for _ in 0..200 {
                ip("address flush dev v0");
                alias(task.clone()).apply().unwrap_or_else(|error| panic!("{}", error.sentence()));
                assert_eq!(shown(), ["192.0.2.10/32 v0:1"]);
            }
        },
    );
}

//! The binary that manages virtual services with bad input: each task is refused before anything is looked at that needs IPVS.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod choice;
mod real_server;
mod service;
mod task;

use std::process::Command;

use serde_json::{Value, json};

const MODULE: &str = env!("CARGO_BIN_EXE_virtual_service");

fn run(task: &Value) -> (Option<i32>, Value) {
    let output = Command::new(MODULE).arg(task.to_string()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Returns a task about tcp 192.0.2.10:80 with further options.
fn web(options: Value) -> Value {
    let mut task = json!({"address": "192.0.2.10:80"});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

/// Returns a task about one real server of tcp 192.0.2.10:80.
fn server(options: Value) -> Value {
    let mut server = json!({"address": "10.0.0.11", "forward": "nat"});
    server.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    web(json!({"real_servers": [server]}))
}

/// Returns a task about one real server that is reached through a tunnel.
fn tunnel(options: Value) -> Value {
    server(json!({"forward": "tun", "tunnel": options}))
}

#[test]
fn bad_input_gets_one_sentence_that_names_the_item_and_says_what_to_do() {
    let all = [service::refused(), choice::refused(), real_server::refused(), task::refused()].concat();
    assert!(all.len() > 60);
    for (task, sentence) in all {
        for check in [true, false] {
            let mut task = task.clone();
            task["_ansible_check_mode"] = json!(check);
            let (status, answer) = run(&task);
            let said = answer["msg"].as_str().unwrap_or_default();
            assert!(said.starts_with(sentence), "{task}\n  {answer}\n  {sentence}");
            assert!(!said.contains('\n'), "{said}");
            assert_eq!(
                (status, &answer["failed"], &answer["changed"]),
                (Some(1), &json!(true), &json!(false)),
                "{task}"
            );
        }
    }
}

/// As in check mode before `modprobe ip_vs`, and after the removal of the last service.
#[test]
fn where_there_is_no_table_what_is_absent_is_fine_and_nothing_is_loaded() {
    let task = web(json!({"state": "absent", "real_servers": [{"address": "10.0.0.11"}]}));
    let (status, answer) = run(&task);
    assert_eq!(
        (status, answer),
        (Some(0), json!({"changed": false, "changes": [], "connections": [], "services": []}))
    );
}

#[test]
fn an_entry_of_services_takes_from_the_task_what_it_leaves_out() {
    let task = json!({"port": 80, "forward": "dr", "real_servers": [{"address": "10.0.0.11"}], "state": "absent", "services": [
        {"address": "192.0.2.10"}, {"address": "192.0.2.11:81"}, {"fwmark": 7, "forward": "nat"},
        {"address": "192.0.2.12", "port": 82, "real_servers": []}]});
    let (status, answer) = run(&task);
    assert_eq!(status, Some(0), "{answer}");
}

//! The binary that loads modules of the kernel with bad input: each task is refused before anything is loaded.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn bad_input_gets_one_sentence_that_names_the_item_and_says_what_to_do() {
    let name = "it is not the name of a module, which has letters, digits, _ and - alone; give one such as ip_vs, without .ko";
    for (task, sentence) in [
        (json!({}), "cannot do without option name: give it".to_owned()),
        (json!({"name": []}), "cannot do anything without a module: give name".to_owned()),
        (json!({"name": [""]}), format!("cannot use name \"\": {name}")),
        (json!({"name": ["ip_vs.ko"]}), format!("cannot use name \"ip_vs.ko\": {name}")),
        (json!({"name": ["../x"]}), format!("cannot use name \"../x\": {name}")),
        (json!({"name": ["-r"]}), format!("cannot use name \"-r\": {name}")),
        (json!({"name": ["ip_vs", "a b"]}), format!("cannot use name \"a b\": {name}")),
        (json!({"name": ["a".repeat(56)]}), format!("cannot use name \"{}\": {name}", "a".repeat(56))),
        (
            json!({"name": ["ip_vs", "ipip"], "parameters": {"a": 1}}),
            "cannot use parameters for several modules, which differ in what they have".to_owned(),
        ),
        (
            json!({"name": ["ip_vs"], "parameters": {"a b": 1}}),
            "cannot use parameter \"a b\": it is not the name of one; look at modinfo -p".to_owned(),
        ),
        (
            json!({"name": ["ip_vs"], "parameters": {"a": "1 b=2"}}),
            "cannot use value \"1 b=2\" of parameter a: what reads the file would take it for more than a value".to_owned(),
        ),
        (json!({"name": ["ip_vs"], "parameters": {"a": ""}}), "cannot use value \"\" of parameter a".to_owned()),
        (json!({"name": ["ip_vs"], "parameters": {"a": "1\nremove x"}}), "cannot use value \"1\\nremove x\"".to_owned()),
        (json!({"name": ["ip_vs"], "parameters": 5}), "cannot use option parameters: invalid type".to_owned()),
        (
            json!({"name": ["ip_vs"], "parameters": {"a": 1}, "state": "absent"}),
            "cannot use parameters with state: absent; leave them out".to_owned(),
        ),
        (json!({"name": ["ip_vs"], "state": "loaded"}), "cannot use option state: there is no loaded".to_owned()),
        (json!({"name": ["ip_vs"], "persist": "maybe"}), "cannot use option persist: \"maybe\" is not yes or no".to_owned()),
        (json!({"name": ["ip_vs"], "params": "a=1"}), "cannot use option params: there is no such option".to_owned()),
    ] {
        for check in [true, false] {
            let mut task = task.clone();
            task["_ansible_check_mode"] = json!(check);
            let output = Command::new(env!("CARGO_BIN_EXE_kernel_module")).arg(task.to_string()).output().unwrap();
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            let said = answer["msg"].as_str().unwrap_or_default();
            assert!(said.starts_with(&sentence) && !said.contains('\n'), "{task}\n  {answer}\n  {sentence}");
            assert_eq!((output.status.code(), &answer["failed"], &answer["changed"]), (Some(1), &json!(true), &json!(false)));
        }
    }
}

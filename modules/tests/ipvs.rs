//! The binary that manages timeouts and sync daemons with bad input: each task is refused before anything is asked of IPVS.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn bad_input_gets_one_sentence_that_names_the_item_and_says_what_to_do() {
    for (task, sentence) in [
        (json!({}), "cannot tell what is wanted: give timeouts, master or backup"),
        (json!({"timeouts": {}}), "cannot tell what is wanted: give timeouts, master or backup"),
        (
            json!({"timeouts": {"tcp": 0}}),
            "cannot use 0 s for the timeout tcp: it is not from 1 to 2147483; give one that is",
        ),
        (
            json!({"timeouts": {"udp": 2_147_484}}),
            "cannot use 2147484 s for the timeout udp: it is not from 1 to 2147483",
        ),
        (
            json!({"timeouts": {"tcpfin": "1h"}}),
            "cannot use option timeouts.tcpfin: \"1h\" is not a whole number",
        ),
        (json!({"timeouts": {"sctp": 1}}), "cannot use option sctp: there is no such option"),
        (json!({"timeouts": 900}), "cannot use option timeouts: invalid type"),
        (
            json!({"master": {}}),
            "cannot start the sync daemon master: its interface is missing; give interface",
        ),
        (json!({"master": {"interface": ""}}), "cannot use interface \"\": it is not the name of one"),
        (json!({"master": {"interface": "a/b"}}), "cannot use interface \"a/b\": it is not the name of one"),
        (
            json!({"master": {"interface": "a234567890123456"}}),
            "cannot use interface \"a234567890123456\": it is not the name of one",
        ),
        (
            json!({"master": {"interface": "nosuch7"}}),
            "cannot start the sync daemon master: there is no interface nosuch7",
        ),
        (
            json!({"backup": {"interface": "lo", "syncid": 256}}),
            "cannot use syncid 256: it is not from 0 to 255; give one that is",
        ),
        (
            json!({"backup": {"interface": "lo", "group": "10.0.0.1"}}),
            "cannot use group \"10.0.0.1\": it is not a multicast address",
        ),
        (
            json!({"backup": {"interface": "lo", "group": "all"}}),
            "cannot use group \"all\": it is not a multicast address",
        ),
        (json!({"backup": {"interface": "lo", "port": 0}}), "cannot use port 0: it is not from 1 to 65535"),
        (json!({"backup": {"interface": "lo", "ttl": 0}}), "cannot use ttl 0: it is not from 1 to 255"),
        (json!({"backup": {"interface": "lo", "ttl": 256}}), "cannot use ttl 256: it is not from 1 to 255"),
        (
            json!({"backup": {"interface": "lo", "maxlen": 1023}}),
            "cannot use maxlen 1023: it is not from 1024 to 65507",
        ),
        (
            json!({"master": {"interface": "lo", "maxlen": 65508}}),
            "cannot use maxlen 65508: it is not from 1 to 65507",
        ),
        (
            json!({"master": {"interface": "lo", "state": "up"}}),
            "cannot use option master.state: there is no up",
        ),
        (json!({"master": "lo"}), "cannot use option master: invalid type"),
        (json!({"timeouts": {"tcp": 1}, "netns": "a/b"}), "cannot use netns a/b: give its name, or a path"),
    ] {
        for check in [true, false] {
            let mut task = task.clone();
            task["_ansible_check_mode"] = json!(check);
            let output = Command::new(env!("CARGO_BIN_EXE_ipvs")).arg(task.to_string()).output().unwrap();
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            let said = answer["msg"].as_str().unwrap_or_default();
            assert!(said.starts_with(sentence) && !said.contains('\n'), "{task}\n  {answer}\n  {sentence}");
            assert_eq!(
                (output.status.code(), &answer["failed"], &answer["changed"]),
                (Some(1), &json!(true), &json!(false))
            );
        }
    }
}

//! Faults and kills at each file that is kept.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::kept::{MODULE, answer, enter_host, everything, run, sites, web};

/// The calls that change files; strace(1) counts those of each kind by itself.
const CALLS: [&str; 2] = ["renameat", "symlinkat"];

/// Runs the module with a fault at one of those calls.
fn traced(kind: &str, number: usize, fault: &str, task: &Value) -> Output {
    let inject = format!("inject={kind}:{fault}:when={number}");
    let trace = format!("trace={kind}");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", &trace, "-e", &inject, MODULE, &task.to_string()]).output().unwrap()
}

#[test]
fn a_failure_at_any_file_puts_back_table_and_files() {
    enter_host();
    let empty = everything();
    let mut gone = sites();
    gone["state"] = json!("absent");
    // Nothing is changed by a run that changes and fails; both ways.
    for (start, task, least) in
        [(None, sites(), 5), (Some(sites()), web(json!({"scheduler": "mh", "flags": []})), 1)]
    {
        run(&gone);
        assert_eq!(everything(), empty);
        start.iter().for_each(|task| drop(run(task)));
        let before = everything();
        let mut failures = 0;
        for kind in CALLS {
            for call in 1..60 {
                let answer = answer(&traced(kind, call, "error=ENOSPC", &task));
                if answer["failed"] != json!(true) {
                    run(&gone);
                    start.iter().for_each(|task| drop(run(task)));
                    break;
                }
                failures += 1;
                let now = (everything(), &answer["changed"]);
                assert_eq!(now, (before.clone(), &json!(false)), "{kind} {call}: {answer}");
            }
        }
        assert!(failures >= least, "{failures} failures are few");
    }
}

#[test]
fn a_run_that_is_killed_at_any_file_is_finished_by_the_next() {
    enter_host();
    run(&sites());
    let after = everything();
    let mut gone = sites();
    gone["state"] = json!("absent");
    let mut kills = 0;
    for kind in CALLS {
        for call in 1..60 {
            run(&gone);
            let killed = !traced(kind, call, "signal=SIGKILL", &sites()).status.success();
            run(&sites());
            assert_eq!(everything(), after, "{kind} {call}");
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 5, "{kills} kills are few");
}

//! The binaries as Ansible calls them: a file of JSON or standard input, one JSON object on standard output.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use host::enter_host;
use serde_json::{Value, json};

const SYSCTL: &str = env!("CARGO_BIN_EXE_sysctl");
const ALIAS: &str = env!("CARGO_BIN_EXE_interface_alias");

fn run(command: &mut Command, input: &str) -> Output {
    let pipe = || Stdio::piped();
    let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    // It may refuse its arguments before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Returns the answer of a run: exactly one line of JSON, nothing on standard error.
fn answer(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(text).unwrap()
}

fn succeed(module: &str, task: &Value) -> Value {
    let output = run(&mut Command::new(module), &task.to_string());
    let answer = answer(&output);
    assert!(output.status.success(), "{answer}");
    assert_ne!(answer["failed"], json!(true));
    answer
}

/// Returns everything on this host that a task could have changed.
fn host() -> String {
    let show = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}");
        String::from_utf8(output.stdout).unwrap().replace(" tentative", "")
    };
    let etc = show("cd /etc && ls -lR --time-style=full-iso sysctl*");
    etc + &show("ip -o address; ip route show table all; ip -6 route; cat /proc/sys/net/ipv4/ip_forward")
}

#[test]
fn arguments_come_from_the_named_file_or_from_standard_input_or_are_the_argument() {
    enter_host();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "persist": false}).to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("args");
    std::fs::write(&file, &task).unwrap();
    let changed = |output: &Output| answer(output)["changed"].clone();
    assert_eq!(changed(&run(Command::new(SYSCTL).arg(&file), "")), json!(true));
    assert_eq!(changed(&run(Command::new(SYSCTL).arg("-"), &task)), json!(false));
    assert_eq!(changed(&run(&mut Command::new(SYSCTL), &task)), json!(false));
    assert_eq!(changed(&run(Command::new(SYSCTL).arg(task.replace("1}", "0}")), &task)), json!(true));
}

#[test]
fn what_is_no_text_and_what_is_a_pipe_are_answered_in_a_sentence() {
    use std::os::unix::ffi::OsStrExt;
    let argument = std::ffi::OsStr::from_bytes(b"{\"name\": \"\xff\"}");
    let output = run(Command::new(SYSCTL).arg(argument), "");
    assert!(String::from_utf8(output.stdout).unwrap().contains("they are no JSON"));
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let task = json!({"name": "v0", "address": "192.0.2.10/24", "netns": pipe});
    let output = run(Command::new("timeout").args(["5", ALIAS]), &task.to_string());
    assert!(String::from_utf8(output.stdout).unwrap().contains("cannot enter the network namespace"));
    let twice = r#"{"address": "192.0.2.10", "ip": "192.0.2.11", "name": "v0"}"#;
    let output = run(Command::new(ALIAS).arg(twice), "");
    assert!(
        String::from_utf8(output.stdout).unwrap().contains("cannot use option address: it is there twice")
    );
}

#[test]
fn the_version_is_told() {
    for (module, name) in [(SYSCTL, "sysctl"), (ALIAS, "interface_alias")] {
        let output = run(Command::new(module).arg("--version"), "");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, format!("{name} (lvs.host) {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_person_who_asks_is_told_the_options_and_the_licenses() {
    let said = |question: &str| {
        let output = run(Command::new(SYSCTL).arg(question), "");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let schema: Value = serde_json::from_str(&said("--schema")).unwrap();
    let help = said("--help");
    for (option, described) in schema["properties"].as_object().unwrap() {
        assert!(help.contains(&format!("\n  {option}")), "{help}");
        assert!(help.contains(described["description"].as_str().unwrap().lines().next().unwrap()), "{help}");
    }
    assert!(help.contains("state, one of absent, present, read (by default present)"), "{help}");
    assert!(said("--licenses").contains("\nserde 1."));
}

#[test]
fn a_task_is_predicted_done_and_then_left_alone() {
    enter_host();
    let file = "/etc/sysctl.d/50-protocol-test.conf";
    for (module, task) in [
        (ALIAS, json!({"name": "v0:1", "address": "192.0.2.10", "netmask": "255.255.255.0"})),
        (SYSCTL, json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file})),
    ] {
        let mut check = task.clone();
        check["_ansible_check_mode"] = json!(true);
        let before = host();
        let predicted = succeed(module, &check);
        assert_eq!(host(), before, "check mode changed the host");
        let done = succeed(module, &task);
        assert_eq!(done, predicted);
        assert_eq!(done["changed"], json!(true));
        let after = host();
        assert_ne!(after, before);
        assert_eq!(succeed(module, &task)["changed"], json!(false));
        assert_eq!(host(), after, "inode, time and all");
    }
}

#[test]
fn a_diff_is_given_when_asked_for() {
    enter_host();
    let mut task = json!({"name": "v0:1", "address": "192.0.2.10/24", "_ansible_diff": true, "_ansible_check_mode": true});
    let diff = succeed(ALIAS, &task)["diff"][0].clone();
    assert_eq!(diff["before_header"], json!("v0"));
    assert!(
        diff["after"].as_str().unwrap().contains("192.0.2.10/24 brd 192.0.2.255 scope global v0:1\n"),
        "{diff}"
    );
    task["_ansible_diff"] = json!(false);
    assert_eq!(succeed(ALIAS, &task).get("diff"), None);
    let both_layers = json!({"name": "net.ipv4.ip_default_ttl", "value": 65, "sysctl_file": "/etc/sysctl.d/a.conf", "_ansible_diff": true});
    let diff = succeed(SYSCTL, &both_layers)["diff"].clone();
    let kernel = json!({"before_header": "the running kernel", "after_header": "the running kernel",
        "before": "net.ipv4.ip_default_ttl = 64\n", "after": "net.ipv4.ip_default_ttl = 65\n"});
    let file = json!({"before_header": "/etc/sysctl.d/a.conf", "after_header": "/etc/sysctl.d/a.conf",
        "before": "", "after": "net.ipv4.ip_default_ttl=65\n"});
    assert_eq!(diff, json!([kernel, file]));
}

#[test]
fn options_that_are_null_and_ansibles_own_are_not_the_modules() {
    enter_host();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 0, "persist": false, "val": null, "sysctl_file": null,
        "_ansible_version": "2.19", "_ansible_something_new": {"a": [1]}});
    assert_eq!(succeed(SYSCTL, &task)["changed"], json!(false));
}

#[test]
fn bad_input_gets_one_sentence_that_names_the_item_and_changes_nothing() {
    enter_host();
    let both = |input: &'static str, named: &'static str| [(SYSCTL, input, named), (ALIAS, input, named)];
    let mut cases = vec![
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward"}"#, "value cannot be None"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "value": " "}"#, "value cannot be blank"),
        (SYSCTL, r#"{"name": " ", "value": 1}"#, "name cannot be blank"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "value": {"a": 1}}"#, "option value"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "value": 1, "state": "gone"}"#, "option state"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "value": 1, "reload": "maybe"}"#, "option reload"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "here"}"#, "sysctl_file here"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "value": "1\nkernel.x=1"}"#, "line break"),
        (SYSCTL, r#"{"name": "net.ipv4.no_such", "value": 1}"#, "net.ipv4.no_such"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_default_ttl", "value": 999}"#, "net.ipv4.ip_default_ttl to 999"),
        (SYSCTL, r#"{"name": "../../etc/passwd", "value": 1}"#, "../../etc/passwd"),
        (SYSCTL, r#"{"name": "net.ipv4.ip_forward", "key": "a.b", "value": 1}"#, "name"),
        (ALIAS, r#"{"name": "v0:1"}"#, "address"),
        (ALIAS, r#"{"name": "v0:1", "address": "192.0.2"}"#, "192.0.2"),
        (ALIAS, r#"{"name": "v0:1", "address": "192.0.2.1"}"#, "prefix"),
        (ALIAS, r#"{"name": "v0:1", "address": "192.0.2.1/33"}"#, "prefix 33"),
        (ALIAS, r#"{"name": "v0:1", "address": "192.0.2.1", "prefix": -1}"#, "option prefix"),
        (ALIAS, r#"{"name": "v0:1", "address": "192.0.2.1", "netmask": "255.0.255.0"}"#, "255.0.255.0"),
        (ALIAS, r#"{"name": "v0:1", "address": "2001:db8::1/64"}"#, "label v0:1"),
        (ALIAS, r#"{"name": "nowhere:1", "address": "192.0.2.1/24"}"#, "interface nowhere"),
        (ALIAS, r#"{"name": 7.5, "address": ["192.0.2.1/24"]}"#, "option address"),
        (ALIAS, r#"{"name": "v0:1", "address": "192.0.2.1/24", "peer": "0.0.0.0"}"#, r#"peer "0.0.0.0""#),
        (ALIAS, r#"{"name": "v0", "state": "absent"}"#, "v0"),
    ];
    cases.extend(both("", "there are none"));
    cases.extend(both(" \n", "there are none"));
    cases.extend(both("no JSON", "no JSON"));
    cases.extend(both(r#"{"name": "v0""#, "no JSON"));
    cases.extend(both(r#"["v0"]"#, "one JSON object"));
    cases.extend(both(r#"{"name": "\udcff"}"#, "no JSON"));
    cases.extend(both(r#"{"name": null, "value": 1}"#, "name"));
    cases.extend(both(r#"{"name": "v0", "nmae": 1}"#, "option nmae"));
    for (module, input, named) in cases {
        let before = host();
        let output = run(&mut Command::new(module), input);
        assert_eq!(output.status.code(), Some(1), "{input}");
        let answer = answer(&output);
        assert_eq!(answer["failed"], json!(true), "{input}");
        assert_eq!(answer["changed"], json!(false), "{input}");
        let msg = answer["msg"].as_str().unwrap();
        assert!(msg.contains(named), "{input}: {msg}");
        assert!(!msg.contains('\n') && !msg.contains("panicked"), "{input}: {msg}");
        assert_eq!(host(), before, "{input}");
    }
}

#[test]
fn what_ansible_asks_for_is_true_or_false_and_no_word_lets_check_mode_apply() {
    enter_host();
    for (module, task) in [
        (SYSCTL, json!({"name": "net.ipv4.ip_forward", "value": 1, "persist": false})),
        (ALIAS, json!({"name": "v0:1", "address": "192.0.2.10/24"})),
    ] {
        for wish in ["_ansible_check_mode", "_ansible_diff", "_ansible_no_log"] {
            for word in
                [json!("yes"), json!("true"), json!("no"), json!(1), json!(0), json!(null), json!([true])]
            {
                let mut task = task.clone();
                task[wish] = word.clone();
                let before = host();
                let output = run(&mut Command::new(module), &task.to_string());
                assert_eq!(output.status.code(), Some(1), "{wish} {word}");
                let msg = answer(&output)["msg"].as_str().unwrap().to_owned();
                assert!(msg.starts_with(&format!("cannot use {wish}: {word} is not true or false")), "{msg}");
                assert_eq!(host(), before, "{wish} {word}");
            }
        }
    }
}

/// Returns all texts of an answer, as Ansible decodes and prints them.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone() + "\n",
        Value::Array(values) => values.iter().map(texts).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| format!("{key}\n{}", texts(value))).collect()
        }
        _ => String::new(),
    }
}

#[test]
fn no_file_and_no_name_reaches_the_terminal_with_what_it_obeys() {
    enter_host();
    let hostile = "\u{1b}[2J\u{7}\u{9b}31m\u{202e}\u{2066}";
    let other = format!("/etc/sysctl.d/99-{hostile}.conf");
    let mine = "/etc/sysctl.d/50-mine.conf";
    std::fs::write(&other, "net.ipv4.ip_default_ttl = 70\n").unwrap();
    std::fs::write(mine, format!("net.ipv4.ip_default_ttl =\t64\t{hostile}\r\n")).unwrap();
    let task =
        json!({"name": "net.ipv4.ip_default_ttl", "value": 65, "sysctl_file": mine, "_ansible_diff": true});
    let done = succeed(SYSCTL, &task);
    let wrong = json!({"name": format!("net.ipv4.{hostile}"), "value": 1}).to_string();
    let failed = answer(&run(&mut Command::new(SYSCTL), &wrong));
    for (what, seen) in [("diff", &done["diff"]), ("warnings", &done["warnings"]), ("msg", &failed["msg"])] {
        let text = texts(seen);
        assert!(text.contains(r"\u{1b}[2J\u{7}\u{9b}31m\u{202e}\u{2066}"), "{what}: {text:?}");
    }
    for text in [texts(&done), texts(&failed)] {
        let obeyed = |sign: char| {
            sign.is_control() && sign != '\n' && sign != '\t' || "\u{202e}\u{2066}".contains(sign)
        };
        assert!(!text.contains(obeyed), "{text:?}");
    }
}

#[test]
fn with_no_log_neither_sentence_nor_diff_names_a_value() {
    enter_host();
    let (secret, other) = ("1234567", "173");
    std::fs::write("/etc/sysctl.d/99-other.conf", format!("net.ipv4.ip_default_ttl = {other}\n")).unwrap();
    let hidden = |mut task: Value| {
        let plain = answer(&run(&mut Command::new(SYSCTL), &task.to_string()));
        task["_ansible_no_log"] = json!(true);
        (plain, answer(&run(&mut Command::new(SYSCTL), &task.to_string())))
    };
    let (plain, answer) = hidden(
        json!({"name": "net.ipv4.ip_default_ttl", "value": 64, "sysctl_file": "/etc/sysctl.d/50-a.conf",
        "_ansible_check_mode": true, "_ansible_diff": true}),
    );
    assert!(texts(&plain["warnings"]).contains(other), "{plain}");
    assert!(
        answer.get("diff").is_none() && texts(&answer["warnings"]).starts_with("no_log hides"),
        "{answer}"
    );
    assert!(!answer.to_string().contains(other), "{answer}");
    for task in [
        json!({"name": "net.ipv4.ip_default_ttl", "value": secret, "persist": false}),
        json!({"name": "net.ipv4.ip_default_ttl", "value": 64, "reload": secret}),
    ] {
        let (plain, answer) = hidden(task);
        assert!(texts(&plain["msg"]).contains(secret), "{plain}");
        assert_eq!((&answer["failed"], &answer["changed"]), (&json!(true), &json!(false)), "{answer}");
        assert!(texts(&answer["msg"]).contains("no_log hides the reason"), "{answer}");
        assert!(!answer.to_string().contains(secret), "{answer}");
    }
}

#[test]
fn a_file_of_arguments_that_is_not_there_is_named() {
    let output = run(Command::new(SYSCTL).arg("/no/such/file"), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(answer(&output)["msg"].as_str().unwrap().contains("/no/such/file"));
}

#[test]
fn without_privilege_nothing_is_set_and_the_sentence_says_what_is_needed() {
    enter_host();
    // Root without the capability is refused as anybody is, in a user namespace too.
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--bounding-set", "-net_admin", ALIAS]);
    let task = json!({"name": "v0:1", "address": "192.0.2.1/24"}).to_string();
    let before = host();
    let output = run(&mut unprivileged, &task);
    assert_eq!(output.status.code(), Some(1));
    let msg = answer(&output)["msg"].as_str().unwrap().to_owned();
    assert!(msg.starts_with("cannot add 192.0.2.1/24 on v0 as v0:1: Operation not permitted"), "{msg}");
    assert!(msg.contains("root"), "{msg}");
    assert_eq!(host(), before);
    let check = task.replacen('{', r#"{"_ansible_check_mode": true, "#, 1);
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--bounding-set", "-net_admin", ALIAS]);
    assert_eq!(
        answer(&run(&mut unprivileged, &check))["changed"],
        json!(true),
        "check mode needs no privilege"
    );
}

#[test]
#[ignore = "needs root: only it can become another user"]
fn another_user_is_told_to_become_root() {
    enter_host();
    for (module, task) in [
        (ALIAS, json!({"name": "v0:1", "address": "192.0.2.1/24"})),
        (SYSCTL, json!({"name": "net.ipv4.ip_forward", "value": 1, "persist": false})),
        (SYSCTL, json!({"name": "net.ipv4.ip_forward", "value": 1, "reload": false})),
    ] {
        let before = host();
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", module]);
        let output = run(&mut nobody, &task.to_string());
        let msg = answer(&output)["msg"].as_str().unwrap().to_owned();
        assert!(msg.contains("become: true"), "{msg}");
        assert_eq!(host(), before);
    }
}

#[test]
fn the_address_that_the_connection_came_in_on_is_never_purged() {
    enter_host();
    for address in ["192.0.2.1/24", "192.0.2.2/24"] {
        assert!(
            Command::new("ip").args(["address", "add", address, "dev", "v0"]).status().unwrap().success()
        );
    }
    let task = json!({"name": "v0", "address": "192.0.2.9/24", "purge": "all"}).to_string();
    // sudo takes the variable away; the shell that has it stands for the one that sshd started.
    let mut login = Command::new("sh");
    login.env("SSH_CONNECTION", "192.0.2.200 50000 192.0.2.2 22");
    login.args(["-c", "env -u SSH_CONNECTION \"$0\" -; exit $?", ALIAS]);
    let output = run(&mut login, &task);
    assert!(output.status.success(), "{}", answer(&output));
    let left = host();
    assert!(
        left.contains("192.0.2.2/24") && left.contains("192.0.2.9/24") && !left.contains("192.0.2.1/24"),
        "{left}"
    );
}

/// As `lib/src/ansible.rs` writes them for every module; here they are read of two.
#[test]
fn what_changes_has_the_same_keys_in_every_module() {
    enter_host();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.d/a.conf"});
    let parameter = succeed(SYSCTL, &task);
    let alias = succeed(ALIAS, &json!({"name": "v0", "address": "192.0.2.10/32"}));
    let keys = |change: &Value| change.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let changes = [
        &parameter["changes"][0],
        &alias["changes"][0],
        parameter["changes"].as_array().unwrap().last().unwrap(),
    ];
    let [kernel, address, file] = changes.map(keys);
    assert_eq!(kernel, ["after", "before", "item", "layer"]);
    assert_eq!(address, kernel);
    assert_eq!(file, ["after", "before", "file", "item", "layer"]);
    assert_eq!(changes.map(|change| change["layer"].clone()), ["kernel", "kernel", "file"]);
}

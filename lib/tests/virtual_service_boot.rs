//! What a boot brings back of virtual services, on a kernel that has IPVS, in a guest: `make guests`. The files are the guest's own; what a
//! boot of systemd makes of them is tried by `make kernels`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
#[path = "virtual_service_boot/faults.rs"]
mod faults;
mod host;
#[path = "virtual_service_boot/kept.rs"]
mod kept;
#[path = "virtual_service_boot/rules.rs"]
mod rules;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use director::{ipvsadm, look, restore, saved, services};
use kept::{LINK, MODULE, MODULES, PROGRAM, TASK, UNIT, boot, enter_host, everything, run, sites, web};
use serde_json::{Value, json};

#[test]
fn a_boot_has_the_table_that_a_task_left_and_the_last_service_takes_all_files_along() {
    enter_host();
    let before = everything();
    let first = run(&sites());
    assert_eq!(first["changed"], json!(true), "{first}");
    assert_eq!(first["persist"], json!({"manager": "systemd", "file": TASK}));
    let after = everything();
    assert_eq!(run(&sites())["changes"], json!([]), "a second run changes nothing");
    assert_eq!(everything(), after);
    let table = look();
    assert_eq!(
        boot(),
        (true, json!({"changed": false})),
        "a start while all is there, as by a restart, does nothing"
    );
    ipvsadm("-C");
    assert_eq!(boot(), (true, json!({"changed": true})));
    assert_eq!(look(), table);
    assert_eq!(fs::read(PROGRAM).unwrap(), fs::read(MODULE).unwrap());
    assert_eq!(fs::metadata(PROGRAM).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(TASK).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::canonicalize(LINK).unwrap(), Path::new(UNIT));
    let modules = fs::read_to_string(MODULES).unwrap();
    let modules: Vec<_> = modules.lines().skip(1).collect();
    assert_eq!(modules, ["ip_vs", "ip_vs_lc", "ip_vs_pe_sip", "ip_vs_rr", "ip_vs_sh", "ip_vs_wlc"]);
    let mut gone = sites();
    gone["state"] = json!("absent");
    assert_eq!(run(&gone)["changed"], json!(true));
    assert_eq!(everything(), before);
}

#[test]
fn check_mode_and_the_diff_tell_of_every_file() {
    enter_host();
    let before = everything();
    let mut task = web(json!({"_ansible_diff": true, "_ansible_check_mode": true}));
    let checked = run(&task);
    assert_eq!(everything(), before);
    task["_ansible_check_mode"] = json!(false);
    let applied = run(&task);
    assert_eq!((&applied["changes"], &applied["diff"]), (&checked["changes"], &checked["diff"]));
    let places: Vec<_> =
        applied["diff"].as_array().unwrap().iter().map(|place| place["before_header"].clone()).collect();
    assert_eq!(json!(places), json!(["the IPVS table", TASK, MODULES, UNIT, LINK, PROGRAM]));
    assert_eq!(applied["diff"][1]["after"], json!("-A -t 192.0.2.10:80 -s wlc\n"));
    assert_eq!(applied["diff"][3]["after"], json!(fs::read_to_string(UNIT).unwrap()));
    let parts: Vec<_> =
        applied["changes"].as_array().unwrap().iter().map(|change| change["item"]["part"].clone()).collect();
    assert_eq!(json!(parts), json!([null, null, "modules", "unit", "link", "program"]));
}

#[test]
fn what_differs_from_what_a_boot_needs_is_replaced() {
    enter_host();
    run(&web(json!({})));
    let right = everything();
    let breaks: [(&str, fn()); 7] = [
        ("another program", || fs::write(PROGRAM, "#!/bin/sh\n").unwrap()),
        ("a program that cannot be executed", || {
            fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("no program", || fs::remove_file(PROGRAM).unwrap()),
        ("another unit", || fs::write(UNIT, "[Service]\nExecStart=/bin/true\n").unwrap()),
        ("a unit that is switched off", || fs::remove_file(LINK).unwrap()),
        ("a link to elsewhere", || {
            fs::remove_file(LINK).unwrap();
            symlink("/dev/null", LINK).unwrap();
        }),
        ("no modules", || fs::write(MODULES, "").unwrap()),
    ];
    for (what, harm) in breaks {
        harm();
        let answer = run(&web(json!({})));
        assert_eq!(answer["changes"].as_array().map(Vec::len), Some(1), "{what}: {answer}");
        assert_eq!(everything(), right, "{what}");
    }
}

#[test]
fn a_unit_with_a_newer_or_damaged_file_changes_nothing_and_fails() {
    enter_host();
    run(&sites());
    let right = fs::read_to_string(TASK).unwrap();
    ipvsadm("-C");
    ipvsadm("-A -t 192.0.2.10:79 -s rr");
    let table = look();
    for (text, why) in [
        (right.replace("\"scheduler\"", "\"scheduling\""), "there is no such option"),
        (right.replace("\"services\"", "\"format\": 2, \"services\""), "there is no such option"),
        (right.replace("\"sh-port\"", "\"sh-ports\""), "there is no such flag"),
        (right[..right.len() / 2].to_owned(), "they are no JSON"),
        (String::new(), "there are none"),
        (right.replacen("\"weight\":3", "\"weight\":-3", 1), "is not a whole number"),
        (right.replacen("\"lower_threshold\":50", "\"lower_threshold\":500", 1), "is over upper_threshold"),
    ] {
        fs::write(TASK, &text).unwrap();
        let (succeeded, log) = boot();
        let said = log["msg"].as_str().unwrap_or_default();
        assert!(!succeeded && said.contains(why), "{why}: {log}");
        assert_eq!(look(), table, "{why}");
        if text.is_empty() {
            continue;
        }
        // A task does not write over what it does not understand.
        let answer = run(&web(json!({})));
        let said = answer["msg"].as_str().unwrap_or_default();
        assert!(
            said.starts_with("cannot use /etc/lvs-host/virtual_services.json: ") && said.contains(why),
            "{answer}"
        );
        assert!(said.ends_with("; mend it, or remove it to have no services there"), "{answer}");
        assert_eq!((fs::read_to_string(TASK).unwrap(), look()), (text, table.clone()));
    }
    fs::remove_file(TASK).unwrap();
    let (succeeded, log) = boot();
    assert!(!succeeded && log["msg"].as_str().unwrap().contains(TASK), "{log}");
    fs::write(TASK, right.replace("[\n", "[\n{\"fwmark\": 9, \"scheduler\": \"nosuch\"},\n")).unwrap();
    assert!(!boot().0, "what the kernel refuses takes back the rest");
    assert_eq!(look(), table);
}

#[test]
fn only_what_tasks_with_persist_name_is_stored_and_a_drained_weight_is_not() {
    enter_host();
    restore(
        "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 5\n-a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 1\n-A -f 7 -s rr\n",
    );
    let stored = || {
        let task: Value = serde_json::from_str(&fs::read_to_string(TASK).unwrap()).unwrap();
        let service = task["services"][0].clone();
        let servers = service["real_servers"].as_array().unwrap().iter();
        let servers: Vec<_> = servers.map(|server| json!([server["address"], server["weight"]])).collect();
        (task["services"].as_array().unwrap().len(), service["scheduler"].clone(), json!(servers))
    };
    let apply = |task| host::apply_by_the_laws(&services(task), everything);
    apply(web(json!({"real_servers": [{"address": "10.0.0.11"}]})));
    assert_eq!(stored(), (1, json!("rr"), json!([["10.0.0.11", 5]])), "as the kernel has it, and no other");
    apply(web(json!({"real_servers": [{"address": "10.0.0.11", "state": "drained"}]})));
    assert_eq!(stored().2, json!([["10.0.0.11", 5]]));
    assert!(look().contains("-r 10.0.0.11:80 -m -w 0"));
    apply(web(
        json!({"scheduler": "wrr", "real_servers": [{"address": "10.0.0.11", "weight": 0}, {"address": "10.0.0.12"}]}),
    ));
    assert_eq!(stored(), (1, json!("wrr"), json!([["10.0.0.11", 0], ["10.0.0.12", 1]])));
    apply(web(json!({"real_servers": [{"address": "10.0.0.12"}], "purge": "real_servers"})));
    assert_eq!(stored().2, json!([["10.0.0.12", 1]]));
    let report = apply(json!({"fwmark": 7, "real_servers": [], "scheduler": "lc"}));
    assert_eq!(report.plan.iter().count(), 1, "a task without persist is about the kernel alone");
    apply(json!({"fwmark": 7, "persist": "systemd"}));
    assert_eq!(stored().0, 2);
    apply(json!({"services": [{"fwmark": 7}], "purge": "all", "persist": "auto"}));
    assert_eq!(stored(), (1, json!("lc"), json!([])));
    apply(json!({"services": [], "purge": "all", "persist": "auto"}));
    assert!(!Path::new(TASK).exists() && !Path::new(PROGRAM).exists());
}

#[test]
fn a_host_that_cannot_keep_services_refuses_by_name_and_changes_nothing() {
    enter_host();
    let refused = |task: Value, words: &str| {
        let before = everything();
        let answer = run(&task);
        let said = answer["msg"].as_str().unwrap_or_default();
        assert!(said.contains(words), "{words}: {answer}");
        assert_eq!((everything(), &answer["changed"]), (before, &json!(false)));
    };
    refused(web(json!({"persist": "ipvsadm"})), "cannot keep services with ipvsadm: no boot reads its file");
    refused(
        web(json!({"netns": "a"})),
        "cannot use persist with netns: a boot makes no such network namespace",
    );
    symlink("/dev/null", UNIT).unwrap();
    refused(
        web(json!({})),
        "it is a link, as that of a unit which is masked; remove it, as systemctl unmask does",
    );
    fs::remove_file(UNIT).unwrap();
    fs::create_dir_all("/usr/libexec/lvs-host/boot").unwrap();
    fs::write(PROGRAM, "").unwrap();
    fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o777)).unwrap();
    refused(web(json!({})), "another user could change it");
    fs::remove_dir_all("/usr/libexec/lvs-host").unwrap();
    fs::remove_dir_all("/run/systemd").unwrap();
    refused(web(json!({})), "cannot keep services: this host does not run systemd");
    assert_eq!(run(&web(json!({"state": "absent"})))["changed"], json!(false), "nothing is to be kept");
    fs::create_dir_all("/run/systemd/system").unwrap();
    assert_eq!(saved(), Vec::<String>::new());
    // As on a host that is an image.
    let mount =
        |words: &str| assert!(Command::new("mount").args(words.split(' ')).status().unwrap().success());
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount("--bind /usr /usr");
    mount("-o remount,bind,ro /usr");
    refused(
        web(json!({})),
        "/usr and /usr/local are mounted read-only, so the program that a boot starts has no place",
    );
    mount("-t tmpfs local /usr/local");
    run(&web(json!({})));
    assert!(
        fs::read_to_string(UNIT)
            .unwrap()
            .contains("ExecStart=/usr/local/libexec/lvs-host/boot/virtual_service ")
    );
    ipvsadm("-C");
    assert_eq!(boot(), (true, json!({"changed": true})));
    assert_eq!(services(web(json!({"persist": "none"}))).apply().unwrap().plan.iter().count(), 0);
    run(&web(json!({"state": "absent"})));
    assert!(!Path::new("/usr/local/libexec/lvs-host").exists(), "made with the program, and gone with it");
}

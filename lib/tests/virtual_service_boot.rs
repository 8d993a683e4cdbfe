//! What a boot brings back of virtual services, on a kernel that has IPVS, in a guest: `make guests`. The files are the guest's own; what a
//! boot of systemd makes of them is tried by `make kernels`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use director::{enter_director, ipvsadm, look, restore, saved, services};
use serde_json::{Value, json};

const MODULE: &str = "/modules/virtual_service";
const TASK: &str = "/etc/lvs-host/virtual_services.json";
const UNIT: &str = "/etc/systemd/system/lvs-host-virtual-service.service";
const LINK: &str = "/etc/systemd/system/sysinit.target.wants/lvs-host-virtual-service.service";
const MODULES: &str = "/etc/modules-load.d/lvs-host-virtual-service.conf";
const PROGRAM: &str = "/usr/libexec/lvs-host/boot/virtual_service";
const RULES: &str = "/etc/ipvsadm.rules";

/// Gives the test a director on a host that runs systemd, as far as its files tell, and has nothing stored.
fn enter_host() {
    enter_director();
    for path in
        ["/usr/libexec", "/etc/lvs-host", "/etc/systemd", "/etc/modules-load.d", "/etc/default", "/etc/rc2.d"]
    {
        let _ = fs::remove_dir_all(path);
    }
    let _ = fs::remove_file(RULES);
    for path in [
        "/run/systemd/system",
        "/usr/libexec",
        "/usr/local",
        "/etc/modules-load.d",
        "/etc/systemd/system/sysinit.target.wants",
    ] {
        fs::create_dir_all(path).unwrap();
    }
}

/// Has the boot service of ipvsadm be on, as on Debian.
fn enter_host_of_ipvsadm() {
    enter_host();
    for directory in ["/etc/default", "/etc/rc2.d"] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::write("/etc/default/ipvsadm", "# ipvsadm\nAUTO=\"true\"\nDAEMON=\"none\"\n").unwrap();
    symlink("../init.d/ipvsadm", "/etc/rc2.d/S01ipvsadm").unwrap();
    fs::write(RULES, "# emtpy rules file for ipvsadm\n").unwrap();
}

/// Returns what is in the places where files may be, and the table.
fn everything() -> String {
    let mut lines = Vec::new();
    for path in ["/etc", "/usr/libexec", "/usr/local"] {
        list(Path::new(path), &mut lines);
    }
    lines.sort();
    lines.join("\n") + &look()
}

/// Lists a file or directory with all below it.
fn list(path: &Path, lines: &mut Vec<String>) {
    let Ok(meta) = path.symlink_metadata() else { return };
    let content = match fs::read(path) {
        Ok(content) if content == fs::read(MODULE).unwrap() => "the module".into(),
        Ok(content) if content.len() < 9999 => String::from_utf8(content).unwrap(),
        Ok(content) => format!("{} bytes", content.len()),
        Err(_) => String::new(),
    };
    let link = fs::read_link(path).unwrap_or_default();
    lines.push(format!("{} {:o} {} {content}", path.display(), meta.permissions().mode(), link.display()));
    if meta.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| list(&entry.unwrap().path(), lines));
    }
}

fn sites() -> Value {
    json!({"persist": "auto", "services": [
        {"address": "192.0.2.10:80", "scheduler": "sh", "flags": ["sh-fallback", "sh-port"],
            "persistence": {"timeout": 300, "netmask": "255.255.255.0"}, "real_servers": [
                {"address": "10.0.0.11", "forward": "dr", "weight": 3, "upper_threshold": 100, "lower_threshold": 50},
                {"address": "10.0.0.14", "forward": "tun", "tunnel": {"type": "gue", "port": 6080, "checksum": "csum"}},
                {"address": "10.0.0.17", "forward": "tun", "tunnel": {"type": "gre"}},
                {"address": "2001:db8::11", "forward": "tun"}]},
        {"address": "192.0.2.10:5060", "protocol": "udp", "persistence": {"engine": "sip"}},
        {"address": "192.0.2.10:53", "protocol": "udp", "flags": ["ops"], "scheduler": "rr"},
        {"address": "192.0.2.10:36412", "protocol": "sctp", "scheduler": "lc"},
        {"fwmark": 8, "family": "ipv6", "persistence": {"prefix": 64}, "real_servers": [{"address": "2001:db8::11", "forward": "dr"}]}]})
}

fn web(options: Value) -> Value {
    let mut task = json!({"address": "192.0.2.10:80", "persist": "auto"});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

/// Runs the module that is shipped; returns its answer.
fn run(task: &Value) -> Value {
    answer(&Command::new(MODULE).arg(task.to_string()).output().unwrap())
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Does what the unit does at a boot; returns whether it succeeded, and what the log then has.
fn boot() -> (bool, Value) {
    let unit = fs::read_to_string(UNIT).unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    (output.status.success(), answer(&output))
}

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

#[test]
fn where_the_boot_service_of_ipvsadm_is_on_its_file_is_used() {
    enter_host_of_ipvsadm();
    let empty = everything();
    fs::write(RULES, "# mine\n-A -f 9 -s rr\n-a -f 9 -r 10.0.0.19:0 -g\n").unwrap();
    let first = run(&sites());
    assert_eq!(first["persist"], json!({"manager": "ipvsadm", "file": RULES}), "{first}");
    let text = fs::read_to_string(RULES).unwrap();
    assert!(text.starts_with("# mine\n-A -f 9 -s rr\n-a -f 9 -r 10.0.0.19:0 -g\n"), "{text}");
    assert!(!Path::new(UNIT).exists());
    assert_eq!(run(&sites())["changes"], json!([]));
    // What the boot service does (Debian's /etc/init.d/ipvsadm, load).
    ipvsadm("-A -f 9 -s rr");
    ipvsadm("-a -f 9 -r 10.0.0.19:0 -g");
    let table = look();
    ipvsadm("-C");
    restore(
        &text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    assert_eq!(look(), table);
    assert_eq!(
        run(&sites())["changes"],
        json!([]),
        "flags and tunnels too, which ipvsadm does not show all of"
    );
    run(
        &json!({"fwmark": 9, "real_servers": [{"address": "10.0.0.19", "state": "drained"}], "persist": "ipvsadm"}),
    );
    assert!(
        fs::read_to_string(RULES).unwrap().contains("-a -f 9 -r 10.0.0.19:0 -g\n"),
        "its weight is another time's"
    );
    let mut gone = sites();
    gone["state"] = json!("absent");
    run(&gone);
    run(&json!({"fwmark": 9, "state": "absent", "persist": "auto"}));
    assert_eq!(fs::read_to_string(RULES).unwrap(), "# mine\n");
    fs::write(RULES, "# emtpy rules file for ipvsadm\n").unwrap();
    assert_eq!(everything(), empty);
    fs::write(RULES, "-A -t www:80\n").unwrap();
    let said = run(&web(json!({})))["msg"].clone();
    assert!(said.as_str().unwrap().starts_with("cannot use /etc/ipvsadm.rules: "), "{said}");
    let said = run(&web(json!({"persist": "systemd"})))["msg"].clone();
    assert!(
        said.as_str().unwrap().contains("the boot service of ipvsadm is on and would take them away"),
        "{said}"
    );
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

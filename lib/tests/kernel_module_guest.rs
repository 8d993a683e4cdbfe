//! Modules of the kernel, on a kernel of the test's own, in a guest: `make guests`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use host::{Run, apply_by_the_laws, fail_by_the_laws, task};
use lvs_host::kernel_module::Task;
use serde_json::{Value, json};

const LISTS: [&str; 3] = ["/etc/modules-load.d", "/etc/modprobe.d", "/run/modules-load.d"];

/// Gives the test a host on which none of these modules is loaded and no boot loads any.
fn enter(modules: &[&str]) {
    host::only_in_a_guest();
    for module in modules {
        let _ = Command::new("rmmod").arg(module).output();
        assert!(!is_loaded(module), "{module}");
    }
    for directory in LISTS {
        let _ = fs::remove_dir_all(directory);
    }
    let _ = fs::remove_file("/etc/modules");
}

fn is_loaded(module: &str) -> bool {
    Path::new("/sys/module").join(module).exists()
}

fn modules(arguments: Value) -> Run<Task> {
    task(arguments)
}

/// Returns the modules that are loaded with their parameters, and what a boot loads.
fn look() -> String {
    let mut lines: Vec<String> = fs::read_to_string("/proc/modules")
        .unwrap()
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    lines.sort();
    lines.push(fs::read_to_string("/sys/module/ip_vs/parameters/conn_tab_bits").unwrap_or_default());
    lines.push(fs::read_to_string("/sys/module/nf_conntrack/parameters/hashsize").unwrap_or_default());
    lines.extend(
        LISTS.iter().filter(|path| Path::new(path).exists()).map(|path| host::files(Path::new(path))),
    );
    lines.join("\n")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn modules_are_loaded_now_and_at_the_next_boot_and_go() {
    enter(&["ip_gre", "gre", "ipip"]);
    let both = json!({"name": ["ipip", "ip-gre"]});
    assert_eq!(apply_by_the_laws(&modules(both.clone()), look).plan.iter().count(), 4);
    assert!(is_loaded("ipip") && is_loaded("ip_gre"));
    assert!(read("/etc/modules-load.d/lvs-host.ip_gre.conf").ends_with("\nip_gre\n"));
    let mut gone = both;
    gone["state"] = json!("absent");
    apply_by_the_laws(&modules(gone), look);
    assert!(!is_loaded("ipip") && !is_loaded("ip_gre"));
    assert_eq!(fs::read_dir("/etc/modules-load.d").unwrap().count(), 0);
    apply_by_the_laws(&modules(json!({"name": ["ipip"], "persist": false})), look);
    assert_eq!(fs::read_dir("/etc/modules-load.d").unwrap().count(), 0);
}

#[test]
fn check_mode_loads_nothing() {
    enter(&["ipip"]);
    let before = look();
    assert_eq!(modules(json!({"name": ["ipip"]})).check().unwrap().plan.iter().count(), 2);
    assert_eq!(look(), before);
}

#[test]
fn parameters_are_those_that_the_kernel_has() {
    enter(&["ip_vs_rr", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh", "ip_vs_lc", "ip_vs"]);
    let bits = |bits: u8| json!({"name": ["ip_vs"], "parameters": {"conn_tab_bits": bits}});
    let said = fail_by_the_laws(&modules(json!({"name": ["ip_vs"], "parameters": {"no_such": 1}})), look);
    assert!(said.starts_with("cannot set the parameter no_such of the module ip_vs: 1 was asked for and it is not there afterwards"), "{said}");
    assert!(!is_loaded("ip_vs"), "it is put back");
    apply_by_the_laws(&modules(bits(10)), look);
    assert_eq!(read("/sys/module/ip_vs/parameters/conn_tab_bits"), "10\n");
    assert!(read("/etc/modprobe.d/lvs-host.ip_vs.conf").ends_with("\noptions ip_vs conn_tab_bits=10\n"));
    let said = fail_by_the_laws(&modules(bits(11)), look);
    assert!(said.starts_with("cannot set the parameter conn_tab_bits of the module ip_vs to 11: it can be set only while the module is loaded, and that is"), "{said}");
    let said = fail_by_the_laws(&modules(json!({"name": ["ip_vs"], "parameters": {"no_such": 1}})), look);
    assert!(said.contains("shows none of that name"), "{said}");
    // What is not named stays, and one that can be set while it is loaded is.
    apply_by_the_laws(&modules(json!({"name": ["ip_vs"]})), look);
    let size: u32 = read("/sys/module/nf_conntrack/parameters/hashsize").trim().parse().unwrap();
    apply_by_the_laws(
        &modules(json!({"name": ["nf_conntrack"], "parameters": {"hashsize": size * 2}, "persist": false})),
        look,
    );
    assert_eq!(read("/sys/module/nf_conntrack/parameters/hashsize").trim(), (size * 2).to_string());
    apply_by_the_laws(&modules(json!({"name": ["ip_vs"], "state": "absent"})), look);
    assert!(!Path::new("/etc/modprobe.d/lvs-host.ip_vs.conf").exists());
}

#[test]
fn without_modprobe_the_kernel_is_asked() {
    enter(&["ip_gre", "gre", "ipip", "ip_vs_rr", "ip_vs_wlc", "ip_vs"]);
    let right = read("/proc/sys/kernel/modprobe");
    fs::write("/proc/sys/kernel/modprobe", "/nowhere/modprobe").unwrap();
    let loaded = modules(json!({"name": ["ip_gre"]})).apply().map(drop);
    let with_parameter =
        modules(json!({"name": ["ip_vs"], "parameters": {"conn_tab_bits": 9}})).apply().map(drop);
    fs::write("/proc/sys/kernel/modprobe", right.trim()).unwrap();
    loaded.unwrap();
    with_parameter.unwrap();
    assert!(is_loaded("ip_gre") && is_loaded("gre"), "with what it depends on");
    assert_eq!(read("/sys/module/ip_vs/parameters/conn_tab_bits"), "9\n");
}

#[test]
fn what_is_built_in_counts_as_loaded() {
    enter(&[]);
    let release = read("/proc/sys/kernel/osrelease");
    let list = read(&format!("/lib/modules/{}/modules.builtin", release.trim()));
    let name =
        list.lines().next().unwrap().rsplit('/').next().unwrap().strip_suffix(".ko").unwrap().to_owned();
    assert!(modules(json!({"name": [name]})).apply().unwrap().plan.is_empty(), "{name}");
    let said = fail_by_the_laws(&modules(json!({"name": [name], "state": "absent"})), look);
    assert!(said.ends_with(": it is built into the kernel; leave it"), "{said}");
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_changed() {
    enter(&["ip_vs_rr", "ip_vs_wlc", "ip_vs", "ipip"]);
    let said = fail_by_the_laws(&modules(json!({"name": ["no_such"]})), look);
    assert_eq!(
        said,
        "cannot load the module no_such: the kernel that runs has no module of that name; give one that it has"
    );
    modules(json!({"name": ["ip_vs_rr"]})).apply().unwrap();
    let said = fail_by_the_laws(&modules(json!({"name": ["ip_vs"], "state": "absent"})), look);
    assert!(
        said.starts_with(
            "cannot remove the module ip_vs: it is in use, as `lsmod` shows; end what uses it first"
        ),
        "{said}"
    );
    // As in a container that has the host's /sys and /proc.
    let root = tempfile::tempdir().unwrap();
    for place in ["proc", "sys"] {
        symlink(format!("/{place}"), root.path().join(place)).unwrap();
    }
    let said = fail_by_the_laws(&modules(json!({"name": ["ipip"]})).under(root.path()), look);
    assert!(
        said.contains("there are no modules of the kernel that runs below /lib/modules, as in a container"),
        "{said}"
    );
    // Without the privilege.
    let answer = Command::new("unshare")
        .args(["-U", "-r", "/modules/kernel_module", r#"{"name": ["ipip"], "persist": false}"#])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let said = answer["msg"].as_str().unwrap();
    assert!(
        said.starts_with("cannot load the module ipip: ") && said.contains("if this is a container"),
        "{said}"
    );
}

#[test]
fn who_else_has_a_boot_load_it_is_warned_of_and_a_failing_file_puts_the_kernel_back() {
    enter(&["ipip"]);
    fs::create_dir_all(LISTS[0]).unwrap();
    fs::write("/etc/modules", "# mine\nipip\n").unwrap();
    fs::write("/etc/modules-load.d/mine.conf", "ipip\n").unwrap();
    apply_by_the_laws(&modules(json!({"name": ["ipip"]})), look);
    let report = apply_by_the_laws(&modules(json!({"name": ["ipip"], "state": "absent"})), look);
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    assert_eq!(report.warnings[0], "/etc/modules has a boot load ipip all the same; take it out there");
    let strace = [
        "-f",
        "-e",
        "trace=renameat",
        "-e",
        "inject=renameat:error=ENOSPC:when=1",
        "/modules/kernel_module",
        r#"{"name": ["ipip"]}"#,
    ];
    let before = look();
    let output = Command::new("strace").args(strace).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["changed"], &answer["failed"]), (&json!(false), &json!(true)), "{answer}");
    assert_eq!(look(), before);
}

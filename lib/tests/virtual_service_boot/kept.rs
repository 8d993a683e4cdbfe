//! A director of which something is kept for a boot: its files, and the module that keeps them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::director::{enter_director, look};
use crate::host::only_in_a_guest;

pub(crate) const MODULE: &str = "/modules/virtual_service";
pub(crate) const TASK: &str = "/etc/lvs-host/virtual_services.json";
pub(crate) const UNIT: &str = "/etc/systemd/system/lvs-host-virtual-service.service";
pub(crate) const LINK: &str = "/etc/systemd/system/sysinit.target.wants/lvs-host-virtual-service.service";
pub(crate) const MODULES: &str = "/etc/modules-load.d/lvs-host-virtual-service.conf";
pub(crate) const PROGRAM: &str = "/usr/libexec/lvs-host/boot/virtual_service";
pub(crate) const RULES: &str = "/etc/ipvsadm.rules";

/// Gives the test a director on a host that runs systemd, as far as its files tell, and has nothing stored.
pub(crate) fn enter_host() {
    only_in_a_guest();
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
pub(crate) fn enter_host_of_ipvsadm() {
    enter_host();
    for directory in ["/etc/default", "/etc/rc2.d"] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::write("/etc/default/ipvsadm", "# ipvsadm\nAUTO=\"true\"\nDAEMON=\"none\"\n").unwrap();
    symlink("../init.d/ipvsadm", "/etc/rc2.d/S01ipvsadm").unwrap();
    fs::write(RULES, "# emtpy rules file for ipvsadm\n").unwrap();
}

/// Returns what is in the places where files may be, and the table.
pub(crate) fn everything() -> String {
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

/// Returns a task with a service of each kind.
pub(crate) fn sites() -> Value {
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

/// Returns a task with one service and these options besides.
pub(crate) fn web(options: Value) -> Value {
    let mut task = json!({"address": "192.0.2.10:80", "persist": "auto"});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

/// Runs the module that is shipped; returns its answer.
pub(crate) fn run(task: &Value) -> Value {
    answer(&Command::new(MODULE).arg(task.to_string()).output().unwrap())
}

/// Returns what a run answered.
pub(crate) fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Does what the unit does at a boot; returns whether it succeeded, and what the log then has.
pub(crate) fn boot() -> (bool, Value) {
    let unit = fs::read_to_string(UNIT).unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    (output.status.success(), answer(&output))
}

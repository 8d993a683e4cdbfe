//! A boot by the real readers, over the files of a test's host, in a network namespace of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use lvs_host::{Layer, Mode};
use serde_json::Value;

use crate::parameters::Host;

/// The file of the tasks.
pub(crate) const OWN: &str = "etc/sysctl.d/50-lvs.conf";

/// Returns the text with the short names written out.
pub(crate) fn full(text: &str) -> String {
    let line = |line: &str| {
        let (dash, name) = line.strip_prefix('-').map_or(("", line), |rest| ("-", rest));
        let short = [
            ("4.", "net.ipv4."),
            ("c.", "net.ipv4.conf."),
            ("6.", "net.ipv6.conf."),
            ("c/", "net/ipv4/conf/"),
        ];
        let long =
            short.iter().find_map(|(short, long)| Some(format!("{long}{}", name.strip_prefix(short)?)));
        format!("{dash}{}", long.unwrap_or_else(|| name.to_owned()))
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// How a reader is called, what a host has that boots with it, and the script that does what such a boot does.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
}

pub(crate) const SYSTEMD: Reader = Reader { name: "systemd-sysctl", script: "/lib/systemd/systemd-sysctl" };
pub(crate) const PROCPS: Reader = Reader { name: "sysctl --system", script: "sysctl --system" };
/// As Alpine's service does: one directory after the other, and the file of old behind /etc/sysctl.d.
#[allow(dead_code, reason = "not every test binary uses it")]
pub(crate) const BUSYBOX: Reader = Reader {
    name: "BusyBox's sysctl",
    script: "for file in /usr/lib/sysctl.d/*.conf; do \
             [ ! -f $file ] || [ -f /etc/sysctl.d/${file##*/} ] || busybox sysctl -p $file; done; \
             for file in /etc/sysctl.d/*.conf /etc/sysctl.conf; do [ ! -f $file ] || busybox sysctl -p $file; done",
};

/// As OpenWrt's does.
#[allow(dead_code, reason = "not every test binary uses it")]
pub(crate) const OPENWRT: Reader = Reader {
    name: "BusyBox's sysctl",
    script: "for file in /etc/sysctl.d/*.conf /etc/sysctl.conf; do [ ! -f $file ] || busybox sysctl -e -p $file; done",
};

/// Returns a host that boots with systemd and procps, or with BusyBox, and has these files.
pub(crate) fn host_with(busybox: bool, files: &[(&str, &str)]) -> Host {
    let host = if busybox { Host::new() } else { Host::with_systemd() };
    fs::create_dir_all(host.path("usr/sbin")).unwrap();
    fs::create_dir_all(host.path("usr/lib/sysctl.d")).unwrap();
    match busybox {
        true => symlink("/bin/busybox", host.path("usr/sbin/sysctl")).unwrap(),
        false => host.write("usr/sbin/sysctl", ""),
    }
    for (path, text) in files {
        host.write(path, full(text));
    }
    host
}

/// Boots a network namespace from the files of `host`; returns what the kernel holds then of the parameters at `paths`.
pub(crate) fn boot(host: &Host, reader: &Reader, paths: &[String]) -> BTreeMap<String, String> {
    let root = host.root().display();
    let script = format!(
        "set -e
        mount -n --bind {root}/etc /etc
        mount -n --bind {root}/usr/lib/sysctl.d /usr/lib/sysctl.d
        echo 0 >/proc/sys/net/ipv4/ip_forward
        ip link set lo up
        ip link add v0 type veth peer name v0-far
        ip link set v0-far up
        ip link set v0 up
        ({}) >/dev/null 2>&1 || true
        for path in {}; do printf '%s %s\\n' $path \"$(tr '\\n' ' ' </proc/sys/$path 2>/dev/null)\"; done",
        reader.script,
        paths.join(" ")
    );
    let output = Command::new("unshare").args(["--net", "--mount", "sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let values = text.lines().filter_map(|line| line.split_once(' '));
    values.map(|(path, value)| (path.to_owned(), value.trim().replace('\t', " "))).collect()
}

impl Host {
    /// Returns the files that a boot reads, to be shown where it fails.
    fn stored(&self) -> String {
        crate::host::files(&self.path("etc"))
    }
}

/// Returns the path below /proc/sys of a name with dots.
pub(crate) fn path(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

/// How a warning begins about a file that a boot does not read.
const UNREAD: &str = "no boot sets";

/// What the answers of tasks said when all of them had been applied.
pub(crate) struct Answers {
    /// Each parameter, and what is wanted of it.
    pub(crate) wanted: BTreeMap<String, String>,
    pub(crate) warnings: Vec<String>,
    /// Whether they contradict each other, as a warning said, so that a second round changes something.
    pub(crate) contradict: bool,
}

impl Answers {
    /// Returns whether a warning says that a boot by this reader does not bring this parameter about.
    pub(crate) fn tell(&self, name: &str, reader: &str) -> bool {
        self.any(reader, &[format!(" {name} to "), format!(" {name}, as"), UNREAD.to_owned()])
    }

    /// Returns whether a warning says that this reader does not read the file.
    fn is_unread(&self, reader: &str) -> bool {
        self.any(reader, &[UNREAD.to_owned()])
    }

    fn any(&self, reader: &str, words: &[String]) -> bool {
        let told = |warning: &String| warning.contains(reader) && words.iter().any(|it| warning.contains(it));
        self.warnings.iter().any(told)
    }
}

/// Applies tasks in turn, looks that a second round changes nothing, and returns what they say then.
pub(crate) fn applied(host: &Host, tasks: &[Value]) -> Answers {
    for task in tasks {
        host.sysctl(task.clone()).apply().map_err(|error| error.sentence()).expect("a task");
    }
    let mut answers = Answers { wanted: BTreeMap::new(), warnings: Vec::new(), contradict: false };
    let mut changed = Vec::new();
    for task in tasks {
        let run = host.sysctl(task.clone());
        let report = run.apply().unwrap();
        changed.extend(report.plan.items().map(|item| (item.layer.clone(), item.key.to_string())));
        answers.warnings.extend(report.warnings);
        for (name, value) in run.remarks(Mode::Check)["settings"].as_object().unwrap() {
            if name.contains('*') {
                continue;
            }
            answers.wanted.insert(name.clone(), value["after"].as_str().unwrap().replace('\t', " "));
        }
    }
    assert!(changed.is_empty() || !answers.warnings.is_empty(), "{tasks:?} again: {changed:?}");
    // A line that only moves is not worth a word.
    let values = changed.iter().filter(|(layer, _)| *layer == Layer::Kernel).map(|(_, name)| name);
    for name in values.filter(|name| answers.wanted.contains_key(*name)) {
        let is_told = answers.warnings.iter().any(|it| it.contains(&format!(" {name} ")));
        assert!(is_told, "{tasks:?} again: {name}: {:?}\n{}", answers.warnings, host.stored());
    }
    answers.contradict = !changed.is_empty();
    answers
}

/// Boots by each of the readers; what differs from what was wanted must have been told, and nothing else.
pub(crate) fn compare(host: &Host, answers: &Answers, readers: &[&Reader], what: &str) {
    let paths: Vec<String> = answers.wanted.keys().map(|name| path(name)).collect();
    for reader in readers {
        let booted = boot(host, reader, &paths);
        for (name, wanted) in &answers.wanted {
            let is = &booted[&path(name)];
            if is == wanted && answers.is_unread(reader.name) {
                // As it happens that is what a fresh kernel holds.
                continue;
            }
            assert_eq!(
                is != wanted,
                answers.tell(name, reader.name),
                "{what}: {name} is {is} after a boot by {}, wanted was {wanted}; told was {:?}; stored is\n{}",
                reader.name,
                answers.warnings,
                host.stored()
            );
        }
    }
}

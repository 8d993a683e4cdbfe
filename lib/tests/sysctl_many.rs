//! Tasks of many: the time grows with the number of parameters, patterns and lines, and not with its square.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::fs;

use parameters::Host;
use serde_json::{Map, Value, json};

/// Settings, the lines of the task's own file and those of another one.
type Shape = fn(usize) -> (Value, String, String);

fn settings(count: usize, setting: impl Fn(usize) -> (String, &'static str)) -> Value {
    let entries: Map<String, Value> =
        (0..count).map(setting).map(|(name, value)| (name, json!(value))).collect();
    entries.into()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

const SHAPES: [(&str, Shape); 10] = [
    ("names, and patterns in another file", |count| {
        let patterns = lines(count, |n| format!("net.ipv4.conf.*{n}.forwarding=1\n"));
        (settings(count, |n| (format!("net.ipv4.conf.a{n}.forwarding"), "1")), String::new(), patterns)
    }),
    ("names, and patterns in the same file", |count| {
        let patterns = lines(count, |n| format!("net.ipv4.conf.*{n}.forwarding=1\n"));
        (settings(count, |n| (format!("net.ipv4.conf.a{n}.forwarding"), "1")), patterns, String::new())
    }),
    ("patterns and names", |count| {
        let setting = |n| match n % 2 {
            0 => (format!("net.ipv4.conf.*x{n}.forwarding"), "1"),
            _ => (format!("net.ipv4.conf.a{n}.forwarding"), "0"),
        };
        (settings(count, setting), String::new(), String::new())
    }),
    ("patterns beside what they leave out", |count| {
        let others =
            lines(count, |n| format!("net.ipv4.conf.*{n}.rp_filter=1\n-net.ipv4.conf.a{n}.rp_filter\n"));
        (settings(count, |n| (format!("net.ipv4.conf.a{n}.rp_filter"), "1")), String::new(), others)
    }),
    ("lines that a switch below undoes", |count| {
        let own = lines(count, |n| format!("net.ipv6.conf.a{n}.forwarding=0\n"));
        let own = own + "net.ipv6.conf.all.forwarding=1\n";
        (settings(count, |n| (format!("net.ipv6.conf.a{n}.forwarding"), "0")), own, String::new())
    }),
    ("names that another file's switch undoes", |count| {
        let other = "net.ipv6.conf.all.forwarding=1\n".into();
        (settings(count, |n| (format!("net.ipv6.conf.a{n}.forwarding"), "0")), String::new(), other)
    }),
    ("twins", |count| {
        let own = lines(count, |n| format!("net.ipv4.neigh.a{n}.base_reachable_time_ms=30000\n"));
        (settings(count, |n| (format!("net.ipv4.neigh.a{n}.base_reachable_time"), "40")), own, String::new())
    }),
    ("switches above what they undo", |count| {
        let own = lines(count, |n| format!("net.ipv6.conf.a{n}.addr_gen_mode=1\n"));
        (settings(count, |n| (format!("net.ipv6.conf.a{n}.stable_secret"), "::1")), own, String::new())
    }),
    ("at least", |count| {
        let other = lines(count, |n| format!("net.ipv4.conf.a{n}.medium_id=1\n"));
        (settings(count, |n| (format!("net.ipv4.conf.a{n}.medium_id"), "40")), String::new(), other)
    }),
    ("a given order", |count| {
        let setting = |n| json!({format!("net.ipv4.conf.a{n}.forwarding"): 1});
        ((0..count).map(setting).collect(), String::new(), String::new())
    }),
];

/// Returns how long this thread has run, in nanoseconds: what else the machine does is not in it (proc(5), schedstat).
fn time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Returns how long it takes to plan a task of this shape.
fn duration(what: &str, shape: Shape, count: usize) -> u64 {
    let host = Host::with_systemd();
    let (settings, own, other) = shape(count);
    host.write("etc/sysctl.d/50-lvs.conf", own);
    host.write("etc/sysctl.d/90-other.conf", other);
    let at_least = what == "at least";
    let task = host.sysctl(
        json!({"settings": settings, "reload": false, "at_least": at_least, "sysctl_file": "/etc/sysctl.d/50-lvs.conf"}),
    );
    let runs = (0..2).map(|_| {
        let start = time();
        assert!(!task.check().unwrap().plan.is_empty());
        time() - start
    });
    runs.min().unwrap()
}

#[test]
fn four_times_as_many_take_no_ten_times_as_long() {
    for (what, shape) in SHAPES {
        let (few, many) = (duration(what, shape, 250), duration(what, shape, 1000));
        assert!(many < few * 10, "{what}: {} ms became {} ms", few / 1_000_000, many / 1_000_000);
    }
}

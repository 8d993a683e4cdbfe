//! Aliases as a task and as ip(8) see them.

#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::process::{Command, Stdio};
use std::time::Duration;

use lvs_host::interface_alias::Task;
use serde_json::Value;

use crate::host::{Run, apply_by_the_laws, fail_by_the_laws, ip, task};

/// Returns addresses and routes as ip(8) sees them, without what counts down or settles by itself.
pub(crate) fn look() -> String {
    let all =
        [ip("-oneline address show"), ip("route show table all"), ip("-6 route show table main")].concat();
    // Routes of link-local and multicast addresses come and go while an interface settles; the kernel adds that of an IPv6
    // address to its local table when it gets to it, a moment after the address (net/ipv6/addrconf.c, addrconf_dad_work).
    let settles =
        |line: &str| line.contains("fe80::") || line.contains("ff00::") || line.starts_with("local 2001:");
    let lines = all.lines().filter(|line| !settles(line));
    let counts_down = |word: &str| word.ends_with("sec") && word.starts_with(|c: char| c.is_ascii_digit());
    let stays = |word: &&str| !["tentative", "linkdown"].contains(word) && !counts_down(word);
    lines.map(|line| line.split(' ').filter(stays).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Returns the resource that a task describes.
pub(crate) fn alias(arguments: Value) -> Run<Task> {
    task(arguments)
}

/// Applies a task by the laws; returns whether it changed something.
pub(crate) fn apply(arguments: Value) -> bool {
    !apply_by_the_laws(&alias(arguments), look).plan.is_empty()
}

/// Applies a task that must fail and change nothing; returns the sentence.
pub(crate) fn refuse(arguments: Value) -> String {
    fail_by_the_laws(&alias(arguments), look)
}

/// Returns what ip(8) shows of v0's IPv4 addresses, in order: address, label, secondary or not.
pub(crate) fn shown() -> Vec<String> {
    ip("-oneline -4 address show dev v0")
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let secondary = if words.contains(&"secondary") { " secondary" } else { "" };
            let label = words.iter().find(|word| word.starts_with("v0") && word.ends_with('\\'));
            format!("{} {}{secondary}", words[3], label.unwrap().trim_end_matches('\\'))
        })
        .collect()
}

/// Returns the events of addresses and routes that the kernel reports while `act` runs, as `ip monitor` tells them.
pub(crate) fn monitored(act: impl FnOnce()) -> Vec<String> {
    let mut monitor = Command::new("ip");
    monitor.args(["-oneline", "monitor", "address", "route"]).stdout(Stdio::piped());
    let mut monitor = monitor.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    act();
    // An event of our own ends the look.
    ip("route add 198.18.0.0/32 dev lo");
    std::thread::sleep(Duration::from_millis(100));
    monitor.kill().unwrap();
    let events = String::from_utf8(monitor.wait_with_output().unwrap().stdout).unwrap();
    ip("route del 198.18.0.0/32 dev lo");
    let (events, _) = events.split_once("198.18.0.0 dev lo").expect("the last event is seen");
    let lines = events.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    // What an interface that has just come up does for IPv6 goes on for a while.
    lines.filter(|line| !line.is_empty() && !line.contains("fe80::") && !line.contains("ff00::")).collect()
}

/// Adds a single address with keepalived's mark; ip(8) of Debian 12 cannot.
pub(crate) fn add_as_keepalived_does(interface: &str, address: &str) {
    use rtnetlink::packet_route::address::{AddressAttribute, AddressProtocol};
    const RTPROT_KEEPALIVED: u8 = 18;
    let index: u32 =
        ip(&format!("-oneline link show dev {interface}")).split(':').next().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let mut request = handle.address().add(index, address.parse().unwrap(), 32);
        let mark = AddressAttribute::Protocol(AddressProtocol::Other(RTPROT_KEEPALIVED));
        request.message_mut().attributes.push(mark);
        request.execute().await.unwrap();
    });
}

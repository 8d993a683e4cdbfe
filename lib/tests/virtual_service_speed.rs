//! How long the module takes that is shipped, beside ipvsadm(8) and a program that does nothing, on a kernel that has IPVS, in a guest:
//! `make ipvs`. Times of a guest count as ratios alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

#[path = "host/director.rs"]
mod director;
mod host;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use director::{enter_director, ipvsadm, restore, saved};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

const MODULE: &str = "/modules/virtual_service";

/// How long a run takes at best, of three.
#[derive(Debug)]
struct Times {
    restored: Duration,
    added: Duration,
    changed: Duration,
    checked: Duration,
}

/// Has the module that is shipped and ipvsadm make the same services with 10 real servers each, in turns.
fn race(services: u16) -> Times {
    enter_director();
    let line = |port, server| format!("-a -t 192.0.2.10:{port} -r 10.0.0.{server}:{port} -m -w 1\n");
    let of = |port| {
        format!("-A -t 192.0.2.10:{port} -s rr\n")
            + &(1..=10).map(|server| line(port, server)).collect::<String>()
    };
    let lines: String = (1..=services).map(of).collect();
    let all: Vec<_> = (1..=services).map(|port| json!({"address": format!("192.0.2.10:{port}")})).collect();
    let task = |weight: u8| {
        let servers: Vec<_> =
            (1..=10).map(|server| json!({"address": format!("10.0.0.{server}"), "weight": weight})).collect();
        json!({"services": all, "scheduler": "rr", "forward": "nat", "real_servers": servers})
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let run = |weight: u8, changes: bool| {
        std::fs::write(file.path(), task(weight).to_string()).unwrap();
        let began = Instant::now();
        let output = Command::new(MODULE).arg(file.path()).output().unwrap();
        let took = began.elapsed();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["changed"], json!(changes));
        took
    };
    let mut best = Times {
        restored: Duration::MAX,
        added: Duration::MAX,
        changed: Duration::MAX,
        checked: Duration::MAX,
    };
    for _ in 0..3 {
        ipvsadm("-C");
        let began = Instant::now();
        restore(&lines);
        best.restored = best.restored.min(began.elapsed());
        let there = saved();
        best.checked = best.checked.min(run(1, false));
        ipvsadm("-C");
        best.added = best.added.min(run(1, true));
        assert_eq!(saved(), there);
        best.changed = best.changed.min(run(2, true));
    }
    eprintln!("{services} services with 10 real servers each, the best of 3: {best:?}");
    best
}

#[test]
fn services_are_checked_added_and_changed_as_fast_as_ipvsadm_adds_them() {
    let Times { restored, added, changed, checked } = race(100);
    assert!(added <= restored && changed <= restored && checked <= restored);
}

#[test]
#[ignore = "takes a minute: `make kernels` has it"]
fn a_thousand_services_too() {
    let Times { restored, added, changed, checked } = race(1000);
    assert!(added <= restored && changed <= restored && checked <= restored);
}

/// Makes the least that a static program can be, which ends at once: an ELF file with one segment of x86_64 (elf(5)).
fn make_nothing(path: &Path) {
    const ADDRESS: u64 = 0x40_0000;
    // mov $60, %eax (exit); xor %edi, %edi; syscall
    let code = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    let length = 64 + 56 + code.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    bytes.extend([ADDRESS + 64 + 56, 64, 0].map(u64::to_le_bytes).concat());
    bytes.extend([0_u16, 0, 64, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    bytes.resize(64, 0);
    bytes.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    bytes.extend([0, ADDRESS, ADDRESS, length, length, 0x1000].map(u64::to_le_bytes).concat());
    bytes.extend(code);
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What runs of a command cost.
#[derive(Debug)]
struct Cost {
    /// The median.
    wall: Duration,
    /// The average, as the kernel counts in ticks.
    processor: Duration,
}

fn processor_of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time =
        |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    time(usage.user_time()) + time(usage.system_time())
}

fn cost_of(command: &mut Command) -> Cost {
    const RUNS: usize = 50;
    let before = processor_of_children();
    let mut run = || {
        let began = Instant::now();
        assert!(command.output().unwrap().status.success());
        began.elapsed()
    };
    let mut walls: Vec<_> = (0..RUNS).map(|_| run()).collect();
    walls.sort();
    Cost { wall: walls[RUNS / 2], processor: (processor_of_children() - before) / RUNS as u32 }
}

/// An emulated processor translates what it runs, which makes a larger program slower than it is elsewhere: so what is said of a program
/// that does nothing is told, and what is said of ipvsadm(8) has to be true.
#[test]
fn one_service_is_checked_in_half_the_time_that_ipvsadm_takes_to_show_it() {
    enter_director();
    let nothing = tempfile::tempdir().unwrap().keep().join("nothing");
    make_nothing(&nothing);
    restore("-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1\n");
    let task = json!({"address": "192.0.2.10:80", "scheduler": "rr", "real_servers": [{"address": "10.0.0.11"}], "_ansible_check_mode": true});
    let task = task.to_string();
    let nothing = cost_of(&mut Command::new(&nothing));
    let checked = cost_of(Command::new(MODULE).arg(&task));
    let shown = cost_of(Command::new("ipvsadm").arg("-Sn"));
    eprintln!("nothing: {nothing:?}, one service checked: {checked:?}, ipvsadm -Sn: {shown:?}");
    assert!(checked.wall * 2 <= shown.wall && checked.processor * 2 <= shown.processor);
}

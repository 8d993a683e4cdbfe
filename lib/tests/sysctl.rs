//! What a sysctl module can do: a test a row of the table that compares this one's peers, on the real kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use host::{Run, files, ip};
use lvs_host::{Mode, Root};
use parameters::{Host, kernel, refuse_arguments, set};
use serde_json::json;

#[test]
fn the_running_kernel_is_set() {
    let host = Host::new();
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(kernel("net/ipv4/ip_forward"), "1");
    set("net/ipv4/ip_forward", "0");
    let before = files(&host.path("etc"));
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": true})), "drift is mended");
    assert_eq!(files(&host.path("etc")), before, "the file was right and is left alone");
}

#[test]
fn the_running_kernel_is_set_alone() {
    let host = Host::new();
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "persist": false})));
    assert_eq!(kernel("net/ipv4/ip_forward"), "1");
    assert!(!host.path("etc/sysctl.conf").exists());
}

#[test]
fn the_file_is_set_alone_and_the_kernel_is_neither_read_nor_written() {
    let host = Host::new();
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "reload": false})));
    assert_eq!(kernel("net/ipv4/ip_forward"), "0");
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.ip_forward=1\n");
    fs::remove_file(host.path("proc")).unwrap();
    assert!(
        !host
            .sysctl(json!({"name": "no.such", "value": 1, "reload": false}))
            .apply()
            .unwrap()
            .plan
            .is_empty()
    );
    let both = json!({"name": "net.ipv4.ip_forward", "value": 1, "reload": false, "sysctl_set": true});
    assert!(host.sysctl(both).apply().is_err(), "sysctl_set wants the kernel");
}

#[test]
fn several_parameters_are_one_task_one_plan_and_one_file_replacement() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "# mine\n");
    let before = host.path("etc/sysctl.conf").metadata().unwrap().ino();
    let report = host.report(json!({"settings": {"net.ipv4.ip_default_ttl": 65, "net.ipv4.conf.v0.rp_filter": 2, "net.ipv4.tcp_rmem": [4096, 8192, 16384]}}));
    assert_eq!(report.plan.items().count(), 6);
    assert_ne!(host.path("etc/sysctl.conf").metadata().unwrap().ino(), before);
    assert_eq!(
        host.text("etc/sysctl.conf"),
        "# mine\nnet.ipv4.conf.v0.rp_filter=2\nnet.ipv4.ip_default_ttl=65\nnet.ipv4.tcp_rmem=4096 8192 16384\n"
    );
    assert!(host.apply(
        json!({"settings": {"net.ipv4.ip_default_ttl": null, "net.ipv4.tcp_rmem": null}, "state": "absent"})
    ));
    assert_eq!(host.text("etc/sysctl.conf"), "# mine\nnet.ipv4.conf.v0.rp_filter=2\n");
}

#[test]
fn parameters_that_change_others_come_first() {
    let host = Host::new();
    ip("link add a0 type veth peer name a1");
    let settings = json!({"net.ipv4.conf.a0.forwarding": 0, "net.ipv4.conf.all.accept_redirects": 1, "net.ipv4.ip_forward": 1});
    assert!(host.apply(json!({"settings": settings})));
    assert_eq!(kernel("net/ipv4/conf/a0/forwarding"), "0");
    assert_eq!(kernel("net/ipv4/conf/a1/forwarding"), "1");
    assert_eq!(kernel("net/ipv4/conf/all/accept_redirects"), "1");
    set("net/ipv4/ip_forward", "0");
    let settings = json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.default.forwarding": 0});
    assert!(host.apply(json!({"settings": settings})));
    assert_eq!(
        kernel("net/ipv4/conf/default/forwarding"),
        "0",
        "what was right and is changed along is set again"
    );
}

#[test]
fn a_pattern_sets_all_that_it_matches_and_is_stored_as_it_is() {
    let host = Host::new();
    let settings = json!({"net.ipv4.conf.*.rp_filter": 2, "net.ipv4.conf.lo.rp_filter": 0});
    assert!(host.apply(json!({"settings": settings})));
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.conf.*.rp_filter=2\nnet.ipv4.conf.lo.rp_filter=0\n");
    for (name, value) in [("all", "2"), ("default", "2"), ("v0", "2"), ("lo", "0")] {
        assert_eq!(kernel(&format!("net/ipv4/conf/{name}/rp_filter")), value, "{name}");
    }
    let error = host.refuse_in_check(json!({"name": "net.ipv4.conf.w*.rp_filter", "value": 1}));
    assert!(error.contains("net.ipv4.conf.w*.rp_filter"), "{error}");
    let contradiction = json!({"net.ipv4.conf.*.rp_filter": 1, "net.ipv4.conf.v?.rp_filter": 2});
    let error = host.refuse_in_check(json!({"settings": contradiction}));
    assert!(error.contains("two patterns"), "{error}");
}

#[test]
fn an_interface_with_a_dot_in_its_name_is_found_in_each_spelling() {
    let host = Host::new();
    ip("link add eth0.100 type veth peer name eth0");
    for (number, name) in [
        "net.ipv4.conf.eth0/100.arp_ignore",
        "net/ipv4/conf/eth0.100/arp_ignore",
        "net.ipv4.conf.eth0.100.arp_ignore",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(host.apply(json!({"name": name, "value": 1})), number == 0, "{name}");
    }
    assert_eq!(kernel("net/ipv4/conf/eth0.100/arp_ignore"), "1");
    let twice = json!({"net.ipv4.conf.eth0.100.arp_ignore": 1, "net/ipv4/conf/eth0.100/arp_ignore": 2});
    let error = refuse_arguments(json!({"settings": twice}));
    assert!(error.contains("settings has it twice, as net/ipv4/conf/eth0.100/arp_ignore too"), "{error}");
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.conf.eth0/100.arp_ignore=1\n");
    ip("link del eth0");
    assert!(
        host.apply(json!({"name": "net.ipv4.conf.eth0.100.arp_ignore", "state": "absent"})),
        "also once it is gone"
    );
    assert_eq!(host.text("etc/sysctl.conf"), "");
}

#[test]
fn white_space_is_compared_as_the_kernel_reads_it() {
    let host = Host::new();
    assert!(host.apply(json!({"name": "net.ipv4.tcp_rmem", "value": "4096 8192  16384"})));
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.tcp_rmem=4096 8192  16384\n");
    assert!(!host.apply(json!({"name": "net.ipv4.tcp_rmem", "value": "4096\t8192\t16384"})));
    assert!(!host.apply(json!({"name": "net.ipv4.tcp_rmem", "value": [4096, "8192", 16384]})));
}

#[test]
fn numbers_and_lists_are_compared_as_the_kernel_reads_them() {
    let host = Host::new();
    for (name, value, same) in [
        ("net.ipv4.fib_multipath_hash_fields", "0x1ff", "511"),
        ("net.ipv4.ip_default_ttl", "0101", "65"),
        ("net.ipv4.ip_local_reserved_ports", "1,2,3", "1-3"),
        ("net.ipv4.ip_local_reserved_ports", "10-20,1,2-5", "1-5,10-20"),
    ] {
        assert!(host.apply(json!({"name": name, "value": value})), "{name}={value}");
        assert!(!host.apply(json!({"name": name, "value": same})), "{name}={same}");
    }
}

#[test]
fn what_is_read_back_after_the_write_is_what_counts() {
    let host = Host::new();
    let error = host.refuse(json!({"name": "net.ipv4.neigh.v0.retrans_time_ms", "value": 7}));
    assert!(error.contains("7 was asked for and 8 is read back; ask for 8"), "{error}");
    assert!(host.apply(json!({"name": "net.ipv4.neigh.v0.retrans_time_ms", "value": 8})));
}

#[test]
fn a_value_that_is_taken_in_part_is_refused_as_a_whole() {
    let host = Host::new();
    for (name, value) in [
        ("net.ipv4.tcp_rmem", "4097"),
        ("net.ipv4.tcp_rmem", "4096 87380 6291456 99"),
        ("net.ipv4.ip_default_ttl", "65 66"),
        ("net.ipv4.ping_group_range", "100 50"),
        ("net.ipv4.tcp_syncookies", "2 3"),
    ] {
        let error = host.refuse(json!({"name": name, "value": value}));
        assert!(error.starts_with(&format!("cannot set {name}")), "{error}");
    }
}

#[test]
fn check_mode_refuses_what_can_be_read() {
    let host = Host::new();
    let error = host.refuse_in_check(json!({"name": "net.ipv4.no_such", "value": 1}));
    assert!(error.starts_with("cannot find net.ipv4.no_such: "), "{error}");
    fs::create_dir(host.path("etc/directory.conf")).unwrap();
    host.refuse_in_check(
        json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/directory.conf"}),
    );
}

#[test]
fn the_answer_shows_each_parameter_before_and_after_in_both_layers() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "net.ipv4.ip_default_ttl=63\n");
    let task =
        host.sysctl(json!({"settings": {"net.ipv4.ip_default_ttl": 65, "net.ipv4.conf.v0.rp_filter": 0}}));
    let report = task.check().unwrap();
    assert_eq!(
        task.remarks(Mode::Check)["settings"],
        json!({"net.ipv4.ip_default_ttl": {"before": "64", "after": "65"}, "net.ipv4.conf.v0.rp_filter": {"before": "0", "after": "0"}})
    );
    let changes: Vec<String> =
        report.plan.iter().map(|(item, change)| format!("{item}: {:?}", json!(change.before))).collect();
    assert_eq!(changes.len(), 3, "{changes:?}");
}

#[test]
fn a_failure_in_the_middle_undoes_all_of_it() {
    let host = Host::new();
    set("net/ipv4/conf/v0/forwarding", "1");
    let settings =
        json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.v0.arp_ignore": 1, "net.ipv4.tcp_rmem": "x"});
    let error = host.refuse(json!({"settings": settings}));
    assert!(error.starts_with("cannot set net.ipv4.tcp_rmem to x: Invalid argument"), "{error}");
    // What is as it should be, and a switch changes along, is put back as well.
    let settings = json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.accept_redirects": 1, "net.ipv4.conf.all.accept_local": "x"});
    assert!(host.refuse(json!({"settings": settings})).contains("accept_local to x"));
    // The effect comes last, when the file is written.
    let settings = json!({"net.ipv4.ip_default_ttl": 65, "net.ipv6.route.flush": "x"});
    host.write("etc/ragged.conf", "# no line feed");
    for file in ["/etc/sysctl.d/a.conf", "/etc/new/deep/a.conf", "/etc/dangling.conf"] {
        symlink(host.path("etc/new/b.conf"), host.path("etc/dangling.conf")).unwrap_or_default();
        let error = host.refuse(json!({"settings": settings, "sysctl_file": file}));
        assert!(error.starts_with("cannot set net.ipv6.route.flush to x"), "{error}");
    }
    for backup in [false, true] {
        let task = json!({"settings": settings, "sysctl_file": "/etc/ragged.conf", "backup": backup});
        host.sysctl(task).apply().err().unwrap();
        assert_eq!(host.text("etc/ragged.conf"), "# no line feed", "every byte");
    }
    let copies = fs::read_dir(host.path("etc"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b"~"));
    assert_eq!(copies.count(), 0);
    host.write("etc/blocked", "");
    let settings = json!({"net.ipv4.ip_forward": 1, "net.ipv4.conf.v0.arp_ignore": 1});
    let error = host.refuse(json!({"settings": settings, "sysctl_file": "/etc/blocked/a.conf"}));
    assert!(error.contains("etc/blocked"), "{error}");
}

#[test]
fn only_the_tasks_own_parameter_is_loaded() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "no.such=1\nnet.ipv4.ip_default_ttl=70\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "reload": true})));
    assert_eq!(kernel("net/ipv4/ip_default_ttl"), "64");
}

#[test]
fn an_unknown_parameter_is_refused_or_stored_for_later() {
    let host = Host::new();
    let task = json!({"name": "net.ipv4.vs.no_such", "value": 1});
    assert!(host.refuse_in_check(task.clone()).contains("the kernel module ip_vs brings it"));
    let mut lenient = task;
    lenient["ignoreerrors"] = json!(true);
    let report = host.report(lenient.clone());
    assert!(report.warnings[0].contains("not in force"), "{:?}", report.warnings);
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.vs.no_such=1\n");
    assert!(!host.apply(lenient.clone()));
    assert_eq!(host.sysctl(lenient).check().unwrap().warnings.len(), 1);
    host.refuse(json!({"name": "net.ipv4.ip_default_ttl", "value": 999, "ignoreerrors": true}));
}

#[test]
fn a_read_only_kernel_is_fine_where_the_value_is_right() {
    let host = Host::new();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    for arguments in ["--bind /proc/sys/net /proc/sys/net", "-o remount,bind,ro /proc/sys/net"] {
        let mount = std::process::Command::new("mount").arg("--no-mtab").args(arguments.split(' ')).status();
        assert!(mount.unwrap().success());
    }
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 0})), "the line is stored");
    let error = host.refuse(json!({"name": "net.ipv4.ip_forward", "value": 1}));
    assert!(error.starts_with("cannot set net.ipv4.ip_forward to 1: Read-only file system"), "{error}");
    assert!(error.contains("mount it writable, or set it from outside"), "{error}");
}

#[test]
fn another_network_namespace_is_entered_by_path_or_name() {
    let host = Host::new();
    let own = fs::File::open("/proc/thread-self/ns/net").unwrap();
    host::enter_network();
    let other = format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid());
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "netns": other});
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            nix::sched::setns(&own, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            host.sysctl(task.clone()).apply().unwrap().plan.is_empty()
        });
        assert!(!run.join().unwrap());
    });
    assert_eq!(kernel("net/ipv4/ip_forward"), "1", "it was set here");
    nix::sched::setns(&own, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    assert_eq!(kernel("net/ipv4/ip_forward"), "0", "and not there");
    assert!(!host.path("etc/sysctl.conf").exists());
    let error = host.refuse_in_check(json!({"name": "net.ipv4.ip_forward", "value": 1, "netns": "blue"}));
    assert!(error.contains("run/netns/blue"), "{error}");
    fs::create_dir_all(host.path("run/netns")).unwrap();
    symlink(&other, host.path("run/netns/blue")).unwrap();
    let by_name = json!({"name": "net.ipv4.ip_forward", "value": 1, "netns": "blue"});
    assert!(host.sysctl(by_name.clone()).check().is_ok());
    nix::sched::setns(&own, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    assert!(!host.sysctl(by_name).apply().unwrap().plan.is_empty());
    nix::sched::setns(&own, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    for (task, named) in [
        (
            json!({"name": "net.ipv4.ip_forward", "value": 1, "netns": "x", "persist": true}),
            "persist: true with netns",
        ),
        (json!({"name": "vm.swappiness", "value": 1, "netns": "x"}), "vm.swappiness"),
    ] {
        assert!(refuse_arguments(task).contains(named));
    }
}

#[test]
fn a_parameter_that_can_only_be_written_is_an_effect() {
    let host = Host::new();
    let task = json!({"settings": {"net.ipv4.route.flush": 1, "net.ipv4.ip_default_ttl": 65}});
    let planned = || {
        let plan = host.sysctl(task.clone()).apply().unwrap().plan;
        plan.items().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(planned().len(), 3, "the kernel, the file, and at last the effect");
    assert_eq!(planned(), ["net.ipv4.route.flush"], "it is done each time");
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.ip_default_ttl=65\n", "an effect is never stored");
    assert!(!host.sysctl(task).check().unwrap().plan.is_empty(), "and always predicted");
}

#[test]
fn a_value_that_the_kernel_refuses_is_never_stored() {
    let host = Host::new();
    let error = host.refuse(json!({"name": "net.ipv4.ip_default_ttl", "value": 999}));
    assert_eq!(
        error,
        "cannot set net.ipv4.ip_default_ttl to 999: Invalid argument (os error 22); \
         nothing is changed, in force is net.ipv4.ip_default_ttl = 64"
    );
    assert!(!host.path("etc/sysctl.conf").exists());
}

#[test]
fn no_name_leads_out_of_proc_sys() {
    for name in ["../../etc/passwd", "net/../../version", "net.ipv4./../x", "/proc/sys/../version"] {
        let error = refuse_arguments(json!({"name": name, "value": 1}));
        assert!(error.contains("cannot use the name"), "{error}");
    }
    let host = Host::new();
    let error = host.refuse_in_check(json!({"name": "net.ipv4", "value": 1}));
    assert!(error.starts_with("cannot find net.ipv4"), "{error}");
}

#[test]
fn nothing_in_a_name_or_value_is_an_argument_or_a_variable() {
    let host = Host::new();
    for name in ["-w net.ipv4.ip_default_ttl=99", "-p", "$HOME", "net.ipv4.ip_forward;reboot"] {
        assert!(host.sysctl_is_refused(name), "{name}");
    }
    assert!(host.apply(json!({"name": "net.ipv4.vs.x", "value": "$HOME `id` ~ 6\"4", "ignoreerrors": true})));
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.vs.x=$HOME `id` ~ 6\"4\n");
}

#[test]
fn nothing_in_a_name_or_value_is_a_line() {
    for task in [
        json!({"name": "net.ipv4.ip_forward", "value": "1\nkernel.panic=1"}),
        json!({"name": "net.ipv4.ip_forward", "value": "1\rkernel.panic=1"}),
        json!({"name": "net.ipv4.ip_forward=1", "value": "1"}),
        json!({"name": "kernel.x=1\nnet.ipv4.ip_forward", "value": "1"}),
        json!({"settings": {"net.ipv4.ip_forward": ["1", "2\n3"]}}),
    ] {
        assert!(refuse_arguments(task).starts_with("cannot "));
    }
}

impl Host {
    /// Returns whether a name is refused, be it before or after a look at the kernel.
    fn sysctl_is_refused(&self, name: &str) -> bool {
        let task = json!({"name": name, "value": 1});
        match serde_json::from_value::<lvs_host::sysctl::Task>(task) {
            Err(_) => true,
            Ok(task) => Run { task, root: Root::new(self.root()) }.apply().is_err(),
        }
    }
}

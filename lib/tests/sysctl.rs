//! Parameters on the real kernel and in real files: each test in a network namespace and a directory of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use host::{apply_by_the_laws, enter_network, fail_by_the_laws, files, resource};
use lvs_host::{Resource, Sysctl};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A host with the real /proc and an /etc of its own.
struct Host {
    root: TempDir,
}

impl Host {
    fn new() -> Self {
        enter_network();
        let root = TempDir::new().unwrap();
        symlink("/proc", root.path().join("proc")).unwrap();
        fs::create_dir_all(root.path().join("etc/sysctl.d")).unwrap();
        Self { root }
    }

    /// A host that boots with systemd, which reads /etc/sysctl.conf only through a link.
    fn with_systemd() -> Self {
        let host = Self::new();
        let program = host.path("usr/lib/systemd/systemd-sysctl");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(program, "").unwrap();
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn look(&self) -> String {
        format!("{}\n{}", kernel("net/ipv4/ip_forward"), files(&self.path("etc")))
    }

    fn sysctl(&self, arguments: Value) -> Sysctl {
        resource::<Sysctl>(arguments).under(self.root.path())
    }

    fn apply(&self, arguments: Value) -> bool {
        !apply_by_the_laws(&self.sysctl(arguments), || self.look()).plan.is_empty()
    }

    fn refuse(&self, arguments: Value) -> String {
        fail_by_the_laws(&self.sysctl(arguments), || self.look())
    }
}

fn kernel(path: &str) -> String {
    fs::read_to_string(Path::new("/proc/sys").join(path)).unwrap().trim().to_owned()
}

#[test]
fn ip_forward_is_switched_on_now_and_for_the_next_boot() {
    let host = Host::new();
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(kernel("net/ipv4/ip_forward"), "1");
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.ip_forward=1\n");
    assert!(!host.apply(json!({"name": "net/ipv4/ip_forward", "value": "1"})));
}

#[test]
fn drift_in_either_layer_is_found_and_mended_alone() {
    let host = Host::new();
    let task = json!({"name": "net.ipv4.ip_forward", "value": true});
    host.apply(task.clone());
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let before = files(&host.path("etc"));
    assert!(host.apply(task.clone()));
    assert_eq!(files(&host.path("etc")), before, "the file was right and is left alone");
    fs::write(host.path("etc/sysctl.conf"), "net.ipv4.ip_forward=0\n").unwrap();
    assert!(host.apply(task));
}

#[test]
fn the_default_file_is_one_that_a_boot_reads() {
    let host = Host::with_systemd();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1});
    fs::write(host.path("etc/sysctl.conf"), "# old\nnet.ipv4.ip_forward=0\n").unwrap();
    assert!(host.apply(task.clone()));
    assert_eq!(host.text("etc/sysctl.d/99-lvs-host.conf"), "net.ipv4.ip_forward=1\n");
    assert_eq!(host.text("etc/sysctl.conf"), "# old\n", "one line is left, in the file that counts");
    symlink("../sysctl.conf", host.path("etc/sysctl.d/99-sysctl.conf")).unwrap();
    assert!(host.apply(task));
    assert_eq!(host.text("etc/sysctl.conf"), "# old\nnet.ipv4.ip_forward=1\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "state": "absent"})));
    assert_eq!(host.text("etc/sysctl.conf"), "# old\n");
}

#[test]
fn absent_takes_the_line_away_and_leaves_the_kernel() {
    let host = Host::new();
    let file = json!({"sysctl_file": "/etc/sysctl.d/a.conf", "name": "net.ipv4.ip_forward", "value": 1});
    host.apply(file);
    assert!(host.apply(
        json!({"sysctl_file": "/etc/sysctl.d/a.conf", "name": "net.ipv4.ip_forward", "state": "absent"})
    ));
    assert_eq!(host.text("etc/sysctl.d/a.conf"), "");
    assert_eq!(kernel("net/ipv4/ip_forward"), "1");
    assert!(!host.apply(json!({"sysctl_file": "/etc/none.conf", "name": "no.such.key", "state": "absent"})));
}

#[test]
fn each_layer_can_be_managed_alone() {
    let host = Host::new();
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "persist": false})));
    assert_eq!(kernel("net/ipv4/ip_forward"), "1");
    assert!(!host.path("etc/sysctl.conf").exists());
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 0, "reload": false})));
    assert_eq!(kernel("net/ipv4/ip_forward"), "1", "reload: false leaves the kernel alone");
    assert!(
        host.apply(json!({"name": "net.ipv4.ip_forward", "value": 0, "reload": false, "sysctl_set": true}))
    );
    assert_eq!(kernel("net/ipv4/ip_forward"), "0");
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
fn a_value_that_the_kernel_rounds_is_refused_with_the_one_to_ask_for() {
    let host = Host::new();
    let error = host.refuse(json!({"name": "net.ipv4.neigh.v0.retrans_time_ms", "value": 7}));
    assert!(error.contains("7 was asked for and 8 is read back; ask for 8"), "{error}");
    assert_eq!(kernel("net/ipv4/neigh/v0/retrans_time_ms"), "1000");
}

#[test]
fn a_file_that_cannot_be_written_puts_the_kernel_back() {
    let host = Host::new();
    fs::write(host.path("etc/blocked"), "").unwrap();
    let error =
        host.refuse(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/blocked/a.conf"}));
    assert!(error.contains("etc/blocked"), "{error}");
    assert_eq!(kernel("net/ipv4/ip_forward"), "0");
}

#[test]
fn a_target_that_is_no_regular_file_is_refused() {
    let host = Host::new();
    fs::create_dir(host.path("etc/directory.conf")).unwrap();
    symlink("/dev/null", host.path("etc/null.conf")).unwrap();
    for file in ["/etc/directory.conf", "/etc/null.conf"] {
        let error = host.refuse(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file}));
        assert!(error.ends_with("it is no regular file; name one"), "{error}");
    }
}

#[test]
fn mode_link_and_attributes_of_a_file_are_kept_and_a_directory_is_made() {
    let host = Host::new();
    let real = host.path("etc/real.conf");
    fs::write(&real, "a.b=1\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.conf", host.path("etc/link.conf")).unwrap();
    // A user namespace on a file system without them has none to keep.
    let marked = xattr::set(&real, "user.mark", b"x").is_ok();
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/link.conf"})));
    assert!(host.path("etc/link.conf").is_symlink());
    assert_eq!(host.text("etc/real.conf"), "a.b=1\nnet.ipv4.ip_forward=1\n");
    assert_eq!(real.metadata().unwrap().mode() & 0o7777, 0o640);
    assert!(!marked || xattr::get(&real, "user.mark").unwrap() == Some(b"x".to_vec()));
    assert!(
        host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/new/deep/a.conf"}))
    );
    assert_eq!(host.path("etc/new/deep/a.conf").metadata().unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn a_parameter_that_is_not_there_is_named_with_what_would_bring_it() {
    let host = Host::new();
    let error = host.refuse(json!({"name": "net.ipv4.no_such", "value": 1}));
    assert!(error.starts_with("cannot find net.ipv4.no_such: "), "{error}");
    let error = host.refuse(json!({"name": "net.ipv4.vs.no_such", "value": 1}));
    assert!(error.contains("ip_vs"), "{error}");
}

#[test]
fn a_missing_parameter_that_may_be_missing_is_stored_with_a_warning() {
    let host = Host::new();
    let task = json!({"name": "net.ipv4.vs.no_such", "value": 1, "ignoreerrors": true});
    let report = apply_by_the_laws(&host.sysctl(task.clone()), || host.look());
    assert!(report.warnings[0].contains("not in force"), "{:?}", report.warnings);
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.vs.no_such=1\n");
    assert_eq!(host.sysctl(task).check().unwrap().warnings.len(), 1);
    host.refuse(json!({"name": "net.ipv4.ip_default_ttl", "value": 999, "ignoreerrors": true}));
}

#[test]
fn many_runs_at_once_lose_no_line() {
    let host = Host::new();
    let namespace = fs::File::open("/proc/thread-self/ns/net").unwrap();
    std::thread::scope(|scope| {
        for ttl in 0..24 {
            let (host, namespace) = (&host, &namespace);
            scope.spawn(move || {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let name = format!("net.ipv4.vs.key{ttl}");
                let task = json!({"name": name, "value": ttl, "ignoreerrors": true, "sysctl_file": "/etc/new/a.conf"});
                assert!(!host.sysctl(task).apply().unwrap().plan.is_empty());
            });
        }
    });
    assert_eq!(host.text("etc/new/a.conf").lines().count(), 24);
}

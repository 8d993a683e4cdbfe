//! What becomes of the files that a boot loads: what is written, what is kept, and what another file makes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use parameters::{Host, kernel, set};
use serde_json::json;

#[test]
fn any_file_holds_the_line() {
    let host = Host::new();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.d/50-lvs.conf"});
    assert!(host.apply(task.clone()));
    assert_eq!(host.text("etc/sysctl.d/50-lvs.conf"), "net.ipv4.ip_forward=1\n");
    host.write("etc/sysctl.d/50-lvs.conf", "net.ipv4.ip_forward=0\n");
    assert!(host.apply(task), "drift is mended");
}

#[test]
fn the_default_file_is_one_that_a_boot_reads() {
    let host = Host::with_systemd();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1});
    host.write("etc/sysctl.conf", "# old\nnet.ipv4.ip_forward=0\n");
    assert!(host.apply(task.clone()));
    assert_eq!(host.text("etc/sysctl.d/99-lvs-host.conf"), "net.ipv4.ip_forward=1\n");
    assert_eq!(host.text("etc/sysctl.conf"), "# old\n", "one line is left, in the file that counts");
    symlink("../sysctl.conf", host.path("etc/sysctl.d/99-sysctl.conf")).unwrap();
    assert!(host.apply(task));
    assert_eq!(host.text("etc/sysctl.conf"), "# old\nnet.ipv4.ip_forward=1\n");
    assert_eq!(host.text("etc/sysctl.d/99-lvs-host.conf"), "");
    host.write("etc/sysctl.d/99-lvs-host.conf", "net/ipv4/ip_forward = 1\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "state": "absent"})));
    assert_eq!(host.text("etc/sysctl.conf"), "# old\n", "absent cleans both");
    assert_eq!(host.text("etc/sysctl.d/99-lvs-host.conf"), "");
}

#[test]
fn another_file_that_wins_at_the_next_boot_is_told_with_its_line() {
    let host = Host::with_systemd();
    host.write("usr/sbin/sysctl", "");
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.d/50-lvs.conf"});
    assert_eq!(host.report(task.clone()).warnings, [""; 0]);
    let warnings = || host.report(task.clone()).warnings;
    let winner = |file: &str, line| {
        let file = host.path(file);
        format!(
            "the next boot sets net.ipv4.ip_forward to 0, as {} line {line} comes last; change it there",
            file.display()
        )
    };
    host.write("etc/sysctl.conf", "# procps reads it last\nnet.ipv4.ip_forward=0\n");
    assert_eq!(warnings(), [winner("etc/sysctl.conf", 2) + " (by sysctl --system)"]);
    fs::remove_file(host.path("etc/sysctl.conf")).unwrap();
    host.write("usr/lib/sysctl.d/99-vendor.conf", "\n-net/ipv4/ip_forward = 0\n");
    assert_eq!(
        warnings(),
        [winner("usr/lib/sysctl.d/99-vendor.conf", 2) + " (by systemd-sysctl and sysctl --system)"]
    );
    host.write("etc/sysctl.d/99-vendor.conf", "");
    assert_eq!(warnings(), [""; 0], "a file of the same name masks it");
    host.write("etc/sysctl.d/99-zz.conf", "net.ipv4.*=0\n");
    assert_eq!(warnings(), [""; 0], "a name beats a pattern");
}

#[test]
fn a_line_that_leaves_the_parameter_out_takes_it_from_systemd_if_it_comes_later() {
    let host = Host::with_systemd();
    host.write("usr/sbin/sysctl", "");
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.d/50-lvs.conf"});
    let warnings = || host.report(task.clone()).warnings;
    let left_out = |file: &str, line| {
        let file = host.path(file);
        format!(
            "the next boot does not set net.ipv4.ip_forward, as {} line {line} leaves it out; take that line away (by systemd-sysctl)",
            file.display()
        )
    };
    host.write("etc/sysctl.d/40-out.conf", "-net.ipv4.ip_forward\n");
    assert_eq!(warnings(), [""; 0], "it comes before");
    host.write("etc/sysctl.d/60-out.conf", "-net.ipv4.ip_forward\n");
    assert_eq!(warnings(), [left_out("etc/sysctl.d/60-out.conf", 1)]);
    fs::remove_file(host.path("etc/sysctl.d/60-out.conf")).unwrap();
    host.write("etc/sysctl.d/50-lvs.conf", "net.ipv4.ip_forward=0\n-net.ipv4.ip_forward\n");
    assert_eq!(warnings(), [""; 0]);
    let text = host.text("etc/sysctl.d/50-lvs.conf");
    assert_eq!(
        text, "-net.ipv4.ip_forward\nnet.ipv4.ip_forward=1\n",
        "within the own file the line is moved"
    );
}

#[test]
fn a_file_whose_name_is_no_text_masks_no_other() {
    let host = Host::with_systemd();
    let name = |byte| std::os::unix::ffi::OsStringExt::from_vec(vec![byte, b'.', b'c', b'o', b'n', b'f']);
    let path = |directory: &str, byte| host.path(directory).join::<std::ffi::OsString>(name(byte));
    fs::create_dir_all(host.path("usr/lib/sysctl.d")).unwrap();
    fs::write(path("etc/sysctl.d", 0xe9), "").unwrap();
    fs::write(path("usr/lib/sysctl.d", 0xea), "net.ipv4.ip_forward=0\n").unwrap();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.d/50-lvs.conf"});
    assert_eq!(host.report(task).warnings.len(), 1);
}

#[test]
fn a_file_that_no_boot_reads_is_told() {
    let host = Host::with_systemd();
    for (file, expected) in [
        ("/etc/lvs.conf", 1),
        ("/etc/sysctl.d/lvs", 1),
        ("/etc/sysctl.d/.lvs.conf", 1),
        ("/etc/sysctl.d/lvs.conf", 0),
    ] {
        let report = host.report(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file}));
        assert_eq!(report.warnings.len(), expected, "{file}: {:?}", report.warnings);
        fs::remove_file(host.path(&file[1..])).unwrap();
    }
}

#[test]
fn a_line_that_tells_a_boot_to_ignore_errors_is_the_parameters_line() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "-net.ipv4.ip_forward = 0\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(host.text("etc/sysctl.conf"), "-net.ipv4.ip_forward = 1\n");
}

#[test]
fn slashes_and_dots_in_the_file_spell_one_name() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "net/ipv4/ip_forward = 0\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(host.text("etc/sysctl.conf"), "net/ipv4/ip_forward = 1\n");
}

#[test]
fn a_reader_finds_the_old_file_or_the_new_one_whole() {
    let host = Host::new();
    let (file, done) = (host.path("etc/sysctl.conf"), AtomicBool::new(false));
    let filler = "# filler\n".repeat(2000);
    host.write("etc/sysctl.conf", &filler);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&file).unwrap();
                assert!(text.starts_with(&filler) && text.ends_with('\n'), "{}", text.len());
            }
        });
        for value in 0..50 {
            host.sysctl(json!({"name": "net.ipv4.ip_default_ttl", "value": value, "reload": false}))
                .apply()
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn comments_order_and_spacing_are_kept() {
    let host = Host::new();
    host.write(
        "etc/sysctl.conf",
        "; c\r\n  b.c   =  2 \n\n#net.ipv4.ip_forward=0\n net.ipv4.ip_forward\t= 0\t\nx",
    );
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(
        host.text("etc/sysctl.conf"),
        "; c\r\n  b.c   =  2 \n\n#net.ipv4.ip_forward=0\n net.ipv4.ip_forward\t= 1\t\nx"
    );
}

#[test]
fn duplicates_of_other_parameters_are_kept() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "a.b=1\na.b=0\n");
    host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1}));
    assert_eq!(host.text("etc/sysctl.conf"), "a.b=1\na.b=0\nnet.ipv4.ip_forward=1\n");
}

#[test]
fn of_several_lines_of_the_parameter_the_last_one_counts() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "net.ipv4.ip_forward=1\nnet.ipv4.ip_forward=0\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(host.text("etc/sysctl.conf"), "net.ipv4.ip_forward=1\nnet.ipv4.ip_forward=1\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "state": "absent"})));
    assert_eq!(host.text("etc/sysctl.conf"), "");
}

#[test]
fn the_mode_of_the_file_is_kept() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "");
    fs::set_permissions(host.path("etc/sysctl.conf"), fs::Permissions::from_mode(0o640)).unwrap();
    host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1}));
    assert_eq!(host.path("etc/sysctl.conf").metadata().unwrap().mode() & 0o7777, 0o640);
}

#[test]
#[ignore = "needs root: only it can give a file away"]
fn the_owner_of_the_file_is_kept() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "");
    std::os::unix::fs::chown(host.path("etc/sysctl.conf"), Some(12), Some(34)).unwrap();
    host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1}));
    let meta = host.path("etc/sysctl.conf").metadata().unwrap();
    assert_eq!((meta.uid(), meta.gid()), (12, 34));
}

#[test]
fn the_extended_attributes_of_the_file_are_kept() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "");
    xattr::set(host.path("etc/sysctl.conf"), "user.mark", b"x").unwrap();
    host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1}));
    assert_eq!(xattr::get(host.path("etc/sysctl.conf"), "user.mark").unwrap(), Some(b"x".to_vec()));
}

#[test]
fn the_access_rights_of_the_file_are_kept_and_no_others_come_from_its_directory() {
    /// As acl(5) has them: version 2, then tag, rights and number of each entry; user 12 may write.
    const ACL: [u8; 44] = [
        2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 12, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
        16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255,
    ];
    let host = Host::new();
    host.write("etc/sysctl.d/a.conf", "");
    host.write("etc/sysctl.d/b.conf", "");
    xattr::set(host.path("etc/sysctl.d"), "system.posix_acl_default", &ACL).unwrap();
    xattr::set(host.path("etc/sysctl.d/b.conf"), "system.posix_acl_access", &ACL).unwrap();
    for (file, rights) in [("a.conf", None), ("b.conf", Some(ACL.to_vec()))] {
        let file = format!("/etc/sysctl.d/{file}");
        assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file})));
        assert_eq!(xattr::get(host.path(&file[1..]), "system.posix_acl_access").unwrap(), rights, "{file}");
    }
}

#[test]
fn a_symbolic_link_is_followed_also_to_a_file_that_is_not_there_yet() {
    let host = Host::new();
    host.write("etc/real.conf", "");
    for (link, file) in [("etc/link.conf", "etc/real.conf"), ("etc/dangling.conf", "etc/new.conf")] {
        symlink(host.path(file), host.path(link)).unwrap();
        assert!(
            host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": format!("/{link}")}))
        );
        assert!(host.path(link).is_symlink());
        assert_eq!(host.text(file), "net.ipv4.ip_forward=1\n");
    }
}

#[test]
fn a_missing_directory_is_made() {
    let host = Host::new();
    assert!(
        host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/new/deep/a.conf"}))
    );
    assert_eq!(host.path("etc/new/deep/a.conf").metadata().unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let host = Host::new();
    host.write("etc/sysctl.conf", b"# caf\xe9\n");
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1})));
    assert_eq!(fs::read(host.path("etc/sysctl.conf")).unwrap(), b"# caf\xe9\nnet.ipv4.ip_forward=1\n");
}

#[test]
fn runs_at_the_same_time_lose_no_line() {
    let host = Host::new();
    let namespace = fs::File::open("/proc/thread-self/ns/net").unwrap();
    std::thread::scope(|scope| {
        for number in 0..24 {
            let (host, namespace) = (&host, &namespace);
            scope.spawn(move || {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let name = format!("net.ipv4.vs.key{number}");
                let task =
                    json!({"name": name, "value": 1, "ignoreerrors": true, "sysctl_file": "/etc/new/a.conf"});
                assert!(!host.sysctl(task).apply().unwrap().plan.is_empty());
            });
        }
    });
    assert_eq!(host.text("etc/new/a.conf").lines().count(), 24);
}

#[test]
fn absent_takes_every_spelling_away_and_leaves_the_kernel() {
    let host = Host::new();
    set("net/ipv4/ip_forward", "1");
    host.write(
        "etc/a.conf",
        "net.ipv4.ip_forward=1\nx.y=1\n-net/ipv4/ip_forward =\nnet..ipv4.ip_forward=0\n",
    );
    assert!(
        host.apply(json!({"sysctl_file": "/etc/a.conf", "name": "net/ipv4/ip_forward", "state": "absent"}))
    );
    assert_eq!(host.text("etc/a.conf"), "x.y=1\n");
    assert_eq!(kernel("net/ipv4/ip_forward"), "1");
    assert!(!host.apply(json!({"sysctl_file": "/etc/none.conf", "name": "no.such.key", "state": "absent"})));
}

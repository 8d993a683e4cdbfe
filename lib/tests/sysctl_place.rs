//! Files in places that others can reach, too: what is refused, and what an attacker gets who exchanges them meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use parameters::Host;
use serde_json::{Value, json};

/// Another user than root.
const OTHER: u32 = 12;

fn task(file: &str) -> Value {
    json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file, "backup": true})
}

/// Makes a directory with this mode, whatever the umask.
fn directory(path: &Path, mode: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_others_can_write_is_refused_with_owner_and_mode() {
    let host = Host::new();
    let user = nix::unistd::geteuid();
    host.write("etc/open/a.conf", "");
    host.write("etc/open/deep/a.conf", "");
    directory(&host.path("etc/open"), 0o777);
    symlink("open/deep", host.path("etc/link")).unwrap();
    let open = host.path("etc/open");
    for file in
        ["open/a.conf", "open/new.conf", "open/deep/a.conf", "link/a.conf", "link/../../etc/open/new/a.conf"]
    {
        let error = host.refuse_in_check(task(&format!("/etc/{file}")));
        let words = format!("cannot rely on {}, which belongs to user {user} ", open.display());
        assert!(error.starts_with(&words) && error.contains("has mode 0777"), "{file}: {error}");
    }
    directory(&open, 0o775);
    assert!(host.apply(task("/etc/open/deep/a.conf")), "the own group is not another user");
}

#[test]
#[ignore = "needs root: only it can give a directory away"]
fn a_directory_of_another_user_or_group_is_refused() {
    let host = Host::new();
    directory(&host.path("etc/home/deep"), 0o755);
    chown(host.path("etc/home"), Some(OTHER), None).unwrap();
    let error = host.refuse_in_check(task("/etc/home/deep/a.conf"));
    assert!(error.contains("etc/home, which belongs to user 12 and group 0 and has mode 0755"), "{error}");
    chown(host.path("etc/home"), Some(0), Some(OTHER)).unwrap();
    assert!(host.apply(task("/etc/home/deep/a.conf")), "the group cannot write");
    directory(&host.path("etc/home"), 0o775);
    assert!(host.refuse_in_check(task("/etc/home/deep/a.conf")).contains("group 12 and has mode 0775"));
}

#[test]
fn an_access_control_list_that_lets_others_write_is_seen() {
    /// As acl(5) has them: version 2, then tag, rights and number of each entry; user 0 may write, as any other might.
    const ACL: [u8; 44] = [
        2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0, 0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255,
        16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255,
    ];
    let host = Host::new();
    directory(&host.path("etc/listed"), 0o755);
    xattr::set(host.path("etc/listed"), "system.posix_acl_access", &ACL).unwrap();
    assert!(host.refuse_in_check(task("/etc/listed/a.conf")).contains("has mode 0775"));
}

#[test]
#[ignore = "needs root: only it can give a file away"]
fn where_everybody_can_make_files_only_those_of_root_are_used() {
    let host = Host::new();
    directory(&host.path("etc/tmp"), 0o1777);
    assert!(host.apply(task("/etc/tmp/own.conf")));
    host.write("etc/tmp/other.conf", "");
    host.write("etc/tmp/directory/a.conf", "");
    symlink("own.conf", host.path("etc/tmp/link.conf")).unwrap();
    for name in ["other.conf", "directory", "link.conf"] {
        std::os::unix::fs::lchown(host.path("etc/tmp").join(name), Some(OTHER), None).unwrap();
    }
    for file in ["other.conf", "directory/a.conf", "link.conf"] {
        let error = host.refuse_in_check(task(&format!("/etc/tmp/{file}")));
        assert!(error.contains("which belongs to user 12"), "{file}: {error}");
    }
}

/// A process of another user that does the same over and over, until it is dropped or long after.
struct Attacker(Child);

impl Attacker {
    fn start(directory: &Path, script: &str) -> Self {
        let script = format!("i=0; while [ $i -lt 1000000 ]; do {script}; i=$((i+1)); done");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(directory).uid(OTHER).gid(OTHER);
        Self(shell.stderr(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Lets root write a file in a directory of this mode, hundreds of times, while another user exchanges the file for links to one
/// that only root can read; that one must stay as it is, and its content must get nowhere.
fn attacked(owner: u32, mode: u32) {
    const SECRET: &str = "# root's own\nnet.ipv4.ip_forward=0\n";
    let host = Host::new();
    fs::set_permissions(host.root(), Permissions::from_mode(0o755)).unwrap();
    host.write("etc/secret", SECRET);
    fs::set_permissions(host.path("etc/secret"), Permissions::from_mode(0o600)).unwrap();
    let place = host.path("etc/open");
    directory(&place, mode);
    chown(&place, Some(owner), None).unwrap();
    let attacker = Attacker::start(
        &place,
        "ln -sf ../secret a.conf; rm -f a.conf; echo '#' >a.conf; mv -f a.conf b.conf; ln -sf ../secret b.conf; mv -f b.conf a.conf",
    );
    for _ in 0..400 {
        drop(host.sysctl(task("/etc/open/a.conf")).apply());
        for entry in fs::read_dir(&place).unwrap().flatten() {
            // Opened once here as well, as the attacker goes on meanwhile.
            let mut options = fs::OpenOptions::new();
            let opened = options.read(true).custom_flags(nix::libc::O_NOFOLLOW).open(entry.path());
            let Ok(file) = opened else { continue };
            let (meta, text) = (file.metadata().unwrap(), std::io::read_to_string(file).unwrap());
            let is_reachable = meta.uid() == OTHER || meta.mode() & 0o004 != 0;
            assert!(
                !text.contains("root's own") || !is_reachable,
                "{} has the secret",
                entry.path().display()
            );
            if meta.uid() == 0 {
                let _ = fs::remove_file(entry.path());
            }
        }
        assert_eq!(host.text("etc/secret"), SECRET);
        let secret = host.path("etc/secret").metadata().unwrap();
        assert_eq!((secret.uid(), secret.mode() & 0o7777), (0, 0o600));
    }
    drop(attacker);
}

#[test]
#[ignore = "needs root: only it is worth an attack"]
fn a_user_who_exchanges_the_file_for_a_link_gets_nothing_in_a_directory_of_his_own() {
    attacked(OTHER, 0o755);
}

#[test]
#[ignore = "needs root: only it is worth an attack"]
fn a_user_who_exchanges_the_file_for_a_link_gets_nothing_in_a_directory_of_everybodys() {
    attacked(0, 0o1777);
}

#[test]
fn drafts_that_killed_runs_left_go_with_the_next_write_and_those_in_use_stay() {
    let host = Host::new();
    for name in [
        ".50-other.conf.lvs-host-draft",
        ".0123456789abcdef.lvs-host-draft",
        "a.lvs-host-draft",
        ".used.lvs-host-draft",
    ] {
        host.write(&format!("etc/sysctl.d/{name}"), "net.ipv4.ip_forward=0\n");
    }
    symlink("a.lvs-host-draft", host.path("etc/sysctl.d/.link.lvs-host-draft")).unwrap();
    let used = File::open(host.path("etc/sysctl.d/.used.lvs-host-draft")).unwrap();
    used.lock().unwrap();
    host.sysctl(
        json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": "/etc/sysctl.d/50-lvs.conf"}),
    )
    .apply()
    .unwrap();
    let mut names: Vec<_> =
        fs::read_dir(host.path("etc/sysctl.d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".link.lvs-host-draft", ".used.lvs-host-draft", "50-lvs.conf", "a.lvs-host-draft"]);
}

#[test]
fn a_name_of_the_greatest_length_can_be_written() {
    let host = Host::new();
    let file = format!("/etc/sysctl.d/{}.conf", "a".repeat(250));
    assert!(host.apply(json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file})));
}

#[test]
fn a_lock_on_what_everybody_can_open_stops_nobody() {
    let host = Host::new();
    for path in [host.path("etc"), host.path("etc/sysctl.conf"), "/proc/thread-self/ns/net".into()] {
        if path.ends_with("sysctl.conf") {
            host.write("etc/sysctl.conf", "");
        }
        let file = File::open(&path).unwrap();
        file.lock().unwrap();
        let start = std::time::Instant::now();
        host.sysctl(json!({"name": "net.ipv4.ip_forward", "value": 1})).apply().unwrap();
        assert!(start.elapsed().as_secs() < 20, "{}", path.display());
    }
}

#[test]
fn what_cannot_be_looked_at_is_told_and_never_taken_for_absent() {
    let host = Host::with_systemd();
    let warnings = |file: &str| {
        let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "sysctl_file": file});
        host.sysctl(task).check().unwrap().warnings
    };
    let unknown = "whether the next boot sets what was asked for is not known: cannot ";
    host.write("etc/sysctl.d/99-large.conf", "# large\n".repeat(600_000));
    let told = warnings("/etc/sysctl.d/50-lvs.conf");
    assert!(
        told.len() == 1
            && told[0].starts_with(unknown)
            && told[0].contains("99-large.conf: it holds more than 1 MiB"),
        "{told:?}"
    );
    fs::remove_file(host.path("etc/sysctl.d/99-large.conf")).unwrap();
    host.write("usr/lib/sysctl.d", "no directory");
    let told = warnings("/etc/sysctl.d/50-lvs.conf");
    assert!(
        told.len() == 1
            && told[0].starts_with(unknown)
            && told[0].contains("usr/lib/sysctl.d: Not a directory"),
        "{told:?}"
    );
    // Which file counts cannot be told either.
    let error = host.refuse_in_check(json!({"name": "net.ipv4.ip_forward", "value": 1}));
    assert!(error.contains("usr/lib/sysctl.d: Not a directory"), "{error}");
}

#[test]
fn a_path_that_is_no_network_namespace_or_that_others_could_exchange_is_refused() {
    let host = Host::new();
    let other = format!("/proc/{}/task/{}/ns", std::process::id(), nix::unistd::gettid());
    host.write("run/file", "");
    nix::unistd::mkfifo(&host.path("run/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(host.path("run/open")).unwrap();
    for link in ["run/open/blue", "run/blue"] {
        symlink(format!("{other}/net"), host.path(link)).unwrap();
    }
    fs::set_permissions(host.path("run/open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let task = |netns: &str| json!({"name": "net.ipv4.ip_forward", "value": 1, "netns": netns});
    for (netns, why) in [
        ("/run/file", "it is not a namespace"),
        ("/run/pipe", "it is not a namespace"),
        ("/run", "it is not a namespace"),
        (&format!("{other}/pid"), "Invalid argument"),
        ("/run/none", "No such file or directory"),
        ("/run/open/blue", "run/open, which belongs to user "),
    ] {
        let error = host.refuse_in_check(task(netns));
        assert!(error.contains(why), "{netns}: {error}");
    }
    for netns in ["/run/blue", &format!("{other}/net"), "/proc/self/root/proc/thread-self/ns/net"] {
        assert!(host.sysctl(task(netns)).check().is_ok(), "{netns}");
    }
}

#[test]
#[ignore = "needs root: only it can give a directory away"]
fn a_network_namespace_below_the_directory_of_a_user_is_entered() {
    let host = Host::new();
    fs::create_dir_all(host.path("run/user/12")).unwrap();
    symlink("/proc/thread-self/ns/net", host.path("run/user/12/net")).unwrap();
    std::os::unix::fs::chown(host.path("run/user/12"), Some(12), None).unwrap();
    let task = json!({"name": "net.ipv4.ip_forward", "value": 1, "netns": "/run/user/12/net"});
    assert!(host.sysctl(task).check().is_ok());
}

//! The options that ansible.posix.sysctl does not have: an order, a comment, a least value, and reading alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use std::path::Path;

use host::ip;
use lvs_host::Mode;
use parameters::{Host, kernel, refuse_arguments, set};
use serde_json::{Value, json};

const FILE: &str = "etc/sysctl.d/50-lvs.conf";

fn task(more: Value) -> Value {
    let mut task = json!({"name": "net.ipv4.ip_default_ttl", "sysctl_file": format!("/{FILE}")});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

#[test]
fn a_list_of_settings_is_written_in_its_order() {
    let host = Host::new();
    let settings = json!([{"net.ipv4.tcp_syncookies": 0}, {"net.ipv4.ip_default_ttl": 65}, {"net.ipv4.conf.all.log_martians": 1}]);
    assert!(host.apply(json!({"settings": settings, "sysctl_file": format!("/{FILE}")})));
    assert_eq!(
        host.text(FILE),
        "net.ipv4.tcp_syncookies=0\nnet.ipv4.ip_default_ttl=65\nnet.ipv4.conf.all.log_martians=1\n"
    );
    // An order in which the second undoes the first does not become true.
    let settings = json!([{"net.ipv4.ip_forward": 1}, {"net.ipv4.conf.all.accept_redirects": 1}]);
    assert!(host.apply(json!({"settings": settings, "persist": false})));
    set("net/ipv4/ip_forward", "0");
    set("net/ipv4/conf/all/accept_redirects", "0");
    let settings = json!([{"net.ipv4.conf.all.accept_redirects": 1}, {"net.ipv4.ip_forward": 1}]);
    let error = host.refuse(json!({"settings": settings}));
    assert!(
        error.contains("net.ipv4.conf.all.accept_redirects: 1 was asked for and 0 is read back"),
        "{error}"
    );
    for wrong in [json!([{"a.b": 1, "c.d": 2}]), json!([{}]), json!([3]), json!("a.b")] {
        let error = refuse_arguments(json!({"settings": wrong}));
        assert!(error.contains("entry") || error.contains("invalid type"), "{error}");
    }
    assert!(refuse_arguments(json!({"settings": [{"a.b": 1}, {"a/b": 2}]})).contains("twice"));
    assert!(refuse_arguments(json!({"settings": ["a.b"]})).contains("its value is missing"));
}

#[test]
fn what_changes_along_comes_after_the_order_that_was_given() {
    let host = Host::new();
    // The mode follows the secret, and the kernel refuses it before that.
    let settings = json!([{"net.ipv6.conf.v0.stable_secret": "::1"}, {"net.ipv4.ip_default_ttl": 65}]);
    assert!(host.apply(json!({"settings": settings, "sysctl_file": "/etc/sysctl.d/a.conf"})));
    assert_eq!(kernel("net/ipv6/conf/v0/addr_gen_mode"), "2");
}

#[test]
fn a_pattern_has_its_place_in_an_order() {
    let host = Host::new();
    set("net/ipv4/conf/v0/forwarding", "1");
    let orders = |first: &str, second: &str| {
        let value = |name: &str| u8::from(name == "net.ipv4.ip_forward");
        let settings = json!([{first: value(first)}, {second: value(second)}]);
        host.sysctl(json!({"settings": settings, "persist": false})).apply()
    };
    orders("net.ipv4.ip_forward", "net.ipv4.conf.v0*.forwarding").unwrap();
    assert_eq!(
        (kernel("net/ipv4/ip_forward"), kernel("net/ipv4/conf/v0/forwarding")),
        ("1".into(), "0".into())
    );
    set("net/ipv4/ip_forward", "0");
    set("net/ipv4/conf/v0/forwarding", "1");
    let error = orders("net.ipv4.conf.v0*.forwarding", "net.ipv4.ip_forward").err().unwrap().sentence();
    assert!(error.contains("is read back"), "{error}");
}

#[test]
fn a_comment_stands_above_its_line_moves_with_it_and_goes_with_it() {
    let host = Host::new();
    host.write(FILE, "# mine\nnet.ipv4.ip_default_ttl=64\n");
    assert!(host.apply(task(json!({"value": 65, "comment": "few hops"}))));
    assert_eq!(host.text(FILE), "# mine\n# net.ipv4.ip_default_ttl: few hops\nnet.ipv4.ip_default_ttl=65\n");
    assert!(host.apply(task(json!({"value": 66}))), "without the option it stays");
    assert!(host.apply(task(json!({"value": 66, "comment": "more hops"}))));
    assert_eq!(host.text(FILE), "# mine\n# net.ipv4.ip_default_ttl: more hops\nnet.ipv4.ip_default_ttl=66\n");
    assert!(host.apply(task(json!({"state": "absent"}))));
    assert_eq!(host.text(FILE), "# mine\n");
    let redirects = json!({"name": "net.ipv4.conf.all.accept_redirects", "value": 1, "comment": "c", "sysctl_file": format!("/{FILE}")});
    host.apply(redirects.clone());
    let text = host.text(FILE) + "net.ipv4.ip_forward=1\n";
    host.write(FILE, text);
    set("net/ipv4/ip_forward", "1");
    assert!(host.apply(redirects));
    assert_eq!(
        host.text(FILE),
        "# mine\nnet.ipv4.ip_forward=1\n# net.ipv4.conf.all.accept_redirects: c\nnet.ipv4.conf.all.accept_redirects=1\n"
    );
    for comment in ["", " ", "a\nb=1"] {
        assert!(refuse_arguments(task(json!({"value": 1, "comment": comment}))).contains("comment"));
    }
}

#[test]
fn at_least_raises_and_never_lowers() {
    let host = Host::new();
    let at_least = |value: u32| task(json!({"value": value, "at_least": true}));
    // The kernel holds 64, and no file names it.
    assert!(!host.apply(at_least(60)));
    assert!(!host.path(FILE).exists());
    assert!(host.apply(at_least(70)));
    assert_eq!(
        (kernel("net/ipv4/ip_default_ttl").as_str(), host.text(FILE).as_str()),
        ("70", "net.ipv4.ip_default_ttl=70\n")
    );
    assert!(!host.apply(at_least(65)), "a stored greater one stays");
    host.write(FILE, "net.ipv4.ip_default_ttl=50\n");
    set("net/ipv4/ip_default_ttl", "100");
    assert!(host.apply(at_least(65)), "a stored smaller one is raised");
    assert_eq!(
        (kernel("net/ipv4/ip_default_ttl").as_str(), host.text(FILE).as_str()),
        ("100", "net.ipv4.ip_default_ttl=65\n")
    );
    // Another file has more: a line of ours would lower it at the next boot.
    std::fs::remove_file(host.path(FILE)).unwrap();
    host.write("etc/sysctl.d/10-other.conf", "net.ipv4.ip_default_ttl=90\n");
    assert!(!host.apply(at_least(65)));
    host.write("etc/sysctl.d/10-other.conf", "net.ipv4.ip_default_ttl=60\n");
    assert!(host.apply(at_least(65)));
    assert_eq!(host.report(at_least(65)).warnings, [""; 0]);
}

#[test]
fn at_least_refuses_what_is_no_single_number() {
    let host = Host::new();
    for (name, value) in [
        ("net.ipv4.tcp_rmem", json!([1, 2, 3])),
        ("net.ipv4.tcp_congestion_control", json!("cubic")),
        ("net.ipv4.ip_default_ttl", json!(-1)),
        ("net.ipv4.conf.*.rp_filter", json!(1)),
    ] {
        let error = refuse_arguments(json!({"name": name, "value": value, "at_least": true}));
        assert!(error.starts_with(&format!("cannot use at_least with {name}")), "{error}");
    }
    let error = host.refuse_in_check(json!({"name": "net.ipv4.tcp_rmem", "value": 4096, "at_least": true}));
    assert!(error.contains("which is no single number"), "{error}");
}

#[test]
fn reading_changes_nothing_and_shows_what_the_kernel_holds() {
    let host = Host::new();
    set("net/ipv6/conf/v0/stable_secret", "::1");
    let read = |name: &str| {
        let task = json!({"name": name, "state": "read"});
        assert!(!host.apply(task.clone()), "{name}");
        host.sysctl(task).remarks(Mode::Apply)
    };
    let filters = read("net.ipv4.conf.*.rp_filter");
    assert_eq!(filters["settings"]["net.ipv4.conf.v0.rp_filter"]["after"], json!("0"));
    assert_eq!(filters["settings"].as_object().unwrap().len(), 5);
    assert_eq!(read("net.ipv4.route.*")["unreadable"], json!(["net.ipv4.route.flush"]));
    let all = json!(read("net.ipv6.conf.v0.*")).to_string() + &json!(read("net.ipv4.*")).to_string();
    assert!(!all.contains("secret") && !all.contains("fastopen_key") && all.contains("ip_forward"), "{all}");
    let secret = read("net.ipv6.conf.v0.stable_secret");
    assert!(
        secret["settings"]["net.ipv6.conf.v0.stable_secret"]["after"].as_str().unwrap().ends_with("0001")
    );
    let several = json!({"settings": ["net.ipv4.ip_forward", "net.ipv4.conf.lo.*"], "state": "read"});
    assert!(host.sysctl(several).remarks(Mode::Check)["settings"].as_object().unwrap().len() > 20);
    assert!(!host.path("etc/sysctl.conf").exists() && !Path::new("/etc/sysctl.d/99-lvs-host.conf").exists());
    assert!(
        host.refuse_in_check(json!({"name": "net.ipv4.no_such_one", "state": "read"}))
            .contains("cannot find")
    );
    for more in [json!({"value": 1}), json!({"sysctl_file": "/etc/a"}), json!({"comment": "c"})] {
        let mut task = json!({"name": "net.ipv4.ip_forward", "state": "read"});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(refuse_arguments(task).contains("state: read with"));
    }
}

#[test]
fn a_secret_is_in_no_warning() {
    let host = Host::with_systemd();
    host.write(
        "etc/sysctl.d/90-other.conf",
        "net.ipv4.tcp_fastopen_key=00000001-00000002-00000003-00000004\n",
    );
    let key = "deadbeef-00000001-00000002-00000003";
    let report = host.report(
        json!({"name": "net.ipv4.tcp_fastopen_key", "value": key, "sysctl_file": format!("/{FILE}")}),
    );
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].contains("to another value, as"), "{:?}", report.warnings);
    assert!(!report.warnings[0].contains("00000004"));
}

#[test]
fn an_interface_with_dots_that_is_not_there_yet_is_stored_as_a_boot_finds_it() {
    let host = Host::new();
    let task = json!({"name": "net.ipv4.conf.eth7.100.arp_ignore", "value": 1, "ignoreerrors": true, "sysctl_file": format!("/{FILE}")});
    assert!(host.apply(task.clone()));
    assert_eq!(host.text(FILE), "net.ipv4.conf.eth7/100.arp_ignore=1\n");
    ip("link add eth7.100 type veth peer name eth7-far");
    assert!(host.apply(task), "now the kernel has it");
    assert_eq!(host.text(FILE), "net.ipv4.conf.eth7/100.arp_ignore=1\n");
}

#[test]
fn a_pattern_means_to_us_what_it_means_to_a_boot() {
    let host = Host::new();
    host.apply(json!({"name": "net.ipv4.conf.[^dv]*.rp_filter", "value": 2, "persist": false}));
    for (interface, value) in [("v0", "0"), ("lo", "2"), ("all", "2")] {
        assert_eq!(kernel(&format!("net/ipv4/conf/{interface}/rp_filter")), value, "{interface}");
    }
}

#[test]
fn a_new_file_that_hides_a_vendors_and_the_file_of_ufw_are_told() {
    let host = Host::with_systemd();
    host.write("usr/lib/sysctl.d/50-lvs.conf", "net.ipv4.conf.all.rp_filter=2\n");
    let check = || host.sysctl(task(json!({"value": 65}))).check().unwrap().warnings;
    let hidden = host.path("usr/lib/sysctl.d/50-lvs.conf");
    assert!(check()[0].starts_with(&format!("no boot reads {} any more", hidden.display())), "{:?}", check());
    host.write(FILE, "");
    assert_eq!(check(), [""; 0], "it hides it already");
    host.write("etc/ufw/sysctl.conf", "net/ipv4/ip_default_ttl=64\n");
    assert_eq!(check(), [""; 0], "ufw is not enabled");
    host.write("etc/ufw/ufw.conf", "# ufw\nENABLED=yes\n");
    assert!(check()[0].contains("etc/ufw/sysctl.conf line 1 comes last"), "{:?}", check());
}

#[test]
fn what_tuned_reads_behind_its_profile_is_told() {
    let host = Host::with_systemd();
    host.write("etc/sysctl.conf", "# old\nnet.ipv4.conf.all.forwarding = 0\n");
    let told = || host.report(task(json!({"name": "net.ipv4.ip_forward", "value": 1}))).warnings.join("\n");
    assert_eq!(told(), "", "systemd does not read the file of old");
    host.write("etc/tuned/active_profile", "throughput-performance\n");
    let file = host.path("etc/sysctl.conf");
    let sentence = format!("the next boot sets net.ipv4.ip_forward to 0, as {} line 2 sets", file.display());
    assert!(told().starts_with(&sentence), "{}", told());
    host.write("etc/tuned/tuned-main.conf", "[main]\nreapply_sysctl = 0\n");
    assert_eq!(told(), "");
}

#[test]
fn a_boot_of_nixos_is_one_of_systemd() {
    let host = Host::new();
    host.write("run/current-system/systemd/lib/systemd/systemd-sysctl", "");
    host.write("etc/sysctl.d/zz.conf", "net.ipv4.ip_default_ttl=64\n");
    let report = host.report(json!({"name": "net.ipv4.ip_default_ttl", "value": 65}));
    assert_eq!(host.text("etc/sysctl.d/99-lvs-host.conf"), "net.ipv4.ip_default_ttl=65\n");
    assert!(
        report.warnings[0].ends_with("comes last; change it there (by systemd-sysctl)"),
        "{:?}",
        report.warnings
    );
}

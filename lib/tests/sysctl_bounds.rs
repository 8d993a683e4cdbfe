//! Values that the kernel takes in one order only, takes for good, or does not take at all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod host;
#[path = "host/parameters.rs"]
mod parameters;

use host::ip;
use parameters::{Host, kernel, set};
use serde_json::json;

#[test]
fn parameters_that_bound_each_other_get_from_any_state_to_any_other_in_one_task() {
    let host = Host::new();
    for (lower, upper, values) in [
        (
            "net.ipv4.ipfrag_low_thresh",
            "net.ipv4.ipfrag_high_thresh",
            [("100", "200"), ("300", "400"), ("900", "900")],
        ),
        (
            "net.ipv6.ip6frag_low_thresh",
            "net.ipv6.ip6frag_high_thresh",
            [("100", "200"), ("300", "400"), ("150", "350")],
        ),
        (
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.ip_local_port_range",
            [("400", "500 60000"), ("40000", "45000 60000"), ("450", "480 600")],
        ),
    ] {
        for from in 0..3 {
            for to in 0..3 {
                for (low, high) in [values[from], values[to]] {
                    let settings = json!({lower: low, upper: high});
                    host.sysctl(json!({"settings": settings, "persist": false})).apply().unwrap();
                    assert_eq!(kernel(&lower.replace('.', "/")), low);
                    assert_eq!(kernel(&upper.replace('.', "/")).replace('\t', " "), high);
                }
            }
        }
    }
}

#[test]
fn bounds_that_no_order_satisfies_are_refused_with_both_names() {
    let host = Host::new();
    let settings = json!({"net.ipv4.ipfrag_low_thresh": 500, "net.ipv4.ipfrag_high_thresh": 400});
    let error = host.refuse_in_check(json!({"settings": settings}));
    assert_eq!(
        error,
        "cannot set both net.ipv4.ipfrag_low_thresh to 500 and net.ipv4.ipfrag_high_thresh to 400: \
         the first must not be greater than the second; give others"
    );
    let error = host.refuse(json!({"name": "net.ipv4.ipfrag_high_thresh", "value": 400}));
    let expected = "cannot set net.ipv4.ipfrag_high_thresh to 400: it must not be less than \
                    net.ipv4.ipfrag_low_thresh, which is 3145728; set both in one task; nothing is changed";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_task_that_fails_before_what_cannot_be_taken_back_loses_no_address() {
    let host = Host::new();
    ip("-6 address add 2001:db8::1/64 dev v0 nodad");
    host.write("etc/blocked", "");
    for (settings, file) in [
        (json!({"net.ipv6.conf.v0.disable_ipv6": 1, "net.ipv4.tcp_rmem": "x"}), "/etc/sysctl.d/a.conf"),
        (json!({"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv4.tcp_rmem": "x"}), "/etc/sysctl.d/a.conf"),
        (json!({"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv4.ip_default_ttl": 65}), "/etc/blocked/a.conf"),
        (json!({"net.ipv6.conf.v0.disable_ipv6": 1, "net.ipv6.route.flush": "x"}), "/etc/sysctl.d/a.conf"),
    ] {
        let error = host.refuse(json!({"settings": settings, "sysctl_file": file}));
        assert!(!error.contains("lost"), "{error}");
        assert!(ip("-6 address show dev v0").contains("2001:db8::1/64"), "{settings}: {error}");
    }
}

#[test]
fn what_is_lost_though_it_was_undone_is_told() {
    let host = Host::new();
    ip("-6 address add 2001:db8::1/64 dev v0 nodad");
    let settings = json!({"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.v0.stable_secret": "junk"});
    let error = host.sysctl(json!({"settings": settings})).apply().err().unwrap().sentence();
    let told =
        "; lost is with net.ipv6.conf.all.disable_ipv6: IPv6 addresses and routes; restart the network";
    assert!(error.contains(told) && !error.contains("junk") && !error.contains("never"), "{error}");
    assert_eq!(kernel("net/ipv6/conf/v0/disable_ipv6"), "0");
}

#[test]
fn a_parameter_that_is_named_and_changed_along_is_put_right() {
    let host = Host::new();
    let settings = json!({"net.ipv6.conf.v0.stable_secret": "::1", "net.ipv6.conf.v0.addr_gen_mode": 0});
    assert!(host.apply(json!({"settings": settings})));
    assert_eq!(kernel("net/ipv6/conf/v0/addr_gen_mode"), "0");
    // Alone it is shown that it changes along.
    let report =
        host.report(json!({"name": "net.ipv6.conf.v0-far.stable_secret", "value": "::1", "persist": false}));
    let changed: Vec<String> = report.plan.items().map(ToString::to_string).collect();
    assert_eq!(changed, ["net.ipv6.conf.v0-far.addr_gen_mode", "net.ipv6.conf.v0-far.stable_secret"]);
}

#[test]
fn a_zero_is_an_unset_twin_and_agrees_with_the_other() {
    let host = Host::new();
    for settings in [
        json!({"vm.dirty_bytes": 0, "vm.dirty_ratio": 20}),
        json!({"vm.overcommit_kbytes": 4096, "vm.overcommit_ratio": 0}),
    ] {
        host.sysctl(json!({"settings": settings, "reload": false})).check().unwrap();
    }
    let error = host
        .refuse_in_check(json!({"settings": {"vm.dirty_bytes": 5, "vm.dirty_ratio": 20}, "reload": false}));
    assert!(error.contains("one value under two names"), "{error}");
    let settings = json!({"vm.dirty_bytes": 0, "vm.dirty_ratio": 30, "vm.dirty_background_bytes": 0, "vm.dirty_background_ratio": 7});
    assert!(
        host.apply(json!({"settings": settings, "reload": false, "sysctl_file": "/etc/sysctl.d/a.conf"}))
    );
    assert_eq!(
        host.text("etc/sysctl.d/a.conf"),
        "vm.dirty_background_ratio=7\nvm.dirty_ratio=30\n",
        "the kernel refuses a 0 for bytes"
    );
}

#[test]
fn what_nobody_can_set_is_refused_in_check_mode() {
    let host = Host::new();
    let error = host.refuse_in_check(json!({"name": "net.core.rmem_max", "value": 5_000_000}));
    assert!(error.contains("cannot set net.core.rmem_max: the kernel lets nobody set it here"), "{error}");
    let there = kernel("net/core/rmem_max");
    assert!(host.apply(json!({"name": "net.core.rmem_max", "value": there})), "it is only stored");
}

#[test]
fn a_name_that_is_not_there_is_answered_with_what_was_meant() {
    let host = Host::new();
    for (name, answer) in [
        ("net.ipv4.ip_foward", "did you mean net.ipv4.ip_forward?"),
        ("net.ip4.ip_forward", "did you mean net.ipv4.ip_forward?"),
        ("net.ipv4.conf.all.rp_fliter", "did you mean net.ipv4.conf.all.rp_filter?"),
        ("net.ipv4.conf.eth7.rp_filter", "there is no interface eth7 here; make it first"),
        ("net.ipv6.neigh.eth7/5.retrans_time", "there is no interface eth7.5 here"),
        ("net.ipv4.quite_another_thing", "this kernel has no such parameter; check the name"),
    ] {
        let error = host.refuse_in_check(json!({"name": name, "value": 1}));
        assert!(error.contains(answer), "{name}: {error}");
    }
    let is_loaded = std::path::Path::new("/proc/sys/net/netfilter/nf_conntrack_count").exists();
    let error = host.refuse_in_check(json!({"name": "net.netfilter.nf_conntrack_acckt", "value": 1}));
    let answer = if is_loaded { "did you mean net.netfilter.nf_conntrack_acct?" } else { "load it first" };
    assert!(error.contains(answer), "{error}");
}

#[test]
fn what_is_in_force_is_told_of_each_layer() {
    let host = Host::new();
    host.write("etc/sysctl.conf", "net.ipv4.ip_default_ttl=63\n");
    set("net/ipv4/ip_default_ttl", "62");
    let settings = json!({"net.ipv4.ip_default_ttl": 65, "net.ipv4.tcp_syncookies": 999});
    let error = host.refuse(json!({"settings": settings}));
    let file = host.path("etc/sysctl.conf");
    assert!(error.contains("net.ipv4.ip_default_ttl = 62,"), "{error}");
    assert!(error.contains(&format!("net.ipv4.ip_default_ttl=63 in {}", file.display())), "{error}");
}

#[test]
fn what_cannot_be_taken_back_is_last_in_the_file_too() {
    let host = Host::new();
    let settings = json!({"kernel.modules_disabled": 1, "net.ipv4.tcp_syncookies": 1, "vm.swappiness": 10,
        "net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.v0.disable_ipv6": 0});
    assert!(
        host.apply(json!({"settings": settings, "reload": false, "sysctl_file": "/etc/sysctl.d/a.conf"}))
    );
    assert_eq!(
        host.text("etc/sysctl.d/a.conf"),
        "net.ipv4.tcp_syncookies=1\nnet.ipv6.conf.all.disable_ipv6=1\nnet.ipv6.conf.v0.disable_ipv6=0\nvm.swappiness=10\nkernel.modules_disabled=1\n"
    );
}

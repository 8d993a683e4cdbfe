//! What each manager's file says, and what is read from it.

use std::rc::Rc;

use super::entry::{in_order, joined};
use super::form::{Form, Objection, Rewrite};
use super::interfaces::Start;
use super::{netplan, network_manager, networkd, stanza};
use crate::interface_alias::item::Addresses;
use crate::interface_alias::options::{Arguments, Options};

const LAN: &str = "[connection]\nid=lan\nuuid=1-2\n\n[ipv4]\n# mine\naddress1=192.0.2.1/24,192.0.2.254\nmethod=manual\n\n[ipv6]\nmethod=auto\n\n[proxy]\n";

/// Returns the addresses that the aliases of a task want on v0.
fn wanted(aliases: serde_json::Value) -> Addresses {
    let arguments = serde_json::json!({"name": "v0", "aliases": aliases});
    let options: Options = serde_json::from_value::<Arguments>(arguments).unwrap().try_into().unwrap();
    options.wishes.iter().map(|wish| (wish.wanted().unwrap(), wish.applied(None).unwrap())).collect()
}

fn plain_ones() -> Addresses {
    wanted(serde_json::json!([{"address": "192.0.2.10/32"}, {"address": "2001:db8::10/64"}]))
}

fn labelled_ones() -> Addresses {
    wanted(serde_json::json!([
        {"address": "192.0.2.10/24", "label": 1}, {"address": "192.0.2.11/32", "label": "vip"},
        {"address": "2001:db8::10/64", "preferred_lft": 0}, {"address": "192.0.2.12/32"}
    ]))
}

/// Returns the form of each manager, and what it may hold before us.
fn forms() -> Vec<(Box<dyn Form>, &'static str, Addresses)> {
    let v0: Rc<str> = "v0".into();
    vec![
        (stanza::form(&v0, Start::Auto), "", labelled_ones()),
        (networkd::form(&v0), "", labelled_ones()),
        (netplan::form(&v0, "lan"), "", labelled_ones()),
        (network_manager::form(&v0), LAN, plain_ones()),
    ]
}

/// Returns why these addresses cannot be put beside what a file holds, if so.
fn objection(form: &dyn Form, before: &str, addresses: &Addresses) -> Option<String> {
    let all = form.read(before).unwrap().into_iter().chain(addresses.clone()).collect();
    let put: Vec<_> = addresses.iter().collect();
    match form.review(&Rewrite { before, after: &form.written(before, &all), put: &put }) {
        Ok(()) => None,
        Err(Objection::Alias(_, why) | Objection::File(why)) => Some(why),
    }
}

#[test]
fn what_is_written_is_read_back_and_what_is_removed_leaves_the_file_as_it_was() {
    for (form, before, addresses) in forms() {
        let own = form.read(before).unwrap();
        let all: Addresses = own.clone().into_iter().chain(addresses.clone()).collect();
        assert_eq!(objection(&*form, before, &addresses), None, "{form:?}");
        let text = form.written(before, &all);
        assert_eq!(form.read(&text).unwrap(), all, "{text}");
        assert_eq!(form.written(&text, &all), text, "writing it once more changes it");
        assert_eq!(form.written(&text, &own), before);
    }
}

#[test]
fn what_comes_back_is_where_it_was_and_what_is_new_behind() {
    let all = wanted(serde_json::json!(
        ["192.0.2.5/32", "192.0.2.4/32", "192.0.2.3/32", "192.0.2.2/32"]
            .map(|ip| serde_json::json!({"address": ip}))
    ));
    let mut there = joined(&Addresses::new(), {
        let mut come: Vec<_> = all.iter().collect();
        come.reverse();
        come
    });
    let words = |addresses: &Addresses| {
        in_order(addresses).iter().map(|(alias, _)| alias.to_string()).collect::<Vec<_>>()
    };
    let before = words(&there);
    assert!(before[0].starts_with("192.0.2.5/"), "{before:?}");
    for gone in [vec![0], vec![3], vec![0, 2], vec![1, 2], vec![0, 1, 2, 3]] {
        let gone: Vec<_> = gone
            .iter()
            .map(|place: &usize| in_order(&there)[*place])
            .map(|(alias, address)| (alias.clone(), address.clone()))
            .collect();
        let mut left = there.clone();
        gone.iter().for_each(|(alias, _)| drop(left.remove(alias)));
        let left = joined(&left, Vec::new());
        let back = joined(&left, gone.iter().rev().map(|(alias, address)| (alias, address)).collect());
        assert_eq!(words(&back), before, "without {gone:?}");
    }
    there = joined(&there, wanted(serde_json::json!([{"address": "192.0.2.1/32"}])).iter().collect());
    assert!(words(&there)[4].starts_with("192.0.2.1/"));
}

#[test]
fn the_files_are_what_the_manuals_describe() {
    let texts: Vec<String> =
        forms().iter().map(|(form, before, addresses)| form.written(before, addresses)).collect();
    let sees = |text: &str, part: &str| assert!(text.contains(part), "{part:?} is not in:\n{text}");
    sees(&texts[0], "auto v0 v0:1 v0:vip\niface v0:1 inet static\n    address 192.0.2.10/24\n");
    sees(&texts[0], "iface v0 inet static\n    address 192.0.2.12/32\n");
    sees(&texts[0], "    up ip -6 address replace 2001:db8::10/64 dev v0 preferred_lft 0\n");
    sees(&texts[1], "[Address]\nAddress=192.0.2.10/24\nLabel=v0:1\n");
    sees(&texts[1], "[Address]\nAddress=2001:db8::10/64\nPreferredLifetime=0\n");
    let body: String = texts[2].lines().filter(|line| !line.starts_with('#')).collect();
    let yaml: serde_json::Value = serde_json::from_str(&body).unwrap();
    let list = &yaml["network"]["ethernets"]["lan"]["addresses"];
    assert_eq!(list[0], serde_json::json!({"192.0.2.10/24": {"label": "v0:1"}}));
    assert_eq!(list[3], serde_json::json!({"2001:db8::10/64": {"lifetime": 0}}));
    // The host's own address is not wanted in this list.
    sees(&texts[3], "# mine\nmethod=manual\n");
}

#[test]
fn a_profile_gets_one_line_behind_the_others_and_keeps_all_else() {
    let form = network_manager::form(&"v0".into());
    let all: Addresses = form.read(LAN).unwrap().into_iter().chain(plain_ones()).collect();
    let expected = LAN
        .replace("192.0.2.254\n", "192.0.2.254\naddress2=192.0.2.10/32\n")
        .replace("[ipv6]\n", "[ipv6]\naddress1=2001:db8::10/64\n");
    assert_eq!(form.written(LAN, &all), expected);
}

#[test]
fn a_file_that_a_person_wrote_into_is_refused_with_the_line() {
    for (form, text, named) in [
        (
            stanza::form(&"v0".into(), Start::Auto),
            "iface v0 inet static\n  address 192.0.2.1/32\n  mtu 1400\n",
            "mtu 1400",
        ),
        (stanza::form(&"v0".into(), Start::Auto), "iface v0 inet dhcp\n", "iface v0 inet dhcp"),
        (
            stanza::form(&"v0".into(), Start::Auto),
            "iface v0:1 inet static\n  up ip -6 address replace 2001:db8::1/64 dev v0\n",
            "iface v0:1 inet static",
        ),
        (
            stanza::form(&"v0".into(), Start::Auto),
            "iface v0 inet6 manual\n  up ip -6 address replace 2001:db8::1/64 dev v0; true\n",
            "; true",
        ),
        (
            stanza::form(&"v0".into(), Start::Auto),
            "iface v0 inet6 manual\n  address 192.0.2.1/32\n",
            "iface v0 inet6 manual",
        ),
        (networkd::form(&"v0".into()), "[Network]\nDHCP=yes\n", "begins"),
        (
            networkd::form(&"v0".into()),
            "[Address]\nAddress=192.0.2.1/24\nAddress=192.0.2.2/24\n",
            "Address=192.0.2.2/24",
        ),
        (networkd::form(&"v0".into()), "[Address]\nAddress=192.0.2.1/24\nPeer=192.0.2.2\n", "Peer=192.0.2.2"),
        (
            networkd::form(&"v0".into()),
            "[Address]\nAddress=192.0.2.1/24\nPreferredLifetime=forever\n",
            "forever",
        ),
        (netplan::form(&"v0".into(), "lan"), "network: {}\n", "did not write"),
        (
            netplan::form(&"v0".into(), "lan"),
            "{\"network\": {\"version\": 2, \"ethernets\": {\"lan\": {\"addresses\": [\"192.0.2.1/24\"], \"mtu\": 1400}}}}",
            "did not write",
        ),
    ] {
        let why = form.read(text).unwrap_err();
        assert!(why.contains(named), "{why}");
    }
}

#[test]
fn what_a_manager_cannot_keep_is_refused_by_its_option() {
    let forms = forms();
    let refused = |form: usize, before: &str, alias: serde_json::Value| {
        let wanted = wanted(serde_json::json!([alias]));
        objection(&*forms[form].0, before, &wanted).expect("this must be refused")
    };
    for (form, before, alias, named) in [
        (0, "", serde_json::json!({"address": "192.0.2.10/24"}), "label like v0:1"),
        (
            0,
            "",
            serde_json::json!({"address": "192.0.2.10/24", "label": 1, "broadcast": "none"}),
            "broadcast",
        ),
        (0, "", serde_json::json!({"address": "192.0.2.10/32", "metric": 5}), "metric"),
        (1, "", serde_json::json!({"address": "192.0.2.10/32", "peer": "192.0.2.11"}), "peer"),
        (2, "", serde_json::json!({"address": "192.0.2.10/32", "scope": "link"}), "scope"),
        (3, LAN, serde_json::json!({"address": "192.0.2.10/32", "label": 1}), "label"),
        (3, "[ipv4]\nmethod=disabled\n", serde_json::json!({"address": "192.0.2.10/32"}), "disabled"),
        (3, "[ipv4]\nmethod=auto\n", serde_json::json!({"address": "2001:db8::1/64"}), "missing"),
    ] {
        let why = refused(form, before, alias);
        assert!(why.contains(named), "{why}");
    }
}

#[test]
fn what_another_file_brings_is_found_and_no_more() {
    let address = Some("192.0.2.10".parse().unwrap());
    for (form, text, brings) in [
        (stanza::form(&"v0".into(), Start::Auto), "iface v0 inet static\n address 192.0.2.10/24\n", true),
        (
            stanza::form(&"v0".into(), Start::Auto),
            "iface v0 inet static\n address 192.0.2.10\n netmask 24",
            true,
        ),
        (stanza::form(&"v0".into(), Start::Auto), "iface v0:1 inet dhcp\n", true),
        (
            stanza::form(&"v0".into(), Start::Auto),
            "#address 192.0.2.10\n dns-nameservers 192.0.2.10\n",
            false,
        ),
        (networkd::form(&"v0".into()), "[Network]\nAddress = 192.0.2.10/24\n", true),
        (networkd::form(&"v0".into()), "[Network]\nDNS=192.0.2.10\n", false),
        (netplan::form(&"v0".into(), "lan"), "addresses: [192.0.2.10/24]\n", true),
        (netplan::form(&"v0".into(), "lan"), "addresses:\n- \"192.0.2.10/24\":\n    label: x\n", true),
        (
            netplan::form(&"v0".into(), "lan"),
            "nameservers: {addresses: [192.0.2.10]}\nroutes: [{to: 192.0.2.10/32, via: 192.0.2.1}]\n",
            false,
        ),
    ] {
        assert_eq!(form.brought(text).has(address, Some("v0:1")), brings, "{text}");
        assert!(!form.brought(text).has(Some("192.0.2.9".parse().unwrap()), None), "{text}");
    }
}

//! What must hold for the files of network managers.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;

use super::entry::{label, plain};
use super::form::{Form, Rewrite};
use super::ifstate::IfState;
use super::interfaces::Start;
use super::{
    Device, Files, MANAGERS, Persist, Purge, Store, netplan, network_manager, networkd, stanza, stores,
};
use crate::Result;
use crate::interface_alias::address::Address;
use crate::interface_alias::cidr;
use crate::interface_alias::item::{Addresses, Alias};
use crate::interface_alias::options::{Arguments, Options};
use crate::keepalived;
use crate::properties::{Host, arguments_in, first_line};
use crate::resource::State;

/// A profile of NetworkManager's, which is never empty.
const PROFILE: &str = "[connection]\nuuid=1-2\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=auto\n";

/// Returns how each manager writes down the addresses of v0, and a file that it has before us.
fn forms() -> [(Box<dyn Form>, &'static str); 5] {
    let v0: Rc<str> = "v0".into();
    [
        (stanza::form(&v0, Start::Auto), ""),
        (stanza::form(&v0, Start::Other { is_first: false }), ""),
        (networkd::form(&v0), ""),
        (netplan::form(&v0, "lan"), ""),
        (network_manager::form(&v0), PROFILE),
    ]
}

/// The addresses that a task on v0 wants, by the arguments in the first line, beside those in a file, which follows, of whichever
/// manager.
pub fn manager_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // In the first line the options are apart by spaces.
    let (arguments, content) = first_line(text);
    let wanted = wanted(&arguments.replace(' ', "\n")).unwrap_or_default();
    for (form, usual) in forms() {
        let content = if content.is_empty() { usual } else { content };
        let Ok(own) = form.read(content) else { continue };
        what_is_written_is_read_back(&*form, content, &own);
        what_is_not_ours_is_not_taken_for_it(&*form, content, &own);
        let is_kept = |(alias, address): &(&Alias, &Address)| {
            let all = own.clone().into_iter().chain([((*alias).clone(), (*address).clone())]).collect();
            let after = form.written(content, &all);
            form.review(&Rewrite { before: content, after: &after, put: &[(alias, address)] }).is_ok()
        };
        let added: Addresses = wanted
            .iter()
            .filter(|(alias, _)| !own.contains_key(alias))
            .filter(is_kept)
            .map(|(alias, address)| (alias.clone(), address.clone()))
            .collect();
        let all: Addresses = own.clone().into_iter().chain(added.clone()).collect();
        what_is_written_is_read_back(&*form, content, &all);
        what_is_removed_leaves_the_rest(&*form, content, &own, &all);
        what_is_written_is_found_there(&*form, &form.written(content, &all), &added);
    }
}

/// Returns the addresses that a task wants on v0.
fn wanted(arguments: &str) -> Option<Addresses> {
    let mut arguments = arguments_in(arguments);
    arguments.insert("name".into(), "v0".into());
    let arguments: Arguments = serde_json::from_value(arguments.into()).ok()?;
    let wishes = Options::try_from(arguments).ok()?.wishes;
    let named = wishes.iter().filter_map(|wish| wish.on(&"v0".into()).ok());
    Some(named.filter_map(|wish| Some((wish.wanted()?, wish.applied(None)?))).collect())
}

fn what_is_written_is_read_back(form: &dyn Form, content: &str, addresses: &Addresses) {
    let text = form.written(content, addresses);
    assert_eq!(form.read(&text).as_ref(), Ok(addresses), "{form:?}:\n{text}");
    assert_eq!(form.written(&text, addresses), text, "writing it once more changes it: {form:?}");
}

/// Where a file is ours as a whole it has nothing but what is read from it, as all else would be lost.
fn what_is_not_ours_is_not_taken_for_it(form: &dyn Form, content: &str, own: &Addresses) {
    let written = form.written(content, own);
    let json = |text: &str| {
        let body: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        serde_json::from_str::<serde_json::Value>(&body).ok()
    };
    if own.is_empty() {
        return;
    }
    match (json(content), json(&written)) {
        (Some(before), Some(after)) => assert_eq!(before, after, "{form:?}"),
        _ => {
            let ours = words_of(&written);
            let lost: Vec<_> = words_of(content).into_iter().filter(|word| !ours.contains(word)).collect();
            assert!(lost.is_empty(), "{lost:?} would be lost, {form:?}:\n{content}");
        }
    }
}

/// Returns the words of a text but those of comments, and what ifupdown brings up; numbers and addresses as we write them.
fn words_of(content: &str) -> HashSet<String> {
    let lines = content.lines().filter(|line| !line.trim_start().starts_with('#'));
    let lines = lines.filter(|line| line.split_whitespace().next() != Some("auto"));
    let word = |word: &str| match (cidr::stored(word), word.parse::<u32>()) {
        (Some((ip, prefix)), _) => format!("{ip}/{prefix}"),
        (_, Ok(number)) => number.to_string(),
        _ => word.to_owned(),
    };
    let words = lines.flat_map(|line| line.split(|sign: char| sign.is_whitespace() || sign == '='));
    words.filter(|word| !word.is_empty()).map(word).collect()
}

/// `own` is what was there; a file that we wrote has nothing else, and a profile keeps every other line.
fn what_is_removed_leaves_the_rest(form: &dyn Form, content: &str, own: &Addresses, all: &Addresses) {
    let back = form.written(&form.written(content, all), own);
    let ended = |text: &str| text.strip_suffix('\n').unwrap_or(text).to_owned();
    assert_eq!(ended(&back), ended(&form.written(content, own)), "{form:?}");
    let is_profile = form.written("", &Addresses::new()) != form.written(content, &Addresses::new());
    if is_profile && content.ends_with('\n') {
        assert_eq!(back, content, "{form:?}");
    }
}

/// Where what we wrote is another file's, it is found there; a profile has no other file.
fn what_is_written_is_found_there(form: &dyn Form, text: &str, added: &Addresses) {
    let brought = form.brought(text);
    let has_others = added.keys().next().is_some_and(|alias| brought.has(Some(alias.address), None));
    for (alias, address) in added.iter().filter(|_| has_others) {
        assert!(brought.has(Some(alias.address), None), "{alias}, {form:?}:\n{text}");
        // One with a sign that a manager takes for more than a name is not to be kept at all.
        let is_plain =
            |label: &String| label.chars().all(|c| c.is_ascii_alphanumeric() || ":._-".contains(c));
        let label = label(alias, address).filter(is_plain);
        assert!(label.is_none() || brought.has(None, label.as_deref()), "{label:?}, {form:?}:\n{text}");
    }
}

/// Reads a file as each manager's, and writes into it what it has.
pub(crate) fn forms_read(content: &[u8]) {
    let Ok(content) = std::str::from_utf8(content) else { return };
    for (form, usual) in forms() {
        form.brought(content).has(Some(Ipv4Addr::LOCALHOST.into()), Some("v0:1"));
        let Ok(addresses) = form.read(content) else { continue };
        form.written(content, &addresses);
        form.written(content, &Addresses::new());
        let rewrite = Rewrite { before: content, after: &form.written(usual, &addresses), put: &[] };
        let _ = form.review(&rewrite);
    }
}

/// Reads a file as ifupdown's state, and asks for each label in it.
pub(crate) fn ifstate_read(content: &[u8]) {
    let host = Host::with("");
    let Ok(content) = std::str::from_utf8(content) else { return };
    let labels = content.lines().filter_map(|line| line.split_once('=')).zip(1_u32..);
    let possible = labels.map(|((label, _), number)| {
        let (alias, mut address) = plain(&"v0".into(), Ipv4Addr::from(number).into(), 32);
        address.set.label = Some(label.into());
        (alias, address)
    });
    let directory = host.root().at("/run");
    let written = std::fs::write(directory.join("ifstate"), content).map(|()| IfState::find(&directory));
    if let Ok(Ok(Some(ifstate))) = written {
        drop(ifstate.read(&possible.collect(), &Addresses::new()));
    }
}

/// Where the addresses of an interface go, which the first line names, on a host with the files behind it: looking changes nothing, says
/// the same twice, and finds no place but those that are ours.
pub fn manager_detection(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, files) = first_line(text);
    let Ok((name, _)) = crate::interface_alias::label::interface(name) else { return };
    let host = Host::with(files);
    let before = host.look();
    drop(keepalived::owned_addresses(host.root()));
    drop(keepalived::services(host.root()));
    for (index, is_needed) in
        [(Some(7), true), (Some(7), false), (Some(1), true), (None, true), (None, false)]
    {
        let devices = [Device::new(&name, index, is_needed)];
        let named = MANAGERS.iter().map(|manager| Persist::Named(manager));
        for persist in named.chain([Persist::Auto]) {
            let found = || stores(host.root(), persist, Purge::None, &devices);
            match found() {
                Ok((mut files, stores)) => stores.iter().for_each(|store| {
                    is_a_place_of_ours(host.root().path(), store.file());
                    drop(store.observe(
                        &mut files,
                        &[],
                        &State::<crate::interface_alias::InterfaceAlias>::new(),
                    ));
                }),
                Err(error) => crate::properties::is_a_sentence(&error),
            }
            assert_eq!(files_of(found()), files_of(found()), "the same look finds another file");
        }
    }
    assert_eq!(host.look(), before, "looking changed the host");
}

fn files_of(found: Result<(Files, Vec<Store>)>) -> Vec<Rc<Path>> {
    let stores = found.map_or_else(|_| Vec::new(), |(_, stores)| stores);
    stores.iter().map(|store| store.file().clone()).collect()
}

/// Fails for a file that neither bears our name nor is a profile.
fn is_a_place_of_ours(root: &Path, file: &Path) {
    const PLACES: [(&str, &str); 4] = [
        ("etc/network/interfaces.d", "lvs-host-"),
        ("etc/systemd/network", ""),
        ("etc/netplan", "90-lvs-host-"),
        ("etc/NetworkManager/system-connections", ""),
    ];
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_there =
        |(place, start): &(&str, &str)| file.starts_with(root.join(place)) && name.starts_with(start);
    assert!(PLACES.iter().any(is_there), "{} is no place of ours", file.display());
}

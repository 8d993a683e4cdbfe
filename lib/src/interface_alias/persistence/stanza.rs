//! Stanzas of ifupdown, one for each address, interfaces(5).

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::rc::Rc;

use super::brought::Brought;
use super::entry::{each_once, in_order, label, not_kept, not_ours, plain, words};
use super::form::{Form, HEADER, Objection, Rewrite};
use super::interfaces::{Start, whole_lines};
use crate::interface_alias::address::{Address, Attributes};
use crate::interface_alias::cidr;
use crate::interface_alias::dummy::MARK;
use crate::interface_alias::item::{Addresses, Alias};

/// An option of a stanza and its value.
type Setting<'a> = (&'a str, &'a str);

/// Stanzas, one for each address.
#[derive(Debug)]
pub(super) struct Stanzas {
    pub(super) interface: Rc<str>,
    pub(super) start: Start,
}

impl Form for Stanzas {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        let mut stanzas: Vec<(&str, Vec<Setting>)> = Vec::new();
        let mut started = Vec::new();
        let body = self.body(content)?;
        for line in body.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let header: Vec<&str> = rest.split_whitespace().collect();
            match (word, header.as_slice(), stanzas.last_mut()) {
                ("auto", names, _) => started.extend(names.iter().map(|name| (*name, line))),
                ("iface", [name, "inet", "static"], _) if self.is_name(name) => {
                    stanzas.push((rest, Vec::new()));
                }
                ("iface", [name, "inet" | "inet6", "manual"], _) if **name == *self.interface => {
                    stanzas.push((rest, Vec::new()));
                }
                ("address" | "broadcast" | "scope" | UP | DOWN, _, Some((_, settings))) => {
                    settings.push((word, rest))
                }
                _ => return Err(not_ours(line)),
            }
        }
        let own: HashSet<&str> =
            stanzas.iter().map(|(header, _)| first_word(header)).chain([&*self.interface]).collect();
        if let Some((_, line)) = started.iter().find(|(name, _)| !own.contains(name)) {
            return Err(not_ours(line));
        }
        each_once(stanzas.into_iter().map(|(header, settings)| self.address(header, &settings)))
    }

    fn written(&self, _content: &str, addresses: &Addresses) -> String {
        if addresses.is_empty() {
            return String::new();
        }
        let addresses = in_order(addresses);
        let labels: Vec<String> =
            addresses.iter().filter_map(|(alias, address)| label(alias, address)).collect();
        let mut text = HEADER.to_owned();
        if self.start == Start::Made {
            text += &making(&self.interface);
        }
        if self.start == Start::Auto && !labels.is_empty() {
            // First the interface itself: its own address must be the first one of a prefix that they share.
            text += &format!("auto {} {}\n", self.interface, labels.join(" "));
        }
        text + &addresses.iter().map(|(alias, address)| self.stanza(alias, address)).collect::<String>()
    }

    fn review(&self, rewrite: &Rewrite) -> Result<(), Objection> {
        rewrite.keeps(|alias, address| self.lost(alias, address))
    }

    fn brought(&self, content: &str) -> Brought {
        let mut brought = Brought::default();
        for line in whole_lines(content).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let found = match words.as_slice() {
                ["address", value, ..] => std::slice::from_ref(value),
                ["up" | "pre-up" | "post-up", command @ ..] if is_about_addresses(command) => command,
                ["iface", name, ..] => {
                    brought.label(name);
                    continue;
                }
                _ => continue,
            };
            for word in found {
                brought.address(word);
                brought.label(word);
            }
        }
        brought
    }
}

/// Returns whether a command is about addresses: ifconfig, or ip with `address` or a short form of that.
fn is_about_addresses(command: &[&str]) -> bool {
    let mut words = command.iter().filter(|word| !word.starts_with('-'));
    match words.next().and_then(|program| program.rsplit('/').next()) {
        Some("ifconfig") => true,
        Some("ip") => words.next().is_some_and(|object| "address".starts_with(object)),
        _ => false,
    }
}

impl Stanzas {
    /// Returns a file's text without the stanza that makes the interface, or why it cannot be used if that should be there.
    fn body<'a>(&self, content: &'a str) -> Result<Cow<'a, str>, String> {
        if self.start != Start::Made || content.is_empty() {
            return Ok(content.into());
        }
        let (head, body) = content.split_once(&making(&self.interface)).ok_or(
            "it does not have ifupdown make the interface; remove it first, by a task without create",
        )?;
        Ok(format!("{head}{body}").into())
    }

    /// Returns what ifupdown would lose of an address, or the person with it, if anything.
    fn lost(&self, alias: &Alias, address: &Address) -> Option<String> {
        const KEPT: &[&str] = &["label", "broadcast", "scope"];
        const KEPT_OF_IPV6: &[&str] = &["preferred_lft", "nodad"];
        let IpAddr::V4(_) = alias.address else { return not_kept(alias, address, KEPT_OF_IPV6) };
        let interface = &alias.interface;
        if matches!(self.start, Start::Made | Start::AsOne) {
            return not_kept(alias, address, KEPT);
        }
        if address.set.prefix < 32 && label(alias, address).is_none() {
            return Some(format!(
                "without a label it may come before the interface's own address and take its place as the source; give it a label like {interface}:1, or prefix 32"
            ));
        }
        if address.set.prefix < 32 && self.start == (Start::Other { is_first: true }) {
            return Some(format!(
                "{interface} is not brought up by auto, so the alias comes up with it, and as our file is read before its stanza the alias would be its first address and the source; give it prefix 32, put the line source behind that stanza, or have auto {interface}"
            ));
        }
        if address.set.prefix < 31 && address.set.broadcast.is_none() {
            return Some("it gives every address a broadcast address; leave broadcast or persist out".into());
        }
        not_kept(alias, address, KEPT)
    }

    /// Returns the stanza of an address.
    fn stanza(&self, alias: &Alias, address: &Address) -> String {
        let is_alias = label(alias, address).is_some();
        match self.start {
            Start::Made | Start::AsOne => command(alias, address),
            Start::Other { .. } if is_alias || alias.address.is_ipv6() => command(alias, address),
            Start::Auto if alias.address.is_ipv6() => command(alias, address),
            _ => method(alias, address),
        }
    }

    /// Returns whether a stanza is of the interface or of an alias of it.
    fn is_name(&self, name: &str) -> bool {
        name.strip_prefix(&*self.interface).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Returns the address of a stanza that begins with `iface` and `header`.
    fn address(&self, header: &str, settings: &[Setting]) -> Result<(Alias, Address), String> {
        let name = first_word(header);
        let no_address = "a stanza has no address; remove the file";
        let first = settings.first().ok_or(no_address)?.1;
        let by_command = [ADD_IPV4, ADD_IPV6].iter().find_map(|add| first.strip_prefix(add));
        let text = by_command.unwrap_or(first).split(' ').next().unwrap_or_default();
        let (ip, prefix) = cidr::stored(text).ok_or(no_address)?;
        let (alias, mut address) = plain(&self.interface, ip, prefix);
        if name != &*self.interface {
            address.set.label = Some(name.into());
        }
        settings.iter().for_each(|(option, value)| take(&mut address.set, option, value));
        // What is in there besides would be lost.
        let written = if by_command.is_some() { command(&alias, &address) } else { method(&alias, &address) };
        let ours = written.lines().next().unwrap_or_default();
        if !ours.split_whitespace().skip(1).eq(header.split_whitespace()) {
            return Err(not_ours(&format!("iface {header}")));
        }
        let is_ours =
            |(word, value): &Setting| written.lines().any(|line| line.trim() == format!("{word} {value}"));
        match settings.iter().find(|setting| !is_ours(setting)) {
            None => Ok((alias, address)),
            Some((word, value)) => Err(not_ours(&format!("{word} {value}"))),
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// Takes an attribute over from an option of a stanza, or from the command that adds the address.
fn take(set: &mut Attributes, option: &str, value: &str) {
    match (option, value.parse(), value.parse()) {
        ("broadcast", Ok(broadcast), _) => set.broadcast = Some(broadcast),
        ("scope", _, Ok(scope)) => set.scope = scope,
        ("label", ..) => set.label = Some(value.into()),
        (UP, ..) => {
            set.deprecated = value.contains(DEPRECATED);
            set.nodad = value.contains(NODAD);
            let words: Vec<&str> = value.split(' ').collect();
            for pair in words.windows(2) {
                if let [option @ ("broadcast" | "scope" | "label"), value] = pair {
                    take(set, option, value);
                }
            }
        }
        _ => {}
    }
}

const UP: &str = "up";
const DOWN: &str = "down";
const ADD_IPV4: &str = "ip -4 address replace ";
const ADD_IPV6: &str = "ip -6 address replace ";
const DEPRECATED: &str = " preferred_lft 0";
const NODAD: &str = " nodad";

/// Returns the stanza by which ifupdown makes a dummy interface, marked as ours; one that is there stays as it is.
pub(super) fn making(interface: &str) -> String {
    format!(
        "auto {interface}\niface {interface} inet manual\n    pre-up ip link show dev {interface} >/dev/null 2>&1 || {{ ip link add {interface} type dummy && ip link set {interface} alias {MARK}; }}\n    {UP} ip link set {interface} up\n"
    )
}

/// Returns the stanza of an IPv4 address that has ifupdown set it.
fn method(alias: &Alias, address: &Address) -> String {
    let (set, usual) = (&address.set, plain(&alias.interface, alias.address, address.set.prefix).1.set);
    let name = label(alias, address).unwrap_or_else(|| alias.interface.to_string());
    let lines = [
        set.broadcast
            .filter(|_| set.broadcast != usual.broadcast)
            .map(|broadcast| format!("broadcast {broadcast}")),
        (set.scope != usual.scope).then(|| format!("scope {}", set.scope)),
    ];
    let lines: String = lines.into_iter().flatten().map(|line| format!("    {line}\n")).collect();
    format!("iface {name} inet static\n    address {}\n{lines}", words(alias, address))
}

/// Returns the stanza of an address that comes and goes by commands with its interface. The method static of IPv6 would turn off
/// autoconfiguration, and that of IPv4 has no labels.
fn command(alias: &Alias, address: &Address) -> String {
    let (words, interface, set) = (words(alias, address), &alias.interface, &address.set);
    let (family, add, version) =
        if alias.address.is_ipv4() { ("inet", ADD_IPV4, 4) } else { ("inet6", ADD_IPV6, 6) };
    let usual = plain(interface, alias.address, set.prefix).1.set;
    let options = [
        set.broadcast.map(|broadcast| format!(" broadcast {broadcast}")),
        label(alias, address).map(|label| format!(" label {label}")),
        (set.scope != usual.scope).then(|| format!(" scope {}", set.scope)),
        set.deprecated.then(|| DEPRECATED.to_owned()),
        set.nodad.then(|| NODAD.to_owned()),
    ];
    let options: String = options.into_iter().flatten().collect();
    format!(
        "iface {interface} {family} manual\n    {UP} {add}{words} dev {interface}{options}\n    {DOWN} ip -{version} address delete {words} dev {interface} || true\n"
    )
}

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>, start: Start) -> Box<dyn Form> {
    Box::new(Stanzas { interface: interface.clone(), start })
}

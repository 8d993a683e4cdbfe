//! ifupdown: a file of our own beside the person's stanzas, interfaces(5).

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::brought::Brought;
use super::files::{foreign, inside, is_directory, is_there, matching, name};
use super::ifstate::IfState;
use super::ifup::Program;
use super::{
    Address, Addresses, Alias, Device, Form, HEADER, Persist, Store, cidr, each_once, label, not_kept,
    not_ours, plain, words,
};
use crate::{Result, file};

const INTERFACES: &str = "etc/network/interfaces";

/// An option of a stanza and its value.
type Setting<'a> = (&'a str, &'a str);

/// Stanzas, one for each address.
#[derive(Debug)]
struct Stanzas {
    interface: Rc<str>,
}

/// Returns where the addresses of a device go, if ifupdown manages it.
pub(super) fn find(root: &Path, device: &Device) -> Result<Option<Store>> {
    let files = Files::read(root)?;
    let is_up = !foreign(&root.join(format!("run/network/ifstate.{}", device.name)))?.is_empty();
    let ours = root.join("etc/network/interfaces.d").join(file_name(&device.name));
    let has_stanza = files.stanzas_of(&device.name)? || (device.index.is_none() && is_there(&ours)?);
    // It brings lo up without a stanza.
    if !(has_stanza || is_up && &*device.name == "lo") {
        return Ok(None);
    }
    let unread = || {
        format!(
            "{} does not read {}; add the line: source /etc/network/interfaces.d/*",
            root.join(INTERFACES).display(),
            ours.display()
        )
    };
    let is_read = files.paths.contains(&ours) || files.would_read(&ours);
    let refusal = Program::of(root, &device.name)?.refusal().or_else(|| (!is_read).then(unread));
    let elsewhere = files.paths.into_iter().filter(|path| *path != ours).collect();
    let ifstate = IfState::find(&root.join("run/network"))?;
    let form = Box::new(Stanzas { interface: device.name.clone() });
    let store = Store::new(Persist::Ifupdown, device, ours, file::MODE, form);
    Ok(Some(Store { elsewhere, ifstate, refusal, ..store }))
}

/// Returns the name of our file for an interface; `source-directory` reads only names of these letters.
fn file_name(interface: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    format!("lvs-host-{}", interface.chars().map(letter).collect::<String>())
}

/// Returns whether `source-directory` reads a file of such a name, interfaces(5).
fn has_plain_name(path: &Path) -> bool {
    name(path).chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
}

/// The files that ifupdown reads, and the patterns that led to them.
struct Files {
    paths: Vec<PathBuf>,
    patterns: Vec<glob::Pattern>,
}

impl Files {
    fn read(root: &Path) -> Result<Self> {
        let mut files = Self { paths: vec![root.join(INTERFACES)], patterns: Vec::new() };
        let mut next = 0;
        while let Some(path) = files.paths.get(next).cloned() {
            next += 1;
            for line in whole_lines(&foreign(&path)?).lines() {
                files.follow(root, line)?;
            }
        }
        Ok(files)
    }

    /// Takes up what a line tells to read.
    fn follow(&mut self, root: &Path, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        let (suffix, is_read): (&str, fn(&Path) -> bool) = match words.next() {
            Some("source") => ("", |_| true),
            Some("source-directory") => ("/*", has_plain_name),
            _ => return Ok(()),
        };
        for word in words {
            // Read part by part, as people write a slash too many.
            let pattern: PathBuf = root.join("etc/network").join(inside(root, word)).components().collect();
            let pattern = pattern.display().to_string() + suffix;
            for path in matching(Path::new(&pattern))? {
                if is_read(&path) && !is_directory(&path)? && !self.paths.contains(&path) {
                    self.paths.push(path);
                }
            }
            self.patterns.extend(glob::Pattern::new(&pattern));
        }
        Ok(())
    }

    fn would_read(&self, path: &Path) -> bool {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        self.patterns.iter().any(|pattern| pattern.matches_path_with(path, options))
    }

    /// Returns whether a stanza defines `interface`.
    fn stanzas_of(&self, interface: &str) -> Result<bool> {
        for path in &self.paths {
            let content = whole_lines(&foreign(path)?);
            let mut lines = content.lines().map(str::split_whitespace);
            if lines.any(|mut words| words.next() == Some("iface") && words.next() == Some(interface)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Form for Stanzas {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        let mut stanzas: Vec<(&str, &str, Vec<Setting>)> = Vec::new();
        let mut started = Vec::new();
        for line in content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let header: Vec<&str> = rest.split_whitespace().collect();
            match (word, header.as_slice(), stanzas.last_mut()) {
                ("auto", names, _) => started.extend(names.iter().map(|name| (*name, line))),
                ("iface", [name, "inet", "static"], _) if self.is_name(name) => {
                    stanzas.push((name, STATIC, Vec::new()));
                }
                ("iface", [name, "inet6", "manual"], _) if **name == *self.interface => {
                    stanzas.push((name, MANUAL, Vec::new()));
                }
                ("address" | "broadcast" | "scope" | UP | DOWN, _, Some((.., settings))) => {
                    settings.push((word, rest))
                }
                _ => return Err(not_ours(line)),
            }
        }
        let own: HashSet<&str> = stanzas.iter().map(|(name, ..)| *name).chain([&*self.interface]).collect();
        if let Some((_, line)) = started.iter().find(|(name, _)| !own.contains(name)) {
            return Err(not_ours(line));
        }
        each_once(stanzas.into_iter().map(|(name, method, settings)| self.address(name, method, &settings)))
    }

    fn written(&self, _content: &str, addresses: &Addresses) -> String {
        if addresses.is_empty() {
            return String::new();
        }
        let labels: Vec<String> =
            addresses.iter().filter_map(|(alias, address)| label(alias, address)).collect();
        let mut text = HEADER.to_owned();
        if !labels.is_empty() {
            // First the interface itself: its own address must be the first one of a prefix that they share.
            text += &format!("auto {} {}\n", self.interface, labels.join(" "));
        }
        text + &addresses.iter().map(|(alias, address)| stanza(alias, address)).collect::<String>()
    }

    fn refusal(&self, alias: &Alias, address: &Address) -> Option<String> {
        const KEPT: &[&str] = &["label", "broadcast", "scope"];
        const KEPT_OF_IPV6: &[&str] = &["preferred_lft", "nodad"];
        let IpAddr::V4(_) = alias.address else { return not_kept(alias, address, KEPT_OF_IPV6) };
        if address.set.prefix < 32 && label(alias, address).is_none() {
            return Some(format!(
                "without a label it may come before the interface's own address and take its place as the source; give it a label like {}:1, or prefix 32",
                alias.interface
            ));
        }
        if address.set.prefix < 31 && address.set.broadcast.is_none() {
            return Some("it gives every address a broadcast address; leave broadcast or persist out".into());
        }
        not_kept(alias, address, KEPT)
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

/// Returns the same text with lines that a backslash continues as one, interfaces(5).
fn whole_lines(content: &str) -> String {
    content.replace("\\\n", " ")
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
    /// Returns whether a stanza is of the interface or of an alias of it.
    fn is_name(&self, name: &str) -> bool {
        name.strip_prefix(&*self.interface).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Returns the address of a stanza.
    fn address(&self, name: &str, method: &str, settings: &[Setting]) -> Result<(Alias, Address), String> {
        let no_address = "a stanza has no address; remove the file";
        let first = settings.first().ok_or(no_address)?.1;
        let text = first.strip_prefix(ADD).unwrap_or(first).split(' ').next().unwrap_or_default();
        let (ip, prefix) = cidr(text).ok_or(no_address)?;
        if ip.is_ipv6() != (method == MANUAL) {
            return Err(not_ours(&format!("iface {name} {method}")));
        }
        let (alias, mut address) = plain(&self.interface, ip, prefix);
        let set = &mut address.set;
        if name != &*self.interface {
            set.label = Some(name.into());
        }
        for (word, value) in settings {
            match (*word, value.parse(), value.parse()) {
                ("broadcast", Ok(broadcast), _) => set.broadcast = Some(broadcast),
                ("scope", _, Ok(scope)) => set.scope = scope,
                (UP, ..) => {
                    set.deprecated = value.contains(DEPRECATED);
                    set.nodad = value.contains(NODAD);
                }
                _ => {}
            }
        }
        // What is in there besides would be lost.
        let written = stanza(&alias, &address);
        let is_ours =
            |(word, value): &Setting| written.lines().any(|line| line.trim() == format!("{word} {value}"));
        match settings.iter().find(|setting| !is_ours(setting)) {
            None => Ok((alias, address)),
            Some((word, value)) => Err(not_ours(&format!("{word} {value}"))),
        }
    }
}

const STATIC: &str = "inet static";
const MANUAL: &str = "inet6 manual";
const UP: &str = "up";
const DOWN: &str = "down";
const ADD: &str = "ip -6 address replace ";
const DEPRECATED: &str = " preferred_lft 0";
const NODAD: &str = " nodad";

/// Returns the stanza of an address.
fn stanza(alias: &Alias, address: &Address) -> String {
    if alias.address.is_ipv6() { ipv6_stanza(alias, address) } else { ipv4_stanza(alias, address) }
}

fn ipv4_stanza(alias: &Alias, address: &Address) -> String {
    let (set, usual) = (&address.set, plain(&alias.interface, alias.address, address.set.prefix).1.set);
    let name = label(alias, address).unwrap_or_else(|| alias.interface.to_string());
    let lines = [
        set.broadcast
            .filter(|_| set.broadcast != usual.broadcast)
            .map(|broadcast| format!("broadcast {broadcast}")),
        (set.scope != usual.scope).then(|| format!("scope {}", set.scope)),
    ];
    let lines: String = lines.into_iter().flatten().map(|line| format!("    {line}\n")).collect();
    format!("iface {name} {STATIC}\n    address {}\n{lines}", words(alias, address))
}

/// By commands, as the method static would turn off autoconfiguration of the interface.
fn ipv6_stanza(alias: &Alias, address: &Address) -> String {
    let (words, interface) = (words(alias, address), &alias.interface);
    let deprecated = if address.set.deprecated { DEPRECATED } else { "" };
    let nodad = if address.set.nodad { NODAD } else { "" };
    format!(
        "iface {interface} {MANUAL}\n    {UP} {ADD}{words} dev {interface}{deprecated}{nodad}\n    {DOWN} ip -6 address delete {words} dev {interface} || true\n"
    )
}

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>) -> Box<dyn Form> {
    Box::new(Stanzas { interface: interface.clone() })
}

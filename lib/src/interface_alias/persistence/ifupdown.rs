//! ifupdown: a file of our own beside the person's stanzas, interfaces(5).

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::brought::Brought;
use super::entry::{each_once, label, not_kept, not_ours, plain, words};
use super::files::{Files, is_directory, is_there, name};
use super::form::{Form, HEADER, Objection, Rewrite};
use super::ifstate::IfState;
use super::ifup::Program;
use super::running::is_up_by_ifupdown;
use super::store::{Device, Manager, Store, each};
use crate::interface_alias::address::Address;
use crate::interface_alias::cidr;
use crate::interface_alias::item::{Addresses, Alias};
use crate::{Result, file};

pub(super) static MANAGER: Manager =
    Manager { word: "ifupdown", is_shared: false, find, for_lo: |_, _| Ok(None) };

const INTERFACES: &str = "/etc/network/interfaces";

/// An option of a stanza and its value.
type Setting<'a> = (&'a str, &'a str);

/// Stanzas, one for each address.
#[derive(Debug)]
struct Stanzas {
    interface: Rc<str>,
}

/// Returns where the addresses of those devices go that ifupdown manages.
fn find(files: &Rc<Files>, devices: &[Device]) -> Result<Vec<Store>> {
    let read = Read::all(files)?;
    each(devices, |device| store(files, &read, device))
}

fn store(files: &Rc<Files>, read: &Read, device: &Device) -> Result<Option<Store>> {
    let is_up = is_up_by_ifupdown(files, &device.name)?;
    let ours = files.at("/etc/network/interfaces.d").join(file_name(&device.name));
    let has_stanza = read.interfaces.contains(&*device.name) || (device.index.is_none() && is_there(&ours)?);
    let ifstate = IfState::find(&files.at("/run/network"))?;
    let program = Program::of(files, &device.name)?;
    // A stanza may be left from before another manager came.
    let may_come_up = has_stanza && (device.index.is_none() || program.is_some() || ifstate.is_some());
    // It brings lo up without a stanza.
    if !(may_come_up || is_up && &*device.name == "lo") {
        return Ok(None);
    }
    let unread = || {
        format!(
            "{} does not read {}; add the line: source /etc/network/interfaces.d/*",
            files.at(INTERFACES).display(),
            ours.display()
        )
    };
    let is_read = read.paths.contains(&ours) || read.would_read(&ours);
    let objection = program.and_then(Program::objection).or_else(|| (!is_read).then(unread));
    let form = Stanzas { interface: device.name.clone() };
    let store = Store::new(&MANAGER, files, device, ours, file::MODE, form);
    Ok(Some(store.among(read.paths.clone(), objection).with_ifstate(is_up, ifstate)))
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

/// What ifupdown reads.
struct Read {
    paths: Rc<[PathBuf]>,
    /// The patterns that led to them.
    patterns: Vec<glob::Pattern>,
    /// The interfaces that have a stanza.
    interfaces: HashSet<String>,
}

impl Read {
    fn all(files: &Files) -> Result<Self> {
        let (mut paths, mut patterns) = (vec![files.at(INTERFACES)], Vec::new());
        let mut interfaces = HashSet::new();
        let mut next = 0;
        while let Some(path) = paths.get(next).cloned() {
            next += 1;
            for line in whole_lines(&files.content(&path)?).lines() {
                let mut words = line.split_whitespace();
                if words.next() == Some("iface") {
                    interfaces.extend(words.next().map(str::to_owned));
                }
                for source in sources(files, line) {
                    add_files(&mut paths, source.files(files)?)?;
                    patterns.extend(glob::Pattern::new(&source.pattern.display().to_string()));
                }
            }
        }
        Ok(Self { paths: paths.into(), patterns, interfaces })
    }

    fn would_read(&self, path: &Path) -> bool {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        self.patterns.iter().any(|pattern| pattern.matches_path_with(path, options))
    }
}

/// What a line tells to read.
struct Source {
    pattern: PathBuf,
    /// Whether it is all of a directory, of which only some names are read.
    is_directory: bool,
}

impl Source {
    /// Returns what is there of it now.
    fn files(&self, files: &Files) -> Result<Vec<PathBuf>> {
        let found = files.matching(&self.pattern)?.into_iter();
        Ok(found.filter(|path| !self.is_directory || has_plain_name(path)).collect())
    }
}

fn sources(files: &Files, line: &str) -> Vec<Source> {
    let mut words = line.split_whitespace();
    let is_directory = match words.next() {
        Some("source") => false,
        Some("source-directory") => true,
        _ => return Vec::new(),
    };
    // Read part by part, as people write a slash too many.
    let pattern = |word| files.at("/etc/network").join(files.inside(word)).components().collect::<PathBuf>();
    let all = |word| if is_directory { pattern(word).join("*") } else { pattern(word) };
    words.map(|word| Source { pattern: all(word), is_directory }).collect()
}

/// Adds to `paths` those that are `found`, are no directories, and are new.
fn add_files(paths: &mut Vec<PathBuf>, found: Vec<PathBuf>) -> Result<()> {
    for path in found {
        if !is_directory(&path)? && !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

impl Form for Stanzas {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        let mut stanzas: Vec<(&str, Vec<Setting>)> = Vec::new();
        let mut started = Vec::new();
        for line in content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let header: Vec<&str> = rest.split_whitespace().collect();
            match (word, header.as_slice(), stanzas.last_mut()) {
                ("auto", names, _) => started.extend(names.iter().map(|name| (*name, line))),
                ("iface", [name, "inet", "static"], _) if self.is_name(name) => {
                    stanzas.push((name, Vec::new()));
                }
                ("iface", [name, "inet6", "manual"], _) if **name == *self.interface => {
                    stanzas.push((name, Vec::new()));
                }
                ("address" | "broadcast" | "scope" | UP | DOWN, _, Some((_, settings))) => {
                    settings.push((word, rest))
                }
                _ => return Err(not_ours(line)),
            }
        }
        let own: HashSet<&str> = stanzas.iter().map(|(name, _)| *name).chain([&*self.interface]).collect();
        if let Some((_, line)) = started.iter().find(|(name, _)| !own.contains(name)) {
            return Err(not_ours(line));
        }
        each_once(stanzas.into_iter().map(|(name, settings)| self.address(name, &settings)))
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

    fn review(&self, rewrite: &Rewrite) -> Result<(), Objection> {
        rewrite.keeps(lost)
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

/// Returns what ifupdown would lose of an address, if anything.
fn lost(alias: &Alias, address: &Address) -> Option<String> {
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
    fn address(&self, name: &str, settings: &[Setting]) -> Result<(Alias, Address), String> {
        let no_address = "a stanza has no address; remove the file";
        let first = settings.first().ok_or(no_address)?.1;
        let text = first.strip_prefix(ADD).unwrap_or(first).split(' ').next().unwrap_or_default();
        let (ip, prefix) = cidr::stored(text).ok_or(no_address)?;
        if ip.is_ipv6() && name != &*self.interface {
            // No IPv6 address has a label, so we wrote none.
            return Err(not_ours(&format!("iface {name} inet static")));
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
    format!("iface {name} inet static\n    address {}\n{lines}", words(alias, address))
}

/// By commands, as the method static would turn off autoconfiguration of the interface.
fn ipv6_stanza(alias: &Alias, address: &Address) -> String {
    let (words, interface) = (words(alias, address), &alias.interface);
    let deprecated = if address.set.deprecated { DEPRECATED } else { "" };
    let nodad = if address.set.nodad { NODAD } else { "" };
    format!(
        "iface {interface} inet6 manual\n    {UP} {ADD}{words} dev {interface}{deprecated}{nodad}\n    {DOWN} ip -6 address delete {words} dev {interface} || true\n"
    )
}

#[cfg(test)]
pub(super) fn form(interface: &Rc<str>) -> Box<dyn Form> {
    Box::new(Stanzas { interface: interface.clone() })
}

//! NetworkManager: our lines in the profile that it uses for an interface, nm-settings-keyfile(5).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::entry::{not_kept, plain, words};
use super::files::{Files, assignments, is_there};
use super::form::{Form, HEADER, Objection, Rewrite, may_return};
use super::running::{made_profile, netplan_profile, profile, profile_uuid, profile_uuids};
use super::store::{Device, Manager, Store, each};
use crate::interface_alias::address::Address;
use crate::interface_alias::cidr;
use crate::interface_alias::item::{Addresses, Alias};
use crate::{Error, Result};

pub(super) static MANAGER: Manager = Manager {
    word: "networkmanager",
    is_shared: true,
    find: |files, devices| each(devices, |device| find(files, device)),
    for_lo,
};

const PROFILES: &str = "/etc/NetworkManager/system-connections";

/// The profile for lo, which NetworkManager leaves alone unless one tells it otherwise.
const LO: &str = "lvs-host-lo.nmconnection";

/// That profile without addresses: lo keeps its own.
const LO_PROFILE: &str = "[connection]\nid=lvs-host-lo\ntype=loopback\ninterface-name=lo\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n";

/// The sections that have addresses, by family.
const SECTIONS: [&str; 2] = ["ipv4", "ipv6"];

/// The lines `addressN=` in a profile.
#[derive(Debug)]
struct Profile {
    interface: Rc<str>,
    /// What the file holds if all of it is ours.
    own: Option<String>,
}

/// Returns where the addresses of a device go, if NetworkManager manages it by a profile of the person's.
fn find(files: &Rc<Files>, device: &Device) -> Result<Option<Store>> {
    let profiles = files.at(PROFILES);
    if &*device.name == "lo" && is_there(&profiles.join(LO))? {
        return Ok(Some(own_lo(files, device)));
    }
    let Some(index) = device.index else {
        let named = profile(files, &profiles, "interface-name", &device.name)?;
        return Ok(named.map(|file| store(files, device, file, None)));
    };
    let Some(uuid) = profile_uuid(files, index)? else { return Ok(None) };
    if let Some(file) = profile(files, &profiles, "uuid", &uuid)? {
        return Ok(Some(store(files, device, file, None)));
    }
    let made_up = made_profile(files, "uuid", &uuid)?;
    match made_up.map(|file| files.content(&file)).transpose()? {
        Some(content) if assignments(&content).get("external") == Some(&"true") => Ok(None),
        None if netplan_profile(files, &device.name, device.index)?.is_some() => Ok(None),
        _ => Err(Error::invalid(format!(
            "cannot keep addresses of {} with networkmanager: its profile {uuid} is in no file below {}; store it there: nmcli connection modify {uuid} connection.autoconnect yes",
            device.name,
            profiles.display()
        ))),
    }
}

fn store(files: &Rc<Files>, device: &Device, file: PathBuf, own: Option<String>) -> Store {
    let form = Profile { interface: device.name.clone(), own };
    Store::new(&MANAGER, files, device, file, 0o600, form)
}

/// Returns the profile for lo, where NetworkManager manages an interface by a profile of the person's.
fn for_lo(files: &Rc<Files>, lo: &Device) -> Result<Option<Store>> {
    for uuid in profile_uuids(files)? {
        if profile(files, &files.at(PROFILES), "uuid", &uuid)?.is_some() {
            return Ok(Some(own_lo(files, lo)));
        }
    }
    Ok(None)
}

fn own_lo(files: &Rc<Files>, lo: &Device) -> Store {
    store(files, lo, files.at(PROFILES).join(LO), Some(format!("{HEADER}{LO_PROFILE}")))
}

impl Form for Profile {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        Ok(address_lines(content)
            .filter_map(|line| line.cidr)
            .map(|(ip, prefix)| {
                let (alias, mut address) = plain(&self.interface, ip, prefix);
                // Whose it is, a profile does not tell.
                address.status.protocol = None;
                (alias, address)
            })
            .collect())
    }

    fn written(&self, content: &str, addresses: &Addresses) -> String {
        let content = if content.is_empty() { self.own.as_deref().unwrap_or_default() } else { content };
        let present = self.read(content).unwrap_or_default();
        let mut text =
            without(content, |ip, prefix| addresses.contains_key(&Alias::new(&self.interface, ip, prefix)));
        for section in SECTIONS {
            let is_new = |alias: &Alias| section_of(alias) == section && !present.contains_key(alias);
            text = with(&text, section, addresses.iter().filter(|(alias, _)| is_new(alias)));
        }
        if self.own.as_ref() == Some(&text) { String::new() } else { text }
    }

    fn review(&self, rewrite: &Rewrite) -> Result<(), Objection> {
        let before =
            if rewrite.before.is_empty() { self.own.as_deref().unwrap_or_default() } else { rewrite.before };
        rewrite.keeps(|alias, _| silent(before, section_of(alias)))?;
        rewrite.keeps(|alias, address| not_kept(alias, address, &[]))?;
        lost(rewrite.before, rewrite.after).map_or(Ok(()), |why| Err(Objection::File(why)))
    }

    /// Else it writes the profile anew as it knows it, without our lines; this sets nothing.
    fn tell(&self, file: &Path, gone: &[&Alias]) -> Option<String> {
        let load = Command::new("nmcli").args(["connection", "load"]).arg(file).output();
        let why = match load {
            Ok(output) if output.status.success() && output.stderr.is_empty() => {
                return may_return(
                    gone,
                    "NetworkManager",
                    "when other addresses of the interface come or go",
                    &format!("nmcli device reapply {}", self.interface),
                );
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!(
            "NetworkManager could not be told of {} ({why}); tell it: nmcli connection load {0}",
            file.display()
        ))
    }
}

/// Returns why a profile brings no addresses of a section, if so.
fn silent(content: &str, section: &str) -> Option<String> {
    let mut methods = keys(content).filter(|line| line.section == section && line.key == "method");
    let method = methods.next().map(|line| line.value);
    let is_silent = !matches!(method, Some("auto" | "manual"));
    is_silent.then(|| {
        format!(
            "its method for {section} is {}, which brings no addresses; make it auto or manual: nmcli connection modify {} {section}.method auto",
            method.unwrap_or("missing"),
            assignments(content).get("uuid").unwrap_or(&"PROFILE"),
        )
    })
}

/// Returns what a change of a profile would lose of the person's, if anything.
fn lost(before: &str, after: &str) -> Option<String> {
    let left: HashSet<_> = address_lines(after).map(|line| line.cidr).collect();
    let stays = |line: &Line| left.contains(&line.cidr);
    if let Some(line) = address_lines(before).find(|line| line.value.contains(',') && !stays(line)) {
        return Some(format!(
            "its line {}={} has the gateway too, which would go; put that into gateway=",
            line.key, line.value
        ));
    }
    let lacks = |section: &str| address_lines(after).all(|line| line.section != section);
    let is_manual =
        |line: &Line| SECTIONS.contains(&line.section) && (line.key, line.value) == ("method", "manual");
    let needs = keys(before).find(|line| is_manual(line) && lacks(line.section))?;
    Some(format!(
        "its method for {} is manual, which needs an address; make that auto or disabled, or keep one",
        needs.section
    ))
}

/// A line of a profile that sets something.
struct Line<'a> {
    section: &'a str,
    key: &'a str,
    value: &'a str,
    /// Where it is, by lines.
    number: usize,
    /// The address and prefix length, if it sets one.
    cidr: Option<(std::net::IpAddr, u8)>,
}

/// Returns the lines of a profile that set something.
fn keys(content: &str) -> impl Iterator<Item = Line<'_>> {
    let mut section = "";
    content.lines().enumerate().filter_map(move |(number, line)| {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some(Line { section, key: key.trim(), value: value.trim(), number, cidr: None })
    })
}

/// Returns the lines of a profile that set an address: `address1=192.0.2.10/24,192.0.2.254`.
fn address_lines(content: &str) -> impl Iterator<Item = Line<'_>> {
    keys(content).filter(|line| SECTIONS.contains(&line.section)).filter_map(|line| {
        number(line.key)?;
        let cidr = cidr::stored(line.value.split(',').next()?);
        Some(Line { cidr, ..line })
    })
}

/// Returns the N of `addressN`, which may also be missing, and of the older `addressesN`.
fn number(key: &str) -> Option<u32> {
    let number = key.strip_prefix("addresses").or_else(|| key.strip_prefix("address"))?;
    // It reads numbers up to this (_build_list_match_key_w_name in its nm-keyfile.c).
    let number: i32 = if number.is_empty() { 0 } else { number.parse().ok()? };
    number.try_into().ok()
}

fn section_of(alias: &Alias) -> &'static str {
    SECTIONS[usize::from(alias.address.is_ipv6())]
}

/// Returns a profile without the addresses that are not to stay.
fn without(content: &str, stays: impl Fn(std::net::IpAddr, u8) -> bool) -> String {
    let gone: HashSet<usize> = address_lines(content)
        .filter(|line| line.cidr.is_some_and(|(ip, prefix)| !stays(ip, prefix)))
        .map(|line| line.number)
        .collect();
    let lines = content.split_inclusive('\n').enumerate();
    lines.filter(|(number, _)| !gone.contains(number)).map(|(_, line)| line).collect()
}

/// Returns a profile with these addresses too, behind those that are there, else first in the section.
fn with<'a>(content: &str, section: &str, new: impl Iterator<Item = (&'a Alias, &'a Address)>) -> String {
    let mut last = content.lines().position(|line| line.trim() == format!("[{section}]")).unwrap_or(0);
    let mut most = 0;
    for line in address_lines(content).filter(|line| line.section == section) {
        last = last.max(line.number);
        most = most.max(number(line.key).unwrap_or(0));
    }
    let lines: String = (most + 1..)
        .zip(new)
        .map(|(number, (alias, address))| format!("address{number}={}\n", words(alias, address)))
        .collect();
    let mut text = String::new();
    for (number, line) in content.split_inclusive('\n').enumerate() {
        text += line;
        if number == last && !lines.is_empty() {
            text += if line.ends_with('\n') { "" } else { "\n" };
            text += &lines;
        }
    }
    text
}

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>) -> Box<dyn Form> {
    Box::new(Profile { interface: interface.clone(), own: None })
}

//! NetworkManager: our lines in the profile that it uses for an interface, nm-settings-keyfile(5).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::entry::{not_kept, plain};
use super::files::{Files, assignments, is_there, name};
use super::form::{Form, HEADER, Objection, Rewrite, may_return};
use super::keyfile::{Line, SECTIONS, address_lines, keys, section_of, with, without};
use super::reader::{Draft, Scratch, Verdict, program, verdict};
use super::running::{made_profile, netplan_profile, profile, profile_uuid, profile_uuids};
use super::store::{Device, Manager, Store, each};
use crate::interface_alias::item::{Addresses, Alias};
use crate::{Error, Result};

pub(super) static MANAGER: Manager = Manager {
    word: "networkmanager",
    is_shared: true,
    is_before_lease: true,
    ask,
    find: |files, devices| each(devices, |device| find(files, device)),
    for_lo,
};

const PROFILES: &str = "/etc/NetworkManager/system-connections";

/// The profile for lo, which NetworkManager leaves alone unless one tells it otherwise.
const LO: &str = "lvs-host-lo.nmconnection";

/// That profile without addresses: lo keeps its own.
const LO_PROFILE: &str = "[connection]\nid=lvs-host-lo\ntype=loopback\ninterface-name=lo\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n";

/// The lines `addressN=` in a profile.
#[derive(Debug)]
struct Profile {
    interface: Rc<str>,
    /// What the file holds if all of it is ours.
    own: Option<String>,
}

/// Returns where the addresses of a device go, if NetworkManager manages it by a profile of the person's.
fn find(files: &mut Files, device: &Device) -> Result<Option<Store>> {
    let profiles = files.at(PROFILES);
    if &*device.name == "lo" && is_there(&profiles.join(LO))? {
        return Ok(Some(own_lo(files, device)));
    }
    let Some(index) = device.index else {
        let named = profile(files, &profiles, "interface-name", &device.name)?;
        return Ok(named.map(|file| store(device, file, None)));
    };
    let Some(uuid) = profile_uuid(files, index)? else { return Ok(None) };
    if let Some(file) = profile(files, &profiles, "uuid", &uuid)? {
        return Ok(Some(store(device, file, None)));
    }
    if netplan_profile(files, &device.name, device.index)?.is_some() {
        return Ok(None);
    }
    let made_up = made_profile(files, "uuid", &uuid)?.map(|file| files.content(&file)).transpose()?;
    let is_external = made_up.is_some_and(|content| assignments(&content).get("external") == Some(&"true"));
    if is_external { Ok(None) } else { Err(unusable(files, device, &uuid)?) }
}

/// Has nmcli read the profiles without the daemon, which it can since version 1.40 (nmcli(1)).
fn ask(files: &mut Files, drafts: &[Draft]) -> Result<Verdict> {
    const MODIFY: [&str; 5] = ["--offline", "connection", "modify", "connection.zone", "lvs"];
    let Some(nmcli) = program(files, &["/usr/bin/nmcli"])? else {
        return Ok(Verdict::NotAsked("nmcli is not there".into()));
    };
    let scratch = Scratch::make(files)?;
    for draft in drafts.iter().filter(|draft| !draft.content.is_empty()) {
        let output = scratch.run(&nmcli, &MODIFY.map(OsStr::new), &draft.content)?;
        if output.as_ref().is_some_and(|output| output.complaint.contains("'--offline' is unknown")) {
            return Ok(Verdict::NotAsked("nmcli is older than 1.40".into()));
        }
        let text = output.as_ref().map_or_else(String::new, |output| output.text.clone());
        let read: HashSet<_> = address_lines(&text).map(|line| line.cidr).collect();
        let lost = address_lines(&draft.content).find(|line| !read.contains(&line.cidr));
        match (verdict(output), lost) {
            (Verdict::Taken, None) => {}
            (Verdict::Taken, Some(line)) => {
                return Ok(Verdict::Refused(format!("it does not read {}={}", line.key, line.value)));
            }
            (other, _) => return Ok(other),
        }
    }
    Ok(Verdict::Taken)
}

/// Returns the error about a profile that is in none of the files that we can write to.
fn unusable(files: &mut Files, device: &Device, uuid: &str) -> Result<Error> {
    let why = match ifcfg(files, uuid)? {
        Some(file) => format!(
            "its profile {uuid} is {}, of the older format ifcfg; have NetworkManager move it: nmcli connection migrate {uuid}",
            file.display()
        ),
        None => format!(
            "its profile {uuid} is in no file below {}; store it there: nmcli connection modify {uuid} connection.autoconnect yes",
            files.at(PROFILES).display()
        ),
    };
    Ok(Error::invalid(format!("cannot keep addresses of {} with networkmanager: {why}", device.name)))
}

/// Returns the file of the older format that has a profile (nm-settings-ifcfg-rh(5)).
fn ifcfg(files: &mut Files, uuid: &str) -> Result<Option<PathBuf>> {
    for file in files.entries(&files.at("/etc/sysconfig/network-scripts"))? {
        let has_it = |content: &str| {
            assignments(content).get("UUID").is_some_and(|value| value.trim_matches(['"', '\'']) == uuid)
        };
        if name(&file).starts_with("ifcfg-") && has_it(&files.content(&file)?) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn store(device: &Device, file: PathBuf, own: Option<String>) -> Store {
    let form = Profile { interface: device.name.clone(), own };
    Store::new(&MANAGER, device, file, 0o600, form)
}

/// Returns the profile for lo, where NetworkManager manages an interface by a profile of the person's.
fn for_lo(files: &mut Files, lo: &Device) -> Result<Option<Store>> {
    for uuid in profile_uuids(files)? {
        if profile(files, &files.at(PROFILES), "uuid", &uuid)?.is_some() {
            return Ok(Some(own_lo(files, lo)));
        }
    }
    Ok(None)
}

fn own_lo(files: &Files, lo: &Device) -> Store {
    store(lo, files.at(PROFILES).join(LO), Some(format!("{HEADER}{LO_PROFILE}")))
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
    if let Some(line) = address_lines(before).find(|line| line.has_gateway && !stays(line)) {
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

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>) -> Box<dyn Form> {
    Box::new(Profile { interface: interface.clone(), own: None })
}

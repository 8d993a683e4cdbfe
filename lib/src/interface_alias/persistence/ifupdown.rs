//! ifupdown: a file of our own beside the person's stanzas, interfaces(5).

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::{Files, is_there};
use super::ifstate::IfState;
use super::ifup::Program;
use super::interfaces::{INTERFACES, Interfaces, Start, without_sources};
use super::reader::{Draft, Scratch, Verdict, program, verdict};
use super::running::is_up_by_ifupdown;
use super::stanza::Stanzas;
use super::store::{Device, Manager, Store, each};
use crate::{Result, file};

pub(super) static MANAGER: Manager = Manager {
    word: "ifupdown",
    is_shared: false,
    is_before_lease: false,
    ask,
    find,
    for_lo: |_, _| Ok(None),
};

/// Returns where the addresses of those devices go that ifupdown manages.
fn find(files: &mut Files, devices: &[Device]) -> Result<Vec<Store>> {
    let interfaces = Interfaces::read(files)?;
    let paths = interfaces.paths();
    each(devices, |device| store(files, &interfaces, &paths, device))
}

fn store(
    files: &mut Files,
    interfaces: &Interfaces,
    paths: &Rc<[PathBuf]>,
    device: &Device,
) -> Result<Option<Store>> {
    let is_up = is_up_by_ifupdown(files, &device.name)?;
    let ours = ours(files, &device.name)?;
    let has_stanza = interfaces.define(&device.name) || (device.index.is_none() && is_there(&ours)?);
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
    let objection = program.and_then(Program::objection).or_else(|| (!interfaces.reads(&ours)).then(unread));
    let start = interfaces.start(&device.name, &ours);
    let form = Stanzas { interface: device.name.clone(), start };
    let store = Store::new(&MANAGER, device, ours, file::MODE, form);
    // What comes and goes with the interface, ifupdown does not know by its name.
    let ifstate = ifstate.filter(|_| start == Start::Auto);
    Ok(Some(store.among(paths.clone(), objection).with_ifstate(is_up, ifstate)))
}

/// Has ifquery list what it finds in all the files as one (ifquery(8)).
fn ask(files: &mut Files, drafts: &[Draft]) -> Result<Verdict> {
    let Some(ifquery) = program(files, &["/sbin/ifquery", "/usr/sbin/ifquery"])? else {
        return Ok(Verdict::NotAsked("ifquery is not there".into()));
    };
    let mut text = String::new();
    for path in Interfaces::read(files)?.paths().iter() {
        if drafts.iter().all(|draft| *draft.file != **path) {
            text += &without_sources(&files.content(path)?);
        }
    }
    text.extend(drafts.iter().map(|draft| draft.content.as_str()));
    let scratch = Scratch::make(files)?;
    let path = scratch.write(Path::new("interfaces"), &text)?;
    let arguments = ["--interfaces".as_ref(), path.as_os_str(), "--list".as_ref(), "--all".as_ref()];
    Ok(match scratch.run(&ifquery, &arguments, "").map(verdict)? {
        // The line is one of all files together.
        Verdict::Refused(why) => {
            let (_, why) = why.rsplit_once(": ").unwrap_or(("", &why));
            Verdict::Refused(format!("{why}, and `ifquery --list --all` says where"))
        }
        verdict => verdict,
    })
}

/// Returns our file for an interface: that which has stanzas of it, if one has, as an earlier version named it.
fn ours(files: &mut Files, interface: &str) -> Result<PathBuf> {
    let directory = files.at("/etc/network/interfaces.d");
    let plain = directory.join(format!("lvs-host-{}", plain_name(interface)));
    let is_of = |line: &str| {
        line.strip_prefix("iface ").and_then(|rest| rest.split([' ', ':']).next()) == Some(interface)
    };
    let is_its_own = files.content(&plain)?.lines().any(is_of);
    Ok(if is_its_own { plain } else { directory.join(file_name(interface)) })
}

/// Returns the interface's name in the letters that `source-directory` reads.
fn plain_name(interface: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    interface.chars().map(letter).collect()
}

/// Returns the name of our file for an interface, which is that of no other: `eth0.5` and `eth0_5` are two.
fn file_name(interface: &str) -> String {
    let is_sign = |letter: &char| !letter.is_ascii_alphanumeric() && *letter != '-';
    let signs: Vec<char> = interface.chars().filter(is_sign).collect();
    let name = plain_name(interface);
    if signs.iter().all(|sign| *sign == '.') {
        return format!("lvs-host-{name}");
    }
    let signs: String = signs.iter().map(|sign| format!("_{:x}", u32::from(*sign))).collect();
    format!("lvs-host{signs}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_interfaces_have_one_file() {
        let names = [
            "eth0.5",
            "eth0_5",
            "eth0-5",
            "eth05",
            "a.b_c",
            "a_b.c",
            "a_b_c",
            "a.b.c",
            "eth0_5-5f",
            "eth0.5-5f",
            "größe",
            "grüße",
            "x\u{5f}5f",
            "-5f-eth0.5",
        ];
        let files: HashSet<String> = names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        assert_eq!(file_name("eth0.5"), "lvs-host-eth0_5", "as it was");
        let is_read = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        assert!(files.iter().all(|file| file.chars().all(is_read)), "{files:?}");
    }
}

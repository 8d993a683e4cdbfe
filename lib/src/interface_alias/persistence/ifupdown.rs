//! ifupdown, ifupdown2 and ifupdown-ng: a file of our own beside the person's stanzas, interfaces(5).

use std::path::{Path, PathBuf};

use super::files::{Files, is_there};
use super::ifstate::IfState;
use super::ifup::Program;
use super::interfaces::{INTERFACES, Interfaces, Start, without_sources};
use super::making::Making;
use super::reader::{Draft, Scratch, Verdict, program, verdict};
use super::running::is_up_by_ifupdown;
use super::stanza::{self, Stanzas};
use super::store::{Ask, Device, Find, ForOwn, Manager, Store};
use crate::{Error, Result, file};

/// ifupdown and the two programs that read the same files, each in its own way.
pub(super) static MANAGERS: [Manager; 3] = [
    manager(
        Program::Ifupdown,
        |files, devices| find(files, devices, Program::Ifupdown),
        |files, drafts| ask(files, drafts, Program::Ifupdown),
        for_own,
    ),
    manager(
        Program::Ifupdown2,
        |files, devices| find(files, devices, Program::Ifupdown2),
        |files, drafts| ask(files, drafts, Program::Ifupdown2),
        |files, device| unmade(files, device, Program::Ifupdown2),
    ),
    manager(
        Program::IfupdownNg,
        |files, devices| find(files, devices, Program::IfupdownNg),
        |files, drafts| ask(files, drafts, Program::IfupdownNg),
        |files, device| unmade(files, device, Program::IfupdownNg),
    ),
];

const fn manager(program: Program, find: Find, ask: Ask, for_own: ForOwn) -> Manager {
    Manager { word: program.word(), is_shared: false, is_before_lease: false, ask, find, for_own }
}

/// Returns where the addresses of those devices go that a program manages.
fn find(files: &mut Files, devices: &[Device], program: Program) -> Result<Vec<Store>> {
    let mut its = Vec::new();
    for device in devices {
        // Where none is left, what is there was ifupdown's.
        let found = Program::of(files, &device.name)?;
        if found.unwrap_or(Program::Ifupdown).word() == program.word() {
            its.push((device, found));
        }
    }
    if its.is_empty() {
        return Ok(Vec::new());
    }
    let interfaces = Interfaces::read(files)?;
    let stores = its
        .iter()
        .map(|(device, program)| Place { files, interfaces: &interfaces, device, program: *program }.store());
    stores.filter_map(Result::transpose).collect()
}

/// Where our file for a device is, among what a program reads.
struct Place<'a> {
    files: &'a mut Files,
    interfaces: &'a Interfaces,
    device: &'a Device,
    /// Nothing where the program is gone.
    program: Option<Program>,
}

impl Place<'_> {
    /// Returns the store of a device that it brings up, or would.
    fn store(&mut self) -> Result<Option<Store>> {
        let device = self.device;
        let ours = ours(self.files, &device.name)?;
        let has_stanza = self.interfaces.define(&device.name) || (device.index.is_none() && is_there(&ours)?);
        // A stanza may be left from before another manager came.
        let may_come_up =
            has_stanza && (device.index.is_none() || self.program.is_some() || self.ifstate()?.is_some());
        // It brings lo up without a stanza.
        if may_come_up || self.is_up()? && &*device.name == "lo" {
            let has_making = self.files.content(&ours)?.contains(&stanza::making(&device.name));
            let is_made =
                device.is_made && !self.interfaces.define_elsewhere(&device.name, &ours) || has_making;
            return self.store_in(ours, is_made).map(Some);
        }
        Ok(None)
    }

    /// Returns the store of a device in our file, which may have to make the device.
    fn store_in(&mut self, ours: PathBuf, is_made: bool) -> Result<Store> {
        let device = self.device;
        let program = self.program.unwrap_or(Program::Ifupdown);
        let files = &mut *self.files;
        let objection = program.objection(&files.content(&ours)?);
        let unread = || {
            let (read, line) = (files.at(INTERFACES), program.source());
            format!("{} does not read {}; add the line: {line}", read.display(), ours.display())
        };
        let objection = objection.or_else(|| (!self.interfaces.reads(&ours, program)).then(unread));
        let start = match program {
            _ if is_made => Start::Made,
            Program::Ifupdown2 | Program::IfupdownNg => Start::AsOne,
            _ => self.interfaces.start(&device.name, &ours),
        };
        let manager = MANAGERS.iter().find(|manager| manager.word == program.word()).unwrap_or(&MANAGERS[0]);
        let form = Stanzas { interface: device.name.clone(), start };
        let store = Store::new(manager, device, ours, file::MODE, form);
        // What comes and goes with the interface, ifupdown does not know by its name.
        let ifstate = self.ifstate()?.filter(|_| start == Start::Auto);
        let store = store.among(self.interfaces.paths(), objection).with_ifstate(self.is_up()?, ifstate);
        Ok(if is_made { store.made_by(Making::Along) } else { store })
    }

    fn ifstate(&self) -> Result<Option<IfState>> {
        IfState::find(&self.files.at("/run/network"))
    }

    fn is_up(&mut self) -> Result<bool> {
        is_up_by_ifupdown(self.files, &self.device.name)
    }
}

/// Returns our file for a dummy interface of ours, where ifupdown has brought up others; lo it brings up without being told.
fn for_own(files: &mut Files, device: &Device) -> Result<Option<Store>> {
    let state = files.content(&files.at("/run/network/ifstate"))?;
    let has_others = state.lines().any(|line| line.split('=').next().is_some_and(|name| name != "lo"));
    if &*device.name == "lo"
        || !has_others
        || Program::of(files, &device.name)?.unwrap_or(Program::Ifupdown) != Program::Ifupdown
    {
        return Ok(None);
    }
    let interfaces = Interfaces::read(files)?;
    let ours = ours(files, &device.name)?;
    let mut place = Place { files, interfaces: &interfaces, device, program: Some(Program::Ifupdown) };
    place.store_in(ours, true).map(Some)
}

/// Returns the error about a dummy interface of ours where one of the other programs is at work, which makes such in another way.
fn unmade(files: &mut Files, device: &Device, program: Program) -> Result<Option<Store>> {
    if &*device.name == "lo" || Program::of(files, &device.name)? != Some(program) {
        return Ok(None);
    }
    let (name, word) = (&device.name, program.word());
    Err(Error::invalid(format!(
        "cannot keep addresses of {name} with {word}: we have it make no interfaces; write a stanza of {name} into /etc/network/interfaces that does, or leave persist out"
    )))
}

/// Has ifquery list what it finds in all the files as one (ifquery(8)).
fn ask(files: &mut Files, drafts: &[Draft], which: Program) -> Result<Verdict> {
    const PROGRAMS: [&str; 4] =
        ["/sbin/ifquery", "/usr/sbin/ifquery", "/sbin/ifquery-ng", "/usr/sbin/ifquery-ng"];
    let Some(ifquery) = program(files, &PROGRAMS[if which == Program::IfupdownNg { 0..4 } else { 0..2 }])?
    else {
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
    let all = if which == Program::Ifupdown { "--all" } else { "-a" };
    let arguments = ["-i".as_ref(), path.as_os_str(), "--list".as_ref(), all.as_ref()];
    Ok(match scratch.run(&ifquery, &arguments, "").map(verdict)? {
        // The line is one of all files together.
        Verdict::Refused(why) => {
            let (_, why) = why.rsplit_once(": ").unwrap_or(("", &why));
            Verdict::Refused(format!("{why}, and `ifquery --list {all}` says where"))
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

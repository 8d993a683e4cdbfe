//! systemd-networkd: a drop-in beside the file that it uses for an interface, systemd.network(5).

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::brought::Brought;
use super::files::{assignments, entries, foreign, inside, is_there, link};
use super::{
    Address, Addresses, Alias, Device, Form, HEADER, Persist, Store, cidr, each_once, label, not_kept,
    not_ours, plain, words,
};
use crate::interface_alias::address::Attributes;
use crate::{Result, file};

/// What networkd knows of each interface, by its number (sd-network reads it).
pub(super) const LINKS: &str = "run/systemd/netif/links";

const OURS: &str = "etc/systemd/network";

/// The file for lo, of which networkd takes no care unless a file tells it to.
const LO: &str = "20-lvs-host-lo.network";

/// What that file begins with.
const LO_MATCH: &str = "[Match]\nName=lo\n\n";

/// Sections, one for each address.
#[derive(Debug)]
struct Sections {
    interface: Rc<str>,
    /// What comes before them.
    head: &'static str,
    /// What to know of the file beside which they are.
    warning: Option<String>,
}

/// Returns the file by which networkd manages the interface with a number, if it does.
pub(super) fn network_file(root: &Path, index: u32) -> Result<Option<PathBuf>> {
    let state = foreign(&root.join(LINKS).join(index.to_string()))?;
    let state = assignments(&state);
    let is_managed = state.get("ADMIN_STATE").is_some_and(|state| *state != "unmanaged");
    Ok(state.get("NETWORK_FILE").filter(|_| is_managed).map(|file| inside(root, file)))
}

/// Returns where the addresses of a device go, if networkd manages it by a file that Netplan did not write.
pub(super) fn find(root: &Path, device: &Device) -> Result<Option<Store>> {
    let Some(index) = device.index else { return left_behind(root, device) };
    match network_file(root, index)? {
        Some(file) if super::netplan::id_of(&file).is_some() => Ok(None),
        Some(file) if file.ends_with(LO) => Ok(Some(for_lo(root, device))),
        Some(file) => beside(root, device, &file).map(Some),
        None => Ok(None),
    }
}

/// Returns the drop-in beside the file by which networkd manages a device.
fn beside(root: &Path, device: &Device, network: &Path) -> Result<Store> {
    let sharing = sharing(root, device, network)?;
    let name = network.file_name().unwrap_or_default().to_string_lossy();
    let directory = root.join(OURS).join(format!("{name}.d"));
    let file = directory.join(drop_in(&device.name));
    let mut elsewhere = vec![network.to_owned()];
    elsewhere.extend(drop_ins(root, &name)?.into_iter().filter(|path| *path != file));
    let form = Sections { interface: device.name.clone(), head: "", warning: sharing.warning };
    Ok(Store { refusal: sharing.refusal, ..store(device, file, elsewhere, form) })
}

/// Returns the drop-ins for a file that networkd reads: of those with the same name the first, unless that only masks the others
/// (systemd.unit(5)).
fn drop_ins(root: &Path, network: &str) -> Result<Vec<PathBuf>> {
    let (mut found, mut known) = (Vec::new(), HashSet::<OsString>::new());
    for place in [OURS, "run/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network"] {
        for path in entries(&root.join(place).join(format!("{network}.d")))? {
            let name = path.file_name().unwrap_or_default();
            if has_suffix(&path, ".conf") && known.insert(name.to_owned()) && !is_mask(&path)? {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Returns whether a file is a link to nothing.
fn is_mask(path: &Path) -> Result<bool> {
    Ok(link(path)?.is_some_and(|target| target == Path::new("/dev/null")))
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
}

/// What comes of it that networkd's file for a device is for others too.
#[derive(Default)]
pub(super) struct Sharing {
    /// What to know if others may come.
    pub(super) warning: Option<String>,
    /// Why nothing is kept, if one of them is there.
    pub(super) refusal: Option<String>,
}

/// Returns what comes of it if networkd's file for a device is for others too.
pub(super) fn sharing(root: &Path, device: &Device, network: &Path) -> Result<Sharing> {
    let (name, network_name) = (&device.name, network.display());
    if let Some(other) = shared_with(root, device, network)? {
        let refusal = format!(
            "{network_name} is for interface {other} too, which would get the address as well; give {name} a file of its own"
        );
        return Ok(Sharing { refusal: Some(refusal), warning: None });
    }
    let warning = (!names(&foreign(network)?, name)).then(|| {
        format!(
            "{network_name} is for every interface that it matches, and each would get the addresses of {name}; have it match {name} alone"
        )
    });
    Ok(Sharing { warning, refusal: None })
}

fn store(device: &Device, file: PathBuf, elsewhere: Vec<PathBuf>, form: Sections) -> Store {
    Store { elsewhere, ..Store::new(Persist::Networkd, device, file, file::MODE, Box::new(form)) }
}

fn drop_in(interface: &str) -> String {
    format!("lvs-host-{interface}.conf")
}

/// Returns the file for lo.
pub(super) fn for_lo(root: &Path, device: &Device) -> Store {
    let form = Sections { interface: device.name.clone(), head: LO_MATCH, warning: None };
    store(device, root.join(OURS).join(LO), Vec::new(), form)
}

/// Returns our file for an interface that is not there.
fn left_behind(root: &Path, device: &Device) -> Result<Option<Store>> {
    for directory in entries(&root.join(OURS))?.into_iter().filter(|path| has_suffix(path, ".network.d")) {
        let file = directory.join(drop_in(&device.name));
        if is_there(&file)? {
            let form = Sections { interface: device.name.clone(), head: "", warning: None };
            return Ok(Some(store(device, file, Vec::new(), form)));
        }
    }
    Ok(None)
}

/// Returns the number of another interface that networkd manages by the same file.
fn shared_with(root: &Path, device: &Device, network: &Path) -> Result<Option<u32>> {
    for index in numbers(&root.join(LINKS))? {
        if Some(index) != device.index && network_file(root, index)?.as_deref() == Some(network) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Returns the names of a directory's entries that are numbers of interfaces.
pub(super) fn numbers(directory: &Path) -> Result<Vec<u32>> {
    let number = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
    Ok(entries(directory)?.into_iter().filter_map(number).collect())
}

/// Returns whether a file is for that interface alone.
fn names(network: &str, interface: &str) -> bool {
    network.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| match key.trim() {
        "Name" => value.trim() == interface,
        "MACAddress" | "PermanentMACAddress" => value.split_whitespace().count() == 1,
        _ => false,
    })
}

impl Form for Sections {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        let body = content.strip_prefix(HEADER).unwrap_or(content);
        let body = body.strip_prefix(self.head).unwrap_or(body);
        let mut sections = body.split("[Address]\n");
        if sections.next().is_some_and(|before| !before.trim().is_empty()) {
            return Err("we did not write what it begins with; move that to another file".into());
        }
        each_once(sections.map(|section| self.address(section)))
    }

    fn written(&self, _content: &str, addresses: &Addresses) -> String {
        if addresses.is_empty() {
            return String::new();
        }
        let sections: Vec<String> =
            addresses.iter().map(|(alias, address)| section(alias, address)).collect();
        format!("{HEADER}{}{}", self.head, sections.join("\n"))
    }

    fn refusal(&self, alias: &Alias, address: &Address) -> Option<String> {
        const KEPT: &[&str] =
            &["label", "broadcast", "scope", "metric", "preferred_lft", "noprefixroute", "nodad"];
        not_kept(alias, address, KEPT)
    }

    fn brought(&self, content: &str) -> Brought {
        let mut brought = Brought::default();
        for (key, value) in content.lines().filter_map(|line| line.split_once('=')) {
            match key.trim() {
                "Address" => brought.address(value.trim()),
                "Label" => brought.label(value.trim()),
                _ => {}
            }
        }
        brought
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    /// It keeps what it has read, and sets that again when the interface loses its carrier; a reload would configure the
    /// interface anew, and drop the addresses and routes of others.
    fn tell(&self, _file: &Path, gone: &[&Alias]) -> Option<String> {
        super::may_return(
            gone,
            "systemd-networkd",
            "when the interface loses its carrier",
            "networkctl reload",
        )
    }
}

impl Sections {
    /// Returns the address of a section.
    fn address(&self, section: &str) -> Result<(Alias, Address), String> {
        let keys = assignments(section);
        let (ip, prefix) = keys
            .get("Address")
            .and_then(|value| cidr(value))
            .ok_or("a section has no address; remove the file")?;
        let (alias, mut address) = plain(&self.interface, ip, prefix);
        let mut known = HashSet::new();
        for line in section.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let is_new = known.insert(key);
            take(&mut address.set, key, value).filter(|()| is_new).ok_or_else(|| not_ours(line))?;
        }
        Ok((alias, address))
    }
}

/// Takes an attribute over from a line of a section; nothing if we do not write such lines.
fn take(set: &mut Attributes, key: &str, value: &str) -> Option<()> {
    match (key, value) {
        ("Address", _) => {}
        ("Label", _) => set.label = Some(value.into()),
        ("Broadcast", "no") => set.broadcast = None,
        ("Broadcast", _) => set.broadcast = Some(value.parse().ok()?),
        ("Scope", _) => set.scope = value.parse().ok()?,
        ("RouteMetric", _) => set.metric = Some(value.parse().ok()?),
        ("PreferredLifetime", "0") => set.deprecated = true,
        ("AddPrefixRoute", "no") => set.noprefixroute = true,
        ("DuplicateAddressDetection", "none") => set.nodad = true,
        _ => return None,
    }
    Some(())
}

/// Returns the section of an address.
fn section(alias: &Alias, address: &Address) -> String {
    let (set, usual) = (&address.set, plain(&alias.interface, alias.address, address.set.prefix).1.set);
    let broadcast = || set.broadcast.map_or_else(|| "no".to_owned(), |broadcast| broadcast.to_string());
    let lines = [
        label(alias, address).map(|label| format!("Label={label}")),
        (set.broadcast != usual.broadcast).then(|| format!("Broadcast={}", broadcast())),
        (set.scope != usual.scope).then(|| format!("Scope={}", set.scope)),
        set.metric.map(|metric| format!("RouteMetric={metric}")),
        set.deprecated.then(|| "PreferredLifetime=0".into()),
        set.noprefixroute.then(|| "AddPrefixRoute=no".into()),
        set.nodad.then(|| "DuplicateAddressDetection=none".into()),
    ];
    let lines: String = lines.into_iter().flatten().map(|line| line + "\n").collect();
    format!("[Address]\nAddress={}\n{lines}", words(alias, address))
}

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>) -> Box<dyn Form> {
    Box::new(Sections { interface: interface.clone(), head: "", warning: None })
}

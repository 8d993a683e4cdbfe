//! Netplan: a file of our own whose lists are merged with the person's, netplan(5). It is JSON, which is YAML.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::brought::Brought;
use super::entry::{each_once, label, not_kept, plain, words};
use super::files::{Files, assignments, is_there, ours};
use super::form::{Form, HEADER, Objection, Rewrite, may_return};
use super::reader::{Draft, Scratch, Verdict, program, verdict};
use super::running::{netplan_id, netplan_profile, network_file, network_files};
use super::sharing::sharing;
use super::store::{Device, Manager, Store, each};
use super::yaml;
use crate::interface_alias::address::Address;
use crate::interface_alias::cidr;
use crate::interface_alias::item::{Addresses, Alias};
use crate::{Error, Result};

pub(super) static MANAGER: Manager = Manager {
    word: "netplan",
    is_shared: false,
    is_before_lease: true,
    ask,
    find: |files, devices| each(devices, |device| find(files, device)),
    for_lo,
};

/// A definition with addresses alone.
#[derive(Debug)]
struct Definition {
    interface: Rc<str>,
    /// The kind of device, and what the person's file calls it.
    kind: &'static str,
    id: String,
    renderer: Renderer,
    /// What to know of the definition that ours is merged with.
    warning: Option<String>,
}

/// What sets the addresses in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Renderer {
    Networkd,
    NetworkManager,
}

/// Returns where the addresses of a device go, if Netplan configures it.
fn find(files: &mut Files, device: &Device) -> Result<Option<Store>> {
    let Some(index) = device.index else { return left_behind(files, device) };
    if let Some(network) = network_file(files, index)?
        && let Some(id) = netplan_id(&network)
    {
        let made_as = made_as(files, device, &network, &id)?;
        let sharing = sharing(files, device, &network)?;
        let definition =
            Definition { warning: sharing.warning, ..Definition::new(device, kind(&made_as), id) };
        return store(files, device, definition, sharing.objection.or_else(|| unknown(&made_as))).map(Some);
    }
    let Some((id, made_as)) = netplan_profile(files, &device.name, device.index)? else { return Ok(None) };
    let renderer = Renderer::NetworkManager;
    let definition = Definition { renderer, ..Definition::new(device, kind(&made_as), id) };
    store(files, device, definition, unknown(&made_as)).map(Some)
}

/// Returns our file for an interface that is not there, or that Netplan does not configure any more.
fn left_behind(files: &mut Files, device: &Device) -> Result<Option<Store>> {
    let file = file(files, device);
    match stored_as(&file)? {
        Some((kind, id)) => store(files, device, Definition::new(device, Some(kind), id), None).map(Some),
        None if ours(&file)?.is_empty() => Ok(None),
        None => Err(Error::invalid(format!("cannot use {}: {NOT_OURS}", file.display()))),
    }
}

/// Returns the file for lo, where Netplan configures others.
fn for_lo(files: &mut Files, lo: &Device) -> Result<Option<Store>> {
    if network_files(files)?.iter().all(|(_, file)| netplan_id(file).is_none()) {
        return Ok(None);
    }
    store(files, lo, Definition::new(lo, None, "lo".into()), None).map(Some)
}

const NOT_OURS: &str = "we did not write it so; move what is yours to another file";

const KINDS: [&str; 5] = ["ethernets", "bonds", "bridges", "vlans", "wifis"];

/// Returns the JSON of a file of ours.
fn body(content: &str) -> String {
    content.lines().filter(|line| !line.starts_with('#')).collect()
}

fn file(files: &mut Files, device: &Device) -> PathBuf {
    files.at("/etc/netplan").join(format!("90-lvs-host-{}.yaml", device.name))
}

/// Returns what a file of ours calls the device, by the key and the name in it.
fn stored_as(file: &Path) -> Result<Option<(&'static str, String)>> {
    let value: Value = serde_json::from_str(&body(&ours(file)?)).unwrap_or_default();
    let id_in = |kind: &&'static str| Some((*kind, value["network"][kind].as_object()?.keys().next()?));
    Ok(KINDS.iter().find_map(id_in).map(|(kind, id)| (kind, id.clone())))
}

/// Returns our file. One that calls the device otherwise than Netplan does now is read as it is, so that it can be removed.
fn store(files: &mut Files, device: &Device, now: Definition, objection: Option<String>) -> Result<Store> {
    let file = file(files, device);
    let stored = stored_as(&file)?.filter(|stored| *stored != (now.kind, now.id.clone()));
    let renamed = |(_, id): &(&str, String)| {
        format!("{} has it as {id}, and Netplan has it as {} by now; remove it first", file.display(), now.id)
    };
    let objection = objection.or(stored.as_ref().map(renamed)).or(yaml::misplaced(files, &file, &now.id)?);
    let (kind, id) = stored.unwrap_or((now.kind, now.id.clone()));
    let store = Store::new(&MANAGER, device, file, 0o600, Definition { kind, id, ..now });
    Ok(store.among(yaml::all(files)?.into(), objection))
}

/// Has Netplan generate what it makes of its files, in a directory apart (netplan-generate(8)).
fn ask(files: &mut Files, drafts: &[Draft]) -> Result<Verdict> {
    const GENERATE: [&str; 2] = ["/usr/libexec/netplan/generate", "/usr/lib/netplan/generate"];
    let Some(generate) = program(files, &GENERATE)? else {
        return Ok(Verdict::NotAsked("its program generate is not there".into()));
    };
    let scratch = Scratch::make(files)?;
    for path in yaml::all(files)?.iter().filter(|path| drafts.iter().all(|draft| draft.file != *path)) {
        scratch.write(files.root().below(path), &files.content(path)?)?;
    }
    for draft in drafts.iter().filter(|draft| !draft.content.is_empty()) {
        scratch.write(files.root().below(draft.file), &draft.content)?;
    }
    let arguments = ["--root-dir".as_ref(), scratch.path().as_os_str()];
    scratch.run(&generate, &arguments, "").map(verdict)
}

/// Returns as what Netplan has networkd make a device, by the files that it writes for that; nothing for a card.
fn made_as(files: &mut Files, device: &Device, network: &Path, id: &str) -> Result<String> {
    if let Some(kind) = assignments(&files.content(&network.with_extension("netdev"))?).get("Kind") {
        return Ok((*kind).to_owned());
    }
    if is_there(&files.at(format!("/run/systemd/system/netplan-ovs-{id}.service")))? {
        return Ok("part of Open vSwitch".into());
    }
    let event = files.content(&files.at("/sys/class/net").join(&*device.name).join("uevent"))?;
    let is_wireless = assignments(&event).get("DEVTYPE") == Some(&"wlan");
    Ok(if is_wireless { "wlan" } else { "ethernet" }.into())
}

/// Returns the key under which Netplan has such devices. Under another one than the person's it would refuse all of its
/// files, and a boot would bring no network.
fn kind(made_as: &str) -> Option<&'static str> {
    match made_as {
        "ethernet" => Some("ethernets"),
        "bond" => Some("bonds"),
        "bridge" => Some("bridges"),
        "vlan" => Some("vlans"),
        "wlan" | "wifi" => Some("wifis"),
        _ => None,
    }
}

/// Returns why nothing is kept for a device, if its key is not known.
fn unknown(made_as: &str) -> Option<String> {
    let is_known = kind(made_as).is_some();
    (!is_known)
        .then(|| format!("it is a {made_as}; write the address into its own file, and leave persist out"))
}

impl Form for Definition {
    fn read(&self, content: &str) -> Result<Addresses, String> {
        if content.is_empty() {
            return Ok(Addresses::new());
        }
        let not_ours = || NOT_OURS.to_owned();
        let body = body(content);
        let value: Value = serde_json::from_str(&body).map_err(|_| not_ours())?;
        let list = value["network"][self.kind][&self.id]["addresses"].as_array().ok_or_else(not_ours)?;
        let addresses = each_once(list.iter().map(|entry| self.address(entry).ok_or_else(not_ours)))?;
        // Whatever else is in there would be lost.
        if value == self.value(&addresses) { Ok(addresses) } else { Err(not_ours()) }
    }

    fn written(&self, _content: &str, addresses: &Addresses) -> String {
        if addresses.is_empty() { String::new() } else { format!("{HEADER}{:#}\n", self.value(addresses)) }
    }

    fn review(&self, rewrite: &Rewrite) -> Result<(), Objection> {
        rewrite.keeps(|alias, address| match self.renderer {
            Renderer::Networkd => not_kept(alias, address, &["label", "preferred_lft"]),
            Renderer::NetworkManager => not_kept(alias, address, &[])
                .map(|why| why.replacen("it keeps", "its renderer NetworkManager keeps", 1)),
        })
    }

    /// What YAML all can be, its addresses have a prefix length, and no two-faced line is one of a route.
    fn brought(&self, content: &str) -> Brought {
        let mut brought = Brought::default();
        let lines = content.lines().filter_map(|line| line.split('#').next());
        let lines = lines.filter(|line| !["to:", "from:"].iter().any(|word| line.contains(word)));
        for word in lines.flat_map(|line| line.split([' ', '"', '\'', ',', '[', ']', '{', '}'])) {
            brought.addresses.extend(cidr::stored(word.trim_end_matches(':')).map(|(ip, _)| ip));
            brought.label(word);
        }
        brought
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    fn tell(&self, _file: &Path, gone: &[&Alias]) -> Option<String> {
        may_return(gone, "what Netplan configures", "when the interface loses its carrier", "netplan apply")
    }
}

impl Definition {
    fn new(device: &Device, kind: Option<&'static str>, id: String) -> Self {
        let kind = kind.unwrap_or(KINDS[0]);
        Self { interface: device.name.clone(), kind, id, renderer: Renderer::Networkd, warning: None }
    }

    fn value(&self, addresses: &Addresses) -> Value {
        let list: Vec<Value> = addresses.iter().map(|(alias, address)| entry(alias, address)).collect();
        let mut definition = json!({"addresses": list});
        if &*self.interface == "lo" {
            definition["match"] = json!({"name": "lo"});
        }
        json!({"network": {"version": 2, self.kind: {&self.id: definition}}})
    }

    fn address(&self, entry: &Value) -> Option<(Alias, Address)> {
        let nothing = Map::new();
        let (text, options) = match entry {
            Value::String(text) => (text, &nothing),
            Value::Object(entry) => {
                entry.iter().next().and_then(|(text, options)| Some((text, options.as_object()?)))?
            }
            _ => return None,
        };
        let (ip, prefix) = cidr::stored(text)?;
        let (alias, mut address) = plain(&self.interface, ip, prefix);
        if let Some(label) = options.get("label") {
            address.set.label = Some(label.as_str()?.into());
        }
        address.set.deprecated = options.contains_key("lifetime");
        Some((alias, address))
    }
}

/// Returns an address as an entry of a list.
fn entry(alias: &Alias, address: &Address) -> Value {
    let mut options = Map::new();
    options.extend(label(alias, address).map(|label| ("label".into(), label.into())));
    options.extend(address.set.deprecated.then(|| ("lifetime".into(), 0.into())));
    let words = words(alias, address);
    if options.is_empty() { words.into() } else { json!({words: options}) }
}

#[cfg(any(test, fuzzing))]
pub(super) fn form(interface: &Rc<str>, id: &str) -> Box<dyn Form> {
    let device = Device::new(interface, None, false);
    Box::new(Definition::new(&device, None, id.to_owned()))
}

//! What the managers left in /run: which of them has an interface, and by which file, without a bus.

use std::path::{Path, PathBuf};

use super::files::{Files, assignments, is_directory, is_there, name};
use super::store::Device;
use crate::Result;

/// What networkd knows of each interface, by its number (sd-network reads it).
const LINKS: &str = "/run/systemd/netif/links";

/// What NetworkManager knows of each interface, by its number.
const DEVICES: &str = "/run/NetworkManager/devices";

/// The profiles that NetworkManager has of others, or made up.
const PROFILES: &str = "/run/NetworkManager/system-connections";

/// Returns the file by which networkd manages the interface with a number, if it does.
pub(super) fn network_file(files: &mut Files, index: u32) -> Result<Option<PathBuf>> {
    let state = files.content(&files.at(LINKS).join(index.to_string()))?;
    let state = assignments(&state);
    let is_managed = state.get("ADMIN_STATE").is_some_and(|state| *state != "unmanaged");
    Ok(state.get("NETWORK_FILE").filter(|_| is_managed).map(|file| files.inside(file)))
}

/// Returns the files by which networkd manages interfaces, each with the number of its interface.
pub(super) fn network_files(files: &mut Files) -> Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for index in numbers(files, LINKS)? {
        found.extend(network_file(files, index)?.map(|file| (index, file)));
    }
    Ok(found)
}

/// Returns the name in Netplan's files of the device that networkd's file is for, if Netplan has written that file.
pub(super) fn netplan_id(network_file: &Path) -> Option<String> {
    let name = network_file.file_name()?.to_str()?;
    Some(name.strip_prefix("10-netplan-")?.strip_suffix(".network")?.to_owned())
}

/// Returns the uuid of the profile that is in use for an interface, if NetworkManager manages that.
pub(super) fn profile_uuid(files: &mut Files, index: u32) -> Result<Option<String>> {
    let state = files.content(&files.at(DEVICES).join(index.to_string()))?;
    let state = assignments(&state);
    let is_managed = state.get("managed") == Some(&"true");
    Ok(state.get("connection-uuid").filter(|_| is_managed).map(|uuid| (*uuid).to_owned()))
}

/// Returns the uuids of the profiles that NetworkManager uses.
pub(super) fn profile_uuids(files: &mut Files) -> Result<Vec<String>> {
    let numbers = numbers(files, DEVICES)?.into_iter();
    numbers.filter_map(|index| profile_uuid(files, index).transpose()).collect()
}

/// Returns the profile in a directory that has `key` at `value`.
pub(super) fn profile(
    files: &mut Files,
    directory: &Path,
    key: &str,
    value: &str,
) -> Result<Option<PathBuf>> {
    for file in files.entries(directory)?.into_iter().filter(|file| is_profile(&name(file))) {
        // What it takes for one may be a directory.
        if !is_directory(&file)? && assignments(&files.content(&file)?).get(key) == Some(&value) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Returns whether NetworkManager takes a file of that name for a profile: all but copies that editors and programs leave, as they
/// name theirs (nm_keyfile_utils_ignore_filename in its nm-keyfile-utils.c).
fn is_profile(name: &str) -> bool {
    let is_draft = |end: &str| end.len() == 6 && end.bytes().all(|letter| letter.is_ascii_alphanumeric());
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    !name.ends_with('~') && !["pem", "der"].contains(&end) && !is_draft(end)
}

/// Returns the profile that NetworkManager has of others or made up and that has `key` at `value`.
pub(super) fn made_profile(files: &mut Files, key: &str, value: &str) -> Result<Option<PathBuf>> {
    profile(files, &files.at(PROFILES), key, value)
}

/// Returns the name in Netplan's files of an interface that Netplan has NetworkManager configure, and the type of its profile.
pub(super) fn netplan_profile(
    files: &mut Files,
    interface: &str,
    index: Option<u32>,
) -> Result<Option<(String, String)>> {
    let Some(uuid) = index.map_or(Ok(None), |index| profile_uuid(files, index))? else { return Ok(None) };
    let by_uuid = made_profile(files, "uuid", &uuid)?;
    let file =
        by_uuid.map_or_else(|| made_profile(files, "interface-name", interface), |file| Ok(Some(file)))?;
    let Some(file) = file else { return Ok(None) };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let Some(id) = name.strip_prefix("netplan-").and_then(|name| name.strip_suffix(".nmconnection")) else {
        return Ok(None);
    };
    let kind = assignments(&files.content(&file)?).get("type").unwrap_or(&"ethernet").to_string();
    Ok(Some((id.to_owned(), kind)))
}

/// Returns whether a manager that runs has yet to say how it manages one of these devices: both write that down after the address
/// is set (nm_manager_write_device_state_all in NetworkManager's nm-manager.c; "pending" is networkctl(1)'s word).
pub(super) fn is_late(files: &mut Files, devices: &[Device]) -> Result<bool> {
    let is_on = is_there(&files.at(DEVICES))?;
    for index in devices.iter().filter_map(|device| device.index) {
        let device = files.content(&files.at(DEVICES).join(index.to_string()))?;
        let link = files.content(&files.at(LINKS).join(index.to_string()))?;
        let is_unmanaged = assignments(&device).get("managed") == Some(&"false");
        let has_profile = assignments(&device).contains_key("connection-uuid");
        let is_pending = assignments(&link)
            .get("ADMIN_STATE")
            .is_some_and(|state| ["pending", "initialized"].contains(state));
        if is_pending || (is_on && !is_unmanaged && !has_profile) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether ifupdown has brought an interface up.
pub(super) fn is_up_by_ifupdown(files: &mut Files, interface: &str) -> Result<bool> {
    let state = files.at(format!("/run/network/ifstate.{interface}"));
    Ok(!files.content(&state)?.is_empty())
}

/// Returns whether ifupdown-ng has brought an interface up, and ifupdown, which is there as well, has not.
pub(super) fn is_up_by_ng_alone(files: &mut Files, interface: &str) -> Result<bool> {
    let mut has = |file: &str| {
        let is_it = |line: &str| line.split(['=', ' ']).next() == Some(interface);
        files.content(&files.at(file)).map(|lines| lines.lines().any(is_it))
    };
    Ok(has("/run/ifstate")? && !has("/run/network/ifstate")?)
}

/// Returns the names in a directory that are numbers of interfaces.
fn numbers(files: &mut Files, directory: &str) -> Result<Vec<u32>> {
    let number = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
    Ok(files.entries(&files.at(directory))?.into_iter().filter_map(number).collect())
}

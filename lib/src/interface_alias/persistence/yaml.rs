//! The YAML files that Netplan reads, in the order in which it merges them (netplan-generate(8)).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::files::Files;
use crate::Result;

/// Where they are. Of the same name the last one is read.
const PLACES: [&str; 3] = ["/lib", "/etc", "/run"];

/// Returns the files that Netplan reads, in the order of their names, whichever directory they are in.
pub(super) fn all(files: &mut Files) -> Result<Vec<PathBuf>> {
    let mut named = BTreeMap::new();
    for place in PLACES {
        let found = files.entries(&files.at(place).join("netplan"))?.into_iter();
        let found = found.filter(|path| path.as_os_str().as_encoded_bytes().ends_with(b".yaml"));
        named.extend(found.map(|path| (path.file_name().map(OsStr::to_owned), path)));
    }
    Ok(named.into_values().collect())
}

/// Returns why `ours` would not be merged with a definition of `id` that comes before it, if so. Netplan makes a device by the
/// definition that it reads first, so that must be the person's: in ours alone a VLAN has no link, and a boot no network.
pub(super) fn misplaced(files: &mut Files, ours: &Path, id: &str) -> Result<Option<String>> {
    let mut is_defined = false;
    for path in all(files)?.iter().filter(|path| *path != ours) {
        if path.file_name() < ours.file_name() {
            is_defined = is_defined || may_define(&files.content(path)?, id);
        } else if path.file_name() == ours.file_name() {
            return Ok(Some(format!(
                "{} has the name of our file, and Netplan reads one of them; rename it",
                path.display()
            )));
        } else if may_define(&files.content(path)?, id) {
            return Ok(Some(format!(
                "{} comes after {} and has {id}, and Netplan needs the definition of the device first; rename it so that it comes before",
                path.display(),
                ours.display()
            )));
        }
    }
    let undefined =
        || format!("no file of Netplan before {} has {id} any more; define it there", ours.display());
    Ok((!is_defined && id != "lo").then(undefined))
}

/// Returns whether a file may define `id`. What is there as an escape or in another encoding may be anything.
fn may_define(content: &str, id: &str) -> bool {
    let is_part = |sign: char| sign.is_alphanumeric() || "-_.".contains(sign);
    content.contains(['\\', '\0', char::REPLACEMENT_CHARACTER])
        || content.match_indices(id).any(|(at, _)| {
            !content[..at].ends_with(is_part) && !content[at + id.len()..].starts_with(is_part)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_found_however_yaml_has_it_and_no_other_that_it_is_part_of() {
        for text in [
            "eth0:",
            "{eth0: {}}",
            "\"eth0\":",
            "? eth0\n: {}",
            "&a eth0: {}",
            "'eth0' :",
            "\"\\x65th0\": {}",
        ] {
            assert!(may_define(text, "eth0"), "{text}");
        }
        for text in ["eth00:", "veth0:", "eth0.5:", "br-eth0:", "eth:", ""] {
            assert!(!may_define(text, "eth0"), "{text}");
        }
    }
}

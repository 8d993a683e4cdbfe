//! The addresses that keepalived on this host owns: it takes them away when it starts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::InterfaceAlias;
use crate::file;
use crate::resource::Plan;
use crate::{Error, Result};

/// How deep files may include each other.
const DEPTH: usize = 8;

/// Returns an error if keepalived would take an address away again that is to be added, to the kernel or to a file.
pub(super) fn review(root: &Path, plan: &Plan<InterfaceAlias>) -> Result<()> {
    let path = root.join("etc/keepalived/keepalived.conf");
    let added = plan.iter().filter(|(_, change)| change.before.is_none());
    let mut added = added.filter_map(|(item, _)| item.any_alias()).peekable();
    if added.peek().is_none() {
        return Ok(());
    }
    let theirs = addresses(&path)?;
    match added.find(|alias| theirs.contains(&alias.address)) {
        None => Ok(()),
        Some(alias) => Err(Error::invalid(format!(
            "cannot add {alias}: keepalived on this host owns {}, as {} lists it, and would take it away; leave it to keepalived",
            alias.address,
            path.display()
        ))),
    }
}

/// Returns the addresses that the configuration of keepalived at `path` lists (keepalived.conf(5)); none if there is none.
pub(super) fn addresses(path: &Path) -> Result<BTreeSet<IpAddr>> {
    let mut found = BTreeSet::new();
    collect(path, DEPTH, &mut found)?;
    Ok(found)
}

fn collect(path: &Path, depth: usize, found: &mut BTreeSet<IpAddr>) -> Result<()> {
    let content = file::read(path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let mut listing = false;
    for line in text.lines() {
        let line = line.split(['#', '!']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if words.clone().next() == Some("include") && depth > 0 {
            include(path, words.nth(1).unwrap_or_default(), depth, found)?;
        }
        for word in words {
            let address = word.split('/').next().unwrap_or_default();
            found.extend(address.parse::<IpAddr>().ok().filter(|_| listing));
            listing = match word {
                "virtual_ipaddress" | "virtual_ipaddress_excluded" => true,
                "}" => false,
                _ => listing,
            };
        }
    }
    Ok(())
}

/// Reads what `include` names, a pattern beside the file that has it.
fn include(path: &Path, pattern: &str, depth: usize, found: &mut BTreeSet<IpAddr>) -> Result<()> {
    let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern);
    for included in glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten() {
        collect(&included, depth - 1, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_virtual_address_is_found_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keepalived.conf");
        let text = "vrrp_instance a {\n  unicast_src_ip 192.0.2.1\n  virtual_ipaddress {\n    192.0.2.10/24 dev eth0 label eth0:1\n    # 192.0.2.11\n    2001:db8::10\n  }\n  virtual_ipaddress_excluded { 192.0.2.12 }\n  track { 192.0.2.13 }\n}\ninclude more/*.conf\n";
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir(directory.path().join("more")).unwrap();
        std::fs::write(
            directory.path().join("more/b.conf"),
            "virtual_ipaddress\n{\n192.0.2.14\n}\nvrrp_instance b { virtual_ipaddress { 192.0.2.15 } }\n",
        )
        .unwrap();
        let found: Vec<String> = addresses(&file).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.10", "192.0.2.12", "192.0.2.14", "192.0.2.15", "2001:db8::10"]);
        assert!(addresses(&directory.path().join("none")).unwrap().is_empty());
    }
}

//! Managers whose files we do not write, by their names.

use super::files::{Files, is_there};
use crate::Result;

/// Returns who keeps the addresses of an interface, if that is one of them, and what to do then.
pub(super) fn manager(files: &mut Files, interface: &str) -> Result<Option<String>> {
    let named = |who: &str, file: &str, lines: &str| {
        format!("{who} has it in {file}; write the address there ({lines}), and leave persist out")
    };
    for (directory, program, who, lines) in [
        ("/etc/sysconfig/network", "/usr/sbin/wicked", "wicked", "IPADDR_1=, LABEL_1="),
        (
            "/etc/sysconfig/network-scripts",
            "/etc/sysconfig/network-scripts/ifup",
            "the service network",
            "IPADDR1=, PREFIX1=",
        ),
    ] {
        let file = files.at(directory).join(format!("ifcfg-{interface}"));
        if is_there(&file)? && is_there(&files.at(program))? {
            return Ok(Some(named(who, &file.display().to_string(), lines)));
        }
    }
    Ok(None)
}

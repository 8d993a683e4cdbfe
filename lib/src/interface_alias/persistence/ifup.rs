//! Which program `ifup` is. Three read /etc/network/interfaces, and each makes something else of it.

use std::path::Path;

use nix::errno::Errno;

use super::files::{Files, is_there, link, name};
use super::running::is_up_by_ng_alone;
use crate::{Error, Result};

/// A program that brings up what /etc/network/interfaces has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Program {
    /// That of Debian.
    Ifupdown,
    /// That of Cumulus Linux and Proxmox.
    Ifupdown2,
    /// That of Alpine Linux.
    IfupdownNg,
}

const PATHS: [&str; 2] = ["/sbin/ifup", "/usr/sbin/ifup"];

/// What each of the other two has at work, which counts where there is no `ifup`: Debian 13 calls that of ifupdown-ng `ifup-ng`.
const TRACES: [(&str, Program); 5] = [
    ("/run/ifstate", Program::IfupdownNg),
    ("/sbin/ifupdown-ng", Program::IfupdownNg),
    ("/usr/sbin/ifupdown-ng", Program::IfupdownNg),
    ("/run/network/ifstatenew", Program::Ifupdown2),
    ("/etc/network/ifupdown2", Program::Ifupdown2),
];

impl Program {
    /// Returns the one that brings up `interface`, if one is there. `ifup` itself tells, as files of one that was there before may be left.
    pub(super) fn of(files: &mut Files, interface: &str) -> Result<Option<Self>> {
        for path in PATHS {
            match Self::at(files, path)? {
                Some(Self::Ifupdown) if is_up_by_ng_alone(files, interface)? => {
                    return Ok(Some(Self::IfupdownNg));
                }
                Some(program) => return Ok(Some(program)),
                None => {}
            }
        }
        for (trace, program) in TRACES {
            if is_there(&files.at(trace))? {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }

    /// Returns which one `path` leads to, if any.
    fn at(files: &mut Files, path: &str) -> Result<Option<Self>> {
        /// As many as the kernel follows (path_resolution(7)).
        const LINKS: usize = 40;
        let (mut path, mut other) = (files.at(path), None);
        for _ in 0..LINKS {
            other = other.or(Self::named(&path));
            let Some(to) = link(&path)? else {
                return Ok(is_there(&path)?.then_some(other.unwrap_or(Self::Ifupdown)));
            };
            path = path.parent().unwrap_or(Path::new("/")).join(files.inside(&to.to_string_lossy()));
        }
        Err(Error::path("follow", &path)(Errno::ELOOP))
    }

    /// Returns which of the other two a path on the way names.
    fn named(path: &Path) -> Option<Self> {
        match (name(path).as_str(), path.parent().map(name).as_deref()) {
            ("ifupdown" | "ifupdown-ng", _) => Some(Self::IfupdownNg),
            ("ifupdown2", _) | (_, Some("ifupdown2")) => Some(Self::Ifupdown2),
            _ => None,
        }
    }

    /// Returns why we keep nothing for it, if so.
    pub(super) fn objection(self) -> Option<String> {
        let (program, does) = match self {
            Self::Ifupdown => return None,
            Self::Ifupdown2 => ("ifupdown2", "may lose an alias or make it the primary address"),
            Self::IfupdownNg => ("ifupdown-ng", "loses labels, and may lose the whole network"),
        };
        Some(format!(
            "this host has {program}, which reads the files of ifupdown in its own way and {does}; write the address into /etc/network/interfaces as {program} wants it, and leave persist out"
        ))
    }
}

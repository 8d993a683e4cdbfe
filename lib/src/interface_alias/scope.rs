//! Scopes of addresses, as rtnetlink(7) numbers them and /etc/iproute2/rt_scopes names them.

use std::fmt;

use crate::error::brief;
use crate::{Error, Result};

pub(super) const GLOBAL: u8 = 0;
pub(super) const SITE: u8 = 200;
pub(super) const LINK: u8 = 253;
pub(super) const HOST: u8 = 254;

const NAMES: [(u8, &str); 4] = [(GLOBAL, "global"), (SITE, "site"), (LINK, "link"), (HOST, "host")];

/// Returns the number of a scope that a task names.
pub(super) fn parse(text: &str) -> Result<u8> {
    let named = NAMES.iter().find(|(_, name)| *name == text).map(|(number, _)| *number);
    named.or_else(|| text.parse().ok()).ok_or_else(|| {
        let text = brief(text);
        Error::invalid(format!("cannot use scope {text:?}: give global, site, link, host or a number to 255"))
    })
}

/// A scope as it is shown: by its name, if it has one.
pub(super) struct Shown(pub(super) u8);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

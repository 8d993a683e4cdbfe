//! How a service chooses a real server.

use std::rc::Rc;

use crate::{Error, Result};

/// What a new service gets, as ipvsadm(8) has it.
pub(super) const DEFAULT: &str = "wlc";

/// How long the kernel lets a name be (linux/ip_vs.h, IP_VS_SCHEDNAME_MAXLEN, with the zero that ends it).
const LONGEST: usize = 15;

/// Returns the scheduler called `name`, if that can be one.
pub(super) fn parse(name: &str) -> Result<Rc<str>> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name == "none" {
        return Err(Error::invalid(
            "cannot use scheduler none: the service would refuse its clients; to stop it, use state: absent, or weight 0",
        ));
    }
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(fits) {
        return Err(Error::invalid(format!(
            "cannot use scheduler {name:?}: it is not the name of one; give one such as wlc, rr, sh or mh"
        )));
    }
    Ok(name.into())
}

/// Returns whether `scheduler` sends a client by a hash of its address, whatever weight that real server has.
pub(super) fn hashes(scheduler: &str) -> bool {
    matches!(scheduler, "sh" | "mh" | "dh")
}

//! The flags of a service.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Error, Result};

/// linux/ip_vs.h: IP_VS_SVC_F_ONEPACKET, IP_VS_SVC_F_SCHED1 to 3.
const OPS: u32 = 4;
const SCHEDULER: [u32; 3] = [8, 16, 32];

/// What a person can set; the kernel keeps further bits, which are left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

/// The names of flags, as ipvsadm(8) has them; the first word says which scheduler has it under that name.
const NAMES: [(&str, Option<&str>, u32); 8] = [
    ("ops", None, OPS),
    ("sh-fallback", Some("sh"), SCHEDULER[0]),
    ("sh-port", Some("sh"), SCHEDULER[1]),
    ("mh-fallback", Some("mh"), SCHEDULER[0]),
    ("mh-port", Some("mh"), SCHEDULER[1]),
    ("flag-1", None, SCHEDULER[0]),
    ("flag-2", None, SCHEDULER[1]),
    ("flag-3", None, SCHEDULER[2]),
];

impl Flags {
    /// All bits that a flag has.
    pub(super) const MASK: u32 = OPS | SCHEDULER[0] | SCHEDULER[1] | SCHEDULER[2];

    /// Returns the flags among the bits that the kernel tells.
    pub(super) fn of(bits: u32) -> Self {
        Self(bits & Self::MASK)
    }

    /// Returns the bits.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether each packet is scheduled by itself.
    pub(super) fn has_ops(self) -> bool {
        self.0 & OPS != 0
    }

    /// Returns whether `scheduler`, one that hashes clients, takes another real server where the one it came to is at weight 0.
    pub(super) fn falls_back(self) -> bool {
        self.0 & SCHEDULER[0] != 0
    }

    /// Returns the flags as a service with `scheduler` calls them.
    pub(super) fn names(self, scheduler: &str) -> Vec<&'static str> {
        let mut left = self.0;
        let mut names = Vec::new();
        for (name, of, bit) in NAMES {
            if left & bit != 0 && of.is_none_or(|of| of == scheduler) {
                left &= !bit;
                names.push(name);
            }
        }
        names
    }
}

/// The flags that a task lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    flags: Flags,
    /// A name of the list that only one scheduler has, and that scheduler.
    only: Option<(&'static str, &'static str)>,
}

impl Wanted {
    /// Returns the flags of these names.
    pub(super) fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut wanted = Self::default();
        for name in names {
            let Some((name, of, bit)) = NAMES.iter().find(|(known, ..)| *known == name) else {
                let known: Vec<_> = NAMES.iter().map(|(known, ..)| *known).collect();
                return Err(Error::invalid(format!(
                    "cannot use flag {name:?}: there is no such flag, give {}",
                    known.join(", ")
                )));
            };
            wanted.flags.0 |= bit;
            if let Some(of) = of {
                match wanted.only {
                    Some((other, scheduler)) if scheduler != *of => {
                        return Err(Error::invalid(format!(
                            "cannot use flags {other} and {name} together: they are of different schedulers; leave one out"
                        )));
                    }
                    _ => wanted.only = Some((name, of)),
                }
            }
        }
        Ok(wanted)
    }

    /// Returns the flags for a service with `scheduler`, or why it cannot have them.
    pub(super) fn on(&self, service: &str, scheduler: &str) -> Result<Flags> {
        match self.only {
            Some((name, of)) if of != scheduler => Err(Error::invalid(format!(
                "cannot use flag {name} for {service}: only the scheduler {of} has it and the service has {scheduler}; give scheduler: {of}, or leave the flag out"
            ))),
            _ => Ok(self.flags),
        }
    }

    /// Returns whether each packet is to be scheduled by itself.
    pub(super) fn has_ops(&self) -> bool {
        self.flags.has_ops()
    }
}

/// Flags with the scheduler that names them.
pub(super) struct Named<'a>(pub(super) Flags, pub(super) &'a str);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.names(self.1))
    }
}

/// As ipvsadm(8) takes them: ` -o`, and ` -b` with those of the scheduler.
impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.names(self.1);
        let (ops, scheduler): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| *name == "ops");
        if !ops.is_empty() {
            f.write_str(" -o")?;
        }
        if scheduler.is_empty() { Ok(()) } else { write!(f, " -b {}", scheduler.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_has_the_name_that_its_scheduler_gives_it() {
        let bits = Flags::of(OPS | 8 | 16 | 32 | 2 | 1 << 20);
        assert_eq!(bits.names("sh"), ["ops", "sh-fallback", "sh-port", "flag-3"]);
        assert_eq!(bits.names("mh"), ["ops", "mh-fallback", "mh-port", "flag-3"]);
        assert_eq!(bits.names("rr"), ["ops", "flag-1", "flag-2", "flag-3"]);
        assert_eq!(Named(bits, "sh").to_string(), " -o -b sh-fallback,sh-port,flag-3");
        assert_eq!(Named(Flags::default(), "sh").to_string(), "");
    }

    #[test]
    fn flags_of_another_scheduler_are_refused() {
        let wanted = Wanted::parse(["sh-port", "ops"].into_iter()).unwrap();
        assert_eq!(wanted.on("it", "sh").unwrap(), Flags(OPS | 16));
        assert!(wanted.on("it", "wlc").unwrap_err().sentence().contains("give scheduler: sh"));
        assert!(Wanted::parse(["sh-port", "mh-port"].into_iter()).is_err());
        assert!(Wanted::parse(["shport"].into_iter()).unwrap_err().sentence().contains("\"shport\""));
    }
}

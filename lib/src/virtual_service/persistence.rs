//! Persistence: a client that comes again is sent to the same real server for a time.

use std::fmt;
use std::net::Ipv4Addr;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::ansible::{Number, Text};
use crate::{Error, Result};

/// What a new persistent service gets, as ipvsadm(8) has it.
const TIMEOUT: u32 = 360;

/// As long as ipvsadm(8) takes; the kernel counts in jiffies, which a longer time may overflow.
const LONGEST: u32 = 31 * 24 * 60 * 60;

/// How a service keeps its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// For how many seconds.
    pub timeout: u32,
    /// Which clients count as one.
    pub netmask: Netmask,
    /// What tells clients apart instead of their addresses.
    pub engine: Option<Box<str>>,
}

/// The part of a client's address that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netmask {
    /// Of an IPv4 service: a mask, any bits of which may be set.
    V4(Ipv4Addr),
    /// Of an IPv6 service: the length of a prefix.
    V6(u32),
}

impl Netmask {
    /// Returns the mask that tells single clients apart.
    pub(super) fn whole(is_ipv4: bool) -> Self {
        if is_ipv4 { Self::V4(Ipv4Addr::BROADCAST) } else { Self::V6(128) }
    }

    /// Returns the mask of a length, or nothing if there is none.
    fn of(prefix: u32, is_ipv4: bool) -> Option<Self> {
        match is_ipv4 {
            true if (1..=32).contains(&prefix) => Some(Self::V4(Ipv4Addr::from(u32::MAX << (32 - prefix)))),
            false if (1..=128).contains(&prefix) => Some(Self::V6(prefix)),
            _ => None,
        }
    }

    pub(super) fn is_whole(self) -> bool {
        self == Self::whole(true) || self == Self::whole(false)
    }
}

/// As the option takes it.
impl Serialize for Persistence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timeout", &self.timeout)?;
        match self.netmask {
            Netmask::V4(mask) => map.serialize_entry("netmask", &mask.to_string())?,
            Netmask::V6(prefix) => map.serialize_entry("prefix", &prefix)?,
        }
        if let Some(engine) = &self.engine {
            map.serialize_entry("engine", engine)?;
        }
        map.end()
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(mask) => mask.fmt(f),
            Self::V6(prefix) => prefix.fmt(f),
        }
    }
}

/// What a task says of persistence; what it leaves out is left alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    timeout: Option<u32>,
    netmask: Option<Netmask>,
    engine: Option<Engine>,
}

/// What tells clients apart instead of their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    None,
    /// The Call-ID of SIP (net/netfilter/ipvs/ip_vs_pe_sip.c).
    Sip,
}

/// The option: seconds alone, or a dictionary.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    timeout: Option<Number>,
    netmask: Option<Text>,
    prefix: Option<Number>,
    engine: Option<Engine>,
}

/// Returns the option from seconds or a dictionary, with what is null in it taken off.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arguments>, D::Error> {
    use serde::de::Error as _;
    let arguments = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::Object(mut options) => {
            options.retain(|_, value| !value.is_null());
            Arguments::deserialize(Value::Object(options))
        }
        seconds => Number::deserialize(seconds)
            .map(|seconds| Arguments { timeout: Some(seconds), ..Arguments::default() }),
    };
    arguments
        .map(Some)
        .map_err(|error| D::Error::custom(error.to_string().replace("unknown field", "there is no")))
}

impl Wanted {
    /// Returns what a task says, for a service of IPv4 or IPv6.
    pub(super) fn parse(arguments: &Arguments, is_ipv4: bool) -> Result<Self> {
        let refuse = |why: String| Err(Error::invalid(format!("cannot use persistence: {why}")));
        let timeout = arguments.timeout.map(|seconds| seconds.0);
        if timeout.is_some_and(|seconds| seconds > LONGEST) {
            return refuse(format!(
                "its timeout can be {LONGEST} seconds at most, which is 31 days; give less"
            ));
        }
        let netmask = match (&arguments.netmask, arguments.prefix) {
            (Some(_), Some(_)) => return refuse("netmask and prefix say the same; give one of them".into()),
            (Some(netmask), None) => Some(netmask_of(&netmask.0, is_ipv4)?),
            (None, Some(Number(prefix))) => match Netmask::of(prefix, is_ipv4) {
                None => {
                    return refuse(format!(
                        "prefix {prefix} is not from 1 to {}",
                        if is_ipv4 { 32 } else { 128 }
                    ));
                }
                netmask => netmask,
            },
            (None, None) => None,
        };
        let wanted = Self { timeout, netmask, engine: arguments.engine };
        match wanted {
            Self { timeout: Some(0), netmask: None, engine: None | Some(Engine::None) } => Ok(wanted),
            Self { timeout: Some(0), .. } => refuse(
                "a timeout of 0 switches it off, so netmask and engine have no effect; leave them out".into(),
            ),
            _ => Ok(wanted),
        }
    }

    /// Returns what becomes of the persistence that a service has.
    pub(super) fn applied(&self, present: Option<&Persistence>, is_ipv4: bool) -> Option<Persistence> {
        let timeout = self.timeout.or(present.map(|present| present.timeout)).unwrap_or(TIMEOUT);
        let engine = match self.engine {
            Some(Engine::None) => None,
            Some(Engine::Sip) => Some("sip".into()),
            None => present.and_then(|present| present.engine.clone()),
        };
        let netmask = self.netmask.or(present.map(|present| present.netmask));
        let netmask = netmask.unwrap_or(Netmask::whole(is_ipv4));
        (timeout != 0).then_some(Persistence { timeout, netmask, engine })
    }

    /// Returns whether it asks for the Call-ID of SIP.
    pub(super) fn has_engine(&self) -> bool {
        self.engine == Some(Engine::Sip)
    }
}

/// Returns the mask that a text means; one of IPv4 with holes would scatter neighbours.
fn netmask_of(text: &str, is_ipv4: bool) -> Result<Netmask> {
    let refuse =
        |why: &str| Err(Error::invalid(format!("cannot use netmask {text:?} of persistence: {why}")));
    if !is_ipv4 {
        return refuse("the service is of IPv6; give prefix");
    }
    match text.parse::<Ipv4Addr>().map(u32::from) {
        Err(_) => refuse("it is not a netmask; give one such as 255.255.255.0, or prefix"),
        Ok(0) => refuse("all clients would count as one; give 255.0.0.0 or a longer one"),
        Ok(mask) if mask.leading_ones() + mask.trailing_zeros() != 32 => {
            refuse("its ones are not together; give one such as 255.255.255.0")
        }
        Ok(mask) => Ok(Netmask::V4(mask.into())),
    }
}

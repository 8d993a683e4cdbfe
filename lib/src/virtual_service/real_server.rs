//! A real server of a service: where packets are sent, how, and how many.

use std::fmt;
use std::net::SocketAddr;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::service::Ingress;
use super::tunnel::Tunnel;
use crate::{Error, Result};

/// What the kernel knows of a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// How packets get there.
    pub forward: Forward,
    /// How many new requests it gets, beside the others; 0 is none.
    pub weight: u32,
    /// At how many connections it gets no new ones; 0 is never.
    pub upper_threshold: u32,
    /// Below how many it gets new ones again; 0 is three quarters of the upper one.
    pub lower_threshold: u32,
    /// How packets are packed.
    pub tunnel: Tunnel,
}

/// How packets get to a real server (linux/ip_vs.h, IP_VS_CONN_F_).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// With another destination.
    Nat,
    /// As they are, in a frame for it.
    Dr,
    /// Inside other packets.
    Tun,
    /// In a way that no task can ask for.
    Other(u32),
}

/// How many connections a real server has (ipvsadm(8): ActiveConn, InActConn, PersistConn).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Those that are established.
    pub active: u32,
    /// Those that were closed minutes ago at most, and all of UDP.
    pub inactive: u32,
    /// Clients that come here again.
    pub persistent: u32,
}

/// What a task says of a real server; what it leaves out is left alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) forward: Option<Forward>,
    pub(super) weight: Option<u32>,
    pub(super) upper_threshold: Option<u32>,
    pub(super) lower_threshold: Option<u32>,
    pub(super) tunnel: Option<Tunnel>,
}

impl RealServer {
    const NEW: Self = Self {
        forward: Forward::Nat,
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
        tunnel: Tunnel { kind: 0, port: 0, flags: 0 },
    };

    /// Returns why `service` cannot have it at that address, if it cannot.
    fn objection(&self, service: Ingress, at: SocketAddr, is_persistent: bool) -> Option<String> {
        if at.is_ipv4() != service.is_ipv4() && self.forward != Forward::Tun {
            return Some(
                "it is of another family than the service; give an address of the same, or forward: tun"
                    .into(),
            );
        }
        if self.lower_threshold > self.upper_threshold {
            return Some(format!(
                "lower_threshold {} is over upper_threshold {}; give a lower one",
                self.lower_threshold, self.upper_threshold
            ));
        }
        if at.port() == service.port() {
            return None;
        }
        if let Forward::Dr | Forward::Tun = self.forward {
            return Some(format!(
                "with forward: {} the packet is not changed, so port {} would never be used; leave the port out, or use nat",
                self.forward,
                at.port()
            ));
        }
        (service.port() == 0 && is_persistent).then(|| {
            format!(
                "a persistent service of any port keeps the port, so {} would never be used; leave it out",
                at.port()
            )
        })
    }
}

impl Wanted {
    /// Returns what becomes of the real server that is there, or of none.
    pub(super) fn applied(
        &self,
        service: Ingress,
        is_persistent: bool,
        at: SocketAddr,
        present: Option<&RealServer>,
    ) -> Result<RealServer> {
        let refuse =
            |why: &str| Error::invalid(format!("cannot set the real server {at} of {service}: {why}"));
        let Some(forward) = self.forward.or(present.map(|present| present.forward)) else {
            return Err(refuse("how packets get there is missing; give forward: nat, dr or tun"));
        };
        let mut then = present.cloned().unwrap_or(RealServer::NEW);
        then.forward = forward;
        then.weight = self.weight.unwrap_or(then.weight);
        then.upper_threshold = self.upper_threshold.unwrap_or(then.upper_threshold);
        then.lower_threshold = self.lower_threshold.unwrap_or(then.lower_threshold);
        if let Some(tunnel) = self.tunnel {
            if forward != Forward::Tun {
                return Err(refuse("only forward: tun has a tunnel; leave tunnel out"));
            }
            then.tunnel = tunnel;
        }
        match then.objection(service, at, is_persistent) {
            Some(why) if present != Some(&then) => Err(refuse(&why)),
            _ => Ok(then),
        }
    }
}

impl Forward {
    /// Returns the method of a number.
    pub(super) fn of(number: u32) -> Self {
        match number {
            0 => Self::Nat,
            2 => Self::Tun,
            3 => Self::Dr,
            other => Self::Other(other),
        }
    }

    /// Returns its number.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Nat => 0,
            Self::Tun => 2,
            Self::Dr => 3,
            Self::Other(number) => number,
        }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nat => "nat",
            Self::Dr => "dr",
            Self::Tun => "tun",
            Self::Other(1) => "local",
            Self::Other(_) => "bypass",
        })
    }
}

impl<'de> Deserialize<'de> for Forward {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Name {
            Nat,
            Dr,
            Tun,
        }
        Name::deserialize(deserializer).map(|name| match name {
            Name::Nat => Self::Nat,
            Name::Dr => Self::Dr,
            Name::Tun => Self::Tun,
        })
    }
}

impl Serialize for RealServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut server = serializer.serialize_struct("RealServer", 5)?;
        server.serialize_field("forward", &self.forward.to_string())?;
        server.serialize_field("weight", &self.weight)?;
        server.serialize_field("upper_threshold", &self.upper_threshold)?;
        server.serialize_field("lower_threshold", &self.lower_threshold)?;
        if self.forward == Forward::Tun {
            server.serialize_field("tunnel", &self.tunnel)?;
        }
        server.end()
    }
}

/// As ipvsadm(8) takes it; it prints the like, without the thresholds.
impl fmt::Display for RealServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.forward {
            Forward::Nat => write!(f, "-m -w {}", self.weight)?,
            Forward::Dr => write!(f, "-g -w {}", self.weight)?,
            Forward::Tun => write!(f, "-i -w {}{}", self.weight, self.tunnel)?,
            // ipvsadm has no word for it.
            Forward::Other(number) => write!(f, "--method-{number} -w {}", self.weight)?,
        }
        if (self.upper_threshold, self.lower_threshold) != (0, 0) {
            write!(f, " -x {} -y {}", self.upper_threshold, self.lower_threshold)?;
        }
        Ok(())
    }
}

//! How packets are packed that go to a real server through a tunnel.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ansible::Number;
use crate::{Error, Result};

/// The packing; of a real server that has another forwarding method, what the kernel keeps all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// As linux/ip_vs.h numbers it.
    pub(super) kind: u8,
    /// Where a real server takes packets of GUE.
    pub(super) port: u16,
    /// IP_VS_TUNNEL_ENCAP_FLAG_ in linux/ip_vs.h.
    pub(super) flags: u16,
}

/// linux/ip_vs.h: IP_VS_CONN_F_TUNNEL_TYPE_ in its order.
const KINDS: [&str; 3] = ["ipip", "gue", "gre"];

/// What a task says of a tunnel; what it leaves out is that of a new one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    port: Option<Number>,
    checksum: Option<Checksum>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Ipip,
    Gue,
    Gre,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Checksum {
    #[default]
    None,
    Csum,
    Remcsum,
}

impl Tunnel {
    /// Returns the tunnel that a task describes.
    pub(super) fn parse(arguments: &Arguments) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use tunnel: {why}")));
        let (kind, checksum) = (arguments.kind.unwrap_or_default(), arguments.checksum.unwrap_or_default());
        let port = match (kind, arguments.port) {
            (Kind::Gue, None) => {
                return refuse("type gue needs the port on which the real server takes it; give port");
            }
            (Kind::Gue, Some(Number(port @ 1..=65535))) => port as u16,
            (Kind::Gue, Some(_)) => return refuse("port is not from 1 to 65535"),
            (_, Some(_)) => return refuse("only type gue has a port; leave it out"),
            (_, None) => 0,
        };
        match (kind, checksum) {
            (Kind::Ipip, Checksum::Csum | Checksum::Remcsum) => {
                return refuse("type ipip has no checksum; leave it out, or use type gue or gre");
            }
            (Kind::Gre, Checksum::Remcsum) => {
                return refuse("type gre has no checksum remcsum; give csum or none");
            }
            _ => {}
        }
        Ok(Self { kind: kind as u8, port, flags: checksum as u16 })
    }

    fn checksum(self) -> &'static str {
        match self.flags {
            0 => "none",
            1 => "csum",
            _ => "remcsum",
        }
    }

    fn kind(self) -> String {
        KINDS.get(usize::from(self.kind)).map_or_else(|| self.kind.to_string(), |name| (*name).to_owned())
    }
}

impl Serialize for Tunnel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.kind())?;
        if self.kind == Kind::Gue as u8 {
            map.serialize_entry("port", &self.port)?;
        }
        map.serialize_entry("checksum", self.checksum())?;
        map.end()
    }
}

/// As ipvsadm(8) takes it.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " --tun-type {}", self.kind())?;
        if self.kind == Kind::Gue as u8 {
            write!(f, " --tun-port {}", self.port)?;
        }
        match self.checksum() {
            "none" if self.kind == Kind::Ipip as u8 => Ok(()),
            "none" => f.write_str(" --tun-nocsum"),
            checksum => write!(f, " --tun-{checksum}"),
        }
    }
}

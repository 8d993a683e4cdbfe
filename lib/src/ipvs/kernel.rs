//! The kernel's side: requests and answers about timeouts and daemons, as bytes (linux/ip_vs.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc::{EEXIST, EINVAL, ENETUNREACH, ENODEV, ESRCH};
use rtnetlink::packet_core::{NLA_F_NESTED, NLM_F_DUMP};

use super::{Daemon, Role, Timeout, refuse};
use crate::netlink::generic::{content, request};
use crate::netlink::{Message, append_attribute, attributes, c_string, errno, number};
use crate::root::Root;
use crate::virtual_service::{Table, unreadable};
use crate::{Error, Result};

/// IPVS_CMD_.
mod command {
    pub(super) const NEW_DAEMON: u8 = 9;
    pub(super) const DEL_DAEMON: u8 = 10;
    pub(super) const GET_DAEMON: u8 = 11;
    pub(super) const SET_CONFIG: u8 = 12;
    pub(super) const GET_CONFIG: u8 = 13;
}

/// IPVS_CMD_ATTR_; the timeouts follow each other.
const DAEMON: u16 = 3;
const TIMEOUT_TCP: u16 = 4;

/// IPVS_DAEMON_ATTR_.
mod daemon {
    pub(super) const STATE: u16 = 1;
    pub(super) const MCAST_IFN: u16 = 2;
    pub(super) const SYNC_ID: u16 = 3;
    pub(super) const SYNC_MAXLEN: u16 = 4;
    pub(super) const MCAST_GROUP: u16 = 5;
    pub(super) const MCAST_GROUP6: u16 = 6;
    pub(super) const MCAST_PORT: u16 = 7;
    pub(super) const MCAST_TTL: u16 = 8;
}

/// What the kernel begins with (net/netfilter/ipvs/ip_vs_proto_tcp.c, ip_vs_proto_udp.c).
const USUAL: [u32; 3] = [900, 120, 300];

/// The IPVS of the network namespace of this thread. Where it is not loaded, nothing is asked for before the first write.
#[derive(Debug)]
pub(super) struct Kernel(Table);

impl Kernel {
    pub(super) fn new(root: &Root) -> Self {
        Self(Table::new(root))
    }

    /// Returns an error about a kernel that has no IPVS, as far as that can be known without loading it.
    pub(super) fn review(&self) -> Result<()> {
        self.0.is_to_be_had()
    }

    /// Returns the timeouts.
    pub(super) fn timeouts(&mut self) -> Result<Vec<(Timeout, u32)>> {
        if !self.0.is_loaded() {
            return Ok(Timeout::ALL.into_iter().zip(USUAL).collect());
        }
        let answer = self.0.ask(|family| request(family, command::GET_CONFIG), 0)?;
        let answer = answer.map_err(|error| unreadable("the timeouts", error))?;
        Ok(answer.messages.iter().flat_map(read_timeouts).collect())
    }

    /// Sets one timeout; the others, which are left out, stay.
    pub(super) fn set_timeout(&mut self, timeout: Timeout, seconds: u32) -> Result<()> {
        let set = |family| setting(family, timeout, seconds);
        self.0.ask(set, 0)?.map(drop).map_err(|error| unwritable("set", &super::Key::Timeout(timeout), error))
    }

    /// Returns the daemons that run.
    pub(super) fn daemons(&mut self) -> Result<Vec<(Role, Daemon)>> {
        if !self.0.is_loaded() {
            return Ok(Vec::new());
        }
        let answer = self.0.ask(|family| request(family, command::GET_DAEMON), NLM_F_DUMP)?;
        let answer = answer.map_err(|error| unreadable("the sync daemons", error))?;
        Ok(answer.messages.iter().filter_map(read_daemon).collect())
    }

    /// Starts a daemon.
    pub(super) fn start(&mut self, role: Role, wanted: &Daemon) -> Result<()> {
        let start = |family| starting(family, role, wanted);
        let Err(error) = self.0.ask(start, 0)? else { return Ok(()) };
        let interface = &wanted.interface;
        Err(match errno(&error) {
            Some(ENODEV) => {
                refuse(role, &format!("the interface {interface} has gone; try again when it is back"))
            }
            Some(ENETUNREACH) => {
                refuse(role, &format!("the interface {interface} is down; bring it up first"))
            }
            Some(EEXIST) => refuse(role, "someone else has started one meanwhile; try again"),
            Some(EINVAL) => refuse(
                role,
                "a service has real servers of another family, which a daemon cannot know; remove those first",
            ),
            _ => unwritable("start", &super::Key::SyncDaemon(role), error),
        })
    }

    /// Stops a daemon, which may have been stopped meanwhile.
    ///
    /// One that has not run yet is stopped without an answer, as the kernel does not tell of EINTR (net/netlink/af_netlink.c,
    /// netlink_rcv_skb). So another question follows, the answer to which comes after it.
    pub(super) fn stop(&mut self, role: Role) -> Result<()> {
        let inside = state(role);
        let failed = |error| unwritable("stop", &super::Key::SyncDaemon(role), error);
        let refused = self.0.with_connection(|connection, family| {
            let stop = request(family, command::DEL_DAEMON).with(DAEMON | NLA_F_NESTED, &inside);
            connection.send_all(vec![stop, request(family, command::GET_CONFIG)])
        })?;
        match refused.map_err(failed)?.remove(&0) {
            Some(error) if errno(&error) != Some(ESRCH) => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

fn unwritable(act: &'static str, key: &super::Key, error: std::io::Error) -> Error {
    match errno(&error) {
        Some(nix::libc::EPERM) => unreadable("", error),
        _ => Error::io(act, key.to_string())(error),
    }
}

/// Returns the request that sets a timeout.
pub(super) fn setting(family: u16, timeout: Timeout, seconds: u32) -> Message {
    request(family, command::SET_CONFIG).with(TIMEOUT_TCP + timeout as u16, &seconds.to_ne_bytes())
}

/// Returns the request that starts a daemon.
pub(super) fn starting(family: u16, role: Role, wanted: &Daemon) -> Message {
    let mut inside = state(role);
    append_attribute(&mut inside, daemon::MCAST_IFN, &[wanted.interface.as_bytes(), b"\0"].concat());
    append_attribute(&mut inside, daemon::SYNC_ID, &wanted.syncid.to_ne_bytes());
    append_attribute(&mut inside, daemon::SYNC_MAXLEN, &wanted.maxlen.to_ne_bytes());
    match wanted.group {
        IpAddr::V4(group) => append_attribute(&mut inside, daemon::MCAST_GROUP, &group.octets()),
        IpAddr::V6(group) => append_attribute(&mut inside, daemon::MCAST_GROUP6, &group.octets()),
    }
    append_attribute(&mut inside, daemon::MCAST_PORT, &wanted.port.to_ne_bytes());
    append_attribute(&mut inside, daemon::MCAST_TTL, &[wanted.ttl]);
    request(family, command::NEW_DAEMON).with(DAEMON | NLA_F_NESTED, &inside)
}

/// Returns the attribute that tells which daemon is meant (IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP).
fn state(role: Role) -> Vec<u8> {
    let mut inside = Vec::new();
    append_attribute(&mut inside, daemon::STATE, &(role as u32 + 1).to_ne_bytes());
    inside
}

/// Returns the timeouts that an answer has.
pub(super) fn read_timeouts(message: &Message) -> impl Iterator<Item = (Timeout, u32)> {
    let timeout = |kind: u16| Timeout::ALL.get(usize::from(kind.checked_sub(TIMEOUT_TCP)?)).copied();
    attributes(content(message)).filter_map(move |(kind, value)| Some((timeout(kind)?, number(value)?)))
}

/// Returns the daemon that an answer describes.
pub(super) fn read_daemon(message: &Message) -> Option<(Role, Daemon)> {
    let (_, nested) = attributes(content(message)).find(|(kind, _)| *kind == DAEMON)?;
    let short = |value: &[u8]| value.first_chunk::<2>().map(|bytes| u16::from_ne_bytes(*bytes));
    let (mut role, mut interface, mut group) = (None, None, None);
    let (mut syncid, mut port, mut ttl, mut maxlen) = (0, 0, 0, 0);
    for (kind, value) in attributes(nested) {
        match kind {
            daemon::STATE => {
                role = [Role::Master, Role::Backup].get((number(value)? as usize).checked_sub(1)?).copied()
            }
            daemon::MCAST_IFN => interface = Some(c_string(value).to_string_lossy()),
            daemon::SYNC_ID => syncid = number(value)?,
            daemon::SYNC_MAXLEN => maxlen = short(value)?,
            daemon::MCAST_GROUP => {
                group = value.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into())
            }
            daemon::MCAST_GROUP6 => {
                group = value.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into())
            }
            daemon::MCAST_PORT => port = short(value)?,
            daemon::MCAST_TTL => ttl = *value.first()?,
            _ => {}
        }
    }
    Some((role?, Daemon { interface: interface?.into(), syncid, group: group?, port, ttl, maxlen }))
}

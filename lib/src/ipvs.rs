//! What IPVS has once in a network namespace: how long connections are remembered, and the daemons that tell another director of them.

mod daemon;
mod kernel;
mod options;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;

use std::fmt;

use serde::{Serialize, Serializer};

pub use daemon::{Daemon, Role};
pub use options::Task;

use crate::file::Lock;
use crate::resource::{Change, Layer, Mode, Plan, Resource, State};
use crate::{Error, Result};
use kernel::Kernel;
use options::Options;

/// A timeout or a daemon.
pub type Item = crate::resource::Item<Key>;

/// What tells an entry from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// How long connections are remembered after the last packet.
    Timeout(Timeout),
    /// What tells another director of connections, or is told.
    SyncDaemon(Role),
}

/// Which connections a timeout is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Timeout {
    /// Established ones of TCP.
    Tcp,
    /// Those of TCP that are being closed.
    Tcpfin,
    /// All of UDP.
    Udp,
}

/// What an [`Item`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Seconds.
    Seconds(u32),
    /// How a daemon talks.
    Daemon(Daemon),
}

/// The timeouts and daemons of a network namespace.
#[derive(Debug)]
pub struct Ipvs {
    options: Options,
    kernel: Kernel,
    /// Two runs in one network namespace take turns.
    lock: Option<Lock>,
}

impl Resource for Ipvs {
    type Key = Key;
    type Value = Value;

    fn observe(&mut self) -> Result<State<Self>> {
        let mut state = State::<Self>::new();
        if !self.options.timeouts.is_empty() {
            for (timeout, seconds) in self.kernel.timeouts()? {
                state.insert(Item::kernel(Key::Timeout(timeout)), Value::Seconds(seconds));
            }
        }
        if !self.options.daemons.is_empty() {
            for (role, daemon) in self.kernel.daemons()? {
                state.insert(Item::kernel(Key::SyncDaemon(role)), Value::Daemon(daemon));
            }
        }
        Ok(state)
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        for (timeout, seconds) in &self.options.timeouts {
            then.insert(Item::kernel(Key::Timeout(*timeout)), Value::Seconds(*seconds));
        }
        for (role, wish) in &self.options.daemons {
            let item = Item::kernel(Key::SyncDaemon(*role));
            let present = now.get(&item).and_then(Value::daemon);
            match wish.applied(*role, present, &self.options.links)? {
                Some(daemon) => then.insert(item, Value::Daemon(daemon)),
                None => then.remove(&item),
            };
        }
        Ok(then)
    }

    fn write(&mut self, _layer: &Layer, _now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        for (item, change) in plan.iter() {
            match item.key {
                Key::Timeout(timeout) => {
                    let seconds = change.after.as_ref().and_then(Value::seconds).unwrap_or_default();
                    self.kernel.set_timeout(timeout, seconds)?;
                }
                // One that runs takes no other settings.
                Key::SyncDaemon(role) => self.replace(role, change)?,
            }
        }
        Ok(())
    }

    fn show(&self, item: &Item, value: &Value) -> (String, String) {
        let line = match (item.key, value) {
            (Key::SyncDaemon(role), Value::Daemon(daemon)) => format!("--start-daemon {role} {daemon}"),
            (key, value) => format!("{key}: {value}"),
        };
        ("IPVS".into(), line)
    }

    fn review(&mut self, _found: &State<Self>, plan: &Plan<Self>, _mode: Mode) -> Result<Vec<String>> {
        if !plan.is_empty() {
            self.kernel.review()?;
        }
        Ok(Vec::new())
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }
}

impl Ipvs {
    fn replace(&mut self, role: Role, change: &Change<Value>) -> Result<()> {
        if change.before.is_some() {
            self.kernel.stop(role)?;
        }
        match change.after.as_ref().and_then(Value::daemon) {
            Some(daemon) => self.kernel.start(role, daemon),
            None => Ok(()),
        }
    }
}

impl Value {
    /// Returns how a daemon talks, if it is about one.
    pub fn daemon(&self) -> Option<&Daemon> {
        match self {
            Self::Daemon(daemon) => Some(daemon),
            Self::Seconds(_) => None,
        }
    }

    /// Returns the seconds, if it is about a timeout.
    pub fn seconds(&self) -> Option<u32> {
        match self {
            Self::Seconds(seconds) => Some(*seconds),
            Self::Daemon(_) => None,
        }
    }
}

impl Timeout {
    /// Returns all timeouts, in the kernel's order (linux/ip_vs.h, IPVS_CMD_ATTR_TIMEOUT_).
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Tcpfin, Self::Udp];
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(Timeout::Tcp) => f.write_str("the timeout tcp"),
            Self::Timeout(Timeout::Tcpfin) => f.write_str("the timeout tcpfin"),
            Self::Timeout(Timeout::Udp) => f.write_str("the timeout udp"),
            Self::SyncDaemon(role) => write!(f, "the sync daemon {role}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => seconds.fmt(f),
            Self::Daemon(daemon) => daemon.fmt(f),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => seconds.serialize(serializer),
            Self::Daemon(daemon) => daemon.serialize(serializer),
        }
    }
}

fn refuse(role: Role, why: &str) -> Error {
    Error::invalid(format!("cannot start the sync daemon {role}: {why}"))
}

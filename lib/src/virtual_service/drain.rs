//! Draining: a real server gets no new requests, and what is done to it next waits until its connections have ended.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;

use super::item::{Entry, Item, Value};
use super::options::{ServerState, Until};
use super::real_server::{Connections, RealServer};
use super::service::Ingress;
use super::{VirtualService, rank};
use crate::resource::{Change, END, Report, State};
use crate::{Error, Result};

/// What a real server had when it was last seen.
#[derive(Serialize)]
pub(super) struct Told {
    service: Ingress,
    real_server: String,
    weight: u32,
    #[serde(flatten)]
    connections: Connections,
}

impl VirtualService {
    /// Returns whether connections are still to end before the entries of `rank` are written; real servers that go are kept from
    /// new ones first.
    pub(super) fn drain(&mut self, rank: u8, now: &State<Self>) -> Result<bool> {
        let waited_for = match rank {
            _ if self.options.drain.is_zero() => return Ok(false),
            rank::GONE_REAL_SERVERS => self.among(now, |entry| self.goes(entry)),
            END => self.among(now, |entry| self.is_drained(entry)),
            _ => return Ok(false),
        };
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.options.drain);
        let mut closed = false;
        for (entry, server) in &waited_for {
            closed |= self.close(entry, server)?;
        }
        let left: Vec<_> =
            waited_for.iter().map(|(entry, _)| entry).filter(|entry| !self.has_ended(entry)).collect();
        if left.is_empty() && !closed {
            return Ok(false);
        }
        if Instant::now() < deadline { Ok(true) } else { Err(self.too_late(&left)) }
    }

    fn among(&self, now: &State<Self>, is: impl Fn(&Entry) -> bool) -> Vec<(Entry, RealServer)> {
        let live = now.iter().filter_map(|(item, value)| Some((*item.live()?, value.real_server()?)));
        live.filter(|(entry, _)| is(entry)).map(|(entry, server)| (entry, server.clone())).collect()
    }

    /// Returns whether a real server that is there is to go.
    fn goes(&self, entry: &Entry) -> bool {
        !self.stays(entry) || self.state_of(entry) == Some(ServerState::Absent)
    }

    fn is_drained(&self, entry: &Entry) -> bool {
        self.stays(entry) && self.state_of(entry) == Some(ServerState::Drained)
    }

    fn state_of(&self, entry: &Entry) -> Option<ServerState> {
        let wish = self.options.services.get(&entry.service)?;
        wish.real_servers.get(&entry.real_server?).map(|server| server.state)
    }

    /// Keeps a real server from new requests; returns whether it got them until now.
    fn close(&mut self, entry: &Entry, server: &RealServer) -> Result<bool> {
        self.closed.insert(*entry);
        if server.weight == 0 {
            return Ok(false);
        }
        let closed = Value::RealServer(RealServer { weight: 0, ..server.clone() });
        let change = Change { before: Some(Value::RealServer(server.clone())), after: Some(closed) };
        self.table.write(entry, &change).map(|()| true)
    }

    fn has_ended(&self, entry: &Entry) -> bool {
        let Connections { active, inactive, persistent } = self.connections_of(entry);
        match self.options.until {
            Until::Active => active == 0,
            Until::All => (active, inactive, persistent) == (0, 0, 0),
        }
    }

    pub(super) fn connections_of(&self, entry: &Entry) -> Connections {
        let at = entry.real_server.and_then(|at| self.connections.get(&(entry.service, at)));
        at.copied().unwrap_or_default()
    }

    fn too_late(&self, left: &[&Entry]) -> Error {
        /// More than this many would hide the reason.
        const SHOWN: usize = 3;
        let of = |entry: &&Entry| {
            let Connections { active, inactive, persistent } = self.connections_of(entry);
            match self.options.until {
                Until::Active => format!("{entry} has {active} active"),
                Until::All => {
                    format!("{entry} has {active} active, {inactive} inactive, {persistent} persistent")
                }
            }
        };
        let mut shown: Vec<_> = left.iter().take(SHOWN).map(of).collect();
        if left.len() > SHOWN {
            shown.push(format!("{} more have some", left.len() - SHOWN));
        }
        Error::invalid(format!(
            "cannot wait any longer for connections to end after {} s: {}; at weight 0, which it keeps, a real server gets no new ones: try again, give a longer drain, or leave drain out to cut them off",
            self.options.drain.as_secs(),
            shown.join(" and ")
        ))
    }

    /// Returns the connections of the real servers that were changed, go, or are drained.
    pub(super) fn told(&self, report: &Report<Self>) -> Vec<Told> {
        let then = report.then();
        let is = |item: &&Item| {
            let Some(entry) = item.live() else { return false };
            report.plan.get(item).is_some() || self.is_drained(entry)
        };
        let mut items = BTreeSet::<&Item>::new();
        items.extend(report.found.keys().chain(then.keys()).filter(is));
        let told = items.into_iter().filter_map(|item| {
            let entry = item.live()?;
            let real_server: SocketAddr = entry.real_server?;
            let weight = then.get(item).and_then(Value::real_server).map_or(0, |server| server.weight);
            Some(Told {
                service: entry.service,
                real_server: real_server.to_string(),
                weight,
                connections: self.connections_of(entry),
            })
        });
        told.collect()
    }
}

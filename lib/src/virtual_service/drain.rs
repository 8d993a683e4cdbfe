//! Draining: a real server gets no new requests, and what is done to it next waits until its connections have ended.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;

use super::item::{Item, Value};
use super::options::{ServerState, Until};
use super::real_server::Connections;
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
            rank::GONE_REAL_SERVERS => self.among(now, |item| self.goes(item)),
            END => self.among(now, |item| self.is_drained(item)),
            _ => return Ok(false),
        };
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.options.drain);
        let mut closed = false;
        for (item, value) in &waited_for {
            closed |= self.close(item, value)?;
        }
        let left: Vec<_> = waited_for.iter().filter(|(item, _)| !self.has_ended(item)).collect();
        if left.is_empty() && !closed {
            return Ok(false);
        }
        if Instant::now() < deadline { Ok(true) } else { Err(self.too_late(&left)) }
    }

    fn among(&self, now: &State<Self>, is: impl Fn(&Item) -> bool) -> Vec<(Item, Value)> {
        let entries = now.iter().filter(|(item, _)| item.key.real_server.is_some() && is(item));
        entries.map(|(item, value)| (item.clone(), value.clone())).collect()
    }

    /// Returns whether a real server that is there is to go.
    fn goes(&self, item: &Item) -> bool {
        !self.stays(item) || self.state_of(item) == Some(ServerState::Absent)
    }

    fn is_drained(&self, item: &Item) -> bool {
        self.stays(item) && self.state_of(item) == Some(ServerState::Drained)
    }

    fn state_of(&self, item: &Item) -> Option<ServerState> {
        let wish = self.options.services.get(&item.key.service)?;
        wish.real_servers.get(&item.key.real_server?).map(|server| server.state)
    }

    /// Keeps a real server from new requests; returns whether it got them until now.
    fn close(&mut self, item: &Item, value: &Value) -> Result<bool> {
        self.closed.insert(item.clone());
        let Some(server) = value.real_server().filter(|server| server.weight != 0) else { return Ok(false) };
        let mut closed = server.clone();
        closed.weight = 0;
        let change = Change { before: Some(value.clone()), after: Some(Value::RealServer(closed)) };
        self.table.write(&item.key, &change).map(|()| true)
    }

    fn has_ended(&self, item: &Item) -> bool {
        let Connections { active, inactive, persistent } = self.connections_of(item);
        match self.options.until {
            Until::Active => active == 0,
            Until::All => (active, inactive, persistent) == (0, 0, 0),
        }
    }

    pub(super) fn connections_of(&self, item: &Item) -> Connections {
        let at = item.key.real_server.and_then(|at| self.connections.get(&(item.key.service, at)));
        at.copied().unwrap_or_default()
    }

    fn too_late(&self, left: &[&(Item, Value)]) -> Error {
        /// More than this many would hide the reason.
        const SHOWN: usize = 3;
        let of = |(item, _): &&(Item, Value)| {
            let Connections { active, inactive, persistent } = self.connections_of(item);
            match self.options.until {
                Until::Active => format!("{} has {active} active", item.key),
                Until::All => {
                    format!("{} has {active} active, {inactive} inactive, {persistent} persistent", item.key)
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
            item.key.real_server.is_some() && (report.plan.get(item).is_some() || self.is_drained(item))
        };
        let mut items: Vec<&Item> = report.found.keys().chain(then.keys()).filter(is).collect();
        items.sort();
        items.dedup();
        let told = items.into_iter().filter_map(|item| {
            let real_server: SocketAddr = item.key.real_server?;
            let weight = then.get(item).and_then(Value::real_server).map_or(0, |server| server.weight);
            Some(Told {
                service: item.key.service,
                real_server: real_server.to_string(),
                weight,
                connections: self.connections_of(item),
            })
        });
        told.collect()
    }
}

//! The kernel's side: addresses and interfaces, read and written by rtnetlink(7).

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use nix::libc::{EADDRNOTAVAIL, EEXIST, ENODEV};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::sys::protocols::NETLINK_ROUTE;

use super::address::{Address, Attributes, OURS, Status};
use super::item::{Addresses, Alias};
use super::message;
use crate::file::{Lock, Notes};
use crate::netlink::{Connection, Link, Message, Operation, errno};
use crate::{Error, Result, gathered};

/// How long duplicate address detection may take (RFC 4862; the kernel's defaults make it two seconds at most).
const DETECTION: Duration = Duration::from_secs(5);

/// How often a dump that was interrupted by a change is asked for again.
const TRIES: usize = 20;

/// A connection to the kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    connection: Connection,
    /// Where it is noted what is switched for a moment.
    notes: Option<Notes>,
}

impl Kernel {
    /// Returns a connection in the network namespace of this thread.
    pub(super) fn connect() -> Result<Self> {
        let connection = Connection::open(NETLINK_ROUTE);
        let connection = connection.map_err(Error::io("connect to", "the kernel by netlink"))?;
        Ok(Self { connection, notes: None })
    }

    /// Returns the same connection, for a run that holds `lock`; puts right first what one that was killed left switched.
    pub(super) fn with_lock(self, lock: &Lock) -> Result<Self> {
        for interface in lock.left()?.lines() {
            if let Some(link) = self.link(interface)?.filter(|link| link.promotes_secondaries) {
                self.promote_secondaries(&link, false)?;
            }
        }
        let notes = lock.notes()?;
        notes.set("")?;
        Ok(Self { notes: Some(notes), ..self })
    }

    fn note(&self, text: &str) -> Result<()> {
        self.notes.as_ref().map_or(Ok(()), |notes| notes.set(text))
    }

    /// Carries out a request.
    fn act(&self, act: &'static str, object: impl Into<String>, message: Message, flags: u16) -> Result<()> {
        self.connection.ask(message, flags).map(drop).map_err(Error::io(act, object))
    }

    /// Returns the interface called `name`, by its own name or another, if there is one.
    pub(super) fn link(&self, name: &str) -> Result<Option<Link>> {
        match self.connection.ask(Link::request(name), 0) {
            Ok(answer) => Ok(answer.messages.first().and_then(Link::read)),
            Err(error) if errno(&error) == Some(ENODEV) => Ok(None),
            Err(error) => Err(Error::io("look up", format!("the interface {name}"))(error)),
        }
    }

    /// Brings an interface up or takes it down.
    pub(super) fn operate(&self, link: &Link, operation: Operation) -> Result<()> {
        let act = if operation == Operation::Up { "bring up" } else { "take down" };
        self.act(act, format!("the interface {}", link.name), link.operate(operation), 0)
    }

    /// Returns all addresses of an interface.
    pub(super) fn read(&self, link: &Link) -> Result<Addresses> {
        let failed = || Error::io("read", format!("the addresses of {}", link.name));
        for _ in 0..TRIES {
            let answer = self.connection.ask(message::list(link.index), NLM_F_DUMP).map_err(failed())?;
            if !answer.torn {
                return Ok(message::read_addresses(link, &answer.messages));
            }
        }
        Err(failed()(std::io::Error::other("they keep changing; try again")))
    }

    /// Returns an error if one of `aliases` is of IPv6 and its interface cannot have it: the MTU is too small (RFC 8200), or
    /// this host has no IPv6, not even on lo.
    pub(super) fn review(&self, aliases: &[&Alias]) -> Result<()> {
        const SMALLEST: u32 = 1280;
        let refuse = |alias, why: &str| Err(Error::invalid(format!("cannot add {alias}: {why}")));
        let v6 = aliases.iter().filter(|alias| alias.address.is_ipv6());
        let one_each: BTreeMap<_, _> = gathered(v6.map(|alias| (&alias.interface, alias)));
        for (interface, alias) in one_each {
            match self.link(interface)? {
                Some(link) if !link.has_ipv6 && link.mtu < SMALLEST => {
                    return refuse(alias, "the MTU is below the 1280 bytes that IPv6 needs; raise it");
                }
                Some(link) if !link.has_ipv6 && self.link("lo")?.is_some_and(|lo| !lo.has_ipv6) => {
                    return refuse(
                        alias,
                        "IPv6 is switched off on this host; boot it without ipv6.disable=1",
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds an address.
    pub(super) fn add(&self, link: &Link, alias: &Alias, address: &Address) -> Result<()> {
        match self.send(link, alias, address, NLM_F_EXCL) {
            // Somebody else was faster, which is fine if it is the same.
            Err(error) if is(&error, EEXIST) => match self.read(link)?.get(alias) {
                Some(there) if there == address => Ok(()),
                _ => Err(error),
            },
            answer => answer,
        }
    }

    /// Sends an address, as a new one (NLM_F_EXCL) or in place of one that is there (NLM_F_REPLACE).
    fn send(&self, link: &Link, alias: &Alias, address: &Address, how: u16) -> Result<()> {
        let request = message::add(link.index, alias, address);
        self.act("add", object(alias, &address.set), request, NLM_F_CREATE | how)
    }

    /// Removes addresses and nothing with them: others take their place that the kernel would take along. What is primary
    /// is read anew, as what was added or removed just before changes that.
    pub(super) fn remove_all(&self, link: &Link, gone: &[(&Alias, &Address)]) -> Result<()> {
        // No other address is in the network of a single one, so none goes with it.
        let is_alone = |alias: &Alias, set: &Attributes| {
            alias.address.is_ipv6() || (set.prefix == 32 && set.peer.is_none())
        };
        if gone.iter().all(|(alias, address)| is_alone(alias, &address.set)) {
            return self.delete_all(link, gone);
        }
        let now = self.read(link)?;
        let is_secondary = |alias: &Alias| now.get(alias).is_some_and(|address| address.status.secondary);
        // Secondaries before their primary: the other way round the kernel promotes one after the other, which takes minutes.
        let (mut ordered, primaries): (Vec<_>, Vec<_>) =
            gone.iter().copied().partition(|(alias, _)| is_secondary(alias));
        ordered.extend(&primaries);
        let goes: HashSet<&Alias> = gone.iter().map(|(alias, _)| *alias).collect();
        let stays = now.keys().any(|alias| is_secondary(alias) && !goes.contains(alias));
        if link.promotes_secondaries || primaries.is_empty() || !stays {
            return self.delete_all(link, &ordered);
        }
        // Off again whatever happens: also where the switch failed, as its answer may be all that was lost.
        self.note(&link.name)?;
        let deleted = self.promote_secondaries(link, true).and_then(|()| self.delete_all(link, &ordered));
        self.promote_secondaries(link, false).and_then(|()| self.note("")).and(deleted)
    }

    fn delete_all(&self, link: &Link, gone: &[(&Alias, &Address)]) -> Result<()> {
        gone.iter().try_for_each(|(alias, address)| self.delete(link, alias, address))
    }

    fn promote_secondaries(&self, link: &Link, on: bool) -> Result<()> {
        let object = format!("promote_secondaries of {}", link.name);
        self.act("set", object, link.promote_secondaries(on), 0)
    }

    /// Gives an address other attributes, IPv6 in place where it can. Else the address is removed and added anew, as IPv4 keeps most
    /// attributes for ever; meanwhile it lives on with another prefix length, so that no route that needs it is lost.
    pub(super) fn mend(
        &self,
        link: &Link,
        now: &Addresses,
        alias: &Alias,
        old: &Address,
        new: &Address,
    ) -> Result<()> {
        if alias.address.is_ipv6() && changes_in_place(&old.set, &new.set) {
            return self.send(link, alias, new, NLM_F_REPLACE);
        }
        let stand_in = stand_in(now, alias, old);
        let remove = || stand_in.iter().try_for_each(|(alias, address)| self.delete(link, alias, address));
        // Nobody else knows of it, so a request that got lost is sent again.
        let clear = || remove().or_else(|_| remove());
        if let Err(error) = stand_in.iter().try_for_each(|(alias, address)| self.add(link, alias, address)) {
            // It may be there nevertheless, if only the answer was lost.
            return clear().and(Err(error));
        }
        let mended = self.remove_all(link, &[(alias, old)]).and_then(|()| self.add(link, alias, new));
        // If the new one was refused, the old one must be there before the stand-in goes.
        let restored = match mended {
            Err(_) => self.add(link, alias, old),
            Ok(()) => Ok(()),
        };
        let cleared = clear();
        mended.and(restored).and(cleared)
    }

    /// Waits until duplicate address detection of `added` is over; an error names one that another host has. Without a
    /// carrier detection does not begin.
    pub(super) fn settle(&self, interface: &str, added: &[(&Alias, &Address)]) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(20);
        let end = Instant::now() + DETECTION;
        while added.iter().any(|(alias, _)| alias.address.is_ipv6()) {
            let Some(link) = self.link(interface)? else { break };
            let now = self.read(&link)?;
            let failed = |alias: &Alias| now.get(alias).is_some_and(|address| address.set.dadfailed);
            // On the way back one comes again that had failed before.
            if let Some((alias, _)) = added.iter().find(|(alias, old)| failed(alias) && !old.set.dadfailed) {
                return Err(taken(alias));
            }
            let waits = |alias: &Alias| {
                now.get(alias).is_some_and(|address| address.status.tentative) && !failed(alias)
            };
            if !link.has_carrier || !added.iter().any(|(alias, _)| waits(alias)) || Instant::now() > end {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn delete(&self, link: &Link, alias: &Alias, address: &Address) -> Result<()> {
        let request = message::remove(link.index, alias, address);
        match self.act("remove", object(alias, &address.set), request, 0) {
            // Somebody else was faster.
            Err(error) if is(&error, EADDRNOTAVAIL) || is(&error, ENODEV) => Ok(()),
            answer => answer,
        }
    }
}

/// Returns whether IPv6 can change an address in place: the kernel keeps its prefix length, takes no metric back, leaves the
/// routes of a peer, and does not try again whether another host has it (net/ipv6/addrconf.c, inet6_addr_modify).
fn changes_in_place(old: &Attributes, new: &Attributes) -> bool {
    let keeps_metric = old.metric.is_none() || new.metric.is_some();
    (old.prefix, old.peer) == (new.prefix, new.peer) && keeps_metric && !old.dadfailed
}

/// Returns the stand-in for an IPv4 address while it is replaced: itself with a prefix length that is free.
fn stand_in(now: &Addresses, alias: &Alias, address: &Address) -> Option<(Alias, Address)> {
    let free = |prefix: &u8| {
        let alias = Alias { prefix: Some(*prefix), ..alias.clone() };
        !now.contains_key(&alias)
    };
    let prefix = alias.address.is_ipv4().then(|| (1..=32).rev().find(free))??;
    let alias = Alias { prefix: Some(prefix), ..alias.clone() };
    let set = Attributes { prefix, scope: address.set.scope, noprefixroute: true, ..Attributes::default() };
    Some((alias, Address { set, status: Status { protocol: Some(OURS), ..Status::default() } }))
}

/// Returns how an error message names an address.
fn object(alias: &Alias, set: &Attributes) -> String {
    let label = match &set.label {
        Some(label) if **label != *alias.interface => format!(" as {}", label.display()),
        _ => String::new(),
    };
    format!("{}/{} on {}{label}", alias.address, set.prefix, alias.interface)
}

fn taken(alias: &Alias) -> Error {
    Error::invalid(format!(
        "cannot add {alias}: another host has it already, as duplicate address detection found; take it away there"
    ))
}

fn is(error: &Error, number: i32) -> bool {
    matches!(error, Error::Io { source, .. } if errno(source) == Some(number))
}

//! The kernel's side: the IPVS table of a network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;

use nix::libc::{EEXIST, ENOENT, ESRCH};
use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::sys::protocols::NETLINK_GENERIC;

use super::item::{Entry, Value};
use super::message::{self, Command};
use super::real_server::{Connections, RealServer};
use super::service::{Ingress, Service};
use super::{VirtualService, refusal};
use crate::kernel_module;
use crate::netlink::{Answer, Connection, Message, errno};
use crate::resource::{Change, Plan};
use crate::root::Root;
use crate::{Error, Result, gathered};

/// The real servers of a service.
pub(super) type RealServers = BTreeMap<SocketAddr, (RealServer, Connections)>;

/// How often the table is read again that somebody changes meanwhile.
const TRIES: usize = 20;

/// As many entries as come in one part surely; the kernel's lock is held for one part (net/netfilter/ipvs/ip_vs_ctl.c,
/// ip_vs_genl_dump_dests), so between two an entry may be lost or come twice, and the answer does not say so.
const PART: usize = 32;

/// How many requests go in one write: their answers have room in the socket together, some kilobytes each at most
/// (net.core.rmem_default; linux/netlink.h, NLMSG_GOODSIZE).
const AT_ONCE: usize = 32;

/// The table of the network namespace of this thread. Where there is none yet, nothing is asked for before the first write: the
/// kernel would load IPVS for it.
#[derive(Debug)]
pub(crate) struct Ipvs {
    root: Root,
    connection: Option<(Connection, u16)>,
}

impl Ipvs {
    /// Returns the table of this thread's network namespace.
    pub(crate) fn new(root: &Root) -> Self {
        Self { root: root.clone(), connection: None }
    }

    /// Returns whether the kernel has IPVS by now.
    pub(crate) fn is_loaded(&self) -> bool {
        self.connection.is_some() || self.root.at("/proc/thread-self/net/ip_vs").exists()
    }

    /// Asks IPVS something.
    pub(crate) fn ask(
        &mut self,
        request: impl FnOnce(u16) -> Message,
        flags: u16,
    ) -> Result<io::Result<Answer>> {
        self.with_connection(|connection, family| connection.ask(request(family), flags))
    }

    /// Talks with IPVS, which the kernel loads for it if it has to and can (Linux 6.1), or modprobe.
    pub(crate) fn with_connection<T>(
        &mut self,
        talk: impl FnOnce(&mut Connection, u16) -> io::Result<T>,
    ) -> Result<io::Result<T>> {
        let (mut connection, family) = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = talk(&mut connection, family);
        // One that broke is of no use for the way back.
        let is_broken = answer.as_ref().is_err_and(|error| errno(error).is_none());
        self.connection = (!is_broken).then_some((connection, family));
        Ok(answer)
    }

    fn connect(&self) -> Result<(Connection, u16)> {
        let failed = || Error::io("connect to", "the kernel by netlink");
        let connection = Connection::open(NETLINK_GENERIC).map_err(failed())?;
        let family = match connection.family("IPVS") {
            Err(error) if errno(&error) == Some(ENOENT) => {
                let words = kernel_module::load(&self.root, "ip_vs", &[]).err().unwrap_or_default();
                connection.family("IPVS").map_err(|_| refusal::no_ipvs(&words))?
            }
            family => family.map_err(failed())?,
        };
        Ok((connection, family))
    }

    /// Returns those of the services that are there.
    pub(super) fn those_of(&mut self, services: &[Ingress]) -> Result<Vec<(Ingress, Service)>> {
        let mut found = Vec::new();
        if !self.is_loaded() {
            return Ok(found);
        }
        for some in services.chunks(AT_ONCE) {
            let unreadable = |ingress: &Ingress, error| refusal::unreadable(&ingress.to_string(), error);
            let answers = self.with_connection(|connection, family| {
                let about = |ingress: &Ingress| message::about(family, Command::GetService, *ingress);
                connection.ask_each(some.iter().map(about).collect())
            })?;
            let answers = answers.map_err(|error| unreadable(&some[0], error))?;
            for (ingress, answer) in some.iter().zip(answers) {
                match answer {
                    Ok(message) => {
                        found.extend(message::read_service(&message).map(|(_, service)| (*ingress, service)))
                    }
                    Err(error) if errno(&error) == Some(ESRCH) => {}
                    Err(error) => return Err(unreadable(ingress, error)),
                }
            }
        }
        Ok(found)
    }

    /// Returns which services there are, as two readings agree on.
    pub(super) fn services(&mut self) -> Result<Vec<Ingress>> {
        if !self.is_loaded() {
            return Ok(Vec::new());
        }
        agreed("the services", 0, || {
            let answer = self.ask(message::all, NLM_F_DUMP)?;
            let answer = answer.map_err(|error| refusal::unreadable("the services", error))?;
            let found = answer.messages.iter().filter_map(message::read_service).map(|(ingress, _)| ingress);
            let sorted: BTreeSet<_> = gathered(found);
            Ok(sorted.into_iter().collect())
        })
    }

    /// Returns the real servers of a service; where they are many, as two readings agree on.
    pub(super) fn real_servers(&mut self, ingress: Ingress) -> Result<RealServers> {
        let mut found = RealServers::new();
        // What counts differs from one reading to the next.
        agreed("the real servers", PART, || {
            let answer = self.ask(|family| message::about(family, Command::GetDest, ingress), NLM_F_DUMP)?;
            let answer = answer
                .map_err(|error| refusal::unreadable(&format!("the real servers of {ingress}"), error))?;
            found.clear();
            for message in &answer.messages {
                if let Some((at, server, connections)) = message::read_real_server(message, ingress.is_ipv4())
                {
                    found.insert(at, (server, connections));
                }
            }
            Ok(found.iter().map(|(at, (server, _))| (*at, server.clone())).collect())
        })?;
        Ok(found)
    }

    /// Returns an error about a kernel that has no IPVS, as far as that can be known without loading it.
    pub(crate) fn is_to_be_had(&self) -> Result<()> {
        match kernel_module::is_available(&self.root, "ip_vs") {
            Some(false) if !self.is_loaded() => Err(refusal::no_ipvs("")),
            _ => Ok(()),
        }
    }

    /// Returns an error about a kernel that has not what a plan needs, as far as that can be known without loading it.
    pub(super) fn review(&self, plan: &Plan<VirtualService>) -> Result<()> {
        self.is_to_be_had()?;
        let set = plan.iter().filter_map(|(item, change)| Some((item.key.entry()?, change.after.as_ref()?)));
        let mut known = BTreeSet::new();
        for (key, service) in set.filter_map(|(key, value)| Some((key, value.service()?))) {
            for module in refusal::modules(service) {
                if known.insert(module.clone())
                    && kernel_module::is_available(&self.root, &module) == Some(false)
                {
                    return Err(refusal::unknown(key, service));
                }
            }
        }
        Ok(())
    }

    /// Brings entries from what they are to what they should be, in order.
    pub(super) fn write_all(&mut self, changes: &[(&Entry, &Change<Value>)]) -> Result<()> {
        for some in changes.chunks(AT_ONCE) {
            let refused = self.with_connection(|connection, family| {
                let request = |(entry, change): &(&Entry, &Change<Value>)| {
                    request(family, entry, change.before.is_some(), change.after.as_ref())
                };
                connection.send_all(some.iter().map(request).collect())
            })?;
            let refused = refused.map_err(Error::io("write", "the IPVS table"))?;
            // What may be settled is settled one by one.
            for (entry, change) in refused.into_keys().filter_map(|number| some.get(number)) {
                self.write(entry, change)?;
            }
        }
        Ok(())
    }

    /// Brings one entry from what it is to what it should be.
    pub(super) fn write(&mut self, key: &Entry, change: &Change<Value>) -> Result<()> {
        let mut is_there = change.before.is_some();
        let mut tried = 0;
        loop {
            let asked = self.ask(|family| request(family, key, is_there, change.after.as_ref()), 0)?;
            let Err(error) = asked else { return Ok(()) };
            tried += 1;
            // Somebody was faster.
            match errno(&error) {
                Some(EEXIST) if !is_there && tried < 3 => is_there = true,
                Some(ESRCH | ENOENT) if change.after.is_none() => return Ok(()),
                Some(number) if is_there && tried < 3 && is_gone(key, number) => is_there = false,
                // The kernel asks modprobe for a scheduler, which a host may lack.
                Some(ENOENT) if tried == 1 && self.load(change) => {}
                _ => return Err(refusal::unwritable(key, change, error)),
            }
        }
    }

    /// Loads what a service needs; returns whether that is there then.
    fn load(&self, change: &Change<Value>) -> bool {
        let Some(service) = change.after.as_ref().and_then(Value::service) else { return false };
        refusal::modules(service).iter().all(|module| kernel_module::load(&self.root, module, &[]).is_ok())
    }
}

/// Returns whether an error means that the entry itself is not there any more. ENOENT of a service is about its scheduler.
fn is_gone(key: &Entry, number: i32) -> bool {
    number == if key.real_server.is_some() { ENOENT } else { ESRCH }
}

/// Returns the request that makes of an entry what it should be.
pub(super) fn request(family: u16, key: &Entry, is_there: bool, after: Option<&Value>) -> Message {
    let service = key.service;
    match (key.real_server, after) {
        (None, Some(Value::Service(value))) => {
            let command = if is_there { Command::SetService } else { Command::NewService };
            message::service(family, command, service, value)
        }
        (Some(at), Some(Value::RealServer(value))) => {
            let command = if is_there { Command::SetDest } else { Command::NewDest };
            message::real_server(family, command, service, at, Some(value))
        }
        (Some(at), _) => message::real_server(family, Command::DelDest, service, at, None),
        (None, _) => message::about(family, Command::DelService, service),
    }
}

/// Returns what `read` returns twice in a row, or at once if that has no more than `few` entries.
fn agreed<T: PartialEq>(what: &str, few: usize, mut read: impl FnMut() -> Result<Vec<T>>) -> Result<Vec<T>> {
    let mut last = read()?;
    if last.len() <= few {
        return Ok(last);
    }
    for _ in 0..TRIES {
        let next = read()?;
        if next == last {
            return Ok(next);
        }
        last = next;
    }
    Err(Error::invalid(format!("cannot read {what}: they keep changing; try again when the others are done")))
}

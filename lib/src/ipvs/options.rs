//! What a task about timeouts and daemons says, and how it is opened on a host.

use std::collections::BTreeMap;

use nix::libc::ENODEV;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use serde::Deserialize;

use super::daemon::{self, Links, Role, Wish};
use super::kernel::Kernel;
use super::{Ipvs, Timeout};
use crate::ansible::{Number, Text};
use crate::file::Lock;
use crate::netlink::{Connection, Link, Operation, errno};
use crate::netns::{self, Namespace};
use crate::resource::Mode;
use crate::root::Root;
use crate::{Error, Result};

/// The most that fits the kernel's counter at the fastest clock that it has (INT_MAX / 1000).
const LONGEST: u32 = 2_147_483;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    timeouts: Option<Timeouts>,
    master: Option<daemon::Arguments>,
    backup: Option<daemon::Arguments>,
    netns: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    tcp: Option<Number>,
    tcpfin: Option<Number>,
    udp: Option<Number>,
}

/// What the task wants.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) timeouts: BTreeMap<Timeout, u32>,
    pub(super) daemons: BTreeMap<Role, Wish>,
    /// The interfaces of the namespace that the daemons may use.
    pub(super) links: Links,
    netns: Option<Namespace>,
}

/// What a person wants of timeouts and daemons.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Arguments")]
pub struct Task(Options);

impl TryFrom<Arguments> for Task {
    type Error = Error;

    fn try_from(arguments: Arguments) -> Result<Self> {
        let netns = arguments.netns.map(|Text(netns)| netns.parse()).transpose()?;
        let mut timeouts = BTreeMap::new();
        if let Some(given) = arguments.timeouts {
            for (timeout, seconds) in Timeout::ALL.into_iter().zip([given.tcp, given.tcpfin, given.udp]) {
                let Some(Number(seconds)) = seconds else { continue };
                // The kernel takes 0 for left alone.
                if !(1..=LONGEST).contains(&seconds) {
                    return Err(Error::invalid(format!(
                        "cannot use {seconds} s for {}: it is not from 1 to {LONGEST}; give one that is",
                        super::Key::Timeout(timeout)
                    )));
                }
                timeouts.insert(timeout, seconds);
            }
        }
        let mut daemons = BTreeMap::new();
        for (role, given) in [(Role::Master, arguments.master), (Role::Backup, arguments.backup)] {
            if let Some(given) = given {
                daemons.insert(role, Wish::parse(role, &given)?);
            }
        }
        if timeouts.is_empty() && daemons.is_empty() {
            return Err(Error::invalid("cannot tell what is wanted: give timeouts, master or backup"));
        }
        Ok(Self(Options { timeouts, daemons, links: Links::new(), netns }))
    }
}

impl crate::resource::Task for Task {
    type Resource = Ipvs;

    fn open(self, mode: Mode, root: &Root) -> Result<Ipvs> {
        let Self(mut options) = self;
        let entered = options.netns.as_ref().map(|namespace| namespace.enter(root)).transpose()?;
        let lock = match mode {
            Mode::Apply => Some(Lock::on(&entered.map_or_else(netns::current, Ok)?.to_string())?),
            Mode::Check => None,
        };
        let mut kernel = Kernel::new(root);
        if !options.daemons.is_empty() {
            let running = kernel.daemons()?.into_iter().map(|(_, daemon)| daemon.interface);
            let named = options.daemons.values().filter_map(|wish| wish.interface.clone());
            options.links = links(running.chain(named))?;
        }
        Ok(Ipvs { options, kernel, lock })
    }
}

/// Looks for interfaces in the namespace of this thread.
fn links(names: impl Iterator<Item = std::rc::Rc<str>>) -> Result<Links> {
    let connection =
        Connection::open(NETLINK_ROUTE).map_err(Error::io("connect to", "the kernel by netlink"))?;
    let mut links = Links::new();
    for name in names {
        let link = match connection.ask(Link::request(&name), 0) {
            Ok(answer) => answer.messages.first().and_then(Link::read),
            Err(error) if errno(&error) == Some(ENODEV) => None,
            Err(error) => return Err(Error::io("look up", format!("the interface {name}"))(error)),
        };
        links.insert(name, link.map(|link| (link.mtu, link.operation == Operation::Up)));
    }
    Ok(links)
}

//! What must hold for what the kernel and other hosts send, and for whole tasks.

use std::collections::HashSet;
use std::process::Command;

use nix::libc::{RTM_NEWADDR, RTM_NEWLINK};
use rtnetlink::packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkMessage};

use super::address::Address;
use super::frame::{announcement, claim, question};
use super::item::{Addresses, Item};
use super::kernel::Kernel;
use super::{InterfaceAlias, Task, message};
use crate::keepalived;
use crate::netlink::{Link, Message, Operation, attributes, refusal};
use crate::properties::{Host, Run, absent, arguments_and_files};
use crate::resource::Report;

/// A message of the kernel's is read or passed over, and an address in one reads the same from the request that would add it.
pub fn netlink(data: &[u8]) {
    drop(NetlinkMessage::<Message>::deserialize(data));
    refusal(-22, data);
    let _ = read(RTM_NEWLINK, data).as_ref().and_then(Link::read);
    let Some(message) = read(RTM_NEWADDR, data) else { return };
    let Some(index) = data.get(4..8).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) else { return };
    let link = link(u32::from_ne_bytes(index));
    for (alias, address) in message::read_addresses(&link, &[message]) {
        let request = message::add(link.index, &alias, &address);
        let again = message::read_addresses(&link, &[request]);
        assert_eq!(again.get(&alias).map(told), Some(told(&address)), "{alias}");
    }
}

fn read(kind: u16, body: &[u8]) -> Option<Message> {
    let mut header = NetlinkHeader::default();
    header.message_type = kind;
    Message::deserialize(&header, body).ok()
}

fn link(index: u32) -> Link {
    Link {
        index,
        name: "v0".into(),
        operation: Operation::Up,
        has_carrier: true,
        promotes_secondaries: false,
        mtu: 1500,
        has_ipv6: true,
    }
}

/// Returns what a request tells the kernel; the rest is its own.
fn told(address: &Address) -> super::Attributes {
    let set = address.set.clone();
    super::Attributes { deprecated: false, dynamic: false, dadfailed: false, ..set }
}

/// Reads attributes, and the addresses among them.
pub(crate) fn messages_read(data: &[u8]) {
    attributes(data).for_each(drop);
    refusal(-22, data);
    let message = read(RTM_NEWADDR, &[&[2, 24, 0, 0, 7, 0, 0, 0], data].concat());
    message::read_addresses(&link(7), &message.into_iter().collect::<Vec<_>>());
}

/// A frame claims an address for a card, or nothing; what asks for that address and what announces it claim the same.
pub fn frames(data: &[u8]) {
    let Some((address, mac)) = claim(data) else { return };
    let is_none = address.is_unspecified();
    for frame in [question(mac, address), announcement(mac, address)] {
        assert!(is_none || claim(&frame) == Some((address, mac)), "{address}");
    }
}

/// Reads the configuration of keepalived.
pub(crate) fn keepalived_read(content: &[u8]) {
    let host = Host::with("");
    let path = host.root().at(keepalived::MAIN);
    let directory = path.parent().unwrap_or(&path);
    if std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, content)).is_ok() {
        drop(keepalived::owned_addresses(host.root()));
        drop(keepalived::services(host.root()));
    }
}

/// A task on a host's files and an interface of the thread's own: it keeps the laws of all resources, and what it added goes again and
/// leaves files and addresses as they were.
pub fn alias_run(data: &[u8]) {
    let Some((mut arguments, files)) = arguments_and_files(data) else { return };
    // What waits or sends.
    for option in ["wait", "announce", "check_conflict"] {
        arguments.remove(option);
    }
    arguments.entry("persist").or_insert_with(|| "auto".into());
    thread_local!(static NETWORK: Network = Network::enter());
    NETWORK.with(|network| {
        network.clear();
        let host = Host::with(files);
        let run = Run { host: &host, kernel: &|| network.look() };
        let before = run.contents();
        let Some(applied) = run.by_the_laws::<Task>(&arguments) else { return };
        if is_all_new(&applied) {
            let gone = run.by_the_laws::<Task>(&absent(&arguments));
            assert!(gone.is_some(), "what was added cannot be removed");
            assert_eq!(run.contents(), before, "what was added did not go, or more did");
        }
    });
}

/// Returns whether a run added addresses that were neither the interface's nor in a file, and did nothing else.
fn is_all_new(applied: &Report<InterfaceAlias>) -> bool {
    let found: HashSet<_> = applied.found.keys().filter_map(Item::any_alias).collect();
    let is_new = |item: &Item| item.any_alias().is_some_and(|alias| !found.contains(alias));
    !applied.plan.is_empty() && applied.plan.items().all(is_new)
}

/// A network of the thread's own with lo and v0, number 7.
struct Network {
    kernel: Kernel,
    /// What the interfaces have at first.
    own: Vec<(Link, Addresses)>,
}

impl Network {
    fn enter() -> Self {
        let mut is_made = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok();
        // IPv6 without waiting for duplicates, and without addresses of the kernel's own.
        for (option, value) in [("accept_dad", "0"), ("addr_gen_mode", "1")] {
            is_made &= std::fs::write(format!("/proc/sys/net/ipv6/conf/default/{option}"), value).is_ok();
        }
        for words in [
            "link set lo up",
            "link add v0 index 7 type veth peer name v0-far",
            "link set v0-far up",
            "link set v0 up",
            "address add 192.0.2.1/24 dev v0",
        ] {
            is_made &=
                Command::new("ip").args(words.split(' ')).status().is_ok_and(|status| status.success());
        }
        let kernel = Kernel::connect().ok().filter(|_| is_made);
        let Some(kernel) = kernel else { unreachable!("no network can be made: run this by lab/host") };
        let own = links(&kernel);
        Self { kernel, own }
    }

    /// Takes away what the last task left, and brings back what it took.
    fn clear(&self) {
        for ((link, found), (_, own)) in links(&self.kernel).iter().zip(&self.own) {
            let more: Vec<_> =
                found.iter().filter(|(alias, address)| own.get(alias) != Some(address)).collect();
            drop(self.kernel.remove_all(link, &more));
            for (alias, address) in own {
                drop(self.kernel.add(link, alias, address));
            }
        }
    }

    fn look(&self) -> String {
        let lines = |(link, found): &(Link, Addresses)| {
            let lines = found.iter().map(|(alias, address)| format!("{alias} {address}\n"));
            format!("{} {:?}\n", link.name, link.operation) + &lines.collect::<String>()
        };
        links(&self.kernel).iter().map(lines).collect()
    }
}

/// Returns the interfaces and their addresses.
fn links(kernel: &Kernel) -> Vec<(Link, Addresses)> {
    let link = |name: &str| {
        let link = kernel.link(name).ok()??;
        let addresses = kernel.read(&link).ok()?;
        Some((link, addresses))
    };
    ["lo", "v0"].into_iter().filter_map(link).collect()
}

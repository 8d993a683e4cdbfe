//! Whole Ethernet frames of one interface (packet(7)).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

use super::frame::Mac;
use crate::{Error, Result};

/// The longest frame that is looked at.
const FRAME: usize = 2048;

/// A socket that sends and receives the frames of one interface.
pub(super) struct Wire {
    socket: OwnedFd,
    interface: String,
    pub(super) mac: Mac,
}

impl Wire {
    /// Returns the wire of an interface, nothing for one on which nobody asks for addresses, like lo.
    pub(super) fn open(interface: &str) -> Result<Option<Self>> {
        let act = || Error::io("open", format!("a packet socket on {interface}"));
        let Some(address) = link_address(interface)? else { return Ok(None) };
        let Some(mac) = address.addr() else { return Ok(None) };
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket =
            socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll).map_err(act())?;
        bind(socket.as_raw_fd(), &address).map_err(act())?;
        Ok(Some(Self { socket, interface: interface.to_owned(), mac }))
    }

    /// Sends a frame.
    pub(super) fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        sent.map(drop).map_err(Error::io("send a frame on", self.interface.as_str()))
    }

    /// Returns the next frame, nothing if none comes before `end`.
    pub(super) fn receive(&self, end: Instant) -> Result<Option<Vec<u8>>> {
        let failed = || Error::io("receive frames on", self.interface.as_str());
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || poll(&mut sockets, timeout).map_err(failed())? == 0 {
            return Ok(None);
        }
        let mut frame = vec![0; FRAME];
        let length = recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty()).map_err(failed())?;
        frame.truncate(length);
        Ok(Some(frame))
    }
}

/// Returns the packet address of an interface, nothing for lo and for what has no ARP.
fn link_address(interface: &str) -> Result<Option<LinkAddr>> {
    let all = getifaddrs().map_err(Error::io("list", "the interfaces"))?;
    let without = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_NOARP;
    Ok(all
        .filter(|found| found.interface_name == interface && !found.flags.intersects(without))
        .find_map(|found| found.address.and_then(|address| address.as_link_addr().copied())))
}

//! Talking with the kernel by netlink(7): a connection, messages and their attributes, and the interfaces of rtnetlink(7).
//!
//! The requests of the crate rtnetlink take an answer that never came for success; these do not.

pub(crate) mod generic;
mod link;
mod message;

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::proto::{ConnectionHandle, new_connection};
use rtnetlink::sys::{AsyncSocket, SocketAddr, TokioSocket};
use tokio::runtime::Runtime;

pub(crate) use link::Link;
pub use link::Operation;
pub(crate) use message::{Message, append_attribute, attributes, c_string, number};

/// How long the kernel may take to answer one request; a lost answer is an error, not a hang.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the kernel answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) messages: Vec<Message>,
    /// Whether something changed while the kernel answered, so that the answer may be incomplete (NLM_F_DUMP_INTR).
    pub(crate) torn: bool,
}

/// A connection in the network namespace of the thread that made it.
#[derive(Debug)]
pub(crate) struct Connection {
    runtime: Runtime,
    handle: ConnectionHandle<Message>,
}

impl Connection {
    /// Returns a new connection to the part of the kernel that `protocol` names (netlink(7), netlink_family).
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let entered = runtime.enter();
        let (mut connection, handle, _) = new_connection::<Message>(protocol)?;
        // Without them success could not be told from an answer that never came.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        let socket: &mut TokioSocket = connection.socket_mut();
        // Strict, the kernel dumps the addresses of one interface; before Linux 4.20 it cannot. The others make it say why it
        // refuses (Linux 4.12).
        let _ = socket.socket_mut().set_netlink_get_strict_chk(true);
        let _ = socket.socket_mut().set_cap_ack(true);
        let _ = socket.socket_mut().set_ext_ack(true);
        runtime.spawn(connection);
        drop(entered);
        Ok(Self { runtime, handle })
    }

    /// Sends a request and returns what the kernel answers; `flags` go with those that every request has.
    pub(crate) fn ask(&self, message: Message, flags: u16) -> io::Result<Answer> {
        let end = if flags & NLM_F_DUMP == NLM_F_DUMP { flags } else { flags | NLM_F_ACK };
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | end;
        let request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, self.answer(request)).await })
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer")))
    }

    async fn answer(&self, request: NetlinkMessage<Message>) -> io::Result<Answer> {
        let kernel = SocketAddr::new(0, 0);
        let mut parts = self.handle.request(request, kernel).map_err(io::Error::other)?;
        let mut answer = Answer::default();
        while let Some(part) = parts.next().await {
            answer.torn |= part.header.flags & NLM_F_DUMP_INTR != 0;
            match part.payload {
                NetlinkPayload::InnerMessage(message) => answer.messages.push(message),
                NetlinkPayload::Error(error) => {
                    return error.code.map_or(Ok(answer), |code| Err(refusal(code.get(), &error.header)));
                }
                NetlinkPayload::Done(done) if done.code < 0 => return Err(refusal(done.code, &[])),
                NetlinkPayload::Done(_) => return Ok(answer),
                _ => {}
            }
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection to the kernel broke"))
    }
}

/// Why the kernel refused, with its own words where it has some (linux/netlink.h, NLMSGERR_ATTR_MSG).
#[derive(Debug, thiserror::Error)]
#[error("{errno} ({words})")]
struct Refusal {
    errno: io::Error,
    words: String,
}

/// Returns the error for a negative errno; the kernel's words follow the request's header, which is echoed.
fn refusal(code: i32, echo: &[u8]) -> io::Error {
    const HEADER: usize = 16;
    const MESSAGE: u16 = 1;
    let errno = io::Error::from_raw_os_error(-code);
    let words = attributes(echo.get(HEADER..).unwrap_or_default()).find(|(kind, _)| *kind == MESSAGE);
    match words {
        None => errno,
        Some((_, words)) => {
            let words = String::from_utf8_lossy(words).trim_end_matches('\0').to_owned();
            io::Error::other(Refusal { errno, words })
        }
    }
}

/// Returns the errno of a refusal, with or without words.
pub(crate) fn errno(error: &io::Error) -> Option<i32> {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>());
    refusal.map_or(error.raw_os_error(), |refusal| refusal.errno.raw_os_error())
}

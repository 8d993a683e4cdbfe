//! Talking with the kernel by netlink(7): a connection, messages and their attributes, and the interfaces of rtnetlink(7).
//!
//! The requests of the crate rtnetlink take an answer that never came for success; these do not.

pub(crate) mod generic;
mod link;
mod message;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::proto::{ConnectionHandle, ReplyExpectation, new_connection};
use rtnetlink::sys::{AsyncSocket, SocketAddr, TokioSocket};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

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
pub(crate) struct Connection {
    runtime: Runtime,
    /// Ends when the connection breaks.
    driver: JoinHandle<()>,
    handle: ConnectionHandle<Message>,
    /// What the kernel says to requests that no answer is waited for.
    others: Box<dyn Stream<Item = (NetlinkMessage<Message>, SocketAddr)> + Unpin>,
}

impl Connection {
    /// Returns a new connection to the part of the kernel that `protocol` names (netlink(7), netlink_family).
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let entered = runtime.enter();
        let (mut connection, handle, others) = new_connection::<Message>(protocol)?;
        // Without them success could not be told from an answer that never came.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        let socket: &mut TokioSocket = connection.socket_mut();
        // Strict, the kernel dumps the addresses of one interface; before Linux 4.20 it cannot. The others make it say why it
        // refuses (Linux 4.12).
        let _ = socket.socket_mut().set_netlink_get_strict_chk(true);
        let _ = socket.socket_mut().set_cap_ack(true);
        let _ = socket.socket_mut().set_ext_ack(true);
        let driver = runtime.spawn(connection);
        drop(entered);
        Ok(Self { runtime, driver, handle, others: Box::new(others) })
    }

    /// Returns whether it broke, so that it carries nothing any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.driver.is_finished()
    }

    /// Sends a request and returns what the kernel answers; `flags` go with those that every request has.
    pub(crate) fn ask(&self, message: Message, flags: u16) -> io::Result<Answer> {
        let end = if flags & NLM_F_DUMP == NLM_F_DUMP { flags } else { flags | NLM_F_ACK };
        self.within_deadline(self.answer(request(message, end)))
    }

    /// Asks several questions in one write, each of which is answered by one message, and returns what the kernel answers to each.
    pub(crate) fn ask_each(&self, messages: Vec<Message>) -> io::Result<Vec<io::Result<Message>>> {
        let many = messages.len();
        let requests = messages.into_iter().map(|message| request(message, 0));
        let answers = async {
            let mut parts = self.handle.request_batch(requests, kernel()).map_err(io::Error::other)?;
            let mut answers = Vec::new();
            while let Some(part) = parts.next().await {
                answers.push(match part.payload {
                    NetlinkPayload::InnerMessage(message) => Ok(message),
                    NetlinkPayload::Error(error) => {
                        Err(refusal(error.code.map_or(0, |code| code.get()), &error.header))
                    }
                    _ => continue,
                });
            }
            if answers.len() == many { Ok(answers) } else { Err(broken()) }
        };
        self.within_deadline(answers)
    }

    /// Sends several requests in one write and waits until the kernel has carried out the last; returns which it refused, and why.
    ///
    /// It carries out one after the other, and has answered what it refuses before it takes the next (net/netlink/af_netlink.c,
    /// netlink_rcv_skb), so only the last one's success needs an answer.
    pub(crate) fn send_all(&mut self, messages: Vec<Message>) -> io::Result<BTreeMap<usize, io::Error>> {
        let last = messages.len().saturating_sub(1);
        let requests = messages.into_iter().enumerate().map(|(number, message)| match number == last {
            true => (request(message, NLM_F_ACK), ReplyExpectation::Expected),
            false => (request(message, 0), ReplyExpectation::NotExpected),
        });
        let end = self.within_deadline(async {
            let sent = self.handle.request_batch_with_expectation(requests, kernel());
            sent.map_err(io::Error::other)?.next().await.ok_or_else(broken)
        })?;
        let sequence = end.header.sequence_number;
        let mut refusals = BTreeMap::new();
        let mut next = Some(end);
        while let Some(answer) = next {
            let before = sequence.wrapping_sub(answer.header.sequence_number) as usize;
            match (answer.payload, last.checked_sub(before)) {
                (NetlinkPayload::Error(error), Some(number)) => {
                    refusals.extend(error.code.map(|code| (number, refusal(code.get(), &error.header))));
                }
                (NetlinkPayload::Overrun(_), _) => {
                    return Err(io::Error::other("the kernel had no room for an answer"));
                }
                _ => {}
            }
            next = self.others.next().now_or_never().flatten().map(|(answer, _)| answer);
        }
        Ok(refusals)
    }

    fn within_deadline<T>(&self, answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let answer = async { tokio::time::timeout(DEADLINE, answer).await };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer");
        self.runtime.block_on(answer).unwrap_or_else(|_| Err(late()))
    }

    async fn answer(&self, request: NetlinkMessage<Message>) -> io::Result<Answer> {
        let mut parts = self.handle.request(request, kernel()).map_err(io::Error::other)?;
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
        Err(broken())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

fn kernel() -> SocketAddr {
    SocketAddr::new(0, 0)
}

/// Returns a message as a request with these flags.
fn request(message: Message, flags: u16) -> NetlinkMessage<Message> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection to the kernel broke")
}

/// Why the kernel refused, with its own words where it has some (linux/netlink.h, NLMSGERR_ATTR_MSG).
#[derive(Debug, thiserror::Error)]
#[error("{errno} ({words})")]
struct Refusal {
    errno: io::Error,
    words: String,
}

/// Returns the error for a negative errno; the kernel's words follow the request's header, which is echoed.
pub(crate) fn refusal(code: i32, echo: &[u8]) -> io::Error {
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

#[cfg(test)]
mod tests {
    use super::generic::family_named;
    use super::*;
    use nix::libc::ENOENT;
    use rtnetlink::sys::protocols::NETLINK_GENERIC;

    #[test]
    fn each_question_of_many_has_its_own_answer() {
        let connection = Connection::open(NETLINK_GENERIC).unwrap();
        let names = ["nlctrl", "NOSUCH", "nlctrl", "NOSUCH", "NOSUCH"];
        let answers = connection.ask_each(names.map(family_named).into()).unwrap();
        let answered = answers.iter().map(|answer| answer.as_ref().err().map(errno));
        assert_eq!(
            answered.collect::<Vec<_>>(),
            [None, Some(Some(ENOENT)), None, Some(Some(ENOENT)), Some(Some(ENOENT))]
        );
    }

    #[test]
    fn which_requests_of_many_the_kernel_refuses_is_told() {
        let mut connection = Connection::open(NETLINK_GENERIC).unwrap();
        for refused in [vec![], vec![0], vec![31], vec![0, 1, 30, 31], (0..32).collect()] {
            let name = |number| if refused.contains(&number) { "NOSUCH" } else { "nlctrl" };
            let requests = (0..32).map(|number| family_named(name(number)));
            let refusals = connection.send_all(requests.collect()).unwrap();
            assert!(refusals.values().all(|error| errno(error) == Some(ENOENT)));
            assert_eq!(refusals.into_keys().collect::<Vec<_>>(), refused);
        }
        assert_eq!(connection.family("nlctrl").unwrap(), 16);
    }
}

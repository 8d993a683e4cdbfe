//! Generic netlink (linux/genetlink.h): parts of the kernel that are found by name.

use std::io;

use super::Connection;
use super::message::{Message, attributes};

/// The part that finds the others (linux/genetlink.h).
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

impl Connection {
    /// Returns the number under which the kernel takes requests for the family `name`. Where a module has it, the kernel loads
    /// that.
    pub(crate) fn family(&self, name: &str) -> io::Result<u16> {
        let answer = self.ask(family_named(name), 0)?;
        let mut answers = answer.messages.iter().flat_map(|message| attributes(content(message)));
        let id = answers.find(|(kind, _)| *kind == CTRL_ATTR_FAMILY_ID);
        id.and_then(|(_, id)| id.try_into().ok().map(u16::from_ne_bytes))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the kernel gave no number"))
    }
}

/// Returns the request that asks for the number of a family.
pub(super) fn family_named(name: &str) -> Message {
    let name = [name.as_bytes(), b"\0"].concat();
    request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY).with(CTRL_ATTR_FAMILY_NAME, &name)
}

/// Returns a request without attributes to a family (struct genlmsghdr, version 1).
pub(crate) fn request(family: u16, command: u8) -> Message {
    Message::new(family, &[command, 1, 0, 0])
}

/// Returns the attributes of an answer, as bytes.
pub(crate) fn content(message: &Message) -> &[u8] {
    message.body.get(4..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::sys::protocols::NETLINK_GENERIC;

    #[test]
    fn a_family_is_found_by_its_name_and_one_that_is_not_there_is_an_error() {
        let connection = Connection::open(NETLINK_GENERIC).unwrap();
        assert_eq!(connection.family("nlctrl").unwrap(), GENL_ID_CTRL);
        let error = connection.family("NOSUCH").unwrap_err();
        assert_eq!(crate::netlink::errno(&error), Some(nix::libc::ENOENT));
    }
}

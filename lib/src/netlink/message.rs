//! Messages and their attributes, as bytes.
//!
//! The messages of the crate rtnetlink know all that the kernel may send, which makes the binary three times as large, and
//! drop an address whose label is no UTF-8.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rtnetlink::packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, NlasIterator};

/// A message: its type, and the bytes that follow netlink's header.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Returns a message of type `kind` with the family's header and no attributes.
    pub(crate) fn new(kind: u16, header: &[u8]) -> Self {
        Self { kind, body: header.to_vec() }
    }

    /// Returns the same message with one more attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        append_attribute(&mut self.body, kind, value);
        self
    }
}

/// Appends an attribute: length, type, value, padding to four bytes (rtnetlink(3)).
pub(crate) fn append_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    const HEADER: usize = 4;
    // No value here is longer than a name or an address.
    let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&length.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Returns the attributes in `bytes`, type and value.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?;
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(4..length)?))
    })
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self { kind: header.message_type, body: payload.to_vec() })
    }
}

/// Returns the first four bytes as a number in the machine's order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Returns the text before the zero that ends it, whatever its bytes are.
pub(crate) fn c_string(value: &[u8]) -> &OsStr {
    OsStr::from_bytes(value.split(|byte| *byte == 0).next().unwrap_or_default())
}

//! What `$NAME` stands for in keepalived's configuration.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// The definitions that a configuration has made so far.
#[derive(Debug, Default)]
pub(super) struct Definitions(BTreeMap<String, String>);

impl Definitions {
    /// Takes up a line `$NAME=VALUE`; returns whether it is one.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.trim_start().strip_prefix('$').and_then(|rest| rest.split_once('='))
        else {
            return false;
        };
        let is_name =
            !name.is_empty() && name.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'_');
        if is_name {
            self.0.insert(name.to_owned(), value.trim().to_owned());
        }
        is_name
    }

    /// Returns a line with what its names stand for: `${NAME}` anywhere, `$NAME` where white space or the end follows
    /// (tried with keepalived 2.2.7). A name that is not known stays.
    pub(super) fn expanded(&self, line: &str) -> Result<String> {
        /// Definitions may have others in them, but not without end.
        const DEPTH: usize = 16;
        let mut text = line.to_owned();
        for _ in 0..DEPTH {
            let next = self.once(&text)?;
            if next == text {
                break;
            }
            text = next;
        }
        Ok(text)
    }

    fn once(&self, text: &str) -> Result<String> {
        /// The longest text of a line; nobody has such a one, but names that stand for each other may.
        const LONGEST: usize = 1 << 16;
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, behind)) = rest.split_once('$') {
            done += before;
            let (name, after) = match behind.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                Some(found) => found,
                None => behind.split_at(behind.find(char::is_whitespace).unwrap_or(behind.len())),
            };
            match self.0.get(name) {
                Some(value) => (done, rest) = (done + value, after),
                None => (done, rest) = (done + "$", behind),
            }
            if done.len() > LONGEST {
                return Err(Error::invalid(
                    "cannot tell which addresses keepalived on this host owns: a line of its configuration stands for more than 64 KiB; look for definitions that have each other in them",
                ));
            }
        }
        Ok(done + rest)
    }
}

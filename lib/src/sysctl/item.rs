//! What a task about parameters may change, and what it holds.

use std::fmt;
use std::path::Path;
use std::rc::Rc;

use serde::Serialize;

use super::{Key, Line, Setting};
use crate::Result;

/// What can differ: a parameter in the kernel, its lines in a file, or an act that leaves nothing to compare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "layer", rename_all = "lowercase")]
pub enum Item {
    /// The parameter in the running kernel.
    Runtime {
        /// Its name.
        key: Key,
    },
    /// The parameter's lines in a file.
    Persistent {
        /// Its name; may be a pattern.
        key: Key,
        /// Which file.
        file: Rc<Path>,
    },
    /// Writing a parameter that cannot be read, like `net.ipv4.route.flush`: always done, never stored or undone.
    Effect {
        /// Its name.
        key: Key,
    },
}

/// What an [`Item`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A value in the kernel.
    Set(Setting),
    /// The lines that assign it, in the file's order; the last one counts.
    Lines(Vec<Line>),
}

impl Item {
    /// Returns the parameter that it is about.
    pub fn key(&self) -> &Key {
        let (Self::Runtime { key } | Self::Persistent { key, .. } | Self::Effect { key }) = self;
        key
    }
}

impl Value {
    pub(super) fn lines(&self) -> &[Line] {
        match self {
            Self::Lines(lines) => lines,
            Self::Set(_) => &[],
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime { key } => write!(f, "{key} in the running kernel"),
            Self::Persistent { key, file } => write!(f, "{key} in {}", file.display()),
            Self::Effect { key } => write!(f, "{key}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(setting) => f.write_str(setting.text()),
            Self::Lines(lines) => {
                let texts: Vec<_> = lines.iter().map(Line::text).collect();
                f.write_str(&texts.join("\n"))
            }
        }
    }
}

/// A value as the person wrote or would write it: the kernel's text, or what the last line assigns.
impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(setting) => serializer.serialize_str(setting.text()),
            Self::Lines(lines) => {
                serializer.serialize_str(&lines.last().map(Line::value).unwrap_or_default())
            }
        }
    }
}

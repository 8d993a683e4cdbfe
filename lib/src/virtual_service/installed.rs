//! Files that are installed as a whole, so that a boot finds them.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::rc::Rc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Result, file};

/// The most that an installed file may hold, in bytes: a build for a debugger is many times as large as one that is shipped.
const MOST: u64 = 256 << 20;

/// Which of the files that a boot needs one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The list of modules that the kernel loads, for modules-load.d(5).
    Modules,
    /// What starts the program.
    Unit,
    /// What makes a boot start the unit.
    Link,
    /// The copy of the module that a boot starts.
    Program,
}

/// What a file is.
#[derive(Clone, PartialEq, Eq)]
pub enum Installed {
    /// One with content.
    File {
        /// All of it.
        content: Rc<[u8]>,
        /// Who may read and execute it.
        mode: u32,
    },
    /// A symbolic link.
    Link(Rc<Path>),
}

impl Installed {
    /// Returns what is at `path`, which is a link if it `is_link`; nothing if nothing is there.
    pub(super) fn read(path: &Path, is_link: bool) -> Result<Option<Self>> {
        if is_link {
            return Ok(file::link(path)?.map(|target| Self::Link(target.into())));
        }
        let found = file::read_up_to(path, MOST)?;
        Ok(found.map(|(content, mode)| Self::File { content: content.into(), mode }))
    }

    /// Puts it at `path`, where `before` is.
    pub(super) fn write(&self, path: &Path, before: Option<&Self>) -> Result<()> {
        match self {
            Self::Link(target) => file::set_link(path, Some(target)),
            Self::File { content, mode } => {
                // A file that is replaced keeps its mode.
                if !matches!(before, Some(Self::File { mode: old, .. }) if old == mode) {
                    file::withdraw(path)?;
                }
                file::replace(path, content, *mode)
            }
        }
    }

    /// Returns how it shows in a diff: a text itself, a program by what tells it from others.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File { content, mode: file::MODE } => {
                String::from_utf8_lossy(content).trim_end().to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// Returns what tells a content from others, with std's SipHash without a key.
fn hash(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("{:016x}", hasher.finish())
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modules => "the list of modules",
            Self::Unit => "the unit",
            Self::Link => "the link that enables the unit",
            Self::Program => "the program",
        })
    }
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { content, mode } => {
                write!(f, "{} bytes of mode {mode:04o} with hash {}", content.len(), hash(content))
            }
            Self::Link(target) => write!(f, "-> {}", target.display()),
        }
    }
}

impl fmt::Debug for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Installed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::File { content, mode } => {
                map.serialize_entry("size", &content.len())?;
                map.serialize_entry("hash", &hash(content))?;
                map.serialize_entry("mode", &format!("{mode:04o}"))?;
            }
            Self::Link(target) => map.serialize_entry("target", &target.to_string_lossy())?,
        }
        map.end()
    }
}

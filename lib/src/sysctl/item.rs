//! What a task about parameters may change, and what it holds.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::{Key, Line, Setting};

/// A parameter, in the kernel or in a file.
pub type Item = crate::resource::Item<Key>;

/// What an [`Item`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A value in the kernel.
    Set(Setting),
    /// The lines that assign it in a file, in the file's order; the last one counts.
    Lines(Rc<[Line]>),
    /// What is written to a parameter that cannot be read, like `net.ipv4.route.flush`: always done, never stored or undone.
    Act(Setting),
}

impl Value {
    pub(super) fn lines(&self) -> &[Line] {
        match self {
            Self::Lines(lines) => lines,
            Self::Set(_) | Self::Act(_) => &[],
        }
    }

    /// Returns what the kernel holds or is told.
    pub(super) fn setting(&self) -> Option<&Setting> {
        match self {
            Self::Set(setting) | Self::Act(setting) => Some(setting),
            Self::Lines(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(setting) | Self::Act(setting) => f.write_str(setting.text()),
            Self::Lines(lines) => {
                let texts: Vec<_> = lines.iter().map(Line::shown).collect();
                f.write_str(&texts.join("\n"))
            }
        }
    }
}

/// A value as the person wrote or would write it: the kernel's text, or what the last line assigns.
impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(setting) | Self::Act(setting) => serializer.serialize_str(setting.text()),
            Self::Lines(lines) => {
                serializer.serialize_str(&lines.last().map(Line::value).unwrap_or_default())
            }
        }
    }
}

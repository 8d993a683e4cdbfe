//! What has a boot make a dummy interface, beside its addresses.

use std::path::Path;
use std::rc::Rc;

use super::form::HEADER;
use crate::interface_alias::InterfaceAlias;
use crate::interface_alias::item::{Item, Key};
use crate::resource::Plan;
use crate::{Result, file};

/// How a boot comes to make a dummy interface.
#[derive(Debug)]
pub(super) enum Making {
    /// By the file that has its addresses.
    Along,
    /// By a file of its own, of this content.
    File { file: Rc<Path>, content: String },
}

impl Making {
    /// Returns the file at `path` with this content, below the line that says whose it is.
    pub(super) fn file(path: &Path, content: &str) -> Self {
        Self::File { file: path.into(), content: format!("{HEADER}{content}") }
    }

    /// Writes what `plan` says of the file at `path`, if that is the one.
    pub(super) fn write(&self, path: &Path, plan: &Plan<InterfaceAlias>) -> Result<()> {
        let Self::File { file, content } = self else { return Ok(()) };
        let is_of = |item: &Item| item.is_in(file) && matches!(item.key, Key::Link { .. });
        match plan.iter().find(|(item, _)| **file == *path && is_of(item)) {
            Some((_, change)) if change.after.is_some() => {
                file::replace(file, content.as_bytes(), file::MODE)
            }
            Some(_) => file::withdraw(file),
            None => Ok(()),
        }
    }
}

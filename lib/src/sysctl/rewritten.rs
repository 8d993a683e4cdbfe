//! A file that was replaced, and the way back.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::file::{self, Opened};

/// What was done to a file.
#[derive(Debug)]
pub(super) struct Rewritten {
    before: Vec<u8>,
    after: Vec<u8>,
    /// The file and the directories above it that were not there.
    made: Vec<PathBuf>,
    /// A copy of what was there.
    pub(super) copy: Option<PathBuf>,
}

impl Rewritten {
    /// Replaces the file at `path`, which held `before`; a copy of that is kept if `back_up` says so.
    pub(super) fn write(
        path: &Path,
        opened: &mut Opened,
        before: Vec<u8>,
        after: Vec<u8>,
        back_up: bool,
    ) -> Result<Self> {
        let made = file::missing(path)?;
        let copy = if back_up { file::back_up(path)? } else { None };
        match opened.replace(path, &after, file::MODE) {
            Ok(()) => Ok(Self { before, after, made, copy }),
            // A copy of what is there still is of no use.
            Err(error) => copy.map_or(Ok(()), |copy| file::remove(&copy)).and(Err(error)),
        }
    }

    /// Puts every byte back as it was; if somebody has changed the file since, it becomes `text`.
    pub(super) fn undo(self, path: &Path, text: &[u8]) -> Result<()> {
        let is_untouched = file::read(path)?.unwrap_or_default() == self.after;
        match self.made.as_slice() {
            _ if !is_untouched => file::replace(path, text, file::MODE),
            [] => file::replace(path, &self.before, file::MODE),
            made => file::unmake(made),
        }?;
        self.copy.map_or(Ok(()), |copy| file::remove(&copy))
    }
}

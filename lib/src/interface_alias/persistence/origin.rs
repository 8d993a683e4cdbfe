//! What was in the place of a file of ours before a run, so that no way back removes what is not ours.

use std::path::{Path, PathBuf};

use super::files::{link, ours};
use crate::{Result, file};

/// What was there.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The file and the directories that were not there, which a run makes.
    missing: Vec<PathBuf>,
    /// Whether the file is the person's: an empty one, or one that a link of theirs leads to.
    is_theirs: bool,
}

impl Origin {
    pub(super) fn of(file: &Path) -> Result<Self> {
        let is_link = link(file)?.is_some();
        let missing = file::missing(file)?;
        let is_theirs = missing.is_empty() && (is_link || ours(file)?.is_empty());
        Ok(Self { missing, is_theirs })
    }

    /// Takes away what we have in `file`: all that this run made, else the file with the directory that is only for drop-ins like it if
    /// that was the last; the person's file is left, empty.
    pub(super) fn restore(&self, file: &Path, mode: u32) -> Result<()> {
        if self.is_theirs {
            return file::replace(file, b"", mode);
        }
        if !self.missing.is_empty() {
            return file::unmake(&self.missing);
        }
        file::withdraw(file)?;
        let directory = file.parent().unwrap_or(Path::new("/"));
        if directory.as_os_str().as_encoded_bytes().ends_with(b".network.d") {
            // One with something in it stays.
            let _ = std::fs::remove_dir(directory);
        }
        Ok(())
    }
}

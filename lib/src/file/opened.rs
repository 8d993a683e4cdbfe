//! A file that stays open between two looks at it.

use std::fs::File;
use std::io::Seek;
use std::path::Path;

use super::draft::Draft;
use super::{MOST, Owners, Place, remove_directories, whole};
use crate::{Error, Result};

/// A file that a run reads, replaces and reads again. It is opened once, as long as nobody else puts another one in its place.
#[derive(Debug, Default)]
pub struct Opened(Option<File>);

impl Opened {
    /// Returns what is at `path` now, as [`read`](super::read) does.
    pub fn read(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.look(&Place::find(path, Owners::Ours)?)?;
        let Some(file) = &mut self.0 else { return Ok(None) };
        file.rewind().map_err(Error::path("read", path))?;
        whole(file, path, MOST).map(Some)
    }

    /// Replaces what is at `path`, as [`replace`](super::replace) does.
    pub fn replace(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let place = Place::find(path, Owners::Ours)?;
        let missing = place.missing();
        let written = place.made().and_then(|place| self.write(&place, content, mode));
        written.inspect_err(|_| remove_directories(&missing))
    }

    fn write(&mut self, place: &Place, content: &[u8], mode: u32) -> Result<()> {
        self.look(place)?;
        // The person knows nothing of a draft.
        let draft = Draft::create(place).map_err(Error::path("write", &place.path()))?;
        let filled = draft.fill(content, self.0.as_ref(), mode);
        self.0 = filled.and_then(|()| draft.publish()).map_err(Error::path("write", &place.path()))?;
        Ok(())
    }

    /// Opens what is in the place by now, unless that is open.
    fn look(&mut self, place: &Place) -> Result<()> {
        if !self.0.as_ref().is_some_and(|file| place.has(file)) {
            self.0 = place.open()?;
        }
        Ok(())
    }
}

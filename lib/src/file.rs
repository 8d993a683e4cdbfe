//! Small files: read one, replace one in a single step, take turns with other runs.
//!
//! A file that a run replaces is one whose place nobody else can exchange, and it is opened once for all that is taken from it.

mod draft;
mod link;
mod lock;
mod opened;
mod place;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;

use crate::{Error, Result};
use draft::Draft;
pub(crate) use link::{link, set_link};
pub use lock::Lock;
pub(crate) use lock::{Notes, held};
pub use opened::Opened;
pub(crate) use place::{Owners, Place};

/// The mode of a new file that everybody may read.
pub const MODE: u32 = 0o644;

/// The most that a file of settings may hold, in bytes: twenty thousand of them, which fit into a small host's memory several times.
pub const MOST: u64 = 1 << 20;

/// The most that is read of a file of others.
const MOST_OF_OTHERS: u64 = 16 << 20;

/// Where a file system keeps a file's access control list.
const ACL: &str = "system.posix_acl_access";

/// Returns the content of a file that runs replace, nothing if there is none; what is no regular file is an error, and so is
/// a place where others could exchange it.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    Opened::default().read(path)
}

/// Returns the content of a file that runs replace, `most` bytes or an error, and its mode; nothing if there is none. One that another
/// user could change is an error.
pub(crate) fn read_up_to(path: &Path, most: u64) -> Result<Option<(Vec<u8>, u32)>> {
    let place = Place::find(path, Owners::Ours)?;
    let Some(file) = place.open()? else { return Ok(None) };
    let metadata = file.metadata().map_err(Error::path("look at", path))?;
    let mode = metadata.mode() & 0o7777;
    let is_ours = [0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
    if !is_ours || mode & 0o022 != 0 {
        return Err(Error::invalid(format!(
            "cannot rely on {}, which belongs to user {} and has mode {mode:04o}: another user could change it; look at what is in it, and change owner and mode or remove it",
            path.display(),
            metadata.uid()
        )));
    }
    Ok(Some((whole(&file, path, most)?, mode)))
}

/// Returns the content of a file of others that is only looked at, nothing if there is none; what is no regular file is an error.
pub fn foreign(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(irregular(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::path("read", path)(error)),
    }
    contents(path, MOST_OF_OTHERS).map(Some)
}

/// Returns what a file holds that is there, `most` bytes or an error; as it may be another one by now, a pipe is not waited for.
pub(crate) fn contents(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    whole(&file.map_err(Error::path("read", path))?, path, most)
}

fn irregular(path: &Path) -> Error {
    Error::invalid(format!("cannot use {}: it is no regular file; name one", path.display()))
}

fn whole(file: &File, path: &Path, most: u64) -> Result<Vec<u8>> {
    // Room for all of most files in one read.
    let mut content = Vec::with_capacity(8 << 10);
    file.take(most + 1).read_to_end(&mut content).map_err(Error::path("read", path))?;
    if content.len() as u64 > most {
        return Err(too_large(path, most));
    }
    Ok(content)
}

/// Returns the error about a file that holds more than `most` bytes, or would.
pub(crate) fn too_large(path: &Path, most: u64) -> Error {
    let most = most >> 20;
    Error::invalid(format!("cannot use {}: it holds more than {most} MiB; use smaller files", path.display()))
}

/// Replaces the file that `path` leads to in one step, so that a reader or a power cut finds the old content or
/// the new, whole. Symbolic links are followed; mode, owner and extended attributes are kept; a new file gets `mode`; a
/// missing directory is made, and removed again by a failure.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    Opened::default().replace(path, content, mode)
}

/// Removes the file that `path` leads to, so that no power cut brings it back; that it is not there is fine.
pub fn withdraw(path: &Path) -> Result<()> {
    let place = Place::find(path, Owners::Ours)?;
    if !place.is_there() {
        return Ok(());
    }
    place.remove().map_err(Error::path("remove", path))?;
    let directory = File::open(place.path().parent().unwrap_or(Path::new("/")));
    directory.and_then(|directory| directory.sync_all()).map_err(Error::path("remove", path))
}

/// Returns what [`replace`] would make anew: the file that `path` leads to, then the directories above it.
pub fn missing(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(Place::find(path, Owners::Ours)?.missing())
}

/// Removes what [`missing`] returned and [`replace`] made; a directory that holds something by now stays.
pub fn unmake(made: &[PathBuf]) -> Result<()> {
    let Some(file) = made.first() else { return Ok(()) };
    withdraw(file)?;
    remove_directories(made);
    Ok(())
}

/// Removes the directories among what was made, of which the first is a file.
fn remove_directories(made: &[PathBuf]) {
    made.iter().skip(1).for_each(|directory| drop(fs::remove_dir(directory)));
}

/// Copies the file that `path` leads to, with mode, owner and extended attributes, to a new name beside it that
/// no boot reads; returns that name, nothing if there is no such file.
pub fn back_up(path: &Path) -> Result<Option<PathBuf>> {
    let place = Place::find(path, Owners::Ours)?;
    let Some(old) = place.open()? else { return Ok(None) };
    let content = whole(&old, path, MOST)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut name: OsString = place.name().clone();
    name.push(format!(".{}.{}~", std::process::id(), now.as_millis()));
    let copy = place.beside(name);
    Draft::create(&copy)
        .and_then(|draft| draft.fill(&content, Some(&old), MODE).and_then(|()| draft.publish().map(drop)))
        .map_err(Error::path("back up", path))?;
    Ok(Some(copy.path()))
}

/// Removes the file that `path` leads to; that it is not there is fine.
pub fn remove(path: &Path) -> Result<()> {
    Place::find(path, Owners::Ours)?.remove().map_err(Error::path("remove", path))
}

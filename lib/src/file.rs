//! Small files: read one, replace one in a single step, take turns with other runs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;

use crate::{Error, Result};

/// How long a run waits for others that hold the lock. One that looks for a conflict of addresses takes some 3 seconds, and dozens of them
/// may be before this one, when as many hosts delegate a task to the same.
const PATIENCE: Duration = Duration::from_secs(300);

/// The mode of a new file that everybody may read.
pub const MODE: u32 = 0o644;

/// How often it looks again.
const PAUSE: Duration = Duration::from_millis(5);

/// A lock that other runs of these modules respect; it is free again when dropped, also by being killed.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Returns a lock on `path`, a file or directory, or an error if other runs keep it for minutes.
    pub fn on(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::path("open", path))?;
        let mut lock = Self { file, path: path.to_owned() };
        lock.retake()?;
        Ok(lock)
    }

    /// Lets other runs have it for a while.
    pub fn release(&mut self) -> Result<()> {
        self.file.unlock().map_err(Error::path("unlock", &self.path))
    }

    /// Takes it again, or returns an error if other runs keep it for minutes.
    pub fn retake(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(Error::path("lock", &self.path)(error));
                }
                Err(_) if Instant::now() > end => {
                    let waited = io::Error::new(io::ErrorKind::TimedOut, "other runs keep it; try again");
                    return Err(Error::path("lock", &self.path)(waited));
                }
                Err(_) => sleep(PAUSE),
            }
        }
    }
}

/// Returns the content of the file that `path` leads to, nothing if there is none; what is no regular file is an error.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::read(path).map(Some).map_err(Error::path("read", path)),
        Ok(_) => {
            Err(Error::invalid(format!("cannot use {}: it is no regular file; name one", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::path("read", path)(error)),
    }
}

/// Replaces the file that `path` leads to in one step, so that a reader or a power cut finds the old content or
/// the new, whole. Symbolic links are followed; mode, owner and extended attributes are kept; a new file gets `mode`; a
/// missing directory is made, and removed again by a failure.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let made = missing(path)?;
    write(&destination(path)?, content, mode).inspect_err(|_| drop(unmake(&made)))
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(Error::path("make", directory))?;
    let draft = Draft::create(path)?;
    draft
        .fill(path, content, mode)
        .and_then(|()| draft.publish(path, directory))
        .map_err(Error::path("write", path))
}

/// Removes a file, so that no power cut brings it back; that it is not there is fine.
pub fn withdraw(path: &Path) -> Result<()> {
    remove(path)?;
    match File::open(path.parent().unwrap_or(Path::new("/"))) {
        Ok(directory) => directory.sync_all().map_err(Error::path("remove", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::path("remove", path)(error)),
    }
}

/// Returns what [`replace`] would make anew: the file that `path` leads to, then the directories above it.
pub fn missing(path: &Path) -> Result<Vec<PathBuf>> {
    let path = destination(path)?;
    Ok(path.ancestors().take_while(|part| !part.exists()).map(Path::to_owned).collect())
}

/// Removes what [`missing`] returned and [`replace`] made; a directory that holds something by now stays.
pub fn unmake(made: &[PathBuf]) -> Result<()> {
    let Some((file, directories)) = made.split_first() else { return Ok(()) };
    withdraw(file)?;
    directories.iter().for_each(|directory| drop(fs::remove_dir(directory)));
    Ok(())
}

/// Copies the file that `path` leads to, with mode, owner and extended attributes, to a new name beside it that
/// no boot reads; returns that name, nothing if there is no such file.
pub fn back_up(path: &Path) -> Result<Option<PathBuf>> {
    let path = &destination(path)?;
    let Some(content) = read(path)? else { return Ok(None) };
    let directory = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let copy = path.with_file_name(format!("{name}.{}.{}~", std::process::id(), now.as_millis()));
    let draft = Draft::create(&copy)?;
    draft
        .fill(path, &content, MODE)
        .and_then(|()| draft.publish(&copy, directory))
        .map_err(Error::path("back up", path))?;
    Ok(Some(copy))
}

/// Returns where `path` leads; a link may lead to a file that does not exist yet.
fn destination(path: &Path) -> Result<PathBuf> {
    /// As many as the kernel follows (path_resolution(7)).
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("/")).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::path("follow", &path)(Errno::ELOOP))
}

/// A temporary file beside the one it will replace; gone when dropped unpublished.
///
/// Its name is always the same, so that one left by a killed run is found and removed, and never ends in
/// `.conf`, so that no boot reads it.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn create(target: &Path) -> Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.lvs-host-draft"));
        // The person knows nothing of a draft.
        take_away(&path).map_err(Error::path("write", target))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::path("write", target))?;
        Ok(Self { path, file })
    }

    fn fill(&self, target: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        (&self.file).write_all(content)?;
        match fs::metadata(target) {
            Ok(old) => self.dress_as(target, &old)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.file.set_permissions(fs::Permissions::from_mode(mode))?;
            }
            Err(error) => return Err(error),
        }
        self.file.sync_all()
    }

    /// Takes over owner, mode and extended attributes; the mode last, as a change of owner clears bits of it.
    fn dress_as(&self, target: &Path, old: &fs::Metadata) -> io::Result<()> {
        let new = self.file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&self.file, Some(old.uid()), Some(old.gid()))?;
        }
        if xattr::SUPPORTED_PLATFORM {
            copy_attributes(target, &self.path)?;
        }
        self.file.set_permissions(old.permissions())
    }

    fn publish(&self, target: &Path, directory: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        File::open(directory)?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Published, it is gone already; else nothing better can be done.
        let _ = fs::remove_file(&self.path);
    }
}

/// Where a file system keeps a file's access control list.
const ACL: &str = "system.posix_acl_access";

/// Copies every extended attribute that differs, and takes away the access rights that a new file has by its directory
/// (acl(5)); a file system without them has none to copy.
fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let names = match xattr::list(from) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => return Ok(()),
        names => names?.collect::<Vec<_>>(),
    };
    if !names.iter().any(|name| name == ACL) && xattr::list(to)?.any(|name| name == ACL) {
        xattr::remove(to, ACL)?;
    }
    for name in names {
        let value = xattr::get(from, &name)?;
        if value.is_some() && value != xattr::get(to, &name)? {
            xattr::set(to, &name, &value.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Removes a file; that it is not there is fine.
pub fn remove(path: &Path) -> Result<()> {
    take_away(path).map_err(Error::path("remove", path))
}

fn take_away(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

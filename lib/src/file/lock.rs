//! Runs take turns, by locks that no other user can hold.

use std::fs::{File, TryLockError, read_to_string};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};
use nix::unistd::{UnlinkatFlags, geteuid, mkdir, unlinkat};

use crate::{Error, Result};

/// How long a run waits for others that hold the lock.
#[derive(Clone, Copy)]
struct Patience {
    /// One that holds it for so long is told.
    told: Duration,
    /// One that holds it for so long is waited for no more: none of ours takes that long.
    one: Duration,
    /// All together are waited for so long. One that looks for a conflict of addresses takes some 3 seconds, and dozens of them
    /// may be before this one, when as many hosts delegate a task to the same.
    all: Duration,
}

const PATIENCE: Patience =
    Patience { told: Duration::from_secs(10), one: Duration::from_secs(60), all: Duration::from_secs(300) };

/// How often it looks again.
const PAUSE: Duration = Duration::from_millis(5);

/// A lock that other runs of these modules respect; it is free again when dropped, also by being killed.
#[derive(Debug)]
pub struct Lock {
    /// Locked as long as it is open, but while it is let go.
    file: File,
    is_held: bool,
    /// The directory that it is in.
    room: OwnedFd,
    place: PathBuf,
    name: String,
    /// What was told of those that held it for long.
    told: Vec<String>,
}

impl Lock {
    /// Returns the lock called `name`, or an error that tells who holds it if it is held for too long.
    pub fn on(name: &str) -> Result<Self> {
        Self::within(name, PATIENCE)
    }

    fn within(name: &str, patience: Patience) -> Result<Self> {
        let (place, room, file) = room(name)?;
        let mut lock = Self { file, is_held: false, room, place, name: name.to_owned(), told: Vec::new() };
        lock.take(patience)?;
        Ok(lock)
    }

    /// Lets other runs have it for a while.
    pub fn release(&mut self) -> Result<()> {
        self.is_held = false;
        self.file.unlock().map_err(Error::path("unlock", &self.place))
    }

    /// Takes it again, or returns an error that tells who holds it if it is held for too long.
    pub fn retake(&mut self) -> Result<()> {
        self.take(PATIENCE)
    }

    /// Returns warnings of those that held it for long while this run waited.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.told
    }

    /// Returns what a run noted that was killed while it held this lock; nothing after one that has ended.
    pub fn left(&self) -> Result<String> {
        let mut text = String::new();
        (&self.file).read_to_string(&mut text).map_err(Error::path("read", &self.place))?;
        Ok(text)
    }

    /// Returns where to note what another run has to put right if this one is killed.
    pub(crate) fn notes(&self) -> Result<Notes> {
        let file = self.file.try_clone().map_err(Error::path("open", &self.place))?;
        Ok(Notes { file, place: self.place.clone() })
    }

    fn take(&mut self, patience: Patience) -> Result<()> {
        let begin = Instant::now();
        let (mut since, mut is_told) = (begin, false);
        while !self.is_held {
            match self.file.try_lock() {
                // Whoever had it has removed the file, and others will lock the next one.
                Ok(()) if links(&self.file) == 0 => {
                    let next = create(&self.room, &self.name);
                    self.file = next.map_err(Error::path("open", &self.place))?;
                    (since, is_told) = (Instant::now(), false);
                }
                Ok(()) => self.is_held = true,
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(Error::path("lock", &self.place)(error));
                }
                Err(_) if since.elapsed() > patience.one || begin.elapsed() > patience.all => {
                    return Err(held(&self.place, &self.file));
                }
                Err(_) => {
                    if !is_told && since.elapsed() > patience.told {
                        self.told.push(kept(&self.place, &self.file, patience.told));
                        is_told = true;
                    }
                    sleep(PAUSE);
                }
            }
        }
        Ok(())
    }
}

/// What is noted in the file of a lock, which goes with the run that holds that.
#[derive(Debug)]
pub(crate) struct Notes {
    file: File,
    place: PathBuf,
}

impl Notes {
    /// Notes this and nothing else.
    pub(crate) fn set(&self, text: &str) -> Result<()> {
        let written = self.file.set_len(0).and_then(|()| self.file.write_all_at(text.as_bytes(), 0));
        written.map_err(Error::path("write", &self.place))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_held {
            // A file that stays is used again.
            let _ = unlinkat(&self.room, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

fn links(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.nlink())
}

/// Returns the error about a lock on `file` that others keep.
pub(crate) fn held(path: &Path, file: &File) -> Error {
    let why = format!("{} keeps it; wait until that has ended, or end it, and try again", holder(file));
    Error::path("lock", path)(io::Error::new(io::ErrorKind::TimedOut, why))
}

/// Returns the warning of a lock on `file` for which this run has waited so long already.
fn kept(path: &Path, file: &File, waited: Duration) -> String {
    format!(
        "this run waited for {}, which kept the lock {} for more than {} s; look what that does there",
        holder(file),
        path.display(),
        waited.as_secs()
    )
}

/// Returns the process that has a lock on `file`, in words.
fn holder(file: &File) -> String {
    seen_holder(file).unwrap_or_else(|| "a process that cannot be seen from here".into())
}

/// Returns it as /proc/locks has it (proc_locks(5)).
fn seen_holder(file: &File) -> Option<String> {
    let stat = fstat(file).ok()?;
    let inode = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let locks = read_to_string("/proc/locks").ok()?;
    let process = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A process that waits has an arrow before these.
        (fields.get(5) == Some(&inode.as_str())).then(|| fields[4].to_owned())
    })?;
    let name = read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(format!("process {process} ({})", name.trim_end()))
}

/// Returns where locks may be, best first: directories that their owner alone can open. Only root can make names in the first
/// one; in those that everybody can write to, a name that somebody else has taken is passed over.
fn places() -> Vec<PathBuf> {
    let user = geteuid();
    let (own, shared) = match user.is_root() {
        true => ("/run".into(), "lvs-host".into()),
        false => (format!("/run/user/{user}"), format!("lvs-host-{user}")),
    };
    let shared = ["/run/lock", "/dev/shm", "/tmp"].map(|place| Path::new(place).join(&shared));
    [Path::new(&own).join("lvs-host")].into_iter().chain(shared).collect()
}

/// Returns the path of the lock file, the first place where there can be one, and the file, open.
fn room(name: &str) -> Result<(PathBuf, OwnedFd, File)> {
    let mut refused = Vec::new();
    for place in places() {
        let opened = open_room(&place).and_then(|room| {
            let file = create(&room, name)?;
            Ok((place.join(name), room, file))
        });
        match opened {
            Ok(opened) => return Ok(opened),
            Err(error) if is_elsewhere(&error) => refused.push(format!("{}: {error}", place.display())),
            Err(error) => return Err(Error::path("open", &place)(error)),
        }
    }
    Err(Error::invalid(format!(
        "cannot take turns with other runs: there is no place for a lock ({}); mount /run writable",
        refused.join(", ")
    )))
}

/// Returns whether another place may do; all runs find the same one, as these reasons stay.
fn is_elsewhere(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// Opens the directory at `path`, which is made if it is not there; one of others is refused.
fn open_room(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let room = match open(path, flags, Mode::empty()) {
        Err(Errno::ENOENT) => match mkdir(path, Mode::S_IRWXU) {
            Err(errno) if errno != Errno::EEXIST => return Err(errno.into()),
            _ => open(path, flags, Mode::empty())?,
        },
        opened => opened?,
    };
    let stat = fstat(&room)?;
    let is_directory = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    if is_directory && stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o077 == 0 {
        return Ok(room);
    }
    let why = format!("it belongs to user {} and has mode {:o}", stat.st_uid, stat.st_mode);
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

fn create(room: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(room, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::{Command, Stdio};

    use super::*;

    /// Returns how long to wait for one, and for all, in milliseconds.
    fn patience(told: u64, one: u64, all: u64) -> Patience {
        let [told, one, all] = [told, one, all].map(Duration::from_millis);
        Patience { told, one, all }
    }

    /// Has another process take the lock called `name`, and keep it for a while.
    fn keep(name: &str, seconds: &str) -> std::process::Child {
        drop(Lock::on(name).unwrap());
        let path = format!("/run/lvs-host/{name}");
        assert!(!Path::new(&path).exists(), "nothing is left");
        let mut holder = Command::new("flock");
        let holder = holder.args(["--no-fork", &path, "sleep", seconds]).stdout(Stdio::null());
        let holder = holder.spawn().unwrap();
        while !fs::read_to_string(format!("/proc/{}/comm", holder.id())).unwrap().starts_with("sleep") {
            sleep(Duration::from_millis(5));
        }
        holder
    }

    #[test]
    fn a_lock_that_is_held_too_long_is_an_error_with_its_holder() {
        for (one, all) in [(50, 60_000), (60_000, 50)] {
            let mut holder = keep("told", "60");
            let told = Lock::within("told", patience(60_000, one, all)).unwrap_err().sentence();
            let words = format!("cannot lock /run/lvs-host/told: process {} (sleep) keeps it; ", holder.id());
            holder.kill().unwrap();
            holder.wait().unwrap();
            assert!(told.starts_with(&words), "{told}");
            Lock::within("told", patience(60_000, 5_000, 60_000)).unwrap();
        }
    }

    #[test]
    fn a_lock_that_is_held_for_long_is_told_with_its_holder() {
        let mut holder = keep("long", "0.5");
        let lock = Lock::within("long", patience(100, 60_000, 60_000)).unwrap();
        let words = format!("this run waited for process {} (sleep), which kept the lock", holder.id());
        holder.wait().unwrap();
        assert!(matches!(lock.warnings(), [told] if told.starts_with(&words)), "{:?}", lock.warnings());
        drop(lock);
        let mut holder = keep("long", "0.1");
        let lock = Lock::within("long", patience(5_000, 60_000, 60_000)).unwrap();
        holder.wait().unwrap();
        assert!(lock.warnings().is_empty(), "{:?}", lock.warnings());
    }

    #[test]
    fn many_that_hold_it_one_after_the_other_are_waited_for_longer_than_one() {
        let end = Instant::now() + Duration::from_secs(2);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while Instant::now() < end {
                        let _lock = Lock::on("row").unwrap();
                        sleep(Duration::from_millis(100));
                    }
                });
            }
            sleep(Duration::from_millis(50));
            let waits = (0..4).map(|_| Lock::within("row", patience(800, 1_000, 60_000)));
            assert!(waits.map(|lock| lock.unwrap().told.len()).sum::<usize>() == 0);
        });
    }

    #[test]
    fn only_its_owner_can_open_a_lock() {
        let _lock = Lock::on("private").unwrap();
        assert_eq!(Path::new("/run/lvs-host").metadata().unwrap().mode() & 0o7777, 0o700);
        assert_eq!(Path::new("/run/lvs-host/private").metadata().unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_place_that_others_could_have_made_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("open")).unwrap();
        fs::set_permissions(path("open"), Permissions::from_mode(0o755)).unwrap();
        open_room(&path("made")).unwrap();
        symlink("made", path("link")).unwrap();
        fs::write(path("file"), "").unwrap();
        for name in ["open", "link", "file", "missing/deep"] {
            assert!(is_elsewhere(&open_room(&path(name)).unwrap_err()), "{name}");
        }
    }

    #[test]
    fn runs_that_take_turns_are_never_two_at_a_time() {
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..40 {
                        let _lock = Lock::on("turns").unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }
}

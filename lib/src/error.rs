//! The one error of the crate.

use std::borrow::Cow;
use std::io;
use std::path::Path;

/// What a function of this crate answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task failed. A message names the act and the object; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The task asks for something that cannot be; nothing was touched.
    #[error("{0}")]
    Invalid(String),

    /// A system call failed.
    #[error("cannot {act} {object}")]
    Io {
        /// What was tried, as a verb: `read`.
        act: &'static str,
        /// On what: a path, an address, an interface.
        object: String,
        /// The errno and its text.
        source: io::Error,
    },

    /// What is read back is not what was written.
    #[error("{}", not_taken(item, asked.as_deref(), got.as_deref()))]
    NotTaken {
        /// The entry that differs.
        item: String,
        /// What the task asks for; nothing if it is to be gone.
        asked: Option<String>,
        /// What is there; nothing if it is gone.
        got: Option<String>,
    },

    /// A write failed, and what it had changed was put back.
    #[error("{cause}; nothing is changed{in_force}")]
    Undone {
        /// Why the task failed, in full.
        cause: String,
        /// The planned entries, as they are now.
        in_force: String,
    },

    /// A write failed, and what it had changed was put back but for what the task says to keep.
    #[error("{cause}; nothing else is changed{in_force}")]
    Kept {
        /// Why the task failed, in full.
        cause: String,
        /// What was kept, as it is now.
        in_force: String,
    },

    /// A write failed, and so did the way back: the host differs from what it was.
    #[error("{cause}; this could not be undone ({undo}){in_force}")]
    NotUndone {
        /// Why the task failed, in full.
        cause: String,
        /// Why the undo failed, in full.
        undo: String,
        /// The planned entries that are not as they were.
        in_force: String,
    },
}

fn not_taken(item: &str, asked: Option<&str>, got: Option<&str>) -> String {
    match (asked, got) {
        (Some(asked), Some(got)) => format!(
            "cannot set {item}: {asked} was asked for and {got} is read back; ask for {got} if that will do"
        ),
        (Some(asked), None) => format!(
            "cannot set {item}: {asked} was asked for and it is not there afterwards; look for who takes it away"
        ),
        (None, _) => format!("cannot remove {item}: it is there afterwards; look for who sets it"),
    }
}

/// Returns a value for a message, cut where it would hide the rest of it.
pub(crate) fn brief(text: &str) -> Cow<'_, str> {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl Error {
    /// Returns an error about what the task asks for.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    /// Returns a function that wraps a failed system call, for `map_err`.
    pub fn io<E: Into<io::Error>>(act: &'static str, object: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { act, object: object.into(), source: source.into() }
    }

    /// Returns a function that wraps a failed system call on a file, for `map_err`.
    pub fn path<E: Into<io::Error>>(act: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        Self::io(act, path.display().to_string())
    }

    /// Returns whether the host differs from what it was before the task.
    pub fn left_changes(&self) -> bool {
        matches!(self, Self::NotUndone { .. } | Self::Kept { .. })
    }

    /// Returns the whole sentence: the message, its causes joined by ": ", and what to do about them.
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text + self.remedy()
    }

    /// Returns what the person can do about a lack of privilege or what is read-only, else nothing.
    fn remedy(&self) -> &'static str {
        let Self::Io { source, .. } = self else { return "" };
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                "; it is mounted read-only, as in most containers: mount it writable, or set it from outside"
            }
            io::ErrorKind::PermissionDenied if nix::unistd::geteuid().is_root() => {
                "; root may not do this here, as in a container or where the kernel lets nobody"
            }
            io::ErrorKind::PermissionDenied => "; this needs root, with Ansible become: true",
            _ => "",
        }
    }
}

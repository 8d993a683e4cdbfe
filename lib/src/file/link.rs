//! Symbolic links as entries of their own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::symlinkat;

use super::{Owners, Place};
use crate::{Error, Result};

/// Returns where the symbolic link at `path` leads, nothing if nothing is there.
pub(crate) fn link(path: &Path) -> Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // What readlink(2) gives for all else.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(Error::invalid(format!("cannot use {}: it is no symbolic link; remove it", path.display())))
        }
        Err(error) => Err(Error::path("follow", path)(error)),
    }
}

/// Makes `path` a symbolic link to `target`, or removes it, for good.
pub(crate) fn set_link(path: &Path, target: Option<&Path>) -> Result<()> {
    let act = if target.is_some() { "link" } else { "remove" };
    // A link that is there would be followed to where it leads.
    let beside = Place::find(&path.with_file_name(".lvs-host-link"), Owners::Ours)?.made()?;
    let place = beside.beside(path.file_name().unwrap_or_default().to_owned());
    place.remove().map_err(Error::path(act, path))?;
    if let Some(target) = target {
        symlinkat(target, place.directory(), place.name().as_os_str()).map_err(Error::path(act, path))?;
    }
    let directory = File::open(path.parent().unwrap_or(Path::new("/")));
    directory.and_then(|directory| directory.sync_all()).map_err(Error::path(act, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_replaced_and_removed_whatever_it_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wants/a.service");
        assert_eq!(link(&path).unwrap(), None);
        for target in ["../a.service", "/dev/null", "../b.service"] {
            set_link(&path, Some(Path::new(target))).unwrap();
            assert_eq!(link(&path).unwrap(), Some(target.into()));
        }
        set_link(&path, None).unwrap();
        assert_eq!(link(&path).unwrap(), None);
        fs::write(&path, "").unwrap();
        assert!(link(&path).unwrap_err().sentence().contains("no symbolic link"));
    }
}

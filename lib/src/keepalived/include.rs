//! The files that a line of keepalived's configuration includes.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::brief;
use crate::root::Root;
use crate::{Error, Result};

/// How many files may be included; nobody has so many, but files that include each other may.
pub(super) const MOST: usize = 10_000;

/// Returns the files that the configuration at `path` includes by `pattern`, which is one for the directory of that file.
pub(super) fn matching(root: &Root, path: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let below = Path::new("/").join(root.below(path));
    let directory = below.parent().unwrap_or(Path::new("/"));
    let mut found = Vec::new();
    for pattern in alternatives(pattern)? {
        found.extend(glob_below(root, &directory.join(pattern).to_string_lossy())?);
    }
    Ok(found)
}

/// Returns the patterns that one with braces stands for: `{a,b}.conf` are two (GLOB_BRACE in glob(3)).
fn alternatives(pattern: &str) -> Result<Vec<String>> {
    let (mut done, mut open) = (Vec::new(), vec![pattern.to_owned()]);
    while let Some(text) = open.pop() {
        let Some((before, inside, behind)) = innermost(&text) else {
            done.push(text);
            continue;
        };
        open.extend(inside.split(',').rev().map(|part| format!("{before}{part}{behind}")));
        if open.len() + done.len() > MOST {
            return Err(Error::invalid(format!(
                "cannot tell what keepalived includes as {:?}: it stands for more than {MOST} files; mend that",
                brief(pattern)
            )));
        }
    }
    Ok(done)
}

/// Returns what is before, in and behind the first braces without others in them.
fn innermost(text: &str) -> Option<(&str, &str, &str)> {
    let (before, behind) = text.split_once('}')?;
    let (before, inside) = before.rsplit_once('{')?;
    Some((before, inside, behind))
}

/// Returns the files below `root` that an absolute pattern without braces matches, as glob(3) does.
fn glob_below(root: &Root, pattern: &str) -> Result<Vec<PathBuf>> {
    /// A longer one names no file (PATH_MAX in linux/limits.h).
    const LONGEST: usize = 4096;
    const OPTIONS: glob::MatchOptions = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let mut text = pattern.to_owned();
    // For glob(3) two stars are one; here they would be all directories below.
    while text.contains("**") {
        text = text.replace("**", "*");
    }
    let refuse = |why: &str| {
        Error::invalid(format!(
            "cannot tell what keepalived includes as {:?}: {why}; mend that",
            brief(&text)
        ))
    };
    if text.len() > LONGEST {
        return Err(refuse("it is too long to be a path"));
    }
    let below =
        format!("{}{text}", glob::Pattern::escape(root.path().to_string_lossy().trim_end_matches('/')));
    let paths = glob::glob_with(&below, OPTIONS).map_err(|error| refuse(error.msg))?;
    let fail = |error: glob::GlobError| {
        let path = error.path().display().to_string();
        Error::io("read", path)(io::Error::from(error))
    };
    paths.map(|path| path.map_err(fail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_alternatives_as_in_a_shell() {
        for (pattern, expected) in [
            ("a.conf", &["a.conf"] as &[&str]),
            ("{a,b}.conf", &["a.conf", "b.conf"]),
            ("{a,{b,c}d}", &["a", "bd", "cd"]),
            ("{a}", &["a"]),
            ("a}b{c", &["a}b{c"]),
        ] {
            let mut found = alternatives(pattern).unwrap();
            found.dedup();
            found.sort();
            assert_eq!(
                found.iter().collect::<std::collections::BTreeSet<_>>(),
                expected.iter().map(|text| text.to_string()).collect::<Vec<_>>().iter().collect(),
                "{pattern}"
            );
        }
        assert!(alternatives(&"{a,b}".repeat(40)).unwrap_err().sentence().len() < 300);
    }
}

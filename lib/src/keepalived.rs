//! The configuration of keepalived on this host (keepalived.conf(5)).

use std::path::Path;

use crate::Result;
use crate::file;

/// How deep files may include each other.
const DEPTH: usize = 8;

/// Returns the words of the configuration at `path` and of what it includes, braces among them; none if there is none.
pub(crate) fn words(path: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect(path, DEPTH, &mut found)?;
    Ok(found)
}

fn collect(path: &Path, depth: usize, found: &mut Vec<String>) -> Result<()> {
    let content = file::read(path)?.unwrap_or_default();
    for line in String::from_utf8_lossy(&content).lines() {
        let line = line.split(['#', '!']).next().unwrap_or_default().replace('{', " { ").replace('}', " } ");
        match line.trim().strip_prefix("include ") {
            Some(pattern) if depth > 0 => include(path, pattern.trim(), depth, found)?,
            _ => found.extend(line.split_whitespace().map(str::to_owned)),
        }
    }
    Ok(())
}

/// Reads what `include` names, a pattern beside the file that has it.
fn include(path: &Path, pattern: &str, depth: usize, found: &mut Vec<String>) -> Result<()> {
    let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern);
    for included in glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten() {
        collect(&included, depth - 1, found)?;
    }
    Ok(())
}

//! What keepalived on this host owns, by its configuration (keepalived.conf(5)).

mod service;

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::brief;
use crate::file;
use crate::root::Root;
use crate::{Error, Result};
pub(crate) use service::Service;

/// The main file.
pub(crate) const MAIN: &str = "/etc/keepalived/keepalived.conf";

/// How many files may be included; nobody has so many, but files that include each other may.
const MOST: usize = 10_000;

/// What a configuration lists.
#[derive(Debug, Default)]
struct Listed {
    addresses: BTreeSet<IpAddr>,
    services: BTreeSet<Service>,
}

/// Returns the addresses that keepalived takes away when it starts; none if it has no configuration.
pub(crate) fn owned_addresses(root: &Root) -> Result<BTreeSet<IpAddr>> {
    listed(root).map(|listed| listed.addresses)
}

/// Returns the virtual services that keepalived sets and takes away; none if it has no configuration.
pub(crate) fn services(root: &Root) -> Result<BTreeSet<Service>> {
    listed(root).map(|listed| listed.services)
}

fn listed(root: &Root) -> Result<Listed> {
    let mut files = Files { root, parts: vec![Part { path: root.at(MAIN), listing: false }], includes: 0 };
    let (mut found, mut known) = (Listed::default(), HashSet::new());
    let mut next = 0;
    while let Some(part) = files.parts.get(next).cloned() {
        next += 1;
        if let Some(file) = identity(&part.path)?
            && known.insert((file, part.listing))
        {
            files.read(&part, &mut found)?;
        }
    }
    Ok(found)
}

/// Returns what tells a file from others; nothing if there is none, or it is none of those that keepalived reads
/// (read_conf_file in its lib/parser.c), as a directory.
fn identity(path: &Path) -> Result<Option<(u64, u64)>> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file().then(|| (metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::path("read", path)(error)),
    }
}

/// A file, and whether its first words are within a list of addresses.
#[derive(Clone)]
struct Part {
    path: PathBuf,
    listing: bool,
}

/// The files to read, in the order in which they are named.
struct Files<'a> {
    root: &'a Root,
    parts: Vec<Part>,
    includes: usize,
}

impl Files<'_> {
    fn read(&mut self, part: &Part, found: &mut Listed) -> Result<()> {
        let content = file::foreign(&part.path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        found.services.extend(service::listed(&text));
        let mut listing = part.listing;
        for line in text.lines() {
            let line = line.split(['#', '!']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            if words.clone().next() == Some("include") {
                self.include(&part.path, words.nth(1).unwrap_or_default(), listing)?;
            }
            for word in words {
                let address = word.split('/').next().unwrap_or_default();
                found.addresses.extend(address.parse::<IpAddr>().ok().filter(|_| listing));
                listing = match word {
                    "virtual_ipaddress" | "virtual_ipaddress_excluded" => true,
                    "}" => false,
                    _ => listing,
                };
            }
        }
        Ok(())
    }

    /// Takes up what `include` names, a pattern beside the file that has it.
    fn include(&mut self, path: &Path, pattern: &str, listing: bool) -> Result<()> {
        let below = path.strip_prefix(self.root.path()).unwrap_or(path);
        let pattern = Path::new("/").join(below.parent().unwrap_or(Path::new(""))).join(pattern);
        let parts = matching(self.root, &pattern)?;
        self.includes += 1 + parts.len();
        if self.includes > MOST {
            return Err(Error::invalid(format!(
                "cannot tell which addresses keepalived on this host owns: {} includes more than {MOST} files; look for files that include each other",
                path.display()
            )));
        }
        self.parts.extend(parts.into_iter().map(|path| Part { path, listing }));
        Ok(())
    }
}

/// Returns the files below `root` that an absolute pattern matches, as glob(3) does.
fn matching(root: &Root, pattern: &Path) -> Result<Vec<PathBuf>> {
    /// A longer one names no file (PATH_MAX in linux/limits.h).
    const LONGEST: usize = 4096;
    const OPTIONS: glob::MatchOptions = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let mut text = pattern.to_string_lossy().into_owned();
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

    /// Returns the addresses that keepalived lists with these files beside its own, which is the first.
    fn addresses_in(files: &[(&str, &str)]) -> Result<Vec<String>> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join("etc/keepalived").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        owned_addresses(&Root::new(root.path())).map(|found| found.iter().map(ToString::to_string).collect())
    }

    const INSTANCE: &str = "vrrp_instance b { virtual_ipaddress { 192.0.2.15 } }\n";

    #[test]
    fn every_virtual_address_is_found_and_no_other() {
        let text = "vrrp_instance a {\n  unicast_src_ip 192.0.2.1\n  virtual_ipaddress {\n    192.0.2.10/24 dev eth0 label eth0:1\n    # 192.0.2.11\n    2001:db8::10\n    include vips\n  }\n  virtual_ipaddress_excluded { 192.0.2.12 }\n  track { 192.0.2.13 }\n}\ninclude more/*.conf\n";
        let more = format!("virtual_ipaddress\n{{\n192.0.2.14\n}}\n{INSTANCE}");
        let found =
            addresses_in(&[("keepalived.conf", text), ("more/b.conf", &more), ("vips", "192.0.2.16\n")]);
        assert_eq!(
            found.unwrap(),
            ["192.0.2.10", "192.0.2.12", "192.0.2.14", "192.0.2.15", "192.0.2.16", "2001:db8::10"]
        );
        assert!(addresses_in(&[]).unwrap().is_empty());
    }

    #[test]
    fn files_that_include_each_other_or_a_directory_are_read_once() {
        let all = "include *\ninclude ./*\ninclude /etc/keepalived/**\ninclude ../keepalived/*.conf\n";
        let found = addresses_in(&[
            ("keepalived.conf", &format!("{all}{INSTANCE}")),
            ("a.conf", &format!("{all}virtual_ipaddress {{ 192.0.2.16 }}\n")),
            ("b/c.conf", "virtual_ipaddress { 192.0.2.17 }\n"),
            (".draft", "virtual_ipaddress { 192.0.2.18 }\n"),
        ]);
        assert_eq!(found.unwrap(), ["192.0.2.15", "192.0.2.16"]);
    }

    #[test]
    fn includes_without_end_are_refused_in_a_sentence() {
        let many = "include *\n".repeat(20_000);
        for (text, named) in [
            (many.as_str(), "includes more than 10000 files"),
            (&format!("include {}\n", "*a".repeat(100_000)), "too long to be a path"),
            ("include [\n", "cannot tell what keepalived includes"),
        ] {
            let why = addresses_in(&[("keepalived.conf", text)]).unwrap_err().sentence();
            assert!(why.contains(named) && why.len() < 400, "{why}");
        }
    }

    #[test]
    fn a_pipe_that_is_included_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/keepalived");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("keepalived.conf"), format!("include *\n{INSTANCE}")).unwrap();
        nix::unistd::mkfifo(&directory.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(owned_addresses(&Root::new(root.path())).unwrap().len(), 1);
    }
}

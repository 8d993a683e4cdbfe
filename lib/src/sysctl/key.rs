//! The name of a parameter.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::patterns;
use crate::Error;
use crate::error::brief;

/// The name of a parameter; what exists is a path that cannot leave /proc/sys and a name that cannot break a line.
/// A copy shares the text, as one task may carry hundreds of names through several states.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Rc<str>);

/// The longest name, in bytes; those of the kernel have a tenth of that.
const MOST: usize = 1000;

impl Key {
    /// Returns the path below /proc/sys.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// Returns the key of a path that was found on the host or in a file.
    pub(super) fn at(path: String) -> Self {
        Self(path.into())
    }

    /// Returns whether its value must not be shown where nobody asked for it.
    pub(super) fn is_secret(&self) -> bool {
        self.0.ends_with("/stable_secret") || &*self.0 == "net/ipv4/tcp_fastopen_key"
    }

    /// Returns whether it stands for every parameter that it matches, as in glob(7).
    pub fn is_pattern(&self) -> bool {
        is_pattern(&self.0)
    }
}

/// Returns whether what is at `path` stands for several parameters.
pub(super) fn is_pattern(path: &str) -> bool {
    path.bytes().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Returns the path of a parameter of an interface, of which only the dots of the interface's name may be meant: such
/// paths have five parts (net/ipv4/devinet.c, net/core/neighbour.c).
fn with_interface(path: String) -> String {
    if path.split('/').count() <= 5 {
        return path;
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["net", family @ ("ipv4" | "ipv6" | "mpls"), kind @ ("conf" | "neigh"), interface @ .., name]
            if interface.len() > 1 =>
        {
            format!("net/{family}/{kind}/{}/{name}", interface.join("."))
        }
        _ => path,
    }
}

/// By path; most of what is compared is the same text, which then need not be read.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        if Rc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { compared(&self.0, &other.0) }
    }
}

/// Compares texts, eight bytes at once: paths begin alike, and musl's memcmp, which takes them byte by byte, was a third of the
/// time of a task with many.
fn compared(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut same = 0;
    for (one, other) in one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0) {
        let order = u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*other));
        if order.is_ne() {
            return order;
        }
        same += 8;
    }
    one[same..].cmp(&other[same..])
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Finds keys by their path.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Returns the path below /proc/sys that a name in a file or task means, by systemd's rule (sysctl.d(5)): the first
/// separator decides whether dots or slashes separate, and the other one is then part of a name.
pub(super) fn path_of(name: &str) -> String {
    let (separator, other) = match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'.') => ('.', '/'),
        _ => ('/', '.'),
    };
    if separator == '.'
        && !name.contains('/')
        && !name.contains("..")
        && !name.ends_with('.')
        && !name.starts_with('.')
    {
        return name.replace('.', "/");
    }
    let mut path = String::with_capacity(name.len());
    for part in name.split(separator).filter(|part| !part.is_empty()) {
        if !path.is_empty() {
            path.push('/');
        }
        match part.contains(other) && separator == '.' {
            true => path.push_str(&part.replace('/', ".")),
            false => path.push_str(part),
        }
    }
    path
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let name = given.trim();
        if name.len() > MOST {
            return Err(Error::invalid(format!(
                "cannot use the name {}: it is longer than {MOST} bytes, and no parameter's is; give a whole name like net.ipv4.ip_forward",
                brief(name)
            )));
        }
        let path = with_interface(path_of(name));
        if path.is_empty() {
            return Err(Error::invalid("name cannot be blank"));
        }
        match flaw(name, &path) {
            Some(why) => Err(Error::invalid(format!("cannot use the name {given:?}: {why}"))),
            None => Ok(Self::at(path)),
        }
    }
}

/// Returns why no parameter has a name, which is that of `path`.
fn flaw(name: &str, path: &str) -> Option<&'static str> {
    let is_unfit = |c: char| c == '=' || c.is_whitespace() || c.is_control();
    if path.starts_with(['-', '#', ';']) {
        Some("it begins with a sign that means something else in a file; take it away")
    } else if name.contains(is_unfit) {
        Some("no parameter has white space, control characters or = in its name; take them out")
    } else if !path.contains('/') {
        Some("it has one part only; give a whole name like net.ipv4.ip_forward")
    } else if path.split('/').next().is_some_and(|first| first.contains('.')) {
        Some("no parameter has a dot in the first part of its name; give one like net.ipv4.ip_forward")
    } else if path.split('/').any(|part| part == "." || part == "..") {
        Some("it leads out of /proc/sys; give a name like net.ipv4.ip_forward")
    } else if is_pattern(path) && (path.contains("**") || patterns::compiled(path).is_none()) {
        Some("it is no pattern that a boot understands; write one like net.ipv4.conf.*.rp_filter")
    } else {
        None
    }
}

/// The dotted form, in which a dot that belongs to a name is a slash.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let swap = |c| match c {
            '/' => '.',
            '.' => '/',
            other => other,
        };
        let has_dots = self.0.contains('.');
        let dotted = if has_dots { self.0.chars().map(swap).collect() } else { self.0.replace('/', ".") };
        f.write_str(&dotted)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of systemd's own test-sysctl-util.c.
    #[test]
    fn names_mean_what_systemd_takes_them_for() {
        for (name, path) in [
            ("a.b.c", "a/b/c"),
            ("a/b/c", "a/b/c"),
            ("a/b.c/d", "a/b.c/d"),
            ("a.b/c.d", "a/b.c/d"),
            ("net.ipv4.conf.enp3s0/200.forwarding", "net/ipv4/conf/enp3s0.200/forwarding"),
            ("net/ipv4/conf/enp3s0.200/forwarding", "net/ipv4/conf/enp3s0.200/forwarding"),
            ("a...b...c", "a/b/c"),
            ("a///b///c", "a/b/c"),
            (".a...b...c", "a/b/c"),
            ("/a///b///c", "a/b/c"),
        ] {
            assert_eq!(path_of(name), path, "{name}");
        }
    }

    #[test]
    fn a_key_reads_back_from_its_dotted_form() {
        for name in ["net.ipv4.ip_forward", "net/ipv4/conf/eth0.100/arp_ignore"] {
            let key: Key = name.parse().unwrap();
            assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_paths() {
        let paths = [
            "a",
            "a/b",
            "a/b/c/d/e/f",
            "a/b/c/d/e/g",
            "a/b/c/d",
            "a/b/c/e",
            "a/b/c/\u{fc}",
            "b/b/c/d/e/f",
            "",
        ];
        for (one, other) in paths.iter().flat_map(|one| paths.map(|other| (*one, other))) {
            let keys = [one, other].map(|path| Key::at(path.into()));
            assert_eq!(keys[0].cmp(&keys[1]), one.cmp(other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_or_break_a_line_are_refused() {
        for name in [
            "",
            " ",
            "..",
            "net/../../etc/passwd",
            "a./.b",
            "-w net.ipv4.ip_forward=1",
            "-net.ipv4.ip_forward",
            "net.ipv4.ip_forward=1",
            "net.**.x",
            "net.[a",
            "/#/a",
            "one",
            "a\nb.c=1",
            "#a.b",
            ";a.b",
            "a.b\0c",
        ] {
            name.parse::<Key>().unwrap_err();
        }
    }
}

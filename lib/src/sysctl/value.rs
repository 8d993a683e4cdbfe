//! The value of a parameter, compared as the kernel would read it.

use std::net::Ipv6Addr;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer};

use super::Key;
use crate::ansible::{Text, truth_of};
use crate::{Error, Result};

/// The value of a parameter. Two are equal where the kernel makes no difference between them: white space,
/// hexadecimal and octal numbers, and lists of ranges have many spellings (lib/kstrtox.c, proc_do_large_bitmap).
#[derive(Clone, Debug)]
pub struct Setting {
    /// Shared, as a copy of it is in every state.
    text: Rc<str>,
    kind: Kind,
}

/// How the kernel reads a value.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Numbers, names and lists, with white space between.
    Words,
    /// To the letter.
    Verbatim,
    /// Groups of hexadecimal digits, with leading zeros or without (net/ipv4/sysctl_net_ipv4.c, `proc_tcp_fastopen_key`).
    Hexadecimal,
    /// A bit mask: groups of up to eight hexadecimal digits (lib/bitmap-str.c, `bitmap_parse`).
    Mask,
    /// Words in any order (net/ipv4/tcp_cong.c, `tcp_get_allowed_congestion_control`; kernel/seccomp.c).
    Set,
    /// How a director defends itself: by itself it goes from 1, when needed, to 2 and back
    /// (net/netfilter/ipvs/ip_vs_ctl.c, `update_defense_level`).
    Defence,
    /// An IPv6 address (net/ipv6/addrconf.c, `addrconf_sysctl_stable_secret`).
    Secret,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            "net/ipv4/tcp_fastopen_key" => Self::Hexadecimal,
            "net/core/flow_limit_cpu_bitmap" | "net/core/rps_default_mask" => Self::Mask,
            "net/ipv4/tcp_allowed_congestion_control" | "kernel/seccomp/actions_logged" => Self::Set,
            "net/ipv4/vs/drop_entry" | "net/ipv4/vs/drop_packet" | "net/ipv4/vs/secure_tcp" => Self::Defence,
            _ if path.ends_with("/stable_secret") => Self::Secret,
            _ if VERBATIM.contains(&path) => Self::Verbatim,
            _ => Self::Words,
        }
    }
}

/// Parameters that hold a text: what looks like a number or a word for truth in them is none.
const VERBATIM: [&str; 7] = [
    "kernel/core_pattern",
    "kernel/domainname",
    "kernel/hostname",
    "kernel/hotplug",
    "kernel/modprobe",
    "kernel/poweroff_cmd",
    // Takes on, off and ratelimit (kernel/printk/printk.c, `devkmsg_sysctl_set_loglvl`).
    "kernel/printk_devkmsg",
];

impl Setting {
    /// Returns the value of `key` that `text` means.
    pub fn new(key: &Key, text: &str) -> Self {
        Self { text: text.trim().into(), kind: Kind::of(key.path()) }
    }

    /// Returns the value as it was written or read, without the white space around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether `text` means the same value of `key`.
    pub(super) fn is(&self, key: &Key, text: &str) -> bool {
        *self.text == *text || *self == Self::new(key, text)
    }

    /// Returns the number that it is, if it is one.
    pub(super) fn number(&self) -> Option<i128> {
        integer(&self.text)
    }

    /// Returns whether a line with `text` brings this value about: behind a number the kernel stops reading at white space
    /// (kernel/sysctl.c, `do_proc_dointvec`), so what follows it there, like a remark, does not count.
    pub(super) fn is_loaded_by(&self, key: &Key, text: &str) -> bool {
        if self.is(key, text) {
            return true;
        }
        let count = self.text.split_whitespace().count();
        let numbers = count > 0 && self.text.split_whitespace().all(|word| integer(word).is_some());
        let first: Vec<&str> = text.split_whitespace().take(count).collect();
        matches!(self.kind, Kind::Words) && numbers && *self == Self::new(key, &first.join(" "))
    }

    fn canonical(&self) -> Vec<String> {
        match self.kind {
            Kind::Verbatim => vec![self.text.to_string()],
            Kind::Hexadecimal => vec![hexadecimal(&self.text)],
            Kind::Secret => {
                vec![self.text.parse::<Ipv6Addr>().map_or(self.text.to_string(), |secret| secret.to_string())]
            }
            Kind::Mask => vec![mask(&self.text)],
            Kind::Set => {
                let mut words: Vec<String> = self.text.split_whitespace().map(String::from).collect();
                words.sort_unstable();
                words
            }
            Kind::Defence if integer(&self.text) == Some(2) => vec!["1".into()],
            Kind::Words | Kind::Defence => self.text.split_whitespace().map(canonical_word).collect(),
        }
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || self.canonical() == other.canonical()
    }
}

/// A value as YAML gives it: a scalar, or a list of them.
#[derive(Clone, Debug)]
pub(super) enum Words {
    One(Text),
    List(Vec<Text>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let words = match value {
            serde_json::Value::Array(_) => Vec::deserialize(value).map(Self::List),
            _ => Text::deserialize(value).map(Self::One),
        };
        words.map_err(serde::de::Error::custom)
    }
}

/// Parameters whose lists have commas between; those of all others have white space.
const WITH_COMMAS: [&str; 4] = [
    "kernel/watchdog_cpumask",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/tcp_fastopen_key",
    "net/ipv4/vs/est_cpulist",
];

/// The longest value, in bytes: room for the longest list, every second port with five digits and a comma each.
pub(super) const MOST: usize = 256 << 10;

/// Returns the value of `key` that a person means, or why it cannot be one.
pub(super) fn checked(key: &Key, words: &Words) -> Result<String> {
    let comma = if WITH_COMMAS.contains(&key.path()) { "," } else { " " };
    let text = match words {
        Words::One(word) => meant(key, &word.0),
        Words::List(words) => words.iter().map(|word| meant(key, &word.0)).collect::<Vec<_>>().join(comma),
    };
    if text.len() > MOST {
        return Err(Error::invalid(format!(
            "cannot set {key}: its value is longer than {} KiB, and the kernel takes no such value; give a shorter one",
            MOST >> 10
        )));
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(Error::invalid(format!(
            "cannot set {key}: its value has a line break or a zero byte in it; take it out"
        )));
    }
    Ok(text)
}

/// Returns a word without the white space around it; a word for truth, as the task and ansible.posix.sysctl take it, as the digit that it
/// means to a parameter.
fn meant(key: &Key, word: &str) -> String {
    let word = word.trim();
    match truth_of(word) {
        Some(truth) if !VERBATIM.contains(&key.path()) => u8::from(truth).to_string(),
        _ => word.into(),
    }
}

/// Returns the kernel's spelling of a list of keys, each four groups of eight hexadecimal digits.
fn hexadecimal(text: &str) -> String {
    let group = |group: &str| format!("{:0>8}", group.to_lowercase());
    let key = |key: &str| key.split('-').map(group).collect::<Vec<_>>().join("-");
    text.split(',').map(key).collect::<Vec<_>>().join(",")
}

/// Returns a bit mask without the zeros in front.
fn mask(text: &str) -> String {
    let group = |group: &str| format!("{:0>8}", group.to_lowercase());
    let digits: String = text.split(',').map(group).collect();
    digits.trim_start_matches('0').to_owned()
}

/// Returns the one spelling of a word that stands for all that mean the same.
fn canonical_word(word: &str) -> String {
    match (integer(word), ranges(word)) {
        (Some(number), _) => number.to_string(),
        (None, Some(ranges)) => spelled(&ranges),
        (None, None) => word.to_owned(),
    }
}

/// Returns the number that a C literal of any base means (simple_strtoul with base 0).
fn integer(word: &str) -> Option<i128> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    // from_str_radix would take a second sign.
    let first = digits.chars().next()?;
    if !first.is_ascii_hexdigit() {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().map(|number| sign * number)
}

/// Returns the number with which `text` begins.
pub(super) fn leading_number(text: &str) -> Option<i128> {
    integer(text.split_whitespace().next()?)
}

/// Returns whether both are one text, or begin with one number.
pub(super) fn same_number(one: &str, other: &str) -> bool {
    one == other || leading_number(one).is_some_and(|number| leading_number(other) == Some(number))
}

/// Returns the ranges of a list like `1,3-5`, sorted and joined, as the kernel shows a bitmap.
fn ranges(word: &str) -> Option<Vec<(u64, u64)>> {
    let mut ranges = word.split(',').map(range).collect::<Option<Vec<_>>>()?;
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    Some(joined)
}

fn range(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| match text.strip_prefix('0') {
        Some("") => Some(0),
        // Octal in other places, and never what the kernel shows.
        Some(_) => None,
        None => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?,
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

fn spelled(ranges: &[(u64, u64)]) -> String {
    let words: Vec<String> = ranges
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let key: Key = "net.ipv4.some_key".parse().unwrap();
        Setting::new(&key, a) == Setting::new(&key, b)
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        for (asked, read) in [
            ("1", " 1\n"),
            ("4096 87380  6291456", "4096\t87380\t6291456\n"),
            ("0x2", "2"),
            ("010", "8"),
            ("0X1F", "31"),
            ("-1", "-1"),
            ("1,2,3", "1-3"),
            ("3,2,1", "1-3"),
            ("1-3,5,4", "1-5"),
            ("8080,8080", "8080"),
            ("1-1", "1"),
            ("1,2-5,10-20", "1-5,10-20"),
            ("00", "0"),
            ("", "\n"),
        ] {
            assert!(same(asked, read), "{asked:?} {read:?}");
        }
    }

    #[test]
    fn different_values_are_not_equal() {
        for (asked, read) in [
            ("1", "0"),
            ("1 2", "12"),
            ("1 2", "1"),
            ("010", "10"),
            ("1-3", "1,3"),
            ("cubic", "CUBIC"),
            ("08", "8"),
            ("+1", "1"),
            ("--1", "1"),
            ("-0x1", "1"),
            ("", "0"),
            ("1", "true"),
        ] {
            assert!(!same(asked, read), "{asked:?} {read:?}");
        }
    }

    #[test]
    fn a_text_is_compared_to_the_letter() {
        let key: Key = "kernel.hostname".parse().unwrap();
        assert_ne!(Setting::new(&key, "010"), Setting::new(&key, "8"));
        assert_eq!(meant(&key, "on"), "on");
    }

    #[test]
    fn keys_and_secrets_are_compared_as_the_kernel_spells_them() {
        for (name, asked, read) in [
            ("net.ipv4.tcp_fastopen_key", "DEADBEEF-1-2-3", "deadbeef-00000001-00000002-00000003"),
            ("net.ipv6.conf.v0.stable_secret", "::1", "0000:0000:0000:0000:0000:0000:0000:0001"),
        ] {
            let key: Key = name.parse().unwrap();
            assert_eq!(Setting::new(&key, asked), Setting::new(&key, read));
        }
    }

    #[test]
    fn what_the_kernel_shows_otherwise_than_it_was_written_is_equal() {
        for (name, asked, read, equal) in [
            ("net.ipv4.vs.drop_entry", "1", "2", true),
            ("net.ipv4.vs.secure_tcp", "2", "1", true),
            ("net.ipv4.vs.drop_packet", "1", "3", false),
            ("net.ipv4.vs.drop_packet", "0", "1", false),
            ("net.core.rps_default_mask", "f", "0000000f", true),
            ("net.core.rps_default_mask", "0", "00000000,00000000", true),
            ("net.core.rps_default_mask", "1,0000000f", "00000001,0000000f", true),
            ("net.core.rps_default_mask", "10", "1", false),
            ("net.ipv4.tcp_allowed_congestion_control", "cubic reno", "reno cubic", true),
            ("net.ipv4.tcp_allowed_congestion_control", "cubic", "reno cubic", false),
            ("kernel.printk_devkmsg", "on", "1", false),
        ] {
            let key: Key = name.parse().unwrap();
            assert_eq!(Setting::new(&key, asked) == Setting::new(&key, read), equal, "{name} {asked} {read}");
        }
        assert_eq!(meant(&"kernel.printk_devkmsg".parse().unwrap(), "on"), "on");
    }

    #[test]
    fn a_list_is_written_as_its_parameter_has_lists() {
        let list = |name: &str, words: &[&str]| {
            let words = words.iter().map(|word| Text((*word).into())).collect();
            checked(&name.parse().unwrap(), &Words::List(words)).unwrap()
        };
        assert_eq!(list("net.ipv4.tcp_rmem", &["4096", "87380", "6291456"]), "4096 87380 6291456");
        assert_eq!(list("net.ipv4.ip_local_reserved_ports", &["80", "8080-8090"]), "80,8080-8090");
        assert_eq!(list("net.ipv4.ip_local_reserved_ports", &[]), "");
    }

    #[test]
    fn words_for_truth_become_digits() {
        let key: Key = "net.ipv4.ip_forward".parse().unwrap();
        for (word, digit) in [("yes", "1"), ("True", "1"), ("off", "0"), ("f", "0"), ("2", "2")] {
            assert_eq!(meant(&key, word), digit);
        }
    }

    #[test]
    fn a_value_that_would_break_the_line_is_refused() {
        let key: Key = "kernel.hostname".parse().unwrap();
        for value in ["a\nb=1", "a\0", "a\rb"] {
            checked(&key, &Words::One(Text(value.into()))).unwrap_err();
        }
    }
}

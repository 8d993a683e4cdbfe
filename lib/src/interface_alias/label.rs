//! The names of interfaces and labels.

use std::fmt;
use std::rc::Rc;

use crate::error::brief;
use crate::{Error, Result};

/// The signs that a name has which is kept for a boot.
pub(super) const SIGNS: &str = "_.-:@+";

/// The most bytes a label has (IFNAMSIZ in linux/if.h, without the zero at the end).
const LABEL_MAX: usize = 15;

/// The most bytes another name of an interface has (ALTIFNAMSIZ in linux/if.h, without the zero at the end).
const NAME_MAX: usize = 127;

/// A label: the interface's name, a colon and something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label(Rc<str>);

impl Label {
    /// Returns the label that a task names: behind the interface's colon, or in an option of its own, whole or the last part.
    pub(super) fn of(interface: &str, suffix: Option<&str>, option: Option<&str>) -> Result<Option<Self>> {
        let whole = |text: &str| match text.split_once(':') {
            Some(_) => text.to_owned(),
            None => format!("{interface}:{text}"),
        };
        let by_name = suffix.map(|suffix| format!("{interface}:{suffix}"));
        let by_option = option.map(whole);
        if let (Some(one), Some(other)) = (&by_name, &by_option)
            && one != other
        {
            return Err(Error::invalid(format!(
                "cannot use label {:?} for {:?}: name and label differ; give one of them",
                brief(other),
                brief(one)
            )));
        }
        by_name.or(by_option).map(|text| Self::checked(interface, text)).transpose()
    }

    fn checked(interface: &str, text: String) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use label {:?}: {why}", brief(&text))));
        match text.strip_prefix(interface).and_then(|rest| rest.strip_prefix(':')) {
            None => refuse(&format!("it is not of {interface}; begin it with {interface}:")),
            Some("") => refuse("nothing follows the colon; put a number or word there"),
            // The shortest name of an interface has one byte.
            Some(rest) if rest.len() > LABEL_MAX - "v:".len() => refuse(&format!(
                "the kernel takes labels of {LABEL_MAX} bytes; shorten what follows the colon"
            )),
            Some(rest) if rest.contains(|c: char| !c.is_ascii_graphic() || c == '/' || c == ':') => refuse(
                "only letters, digits and signs of ASCII, no slash and no second colon, may follow the first one; change it",
            ),
            _ => Ok(Self(text.into())),
        }
    }

    /// Returns the same label of the interface whose own name is `interface`, if it is short enough for the kernel.
    pub(super) fn on(&self, interface: &str) -> Result<Self> {
        let suffix = self.0.split_once(':').map_or("", |(_, suffix)| suffix);
        let label = format!("{interface}:{suffix}");
        if label.len() > LABEL_MAX {
            let length = label.len();
            return Err(Error::invalid(format!(
                "cannot use label {label:?}: it has {length} bytes and the kernel takes {LABEL_MAX}; shorten what follows the colon"
            )));
        }
        Ok(Self(label.into()))
    }

    /// Returns the whole label, as the kernel has it.
    pub(super) fn whole(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the interface in `eth0` or `eth0:1`, and what follows the colon.
pub(super) fn interface(name: &str) -> Result<(Rc<str>, Option<&str>)> {
    let name = name.trim();
    let (interface, suffix) = match name.split_once(':') {
        Some((interface, suffix)) => (interface, Some(suffix)),
        None => (name, None),
    };
    let refuse = |why: &str| Err(Error::invalid(format!("cannot use the name {:?}: {why}", brief(name))));
    if interface.is_empty() {
        return refuse("the interface is missing; give one like eth0 or eth0:1");
    }
    if [".", ".."].contains(&interface) {
        return refuse("that is a directory, and no interface has such a name; give one like eth0");
    }
    if interface.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        return refuse(
            "no interface has a slash, white space or a control character in its name; take it out",
        );
    }
    if interface.len() > NAME_MAX {
        return refuse(&format!("an interface's name has at most {NAME_MAX} bytes; shorten it"));
    }
    Ok((interface.into(), suffix))
}

/// Returns whether whatever reads a network manager's files takes `name` for a name and for nothing else. ifupdown hands
/// it to a shell, systemd joins lines that end in a backslash, and each program has options, so this is what is known
/// to be harmless: letters and digits of any language, and [`SIGNS`], but none that hides a file or begins an option.
pub(super) fn is_plain(name: &str) -> bool {
    let is_harmless = |c: char| c.is_alphanumeric() || SIGNS.contains(c);
    !name.starts_with(['-', '.']) && name.chars().all(is_harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_wherever_it_is_written() {
        for (name, option, label) in [
            ("eth0", None, None),
            ("eth0:1", None, Some("eth0:1")),
            ("eth0", Some("1"), Some("eth0:1")),
            ("eth0", Some("eth0:vip"), Some("eth0:vip")),
            ("eth0:1", Some("1"), Some("eth0:1")),
        ] {
            let (interface, suffix) = interface(name).unwrap();
            let found = Label::of(&interface, suffix, option).unwrap();
            assert_eq!(found.as_ref().map(Label::whole), label);
        }
    }

    #[test]
    fn names_and_labels_that_no_kernel_should_get_are_refused() {
        let long = "x".repeat(128);
        for name in [
            "",
            ":1",
            ".",
            "..:1",
            "a/b",
            "a b",
            &long,
            "eth0:",
            "eth0:a b",
            "eth0:1:2",
            "eth0:ü",
            "enp0s31f6.1000:1",
        ] {
            let label = interface(name).and_then(|(interface, suffix)| {
                Label::of(&interface, suffix, None)?.map(|label| label.on(&interface)).transpose()
            });
            label.unwrap_err();
        }
        Label::of("eth0", None, Some("eth1:1")).unwrap_err();
        Label::of("eth0", Some("1"), Some("2")).unwrap_err();
    }

    #[test]
    fn a_long_label_is_refused_before_it_is_looked_up_and_in_a_short_sentence() {
        let long = "*".repeat(100_000);
        for (suffix, option) in [(Some(&*long), None), (None, Some(&*long))] {
            let why = Label::of("eth0", suffix, option).unwrap_err().sentence();
            assert!(why.contains("the kernel takes labels of 15 bytes") && why.len() < 250, "{why}");
        }
        assert!(interface(&long).unwrap_err().sentence().len() < 250);
    }

    #[test]
    fn a_plain_name_is_one_to_every_reader() {
        for name in [
            "lo",
            "eth0",
            "eth0.100",
            "br-lan",
            "wlp2s0",
            "enp0s31f6np0",
            "veth1@x",
            "größe",
            "eth0:vip_1",
            "a+b",
        ] {
            assert!(is_plain(name), "{name}");
        }
        for sign in "!\"#$%&'()*,/;<=>?[\\]^`{|}~ \t\n\u{1b}\u{7f}\u{a0}\u{202e}\u{fffd}".chars() {
            assert!(!is_plain(&format!("eth0:a{sign}b")), "{sign:?}");
        }
        assert!(!is_plain("-a") && !is_plain(".a"));
    }
}

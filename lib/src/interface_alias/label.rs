//! The names of interfaces and labels.

use std::fmt;
use std::rc::Rc;

use crate::{Error, Result};

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
                "cannot use label {other} for {one}: name and label differ; give one of them"
            )));
        }
        by_name.or(by_option).map(|text| Self::checked(interface, text)).transpose()
    }

    fn checked(interface: &str, text: String) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("cannot use label {text}: {why}")));
        match text.strip_prefix(interface).and_then(|rest| rest.strip_prefix(':')) {
            None => refuse(&format!("it is not of {interface}; begin it with {interface}:")),
            Some("") => refuse("nothing follows the colon; put a number or word there"),
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
                "cannot use label {label}: it has {length} bytes and the kernel takes {LABEL_MAX}; shorten what follows the colon"
            )));
        }
        Ok(Self(label.into()))
    }

    /// Returns the whole label, as the kernel has it.
    pub(super) fn text(&self) -> &str {
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
    let refuse = |why: &str| Err(Error::invalid(format!("cannot use the name {name:?}: {why}")));
    if interface.is_empty() {
        return refuse("the interface is missing; give one like eth0 or eth0:1");
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
            assert_eq!(found.as_ref().map(Label::text), label);
        }
    }

    #[test]
    fn names_and_labels_that_no_kernel_should_get_are_refused() {
        let long = "x".repeat(128);
        for name in
            ["", ":1", "a/b", "a b", &long, "eth0:", "eth0:a b", "eth0:1:2", "eth0:ü", "enp0s31f6.1000:1"]
        {
            let label = interface(name).and_then(|(interface, suffix)| {
                Label::of(&interface, suffix, None)?.map(|label| label.on(&interface)).transpose()
            });
            label.unwrap_err();
        }
        Label::of("eth0", None, Some("eth1:1")).unwrap_err();
        Label::of("eth0", Some("1"), Some("2")).unwrap_err();
    }
}

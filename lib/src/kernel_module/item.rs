//! What a task about modules can change.

use std::fmt;
use std::rc::Rc;

use serde::{Serialize, Serializer};

/// A module or a parameter of one, in the kernel or in a file.
pub type Item = crate::resource::Item<Key>;

/// What tells an entry from the others of its layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    /// The module.
    pub module: Rc<str>,
    /// The parameter of it, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<Rc<str>>,
}

/// What an [`Item`] holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// The module is loaded, or a boot loads it.
    Loaded,
    /// The value of the parameter.
    Set(Rc<str>),
}

/// Equal where the kernel makes no difference: it prints Y and N for a truth value (kernel/params.c).
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        let plain = |value: &Self| match value {
            Self::Loaded => None,
            Self::Set(text) => Some(match &**text {
                "Y" | "y" | "true" => "1".to_owned(),
                "N" | "n" | "false" => "0".to_owned(),
                text => text.to_owned(),
            }),
        };
        plain(self) == plain(other)
    }
}

impl Key {
    /// Returns the key of a module itself.
    pub(super) fn of(module: &Rc<str>) -> Self {
        Self { module: module.clone(), parameter: None }
    }

    /// Returns the key of one of its parameters.
    pub(super) fn parameter(module: &Rc<str>, parameter: &Rc<str>) -> Self {
        Self { module: module.clone(), parameter: Some(parameter.clone()) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parameter {
            Some(parameter) => write!(f, "the parameter {parameter} of the module {}", self.module),
            None => write!(f, "the module {}", self.module),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded => f.write_str("loaded"),
            Self::Set(value) => value.fmt(f),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

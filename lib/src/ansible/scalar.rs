//! Scalars as YAML and `key=value` make them: a number may arrive as text, text as a number, a truth value as either.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// Text; a number or truth value counts as what a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

/// A truth value; also the words and digits that Ansible takes for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

/// A whole number that is not negative; also as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u32);

/// What the option `state` says of an item, as in every Ansible module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It should be there; the default.
    #[default]
    Present,
    /// It should not be there.
    Absent,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Bool(truth) => Ok(Self(truth.to_string())),
            other => Err(wrong("text", &other)),
        }
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        truth(&value).map(Self).ok_or_else(|| wrong("yes or no", &value))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| u32::try_from(number).ok())
            .map(Self)
            .ok_or_else(|| wrong("a whole number", &value))
    }
}

/// Returns the truth value of what Ansible takes for one (its BOOLEANS_TRUE and BOOLEANS_FALSE).
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(word) => truth_of(word),
        Value::Number(number) => truth_of(number.to_string().trim_end_matches(".0")),
        _ => None,
    }
}

/// Returns the truth value of a word that Ansible takes for one.
pub(crate) fn truth_of(word: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other));
    match word {
        _ if is_one_of(&["y", "yes", "on", "1", "true", "t"]) => Some(true),
        _ if is_one_of(&["n", "no", "off", "0", "false", "f"]) => Some(false),
        _ => None,
    }
}

fn wrong<E: Error>(wanted: &str, got: &Value) -> E {
    E::custom(format!("{got} is not {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn what_yaml_and_key_value_make_of_a_scalar_is_taken() {
        for (value, text) in
            [(json!("1"), "1"), (json!(1), "1"), (json!(true), "true"), (json!(-1.5), "-1.5")]
        {
            assert_eq!(from_value::<Text>(value).unwrap(), Text(text.into()));
        }
        for value in [json!(true), json!("Yes"), json!("on"), json!(1), json!("t")] {
            assert!(from_value::<Flag>(value).unwrap().0);
        }
        for value in [json!(false), json!("no"), json!("OFF"), json!(0), json!("n")] {
            assert!(!from_value::<Flag>(value).unwrap().0);
        }
        for value in [json!(24), json!("24"), json!(" 24 ")] {
            assert_eq!(from_value::<Number>(value).unwrap(), Number(24));
        }
    }

    #[test]
    fn what_is_no_such_scalar_is_refused_with_its_text() {
        let error = from_value::<Text>(json!(["a"])).unwrap_err().to_string();
        assert_eq!(error, r#"["a"] is not text"#);
        let error = from_value::<Flag>(json!("maybe")).unwrap_err().to_string();
        assert_eq!(error, r#""maybe" is not yes or no"#);
        for value in [json!(-1), json!(1.5), json!("x"), json!(4_294_967_296_u64), json!(true)] {
            from_value::<Number>(value).unwrap_err();
        }
    }
}

//! What must hold for whatever is given as a module's arguments.

use serde_json::Value;

use super::{failure, parse};
use crate::properties::{arguments_in, is_a_sentence};
use crate::{Error, interface_alias, sysctl, virtual_service};

/// Arguments, in JSON or in lines of which JSON is made, are taken, or refused with one sentence that makes a whole answer.
pub fn arguments(data: &[u8]) {
    let lines = std::str::from_utf8(data).ok().filter(|text| !text.starts_with(['{', '[']));
    let json = lines.map(|text| Value::Object(arguments_in(text)).to_string());
    let data = json.as_ref().map_or(data, String::as_bytes);
    parse::<sysctl::Task>(data).map_or_else(|error| is_refused_well(&error), drop);
    parse::<interface_alias::Task>(data).map_or_else(|error| is_refused_well(&error), drop);
    parse::<virtual_service::Task>(data).map_or_else(|error| is_refused_well(&error), drop);
}

fn is_refused_well(error: &Error) {
    is_a_sentence(error);
    assert!(!error.left_changes());
    let answer = failure(error).to_string();
    assert!(serde_json::from_str::<Value>(&answer).is_ok_and(|answer| answer["failed"] == true));
}

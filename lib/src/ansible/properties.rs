//! What must hold for whatever is given as a module's arguments.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{failure, parse};
use crate::properties::{arguments_in, is_a_sentence};
use crate::{Error, interface_alias, ipvs, kernel_module, sysctl, virtual_service};

/// Arguments, in JSON or in lines of which JSON is made, are taken, or refused with one sentence that makes a whole answer.
pub fn arguments(data: &[u8]) {
    let lines = std::str::from_utf8(data).ok().filter(|text| !text.starts_with(['{', '[']));
    let json = lines.map(|text| Value::Object(arguments_in(text)).to_string());
    let data = json.as_ref().map_or(data, String::as_bytes);
    are_taken_or_refused_well::<sysctl::Task>(data);
    are_taken_or_refused_well::<interface_alias::Task>(data);
    are_taken_or_refused_well::<virtual_service::Task>(data);
    are_taken_or_refused_well::<ipvs::Task>(data);
    are_taken_or_refused_well::<kernel_module::Task>(data);
}

fn are_taken_or_refused_well<T: DeserializeOwned>(data: &[u8]) {
    parse::<T>(data).map_or_else(|error| is_refused_well(&error), drop);
}

fn is_refused_well(error: &Error) {
    is_a_sentence(error);
    assert!(!error.left_changes());
    let answer = failure(error).to_string();
    assert!(serde_json::from_str::<Value>(&answer).is_ok_and(|answer| answer["failed"] == true));
}

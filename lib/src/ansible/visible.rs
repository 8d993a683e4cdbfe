//! What a terminal would obey instead of showing it. JSON escapes are not enough: Ansible decodes and prints them.

use serde_json::Value;

/// Returns an answer with each sign that a terminal would obey as its escape, such as `\u{1b}`; line breaks and tabs stay.
pub(super) fn of(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(escape(text)),
        Value::Array(values) => values.into_iter().map(of).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (escape(key), of(value))).collect(),
        other => other,
    }
}

fn escape(text: String) -> String {
    if !text.contains(is_obeyed) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for sign in text.chars() {
        if is_obeyed(sign) {
            shown.extend(sign.escape_default());
        } else {
            shown.push(sign);
        }
    }
    shown
}

/// Returns whether a terminal obeys a sign: controls (ECMA-48), and what turns the direction of a line or ends one (UAX #9).
fn is_obeyed(sign: char) -> bool {
    match sign {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => sign.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_all_else_stays() {
        let answer = json!({"a\u{1b}[2J": ["\u{7}\r\u{9b}31m\u{7f}", {"b": "\u{202e}\u{2066}\u{200f}"}], "c": [1, true, null, "ü\t\n\\x"]});
        let shown = json!({"a\\u{1b}[2J": ["\\u{7}\\r\\u{9b}31m\\u{7f}", {"b": "\\u{202e}\\u{2066}\\u{200f}"}], "c": [1, true, null, "ü\t\n\\x"]});
        assert_eq!(of(answer), shown);
    }
}

//! What a terminal would obey instead of showing it. JSON escapes are not enough: Ansible decodes and prints them.

use serde_json::Value;

/// Puts in place of each sign that a terminal would obey its escape, such as `\u{1b}`; line breaks and tabs stay.
pub(super) fn make(value: &mut Value) {
    match value {
        Value::String(text) if !is_plain(text) => *text = escaped(text),
        Value::Array(values) => values.iter_mut().for_each(make),
        Value::Object(entries) => {
            entries.values_mut().for_each(make);
            if !entries.keys().all(|key| is_plain(key)) {
                *entries = std::mem::take(entries).into_iter().map(|(key, it)| (escaped(&key), it)).collect();
            }
        }
        _ => {}
    }
}

/// Returns whether there is nothing to escape; most is of ASCII, where that is seen at once.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || !text.contains(is_obeyed)
}

fn escaped(text: &str) -> String {
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
        let mut answer = json!({"a\u{1b}[2J": ["\u{7}\r\u{9b}31m\u{7f}", {"b": "\u{202e}\u{2066}\u{200f}"}], "c": [1, true, null, "ü\t\n\\x"]});
        let shown = json!({"a\\u{1b}[2J": ["\\u{7}\\r\\u{9b}31m\\u{7f}", {"b": "\\u{202e}\\u{2066}\\u{200f}"}], "c": [1, true, null, "ü\t\n\\x"]});
        make(&mut answer);
        assert_eq!(answer, shown);
    }
}

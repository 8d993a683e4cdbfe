//! Patterns in the order in which a boot reads them, and which of them decides about a parameter.

use std::collections::{BTreeSet, HashMap};

use glob::{MatchOptions, Pattern};

/// The letters with which a pattern begins and ends, before its first sign and behind its last one.
type Ends<'a> = (&'a [u8], &'a [u8]);

/// Patterns by the letters with which they begin and end, so that a name is tried with few of thousands.
pub(super) struct Patterns<'a, T> {
    by_ends: HashMap<Ends<'a>, Vec<(usize, Pattern, T)>>,
    /// How long those beginnings and ends are.
    lengths: BTreeSet<(usize, usize)>,
    count: usize,
}

impl<T> Default for Patterns<'_, T> {
    fn default() -> Self {
        Self { by_ends: HashMap::new(), lengths: BTreeSet::new(), count: 0 }
    }
}

impl<'a, T> Patterns<'a, T> {
    /// Adds a pattern behind all others; what is none matches nothing.
    pub(super) fn add(&mut self, text: &'a str, value: T) {
        let sign = |byte: &u8| b"*?[]".contains(byte);
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.iter().position(sign), bytes.iter().rposition(sign)) else {
            return;
        };
        let Ok(pattern) = Pattern::new(text) else { return };
        let ends = (&bytes[..first], &bytes[last + 1..]);
        self.lengths.insert((ends.0.len(), ends.1.len()));
        self.by_ends.entry(ends).or_default().push((self.count, pattern, value));
        self.count += 1;
    }

    /// Returns what belongs to the last pattern that matches `name`.
    pub(super) fn last_match<'s>(&'s self, name: &'s str) -> Option<&'s T> {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let bytes = name.as_bytes();
        let fitting = self.lengths.iter().filter(|(first, last)| first + last <= bytes.len());
        let alike = fitting
            .filter_map(|(first, last)| self.by_ends.get(&(&bytes[..*first], &bytes[bytes.len() - last..])));
        let matches = |(_, pattern, _): &&(usize, Pattern, T)| pattern.matches_with(name, options);
        let found = alike.filter_map(|patterns| patterns.iter().rev().find(matches));
        found.max_by_key(|(place, ..)| *place).map(|(.., value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_names_among_ten_thousand_patterns_take_no_minute() {
        let texts: Vec<String> = (0..10_000).map(|number| format!("net/ipv4/conf/*/key{number}")).collect();
        let mut patterns = Patterns::default();
        texts.iter().for_each(|text| patterns.add(text, text));
        let start = std::time::Instant::now();
        for (number, text) in texts.iter().enumerate() {
            let name = format!("net/ipv4/conf/eth{number}/key{number}");
            assert_eq!(patterns.last_match(&name), Some(&text));
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let patterns = ["a/*/c", "a/b/?", "*/b/c", "a/[bx]/c", "a/b*", "a/*", "*", "a/[!b]/c", "[", "a/*/c"];
        for count in 0..=patterns.len() {
            let mut tried = Patterns::default();
            patterns[..count].iter().enumerate().for_each(|(place, text)| tried.add(text, place));
            let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
            for name in ["a/b/c", "a/x/c", "a/y/c", "a/b", "a", "a/b/c/d"] {
                let matches = |text: &&str| Pattern::new(text).is_ok_and(|it| it.matches_with(name, options));
                let expected = patterns[..count].iter().rposition(matches);
                assert_eq!(tried.last_match(name), expected.as_ref(), "{name} of {:?}", &patterns[..count]);
            }
        }
    }
}

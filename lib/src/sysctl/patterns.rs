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
        let Some(pattern) = compiled(text) else { return };
        let ends = (&bytes[..first], &bytes[last + 1..]);
        self.lengths.insert((ends.0.len(), ends.1.len()));
        self.by_ends.entry(ends).or_default().push((self.count, pattern, value));
        self.count += 1;
    }

    /// Returns what belongs to each pattern that matches `name`, in the order in which they were added.
    pub(super) fn matching<'s>(&'s self, name: &'s str) -> Vec<&'s T> {
        let bytes = name.as_bytes();
        let fitting = self.lengths.iter().filter(|(first, last)| first + last <= bytes.len());
        let alike = fitting
            .filter_map(|(first, last)| self.by_ends.get(&(&bytes[..*first], &bytes[bytes.len() - last..])));
        let mut found: Vec<_> = alike.flatten().filter(|(_, pattern, _)| fits(pattern, name)).collect();
        found.sort_unstable_by_key(|(place, ..)| *place);
        found.into_iter().map(|(.., value)| value).collect()
    }
}

/// Returns the pattern that a boot makes of `text`, nothing if it makes none: `[^a]` is `[!a]` there (glob(3) of glibc).
pub(super) fn compiled(text: &str) -> Option<Pattern> {
    Pattern::new(&text.replace("[^", "[!")).ok()
}

/// Returns whether a pattern matches, in which no sign stands for a slash.
pub(super) fn fits(pattern: &Pattern, name: &str) -> bool {
    pattern.matches_with(name, MatchOptions { require_literal_separator: true, ..MatchOptions::new() })
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
            assert_eq!(patterns.matching(&name), [&text]);
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn every_pattern_that_matches_is_found_in_order() {
        let patterns =
            ["a/*/c", "a/b/?", "*/b/c", "a/[bx]/c", "a/b*", "a/*", "*", "a/[!b]/c", "[", "a/[^b]/c"];
        let mut tried = Patterns::default();
        patterns.iter().enumerate().for_each(|(place, text)| tried.add(text, place));
        for (name, expected) in [
            ("a/b/c", &[0, 1, 2, 3][..]),
            ("a/x/c", &[0, 3, 7, 9]),
            ("a/y/c", &[0, 7, 9]),
            ("a/b", &[4, 5]),
            ("a", &[6]),
            ("a/b/c/d", &[]),
        ] {
            let found: Vec<usize> = tried.matching(name).into_iter().copied().collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

//! Patterns for keys.

/// The pattern that matches this text alone.
pub(super) fn exactly(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The pattern that matches all that begins with this text.
pub(super) fn all_after(text: &str) -> String {
    exactly(text) + "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_text_alone() {
        assert_eq!(exactly("a-b:"), "a-b:");
        assert_eq!(exactly("a*[b]"), "a\\*\\[b\\]");
        assert_eq!(exactly("a?^\\"), "a\\?\\^\\\\");
    }
}

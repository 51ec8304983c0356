//! Patterns for keys.

/// The pattern that matches this text alone.
pub(super) fn exactly(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
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

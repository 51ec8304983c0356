//! Quoting for the commands that are shown to people.

/// The text as one word of a POSIX shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The words that a shell makes of the text.
    pub(crate) fn words(text: &str) -> Vec<String> {
        let output = std::process::Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {text}")).output().unwrap();
        assert!(output.status.success(), "{text}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn a_shell_makes_the_same_text_of_a_word() {
        for text in ["", "plain-text_1.2", "a b", "it's", "$HOME `id` \"x\" \\", "*?[a]", "a\nb", "-é;&|<>(){}~#!"] {
            assert_eq!(words(&word(text)), [text]);
        }
        assert_eq!(word("perf-test"), "perf-test");
    }
}

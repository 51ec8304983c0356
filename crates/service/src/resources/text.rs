//! Small files of the kernel, read into one buffer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Larger than any file that is read here; a node with hundreds of devices or mounts has some of 100 KB.
const MOST: usize = 4 << 20;
/// What the buffer begins with: most files take one read.
const FIRST: usize = 8 << 10;

/// Reads files one after the other. The buffer is kept, so that reading every second allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<u8>);

impl Files {
    /// Reads a whole file.
    pub(super) fn bytes(&mut self, path: &Path) -> io::Result<&[u8]> {
        let mut file = File::open(path)?;
        let mut filled = 0;
        loop {
            if filled == self.0.len() {
                if filled >= MOST {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                self.0.resize((filled * 2).max(FIRST), 0);
            }
            match file.read(&mut self.0[filled..]) {
                Ok(0) => return Ok(&self.0[..filled]),
                Ok(read) => filled += read,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Reads a text; none if it can't be read or is not UTF-8.
    pub(super) fn text(&mut self, path: &Path) -> Option<&str> {
        std::str::from_utf8(self.bytes(path).ok()?).ok()
    }

    /// Reads a file that holds one number.
    pub(super) fn number(&mut self, path: &Path) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }
}

/// The number after a name at the start of a line, as in `nr_periods 7` or `read_bytes: 7`.
pub(super) fn value(text: &str, name: &str) -> Option<u64> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix([' ', ':', '\t']));
    values.next()?.trim().parse().ok()
}

/// The sum of several, if all are known.
pub(super) fn sum(values: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    values.into_iter().try_fold(0_u64, |total, value| Some(total.saturating_add(value?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_only_begins_like_another_is_not_it() {
        let text = "oom_kill_disable 1\noom_kill 2\noom 3\n";
        assert_eq!(["oom_kill", "oom", "oom_k"].map(|name| value(text, name)), [Some(2), Some(3), None]);
    }

    #[test]
    fn what_is_not_a_number_is_unknown() {
        for text in ["a x\n", "a -1\n", "a 1.5\n", "a\n", "a \n", "a 18446744073709551616\n", ""] {
            assert_eq!(value(text, "a"), None, "{text:?}");
        }
        assert_eq!(value("a 18446744073709551615", "a"), Some(u64::MAX));
        assert_eq!(sum([Some(1), None]), None);
    }

    #[test]
    fn a_long_file_is_read_whole_and_a_short_one_after_it_alone() {
        let path = std::env::temp_dir().join(format!("kapture-text-{}", std::process::id()));
        let mut files = Files::default();
        for length in [0, FIRST - 1, FIRST, FIRST + 1, 3 * FIRST, 1] {
            std::fs::write(&path, "x".repeat(length)).unwrap();
            assert_eq!(files.text(&path).map(str::len), Some(length));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.text(&path), None);
    }
}

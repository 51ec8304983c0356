//! `/proc/PID/stat`: who a process is, and what it used.

use std::fs;
use std::path::Path;

use super::node::TICK_US;

/// Which process a number in `/proc` belongs to: numbers are used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its short name, as `/proc/PID/stat` has it: at most 15 bytes.
    pub name: String,
    /// The number of its parent.
    pub parent: u32,
    /// When it started, in microseconds since the node did.
    pub started_us: u64,
    /// It has ended, and only its parent doesn't know yet.
    pub is_zombie: bool,
}

/// Reads who runs in a directory of `/proc`.
pub fn identity(process: &Path) -> Option<Identity> {
    let bytes = fs::read(process.join("stat")).ok()?;
    let stat = Stat::parse(&bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b')')?;
    let begin = bytes.iter().position(|byte| *byte == b'(')?;
    Some(Identity {
        name: String::from_utf8_lossy(bytes.get(begin + 1..end)?).into_owned(),
        parent: stat.parent,
        started_us: stat.started_ticks.saturating_mul(TICK_US),
        is_zombie: stat.is_zombie,
    })
}

/// Fields of `/proc/PID/stat`; the sums are with the ended children that the process has waited for.
#[derive(Debug)]
pub(super) struct Stat {
    pub(super) is_zombie: bool,
    pub(super) parent: u32,
    pub(super) major_faults: u64,
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    pub(super) started_ticks: u64,
}

impl Stat {
    /// The name, which may contain spaces and brackets, is the only field in brackets; after it the fields are numbers.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().rposition(|byte| *byte == b')')?;
        let mut words = str::from_utf8(&bytes[end + 1..]).ok()?.split_ascii_whitespace();
        let is_zombie = words.next()? == "Z";
        let fields: Vec<&str> = words.take(19).collect();
        let field = |n: usize| fields.get(n)?.parse::<u64>().ok();
        Some(Self {
            is_zombie,
            parent: field(0)?.try_into().ok()?,
            major_faults: field(8)?.saturating_add(field(9)?),
            user_ticks: field(10)?.saturating_add(field(12)?),
            system_ticks: field(11)?.saturating_add(field(13)?),
            started_ticks: field(18)?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::resources::tree::TestTree;

    /// `stat` of a process: `cpu` ticks in the programs, as many in the kernel, and as many of ended children.
    pub(in crate::resources) fn stat(name: &str, state: char, parent: u32, cpu: u64, started: u64) -> String {
        format!(
            "7 ({name}) {state} {parent} 1 1 0 -1 4194560 9 9 {cpu} {cpu} {cpu} {cpu} {cpu} {cpu} 20 0 3 0 {started} 1 1\n"
        )
    }

    #[test]
    fn a_name_may_be_anything() {
        let tree = TestTree::new("names");
        for name in ["postgres: a b", ") Z 1 (", "", "((", "a\nb"] {
            tree.file("7/stat", stat(name, 'S', 3, 1, 250));
            let expected = Identity { name: name.to_owned(), parent: 3, started_us: 2_500_000, is_zombie: false };
            assert_eq!(identity(&tree.path("7")), Some(expected), "{name:?}");
        }
        let mut bytes = stat("?", 'Z', 3, 1, 250).into_bytes();
        bytes[3] = 0xff;
        tree.file("7/stat", bytes);
        assert!(identity(&tree.path("7")).is_some_and(|identity| identity.is_zombie && identity.name == "\u{fffd}"));
    }

    #[test]
    fn a_stat_that_is_cut_off_is_nobody() {
        let tree = TestTree::new("cut");
        let whole = stat("java", 'S', 3, 1, 250);
        let least = whole.rfind(" 250").unwrap() + 1;
        for length in 0..least {
            tree.file("7/stat", &whole[..length]);
            assert_eq!(identity(&tree.path("7")), None, "{:?}", &whole[..length]);
        }
    }
}

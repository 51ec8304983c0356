//! Reading `kapture.results`: the newest results, in bounded memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::topic_partition_list::Offset;
use serde::Deserialize;
use tracing::warn;

use super::{KEPT, RunName, RunResult, VERSION};
use crate::Config;
use crate::read::EndReader;

/// Bytes that are kept in memory; beyond them the oldest results are left out.
const BYTES: usize = 16 << 20;
/// Characters of a verdict that another version wrote.
const WORD: usize = 40;

/// A result on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose it is.
    pub name: RunName,
    /// What it is.
    pub content: Content,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A result.
    Result(Box<RunResult>),
    /// Something that this version can't read as a whole.
    Foreign {
        /// The verdict, if that can be read.
        verdict: Option<String>,
        /// Why no more is shown, and what to do.
        remark: String,
    },
}

/// The newest results, the newest first. Blocks; an end that isn't reached within `limit` is an error.
pub fn read(config: &Config, limit: Duration) -> anyhow::Result<Vec<Kept>> {
    let mut newest = Newest::default();
    EndReader::sparing(config)?.read(&config.names().results(), Offset::Beginning, limit, |message| {
        newest.take(message.offset(), message.key().unwrap_or_default(), message.payload());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(newest.by_offset.into_values().rev().collect())
}

#[derive(Debug, Default)]
struct Newest {
    by_offset: BTreeMap<i64, Kept>,
}

impl Newest {
    /// Takes the next record of the log.
    fn take(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) {
        let name = match RunName::try_from(String::from_utf8_lossy(key).into_owned()) {
            Ok(name) => name,
            Err(why) => return warn!("leaving out a result: {why}"),
        };
        self.by_offset.retain(|_, kept| kept.name != name);
        let Some(value) = value else { return };
        self.by_offset.insert(offset, Kept { content: Content::parse(value), name });
        while self.by_offset.len() > KEPT || self.bytes() > BYTES && self.by_offset.len() > 1 {
            self.by_offset.pop_first();
        }
    }

    fn bytes(&self) -> usize {
        self.by_offset.values().map(|kept| kept.content.bytes()).sum()
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    verdict: Option<String>,
    kapture: Option<String>,
}

impl Content {
    fn parse(value: &[u8]) -> Self {
        let Ok(head) = serde_json::from_slice::<Head>(value) else {
            let remark = "its record is not a result: delete it, or run the benchmark again under this name".to_owned();
            return Self::Foreign { verdict: None, remark };
        };
        match serde_json::from_slice::<RunResult>(value) {
            Ok(result) if result.version == VERSION => return Self::Result(Box::new(result)),
            _ => {}
        }
        let short = |text: String| text.chars().take(WORD).collect::<String>();
        let by =
            head.kapture.map_or_else(|| "another version of Kapture".to_owned(), |by| format!("Kapture {}", short(by)));
        let remark = format!(
            "it was written by {by}, in a form that this exporter can't read: use the exporter of that version"
        );
        Self::Foreign { verdict: head.verdict.map(short), remark }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Result(result) => result.bytes(),
            Self::Foreign { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::result;
    use super::*;

    fn names(newest: &Newest) -> Vec<&str> {
        newest.by_offset.values().rev().map(|kept| kept.name.as_str()).collect()
    }

    fn put(newest: &mut Newest, offset: i64, key: &str, bytes: usize) {
        let value = serde_json::to_vec(&result("PASS", offset, bytes, 0)).unwrap();
        newest.take(offset, key.as_bytes(), Some(&value));
    }

    #[test]
    fn the_newest_are_kept_by_number_and_by_bytes() {
        let mut newest = Newest::default();
        for n in 0..60 {
            put(&mut newest, n, &format!("run-{n}"), 10);
        }
        assert_eq!((names(&newest).len(), names(&newest)[0], names(&newest)[49]), (50, "run-59", "run-10"));
        for n in 60..72 {
            put(&mut newest, n, &format!("run-{n}"), 1_500_000);
        }
        assert!(newest.bytes() <= BYTES);
        assert_eq!((names(&newest).len(), names(&newest)[0]), (11, "run-71"));
    }

    #[test]
    fn a_second_run_of_a_name_replaces_the_first_and_one_that_was_deleted_is_gone() {
        let mut newest = Newest::default();
        for (offset, name) in [(0, "a"), (1, "b"), (2, "a"), (3, "c")] {
            put(&mut newest, offset, name, 10);
        }
        assert_eq!(names(&newest), ["c", "a", "b"]);
        newest.take(4, b"a", None);
        assert_eq!(names(&newest), ["c", "b"]);
    }

    #[test]
    fn a_key_that_is_not_a_name_is_left_out() {
        let mut newest = Newest::default();
        for key in ["", "../api/v1/state", "<img src=x onerror=alert(1)>", "a b"] {
            put(&mut newest, 0, key, 10);
        }
        newest.take(9, &[0xff, 0xfe], Some(b"{}"));
        assert!(newest.by_offset.is_empty());
    }

    fn foreign(value: &[u8]) -> (Option<String>, String) {
        match Content::parse(value) {
            Content::Foreign { verdict, remark } => (verdict, remark),
            Content::Result(result) => panic!("{result:?}"),
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_known_by_its_verdict_only() {
        let mut newer = serde_json::to_value(result("PASS", 1, 10, 10)).unwrap();
        newer["energy"] = json!({"joules": 7});
        let (verdict, remark) = foreign(newer.to_string().as_bytes());
        assert_eq!(verdict.as_deref(), Some("PASS"));
        assert!(remark.starts_with("it was written by Kapture 0.1.0, in a form that"), "{remark}");
        let next = json!({"version": 2, "verdict": "FAIL", "kapture": "0.9.0", "parts": []});
        let (verdict, remark) = foreign(next.to_string().as_bytes());
        assert_eq!(verdict.as_deref(), Some("FAIL"));
        assert!(remark.contains("Kapture 0.9.0, in a form that"), "{remark}");
        newer["version"] = json!(2);
        newer.as_object_mut().unwrap().remove("energy");
        assert_eq!(foreign(newer.to_string().as_bytes()).0.as_deref(), Some("PASS"), "a version of its own");
    }

    #[test]
    fn what_is_not_a_result_is_refused_with_a_sentence() {
        for value in ["", "7", "nonsense", "{\"verdict\": 7}"] {
            let (verdict, remark) = foreign(value.as_bytes());
            assert!(verdict.is_none() && remark.starts_with("its record is not a result"), "{value}: {remark}");
        }
        let long = json!({"verdict": "x".repeat(100_000)}).to_string();
        assert_eq!(foreign(long.as_bytes()).0.unwrap().len(), WORD);
    }
}

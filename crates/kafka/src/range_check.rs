//! What to do when a position is outside of what Kafka has of a log.

use std::fmt;
use std::time::{Duration, Instant};

use tracing::info;

use crate::{Error, Partition};

/// Rest before positions outside of a log are looked at, so that all of them are at once.
const CHECK_AFTER: Duration = Duration::from_millis(500);
/// A position may be beyond a log's end for a moment, while a new leader doesn't know the end yet.
const BEYOND_LIMIT: Duration = Duration::from_secs(15);

/// Looks after positions that Kafka refused to fetch from: those behind a log's start go on from there, and one that
/// stays beyond its log's end is an error.
#[derive(Debug, Default)]
pub struct RangeCheck {
    at: Option<Instant>,
    beyond_since: Option<Instant>,
}

/// Records that Kafka deleted before they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where.
    pub partition: Partition,
    /// The position.
    pub from: i64,
    /// Where the log now begins.
    pub to: i64,
}

impl Gap {
    /// How many offsets are gone.
    pub fn offsets(&self) -> u64 {
        (self.to - self.from).unsigned_abs()
    }
}

/// A position beyond the end of its log: Kafka lost what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Where.
    pub partition: Partition,
    /// The position.
    pub next: i64,
    /// Where the log ends.
    pub end: i64,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition: (topic, number), next, end } = self;
        write!(
            f,
            "is at offset {next} of {topic}/{number}, but kafka's log ends at {end}: kafka lost the end of that log, or \
             was emptied, and new records at those offsets would be left out"
        )
    }
}

/// What a check found; until there was one, nothing is to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// Kafka can't be asked, or a position is beyond a log's end as yet: it is looked at again.
    Wait,
    /// Fetching can begin again, behind these.
    Gaps(Vec<Gap>),
}

impl RangeCheck {
    /// Kafka has no such position in a log.
    pub fn refused(&mut self) {
        self.at.get_or_insert_with(|| Instant::now() + CHECK_AFTER);
    }

    /// Whether a check is due, or will be.
    pub fn is_pending(&self) -> bool {
        self.at.is_some()
    }

    /// Whether it is due now.
    pub fn is_due(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    /// Forgets what was refused: there are other positions.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Compares positions with the first offset of their logs and the one after the last.
    pub fn check(
        &mut self,
        positions: &[(Partition, i64)],
        ends: impl Fn(&Partition) -> Result<(i64, i64), Error>,
    ) -> Result<Checked, Beyond> {
        self.check_at(positions, ends, Instant::now())
    }

    fn check_at(
        &mut self,
        positions: &[(Partition, i64)],
        ends: impl Fn(&Partition) -> Result<(i64, i64), Error>,
        now: Instant,
    ) -> Result<Checked, Beyond> {
        self.at = Some(now + CHECK_AFTER);
        let (mut gaps, mut beyond) = (Vec::new(), None);
        for (partition, next) in positions {
            let (partition, next) = (partition.clone(), *next);
            match ends(&partition) {
                Ok((first, _)) if next < first => gaps.push(Gap { partition, from: next, to: first }),
                Ok((_, end)) if next > end => beyond = Some(Beyond { partition, next, end }),
                Ok(_) => {}
                Err(err) => {
                    info!("waiting to learn where kafka's logs begin and end: {err}");
                    return Ok(Checked::Wait);
                }
            }
        }
        let Some(beyond) = beyond else {
            self.forget();
            return Ok(Checked::Gaps(gaps));
        };
        let since = *self.beyond_since.get_or_insert(now);
        if now.saturating_duration_since(since) > BEYOND_LIMIT { Err(beyond) } else { Ok(Checked::Wait) }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;

    fn one(next: i64) -> Vec<(Partition, i64)> {
        vec![(("sales".to_owned(), 3), next)]
    }

    #[test]
    fn a_position_behind_the_start_goes_on_from_there_and_says_how_much_is_gone() {
        let mut check = RangeCheck::default();
        check.refused();
        assert!(check.is_pending() && !check.is_due());
        let Ok(Checked::Gaps(gaps)) = check.check(&one(4), |_| Ok((10, 12))) else { panic!("{check:?}") };
        assert_eq!((gaps[0].to, gaps[0].offsets(), gaps.len()), (10, 6, 1));
        assert!(!check.is_pending());
        assert_eq!(check.check(&one(12), |_| Ok((10, 12))), Ok(Checked::Gaps(vec![])), "the end is inside");
    }

    #[test]
    fn a_position_beyond_the_end_is_an_error_if_it_stays_there() {
        let (mut check, begun) = (RangeCheck::default(), Instant::now());
        let mut at = |s: u64, end: i64| check.check_at(&one(1_000), |_| Ok((0, end)), begun + Duration::from_secs(s));
        assert_eq!(at(0, 900), Ok(Checked::Wait));
        assert_eq!(at(10, 1_000), Ok(Checked::Gaps(vec![])), "a new leader had not known the end yet");
        assert_eq!(at(20, 900), Ok(Checked::Wait));
        let words = at(36, 900).unwrap_err().to_string();
        assert!(words.starts_with("is at offset 1000 of sales/3, but kafka's log ends at 900"), "{words}");
    }

    #[test]
    fn a_kafka_that_is_away_is_waited_for() {
        let mut check = RangeCheck::default();
        let away = |_: &Partition| Err(KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure).into());
        assert_eq!(check.check(&one(1), away), Ok(Checked::Wait));
        assert!(check.is_pending());
    }
}

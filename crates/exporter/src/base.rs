//! The base of a stage's lag: what accepted − found is while nothing is on the way.
//!
//! A counter begins at 0 with each start of its program, and the totals hold what the exporter has heard of. So accepted −
//! found is the lag but for this constant: what one of the two sides counted unheard. An exporter that starts
//! later than a role was restarted has never heard what that role had counted before; of a program that was killed, the
//! last second is missing.
//!
//! No counter can tell the base. Kafka can: the true lag is at least 0, and at most what is left between what the groups on
//! the way to the stage have committed and the ends of the logs that they read. At each answer of Kafka's:
//!
//! - While counters may be missing (the exporter has just started, or an instance went without its last report since the
//!   base was found), the base must fit between those two. The one in use is kept if it does; 0 is next, which is right
//!   where all was heard; and where little is left, accepted − found as it is now. If none fits, the lag isn't known, and
//!   is absent. The base may then be wrong by the sales of two seconds, but no longer than until the pipeline rests: once
//!   logs that were read to their ends are followed by counters that don't move, accepted − found is the base.
//! - After that the counters are believed. What Kafka has is no reason to change them: a sale that is accepted and never
//!   found stays in the lag.

/// What is known of the base of a stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Base {
    value: Option<i64>,
    /// It was found at rest, when the programs of both sides had lost so many without a last report.
    found_at: Option<u64>,
    before: Option<Seen>,
}

/// The two sides of a stage, when Kafka answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) accepted: u64,
    pub(crate) found: u64,
    /// Records before the stage, as Kafka has it.
    pub(crate) left: u64,
    /// How far the counters may be apart from Kafka's offsets.
    pub(crate) slack: u64,
    /// Instances of both sides that went without a last report.
    pub(crate) lost: u64,
}

impl Base {
    /// Takes an answer of Kafka's.
    pub(crate) fn observe(&mut self, now: Seen) {
        let rested = self.before.is_some_and(|before| before.rested_until(&now));
        self.before = Some(now);
        if self.found_at == Some(now.lost) && self.lag(&now).is_some() {
            return;
        }
        if rested {
            (self.value, self.found_at) = (Some(now.difference()), Some(now.lost));
            return;
        }
        self.found_at = None;
        let caught_up = (now.left <= now.slack).then(|| now.difference());
        self.value = [self.value, Some(0), caught_up].into_iter().flatten().find(|base| now.fits(*base));
    }

    /// The lag at a moment; none if it isn't known.
    pub(crate) fn lag(&self, now: &Seen) -> Option<u64> {
        let lag = now.difference() - self.value?;
        // Checked above zero first: a little below it is 0.
        u64::try_from(lag).ok().or_else(|| (lag.unsigned_abs() <= now.slack).then_some(0))
    }
}

impl Seen {
    fn difference(&self) -> i64 {
        signed(self.accepted) - signed(self.found)
    }

    fn fits(&self, base: i64) -> bool {
        let lag = self.difference() - base;
        -signed(self.slack) <= lag && lag <= signed(self.left) + signed(self.slack)
    }

    /// Everything was read, and nothing has been counted since.
    fn rested_until(&self, later: &Self) -> bool {
        self.left == 0 && (self.accepted, self.found, self.lost) == (later.accepted, later.found, later.lost)
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(accepted: u64, found: u64, left: u64) -> Seen {
        Seen { accepted, found, left, slack: 100, lost: 0 }
    }

    /// The lag after some answers of Kafka's, at the last of them.
    fn lag(answers: &[Seen]) -> Option<u64> {
        let mut base = Base::default();
        for answer in answers {
            base.observe(*answer);
        }
        base.lag(answers.last().unwrap())
    }

    #[test]
    fn counters_that_were_heard_from_the_beginning_say_it_exactly() {
        assert_eq!(lag(&[seen(0, 0, 0), seen(5_000, 3_000, 2_000)]), Some(2_000));
        assert_eq!(lag(&[seen(50, 20, 30), seen(90_000, 20_000, 70_000)]), Some(70_000));
    }

    #[test]
    fn an_exporter_that_starts_after_a_role_was_restarted_shows_no_phantom() {
        // The role has counted 1,000 since its restart, and 80,000 before it.
        assert_eq!(lag(&[seen(81_000, 1_000, 20)]), Some(0));
        assert_eq!(lag(&[seen(81_000, 1_000, 20), seen(85_000, 2_000, 3_000)]), Some(3_000));
    }

    #[test]
    fn a_lag_that_was_there_before_the_exporter_is_not_guessed() {
        // 80,000 counted before it came, 30,000 left: neither is known by itself.
        assert_eq!(lag(&[seen(111_000, 1_000, 30_000)]), None);
        assert_eq!(lag(&[seen(111_000, 1_000, 30_000), seen(111_000, 30_990, 10)]), Some(0), "once it is caught up");
    }

    #[test]
    fn at_rest_the_base_is_exact() {
        let answers = [seen(9_990, 9_930, 50), seen(10_000, 9_940, 0), seen(10_000, 9_940, 0)];
        assert_eq!(lag(&answers[..2]), Some(60), "within two seconds of sales");
        assert_eq!(lag(&answers), Some(0), "everything was read, and nothing has moved since");
        assert_eq!(lag(&[&answers[..], &[seen(10_500, 10_040, 400)]].concat()), Some(400));
    }

    #[test]
    fn a_sale_that_is_never_found_stays_in_the_lag() {
        let rest = [seen(100, 100, 0), seen(100, 100, 0)];
        let lost = [seen(900, 599, 0), seen(900, 599, 0)];
        assert_eq!(lag(&[rest, lost].concat()), Some(301));
    }

    #[test]
    fn what_a_killed_program_counted_unheard_is_put_right_at_rest() {
        let killed = |seen: Seen| Seen { lost: 1, ..seen };
        let rest = [seen(100, 100, 0), seen(100, 100, 0)];
        // It had found 900 more when it was killed.
        let after = [killed(seen(9_000, 8_000, 100)), killed(seen(9_000, 8_100, 0)), killed(seen(9_000, 8_100, 0))];
        assert_eq!(lag(&[&rest[..], &after[..1]].concat()), Some(0), "no more is left, so that much was unheard");
        assert_eq!(lag(&[&rest[..], &after[..]].concat()), Some(0));
    }

    #[test]
    fn far_below_zero_it_is_absent_and_a_little_below_it_is_0() {
        let rest = [seen(100, 100, 0), seen(100, 100, 0)];
        assert_eq!(lag(&[&rest[..], &[seen(1_000, 1_090, 0)]].concat()), Some(0));
        assert_eq!(lag(&[&rest[..], &[seen(1_000, 5_000, 30_000)]].concat()), None);
    }
}

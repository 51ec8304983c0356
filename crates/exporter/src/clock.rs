//! How far the clock of a program is from this one's, as each poll tells: a report has the time at which it was made.

use std::collections::VecDeque;

use service::state;

/// Polls of which the best counts.
const POLLS: usize = 10;

/// The estimates of the last polls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(VecDeque<state::Clock>);

impl Clock {
    /// Takes a report made at `at_us` by its own clock, asked for and answered at these times by ours.
    pub(crate) fn take(&mut self, at_us: i64, asked_us: i64, answered_us: i64) {
        let Ok(round_trip_us) = u64::try_from(answered_us - asked_us) else {
            // Our own clock was set back meanwhile.
            self.0.clear();
            return;
        };
        let error_us = round_trip_us.div_ceil(2);
        self.0.push_back(state::Clock { offset_us: at_us - asked_us.midpoint(answered_us), error_us });
        if self.0.len() > POLLS {
            self.0.pop_front();
        }
    }

    /// The one with the shortest round trip.
    pub(crate) fn best(&self) -> Option<state::Clock> {
        self.0.iter().min_by_key(|estimate| estimate.error_us).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_of_the_last_ten_counts() {
        let mut clock = Clock::default();
        assert_eq!(clock.best(), None);
        // 250 ms ahead: the answer was on its way for 1 ms, the question for 5 ms.
        clock.take(1_255_000, 1_000_000, 1_006_000);
        assert_eq!(clock.best(), Some(state::Clock { offset_us: 252_000, error_us: 3_000 }));
        clock.take(2_250_500, 2_000_000, 2_001_000);
        clock.take(3_900_000, 3_000_000, 3_900_000);
        assert_eq!(clock.best(), Some(state::Clock { offset_us: 250_000, error_us: 500 }));
        for second in 4..14 {
            clock.take(second * 1_000_000, second * 1_000_000, second * 1_000_000 + 2_000);
        }
        assert_eq!(clock.best(), Some(state::Clock { offset_us: -1_000, error_us: 1_000 }), "older ones are forgotten");
    }

    #[test]
    fn an_own_clock_that_is_set_back_measures_nothing() {
        let mut clock = Clock::default();
        clock.take(1_000_000, 1_000_000, 1_000_010);
        clock.take(2_000_000, 2_000_000, 1_500_000);
        assert_eq!(clock.best(), None);
    }
}

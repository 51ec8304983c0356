//! Of which blocks the content is compared: of all, or of one in so many when the auditor can't keep up.

use std::time::Duration;

use petstore::BlockId;

use super::Audit;

/// At the most sparing, one block in so many is compared.
const SPAREST: u32 = 64;
/// With more records unread than this, half as many blocks are compared, and the account tells of it: a few seconds' worth at the rates that one
/// machine carries, so that a pause of the auditor doesn't count.
pub(super) const BEHIND: u64 = 200_000;
/// With fewer, twice as many.
const ABREAST: u64 = 20_000;

/// A look at all that a store has for us should take less than this. It rests for two seconds before the next.
const SLOW: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    one_in: u32,
    sparest: u32,
    /// As of the last look; the first one tells nothing.
    unread: u64,
    is_slow: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { one_in: 1, sparest: 1, unread: u64::MAX, is_slow: false }
    }
}

impl Sampling {
    /// Whether this block is one of those. The same for everybody who asks.
    pub(super) fn picks(&mut self, id: BlockId) -> bool {
        let BlockId { run, loader, block } = id;
        let mixed = [run, loader, block]
            .into_iter()
            .fold(0u64, |hash, number| (hash ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        let picked = mixed.is_multiple_of(u64::from(self.one_in));
        if !picked {
            self.sparest = self.sparest.max(self.one_in);
        }
        picked
    }

    /// Takes how many records are unread, asked for at regular times: a lag that shrinks is left alone.
    pub(super) fn adjust(&mut self, unread: u64) {
        if std::mem::take(&mut self.is_slow) || (unread > BEHIND && unread >= self.unread) {
            self.one_in = (self.one_in * 2).min(SPAREST);
        } else if unread < ABREAST {
            self.one_in = (self.one_in / 2).max(1);
        }
        self.unread = unread;
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.is_slow |= time > SLOW;
    }

    /// One block in how many is compared now, and was when one was left out at the most sparing.
    pub(super) fn one_in(&self) -> (u32, u32) {
        (self.one_in, self.sparest)
    }
}

impl Audit {
    /// Takes how long it took to compare all that a store had for us.
    pub(crate) fn comparing_took(&mut self, time: Duration) {
        self.sampling.took(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_grows_makes_the_comparison_sparing_and_its_end_makes_it_whole() {
        let mut sampling = Sampling::default();
        let mut one_in = |unread| {
            sampling.adjust(unread);
            sampling.one_in().0
        };
        assert_eq!(
            [100_000, 250_000, 300_000, 280_000, 150_000, 10_000, 0, 0].map(&mut one_in),
            [1, 2, 4, 4, 4, 2, 1, 1]
        );
        assert_eq!((0..20).map(|step| one_in(300_000 + step)).max(), Some(SPAREST));
        assert_eq!(sampling.one_in(), (SPAREST, 1));
        assert!((0..100).any(|block| !sampling.picks(BlockId { run: 7, loader: 3, block })));
        assert_eq!(sampling.one_in(), (SPAREST, SPAREST));
    }

    #[test]
    fn a_backlog_at_the_start_and_a_quick_store_change_nothing_and_a_slow_one_does() {
        let mut sampling = Sampling::default();
        sampling.adjust(5_000_000);
        sampling.took(SLOW);
        sampling.adjust(4_000_000);
        assert_eq!(sampling.one_in(), (1, 1));
        sampling.took(SLOW + Duration::from_secs(1));
        sampling.adjust(3_000_000);
        sampling.adjust(2_000_000);
        assert_eq!(sampling.one_in(), (2, 1));
    }

    #[test]
    fn one_block_in_so_many_is_picked() {
        let picked = |one_in| {
            let mut sampling = Sampling { one_in, ..Sampling::default() };
            (0..1_000).filter(|block| sampling.picks(BlockId { run: 7, loader: 3, block: *block })).count()
        };
        assert_eq!(picked(1), 1_000);
        assert!((150..350).contains(&picked(4)), "{}", picked(4));
        assert!((5..30).contains(&picked(64)), "{}", picked(64));
    }
}

//! A rate that changes with time: pieces in which it is the same or changes evenly, once or over and over. Exact: sales are
//! counted in whole numbers of a unit, so that a long load doesn't drift.

use crate::rate::Rate;

/// One sale, in the unit in which rate times time is a whole number: sales per million seconds times microseconds.
pub const SALE: u128 = 1_000_000_000_000;

/// The longest piece in which a rate changes, in microseconds: 31 days, so that the numbers fit.
pub const LONGEST_CHANGE_US: u64 = 31 * 86_400_000_000;

/// A stretch of time in which the rate goes evenly from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Sales in a million seconds, at its beginning.
    pub from: u64,
    /// The same at its end.
    pub to: u64,
    /// How long it is, in microseconds: one at least, and at most [`LONGEST_CHANGE_US`] if the rate changes.
    pub lasts_us: u64,
}

/// A rate over time, from 0 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    pieces: Vec<Begun>,
    /// What comes behind the pieces.
    then: Then,
    /// All pieces together.
    lasts_us: u64,
    units: u128,
}

/// What comes behind the pieces of a [`Curve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The last rate stays.
    Stays,
    /// They begin again.
    Repeats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    at_us: u64,
    /// What is due before it.
    before: u128,
    piece: Piece,
}

impl Piece {
    /// What is due in its first `us` microseconds.
    fn units(&self, us: u64) -> u128 {
        let (us, from, to) = (i128::from(us), i128::from(self.from), i128::from(self.to));
        let changed = ((to - from) * us * us).div_euclid(2 * i128::from(self.lasts_us));
        u128::try_from(from * us + changed).unwrap_or(0)
    }

    /// The microsecond of the piece in which so much is due, the last in which no more is.
    fn at(&self, units: u128) -> u64 {
        let (mut low, mut high) = (0, self.lasts_us);
        // With the guess, a few steps are enough; without, as many as the piece's length has bits.
        let guess = self.guess(units);
        let (least, most) = (guess.saturating_sub(8), guess.saturating_add(8));
        if most < high && self.units(most) > units {
            high = most;
        }
        if least < high && self.units(least) <= units {
            low = least;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.units(middle) <= units { low = middle } else { high = middle }
        }
        low
    }

    /// About the microsecond in which so much is due: the root of the quadratic equation, in the form that bears no change of
    /// the rate.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a guess")]
    fn guess(&self, units: u128) -> u64 {
        let (from, to, lasts) = (self.from as f64, self.to as f64, self.lasts_us as f64);
        let slope = (to - from) / lasts;
        let root = (from * from + 2.0 * slope * units as f64).max(0.0).sqrt();
        (2.0 * units as f64 / (from + root)) as u64
    }

    fn rate_at(&self, us: u64) -> u64 {
        let (us, from, to) = (i128::from(us.min(self.lasts_us)), i128::from(self.from), i128::from(self.to));
        u64::try_from(from + (to - from) * us / i128::from(self.lasts_us)).unwrap_or(0)
    }
}

impl Curve {
    /// The pieces one after the other, at least one.
    pub fn new(pieces: impl IntoIterator<Item = Piece>, then: Then) -> Self {
        let (mut lasts_us, mut units) = (0, 0);
        let begun = |piece: Piece| {
            let begun = Begun { at_us: lasts_us, before: units, piece };
            lasts_us += piece.lasts_us;
            units += piece.units(piece.lasts_us);
            begun
        };
        let pieces = pieces.into_iter().map(begun).collect();
        Self { pieces, then, lasts_us, units }
    }

    /// The rate at a time: microseconds.
    pub fn rate_at(&self, us: u64) -> Rate {
        let (_, us) = self.turn(us);
        let Begun { at_us, piece, .. } = self.piece(|begun| begun.at_us <= us);
        Rate::of_micro(piece.rate_at(us - at_us))
    }

    /// What is due until a time, of which [`SALE`] make a sale.
    pub fn units(&self, us: u64) -> u128 {
        let (turns, us) = self.turn(us);
        let Begun { at_us, before, piece } = self.piece(|begun| begun.at_us <= us);
        let us = us - at_us;
        let beyond = us.saturating_sub(piece.lasts_us);
        let stays = u128::from(beyond) * u128::from(piece.to);
        u128::from(turns) * self.units + before + piece.units(us.min(piece.lasts_us)) + stays
    }

    /// The microsecond in which so much is due: [`Self::units`] is no more than that, and a microsecond later it is more. None
    /// if it never is.
    pub fn at(&self, units: u128) -> Option<u64> {
        let (turns, rest) = match self.then {
            Then::Repeats => (units.checked_div(self.units)?, units % self.units),
            Then::Stays => (0, units),
        };
        let before = u64::try_from(turns).ok()?.checked_mul(self.lasts_us)?;
        if rest >= self.units {
            let beyond = (rest - self.units).checked_div(u128::from(self.pieces.last()?.piece.to))?;
            return self.lasts_us.checked_add(u64::try_from(beyond).ok()?);
        }
        let Begun { at_us, before: due, piece } = self.piece(|begun| begun.before <= rest);
        before.checked_add(at_us + piece.at(rest - due))
    }

    /// How often it has begun again by then, and for how long it has gone on since.
    fn turn(&self, us: u64) -> (u64, u64) {
        match self.then {
            Then::Repeats => (us / self.lasts_us, us % self.lasts_us),
            Then::Stays => (0, us),
        }
    }

    /// The last piece of which this is true; it is true of the first.
    fn piece(&self, is: impl Fn(&Begun) -> bool) -> &Begun {
        &self.pieces[self.pieces.partition_point(is).saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000;

    fn piece(from: u64, to: u64, lasts_us: u64) -> Piece {
        Piece { from: from * S, to: to * S, lasts_us }
    }

    #[test]
    fn a_ramp_is_half_as_much_as_its_end() {
        let curve = Curve::new([piece(0, 100, 10 * S)], Then::Stays);
        assert_eq!(curve.units(10 * S), 500 * SALE);
        assert_eq!(curve.units(20 * S), 1_500 * SALE);
        assert_eq!(curve.at(125 * SALE), Some(5 * S), "a quarter after half of the time");
        assert_eq!(curve.at(1_500 * SALE), Some(20 * S));
        assert_eq!([0, 5 * S, 10 * S, 99 * S].map(|us| curve.rate_at(us).micro() / S), [0, 50, 100, 100]);
    }

    #[test]
    fn what_repeats_begins_again_and_what_stops_is_never_due() {
        let spike = Curve::new([piece(10, 10, 9 * S), piece(100, 100, S)], Then::Repeats);
        assert_eq!(spike.units(10 * S), 190 * SALE);
        assert_eq!(spike.units(1_000_000 * S), 100_000 * 190 * SALE);
        assert_eq!(spike.at(190 * SALE + 90 * SALE), Some(19 * S));
        assert_eq!(spike.rate_at(19 * S + 1).micro() / S, 100);
        let over = Curve::new([piece(10, 10, S), piece(0, 0, S)], Then::Stays);
        assert_eq!((over.units(100 * S), over.at(10 * SALE)), (10 * SALE, None));
        assert_eq!(Curve::new([piece(0, 0, S)], Then::Repeats).at(0), None);
    }

    fn curve() -> impl Strategy<Value = Curve> {
        let piece = (0_u64..=1_000_000, 0_u64..=1_000_000, 1..=LONGEST_CHANGE_US, any::<bool>())
            .prop_map(|(from, to, lasts_us, same)| piece(from, if same { from } else { to }, lasts_us));
        let then = prop_oneof![Just(Then::Stays), Just(Then::Repeats)];
        (prop::collection::vec(piece, 1..6), then).prop_map(|(pieces, then)| Curve::new(pieces, then))
    }

    proptest! {
        #[test]
        fn what_is_due_in_a_microsecond_is_found_there(curve in curve(), us in 0..400 * 86_400 * S) {
            let units = curve.units(us);
            prop_assert!(curve.units(us + 1) >= units);
            if let Some(at) = curve.at(units) {
                prop_assert!(at >= us && curve.units(at) <= units && units < curve.units(at + 1), "{us} {at}");
            }
        }
    }
}

//! How sales are spread over the time in which they become due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use serde::Deserialize;

use crate::curve::SALE;

/// The kinds that can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// At equal distances.
    #[default]
    Even,
    /// As customers come who know nothing of each other.
    Poisson,
}

/// When the sales of a segment become due, in the time in which one becomes due in [`SALE`] units.
///
/// Those of a Poisson process do so in stretches of [`STRETCH`] sales: in each, they are where as many independent, uniform
/// points fall, which is a Poisson process of which it is known how many events it has there. So over many stretches the rate
/// is kept exactly, and within one the distances are exponential. Their sizes come from a seed: the same loader has the same.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Option<Arc<Poisson>>);

#[derive(Debug)]
struct Poisson {
    seed: u64,
    kept: Mutex<VecDeque<Stretch>>,
}

#[derive(Clone, Debug)]
struct Stretch {
    of: (u64, u64),
    /// In units, from its beginning.
    due: Arc<[u64]>,
}

/// Sales in a stretch: at 8,000 sales/s, a second.
const STRETCH: u64 = 8_192;
const STRETCH_UNITS: u128 = STRETCH as u128 * SALE;
/// Stretches kept: those of all sales that the client may hold, which are asked for as they are answered, and one more.
const KEPT: usize = 7;

impl PartialEq for Arrivals {
    fn eq(&self, other: &Self) -> bool {
        let seed = |arrivals: &Self| arrivals.0.as_ref().map(|poisson| poisson.seed);
        seed(self) == seed(other)
    }
}

impl Eq for Arrivals {}

impl Arrivals {
    /// Of a kind; loaders with different seeds send at different moments.
    pub fn new(kind: Kind, seed: u64) -> Self {
        Self((kind == Kind::Poisson).then(|| Arc::new(Poisson { seed, kept: Mutex::default() })))
    }

    /// Whether the time that passed without a sale says nothing of when the next will come.
    pub fn forget(&self) -> bool {
        self.0.is_some()
    }

    /// When sale `index` of a segment becomes due, in units. `segment` tells segments apart.
    pub fn due(&self, segment: u64, index: u64) -> u128 {
        let Some(poisson) = &self.0 else { return u128::from(index) * SALE };
        let (stretch, index) = (index / STRETCH, usize::try_from(index % STRETCH).unwrap_or(0));
        u128::from(stretch) * STRETCH_UNITS + u128::from(poisson.stretch(segment, stretch)[index])
    }

    /// How many sales of a segment become due in the first `units`.
    pub fn count(&self, segment: u64, units: u128) -> u64 {
        let number = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        let Some(poisson) = &self.0 else { return number(units.div_ceil(SALE)) };
        let (stretch, rest) = (number(units / STRETCH_UNITS), units % STRETCH_UNITS);
        let within = poisson.stretch(segment, stretch).partition_point(|due| u128::from(*due) < rest);
        stretch.saturating_mul(STRETCH).saturating_add(within as u64)
    }
}

impl Poisson {
    fn stretch(&self, segment: u64, stretch: u64) -> Arc<[u64]> {
        let of = (segment, stretch);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stretch) = kept.iter().find(|stretch| stretch.of == of) {
            return Arc::clone(&stretch.due);
        }
        let due = self.draw(of);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Stretch { of, due: Arc::clone(&due) });
        due
    }

    /// Uniform points in their order, by the sums of exponential distances (L. Devroye, "Non-Uniform Random Variate
    /// Generation", 1986, section V.3.1).
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than a stretch")]
    fn draw(&self, (segment, stretch): (u64, u64)) -> Arc<[u64]> {
        let of = self.seed ^ segment.rotate_left(20) ^ stretch.rotate_left(40);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(of);
        let mut sum = 0.0;
        let sums: Vec<f64> = (0..=STRETCH)
            .map(|_| {
                let uniform = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                sum -= (1.0 - uniform).ln();
                sum
            })
            .collect();
        let scale = STRETCH_UNITS as f64 / sum;
        sums[..STRETCH as usize].iter().map(|sum| (sum * scale) as u64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_exponential_and_the_rate_is_kept() {
        let arrivals = Arrivals::new(Kind::Poisson, 5);
        let due: Vec<u128> = (0..20 * STRETCH).map(|index| arrivals.due(3, index)).collect();
        assert!(due.is_sorted());
        let sales = |units: u128| units as f64 / SALE as f64;
        let distances: Vec<f64> = due.windows(2).map(|pair| sales(pair[1] - pair[0])).collect();
        let share = |beyond: f64| {
            distances.iter().filter(|distance| **distance > beyond).count() as f64 / distances.len() as f64
        };
        for beyond in [0.1, 0.5, 1.0, 2.0, 4.0] {
            assert!((share(beyond) - (-beyond).exp()).abs() < 0.005, "{beyond}: {}", share(beyond));
        }
        for stretch in 1..=20 {
            assert_eq!(arrivals.count(3, stretch * STRETCH_UNITS), u64::try_from(stretch).unwrap() * STRETCH);
        }
    }

    #[test]
    fn a_sale_is_counted_from_its_due_time_on() {
        for arrivals in [Arrivals::default(), Arrivals::new(Kind::Poisson, 1)] {
            for index in [0, 1, 77, STRETCH - 1, STRETCH, 5 * STRETCH + 9, 1 << 40] {
                let due = arrivals.due(9, index);
                assert!(arrivals.count(9, due) <= index && arrivals.count(9, due + 1) > index, "{index}");
            }
        }
    }

    #[test]
    fn loaders_and_segments_differ_and_a_restart_does_not() {
        let first = |seed, segment| Arrivals::new(Kind::Poisson, seed).due(segment, 0);
        assert_eq!(first(1, 0), first(1, 0));
        assert!(first(1, 0) != first(2, 0) && first(1, 0) != first(1, 7));
    }
}

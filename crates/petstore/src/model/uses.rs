//! How a larder is used up: the steps of the paper's Euler-Maruyama path, from a table.
//!
//! A step of a category that is used λ times a day, μ units a pet and day with variance σ², by k pets, is
//!
//! ```text
//! D ~ Exp(rate λ)            its length in days
//! max(0, μ k D + sqrt(σ² k D) N),  N ~ N(0, 1)     what is used
//! ```
//!
//! So with E ~ Exp(1) and D = E / λ both follow from the pair (E, sqrt(E) N), which has the same law for all categories and
//! pets. It is drawn from a table of pairs, all equally likely, that stand for the law: of E and |N| each the middles of 4,096
//! parts of equal probability, matched by a lattice (N. Korobov's, of rank 1) so that they fill the plane evenly, and each with
//! either sign of N. A sale takes some 260 steps; to draw each E and N would take most of the time that a sale takes.

use std::sync::LazyLock;

use super::products::Category;
use super::random::Random;

/// How many pairs there are.
const PAIRS: usize = 2 * PARTS as usize;
/// The parts of equal probability of E and of |N|.
const PARTS: u32 = 1 << (BITS - 1);
/// Bits that choose one of them.
const BITS: u32 = 13;
/// Pairs that 64 random bits choose.
const AT_ONCE: usize = 64 / BITS as usize;

/// Which part of |N| goes with the next part of E: of some numbers near the golden section of all parts, the one with which the
/// mean use of every category and number of pets is nearest to the law's.
const LATTICE: u32 = 1_565;

/// The pairs (E, sqrt(E) N).
static TABLE: LazyLock<Box<[[f64; 2]; PAIRS]>> = LazyLock::new(|| {
    let mut table = Box::new([[0.0; 2]; PAIRS]);
    for (part, pairs) in (0_u32..).zip(table.chunks_exact_mut(2)) {
        let length = -libm::log(1.0 - middle(part));
        let noise = length.sqrt() * normal_quantile(0.5 + 0.5 * middle(part * LATTICE % PARTS));
        (pairs[0], pairs[1]) = ([length, noise], [length, -noise]);
    }
    table
});

/// The middle of one of the equal parts of the unit.
fn middle(part: u32) -> f64 {
    (f64::from(part) + 0.5) / f64::from(PARTS)
}

/// The x below which a normal number is with this probability, by bisection.
fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let below = 0.5 * libm::erfc(-middle * std::f64::consts::FRAC_1_SQRT_2);
        if below < probability { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// What some pets use of a category.
#[derive(Debug)]
pub(super) struct Uses {
    table: &'static [[f64; 2]; PAIRS],
    /// 1 / λ, days.
    interval: f64,
    /// μ k / λ, units.
    mean: f64,
    /// sqrt(σ² k / λ), units.
    deviation: f64,
}

impl Uses {
    /// What so many pets use.
    pub(super) fn new(category: &Category, pets: u8) -> Self {
        let (pets, interval) = (f64::from(pets), 1.0 / category.usages_per_day);
        let (mean, variance) = (category.usage_mean * pets * interval, category.usage_variance * pets * interval);
        Self { table: &TABLE, interval, mean, deviation: variance.sqrt() }
    }

    /// Draws the steps from `day` on until `amount` is used up. The path: since when there is how much, the first included.
    pub(super) fn draw(&self, day: f64, amount: f64, path: &mut Vec<(f64, f64)>, random: &mut Random) {
        let (mut day, mut amount) = (day, amount);
        path.clear();
        path.push((day, amount));
        while amount > 0.0 {
            let bits = random.bits();
            // All at once, since each by itself would wait for the one before.
            let steps: [[f64; 2]; AT_ONCE] = std::array::from_fn(|step| {
                let pair = (bits >> (BITS as usize * step)) % PAIRS as u64;
                #[expect(clippy::cast_possible_truncation, reason = "there are 8,192 pairs")]
                let [length, noise] = self.table[pair as usize];
                [self.interval * length, (self.mean * length + self.deviation * noise).max(0.0)]
            });
            path.extend_from_slice(&steps.map(|[length, used]| {
                (day, amount) = (day + length, amount - used);
                (day, amount)
            }));
        }
        // It may have been used up before the last of them.
        let end = path.len() - AT_ONCE;
        let used_up = end + path[end..].partition_point(|(_, amount)| *amount > 0.0);
        path.truncate(used_up + 1);
        path[used_up].1 = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::products::CATEGORIES;
    use super::super::random::Purpose;
    use super::*;

    fn mean(of: impl Iterator<Item = f64>, count: usize) -> f64 {
        of.sum::<f64>() / count as f64
    }

    /// Of a step drawn without the table.
    fn exact(uses: &Uses, random: &mut Random) -> [f64; 2] {
        let length = random.exponential();
        [length, (uses.mean * length + uses.deviation * length.sqrt() * random.normal()).max(0.0)]
    }

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (probability, x) in [(0.5, 0.0), (0.841_344_746_068_543, 1.0), (0.025, -1.959_963_984_540_054)] {
            assert!((normal_quantile(probability) - x).abs() < 1e-9, "{probability}");
        }
    }

    #[test]
    fn the_table_has_the_moments_of_its_law() {
        let of = |moment: fn(&[f64; 2]) -> f64| mean(TABLE.iter().map(moment), PAIRS);
        // E Exp(1): 1, 2, 6. sqrt(E) N: 0, 1, and uncorrelated with E; its fourth moment is 3 E[E²] = 6.
        for (found, expected, tolerance) in [
            (of(|[e, _]| *e), 1.0, 0.001),
            (of(|[e, _]| e * e), 2.0, 0.002),
            (of(|[e, _]| e * e * e), 6.0, 0.01),
            (of(|[_, z]| *z), 0.0, 1e-12),
            (of(|[_, z]| z * z), 1.0, 0.005),
            (of(|[e, z]| e * z), 0.0, 1e-12),
            (of(|[_, z]| z * z * z * z), 6.0, 0.05),
        ] {
            assert!((found - expected).abs() <= tolerance * expected.max(0.1), "{found}, want {expected}");
        }
    }

    /// The mean of a use in closed form: at an exponential time, Brownian motion with drift has a two-sided exponential law
    /// (e.g. A. Borodin, P. Salminen, "Handbook of Brownian Motion", 2002), so that the positive part's mean is p / a.
    fn mean_use(uses: &Uses) -> f64 {
        let (drift, variance) = (uses.mean, uses.deviation * uses.deviation);
        let root = (drift * drift + 2.0 * variance).sqrt();
        let (up, down) = ((root - drift) / variance, (root + drift) / variance);
        down / (up + down) / up
    }

    #[test]
    fn a_use_is_on_average_what_the_model_says_for_any_pets() {
        for category in &CATEGORIES {
            for pets in 1..=10 {
                let uses = Uses::new(category, pets);
                let found = mean(TABLE.iter().map(|[e, z]| (uses.mean * e + uses.deviation * z).max(0.0)), PAIRS);
                let expected = mean_use(&uses);
                assert!(
                    (found / expected - 1.0).abs() < 0.000_2,
                    "{} of {pets}: {found}, want {expected}",
                    category.name
                );
            }
        }
    }

    #[test]
    fn uses_are_distributed_as_if_each_was_drawn() {
        let mut random = Random::new(3, Purpose::Year, 0, 0);
        for (category, pets) in [(0, 1), (1, 3), (2, 7), (3, 10)] {
            let uses = Uses::new(&CATEGORIES[category], pets);
            let mut drawn: Vec<f64> = (0..200_000).map(|_| exact(&uses, &mut random)[1]).collect();
            let mut tabled: Vec<f64> =
                TABLE.iter().map(|[e, z]| (uses.mean * e + uses.deviation * z).max(0.0)).collect();
            drawn.sort_by(f64::total_cmp);
            tabled.sort_by(f64::total_cmp);
            // The two distribution functions side by side, at each percent.
            for percent in 1..100 {
                let x = drawn[drawn.len() * percent / 100];
                let below = tabled.partition_point(|y| *y <= x) as f64 / tabled.len() as f64;
                let share = drawn.partition_point(|y| *y <= x) as f64 / drawn.len() as f64;
                assert!((below - share).abs() < 0.005, "{category}, {percent} %: {below}, want {share}");
            }
        }
    }

    #[test]
    fn a_path_falls_to_nothing() {
        let (mut path, mut random) = (Vec::new(), Random::new(1, Purpose::Year, 0, 0));
        Uses::new(&CATEGORIES[0], 2).draw(10.0, 30.0, &mut path, &mut random);
        assert_eq!(path[0], (10.0, 30.0));
        assert!(path.is_sorted_by(|one, next| one.0 < next.0 && one.1 >= next.1));
        assert_eq!(path.iter().filter(|(_, amount)| *amount == 0.0).count(), 1);
    }
}

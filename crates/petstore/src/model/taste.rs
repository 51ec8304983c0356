//! Which product of a category a customer takes from the shelf: the Markov model of the paper.
//!
//! ```text
//! first    any product, all alike
//! next     after x: x again with probability l, else y with a probability proportional to
//!            W(x, y) = sum over the fields f of  v(f)  if x and y have the same value in f, else 1 - v(f), times w(f)
//! ```
//!
//! A customer's l, and for each field w and v, are drawn once for each category, from an equal mixture of two normal
//! distributions within 0.05 to 0.95. Each customer has a profile of their own, as in the paper. (Apache Bigtop's version
//! shares some profiles among all, and by default draws each product without regard to the last, with fixed weights.)

use super::products::{Category, FIELDS};
use super::random::Random;

/// A customer's profile in one category.
#[derive(Clone, Debug)]
pub(super) struct Taste {
    /// The probability of the same product again.
    loyalty: f64,
    /// W of products that share some fields, by the fields they share, a bit each.
    affinity: [f64; 1 << FIELDS],
}

const LEAST: f64 = 0.05;
const MOST: f64 = 0.95;

impl Taste {
    /// Draws a customer's profile.
    pub(super) fn new(random: &mut Random) -> Self {
        let mut either = |one: f64, other: f64| {
            let mean = if random.bits() & 1 == 0 { one } else { other };
            random.normal_within(mean, 0.1, LEAST, MOST)
        };
        let loyalty = either(0.25, 0.75);
        let fields: [(f64, f64); FIELDS] = std::array::from_fn(|_| (either(0.15, 0.85), either(0.15, 0.85)));
        let affinity = std::array::from_fn(|shared| {
            let field = |(index, (weight, value)): (usize, &(f64, f64))| {
                weight * if shared & (1 << index) == 0 { 1.0 - value } else { *value }
            };
            fields.iter().enumerate().map(field).sum()
        });
        Self { loyalty, affinity }
    }

    /// Draws the number of a product in its category, after the last one that they took of it.
    pub(super) fn choose(&self, category: &Category, last: Option<usize>, random: &mut Random) -> usize {
        let values = category.values();
        let Some(last) = last else { return random.below(values.iter().product()) };
        if random.uniform() < self.loyalty {
            return last;
        }
        let others = |field: usize| values[field] - 1;
        // How many products share just these fields with the last, times the weight of each.
        let weight = |shared: usize| {
            let count: usize =
                (0..FIELDS).map(|field| if shared & (1 << field) == 0 { others(field) } else { 1 }).product();
            count as f64 * self.affinity[shared]
        };
        let weights: [f64; (1 << FIELDS) - 1] = std::array::from_fn(weight);
        let shared = random.weighted(&weights);
        let (mut product, mut rest, mut step) = (0, last, 1);
        for field in (0..FIELDS).rev() {
            let value = rest % values[field];
            let value = if shared & (1 << field) == 0 {
                let other = random.below(others(field));
                other + usize::from(other >= value)
            } else {
                value
            };
            product += value * step;
            (rest, step) = (rest / values[field], step * values[field]);
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::super::products::CATEGORIES;
    use super::super::random::Purpose;
    use super::*;

    fn random() -> Random {
        Random::new(5, Purpose::Customer, 0, 0)
    }

    /// The fields of a product's number.
    fn fields(category: &Category, product: usize) -> [usize; FIELDS] {
        let [_, flavors, sizes] = category.values();
        [product / sizes / flavors, product / sizes % flavors, product % sizes]
    }

    #[test]
    fn after_a_product_come_others_by_the_fields_they_share() {
        let mut random = random();
        for category in &CATEGORIES {
            let taste = Taste::new(&mut random);
            let products: usize = category.values().iter().product();
            for last in [0, products / 2, products - 1] {
                let mut counts = vec![0_u32; products];
                (0..100_000).for_each(|_| counts[taste.choose(category, Some(last), &mut random)] += 1);
                let shared = |product: usize| {
                    let pairs = fields(category, product).into_iter().zip(fields(category, last)).enumerate();
                    pairs.map(|(field, (one, other))| usize::from(one == other) << field).sum::<usize>()
                };
                let others = || (0..products).filter(|product| *product != last);
                let sum: f64 = others().map(|product| taste.affinity[shared(product)]).sum();
                assert!((f64::from(counts[last]) / 100_000.0 - taste.loyalty).abs() < 0.006, "{}", category.name);
                for product in others() {
                    let expected = (1.0 - taste.loyalty) * taste.affinity[shared(product)] / sum;
                    let share = f64::from(counts[product]) / 100_000.0;
                    assert!((share - expected).abs() < 0.006, "{}: {share}, want {expected}", category.name);
                }
            }
        }
    }

    #[test]
    fn the_first_is_any() {
        let (mut random, mut counts) = (random(), [0_u32; 24]);
        let taste = Taste::new(&mut random);
        (0..48_000).for_each(|_| counts[taste.choose(&CATEGORIES[0], None, &mut random)] += 1);
        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn customers_are_loyal_or_not_within_the_limits() {
        let mut random = random();
        let loyal: Vec<f64> = (0..20_000).map(|_| Taste::new(&mut random).loyalty).collect();
        assert!(loyal.iter().all(|loyalty| (LEAST..=MOST).contains(loyalty)));
        let mean = loyal.iter().sum::<f64>() / 20_000.0;
        let high = loyal.iter().filter(|loyalty| **loyalty > 0.5).count();
        assert!((mean - 0.5).abs() < 0.01 && (9_700..10_300).contains(&high), "{mean}, {high} above a half");
    }
}

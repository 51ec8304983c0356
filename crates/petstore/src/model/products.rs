//! What the chain sells, and what a customer takes from the shelf.
//!
//! The catalogue has the shape and the prices of `BigPetStore` 0.2.1's: four categories, each the
//! cartesian product of brands, flavours (or colours) and sizes, at a price per pound (or bag) that
//! depends on the brand. Usage per day is the paper's.
//!
//! A customer chooses by the multinomial model of Apache Bigtop's `BigPetStore`: for each category and
//! field, the values are shuffled; the first gets weight 10, each other 10 with probability 0.1, else
//! 0.1; a product's weight is the product of its values' weights. Since every combination exists, that
//! is the same as drawing each field separately. Each customer has a separate profile, as in the paper.

use super::random::Random;
use crate::{Item, Pets};

/// A kind of product.
#[derive(Debug)]
pub(super) struct Category {
    pub(super) name: &'static str,
    /// Which pets use it up.
    pub(super) species: Species,
    /// How often a day it is used: usages come as a Poisson process.
    pub(super) usages_per_day: f64,
    /// The mean of what one pet uses a day, in units.
    pub(super) usage_mean: f64,
    /// The variance of what one pet uses a day.
    pub(super) usage_variance: f64,
    brands: &'static [Brand],
    /// Flavours, or colours.
    flavors: &'static [&'static str],
    /// The number of units, and its text.
    sizes: &'static [(u32, &'static str)],
}

/// The pets that need it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Species {
    Dog,
    Cat,
}

#[derive(Debug)]
struct Brand {
    name: &'static str,
    cents_per_unit: u32,
}

const fn brand(name: &'static str, cents_per_unit: u32) -> Brand {
    Brand { name, cents_per_unit }
}

/// 24 + 18 + 6 + 8 = 56 products.
pub(super) static CATEGORIES: [Category; 4] = [
    Category {
        name: "dry dog food",
        species: Species::Dog,
        usages_per_day: 2.0,
        usage_mean: 0.25,
        usage_variance: 0.10,
        brands: &[brand("Happy Pup", 200), brand("Wellfed", 267), brand("Dog Days", 300)],
        flavors: &["Chicken", "Fish & Potato", "Lamb & Barley", "Pork & Rice"],
        sizes: &[(15, "15 lb"), (30, "30 lb")],
    },
    Category {
        name: "dry cat food",
        species: Species::Cat,
        usages_per_day: 2.0,
        usage_mean: 0.10,
        usage_variance: 0.05,
        brands: &[brand("Pretty Cat", 214), brand("Feisty Feline", 286), brand("Wellfed", 286)],
        flavors: &["Chicken & Rice", "Salmon", "Tuna"],
        sizes: &[(7, "7 lb"), (14, "14 lb")],
    },
    Category {
        name: "kitty litter",
        species: Species::Cat,
        usages_per_day: 1.0,
        usage_mean: 0.10,
        usage_variance: 0.05,
        brands: &[brand("Feisty Feline", 143), brand("Pretty Cat", 150)],
        flavors: &["Unscented"],
        sizes: &[(7, "7 lb"), (14, "14 lb"), (28, "28 lb")],
    },
    Category {
        name: "poop bags",
        species: Species::Dog,
        usages_per_day: 2.0,
        usage_mean: 1.0,
        usage_variance: 0.5,
        brands: &[brand("Dog Days", 17), brand("Happy Pup", 21)],
        flavors: &["Blue", "Multicolor"],
        sizes: &[(60, "60 bags"), (120, "120 bags")],
    },
];

impl Category {
    /// Returns how many of these pets use it.
    pub(super) fn users(&self, pets: Pets) -> u8 {
        match self.species {
            Species::Dog => pets.dogs,
            Species::Cat => pets.cats,
        }
    }
}

/// How much more a customer likes a value than one they don't care for.
const LIKED: f64 = 10.0;
const NOT_LIKED: f64 = 0.1;
/// The probability that a customer likes one more value as well.
const LIKED_TOO: f64 = 0.1;

/// What one customer likes in one category.
#[derive(Clone, Debug)]
pub(super) struct Taste {
    brands: Vec<f64>,
    flavors: Vec<f64>,
    sizes: Vec<f64>,
}

impl Taste {
    /// Draws a customer's taste in a category.
    pub(super) fn new(category: &Category, random: &mut Random) -> Self {
        let mut weights = |values: usize| -> Vec<f64> {
            let first = random.below(values);
            let mut liked = |value| value == first || random.uniform() < LIKED_TOO;
            (0..values).map(|value| if liked(value) { LIKED } else { NOT_LIKED }).collect()
        };
        Self {
            brands: weights(category.brands.len()),
            flavors: weights(category.flavors.len()),
            sizes: weights(category.sizes.len()),
        }
    }

    /// Draws a product of the category, with its quantity in units.
    pub(super) fn choose(&self, category: &Category, random: &mut Random) -> (Item, f64) {
        let brand = &category.brands[random.weighted(&self.brands)];
        let flavor = category.flavors[random.weighted(&self.flavors)];
        let (units, size) = category.sizes[random.weighted(&self.sizes)];
        let item = Item {
            category: category.name.into(),
            brand: brand.name.into(),
            flavor: flavor.into(),
            size: size.into(),
            cents: brand.cents_per_unit * units,
        };
        (item, f64::from(units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Purpose;

    #[test]
    fn the_catalogue_has_56_products_at_the_prices_of_the_model() {
        let products =
            CATEGORIES.iter().map(|category| category.brands.len() * category.flavors.len() * category.sizes.len());
        assert_eq!(products.sum::<usize>(), 56);
        let prices = CATEGORIES.iter().flat_map(|category| {
            category
                .brands
                .iter()
                .flat_map(|brand| category.sizes.iter().map(|(units, _)| brand.cents_per_unit * units))
        });
        let prices: Vec<_> = prices.collect();
        assert_eq!((prices.iter().min(), prices.iter().max()), (Some(&1_001), Some(&9_000)));
    }

    #[test]
    fn a_customer_mostly_buys_what_they_like() {
        let mut shares = Vec::new();
        for customer in 0..500 {
            let mut random = Random::new(1, Purpose::Customer, customer, 0);
            let category = &CATEGORIES[0];
            let taste = Taste::new(category, &mut random);
            let mut brands: Vec<_> = (0..200).map(|_| taste.choose(category, &mut random).0.brand).collect();
            brands.sort();
            let most = brands.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap();
            shares.push(most as f64 / 200.0);
        }
        // One brand alone is liked by 81 % of the customers: they take it 98 times in 100.
        let loyal = shares.iter().filter(|share| **share > 0.93).count();
        assert!((380..430).contains(&loyal), "{loyal} of 500 customers are loyal");
    }
}

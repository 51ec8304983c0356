//! What the chain sells.
//!
//! The catalogue has the shape and the prices of `BigPetStore` 0.2.1's: four categories, each the
//! cartesian product of brands, flavours (or colours) and sizes, at a price per pound (or bag) that
//! depends on the brand. Usage per day is the paper's.

use std::sync::LazyLock;

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

/// The fields by which a category's products differ: brand, flavour, size.
pub(super) const FIELDS: usize = 3;

/// A product of the catalogue, as it is handed to the customer.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) item: Item,
    /// How much is in it, in the category's units.
    pub(super) units: f64,
    /// The item's JSON.
    pub(super) json: Box<[u8]>,
}

/// All products, category by category.
pub(super) static PRODUCTS: LazyLock<Vec<Product>> =
    LazyLock::new(|| CATEGORIES.iter().flat_map(Category::products).collect());

impl Category {
    /// Returns how many of these pets use it.
    pub(super) fn users(&self, pets: Pets) -> u8 {
        match self.species {
            Species::Dog => pets.dogs,
            Species::Cat => pets.cats,
        }
    }

    /// How many values each field has. A product's number in its category has them as digits, the size's last.
    pub(super) const fn values(&self) -> [usize; FIELDS] {
        [self.brands.len(), self.flavors.len(), self.sizes.len()]
    }

    fn products(&'static self) -> impl Iterator<Item = Product> {
        let values = self.values();
        (0..values.iter().product()).map(move |number: usize| {
            let [_, flavors, sizes] = values;
            self.product(&self.brands[number / sizes / flavors], number / sizes % flavors, number % sizes)
        })
    }

    fn product(&self, brand: &Brand, flavor: usize, size: usize) -> Product {
        let (flavor, (units, size)) = (self.flavors[flavor], self.sizes[size]);
        let item = Item {
            category: self.name.into(),
            brand: brand.name.into(),
            flavor: flavor.into(),
            size: size.into(),
            cents: brand.cents_per_unit * units,
        };
        let json = serde_json::to_vec(&item).expect("text and numbers have a JSON");
        Product { item, units: f64::from(units), json: json.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_56_products_at_the_prices_of_the_model() {
        let counts = CATEGORIES.each_ref().map(|category| category.values().iter().product::<usize>());
        assert_eq!((counts, PRODUCTS.len()), ([24, 18, 6, 8], 56));
        let prices = || PRODUCTS.iter().map(|product| product.item.cents);
        assert_eq!((prices().min(), prices().max()), (Some(1_001), Some(9_000)));
    }

    #[test]
    fn a_products_number_has_its_fields_as_digits() {
        let item = &PRODUCTS[8 + 4 + 1].item;
        assert_eq!([&item.brand, &item.flavor, &item.size], ["Wellfed", "Lamb & Barley", "30 lb"]);
        assert_eq!((&*PRODUCTS[24].item.category, &*PRODUCTS[55].item.size), ("dry cat food", "120 bags"));
    }
}

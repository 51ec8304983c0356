//! One customer's purchases, from empty larders on: the heart of the model.
//!
//! After Nowling & Vyas, "A Domain-Driven, Generative Data Model for `BigPetStore`", `BDCloud` 2014.
//! Time is in days. Categories i are those that some of the customer's pets use; there are k of these.
//! A and Q are the customer's two mean trigger times.
//!
//! ```text
//! larder   after a purchase the amount a falls to 0 along an Euler-Maruyama path of random steps:
//!            D ~ Exp(rate usages_per_day)
//!            a <- max(0, a - max(0, usage_mean k D + sqrt(usage_variance k D) N(0, 1)))
//!          T(i) is when it gets there
//! when     O(i) ~ Exp(mean A); the next purchase is at min over i of T(i) - O(i), and all O are drawn
//!          again while that is before the last purchase
//! what     category i has weight exp(-max(0, T(i) - t) / Q) / Q; from the second item on, stopping has
//!          weight 0.01; each item goes into the larder before the next is chosen
//! where    in the home store, as in Apache Bigtop's version; but one purchase in twenty is made on the
//!          way, in a store drawn as home stores are (in version 0.2.1 every store was drawn). Before
//!          either, a hot store, number 0, may take its share of all purchases
//! ```
//!
//! Drawing all O until they fit would take very long when something runs out right after a purchase.
//! Here each is drawn once, from the exponential distribution cut off at T(i) - last. That is the
//! same distribution: they fit if and only if none is greater than that, and they are independent.

use super::customers::Person;
use super::products::{CATEGORIES, Category, PRODUCTS};
use super::random::Random;
use super::stores::Chain;
use super::uses::Uses;

/// One visit to a store.
#[derive(Debug)]
pub(super) struct Purchase<'a> {
    /// Days since the larders were empty.
    pub(super) day: f64,
    /// The store's number.
    pub(super) store: u32,
    /// Numbers of products, in the order in which they were taken; one at least.
    pub(super) products: &'a [u8],
}

const STOP_WEIGHT: f64 = 0.01;
const AWAY: f64 = 0.05;
/// Far above what the weights allow (about 15): it bounds a sale's size for those who receive it.
const ITEMS_MOST: usize = 40;

/// Simulates a customer from empty larders until `days` are over, and hands each purchase to `visit`. `hot_store`: the
/// share of all purchases that is made in store 0.
pub(super) fn simulate(
    person: &Person,
    chain: &Chain,
    hot_store: f64,
    days: f64,
    random: &mut Random,
    mut visit: impl FnMut(&Purchase<'_>),
) {
    let mut larders = Larder::all(person);
    let mut basket = Vec::with_capacity(ITEMS_MOST);
    let mut day = 0.0;
    loop {
        day = next_day(&larders, day, person.mean_lead, random);
        if day >= days {
            return;
        }
        let place = random.uniform();
        let store = if place < hot_store {
            0
        } else if place < hot_store + (1.0 - hot_store) * AWAY {
            chain.draw(random)
        } else {
            person.home_store
        };
        fill_basket(&mut basket, person, &mut larders, day, random);
        visit(&Purchase { day, store, products: &basket });
    }
}

fn next_day(larders: &[Larder], last: f64, mean_lead: f64, random: &mut Random) -> f64 {
    let propose = |larder: &Larder| {
        let longest = (larder.exhausted() - last).max(0.0);
        let within = 1.0 - libm::exp(-longest / mean_lead);
        let lead = -mean_lead * libm::log(1.0 - random.uniform() * within);
        larder.exhausted() - lead
    };
    // Rounding may have put a proposal a hair before the last purchase.
    larders.iter().map(propose).fold(f64::INFINITY, f64::min).max(last)
}

fn fill_basket(basket: &mut Vec<u8>, person: &Person, larders: &mut [Larder], day: f64, random: &mut Random) {
    let weight = |larder: &Larder| {
        let left = (larder.exhausted() - day).max(0.0);
        libm::exp(-left / person.mean_horizon) / person.mean_horizon
    };
    basket.clear();
    // One weight a category, and the last for stopping: not before there is an item.
    let mut weights = [0.0; CATEGORIES.len() + 1];
    let weights = &mut weights[..=larders.len()];
    weights.iter_mut().zip(&*larders).for_each(|(place, larder)| *place = weight(larder));
    while basket.len() < ITEMS_MOST {
        let chosen = random.weighted(weights);
        let Some(larder) = larders.get_mut(chosen) else { return };
        basket.push(larder.buy(person, day, random));
        weights[chosen] = weight(larder);
        weights[larders.len()] = STOP_WEIGHT;
    }
}

/// What a customer has at home of one category, and how it will be used up.
#[derive(Debug)]
struct Larder {
    category: usize,
    /// The number of the category's first product.
    first: usize,
    /// What they took last, as its number in the category.
    last: Option<usize>,
    uses: Uses,
    /// From the last purchase until it is used up: since when there is how much.
    path: Vec<(f64, f64)>,
}

/// Steps that most paths fit in.
const PATH: usize = 256;

impl Larder {
    /// The empty larders of the categories that some of the customer's pets use.
    fn all(person: &Person) -> Vec<Self> {
        let mut first = 0;
        let larder = |(index, category): (usize, &Category)| {
            let (users, begin) = (category.users(person.customer.pets), first);
            first += category.values().iter().product::<usize>();
            (users > 0).then(|| Self::empty(index, begin, users))
        };
        CATEGORIES.iter().enumerate().filter_map(larder).collect()
    }

    fn empty(category: usize, first: usize, users: u8) -> Self {
        let mut path = Vec::with_capacity(PATH);
        path.push((0.0, 0.0));
        Self { category, first, last: None, uses: Uses::new(&CATEGORIES[category], users), path }
    }

    /// Returns the day it is used up.
    fn exhausted(&self) -> f64 {
        self.path.last().map_or(0.0, |(day, _)| *day)
    }

    /// Returns how much there is on a day.
    fn amount(&self, day: f64) -> f64 {
        let later = self.path.partition_point(|(since, _)| *since <= day);
        later.checked_sub(1).map_or(0.0, |step| self.path[step].1)
    }

    /// Buys a product, adds it to what there is, and uses it up. Returns the product's number.
    #[expect(clippy::cast_possible_truncation, reason = "there are 56 products")]
    fn buy(&mut self, person: &Person, day: f64, random: &mut Random) -> u8 {
        let chosen = person.tastes[self.category].choose(&CATEGORIES[self.category], self.last, random);
        self.last = Some(chosen);
        let product = self.first + chosen;
        self.add(day, PRODUCTS[product].units, random);
        product as u8
    }

    fn add(&mut self, day: f64, units: f64, random: &mut Random) {
        let amount = self.amount(day) + units;
        self.uses.draw(day, amount, &mut self.path, random);
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    fn random() -> Random {
        Random::new(1, Purpose::Year, 0, 0)
    }

    fn mean(count: u32, mut draw: impl FnMut() -> f64) -> f64 {
        (0..count).map(|_| draw()).sum::<f64>() / f64::from(count)
    }

    #[test]
    fn a_larder_is_used_up_step_by_step() {
        let (mut larder, mut random) = (Larder::empty(0, 0, 2), random());
        larder.add(10.0, 30.0, &mut random);
        assert!(larder.path.is_sorted_by(|one, next| one.0 < next.0 && one.1 >= next.1));
        assert_eq!((larder.path[0], larder.amount(larder.exhausted())), ((10.0, 30.0), 0.0));

        let (day, left) = larder.path[larder.path.len() / 2];
        assert_eq!((larder.amount(day), larder.amount(day - 1e-9) >= left), (left, true));
        larder.add(day, 15.0, &mut random);
        assert_eq!(larder.path[0], (day, left + 15.0));
    }

    #[test]
    fn one_pet_uses_what_the_model_says() {
        // The mean of a day, times what cutting negative use off adds: found by an independent simulation.
        for (index, units, per_day) in
            [(0, 30.0, 0.25 * 1.27), (1, 14.0, 0.1 * 1.69), (2, 28.0, 0.1 * 1.41), (3, 120.0, 1.08)]
        {
            let mut random = random();
            let lasts = mean(2_000, || {
                let mut larder = Larder::empty(index, 0, 1);
                larder.add(0.0, units, &mut random);
                larder.exhausted()
            });
            let expected = units / per_day;
            assert!((lasts / expected - 1.0).abs() < 0.03, "{}: {lasts} days, want {expected}", CATEGORIES[index].name);
        }
    }

    #[test]
    fn the_next_day_is_distributed_as_if_drawn_until_it_fits() {
        let larder = |day| Larder { path: vec![(day, 0.0)], ..Larder::empty(0, 0, 1) };
        let (larders, last, lead) = ([larder(12.0), larder(15.0)], 10.0, 4.0);
        let mut random = random();
        let drawn_until_it_fits = mean(40_000, || {
            loop {
                let day = larders.iter().map(|larder| larder.exhausted() - lead * random.exponential());
                let day = day.fold(f64::INFINITY, f64::min);
                if day >= last {
                    return day;
                }
            }
        });
        let drawn_at_once = mean(40_000, || next_day(&larders, last, lead, &mut random));
        assert!((drawn_at_once - drawn_until_it_fits).abs() < 0.015, "{drawn_at_once}, want {drawn_until_it_fits}");
    }

    #[test]
    fn the_next_day_is_never_before_the_last() {
        let mut random = random();
        for step in 0..1_000 {
            let last = f64::from(step) * 0.37;
            let larders = [Larder { path: vec![(last, 0.0)], ..Larder::empty(0, 0, 1) }];
            assert!((next_day(&larders, last, 5.0, &mut random) - last).abs() < 1e-12);
        }
    }
}

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
//!          way, in a store drawn as home stores are (in version 0.2.1 every store was drawn)
//! ```
//!
//! Drawing all O until they fit would take very long when something runs out right after a purchase.
//! Here each is drawn once, from the exponential distribution cut off at T(i) - last. That is the
//! same distribution: they fit if and only if none is greater than that, and they are independent.

use super::customers::Person;
use super::products::{CATEGORIES, Category};
use super::random::Random;
use super::stores::Chain;
use crate::{Item, Store};

/// One visit to a store.
#[derive(Debug)]
pub(super) struct Purchase<'chain> {
    /// Days since the larders were empty.
    pub(super) day: f64,
    pub(super) store: &'chain Store,
    pub(super) items: Vec<Item>,
}

const STOP_WEIGHT: f64 = 0.01;
const AWAY: f64 = 0.05;
/// Far above what the weights allow (about 15): it bounds a sale's size for those who receive it.
const ITEMS_MOST: usize = 40;

/// Simulates a customer from empty larders until `days` are over, and hands each purchase to `visit`.
pub(super) fn simulate<'chain>(
    person: &Person<'chain>,
    chain: &'chain Chain,
    days: f64,
    random: &mut Random,
    mut visit: impl FnMut(Purchase<'chain>),
) {
    let mut larders: Vec<Larder> = CATEGORIES
        .iter()
        .enumerate()
        .filter(|(_, category)| category.users(person.customer.pets) > 0)
        .map(|(index, category)| Larder::empty(index, category, category.users(person.customer.pets)))
        .collect();
    let mut day = 0.0;
    loop {
        day = next_day(&larders, day, person.mean_lead, random);
        if day >= days {
            return;
        }
        let away = random.uniform() < AWAY;
        let store = if away { chain.draw(random) } else { person.home_store };
        let items = fill_basket(person, &mut larders, day, random);
        visit(Purchase { day, store, items });
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

fn fill_basket(person: &Person<'_>, larders: &mut [Larder], day: f64, random: &mut Random) -> Vec<Item> {
    let mut items = Vec::with_capacity(4);
    // One weight a category, and the last for stopping: not before there is an item.
    let mut weights = [0.0; CATEGORIES.len() + 1];
    let weights = &mut weights[..=larders.len()];
    while items.len() < ITEMS_MOST {
        for (weight, larder) in weights.iter_mut().zip(&*larders) {
            let left = (larder.exhausted() - day).max(0.0);
            *weight = libm::exp(-left / person.mean_horizon) / person.mean_horizon;
        }
        let chosen = random.weighted(weights);
        let Some(larder) = larders.get_mut(chosen) else { break };
        let (item, units) = person.tastes[larder.index].choose(larder.category, random);
        larder.add(day, units, random);
        items.push(item);
        weights[larders.len()] = STOP_WEIGHT;
    }
    items
}

/// What a customer has at home of one category, and how it will be used up.
#[derive(Debug)]
struct Larder {
    index: usize,
    category: &'static Category,
    /// Mean of the use, per day.
    mean: f64,
    /// Variance of the use, per day.
    variance: f64,
    /// From the last purchase until it is used up: since when there is how much.
    path: Vec<(f64, f64)>,
}

impl Larder {
    fn empty(index: usize, category: &'static Category, users: u8) -> Self {
        let users = f64::from(users);
        let (mean, variance) = (category.usage_mean * users, category.usage_variance * users);
        Self { index, category, mean, variance, path: vec![(0.0, 0.0)] }
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

    /// Adds what was bought, and uses it up.
    fn add(&mut self, day: f64, units: f64, random: &mut Random) {
        let mut day = day;
        let mut amount = self.amount(day) + units;
        self.path.clear();
        self.path.push((day, amount));
        while amount > 0.0 {
            let step = random.exponential() / self.category.usages_per_day;
            let usage = self.mean * step + (self.variance * step).sqrt() * random.normal();
            amount = (amount - usage.max(0.0)).max(0.0);
            day += step;
            self.path.push((day, amount));
        }
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
        let (mut larder, mut random) = (Larder::empty(0, &CATEGORIES[0], 2), random());
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
                let mut larder = Larder::empty(index, &CATEGORIES[index], 1);
                larder.add(0.0, units, &mut random);
                larder.exhausted()
            });
            let expected = units / per_day;
            assert!((lasts / expected - 1.0).abs() < 0.03, "{}: {lasts} days, want {expected}", CATEGORIES[index].name);
        }
    }

    #[test]
    fn the_next_day_is_distributed_as_if_drawn_until_it_fits() {
        let larder = |day| Larder { path: vec![(day, 0.0)], ..Larder::empty(0, &CATEGORIES[0], 1) };
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
            let larders = [Larder { path: vec![(last, 0.0)], ..Larder::empty(0, &CATEGORIES[0], 1) }];
            assert!((next_day(&larders, last, 5.0, &mut random) - last).abs() < 1e-12);
        }
    }
}

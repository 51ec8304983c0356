//! Where the chain has stores, and whose home store each is.
//!
//! Stores follow people and their income, place by place (see the model's places), and `skew` says how far: a state's share is
//! taken to the power of skew / 100. They are spread so evenly that each state has as many as it should up to three: store k is
//! at the quantile that is the fraction of (start + k golden ratios). The published versions draw each by itself.
//!
//! A customer's home store is drawn as in Apache Bigtop's version, by the people at its place; stores of one state share that
//! state's part, so that sales have the states' shares even where some have too few stores, or none.

use super::places::{PLACES, Place};
use super::random::{Cumulative, Purpose, Random};
use crate::{Parameters, State, Store};

/// All stores of the chain, and how likely each is somebody's.
#[derive(Debug)]
pub(super) struct Chain {
    stores: Vec<Store>,
    places: Vec<&'static Place>,
    customers: Cumulative,
}

/// The golden ratio's fraction.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

const NAMES: [&str; 24] = [
    "Bark & Meow",
    "Best Friends",
    "Cold Noses",
    "Country Pets",
    "Dog & Cat Depot",
    "Downtown Pets",
    "Four Paws",
    "Fur & Whiskers",
    "Furry Friends",
    "Good Boy Supply",
    "Happy Paws",
    "Happy Tails",
    "Main Street Pets",
    "Nine Lives",
    "Paws & Claws",
    "Pet Corner",
    "Pet Emporium",
    "Pet Pantry",
    "Pet Station",
    "The Dog House",
    "The Litter Box",
    "The Pet Shop",
    "Wags & Whiskers",
    "Wet Noses",
];

impl Chain {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let exponent = f64::from(parameters.skew) / 100.0;
        let weights = State::ALL.map(|state| libm::pow(state.share(), exponent));
        let custom = by_state(PLACES.iter().map(|place| (place.state, place.custom)));
        let share = |place: &Place| weights[place.state.index()] * place.custom / custom[place.state.index()];
        let quantiles = Cumulative::new(PLACES.iter().map(share));
        let start = Random::new(parameters.seed, Purpose::Chain, 0, 0).uniform();
        let place = |id: u32| {
            let quantile = start + f64::from(id) * GOLDEN;
            &PLACES[quantiles.at(quantile - quantile.floor())]
        };
        let places: Vec<&'static Place> = (0..parameters.stores).map(place).collect();
        let stores = (0..).zip(&places).map(|(id, place)| store(parameters.seed, id, place)).collect();

        let people = by_state(places.iter().map(|place| (place.state, place.people)));
        let part = |place: &&Place| weights[place.state.index()] * place.people / people[place.state.index()];
        let customers = Cumulative::new(places.iter().map(part));
        Self { stores, places, customers }
    }

    /// Draws the number of a store as a customer's home store is drawn.
    #[expect(clippy::cast_possible_truncation, reason = "there are at most 100,000 stores")]
    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        self.customers.draw(random) as u32
    }

    pub(super) fn store(&self, number: u32) -> &Store {
        &self.stores[number as usize]
    }

    pub(super) fn place(&self, number: u32) -> &'static Place {
        self.places[number as usize]
    }
}

/// Sums by state.
fn by_state(numbers: impl Iterator<Item = (State, f64)>) -> [f64; State::ALL.len()] {
    let mut sums = [0.0; State::ALL.len()];
    numbers.for_each(|(state, number)| sums[state.index()] += number);
    sums
}

fn store(seed: u64, id: u32, place: &Place) -> Store {
    let mut random = Random::new(seed, Purpose::Store, u64::from(id), 0);
    let name = format!("{} of {}", NAMES[random.below(NAMES.len())], place.city);
    Store { id, name: name.into(), state: place.state, city: place.city.into(), zip: place.zip.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(stores: u32, skew: u32) -> Chain {
        Chain::new(&Parameters { stores, skew, ..Parameters::default() })
    }

    fn count(chain: &Chain, state: State) -> f64 {
        chain.stores.iter().filter(|store| store.state == state).count() as f64
    }

    #[test]
    fn stores_stand_where_people_and_money_are() {
        for stores in [100_u32, 1_000, 10_000] {
            let chain = chain(stores, 100);
            for state in State::ALL {
                let expected = state.share() * f64::from(stores);
                let found = count(&chain, state);
                assert!((found - expected).abs() <= 3.0, "{stores} stores, {}: {found}, want {expected}", state.name());
            }
        }
    }

    #[test]
    fn within_a_state_stores_follow_the_formula_place_by_place() {
        let chain = chain(100_000, 100);
        let in_state = || PLACES.iter().filter(|place| place.state == State::Il);
        let (custom, stores): (f64, f64) = (in_state().map(|place| place.custom).sum(), count(&chain, State::Il));
        for place in in_state() {
            let expected = stores * place.custom / custom;
            let found = chain.stores.iter().filter(|store| store.zip == place.zip).count() as f64;
            assert!((found - expected).abs() <= 2.0, "{}: {found}, want {expected}", place.zip);
        }
    }

    #[test]
    fn without_skew_all_states_are_alike() {
        let chain = chain(51 * 20, 0);
        for state in State::ALL {
            assert!((count(&chain, state) - 20.0).abs() <= 2.0, "{}", state.name());
        }
    }

    #[test]
    fn more_stores_are_added_to_the_same_ones() {
        assert_eq!(chain(1_000, 100).stores[..300], chain(300, 100).stores);
    }

    #[test]
    fn a_store_has_the_city_of_its_zip_code() {
        let chain = chain(5_000, 0);
        for (store, place) in chain.stores.iter().zip(&chain.places) {
            assert_eq!((&*store.zip, &*store.city, store.state), (place.zip, place.city, place.state));
            assert!(store.name.ends_with(place.city));
        }
    }

    #[test]
    fn homes_follow_the_shares_even_where_stores_cannot() {
        let (chain, mut random) = (chain(200, 100), Random::new(1, Purpose::Customer, 0, 0));
        let mut homes = [0_u32; 51];
        for _ in 0..200_000 {
            homes[chain.store(chain.draw(&mut random)).state.index()] += 1;
        }
        let open: f64 = State::ALL.iter().filter(|state| count(&chain, **state) > 0.0).map(|state| state.share()).sum();
        for state in State::ALL.into_iter().filter(|state| count(&chain, *state) > 0.0) {
            let share = f64::from(homes[state.index()]) / 200_000.0;
            assert!((share - state.share() / open).abs() < 0.004, "{}: {share}", state.name());
        }
    }

    #[test]
    fn one_store_is_enough() {
        let (chain, mut random) = (chain(1, 100), Random::new(1, Purpose::Customer, 0, 0));
        assert!((0..1_000).all(|_| chain.draw(&mut random) == 0));
    }
}

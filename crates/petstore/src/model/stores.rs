//! The chain: where its stores are, and where its customers live.
//!
//! After `BigPetStore`, where a store is in a place with a probability proportional to its
//! population, and a customer's home store is chosen with a probability proportional to the
//! population around it (Nowling & Vyas, "A Domain-Driven, Generative Data Model for `BigPetStore`",
//! `BDCloud` 2014, and Apache Bigtop's generator). Income doesn't count here.
//!
//! With w(state) = share of population^(skew/100):
//!
//! - store k is in the state at the quantile frac(u + k·φ) of w, φ the golden ratio and u random.
//!   Such a sequence is spread more evenly than a random one: any number of stores, from the first
//!   on, meets the shares as well as whole stores can;
//! - it is in a city of the state with a probability proportional to the city's population, amid
//!   n people: the places of stores are chosen by population, and populations of zip codes are
//!   about exponential, so n is drawn from the size-biased exponential, Gamma(2), with the mean and
//!   the maximum of 2010's zip codes;
//! - a customer's home store is in a state that has stores with a probability proportional to w, and
//!   is there one of them with a probability proportional to n.

use super::cities::{City, cities};
use super::random::{Purpose, Random};
use crate::{Parameters, State, Store};

/// All stores of the chain, and how likely each is somebody's.
#[derive(Debug)]
pub(super) struct Chain {
    stores: Vec<Store>,
    /// For each store, the sum of its and all earlier stores' weights.
    cumulative: Vec<f64>,
}

/// People per zip code: 308,722,808 in 32,989 of them, 113,916 in the largest (2010 Census).
const PEOPLE_MEAN: f64 = 9_358.0;
const PEOPLE_MOST: f64 = 113_916.0;

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
        let places = sums(weights);
        let start = Random::new(parameters.seed, Purpose::Chain, 0, 0).uniform();

        let mut people_of_state = [0.0; State::ALL.len()];
        let mut people = Vec::with_capacity(parameters.stores as usize);
        let mut stores = Vec::with_capacity(parameters.stores as usize);
        for id in 0..parameters.stores {
            let quantile = start + f64::from(id) * GOLDEN;
            let state = State::ALL[at(&places, quantile - quantile.floor())];
            let mut random = Random::new(parameters.seed, Purpose::Store, u64::from(id), 0);
            stores.push(store(id, state, &mut random));
            let around = (PEOPLE_MEAN * (random.exponential() + random.exponential())).clamp(1.0, PEOPLE_MOST);
            people_of_state[state.index()] += around;
            people.push(around);
        }

        let weight = |(store, people): (&Store, f64)| {
            weights[store.state.index()] * people / people_of_state[store.state.index()]
        };
        let cumulative = sums(stores.iter().zip(people).map(weight));
        Self { stores, cumulative }
    }

    /// Draws a store as a customer's home store is drawn.
    pub(super) fn draw(&self, random: &mut Random) -> &Store {
        &self.stores[at(&self.cumulative, random.uniform())]
    }
}

fn store(id: u32, state: State, random: &mut Random) -> Store {
    let cities = cities(state);
    let people: Vec<_> = cities.iter().map(|city| f64::from(city.thousands)).collect();
    let City { name: city, zip_prefix, .. } = cities[random.weighted(&people)];
    let name = NAMES[random.below(NAMES.len())];
    let zip = format!("{zip_prefix}{:02}", 1 + random.below(99));
    Store { id, name: format!("{name} of {city}").into(), state, city: city.into(), zip: zip.into() }
}

/// Returns the running sums of weights.
fn sums(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let add = |sum: &mut f64, weight| {
        *sum += weight;
        Some(*sum)
    };
    weights.into_iter().scan(0.0, add).collect()
}

/// Finds the index at `quantile` (0 to 1) of the weights whose running sums these are.
fn at(sums: &[f64], quantile: f64) -> usize {
    let last = sums.len() - 1;
    let place = quantile * sums[last];
    sums.partition_point(|sum| *sum <= place).min(last)
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
    fn stores_stand_where_people_live() {
        for stores in [100_u32, 1_000, 10_000] {
            let chain = chain(stores, 100);
            for state in State::ALL {
                let expected = state.share() * f64::from(stores);
                assert!((count(&chain, state) - expected).abs() <= 2.0, "{stores} stores, {}", state.name());
            }
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
    fn a_store_has_the_zip_code_of_its_city() {
        for store in chain(5_000, 0).stores {
            let city = cities(store.state).iter().find(|city| city.name == store.city).unwrap();
            assert_eq!((&store.zip[..3], store.zip.len()), (city.zip_prefix, 5));
            assert!(store.zip.bytes().all(|digit| digit.is_ascii_digit()));
            assert!(store.name.ends_with(city.name));
        }
    }

    #[test]
    fn homes_follow_the_shares_even_where_stores_cannot() {
        let (chain, mut random) = (chain(200, 100), Random::new(1, Purpose::Customer, 0, 0));
        let mut homes = [0_u32; 51];
        for _ in 0..200_000 {
            homes[chain.draw(&mut random).state.index()] += 1;
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
        assert!((0..1_000).all(|_| chain.draw(&mut random).id == 0));
    }
}

//! Where people live, and how stores and homes are spread over it.
//!
//! The places are zip codes in and around the larger cities of each state, with how many people live there, where, and from
//! what: `data/places.csv`, whose sources `data/README.md` names. The formulas are the paper's:
//!
//! ```text
//! store    P(z) ∝ people(z) 100^((income(z) - least) / (most - least))
//! home     P(z | store) ∝ exp(-d / 5 miles), d: the great-circle distance from the store's zip code
//! ```
//!
//! The table has not all zip codes of a state, so the first formula spreads the stores of a state, and the states among each
//! other have their people by the census instead of by the table, times the same factor: the mean over their places.

use std::sync::{LazyLock, OnceLock};

use super::random::{Cumulative, Random};
use crate::State;

/// A zip code.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) zip: &'static str,
    pub(super) city: &'static str,
    pub(super) state: State,
    /// How many live there.
    pub(super) people: f64,
    /// How many there are for a store that goes where the money is: people times the factor of their income.
    pub(super) custom: f64,
    latitude: f64,
    /// On the unit sphere: the product of two is the cosine of the angle between them.
    at: [f64; 3],
    homes: OnceLock<Homes>,
}

/// Where those live whose home store is at a place.
#[derive(Debug)]
struct Homes {
    places: Box<[u16]>,
    chances: Cumulative,
}

/// A store's weight grows by this factor from the poorest place to the richest.
const INCOME_SCALE: f64 = 100.0;
/// How far from their store people live, on average: miles.
const HOME_MILES: f64 = 5.0;
/// Beyond this, one in two thousand would live.
const FARTHEST_MILES: f64 = 50.0;
const MILES_PER_DEGREE: f64 = 69.09;

/// All places, by state.
pub(super) static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let lines = include_str!("../../data/places.csv").lines().skip(1);
    let rows: Vec<Row> = lines.map(|line| Row::parse(line).expect("data/places.csv is a part of this crate")).collect();
    let incomes = || rows.iter().map(|row| row.income);
    let (least, most) = (incomes().fold(f64::MAX, f64::min), incomes().fold(f64::MIN, f64::max));
    let factor = |income: f64| libm::pow(INCOME_SCALE, (income - least) / (most - least));
    let mut places: Vec<Place> = rows.iter().map(|row| row.place(factor(row.income))).collect();
    places.sort_by_key(|place| place.state);
    places
});

/// The places by their latitude.
static BY_LATITUDE: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let mut order: Vec<u16> = (0..).take(PLACES.len()).collect();
    order.sort_by(|one, other| PLACES[usize::from(*one)].latitude.total_cmp(&PLACES[usize::from(*other)].latitude));
    order
});

/// See [`State::share`].
static SHARES: LazyLock<[f64; State::ALL.len()]> = LazyLock::new(|| {
    let (mut people, mut custom) = ([0.0; State::ALL.len()], [0.0; State::ALL.len()]);
    for place in PLACES.iter() {
        people[place.state.index()] += place.people;
        custom[place.state.index()] += place.custom;
    }
    let weight = |state: State| f64::from(state.population()) * custom[state.index()] / people[state.index()];
    let weights = State::ALL.map(weight);
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
});

impl State {
    /// Returns the share of the chain's sales that the model gives this state at a skew of 100, 0 to 1: by its people and
    /// their income.
    #[must_use]
    pub fn share(self) -> f64 {
        SHARES[self.index()]
    }
}

/// A line of the table.
struct Row {
    zip: &'static str,
    state: State,
    city: &'static str,
    latitude: f64,
    longitude: f64,
    people: f64,
    income: f64,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut text = || fields.next();
        let (zip, state, city) = (text()?, text()?.parse().ok()?, text()?);
        let mut number = || fields.next()?.parse().ok();
        let (latitude, longitude, people, income) = (number()?, number()?, number()?, number()?);
        Some(Self { zip, state, city, latitude, longitude, people, income })
    }

    fn place(&self, factor: f64) -> Place {
        let (latitude, longitude) = (self.latitude.to_radians(), self.longitude.to_radians());
        let radius = libm::cos(latitude);
        let at = [radius * libm::cos(longitude), radius * libm::sin(longitude), libm::sin(latitude)];
        let Self { zip, state, city, people, latitude, .. } = *self;
        Place { zip, city, state, people, custom: people * factor, latitude, at, homes: OnceLock::new() }
    }
}

impl Place {
    /// Draws where somebody lives whose home store is here.
    pub(super) fn draw_home(&self, random: &mut Random) -> &'static Self {
        let homes = self.homes.get_or_init(|| self.homes());
        &PLACES[usize::from(homes.places[homes.chances.draw(random)])]
    }

    fn homes(&self) -> Homes {
        let degrees = FARTHEST_MILES / MILES_PER_DEGREE;
        let from = BY_LATITUDE.partition_point(|place| PLACES[usize::from(*place)].latitude < self.latitude - degrees);
        let near = BY_LATITUDE[from..].iter().copied().map(|index| (index, &PLACES[usize::from(index)]));
        let near = near.take_while(|(_, place)| place.latitude <= self.latitude + degrees);
        let near =
            near.map(|(index, place)| (index, self.miles_to(place))).filter(|(_, miles)| *miles <= FARTHEST_MILES);
        let (places, chances): (Vec<u16>, Vec<f64>) =
            near.map(|(index, miles)| (index, libm::exp(-miles / HOME_MILES))).unzip();
        Homes { places: places.into(), chances: Cumulative::new(chances) }
    }

    fn miles_to(&self, other: &Self) -> f64 {
        if self.zip == other.zip {
            return 0.0;
        }
        let cosine: f64 = self.at.iter().zip(other.at).map(|(one, other)| one * other).sum();
        libm::acos(cosine.clamp(-1.0, 1.0)).to_degrees() * MILES_PER_DEGREE
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::random::Purpose;
    use super::*;

    fn place(zip: &str) -> &'static Place {
        PLACES.iter().find(|place| place.zip == zip).unwrap()
    }

    #[test]
    fn every_state_has_places_and_no_zip_code_is_there_twice() {
        let states: BTreeSet<State> = PLACES.iter().map(|place| place.state).collect();
        assert_eq!(states.len(), State::ALL.len());
        let zips: BTreeSet<&str> = PLACES.iter().map(|place| place.zip).collect();
        assert_eq!(zips.len(), PLACES.len());
        assert!(zips.iter().all(|zip| zip.len() == 5 && zip.bytes().all(|digit| digit.is_ascii_digit())));
        assert!(PLACES.iter().all(|place| place.people >= 500.0 && place.custom >= place.people));
    }

    #[test]
    fn a_distance_is_that_on_the_globe() {
        // Manhattan's 10001 to Los Angeles' 90001 and to Brooklyn's 11201, by an independent calculation (haversine).
        for (zip, miles) in [("90001", 2_448.29), ("11201", 3.955), ("10001", 0.0)] {
            let found = place("10001").miles_to(place(zip));
            assert!((found - miles).abs() < 0.01, "{zip}: {found} miles, want {miles}");
        }
    }

    #[test]
    fn people_live_near_their_store_by_the_distance() {
        let (store, mut random) = (place("11201"), Random::new(1, Purpose::Customer, 0, 0));
        let homes: Vec<&Place> = (0..40_000).map(|_| store.draw_home(&mut random)).collect();
        let within = |miles: f64| homes.iter().filter(|home| store.miles_to(home) <= miles).count() as f64 / 40_000.0;
        let weight = |miles: f64| -> f64 {
            let distances = PLACES.iter().map(|place| store.miles_to(place)).filter(|distance| *distance <= miles);
            distances.map(|distance| libm::exp(-distance / 5.0)).sum()
        };
        for miles in [0.0, 2.0, 5.0, 10.0, 30.0] {
            let expected = weight(miles) / weight(5_000.0);
            assert!((within(miles) - expected).abs() < 0.01, "{miles} miles: {}, want {expected}", within(miles));
        }
        // Over the river is another state.
        assert!(homes.iter().any(|home| home.state == State::Nj));
    }

    #[test]
    fn shares_follow_people_and_income_and_add_up() {
        let sum: f64 = State::ALL.iter().map(|state| state.share()).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        let to_people = |state: State| state.share() * 331_449_281.0 / f64::from(state.population());
        // Rich, poor.
        assert!(to_people(State::Ct) > 1.2 && to_people(State::Ms) < 0.9, "{:?}", State::ALL.map(to_people));
    }
}

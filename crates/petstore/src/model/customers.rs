//! Who buys: a function of the seed and the customer's number, whatever block they appear in.

use super::names;
use super::products::CATEGORIES;
use super::random::{Purpose, Random};
use super::stores::Chain;
use super::taste::Taste;
use crate::{Customer, Pets};

/// A customer, with what the model knows of them and a sale doesn't tell.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) customer: Customer,
    /// The number of the store that they go to.
    pub(super) home_store: u32,
    /// The mean time, in days, by which they go shopping before something runs out: A.
    pub(super) mean_lead: f64,
    /// The mean time, in days, for which they buy ahead once they are in the store: Q.
    pub(super) mean_horizon: f64,
    /// Their taste in each category.
    pub(super) tastes: [Taste; CATEGORIES.len()],
}

const PETS_MOST: usize = 10;

impl Person {
    /// Draws a customer of the chain.
    ///
    /// - first and last name: independent, as frequent as in the population; a street is made up;
    /// - home: near their home store, see the model's places;
    /// - pets: 1 to 10, each a dog or a cat with equal probability;
    /// - A ~ N(5, 2) within 1 to 10 days and Q ~ N(10, 4) within 1 to 20 days, drawn again until they
    ///   are within: the transaction and the purchase trigger time of the published Java code, where the two samplers are
    ///   handed over in the wrong order; here each has its own meaning. (The paper's text has them uniform.)
    pub(super) fn new(seed: u64, number: u64, chain: &Chain) -> Self {
        let random = &mut Random::new(seed, Purpose::Customer, number, 0);
        let home_store = chain.draw(random);
        let home = chain.place(home_store).draw_home(random);
        let (first, last, street) = (names::first(random), names::last(random), names::street(random));
        let mut pets = Pets { dogs: 0, cats: 0 };
        for _ in 0..=random.below(PETS_MOST) {
            *[&mut pets.dogs, &mut pets.cats][random.below(2)] += 1;
        }
        let customer = Customer {
            id: number,
            first: first.into(),
            last: last.into(),
            street: street.into(),
            state: home.state,
            city: home.city.into(),
            zip: home.zip.into(),
            pets,
        };
        Self {
            customer,
            home_store,
            mean_lead: random.normal_within(5.0, 2.0, 1.0, 10.0),
            mean_horizon: random.normal_within(10.0, 4.0, 1.0, 20.0),
            tastes: std::array::from_fn(|_| Taste::new(random)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameters;

    #[test]
    fn customers_have_one_to_ten_pets_of_both_kinds() {
        let chain = Chain::new(&Parameters::default());
        let mut counts = [0_u32; PETS_MOST + 1];
        let (mut dogs, mut pets) = (0, 0);
        for number in 0..20_000 {
            let Pets { dogs: d, cats: c } = Person::new(1, number, &chain).customer.pets;
            counts[usize::from(d + c)] += 1;
            dogs += u32::from(d);
            pets += u32::from(d + c);
        }
        assert_eq!(counts[0], 0);
        assert!(counts[1..].iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
        assert!((0.49..0.51).contains(&(f64::from(dogs) / f64::from(pets))));
    }

    #[test]
    fn the_trigger_times_have_the_means_and_limits_of_the_paper() {
        let chain = Chain::new(&Parameters::default());
        let people: Vec<_> = (0..20_000).map(|number| Person::new(1, number, &chain)).collect();
        let mean = |time: fn(&Person) -> f64| people.iter().map(time).sum::<f64>() / 20_000.0;
        assert!((mean(|person| person.mean_lead) - 5.0).abs() < 0.1);
        assert!((mean(|person| person.mean_horizon) - 10.0).abs() < 0.2);
        assert!(people.iter().all(|person| (1.0..=10.0).contains(&person.mean_lead)));
        assert!(people.iter().all(|person| (1.0..=20.0).contains(&person.mean_horizon)));
    }
}

//! Who buys: a function of the seed and the customer's number, whatever block they appear in.

use fake::locales::{Data as _, EN};

use super::products::{CATEGORIES, Taste};
use super::random::{Purpose, Random};
use super::stores::Chain;
use crate::{Customer, Pets, Store};

/// A customer, with what the model knows of them and a sale doesn't tell.
#[derive(Debug)]
pub(super) struct Person<'chain> {
    pub(super) customer: Customer,
    pub(super) home_store: &'chain Store,
    /// The mean time, in days, by which they go shopping before something runs out: A.
    pub(super) mean_lead: f64,
    /// The mean time, in days, for which they buy ahead once they are in the store: Q.
    pub(super) mean_horizon: f64,
    /// Their taste in each category.
    pub(super) tastes: [Taste; CATEGORIES.len()],
}

const PETS_MOST: usize = 10;

impl<'chain> Person<'chain> {
    /// Draws a customer of the chain.
    ///
    /// - first and last name: independent, each uniformly from the list of the `fake` crate;
    /// - home: the city of their home store;
    /// - pets: 1 to 10, each a dog or a cat with equal probability;
    /// - A ~ N(5, 2) within 1 to 10 days and Q ~ N(10, 4) within 1 to 20 days, drawn again until they
    ///   are within: the transaction and the purchase trigger time of the paper. (The published Java
    ///   code hands the two samplers over in the wrong order; here each has its own meaning.)
    pub(super) fn new(seed: u64, number: u64, chain: &'chain Chain) -> Self {
        let random = &mut Random::new(seed, Purpose::Customer, number, 0);
        let home_store = chain.draw(random);
        let first = EN::NAME_FIRST_NAME[random.below(EN::NAME_FIRST_NAME.len())];
        let last = EN::NAME_LAST_NAME[random.below(EN::NAME_LAST_NAME.len())];
        let mut pets = Pets { dogs: 0, cats: 0 };
        for _ in 0..=random.below(PETS_MOST) {
            *[&mut pets.dogs, &mut pets.cats][random.below(2)] += 1;
        }
        let customer = Customer {
            id: number,
            first: first.into(),
            last: last.into(),
            state: home_store.state,
            city: home_store.city.clone(),
            pets,
        };
        Self {
            customer,
            home_store,
            mean_lead: random.normal_within(5.0, 2.0, 1.0, 10.0),
            mean_horizon: random.normal_within(10.0, 4.0, 1.0, 20.0),
            tastes: CATEGORIES.each_ref().map(|category| Taste::new(category, random)),
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
        let mean = |time: fn(&Person<'_>) -> f64| people.iter().map(time).sum::<f64>() / 20_000.0;
        assert!((mean(|person| person.mean_lead) - 5.0).abs() < 0.1);
        assert!((mean(|person| person.mean_horizon) - 10.0).abs() < 0.2);
        assert!(people.iter().all(|person| (1.0..=10.0).contains(&person.mean_lead)));
        assert!(people.iter().all(|person| (1.0..=20.0).contains(&person.mean_horizon)));
    }
}

//! The generative model.

mod cities;
mod customers;
mod products;
mod random;
mod stores;
mod year;

use self::customers::Person;
use self::random::{Purpose, Random};
use self::stores::Chain;
use crate::{BlockId, COHORT, Parameters, ParametersError, Sale};

/// The chain of stores, from which any block of sales can be generated.
#[derive(Debug)]
pub struct Petstore {
    parameters: Parameters,
    chain: Chain,
}

/// Days that are simulated from empty larders and thrown away, so that a block does not begin with everybody shopping.
const WARM_UP_DAYS: f64 = 60.0;
const SECONDS_PER_DAY: u32 = 86_400;

impl Petstore {
    /// Opens the chain that `parameters` describe.
    pub fn new(parameters: Parameters) -> Result<Self, ParametersError> {
        let parameters = parameters.checked()?;
        let chain = Chain::new(&parameters);
        Ok(Self { parameters, chain })
    }

    /// Returns what this chain was made from.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Generates one block: the sales to one cohort of [`COHORT`] customers in one simulated year (of
    /// [`Parameters::days`]), in order of simulated time; a few thousand with the default days.
    ///
    /// The loader's customers are divided into cohorts, which take turns: of c cohorts, block b holds
    /// cohort b mod c in year b div c. A customer is the same person each year; each year is simulated
    /// separately, so that any block can be generated without those before it. Sales at the same second
    /// are ordered by customer, then as the customer made them.
    ///
    /// The run is only copied into the ids: it changes nothing else.
    pub fn block(&self, id: BlockId) -> Vec<Sale> {
        let Parameters { seed, customers, days, .. } = self.parameters;
        let (cohort, year) = (id.block % (customers / COHORT), u64::from(id.block / (customers / COHORT)));
        let first = u64::from(id.loader) * u64::from(customers) + u64::from(cohort * COHORT);
        let start = year * u64::from(days) * u64::from(SECONDS_PER_DAY);

        let mut sales = Vec::new();
        for number in first..first + u64::from(COHORT) {
            let person = Person::new(seed, number, &self.chain);
            let random = &mut Random::new(seed, Purpose::Year, number, year);
            year::simulate(&person, &self.chain, WARM_UP_DAYS + f64::from(days), random, |purchase| {
                if purchase.day >= WARM_UP_DAYS {
                    let cents = purchase.items.iter().map(|item| item.cents).sum();
                    sales.push(Sale {
                        id: id.sale(0),
                        time: start + second(purchase.day - WARM_UP_DAYS, days),
                        store: purchase.store.clone(),
                        customer: person.customer.clone(),
                        items: purchase.items,
                        cents,
                    });
                }
            });
        }
        // Stable: what one customer bought at one second stays in its order.
        sales.sort_by_key(|sale| (sale.time, sale.customer.id));
        for (sale, index) in sales.iter_mut().zip(0..) {
            sale.id = id.sale(index);
        }
        sales
    }
}

/// Returns the second in which `day` falls, which is within `days` even where multiplying rounds up to their end.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 3,660 days' seconds")]
fn second(day: f64, days: u32) -> u64 {
    let second = (day * f64::from(SECONDS_PER_DAY)) as u64;
    second.min(u64::from(days) * u64::from(SECONDS_PER_DAY) - 1)
}

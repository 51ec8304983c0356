//! A stand-in with the right types.

use crate::{BlockId, Customer, Item, Parameters, ParametersError, Pets, Sale, State, Store};

/// The chain of stores, from which any block of sales can be generated.
#[derive(Debug)]
pub struct Petstore {
    parameters: Parameters,
}

impl Petstore {
    /// Opens the chain that `parameters` describe.
    pub fn new(parameters: Parameters) -> Result<Self, ParametersError> {
        Ok(Self { parameters: parameters.checked()? })
    }

    /// Returns what this chain was made from.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Generates one block: a few thousand sales in order of simulated time.
    pub fn block(&self, id: BlockId) -> Vec<Sale> {
        (0..4_000)
            .map(|index| {
                let state = State::ALL[index as usize * 7 % 51];
                Sale {
                    id: id.sale(index),
                    time: u64::from(index) * 7_000,
                    store: Store {
                        id: index % self.parameters.stores,
                        name: "Happy Paws".into(),
                        state,
                        city: "Springfield".into(),
                        zip: "12345".into(),
                    },
                    customer: Customer {
                        id: u64::from(id.loader) * u64::from(self.parameters.customers) + u64::from(index % 200),
                        first: "Ada".into(),
                        last: "Smith".into(),
                        state,
                        city: "Springfield".into(),
                        pets: Pets { dogs: 1, cats: 1 },
                    },
                    items: vec![
                        Item {
                            category: "dry dog food".into(),
                            brand: "Wellfed".into(),
                            flavor: "Chicken".into(),
                            size: "15 lb".into(),
                            cents: 3_000,
                        };
                        2
                    ],
                    cents: 6_000,
                }
            })
            .collect()
    }
}

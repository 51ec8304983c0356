//! A bad habit: N+1 queries. One to learn what there is, and then one more for each line of it.

use petstore::State;
use stores::Error;
use stores::redis::{Reader, Total};

/// What was sold in each of `states`, asked for state by state; `asked` is called for each request.
pub(crate) async fn totals(reader: &mut Reader, states: &[State], asked: impl Fn()) -> Result<Vec<Total>, Error> {
    let mut totals = Vec::with_capacity(states.len());
    for state in states {
        asked();
        totals.extend(reader.totals(&[*state]).await?);
    }
    Ok(totals)
}

/// The last purchases of a customer, each asked for again once it is known to be there.
pub(crate) async fn recent(reader: &mut Reader, customer: u64, asked: impl Fn()) -> Result<Vec<String>, Error> {
    asked();
    let mut purchases = reader.recent(customer).await?;
    for (number, purchase) in purchases.iter_mut().enumerate() {
        asked();
        if let Some(again) = reader.recent(customer).await?.into_iter().nth(number) {
            *purchase = again;
        }
    }
    Ok(purchases)
}

//! What the shop and its customers agree on: where things are, and what comes with a sale.

use petstore::State;

/// A header of a sale that is made: when it was due, in microseconds since 1970. Without it, it is due when it comes.
pub const DUE: &str = "kapture-due";

/// Where sales are made, by POST with the JSON of one. `201 Created` once Kafka has it. With `503 Service Unavailable` and with
/// any `4xx` it was certainly not taken; with anything else nobody can say.
pub const SALES: &str = "/sales";

/// What was sold in every state.
pub const STATES: &str = "/states";

/// The beginning of where a customer's last purchases are.
pub const CUSTOMERS: &str = "/customers";

/// What was sold in a state.
pub fn of_state(state: State) -> String {
    format!("{STATES}/{}", state.code())
}

/// The last purchases of a customer.
pub fn of_customer(id: u64) -> String {
    format!("{CUSTOMERS}/{id}")
}

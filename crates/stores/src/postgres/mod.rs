//! Sales in Postgres: tables in `migrations/`, each documented where it is made.

mod connection;
mod copy;
mod events;
mod follow;
mod insert;
mod prepared;
mod read;
mod receipt;
mod write;

pub use connection::{Config, Name, Schema};
pub use follow::{BYTES, Follower, Rows, Span, Stored};
pub use read::{Conflict, Reader, Row};
pub use write::Writer;

//! Sales in Redis (7 or later) or Valkey: no modules, no cluster.
//!
//! `keys` has the layout.

mod connection;
mod glob;
mod keys;
mod read;
mod script;
mod write;

pub use connection::{BlockTtl, Config};
use keys::Keys;
pub use read::{Reader, Total};
pub use write::Writer;

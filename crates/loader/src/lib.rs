//! Being written.
pub mod account;
mod bits;
pub mod blame;
pub mod clock;
pub mod config;
pub mod rate;
pub mod schedule;
pub mod stock;

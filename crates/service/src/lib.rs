//! What every program shares, so that all of them are configured, watched and stopped in one way.
//!
//! A program reads its configuration with [`from_env`], logs through [`init_tracing`], answers
//! `/metrics`, `/livez`, `/readyz` and `/report` with [`serve_admin`], and ends when the token of
//! [`shutdown_on_signal`] is cancelled. Nothing here knows Kafka or a store: the measurement must not
//! travel through what is being overloaded.

pub mod account;
mod address;
mod admin;
pub mod client;
mod duration;
mod environment;
pub mod findings;
mod health;
mod histogram;
pub mod http;
mod latency;
mod listen;
mod own;
mod process;
mod report;
pub mod reported;
pub mod resources;
mod secret;
mod segment;
pub mod server;
pub mod shop;
pub mod state;
mod time;
mod whole;

pub use address::{Host, HostPort};
pub use admin::{Admin, Config, serve_admin};
pub use duration::{BoundedDuration, Interval};
pub use environment::{Environment, from_env};
pub use health::{Beat, Health, Ready};
pub use histogram::{Histogram, Merged};
pub use latency::{Latency, encode_seconds, new_histogram};
pub use listen::listen;
pub use own::encode_resources;
pub use process::{incarnation, init_tracing, shutdown_on_signal, unix_us};
pub use report::{Disk, Figures, Neighbour, Report};
pub use resources::Resources;
pub use secret::Secret;
pub use segment::Segment;
pub use time::{Activity, Spent, Stopwatch, Time, busiest_since};
pub use whole::{Port, Whole};

//! The report of a run: one page of HTML that needs no network, a text summary, the lines while it runs, and the verdict as
//! the very last line.
//!
//! Answer, then reason, then pictures. Asked is beside achieved, percentiles are named with how many sales they are of, and what
//! is not known is a question mark, never 0. Colour never speaks alone.

mod against;
mod chart;
mod details;
mod habits;
mod jump;
mod page;
pub mod progress;
mod text;
pub(crate) mod words;

pub use page::{html, html_among};
pub use text::{headline, last_line, summary};

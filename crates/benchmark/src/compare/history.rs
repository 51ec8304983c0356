//! What the founding tool recorded in 2019: data and history. Nothing is compared with it, and it is never ranked.

use serde::Deserialize;

/// All of its tables.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// What this is.
    pub what: String,
    /// Why nothing is comparable with it.
    pub not_comparable: Vec<String>,
    /// In the order in which they were published.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What it is called here.
    pub title: String,
    /// Repository, path and commit.
    pub source: String,
    /// What its rates are.
    pub unit: String,
    /// By what a recorded rate is to be multiplied for an estimate of messages per second, all together.
    pub times: f64,
    /// What else one has to know.
    pub remark: String,
    /// By the name of the cluster.
    pub rows: Vec<Row>,
}

/// A cluster in one configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What it was.
    pub cluster: String,
    /// Its CPUs; none if that was not recorded.
    pub vcpu: Option<f64>,
    /// Its memory in GB.
    pub memory_gb: Option<f64>,
    /// The stores that were on.
    pub stores: Vec<String>,
    /// The rate with one generator: the least and the most of its runs.
    pub one_generator: [f64; 2],
    /// The best rate of each run.
    pub best: Vec<f64>,
    /// The score that was published with it; none if there was none.
    #[serde(default)]
    pub score: Option<f64>,
    /// What is odd about it.
    #[serde(default)]
    pub remark: Option<String>,
}

impl Row {
    /// The lowest and the highest best rate of its runs, as recorded.
    pub fn best_range(&self) -> (f64, f64) {
        crate::statistics::range(&self.best).unwrap_or_default()
    }
}

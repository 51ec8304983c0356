//! Where a run stands among the clusters on record: only comparable ones count, and of the others one sees why not.

use super::clusters::{Cluster, Clusters};
use super::{Comparison, compare, is_same_run, usable};
use crate::capsule::{Capacity, Capsule};

/// Where a run stands.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// Its number; or why it has none that can be compared.
    pub own: Result<Capacity, String>,
    /// Clusters with a comparable run, the one that carries most first.
    pub peers: Vec<Peer<'a>>,
    /// Clusters without one, and in what their newest run is unlike.
    pub unlike: Vec<(&'a Cluster, Vec<String>)>,
}

/// A cluster, with its newest comparable run.
#[derive(Clone, Debug)]
pub struct Peer<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The numbers of its run.
    pub capacity: Capacity,
    /// The run that stands among them, compared with this one.
    pub comparison: Comparison,
}

impl<'a> Standing<'a> {
    /// Compares a run with all of them.
    pub fn of(capsule: &Capsule, among: &'a Clusters) -> Self {
        let mut standing = Self { own: usable(capsule), peers: Vec::new(), unlike: Vec::new() };
        if standing.own.is_err() {
            return standing;
        }
        for cluster in &among.clusters {
            let mut why = None;
            for run in cluster.runs.iter().rev().filter(|run| !is_same_run(run, capsule)) {
                match (compare(run, capsule), usable(run)) {
                    (Comparison::Unlike(unlike), _) => why = why.or(Some(unlike)),
                    (comparison, Ok(capacity)) => {
                        standing.peers.push(Peer { cluster, capacity, comparison });
                        why = None;
                        break;
                    }
                    (_, Err(_)) => {}
                }
            }
            standing.unlike.extend(why.map(|why| (cluster, why)));
        }
        standing.peers.sort_by(|a, b| b.capacity.median.total_cmp(&a.capacity.median));
        standing
    }

    /// The answer in a sentence, without a full stop.
    pub fn sentence(&self) -> String {
        if let Err(why) = &self.own {
            return format!("this run is compared with no cluster, since it {why}");
        }
        let n = self.peers.len();
        match (n, self.unlike.len()) {
            (0, 0) => return "no other cluster is on record yet".to_owned(),
            (0, 1) => return "the one cluster on record is not comparable".to_owned(),
            (0, others) => return format!("none of the {others} clusters on record is comparable"),
            _ => {}
        }
        let count = |of: fn(&Comparison) -> bool| self.peers.iter().filter(|peer| of(&peer.comparison)).count();
        let more = count(|it| matches!(it, Comparison::Slower(_)));
        let less = count(|it| matches!(it, Comparison::Faster(_)));
        if n == 1 {
            let does = if more == 1 {
                "more"
            } else if less == 1 {
                "less"
            } else {
                "the same"
            };
            return format!("the one comparable cluster can do {does}, as far as these runs can tell");
        }
        format!(
            "of {n} comparable clusters, {more} can do more, {less} less, and {} the same as far as these runs can tell",
            n - more - less
        )
    }
}

//! Where the run stands: beside runs that were given, among comparable clusters on record, and unlike which.

use std::fmt::Write;

use super::words::{capitalised, date, escaped, or_unknown, percent, rate, thousands};
use crate::capsule::{Capacity, Capsule};
use crate::compare::clusters::Clusters;
use crate::compare::history::History;
use crate::compare::{Comparison, Peer, Standing, compare};
use crate::diagnose::Moment;

pub(super) fn section(capsule: &Capsule, others: &[Capsule], clusters: &Clusters) -> String {
    let standing = Standing::of(capsule, clusters);
    let mut html = format!("<h2>Against others</h2><p>{}.</p>", escaped(&capitalised(&standing.sentence())));
    if let (Ok(own), false) = (&standing.own, standing.peers.is_empty()) {
        html.push_str(&bars(capsule, own, &standing.peers));
    }
    for (cluster, why) in &standing.unlike {
        let _ = write!(
            html,
            "<p class=\"soft\"><b>{}</b> ({}) is not comparable, because its value and this run's differ: {}.</p>",
            escaped(&cluster.name),
            escaped(&cluster.about.machine),
            escaped(&why.join("; "))
        );
    }
    html.push_str(&given(capsule, others));
    if let Some(history) = &clusters.history {
        html.push_str(&past(history));
    }
    html
}

/// This run and its peers, the largest first.
fn bars(capsule: &Capsule, own: &Capacity, peers: &[Peer]) -> String {
    let most = peers.iter().map(|peer| peer.capacity.median).fold(own.median, f64::max);
    let place = peers.iter().take_while(|peer| peer.capacity.median > own.median).count();
    let mut html = String::new();
    for peer in &peers[..place] {
        html.push_str(&peer_bar(peer, most));
    }
    let cores = capsule.evidence.as_ref().and_then(|evidence| cores(&evidence.failed));
    html.push_str(&bar("this", &capsule.run, own, most, &format!("this run; {}", per_cpu(own, cores))));
    for peer in &peers[place..] {
        html.push_str(&peer_bar(peer, most));
    }
    html + "<p class=\"soft\">What came through in the repeats of the rate that held: median, lowest and highest. Only runs in the same \
            mode, with the same limit, stages, load and model are compared.</p>"
}

fn peer_bar(Peer { cluster, capacity, comparison }: &Peer, most: f64) -> String {
    let under = format!("{}; this run is {}", per_cpu(capacity, Some(cluster.about.cores)), told(comparison));
    bar("", &cluster.name, capacity, most, &under)
}

fn bar(class: &str, name: &str, capacity: &Capacity, most: f64, under: &str) -> String {
    let Capacity { median, low, high, .. } = *capacity;
    format!(
        "<div class=\"bar {class}\"><span>{}</span><div class=\"track\"><i style=\"width:{:.1}%\"></i><span>{} sales/s ({}–{})</span>\
         </div><small>{}</small></div>",
        escaped(name),
        median / most * 100.0,
        rate(median),
        rate(low),
        rate(high),
        escaped(under)
    )
}

fn per_cpu(capacity: &Capacity, cores: Option<f64>) -> String {
    let each = or_unknown(cores.map(|cores| rate(capacity.median / cores)));
    format!("{} repeats; {each} sales/s per CPU", capacity.n)
}

/// CPUs of the nodes, if all of them are known; once of those that are on the same machine.
fn cores(seen: &Moment) -> Option<f64> {
    let all = seen.machines().iter().map(|nodes| nodes[0].cores).reduce(|all, one| Some(all? + one?))?;
    all.filter(|cores| *cores > 0.0)
}

fn told(comparison: &Comparison) -> String {
    match comparison {
        Comparison::Faster(of) => format!("faster: {:+.1} %", (of.ratio - 1.0) * 100.0),
        Comparison::Slower(of) => format!("slower: {:+.1} %", (of.ratio - 1.0) * 100.0),
        Comparison::Same(of) => format!("the same: less than {} can't be seen", percent(of.visible)),
        Comparison::Unlike(why) => format!("not comparable: {}", why.join("; ")),
    }
}

/// Runs that were given when the page was made.
fn given(capsule: &Capsule, others: &[Capsule]) -> String {
    if others.is_empty() {
        return "<p class=\"soft\"><code>kapture-benchmark compare A.json B.json</code> compares two capsules.</p>"
            .to_owned();
    }
    let mut html =
        "<table class=\"stack\"><thead><tr><th>run</th><th>capacity</th><th>this run is</th></tr></thead><tbody>"
            .to_owned();
    for other in others {
        let _ = write!(
            html,
            "<tr><td>{} ({}, {})</td><td data-of=\"capacity\">{}</td><td data-of=\"this run is\">{}</td></tr>",
            escaped(&other.run),
            escaped(&other.kapture),
            date(other.began_us),
            or_unknown(other.capacity().map(|capacity| format!("{} sales/s", rate(capacity.held)))),
            escaped(&told(&compare(other, capsule)))
        );
    }
    html + "</tbody></table>"
}

/// The tables of 2019: to be read, not to be compared with.
fn past(history: &History) -> String {
    let mut html = format!(
        "<details><summary>2019: not comparable</summary><p>{} No run can be compared with them, because:</p><ul>",
        escaped(&history.what)
    );
    for why in &history.not_comparable {
        let _ = write!(html, "<li>{}</li>", escaped(why));
    }
    html.push_str("</ul>");
    for table in &history.tables {
        let _ = write!(
            html,
            "<p><b>{}</b>: {}. {}</p><table><thead><tr><th>cluster</th><th>best of each run, as recorded</th></tr></thead><tbody>",
            escaped(&table.title),
            escaped(&table.unit),
            escaped(&table.remark)
        );
        for row in &table.rows {
            let _ = write!(
                html,
                "<tr><td>{}, {} vCPU{}</td><td>{}</td></tr>",
                escaped(&row.cluster),
                or_unknown(row.vcpu.map(|n| n.to_string())),
                if row.stores.is_empty() { String::new() } else { format!(", {}", escaped(&row.stores.join(", "))) },
                row.best.iter().map(|best| thousands(*best)).collect::<Vec<_>>().join(" / ")
            );
        }
        html.push_str("</tbody></table>");
    }
    html + "</details>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Node;

    #[test]
    fn the_cpus_of_nodes_on_one_machine_count_once() {
        let node = |name: &str, machine: Option<&str>, cores: Option<f64>| Node {
            name: name.to_owned(),
            machine: machine.map(str::to_owned),
            cores,
            ..Node::default()
        };
        let cores = |nodes: &[Node]| cores(&Moment { nodes: nodes.to_vec(), ..Moment::default() });
        let two = [node("a", Some("a"), Some(2.0)), node("b", Some("a"), Some(2.0))];
        assert_eq!(cores(&two), Some(2.0));
        assert_eq!(cores(&[&two[..], &[node("c", None, Some(4.0))]].concat()), Some(6.0));
        assert_eq!(cores(&[node("a", None, Some(2.0)), node("b", None, None)]), None);
    }
}

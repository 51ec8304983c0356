//! Two runs side by side, and one among the clusters on record.

mod sample;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use benchmark::capsule::Capsule;
use benchmark::compare::clusters::{Clusters, ours};
use benchmark::compare::{Comparison, Standing, compare, readme};
use benchmark::mode::Mode;
use benchmark::report::{html_among, summary};
use benchmark::verdict::Verdict;
use sample::capsule;

/// A run with its repeats around a rate, which began after those that were made before.
fn around(rate: f64, spread: f64) -> Capsule {
    static LATER: AtomicI64 = AtomicI64::new(1);
    let mut capsule = capsule(Mode::Default, None);
    capsule.began_us += LATER.fetch_add(1, Ordering::Relaxed);
    let found = capsule.found.as_mut().unwrap();
    (found.held, found.failed) = (Some(rate), Some(rate * 1.05));
    capsule.repeats = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|off| rate * (1.0 + off * spread)).into();
    capsule
}

#[test]
fn two_runs_differ_if_their_ranges_are_apart_by_more_than_the_search_is_wide() {
    let a = around(3_000.0, 0.01);
    assert!(
        matches!(compare(&a, &around(3_600.0, 0.01)), Comparison::Faster(ratio) if (ratio.ratio - 1.2).abs() < 1e-9)
    );
    assert!(matches!(compare(&a, &around(2_500.0, 0.01)), Comparison::Slower(_)));
    assert!(matches!(compare(&a, &around(3_120.0, 0.01)), Comparison::Same(_)), "apart, but by less than the width");
    assert!(matches!(compare(&around(3_000.0, 0.1), &around(3_300.0, 0.1)), Comparison::Same(_)), "they overlap");
    let same = compare(&a, &around(3_000.0, 0.01)).to_string();
    assert!(
        same.ends_with("B is the same, as far as these runs can tell: +0.0 %, and less than 5 % can't be seen\n"),
        "{same}"
    );
    let slower = compare(&a, &around(2_500.0, 0.01)).to_string();
    assert!(
        slower.contains("B is slower: -16.7 % (the ranges do not overlap)")
            && slower.contains(
                "A  3,000 sales/s held, 3,150 did not; 5 repeats 2,970–3,030, median 3,000  (run-1, 2026-09-21 14:13 UTC, Kapture 0.1.0)"
            ),
        "{slower}"
    );
}

#[test]
fn a_jump_of_the_load_has_no_capacity_to_compare() {
    let Comparison::Unlike(why) = compare(&around(3_000.0, 0.01), &sample::jumped(Some(85.0))) else {
        panic!("compared")
    };
    assert_eq!(why, ["B (run-1) measured the elasticity, and no capacity"]);
}

#[test]
fn unlike_runs_are_refused_naming_what_differs() {
    let a = around(3_000.0, 0.01);
    let mut b = around(3_000.0, 0.01);
    b.parameters.load = sample::load("7");
    b.parameters.latency_limit_ms = 500;
    b.parameters.mode = Mode::Certificate;
    b.parameters.stages.retain(|stage| stage != "returned");
    b.parameters.misbehaviour = vec!["unbatched".to_owned(), "hoarding".to_owned()];
    b.parameters.model = 2;
    let Comparison::Unlike(why) = compare(&a, &b) else { panic!("compared") };
    let expected = [
        "benchmark.mode: default and certificate",
        "latency limit: 1000 ms and 500 ms",
        "stages: accepted, routed, stored, returned and accepted, routed, stored",
        "misbehaviour: none and hoarding, unbatched",
        "model of the sales: 1 and 2",
        "loader.arrivals: even and unknown",
        "loader.customers: 10000 and unknown",
        "loader.days: 365 and unknown",
        "loader.hotStore: 0 and unknown",
        "loader.seed: 2014 and 7",
        "loader.skew: 100 and unknown",
        "loader.stores: 1000 and unknown",
    ];
    assert_eq!(why, expected);
}

#[test]
fn a_run_without_a_number_is_refused() {
    let a = around(3_000.0, 0.01);
    let mut invalid = around(3_000.0, 0.01);
    (invalid.verdict, invalid.reason) = (Verdict::Invalid, "clocks agree: 80 ms".to_owned());
    assert!(
        matches!(compare(&a, &invalid), Comparison::Unlike(why) if why == ["B (run-1) is INVALID: clocks agree: 80 ms"])
    );
    let mut at_least = around(3_000.0, 0.01);
    at_least.found.as_mut().unwrap().failed = None;
    assert!(matches!(compare(&at_least, &a), Comparison::Unlike(why) if why[0].contains("lower bound")));
}

#[test]
fn what_one_compares_makes_no_two_runs_unlike() {
    let a = around(3_000.0, 0.01);
    let mut b = around(3_000.0, 0.01);
    (b.kapture, b.parameters.target) = ("9.9.9".to_owned(), Some(100.0));
    b.installation.replicas.insert("kafka".to_owned(), 5);
    b.versions.clear();
    b.pods.clear();
    assert!(matches!(compare(&a, &b), Comparison::Same(_)));
    // In which order switches were turned on makes no difference either.
    let mut a = around(3_000.0, 0.01);
    a.parameters.misbehaviour = vec!["unbatched".to_owned(), "hoarding".to_owned()];
    b.parameters.misbehaviour = vec!["hoarding".to_owned(), "unbatched".to_owned()];
    assert!(matches!(compare(&a, &b), Comparison::Same(_)));
}

#[test]
fn the_arguments_may_be_swapped_and_that_is_said() {
    let (older, newer) = (around(3_000.0, 0.01), around(3_600.0, 0.01));
    let (forth, back) = (compare(&older, &newer), compare(&newer, &older));
    let (Comparison::Faster(forth_by), Comparison::Slower(back_by)) = (&forth, &back) else { panic!("{forth} {back}") };
    assert!((forth_by.ratio * back_by.ratio - 1.0).abs() < 1e-9);
    assert!(!forth.to_string().contains("older"), "{forth}");
    assert!(back.to_string().contains("note: B is the older of the two"), "{back}");
}

#[test]
fn a_run_is_not_compared_with_itself() {
    let a = around(3_000.0, 0.01);
    let itself = compare(&a, &a.clone()).to_string();
    assert_eq!(itself, "not comparable:\n  A and B are the same run, run-1 of 2026-09-21 14:13 UTC: give two runs\n");
}

/// A folder of clusters, each with its runs, as `benchmark/clusters` is one.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, clusters: &[(&str, &[&Capsule])]) -> Self {
        let folder = std::env::temp_dir().join(format!("kapture-clusters-{}-{name}", std::process::id()));
        for (cluster, runs) in clusters {
            let of = folder.join(cluster);
            fs::create_dir_all(&of).unwrap();
            let about =
                r#"{"machine": "three of a kind", "nodes": 3, "cores": 6, "memory_gib": 24, "commit": "abc1234"}"#;
            fs::write(of.join("cluster.json"), about).unwrap();
            fs::write(of.join("values.yaml"), "{}").unwrap();
            for (n, run) in runs.iter().enumerate() {
                fs::write(of.join(format!("{n}.json")), serde_json::to_string(run).unwrap()).unwrap();
            }
        }
        Self(folder)
    }

    fn read(&self) -> anyhow::Result<Clusters> {
        Clusters::read(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A small, a like, a large cluster, and one with another limit.
fn four(name: &str) -> Clusters {
    let [mut small, large] = [1_500.0, 7_000.0].map(|rate| around(rate, 0.01));
    // As `build.rs` compiles it in.
    (small.steps, small.evidence) = (Vec::new(), None);
    // Of this one the newest run that can be compared counts.
    let [old, like, mut newest] = [9_000.0, 3_100.0, 20_000.0].map(|rate| around(rate, 0.01));
    newest.parameters.mode = Mode::Certificate;
    let mut other = around(5_000.0, 0.01);
    other.parameters.latency_limit_ms = 250;
    let runs: [(&str, &[&Capsule]); 4] =
        [("small", &[&small]), ("like", &[&newest, &old, &like]), ("large", &[&large]), ("other", &[&other])];
    Folder::new(name, &runs).read().unwrap()
}

#[test]
fn a_run_stands_among_comparable_clusters_and_of_the_others_one_sees_why_not() {
    let clusters = four("standing");
    let run = around(3_000.0, 0.01);
    let standing = Standing::of(&run, &clusters);
    let peers: Vec<_> = standing.peers.iter().map(|peer| (peer.cluster.name.as_str(), peer.capacity.median)).collect();
    assert_eq!(peers, [("large", 7_000.0), ("like", 3_100.0), ("small", 1_500.0)]);
    let unlike: Vec<_> = standing.unlike.iter().map(|(cluster, why)| (cluster.name.as_str(), why.join("; "))).collect();
    assert_eq!(unlike, [("other", "latency limit: 250 ms and 1000 ms".to_owned())]);
    assert_eq!(
        standing.sentence(),
        "of 3 comparable clusters, 1 can do more, 1 less, and 1 the same as far as these runs can tell"
    );
    let large = Folder::new("one", &[("large", &[&around(7_000.0, 0.01)])]).read().unwrap();
    let standing = Standing::of(&run, &large);
    assert_eq!(standing.sentence(), "the one comparable cluster can do more, as far as these runs can tell");
}

#[test]
fn a_run_that_is_on_record_is_not_its_own_peer() {
    let run = around(3_000.0, 0.01);
    let clusters = Folder::new("own", &[("own", &[&run])]).read().unwrap();
    let standing = Standing::of(&run, &clusters);
    assert!(standing.peers.is_empty() && standing.unlike.is_empty());
    assert_eq!(standing.sentence(), "no other cluster is on record yet");
}

#[test]
fn a_run_without_a_number_stands_nowhere() {
    let clusters = four("nowhere");
    let mut run = around(3_000.0, 0.01);
    (run.verdict, run.reason) = (Verdict::Invalid, "clocks agree: 80 ms".to_owned());
    let standing = Standing::of(&run, &clusters);
    assert!(standing.peers.is_empty());
    assert_eq!(standing.sentence(), "this run is compared with no cluster, since it is INVALID: clocks agree: 80 ms");
    let mut unlike = around(3_000.0, 0.01);
    unlike.parameters.load = sample::load("7");
    assert_eq!(Standing::of(&unlike, &clusters).sentence(), "none of the 4 clusters on record is comparable");
}

#[test]
fn the_page_shows_comparable_clusters_as_bars_and_never_those_of_2019() {
    let mut clusters = four("page");
    clusters.history.clone_from(&ours().history);
    let run = around(3_000.0, 0.01);
    let page = html_among(&run, &[around(2_500.0, 0.01)], &clusters).unwrap();
    sample::keep("among.html", &page);
    let from = page.find("<h2>Against others").unwrap();
    let section = &page[from..from + page[from..].find("<h2>Proof").unwrap()];
    let order = [
        "large",
        "like",
        "run-1",
        "small",
        "<b>other</b>",
        "latency limit: 250 ms and 1000 ms",
        "2019: not comparable",
    ];
    let mut at = 0;
    for text in order {
        at += section[at..].find(text).unwrap_or_else(|| panic!("{text} is not in its place: {section}"));
    }
    assert!(section.contains("1,167 sales/s per CPU; this run is slower: -57.1 %"), "{section}");
    let past = &section[section.find("2019: not comparable").unwrap()..];
    assert!(past.contains("n1-standard-2") && !past.contains("class=\"bar"), "{past}");
    assert!(summary(&run).contains(&format!("against others: {}\n", Standing::of(&run, ours()).sentence())));
}

#[test]
fn the_readme_of_a_folder_has_a_row_a_run() {
    let text = readme(&four("readme"));
    assert_eq!(text.matches("| [").count(), 6, "{text}");
    assert!(
        text.contains(
            "| [small](small) | three of a kind; 3 nodes, 6 CPUs, 24 GiB | run-1, 2026-09-21 14:13 UTC, commit abc1234 | default, 1000 \
             ms | 1,500 (gave way at 1,575) | 5: 1,485–1,515 | 250 | CPU limit |"
        ),
        "{text}"
    );
}

#[test]
fn what_can_not_be_compared_is_not_put_on_record() {
    let refused = |name: &str, change: fn(&mut Capsule)| {
        let mut run = around(3_000.0, 0.01);
        change(&mut run);
        format!("{:#}", Folder::new(name, &[("big", &[&run])]).read().unwrap_err())
    };
    let invalid = refused("invalid", |run| (run.verdict, run.reason) = (Verdict::Invalid, "clocks".to_owned()));
    assert!(
        invalid.ends_with("big: 0.json: the run is INVALID: clocks: only runs that can be compared are on record"),
        "{invalid}"
    );
    let at_least = refused("at-least", |run| run.found.as_mut().unwrap().failed = None);
    assert!(at_least.contains("has only a lower bound"), "{at_least}");
    let folder = Folder::new("values", &[("big", &[&around(3_000.0, 0.01)])]);
    fs::remove_file(folder.0.join("big/values.yaml")).unwrap();
    let no_values = folder.read().unwrap_err().to_string();
    assert!(no_values.starts_with("big has no values.yaml"), "{no_values}");
}

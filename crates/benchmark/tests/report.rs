//! The report as its readers get it.

mod sample;

use benchmark::decide::decide;
use benchmark::judge::Met;
use benchmark::mode::Mode;
use benchmark::report::{headline, html, last_line, progress, summary};
use benchmark::search::{End, Phase};
use benchmark::verdict::{Decision, Verdict};
use sample::{capsule, jumped, keep};

/// Each text stands on the page after the one before it.
fn assert_in_order(page: &str, texts: &[&str]) {
    let mut from = 0;
    for text in texts {
        from += page[from..].find(text).unwrap_or_else(|| panic!("{text} is not after {:?}", &page[from..from + 80]));
    }
}

#[test]
fn the_page_answers_in_the_order_in_which_one_asks() {
    let capsule = capsule(Mode::Default, Some(2_000.0));
    let page = html(&capsule, std::slice::from_ref(&capsule)).unwrap();
    keep("default.html", &page);
    keep("default.json", &serde_json::to_string(&capsule).unwrap());
    let order = [
        "✓ PASS",
        "3,420 <small>sales/s",
        "your target: 2,000 sales/s, <b>42 % spare",
        "Why it stops there",
        "--set postgres.resources.limits.cpu=1400m",
        "Next in line is",
        "<h2>Criteria",
        "<h2>Can it be trusted",
        "<h2>Load against latency",
        "<h2>Stages and their ceilings",
        "<h2>Against others",
        "<h2>Proof",
        "<h2>Details",
        "create job --from=cronjob/kapture-benchmark",
        "id=\"capsule\"",
    ];
    assert_in_order(&page, &order);
}

#[test]
fn a_stage_that_misbehaves_on_purpose_is_named_with_how_it_is_turned_off() {
    let mut capsule = capsule(Mode::Default, None);
    capsule.diagnosis.as_mut().unwrap().stage = Some("stored".to_owned());
    let misbehaves = |on: &[&str], capsule: &mut benchmark::capsule::Capsule| {
        capsule.parameters.misbehaviour = on.iter().map(|on| (*on).to_owned()).collect();
        (summary(capsule), html(capsule, &[]).unwrap())
    };
    let says =
        "t misbehaves on purpose: layers=3, unbatched; look again without misbehaviour.layers, misbehaviour.unbatched";
    let (text, page) = misbehaves(&["layers=3", "unbatched"], &mut capsule);
    assert!(text.contains(says) && page.contains(says), "{text}");
    assert!(text.contains("note: misbehaviour was on: layers=3, unbatched"), "{text}");
    capsule.diagnosis.as_mut().unwrap().stage = Some("returned".to_owned());
    let (text, page) = misbehaves(&["layers=3", "unbatched"], &mut capsule);
    assert!(!text.contains("on purpose") && !page.contains("on purpose"), "{text}");
}

#[test]
fn the_page_of_a_jump_says_how_long_it_took_what_broke_and_what_scaled() {
    let capsule = jumped(Some(85.0));
    let page = html(&capsule, &[]).unwrap();
    keep("jump.html", &page);
    let order = [
        "✓ PASS",
        "recovered in 1m25s",
        "all service levels had to hold for 1m00s",
        "<h2>After the jump",
        "the first window did not hold: <b>p99 from due to each store",
        "Etl-postgres from 1 to 2 pods",
        "after 35s: 2 pods of etl-postgres",
        "At its worst, the p99",
        "<h2>Criteria",
        "before the jump 500/s",
        "after it 4,000/s",
        "<h2>Can it be trusted",
        "<h2>Proof",
        "jump from 500 to 4,000 sales/s within 10m00s",
        "id=\"capsule\"",
    ];
    assert_in_order(&page, &order);
    assert!(!page.contains("Why it stops there") && !page.contains("Why it does not recover"));
    assert_eq!(headline(&capsule), "recovered in 1m25s from a jump from 500 to 4,000 sales/s");
    let text = summary(&capsule);
    assert!(
        text.contains("before the jump, at 500 sales/s\n") && text.contains("after it, at 4,000 sales/s\n"),
        "{text}"
    );
    assert!(text.contains("note: to hold again means to hold for 1m00s"), "{text}");
    assert_eq!(
        last_line(&capsule, None),
        "verdict=PASS recovered=85s within=600s window=60s from=500 to=4000 unit=sales/s etl-postgres=1..2"
    );
}

#[test]
fn the_page_of_a_jump_that_was_too_much_says_what_holds_it_back() {
    let capsule = jumped(None);
    let page = html(&capsule, &[]).unwrap();
    keep("not-recovered.html", &page);
    for text in ["✗ FAIL", "not recovered within 10m00s", "Why it does not recover", "resources.limits.cpu"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(last_line(&capsule, None).starts_with("verdict=FAIL recovered=none within=600s "));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&capsule(Mode::Smoke, None), &[]).unwrap();
    keep("smoke.html", &page);
    for from_elsewhere in ["http://", "https://", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
}

#[test]
fn the_page_says_whether_loaders_took_cpu_from_brokers() {
    let mut capsule = capsule(Mode::Smoke, None);
    assert!(html(&capsule, &[]).unwrap().contains("Loaders and brokers were on different nodes."));
    for node in &mut capsule.evidence.as_mut().unwrap().failed.nodes {
        node.machine = Some("node-1".to_owned());
    }
    assert!(html(&capsule, &[]).unwrap().contains("on different nodes of one machine, whose CPU they share"));
    capsule.pods[0].node = capsule.pods[1].node.clone();
    assert!(html(&capsule, &[]).unwrap().contains("Loaders shared node-1 with brokers"));
}

#[test]
fn names_cannot_become_markup() {
    let mut capsule = capsule(Mode::Smoke, None);
    capsule.run = "</script><b>run".to_owned();
    capsule.reason = "<img>".to_owned();
    let page = html(&capsule, &[]).unwrap();
    assert!(!page.contains("</script><b>") && !page.contains("<img>"));
    assert_eq!(page.matches("</script>").count(), 1);
    let from = page.find("id=\"capsule\">").unwrap() + "id=\"capsule\">".len();
    let inside =
        benchmark::capsule::Capsule::parse(&page[from..from + page[from..].find("</script>").unwrap()]).unwrap();
    assert_eq!(inside.run, capsule.run, "the capsule in the page is the capsule");
}

#[test]
fn what_is_not_known_is_a_question_mark() {
    let mut capsule = capsule(Mode::Smoke, None);
    for record in &mut capsule.steps {
        (record.judged.sent, record.judged.delivered) = (None, None);
        record.judged.latencies.clear();
        record.points.clear();
    }
    (capsule.calibrated, capsule.audit, capsule.diagnosis) = (None, None, None);
    let page = html(&capsule, &[]).unwrap();
    keep("unknown.html", &page);
    assert!(page.contains("No step has measured a latency") && page.contains("<td class=\"n\">?</td>"));
    assert!(page.contains("the loaders can offer ? sales/s"));
    let mut nothing = capsule;
    nothing.steps.clear();
    nothing.found = None;
    nothing.decided(Decision::could_not_run("no loader answers", "set loader.replicas to 1"));
    let page = html(&nothing, &[]).unwrap();
    keep("nothing.html", &page);
    assert!(page.contains("COULD NOT RUN") && page.contains("set loader.replicas to 1"));
    assert_eq!(last_line(&nothing, None), "verdict=COULD_NOT_RUN reason=\"no loader answers\"");
}

#[test]
fn the_last_line_is_the_verdict() {
    let capsule = capsule(Mode::Default, Some(2_000.0));
    let line = last_line(&capsule, Some("http://kapture-exporter:8080/reports/run-1"));
    assert!(
        line.starts_with("verdict=PASS capacity=3420 low=34")
            && line.contains(" unit=sales/s target=2000 headroom=42% limit=")
            && line.ends_with("limit=postgres-0/CPU-limit report=http://kapture-exporter:8080/reports/run-1"),
        "{line}"
    );
    let mut long = capsule;
    long.reason = "é".repeat(5_000);
    long.remedy = Some("none".to_owned());
    assert!(last_line(&long, None).len() <= 4_000);
}

#[test]
fn the_summary_has_criteria_reason_and_command() {
    let capsule = capsule(Mode::Default, Some(2_000.0));
    let text = summary(&capsule);
    for part in [
        "PASS  3,420 sales/s (held 3,420, gave way at 3,570; 6 repeats 3,405–3,433, median 3,417), your target 2,000, 42 % spare",
        "BROKEN  lag not growing",
        "gives way first: stored",
        "CPU limit of postgres-0: postgres-0 was kept waiting by its CPU limit in 80.0 % of its periods (at rest 0, when it held 70.0)",
        "raise postgres.resources.limits.cpu from 1000m to 1400m",
        "helm upgrade kapture ./charts/kapture -n perf-test --reset-then-reuse-values --set postgres.resources.limits.cpu=1400m",
        "next in line: ",
        "note: one installation, one hour",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_judged_step_is_one_line_that_says_why_and_what_comes_next() {
    let capsule = capsule(Mode::Default, None);
    let next = progress::announced(Phase::Confirm, 12_000.0, true);
    let mut lines = capsule.steps.iter().map(|record| progress::judged(725.0, 9, None, &record.judged, &next));
    for line in lines.clone() {
        assert!(line.len() <= 110, "{}: {line}", line.len());
    }
    assert_eq!(
        lines.next_back().unwrap(),
        " 12:05       9 FAIL     4,240/s: p99 1639 ms to stored (asked: 1000 ms)  next 12,000 (confirm once more)"
    );
}

#[test]
fn smoke_says_how_wide_its_bracket_is() {
    let text = summary(&capsule(Mode::Smoke, None));
    assert!(
        text.contains("note: the bracket is 100 % wide") && text.contains("no fresh repeats have confirmed"),
        "{text}"
    );
}

#[test]
fn a_target_decides() {
    let verdict = |mode, target| capsule(mode, Some(target)).verdict;
    assert_eq!(verdict(Mode::Default, 3_420.0), Verdict::Pass);
    assert_eq!(verdict(Mode::Default, 3_480.0), Verdict::Fail, "capacity is the largest rate that held");
    assert_eq!(verdict(Mode::Default, 9_000.0), Verdict::Fail);
    let within = capsule(Mode::Smoke, Some(4_500.0));
    assert_eq!(within.verdict, Verdict::Invalid, "a wide bracket can't tell");
    assert!(within.remedy.unwrap().contains("benchmark.mode=default"));
    assert_eq!(capsule(Mode::Default, None).verdict, Verdict::Pass);
}

#[test]
fn what_cannot_be_trusted_comes_before_the_number() {
    let whole = capsule(Mode::Default, Some(2_000.0));
    let (mut found, mut audit) = (whole.found.clone().unwrap(), whole.audit.clone().unwrap());
    let decided = |found: &_, audit: &_| decide(&whole.parameters, found, &whole.steps, audit);

    audit.findings.met = Met::No;
    audit.findings.measured = "3 lost at stored".to_owned();
    let lost = decided(&found, &audit);
    assert_eq!((lost.verdict, lost.reason.as_str()), (Verdict::Fail, "the auditor found: 3 lost at stored"));

    audit.done.met = Met::Unknown;
    let unaudited = decided(&found, &audit);
    assert_eq!(unaudited.verdict, Verdict::Invalid);
    assert!(unaudited.remedy.is_some());

    let audit = whole.audit.clone().unwrap();
    found.control.as_mut().unwrap().drifted = true;
    let drifted = decided(&found, &audit);
    assert_eq!(drifted.verdict, Verdict::Invalid);
    assert!(drifted.reason.contains("changed while it was measured"), "{drifted:?}");

    let mut nothing = whole.found.clone().unwrap();
    (nothing.held, nothing.end, nothing.control) = (None, End::NothingHeld, None);
    assert_eq!(decided(&nothing, &audit).verdict, Verdict::Fail);
    nothing.end = End::OutOfTime;
    assert_eq!(decided(&nothing, &audit).verdict, Verdict::Invalid);
    assert!(headline(&benchmark::capsule::Capsule { found: Some(nothing), ..whole.clone() }).contains("no rate held"));
}

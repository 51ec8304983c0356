//! From what was found to what is said of it.

use super::found::Found;
use super::inspect::Inspection;
use super::sample::{MOST, PLACES, Place};
use super::table::{Release, Row, grouped};
use crate::block::Watched;

/// How a stage is called, where its sales lie, who fills it, and the value that turns it on.
struct Stage {
    place: Place,
    name: &'static str,
    lies: &'static str,
    look_at: (&'static str, &'static str),
    turns_on: &'static str,
}

const STAGES: [Stage; PLACES] = [
    Stage { place: Place::Accepted, name: "accepted", lies: "", look_at: ("statefulset", "kafka"), turns_on: "" },
    Stage { place: Place::Routed, name: "routed", lies: "", look_at: ("statefulset", "etl-fan-out"), turns_on: "" },
    Stage {
        place: Place::Cached,
        name: "cached",
        lies: " in Redis",
        look_at: ("deploy", "etl-redis"),
        turns_on: "redis.enabled=true",
    },
    Stage {
        place: Place::Stored,
        name: "stored",
        lies: " in Postgres",
        look_at: ("deploy", "etl-postgres"),
        turns_on: "postgres.enabled=true",
    },
    Stage {
        place: Place::Returned,
        name: "returned",
        lies: " on receipts",
        look_at: ("deploy", "etl-spout"),
        turns_on: "postgres.enabled=true",
    },
];

/// A line for each stage. `redis_keeps_us`: how long Redis keeps a block.
pub(super) fn rows(
    inspection: &Inspection,
    watched: Watched,
    redis_keeps_us: i64,
    release: &Release,
    now_us: i64,
) -> Vec<Row> {
    let line = |(stage, enabled): (&Stage, bool)| {
        if !enabled {
            return Row::skip(stage.name, format!("{} turns it on", stage.turns_on));
        }
        let kept = |updated_at_us: i64| stage.place != Place::Cached || now_us - updated_at_us < redis_keeps_us;
        let found = inspection.sample.found(stage.place, |record| kept(record.updated_at_us));
        let lies = match stage.place {
            Place::Routed => format!(" in {} topics", inspection.topics),
            _ => stage.lies.to_owned(),
        };
        judge(stage, &found, &lies, inspection.trouble[stage.place as usize].as_deref(), release, now_us)
    };
    let Watched { stores: [redis, postgres], returned } = watched;
    STAGES.iter().zip([true, true, redis, postgres, returned]).map(line).collect()
}

fn judge(stage: &Stage, found: &Found, lies: &str, trouble: Option<&str>, release: &Release, now_us: i64) -> Row {
    let mut said = vec![format!("{} of {}{lies}", grouped(found.there), grouped(found.expected))];
    if found.is_right() && found.expected > 0 {
        // All of it is there, whatever else was said on the way.
        if stage.place == Place::Routed {
            said.push("lost 0  duplicate 0".to_owned());
        }
        return Row::ok(stage.name, said.join("   "));
    }
    if found.missing() > 0 {
        let oldest = found.oldest.map(|(sale, state, due_us)| match due_us {
            0 => format!(", oldest {sale} ({state})"),
            _ => format!(", oldest {sale} ({state}), {} s old", (now_us - due_us) / 1_000_000),
        });
        let not_routed = match found.not_routed {
            0 => String::new(),
            all if all == found.missing() => ", none of them routed".to_owned(),
            some => format!(", {} of them not routed", grouped(some)),
        };
        said.push(format!("{} missing{not_routed}{}", grouped(found.missing()), oldest.unwrap_or_default()));
    }
    if found.duplicates > 0 {
        let one = found.duplicate.map(|sale| format!(", such as {sale}"));
        said.push(format!("{} duplicate{}", grouped(found.duplicates), one.unwrap_or_default()));
    }
    if found.altered > 0 {
        let one = found.one_altered.map(|sale| format!(", such as {sale}"));
        said.push(format!("{} altered{}", grouped(found.altered), one.unwrap_or_default()));
    }
    for (count, what) in [(found.misrouted, "on another state's topic"), (found.never_sent, "never sent")] {
        if count > 0 {
            said.push(format!("{} {what}", grouped(count)));
        }
    }
    said.extend(trouble.map(|trouble| format!("({trouble})")));
    // Who lost nothing of its own has nothing to say in its log.
    let (kind, component) = if found.missing() > 0 && found.not_routed == found.missing() {
        STAGES[Place::Routed as usize].look_at
    } else {
        stage.look_at
    };
    Row::fail(stage.name, said.join("   "), format!("{kind}/{}", release.object(component)))
}

/// What was judged: `30 s at 100/s`.
pub(super) fn of(inspection: &Inspection) -> String {
    let sales = inspection.sample.sales();
    match inspection.sample.span_us() {
        Some((first, last)) if last > first => {
            let seconds = (last - first) as f64 / 1e6;
            format!("{seconds:.0} s at {:.0}/s", sales as f64 / seconds)
        }
        _ => format!("{} sales", grouped(sales)),
    }
}

/// What was left out, and why.
pub(super) fn notes(inspection: &Inspection) -> Vec<String> {
    let sample = &inspection.sample;
    let mut notes = Vec::new();
    if sample.older > 0 {
        notes.push(format!(
            "{} sales were acknowledged in all: the newest blocks were read, up to {} sales; {} older blocks were not",
            grouped(sample.acknowledged),
            grouped(MOST),
            sample.older
        ));
    }
    if sample.beyond > 0 {
        notes.push(format!("{} blocks were not judged: a log no longer reaches back to them", sample.beyond));
    }
    notes
}

#[cfg(test)]
mod tests {
    use petstore::{SaleId, State};

    use super::*;
    use crate::check::table::Verdict;

    const SALE: SaleId = SaleId { run: 0x9f3a_1c22, loader: 3, block: 17, index: 203 };

    fn stored(found: &Found, trouble: Option<&str>) -> Row {
        judge(&STAGES[3], found, " in Postgres", trouble, &Release::example(), 50_000_000)
    }

    #[test]
    fn what_is_missing_is_counted_and_the_oldest_named() {
        let oldest = Some((SALE, State::Ca, 9_000_000));
        let row = stored(&Found { expected: 3_000, there: 2_988, oldest, ..Found::default() }, None);
        let text = "2,988 of 3,000 in Postgres   12 missing, oldest 9f3a1c22/3/17/203 (ca), 41 s old";
        assert_eq!(row, Row::fail("stored", text, "deploy/kapture-2024-etl-postgres"));
    }

    #[test]
    fn what_was_not_routed_is_not_laid_at_the_stores_door() {
        let row = stored(&Found { expected: 3_000, there: 2_988, not_routed: 12, ..Found::default() }, None);
        let text = "2,988 of 3,000 in Postgres   12 missing, none of them routed";
        assert_eq!(row, Row::fail("stored", text, "statefulset/kapture-2024-etl-fan-out"));
        let oldest = Some((SALE, State::Ca, 0));
        let row = stored(&Found { expected: 3_000, there: 2_988, not_routed: 5, oldest, ..Found::default() }, None);
        assert!(row.text.ends_with("12 missing, 5 of them not routed, oldest 9f3a1c22/3/17/203 (ca)"), "{}", row.text);
        assert_eq!(row.look_at.as_deref(), Some("deploy/kapture-2024-etl-postgres"));
    }

    #[test]
    fn all_there_is_ok_and_nothing_at_all_is_not() {
        let all = Found { expected: 3_000, there: 3_000, ..Found::default() };
        assert_eq!(stored(&all, Some("has not passed 1 of 51 topics")).verdict, Verdict::Ok);
        assert_eq!(stored(&Found::default(), None).verdict, Verdict::Fail);
    }

    #[test]
    fn each_other_fault_fails_as_well() {
        let all = Found { expected: 3_000, there: 3_000, ..Found::default() };
        for (found, says) in [
            (Found { duplicates: 1, duplicate: Some(SALE), ..all.clone() }, "1 duplicate, such as 9f3a1c22/3/17/203"),
            (Found { altered: 1, one_altered: Some(SALE), ..all.clone() }, "1 altered, such as 9f3a1c22/3/17/203"),
            (Found { misrouted: 2, ..all.clone() }, "2 on another state's topic"),
            (Found { never_sent: 3, ..all.clone() }, "3 never sent"),
        ] {
            let row = stored(&found, None);
            assert_eq!(row.verdict, Verdict::Fail);
            assert!(row.text.contains(says), "{}", row.text);
        }
    }
}

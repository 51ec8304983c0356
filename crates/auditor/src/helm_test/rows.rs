//! From a recount to what is printed: a line a stage.

use pipeline::{Place, Role, Store, Topic};

use super::table::{Release, Row};
use crate::audit::findings::{Kind, Stage, Tally};
use crate::recount::{Missing, Recount, grouped};

/// Whose log tells why sales are missing at a stage: that of the role that fills it.
fn look_at(stage: Stage) -> (&'static str, &'static str) {
    match stage.role() {
        None => ("statefulset", "kafka"),
        Some(Role::FanOut) => ("statefulset", Role::FanOut.component()),
        Some(role) => ("deploy", role.component()),
    }
}

/// The value that turns a stage on; nothing for those that are always there.
fn turned_on_by(stage: Stage) -> String {
    stage
        .role()
        .and_then(Role::store)
        .map_or_else(String::new, |store| format!("{}.enabled=true turns it on", store.name()))
}

/// Where its sales are, in words.
fn place(stage: Stage, topics: usize) -> String {
    match stage.place() {
        Place::Topic(Topic::States) => format!(" in {topics} topics"),
        Place::Topic(Topic::Sales) => String::new(),
        Place::Topic(topic) => format!(" on {}", topic.name()),
        Place::Store(Store::Redis) => " in Redis".to_owned(),
        Place::Store(Store::Postgres) => " in Postgres".to_owned(),
    }
}

/// What is known of one stage.
#[derive(Clone, Copy, Debug, Default)]
struct Known<'a> {
    tally: Tally,
    oldest: Option<Missing>,
    /// Why it is behind, or could not be read.
    trouble: Option<&'a str>,
    is_unread: bool,
}

/// A line for each stage.
pub(super) fn rows(recount: &Recount, release: &Release, now_us: i64) -> Vec<Row> {
    let line = |stage: Stage| {
        let Some(tally) = recount.stages.0.get(&stage) else {
            return Row::skip(stage.name(), turned_on_by(stage));
        };
        let unread = recount.gaps.unread.get(&stage);
        let known = Known {
            tally: *tally,
            oldest: recount.oldest.get(&stage).copied(),
            trouble: unread.or(recount.gaps.behind.get(&stage)).map(String::as_str),
            is_unread: unread.is_some(),
        };
        let is = place(stage, recount.topics.len());
        let first = |kind: Kind| {
            let found = recount.findings.iter().find(|finding| (finding.stage, finding.kind) == (stage, kind));
            found.map(|finding| finding.what.as_str())
        };
        row(stage, &known, &is, first, release, now_us)
    };
    Stage::ALL.into_iter().map(line).collect()
}

/// `first`: the first finding of a kind, by what it names.
fn row<'a>(
    stage: Stage,
    known: &Known<'_>,
    is: &str,
    first: impl Fn(Kind) -> Option<&'a str>,
    release: &Release,
    now_us: i64,
) -> Row {
    let Known { tally, oldest, trouble, is_unread } = known;
    let mut said = vec![format!("{} of {}{is}", grouped(tally.found), grouped(tally.expected))];
    let missing = tally.lost + tally.late;
    if tally.is_clean() && missing == 0 && tally.expected > 0 && !is_unread {
        // All of it is there, whatever trouble there was on the way.
        if stage == Stage::Routed {
            said.push("lost 0  duplicate 0".to_owned());
        }
        return Row::ok(stage.name(), said.join("   "));
    }
    if missing > 0 {
        let lost = if tally.late == 0 { ", lost" } else { ", late" };
        let oldest = oldest.map(|Missing { due_s, id, state }| match due_s {
            0 => format!(", oldest {id} ({state})"),
            _ => format!(", oldest {id} ({state}), {} s old", now_us / 1_000_000 - i64::from(due_s)),
        });
        said.push(format!("{} missing{}{lost}", grouped(missing), oldest.unwrap_or_default()));
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lost && tally.of(*kind) > 0) {
        let one = first(kind).map(|what| format!(", such as {what}"));
        let name = kind.name().replace('_', " ");
        said.push(format!("{} {name}{}", grouped(tally.of(kind)), one.unwrap_or_default()));
    }
    said.extend(trouble.map(|trouble| format!("({trouble})")));
    let (kind, component) = look_at(stage);
    Row::fail(stage.name(), said.join("   "), format!("{kind}/{}", release.object(component)))
}

/// What was judged: `30 s at 100/s`.
pub(super) fn of(recount: &Recount) -> String {
    let sales = recount.stages.at(Stage::Accepted).expected;
    match recount.span_s {
        Some((first, last)) if last > first => {
            let seconds = last - first;
            format!("{seconds} s at {:.0}/s", sales as f64 / f64::from(seconds))
        }
        _ => format!("{} sales", grouped(sales)),
    }
}

#[cfg(test)]
mod tests {
    use petstore::{SaleId, State};

    use super::*;
    use crate::helm_test::table::Status;

    const SALE: SaleId = SaleId { run: 0x9f3a_1c22, loader: 3, block: 17, index: 203 };

    fn all() -> Tally {
        Tally { expected: 3_000, found: 3_000, ..Tally::default() }
    }
    fn stored(known: &Known<'_>) -> Row {
        row(
            Stage::Stored,
            known,
            &place(Stage::Stored, 51),
            |_| Some("9f3a1c22/3/17/203"),
            &Release::example(),
            50_000_000,
        )
    }

    #[test]
    fn each_stage_says_where_its_sales_are_whom_to_ask_and_what_turns_it_on() {
        let told = |stage| format!("{}|{}|{}", place(stage, 51), look_at(stage).1, turned_on_by(stage));
        assert_eq!(told(Stage::Accepted), "|kafka|");
        assert_eq!(told(Stage::Routed), " in 51 topics|etl-fan-out|");
        assert_eq!(told(Stage::Cached), " in Redis|etl-redis|redis.enabled=true turns it on");
        assert_eq!(told(Stage::Stored), " in Postgres|etl-postgres|postgres.enabled=true turns it on");
        assert_eq!(told(Stage::Returned), " on receipts|etl-spout|postgres.enabled=true turns it on");
    }

    #[test]
    fn what_is_missing_is_counted_and_the_oldest_named_lost_or_late() {
        let oldest = Some(Missing { due_s: 9, id: SALE, state: State::Ca });
        let row = stored(&Known { tally: Tally { found: 2_988, lost: 12, ..all() }, oldest, ..Known::default() });
        let text = "2,988 of 3,000 in Postgres   12 missing, oldest 9f3a1c22/3/17/203 (ca), 41 s old, lost";
        assert_eq!(row, Row::fail("stored", text, "deploy/kapture-2024-etl-postgres"));
        let trouble = Some("has not passed 1 of 51 topics");
        let oldest = Some(Missing { due_s: 0, id: SALE, state: State::Ca });
        let tally = Tally { found: 2_988, late: 12, ..all() };
        let row = stored(&Known { tally, oldest, trouble, is_unread: false });
        let text = "12 missing, oldest 9f3a1c22/3/17/203 (ca), late   (has not passed 1 of 51 topics)";
        assert!(row.text.ends_with(text), "{}", row.text);
    }

    #[test]
    fn all_there_is_ok_and_nothing_at_all_or_what_could_not_be_read_is_not() {
        let known = Known { tally: all(), trouble: Some("has not passed 1 of 51 topics"), ..Known::default() };
        assert_eq!(stored(&known).status, Status::Ok);
        assert_eq!(stored(&Known { is_unread: true, ..known }).status, Status::Fail);
        assert_eq!(stored(&Known::default()).status, Status::Fail);
    }

    #[test]
    fn each_other_fault_fails_as_well() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lost) {
            let mut tally = all();
            *tally.of_mut(kind) = 2;
            let row = stored(&Known { tally, ..Known::default() });
            assert_eq!(row.status, Status::Fail);
            let says = format!("2 {}, such as 9f3a1c22/3/17/203", kind.name().replace('_', " "));
            assert!(row.text.contains(&says), "{}", row.text);
        }
    }
}

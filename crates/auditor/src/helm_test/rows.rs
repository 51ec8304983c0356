//! From a recount to what is printed: a line a stage.

use pipeline::{Place, Role, Store, Topic};

use super::Settings;
use super::table::Row;
use crate::audit::findings::{Kind, Stage};
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

/// The line of a stage.
pub(super) fn row(stage: Stage, recount: &Recount, settings: &Settings, now_us: i64) -> Row {
    let Some(tally) = recount.stages.0.get(&stage) else {
        return Row::skip(stage.name(), turned_on_by(stage));
    };
    let unread = recount.gaps.unread.get(&stage);
    let is = place(stage, recount.topics.len());
    let mut said = vec![format!("{} of {}{is}", grouped(tally.found), grouped(tally.expected))];
    let missing = tally.lost + tally.late;
    if tally.is_clean() && missing == 0 && tally.expected > 0 && unread.is_none() {
        // All of it is there, whatever trouble there was on the way.
        if stage == Stage::Routed {
            said.push("lost 0  duplicate 0".to_owned());
        }
        return Row::ok(stage.name(), said.join("   "));
    }
    if missing > 0 {
        let lost = if tally.late == 0 { ", lost" } else { ", late" };
        let oldest = recount.oldest.get(&stage).map(|Missing { due_s, id, state }| match due_s {
            0 => format!(", oldest {id} ({state})"),
            _ => format!(", oldest {id} ({state}), {} s old", now_us / 1_000_000 - i64::from(*due_s)),
        });
        said.push(format!("{} missing{}{lost}", grouped(missing), oldest.unwrap_or_default()));
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lost && tally.of(*kind) > 0) {
        let one = recount.findings.iter().find(|finding| (finding.stage, finding.kind) == (stage, kind));
        let one = one.map(|finding| format!(", such as {}", finding.what));
        let name = kind.name().replace('_', " ");
        said.push(format!("{} {name}{}", grouped(tally.of(kind)), one.unwrap_or_default()));
    }
    said.extend(unread.or(recount.gaps.behind.get(&stage)).map(|trouble| format!("({trouble})")));
    let (kind, component) = look_at(stage);
    Row::fail(stage.name(), said.join("   "), format!("{kind}/{}", settings.object(component)))
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
    use crate::audit::findings::{Finding, Tally};
    use crate::helm_test::table::Status;

    const SALE: SaleId = SaleId { run: 0x9f3a_1c22, loader: 3, block: 17, index: 203 };

    fn all() -> Tally {
        Tally { expected: 3_000, found: 3_000, ..Tally::default() }
    }

    fn recount(tally: Tally) -> Recount {
        let mut recount = Recount::default();
        *recount.stages.at_mut(Stage::Stored) = tally;
        recount
    }

    fn stored(recount: &Recount) -> Row {
        row(Stage::Stored, recount, &Settings::example(), 50_000_000)
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
        let oldest = |due_s| [(Stage::Stored, Missing { due_s, id: SALE, state: State::Ca })].into();
        let lost = Recount { oldest: oldest(9), ..recount(Tally { found: 2_988, lost: 12, ..all() }) };
        let text = "2,988 of 3,000 in Postgres   12 missing, oldest 9f3a1c22/3/17/203 (ca), 41 s old, lost";
        assert_eq!(stored(&lost), Row::fail("stored", text, "deploy/kapture-2024-etl-postgres"));
        let mut late = Recount { oldest: oldest(0), ..recount(Tally { found: 2_988, late: 12, ..all() }) };
        late.gaps.behind.insert(Stage::Stored, "has not passed 1 of 51 topics".to_owned());
        let text = "12 missing, oldest 9f3a1c22/3/17/203 (ca), late   (has not passed 1 of 51 topics)";
        assert!(stored(&late).text.ends_with(text), "{}", stored(&late).text);
    }

    #[test]
    fn all_there_is_ok_and_nothing_at_all_or_what_could_not_be_read_is_not() {
        let mut all = recount(all());
        all.gaps.behind.insert(Stage::Stored, "has not passed 1 of 51 topics".to_owned());
        assert_eq!(stored(&all).status, Status::Ok);
        std::mem::swap(&mut all.gaps.behind, &mut all.gaps.unread);
        assert_eq!(stored(&all).status, Status::Fail);
        assert_eq!(stored(&recount(Tally::default())).status, Status::Fail);
    }

    #[test]
    fn each_other_fault_fails_as_well() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lost) {
            let mut recount = recount(all());
            *recount.stages.at_mut(Stage::Stored).of_mut(kind) = 2;
            let (what, detail) = (SALE.to_string(), String::new());
            recount.findings.push(Finding { stage: Stage::Stored, kind, what, detail, at_us: 0 });
            let row = stored(&recount);
            assert_eq!(row.status, Status::Fail);
            let says = format!("2 {}, such as 9f3a1c22/3/17/203", kind.name().replace('_', " "));
            assert!(row.text.contains(&says), "{}", row.text);
        }
    }
}

//! What the live auditor has found since the first sale on today's Kafka; what was found before that is a remark.

use std::time::{Duration, Instant};

use service::account::{Account, Count};

use super::table::Row;
use super::{Settings, ask};
use crate::audit::findings::{Stage, Tallies, Tally};
use crate::recount::grouped;

/// Between two questions.
const REST: Duration = Duration::from_millis(500);
const ACCOUNT: &str = "/api/v1/account";

/// How many rounds of proof the auditor has ended; none if it doesn't answer.
pub(super) async fn rounds(settings: &Settings) -> Option<u64> {
    Some(ask::<Account>(&settings.auditor, ACCOUNT).await.ok()?.position.rounds)
}

/// Waits until the auditor has ended two rounds of proof since there were `before`: the second began after that. Gives its
/// row, and a remark on earlier Kafkas if there is one.
///
/// One is enough if the time is over, so that a slow pipeline is not called a dead auditor. Without `moves`, as when
/// the fan-out is stopped, it need only answer.
pub(super) async fn row(
    settings: &Settings,
    mut before: Option<u64>,
    moves: bool,
    deadline: Instant,
) -> (Row, Option<String>) {
    let object = format!("deploy/{}", settings.object("auditor"));
    loop {
        let late = Instant::now() >= deadline;
        let why = match ask::<Account>(&settings.auditor, ACCOUNT).await {
            Ok(account) => {
                let rounds = account.position.rounds;
                // Fewer than before: it was restarted.
                let begun = before.filter(|before| *before <= rounds).unwrap_or(rounds);
                before = Some(begun);
                let enough = rounds >= begun + if late { 1 } else { 2 };
                let today = of_today(&account);
                if enough || !moves || !today.is_clean() {
                    return (judge(&account, &today, object), remark(&account, service::unix_us()));
                }
                format!("no proof ended: it waits for {}", account.position.waiting_for)
            }
            Err(err) => format!("it does not answer: {err:#}"),
        };
        if late {
            return (Row::fail("auditor", why, object), None);
        }
        tokio::time::sleep(REST).await;
    }
}

/// What the account has of earlier Kafkas.
fn of_earlier(account: &Account) -> Tallies {
    let mut earlier = Tallies::default();
    account.earlier.iter().for_each(|kafka| earlier.add(&kafka.stages));
    earlier
}

/// What it has of today's Kafka.
fn of_today(account: &Account) -> Tallies {
    let earlier = of_earlier(account);
    let mut today = account.stages.clone();
    for (stage, tally) in &mut today.0 {
        let mut counts = tally.counts();
        counts.iter_mut().zip(earlier.at(*stage).counts()).for_each(|(count, of)| *count = count.saturating_sub(of));
        *tally = Tally::of_counts(counts);
    }
    today
}

fn judge(account: &Account, today: &Tallies, object: String) -> Row {
    let accepted = today.at(Stage::Accepted).expected;
    let first = if account.earlier.is_empty() { "the first" } else { "the first on today's Kafka" };
    if today.is_clean() {
        let unsaid: u64 = today.0.values().map(|tally| tally.not_auditable).sum();
        let unsaid = match unsaid {
            0 => String::new(),
            _ => format!(", {} of which a log no longer reaches back to", grouped(unsaid)),
        };
        return Row::ok("auditor", format!("no finding in {} sales since {first}{unsaid}", grouped(accepted)));
    }
    let earlier: u64 = account.earlier.iter().map(|kafka| kafka.findings).sum();
    let finding = account.findings.get(usize::try_from(earlier).unwrap_or(usize::MAX));
    let finding = finding.map(|finding| format!("; the first: {} {}", finding.what, finding.detail));
    let text = format!(
        "{} in {} sales since {first}{}",
        in_words(&today.counts()),
        grouped(accepted),
        finding.unwrap_or_default()
    );
    Row::fail("auditor", text.trim_end().to_owned(), object)
}

/// What was found on earlier Kafkas: it is told, and fails nothing.
fn remark(account: &Account, now_us: i64) -> Option<String> {
    let (found, replaced_us) = (of_earlier(account), account.earlier.last()?.at_us);
    (!found.is_clean()).then(|| {
        let ago = in_units(now_us.saturating_sub(replaced_us).max(0) / 1_000_000);
        format!(
            "before Kafka was last replaced, {ago} ago: {}; the auditor's account keeps them, they are not judged here",
            in_words(&found.counts())
        )
    })
}

fn in_words(counts: &[Count]) -> String {
    let words = |Count { stage, kind, findings }: &Count| {
        format!("{} {} at {}", grouped(*findings), kind.name().replace('_', " "), stage.name())
    };
    counts.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// A time in the largest unit of which there are at least two.
fn in_units(seconds: i64) -> String {
    let units = [(86_400, "days"), (3_600, "h"), (60, "min")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= 2 * length).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use service::account::EarlierKafka;

    use super::*;
    use crate::audit::findings::{Finding, Kind};

    fn finding(stage: Stage, what: &str) -> Finding {
        Finding { stage, kind: Kind::Lost, what: what.to_owned(), detail: String::new(), at_us: 0 }
    }

    fn judged(account: &Account) -> Row {
        judge(account, &of_today(account), "x".to_owned())
    }

    #[test]
    fn a_finding_is_told_with_its_stage_and_sale() {
        let mut account = Account::default();
        *account.stages.at_mut(Stage::Accepted) = Tally { expected: 3_000, ..Tally::default() };
        assert_eq!(judged(&account), Row::ok("auditor", "no finding in 3,000 sales since the first"));
        assert_eq!(remark(&account, 0), None);

        account.stages.at_mut(Stage::Stored).lost = 3;
        account.findings.push(finding(Stage::Stored, "9f3a1c22/3/17/203"));
        let text = "3 lost at stored in 3,000 sales since the first; the first: 9f3a1c22/3/17/203";
        assert_eq!(judged(&account), Row::fail("auditor", text, "x"));
    }

    #[test]
    fn what_was_found_on_an_earlier_kafka_is_a_remark_and_what_was_found_since_fails() {
        let mut stages = Tallies::default();
        *stages.at_mut(Stage::Accepted) = Tally { expected: 5_000, lost: 1_200, ..Tally::default() };
        stages.at_mut(Stage::Stored).duplicate = 2;
        let mut account = Account { stages: stages.clone(), ..Account::default() };
        account.earlier.push(EarlierKafka { at_us: 60_000_000, stages, findings: 1 });
        account.findings.push(finding(Stage::Accepted, "old"));
        account.stages.at_mut(Stage::Accepted).expected += 3_000;
        assert_eq!(judged(&account), Row::ok("auditor", "no finding in 3,000 sales since the first on today's Kafka"));
        let text = "before Kafka was last replaced, 5 min ago: 1,200 lost at accepted, 2 duplicate at stored; the auditor's \
                    account keeps them, they are not judged here";
        assert_eq!(remark(&account, 360_000_000).unwrap(), text);

        account.stages.at_mut(Stage::Accepted).lost += 1;
        account.findings.push(finding(Stage::Accepted, "new"));
        let text = "1 lost at accepted in 3,000 sales since the first on today's Kafka; the first: new";
        assert_eq!(judged(&account), Row::fail("auditor", text, "x"));
    }

    #[test]
    fn an_age_has_the_unit_that_a_person_would_use() {
        for (seconds, text) in [(0, "0 s"), (119, "119 s"), (150, "2 min"), (7_300, "2 h"), (200_000, "2 days")] {
            assert_eq!(in_units(seconds), text);
        }
    }
}

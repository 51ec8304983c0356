//! What the live auditor has found in everything since the first sale.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::table::{Release, Row};
use crate::audit::Account;
use crate::audit::findings::Stage;
use crate::recount::grouped;

/// Between two questions.
const REST: Duration = Duration::from_millis(500);
/// One question.
const LIMIT: Duration = Duration::from_secs(5);

/// How many rounds of proof the auditor has ended; none if it doesn't answer.
pub(super) async fn rounds(auditor: &str) -> Option<u64> {
    Some(account(auditor).await.ok()?.position.rounds)
}

/// Waits until the auditor has ended two rounds of proof since there were `before`: the second began after that.
///
/// One is enough if the time is over, so that a slow pipeline is not called a dead auditor. Without `moves`, as when
/// the fan-out is stopped, it need only answer.
pub(super) async fn row(auditor: &str, before: Option<u64>, moves: bool, deadline: Instant, release: &Release) -> Row {
    let object = format!("deploy/{}", release.object("auditor"));
    let mut before = before;
    loop {
        let late = Instant::now() >= deadline;
        let why = match account(auditor).await {
            Ok(account) => {
                let rounds = account.position.rounds;
                // Fewer than before: it was restarted.
                let begun = before.filter(|before| *before <= rounds).unwrap_or(rounds);
                before = Some(begun);
                let enough = rounds >= begun + if late { 1 } else { 2 };
                if enough || !moves || !account.counts.is_empty() {
                    return judge(&account, object);
                }
                format!("no proof ended: it waits for {}", account.position.waiting_for)
            }
            Err(err) => format!("it does not answer: {err:#}"),
        };
        if late {
            return Row::fail("auditor", why, object);
        }
        tokio::time::sleep(REST).await;
    }
}

async fn account(auditor: &str) -> anyhow::Result<Account> {
    let body = service::http::get(auditor, "/api/v1/account", LIMIT).await?;
    serde_json::from_slice(&body).context("reading its account")
}

fn judge(account: &Account, object: String) -> Row {
    let accepted = account.stages.at(Stage::Accepted).expected;
    if account.counts.is_empty() {
        let unsaid: u64 = account.stages.0.values().map(|tally| tally.not_auditable).sum();
        let unsaid = match unsaid {
            0 => String::new(),
            _ => format!(", {} of which a log no longer reaches back to", grouped(unsaid)),
        };
        return Row::ok("auditor", format!("no finding in {} sales since the first{unsaid}", grouped(accepted)));
    }
    let counts: Vec<String> = account
        .counts
        .iter()
        .map(|count| format!("{} {} at {}", count.findings, count.kind.name().replace('_', " "), count.stage.name()))
        .collect();
    let first = account.findings.first().map(|finding| format!("; the first: {} {}", finding.what, finding.detail));
    let text =
        format!("{} in {} sales since the first{}", counts.join(", "), grouped(accepted), first.unwrap_or_default());
    Row::fail("auditor", text.trim_end().to_owned(), object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::findings::{Finding, Kind, Tally};
    use service::account::Count;

    #[test]
    fn a_finding_is_told_with_its_stage_and_sale() {
        let mut account = Account::default();
        *account.stages.at_mut(Stage::Accepted) = Tally { expected: 3_000, ..Tally::default() };
        assert_eq!(judge(&account, String::new()), Row::ok("auditor", "no finding in 3,000 sales since the first"));

        account.counts.push(Count { stage: Stage::Stored, kind: Kind::Lost, findings: 3 });
        account.findings.push(Finding {
            stage: Stage::Stored,
            kind: Kind::Lost,
            what: "9f3a1c22/3/17/203".to_owned(),
            detail: String::new(),
            at_us: 0,
        });
        let text = "3 lost at stored in 3,000 sales since the first; the first: 9f3a1c22/3/17/203";
        assert_eq!(judge(&account, "x".to_owned()), Row::fail("auditor", text, "x"));
    }
}

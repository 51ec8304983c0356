//! The end of an auditor whose Kafka was emptied or replaced: it leaves what it knows on the new one, for the next auditor.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka::Topic;
use tracing::{error, info};

use super::Live;
use super::checkpoint::Writer;
use crate::audit::{Entry, HeldByStores};

/// Between two looks, and between two tries.
const REST: Duration = Duration::from_millis(500);
/// Writing. A Kafka that takes longer to be there does not learn of it.
const WRITING: Duration = Duration::from_secs(45);

/// Waits for Kafka to be replaced, or for the end.
pub(super) async fn wait(live: &Live) {
    while live.watch.is_sure().is_ok() && !live.shutdown.is_cancelled() {
        tokio::time::sleep(REST).await;
    }
}

/// Leaves the account, if Kafka was replaced: then it is an error, which ends the process.
pub(super) async fn end(live: &Live, held: HeldByStores) -> anyhow::Result<()> {
    let Err(replaced) = live.watch.is_sure() else { return Ok(()) };
    let gone = live.has_started().then(|| live.audit().give_up(&held, service::unix_us()));
    let (lost, stages) = match &gone {
        Some(gone) => (gone.losses(), serde_json::to_string(&gone.stages).unwrap_or_default()),
        None => ("not known, since the account of blocks was not yet read".to_owned(), String::new()),
    };
    let entries = live.audit().legacy(gone);
    let left = async { tokio::time::timeout(WRITING, leave(live, entries?)).await.context("it took too long")? };
    match left.await {
        Ok(()) => info!(lost, stages, "left the account of the kafka that was replaced to the next auditor"),
        Err(err) => error!(lost, stages, "the account of the kafka that was replaced could not be left: {err:#}"),
    }
    Err(replaced)
}

async fn leave(live: &Live, entries: Vec<Entry>) -> anyhow::Result<()> {
    let entries = Arc::new(entries);
    loop {
        live.kafka.ensure_topics(&[Topic::Audit], &live.shutdown).await?;
        let (mut writer, entries) = (Writer::new(&live.kafka), Arc::clone(&entries));
        match tokio::task::spawn_blocking(move || writer.write(&entries)).await? {
            Ok(()) => return Ok(()),
            Err(err) => info!("leaving the account again in a moment: {err:#}"),
        }
        tokio::time::sleep(REST).await;
    }
}

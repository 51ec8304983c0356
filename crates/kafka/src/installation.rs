//! How a store knows that Kafka was emptied while the store was kept.
//!
//! A position in a log means nothing in another log, and a cluster that was recreated under the same name has the
//! same cluster id. So the first program to look writes a random mark beside the blocks, and everyone keeps mark and
//! cluster id with their positions. Should two write at once, the mark at the lower offset counts: keys differ, so
//! compaction removes neither.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backon::{ConstantBuilder, Retryable};
use rdkafka::client::ClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, Message};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::dispose::Disposed;
use crate::read::EndReader;
use crate::{Config, Topic};

/// Which Kafka this is, and since when: differs if Kafka lost its data and was set up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Kafka's own id.
    pub cluster_id: String,
    /// Random; made with the topics.
    pub mark: String,
}

impl std::fmt::Display for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.cluster_id, self.mark)
    }
}

/// An installation, and the offset of its mark on `kapture.blocks`.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) installation: Installation,
    pub(crate) offset: i64,
}

const MARK: &str = "mark/";
/// One try to learn which Kafka it is. A stop has to wait for the one that is under way.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRIES: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_secs(1)).without_max_times();

impl Config {
    /// Waits for Kafka until `shutdown`, which is an error then, and reads which one it is. Leaves a mark if there is
    /// none yet: a single one, even if somebody's open transaction hides it for a while.
    pub async fn installation(&self, shutdown: &CancellationToken) -> anyhow::Result<Installation> {
        Ok(self.identify(shutdown).await?.installation)
    }

    pub(crate) async fn identify(&self, shutdown: &CancellationToken) -> anyhow::Result<Found> {
        let left = Arc::new(AtomicBool::new(false));
        let try_once = || async {
            self.ensure_topics(&[Topic::Blocks], shutdown).await?;
            let (config, known) = (self.clone(), Arc::clone(&left));
            tokio::task::spawn_blocking(move || config.try_identify(&known)).await?
        };
        let found = try_once
            .retry(RETRIES)
            // A panic is not waited for.
            .when(|err: &anyhow::Error| !err.is::<JoinError>())
            .notify(|err, _| info!("waiting to learn which kafka this is: {err:#}"));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => bail!("stopped while waiting to learn which kafka this is"),
            found = found => found,
        }
    }

    fn try_identify(&self, left: &AtomicBool) -> anyhow::Result<Found> {
        let deadline = Instant::now() + LIMIT;
        let remaining = || deadline.saturating_duration_since(Instant::now());
        let reader = EndReader::new(self)?;
        let cluster_id = reader.cluster_id(remaining())?;
        let mut found = self.first_mark(&reader, remaining())?;
        if found.is_none() && !left.load(Ordering::Acquire) {
            self.leave_mark(remaining())?;
            left.store(true, Ordering::Release);
            found = self.first_mark(&reader, remaining())?;
        }
        let (mark, offset) = found.context("the mark that was written can't be read yet")?;
        Ok(Found { installation: Installation { cluster_id, mark }, offset })
    }

    /// The mark that counts, and its offset. It is among the first records: nothing behind it is read.
    pub(crate) fn first_mark(&self, reader: &EndReader, limit: Duration) -> anyhow::Result<Option<(String, i64)>> {
        let mut first = None;
        reader.read(&self.names().blocks(), Offset::Beginning, limit, |message| {
            first = mark_of(&message).map(|mark| (mark.to_owned(), message.offset()));
            Ok(if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(first)
    }

    fn leave_mark(&self, limit: Duration) -> anyhow::Result<()> {
        let topic = self.names().blocks();
        let key = format!("{MARK}{:016x}", rand::random::<u64>());
        let record = BaseRecord::to(&topic).key(key.as_str()).payload(b"{}".as_slice());
        send_one(self.idempotent_producer(), record, limit).context("leaving the mark")?;
        Ok(())
    }
}

impl EndReader {
    pub(crate) fn cluster_id(&self, limit: Duration) -> anyhow::Result<String> {
        self.consumer.client().fetch_cluster_id(limit).context("reading kafka's cluster id")
    }
}

/// The mark that a record of `kapture.blocks` is, if it is one.
pub(crate) fn mark_of<M: Message>(message: &M) -> Option<&str> {
    str::from_utf8(message.key()?).ok()?.strip_prefix(MARK)
}

/// Sends a record by a producer of its own, and waits until Kafka has it. Blocks, for `limit` at most; the producer is returned
/// for what its caller sends besides.
pub(crate) fn send_one(
    mut settings: ClientConfig,
    record: BaseRecord<'_, str, [u8]>,
    limit: Duration,
) -> anyhow::Result<Disposed<BaseProducer<Receipt>>> {
    let producer: BaseProducer<Receipt> = settings
        .set("message.timeout.ms", limit.as_millis().max(1).to_string())
        .create_with_context(Receipt::default())
        .context("making a producer")?;
    let producer = Disposed::new(producer);
    producer.send(record).map_err(|(err, _)| err)?;
    producer.flush(limit)?;
    match producer.context().0.get() {
        Some(Ok(())) => {}
        Some(Err(reason)) => bail!("{reason}"),
        None => bail!("no answer"),
    }
    Ok(producer)
}

/// What Kafka answered to the first record that a producer sent.
#[derive(Default)]
pub(crate) struct Receipt(OnceLock<Result<(), String>>);

impl ClientContext for Receipt {}

impl ProducerContext for Receipt {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // Set by the first.
        let _ = self.0.set(result.as_ref().map(|_| ()).map_err(|(err, _)| err.to_string()));
    }
}

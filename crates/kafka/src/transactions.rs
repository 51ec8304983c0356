//! A producer whose records become visible together with the position that they came from, or never; and the one table
//! of what its errors mean.
//!
//! librdkafka speaks the older transaction protocol, in which a commit that was given up may still happen later and end
//! a *newer* transaction (Jepsen, Bufstream 0.1.0). So a commit of unknown outcome is never assumed: it is a
//! [`Failure::Rebuild`], and a new producer under the same id settles the matter at the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::dispose::Disposed;
use crate::error::is_fencing;
use crate::forward::Forward;
use crate::partitions::list_of;
use crate::{Committed, Config, Error, Headers, Membership, Partition, Record, flush, send};

/// Counts of what went otherwise than straight on; all of it is normal while things break.
#[derive(Debug, Default)]
pub struct Events {
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Transactions aborted.
    pub aborts: AtomicU64,
    /// Producers replaced after an error that left no other way.
    pub rebuilds: AtomicU64,
    /// Times that Kafka refused this instance as a producer or as a member, because it had been silent for too long or another
    /// one has taken its id.
    pub fenced: AtomicU64,
    /// Assignments of partitions.
    pub rebalances: AtomicU64,
    /// Offsets that Kafka deleted before they were read.
    pub gap_offsets: AtomicU64,
}

impl Events {
    /// Adds one to a count.
    pub fn count(count: &AtomicU64) {
        Self::add(count, 1);
    }

    /// Adds some to a count.
    pub(crate) fn add(count: &AtomicU64, some: u64) {
        count.fetch_add(some, Ordering::Relaxed);
    }
}

/// What an error of a transactional call means.
#[derive(Debug)]
pub enum Failure {
    /// The transaction is lost, the producer is not: abort, go back to what is committed, go on.
    Abort(Error),
    /// Fenced, fatal, or of unknown outcome: a new producer under the same id, then the same.
    Rebuild(Error),
    /// The client refuses this very record, and would each time it is tried again. The process should end with this.
    Refused(anyhow::Error),
}

impl From<KafkaError> for Failure {
    /// Only librdkafka's advice counts: the same code can mean either.
    fn from(err: KafkaError) -> Self {
        match &err {
            KafkaError::Transaction(cause) if !cause.is_fatal() && cause.txn_requires_abort() => {
                Failure::Abort(err.into())
            }
            _ => Failure::Rebuild(err.into()),
        }
    }
}

/// What holds after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Records and position become visible together, or never.
    ExactlyOnce,
    /// Without transactions: the position follows the records, and some of them may be sent twice. What exactly-once costs
    /// is measured against it.
    AtLeastOnce,
}

/// A commit or an abort in all. Kafka ends a transaction after ten seconds, and nothing more is to be heard then.
/// librdkafka advises to wait without a limit; a call that was seen to do so, after an outage of the broker, ends here, and
/// its outcome is taken as unknown: the producer is replaced. A stop may have to wait for one, of its 30 s.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(15);
/// Fencing an older instance, and settling what it left open.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A producer that is the only one of its id: an older one is fenced, and its transaction settled, when this returns.
pub(crate) fn connect(config: &Config, id: &str) -> anyhow::Result<Disposed<BaseProducer>> {
    let producer: BaseProducer = config.transactional_producer(id).create().context("making the producer")?;
    let producer = Disposed::new(producer);
    producer.init_transactions(INIT_LIMIT).context("beginning to use transactions")?;
    Ok(producer)
}

/// A producer of Kafka transactions, one at a time.
pub struct Transactions {
    forward: Forward,
    producer: Disposed<BaseProducer>,
    guarantee: Guarantee,
    events: Arc<Events>,
    begun: Option<Instant>,
    records: u64,
}

impl Transactions {
    /// Connects; an older producer of the same id is fenced, and its transaction settled, when this returns.
    pub fn connect(config: &Config, id: &str, events: &Arc<Events>) -> anyhow::Result<Self> {
        Ok(Self::new(connect(config, id)?, Guarantee::ExactlyOnce, events))
    }

    /// The same producer without transactions: what would be one is only what is committed together.
    pub(crate) fn without(config: &Config, events: &Arc<Events>) -> anyhow::Result<Self> {
        let mut settings = config.transactional_producer("");
        settings.remove("transactional.id");
        settings.remove("transaction.timeout.ms");
        let producer = settings.set("enable.idempotence", "true").create().context("making the producer")?;
        Ok(Self::new(Disposed::new(producer), Guarantee::AtLeastOnce, events))
    }

    fn new(producer: Disposed<BaseProducer>, guarantee: Guarantee, events: &Arc<Events>) -> Self {
        let (forward, events) = (Forward::default(), Arc::clone(events));
        Self { forward, producer, guarantee, events, begun: None, records: 0 }
    }

    /// Whether Kafka refuses this producer for good, because its transaction was ended for its silence or a newer one has its id.
    pub(crate) fn is_fenced(&self) -> bool {
        self.producer.client().fatal_error().is_some_and(|(code, _)| is_fencing(code))
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.begun.is_some()
    }

    /// How long a transaction has been open; none if none is.
    pub fn age(&self) -> Option<Duration> {
        self.begun.map(|begun| begun.elapsed())
    }

    /// Records since the last commit or abort, as [`Outbox::send`] was called for them.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Where records are put into the transaction, which is begun if none is open.
    pub fn outbox(&mut self) -> Result<Outbox<'_>, Failure> {
        if self.begun.is_none() {
            if self.guarantee == Guarantee::ExactlyOnce {
                self.producer.begin_transaction()?;
            }
            self.begun = Some(Instant::now());
        }
        Ok(Outbox { producer: &self.producer, forward: &mut self.forward, records: &mut self.records })
    }

    /// Makes everything in the transaction visible, and with it the positions that it reaches: those of the role, and those
    /// of its group.
    ///
    /// `membership` must have been asked for since the last record was read.
    pub fn commit(
        &mut self,
        reached: &[(Partition, i64)],
        role: &Committed,
        membership: Membership<'_>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + END_LIMIT;
        let remaining = || deadline.saturating_duration_since(Instant::now());
        let offsets = list_of(reached)?;
        match self.guarantee {
            Guarantee::ExactlyOnce => {
                role.put(&mut self.outbox()?, reached)?;
                flush(&self.producer, remaining())?;
                let no_member = || Failure::Abort(KafkaError::Rebalance(RDKafkaErrorCode::UnknownMemberId).into());
                let group = membership.group.ok_or_else(no_member)?;
                self.producer.send_offsets_to_transaction(&offsets, &group, remaining())?;
                self.producer.commit_transaction(remaining())?;
            }
            Guarantee::AtLeastOnce => {
                flush(&self.producer, remaining())?;
                membership.consumer.commit(&offsets, CommitMode::Sync)?;
            }
        }
        self.forget();
        Events::count(&self.events.commits);
        Ok(())
    }

    /// Forgets everything in the transaction. After an error the producer must be replaced.
    pub fn abort(&mut self) -> Result<(), Error> {
        self.abort_within(END_LIMIT)
    }

    pub(crate) fn abort_within(&mut self, limit: Duration) -> Result<(), Error> {
        self.forget();
        Events::count(&self.events.aborts);
        let deadline = Instant::now() + limit;
        // Emptied first: abort waits for the reports of what it drops, which no one would fetch meanwhile.
        flush(&self.producer, limit)?;
        if self.guarantee == Guarantee::ExactlyOnce {
            self.producer.abort_transaction(deadline.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn forget(&mut self) {
        (self.begun, self.records) = (None, 0);
    }
}

/// Records between two looks at the producer's events.
const SERVE_EVERY: u64 = 128;

/// Where output is put: into the open transaction.
pub struct Outbox<'a> {
    producer: &'a BaseProducer,
    forward: &'a mut Forward,
    records: &'a mut u64,
}

impl Outbox<'_> {
    /// Adds one record. A full queue is waited for.
    pub fn send(&mut self, topic: &str, key: &[u8], payload: &[u8], headers: Headers) -> Result<(), Failure> {
        self.count();
        let record = BaseRecord::to(topic).key(key).payload(payload).headers(headers.into_owned());
        send(self.producer, record).map_err(|err| self.failed(topic, err))
    }

    /// Adds a record that was read, as it is; the same otherwise.
    pub fn forward(&mut self, topic: &str, record: Record<'_>) -> Result<(), Failure> {
        self.count();
        self.forward.send(self.producer, topic, record).map_err(|err| self.failed(topic, err))
    }

    fn count(&mut self) {
        *self.records += 1;
        if self.records.is_multiple_of(SERVE_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// The transaction has failed, as a commit would report too; or the client refuses the record.
    fn failed(&self, topic: &str, err: KafkaError) -> Failure {
        if let Some((code, _)) = self.producer.client().fatal_error() {
            return Failure::Rebuild(KafkaError::Global(code).into());
        }
        if is_of_the_record(&err) {
            return Failure::Refused(anyhow!(err).context(format!("putting a record on {topic} that is never taken")));
        }
        Failure::Abort(err.into())
    }
}

/// Whether the client, before anything is sent, refuses this very record.
fn is_of_the_record(err: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidArgument, InvalidRecord, MessageSizeTooLarge};
    matches!(err, KafkaError::MessageProduction(MessageSizeTooLarge | InvalidRecord | InvalidArgument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_try_would_not_change_is_of_the_record() {
        let code = |code| is_of_the_record(&KafkaError::MessageProduction(code));
        assert!(code(RDKafkaErrorCode::MessageSizeTooLarge) && code(RDKafkaErrorCode::InvalidRecord));
        assert!(!code(RDKafkaErrorCode::UnknownTopic) && !code(RDKafkaErrorCode::State));
        assert!(!is_of_the_record(&KafkaError::Canceled));
    }
}

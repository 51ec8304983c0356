//! Where the records come from: a group's member, and what it has to do when partitions come or go.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Settings;
use crate::error::is_fencing;
use crate::transactions::Events;
use crate::{Checked, Committed, Config, Member, Membership, Partition, Polled, RangeCheck, Record, Watch};

/// Reading committed offsets after an abort. Beyond it, the process ends: going on would lose what was aborted.
const REWIND_LIMIT: Duration = Duration::from_mins(1);
/// Between two attempts at it.
const REWIND_REST: Duration = Duration::from_millis(200);
/// A poll while there is nothing to do but to remain a member; bounds how late a stop is seen.
const REST_POLL: Duration = Duration::from_millis(50);

/// The member that reads a stage's source.
pub(super) struct Input<'w> {
    member: Member,
    watch: &'w Watch,
    source: String,
    committed: RefCell<Committed>,
    /// The partitions that this member has.
    assigned: RefCell<Vec<i32>>,
    /// Partitions have come or gone since this was asked last.
    moved: Cell<bool>,
    /// The first offset of each partition that was not read.
    next: RefCell<BTreeMap<i32, i64>>,
    range: RefCell<RangeCheck>,
    events: Arc<Events>,
}

impl<'w> Input<'w> {
    /// A member that has not subscribed as yet.
    pub(super) fn new(
        config: &Config,
        settings: &Settings,
        events: &Arc<Events>,
        watch: &'w Watch,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            member: Member::new(config, &config.static_member(&settings.role, &settings.ordinal))?,
            watch,
            source: settings.source.clone(),
            committed: RefCell::new(Committed::new(config, &settings.role, watch.installation())),
            assigned: RefCell::default(),
            moved: Cell::new(false),
            next: RefCell::default(),
            range: RefCell::default(),
            events: Arc::clone(events),
        })
    }

    pub(super) fn subscribe(&self) -> anyhow::Result<()> {
        self.member.subscribe(std::slice::from_ref(&self.source))
    }

    /// The next record, if one comes in time. An error means that the process should end.
    pub(super) fn poll(&self, wait: Duration) -> anyhow::Result<Option<Record<'_>>> {
        let polled = self.member.poll(wait);
        if let Some(partitions) = self.member.rebalanced() {
            self.rebalanced(&partitions);
        }
        match polled {
            Polled::Record(record) => {
                if let Some(next) = self.next.borrow_mut().get_mut(&record.partition()) {
                    *next = record.offset() + 1;
                }
                return Ok(Some(record));
            }
            Polled::Fatal(err) => return Err(err).with_context(|| format!("consuming {}", self.source)),
            Polled::OutOfRange => {
                // An emptied Kafka is to be called that.
                self.watch.doubt();
                self.range.borrow_mut().refused();
            }
            Polled::AllBrokersDown => self.watch.doubt(),
            // The client reconnects, and logs it: a broker that is away is normal.
            Polled::Error(_) | Polled::Nothing => {}
        }
        self.member.check().map(|()| None)
    }

    fn rebalanced(&self, partitions: &[Partition]) {
        if !partitions.is_empty() {
            Events::count(&self.events.rebalances);
            info!(partitions = partitions.len(), "assigned");
        }
        *self.assigned.borrow_mut() = partitions.iter().map(|(_, number)| *number).collect();
        self.moved.set(true);
    }

    /// Whether partitions have come or gone since this was asked last.
    pub(super) fn has_moved(&self) -> bool {
        self.moved.take()
    }

    /// Looks after what makes the process end: Kafka is another one, or has lost the end of the source. Goes on behind
    /// what Kafka deleted.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let is_sure = self.watch.is_sure()?;
        let mut range = self.range.borrow_mut();
        if !is_sure || !range.is_due() {
            return Ok(());
        }
        let mut next = self.next.borrow().clone();
        // A broker answers a connection in order: behind a fetch that waits for records, each answer takes half a second.
        self.member.fetch(&[])?;
        let checked = range.check(&self.partitions(&next), |partition| self.member.ends(partition));
        let checked = checked.map_err(|beyond| {
            let command = self.committed.borrow().set_command(&beyond.partition, beyond.end);
            anyhow!("this role {beyond}. To go on from the end of the log, stop this role and run: {command}")
        })?;
        let Checked::Gaps(gaps) = checked else { return Ok(()) };
        for gap in gaps {
            let (topic, partition) = &gap.partition;
            error!(topic, partition, from = gap.from, to = gap.to, "kafka deleted records before they were read");
            Events::add(&self.events.gap_offsets, gap.offsets());
            next.insert(*partition, gap.to);
        }
        self.fetch(next)
    }

    /// Fetches from these positions, by partition, and nothing else.
    fn fetch(&self, next: BTreeMap<i32, i64>) -> anyhow::Result<()> {
        self.member.fetch(&self.partitions(&next))?;
        *self.next.borrow_mut() = next;
        Ok(())
    }

    /// Positions in the source, by the topic's partitions.
    pub(super) fn partitions(&self, next: &BTreeMap<i32, i64>) -> Vec<(Partition, i64)> {
        next.iter().map(|(number, next)| ((self.source.clone(), *number), *next)).collect()
    }

    /// What tells Kafka that it is still this member that commits: to be asked for each commit.
    pub(super) fn membership(&self) -> Membership<'_> {
        self.member.membership()
    }

    /// The role's positions.
    pub(super) fn committed(&self) -> Ref<'_, Committed> {
        self.committed.borrow()
    }

    /// Waits, or until a stop, and goes on as a member meanwhile; records that come are read again after the rewind. An
    /// error if a newer instance has taken over as a member: it must not be fenced in turn.
    pub(super) fn rest(&self, wait: Duration, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let until = Instant::now() + wait;
        while !shutdown.is_cancelled() && Instant::now() < until {
            self.poll(REST_POLL)?;
        }
        match self.member.fatal_error() {
            Some((code, reason)) => bail!("consuming {}: {code}: {reason}", self.source),
            None => Ok(()),
        }
    }

    /// Puts the consumer back to what is committed; the beginning of a partition where nothing is. Kafka is asked first
    /// whether it is still the same one: its positions mean nothing if it is not. A stop ends the wait.
    pub(super) fn rewind(&self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.watch.doubt();
        // Nothing comes meanwhile, and what was fetched before is gone.
        self.fetch(BTreeMap::new())?;
        while !shutdown.is_cancelled() {
            beat.turned();
            if self.watch.is_sure()? {
                match self.try_rewind(shutdown) {
                    Ok(()) => return Ok(()),
                    Err(err) if begun.elapsed() >= REWIND_LIMIT => {
                        return Err(err).context("rewinding to the committed offsets");
                    }
                    Err(err) => info!("rewinding again: {err:#}"),
                }
            } else if begun.elapsed() >= REWIND_LIMIT {
                bail!("rewinding to the committed offsets: kafka does not answer which one it is");
            }
            // The group must go on hearing of this member.
            self.poll(REWIND_REST)?;
        }
        Ok(())
    }

    fn try_rewind(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let partitions: Vec<_> = self.assigned.borrow().iter().map(|number| (self.source.clone(), *number)).collect();
        if partitions.is_empty() {
            return Ok(());
        }
        let committed = self.member.committed(&mut self.committed.borrow_mut(), &partitions, shutdown)?;
        self.range.borrow_mut().forget();
        self.fetch(partitions.into_iter().map(|(_, number)| number).zip(committed).collect())
    }

    /// Whether another instance has taken over as a member.
    pub(super) fn is_fenced(&self) -> bool {
        self.member.fatal_error().is_some_and(|(code, _)| is_fencing(code))
    }

    /// Ends; see [`Member::leave`].
    pub(super) fn leave(self) {
        self.member.leave();
    }
}

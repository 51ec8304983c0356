//! Consume, transform, produce: each record of a topic handled exactly once, whatever is killed.
//!
//! Output and input position are committed in one Kafka transaction ([`crate::transactions`]), closed by time: its price
//! is per transaction, not per record. What the loop relies on, and where it was seen to matter:
//!
//! - After a commit of unknown outcome the producer is rebuilt under the same id, which settles the matter at the
//!   broker, and the input is rewound to what was really committed.
//! - The group's metadata are read for each transaction, so that a member that lost its partitions is refused.
//! - The position is in the transaction, beside the output, too: where reading begins, after a rebalance as after an
//!   abort, is what [`crate::Committed`] finds there, on a Kafka that is still the same (see [`crate::Watch`]). The group's
//!   own answer was seen to be long out of date. No position is ever reset in silence: one behind the start of its log goes
//!   on there and is counted, one beyond its end ends the process.
//! - A rebalance aborts the open transaction before anything of the new assignment is touched.
//! - While a transaction is committed, the records that follow are read and looked at, so that the machine is not idle;
//!   none of them is handled before the commit is done.
//! - The member is static: a restart takes its partitions back in half a second, and closing it sends no `LeaveGroup`,
//!   in which this version of librdkafka can crash while the coordinator is away.
//! - A stop ends every wait: it takes as long as the commit or the abort that is under way, which have limits, and some
//!   seconds for closing the member.
//!
//! What still can go wrong: a record that Kafka's retention deletes before it was read is gone; it is counted, and the
//! auditor finds it.

mod ahead;
mod copy;
mod input;

use std::sync::Arc;
use std::time::Duration;

use service::{Beat, Time};
use tokio_util::sync::CancellationToken;

use crate::task::Runner;
use crate::transactions::{Events, Failure, Guarantee, Outbox};
use crate::{Config, Record, Watch};
use copy::Copier;
use input::Input;

/// How a topic is copied.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Group, and first part of the transactional id, such as `fan-out`.
    pub role: String,
    /// Last part of the transactional id: the same after a restart, and no one else's.
    pub ordinal: String,
    /// The topic to read.
    pub source: String,
    /// A transaction is closed after this time.
    pub interval: Duration,
    /// [`Guarantee::ExactlyOnce`], but for what it is compared with.
    pub guarantee: Guarantee,
    /// Where it is counted what the thread does.
    pub time: Time,
}

/// What is done with the records. [`crate::Topic::Positions`] must be there.
pub trait Processor {
    /// What a record turns out to be.
    type Judged;
    /// Looks at one record, which may never be handled.
    fn judge(&self, record: &Record<'_>) -> Self::Judged;
    /// Handles one record, in order. After [`Processor::aborted`] it may be called again for the same one.
    fn handle(&mut self, record: Record<'_>, judged: Self::Judged, outbox: &mut Outbox<'_>) -> Result<(), Failure>;
    /// Everything handled since the last call of this or of [`Processor::aborted`] is now visible, exactly once.
    fn committed(&mut self);
    /// Everything handled since then never happened.
    fn aborted(&mut self);
}

/// Copies until `shutdown`, then commits what is in hand and returns. Blocks: give it a thread of its own.
///
/// An error means that the process should end: fenced by a newer instance as a group member, committed offsets
/// unreadable for too long, a client that will never find Kafka again, or a Kafka that lost what was read of it.
pub fn run<P: Processor>(
    config: &Config,
    settings: &Settings,
    processor: &mut P,
    events: &Arc<Events>,
    watch: &Watch,
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let input = Input::new(config, settings, events, watch)?;
    let stopwatch = &settings.time.start(&*settings.role);
    let id = config.names().transactional_id(&settings.role, &settings.ordinal);
    let runner = Runner { config, id, guarantee: settings.guarantee, events, stopwatch, beat, shutdown };
    let ended = runner.run(&mut Copier::new(&input, processor, settings.interval, stopwatch, beat, shutdown));
    if input.is_fenced() {
        Events::count(&events.fenced);
    }
    input.leave();
    ended
}

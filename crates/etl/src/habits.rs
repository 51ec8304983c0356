//! Where misbehaviour is done to the roles. They themselves know nothing of it.

use kafka::exactly_once::Processor;
use kafka::transactions::{Failure, Outbox};
use kafka::{Malformed, Record};
use misbehaviour::PerSale;

use crate::sink;

/// What a processor does, and what is done to each record besides.
pub(crate) struct Habitual<P> {
    pub(crate) processor: P,
    pub(crate) habits: PerSale,
}

impl<P: Processor> Processor for Habitual<P> {
    type Judged = P::Judged;

    fn judge(&self, record: &Record<'_>) -> Self::Judged {
        self.habits.happen(record.payload().unwrap_or_default());
        self.processor.judge(record)
    }

    fn handle(&mut self, record: Record<'_>, judged: Self::Judged, outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        self.processor.handle(record, judged, outbox)
    }

    fn committed(&mut self) {
        self.processor.committed();
    }

    fn aborted(&mut self) {
        self.processor.aborted();
    }
}

/// How a sink reads a record.
pub(crate) fn decoding(habits: PerSale) -> impl Fn(&Record<'_>) -> Result<stores::Record, Malformed> {
    move |record| {
        habits.happen(record.payload().unwrap_or_default());
        sink::decode(record)
    }
}

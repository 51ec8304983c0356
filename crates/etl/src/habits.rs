//! Where misbehaviour is done to the roles. They themselves know nothing of it.

use kafka::Record;
use kafka::exactly_once::Processor;
use kafka::transactions::{Failure, Outbox};
use misbehaviour::PerSale;

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

/// How a sink reads a record, and what is done to each besides.
pub(crate) fn habitual<R>(habits: PerSale, decode: impl Fn(&Record<'_>) -> R) -> impl Fn(&Record<'_>) -> R {
    move |record| {
        habits.happen(record.payload().unwrap_or_default());
        decode(record)
    }
}

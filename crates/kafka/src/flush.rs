//! Waiting for a producer to have its answers, without the binding's rest of a tenth of a second.
//!
//! The binding's own flush, and so its commit, polls with a wait that never ends early: each commit takes 100 ms. Asking
//! it every 0.2 ms instead leaves the last batches lingering. librdkafka's flush does neither: it sends at once what
//! lingers, and wakes up with the last answer. It is not to be had without this one unsafe call.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaRespErr;

/// One wait inside librdkafka. Failures are only counted as answered once they were fetched, so it can't be a long one.
const SLICE_MS: i32 = 20;

/// Waits until everything sent has its answer.
pub fn flush(producer: &BaseProducer, limit: Duration) -> Result<(), KafkaError> {
    let begun = Instant::now();
    loop {
        // SAFETY: the client is alive while `producer` is borrowed, and librdkafka lets any thread flush it.
        #[expect(unsafe_code, reason = "the binding hides librdkafka's own flush")]
        let answer = unsafe { rdkafka::bindings::rd_kafka_flush(producer.client().native_ptr(), SLICE_MS) };
        producer.poll(Duration::ZERO);
        match answer {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT if begun.elapsed() < limit => {}
            err => return Err(KafkaError::Flush(err.into())),
        }
    }
}

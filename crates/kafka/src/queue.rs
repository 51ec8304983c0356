//! A producer's queue that is full is waited for: that is the back-pressure on the one who fills it.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::ToBytes;
use rdkafka::producer::{BaseProducer, BaseRecord};

/// Puts a record into the queue, as soon as there is room.
pub fn send<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(
    producer: &BaseProducer,
    mut record: BaseRecord<'_, K, P>,
) -> Result<(), KafkaError> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                make_room(producer);
            }
            Err((err, _)) => return Err(err),
        }
    }
}

/// Serves the producer's events, and gives its answers a moment to come.
pub(crate) fn make_room(producer: &BaseProducer) {
    producer.poll(Duration::ZERO);
    std::thread::sleep(Duration::from_millis(1));
}

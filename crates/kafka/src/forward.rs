//! A record that was read goes on as it is: its headers change hands, and its topic is known.
//!
//! The binding copies headers one by one, and has librdkafka search the list of all topics for each record. For 51 topics
//! and the three headers that a sale had then, that was a seventh of what the fan-out's thread did.

use std::collections::HashMap;
use std::ffi::CString;
use std::ptr::{self, NonNull};

use rdkafka::Message;
use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_headers_destroy, rd_kafka_message_detach_headers, rd_kafka_producev,
    rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t as Part,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::Record;
use crate::queue::make_room;

/// Sends records on by one producer. Drop it before that producer.
#[derive(Default)]
pub(crate) struct Forward {
    topics: HashMap<String, Handle>,
}

/// librdkafka's own handle of a topic.
struct Handle(NonNull<rd_kafka_topic_t>);

// SAFETY: librdkafka lets any thread use and destroy a handle.
#[expect(unsafe_code, reason = "a raw pointer is not Send")]
unsafe impl Send for Handle {}

impl Handle {
    fn new(producer: &BaseProducer, topic: &str) -> Result<Self, KafkaError> {
        let name = CString::new(topic)?;
        // SAFETY: the client is alive while `producer` is borrowed; no settings means the client's own.
        #[expect(unsafe_code, reason = "the binding sends by a topic's name alone")]
        let handle = unsafe { rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        NonNull::new(handle).map(Self).ok_or(KafkaError::MessageProduction(RDKafkaErrorCode::UnknownTopic))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_topic_new`, and destroyed once.
        #[expect(unsafe_code, reason = "the other end of `new`")]
        unsafe {
            rd_kafka_topic_destroy(self.0.as_ptr());
        }
    }
}

impl Forward {
    /// Sends key, body and headers of a record to a topic. A full queue is waited for.
    pub(crate) fn send(&mut self, producer: &BaseProducer, topic: &str, record: Record<'_>) -> Result<(), KafkaError> {
        let message = record.into_message();
        let handle = match self.topics.get(topic) {
            Some(handle) => handle,
            None => self.topics.entry(topic.to_owned()).or_insert(Handle::new(producer, topic)?),
        };
        let (key, payload) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
        let mut headers = ptr::null_mut();
        // SAFETY: the message was moved here, so nobody else looks at its headers; without any, the pointer stays null.
        #[expect(unsafe_code, reason = "the binding only copies headers")]
        unsafe {
            rd_kafka_message_detach_headers(message.ptr(), &raw mut headers);
        }
        loop {
            // SAFETY: client, topic, key and body are alive during the call, which copies the latter two; the headers are
            // the client's if it succeeds, and ours if not.
            #[expect(unsafe_code, reason = "the binding takes neither a topic's handle nor headers of a message")]
            let answer = unsafe {
                rd_kafka_producev(
                    producer.client().native_ptr(),
                    Part::RD_KAFKA_VTYPE_RKT,
                    handle.0.as_ptr(),
                    Part::RD_KAFKA_VTYPE_MSGFLAGS,
                    RD_KAFKA_MSG_F_COPY,
                    Part::RD_KAFKA_VTYPE_VALUE,
                    payload.as_ptr(),
                    payload.len(),
                    Part::RD_KAFKA_VTYPE_KEY,
                    key.as_ptr(),
                    key.len(),
                    Part::RD_KAFKA_VTYPE_HEADERS,
                    headers,
                    Part::RD_KAFKA_VTYPE_END,
                )
            };
            match RDKafkaErrorCode::from(answer) {
                RDKafkaErrorCode::NoError => return Ok(()),
                RDKafkaErrorCode::QueueFull => make_room(producer),
                err => {
                    if !headers.is_null() {
                        // SAFETY: detached above, and not taken by the client.
                        #[expect(unsafe_code, reason = "they are ours")]
                        unsafe {
                            rd_kafka_headers_destroy(headers);
                        }
                    }
                    return Err(KafkaError::MessageProduction(err));
                }
            }
        }
    }
}

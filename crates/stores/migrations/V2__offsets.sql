-- The rows of one partition in the order of their offsets: how they go back to Kafka.
CREATE INDEX sale_events_offsets ON sale_events (topic, partition, kafka_offset);

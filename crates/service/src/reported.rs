//! The names of figures in `/report` that one program writes and another reads.
//!
//! The counter and the latency of a stage have the stage's name, which is in `pipeline`. Figures that only people and
//! Prometheus read are named where they are counted. Anything that is not Rust reads `reported.json`, which a test keeps equal to
//! this module.

macro_rules! reported {
    ($($(#[$about:meta])* $program:ident { $($(#[$meta:meta])* $name:ident = $text:literal,)* })*) => {
        $(
            $(#[$about])*
            pub mod $program {
                $($(#[$meta])* pub const $name: &str = $text;)*
            }
        )*

        /// All of them: the program, the constant, and the name.
        pub const ALL: &[(&str, &str, &str)] = &[$($((stringify!($program), stringify!($name), $text),)*)*];
    };
}

reported! {
    /// Of a loader.
    loader {
        /// Counter: sales that were due by the schedule.
        DUE = "due",
        /// Counter: sales handed to Kafka's client.
        SENT = "sent",
        /// Counter: sales refused by Kafka, or without a known outcome.
        UNKNOWN = "unknown",
        /// Counter: sales that were late for want of a CPU; absent while the kernel doesn't tell.
        LATE_THROTTLED = "late_throttled",
        /// Counter: microseconds in which Kafka took nothing although sales were due.
        BLOCKED_US = "blocked_us",
        /// Gauge: sales per second as planned at present.
        RATE = "rate",
        /// Gauge: sales per second that it could make and hand over; absent while that is unknown.
        CEILING = "ceiling",
        /// Gauge, as the five below it: a parameter of what it sells. This one is the seed.
        SEED = "load_seed",
        /// Stores of the chain.
        STORES = "load_stores",
        /// Customers of each loader.
        CUSTOMERS = "load_customers",
        /// How unevenly the stores are spread, in percent.
        SKEW = "load_skew",
        /// Percent of all sales that the hot store has on top of its own.
        HOT_STORE = "load_hot_store",
        /// Simulated days of a block.
        DAYS = "load_days",
        /// Latency from due to handed over.
        SCHEDULE_LAG = "schedule_lag",
        /// Latency: the part of the schedule lag that Kafka is to blame for.
        BLOCKED = "blocked",
    }
    /// Of a role of etl.
    etl {
        /// Counter: records that are not valid sales, put in the topic of rejected ones. Of the fan-out.
        REJECTED = "rejected",
        /// Counter: Kafka transactions committed. Of the fan-out and the spout.
        COMMITS = "commits",
        /// Counter: times that Kafka refused this instance as a producer or as a member, because it had been silent for too long or
        /// another one has taken its id. Of the fan-out and the spout.
        FENCED = "fenced",
        /// Counter: offsets that Kafka deleted before they were read. Of the fan-out and the sinks.
        GAP_OFFSETS = "gap_offsets",
        /// Counter: batches that the store has confirmed. Of a sink.
        BATCHES = "batches",
        /// Counter: times that positions were dropped, because Kafka had been emptied or replaced. Of a sink.
        ADOPTED = "adopted",
        /// Counter: records or rows that are not sales, left out. Of a sink and the spout.
        MALFORMED = "malformed",
        /// Counter: tries of the store that failed. Of a sink and the spout.
        STORE_ERRORS = "store_errors",
    }
    /// Of a probe.
    probe {
        /// Latency of a small write with fsync beside the data.
        FSYNC = "fsync",
        /// Latency of a round trip to a peer: its address follows.
        ROUND_TRIP = "round_trip/",
    }
}

-- Every table lies in the schema that POSTGRES_SCHEMA names; the connection's search_path says which.

-- One row a sale, written once and never changed.
CREATE TABLE sale_events (
    run          bigint      NOT NULL, -- the sale's id: run (8 hexadecimal digits in text),
    loader       integer     NOT NULL, -- ordinal of its loader,
    block        integer     NOT NULL, -- number of the block,
    index        integer     NOT NULL, -- position in the block
    topic        text        NOT NULL, -- where it was read from
    partition    integer     NOT NULL,
    kafka_offset bigint      NOT NULL,
    due          timestamptz NOT NULL, -- when the schedule wanted it sent
    stored_at    timestamptz NOT NULL DEFAULT now(), -- when its SQL transaction began
    state        text        NOT NULL, -- of the store, lower case
    store        bigint      NOT NULL,
    customer     bigint      NOT NULL,
    time         bigint      NOT NULL, -- simulated seconds
    cents        bigint      NOT NULL, -- the whole basket
    items        jsonb       NOT NULL, -- as in the record's body
    digest       bigint      NOT NULL, -- petstore's digest of the whole sale, its 64 bits read as a signed number
    PRIMARY KEY (run, loader, block, index)
);

-- Rows are appended in the order of time, so a block range index costs next to nothing.
CREATE INDEX sale_events_stored_at ON sale_events USING brin (stored_at) WITH (pages_per_range = 32, autosummarize = on);

-- A sale that came again from another offset: what came, and which offset was kept.
CREATE TABLE conflicts (
    run            bigint      NOT NULL,
    loader         integer     NOT NULL,
    block          integer     NOT NULL,
    index          integer     NOT NULL,
    topic          text        NOT NULL,
    partition      integer     NOT NULL,
    kafka_offset   bigint      NOT NULL,
    due            timestamptz NOT NULL,
    stored_at      timestamptz NOT NULL DEFAULT now(),
    state          text        NOT NULL,
    store          bigint      NOT NULL,
    customer       bigint      NOT NULL,
    time           bigint      NOT NULL,
    cents          bigint      NOT NULL,
    items          jsonb       NOT NULL,
    digest         bigint      NOT NULL,
    kept_topic     text        NOT NULL,
    kept_partition integer     NOT NULL,
    kept_offset    bigint      NOT NULL,
    kept_digest    bigint      NOT NULL, -- differs if the same id names two different sales
    PRIMARY KEY (run, loader, block, index, topic, partition, kafka_offset)
);

-- How far each partition is written: changed in the same SQL transaction as the rows, and compared before.
CREATE TABLE positions (
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint  NOT NULL, -- one after the last offset read
    installation text    NOT NULL, -- which Kafka the offset counts in
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50); -- room to update in place: a handful of rows, many times a second

-- What holds now. Today every event does.
CREATE VIEW sales_current AS
SELECT run, loader, block, index, due, state, store, customer, time, cents, items FROM sale_events;

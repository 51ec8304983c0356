-- An emptied Kafka counts offsets from 0 again, in topics of the same names. So positions and rows say which of the Kafkas that
-- a partition has had they count in, by number.
ALTER TABLE positions ADD COLUMN epoch integer NOT NULL DEFAULT 0;
ALTER TABLE sale_events ADD COLUMN epoch integer NOT NULL DEFAULT 0;

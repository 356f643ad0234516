-- Feature rows. names is a JSON array of strings, "values" the JSON array of their numbers in the same order: NULL for
-- not known, the shortest digits that read back to the same bits, and "Infinity" or "-Infinity" as strings.
CREATE TABLE IF NOT EXISTS features (
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    candle_seconds BIGINT NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    known_at_ms BIGINT NOT NULL,
    feature_set VARCHAR NOT NULL,
    quality VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    names VARCHAR NOT NULL,
    "values" VARCHAR NOT NULL,
    PRIMARY KEY (exchange, pair, candle_seconds, timestamp_ms)
);

-- What was fetched from history, and when: all of a key's trades (candle_seconds 0) or candles in [from_ms, to_ms) came.
CREATE TABLE IF NOT EXISTS fetched (
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    candle_seconds BIGINT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    first_id BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    fetched_ms BIGINT NOT NULL,
    PRIMARY KEY (exchange, pair, candle_seconds, from_ms, to_ms)
);

-- Closed candles; the row with the highest revision is the truth. Times are milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS candles (
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    candle_seconds BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    window_end_ms BIGINT NOT NULL,
    open DOUBLE PRECISION,
    high DOUBLE PRECISION,
    low DOUBLE PRECISION,
    close DOUBLE PRECISION,
    volume DOUBLE PRECISION,
    quote_volume DOUBLE PRECISION,
    buy_volume DOUBLE PRECISION,
    trade_count BIGINT NOT NULL,
    quality VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    known_at_ms BIGINT NOT NULL,
    PRIMARY KEY (exchange, pair, candle_seconds, window_start_ms)
);

-- Forecasts as they were issued, and what came of them. quality is that of the feature row the forecast was made on;
-- features_used is a JSON array of names. A forecast is never changed: its revision stays 0.
CREATE TABLE IF NOT EXISTS predictions (
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    prediction_id VARCHAR NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    task VARCHAR NOT NULL,
    prediction_horizon_seconds BIGINT NOT NULL,
    predicted_price DOUBLE PRECISION,
    confidence_lower DOUBLE PRECISION,
    confidence_upper DOUBLE PRECISION,
    probability DOUBLE PRECISION,
    model_name VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    model_variant VARCHAR NOT NULL,
    features_used VARCHAR NOT NULL,
    abstained BOOLEAN NOT NULL,
    reason VARCHAR NOT NULL,
    latency_us BIGINT NOT NULL,
    quality VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (exchange, pair, prediction_id)
);

CREATE TABLE IF NOT EXISTS outcomes (
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    prediction_id VARCHAR NOT NULL,
    actual DOUBLE PRECISION,
    loss DOUBLE PRECISION,
    baseline_loss DOUBLE PRECISION,
    covered BOOLEAN NOT NULL,
    matured_ms BIGINT NOT NULL,
    quality VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (exchange, pair, prediction_id)
);

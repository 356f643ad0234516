-- The newest candle of each key and length, the newest forecast of each task, and forecasts beside what came of them.
CREATE OR REPLACE VIEW latest_candles AS
SELECT
    exchange, pair, candle_seconds, window_start_ms, window_end_ms, open, high, low, close, volume, quote_volume,
    buy_volume, trade_count, quality, revision, known_at_ms,
    to_timestamp(CAST(window_end_ms AS DOUBLE PRECISION) / 1000) AS window_end
FROM (
    SELECT
        exchange, pair, candle_seconds, window_start_ms, window_end_ms, open, high, low, close, volume, quote_volume,
        buy_volume, trade_count, quality, revision, known_at_ms,
        ROW_NUMBER() OVER (PARTITION BY exchange, pair, candle_seconds ORDER BY window_start_ms DESC) AS place
    FROM candles
) AS ranked
WHERE place = 1;

CREATE OR REPLACE VIEW latest_predictions AS
SELECT
    exchange, pair, prediction_id, timestamp_ms, task, prediction_horizon_seconds, predicted_price, confidence_lower,
    confidence_upper, probability, model_name, model_version, model_variant, features_used, abstained, reason,
    latency_us, quality, revision
FROM (
    SELECT
        exchange, pair, prediction_id, timestamp_ms, task, prediction_horizon_seconds, predicted_price,
        confidence_lower, confidence_upper, probability, model_name, model_version, model_variant, features_used,
        abstained, reason, latency_us, quality, revision,
        ROW_NUMBER() OVER (
            PARTITION BY exchange, pair, task, prediction_horizon_seconds, model_variant
            ORDER BY timestamp_ms DESC, prediction_id DESC
        ) AS place
    FROM predictions
) AS ranked
WHERE place = 1;

CREATE OR REPLACE VIEW prediction_outcomes AS
SELECT
    p.exchange, p.pair, p.prediction_id, p.timestamp_ms, p.task, p.prediction_horizon_seconds, p.predicted_price,
    p.confidence_lower, p.confidence_upper, p.probability, p.model_name, p.model_version, p.model_variant,
    p.abstained, p.reason, o.actual, o.loss, o.baseline_loss, o.covered, o.matured_ms
FROM predictions AS p
LEFT JOIN outcomes AS o
    ON o.exchange = p.exchange AND o.pair = p.pair AND o.prediction_id = p.prediction_id;

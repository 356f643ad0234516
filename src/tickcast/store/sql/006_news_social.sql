-- What was written and measured about an asset. available_ms is when we could first know it: join on that.
CREATE TABLE IF NOT EXISTS sentiment (
    id VARCHAR NOT NULL,
    asset VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    published_ms BIGINT NOT NULL,
    available_ms BIGINT NOT NULL,
    score DOUBLE PRECISION,
    confidence DOUBLE PRECISION,
    model VARCHAR NOT NULL,
    prompt_version VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id, asset, model, prompt_version)
);

CREATE TABLE IF NOT EXISTS social (
    asset VARCHAR NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    available_ms BIGINT NOT NULL,
    galaxy_score DOUBLE PRECISION,
    alt_rank DOUBLE PRECISION,
    social_volume DOUBLE PRECISION,
    social_score DOUBLE PRECISION,
    market_correlation DOUBLE PRECISION,
    sentiment_score DOUBLE PRECISION,
    revision BIGINT NOT NULL,
    PRIMARY KEY (asset, timestamp_ms)
);

-- DuckDB only: what one process keeps beside its tables, in the same transactions.
CREATE SCHEMA embedded;

CREATE TABLE embedded.positions (
    exchange VARCHAR NOT NULL,
    day VARCHAR NOT NULL,
    file_offset BIGINT NOT NULL,
    PRIMARY KEY (exchange)
);

CREATE TABLE embedded.snapshots (
    stage VARCHAR NOT NULL,
    state_key VARCHAR NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (stage, state_key)
);

-- Tick features of days gone by live in Parquet files, one a key and day; their names relative to the data directory.
CREATE TABLE embedded.tick_files (
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    day VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    PRIMARY KEY (exchange, pair, day)
);

-- The shared table becomes a view over today's rows and those files. Today's rows have no key: an append three times
-- as fast, and the writer itself knows which ids it has.
CREATE TABLE embedded.recent_ticks AS FROM ticks_features WITH NO DATA;
DROP TABLE ticks_features;
CREATE VIEW ticks_features AS FROM embedded.recent_ticks;

CREATE TABLE embedded.schema_versions (
    script VARCHAR NOT NULL,
    PRIMARY KEY (script)
);

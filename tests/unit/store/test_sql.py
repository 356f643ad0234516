"""The shared scripts: inside the subset that three engines understand, run on two of them, and equal to the events."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tickcast.store.contract import KINDS
from tickcast.store.schema import shared_scripts
from tickcast.store.upsert import stored_columns

TYPES = {"VARCHAR", "BIGINT", "DOUBLE PRECISION", "BOOLEAN", "TIMESTAMPTZ"}

REFUSED = {
    "sized VARCHAR": r"\bVARCHAR\s*\(",
    "other types": r"\b(NUMERIC|DECIMAL|INT|INTEGER|SMALLINT|INT8|INT4|HUGEINT|REAL|FLOAT|FLOAT8|TEXT|STRING|CHAR|BLOB"
    r"|BYTEA|JSONB?|DATE|TIME|TIMESTAMP|UUID|INTERVAL|SERIAL|BIGSERIAL|STRUCT|MAP)\b",
    "DOUBLE without PRECISION": r"\bDOUBLE\b(?!\s+PRECISION)",
    "arrays": r"\[",
    "upserts": r"\bON\s+CONFLICT\b",
    "QUALIFY": r"\bQUALIFY\b",
    "MERGE": r"\bMERGE\b",
    "sequences": r"\b(SEQUENCE|NEXTVAL)\b",
    "enums and types": r"\b(ENUM|CREATE\s+TYPE)\b",
    "RECURSIVE": r"\bRECURSIVE\b",
    "GENERATED and DEFAULT": r"\b(GENERATED|DEFAULT)\b",
    "other constraints": r"\b(UNIQUE|CHECK|REFERENCES|FOREIGN|CONSTRAINT)\b",
    "CREATE VIEW IF NOT EXISTS": r"\bVIEW\s+IF\s+NOT\b",
    "CREATE VIEW without OR REPLACE": r"\bCREATE\s+VIEW\b",
    "MATERIALIZED and INDEX": r"\b(MATERIALIZED|INDEX)\b",
    "ASOF": r"\bASOF\b",
    "TUMBLE and HOP": r"\b(TUMBLE|HOP|EMIT)\b",
    "DISTINCT ON": r"\bDISTINCT\s+ON\b",
    "literals with a type before them": r"\b(TIMESTAMPTZ|TIMESTAMP|DATE|INTERVAL)\s+'",
    "columns that are not listed": r"(\*|\bINSERT\s+INTO\s+\w+\s+(SELECT|VALUES))",
    "transactions and COPY": r"\b(BEGIN|COMMIT|ROLLBACK|COPY|PRAGMA|ATTACH|SET)\b",
    "CREATE TABLE without IF NOT EXISTS": r"\bCREATE\s+TABLE\s+(?!IF\s+NOT\s+EXISTS)",
    "SELECT into a table": r"\bTABLE\s+(IF\s+NOT\s+EXISTS\s+)?\w+\s+AS\b",
}


def violations(sql: str) -> list[str]:
    text = re.sub(r"--[^\n]*", "", sql)
    found = [name for name, pattern in REFUSED.items() if re.search(pattern, text, re.IGNORECASE)]
    for column in re.findall(
        r"^    (?!PRIMARY|SELECT|FROM)\"?\w+\"? ([A-Z][A-Z0-9 ]*?)(?: NOT NULL)?,?$", text, re.MULTILINE
    ):
        if column not in TYPES:
            found.append(f"type {column}")
    return found


SCRIPTS = dict(shared_scripts())


@pytest.mark.parametrize("name", SCRIPTS)
def test_shared_scripts_stay_inside_the_portable_subset(name: str) -> None:
    assert violations(SCRIPTS[name]) == []


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        ("sized VARCHAR", "CREATE TABLE IF NOT EXISTS t (a VARCHAR(5))"),
        ("other types", "CREATE TABLE IF NOT EXISTS t (a NUMERIC(5, 2))"),
        ("other types", "CREATE TABLE IF NOT EXISTS t (a timestamp)"),
        ("DOUBLE without PRECISION", "CREATE TABLE IF NOT EXISTS t (a DOUBLE)"),
        ("upserts", "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING"),
        ("QUALIFY", "SELECT a FROM t QUALIFY row_number() OVER () = 1"),
        ("enums and types", "CREATE TYPE mood AS (a BIGINT)"),
        ("other constraints", "CREATE TABLE IF NOT EXISTS t (a BIGINT UNIQUE)"),
        ("CREATE VIEW IF NOT EXISTS", "CREATE VIEW IF NOT EXISTS v AS SELECT a FROM t"),
        ("ASOF", "SELECT a FROM t ASOF JOIN u USING (a)"),
        ("TUMBLE and HOP", "SELECT a FROM TUMBLE(t, a, b)"),
        ("literals with a type before them", "SELECT TIMESTAMPTZ '2024-08-09'"),
        ("columns that are not listed", "SELECT * FROM t"),
        ("columns that are not listed", "INSERT INTO t VALUES (1)"),
        ("type BIGINT PRIMARY KEY", "CREATE TABLE IF NOT EXISTS t (\n    a BIGINT PRIMARY KEY\n)"),
    ],
)
def test_the_lint_sees_what_is_not_portable(rule: str, sql: str) -> None:
    assert rule in violations(sql)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_the_columns_and_the_key_of_their_events(kind: str) -> None:
    types = {"i8": "BIGINT", "f8": "DOUBLE PRECISION", "u1": "VARCHAR", "str": "VARCHAR"}
    table = KINDS[kind]
    text = next(text for text in SCRIPTS.values() if f"EXISTS {kind} (" in text)
    lines = re.findall(r"^    (\"?\w+\"?) ([A-Z ]+?)(?: NOT NULL)?,$", text, re.MULTILINE)
    key = re.findall(r"PRIMARY KEY \((.*)\)", text)

    assert stored_columns(table) == [name for name, _ in lines]
    assert {name: types[code] for name, code in table.columns.items()}.items() <= dict(lines).items()
    assert [", ".join(("exchange", "pair", *table.key))] == key


ROWS = """
INSERT INTO candles (exchange, pair, candle_seconds, window_start_ms, window_end_ms, close, trade_count, quality,
    revision, known_at_ms)
VALUES ('binance', 'BTCUSDT', 60, 0, 60000, 100.5, 3, 'complete', 0, 60000),
    ('binance', 'BTCUSDT', 60, 60000, 120000, 101.5, 4, 'partial', 1, 120000),
    ('binance', 'ETHUSDT', 60, 0, 60000, NULL, 0, 'complete', 0, 60000);
INSERT INTO predictions (exchange, pair, prediction_id, timestamp_ms, task, prediction_horizon_seconds, predicted_price,
    model_name, model_version, model_variant, features_used, abstained, reason, latency_us, quality, revision)
VALUES ('binance', 'BTCUSDT', 'a', 60000, 'price', 300, 100.0, 'm', 'v1', 'ml', '[]', FALSE, '', 5, 'complete', 0),
    ('binance', 'BTCUSDT', 'b', 120000, 'price', 300, 102.0, 'm', 'v1', 'ml', '[]', FALSE, '', 5, 'complete', 0);
INSERT INTO outcomes (exchange, pair, prediction_id, actual, loss, baseline_loss, covered, matured_ms, quality,
    revision)
VALUES ('binance', 'BTCUSDT', 'a', 101.0, 1.0, 2.0, TRUE, 360000, 'complete', 0);
"""

QUESTIONS = {
    "SELECT pair, close, window_end_ms, window_end = to_timestamp(120) FROM latest_candles ORDER BY pair": [
        ("BTCUSDT", "101.5", "120000", "true"),
        ("ETHUSDT", "", "60000", "false"),
    ],
    "SELECT prediction_id, predicted_price FROM latest_predictions": [("b", "102")],
    "SELECT prediction_id, actual, covered FROM prediction_outcomes ORDER BY prediction_id": [
        ("a", "101", "true"),
        ("b", "", ""),
    ],
}


def as_text(value: object) -> str:
    """A value as psql writes it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def test_the_scripts_run_on_duckdb_twice_and_the_views_answer() -> None:
    with duckdb.connect() as connection:
        for _ in range(2):
            for text in SCRIPTS.values():
                connection.execute(text)
        connection.execute(ROWS)

        for question, expected in QUESTIONS.items():
            assert expected == [tuple(map(as_text, row)) for row in connection.execute(question).fetchall()]


POSTGRES = Path("/usr/lib/postgresql/15/bin")


class Postgres:
    """A server of its own on a socket, run by a user who is not root."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *command: str) -> str:
        prefix = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, cwd="/", timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def psql(self, sql: str) -> list[tuple[str, ...]]:
        said = self.run(
            f"{POSTGRES}/psql", "-X", "-q", "-A", "-t", "-F", "|", "-v", "ON_ERROR_STOP=1",
            "-h", str(self.directory), "-U", "tickcast", "-d", "postgres", "-c", sql,
        )  # fmt: skip
        short = {"t": "true", "f": "false"}
        return [tuple(short.get(cell, cell) for cell in line.split("|")) for line in said.splitlines()]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if not (POSTGRES / "initdb").exists():
        pytest.skip("needs PostgreSQL 15")
    directory = Path(tempfile.mkdtemp(prefix="tickcast-pg-", dir="/tmp"))  # a socket's path has to be short
    if os.geteuid() == 0:
        shutil.chown(directory, "nobody")
    server = Postgres(directory)
    data = str(directory / "data")
    server.run(f"{POSTGRES}/initdb", "-D", data, "-U", "tickcast", "-A", "trust", "--no-sync", "-E", "UTF8")
    options = f"-k {directory} -c listen_addresses='' -c fsync=off -c timezone=UTC"
    server.run(f"{POSTGRES}/pg_ctl", "-D", data, "-w", "-l", str(directory / "log"), "-o", options, "start")
    yield server
    server.run(f"{POSTGRES}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(directory)


def test_the_scripts_run_on_postgresql_twice_and_the_views_answer(postgres: Postgres) -> None:
    for _ in range(2):
        for text in SCRIPTS.values():
            postgres.psql(text)
    postgres.psql(ROWS)

    for question, expected in QUESTIONS.items():
        assert expected == postgres.psql(question)


def test_postgresql_reads_every_float_as_it_was_written(postgres: Postgres) -> None:
    """The JSON of features holds the shortest digits: cast to a number they are the same bits there too."""
    (row,) = postgres.psql("SELECT '5e-324'::double precision, '-0.0'::double precision, '0.1'::double precision")

    assert row == ("5e-324", "-0", "0.1")

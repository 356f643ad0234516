# `just` lists these; each line is what CI runs too.

default:
    @just --list

# a simulated market, live in the terminal
run *args:
    uv run tickcast demo {{args}}

test *args:
    uv run pytest {{args}}

# all that CI checks beside the tests
check:
    uv run ruff check
    uv run ruff format --check
    uv run mypy

# tables of ratios beside the peers, hop by hop
bench:
    uv run python -m benchmarks

# add a data directory's journal to a results folder
replay *args:
    uv run tickcast replay {{args}}

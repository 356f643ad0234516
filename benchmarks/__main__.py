"""`python -m benchmarks [NAME...]`: every hop beside the peer it must beat, as ratios of the same run."""

from __future__ import annotations

import sys
from importlib import import_module

HOPS = ("decode", "candles", "quix", "ticks", "indicators", "spine", "sockets", "feeds", "load", "tuning", "single_row")


def main() -> None:
    """Run the named hops, or all."""
    names, sys.argv[1:] = sys.argv[1:] or list(HOPS), []
    for name in names:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()

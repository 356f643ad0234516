"""`python -m benchmarks [NAME...]`: every hop beside the peer it must beat, as ratios of the same run."""

from __future__ import annotations

import sys
from importlib import import_module

HOPS = ("decode", "candles", "ticks", "indicators", "spine")


def main() -> None:
    """Run the named hops, or all."""
    for name in sys.argv[1:] or HOPS:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()

"""What `tickcast demo` shows: rates, candles, lags, a few times a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tickcast.clock import DAY_MS, NS_PER_MS, utc_text
from tickcast.runners.demo import EXCHANGE

if TYPE_CHECKING:
    from tickcast.runners.demo import Demo
    from tickcast.runners.status import CandleSeen

COLUMNS = ("pair", "candle", "close", "change", "volume", "trades", "RSI 14", "vol 60 s", "forming", "quality", "")
BARS = "▁▂▃▄▅▆▇█"
FRAMES_A_SECOND = 5.0
NOTES_SHOWN = 3


def sparkline(values: Sequence[float], width: int = 30) -> str:
    """The last values as bars from their least to their greatest.

    >>> sparkline([1, 2, 3])
    '▁▅█'
    """
    shown = list(values)[-width:]
    if not shown:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] if span else BARS[3] for value in shown)


@contextmanager
def watching(console: Console | None = None) -> Iterator[Callable[[Demo], None]]:
    """A live picture; call what it yields as often as you like."""
    with Live(console=console or Console(), refresh_per_second=FRAMES_A_SECOND, transient=False) as live:
        last = -1.0

        def show(demo: Demo) -> None:
            nonlocal last
            now = demo.clock.monotonic_s()
            if now - last >= 1 / FRAMES_A_SECOND:
                last = now
                live.update(picture(demo))

        yield show


def picture(demo: Demo) -> RenderableType:
    """One frame of the view."""
    head = Text.assemble(("tickcast", "bold"), "  ", (" SIMULATED MARKET ", "black on yellow"), f"  {demo.phase}")
    if demo.phase not in ("history", "live"):
        return Panel(head, border_style="dim")
    parts: list[RenderableType] = [_figures(demo), Text(""), _candles(demo)]
    parts += [Text(note, style="yellow") for note in list(demo.notes)[-NOTES_SHOWN:]]
    if demo.phase == "history":
        parts.insert(0, _history(demo))
    foot = f"ctrl-c ends it, nothing is lost   {demo.address}/health   data in {demo.settings.data_dir}"
    return Panel(
        Group(*parts), title=head, title_align="left", subtitle=foot, subtitle_align="left", border_style="dim"
    )


def _history(demo: Demo) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=demo.history_share, width=40)
    grid.add_row(Text("catching up with history", style="cyan"), bar, f"{demo.history_share:4.0%}")
    return grid


def _figures(demo: Demo) -> RenderableType:
    embedded = demo.embedded
    status, rows, lag = embedded.status, embedded.status.rows, embedded.status.lag()
    market_ms = embedded.pipeline.last_recv_ns(EXCHANGE) // NS_PER_MS
    refused = sum(sum(reasons.values()) for reasons in embedded.intake.quarantined().values())
    grid = Table.grid(padding=(0, 3))
    speed = f"x{demo.options.speed:g}" if demo.phase == "live" else "as fast as it goes"
    grid.add_row(
        _figure("market time", utc_text(market_ms) if market_ms else "-"),
        _figure("speed", speed),
        _figure("messages/s", f"{status.rate(demo.messages):,.0f}"),
        _figure("lag p50 / p99", f"{lag.p50:.1f} / {lag.p99:.1f} ms"),
    )
    grid.add_row(
        _figure("messages", f"{demo.messages:,}"),
        _figure("ticks", f"{rows.get('ticks_features', 0):,}"),
        _figure("candles", f"{rows.get('candles', 0):,}"),
        _figure("features", f"{rows.get('features', 0):,}   quarantined {refused:,}"),
    )
    return grid


def _figure(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _candles(demo: Demo) -> RenderableType:
    status = demo.embedded.status
    lows = demo.embedded.pipeline.lows()
    drawn = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in COLUMNS:
        drawn.add_column(name, justify="left" if name in ("pair", "quality", "") else "right", no_wrap=True)
    for seen in sorted(status.candles.values(), key=lambda seen: (seen.pair, seen.candle_seconds)):
        low_ms = lows.get(f"{seen.exchange}:{seen.pair}", 0)
        forming_s = (low_ms - seen.window_start_ms) / 1000 - seen.candle_seconds
        vol = status.volatility.get((seen.exchange, seen.pair), float("nan"))
        drawn.add_row(
            Text(seen.pair, style="bold"),
            f"{_time(seen.window_start_ms)} {seen.candle_seconds}s",
            f"{seen.close:,.8g}",
            _change(seen),
            f"{seen.volume:,.6g}",
            f"{seen.trade_count:,}",
            "-" if seen.rsi_14 is None else f"{seen.rsi_14:.1f}",
            "-" if vol != vol else f"{vol:.3%}",
            f"{max(0.0, forming_s):.0f} of {seen.candle_seconds} s",
            Text(seen.quality, style={"complete": "green", "partial": "yellow", "repaired": "cyan"}[seen.quality]),
            Text(sparkline(list(status.closes.get((seen.exchange, seen.pair), ()))), style="blue"),
        )
    return drawn


def _change(seen: CandleSeen) -> Text:
    if seen.change is None:
        return Text("-")
    return Text(f"{seen.change:+.3%}", style="green" if seen.change > 0 else "red" if seen.change < 0 else "dim")


def _time(timestamp_ms: int) -> str:
    minutes, seconds = divmod(timestamp_ms % DAY_MS // 1000, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"

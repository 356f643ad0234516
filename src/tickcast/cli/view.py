"""What `tickcast up` and `tickcast demo` show: rates, connections, candles, a few times a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tickcast.cli.fitting import Column, fitted, flowed, room
from tickcast.clock import DAY_MS, Clock, utc_text
from tickcast.runners.status import CandleSeen, Shown, current, fetching_text, host_text
from tickcast.sources.live.contract import ConnectionStatus, LiveStatus, PairStatus

COLUMNS = ("pair", "candle", "close", "change", "volume", "trades", "RSI 14", "vol 60 s", "forming", "quality")
BARS = "▁▂▃▄▅▆▇█"
BARS_LEAST, BARS_MOST = 8, 30
FRAMES_A_SECOND = 5.0
NOTES_SHOWN = 3
UNWELL_SHOWN = 6
FETCHING_SHOWN = 4
CONNECTIONS_SHOWN = 12
CANDLES_LEAST = 3
FRAME_WIDTH, FRAME_HEIGHT = 4, 2
STATE_STYLES = {"open": "green", "live": "green", "connecting": "yellow", "joining": "yellow", "suspect": "yellow"}
QUALITY_STYLES = {"complete": "green", "partial": "yellow", "repaired": "cyan"}


class Showing(Protocol):
    """What can be watched: a `runners.health.Watch`, or whatever has one."""

    @property
    def clock(self) -> Clock:
        """By which pictures keep their distance."""
        ...

    @property
    def shown(self) -> Shown:
        """The newest look."""
        ...


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
def watching(console: Console | None = None) -> Iterator[Callable[[Showing], None]]:
    """A live picture; call what it yields as often as you like."""
    with Live(console=console or Console(), refresh_per_second=FRAMES_A_SECOND, transient=False) as live:
        last = -1.0

        def show(source: Showing) -> None:
            nonlocal last
            now = source.clock.monotonic_s()
            if now - last >= 1 / FRAMES_A_SECOND:
                last = now
                live.update(picture(source.shown))

        yield show


def picture(shown: Shown) -> RenderableType:
    """One frame of the view, as wide and high as where it is drawn."""
    return _Picture(shown)


class _Picture:
    def __init__(self, shown: Shown) -> None:
        self.shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, width = self.shown, options.max_width - FRAME_WIDTH
        banner = (" SIMULATED MARKET ", "not dim bold black on yellow") if shown.simulated else ("", "")
        gap = "  " if shown.simulated else ""
        head = Text.assemble(("tickcast", "not dim bold"), "  ", banner, gap, (shown.phase, "not dim"))
        if shown.live is None and shown.phase not in ("history", "live"):
            yield Panel(head, border_style="dim")
            return
        parts: list[RenderableType] = []
        if shown.phase == "history" and shown.history_share is not None:
            parts.append(_history(shown.history_share))
        parts += _fetching(shown, width)
        parts += [flowed(_figures(shown), width), Text("")]
        if shown.live is not None:
            parts += _live(shown, shown.live, width)
        notes: list[RenderableType] = [Text(note, style="yellow") for note in shown.notes[-NOTES_SHOWN:]]
        used = sum(len(console.render_lines(part, options.update(width=width))) for part in (*parts, *notes))
        parts += _candles(shown, width, max(CANDLES_LEAST, options.size.height - used - FRAME_HEIGHT - 2))
        yield Panel(
            Group(*parts, *notes), title=head, title_align="left", subtitle=_foot(shown, width),
            subtitle_align="left", border_style="dim",
        )  # fmt: skip


def _foot(shown: Shown, width: int) -> str:
    """As much as there is room for."""
    parts = ["ctrl-c ends it, nothing is lost", f"{shown.address}/health", f"data in {shown.data_dir}"]
    while len("   ".join(parts)) > width - 2 and len(parts) > 1:
        parts.pop()
    return "   ".join(parts).replace("[", "\\[")


def _history(share: float) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("catching up with history", style="cyan"), ProgressBar(1.0, share, width=30), f"{share:4.0%}")
    return grid


def _fetching(shown: Shown, width: int) -> list[RenderableType]:
    """Whose past is not all there yet, and what the hosts that are asked for it allow."""
    parts: list[RenderableType] = [
        _line(f"history of {one.exchange} {one.pair}: {fetching_text(one)}", width)
        for one in shown.fetching[:FETCHING_SHOWN]
    ]
    if len(shown.fetching) > FETCHING_SHOWN:
        parts.append(Text(f"and {len(shown.fetching) - FETCHING_SHOWN} pairs more", style="yellow"))
    hosts = [one for one in shown.hosts if one.blocked_s or (shown.fetching and one.used)]
    return parts + [_line(host_text(one), width) for one in hosts[:FETCHING_SHOWN]]


def _figures(shown: Shown) -> list[tuple[str, str]]:
    refused = sum(sum(reasons.values()) for reasons in shown.quarantined.values())
    figures = [
        ("market time", utc_text(shown.market_ms) if shown.market_ms else "-"),
        ("messages/s", f"{shown.rate:,.0f}"),
        ("messages", f"{shown.messages:,}"),
        ("lag p50 / p99", f"{shown.lag.p50:.1f} / {shown.lag.p99:.1f} ms"),
        ("ticks", f"{shown.rows.get('ticks_features', 0):,}"),
        ("candles", f"{shown.rows.get('candles', 0):,}"),
        ("features", f"{shown.rows.get('features', 0):,}"),
        ("quarantined", f"{refused:,}"),
    ]
    if shown.simulated:
        figures.append(("speed", f"x{shown.speed:g}" if shown.phase == "live" else "as fast as it goes"))
    if shown.live is not None:
        figures.append(("waiting", f"{shown.live.lag_ms:,.0f} ms"))
    return figures


def _live(shown: Shown, live: LiveStatus, width: int) -> list[RenderableType]:
    """Connections, and what is not as it should be."""
    connections = current(live.connections)
    parts: list[RenderableType] = [_connections(shown, connections[:CONNECTIONS_SHOWN], live, width)]
    if len(connections) > CONNECTIONS_SHOWN:
        parts.append(Text(f"and {len(connections) - CONNECTIONS_SHOWN} connections more", style="dim"))
    down = [one for one in connections if one.state != "open"]
    parts += [_line(_down_text(one), width) for one in down[:UNWELL_SHOWN]]
    unwell = [one for one in live.pairs if one.state != "live"]
    parts += [_line(_unwell_text(one), width) for one in unwell[:UNWELL_SHOWN]]
    if len(unwell) > UNWELL_SHOWN:
        parts.append(Text(f"and {len(unwell) - UNWELL_SHOWN} pairs more that are not live", style="yellow"))
    return [*parts, Text("")]


def _connections(shown: Shown, connections: Sequence[ConnectionStatus], live: LiveStatus, width: int) -> RenderableType:
    pairs = {(one.exchange, one.pair): one for one in live.pairs}
    carried = [
        [pairs[one.exchange, name] for name in one.pairs if (one.exchange, name) in pairs] for one in connections
    ]
    refused = {exchange: sum(reasons.values()) for exchange, reasons in shown.quarantined.items()}
    holes = [
        tuple(sum(getattr(pair, f"gaps_{what}") for pair in some) for what in ("found", "repaired", "open", "lost"))
        for some in carried
    ]
    columns = [
        Column("connection", [Text(f"{one.exchange}/{one.number}", style="bold") for one in connections], left=True),
        Column("pairs", [_names(one.pairs, max(8, width - 92)) for one in connections], drop=4, left=True),
        Column("state", [Text(one.state, style=STATE_STYLES.get(one.state, "red")) for one in connections], left=True),
        Column("msg/s", [f"{one.rate:,.0f}" for one in connections]),
        Column("age", ["-" if one.age_s < 0 else f"{one.age_s:.1f} s" for one in connections]),
        Column("gaps", [f"{found:,}" for found, *_ in holes], drop=2),
        Column("repaired", [f"{repaired:,}" for _, repaired, *_ in holes], drop=3),
        Column("open", [_count(count, "yellow") for *_, count, _ in holes]),
        Column("lost", [_count(count, "red") for *_, count in holes], drop=5),
        Column("reconnects", [f"{one.reconnects:,}" for one in connections], drop=2),
        Column("quarantined", [_count(refused.get(one.exchange, 0), "yellow") for one in connections], drop=6),
        Column("clock", [_offset(one) for one in connections], drop=1),
    ]
    return fitted(columns, width, tight=True)


def _names(pairs: Sequence[str], width: int) -> str:
    """As many names as fit, and how many more.

    >>> _names(("BTCUSDT", "ETHUSDT", "ADAUSDT"), 19)
    'BTCUSDT and 2 more'
    """
    whole = " ".join(pairs)
    if len(whole) <= width:
        return whole
    for kept in range(len(pairs) - 1, 0, -1):
        text = f"{' '.join(pairs[:kept])} and {len(pairs) - kept} more"
        if len(text) <= width:
            return text
    return f"{len(pairs)} pairs"


def _count(count: int, style: str) -> Text:
    return Text(f"{count:,}", style=style if count else "")


def _offset(one: ConnectionStatus) -> str:
    """A clock's offset, for people.

    >>> _offset(ConnectionStatus("kraken", 1, "open", offset_ms=-1234.4))
    '-1,234 ms'
    """
    return "-" if one.offset_ms is None else f"{round(one.offset_ms):+,} ms"


def _line(text: str, width: int) -> Text:
    line = Text(text, style="yellow", no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line


def _down_text(one: ConnectionStatus) -> str:
    text = f"{one.exchange}/{one.number} is {one.state}"
    if one.state == "waiting":
        text += f", dials again in {one.next_dial_s:.0f} s"
    return f"{text}: {one.why}" if one.why else text


def _unwell_text(one: PairStatus) -> str:
    """What is wrong with a pair, in one line."""
    text = f"{one.exchange} {one.pair} is {one.state}"
    text += f", last message {one.age_s:.1f} s ago" if one.last_message_ms else ", no message yet"
    text += f", {one.held:,} held" if one.held else ""
    return f"{text}, {one.gaps_open:,} hole{'s' * (one.gaps_open > 1)} open" if one.gaps_open else text


def _candles(shown: Shown, width: int, rows: int) -> list[RenderableType]:
    seen = sorted(shown.candles, key=lambda one: (one.exchange, one.pair, one.candle_seconds))
    drawn, several = seen[:rows], len({one.exchange for one in seen}) > 1
    vols = [shown.volatility.get((one.exchange, one.pair), float("nan")) for one in drawn]
    cells: dict[str, list[str | Text]] = {
        "pair": [Text(f"{one.exchange} {one.pair}" if several else one.pair, style="bold") for one in drawn],
        "candle": [f"{_time(one.window_start_ms)} {one.candle_seconds}s" for one in drawn],
        "close": [f"{one.close:,.8g}" for one in drawn],
        "change": [_change(one) for one in drawn],
        "volume": [f"{one.volume:,.6g}" for one in drawn],
        "trades": [f"{one.trade_count:,}" for one in drawn],
        "RSI 14": ["-" if one.rsi_14 is None else f"{one.rsi_14:.1f}" for one in drawn],
        "vol 60 s": ["-" if vol != vol else f"{vol:.3%}" for vol in vols],
        "forming": [_forming(shown, one) for one in drawn],
        "quality": [Text(one.quality, style=QUALITY_STYLES[one.quality]) for one in drawn],
    }
    drops = {"volume": 5, "forming": 4, "vol 60 s": 3, "RSI 14": 2, "trades": 1}
    columns = [Column(name, cells[name], drops.get(name, 0), name in ("pair", "quality")) for name in COLUMNS]
    if (bars := min(BARS_MOST, room(columns, width))) >= BARS_LEAST:
        lines = [sparkline(shown.closes.get((one.exchange, one.pair), ()), bars) for one in drawn]
        columns.append(Column("", [Text(line, style="blue") for line in lines], left=True))
    parts: list[RenderableType] = [fitted(columns, width)]
    if len(seen) > rows:
        parts.append(Text(f'and {len(seen) - rows} more: tickcast sql "FROM latest_candles"', style="dim"))
    return parts


def _forming(shown: Shown, one: CandleSeen) -> str:
    """How far the candle after this one has come."""
    low_ms = shown.lows.get(f"{one.exchange}:{one.pair}", 0)
    forming_s = (low_ms - one.window_start_ms) / 1000 - one.candle_seconds
    return f"{max(0.0, forming_s):.0f} of {one.candle_seconds} s"


def _change(seen: CandleSeen) -> Text:
    if seen.change is None:
        return Text("-")
    return Text(f"{seen.change:+.3%}", style="green" if seen.change > 0 else "red" if seen.change < 0 else "dim")


def _time(timestamp_ms: int) -> str:
    minutes, seconds = divmod(timestamp_ms % DAY_MS // 1000, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"

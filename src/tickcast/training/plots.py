"""Small plots as inline SVG: lines, dots, bars. No script, no library, the same bytes for the same numbers.

Colours are classes that the page's style sheet gives a light and a dark value; text is 11 units of 440, so that it can
still be read at the width of a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 24
COLOURS = 6
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_STEPS_MS = [hours * HOUR_MS for hours in (1, 3, 6, 12)] + [days * DAY_MS for days in (1, 2, 5, 10, 20, 50, 100, 400)]


class Line(NamedTuple):
    """Points joined where they are numbers; a NaN parts the line."""

    name: str
    x: F8
    y: F8
    colour: int
    """Its place among the colours; -1: grey."""
    dashed: bool = False


class Band(NamedTuple):
    """What lies between two lines."""

    name: str
    x: F8
    low: F8
    high: F8
    colour: int


class Dot(NamedTuple):
    """A number of a category."""

    category: int
    y: float
    colour: int
    told: str


class Frame(NamedTuple):
    """The ranges of both axes, and how they turn into places."""

    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        """The place of a value."""
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """The place of a value."""
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within a range.

    >>> ticks(0.0, 1.0), ticks(3.0, 3.0)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [3.0])
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def time_ticks(low_ms: float, high_ms: float) -> list[tuple[float, str]]:
    """Round moments within a range, UTC: at most six.

    >>> time_ticks(0, 2 * 86_400_000)
    [(0, '01-01'), (43200000, '12:00'), (86400000, '01-02'), (129600000, '12:00'), (172800000, '01-03')]
    """
    step = next((step for step in _STEPS_MS if (high_ms - low_ms) / step <= 5), _STEPS_MS[-1])
    step = step if (high_ms - low_ms) / step <= 12 else math.ceil((high_ms - low_ms) / 5 / DAY_MS) * DAY_MS
    found = range(math.ceil(low_ms / step) * step, int(high_ms) + 1, step)
    shapes = ["%H:%M" if at % DAY_MS else "%m-%d" for at in found]
    return [(at, datetime.fromtimestamp(at / 1000, tz=UTC).strftime(s)) for at, s in zip(found, shapes, strict=True)]


def _tone(colour: int) -> str:
    return "g" if colour < 0 else f"s{colour % COLOURS}"


def _range(parts: Sequence[F8], *, pad: float = 0.04) -> tuple[float, float]:
    """From the lowest to the highest finite number, with a little room."""
    all_of = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts] or [np.zeros(1)])
    finite = all_of[np.isfinite(all_of)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return low - (abs(low) * 0.1 or 1.0), high + (abs(high) * 0.1 or 1.0)
    return low - (high - low) * pad, high + (high - low) * pad


def _svg(body: Sequence[str], told: str, *, height: int = HEIGHT, width: int = WIDTH, tone: str = "plot") -> str:
    inner = "".join(body)
    head = f'<svg class="{tone}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(told)}">'
    return f"{head}<title>{escape(told)}</title>{inner}</svg>"


def _axes(frame: Frame, x_ticks: Sequence[tuple[float, str]], y_text: Callable[[float], str]) -> list[str]:
    made = []
    for value in ticks(frame.y0, frame.y1):
        at = frame.y(value)
        made.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        made.append(f'<text class="end" x="{LEFT - 5}" y="{at + 4:.1f}">{escape(y_text(value))}</text>')
    for value, text in x_ticks:
        made.append(f'<text class="mid" x="{frame.x(value):.1f}" y="{HEIGHT - 7}">{escape(text)}</text>')
    return made


def _path(frame: Frame, line: Line) -> str:
    """One path; a point without neighbours is drawn as a dot by its round end."""
    parts, down = [], False
    for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
        if not math.isfinite(y):
            down = False
            continue
        parts.append(f"{'L' if down else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}" + ("" if down else "h0"))
        down = True
    return f'<path class="line {_tone(line.colour)}{" dash" * line.dashed}" d="{"".join(parts)}"/>'


def _area(frame: Frame, band: Band) -> str:
    """The band in pieces, one a run of numbers."""
    there = np.flatnonzero(np.isfinite(band.low) & np.isfinite(band.high))
    made = []
    for run in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
        up = [f"{frame.x(band.x[i]):.1f} {frame.y(band.high[i]):.1f}" for i in run]
        back = [f"{frame.x(band.x[i]):.1f} {frame.y(band.low[i]):.1f}" for i in run[::-1]]
        if len(run):
            made.append(f"M{'L'.join(up + back)}Z")
    return f'<path class="area {_tone(band.colour)}" d="{"".join(made)}"/>'


def chart(
    lines: Sequence[Line],
    *,
    told: str,
    y_text: Callable[[float], str],
    bands: Sequence[Band] = (),
    level: float | None = None,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Lines and bands over time (milliseconds), and a level across if one is given; its legend goes below."""
    y_parts = [line.y for line in lines] + [part for band in bands for part in (band.low, band.high)]
    low, high = y_range or _range([*y_parts, np.array([math.nan if level is None else level])])
    left, right = _range([line.x for line in lines] + [band.x for band in bands], pad=0.0)
    frame = Frame(left, max(right, left + 1.0), low, high)
    body = _axes(frame, time_ticks(frame.x0, frame.x1), y_text)
    body += [_area(frame, band) for band in bands]
    if level is not None:
        at = frame.y(level)
        body.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
    body += [_path(frame, line) for line in lines]
    named = [(band.name, band.colour, "area") for band in bands]
    named += [(line.name, line.colour, "dash" if line.dashed else "line") for line in lines if line.name]
    return _svg(body, told) + legend(named)


def legend(named: Sequence[tuple[str, int, str]]) -> str:
    """Names beside their colours, as text that wraps."""
    made = (f'<span><i class="key {how} {_tone(colour)}"></i>{escape(name)}</span>' for name, colour, how in named)
    return f'<div class="legend">{"".join(made)}</div>'


def dots(
    categories: Sequence[str], points: Sequence[Dot], *, told: str, y_text: Callable[[float], str], level: float
) -> str:
    """Numbers by category beside a level; those of one category stand side by side."""
    low, high = _range([np.array([point.y for point in points]), np.array([level])], pad=0.15)
    frame = Frame(-0.5, len(categories) - 0.5, low, high)
    body = _axes(frame, [(float(place), name) for place, name in enumerate(categories)], y_text)
    at = frame.y(level)
    body.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
    for category in range(len(categories)):
        here = [point for point in points if point.category == category]
        for place, point in enumerate(here):
            x = frame.x(category + (place - (len(here) - 1) / 2) * min(0.14, 0.8 / max(len(here), 1)))
            circle = f'<circle class="dot {_tone(point.colour)}" cx="{x:.1f}" cy="{frame.y(point.y):.1f}" r="4.5">'
            body.append(f"{circle}<title>{escape(point.told)}</title></circle>")
    return _svg(body, told)


def reliability(said: Sequence[float], came: Sequence[float], rows: Sequence[int], *, told: str, colour: int) -> str:
    """What was said (across) and what came (up), on the diagonal where they agree; both from 0 to the largest."""
    size, edge, room = 200, 30, 8
    top = min(1.0, max([0.1, *said, *came]) * 1.08)
    scale = (size - edge - room) / top
    floor = size - edge
    body = [f'<line class="level" x1="{edge}" y1="{floor}" x2="{size - room}" y2="{room}"/>']
    for value in ticks(0.0, top, 4):
        at = value * scale
        body.append(f'<line class="grid" x1="{edge}" x2="{size - room}" y1="{floor - at:.1f}" y2="{floor - at:.1f}"/>')
        body.append(f'<text class="end small" x="{edge - 4}" y="{floor - at + 3:.1f}">{value:g}</text>')
        body.append(f'<text class="mid small" x="{edge + at:.1f}" y="{size - 16}">{value:g}</text>')
    places = [(edge + x * scale, floor - y * scale) for x, y in zip(said, came, strict=True)]
    body.append(f'<path class="line {_tone(colour)}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>')
    for (x, y), p, share, count in zip(places, said, came, rows, strict=True):
        text = f"said {p:.3f}, came {share:.3f}, {count:,} rows"
        body.append(
            f'<circle class="dot {_tone(colour)}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{text}</title></circle>'
        )
    body.append(f'<text class="mid small" x="{(size + edge) / 2:.0f}" y="{size - 3}">said</text>')
    return _svg(body, told, height=size, width=size, tone="square")


def whisker(low: float, gain: float, high: float, span: tuple[float, float]) -> str:
    """A gain between its bounds beside zero; all whiskers of a table share their span."""
    width, height = 180, 20
    from_x, to_x = span

    def place(value: float) -> float:
        return 4 + (min(max(value, from_x), to_x) - from_x) / ((to_x - from_x) or 1.0) * (width - 8)

    tone = "good" if low > 0 else "bad" if high < 0 else "g"
    zero = f'<line class="level" x1="{place(0):.1f}" x2="{place(0):.1f}" y1="1" y2="{height - 1}"/>'
    bar = f'<line class="whisker {tone}" x1="{place(low):.1f}" x2="{place(high):.1f}" y1="10" y2="10"/>'
    dot = f'<circle class="dot {tone}" cx="{place(gain):.1f}" cy="10" r="4"/>'
    return f'<svg class="whisker" viewBox="0 0 {width} {height}" aria-hidden="true">{zero}{bar}{dot}</svg>'


def bar(share: float, colour: int = 0) -> str:
    """A share of the width, from 0 to 1."""
    width = 180 * min(max(share, 0.0), 1.0)
    drawn = f'<rect class="fill {_tone(colour)}" x="0" y="4" width="{width:.1f}" height="12" rx="2"/>'
    return f'<svg class="whisker" viewBox="0 0 180 20" aria-hidden="true">{drawn}</svg>'

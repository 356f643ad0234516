"""A backtest as a page and as text."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from tickcast.clock import utc_text
from tickcast.training import page
from tickcast.training.backtest import Backtest, Rules
from tickcast.training.columns import UNKNOWN, gained, percent
from tickcast.training.page import Html
from tickcast.training.plots import Line, chart
from tickcast.training.worth import Worth


def sharpe_text(worth: Worth) -> str:
    """With its standard error."""
    if worth.sharpe is None or worth.sharpe_error is None:
        return UNKNOWN
    return f"{worth.sharpe:.2f} ± {worth.sharpe_error:.2f}"


_ROWS: tuple[tuple[str, Callable[[Worth], str]], ...] = (
    ("after costs", lambda w: gained(w.total_return)),
    ("the same orders without costs", lambda w: gained(w.free_return)),
    ("costs paid", lambda w: percent(w.costs)),
    ("bought and held", lambda w: gained(w.hold_return)),
    ("held, with the same mean exposure", lambda w: gained(w.matched_return)),
    ("Sharpe ratio of a year", sharpe_text),
    ("deepest fall", lambda w: percent(w.max_drawdown)),
    ("trades", lambda w: f"{w.trades:,}"),
    ("of these with a gain", lambda w: UNKNOWN if w.hit_rate is None else percent(w.hit_rate)),
    ("turnover, times the money", lambda w: f"{w.turnover:,.1f}"),
    ("share of time in the market", lambda w: percent(w.exposure)),
    ("long minus short", lambda w: percent(w.net_exposure)),
    ("closed by a gap in the data", lambda w: f"{w.gap_closes:,}"),
    ("orders that a gap swallowed", lambda w: f"{w.unfilled:,}"),
)


def backtest_words(tested: Backtest) -> list[str]:
    """What came of it, in sentences."""
    worth = tested.worth
    days = (worth.to_ms - worth.from_ms) / 86_400_000
    made = [
        f"{tested.model} traded {', '.join(tested.keys)} from {utc_text(worth.from_ms)} to {utc_text(worth.to_ms)} "
        f"({days:.1f} days).",
    ]
    if not worth.trades:
        return [
            *made,
            f"No forecast was beyond {_bar(tested)}, so nothing was traded, earned or paid.",
        ]
    kind = "made" if worth.total_return > 0 else "lost"
    made.append(
        f"It {kind} {percent(abs(worth.total_return))} after costs with {worth.trades:,} trades; without costs the "
        f"same orders give {gained(worth.free_return)}. Holding with the same mean exposure gives "
        f"{gained(worth.matched_return)}, holding throughout {gained(worth.hold_return)}."
    )
    if worth.sharpe is not None and worth.sharpe_error is not None:
        sure = abs(worth.sharpe) > 2 * worth.sharpe_error
        told = "more than two of its errors from zero" if sure else "not to be told from zero"
        made.append(f"Its Sharpe ratio of a year is {sharpe_text(worth)}: {told}.")
    return made + ([f"{worth.note[0].upper()}{worth.note[1:]}."] if worth.note else [])


def _bar(tested: Backtest) -> str:
    if tested.task == "price":
        return "what the way in and out costs"
    return f"0.5 ± {tested.rules.margin:g}"


def rules_text(tested: Backtest) -> list[tuple[str, str]]:
    """How it was traded."""
    rules = tested.rules
    sides = "long, short or nothing" if rules.shorts else "long or nothing"
    known = percent(tested.spread_known)
    return [
        ("Position", f"{sides}, when the forecast is beyond {_bar(tested)}"),
        ("Horizon", f"{tested.horizon_seconds} s; one position a pair, decided again when the horizon has ended"),
        ("Fees a trade", _fees(rules)),
        ("Spread", f"the rows' own in {known} of them, else {rules.spread_bps:g} bps; half is paid with each trade"),
        ("Latency", f"{rules.latency_ms:,} ms, filled at the close of the first candle that ends then or later"),
        ("Gaps", "no trade over them: a position is closed at the last price before one"),
        ("Money", "equal shares for all pairs at the start, each pair an account of its own"),
    ]


def _fees(rules: Rules) -> str:
    first, *later = rules.fees
    return "; ".join([f"{first[1]:g} bps", *(f"{fee:g} bps from {utc_text(date)}" for date, fee in later)])


def _curve(tested: Backtest) -> Html:
    curve = tested.curve
    x = np.array(curve.times_ms, dtype=np.float64)
    named = (
        (f"{tested.model}, after costs", curve.equity, 0),
        ("same exposure", curve.matched, 1),
        ("held", curve.hold, -1),
    )
    lines = [Line(name, x, np.array(values), colour, dashed=colour != 0) for name, values, colour in named]
    drawn = chart(lines[::-1], told="The money over time", y_text=lambda v: f"{v:g}", level=1.0)
    return page.figure("The money over time", drawn, f"1 at the start; {len(x):,} moments of all rows; UTC.")


def backtest_html_of(tested: Backtest) -> bytes:
    """One file that stands alone."""
    columns = [("all", tested.worth)] + ([*tested.by_key.items()] if len(tested.by_key) > 1 else [])
    rows = [[name, *(write(worth) for _, worth in columns)] for name, write in _ROWS]
    return page.page(
        f"{tested.model}: backtest",
        f"{tested.task} over {tested.horizon_seconds} s · {', '.join(tested.keys)}",
        page.section("What came out", page.words(backtest_words(tested)), page.grid([_curve(tested)])),
        page.section("In numbers", page.table(["", *(name for name, _ in columns)], rows), page.note(_ABOUT)),
        page.section("How it was traded", page.facts(rules_text(tested))),
    )


_ABOUT = (
    "Past prices, filled at closes, by orders that move no price: what real trading gives is less. The standard error "
    "of the Sharpe ratio is that of Lo (2002), for returns that are neither normal nor independent."
)


def backtest_text_of(tested: Backtest, *, width: int = 100, colour: bool = False) -> str:
    """The same for the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=f"Backtest of {tested.model}", title_justify="left", header_style="bold")
    drawn.add_column("")
    columns = [("all", tested.worth)] + ([*tested.by_key.items()] if len(tested.by_key) > 1 else [])
    for name, _ in columns:
        drawn.add_column(Text(name), justify="right")
    for name, write in _ROWS:
        drawn.add_row(name, *(write(worth) for _, worth in columns))
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colour, color_system="standard" if colour else None)
    for sentence in backtest_words(tested):
        console.print(Text(sentence))
    console.print(drawn)
    return file.getvalue()

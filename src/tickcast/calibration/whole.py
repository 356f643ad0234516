"""All that stands between a model's number and what is said: for returns a band, for probabilities a correction.

One object for training and for live: what a bundle keeps as `calibration.json`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.calibration import probability
from tickcast.calibration.adaptive import Adaptive, thinned
from tickcast.calibration.plain import from_plain, to_plain
from tickcast.calibration.probability import Calibrator
from tickcast.calibration.scale import Scale
from tickcast.errors import BundleError

F8 = NDArray[np.float64]


class Corrected(NamedTuple):
    """For probabilities."""

    calibrator: Calibrator
    threshold: float
    """From which probability on the answer is yes, chosen on validation rows."""

    def to_json(self) -> dict[str, Any]:
        """As a bundle keeps it."""
        return {"calibrator": probability.to_json(self.calibrator), "threshold": self.threshold}


class Banded(NamedTuple):
    """For returns: `forecast -+ threshold * scale`; the threshold adapts live from where validation left it."""

    scale: Scale
    rule: Adaptive
    seeds: F8
    """Scores of validation rows, thinned: what an adaptive state begins with."""

    def to_json(self) -> dict[str, Any]:
        """As a bundle keeps it."""
        return {"scale": self.scale.to_json(), "rule": to_plain(self.rule), "seeds": self.seeds.tolist()}

    def scores(self, features: F8, forecast: F8, truth: F8) -> F8:
        """How many scales each outcome was away from its forecast."""
        out: F8 = np.abs(truth - forecast) / self.scale.of(features)
        return out

    def run(
        self, features: F8, forecast: F8, truth: F8, timestamp_ms: NDArray[Any], key: NDArray[Any], horizon_ms: int
    ) -> tuple[F8, F8]:
        """Bounds of many rows as they would have been issued live, each outcome learned when it was known."""
        scores = self.scores(features, forecast, truth)
        reach = self.rule.run(timestamp_ms, key, scores, horizon_ms, self.seeds) * self.scale.of(features)
        return forecast - reach, forecast + reach


Calibration = Corrected | Banded


def fit_band(names: tuple[str, ...], features: F8, forecast: F8, truth: F8, *, fit_rows: int, level: float) -> Banded:
    """Learn the scale from the first `fit_rows` rows; the scores of the others are the seeds.

    The rows the model learned from may be among the first ones: how large a return is does not depend on them as the
    forecast does. The seeds must come from rows that nothing was fitted to.
    """
    scale = Scale.fit(names, features[:fit_rows], truth[:fit_rows] - forecast[:fit_rows])
    band = Banded(scale, Adaptive(level=level), np.empty(0))
    seeds = band.scores(features[fit_rows:], forecast[fit_rows:], truth[fit_rows:])
    return band._replace(seeds=thinned(seeds))


def fit_correction(said: ArrayLike, outcome: ArrayLike, *, gap: int) -> Corrected:
    """Choose a calibrator and a threshold on validation rows."""
    from tickcast.scores.probability import best_threshold

    calibrator = probability.choose(said, outcome, gap=gap).calibrator
    return Corrected(calibrator, float(best_threshold(outcome, calibrator.apply(np.asarray(said, dtype=np.float64)))))


def from_json(data: Any, names: tuple[str, ...]) -> Calibration:
    """What `to_json` gave, for rows of these features, or BundleError.

    >>> made = from_json({"calibrator": {"type": "none", "floor": 0.01}, "threshold": 0.3}, ())
    >>> made.threshold
    0.3
    """
    if not isinstance(data, dict):
        raise BundleError("calibration", "is no JSON object, the model was not loaded", "take another version")
    if data.keys() == {"calibrator", "threshold"} and isinstance(data["threshold"], float | int):
        return Corrected(probability.from_json(data["calibrator"]), float(data["threshold"]))
    if data.keys() != {"scale", "rule", "seeds"}:
        raise BundleError("calibration", f"has the parts {', '.join(sorted(data))[:80]}", "take another version")
    seeds = np.array(from_plain(data["seeds"], list[float], "seeds"), dtype=np.float64)
    return Banded(Scale.from_json(data["scale"], names), from_plain(data["rule"], Adaptive, "rule"), seeds)

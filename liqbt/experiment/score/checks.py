"""What can only be refused once the price is beside the rows: sides, horizons, distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation import Evaluation, MarketInput
from liqbt.experiment.schema import format_duration
from liqbt.experiment.score.work import ScoreWork
from liqbt.types import DAY_NS, Forecast

__all__ = ["check_eligible", "check_horizons", "count_wrong_side"]

_MOST_WRONG: Final = 0.10


def count_wrong_side(work: ScoreWork, issued: Sequence[Sequence[Forecast]]) -> int:
    """Return how many rows lie wholly on the wrong side of the mark: flagged, never a hit.

    A price may pass a level between its making and its time. Where more than a tenth lie so, the
    sides mean something else, or the prices are of something else.
    """
    wrong, n, example = 0, 0, ""
    for levels, forecasts in zip(work.levels, issued, strict=True):
        places = np.searchsorted(levels.published.at, [f.at for f in forecasts])
        for place, forecast in zip(places.tolist(), forecasts, strict=True):
            rows = forecast.clusters
            bad = np.where(
                rows["side"] < 0, rows["high"] <= forecast.mark, rows["low"] >= forecast.mark
            )
            if bad.any() and not example:
                k = int(np.argmax(bad))
                number = levels.number[levels.published.offsets[place] + k]
                example = (
                    f"row {number}, {'short' if rows['side'][k] < 0 else 'long'} on "
                    f"[{rows['low'][k]:g}, {rows['high'][k]:g}) with the price at {forecast.mark:g}"
                )
            wrong, n = wrong + int(bad.sum()), n + len(bad)
    if wrong > _MOST_WRONG * n:
        raise DataError(
            f"{work.rows.file}: {wrong} of {n} rows lie on the wrong side of the price, first "
            f"{example}; expected longs below and shorts above: 'side' is of the positions"
        )
    return wrong


def check_horizons(work: ScoreWork, inputs: Sequence[MarketInput]) -> None:
    """Refuse a horizon that no forecast of any market can be watched over."""
    left = max(int(m.path.end_ns[-1]) - m.forecasts[0].at for m in inputs)
    horizons = work.options.horizons
    fit = [format_duration(h) for h in horizons if h <= left]
    long = [format_duration(h) for h in horizons if h > left]
    if long:
        advice = f"score --horizons {','.join(fit)}" if fit else "extend the log"
        raise ConfigError(
            f"{work.rows.file}: the horizon {long[0]} is longer than the data: prices end "
            f"{max(left, 0) / DAY_NS:.2g} days after the first forecast; {advice}"
        )


def check_eligible(work: ScoreWork, evaluation: Evaluation) -> None:
    """Refuse a file of which nothing can be scored at any horizon."""
    if not sum(row.eligible for row in evaluation.flow):
        rows, options = work.rows, work.options
        raise DataError(
            f"{rows.file}: none of its {len(rows)} rows lies {options.distance_floor:g} to "
            f"{options.distance_ceiling:g} σ beyond the price at any horizon, so nothing can be "
            "scored; are its prices those of this market?"
        )

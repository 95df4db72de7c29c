"""Dose–response within one side of the mark: a form that no claim rests on (decision 0018).

Y − p̂ = α + β rank + g(d/σ_h) + e with ranks within one side. A price that is drawn to one level
passes every bin before it, dense or not, so that within a side there is almost no contrast to be
seen.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.bins import ResponseBins, within_ranks
from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.slopes import slope_days
from liqbt.evaluation.nulls.placebo import Placebo, placebo_probability, restricted_cubic

_KNOTS: Final = (0.3, 0.8, 1.5, 2.3)


def side_days(bins: ResponseBins, placebo: Placebo) -> DaySums:
    """Return what each day adds to β within a side: Y − p̂ on rank and a spline of distance.

    Parameters
    ----------
    bins : ResponseBins
        Of one market and horizon.
    placebo : Placebo
        Its anchors are the same forecasts.
    """
    columns: list[npt.NDArray[Any]] = []
    for column, side in enumerate((-1.0, 1.0)):
        rank = within_ranks(bins.forecast * 64 + bins.band, bins.density[:, column])
        sides = np.full(len(rank), side)
        chance = placebo_probability(placebo, bins.forecast, sides, bins.distance)
        columns.append(np.column_stack([rank, bins.visited[:, column] - chance]))
    both = np.concatenate(columns)
    spline = restricted_cubic(np.tile(bins.distance_sigma, 2), _KNOTS)
    controls = np.column_stack([np.ones(len(both)), spline])
    at = np.tile(bins.at, 2)
    return slope_days(at, both[:, 0], both[:, 1], controls, n_units=bins.n_landmarks)

"""What a map says of its own clusters: which of the forecast before each is, and how it stands out.

Nothing here has looked at a price after the issue: a cluster that is old, prominent or significant
is so *in the map*, and whether that tells anything of the market is for the claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.kernels.clusters import followed, stand_out
from liqbt.forecasts import cluster_counts, column, joined_clusters
from liqbt.types import Forecast

FACT_DTYPE: Final = np.dtype(
    [("track", "<i8"), ("since", "<i8"), ("prominence", "<f8"), ("significance", "<f8")]
)
"""A cluster of one forecast.

`track`: its number in the market, the same for as long as successive forecasts issue a band of its
side that shares more than half of their union with it; `since`: when the first of these was issued,
ns. `prominence`: of its densest entry of the map above the higher of the two valleys that part it
from denser ones, or from the map's end, as a share of the side's densest entry. `significance`: its
mean density less the median of the side's entries at half to twice its distance, in robust standard
deviations of these (1.4826 times the median absolute deviation): the map's own noise there; NaN
where that is 0, or where too few entries are.
"""

_TIE: Final = 1e-9
"""An entry whose middle is an edge of a band is on its outer side, whichever way it was rounded."""


def cluster_facts(issued: Sequence[Forecast]) -> npt.NDArray[np.void]:
    """Return what a market's map says of each cluster of each forecast.

    Parameters
    ----------
    issued : sequence of Forecast
        Of one market, in order of issue.

    Returns
    -------
    ndarray of FACT_DTYPE, shape (n_rows,)
        In the order of `joined_clusters`.
    """
    rows = joined_clusters(issued)
    out = np.zeros(len(rows), FACT_DTYPE)
    offsets = np.cumsum([0, *cluster_counts(issued)], dtype=np.int64)
    low, high = np.log(rows["low"]), np.log(rows["high"])
    before = followed(offsets, np.ascontiguousarray(rows["side"]), low, high)
    new = before < 0
    out["track"] = np.cumsum(new) - 1
    out["since"] = np.repeat(column(issued, "at"), np.diff(offsets))
    for row in np.flatnonzero(~new).tolist():
        out["track"][row] = out["track"][before[row]]
        out["since"][row] = out["since"][before[row]]
    for i, forecast in enumerate(issued):
        mine = slice(offsets[i], offsets[i + 1])
        _stand(forecast, low[mine], high[mine], out[mine])
    return out


def _stand(
    forecast: Forecast,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    out: npt.NDArray[np.void],
) -> None:
    grid, mark = forecast.grid, np.log(forecast.mark)
    edges = grid.outward_edges(forecast.density_usd.shape[1]) * grid.step
    inner = np.log(grid.anchor) + forecast.mark_bin * grid.step
    short = forecast.clusters["side"] < 0
    for row, mine in enumerate((~short, short)):
        outward = edges + (mark - inner if row == 0 else inner + grid.step - mark)
        near = mark - high[mine] if row == 0 else low[mine] - mark
        far = mark - low[mine] if row == 0 else high[mine] - mark
        found = np.full((int(mine.sum()), 2), np.nan)
        density = forecast.density_usd[row] / np.diff(edges)
        bands = np.column_stack([near, far]) - _TIE
        stand_out(density.astype(np.float64), outward, bands, found)
        out["prominence"][mine], out["significance"][mine] = found.T

"""Forecasts as plain arrays and back, bit for bit: for a state that remembers forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.estimators.state import State
from liqbt.types import CLUSTER_DTYPE, DensityGrid, Forecast

_WHOLE: Final = ("at", "latest_known", "mark_ts", "mark_bin")
_REAL: Final = (
    "mark",
    "sigma_1d",
    "asymmetry",
    "asymmetry_reach",
    "open_interest_usd",
    "observed_long_usd",
    "observed_short_usd",
)
_SCALARS: Final = np.dtype(
    [
        *((name, "<i8") for name in (*_WHOLE, "fine_bins", "coarse", "n_density", "n_clusters")),
        *((name, "<f8") for name in (*_REAL, "anchor", "step")),
    ]
)


def pack(forecasts: Sequence[Forecast]) -> dict[str, npt.NDArray[Any]]:
    """Return forecasts as arrays: `symbols`, `rows` (scalars), `density_usd` and `clusters`."""
    rows = np.zeros(len(forecasts), dtype=_SCALARS)
    for row, forecast in zip(rows, forecasts, strict=True):
        for name in (*_WHOLE, *_REAL):
            row[name] = getattr(forecast, name)
        for name in ("anchor", "step", "fine_bins", "coarse"):
            row[name] = getattr(forecast.grid, name)
        row["n_density"] = forecast.density_usd.shape[1]
        row["n_clusters"] = len(forecast.clusters)
    density = [np.zeros((2, 0), dtype=np.float32), *(f.density_usd for f in forecasts)]
    clusters = [np.zeros(0, dtype=CLUSTER_DTYPE), *(f.clusters for f in forecasts)]
    return {
        "symbols": np.array([f.symbol for f in forecasts], dtype=np.str_),
        "rows": rows,
        "density_usd": np.concatenate(density, axis=1),
        "clusters": np.concatenate(clusters),
    }


def unpack(state: State) -> list[Forecast]:
    """Return the forecasts that `pack` packed."""
    rows = state["rows"]
    ends = np.cumsum(rows["n_density"]), np.cumsum(rows["n_clusters"])
    out = []
    for symbol, row, density_end, clusters_end in zip(state["symbols"], rows, *ends, strict=True):
        density = state["density_usd"][:, density_end - row["n_density"] : density_end].copy()
        clusters = state["clusters"][clusters_end - row["n_clusters"] : clusters_end].copy()
        for array in (density, clusters):
            array.setflags(write=False)
        scalars: dict[str, Any] = {name: row[name].item() for name in (*_WHOLE, *_REAL)}
        out.append(
            Forecast(
                symbol=str(symbol),
                grid=DensityGrid(
                    anchor=float(row["anchor"]),
                    step=float(row["step"]),
                    fine_bins=int(row["fine_bins"]),
                    coarse=int(row["coarse"]),
                ),
                density_usd=density,
                clusters=clusters,
                **scalars,
            )
        )
    return out

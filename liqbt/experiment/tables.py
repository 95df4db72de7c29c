"""Forecasts and structured arrays as Arrow tables, and forecasts back from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.replay import joined_clusters
from liqbt.types import CLUSTER_DTYPE, DensityGrid, Forecast

__all__ = ["forecast_table", "forecasts_of", "structured_table"]

_FLOATS: Final = (
    "mark",
    "sigma_1d",
    "asymmetry",
    "asymmetry_reach",
    "open_interest_usd",
    "observed_long_usd",
    "observed_short_usd",
)


def structured_table(
    rows: npt.NDArray[Any], extra: Mapping[str, Sequence[Any]] | None = None
) -> pa.Table:
    """Return a structured array as a table, a column per field, `extra` columns first."""
    columns: dict[str, Any] = dict(extra or {})
    names = rows.dtype.names or ()
    columns.update({name: np.ascontiguousarray(rows[name]) for name in names})
    return pa.table(columns)


def forecast_table(forecasts: Sequence[Forecast]) -> pa.Table:
    """Return forecasts as a table: scalars, two density lists, a list of clusters."""
    clusters = joined_clusters(forecasts)
    ends = np.cumsum([0, *(len(f.clusters) for f in forecasts)], dtype=np.int32)
    struct = pa.StructArray.from_arrays(
        [np.ascontiguousarray(clusters[name]) for name in CLUSTER_DTYPE.names or ()],
        names=list(CLUSTER_DTYPE.names or ()),
    )
    columns: dict[str, Any] = {
        "symbol": pa.array([f.symbol for f in forecasts], pa.string()),
    }
    for name in ("at", "latest_known", "mark_ts", "mark_bin"):
        columns[name] = pa.array([getattr(f, name) for f in forecasts], pa.int64())
    for name in _FLOATS:
        columns[name] = pa.array([getattr(f, name) for f in forecasts], pa.float64())
    for name in ("anchor", "step"):
        columns[name] = pa.array([getattr(f.grid, name) for f in forecasts], pa.float64())
    for name in ("fine_bins", "coarse"):
        columns[name] = pa.array([getattr(f.grid, name) for f in forecasts], pa.int64())
    widths = np.cumsum([0, *(f.density_usd.shape[1] for f in forecasts)], dtype=np.int32)
    for row, name in enumerate(("density_long_usd", "density_short_usd")):
        values = np.concatenate([f.density_usd[row] for f in forecasts] or [np.empty(0, "<f4")])
        columns[name] = pa.ListArray.from_arrays(widths, values)
    columns["clusters"] = pa.ListArray.from_arrays(ends, struct)
    return pa.table(columns)


def forecasts_of(table: pa.Table) -> list[Forecast]:
    """Return the forecasts that `forecast_table` made a table of, in its order, read-only."""
    columns = {
        name: table[name].to_pylist()
        for name in table.column_names
        if name not in {"clusters", "density_long_usd", "density_short_usd"}
    }
    lists = table["clusters"].combine_chunks()
    struct = lists.flatten()
    clusters = np.empty(len(struct), CLUSTER_DTYPE)
    for name in CLUSTER_DTYPE.names or ():
        clusters[name] = struct.field(name).to_numpy(zero_copy_only=False)
    clusters.setflags(write=False)
    ends = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))])
    density = [table[f"density_{side}_usd"].combine_chunks() for side in ("long", "short")]
    widths = np.concatenate(
        [[0], np.cumsum(density[0].value_lengths().to_numpy(zero_copy_only=False))]
    ).astype(int)
    flat = np.stack([d.flatten().to_numpy(zero_copy_only=False) for d in density])
    flat.setflags(write=False)
    result = []
    for i in range(table.num_rows):
        grid = DensityGrid(
            anchor=columns["anchor"][i],
            step=columns["step"][i],
            fine_bins=columns["fine_bins"][i],
            coarse=columns["coarse"][i],
        )
        result.append(
            Forecast(
                symbol=columns["symbol"][i],
                at=columns["at"][i],
                latest_known=columns["latest_known"][i],
                mark_ts=columns["mark_ts"][i],
                mark_bin=columns["mark_bin"][i],
                grid=grid,
                density_usd=flat[:, widths[i] : widths[i + 1]],
                clusters=clusters[int(ends[i]) : int(ends[i + 1])],
                **{name: columns[name][i] for name in _FLOATS},
            )
        )
    return result

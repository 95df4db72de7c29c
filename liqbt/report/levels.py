"""One forecast's clusters as rows: distance, notional, rank; and the nearest on each side."""

from __future__ import annotations

import math
from dataclasses import dataclass

from liqbt.types import Cluster, Forecast, Side

__all__ = ["LevelRow", "Levels", "level_rows", "levels", "nearest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """A cluster as its reader meets it.

    Attributes
    ----------
    cluster : Cluster
        The cluster itself.
    near_edge : float
        The edge that the price would meet first, USD.
    distance : float
        near_edge / mark − 1, a signed fraction: positive above the mark.
    distance_sigma : float
        |ln(near_edge / mark)| in standard deviations of one day's log return.
    """

    cluster: Cluster
    near_edge: float
    distance: float
    distance_sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The rows of one forecast within reach, top of the page first.

    Attributes
    ----------
    above, below : tuple of LevelRow
        Shorts above the mark and longs below it, each in falling price.
    n_above_omitted, n_below_omitted : int
        How many more clusters there are further out on each side.
    """

    above: tuple[LevelRow, ...]
    below: tuple[LevelRow, ...]
    n_above_omitted: int
    n_below_omitted: int


def level_rows(forecast: Forecast, side: Side) -> list[LevelRow]:
    """Return the forecast's clusters of one side, from the mark outward."""
    rows = []
    for i in range(len(forecast.clusters)):
        cluster = forecast.cluster(i)
        if cluster.side != side:
            continue
        edge = cluster.high if side == Side.LONG else cluster.low
        rows.append(
            LevelRow(
                cluster=cluster,
                near_edge=edge,
                distance=edge / forecast.mark - 1.0,
                distance_sigma=abs(math.log(edge / forecast.mark)) / forecast.sigma_1d,
            )
        )
    return sorted(rows, key=lambda row: abs(row.distance))


def nearest(forecast: Forecast, side: Side) -> LevelRow | None:
    """Return the nearest cluster of one side, or None where the side has none."""
    rows = level_rows(forecast, side)
    return rows[0] if rows else None


def levels(forecast: Forecast, most: int = 10) -> Levels:
    """Return the `most` nearest clusters of each side, in falling price."""
    above = level_rows(forecast, Side.SHORT)
    below = level_rows(forecast, Side.LONG)
    return Levels(
        above=tuple(reversed(above[:most])),
        below=tuple(below[:most]),
        n_above_omitted=max(0, len(above) - most),
        n_below_omitted=max(0, len(below) - most),
    )

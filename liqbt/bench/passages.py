"""What evaluation costs: first passages over windows of a price path."""

from __future__ import annotations

import numpy as np

from liqbt.bench.kernels import windows_pass
from liqbt.bench.timing import BenchRow, rows_of, seconds_of
from liqbt.evaluation.kernels.passages import first_passages

_POINTS = 200_000
_WINDOW = 2_016
_CLUSTERS = 12


def passage_rows(rng: np.random.Generator, repeat: int, points: int = _POINTS) -> list[BenchRow]:
    """Measure first passages of clusters against one pass over the same windows.

    The path has a point every five minutes; a forecast is issued each hour, and its window is seven
    days long.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the path and the clusters' distances.
    repeat : int
        Repetitions.
    points : int
        Length of the path.
    """
    middle = np.cumsum(rng.normal(0, 0.0015, points))
    spread = np.abs(rng.normal(0, 0.0005, (2, points)))
    low, high = middle - spread[0], middle + spread[1]
    first = np.arange(0, max(points - _WINDOW, 1), 12, dtype=np.int64)
    stop = np.minimum(first + _WINDOW, points)
    offsets = np.arange(len(first) + 1, dtype=np.int64) * _CLUSTERS
    mark = np.repeat(middle[first], _CLUSTERS)
    upward = rng.choice(np.array([-1, 1], dtype=np.int64), (len(mark), 1))
    upward = np.repeat(upward, 2, axis=1)
    distance = rng.exponential(0.04, (len(mark), 1)) + np.array([[0.0, 0.003]])
    levels = mark[:, None] + upward * distance
    n = int((stop - first).sum())
    windows_pass(low, high, first[:2], stop[:2])
    first_passages(low, high, first[:1], stop[:1], offsets[:2], upward, levels)
    seconds = seconds_of(
        {
            "windows_pass": lambda: windows_pass(low, high, first, stop),
            "first_passage": lambda: first_passages(
                low, high, first, stop, offsets, upward, levels
            ),
        },
        repeat,
    )
    notes = {
        "windows_pass": f"sums lows and highs of {len(first)} windows, {n} points in all",
        "first_passage": f"near and far edge of {_CLUSTERS} clusters in each of the same windows",
    }
    return rows_of(seconds, n, notes)

"""Forced flow as bursts: where on the path, how much of open interest, which way it pushes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liqbt.simulate.truth import Truth
from liqbt.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """All forced orders of one side at one instant, in order of time.

    Attributes
    ----------
    at : ndarray of int64, shape (n,)
        Path index of the price that forced them.
    ts_ns : ndarray of int64, shape (n,)
        Its time.
    sign : ndarray of float64, shape (n,)
        Which way the flow pushes: -1 longs were sold, +1 shorts bought back.
    share : ndarray of float64, shape (n,)
        Size as a share of open interest at the step's end.
    """

    at: IntArray
    ts_ns: IntArray
    sign: FloatArray
    share: FloatArray


def substeps_of(truth: Truth) -> int:
    """Return how many path points a step has."""
    return (truth.path_price.size - 1) // len(truth.steps)


def lot_coins(truth: Truth) -> float:
    """Return the size of a lot, from forced orders in coins and in lots; NaN where none was."""
    lots = float(truth.steps["liquidated_long"].sum() + truth.steps["liquidated_short"].sum())
    return float(truth.liquidations["size_coins"].sum()) / lots if lots else float("nan")


def bursts_of(truth: Truth) -> Bursts:
    """Return the bursts of a truth."""
    forced = truth.liquidations
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    at = (forced["ts_ns"] - truth.path_ns[0]) // spacing
    key = at * 2 + (forced["side"] < 0)
    names, of = np.unique(key, return_inverse=True)
    where = names // 2
    step = np.clip((where - 1) // substeps_of(truth), 0, len(truth.steps) - 1)
    coins = truth.steps["open_interest"][step] * lot_coins(truth)
    size = np.bincount(of, forced["size_coins"], minlength=names.size)
    return Bursts(
        at=where,
        ts_ns=np.asarray(truth.path_ns[where]),
        sign=np.where(names % 2 == 0, -1.0, 1.0),
        share=np.asarray(size / np.maximum(coins, 1e-300)),
    )


def forced_share(truth: Truth, side: str) -> FloatArray:
    """Return the share of open interest forced in each step; `side` is `long` or `short`."""
    s = truth.steps
    return np.asarray(s[f"liquidated_{side}"] / np.maximum(s["open_interest"], 1))

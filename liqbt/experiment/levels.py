"""Which keys of a configuration decide the levels that are scored, and which only the map."""

from __future__ import annotations

from typing import Final

__all__ = ["SIGMA_KEYS", "is_of_the_map"]

SIGMA_KEYS: Final = ("sigma_window", "sigma_sampling", "sigma_min_coverage")
"""Of an estimator: how it takes the σ in which levels are placed."""


def is_of_the_map(key: str) -> bool:
    """Return whether a key, joined by dots, changes what is forecast and nothing that is scored.

    Two runs that differ in such keys alone have the same units (decision 0025): the same levels,
    outcomes and random walk. It is so for what an estimator draws, its margin, and the ridge of
    the calibration.

    Examples
    --------
    >>> [is_of_the_map(k) for k in ("estimator.brackets.2.half_life", "symbols.BTC.margin.tiers")]
    [True, True]
    >>> [is_of_the_map(k) for k in ("estimator.sigma_window", "schedule.every", "seed")]
    [False, False, False]
    """
    parts = key.split(".")
    if key == "evaluation.ridge":
        return True
    if parts[0] == "symbols" and len(parts) > 2:
        parts = parts[2:]
    if parts[0] == "estimator":
        return not set(parts) & set(SIGMA_KEYS)
    return parts[0] == "margin"

"""Landmarks as the direction models take them, of a market that need not be simulated."""

from __future__ import annotations

import numpy as np

from liqbt.evaluation.covariates import COVARIATES, LANDMARK_DTYPE

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def landmarks(rng, n=400, strength=0.0, symbols=2):
    """Landmarks a day apart; the asymmetry pulls the first side, cascades and large moves."""
    rows = np.zeros(n, LANDMARK_DTYPE)
    rows["symbol"] = np.arange(n) % symbols
    rows["at"] = np.arange(n) // symbols * DAY + 3 * HOUR
    rows["matured_ns"] = rows["at"] + DAY + HOUR
    for name in COVARIATES:
        rows[name] = rng.normal(size=n)
    rows["asymmetry"] = rng.uniform(-1, 1, n)
    rows["up_sigma"], rows["down_sigma"] = rng.uniform(0.3, 2.5, (2, n))
    q = rng.dirichlet([4, 4, 2], n)
    rows["q_up"], rows["q_down"], rows["q_neither"] = q.T
    rows["scored"] = rows["cascade_known"] = rng.random(n) < 0.9
    push = np.exp(-strength * rows["asymmetry"])
    p = q * np.column_stack([push, 1.0 / push, np.ones(n)])
    p /= p.sum(axis=1, keepdims=True)
    for name in ("outcome", "cascade", "large_move"):
        draw = rng.random(n)[:, None] > p.cumsum(axis=1)
        rows[name] = np.array([1, -1, 0])[np.minimum(draw.sum(axis=1), 2)]
    rows["tie"] = rows["scored"] & (rng.random(n) < 0.03)
    rows["outcome"][rows["tie"]] = 0
    return rows

"""Brownian markets with one random cluster on each side, for the tests of the 85 % audit."""

from __future__ import annotations

import math

import numpy as np
from evaluation_world import START, brownian_path, clusters_at, forecast, points

from liqbt.evaluation.accuracy.landmarks import market_landmarks
from liqbt.evaluation.config import MarketInput
from liqbt.types import HOUR_NS, MINUTE_NS, SECOND_NS

STEP = 300 * SECOND_NS
SIGMA = 0.03


def random_market(seed, *, days=40, every=48, symbol="A", half=0.001):
    """A Brownian market of 5-minute points; each forecast has one random band on each side."""
    rng = np.random.default_rng(seed)
    log_price, _, _ = brownian_path(rng, days, SIGMA)
    prices = 100.0 * np.exp(log_price)
    ts = START + np.arange(len(prices)) * STEP
    forecasts = []
    for i in range(0, len(prices) - 1, every):
        mark = float(prices[i])
        near = rng.uniform(0.0005, 0.02, 2)
        bands = [
            (mark * math.exp(near[0]), mark * math.exp(near[0] + half)),
            (mark * math.exp(-near[1] - half), mark * math.exp(-near[1])),
        ]
        forecasts.append(
            forecast(
                int(ts[i]),
                mark,
                clusters_at(mark, bands),
                sigma_1d=SIGMA,
                asymmetry=float(rng.uniform(-1, 1)),
                symbol=symbol,
            )
        )
    return MarketInput(symbol=symbol, forecasts=forecasts, path=points(ts, prices))


def landmarks(market, hours=4):
    return market_landmarks(market, horizon_ns=hours * HOUR_NS, latency_ns=MINUTE_NS)

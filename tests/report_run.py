"""A made-up run for the report's tests: a random walk, a plausible map, rows of every kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from liqbt.types import (
    CLUSTER_DTYPE,
    HOUR_NS,
    DensityGrid,
    Forecast,
    Score,
    Side,
    Verdict,
    VerdictWord,
)

START_NS = 1_759_276_800_000_000_000  # 2025-10-01
HORIZONS = ("4h", "24h", "7d")
BANDS = (0.25, 0.5, 1.0, 1.5, 2.5)
VISIT_STATISTICS = ("hit_rate", "brownian_lift", "mirror_lift")
STATISTICS = (*VISIT_STATISTICS, *(f"{s}_dense" for s in VISIT_STATISTICS), "first_side_skill")
NAN = math.nan


@dataclass(frozen=True, kw_only=True)
class FakeRun:
    """What the report reads of a run, without a folder behind it."""

    path: Path
    manifest: dict[str, Any]
    config: dict[str, Any]
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    flow: tuple[Mapping[str, Any], ...]
    bands: tuple[Mapping[str, Any], ...]
    sensitivities: tuple[Mapping[str, Any], ...]
    reliability: tuple[Mapping[str, Any], ...] = ()
    corp: tuple[Mapping[str, Any], ...] = ()
    compared: tuple[Mapping[str, Any], ...] = ()
    twin: tuple[Mapping[str, Any], ...] = ()
    twin_scores: tuple[Mapping[str, Any], ...] = ()
    randomised: tuple = ()
    pooling: tuple[Mapping[str, Any], ...] = ()
    maps: dict[str, list[Forecast]] = field(default_factory=dict)
    paths: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    table: Any = None
    issued: Any = None
    known: dict[str, Any] | None = None
    true_maps: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def forecasts(self, symbol: str, estimator: str | None = None) -> list[Forecast]:
        return self.maps[symbol]

    def prices(self, symbol: str) -> dict[str, np.ndarray]:
        return self.paths[symbol]

    def outcomes(
        self, estimator: str | None = None, market: str | None = None, columns: Any = None
    ) -> Any:
        return self.table

    def clusters(
        self, symbol: str | None = None, estimator: str | None = None, columns: Any = None
    ) -> Any:
        return None

    def cluster_visits(self, estimator: str | None = None) -> Any:
        return self.issued

    def truth(self) -> dict[str, Any] | None:
        return self.known

    def true_map(self, symbol: str) -> dict[str, np.ndarray]:
        return self.true_maps[symbol]


def _peaks(density: np.ndarray) -> list[tuple[int, int]]:
    """Bands of fine bins around the local maxima of a row, `[first, last)`."""
    kernel = np.array([1, 2, 3, 4, 3, 2, 1]) / 16.0
    smooth = np.convolve(density, kernel, mode="same")
    inner = smooth[4:-4]
    top = (inner > smooth.max() * 0.1) & (inner == sliding_window_view(smooth, 9).max(axis=1))
    bands: list[tuple[int, int]] = []
    for i in np.flatnonzero(top) + 4:
        lo = i
        while lo > 1 and smooth[lo - 1] > smooth[i] * 0.6:
            lo -= 1
        hi = i + 1
        while hi < len(smooth) and smooth[hi] > smooth[i] * 0.6:
            hi += 1
        if not bands or lo >= bands[-1][1]:
            bands.append((lo, hi))
    return bands


def _clusters(rows: np.ndarray, grid: DensityGrid, mark_bin: int) -> np.ndarray:
    out = []
    for side, row in ((Side.SHORT, rows[1]), (Side.LONG, rows[0])):
        fine = row[: grid.fine_bins].astype(float)
        edges = grid.prices(mark_bin, side, len(row))
        for rank, (lo, hi) in enumerate(_peaks(fine) if fine.any() else []):
            low, high = sorted((edges[lo], edges[hi]))
            top = lo + int(np.argmax(fine[lo:hi]))
            peak = (edges[top] + edges[top + 1]) / 2
            out.append((side, low, high, peak, fine[lo:hi].sum(), 1.0 / (1 + rank)))
    clusters = np.array(out, dtype=CLUSTER_DTYPE)
    clusters.setflags(write=False)
    return clusters


@cache
def make_market(
    symbol: str, n: int, seed: int, price0: float
) -> tuple[list[Forecast], dict[str, np.ndarray]]:
    """A market of `n` hourly forecasts: entries at the price, brackets, consumption and decay."""
    rng = np.random.default_rng(seed)
    grid = DensityGrid(anchor=price0)
    steps = rng.standard_t(5, size=n * 12) * 0.022 / math.sqrt(288 * 5 / 3)
    close = price0 * np.exp(np.cumsum(steps))
    ts = START_NS + np.arange(1, n * 12 + 1, dtype=np.int64) * (HOUR_NS // 12)
    half = 3000
    state = np.zeros((2, 2 * half))
    forecasts = []
    for hour in range(n):
        path = np.log(close[hour * 12 : hour * 12 + 12] / price0) / grid.step
        here = int(np.floor(path[-1]))
        state *= 0.992
        size = rng.gamma(0.4, 4e7)
        for leverage, weight in ((100, 0.13), (50, 0.25), (20, 0.32), (10, 0.22)):
            offset = round(math.log(1 - 1 / leverage + 0.004) / grid.step)
            state[0, half + here + offset] += size * weight
            state[1, half + here - offset] += size * weight
        state[0, half + int(np.floor(path.min())) :] = 0.0
        state[1, : half + int(np.ceil(path.max())) + 1] = 0.0
        outward = np.arange(2000)
        fine = np.stack([state[0, half + here - 1 - outward], state[1, half + here + 1 + outward]])
        coarse = fine[:, 200:].reshape(2, -1, 10).sum(axis=2)
        density = np.concatenate([fine[:, :200], coarse], axis=1).astype(np.float32)
        density.setflags(write=False)
        at = START_NS + (hour + 1) * HOUR_NS
        down, up = (float(density[i, :210].sum()) for i in (0, 1))
        forecasts.append(
            Forecast(
                symbol=symbol,
                at=at,
                latest_known=at - 1,
                mark=float(close[hour * 12 + 11]),
                mark_ts=at - HOUR_NS // 12,
                sigma_1d=0.024 + 0.004 * math.sin(hour / 90.0),
                grid=grid,
                mark_bin=here,
                density_usd=density,
                clusters=_clusters(density, grid, here),
                asymmetry=(down - up) / (down + up) if down + up else 0.0,
                asymmetry_reach=0.10,
                open_interest_usd=4e9,
            )
        )
    low, high = (f(close, np.roll(close, 1)) for f in (np.minimum, np.maximum))
    path = {"ts": ts, "low": low, "high": high, "close": close}
    for values in path.values():
        values.setflags(write=False)  # one market for all tests that ask for it
    return forecasts, path


def make_outcomes(
    markets: Mapping[str, tuple[list[Forecast], dict[str, np.ndarray]]],
) -> pa.Table:
    """Episodes of 24 h: the nearest clusters of each side at noon and midnight, visited or not."""
    rows: list[tuple[Any, ...]] = []
    names = ["market", "horizon_ns", "at", "near", "far", "censor", "visited", "visit_ns", "birth"]
    names += ["cluster", "side", "exposed_end_ns", "episode", "distance_sigma"]
    for symbol, (forecasts, path) in markets.items():
        for forecast in forecasts[::12]:
            for side in (Side.SHORT, Side.LONG):
                places = np.flatnonzero(forecast.clusters["side"] == side)[:3]
                for place in places.tolist():
                    ends = ("low", "high") if side == Side.SHORT else ("high", "low")
                    near, far = (float(forecast.clusters[place][name]) for name in ends)
                    sigma = abs(math.log(near / forecast.mark)) / forecast.sigma_1d
                    i, j = np.searchsorted(path["ts"], [forecast.at, forecast.at + 24 * HOUR_NS])
                    touch = path["high"][i:j] >= near if side < 0 else path["low"][i:j] <= near
                    visit = int(path["ts"][i + int(touch.argmax())]) if touch.any() else -1
                    censor = int(j - i < 287)
                    seen = -1 if censor else int(visit >= 0)
                    until = forecast.at + 24 * HOUR_NS
                    row = (symbol, 24 * HOUR_NS, forecast.at, near, far, censor, seen, visit, True)
                    rows.append((*row, place, int(side), until, len(rows), sigma))
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table({name: np.array(column) for name, column in zip(names, columns, strict=True)})


def _score(symbol: str, horizon: str, side: str, statistic: str, rng: np.random.Generator) -> Score:
    base = statistic.removesuffix("_dense")
    n = {"4h": 910, "24h": 402, "7d": 66}[horizon] * (2 if symbol == "pooled" else 1)
    n = n if side == "both" else n // 2
    n = n if statistic == base else n // 5
    se = 0.9 / math.sqrt(n)
    claim = {"mirror_lift": "magnet", "first_side_skill": "direction"}.get(base, "visit")
    value, null = {
        "hit_rate": (0.42 + rng.normal() * se, 0.44),
        "first_side_skill": (rng.normal() * se * 0.3, 0.0),
    }.get(base, (rng.normal() * se, 0.0))
    width = se * (0.3 if statistic == "first_side_skill" else 1.0)
    return Score(
        claim=claim,
        symbol=symbol,
        horizon=horizon,
        side=side,
        statistic=statistic,
        value=value,
        null=null,
        ci_low=value - 1.96 * width,
        ci_high=value + 1.96 * width,
        n_episodes=n,
        n_days=88,
        mde=2.8 * width,
    )


def make_scores(symbols: list[str], seed: int = 5) -> tuple[Score, ...]:
    """Rows as evaluation gives them, without effect."""
    rng = np.random.default_rng(seed)
    return tuple(
        _score(symbol, horizon, side, statistic, rng)
        for symbol in ["pooled", *symbols]
        for horizon in HORIZONS
        for statistic in STATISTICS
        for side in (("both",) if statistic == "first_side_skill" else ("both", "long", "short"))
    )


def make_bands(symbols: list[str], seed: int = 6) -> tuple[Mapping[str, Any], ...]:
    """Rates by distance near the random walk's."""
    rng = np.random.default_rng(seed)
    rows = []
    for symbol in ["pooled", *symbols]:
        for horizon in HORIZONS:
            for low, high in pairwise(BANDS):
                null = math.erfc((low + high) / 2 / math.sqrt(2))
                n = int(rng.integers(12, 240))
                width = 1.2 * math.sqrt(null * (1 - null) / n)
                rate = float(np.clip(null + rng.normal() * width, 0, 1))
                rows.append(
                    {
                        "symbol": symbol,
                        "horizon": horizon,
                        "band_low": low,
                        "band_high": high,
                        "n_episodes": n,
                        "n_days": 80,
                        "hit_rate": rate,
                        "ci_low": max(0.0, rate - 2 * width),
                        "ci_high": min(1.0, rate + 2 * width),
                        "null": null,
                        "mirror_rate": float(np.clip(null + rng.normal() * width, 0, 1)),
                    }
                )
    return tuple(rows)


def make_flow(symbols: list[str], n: int) -> tuple[Mapping[str, Any], ...]:
    """Counts that narrow from snapshots to scored episodes."""
    return tuple(
        {
            "symbol": symbol,
            "horizon": horizon,
            "snapshots": n,
            "clusters": n * 19,
            "eligible": n * (4 + 3 * i),
            "episodes": (940, 420, 81)[i],
            "inside": 31,
            "censored": (30, 18, 15)[i],
            "scored": (910, 402, 66)[i],
        }
        for symbol in symbols
        for i, horizon in enumerate(HORIZONS)
    )


def make_manifest(symbols: list[str], n: int) -> dict[str, Any]:
    """A manifest with everything that the report reads."""
    first, last = "2025-10-01T00:00:00+00:00", "2025-12-02T00:00:00+00:00"
    return {
        "run_id": "4fd1a09c2b7e6650",
        "experiment": "btc-2025-12",
        "description": "A made-up run.",
        "symbols": {
            symbol: {
                "price": "mark points of binance-um/BTCUSDT",
                "price_stand_in": None,
                "tape": "c0ffee" * 10,
                "events": {"mark": n * 12, "open_interest": n * 12, "bar": n},
                "instruments": ["binance-um/BTCUSDT"],
                "first": first,
                "last": last,
                "gaps": [
                    {"kind": "mark", "n_gaps": 2, "longest_s": 5400.0, "missing_share": 0.0012},
                    {
                        "kind": "open_interest",
                        "n_gaps": 0,
                        "longest_s": 300.0,
                        "missing_share": 0.0,
                    },
                ],
                "latency": [
                    {
                        "instrument": "binance-um/BTCUSDT",
                        "kind": "mark",
                        "latency_s": 60.0,
                        "is": "modelled",
                    },
                    {
                        "instrument": "binance-um/BTCUSDT",
                        "kind": "open_interest",
                        "latency_s": 60.0,
                        "is": "modelled",
                    },
                ],
            }
            for symbol in symbols
        },
        "claims": {"magnet": {"words": "clusters act as magnets", "smallest_effect": 0.02}},
        "hashes": {
            "config": "aa" * 32,
            "tape": dict.fromkeys(symbols, "bb" * 32),
            "code": "cc" * 32,
            "lock": "dd" * 32,
        },
        "versions": {"liqbt": "0.1.0", "python": "3.11", "numpy": "2.3.4"},
        "seed": 7,
        "simulated": False,
        "planted": None,
    }


def make_run(
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), n: int = 1500, **changes: Any
) -> FakeRun:
    """A whole run; `changes` replace its fields."""
    names = list(symbols)
    markets = {
        s: make_market(s, n, seed, price0)
        for s, seed, price0 in zip(
            names, range(11, 99), [114_000.0, 4150.0, 0.5, 21.0, 170.0], strict=False
        )
    }
    scores = make_scores(names)
    by = {(s.statistic, s.symbol, s.horizon, s.side): s for s in scores}
    why = "The test behind this claim has not passed the validity gate."
    fields: dict[str, Any] = {
        "path": Path("results/btc-2025-12/4fd1a09c2b7e6650"),
        "manifest": make_manifest(names, n),
        "config": {
            "estimators": {"oi_flow": {"use": "oi_flow"}},
            "symbols": {name: {"estimators": {}} for name in names},
            "evaluation": {
                "latency": "60s",
                "distance_floor": 0.25,
                "distance_ceiling": 2.5,
                "iou": 0.5,
            },
        },
        "scores": scores,
        "verdicts": (
            Verdict(
                claim="magnet",
                word=VerdictWord.WITHHELD,
                reason=why,
                score=by["mirror_lift", "pooled", "24h", "both"],
            ),
            Verdict(
                claim="direction",
                word=VerdictWord.WITHHELD,
                reason=why,
                score=by["first_side_skill", "pooled", "24h", "both"],
            ),
        ),
        "flow": make_flow(names, n),
        "bands": make_bands(names),
        "sensitivities": tuple(
            {"name": name, **{k: getattr(s, k) for k in s.__dataclass_fields__}}
            for name in ("latency 5 min", "spot highs and lows")
            for s in scores
            if s.symbol == "pooled" and s.side == "both" and s.statistic == "mirror_lift"
        ),
        "maps": {s: list(market[0]) for s, market in markets.items()},
        "table": make_outcomes(markets),
        "paths": {s: dict(market[1]) for s, market in markets.items()},
    }
    return FakeRun(**{**fields, **changes})

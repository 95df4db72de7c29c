"""How the cost of learning grows with the length of a record: every refit, and as they are made.

python -m research.scaling.refits OUT

One market of hourly forecasts over 1, 2 and 5 years, drawn here, its volatility and open interest
wandering: the placebo model of 24 h, P(visit) of 17 episodes a day by ten covariates and without
the map, and the tilt at landmarks 4 h apart. CPU seconds of one process, both schedules in turns.
What it costs to leave refits out: the mean log loss, after the first year, of the placebo model at
levels that it was not fitted on. OUT gets `refits.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from liqbt.evaluation.first_passage import FIRST_SIDE_DTYPE
from liqbt.evaluation.levels import VISIT_DTYPE
from liqbt.evaluation.nulls.levels import Anchors, LevelConfig, random_levels
from liqbt.evaluation.nulls.placebo import (
    Placebo,
    PlaceboConfig,
    fit_placebo,
    placebo_probability,
)
from liqbt.evaluation.path import PricePath
from liqbt.learn import walk
from liqbt.learn.models import calibrate_landmarks, predict_visits
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS

YEAR = 365
STEP_NS = 300 * SECOND_NS
START_NS = 1_577_836_800 * SECOND_NS  # 2020-01-01
WINDOW = {"horizon_ns": DAY_NS, "latency_ns": 60 * SECOND_NS}


def market(years: int) -> tuple[Anchors, PricePath]:
    """Return hourly anchors and a 5-minute path; a longer one begins as a shorter one does."""
    n = years * YEAR * 288
    slow, fast, coins = (np.random.default_rng(i) for i in range(3))
    log_sigma = np.repeat(np.cumsum(slow.normal(0.0, 0.08, n // 288)), 288)
    sigma = 0.03 * np.exp(log_sigma - 0.5 * np.tanh(log_sigma))
    price = 100.0 * np.exp(np.cumsum(np.clip(sigma, 0.005, 0.15) * fast.standard_t(5, n) / 22.0))
    end = START_NS + STEP_NS * np.arange(1, n + 1)
    path = PricePath(
        start_ns=end, end_ns=end, low=price, high=price, close=price, spacing_ns=STEP_NS,
        max_gap_ns=900 * SECOND_NS,
    )  # fmt: skip
    pick = np.arange(7 * 288, n, 12)
    step = np.diff(np.log(price), prepend=math.log(100.0)) ** 2
    past = np.cumsum(step)
    anchors = Anchors(
        at=end[pick] + SECOND_NS, mark_ts=end[pick], log_mark=np.log(price[pick]),
        sigma_1d=np.sqrt((past[pick] - past[pick - 7 * 288]) / 7.0),
        open_interest_usd=1e9 * np.exp(np.cumsum(coins.normal(0.0, 0.01, len(pick)))),
    )  # fmt: skip
    return anchors, path


def placebo(anchors: Anchors, path: PricePath) -> Placebo:
    """Fit the placebo model of 24 h."""
    rng = np.random.default_rng(7)
    return fit_placebo(anchors, path, PlaceboConfig(), rng=rng, **WINDOW)


def episodes(years: int) -> np.ndarray:
    """Return levels with covariates that say a little."""
    n, rng = 17 * YEAR * years, np.random.default_rng(8)
    rows = np.zeros(n, VISIT_DTYPE)
    for name in rows.dtype.names or ():
        if rows.dtype[name] == np.float64:
            rows[name] = rng.normal(size=n)
    rows["at"] = START_NS + np.sort(rng.integers(0, years * YEAR * 24, n)) * HOUR_NS
    rows["matured_ns"] = rows["at"] + DAY_NS + HOUR_NS
    rows["brownian"] = rng.uniform(0.05, 0.7, n)
    rows["scored"] = True
    rows["visited"] = rng.random(n) < rows["brownian"]
    return rows


def landmarks(years: int) -> np.ndarray:
    """Return landmarks 4 h apart."""
    n, rng = 6 * YEAR * years, np.random.default_rng(9)
    rows = np.zeros(n, FIRST_SIDE_DTYPE)
    rows["at"] = START_NS + 4 * HOUR_NS * np.arange(n)
    rows["matured_ns"] = rows["at"] + 5 * HOUR_NS
    rows["q_up"], rows["q_down"], rows["q_neither"] = rng.dirichlet((3.0, 3.0, 2.0), n).T
    rows["scored"], rows["outcome"] = True, rng.integers(-1, 2, n)
    rows["asymmetry"] = rng.uniform(-1.0, 1.0, n)
    return rows


def log_loss(model: Placebo) -> float:
    """Return the mean log loss after the first year, at levels drawn anew."""
    anchors, path = model.anchors, model.path
    held = random_levels(anchors, path, LevelConfig(), rng=np.random.default_rng(11), **WINDOW)
    late = anchors.at[held.anchor] > anchors.at[0] + YEAR * DAY_NS
    owner = held.anchor[late]
    distance = held.distance_sigma[late] * anchors.sigma_1d[owner]
    p = placebo_probability(model, owner, held.side[late], distance)
    seen = held.visited[late]
    return float(-np.mean(np.where(seen > 0, np.log(p), np.log1p(-p))))


def timed(work: Callable[..., Any], *words: Any, **named: Any) -> tuple[float, Any]:
    """Return CPU seconds, and what came of it."""
    begun = time.process_time()
    made = work(*words, **named)
    return time.process_time() - begun, made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--years", type=int, nargs="+", default=[1, 2, 5])
    asked = parser.parse_args()
    young = walk.YOUNG_NS
    schedules = {"every": 1 << 62, "made": young}
    placebo(*market(1))  # compiles
    found: dict[str, Any] = {name: {} for name in schedules}
    for years in asked.years:
        anchors, path = market(years)
        rows, marks = episodes(years), landmarks(years)
        for name, walk.YOUNG_NS in schedules.items():
            fits, model = timed(placebo, anchors, path)
            visits, _ = timed(predict_visits, rows, walk.ModelOptions())
            tilts, _ = timed(calibrate_landmarks, marks, ridge=4.0)
            one = {"placebo": fits, "visits": visits, "tilt": tilts, "all": fits + visits + tilts}
            if years > 1:
                one["log_loss"] = log_loss(model)
            found[name][years] = one
            print(name, years, {key: round(value, 4) for key, value in one.items()}, flush=True)
    first, last = asked.years[0], asked.years[-1]
    for name, each in found.items():
        for part in ("placebo", "visits", "tilt", "all"):
            power = math.log(each[last][part] / each[first][part]) / math.log(last / first)
            print(f"{name}: {part} grows as the {power:.2f}th power from {first} to {last} years")
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "refits.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

"""How near maps come to the truth: simulated worlds, recorded positions, BTC's liquidations.

    python research/truth/run.py                       all tables, from markets 1000 on
    python research/truth/run.py worlds FIRST LAST [WORLD ...]   Wasserstein distances by world
    python research/truth/run.py positions             distance from recorded positions
    python research/truth/run.py btc                   information on BTC's liquidation totals
    python research/truth/run.py okx                   distance from single liquidations (OKX)
    python research/truth/run.py sensitivity           other smoothing, grid and prominence
    python research/truth/run.py intervals [FIRST LAST]   how many intervals hold the truth
    python research/truth/run.py tuning                nine configurations each, then a test
    python research/truth/run.py pictures              a moving mix, and BTC's map by two estimators

`positions`, `btc` and `okx` are calls of `liqbt truth`, the first of its parts. A market is drawn
from the ranges of `worlds.yaml` by its number, simulated, replayed through all estimators in one
pass, and compared with its true map once a day, in its second half. Real data: LIQBT_DATA.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from intervals import intervals
from pictures import pictures
from scipy.optimize import nnls
from scipy.stats import t
from sensitivity import sensitivity
from tuning import tuning

from liqbt.estimators.baselines import DistanceKernel, Uniform
from liqbt.estimators.census import Census, CensusParams
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.estimators.rivals import (
    CandleColour,
    EqualBrackets,
    FreshKernel,
    LargeTrades,
    TierDecay,
    ZScore,
)
from liqbt.estimators.structured import Structured, StructuredParams
from liqbt.replay import Checkpoint, replay_from, schedule
from liqbt.report.pages.truth import describe_truth
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.contestants import Contestants
from liqbt.study.estimators import shipped_tiers
from liqbt.study.map_distances import BINS, WIDTH, TrueMaps, distances
from liqbt.study.map_truth import asked, map_truth, simulated_maps
from liqbt.study.store import json_value
from liqbt.study.worlds import WORLDS, load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, FloatArray, Instrument, Kind, Mask

HERE = Path(__file__).parent
RANGES = yaml.safe_load((HERE / "worlds.yaml").read_text(encoding="utf-8"))
ROOT = 1313
REACHES = (0.10, 0.30)
KINDS = (Kind.MARK, Kind.OPEN_INTEREST, Kind.BAR, Kind.LIQUIDATION, Kind.POSITION)
CENSUS = {"census_every_s": 86_400, "census_share": 0.3}
"""Read by `census` and `structured` alone: once a day, of three positions in ten."""
FIRST, LAST = 1000, 1004
TWINS = {"levmix": "twin", "oi_flow": "oi_flow twin"}
RIVALS: dict[str, Any] = {
    "equal_brackets": EqualBrackets,
    "large_trades": LargeTrades,
    "tier_decay": TierDecay,
    "candle_colour": CandleColour,
    "z_score": ZScore,
    "fresh_kernel": FreshKernel,
}


def world_of(name: str, number: int, days: int = 120) -> World:
    """Return a world's market of a number: its keys drawn from their ranges."""
    at = list(RANGES["worlds"]).index(name)
    rng = np.random.default_rng(np.random.SeedSequence(ROOT, spawn_key=(at, number)))
    drawn = {key: float(rng.uniform(*ends)) for key, ends in RANGES["worlds"][name].items()}
    if "centre" in drawn:
        ladder = np.array(RANGES["ladder"], dtype=np.float64)
        away = np.log(ladder / drawn.pop("centre")) / drawn.pop("width")
        weights = np.exp(-0.5 * away**2)
        drawn |= {"leverages": tuple(ladder), "weights": tuple(weights / weights.sum())}
    return replace(load_world(WORLDS / "baseline.yaml"), name=name, days=days, **CENSUS, **drawn)


def beside() -> Contestants:
    """Return fresh estimators by name, and the twins of two of them."""
    market = MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"])

    def references() -> dict[str, Any]:
        return {
            "levmix": LevMix(LevMixParams(), market),
            "oi_flow": OIFlow(OIFlowParams(), market),
        }

    others = {
        "uniform": Uniform(MapParams(), market),
        "census": Census(CensusParams(), market),
        "structured": Structured(StructuredParams(), market),
        "kernel": DistanceKernel(DistanceKernel.Params(), market),
        **{name: cls(cls.Params(), market) for name, cls in RIVALS.items()},
    }
    twins = {TWINS[name]: one for name, one in references().items()}
    return Contestants(told=references() | others, twins=twins, kinds={}, left_out={})


def held(tape: Tape, true: TrueMaps) -> FloatArray:
    """Return the coins of each class of `levmix` at each instant, (n, 2, classes, BINS)."""
    estimator = LevMix(LevMixParams(), MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"]))
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    steps = zip(replay_from(start, tape, estimator, true.at), true.price.tolist(), strict=True)
    return np.array([classes(estimator, price) for _, price in steps])


def classes(estimator: LevMix, price: float) -> FloatArray:
    """Return the coins of each class by distance from the price, (2, classes, BINS)."""
    state, params = estimator.state(), estimator.params
    life = np.arange(len(params.prior)) // params.n_leverages % params.n_lives
    coins = state["coins"] * state["scale"][life][None, :, None]
    half = coins.shape[2] // 2
    anchor, step = float(state["head"]["anchor"][0]), params.step
    edges = (np.arange(2 * half + 1) - half) * step + np.log(anchor / price)
    at = np.arange(BINS + 1) * WIDTH
    summed = np.concatenate([np.zeros((*coins.shape[:2], 1)), np.cumsum(coins, axis=2)], axis=2)
    out = np.empty((2, coins.shape[1], BINS))
    for j in range(coins.shape[1]):
        below = np.interp(-at, edges, summed[0, j])
        above = np.interp(at, edges, summed[1, j])
        out[0, j], out[1, j] = -np.diff(below), np.diff(above)
    return out


def oracle(book: FloatArray, true: TrueMaps, early: Mask) -> FloatArray:
    """Return maps of the classes under the best weights that there are, learnt from the truth.

    Non-negative least squares of the cumulative shares of the true map within ±30 %, of the first
    half of the days, on those of the classes.
    """
    bins, rows, goals = round(0.30 / WIDTH), [], []
    for i in np.flatnonzero(early).tolist():
        for side in range(2):
            whole = true.usd[i, side, :bins].sum()
            if whole > 0:
                rows.append(np.cumsum(book[i, side, :, :bins], axis=1).T / 1e6)
                goals.append(np.cumsum(true.usd[i, side, :bins]) / whole)
    # a side's level is free each day: compare shapes, with the level of the mean class
    matrix = np.concatenate([r / max(r[-1].mean(), 1e-12) for r in rows])
    weights, _ = nnls(matrix, np.concatenate(goals))
    return np.einsum("nsjb,j->nsb", book, weights)


def scored(name: str, number: int, days: int = 120) -> dict[str, list[float]]:
    """Return W1 in per cent, by estimator, at each reach: means over sides and the second half."""
    world = world_of(name, number, days)
    market = simulate(world, seed=np.random.SeedSequence(ROOT, spawn_key=(99, number)))
    tape = tape_from_tables(
        market.tables, Selection(kinds={k: (Instrument(world.venue, "SIM"),) for k in KINDS})
    )
    times = schedule(world.start_ns + 5 * DAY_NS, world.end_ns, DAY_NS)
    true = simulated_maps(market.truth["SIM"], times)
    late = true.at >= world.start_ns + days // 2 * DAY_NS
    maps = asked(tape, beside(), true)
    maps["oracle"] = oracle(held(tape, true), true, ~late)
    return {
        key: [100 * float(np.nanmean(distances(one, true, reach)[late])) for reach in REACHES]
        for key, one in maps.items()
    }


def worlds(first: int, last: int, names: Sequence[str], out: Path) -> None:
    """Score markets, one JSON line each; what `out` holds already is not done again."""
    done = {(row["world"], row["number"]) for row in _rows(out)}
    jobs = [(name, n) for n in range(first, last) for name in names if (name, n) not in done]
    with ProcessPoolExecutor(2) as pool, out.open("a", encoding="utf-8") as file:
        for (name, number), row in zip(jobs, pool.map(_job, jobs), strict=True):
            file.write(json.dumps({"world": name, "number": number, "w1": row}) + "\n")
            file.flush()


def _rows(out: Path) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def table(out: Path) -> None:
    """Print the tables of worlds: means over markets, in per cent of price; the nearest is bold."""
    found: dict[str, list[dict[str, list[float]]]] = defaultdict(list)
    for row in _rows(out):
        found[row["world"]].append(row["w1"])
    keys = list(next(iter(found.values()))[0])
    for k, reach in enumerate(REACHES):
        print(f"\n±{reach:.0%}\n")
        print(f"| world | markets | {' | '.join(keys)} |")
        print("|---" * (len(keys) + 2) + "|")
        values = {
            w: np.array([[r[key][k] for key in keys] for r in rows]) for w, rows in found.items()
        }
        for name, those in {**values, "all": np.concatenate(list(values.values()))}.items():
            means = those.mean(axis=0)
            nearest = min(m for key, m in zip(keys, means, strict=True) if key != "oracle")
            cells = [f"**{m:.2f}**" if m == nearest else f"{m:.2f}" for m in means]
            print(f"| {name} | {len(those)} | {' | '.join(cells)} |")
    print("\nLess levmix, and the worlds in which it is nearer than levmix beyond the error\n")
    print(f"| estimator | {' | '.join(f'±{r:.0%} | nearer in' for r in REACHES)} |")
    print("|---" * (1 + 2 * len(REACHES)) + "|")
    for key in keys[1:]:
        cells = []
        for k in range(len(REACHES)):
            apart = {
                w: np.array([r[key][k] - r["levmix"][k] for r in rows]) for w, rows in found.items()
            }
            middle, half = _paired(np.concatenate(list(apart.values())))
            won = [w for w, values in apart.items() if sum(_paired(values)) < 0.0]
            cells += [f"{middle:+.2f} [{middle - half:+.2f}, {middle + half:+.2f}]"]
            cells += [", ".join(won) or "-"]
        print(f"| {key} | {' | '.join(cells)} |")


def _paired(apart: FloatArray) -> tuple[float, float]:
    """Return the mean of paired differences, and half of its 95 % interval over markets."""
    n = len(apart)
    return float(apart.mean()), float(t.ppf(0.975, n - 1) * apart.std(ddof=1) / np.sqrt(n))


def _job(job: tuple[str, int]) -> dict[str, list[float]]:
    return scored(*job)


def btc() -> None:
    """Print what each map tells of BTC's liquidation totals, hour by hour, given the path."""
    call("btc-liquidated")


def positions() -> None:
    """Print how far maps lie from the positions of large accounts on Hyperliquid."""
    call("hyperliquid-positions-2026-02", "hyperliquid/positions-2026-02.parquet")


def okx() -> None:
    """Print how far maps of an hour's start lie from the hour's single liquidations on OKX."""
    call("okx-2026-03-04", liquidations=False)


def call(experiment: str, recorded: str | None = None, *, liquidations: bool = True) -> None:
    """Print what `liqbt truth` says of a shipped experiment; needs the real data."""
    if "LIQBT_DATA" not in os.environ:
        print(f"{experiment} needs the real data: set LIQBT_DATA")
        return
    path = HERE.parent.parent / "experiments" / f"{experiment}.yaml"
    file = None if recorded is None else Path(os.environ["LIQBT_DATA"]) / recorded
    with tempfile.TemporaryDirectory() as folder:
        found = map_truth(path, Path(folder), recorded=file, liquidations=liquidations)
    print(f"\n{experiment}\n\n{describe_truth(json_value(asdict(found)))}")


def main() -> None:
    """Do what the command line asks for."""
    what, *rest = sys.argv[1:] or ["all"]
    known = ("worlds", "btc", "okx", "positions", "pictures", "intervals", "sensitivity", "tuning")
    if what not in ("all", *known):
        sys.exit(__doc__)
    if what in ("all", "worlds"):
        first, last = (int(n) for n in rest[:2]) if len(rest) > 1 else (FIRST, LAST)
        out = HERE / "worlds.jsonl"
        worlds(first, last, rest[2:] or list(RANGES["worlds"]), out)
        table(out)
    if what in ("all", "positions"):
        positions()
    if what in ("all", "btc"):
        btc()
    if what in ("all", "okx"):
        okx()
    if what in ("all", "sensitivity"):
        first, last = (int(n) for n in rest[:2]) if len(rest) > 1 else (FIRST, FIRST + 1)
        sensitivity(world_of, list(RANGES["worlds"]), range(first, last))
    if what in ("all", "intervals"):
        first, last = (int(n) for n in rest[:2]) if len(rest) > 1 else (FIRST, LAST)
        intervals(world_of, list(RANGES["worlds"]), range(first, last))
    if what in ("all", "tuning"):
        tuning(world_of, list(RANGES["worlds"]))
    if what in ("all", "pictures"):
        slow = replace(world_of("moving_mix", FIRST, 360), tilt_half_life_h=1440.0)
        pictures(slow, np.random.SeedSequence(ROOT, spawn_key=(99, FIRST)))


if __name__ == "__main__":
    main()

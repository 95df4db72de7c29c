"""How near maps come to the truth: simulated worlds whose traders differ, and BTC's liquidations.

    python research/truth/run.py                       both tables, from markets 1000 on
    python research/truth/run.py worlds FIRST LAST [WORLD ...]   Wasserstein distances by world
    python research/truth/run.py btc                   information on BTC's liquidation totals

Each market is drawn from the ranges of `worlds.yaml` by its number, simulated, replayed through all
estimators in one pass, and compared with its true map once a day, in its second half. BTC needs the
real data (LIQBT_DATA).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import nnls
from scipy.stats import t

from liqbt.estimators.baselines import DistanceKernel, Uniform
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.evaluation.claims import location
from liqbt.replay import Checkpoint, replay_from, schedule
from liqbt.simulate.effects.maps import mass_by_distance, wasserstein
from liqbt.simulate.market import simulate
from liqbt.simulate.truth import Truth
from liqbt.simulate.world import World
from liqbt.study.estimators import shipped_tiers
from liqbt.study.pipeline import study
from liqbt.study.plan import prepare
from liqbt.study.worlds import WORLDS, load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.positions import price_only_tape
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, FloatArray, Instrument, Kind

HERE = Path(__file__).parent
RANGES = yaml.safe_load((HERE / "worlds.yaml").read_text(encoding="utf-8"))
ROOT = 1313
REACHES = (0.10, 0.30)
WIDTH = 0.005
KINDS = (Kind.MARK, Kind.OPEN_INTEREST, Kind.BAR, Kind.LIQUIDATION)
FIRST, LAST = 1000, 1004


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
    return replace(load_world(WORLDS / "baseline.yaml"), name=name, days=days, **drawn)


def estimators() -> dict[str, Any]:
    """Return fresh estimators by name."""
    market = MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"])
    return {
        "levmix": LevMix(LevMixParams(), market),
        "oi_flow": OIFlow(OIFlowParams(), market),
        "uniform": Uniform(MapParams(), market),
        "kernel": DistanceKernel(DistanceKernel.Params(), market),
    }


def profiles(
    tape: Tape, estimator: Any, times: Any, price: Mapping[int, float], book: list[Any] | None
) -> dict[int, FloatArray]:
    """Replay one estimator; return its map by distance at each time that it issued at.

    Where `book` is given, what each class of a `levmix` holds is put there, time by time.
    """
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    out = {}
    for (_, forecast), at in zip(
        replay_from(start, tape, estimator, times), times.tolist(), strict=True
    ):
        if forecast is None:
            continue
        out[at] = mass_by_distance(
            forecast.density_usd,
            forecast.grid,
            forecast.mark_bin,
            price=price[at],
            width=WIDTH,
            bins=round(max(REACHES) / WIDTH),
        )
        if book is not None:
            book.append((at, classes(estimator, price[at])))
    return out


def classes(estimator: LevMix, price: float) -> FloatArray:
    """Return the coins of each class by distance from the price, (2, classes, bins)."""
    state, params = estimator.state(), estimator.params
    life = np.arange(len(params.prior)) // params.n_leverages % params.n_lives
    coins = state["coins"] * state["scale"][life][None, :, None]
    half = coins.shape[2] // 2
    anchor, step = float(state["head"]["anchor"][0]), params.step
    edges = (np.arange(2 * half + 1) - half) * step + np.log(anchor / price)
    at = np.arange(round(max(REACHES) / WIDTH) + 1) * WIDTH
    summed = np.concatenate([np.zeros((*coins.shape[:2], 1)), np.cumsum(coins, axis=2)], axis=2)
    out = np.empty((2, coins.shape[1], len(at) - 1))
    for j in range(coins.shape[1]):
        below = np.interp(-at, edges, summed[0, j])
        above = np.interp(at, edges, summed[1, j])
        out[0, j], out[1, j] = -np.diff(below), np.diff(above)
    return out


def true_profiles(truth: Truth, times: Any) -> dict[int, FloatArray]:
    """Return the true map by distance at each time."""
    place = {ts: i for i, ts in enumerate(truth.snapshot_ns.tolist())}
    return {
        at: mass_by_distance(
            truth.density_usd[place[at]],
            truth.grid,
            int(truth.mark_bin[place[at]]),
            price=float(truth.snapshot_mark[place[at]]),
            width=WIDTH,
            bins=round(max(REACHES) / WIDTH),
        )
        for at in times.tolist()
    }


def oracle(book: Sequence[Any], true: Mapping[int, FloatArray], half: int) -> dict[int, FloatArray]:
    """Return maps of the classes under the best weights that there are, learnt from the truth.

    Non-negative least squares of the cumulative shares of the true map, of the first half of the
    days, on those of the classes.
    """
    rows, goals = [], []
    for at, held in book:
        if at < half:
            for side in range(2):
                whole = true[at][side].sum()
                if whole > 0:
                    rows.append(np.cumsum(held[side], axis=1).T / 1e6)
                    goals.append(np.cumsum(true[at][side]) / whole)
    # a side's level is free each day: compare shapes, with the level of the mean class
    matrix = np.concatenate([r / max(r[-1].mean(), 1e-12) for r in rows])
    weights, _ = nnls(matrix, np.concatenate(goals))
    return {at: np.einsum("sjb,j->sb", held, weights) for at, held in book}


def distances(
    name: str, number: int, days: int = 120, make: Any = estimators, extra: bool = True
) -> dict[str, list[float]]:
    """Return W1 in per cent, by estimator, at each reach: means over sides and the second half."""
    world = world_of(name, number, days)
    market = simulate(world, seed=np.random.SeedSequence(ROOT, spawn_key=(99, number)))
    tape = tape_from_tables(
        market.tables, Selection(kinds={k: (Instrument(world.venue, "SIM"),) for k in KINDS})
    )
    truth = market.truth["SIM"]
    times = schedule(world.start_ns + 5 * DAY_NS, world.end_ns, DAY_NS)
    true = true_profiles(truth, times)
    at = {
        ts: float(p) for ts, p in zip(truth.snapshot_ns.tolist(), truth.snapshot_mark, strict=True)
    }
    half = world.start_ns + days // 2 * DAY_NS
    book: list[Any] = []
    maps = {
        key: profiles(tape, one, times, at, book if key == "levmix" and extra else None)
        for key, one in make().items()
    }
    if extra:
        maps["oracle"] = oracle(book, true, half)
        maps["twin"] = profiles(price_only_tape(tape), make()["levmix"], times, at, None)
        told = make()
        maps["oi_flow twin"] = profiles(price_only_tape(tape), told["oi_flow"], times, at, None)
    out = {}
    for key, mine in maps.items():
        out[key] = [
            100 * float(np.nanmean(list(_w1(mine, true, reach, half)))) for reach in REACHES
        ]
    return out


def _w1(
    mine: Mapping[int, FloatArray], true: Mapping[int, FloatArray], reach: float, half: int
) -> Iterator[float]:
    bins = round(reach / WIDTH)
    for at, truth in true.items():
        if at >= half and at in mine:
            for side in range(2):
                yield wasserstein(mine[at][side, :bins], truth[side, :bins], WIDTH)


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
    """Print the table of worlds: means over markets, in per cent of price, and who is nearest."""
    found: dict[str, list[dict[str, list[float]]]] = defaultdict(list)
    for row in _rows(out):
        found[row["world"]].append(row["w1"])
    keys = list(next(iter(found.values()))[0])
    for k, reach in enumerate(REACHES):
        print(f"\n±{reach:.0%}\n")
        print(f"| world | markets | {' | '.join(keys)} | levmix less oi_flow | less uniform |")
        print("|---" * (len(keys) + 4) + "|")
        for name, rows in found.items():
            print(_line(name, np.array([[row[key][k] for key in keys] for row in rows]), keys))
        every = np.array([[row[key][k] for key in keys] for rows in found.values() for row in rows])
        print(_line("all", every, keys))


def _job(job: tuple[str, int]) -> dict[str, list[float]]:
    return distances(*job)


def _line(name: str, values: FloatArray, keys: Sequence[str]) -> str:
    """Return a row: means, and paired differences with their 95 % interval over markets."""
    cells = [f"{value:.2f}" for value in values.mean(axis=0)]
    for other in ("oi_flow", "uniform"):
        apart = values[:, keys.index("levmix")] - values[:, keys.index(other)]
        half = _t95(len(apart)) * apart.std(ddof=1) / np.sqrt(len(apart))
        middle = apart.mean()
        cells.append(f"{middle:+.2f} [{middle - half:+.2f}, {middle + half:+.2f}]")
    return f"| {name} | {len(values)} | {' | '.join(cells)} |"


def _t95(n: int) -> float:
    return float(t.ppf(0.975, n - 1))


def btc() -> None:
    """Print what each map tells of BTC's liquidation totals, hour by hour, given the path."""
    if "LIQBT_DATA" not in os.environ:
        print("BTC needs the real data: set LIQBT_DATA")
        return
    source = HERE.parent.parent / "experiments" / "btc-liquidated.yaml"
    raw = yaml.safe_load(source.read_text(encoding="utf-8"))
    raw["data"]["root"] = os.environ["LIQBT_DATA"]
    for one in raw["data"]["sources"]:
        one["map"] = str(source.parent / one["map"])
    raw["estimators"] = {"levmix": {"use": "levmix"}, "oi_flow": {"use": "oi_flow"}}
    raw["evaluation"] = {"horizons": ["24h"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "btc.yaml"
        path.write_text(yaml.safe_dump(raw), encoding="utf-8")
        plan = prepare(path, Path(folder) / "results")
        done = study(plan.experiment, plan.tapes, statistics=location.STATISTICS)
    scores = {
        (name, d.score.statistic): d.score
        for name, evaluation in done.evaluations.items()
        for d in evaluation.details
        if d.score.symbol == "BTC"
    }
    print("\nBTC, liquidation totals, millinats an hour and side\n")
    print("| gain | levmix | oi_flow |\n|---|---|---|")
    for one in location.STATISTICS:
        cells = []
        for name in ("levmix", "oi_flow"):
            score = scores.get((name, one.id))
            cells.append(
                "-"
                if score is None
                else f"{1e3 * score.value:+.2f} "
                f"[{1e3 * score.ci_low:+.2f}, {1e3 * score.ci_high:+.2f}]"
            )
        print(f"| {one.column} | {' | '.join(cells)} |")


def main() -> None:
    """Do what the command line asks for."""
    what, *rest = sys.argv[1:] or ["all"]
    if what not in ("all", "worlds", "btc"):
        sys.exit(__doc__)
    if what != "btc":
        first, last = (int(n) for n in rest[:2]) if len(rest) > 1 else (FIRST, LAST)
        out = HERE / "worlds.jsonl"
        worlds(first, last, rest[2:] or list(RANGES["worlds"]), out)
        table(out)
    if what != "worlds":
        btc()


if __name__ == "__main__":
    main()

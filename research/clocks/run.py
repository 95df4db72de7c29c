"""What a clock does to a file of published levels: a stale mark, and a map that is hours ahead.

1. `candles`: honest random levels, placed about the price of their minute and scored on BTC's
   hourly candles; how far they seem to beat their mirror images. `--as-issued` scores them as they
   were before decision 0030, measured from the newest close that was known.
2. `ahead`: the map of `oi_flow` in markets without any effect, as a run and as a file of levels
   whose clock is right, 1 h or 4 h ahead; how often its verdict would be *suspect* (decision 0031).

Needs the real data for the first (LIQBT_DATA).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import liqbt
from liqbt.config.schema import EvaluationOptions
from liqbt.estimators.config import MapParams
from liqbt.estimators.published import PublishedLevels, PublishedMap
from liqbt.evaluation.claims.register import CLAIMS, STATISTICS
from liqbt.evaluation.claims.verdict import find_score, verdict
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.forecasts import joined_clusters
from liqbt.replay import replay
from liqbt.simulate.market import simulate
from liqbt.study.estimators import market_spec
from liqbt.study.pipeline import protocol, study
from liqbt.study.published import work
from liqbt.study.published.score import score_forecasts
from liqbt.study.replicate import world_experiment
from liqbt.study.schema import parse_experiment
from liqbt.study.worlds import load_world, world_file
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import HOUR_NS, VerdictWord

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = Path(os.environ.get("LIQBT_DATA", ROOT.parent / "shared" / "data"))
WORLDS = ("gbm", "momentum", "mean_reversion", "regimes")
AHEAD_H = (0, 1, 4)
MAGNET = next(claim for claim in CLAIMS if claim.id == "magnet")
DOSE = [replace(one, sides=("both",)) for one in STATISTICS if one.id == "dose_response"]


def prices(source: str) -> tuple[Any, Any]:
    """Return times and prices: the 5-minute mark, or the closes of the candles."""
    fine = source == "mark"
    name = "binance-um/BTCUSDT-open-interest-5m" if fine else "candles/BTCUSDT-1h"
    with gzip.open(DATA / f"{name}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    if fine:
        at = [int(row["timestamp_ms"]) * 10**6 for row in rows]
        return np.array(at), np.array(
            [float(r["sum_open_interest_value"]) / float(r["sum_open_interest"]) for r in rows]
        )
    at = [np.datetime64(row["timestamp"][:19], "ns").astype(np.int64) + HOUR_NS for row in rows]
    return np.array(at), np.array([float(row["close"]) for row in rows])


def random_rows(source: str, on_the_hour: bool, rng: np.random.Generator) -> Iterator[Any]:
    """Yield two random levels a side, every third hour or so, about the last price of then."""
    times, price = prices(source)
    first, last = (
        np.datetime64(day, "ns").astype(np.int64)
        for day in ("2025-03-05" if on_the_hour else "2025-12-05", "2026-03-28")
    )
    step = 3 * HOUR_NS
    at = np.arange(first, last, step)
    at += rng.integers(0, 3, len(at)) * HOUR_NS if on_the_hour else rng.integers(0, step, len(at))
    for moment, mark in zip(at, price[np.searchsorted(times, at, "right") - 1], strict=True):
        for side, sign in (("short", 1.0), ("long", -1.0)):
            distance = np.sort(rng.uniform(0.1, 2.5, 2)) + np.array([0.0, 0.1])
            scale = 0.0245 * np.sqrt(rng.choice([1 / 6, 1.0]))
            for level in mark * np.exp(sign * distance * scale):
                yield f"{np.datetime64(int(moment), 'ns')}Z", "BTCUSDT", side, level, level, 1e6


def candles(draws: int, results: Path) -> None:
    """Score honest random levels on hourly candles, and print how far they beat their mirrors."""
    source = ROOT / "experiments" / "sources" / "binance-spot-candles-1h.yaml"
    log = results / "log"
    if not log.exists():
        liqbt.ingest_files(source, [DATA / "candles" / "BTCUSDT-1h.csv.gz"], log)
    options = EvaluationOptions.model_validate({"horizons": ("4h", "24h")})
    for name, about, on_the_hour in (
        ("close, on the hour", "close", True),
        ("5-minute mark, at any second", "mark", False),
        ("close, at any second", "close", False),
    ):
        found: dict[str, list[liqbt.Score]] = {"4h": [], "24h": []}
        for k in range(draws):
            file = results / f"draw-{k}.csv"
            with file.open("w", newline="") as out:
                writer = csv.writer(out)
                writer.writerow(("at", "symbol", "side", "low", "high", "notional"))
                writer.writerows(random_rows(about, on_the_hour, np.random.default_rng([11, k])))
            run = score_forecasts(file, log, results, options=options, seed=k)
            for s in run.scores:
                if (s.statistic, s.symbol, s.side) == ("mirror_lift", "BTCUSDT", "both"):
                    found[s.horizon].append(s)
        for horizon, rows in found.items():
            lift = 100 * np.array([row.value for row in rows])
            error = lift.std(ddof=1) / np.sqrt(len(lift))
            above, below = sum(r.ci_low > 0 for r in rows), sum(r.ci_high < 0 for r in rows)
            print(
                f"{name}, {horizon}: {lift.mean():+.2f} ± {error:.2f} ({above}, {below})",
                flush=True,
            )


def is_suspect(evidence: Evidence) -> bool:
    """Return whether the magnet's verdict would be *suspect*."""
    rows = list(scored(evidence, DOSE))
    found = verdict(MAGNET, find_score(MAGNET, rows), withheld="not asked", others=rows)
    return found.word == VerdictWord.SUSPECT


def as_published(market: MarketInput, tape: Any, spec: Any, ahead_h: int) -> MarketInput:
    """Return a market's own map as a file would give it whose clock is `ahead_h` hours ahead."""
    issued = [f for f in market.forecasts if len(f.clusters)]
    levels = joined_clusters(issued)
    levels.setflags(write=False)
    at = np.array([f.at for f in issued], np.int64) - ahead_h * HOUR_NS
    offsets = np.cumsum([0, *(len(f.clusters) for f in issued)])
    published = PublishedMap(
        MapParams(), spec, PublishedLevels(at=at, offsets=offsets, levels=levels)
    )
    return MarketInput(
        symbol=market.symbol, forecasts=replay(tape, published, at), path=market.path
    )


def ahead(markets: int) -> None:
    """Print how often a map is suspect, as a run and as files with clocks that are ahead."""
    for name in WORLDS:
        world = replace(load_world(world_file(name, HERE)), days=120)
        raw = world_experiment(world).model_dump(mode="json")
        raw["evaluation"]["horizons"] = ["4h", "24h"]
        experiment = parse_experiment(raw, Path("clocks.yaml"))
        [(symbol, options)] = experiment.symbols.items()
        counts = np.zeros(1 + len(AHEAD_H), int)
        for seed in np.random.SeedSequence(7777).spawn(markets):
            tables = simulate(world, seed=seed.spawn(2)[0]).tables
            tape = tape_from_tables(tables, Selection(kinds=dict(options.events)))
            evidence = study(experiment, {symbol: tape}, statistics=DOSE).first.evidence
            spec, config = market_spec(experiment, symbol), protocol(experiment.evaluation)
            files = [as_published(evidence.markets[0], tape, spec, h) for h in AHEAD_H]
            tried: Sequence[Evidence] = [
                evidence,
                *(Evidence(markets=[file], config=config) for file in files),
            ]
            counts += [is_suspect(one) for one in tried]
        print(f"{name}: run, then {AHEAD_H} h ahead: {counts.tolist()} of {markets}", flush=True)


def main() -> None:
    """Do both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--markets", type=int, default=40)
    parser.add_argument("--as-issued", action="store_true")
    given = parser.parse_args()
    if given.as_issued:
        work.awaited = lambda levels, *_: levels
    with tempfile.TemporaryDirectory() as folder:
        candles(given.draws, Path(folder))
    if not given.as_issued:
        ahead(given.markets)


if __name__ == "__main__":
    main()

"""The same tuning for everybody: nine configurations each, chosen before the test, then held to it.

Simulated: chosen on tuning market 2 of every world, tested on market 1000 of every world. Recorded
positions: chosen on the snapshots of the first half of the record, tested on the second. The choice
is of the least sum of W₁ at ±10 and ±30 %. Uniform has nothing to tune. Ranges were set before
anything was run, but for one: `levmix` first had `prior_days` in the place of `leverage_low`, and
was given the lowest leverage after a first table had shown what rivals drew from theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.stats import t

from liqbt.estimators.baselines import Uniform
from liqbt.estimators.census import Census, CensusParams
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import Bracket, OIFlow, OIFlowParams
from liqbt.estimators.rivals import (
    CandleColour,
    EqualBrackets,
    FreshKernel,
    LargeTrades,
    TierDecay,
    ZScore,
)
from liqbt.estimators.structured import Structured, StructuredParams
from liqbt.replay import replay_many, schedule
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.sources.hyperliquid.positions import positions
from liqbt.study.estimators import market_spec, shipped_tiers
from liqbt.study.events import market_tapes, open_events
from liqbt.study.map_distances import TrueMaps, distances, profiles
from liqbt.study.map_truth import recorded_maps, simulated_maps
from liqbt.study.progress import silent
from liqbt.study.schema import load_experiment
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Instrument, Kind

HERE = Path(__file__).parent
KINDS = (Kind.MARK, Kind.OPEN_INTEREST, Kind.BAR, Kind.LIQUIDATION, Kind.POSITION)
REACHES = (0.10, 0.30)
ROOT = 1313
LADDERS = ((10.0, 25.0, 50.0, 100.0), (5.0, 10.0, 25.0, 50.0), (2.0, 3.0, 5.0, 10.0))
WINDOWS = (10 * DAY_NS, 30 * DAY_NS, 90 * DAY_NS)
BRACKETS = OIFlowParams().brackets


def _oi_flow(common: Mapping[str, Any], shift: float, life: float) -> OIFlowParams:
    """Return the brackets at other leverages and with other half-lives."""
    moved = tuple(
        Bracket(
            leverage=max(one.leverage * shift, 1.5),
            weight=one.weight,
            half_life=int(one.half_life * life),
        )
        for one in BRACKETS
    )
    return OIFlowParams(brackets=moved, above_maximum="fit", **common)


def configurations(common: Mapping[str, Any]) -> dict[str, tuple[Any, list[Any]]]:
    """Return the class and nine parameters of everybody, the defaults among them."""
    decay = TierDecay.Params().half_lives

    def grid(cls: Any, **values: Sequence[Any]) -> list[Any]:
        return [
            cls(**common, **dict(zip(values, one, strict=True)))
            for one in product(*values.values())
        ]

    days = {d: d * DAY_NS for d in (1, 3, 5, 10, 20, 30, 60, 90, 180)}
    return {
        "levmix": (
            LevMix,
            grid(
                LevMixParams, leverage_low=(1.5, 3.0, 5.0), forget=(days[20], days[60], days[180])
            ),
        ),
        "oi_flow": (
            OIFlow,
            [_oi_flow(common, *one) for one in product((1.0, 0.5, 0.25), (0.5, 1.0, 4.0))],
        ),
        "structured": (
            Structured,
            grid(
                StructuredParams,
                ridge=(0.1, 1.0, 10.0),
                forget_censuses=(days[10], days[30], days[90]),
            ),
        ),
        "census": (
            Census,
            grid(CensusParams, half_life=[d * DAY_NS for d in (1, 2, 3, 5, 7, 10, 14, 20, 40)]),
        ),
        "equal_brackets": (
            EqualBrackets,
            grid(EqualBrackets.Params, leverages=LADDERS, window=WINDOWS),
        ),
        "large_trades": (
            LargeTrades,
            grid(
                LargeTrades.Params,
                distances=((0.01, 0.02, 0.04, 0.1), (0.02, 0.05, 0.1, 0.2), (0.05, 0.1, 0.2, 0.4)),
                multiple=(1.0, 2.0, 4.0),
            ),
        ),
        "tier_decay": (
            TierDecay,
            grid(
                TierDecay.Params,
                leverages=LADDERS,
                half_lives=[tuple(int(one * k) for one in decay) for k in (0.5, 1.0, 4.0)],
            ),
        ),
        "candle_colour": (
            CandleColour,
            grid(CandleColour.Params, leverages=LADDERS, window=WINDOWS),
        ),
        "z_score": (ZScore, grid(ZScore.Params, leverages=LADDERS, threshold=(0.5, 1.0, 2.0))),
        "fresh_kernel": (
            FreshKernel,
            grid(
                FreshKernel.Params,
                lookback=(days[1], days[3], days[10]),
                refill=(days[1], days[3], days[10]),
            ),
        ),
        "uniform": (Uniform, [MapParams(**common)]),
    }


Scores = dict[tuple[str, int], FloatArray]


def scored(
    tape: Tape,
    true: TrueMaps,
    market: MarketSpec,
    common: Mapping[str, Any],
    only: Mapping[str, Sequence[int]] | None = None,
) -> Scores:
    """Return W₁ in per cent of each configuration, (reach, instant): means over sides."""
    made = {}
    for name, (cls, params) in configurations(common).items():
        for i, one in enumerate(params):
            if only is None or i in only[name]:
                made[f"{name} {i}"] = cls(one, market)
    issued = replay_many(tape, made, true.at)
    out: Scores = {}
    for key, forecasts in issued.items():
        name, i = key.split()
        maps = profiles(forecasts, true)
        found = [100.0 * distances(maps, true, reach) for reach in REACHES]
        with np.errstate(invalid="ignore"):
            out[name, int(i)] = np.array([_mean(one) for one in found])
    return out


def _mean(values: FloatArray) -> FloatArray:
    """Return the mean over sides that are known; NaN where none is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def _simulated(world: World, number: int) -> tuple[Tape, TrueMaps]:
    market = simulate(world, seed=np.random.SeedSequence(ROOT, spawn_key=(99, number)))
    tape = tape_from_tables(
        market.tables, Selection(kinds={k: (Instrument(world.venue, "SIM"),) for k in KINDS})
    )
    half = world.start_ns + world.days // 2 * DAY_NS
    return tape, simulated_maps(market.truth["SIM"], schedule(half, world.end_ns, 3 * DAY_NS))


def worlds(world_of: Callable[[str, int], World], names: Sequence[str]) -> None:
    """Choose in one market of every world, test in another, and print both."""
    spec = MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"])
    early = [scored(*_simulated(world_of(name, 2), 2), spec, {}) for name in names]
    chosen = _chosen([{k: np.nanmean(v, axis=1) for k, v in one.items()} for one in early])
    default = {name: _default(name) for name in chosen}
    only = {name: sorted({chosen[name], default[name]}) for name in chosen}
    late = [scored(*_simulated(world_of(name, 1000), 1000), spec, {}, only) for name in names]
    print("\nSimulated worlds, market 1000 of each\n")
    _table(chosen, default, [{k: np.nanmean(v, axis=1) for k, v in one.items()} for one in late])


def recorded() -> None:
    """Choose on the first half of the recorded snapshots, test on the second."""
    if "LIQBT_DATA" not in os.environ:
        print("positions need the real data: set LIQBT_DATA")
        return
    path = HERE.parent.parent / "experiments" / "hyperliquid-positions-2026-02.yaml"
    experiment = load_experiment(path)
    found = positions(Path(os.environ["LIQBT_DATA"]) / "hyperliquid/positions-2026-02.parquet")
    early, late = [], []
    with TemporaryDirectory() as folder:
        origin = open_events(experiment, path, Path(folder), silent)
        for symbol, tape in market_tapes(origin, experiment, Path(folder)).items():
            true = recorded_maps(found, symbol)
            common = {"sigma_sampling": HOUR_NS}
            every = scored(tape, true, market_spec(experiment, symbol), common)
            cut = len(true.at) // 2
            early.append({k: np.nanmean(v[:, :cut], axis=1) for k, v in every.items()})
            late.append({k: np.nanmean(v[:, cut:], axis=1) for k, v in every.items()})
    chosen = _chosen(early)
    print("\nRecorded positions, BTC and ETH, second half of the snapshots\n")
    _table(chosen, {name: _default(name) for name in chosen}, late)


def _chosen(early: Sequence[Scores]) -> dict[str, int]:
    """Return the number of the configuration of each estimator that was nearest before the test."""
    names = dict.fromkeys(name for name, _ in early[0])
    sums = {key: sum(float(one[key].sum()) for one in early) for key in early[0]}
    return {
        name: min((k for k in sums if k[0] == name), key=lambda key: (sums[key], key[1]))[1]
        for name in names
    }


def _default(name: str) -> int:
    """Return which of the nine is the default."""
    cls, params = configurations({})[name]
    plain = _oi_flow({}, 1.0, 1.0) if cls is OIFlow else cls.Params()
    return params.index(plain)


def _table(chosen: Mapping[str, int], default: Mapping[str, int], late: Sequence[Scores]) -> None:
    heads = " | ".join(f"±{r:.0%} default | ±{r:.0%} tuned | less levmix" for r in REACHES)
    print(f"| estimator | tried | chosen | {heads} |")
    print("|---" * (3 + 3 * len(REACHES)) + "|")
    first = np.array([one["levmix", chosen["levmix"]] for one in late])
    for name, i in chosen.items():
        before = np.array([one[name, default[name]] for one in late])
        after = np.array([one[name, i] for one in late])
        cells = []
        for k in range(len(REACHES)):
            cells += [f"{before[:, k].mean():.2f}", f"{after[:, k].mean():.2f}"]
            apart = after[:, k] - first[:, k]
            shown, n = f"{apart.mean():+.2f}", len(apart)
            half = t.ppf(0.975, n - 1) * apart.std(ddof=1) / np.sqrt(n)
            ends = f" [{apart.mean() - half:+.2f}, {apart.mean() + half:+.2f}]"
            cells.append(shown + ends if n > 2 else shown)
        cls, params = configurations({})[name]
        print(f"| {name} | {len(params)} | {_words(params[i], cls)} | {' | '.join(cells)} |")


def _words(params: Any, cls: Any) -> str:
    """Return what of a configuration differs from the defaults."""
    if cls is OIFlow:
        low, life = params.brackets[0].leverage, params.brackets[0].half_life / HOUR_NS
        return f"lowest bracket {low:g}×, {life:g} h"
    plain = cls.Params()
    differs = [
        f"{name} {_value(getattr(params, name))}"
        for name in params.__dataclass_fields__
        if getattr(params, name) != getattr(plain, name)
    ]
    return ", ".join(differs) or "the default"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(_value(one) for one in value)
    if isinstance(value, int) and value >= HOUR_NS:
        return f"{value / DAY_NS:g} d"
    return f"{value:g}"


def tuning(world_of: Callable[[str, int], World], names: Sequence[str]) -> None:
    """Print both tables."""
    worlds(lambda name, n: replace(world_of(name, n), days=90), names)
    recorded()

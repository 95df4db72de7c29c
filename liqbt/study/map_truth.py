"""`liqbt truth`: how far an experiment's maps lie from the truth, beside everybody else's.

Three kinds of truth: the positions of a simulated market, recorded positions of a real one, and
what was liquidated. An estimator is asked at the instants of the truth and sees what was known
before them, as in any replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.errors import ConfigError, DataError
from liqbt.estimators.census import Census
from liqbt.estimators.config import MapParams
from liqbt.evaluation.cascades import FORCED
from liqbt.evaluation.claims import location
from liqbt.evaluation.crossings import STEP
from liqbt.evaluation.forced_models import FIRST_DAYS
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.path import PricePath
from liqbt.replay import Estimator, replay, replay_many, schedule
from liqbt.simulate.effects.maps import mass_by_distance
from liqbt.simulate.market import simulate
from liqbt.simulate.truth import Truth
from liqbt.sources.hyperliquid.positions import Positions, positions
from liqbt.study.contestants import Contestants, contestants
from liqbt.study.estimator_config import EstimatorConfig, stated
from liqbt.study.events import open_events
from liqbt.study.map_distances import BINS, WIDTH, TrueMaps, distance_rows, profiles
from liqbt.study.pipeline import outcome_path, study
from liqbt.study.plan import market_tapes
from liqbt.study.progress import Stage, silent
from liqbt.study.schema import Experiment, load_experiment
from liqbt.tape.positions import price_only_tape
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, HOUR_NS, Events, FloatArray, IntArray, Kind

_BESIDE: Final = ("baseline", "rival", "reference")
"""Who is asked what was liquidated; structures and nulls are claims' own opponents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapTruth:
    """What `liqbt truth` finds.

    Attributes
    ----------
    experiment : str
        Its name.
    distances : list of mapping
        From `distance_rows`, of every market and kind of truth.
    liquidations : list of mapping
        Location's statistics by market, estimator and statistic; empty where none were observed, or
        for less than models learn from.
    coverage : mapping of str to mapping of str to tuple of float
        By market and estimator that says it (a census): which share of open interest it holds at
        the last instant of the truth, of longs and of shorts.
    left_out : mapping of str to str
        Why, of those that cannot be asked, in one market at least; and of `location`.
    """

    experiment: str
    distances: list[dict[str, Any]]
    liquidations: list[dict[str, Any]]
    coverage: Mapping[str, Mapping[str, tuple[float, float]]]
    left_out: Mapping[str, str]


def map_truth(
    path: Path,
    results: Path,
    *,
    recorded: Path | None = None,
    liquidations: bool = True,
    stage: Stage = silent,
) -> MapTruth:
    """Hold an experiment's maps, and everybody else's, against every truth that there is.

    Parameters
    ----------
    path : Path
        The experiment's YAML. Where its data is a simulated world, the truth is made again, and
        maps are compared once a day in the second half.
    results : Path
        Folder of all runs, for the caches.
    recorded : Path, optional
        Recorded positions (`liqbt.sources.hyperliquid.positions`); markets are those whose name is
        a coin of it. Maps are compared at every snapshot.
    liquidations : bool
        Whether location's statistics of the hours are asked too, where the experiment has
        liquidations; single ones are, in any case.
    stage : callable
        Progress.

    Raises
    ------
    LiqbtError
        If the experiment cannot be run, or there is no truth to hold it against.
    """
    experiment = load_experiment(path)
    origin = open_events(experiment, path, results / ".cache", stage)
    tapes = market_tapes(origin, experiment, results / ".cache")
    truths: dict[str, list[TrueMaps]] = {symbol: [] for symbol in tapes}
    left_out: dict[str, str] = {}
    if recorded is not None:
        found = positions(recorded)
        named = [symbol for symbol in tapes if symbol in found.coins]
        if not named:
            raise DataError(
                f"{recorded}: holds positions in {', '.join(found.coins)}; expected a coin that is "
                f"a market of {experiment.name}: {', '.join(tapes)}"
            )
        for symbol in named:
            truths[symbol].append(recorded_maps(found, symbol))
    if origin.world is not None:
        stage("truth", 0, 1)
        market = simulate(origin.world, seed=experiment.data.seed)
        for symbol in tapes:
            events = experiment.symbols[symbol].events
            truth = market.truth[events[experiment.symbols[symbol].price_kind][0].symbol]
            half = (origin.world.start_ns + origin.world.end_ns) // 2
            times = schedule(half, origin.world.end_ns, DAY_NS)
            truths[symbol].insert(0, simulated_maps(truth, times))
        stage("truth", 1, 1)
    for symbol, tape in tapes.items():
        if Kind.LIQUIDATION in experiment.symbols[symbol].events:
            path_of = outcome_path(experiment, symbol, tape)
            truths[symbol].append(liquidated_maps(tape.events, path_of))
    truths = {symbol: [within(true, experiment) for true in t] for symbol, t in truths.items()}
    truths = {symbol: [true for true in t if len(true.at)] for symbol, t in truths.items()}
    forced = _observed(experiment, tapes, left_out) if liquidations else ()
    if not any(truths.values()) and not forced:
        raise ConfigError(
            f"{experiment.name}: there is no truth in its period to hold its maps against: its "
            "data is no simulated world, no positions are given (--positions) and no market has "
            "liquidations"
        )
    rows: list[dict[str, Any]] = []
    coverage: dict[str, dict[str, tuple[float, float]]] = {}
    for symbol, several in truths.items():
        for true in several:
            beside = contestants(experiment, symbol)
            left_out |= beside.left_out
            maps = asked(tapes[symbol], beside, true)
            stage(f"maps {symbol}", 1, 1)
            rows += distance_rows(maps, beside.kinds, true, symbol)
            says = {n: one for n, one in beside.told.items() if isinstance(one, Census)}
            coverage |= {symbol: {n: one.coverage() for n, one in says.items()}} if says else {}
    told = _liquidations(experiment, tapes, forced, left_out, stage) if forced else []
    return MapTruth(
        experiment=experiment.name,
        distances=rows,
        liquidations=told,
        coverage=coverage,
        left_out=left_out,
    )


def asked(tape: Tape, beside: Contestants, true: TrueMaps) -> dict[str, FloatArray]:
    """Return everybody's maps at the instants of the truth, by name; the experiment's own first.

    Who issued nothing at any of them is left out.
    """
    issued = replay_many(tape, beside.told, true.at)
    alone = price_only_tape(tape)
    twins = {name: replay(alone, one, true.at) for name, one in beside.twins.items()}
    every = {**issued, **twins}
    return {name: profiles(forecasts, true) for name, forecasts in every.items() if forecasts}


def within(true: TrueMaps, experiment: Experiment) -> TrueMaps:
    """Return what is true in an experiment's period: nothing of a sealed holdout is looked at."""
    start, end = experiment.schedule.start, experiment.last
    inside = np.ones(len(true.at), dtype=bool)
    inside &= True if start is None else true.at >= start
    inside &= True if end is None else true.at + max(true.span_ns - 1, 0) < end
    if inside.all():
        return true
    return replace(
        true,
        at=true.at[inside],
        price=true.price[inside],
        usd=true.usd[inside],
        holders=true.holders[inside],
        crossed=None if true.crossed is None else true.crossed[inside],
    )


def simulated_maps(truth: Truth, times: IntArray) -> TrueMaps:
    """Return the true map of a simulated market at each time that it has a snapshot of."""
    i = np.flatnonzero(np.isin(truth.snapshot_ns, times))
    usd = np.array(
        [
            mass_by_distance(
                truth.density_usd[k],
                truth.grid,
                int(truth.mark_bin[k]),
                price=float(truth.snapshot_mark[k]),
                width=WIDTH,
                bins=BINS,
            )
            for k in i.tolist()
        ]
    ).reshape(-1, 2, BINS)
    return TrueMaps(
        what="simulated",
        at=truth.snapshot_ns[i],
        price=truth.snapshot_mark[i],
        usd=usd,
        holders=np.full_like(usd, np.nan),
    )


def recorded_maps(found: Positions, coin: str) -> TrueMaps:
    """Return the true map of a coin at each snapshot of recorded positions.

    A position lies at its liquidation price, with its notional there; one that no price closes, and
    one that is on the wrong side of the mark, lies nowhere.
    """
    mine = found.coin == found.coins.index(coin)
    at, of = np.unique(found.snapshot_ns[mine], return_inverse=True)
    price = np.zeros(len(at))
    price[of] = found.mark_usd[mine]
    level, side = found.liquidation_usd[mine], found.side[mine]
    usd, squares, _ = _laid_out(price[of], level, side, found.size_coins[mine] * level, of, WIDTH)
    return TrueMaps(what="positions", at=at, price=price, usd=usd, holders=squares)


def liquidated_maps(events: Events, path: PricePath) -> TrueMaps:
    """Return what single liquidations of an hour closed, each at its own price, hour by hour.

    Of a side it is compared from the price at the hour's start to where the hour's path, or the
    price of a liquidation, went farthest: points five minutes apart miss extremes, and the
    bankruptcy prices that some venues publish lie beyond the mark. A liquidation on the wrong side
    of the price at the start closed what the hour itself opened: no map made before can hold it,
    and it lies nowhere; nor does one beyond 6 %. Hours without a watched path are left out.
    """
    rows = events[events["kind"] == Kind.LIQUIDATION]
    at = np.unique(rows["ts_event"] // HOUR_NS * HOUR_NS)
    first, stop = (np.searchsorted(path.end_ns, at + h, "right") for h in (0, HOUR_NS))
    watched = (first > 0) & (stop > first)
    watched &= at - path.end_ns[np.maximum(first - 1, 0)] < path.max_gap_ns
    at, first, stop = at[watched], first[watched], stop[watched]
    price = path.close[first - 1]
    of = np.searchsorted(at, rows["ts_event"], "right") - 1
    inside = (of >= 0) & (rows["ts_event"] - at[np.maximum(of, 0)] < HOUR_NS)
    rows, of = rows[inside], of[inside]
    notional = rows["p0"] * rows["p1"]
    usd, squares, farthest = _laid_out(price[of], rows["p0"], rows["side"], notional, of, STEP)
    low, high = window_extremes(np.log(path.low), np.log(path.high), first, stop)
    moved = np.column_stack([np.log(price) - low, high - np.log(price)])
    return TrueMaps(
        what="liquidations",
        at=at,
        price=price,
        usd=usd,
        holders=squares,
        width=STEP,
        span_ns=HOUR_NS,
        crossed=np.where(farthest > 0.0, np.maximum(moved, farthest), 0.0),
    )


def _laid_out(
    price: FloatArray, level: FloatArray, side: IntArray, notional: FloatArray, of: IntArray,
    width: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Return notional and its squares by instant, side and distance, and the farthest distance."""
    with np.errstate(invalid="ignore"):
        away = -side * np.log(level / price)
    n = int(of.max(initial=-1)) + 1
    usd, squares, farthest = np.zeros((n, 2, BINS)), np.zeros((n, 2, BINS)), np.zeros((n, 2))
    near = (away > 0.0) & (away < BINS * width)
    at = (of[near], (side[near] < 0).astype(np.int64))
    where = (*at, (away[near] / width).astype(np.int64))
    np.add.at(usd, where, notional[near])
    np.add.at(squares, where, notional[near] ** 2)
    np.maximum.at(farthest, at, away[near])
    return usd, squares, farthest


def _observed(
    experiment: Experiment, tapes: Mapping[str, Tape], left_out: dict[str, str]
) -> tuple[str, ...]:
    """Return the markets whose liquidations reach farther than models learn from before they score.

    Why the others are not asked is left in `left_out`.
    """
    named = []
    for symbol, market in experiment.symbols.items():
        kind = next((kind for kind in FORCED if kind in market.events), None)
        if kind is None:
            continue
        ts = tapes[symbol].events["ts_event"][tapes[symbol].events["kind"] == kind]
        if len(ts) and int(np.ptp(ts)) > FIRST_DAYS * DAY_NS:
            named.append(symbol)
        else:
            left_out["location"] = (
                f"liquidations of {symbol} do not reach beyond the {FIRST_DAYS} days that its "
                "models learn from first"
            )
    return tuple(named)


def _liquidations(
    experiment: Experiment,
    tapes: Mapping[str, Tape],
    symbols: Sequence[str],
    left_out: dict[str, str],
    stage: Stage,
) -> list[dict[str, Any]]:
    """Return what each map tells of the hours' liquidations, by location's statistics."""
    named = {symbol: experiment.symbols[symbol] for symbol in symbols}
    sides = [contestants(experiment, symbol) for symbol in named]
    for one in sides:
        left_out |= one.left_out
    shared = _map_keys(next(iter(experiment.estimators.values())))
    able: Mapping[str, Estimator] = sides[0].told
    others = {
        name: EstimatorConfig(use=name, params=shared)
        for name in able
        if sides[0].kinds[name] in _BESIDE and all(name in one.told for one in sides)
    }
    wider = experiment.model_copy(
        update={"symbols": named, "estimators": {**experiment.estimators, **others}}
    )
    done = study(wider, {s: tapes[s] for s in named}, statistics=location.STATISTICS, stage=stage)
    rows = []
    for name, evaluation in done.evaluations.items():
        for detail in evaluation.details:
            score = detail.score
            rows.append(
                {
                    "symbol": score.symbol,
                    "estimator": name,
                    "kind": sides[0].kinds[name],
                    "statistic": score.statistic,
                    "value": score.value,
                    "ci_low": score.ci_low,
                    "ci_high": score.ci_high,
                    "n_days": score.n_days,
                    "n_episodes": score.n_episodes,
                }
            )
    return rows


def _map_keys(config: EstimatorConfig) -> dict[str, Any]:
    """Return what an estimator's configuration states of what all maps share."""
    names = {field.name for field in fields(MapParams)}
    return {name: value for name, value in stated(config).items() if name in names}

"""What a run's folder holds beside its scores: tables of rows, and tables of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.config.fields import duration_ns
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.clusters import FACT_DTYPE, cluster_facts
from liqbt.evaluation.config import PRIMARY_NS, EvaluationConfig
from liqbt.evaluation.evaluate import Evaluation
from liqbt.evaluation.evidence import LEVELS, Evidence, chances_of
from liqbt.evaluation.inference.days import DaySums, draw, stream
from liqbt.evaluation.inference.estimates import POOLED, ScoreDetail
from liqbt.evaluation.inference.markets import equivalent_markets
from liqbt.evaluation.levels import VISIT_DTYPE
from liqbt.evaluation.paired import (
    PairedDifference,
    can_be_paired,
    days_together,
    paired_difference,
)
from liqbt.evaluation.probability import corp, reliability
from liqbt.forecasts import (
    cluster_counts,
    column,
    joined_clusters,
    joined_intervals,
    markets,
)
from liqbt.learn.models import VisitModels, VisitPredictions
from liqbt.study.executors import Executor, serially
from liqbt.study.pipeline import Study
from liqbt.study.store import (
    GROUP,
    KEY,
    SUMS,
    Key,
    Part,
    forecast_tables,
    key_of,
    row_groups,
    structured_table,
    write_streamed,
)
from liqbt.types import CLUSTER_DTYPE, FloatArray, Forecast, Side

_LEVEL_FILES = {"units": "visits.parquet", "clusters": "cluster_visits.parquet"}


def run_tables(
    done: Study, sensitivities: Sequence[Mapping[str, Any]]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return what stands beside the verdicts in a run's `tables.json`: of the first estimator."""
    first = done.first
    observed = first.evidence.observed
    return {
        "flow": [asdict(row) for row in observed.flow],
        "landmarks": [asdict(row) for row in observed.landmarks],
        "bands": [asdict(row) for row in first.bands],
        "sensitivities": sensitivities,
        "compared": list(_compared(done)),
        **_pooling(done),
        **_visit_tables(first.evidence),
    }


def _pooling(done: Study) -> dict[str, list[dict[str, Any]]]:
    """Return how many independent markets each pooled row is worth; nothing where there is one."""
    if len(done.first.evidence.markets) < 2:
        return {}
    parts: dict[Key, list[DaySums]] = {}
    for key, days in _day_rows(done.evaluations):
        if key.symbol != POOLED and days.n_days and not statistic_of(key.statistic).total:
            parts.setdefault(key._replace(symbol=POOLED), []).append(days)
    rows = [
        {
            **key._asdict(),
            "markets": len(held),
            "equivalent": equivalent_markets(held, duration_ns(key.horizon)),
        }
        for key, held in parts.items()
    ]
    return {"pooling": rows}


def _compared(done: Study) -> Iterator[dict[str, Any]]:
    """Yield how every other estimator's rows differ from the first one's, paired by day.

    Counts are no ratios of day sums; records that share too few days are about different times.
    """
    (base_name, base), *others = done.evaluations.items()
    if not others:
        return
    held = {key_of(one.score)[1:]: one for one in base.details}
    for name, evaluation in others:
        for one in evaluation.details:
            key = key_of(one.score)
            found = paired(one, held.get(key[1:]), base.evidence)
            if found is not None:
                yield {**key._asdict(), "estimator": name, "base": base_name, **asdict(found)}


def paired(
    one: ScoreDetail, base: ScoreDetail | None, evidence: Evidence
) -> PairedDifference | None:
    """Return how a row differs from one of the same events, day by day; None where neither can say.

    Parameters
    ----------
    one, base : ScoreDetail
        Of the same statistic, market, horizon and side.
    evidence : Evidence
        Whose protocol and root seed the bootstrap takes.
    """
    mine, theirs = one.days, None if base is None else base.days
    statistic = statistic_of(one.score.statistic)
    if statistic.total or mine is None or theirs is None or not can_be_paired(mine, theirs):
        return None
    rng = stream(evidence.root, "bootstrap", statistic.drawn)
    n_days = days_together(mine, theirs)
    draws = draw(rng, reps=evidence.config.bootstrap_reps, n_days=n_days)
    return paired_difference(mine, theirs, duration_ns(one.score.horizon), draws)


def _visit_tables(evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """Return reliability and Brier parts of the probabilities that clusters are visited."""
    table, held, use = _ready(evidence, "clusters")
    if not use.any():
        return {"reliability": [], "corp": []}
    visited = table["visited"][use].astype(np.float64)
    rng = stream(evidence.root, "bootstrap", "reliability")
    n_days = int(np.ptp(table["at"][use] // PRIMARY_NS)) + 2
    draws = draw(rng, reps=evidence.config.bootstrap_reps, n_days=n_days)
    bins, parts = [], []
    for name, p in held.items():
        found = reliability(p[use], visited, table["at"][use], PRIMARY_NS, draws)
        for row in found:
            if row.frequency.n_episodes:
                frequency = asdict(row.frequency)
                bins.append(
                    {
                        "probability": name,
                        "low": row.low,
                        "high": row.high,
                        "mean_probability": row.mean_probability,
                        "frequency": row.frequency.value,
                        **{key: frequency[key] for key in ("ci_low", "ci_high", "n_episodes")},
                    }
                )
        parts.append({"probability": name, **asdict(corp(p[use], visited))})
    return {"reliability": bins, "corp": parts}


def _ready(
    evidence: Evidence, kind: str
) -> tuple[npt.NDArray[Any], dict[str, FloatArray], npt.NDArray[np.bool_]]:
    """Return levels, every probability of them by its name, and which fitted models scored."""
    table, issued = evidence.levels(kind)
    brownian = np.clip(table["brownian"], 1e-9, 1.0 - 1e-9)
    return table, {**issued.p, "brownian": brownian}, table["scored"] & (issued.n_trained > 0)


def run_parquet(
    done: Study,
    kept: Mapping[str, Sequence[Path]] | None = None,
    current: Mapping[str, Sequence[Path]] | None = None,
    executor: Executor = serially,
) -> dict[str, Sequence[Part]]:
    """Return the tables of a run folder, by file name; a row says whose forecasts it is about.

    Parameters
    ----------
    done : Study
        The study, scored.
    kept : mapping of str to sequence of Path, optional
        Files that hold what `issued_tables` and `clusters_table` give of each estimator and market,
        where the study holds it no more.
    current : mapping of str to sequence of Path, optional
        Then, by estimator, its clusters as levels, a file a market (`Evidence.current_of`).
    executor : callable
        Where they are made, a task a market; it changes no byte.
    """
    tables: dict[str, list[Part]] = {name: list(files) for name, files in (kept or {}).items()}
    for number, (name, evaluation) in enumerate(done.evaluations.items()):
        evidence = evaluation.evidence
        made, n = _learnt_tables(evidence), len(evidence.symbols)
        if kept is None or current is None:
            issued, found = done.forecasts[name], evidence.chances
            every = [f for each in issued.values() for f in each]
            for file, parts in issued_tables(evidence, every).items():
                made[file] = pa.concat_tables(parts)
            stated = [
                _stated([clusters_table(issued[s])], found[found["symbol"] == i])
                for i, s in enumerate(evidence.symbols)
            ]
            made["clusters.parquet"] = pa.concat_tables(chain.from_iterable(stated))
        else:
            mine = slice(number * n, (number + 1) * n)
            tasks = list(zip(kept["clusters.parquet"][mine], current[name], strict=True))
            work = partial(_clusters_stated, evidence.visit_models, evidence.config)
            tables["clusters.parquet"][mine] = executor(work, tasks)
        for file, table in made.items():
            tables.setdefault(file, []).append(of_estimator(table, name))
    first = done.first.evidence
    prices = [
        pa.table(
            {
                "symbol": pa.array([market.symbol] * len(market.path), pa.string()),
                "ts": market.path.end_ns,
                "low": market.path.low,
                "high": market.path.high,
                "close": market.path.close,
            }
        )
        for market in first.markets
    ]
    return {
        **tables,
        "prices.parquet": prices,
        **_funding_table(first),
        "days.parquet": [days_table(done.evaluations)],
    }


def of_estimator(table: pa.Table, name: str) -> pa.Table:
    """Return a table that says whose forecasts it is about."""
    return table.append_column("estimator", pa.array([name] * table.num_rows, pa.string()))


def _funding_table(evidence: Evidence) -> dict[str, Sequence[Part]]:
    """Return the funding that was fed, by market; nothing where there was none."""
    fed = [
        pa.table(
            {
                "symbol": pa.array([market.symbol] * len(market.funding.rate), pa.string()),
                "ts_known": market.funding.known_ns,
                "rate": market.funding.rate,
            }
        )
        for market in evidence.markets
        if market.funding is not None
    ]
    return {"funding.parquet": fed} if fed else {}


def issued_tables(
    evidence: Evidence, issued: Sequence[Forecast], first: int = 0
) -> dict[str, Iterator[pa.Table]]:
    """Return what an estimator issued, and what befell it, by file name, some rows at a time.

    Parameters
    ----------
    evidence : Evidence
        Of one estimator, forecasts held.
    issued : sequence of Forecast
        Everything that it issued, market by market.
    first : int
        The number of the first market among all.
    """

    def befell() -> Iterator[pa.Table]:
        outcomes, names = evidence.observed.outcomes, np.array(evidence.symbols)
        for i in range(0, max(len(outcomes), 1), GROUP):
            rows = outcomes[i : i + GROUP].copy()
            market = names[rows["symbol"]]
            rows["symbol"] += first
            yield structured_table(rows, {"market": market})

    return {"forecasts.parquet": forecast_tables(issued), "outcomes.parquet": befell()}


def _learnt_tables(evidence: Evidence) -> dict[str, pa.Table]:
    """Return what was learnt of all markets together, by file name."""
    rows, names = evidence.first_sides, np.array(evidence.symbols)
    tables = {"first_sides.parquet": structured_table(rows, {"market": names[rows["symbol"]]})}
    if PRIMARY_NS in evidence.config.horizons_ns:
        for kind in LEVELS:
            rows, predictions = evidence.levels(kind)
            use = predictions.n_trained > 0
            if kind == "units":
                use &= rows["scored"]
            tables[_LEVEL_FILES[kind]] = _levels_table(
                rows[use], predictions, use, evidence.symbols
            )
    return tables


def _clusters_stated(
    models: VisitModels | None, config: EvaluationConfig, task: tuple[Path, Path]
) -> Path:
    """Write an estimator's `clusters_table` of a market beside that file, with its P(visit)."""
    file, current = task
    chances = chances_of(np.fromfile(current, VISIT_DTYPE), models, config)
    path = file.with_name(f"{file.name}-stated")
    write_streamed(path, _stated(row_groups(file), chances))
    return path


def _stated(parts: Iterable[pa.Table], chances: npt.NDArray[Any]) -> Iterator[pa.Table]:
    """Yield parts of one market's `clusters_table`, in order, with what was issued for them.

    Raises
    ------
    ValueError
        If they are not the clusters that it was issued for.
    """
    at, first = np.unique(chances["at"]), 0
    for part in parts:
        here = np.isin(part["at"].to_numpy(), at)
        rows = chances[first : first + int(here.sum())]
        first += len(rows)
        if len(rows) != np.count_nonzero(here):
            raise ValueError("clusters: there are more of them than were looked at")
        for name in ("p", "p_placebo"):
            values = np.full(len(here), np.nan)
            values[here] = rows[name]
            part = part.set_column(part.column_names.index(name), name, pa.array(values))
        yield part
    if first != len(chances):
        raise ValueError("clusters: more of them were looked at than there are")


def clusters_table(issued: Sequence[Forecast]) -> pa.Table:
    """Return a row for each cluster of each forecast, its P(visit) still missing (NaN).

    Besides what the map says of them (`FACT_DTYPE`) and how sure their notional is.

    Parameters
    ----------
    issued : sequence of Forecast
        Of one market, in order of issue.
    """
    rows = joined_clusters(issued)
    sizes = cluster_counts(issued)
    at, mark, sigma = (np.repeat(column(issued, n), sizes) for n in ("at", "mark", "sigma_1d"))
    near = np.where(rows["side"] == Side.SHORT, rows["low"], rows["high"])
    facts, ends = cluster_facts(issued), joined_intervals(issued)
    columns = {
        "symbol": pa.array(np.repeat(np.array(markets(issued), object), sizes), pa.string()),
        "at": at,
        "mark": mark,
        **{name: np.ascontiguousarray(rows[name]) for name in CLUSTER_DTYPE.names or ()},
        "distance": near / mark - 1.0,
        "distance_sigma": np.log(near / mark) / sigma,
        "p": np.full(len(rows), np.nan),
        "p_placebo": np.full(len(rows), np.nan),
        **{name: np.ascontiguousarray(facts[name]) for name in FACT_DTYPE.names or ()},
        "notional_low_usd": ends[:, 0],
        "notional_high_usd": ends[:, 1],
    }
    return pa.table(columns)


def _levels_table(
    rows: npt.NDArray[Any],
    issued: VisitPredictions,
    use: npt.NDArray[np.bool_],
    symbols: Sequence[str],
) -> pa.Table:
    """Return levels with what fitted models issued for them; `visited` is -1 where none can say."""
    names = np.array([*symbols, ""])[rows["symbol"]]
    columns = ["at", "side", "band", "distance_sigma", "density_rank", "visited", "brownian"]
    rows = rows.copy()
    rows["visited"][~rows["scored"]] = -1
    kept = structured_table(rows[columns], {"symbol": pa.array(names.tolist(), pa.string())})
    for name, p in (("p", "full"), ("p_ablated", "ablated")):
        kept = kept.append_column(name, pa.array(issued.p[p][use]))
    return kept


def days_table(evaluations: Mapping[str, Evaluation]) -> pa.Table:
    """Return the day sums of every row of scores that has a value."""
    rows = list(_day_rows(evaluations))
    columns: dict[str, Any] = {
        name: pa.array([key[i] for key, _ in rows], pa.string()) for i, name in enumerate(KEY)
    }
    sums = [days for _, days in rows]
    columns["first_day"] = pa.array([one.first_day for one in sums], pa.int64())
    columns["n_units"] = pa.array([one.units for one in sums], pa.int64())
    columns["freedom"] = pa.array([one.freedom for one in sums], pa.float64())
    for name in SUMS:
        parts = [getattr(one, name) for one in sums]
        columns[name] = pa.array(parts, pa.list_(pa.float64()))
    return pa.table(columns)


def _day_rows(
    evaluations: Mapping[str, Evaluation],
) -> Iterator[tuple[Key, DaySums]]:
    for evaluation in evaluations.values():
        for one in evaluation.details:
            if one.days is not None and np.isfinite(one.score.value):
                yield key_of(one.score), one.days

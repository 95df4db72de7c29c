"""P(visit) in a run: the levels, what was issued for them, its scores and its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.calibrate.visits import ForeseenVisits, foresee_visits
from liqbt.calibrate.walk import ModelOptions
from liqbt.config.schema import EvaluationOptions, Experiment
from liqbt.evaluation.claims.direction import MODEL_HORIZON_NS
from liqbt.evaluation.claims.visit import Visits, cluster_levels, unit_levels, visit_scores
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evaluate import Evaluation, observe
from liqbt.replay import copied, replay
from liqbt.study import pipeline
from liqbt.study.estimators import build_estimator
from liqbt.study.pipeline import Issued, Slicer, evaluation_config, forecast_times, market_input
from liqbt.study.store import structured_table
from liqbt.tape.values import Tape
from liqbt.types import Forecast, Ns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunVisits:
    """What a run keeps of the probabilities of visits.

    Attributes
    ----------
    visits : Visits
        Scores, reliability and the parts of the Brier scores.
    parquet : dict of str to pyarrow.Table
        By file name: `visits.parquet` (units that were scored by fitted models) and
        `cluster_visits.parquet`.
    """

    visits: Visits
    parquet: dict[str, pa.Table]

    @property
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What stands in a run's `tables.json`: `reliability` and `corp`."""
        bins = [
            {
                "probability": name,
                "low": row.low,
                "high": row.high,
                "mean_probability": row.mean_probability,
                "frequency": row.frequency.value,
                "ci_low": row.frequency.ci_low,
                "ci_high": row.frequency.ci_high,
                "n_episodes": row.frequency.n_episodes,
            }
            for name, rows in self.visits.reliability.items()
            for row in rows
            if row.frequency.n_episodes
        ]
        parts = [
            {
                "probability": name,
                "score": one.score,
                "miscalibration": one.miscalibration,
                "discrimination": one.discrimination,
                "uncertainty": one.uncertainty,
            }
            for name, one in self.visits.corp.items()
        ]
        return {"reliability": bins, "corp": parts}


def visit_foresight(
    options: EvaluationOptions,
) -> Callable[[npt.NDArray[Any]], ForeseenVisits]:
    """Return what issues probabilities of visits, walking forward."""
    return partial(foresee_visits, options=ModelOptions(ridge=options.ridge))


def run_visits(
    markets: Sequence[MarketInput],
    before: Sequence[MarketInput],
    outcomes: npt.NDArray[Any],
    config: EvaluationConfig,
    options: EvaluationOptions,
    rng: np.random.Generator,
) -> RunVisits:
    """Issue and score the probabilities of visits; none where the primary horizon is not scored.

    Parameters
    ----------
    markets, before : sequence of MarketInput
        What is scored, and what was issued before: that is learnt from alone.
    outcomes : ndarray of OUTCOME_DTYPE
        Of what is scored.
    config, options
        The protocol as evaluation takes it, and as it is configured.
    rng : numpy.random.Generator
        For the bootstrap.
    """
    if MODEL_HORIZON_NS not in config.horizons_ns:
        return RunVisits(visits=Visits(details=(), reliability={}, corp={}), parquet={})
    foresee = visit_foresight(options)
    units, clusters = unit_levels(markets, config), cluster_levels(outcomes, markets, config)
    early = (units[:0], clusters[:0])
    if before:
        past = observe(before, config).outcomes
        early = (unit_levels(before, config), cluster_levels(past, before, config))
    issued = [
        foresee(np.concatenate([old, new])).after(len(old))
        for old, new in zip(early, (units, clusters), strict=True)
    ]
    symbols = [market.symbol for market in markets]
    visits = visit_scores((units, issued[0]), (clusters, issued[1]), symbols, config, rng)
    parquet = {
        "visits.parquet": _table(units, issued[0], symbols),
        "cluster_visits.parquet": _table(clusters, issued[1], symbols),
    }
    return RunVisits(visits=visits, parquet=parquet)


def _table(rows: npt.NDArray[Any], issued: ForeseenVisits, symbols: Sequence[str]) -> pa.Table:
    """Return the levels that were scored by fitted models, with what was issued for them."""
    use = rows["scored"] & (issued.n_trained > 0)
    names = np.array([*symbols, ""])[rows["symbol"][use]]
    columns = ["at", "side", "band", "distance_sigma", "density_rank", "visited", "brownian"]
    kept = structured_table(rows[use][columns], {"symbol": pa.array(names.tolist(), pa.string())})
    for name, p in (("p", "full"), ("p_ablated", "ablated")):
        kept = kept.append_column(name, pa.array(issued.p[p][use]))
    return kept


def with_visits(evaluation: Evaluation, found: RunVisits) -> Evaluation:
    """Return the evaluation with the scores of the probabilities of visits behind the others."""
    details = found.visits.details
    return replace(
        evaluation,
        scores=(*evaluation.scores, *(one.score for one in details)),
        details=(*evaluation.details, *details),
    )


def issue(
    experiment: Experiment,
    symbol: str,
    tape: Tape,
    until: Ns | None = None,
    slicer: Slicer = copied,
) -> list[Issued]:
    """Return everything that is issued for one market, in order.

    Parameters
    ----------
    experiment, symbol, tape
        What to run, on which events.
    until : int, optional
        Last time of issue.
    slicer : callable
        How slices are cut for the estimator.
    """
    times = forecast_times(experiment, tape, until)
    forecasts = replay(tape, build_estimator(experiment, symbol), times, slicer=slicer)
    return issued_items(experiment, symbol, forecasts, tape, slicer)


def issued_items(
    experiment: Experiment,
    symbol: str,
    forecasts: Sequence[Forecast],
    tape: Tape,
    slicer: Slicer = copied,
) -> list[Issued]:
    """Return what follows from forecasts that were issued: probabilities of visits among it."""
    items = pipeline.issued_items(experiment, symbol, forecasts, tape, slicer)
    market = market_input(experiment, symbol, forecasts, tape)
    config = evaluation_config(experiment)
    if market.forecasts and MODEL_HORIZON_NS in config.horizons_ns:
        foresee = visit_foresight(experiment.evaluation)
        outcomes = observe([market], config).outcomes
        for what, rows in (
            (f"P(visit) of units {symbol}", unit_levels([market], config)),
            (f"P(visit) of clusters {symbol}", cluster_levels(outcomes, [market], config)),
        ):
            items += list(_items(what, rows, foresee(rows)))
    return sorted(items, key=lambda item: (item.at, item.what))


_KNOWN_LATER = frozenset({"scored", "visited"})


def _items(what: str, rows: npt.NDArray[Any], issued: ForeseenVisits) -> Iterator[Issued]:
    """Yield what was known and issued at each time."""
    starts = np.flatnonzero(np.diff(rows["at"], prepend=-1))
    stops = np.append(starts[1:], len(rows))
    known = [name for name in rows.dtype.names or () if name not in _KNOWN_LATER]
    for start, stop in zip(starts, stops, strict=True):
        mine = rows[start:stop]
        fields = {name: mine[name].tobytes() for name in known}
        fields |= {f"p.{name}": p[start:stop].tobytes() for name, p in issued.p.items()}
        yield Issued(at=int(mine["at"][0]), what=what, fields=fields)

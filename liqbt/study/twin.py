"""The price-only twin of every estimator of a run: what the price path alone would have drawn.

The twin is the same class with the same parameters, replayed on a tape that is told of constant
inflow in the place of open interest, and of no liquidations (`price_only_tape`). Its map stands
beside the estimator's own: how alike they are near the mark, and what it scores in each statistic
that decides a claim.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from liqbt.evaluation.bins import ResponseBins, beside_bins, response_blocks
from liqbt.evaluation.claims.register import CLAIMS, statistic_of
from liqbt.evaluation.claims.verdict import find_score
from liqbt.evaluation.config import PRIMARY_NS
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.estimates import ScoreDetail
from liqbt.evaluation.parts import summed, together
from liqbt.evaluation.statistic import Statistic
from liqbt.study.pipeline import MarketStudy, Study, observed
from liqbt.study.schema import Experiment
from liqbt.study.tables import paired
from liqbt.tape.values import Tape
from liqbt.types import FloatArray, Ns

Rows: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketTwin:
    """One estimator's twin on one market.

    Attributes
    ----------
    row : mapping
        Its row of `twin`.
    evidence : Evidence or None
        Of what the twin issued, summed (`liqbt.evaluation.parts`); None where it cannot be had.
    """

    row: Mapping[str, Any]
    evidence: Evidence | None = None


def market_twins(
    experiment: Experiment, tape: Tape, market: MarketStudy, *, since: Ns | None = None
) -> dict[str, MarketTwin]:
    """Hold the price-only twin of every estimator beside its estimator, on one market.

    Parameters
    ----------
    experiment, tape : Experiment, Tape
        What was replayed.
    market : MarketStudy
        What came of it, forecasts held; its prices and structural maps serve the twins too.
    since
        As in `liqbt.study.pipeline.study`.
    """
    symbol, found = market.symbol, {}
    for name, mine in market.evidence.items():
        twin = market.twins[name]
        if twin.reason:
            found[name] = MarketTwin(row=_row(name, symbol, reason=twin.reason))
            continue
        tapes, issued = {symbol: tape}, twin.forecasts
        evidence = observed(experiment, tapes, issued, since=since, name=name, shared=mine.shared)
        alike, landmarks = _alike(mine, evidence)
        reason = "" if math.isfinite(alike) else "one of the two maps is flat, or missing"
        row = _row(name, symbol, alike, landmarks, reason)
        found[name] = MarketTwin(row=row, evidence=summed(evidence, _decisive()))
    return found


def twin_tables(done: Study, markets: Sequence[Mapping[str, MarketTwin]]) -> dict[str, Rows]:
    """Return what the price-only twin of every estimator of a study draws and scores.

    Parameters
    ----------
    done : Study
        The study, scored.
    markets : sequence of mapping
        What `market_twins` found of each of its markets, in their order.

    Returns
    -------
    dict
        `twin`: a row for each estimator and market, with `correlation`, that of the two maps'
        densities at the landmarks of 24 h (the mean of `map_correlations`), over `landmarks` of
        them; where a twin cannot be had `reason` says why, else it is empty. `twin_scores`: a row
        for each estimator, market and statistic that decides a claim: `value`, the `twin`'s, and
        their paired `difference` with its interval, NaN where either has no value. A statistic that
        stands beside the twin already (`needs`) has none: beside itself a twin tells nothing.
    """
    maps: Rows = []
    scores: Rows = []
    for name, evaluation in done.evaluations.items():
        reason = done.twins[name].reason
        parts = [held[name].evidence for held in markets]
        if reason:
            maps += [_row(name, symbol, reason=reason) for symbol in evaluation.evidence.symbols]
            continue
        maps += [dict(held[name].row) for held in markets]
        twin = together([part for part in parts if part is not None])
        scores += _scores(name, evaluation.details, evaluation.evidence, twin)
    return {"twin": maps, "twin_scores": scores}


def _decisive() -> list[Statistic]:
    """Return the statistics that decide claims."""
    return [statistic_of(claim.statistic) for claim in CLAIMS]


def _row(
    estimator: str,
    symbol: str,
    correlation: float = math.nan,
    landmarks: int = 0,
    reason: str = "",
) -> dict[str, Any]:
    return {
        "estimator": estimator,
        "symbol": symbol,
        "correlation": correlation,
        "landmarks": landmarks,
        "reason": reason,
    }


def _alike(mine: Evidence, twin: Evidence) -> tuple[float, int]:
    """Return how alike both maps are near the mark, and over how many landmarks."""
    source, others = mine.markets[0], twin.markets[0].forecasts
    blocks = response_blocks(source.forecasts, source.path, mine.config, horizon_ns=PRIMARY_NS)
    found: list[float] = []
    for bins in blocks:
        found += map_correlations(bins, beside_bins(bins, source.forecasts, others))
    return float(np.mean(found)) if found else math.nan, bins.n_landmarks


def map_correlations(one: ResponseBins, other: ResponseBins) -> list[float]:
    """Return how alike two maps are near the mark: a correlation for each landmark.

    Of the smoothed densities of a landmark's bins on both sides, at the distances at which a
    cluster is eligible. So neither a map's total nor how it changes over time counts.

    Parameters
    ----------
    one, other : ResponseBins
        The same pairs of bins, with the densities of either map.

    Returns
    -------
    list of float
        Pearson's, of the landmarks that have two maps that vary.
    """
    starts = np.flatnonzero(np.diff(one.forecast, prepend=-1))
    parts = (np.split(bins.density, starts[1:]) for bins in (one, other))
    found = [_correlation(a.ravel(), b.ravel()) for a, b in zip(*parts, strict=True)]
    return [each for each in found if math.isfinite(each)]


def _correlation(a: FloatArray, b: FloatArray) -> float:
    if not len(a):
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    length = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / length if length > 0.0 else math.nan


def _scores(
    name: str, details: Sequence[ScoreDetail], mine: Evidence, twin: Evidence
) -> Iterator[dict[str, Any]]:
    """Yield what the twin scores in each statistic that decides a claim, beside its estimator."""
    decided = list(scored(twin, _decisive()))
    for claim in CLAIMS:
        together = (claim.symbol,) if len(mine.symbols) > 1 else ()
        for symbol in (*mine.symbols, *together):
            here = replace(claim, symbol=symbol)
            own, other = find_score(here, details), find_score(here, decided)
            if own is None or other is None:
                continue
            found = paired(own, other, mine)
            row = {"estimator": name, "symbol": symbol, "claim": claim.id}
            row |= {"statistic": claim.statistic, "value": own.score.value}
            row |= {"twin": other.score.value, "null": own.score.null}
            row |= {"difference": math.nan, "ci_low": math.nan, "ci_high": math.nan, "n_days": 0}
            if found is not None:
                apart = asdict(found)
                row |= {"difference": apart.pop("value"), **apart}
            yield row

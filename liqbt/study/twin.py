"""The price-only twin of every estimator of a run: what the price path alone would have drawn.

The twin is the same class with the same parameters, replayed on a tape that is told of constant
inflow in the place of open interest, and of no liquidations (`price_only_tape`). Its map stands
beside the estimator's own: how alike they are near the mark, and what it scores in each statistic
that decides a claim.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import numpy as np

from liqbt.evaluation.bins import ResponseBins, beside_bins
from liqbt.evaluation.claims.register import CLAIMS, statistic_of
from liqbt.evaluation.claims.verdict import find_score
from liqbt.evaluation.config import PRIMARY_NS
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.estimates import ScoreDetail
from liqbt.study.pipeline import Study, observed
from liqbt.study.schema import Experiment
from liqbt.study.tables import paired
from liqbt.tape.values import Tape
from liqbt.types import FloatArray, Ns

Rows: TypeAlias = list[dict[str, Any]]


def twin_tables(
    experiment: Experiment,
    tapes: Mapping[str, Tape],
    done: Study,
    *,
    since: Ns | None = None,
) -> dict[str, Rows]:
    """Hold the price-only twin of every estimator of a study beside its estimator.

    Parameters
    ----------
    experiment, tapes : Experiment, mapping of str to Tape
        What the study was made of.
    done : Study
        The study, with what the twins issued; its prices and structural maps serve them too.
    since
        As in `liqbt.study.pipeline.study`.

    Returns
    -------
    dict
        `twin`: a row for each estimator and market, with `correlation`, that of the two maps'
        densities at the landmarks of 24 h (`map_correlation`), over `landmarks` of them; where a
        twin cannot be had `reason` says why, else it is empty. `twin_scores`: a row for each
        estimator, market and statistic that decides a claim: `value`, the `twin`'s, and their
        paired `difference` with its interval, NaN where either has no value. A statistic that
        stands beside the twin already (`needs`) has none: beside itself a twin tells nothing.
    """
    maps: Rows = []
    scores: Rows = []
    for name, evaluation in done.evaluations.items():
        mine, twin = evaluation.evidence, done.twins[name]
        if twin.reason:
            maps += [_row(name, symbol, reason=twin.reason) for symbol in tapes]
            continue
        evidence = observed(
            experiment, tapes, twin.forecasts, since=since, name=name, shared=done.shared
        )
        for i, symbol in enumerate(mine.symbols):
            bins, beside = _pairs(mine, evidence, i)
            found = map_correlation(bins, beside)
            reason = "" if math.isfinite(found) else "one of the two maps is flat, or missing"
            maps.append(_row(name, symbol, found, bins.n_landmarks, reason))
        scores += _scores(name, evaluation.details, mine, evidence)
    return {"twin": maps, "twin_scores": scores}


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


def _pairs(mine: Evidence, twin: Evidence, market: int) -> tuple[ResponseBins, ResponseBins]:
    bins = mine.bins(market, PRIMARY_NS)
    issued = mine.markets[market].forecasts
    at = {issued[i].at for i in np.unique(bins.forecast)}
    others = [forecast for forecast in twin.markets[market].forecasts if forecast.at in at]
    return bins, beside_bins(bins, issued, others)


def map_correlation(one: ResponseBins, other: ResponseBins) -> float:
    """Return how alike two maps are near the mark: the mean over landmarks of a correlation.

    Of the smoothed densities of a landmark's bins on both sides, at the distances at which a
    cluster is eligible. So neither a map's total nor how it changes over time counts.

    Parameters
    ----------
    one, other : ResponseBins
        The same pairs of bins, with the densities of either map.

    Returns
    -------
    float
        Pearson's; NaN where no landmark has two maps that vary.
    """
    starts = np.flatnonzero(np.diff(one.forecast, prepend=-1))
    parts = (np.split(bins.density, starts[1:]) for bins in (one, other))
    found = [_correlation(a.ravel(), b.ravel()) for a, b in zip(*parts, strict=True)]
    held = [each for each in found if math.isfinite(each)]
    return float(np.mean(held)) if held else math.nan


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
    decided = list(scored(twin, [statistic_of(claim.statistic) for claim in CLAIMS]))
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

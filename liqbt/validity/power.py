"""Power: how often each test finds what was planted, against the effect measured from the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from liqbt.evaluation.claims.register import TRIALS
from liqbt.study.clearing import ASKED, TESTS, PowerPoint, rejects
from liqbt.study.replications import RAN_AWAY
from liqbt.validity.campaign import Results


def power_points(results: Results) -> list[PowerPoint]:
    """Return a point for every test, length and strength that was replicated, in order.

    Behind those of a claim's test follow those of what is shown beside it.
    """
    out = []
    for claim in (name for name in TESTS if name in TRIALS):
        asked = {(j.days, j.strength) for j in results if (j.role, j.world) == ("power", claim)}
        for statistic in dict.fromkeys((TESTS[claim].statistic, *TRIALS[claim].beside)):
            out += [_point(results, claim, statistic, *key) for key in sorted(asked)]
    return out


def _point(results: Results, claim: str, statistic: str, days: int, strength: float) -> PowerPoint:
    mine = [
        found
        for job, found in results.items()
        if (job.role, job.world, job.days, job.strength) == ("power", claim, days, strength)
    ]
    rows = [s[statistic] for found in mine for s in found["scores"] if statistic in s]
    ran_away = sum(RAN_AWAY in s for found in mine for s in found["scores"])
    caused, factual = (
        _mean([found["effects"].get(name, math.nan) for found in mine])
        for name in TRIALS[claim].effects
    )
    mean, error = _mean([row[0] for row in rows])
    bound, least = TESTS[claim].least_bound, TESTS[claim].smallest_effect
    return PowerPoint(
        claim=claim,
        statistic=statistic,
        strength=strength,
        days=days,
        replications=len(rows) + ran_away,
        found=sum(rejects(row, bound) for row in rows),
        ran_away=ran_away,
        refuted=sum(bool(row[3]) and row[2] < least for row in rows) if caused[0] >= least else 0,
        mean=mean,
        error=error,
        effect=caused[0],
        effect_error=caused[1],
        factual=factual[0],
        factual_error=factual[1],
    )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error; NaN where there are too few."""
    held = np.array([v for v in values if math.isfinite(v)])
    if not len(held):
        return math.nan, math.nan
    error = float(held.std(ddof=1) / math.sqrt(len(held))) if len(held) > 1 else math.nan
    return float(held.mean()), error


def smallest_found(points: Sequence[PowerPoint], power: float = ASKED) -> float | None:
    """Return the smallest effect that is found with `power`, between the points by straight lines.

    None where no strength that was tried reaches it: the test is underpowered at that length.

    Parameters
    ----------
    points : sequence of PowerPoint
        Of one statistic and length.
    power : float
        Asked for.
    """
    before: tuple[float, float] = (0.0, 0.0)
    for point in sorted(points, key=lambda p: p.strength):
        if point.power >= power:
            if point.power == before[1]:
                return point.effect
            share = (power - before[1]) / (point.power - before[1])
            return before[0] + share * (point.effect - before[0])
        before = (point.effect, point.power)
    return None

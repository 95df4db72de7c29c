"""Power: how often each test finds what was planted, against the effect measured from the truth."""

from __future__ import annotations

import math

from liqbt.evaluation.claims.register import TRIALS
from liqbt.study.clearing import PowerPoint
from liqbt.study.trials import TESTS
from liqbt.validity.campaign import Campaign
from liqbt.validity.jobs import job_of, tallied_names
from liqbt.validity.tallies import Tally, mean_of


def power_points(campaign: Campaign) -> list[PowerPoint]:
    """Return a point for every test, length and strength that was replicated, in order.

    Behind those of a claim's test follow those of what is shown beside it.
    """
    jobs = [(job_of(name), cell) for name, cell in campaign.cells.items()]
    out = []
    for claim in (name for name in TESTS if name in TRIALS):
        mine = [(job, cell) for job, cell in jobs if (job.role, job.world) == ("power", claim)]
        mine.sort(key=lambda each: (each[0].days, each[0].strength))
        statistics = (TESTS[claim].statistic, *TRIALS[claim].beside)
        for k, statistic in enumerate(statistics):
            for job, cell in mine:
                name = tallied_names(job, claim)[k]
                if name in cell.tallies and statistic not in statistics[:k]:
                    tally = cell.tallies[name]
                    unit = cell.unit
                    out.append(_point(claim, statistic, job.strength, job.days, unit, tally))
    return out


def _point(
    claim: str, statistic: str, strength: float, days: int, unit: str, tally: Tally
) -> PowerPoint:
    effect, effect_error = _mean(tally.measured, tally.effect, tally.effect2)
    factual, factual_error = _mean(tally.measured_factual, tally.factual, tally.factual2)
    mean, error = _mean(tally.valued, tally.value, tally.value2)
    least = TESTS[claim].smallest_effect
    large = mean >= least or (TRIALS[claim].causal and effect >= least)
    return PowerPoint(
        claim=claim,
        statistic=statistic,
        strength=strength,
        days=days,
        replications=tally.markets,
        found=tally.found,
        above=tally.above if statistic == TESTS[claim].statistic else tally.found,
        ran_away=tally.ran_away,
        refuted=tally.refuted if large else 0,
        suspect=tally.suspect,
        mean=mean,
        error=error,
        effect=effect,
        effect_error=effect_error,
        unit=unit,
        factual=factual,
        factual_error=factual_error,
    )


def _mean(n: int, total: float, squares: float) -> tuple[float, float]:
    """Return the mean and its standard error; NaN where there are too few."""
    mean, spread = mean_of(n, total, squares)
    return mean, spread / math.sqrt(n) if n > 1 else math.nan

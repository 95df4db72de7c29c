"""On Brownian markets whose levels know nothing, intervals cover zero as often as they say."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from evaluation_world import brownian_market
from scipy.special import ndtr
from scipy.stats import binom

from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence, observe
from liqbt.evaluation.inference.days import day_sums, draw
from liqbt.evaluation.inference.estimates import estimate
from liqbt.evaluation.lifts import scored_births
from liqbt.types import DAY_NS, HOUR_NS, Forecast

REPLICATIONS = 100
MISTAKEN = 60
"""Of the planted mistake: about half of its intervals miss zero."""
DAYS = 45
SIGMA = 0.025
CONFIG = EvaluationConfig(horizons_ns=(4 * HOUR_NS, DAY_NS))

SKILL = "first_side_skill"
DRAWS = draw(np.random.default_rng(5), reps=300, n_days=DAYS + 1)


def _watched_only(births, spacing_days):
    """The planted mistake: as if the price had started from its mark when watching began."""
    watched = (births["exposed_end_ns"] - births["exposed_start_ns"]) / DAY_NS
    level = births["distance"] / SIGMA + 0.5826 * np.sqrt(spacing_days)
    return 2 * ndtr(-level / np.sqrt(watched))


@lru_cache(maxsize=3)
def replicate(kind, replications=REPLICATIONS):
    """Per statistic and horizon: the estimates of all replications; and all landmarks."""
    found, landmarks = {}, []
    for i in range(replications):
        rng = np.random.default_rng([77, kind == "bars", i])
        market = brownian_market(rng, days=DAYS, kind=kind, sigma_1d=SIGMA)
        observed = observe([market], CONFIG)
        landmarks.append(observed.first_sides[observed.first_sides["scored"]])
        births = scored_births(observed.outcomes)
        for horizon_ns in CONFIG.horizons_ns:
            rows = births[births["horizon_ns"] == horizon_ns]
            hit = rows["visited"].astype(float)
            wrong = _watched_only(rows, market.path.spacing_ns / DAY_NS)
            for name, scores in (
                ("brownian", hit - rows["brownian"]),
                ("mirror", hit - rows["mirror_visited"]),
                ("watched only", hit - wrong),
            ):
                result = estimate(day_sums(scores, rows["at"]), horizon_ns, DRAWS)
                found.setdefault((name, horizon_ns), []).append(result)
    return found, np.concatenate(landmarks)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["points", pytest.param("bars", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("horizon_ns", CONFIG.horizons_ns, ids=["4h", "24h"])
@pytest.mark.parametrize("name", ["brownian", "mirror"])
def test_the_interval_of_a_lift_covers_zero(kind, horizon_ns, name):
    estimates = replicate(kind)[0][name, horizon_ns]
    covered = sum(e.ci_low <= 0.0 <= e.ci_high for e in estimates)
    assert covered >= binom.ppf(0.001, REPLICATIONS, 0.95)
    falsely_positive = sum(e.ci_low > 0.0 for e in estimates)
    assert falsely_positive <= binom.ppf(0.999, REPLICATIONS, 0.025)
    values = np.array([e.value for e in estimates])
    assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(REPLICATIONS)
    honest = np.mean([e.mde for e in estimates]) / 2.8
    assert 0.85 < honest / values.std() < 1.5


@pytest.mark.slow
def test_a_null_of_the_time_watched_alone_fails_the_same_test():
    """Hourly bars, four hours, the first one unwatched: it finds a lift where there is none."""
    estimates = replicate("bars", MISTAKEN)[0]["watched only", 4 * HOUR_NS]
    covered = sum(e.ci_low <= 0.0 <= e.ci_high for e in estimates)
    assert covered < binom.ppf(1e-9, MISTAKEN, 0.95)
    assert sum(e.ci_low > 0.0 for e in estimates) > MISTAKEN / 4
    assert np.mean([e.value for e in estimates]) > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["points", pytest.param("bars", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("horizon_ns", CONFIG.horizons_ns, ids=["4h", "24h"])
def test_two_barrier_probabilities_are_calibrated(kind, horizon_ns):
    landmarks = replicate(kind)[1]
    rows = landmarks[landmarks["horizon_ns"] == horizon_ns]
    for code, name in ((1, "q_up"), (-1, "q_down"), (0, "q_neither")):
        tied = 0.0 if code == 0 else 0.5
        hit = np.where(rows["tie"], tied, rows["outcome"] == code)
        gap = hit - rows[name]
        assert abs(gap.mean()) < 3.5 * gap.std() / np.sqrt(len(gap)) + 0.002, name


def leaning(forecast: Forecast) -> Forecast:
    """The forecast with near mass of its asymmetry: more below where that is positive."""
    density = np.zeros_like(forecast.density_usd)
    density[:, 0] = [1.0 + forecast.asymmetry, 1.0 - forecast.asymmetry]
    grid = forecast.grid
    mark_bin = int(np.floor(np.log(forecast.mark / grid.anchor) / grid.step))
    return replace(forecast, density_usd=density, mark_bin=mark_bin)


@pytest.mark.slow
def test_calibration_wins_nothing_where_there_is_nothing_to_win():
    """Walk-forward fitting costs a little and may not gain: no false skill."""
    skills = []
    config = EvaluationConfig(horizons_ns=(4 * HOUR_NS,), bootstrap_reps=200)
    for i in range(40):
        rng = np.random.default_rng([88, i])
        market = brownian_market(rng, days=DAYS, kind="points", sigma_1d=SIGMA)
        market = replace(market, forecasts=[leaning(f) for f in market.forecasts])
        result = scored(Evidence(markets=[market], config=config, root=i), [statistic_of(SKILL)])
        skills += [d for d in result if d.score.symbol == "pooled"]
    values = np.array([d.score.value for d in skills])
    assert values.std() > 0.0
    assert values.mean() < 2 * values.std() / np.sqrt(len(values))
    assert sum(d.score.ci_low > 0 for d in skills) <= binom.ppf(0.999, 40, 0.025)


@pytest.mark.slow
def test_counting_snapshots_as_independent_would_be_caught():
    """The planted mistake of double counting: binomial errors over all snapshots are too small."""
    covered = 0
    for i in range(60):
        rng = np.random.default_rng([99, i])
        market = brownian_market(rng, days=20, kind="points", sigma_1d=SIGMA)
        rows = observe([market], CONFIG).outcomes
        rows = rows[(rows["horizon_ns"] == DAY_NS) & (rows["visited"] >= 0) & rows["eligible"]]
        gap = rows["visited"] - rows["brownian"]
        covered += abs(gap.mean()) <= 1.96 * gap.std() / np.sqrt(len(gap))
    assert covered < binom.ppf(1e-6, 60, 0.95)

"""The direction claim's models on simulated markets: the oracle is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqbt.study.replicate import replicate, world_experiment
from liqbt.study.replications import market_seed, oracle
from liqbt.validity.jobs import BATCH, Job, world_of

WORLDS = Path(__file__).resolve().parents[2] / "liqbt" / "data" / "worlds"
pytestmark = pytest.mark.slow


def gains(world, issued=None, seeds=range(2)):
    """The pooled scores of the direction claim, by statistic, of a few markets of 120 days."""
    job = Job(role="size", world=world, strength=0.0, days=120, batch=0)
    made = world_of(job, WORLDS)
    for k in seeds:
        found = replicate(
            made, world_experiment(made), market_seed(11, job.batch * BATCH + k), issued
        ).evaluation
        yield {
            s.statistic: s
            for s in found.scores
            if (s.claim, s.symbol, s.side) == ("direction", "pooled", "both")
        }


def test_forecasts_that_know_the_next_day_are_found_against_every_model():
    for rows in gains("gbm", oracle):
        for name in ("gain", "over_coin", "over_momentum", "over_nearest"):
            assert rows[f"first_side_{name}"].ci_low > 0.05


@pytest.mark.nightly
@pytest.mark.parametrize("world", ["gbm", "momentum"])
def test_nothing_is_found_where_nothing_acts(world):
    """Three markets each: a gross failure would show, a wrong size would not (liqbt validate)."""
    for rows in gains(world, seeds=range(3)):
        gain = rows["first_side_gain"]
        assert gain.ci_low < 0.0
        assert abs(gain.value) < 0.03
        assert gain.n_episodes > 60

"""Brackets fitted on earlier censuses: found again, from the past alone, whole and in parts."""

from __future__ import annotations

import numpy as np
import pytest
from estimator_events import TIERS, event, events, market, of

from liqbt.estimators.levmix import LevMix
from liqbt.estimators.structured import Structured
from liqbt.forecasts import forecast_bytes
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, Kind, Side

BOOKS = {
    "tiers": TIERS,
    "step": 0.002,
    "fine_bins": 50,
    "n_leverages": 4,
    "leverage_low": 5.0,
    "leverage_high": 80.0,
    "n_lives": 1,
    "life_low": 48 * HOUR_NS,
    "life_high": 48 * HOUR_NS,
}
MIX = np.array([0.0, 0.7, 0.3, 0.0])


def made():
    return Structured(*of(Structured, ridge=0.02, **BOOKS))


@pytest.fixture(scope="module")
def tape():
    """A random walk, and once a day a census of two leverages of the four."""
    told = market(seed=5, days=12, trades=1)
    books, rows, before = LevMix(*of(LevMix, **BOOKS)), [told], 0
    start = int(told["ts_known"][0])
    for day in range(2, 12):
        known = start + day * DAY_NS
        row = int(np.searchsorted(told["ts_known"], known))
        books.update(told[before:row])
        before, state = row, books.state()
        coins = np.einsum("sjb,j->sb", state["coins"][:, :4], MIX)  # of volume
        half = coins.shape[1] // 2
        steps = (np.arange(2 * half) - half + 0.5) * BOOKS["step"]
        prices = float(state["head"]["anchor"][0]) * np.exp(steps)
        for side, where in zip(*np.nonzero(coins), strict=True):
            one = event(Kind.POSITION, 0, prices[where], coins[side, where])
            one["side"] = Side.LONG if side == 0 else Side.SHORT
            one["ts_known"], one["ts_event"] = known, known - 60 * SECOND_NS
            rows.append(one)
    return events(*rows)


def test_the_leverages_of_the_census_are_found_and_liquidations_are_not_read(tape):
    estimator = made()
    estimator.update(tape)
    by_rung = estimator.weights().sum(axis=(0, 1))
    assert by_rung == pytest.approx(MIX, abs=0.1)
    forced = tape[-1:].copy()
    forced["kind"], forced["p0"], forced["p1"], forced["span_s"] = 6, 1e9, 1e9, 3600
    assert int(Kind.LIQUIDATION_TOTAL) == forced["kind"][0]
    estimator.update(forced)
    assert estimator.weights().sum(axis=(0, 1)) == pytest.approx(by_rung, rel=1e-12)


def test_a_map_knows_earlier_censuses_alone(tape):
    first = int(tape["ts_known"][tape["kind"] == Kind.POSITION][0])
    estimator = made()
    early = tape["ts_known"] < first
    estimator.update(tape[early])
    assert estimator.forecast(first) is None
    now = tape["ts_known"] == first
    estimator.update(tape[now])
    issued = estimator.forecast(first + 1)
    assert issued is not None
    assert issued.density_usd.sum() > 0
    assert np.isnan(issued.prior_from_long)


def test_in_parts_restored_and_asked_between_it_is_the_same_to_the_bit(tape):
    whole, parts, last = made(), made(), made()
    whole.update(tape)
    half, at = len(tape) // 2 + 1, int(tape["ts_known"][-1]) + 1
    for row in range(0, half, 11):
        parts.update(tape[row : min(row + 11, half)])
    last.restore(parts.state())
    for row in range(half, len(tape), 501):
        last.update(tape[row : row + 501])
        ripe = row + 501 < len(tape) and tape["ts_known"][row + 500] < tape["ts_known"][row + 501]
        if ripe:
            last.forecast(int(tape["ts_known"][row + 501]))
    maps = [one.forecast(at) for one in (whole, last)]
    assert forecast_bytes(maps[0]) == forecast_bytes(maps[1])

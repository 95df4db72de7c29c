"""The learnt mix: what it recovers, what it says it cannot know, what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from estimator_events import START, TIERS, at, event, events, market, of, open_interest

from liqbt.errors import ConfigError, MarginError
from liqbt.estimators import registered_estimators
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.levmix.ensemble import ERROR, Ensemble
from liqbt.estimators.nulls import reflect
from liqbt.forecasts import forecast_bytes
from liqbt.margin.tiers import flat_tiers
from liqbt.replay import Checkpoint, replay, replay_from, schedule
from liqbt.study.store import forecast_table, forecasts_of
from liqbt.tape.positions import price_only_tape
from liqbt.tape.values import trusted_tape
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, Instrument, Kind

SMALL = {
    "tiers": TIERS,
    "step": 0.002,
    "fine_bins": 50,
    "n_leverages": 4,
    "leverage_low": 12.0,
    "leverage_high": 100.0,
    "n_lives": 1,
    "life_low": 48 * HOUR_NS,
    "life_high": 48 * HOUR_NS,
    "open_interest_share": 0.0,
    "forget": 10 * DAY_NS,
}
MIX = np.array([0.1, 0.2, 0.6, 0.1])


def made(**changes):
    return LevMix(*of(LevMix, **(SMALL | changes)))


def apart(weights):
    """How far weights are from the true mix: half of the sum of absolute differences of shares."""
    return 0.5 * float(np.abs(weights / weights.sum() - MIX).sum())


def crossings(tape, **changes):
    """Coins of each leverage that the mark passed in each hour, longs and shorts, by slot."""
    estimator, found = made(**changes), {}
    for row in range(0, len(tape), 12):
        estimator.update(tape[row : row + 12])
        state = estimator.state()
        for slot, crossed in zip(state["forced"]["slot"], state["crossed"], strict=True):
            found[int(slot)] = crossed[:, :4]  # of volume
    return {slot: crossed for slot, crossed in found.items() if slot > 0}


@pytest.fixture(scope="module")
def told():
    """A random walk, and hourly totals of a mix that is not the prior's."""
    tape = market(seed=5, days=40)
    rows, marks = [tape], tape[tape["kind"] == Kind.MARK]
    for slot, crossed in crossings(tape).items():
        end = (slot + 1) * HOUR_NS
        price = marks["p3"][np.searchsorted(marks["ts_event"], end, "right") - 1]
        longs, shorts = crossed @ MIX * price
        second = (end - START) / SECOND_NS
        rows.append(event(Kind.LIQUIDATION_TOTAL, second, longs, shorts, span_s=3600))
    return events(*rows)


def test_the_mix_is_read_off_what_was_liquidated(told):
    estimator = made()
    estimator.update(told)
    learnt = estimator.weights()[0, 0]
    assert apart(learnt) < 0.6 * apart(np.full(4, 0.25))


def test_without_liquidations_the_map_is_the_priors(told):
    estimator = made()
    estimator.update(told[told["kind"] != Kind.LIQUIDATION_TOTAL])
    assert estimator.weights()[0, 0] == pytest.approx(np.full(4, 0.25))
    forecast = estimator.forecast(int(told["ts_known"][-1]) + 1)
    assert (forecast.prior_from_long, forecast.prior_from_short) == (0.0, 0.0)


def test_what_price_never_crossed_rests_on_the_prior(told):
    estimator = made(leverage_low=1.5)
    estimator.update(told)
    forecast = estimator.forecast(int(told["ts_known"][-1]) + 1)
    nearest, farthest = math.log(1 / 0.99), math.log(1.5)  # of 100x, of a short at 2x
    for reach in (forecast.prior_from_long, forecast.prior_from_short):
        assert nearest / 2 < reach < farthest
    back = reflect(forecast)
    assert (back.prior_from_long, back.prior_from_short) == (
        forecast.prior_from_short,
        forecast.prior_from_long,
    )
    (stored,) = forecasts_of(forecast_table([forecast]))
    assert forecast_bytes(stored) == forecast_bytes(forecast)


def test_each_side_sums_to_open_interest_and_to_a_coin_without(told):
    estimator = made(reach=2.9, grid_span=3.0)
    estimator.update(told)
    when = int(told["ts_known"][-1]) + 1
    forecast = estimator.forecast(when)
    coins = forecast.open_interest_usd / forecast.mark
    for side in range(2):
        usd = float(forecast.density_usd[side].sum())
        assert 0.5 * coins * forecast.mark < usd < 1.5 * coins * forecast.mark
    priced = made()
    priced.update(told[told["kind"] == Kind.MARK])
    without = priced.forecast(when)
    assert math.isnan(without.open_interest_usd)
    assert 0.5 * without.mark < float(without.density_usd[0].sum()) < 1.5 * without.mark


def test_singles_teach_as_totals_do(told):
    rows = told[told["kind"] != Kind.LIQUIDATION_TOTAL]
    singles, marks = [rows], rows[rows["kind"] == Kind.MARK]
    for total in told[told["kind"] == Kind.LIQUIDATION_TOTAL]:
        second = (int(total["ts_event"]) - START) / SECOND_NS - 1800
        price = marks["p3"][np.searchsorted(marks["ts_event"], int(total["ts_event"]), "right") - 1]
        for side, usd in ((1, total["p0"]), (-1, total["p1"])):
            singles.append(event(Kind.LIQUIDATION, second, price, usd / price, side=side))
    estimator = made()
    estimator.update(events(*singles))
    learnt = estimator.weights()[0, 0]
    assert apart(learnt) < 0.6 * apart(np.full(4, 0.25))


def test_replays_whole_in_parts_and_from_a_checkpoint_are_the_same_bytes(told):
    tape = trusted_tape(told.copy(), (Instrument("x", "X"),))
    times = schedule(int(told["ts_known"][0]), int(told["ts_known"][-1]), 6 * HOUR_NS)
    whole = [forecast_bytes(f) for f in replay(tape, made(), times)]
    assert len(whole) > 100
    assert whole == [forecast_bytes(f) for f in replay(tape, made(), times, batch=97)]
    middle, estimator = len(times) // 2, made()
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    steps = replay_from(start, tape, estimator, times)
    position = [next(steps)[0] for _ in range(middle)][-1]
    here = Checkpoint(tape=tape.digest, position=position, issued=middle, state=estimator.state())
    rest = [f for _, f in replay_from(here, tape, made(), times) if f is not None]
    assert whole[-len(rest) :] == [forecast_bytes(f) for f in rest]


def test_its_price_only_twin_learns_nothing_and_knows_no_positions(told):
    when = int(told["ts_known"][-1]) + 1
    found = []
    for factor in (1.0, 3.0):
        tape = told.copy()
        for name in ("p0", "p1"):
            tape[name][tape["kind"] == Kind.LIQUIDATION_TOTAL] *= factor
        estimator = made(open_interest_share=0.5)
        estimator.update(price_only_tape(trusted_tape(tape, (Instrument("x", "X"),))).events)
        assert estimator.weights().sum(axis=(1, 2)) == pytest.approx([0.5, 0.5])
        found.append(forecast_bytes(estimator.forecast(when)))
    assert found[0] == found[1]


def test_a_day_without_single_liquidations_teaches_nothing():
    marks = [event(Kind.MARK, 300 * k, *[100.0 + 3.0 * (k % 7)] * 4) for k in range(3 * 288)]
    early = [event(Kind.LIQUIDATION, 3600 * h, 100.0, 1.0, side=1) for h in range(1, 6)]
    late = [event(Kind.LIQUIDATION, 2 * DAY_NS // SECOND_NS + 7200, 100.0, 1.0, side=1)]
    learnt = []
    for more in ([], late):
        estimator = made()
        estimator.update(events(*marks, open_interest(0, 10.0), *early, *more))
        learnt.append(float(estimator.state()["ledger"]["days"][0]))
    assert learnt[0] == learnt[1] == pytest.approx(3 / 24, rel=0.01)


def test_it_is_named_needs_no_open_interest_and_refuses_what_cannot_be():
    assert registered_estimators()["levmix"] is LevMix
    assert LevMix.needs == ()
    with pytest.raises(ConfigError, match="levmix needs them"):
        LevMix(*of(LevMix, tiers=None))
    with pytest.raises(MarginError, match="no leverage from 50x to 100x is allowed"):
        LevMix(*of(LevMix, leverage_low=50.0, leverage_high=100.0, tiers=flat_tiers("X", 0.01, 20)))
    for name, value in {
        "leverage_low": 1.0,
        "leverage_high": 2.0,
        "credit_every": 7 * HOUR_NS,
        "open_interest_share": 1.5,
        "prior_days": 0.0,
        "n_lives": 0,
    }.items():
        with pytest.raises(ConfigError, match=f"{name} is"):
            LevMixParams(**{name: value})


def test_a_leverage_that_the_venue_does_not_allow_has_no_entries():
    estimator = made(tiers=flat_tiers("X", 0.01, 40))
    estimator.update(market(seed=1, days=2))
    held = estimator.state()["coins"][:, :4].sum(axis=(0, 2))
    assert (held > 0.0).tolist() == [True, True, False, False]


def test_no_forecast_before_a_price_is_known():
    assert made().forecast(at(100)) is None


def test_of_an_inverse_contract_the_mix_is_learnt_in_dollars():
    tape = market(seed=5, days=40)
    tiers = flat_tiers("X", 0.004, 125, "okx_inverse")
    rows = [tape]
    for slot, crossed in crossings(tape, tiers=tiers).items():
        longs, shorts = crossed @ MIX
        second = ((slot + 1) * HOUR_NS - START) / SECOND_NS
        rows.append(event(Kind.LIQUIDATION_TOTAL, second, longs, shorts, span_s=3600))
    estimator = made(tiers=tiers)
    estimator.update(events(*rows))
    assert apart(estimator.weights()[0, 0]) < 0.6 * apart(np.full(4, 0.25))


class Plain:
    """A generator that draws the middle of everything, and every day once."""

    def uniform(self, low, high, size):
        return np.full(size, (low + high) / 2)

    def exponential(self, scale, size):
        return np.full(size, scale)


def test_an_ensemble_of_plain_draws_is_the_estimator_itself_and_others_scatter_about_it(told):
    estimator, drawn = made(), made()
    estimator._ensemble = Ensemble(estimator.params, lambda _: Plain(), 2)
    before = drawn._ensemble.weights.copy()
    assert before.sum(axis=1) == pytest.approx(1.0)
    for one in (estimator, drawn):
        one.update(told)
    at = int(told["ts_known"][-1]) + 1
    forecast = estimator.forecast(at)
    own = estimator.weights().ravel()[:4]  # its prior has no open interest, that of members has
    for member in estimator._ensemble.weights:
        learnt = member[:4] / member[:4].sum()
        assert learnt == pytest.approx(own, rel=0.05)
    alone = estimator.intervals(forecast, error=(0.0, 0.0, 0.0))
    held = ~np.isnan(alone[:, 0])
    assert held.sum() > 3
    usd = forecast.clusters["notional_usd"][held]
    assert alone[held] == pytest.approx(np.column_stack([usd, usd]), rel=0.05)
    issued = drawn.forecast(at)
    assert issued.clusters.tobytes() == forecast.clusters.tobytes()
    state = {name: array.tobytes() for name, array in drawn.state().items()}
    scattered = drawn.intervals(issued, error=(0.0, 0.0, 0.0))[held]
    assert (scattered[:, 0] < scattered[:, 1]).all()
    assert (np.log(scattered[:, 1] / scattered[:, 0]) < 2.0).all()
    wide = issued.notional_interval[held]
    assert (wide[:, 0] <= usd * math.exp(ERROR[0])).all()
    assert (wide[:, 1] >= usd * math.exp(ERROR[2])).all()
    assert {n: a.tobytes() for n, a in drawn.state().items()} == state
    assert not np.array_equal(drawn._ensemble.weights, before)


def test_intervals_are_a_function_of_the_events_seen_however_they_are_told(told):
    at = int(told["ts_known"][-1]) + 1
    whole, parts, resumed = made(), made(), made()
    whole.update(told)
    for part in np.array_split(told, 97):
        parts.update(part)
        parts.forecast(int(part["ts_known"][-1]) + 1)  # being asked teaches nothing
    resumed.restore(parts.state())
    ends = [one.forecast(at).notional_interval for one in (whole, parts, resumed)]
    assert ends[0].tobytes() == ends[1].tobytes() == ends[2].tobytes()
    without = made(intervals=False)
    without.update(told)
    silent = without.forecast(at)
    assert silent.notional_interval is None
    assert forecast_bytes(silent) == forecast_bytes(
        replace(whole.forecast(at), notional_interval=None)
    )
    back = forecasts_of(forecast_table([whole.forecast(at)]))[0]
    assert back.notional_interval.tobytes() == ends[0].tobytes()
    assert "notional_low_usd" not in forecast_table([silent]).column_names

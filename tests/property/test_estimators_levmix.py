"""The learnt mix, driven against its naive twin, and what holds of it whatever the events are."""

from __future__ import annotations

import math
from itertools import pairwise

import naive
import numpy as np
import pytest
from estimator_events import NAMES, START, STEP, TIERS, event, of, tapes
from hypothesis import given
from hypothesis import strategies as st

from liqbt.estimators.levmix import LevMix, plan_of
from liqbt.estimators.levmix.kernels import learnt_until
from liqbt.types import HOUR_NS, MINUTE_NS, SECOND_NS, Kind

WORDS = NAMES | {
    Kind.LIQUIDATION: "liquidation",
    Kind.LIQUIDATION_TOTAL: "liquidation_total",
}
SMALL = {
    "tiers": TIERS,
    "step": STEP,
    "grid_span": 0.3,
    "reach": 0.25,
    "fine_bins": 10,
    "coarse": 5,
    "sigma_window": 6 * HOUR_NS,
    "leverage_low": 8.0,
    "leverage_high": 60.0,
    "n_leverages": 3,
    "life_low": HOUR_NS,
    "life_high": 24 * HOUR_NS,
    "n_lives": 2,
    "credit_every": HOUR_NS,
}


def small(kind, **changes):
    return of(LevMix, **(SMALL | {"price_kind": kind} | changes))


def rows_of(tape):
    return [
        {
            "kind": WORDS[Kind(row["kind"])],
            "ts_known": int(row["ts_known"]),
            "ts_event": int(row["ts_event"]),
            "span_s": int(row["span_s"]),
            "side": int(row["side"]),
            "p": tuple(float(row[f"p{k}"]) for k in range(5)),
        }
        for row in tape
    ]


@st.composite
def forced_tapes(draw):
    """Tapes with liquidations: singles, totals of an hour, of a part of it, or of several."""
    kind, tape = draw(tapes())
    spans = draw(st.sampled_from([None, [3600], [1800], [3600, 4 * 3600]]))
    last = int((tape["ts_event"].max() - START) // SECOND_NS)
    rows = [tape]
    for _ in range(draw(st.integers(0, 12))):
        second = draw(st.integers(0, last + 7200))
        if spans is None:
            side = draw(st.sampled_from([-1, 1]))
            size = draw(st.floats(0.1, 10))
            rows.append(event(Kind.LIQUIDATION, second, 100.0, size, side=side))
        else:
            span = draw(st.sampled_from(spans))
            end = -(-(START // SECOND_NS + second) // span) * span - START // SECOND_NS
            usd = draw(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)))
            rows.append(event(Kind.LIQUIDATION_TOTAL, end, *usd, span_s=span))
    out = np.concatenate(rows)
    order = np.lexsort((out["kind"], out["ts_event"], out["ts_known"]))
    out = out[np.concatenate(([0], order[order != 0]))]
    out["ts_known"][0] = out["ts_known"].min()
    out.setflags(write=False)
    return kind, out


def twin_of(params, market, n_slots):
    plan = plan_of(params, market.tiers, 60)
    return naive.LevMixTwin(
        price_kind=NAMES[market.price_kind],
        step=STEP,
        half=30,
        shifts=plan.shifts[0].tolist(),
        lives_ns=params.lives.tolist(),
        prior=params.prior.tolist(),
        rules={
            "settle_ns": params.settle_every,
            "slot_ns": params.credit_every,
            "forget_ns": params.forget,
            "prior_days": params.prior_days,
            "n_slots": n_slots,
        },
    )


@given(forced_tapes(), st.integers(1, 40_000), st.floats(0.11, 0.29), st.sampled_from([1.0, 0.1]))
def test_books_what_was_learnt_and_the_map_are_those_of_the_twin(case, later, reach, days):
    kind, tape = case
    changes = {"sigma_min_coverage": 0.01, "reach": reach, "prior_days": days, "intervals": False}
    params, market = small(kind, **changes)
    estimator = LevMix(params, market)
    estimator.update(tape)
    state = estimator.state()
    twin = twin_of(params, market, len(state["forced"]))
    for row in rows_of(tape):
        twin.event(row)
    expected = np.zeros((2, len(twin.classes), 60))
    for (side, each, i), coins in twin.coins.items():
        expected[side, twin.classes.index(each), i + 30] = coins
    life = np.array([each[1] for each in twin.classes])
    actual = state["coins"] * state["scale"][life][None, :, None]
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    for name in ("credit", "exposure"):
        mine = getattr(twin, name)
        held = [mine[each] for each in twin.classes]
        np.testing.assert_allclose(state[name], held, rtol=1e-9, atol=1e-9)
    weights = twin.weights()
    of_twin = np.array([weights[each] for each in twin.classes])
    np.testing.assert_allclose(
        estimator.weights().ravel(), of_twin / of_twin.sum(), rtol=1e-9, atol=1e-12
    )
    for k, row in enumerate([*twin.entries, twin.flow]):
        there = np.zeros(60)
        for i, weight in row.items():
            there[i + 30] = weight
        np.testing.assert_allclose(state["entries"][k], there, rtol=1e-9, atol=1e-9)
    seen = {i: ts for i, ts in twin.visited.items() if -30 <= i < 30}
    assert {int(i) - 30: int(state["visited"][i]) for i in np.flatnonzero(state["visited"])} == seen
    for side in range(2):  # what lies outside the bounds would never be consumed nor emitted
        low, high = state["bounds"][side]
        bins = np.arange(60)
        assert not state["coins"][side][:, (bins < low) | (bins > high)].any()
    at = int(tape["ts_known"][-1]) + later * SECOND_NS
    forecast = estimator.forecast(at)
    if forecast is not None:
        assert_map_of(twin, forecast, params, at)


def assert_map_of(twin, forecast, params, at):
    """A forecast is the twin's map of what it holds at a time, and says what rests on the prior."""
    held = [math.fsum(twin.held(at, side).values()) for side in range(2)]
    if any(0.0 < each < 1e-200 for each in held):  # one over it is no number
        return
    fine, coarse, entries = params.fine_bins, params.coarse, forecast.density_usd.shape[1]
    n = fine + coarse * (entries - fine)
    bins = n + (params.smoothing_bins + 1) // 2
    share, half_life = params.freshness_share, params.freshness_half_life
    usd = np.array(twin.usd(at, forecast.sigma_1d, bins, share, half_life))[:, 1 : n + 1]
    sums = usd[:, fine:].reshape(2, -1, coarse).sum(axis=2)
    expected = np.hstack([usd[:, :fine], sums])
    least = max(1e-6 * usd.max(), 1e-37)  # of a float32
    np.testing.assert_allclose(forecast.density_usd, expected, rtol=1e-6, atol=least)
    for side, found in enumerate((forecast.prior_from_long, forecast.prior_from_short)):
        about = twin.prior_from(at, side, bins)
        assert round(found / STEP) in {min(each, n) for each in about}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12))
def test_a_side_rests_on_the_prior_beyond_the_last_octave_that_mostly_does_not(bins):
    learnt, alone = (np.array([each[k] for each in bins], dtype=float) for k in range(2))
    coins, expected = learnt + alone, 0
    for d in range(1, len(bins) + 1):
        octave = slice((d - 1) // 2, d)
        if coins[d - 1] > 0.0 and alone[octave].sum() <= learnt[octave].sum():
            expected = d
    assert learnt_until.py_func(coins, alone, np.full((2, 14), math.nan)) == expected


@given(forced_tapes(), st.data())
def test_any_split_of_the_events_gives_the_same_bits(case, data):
    kind, tape = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tape)), max_size=6)))
    whole, parts = LevMix(*small(kind)), LevMix(*small(kind))
    whole.update(tape)
    for start, stop in pairwise([0, *cuts, len(tape)]):
        parts.update(tape[start:stop])
        saved = parts.state()
        parts = LevMix(*small(kind))
        parts.restore(saved)
    for name, array in whole.state().items():
        assert array.tobytes() == parts.state()[name].tobytes(), name


@given(forced_tapes())
def test_weights_are_shares_whatever_was_liquidated(case):
    kind, tape = case
    estimator = LevMix(*small(kind))
    estimator.update(tape)
    weights = estimator.weights()
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0.0).all()


@given(tapes(), st.floats(1e-3, 1e3))
def test_liquidations_of_another_scale_teach_the_same_mix(case, scale):
    """What a venue reports of all that was liquidated, a half or a thousandth, is no part of it."""
    kind, tape = case
    last = int((tape["ts_event"].max() - START) // SECOND_NS)
    ends = range(3600, last + 7200, 3600)
    hour = START // SECOND_NS % 3600
    found = []
    for factor in (1.0, scale):
        rows = [
            event(Kind.LIQUIDATION_TOTAL, end - hour, 50.0 * factor, 70.0 * factor, span_s=3600)
            for end in ends
        ]
        out = np.concatenate([tape, *rows])
        order = np.lexsort((out["kind"], out["ts_event"], out["ts_known"]))
        out = out[np.concatenate(([0], order[order != 0]))]
        estimator = LevMix(*small(kind))
        estimator.update(out)
        found.append(estimator.weights())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_the_smallest_rise_of_open_interest_leaves_the_books_finite():
    rows = [event(Kind.MARK, 0, *[100.0] * 4), event(Kind.OPEN_INTEREST, 1, 0.0)]
    rows += [event(Kind.MARK, 300, *[101.0] * 4), event(Kind.OPEN_INTEREST, 301, 3e-309)]
    estimator = LevMix(*small(Kind.MARK))
    estimator.update(np.concatenate(rows))
    assert np.isfinite(estimator.state()["coins"]).all()
    assert estimator.state()["coins"][:, 6:].sum() > 0.0  # of open interest


def test_strategies_reach_what_matters():
    """The twin is driven through entries of both sources, crossings and learning."""
    rows = [event(Kind.MARK, 0, *[100.0] * 4), event(Kind.OPEN_INTEREST, 1, 10.0)]
    for k in range(1, 40):
        price = 100.0 + 9.0 * (-1) ** k
        rows += [event(Kind.MARK, 300 * k, *[price] * 4)]
        rows += [event(Kind.OPEN_INTEREST, 300 * k + 1, 10.0 + k)]
    hour = START // SECOND_NS % 3600
    rows += [event(Kind.LIQUIDATION_TOTAL, 7200 - hour, 100.0, 10.0, span_s=3600)]
    rows.sort(key=lambda row: int(row["ts_known"][0]))
    estimator = LevMix(*small(Kind.MARK, settle_every=5 * MINUTE_NS))
    estimator.update(np.concatenate(rows))
    state = estimator.state()
    classes = state["exposure"].reshape(2, 2, 3)
    assert (classes.sum(axis=(1, 2)) > 0.0).all()
    assert state["credit"].sum() == pytest.approx(110.0 / (100.0 + 9.0), rel=0.2)
    assert not math.isnan(state["ledger"]["flow_rate"][0])

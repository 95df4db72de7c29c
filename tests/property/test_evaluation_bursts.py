"""Bursts and next clusters against a naive twin; reflected, shifted and cut short."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_world import clusters_at, forecast, points
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.bursts import (
    PAST_NS,
    WINDOW_NS,
    hour_bursts,
    instant_bursts,
    next_levels,
    sooner_by_drift,
)
from liqbt.evaluation.claims.chain import push_days
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.forced import Forced, ForcedOrders
from liqbt.evaluation.nulls.levels import Anchors
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS

START = 19_700 * DAY_NS
STEP = 5 * MINUTE_NS
DAYS = 6
SIGMA = 0.03
SEED = st.integers(0, 2**32 - 1)


def log_path(rng):
    return np.cumsum(rng.normal(0.0, SIGMA / np.sqrt(288), DAYS * 288 + 1))


def market_of(seed, *, mirrored=False, shift=0, end=None):
    """A market of chance; `mirrored`: log price times −1, sides swapped; `end`: nothing after."""
    rng = np.random.default_rng(seed)
    sign = -1.0 if mirrored else 1.0
    x = log_path(rng)
    ts = START + np.arange(len(x)) * STEP
    n = 80
    when = np.sort(rng.integers(3 * DAY_NS, DAYS * DAY_NS, n)) // MINUTE_NS * MINUTE_NS
    when += np.arange(n)  # no two at one instant: their order would be that of the sides
    side = rng.choice([-1, 1], n)
    before = np.searchsorted(ts, START + when, "right") - 1
    price = x[before] + rng.normal(0.0, 0.002, n)
    orders = ForcedOrders(
        ts_ns=START + when + shift,
        known_ns=START + when + shift,
        side=(side * int(sign)).astype(np.int64),
        usd=rng.uniform(1e5, 1e7, n),
        price=np.exp(sign * price),
    )
    usd = rng.uniform(0, 1e7, (2, DAYS * 24)) * (rng.random((2, DAYS * 24)) > 0.5)
    at = np.arange(3 * 24, DAYS * 24) * HOUR_NS
    forecasts = []
    for t in at:
        mark = x[t // STEP]
        centres = mark + rng.uniform(-0.04, 0.04, 8)
        bands = [(c - 0.0004, c + 0.0004) for c in centres if abs(c - mark) > 0.001]
        bands = [tuple(sorted(np.exp(sign * np.array(b)))) for b in bands]
        rows = clusters_at(np.exp(sign * mark), sorted(bands))
        forecasts.append(
            forecast(int(START + t + shift), float(np.exp(sign * mark)), rows, sigma_1d=SIGMA)
        )
    kept = slice(None) if end is None else ts <= end
    forced = Forced(
        first_hour_ns=START + shift,
        known_ns=START + shift + (np.arange(DAYS * 24) + 1) * HOUR_NS,
        usd=usd[::-1] if mirrored else usd,
        orders=orders,
    )
    anchors = Anchors(
        at=START + at + shift,
        mark_ts=START + at + shift,
        log_mark=sign * x[at // STEP],
        sigma_1d=np.full(len(at), SIGMA),
        open_interest_usd=rng.uniform(1e9, 2e9, len(at)),
    )
    path = points((ts + shift)[kept], np.exp(sign * x)[kept])
    return MarketInput(symbol="A", forecasts=forecasts, path=path, anchors=anchors, forced=forced)


def value_at(market, t):
    """The last log price at or before a time, within a gap."""
    end = market.path.end_ns
    held = np.flatnonzero(end <= t)
    if not len(held) or t - end[held[-1]] > market.path.max_gap_ns:
        return None
    return float(np.log(market.path.close[held[-1]]))


@settings(deadline=None, max_examples=4)
@given(seed=SEED)
def test_rows_like_the_naive_twin(seed):
    market = market_of(seed)
    found = instant_bursts(market)
    orders, anchors = market.forced.orders, market.anchors
    expected = {}
    for i in range(len(orders.ts_ns)):
        t, price = int(orders.ts_ns[i]), float(np.log(orders.price[i]))
        issued = [j for j in range(len(anchors.at)) if anchors.at[j] < t]
        unwatched = t + WINDOW_NS - market.path.end_ns[-1]
        if not issued or unwatched >= market.path.max_gap_ns:
            continue
        last = value_at(market, t - 1)
        past = [price - last, *(price - value_at(market, t - back) for back in PAST_NS)]
        share = -orders.side[i] * orders.usd[i] / anchors.open_interest_usd[issued[-1]]
        after = value_at(market, t + WINDOW_NS) - price
        expected[t] = (100.0 * share, past, after)
    assert found.n_bursts == len(expected)
    for i, t in enumerate(found.at[: found.n_bursts].tolist()):
        forced, past, after = expected[t]
        assert found.forced[i] == pytest.approx(forced)
        np.testing.assert_allclose(found.past[i], past, atol=1e-12)
        assert found.response[i] == pytest.approx(after, abs=1e-12)
    quiet = found.at[found.n_bursts :]
    assert (found.forced[found.n_bursts :] == 0.0).all()
    for t in quiet.tolist():
        assert not ((orders.ts_ns > t - 15 * MINUTE_NS) & (orders.ts_ns <= t)).any()


@settings(deadline=None, max_examples=4)
@given(seed=SEED)
def test_next_levels_like_the_naive_twin(seed):
    market = market_of(seed)
    bursts = instant_bursts(market)
    found = next_levels(market, bursts)
    rows = {}
    for row, outward, distance, sooner in zip(
        found.row, found.outward, found.distance_sigma, found.sooner, strict=True
    ):
        rows[(int(row), float(outward))] = (distance, sooner)
    seen = 0
    for row in range(0, len(bursts.at), 7):
        t, price = int(bursts.at[row]), bursts.log_price[row]
        sigma = bursts.sigma[row]
        standing = [f for f in market.forecasts if f.at < t][-1]
        burst = row < bursts.n_bursts
        for outward in (1.0, -1.0):
            if burst and outward != np.sign(bursts.forced[row]):
                continue
            near = [
                outward * (np.log(c["low"] if outward > 0 else c["high"]) - price)
                for c in standing.clusters
                if c["side"] == -outward
            ]
            near = [d for d in near if 0.25 * sigma <= d <= 2.5 * sigma]
            assert ((row, outward) in rows) == bool(near)
            if not near:
                continue
            seen += 1
            left = []
            for way in (outward, -outward):
                share = 0.0
                for k in range(len(market.path)):
                    end = int(market.path.end_ns[k])
                    x = float(np.log(market.path.close[k]))
                    if t <= end < t + WINDOW_NS and way * (x - price) >= min(near):
                        share = (t + WINDOW_NS - end) / WINDOW_NS
                        break
                left.append(share)
            distance, sooner = rows[(row, outward)]
            assert distance == pytest.approx(min(near) / sigma)
            assert sooner == pytest.approx(left[0] - left[1])
    assert seen > 10


@settings(deadline=None, max_examples=4)
@given(seed=SEED)
def test_the_mirror_image_of_a_market_scores_the_same(seed):
    own, other = market_of(seed), market_of(seed, mirrored=True)
    for make in (instant_bursts, hour_bursts):
        a, b = make(own), make(other)
        np.testing.assert_allclose(a.forced, -b.forced, rtol=1e-12)
        np.testing.assert_allclose(a.response, -b.response, atol=1e-12)
        assert push_days(a).ratio == pytest.approx(push_days(b).ratio, rel=1e-6)
    a, b = (next_levels(m, instant_bursts(m)) for m in (own, other))
    by_row = [
        dict(zip(zip(x.row.tolist(), way, strict=True), x.sooner.tolist(), strict=True))
        for x, way in ((a, a.outward.tolist()), (b, (-b.outward).tolist()))
    ]
    assert by_row[0].keys() == by_row[1].keys()
    for key, value in by_row[0].items():
        assert value == pytest.approx(by_row[1][key])


@settings(deadline=None, max_examples=4)
@given(seed=SEED)
def test_shifting_time_changes_nothing(seed):
    own, other = market_of(seed), market_of(seed, shift=3 * DAY_NS)
    for make in (instant_bursts, hour_bursts):
        a, b = make(own), make(other)
        np.testing.assert_array_equal(a.forced, b.forced)
        np.testing.assert_array_equal(a.past, b.past)
        assert push_days(a).ratio == pytest.approx(push_days(b).ratio, rel=1e-9)


@settings(deadline=None, max_examples=4)
@given(seed=SEED, hours=st.integers(80, 140))
def test_nothing_after_the_window_matters(seed, hours):
    end = START + hours * HOUR_NS
    whole = market_of(seed)
    for make in (instant_bursts, hour_bursts):
        part = make(market_of(seed, end=end))
        full = make(whole)
        closed = full.at + WINDOW_NS + STEP <= end
        both = np.intersect1d(part.at, full.at[closed])
        assert len(both) == closed.sum()
        for t in both.tolist():
            i, j = int(np.flatnonzero(part.at == t)[0]), int(np.flatnonzero(full.at == t)[0])
            assert part.response[i] == full.response[j]
            np.testing.assert_array_equal(part.past[i], full.past[j])


def test_prices_that_are_too_far_apart_tell_nothing_of_an_instant():
    market = market_of(1)
    hourly = points(market.path.end_ns[::12], market.path.close[::12], spacing_ns=HOUR_NS)
    coarse = MarketInput(symbol="A", forecasts=market.forecasts, path=hourly, forced=market.forced)
    assert instant_bursts(coarse) is None
    totals = Forced(
        first_hour_ns=market.forced.first_hour_ns,
        known_ns=market.forced.known_ns,
        usd=market.forced.usd,
    )
    summed = MarketInput(symbol="A", forecasts=market.forecasts, path=market.path, forced=totals)
    assert instant_bursts(summed) is None
    assert hour_bursts(summed) is not None


def test_a_planted_push_is_found_at_its_size():
    rng = np.random.default_rng(5)
    market = market_of(5)
    bursts = instant_bursts(market)
    pushed = 30.0 * bursts.forced / 1e4
    noise = 1e-4 * rng.standard_normal(len(pushed))
    response = 0.3 * bursts.past[:, 2] + pushed + noise
    planted = type(bursts)(
        **{k: getattr(bursts, k) for k in bursts.__slots__} | {"response": response}
    )
    assert push_days(planted).ratio == pytest.approx(30.0, abs=1.5)


def test_what_a_drift_does_to_the_pair_is_the_integral_of_its_response():
    from scipy.integrate import quad
    from scipy.special import ndtr

    for d in (0.2, 0.7, 1.5):
        whole, _ = quad(lambda u, d=d: 4.0 * d * ndtr(-d / np.sqrt(u)), 0.0, 1.0)
        assert sooner_by_drift(np.array([d]))[0] == pytest.approx(whole, rel=1e-6)

"""Cascades against their naive twin, on hours with holes."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.cascades import market_cascades, window_cascades
from liqbt.evaluation.path import PricePath
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, MINUTE_NS, Kind, Side

START = 19_700 * DAY_NS
SEED = st.integers(0, 2**32 - 1)


def bars_of(closes, kept):
    """Hourly bars whose closes are those; a bar that is not kept is a hole."""
    start = START + np.arange(len(closes)) * HOUR_NS
    price = np.exp(np.asarray(closes))[kept]
    return PricePath(
        start_ns=start[kept],
        end_ns=start[kept] + HOUR_NS,
        low=price,
        high=price.copy(),
        close=price.copy(),
        spacing_ns=0,
        max_gap_ns=HOUR_NS,
    )


def events_of(kind, hours, p0, p1, *, side=0, span_s=3600, late_ns=MINUTE_NS):
    events = np.zeros(len(hours), EVENT_DTYPE)
    events["ts_event"] = START + (np.asarray(hours) + 1) * HOUR_NS
    events["ts_known"] = events["ts_event"] + late_ns
    events["kind"], events["side"], events["span_s"] = kind, side, span_s
    for i in range(5):
        events[f"p{i}"] = np.nan
    events["p0"], events["p1"] = p0, p1
    return events


def hours_world(seed, n):
    rng = np.random.default_rng(seed)
    closes = np.cumsum(rng.standard_t(3, n) * 0.005)
    kept = rng.random(n) > 0.01
    kept[[0, -1]] = True
    forced = np.exp(rng.normal(0.0, 2.0, (2, n))) * (rng.random((2, n)) > 0.3)
    forced *= 1.0 + 400.0 * np.abs(np.diff(closes, prepend=0.0)) * (rng.random((2, n)) > 0.5)
    return closes, kept, np.round(forced, 1)


def edges_known(closes, kept):
    """Log price at each edge from the end of the first bar on; a hole has none."""
    return [float(c) if k else None for c, k in zip(closes, kept, strict=True)]


@settings(deadline=None, max_examples=20)
@given(
    seed=SEED,
    n=st.integers(2, 900),
    feed_from=st.integers(0, 40),
    holes=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200)), max_size=3),
)
def test_cascades_of_liquidations_like_the_twin(seed, n, feed_from, holes):
    closes, kept, forced = hours_world(seed, n)
    path = bars_of(closes, kept)
    fed = np.arange(n) >= feed_from
    for start, length in holes:
        fed[start : start + length] = False
    hours = np.flatnonzero(fed)
    events = events_of(Kind.LIQUIDATION_TOTAL, hours, forced[0][fed], forced[1][fed])
    found = market_cascades(events, path, {Kind.LIQUIDATION_TOTAL, Kind.OPEN_INTEREST})
    # the hours begin with the end of the first bar, hour 1; in an hour without a bucket nothing
    # was forced, unless the feed has not begun or has been silent for three days
    known = [
        [
            (float(row[i]) if fed[i] else 0.0) if fed[max(i - 71, 1) : i + 1].any() else None
            for i in range(1, n)
        ]
        for row in forced
    ]
    cascade, large, decided = naive.cascade_hours(edges_known(closes, kept), known)
    assert found.source == "liquidations"
    assert found.first_hour_ns == START + HOUR_NS
    assert found.decided.tolist() == decided
    assert found.cascade.tolist() == cascade
    assert found.large_move.tolist() == large


@settings(deadline=None, max_examples=20)
@given(seed=SEED, n=st.integers(2, 900))
def test_falls_of_open_interest_stand_in_like_the_twin(seed, n):
    closes, kept, forced = hours_world(seed, n)
    rng = np.random.default_rng(seed + 1)
    coins = 1e5 * np.exp(np.cumsum(rng.normal(0.0, 0.003, n) - forced[0] * 1e-4))
    seen = rng.random(n) > 0.02
    events = events_of(Kind.OPEN_INTEREST, np.arange(n)[seen], coins[seen], np.nan, span_s=0)
    found = market_cascades(events, bars_of(closes, kept), {Kind.OPEN_INTEREST, Kind.BAR})
    falls = [
        float(coins[i] - coins[i + 1]) if seen[i] and seen[i + 1] else None for i in range(n - 1)
    ]
    expected = naive.cascade_hours(edges_known(closes, kept), [falls, falls])
    assert found.source == "open interest"
    assert (found.cascade.tolist(), found.large_move.tolist()) == expected[:2]
    assert found.decided.tolist() == expected[2]


@settings(deadline=None, max_examples=15)
@given(seed=SEED, cut=st.integers(400, 880))
def test_what_comes_later_changes_no_hour_before(seed, cut):
    closes, kept, forced = hours_world(seed, 900)
    other, kept_too, forced_too = hours_world(seed + 1, 900)
    other, kept_too = (
        other + closes[cut] - other[cut],
        np.where(np.arange(900) < cut, kept, kept_too),
    )
    both = [
        market_cascades(
            events_of(Kind.LIQUIDATION_TOTAL, np.arange(900), *usd),
            bars_of(c, k),
            {Kind.LIQUIDATION_TOTAL},
        )
        for c, k, usd in (
            (closes, kept, forced),
            (
                np.where(np.arange(900) < cut, closes, other),
                kept_too,
                np.where(np.arange(900) < cut, forced, forced_too),
            ),
        )
    ]
    for name in ("cascade", "large_move", "decided"):
        assert (getattr(both[0], name) == getattr(both[1], name))[: cut - 1].all()


@given(seed=SEED)
def test_windows_hold_the_first_that_begins_wholly_inside(seed):
    closes, kept, forced = hours_world(seed, 900)
    events = events_of(Kind.LIQUIDATION_TOTAL, np.arange(900), *forced)
    found = market_cascades(events, bars_of(closes, kept), {Kind.LIQUIDATION_TOTAL})
    rng = np.random.default_rng(seed)
    opens = START + rng.integers(-10, 910, 20) * HOUR_NS + rng.integers(0, 2, 20) * MINUTE_NS
    outcome, known = window_cascades(found, found.large_move, opens, opens + DAY_NS)
    for i, at in enumerate(opens.tolist()):
        starts = [found.first_hour_ns + j * HOUR_NS for j in range(len(found.decided))]
        inside = [j for j, s in enumerate(starts) if s >= at and s + HOUR_NS <= at + DAY_NS]
        whole = at >= starts[0] - (HOUR_NS - 1) and at + DAY_NS < starts[-1] + 2 * HOUR_NS
        expected = bool(inside) and whole and all(found.decided[j] for j in inside)
        assert known[i] == expected
        begun = [int(found.large_move[j]) for j in inside if found.large_move[j]]
        assert outcome[i] == (begun[0] if begun and expected else 0)


def test_longs_are_forced_where_the_price_falls():
    """Single liquidations, by the side of the position that was closed."""
    n = 500
    rng = np.random.default_rng(1)
    step = rng.normal(0.0, 0.001, n)
    step[450], step[480] = -0.02, 0.02
    path = bars_of(np.cumsum(step), np.ones(n, bool))
    hours = np.concatenate([np.arange(n), [450, 480]])
    events = events_of(Kind.LIQUIDATION, hours, 100.0, 1.0, side=Side.LONG, span_s=0)
    events["ts_event"] -= 30 * MINUTE_NS
    events["ts_known"] = events["ts_event"] + 1
    shorts = events.copy()
    shorts["side"] = Side.SHORT
    events["p1"][-2:], shorts["p1"][-2:] = (50.0, 0.0), (0.0, 50.0)
    found = market_cascades(np.concatenate([events, shorts]), path, {Kind.LIQUIDATION})
    assert np.flatnonzero(found.cascade).tolist() == [449, 479]  # hours count from the first close
    assert found.cascade[[449, 479]].tolist() == [-1, 1]
    events["p1"][-2], shorts["p1"][-2] = 0.0, 50.0  # shorts forced while the price falls: none
    found = market_cascades(np.concatenate([events, shorts]), path, {Kind.LIQUIDATION})
    assert np.flatnonzero(found.cascade).tolist() == [479]
    late = events.copy()
    late["ts_known"] = late["ts_event"] + 2 * HOUR_NS  # later than an outcome waits
    found = market_cascades(np.concatenate([late, shorts]), path, {Kind.LIQUIDATION})
    assert not (found.cascade < 0).any()


def test_a_bucket_of_more_than_an_hour_is_left_out():
    n = 500
    path = bars_of(np.zeros(n), np.ones(n, bool))
    events = events_of(Kind.LIQUIDATION_TOTAL, np.arange(24, n, 24), 1.0, 1.0, span_s=86_400)
    found = market_cascades(events, path, {Kind.LIQUIDATION_TOTAL})
    assert not found.decided.any()


def test_a_feed_that_has_been_silent_for_three_days_has_stopped():
    n = 1000
    path = bars_of(np.cumsum(np.full(n, 1e-4)), np.ones(n, bool))
    events = events_of(Kind.LIQUIDATION_TOTAL, np.arange(500), 1.0, 1.0)
    found = market_cascades(events, path, {Kind.LIQUIDATION_TOTAL})
    decided = np.flatnonzero(found.decided) + 1  # hours count from the first close
    assert decided[-1] == 499 + 71


@pytest.mark.parametrize("kinds", [{Kind.LIQUIDATION}, {Kind.OPEN_INTEREST}])
def test_without_a_feed_nothing_is_decided(kinds):
    path = bars_of(np.zeros(400), np.ones(400, bool))
    found = market_cascades(np.zeros(0, EVENT_DTYPE), path, kinds)
    assert not found.decided.any()
    assert not found.cascade.any()

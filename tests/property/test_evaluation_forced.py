"""Forced notional by hour and order by order, against sums made one event at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liqbt.evaluation.forced import market_forced
from liqbt.evaluation.path import PricePath
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, MINUTE_NS, Kind

START = 19_700 * DAY_NS
HOURS = 30


def mark_path():
    ts = START + np.arange(HOURS + 1) * HOUR_NS
    price = np.full(len(ts), 100.0)
    return PricePath(
        start_ns=ts,
        end_ns=ts.copy(),
        low=price,
        high=price.copy(),
        close=price.copy(),
        spacing_ns=HOUR_NS,
        max_gap_ns=3 * HOUR_NS,
    )


def singles(seed, n, *, late=False):
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT_DTYPE)
    events["ts_event"] = START + np.sort(rng.integers(0, HOURS * 60, n)) * MINUTE_NS
    delay = rng.integers(1, 100 if late else 2, n) * MINUTE_NS
    events["ts_known"] = events["ts_event"] + delay
    events["kind"], events["side"] = Kind.LIQUIDATION, rng.choice([-1, 1], n)
    events["p0"], events["p1"] = rng.uniform(90, 110, n), rng.uniform(1, 9, n)
    return events


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 80))
def test_hours_and_orders_are_sums_of_what_was_known_in_time(seed, n):
    events = singles(seed, n, late=True)
    found = market_forced(events, mark_path(), {Kind.LIQUIDATION, Kind.MARK})
    assume(found is not None)
    in_time = [e for e in events if e["ts_known"] - e["ts_event"] <= HOUR_NS]
    usd = {}
    for e in in_time:
        key = (int(e["ts_event"]), int(e["side"]))
        usd[key] = usd.get(key, 0.0) + float(e["p0"] * e["p1"])
    orders = found.orders
    keys = list(zip(orders.ts_ns.tolist(), orders.side.tolist(), strict=True))
    assert keys == sorted(usd)
    np.testing.assert_allclose(orders.usd, [usd[key] for key in keys])
    for i in range(found.usd.shape[1]):
        start = found.first_hour_ns + i * HOUR_NS
        mine = [e for e in in_time if start <= e["ts_event"] < start + HOUR_NS]
        latest = max([start + HOUR_NS, *(int(e["ts_known"]) for e in mine)])
        assert found.known_ns[i] == latest
        if np.isfinite(found.usd[0, i]):
            for row, side in enumerate((1, -1)):
                total = sum(float(e["p0"] * e["p1"]) for e in mine if e["side"] == side)
                np.testing.assert_allclose(found.usd[row, i], total)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80), hour=st.integers(1, HOURS))
def test_what_is_forced_later_changes_no_earlier_hour(seed, n, hour):
    events = singles(seed, n)
    cut = START + hour * HOUR_NS
    whole = market_forced(events, mark_path(), {Kind.LIQUIDATION})
    part = market_forced(events[events["ts_event"] < cut], mark_path(), {Kind.LIQUIDATION})
    if part is None:
        return
    np.testing.assert_array_equal(part.usd[:, :hour], whole.usd[:, :hour])
    np.testing.assert_array_equal(part.known_ns[:hour], whole.known_ns[:hour])


def test_totals_win_over_singles_and_without_either_there_is_none():
    events = singles(1, 20)
    totals = events.copy()
    totals["kind"], totals["span_s"], totals["side"] = Kind.LIQUIDATION_TOTAL, 3600, 0
    totals["ts_event"] = START + (np.arange(20) + 1) * HOUR_NS
    totals["ts_known"] = totals["ts_event"] + MINUTE_NS
    both = np.concatenate([events, totals])
    found = market_forced(both, mark_path(), {Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL})
    assert found.orders is None
    np.testing.assert_array_equal(found.usd[:, :20], [totals["p0"], totals["p1"]])
    assert np.isnan(found.usd[:, 20:]).all()  # hours that the totals do not cover
    assert (found.known_ns[:20] == totals["ts_known"]).all()
    assert market_forced(both, mark_path(), {Kind.MARK}) is None

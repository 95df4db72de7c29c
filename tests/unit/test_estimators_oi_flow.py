"""The reference estimator, in steps small enough to be followed by hand."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from estimator_events import (
    TIERS,
    at,
    bar,
    event,
    events,
    mark,
    mark_bar,
    market,
    of,
    open_interest,
    trade,
)

from liqbt.errors import ConfigError, DataError, MarginError
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams, fitted_brackets, plan_of
from liqbt.margin.tiers import flat_tiers, tier_table
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Kind, Side

# one bracket of 10x at a rate of 0.4 %: longs at ln(.9/.996) = -.101353 of their entry, 10.1 bins
# of 1 % below it; shorts at ln(1.1/1.004) = +.091318, 9.1 bins above
STEP = 0.01
DOWN, UP = -10, 9
HALF = 300


def config(**changes):
    base = {
        "tiers": TIERS,
        "leverages": (10.0,),
        "weights": (1.0,),
        "half_lives_h": (1e12,),
        "step": STEP,
        "fine_bins": 20,
        "coarse": 10,
        "sigma_window": 30 * MINUTE_NS,
    }
    return of(OIFlow, **(base | changes))


def coins(estimator):
    """{bin from the anchor: coins} of longs and of shorts."""
    state = estimator.state()
    book = (state["coins"] * state["scale"][:, :, None]).sum(axis=1)
    return [
        {int(i) - HALF: pytest.approx(side[i], rel=1e-12) for i in np.flatnonzero(side)}
        for side in book
    ]


def fed(*rows, **changes):
    estimator = OIFlow(*config(**changes))
    estimator.update(events(*rows))
    return estimator


def p(bins):
    """A price that many bins from the anchor of 100."""
    return 100 * math.exp(bins * STEP)


def test_what_was_open_at_the_start_is_not_placed():
    assert coins(fed(mark(0, 100.0), open_interest(0, 1000.0))) == [{}, {}]


def test_an_increase_is_placed_at_the_traded_price_on_both_sides():
    # 3 of 4 coins traded in bin 2, 1 in bin 0: of 80 opened, 60 and 20
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        trade(1, p(2.5), 3.0),
        trade(2, p(0.5), 1.0),
        mark(300, p(0.5)),
        open_interest(300, 1080.0),
    )
    assert coins(estimator) == [
        {0 + DOWN: 20.0, 2 + DOWN: 60.0},
        {0 + UP: 20.0, 2 + UP: 60.0},
    ]


def test_a_bar_counts_evenly_over_its_range_where_no_trade_arrived():
    # from bin 0.5 to bin 2.5: a quarter of the range in bin 0, half in 1, a quarter in 2
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        bar(300, p(0.5), p(2.5), p(1.5), 7.0),
        mark(300, p(1.5)),
        open_interest(300, 1080.0),
    )
    assert coins(estimator)[0] == {DOWN: 20.0, 1 + DOWN: 40.0, 2 + DOWN: 20.0}


def test_trades_are_preferred_to_bars():
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        trade(1, p(1.5), 1e-3),
        bar(300, p(0.5), p(2.5), p(1.5), 7.0),
        mark(300, p(1.5)),
        open_interest(300, 1080.0),
    )
    assert coins(estimator)[0] == {1 + DOWN: 80.0}


@pytest.mark.parametrize(("begun", "used"), [(0, True), (-14, True), (-16, False), (-3300, False)])
def test_a_bar_that_began_before_the_last_snapshot_is_not_its_volume(begun, used):
    # the bar ends with the snapshot at 300 s, and lasts longer than the interval but for 5 % jitter
    span = 300 - begun
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        bar(300, p(5.2), p(5.8), p(5.5), 7.0, span_s=span),
        mark(300, p(0.5)),
        open_interest(300, 1080.0),
    )
    assert coins(estimator)[0] == ({5 + DOWN: 80.0} if used else {DOWN: 80.0})


def test_without_volume_time_on_the_path_of_the_mark_counts():
    # 100 s from bin 0 to bin 2 (half in each of 0 and 1), then 300 s inside bin 2 (p(2) to p(3))
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        mark(100, p(2.0)),
        mark(400, p(2.99)),
        open_interest(400, 1080.0),
    )
    placed = coins(estimator)[0]
    assert sum(value.expected for value in placed.values()) == pytest.approx(80)
    assert placed[2 + DOWN].expected == pytest.approx(60, rel=1e-6)
    assert placed[0 + DOWN].expected == pytest.approx(10, rel=1e-6)


def test_a_bar_of_marks_spends_its_time_over_its_range():
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        mark_bar(300, p(1.0), p(5.0), p(4.5)),
        open_interest(300, 1080.0),
    )
    assert sorted(coins(estimator)[0]) == [1 + DOWN, 2 + DOWN, 3 + DOWN, 4 + DOWN]


def test_with_no_time_either_the_bin_of_the_mark_counts():
    estimator = fed(mark(0, 100.0), open_interest(0, 1000.0), open_interest(0.5, 1080.0))
    assert coins(estimator) == [{DOWN: 80.0}, {UP: 80.0}]


def test_the_mark_takes_out_what_it_passes_and_its_own_bin():
    rows = [mark(0, 100.0), open_interest(0, 1000.0), open_interest(1, 1080.0)]
    assert coins(fed(*rows, mark(2, p(DOWN + 1.5)))) == [{DOWN: 80.0}, {UP: 80.0}]
    for price in (p(DOWN + 0.5), p(DOWN - 5.5)):
        estimator = fed(*rows, mark(2, price))
        assert coins(estimator) == [{}, {UP: 80.0}]
        assert estimator.state()["counts"][0].tolist() == [80.0, 0.0]
    assert coins(fed(*rows, mark(2, p(UP - 0.5)))) == [{DOWN: 80.0}, {UP: 80.0}]
    assert coins(fed(*rows, mark(2, p(UP + 0.5)))) == [{DOWN: 80.0}, {}]


def test_the_extremes_of_a_bar_of_marks_take_out_too():
    rows = [mark(0, 100.0), open_interest(0, 1000.0), open_interest(1, 1080.0)]
    assert coins(fed(*rows, mark_bar(301, p(DOWN), p(0.5), p(0.0)))) == [{}, {UP: 80.0}]
    assert coins(fed(*rows, mark_bar(301, p(0), p(UP + 0.1), p(0.5)))) == [{DOWN: 80.0}, {}]


def test_a_price_that_is_older_than_the_mark_is_ignored():
    late = mark(1, p(DOWN - 5))
    late["ts_known"] = at(1000)
    estimator = fed(
        mark(0, 100.0), open_interest(0, 1000.0), open_interest(1, 1080.0), mark(2, 101.0), late
    )
    assert coins(estimator) == [{DOWN: 80.0}, {UP: 80.0}]
    assert estimator.state()["head"]["mark"][0] == 101.0


def after_longs_are_consumed(open_interest_coins):
    """Eighty coins are opened on each side, the mark passes the longs, a trade, a snapshot."""
    return fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        open_interest(1, 1080.0),
        mark(2, p(DOWN - 4.5)),
        trade(3, p(DOWN - 4.5), 1.0),
        open_interest(4, open_interest_coins),
    )


def test_nothing_is_opened_where_more_was_consumed_than_open_interest_fell():
    # 80 longs consumed, open interest fell by 30: nothing is left to be closed nor opened; of the
    # shorts, none of which was consumed, 30 of 1,080 are closed: 80 · (1 - 30/1080) = 77.777
    estimator = after_longs_are_consumed(1050.0)
    assert coins(estimator) == [{}, {UP: 80 * (1 - 30 / 1080)}]


def test_a_rise_opens_the_same_coins_on_both_sides_whatever_was_consumed():
    estimator = after_longs_are_consumed(1100.0)
    assert coins(estimator) == [{2 * DOWN - 5: 20.0}, {DOWN - 5 + UP: 20.0, UP: 80.0}]


def test_consumption_lowers_the_decline_that_is_left_for_exits():
    # two lots of 80 longs at bins -10 and -7; the mark takes the upper; open interest falls by 100:
    # 80 were consumed, 20 of 1,160 are closed: 80 · (1 - 20/1160)
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        open_interest(1, 1080.0),
        trade(2, p(3.5), 1.0),
        open_interest(3, 1160.0),
        mark(4, p(DOWN + 2.5)),
        open_interest(5, 1060.0),
    )
    longs, shorts = coins(estimator)
    assert longs == {DOWN: 80 * (1 - 20 / 1160)}
    assert shorts == {UP: 80 * (1 - 100 / 1160), UP + 3: 80 * (1 - 100 / 1160)}


def test_what_is_placed_beyond_the_mark_is_consumed_at_once_and_counted_next():
    # traded at bin 0, but by the snapshot the mark is in bin -16: longs of bin -10 are gone
    rows = [
        mark(0, 100.0),
        open_interest(0, 1000.0),
        trade(1, 100.0, 1.0),
        mark(300, p(-15.5)),
        open_interest(300, 1080.0),
    ]
    estimator = fed(*rows)
    assert coins(estimator) == [{}, {UP: 80.0}]
    assert estimator.state()["counts"][0].tolist() == [80.0, 0.0]
    # open interest falls by 100: 80 longs are gone already, but no short is
    estimator = fed(*rows, trade(301, p(-15.5), 1.0), open_interest(600, 980.0))
    assert coins(estimator) == [{}, {UP: 80.0 * (1 - 100 / 1080)}]


def test_a_bracket_halves_with_its_half_life_at_snapshots():
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        open_interest(1, 1080.0),
        open_interest(1 + 3600, 1080.0),
        leverages=(10.0, 10.0),
        weights=(0.25, 0.75),
        half_lives_h=(1.0, 2.0),
    )
    expected = 20 * 0.5 + 60 * 0.5**0.5
    assert coins(estimator)[0] == {DOWN: expected}


def test_ageing_survives_the_scale_that_becomes_tiny():
    rows = [mark(0, 100.0), open_interest(0, 1000.0), open_interest(1, 1080.0)]
    # 40 half-lives at a time: the scale falls below 1e-30 on the way, coins opened last are whole
    rows += [open_interest(1 + 40 * 3600 * k, 1080.0 + k) for k in range(1, 6)]
    estimator = fed(*rows, half_lives_h=(1.0,))
    assert estimator.state()["scale"].min() >= 1e-30
    assert coins(estimator)[0][DOWN].expected == pytest.approx(1.0, rel=1e-9)


def test_coins_beyond_the_grid_are_counted_as_outside():
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        open_interest(1, 1080.0),
        grid_span=0.09,
        reach=0.09,
        asymmetry_reach=0.05,
    )
    # bins -9 to 8 are covered: neither DOWN nor UP is among them
    assert estimator.state()["counts"][1].tolist() == [80.0, 80.0]
    assert coins(estimator) == [{}, {}]


def test_tiers_are_those_of_the_snapshot_s_date():
    # before the second date 10x is liquidated at ln(.9/.996), after it at ln(.9/.92)
    tiers = tier_table(
        "X",
        effective_ns=[at(0), at(1000)],
        floor_usd=[0, 0],
        cap_usd=[np.inf, np.inf],
        rate=[0.004, 0.08],
        max_leverage=[20, 12],
    )
    estimator = fed(
        mark(0, 100.0),
        open_interest(0, 1000.0),
        open_interest(999, 1080.0),
        open_interest(1000, 1120.0),
        tiers=tiers,
    )
    assert coins(estimator)[0] == {DOWN: 80.0, -2: 40.0}


def test_a_date_without_usable_tiers_is_an_error_when_it_is_met():
    known_later = tier_table(
        "X", effective_ns=[at(1000)], floor_usd=[0], cap_usd=[9e9], rate=[0.01], max_leverage=[20]
    )
    with pytest.raises(MarginError, match=r"X has no margin tiers on 2023-11-14"):
        fed(mark(0, 100.0), open_interest(0, 1.0), open_interest(1, 2.0), tiers=known_later)
    too_low_later = tier_table(
        "X",
        effective_ns=[at(0), at(1000)],
        floor_usd=[0, 0],
        cap_usd=[9e9, 9e9],
        rate=[0.01, 0.01],
        max_leverage=[20, 5],
    )
    rows = [mark(0, 100.0), open_interest(0, 1.0), open_interest(999, 2.0)]
    fed(*rows, tiers=too_low_later)
    with pytest.raises(MarginError, match=r"bracket 10x .*maximum leverage of 5x"):
        fed(*rows, open_interest(1000, 3.0), tiers=too_low_later)
    with pytest.raises(MarginError, match=r"bracket 10x .*maximum leverage of 5x"):
        OIFlow(*config(tiers=flat_tiers("X", 0.01, 5)))


def test_prices_of_the_kind_that_stands_in():
    rows = [bar(0, 99.0, 101.0, 100.0, 1.0), open_interest(0, 1000.0)]
    rows += [bar(300, p(0.1), p(UP + 0.5), p(5.5), 4.0), open_interest(300, 1080.0)]
    bars = fed(*rows, price_kind=Kind.BAR)
    assert bars.state()["head"]["mark"][0] == p(5.5)
    # entries from bin 0 to UP: their longs lie below the close
    assert sum(v.expected for v in coins(bars)[0].values()) == pytest.approx(80.0)
    trades = fed(
        trade(0, 100.0, 1.0),
        open_interest(0, 1000.0),
        open_interest(1, 1080.0),
        trade(2, p(DOWN - 0.5), 1.0),
        mark(3, p(UP + 5)),
        price_kind=Kind.TRADE,
    )
    assert coins(trades) == [{}, {UP: 80.0}]


def walk(n=12, **changes):
    """A market that issues: marks around 100 and rising open interest."""
    rows = []
    for i in range(n):
        rows += [mark(300 * i, 100 + (i % 3)), open_interest(300 * i, 1000 + 50 * i)]
    return fed(*rows, **changes), at(300 * (n - 1) + 61)


def test_a_forecast_sums_to_open_interest_and_touches_nothing():
    estimator, when = walk()
    before = estimator.state()
    forecast = estimator.forecast(when)
    assert forecast is not None
    assert all(before[k].tobytes() == v.tobytes() for k, v in estimator.state().items())
    # survivors sum to the open interest in coins: value each row at its entry's middle
    for side, row in ((Side.LONG, 0), (Side.SHORT, 1)):
        n = forecast.density_usd.shape[1]
        prices = forecast.grid.prices(forecast.mark_bin, side, n)[:21]
        middle = np.sqrt(prices[1:] * prices[:-1])
        assert forecast.density_usd[row][:20] @ (1 / middle) == pytest.approx(1550, rel=1e-6)
        assert not forecast.density_usd[row][20:].any()
    assert forecast.open_interest_usd == 1550 * forecast.mark
    assert forecast.mark == 102.0
    assert forecast.mark_ts == at(3300)
    assert forecast.latest_known == at(3360)
    assert forecast.grid.anchor == 100.0
    assert forecast.grid.bin_of(forecast.mark) == forecast.mark_bin == 1
    for array in (forecast.clusters, forecast.density_usd):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = array


def test_clusters_lie_strictly_beyond_the_mark_and_in_order():
    estimator = OIFlow(*of(OIFlow, tiers=TIERS))
    tape = market(seed=3, days=6)
    estimator.update(tape)
    forecast = estimator.forecast(int(tape["ts_known"][-1]) + 1)
    clusters = forecast.clusters
    assert len(clusters) > 10
    shorts, longs = clusters[clusters["side"] == -1], clusters[clusters["side"] == 1]
    assert clusters["side"].tolist() == [-1] * len(shorts) + [1] * len(longs)
    assert (shorts["low"] > forecast.mark).all()
    assert (longs["high"] < forecast.mark).all()
    assert (np.diff(shorts["low"]) > 0).all()
    assert (np.diff(longs["high"]) < 0).all()
    assert (shorts["high"][:-1] <= shorts["low"][1:]).all()
    assert (longs["low"][:-1] >= longs["high"][1:]).all()
    assert ((clusters["low"] <= clusters["peak"]) & (clusters["peak"] < clusters["high"])).all()
    assert ((clusters["density_rank"] > 0) & (clusters["density_rank"] <= 1)).all()
    # edges are the grid's, and a band's notional is that of its entries
    for cluster in clusters:
        side = Side(int(cluster["side"]))
        row = 0 if side == Side.LONG else 1
        edges = forecast.grid.prices(forecast.mark_bin, side, 200)
        near, far = (
            (cluster["high"], cluster["low"]) if row == 0 else (cluster["low"], cluster["high"])
        )
        first = np.flatnonzero(np.isclose(edges, near, rtol=1e-12))
        last = np.flatnonzero(np.isclose(edges, far, rtol=1e-12))
        if len(first) and len(last):
            inside = forecast.density_usd[row][first[0] : last[0]]
            assert cluster["notional_usd"] == pytest.approx(inside.sum(), rel=1e-5)


def test_a_near_edge_is_beyond_a_mark_on_the_edge_of_its_bin():
    # 100x longs opened at the anchor lie half a bin below it, in the bin beside the mark's
    rows = [mark(300 * i, 100.0 + (i == 10) * 1e-9) for i in range(12)]
    rows += [open_interest(0, 1000.0), open_interest(3300, 2000.0)]
    estimator = fed(*rows, leverages=(100.0,), reach=0.5)
    forecast = estimator.forecast(at(3361))
    assert forecast.mark == forecast.grid.anchor == 100.0
    longs = forecast.clusters[forecast.clusters["side"] == 1]
    assert longs["high"].tolist() == [np.nextafter(100.0, 0)]
    assert forecast.clusters["low"][0] > 100.0


def test_asymmetry_is_positive_where_more_longs_lie_below():
    rows = [mark(0, 100.0), open_interest(0, 1000.0), open_interest(1, 1100.0)]
    rows += [mark(300 * i, 100.0 + 0.1 * (i % 2)) for i in range(1, 12)]
    rows += [mark(3600, p(UP + 1.5)), open_interest(3600, 1000.0)]
    estimator = fed(*rows, asymmetry_reach=0.3)
    forecast = estimator.forecast(at(3700))
    assert forecast.asymmetry == 1.0
    assert forecast.crowded_side == Side.LONG


def test_nothing_is_issued_before_there_is_enough():
    assert OIFlow(*config()).forecast(at(0)) is None
    assert fed(open_interest(0, 1.0)).forecast(at(61)) is None
    marks = [mark(300 * i, 100.0 + i) for i in range(12)]
    assert fed(*marks).forecast(at(3600)) is None
    assert fed(*marks, open_interest(0, 1.0)).forecast(at(3600)) is not None
    # σ is unknown below half coverage of six slots, and where the price stood still
    assert fed(*marks[:2], open_interest(0, 1.0)).forecast(at(361)) is None
    assert fed(*marks[:3], open_interest(0, 1.0)).forecast(at(661)) is not None
    assert fed(*marks, open_interest(0, 1.0)).forecast(at(3300 + 7200)) is None
    still = [mark(300 * i, 100.0) for i in range(12)]
    assert fed(*still, open_interest(0, 1.0)).forecast(at(3600)) is None


def test_sigma_by_hand():
    # log returns of +1 % and -2 % over 300 s each: (1e-4 + 4e-4) / 600 s · 86,400 s = .072
    marks = [mark(0, 100.0), mark(300, p(1)), mark(600, p(-1))]
    forecast = fed(*marks, open_interest(0, 1.0)).forecast(at(661))
    assert forecast.sigma_1d == pytest.approx(math.sqrt(0.072), rel=1e-12)


def test_the_window_of_sigma_is_whole_slots_up_to_the_instant_before():
    # slots of 300 s begin at 100 s after START, 400 s, …; six of them end at 1,900 s
    marks = [mark(110 + 300 * i, 100.0 + i) for i in range(6)]
    estimator = fed(*marks, open_interest(0, 1.0), sigma_min_coverage=1.0)
    six = estimator.forecast(at(1900))
    assert six is not None
    assert estimator.forecast(at(1900) + 1) is None
    # the slot before the window gives no return into it
    estimator = fed(mark(0, 50.0), *marks, open_interest(0, 1.0), sigma_min_coverage=1.0)
    assert estimator.forecast(at(1900)).sigma_1d == six.sigma_1d


def test_a_forecast_ages_the_book_to_its_time():
    # 40 coins of 1 h and 40 of 1,000 h, in bins -10 and -2; two hours after the snapshot a quarter
    # of the former is left, and survivors are scaled to the open interest of 1,080
    rows = [mark(300 * i, 100.0 + 1e-3 * (i % 2)) for i in range(60)]
    estimator = fed(
        *rows,
        open_interest(0, 1000.0),
        open_interest(10_800, 1080.0),
        leverages=(10.0, 50.0),
        weights=(0.5, 0.5),
        half_lives_h=(1.0, 1e12),
    )
    below = estimator.forecast(at(10_800 + 60 + 7200)).density_usd[0]
    values = below[below > 0]
    assert len(values) == 2
    assert values[1] / values[0] == pytest.approx(0.25 * math.exp(-0.08), rel=1e-6)


def test_observed_liquidations_of_the_last_day_are_evidence():
    estimator, when = walk()
    assert math.isnan(estimator.forecast(when).observed_long_usd)
    single = event(Kind.LIQUIDATION, 3400, 90.0, 2.0, side=Side.LONG)
    other = event(Kind.LIQUIDATION, 3400, 110.0, 1.0, side=Side.SHORT)
    estimator.update(events(single, other))
    forecast = estimator.forecast(at(3600))
    assert (forecast.observed_long_usd, forecast.observed_short_usd) == (180.0, 110.0)
    # totals, where there is a feed of them, are what is shown; buckets end at ts_event
    total = event(Kind.LIQUIDATION_TOTAL, 3500, 500.0, 70.0, span_s=3600)
    estimator.update(events(total, total))
    forecast = estimator.forecast(at(3600))
    assert (forecast.observed_long_usd, forecast.observed_short_usd) == (1000.0, 140.0)
    later = [mark(3600 * h, 100.0 + h % 2) for h in range(20, 27)]
    estimator = fed(
        *later,
        total,
        open_interest(0, 1.0),
        sigma_window=6 * HOUR_NS,
        sigma_sampling=HOUR_NS,
    )
    assert estimator.forecast(at(23 * 3600)).observed_long_usd == 500.0
    assert estimator.forecast(at(26 * 3600 + 100)).observed_long_usd == 0.0


def test_a_saved_state_goes_on_bit_for_bit():
    tape = market(seed=1, days=5, trades=3, totals=True)
    whole = OIFlow(*of(OIFlow, tiers=TIERS))
    whole.update(tape)
    half = OIFlow(*of(OIFlow, tiers=TIERS))
    half.update(tape[: len(tape) // 2])
    file = io.BytesIO()
    np.savez(file, **half.state())
    file.seek(0)
    resumed = OIFlow(*of(OIFlow, tiers=TIERS))
    resumed.restore(dict(np.load(file)))
    resumed.update(tape[len(tape) // 2 :])
    when = int(tape["ts_known"][-1]) + 1
    one, other = whole.forecast(when), resumed.forecast(when)
    assert one.density_usd.tobytes() == other.density_usd.tobytes()
    assert one.clusters.tobytes() == other.clusters.tobytes()
    assert one.asymmetry == other.asymmetry
    assert one.observed_long_usd == other.observed_long_usd


def test_a_state_of_something_else_is_refused():
    estimator = OIFlow(*config())
    state = estimator.state()
    with pytest.raises(DataError, match="another estimator: coins"):
        estimator.restore({k: v for k, v in state.items() if k != "coins"})
    with pytest.raises(DataError, match=r"coins is float64\[2, 2, 600\]"):
        estimator.restore(
            OIFlow(
                *config(leverages=(5.0, 10.0), weights=(0.5, 0.5), half_lives_h=(1.0, 1.0))
            ).state()
        )


@pytest.mark.parametrize("c", [2.0, 1 / 3, 1e4])
def test_prices_and_tier_bounds_scaled_together_scale_the_clusters(c):
    tape = market(seed=5, days=5)
    scaled = tape.copy()
    for name in ("p0", "p1", "p2", "p3"):
        scaled[name][tape["kind"] == Kind.MARK] *= c
    when = int(tape["ts_known"][-1]) + 1
    out = []
    for factor, events_ in ((1.0, tape), (c, scaled)):
        tiers = tier_table(
            "X",
            effective_ns=[0, 0],
            floor_usd=[0, 9e3 * factor],
            cap_usd=[9e3 * factor, 1e6 * factor],
            rate=[0.004, 0.008],
            max_leverage=[125, 110],
            amount_usd=[0, 36 * factor],
        )
        brackets = tuple(
            replace(bracket, position_notional_usd=1e4 * factor)
            for bracket in OIFlowParams().brackets
        )
        estimator = OIFlow(*of(OIFlow, tiers=tiers, brackets=brackets))
        estimator.update(events_)
        out.append((estimator.forecast(when), estimator.state()["coins"]))
    (one, coins_one), (other, coins_other) = out
    assert len(one.clusters) == len(other.clusters) > 5
    for name in ("low", "high", "peak", "notional_usd"):
        np.testing.assert_allclose(other.clusters[name], c * one.clusters[name], rtol=1e-9)
    np.testing.assert_allclose(coins_other, coins_one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": (0.0,)}, "no positive weight"),
        ({"weights": (-1.0,)}, "weight is -1"),
        ({"brackets": (), "leverages": (), "weights": (), "half_lives_h": ()}, "no positive"),
        ({"leverages": (1.0,)}, "leverage is 1"),
        ({"half_lives_h": (0.0,)}, "half_life is 0"),
        ({"position_notional_usd": -1.0}, "position_notional_usd is -1"),
        ({"step": 0.0}, "step is"),
        ({"smoothing_bins": 6}, "smoothing_bins is"),
        ({"smoothing_bins": 103}, "smoothing_bins is"),
        ({"prominence": 1.0}, "prominence is"),
        ({"reach": 4.0}, "reach is"),
        ({"band_edges_sigma": (1.0, 0.5)}, "band_edges_sigma is"),
        ({"asymmetry_reach": 1.0}, "asymmetry_reach is"),
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def laddered(most, **changes):
    """Four brackets on a venue that allows so much, fitted to it."""
    given = {
        "leverages": (10.0, 20.0, 50.0, 100.0),
        "weights": (0.2, 0.3, 0.4, 0.1),
        "half_lives_h": (4.0, 3.0, 2.0, 1.0),
        "tiers": flat_tiers("X", 0.004, most),
        "above_maximum": "fit",
    }
    return config(**(given | changes))


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (100.0, {10: 0.2, 20: 0.3, 50: 0.4, 100: 0.1}),
        (75.0, {10: 0.2, 20: 0.3, 50: 0.4, 75: 0.1}),
        (50.0, {10: 0.2, 20: 0.3, 50: 0.4}),
        (40.0, {10: 0.2, 20: 0.3, 40: 0.4}),
        (15.0, {10: 0.2, 15: 0.3}),
        (5.0, {5: 0.2}),
    ],
)
def test_brackets_are_fitted_to_what_the_venue_allows(most, expected):
    params, market = laddered(most)
    found = fitted_brackets(params.brackets, market.tiers.at(0))
    assert {b.leverage: b.weight for b in found if b.weight} == expected
    assert [b.half_life for b in found] == [b.half_life for b in params.brackets]
    plan = plan_of(params, market.tiers)
    assert plan.weights[0].sum() == pytest.approx(1.0)
    assert plan.weights[0][plan.weights[0] > 0] == pytest.approx(
        np.array(list(expected.values())) / sum(expected.values())
    )


def test_fitting_is_what_a_list_by_hand_says():
    """A map with fitted brackets is, bit for bit, that of the list that somebody would write."""
    tape = market(seed=3, days=6)
    by_hand = laddered(
        40.0, leverages=(10.0, 20.0, 40.0), weights=(0.2, 0.3, 0.4), half_lives_h=(4.0, 3.0, 2.0)
    )
    maps = []
    for given in (laddered(40.0), by_hand):
        estimator = OIFlow(*given)
        estimator.update(tape)
        maps.append(estimator.forecast(int(tape["ts_known"][-1]) + 1))
    assert maps[0].density_usd.any()
    np.testing.assert_array_equal(maps[0].density_usd, maps[1].density_usd)


def test_each_date_has_the_brackets_of_its_tiers():
    """The dropped bracket is opened no more, and what it held stays until it is gone."""
    day = 86_400
    tiers = tier_table(
        "X",
        effective_ns=[at(0) - 1, at(2 * day)],
        floor_usd=[0.0, 0.0],
        cap_usd=[1e9, 1e9],
        rate=[0.004, 0.004],
        max_leverage=[100.0, 20.0],
    )
    estimator = OIFlow(*laddered(100.0, tiers=tiers, half_lives_h=(1e12,) * 4))
    estimator.update(events(mark(0, 100.0), open_interest(0, 1000.0), open_interest(60, 1100.0)))
    held = (estimator.state()["coins"] * estimator.state()["scale"][:, :, None]).sum(axis=2)
    assert held[0] == pytest.approx([20.0, 30.0, 40.0, 10.0])
    estimator.update(events(mark(2 * day, 100.0), open_interest(2 * day + 60, 1200.0)))
    later = (estimator.state()["coins"] * estimator.state()["scale"][:, :, None]).sum(axis=2)
    assert later[0] - held[0] == pytest.approx([40.0, 60.0, 0.0, 0.0], abs=1e-6)
    assert estimator.assumed(at(0), at(day)) == ()
    assert estimator.assumed(at(0), at(3 * day)) == (
        "brackets above the venue's maximum leverage by its tiers from 2023-11-16: 50x and 100x "
        "left out; weights are rescaled over what is left",
    )


def test_what_is_not_to_be_fitted_is_refused():
    said = r"bracket 50x of 10000 USD is above the maximum leverage .*'params.above_maximum' to fit"
    with pytest.raises(MarginError, match=said):
        OIFlow(*laddered(40.0, above_maximum="refuse"))
    with pytest.raises(MarginError, match="no bracket with a weight is allowed"):
        OIFlow(*laddered(40.0, weights=(0.0, 0.0, 0.0, 0.1)))
    said = r"bracket 10x of 10000 USD is above the .*; change 'params.brackets'$"
    with pytest.raises(MarginError, match=said):
        OIFlow(*laddered(1.0))


def test_a_price_configuration_that_cannot_be_right_is_refused():
    with pytest.raises(ConfigError, match="MARK, BAR or TRADE"):
        MarketSpec(symbol="X", price_kind=Kind.FUNDING)
    with pytest.raises(ConfigError, match="divide"):
        MapParams(sigma_window=DAY_NS, sigma_sampling=7 * MINUTE_NS)
    with pytest.raises(ConfigError, match="sigma_min_coverage"):
        MapParams(sigma_min_coverage=0.0)

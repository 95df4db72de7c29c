"""What the price crosses of each map, what was forced, and what models make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from crossings_world import crossing_market, naive_crossings
from evaluation_world import START, points
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.claims.location import STATISTICS as LOCATION
from liqbt.evaluation.claims.placement import STATISTICS as PLACEMENT
from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.crossings import CROSSING_DTYPE, crossing_table
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.forced import market_forced
from liqbt.evaluation.forced_models import PATH, RIDGE, STAND_INS, TWIN, forced_models
from liqbt.evaluation.statistic import Cell
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, DensityGrid, Kind

CELL = Cell(market=0, horizon_ns=DAY_NS, side="both")
BY_ID = {one.id: one for one in (*LOCATION, *PLACEMENT)}


def table_of(market):
    return crossing_table(market, market.forecasts)


def ratio(name, market, **fields):
    evidence = Evidence(markets=[market], config=EvaluationConfig(horizons_ns=(DAY_NS,)), **fields)
    days = BY_ID[name].day_sums(evidence, CELL)
    return None if days is None else days.ratio


@pytest.fixture(scope="module")
def market():
    return crossing_market(1, 5)


@pytest.fixture(scope="module")
def told():
    return crossing_market(2, 60, told=0.4, beyond=1.0)


def test_a_crossing_table_is_what_a_look_at_every_bin_says(market):
    table, naive = table_of(market), list(naive_crossings(market))
    assert len(table) == len(naive) == 2 * 5 * 24
    hourly = np.array([f.sigma_1d for f in market.forecasts])[0] / np.sqrt(24.0)
    for name in naive[0]:
        want = np.array([row[name] for row in naive])
        got = table[name] * (hourly if name == "reach" else 1.0)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9, err_msg=name)
    assert (table["beyond"] > 0).sum() > 2
    assert (table["before"] > 0).sum() > 2


def reflected(market):
    """The market with log price reflected about 100."""
    path = market.path
    price = 1e4 / path.close
    turned = points(path.end_ns, price)

    def turn(forecast):
        grid = replace(forecast.grid, anchor=1e4 / forecast.grid.anchor)
        return replace(
            forecast,
            grid=grid,
            mark=1e4 / forecast.mark,
            mark_bin=-forecast.mark_bin - 1,
            density_usd=forecast.density_usd[::-1],
        )

    return replace(
        market,
        path=turned,
        forecasts=[turn(f) for f in market.forecasts],
        twin=[turn(f) for f in market.twin],
        forced=replace(market.forced, usd=market.forced.usd[::-1].copy()),
    )


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_reflecting_log_price_swaps_the_sides_and_changes_no_score(seed):
    market = crossing_market(seed, 24, told=0.3)
    other = reflected(market)
    one, two = table_of(market), table_of(other)
    swapped = two.reshape(-1, 2)[:, ::-1].ravel()
    for name in CROSSING_DTYPE.names:
        if name != "side":
            np.testing.assert_allclose(one[name], swapped[name], rtol=1e-5, atol=1e-7, err_msg=name)
    for name in ("information_gain", "information_gain_over_freshness", "beyond_swing_ratio"):
        assert ratio(name, market) == pytest.approx(ratio(name, other), rel=1e-3, abs=1e-6)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16), cut=st.integers(30, 200))
def test_nothing_after_an_hour_matters_to_it(seed, cut):
    market = crossing_market(seed, 9)
    end = START + cut * HOUR_NS
    path = market.path
    keep = path.end_ns <= end
    shorter = points(path.end_ns[keep], path.close[keep])
    hours = market.forced.usd.shape[1]
    early = replace(
        market,
        path=shorter,
        forecasts=[f for f in market.forecasts if f.at < end],
        forced=replace(
            market.forced,
            usd=market.forced.usd[:, : min(cut, hours)],
            known_ns=market.forced.known_ns[: min(cut, hours)],
        ),
    )
    one, two = table_of(market), table_of(early)
    np.testing.assert_array_equal(one[one["at"] < end], two)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16), days=st.integers(1, 400))
def test_shifting_time_by_weeks_changes_nothing(seed, days):
    market, later = crossing_market(seed, 20, told=0.3), 7 * days * DAY_NS
    path = market.path
    moved = replace(
        market,
        path=points(path.end_ns + later, path.close),
        forecasts=[replace(f, at=f.at + later) for f in market.forecasts],
        twin=[replace(f, at=f.at + later) for f in market.twin],
        forced=replace(
            market.forced,
            first_hour_ns=market.forced.first_hour_ns + later,
            known_ns=market.forced.known_ns + later,
        ),
    )
    for name in ("information_gain", "beyond_swing_ratio"):
        assert ratio(name, market) == pytest.approx(ratio(name, moved), rel=1e-9)


def test_hours_without_a_map_a_watched_path_or_a_known_total_are_left_out(market):
    gone = market.forecasts[40].at
    usd = market.forced.usd.copy()
    usd[0, 60] = np.nan
    keep = (market.path.end_ns <= gone + 48 * HOUR_NS) | (market.path.end_ns > gone + 50 * HOUR_NS)
    holes = replace(
        market,
        forecasts=[f for f in market.forecasts if f.at != gone],
        path=points(market.path.end_ns[keep], market.path.close[keep]),
        forced=replace(market.forced, usd=usd),
    )
    found = set(((table_of(holes)["at"] - START) // HOUR_NS).tolist())
    assert set(range(120)) - found == {40, 60, 88, 89, 90}, "90 begins at a price of 88"
    assert len(table_of(replace(market, forced=None))) == 0
    assert np.isnan(table_of(replace(market, twin=None))["twin_usd"]).all()


def test_maps_on_other_grids_are_read_at_the_same_prices(market):
    def finer(forecast):
        grid = DensityGrid(anchor=97.0, step=2.5e-4, fine_bins=800)
        flat = np.full((2, 800), 3.0, np.float32)
        return replace(forecast, grid=grid, mark_bin=grid.bin_of(forecast.mark), density_usd=flat)

    mixed = [finer(f) if i % 3 == 0 else f for i, f in enumerate(market.forecasts)]
    table = table_of(replace(market, forecasts=mixed))
    naive = [row["map_usd"] for row in naive_crossings(replace(market, forecasts=mixed))]
    np.testing.assert_allclose(table["map_usd"], naive, rtol=1e-5, atol=1e-9)


def event(kind, hour, *, minutes=60, known_s=60, side=0, p0=0.0, p1=0.0):
    row = np.zeros(1, EVENT_DTYPE)
    span = minutes * 60 if kind == Kind.LIQUIDATION_TOTAL else 0
    end = START + int(hour * HOUR_NS) + span * 10**9
    row["kind"], row["ts_event"], row["ts_known"] = kind, end, end + known_s * 10**9
    row["span_s"], row["side"], row["p0"], row["p1"] = span, side, p0, p1
    return row


def test_forced_notional_is_that_of_totals_or_of_single_liquidations_summed():
    path = points(START + np.arange(0, 8 * 12 + 1) * 300 * 10**9, np.full(97, 100.0))
    total, single = Kind.LIQUIDATION_TOTAL, Kind.LIQUIDATION
    totals = np.concatenate(
        [
            event(total, 0, p0=5.0, p1=1.0),
            event(total, 2, p0=7.0, p1=2.0),
            event(total, 3, minutes=30, p0=1.0, p1=1.0),
            event(total, 3.5, minutes=30, p0=2.0, p1=3.0),
            event(total, 4, minutes=30, p0=9.0, p1=9.0),
            event(total, 5, known_s=7200, p0=9.0, p1=9.0),
        ]
    )
    singles = np.concatenate(
        [event(single, 1.5, side=1, p0=10.0, p1=2.0), event(single, 1.75, side=-1, p0=10.0, p1=3.0)]
    )
    events = np.concatenate([totals, singles])
    found = market_forced(events, path, {Kind.MARK, total, single})
    nan = np.nan
    np.testing.assert_array_equal(found.usd[0], [5, nan, 7, 3, nan, nan, nan, nan])
    np.testing.assert_array_equal(found.usd[1], [1, nan, 2, 4, nan, nan, nan, nan])
    assert found.known_ns[0] == START + HOUR_NS + 60 * 10**9
    found = market_forced(events, path, {Kind.MARK, single})
    np.testing.assert_array_equal(found.usd[0], [nan, 20, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(found.usd[1], [nan, 30, 0, 0, 0, 0, 0, 0])
    assert market_forced(events, path, {Kind.MARK, Kind.OPEN_INTEREST}) is None
    assert market_forced(totals[:0], path, {total}) is None


def test_models_are_least_squares_of_what_was_known_before_each_day(told):
    table = table_of(told)
    models = forced_models(table, 0)
    x = models.columns[:, : len(PATH) + len(STAND_INS)]
    expected, variance = models.fitted(STAND_INS)
    prior = np.diag([1e-9, *[RIDGE] * (x.shape[1] - 1)])
    for day in (15, 30, 59):
        midnight = START + day * DAY_NS
        known, mine = table["known_ns"] <= midnight, table["at"] // DAY_NS == midnight // DAY_NS
        assert known.sum() == 2 * 24 * day - 2, "the last hour's total comes a minute later"
        a, y = x[known], models.response[known]
        beta = np.linalg.solve(a.T @ a + prior, a.T @ y)
        np.testing.assert_allclose(expected[mine], x[mine] @ beta, rtol=1e-6, atol=1e-8)
        left = ((y - a @ beta) ** 2).sum() / (len(y) - x.shape[1])
        np.testing.assert_allclose(variance[mine], left, rtol=1e-6)


def test_what_comes_later_changes_no_earlier_gain(told):
    table = table_of(told)
    other = table.copy()
    late = other["at"] >= START + 40 * DAY_NS
    other["forced_usd"][late] *= 100.0
    other["map_usd"][late] = 0.0
    gains = []
    for rows in (table, other):
        models = forced_models(rows, 0)
        everything = (*STAND_INS, *TWIN)
        gains.append(
            [
                gain[models.at[models.scored] < START + 40 * DAY_NS]
                for gain in (
                    models.information((*everything, "map"), everything),
                    models.realised(("map",), ("twin",)),
                    models.gamma((*everything, "map"), everything),
                )
            ]
        )
    for one, two in zip(*gains, strict=True):
        assert len(one) == 2 * 24 * 26
        np.testing.assert_array_equal(one, two)


def test_a_map_that_tells_is_found_and_one_that_is_its_twin_tells_nothing(told):
    assert ratio("information_gain", told) > 0.02
    assert ratio("information_gain_gamma", told) > 0.0
    for name in ("twin", "freshness", "kernel", "uniform"):
        assert ratio(f"information_gain_over_{name}", told) > 0.02, name
    same = replace(told, twin=told.forecasts)
    assert abs(ratio("information_gain", same)) < 1e-3
    assert ratio("information_gain_over_twin", same) == pytest.approx(0.0, abs=1e-12)


def test_rows_before_what_is_scored_are_learnt_from_alone(told):
    table = table_of(told)
    models = forced_models(table, START + 30 * DAY_NS)
    assert int(models.at[models.scored].min()) == START + 30 * DAY_NS
    early = [f for f in told.forecasts if f.at < START + 30 * DAY_NS]
    late = replace(told, forecasts=told.forecasts[len(early) :])
    trained = {"training": [replace(told, forecasts=early)]}
    whole = forced_models(table, 0)
    everything = (*STAND_INS, *TWIN)
    gain = whole.information((*everything, "map"), everything)
    mine = whole.at[whole.scored] >= START + 30 * DAY_NS
    assert ratio("information_gain", late, **trained) == pytest.approx(gain[mine].mean())


def test_what_cannot_be_had_has_no_row(market, told):
    assert all(one.day_sums is not None for one in BY_ID.values())
    silent, alone = replace(told, forced=None), replace(told, twin=None)
    config = EvaluationConfig(horizons_ns=(4 * HOUR_NS, DAY_NS))
    assert Evidence(markets=[told], config=config).has("crossings", DAY_NS)
    assert not Evidence(markets=[told], config=config).has("crossings", 4 * HOUR_NS)
    assert not Evidence(markets=[silent], config=config).has("crossings", DAY_NS)
    for name, one in BY_ID.items():
        assert ratio(name, silent) is None
        assert (ratio(name, alone) is None) == ("twin" in one.needs)
        assert ratio(name, market) is None, "a fortnight is learnt from, and here are five days"
    nothing = replace(told, forced=replace(told.forced, usd=np.zeros_like(told.forced.usd)))
    assert ratio("information_gain", nothing) is None


def test_more_beyond_swings_than_before_them_is_found(told):
    assert ratio("beyond_swing_ratio", told) > 0.5
    even = ratio("beyond_swing_ratio", crossing_market(2, 60, told=0.4))
    assert abs(even) < 0.35

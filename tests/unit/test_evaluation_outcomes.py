"""Outcomes, episodes and first sides on paths small enough to work out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from evaluation_world import bars, brownian_market, clusters_at, forecast, points

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.episodes import densest, flatten
from liqbt.evaluation.evidence import observe
from liqbt.evaluation.first_passage import landmark_rows
from liqbt.evaluation.kernels.passages import link_episodes
from liqbt.evaluation.nulls.brownian import touch_probability, two_barrier_probabilities
from liqbt.evaluation.path import Censor
from liqbt.types import CLUSTER_DTYPE, DAY_NS, HOUR_NS, MINUTE_NS, FirstSide

FIVE = 5 * MINUTE_NS
FOUR_HOURS = EvaluationConfig(horizons_ns=(4 * HOUR_NS,))
SIGMA = 0.02 * np.sqrt(6.0)  # so that one σ over four hours is 2 %


def flat_path(n=2400, price=100.0, **at):
    """Points every five minutes at `price`, others where `t<index>=price` says so."""
    prices = np.full(n, price)
    for name, value in at.items():
        prices[int(name[1:])] = value
    return points(np.arange(n) * FIVE, prices)


def observed(path, forecasts, config=FOUR_HOURS):
    return observe([MarketInput(symbol="A", forecasts=forecasts, path=path)], config)


def issue(k=12, bands=((101.5, 102.0), (98.0, 98.5)), mark=100.0, **more):
    """A forecast at point `k`."""
    return forecast(k * FIVE, mark, clusters_at(mark, bands), sigma_1d=SIGMA, **more)


def only(found, side):
    rows = found.outcomes[found.outcomes["side"] == side]
    assert len(rows) == 1
    return rows[0]


def test_a_touch_of_the_near_edge_is_a_visit_and_no_less():
    exactly = only(observed(flat_path(t20=101.5), [issue()]), -1)
    assert (exactly["visited"], exactly["visit_ns"]) == (1, 20 * FIVE)
    below = only(observed(flat_path(t20=np.nextafter(101.5, 0) - 1e-9), [issue()]), -1)
    assert (below["visited"], below["visit_ns"]) == (0, -1)


def test_the_same_below():
    exactly = only(observed(flat_path(t20=98.5), [issue()]), 1)
    assert (exactly["visited"], exactly["visit_ns"]) == (1, 20 * FIVE)
    above = only(observed(flat_path(t20=98.5 + 1e-9), [issue()]), 1)
    assert (above["visited"], above["visit_ns"]) == (0, -1)


def test_penetration_is_the_peak_and_sweep_the_far_edge():
    for price, expected in [(101.6, (1, 0, 0)), (101.8, (1, 1, 0)), (102.0, (1, 1, 1))]:
        row = only(observed(flat_path(t20=price), [issue()]), -1)
        assert (row["visited"], row["penetrated"], row["swept"]) == expected
    row = only(observed(flat_path(t20=97.9), [issue()]), 1)
    assert (row["visited"], row["penetrated"], row["swept"]) == (1, 1, 1)


def test_the_mirror_lies_at_the_same_log_distance_on_the_other_side():
    edge = 100.0**2 / 101.5
    touched = only(observed(flat_path(t20=edge * (1 - 1e-12)), [issue()]), -1)
    assert (touched["mirror_visited"], touched["mirror_visit_ns"]) == (1, 20 * FIVE)
    missed = only(observed(flat_path(t20=edge * (1 + 1e-9)), [issue()]), -1)
    assert (missed["mirror_visited"], missed["mirror_visit_ns"]) == (0, -1)
    assert touched["visited"] == 0


def test_only_what_lies_inside_the_window_counts():
    """From the first point after at + latency up to, not including, at + horizon."""
    issued = issue(k=12)
    for k, expected in [(11, 0), (12, 0), (13, 1), (59, 1), (60, 0), (61, 0)]:
        row = only(observed(flat_path(**{f"t{k}": 103.0}), [issued]), -1)
        assert row["visited"] == expected, k
    assert row["exposed_start_ns"] == 13 * FIVE
    assert row["exposed_end_ns"] == 59 * FIVE


def test_with_bars_only_whole_ones_count():
    for hour, expected in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 0)]:
        high = np.full(400, 100.5)
        high[hour] = 102.0
        path = bars(np.arange(400) * HOUR_NS, HOUR_NS, np.full(400, 99.5), high)
        row = only(observed(path, [issue(k=12)]), -1)
        assert row["visited"] == expected, hour


def test_the_future_outside_the_window_changes_no_byte():
    rng = np.random.default_rng(0)
    prices = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, 2400)))
    issued = issue(
        k=500,
        mark=float(prices[500]),
        bands=[
            (prices[500] * 1.01, prices[500] * 1.015),
            (prices[500] * 0.985, prices[500] * 0.99),
        ],
    )
    before = observed(points(np.arange(2400) * FIVE, prices), [issued])
    poisoned = prices.copy()
    poisoned[:501] *= rng.uniform(0.5, 2.0, 501)
    poisoned[548:] *= rng.uniform(0.5, 2.0, 2400 - 548)
    after = observed(points(np.arange(2400) * FIVE, poisoned), [issued])
    assert before.outcomes.tobytes() == after.outcomes.tobytes()
    assert before.first_sides.tobytes() == after.first_sides.tobytes()


def test_a_level_passed_before_watching_begins_is_touched_then():
    """The mark at issue decides: the price has moved on by the first point, as the null allows."""
    row = only(observed(flat_path(t13=103.0), [issue()]), -1)
    assert (row["visited"], row["visit_ns"], row["inside"]) == (1, 13 * FIVE, False)


def test_inside_at_issue_is_flagged_and_never_a_hit():
    rows = np.zeros(3, CLUSTER_DTYPE)
    rows[0] = (-1, 99.0, 99.5, 99.2, 1, 1)  # a short cluster below the mark
    rows[1] = (-1, 99.9, 101.0, 100.5, 1, 1)  # holds the mark
    rows[2] = (1, 99.6, 100.0, 99.8, 1, 1)  # its near edge is the mark itself
    found = observed(
        flat_path(t20=110.0, t21=90.0), [forecast(12 * FIVE, 100.0, rows, sigma_1d=SIGMA)]
    )
    assert found.outcomes["inside"].all()
    assert not found.outcomes["eligible"].any()
    for name in ("visited", "penetrated", "swept", "mirror_visited", "visit_ns", "episode"):
        assert (found.outcomes[name] == -1).all()
    assert np.isnan(found.outcomes["brownian"]).all()
    assert (found.flow[0].inside, found.flow[0].episodes, found.flow[0].scored) == (3, 0, 0)


def test_eligibility_is_closed_at_both_ends_and_by_horizon():
    """σ over four hours is 2 %: the band is 0.5 % to 5 %, in log distance."""
    marks = [0.0049, 0.0051, 0.0499, 0.0501]
    bands = [(100 * np.exp(d), 100 * np.exp(d) * 1.00005) for d in marks]
    found = observed(flat_path(), [issue(bands=bands)])
    assert found.outcomes["distance"].round(4).tolist() == [0.0051, 0.0499]
    assert found.flow[0].clusters == 4
    assert found.flow[0].eligible == 2
    config = EvaluationConfig(horizons_ns=(4 * HOUR_NS, 24 * HOUR_NS), floor=0.0, ceiling=9.0)
    ratio = observed(flat_path(), [issue()], config).outcomes["distance_sigma"]
    assert ratio[0] / ratio[2] == pytest.approx(np.sqrt(6.0))


def test_censoring_ignores_what_was_seen():
    """A visit before the gap does not save the window, or hit rates would be biased upwards."""
    ticks = np.array([k for k in range(2400) if k not in range(40, 46)])
    prices = np.full(len(ticks), 100.0)
    prices[20] = 103.0
    found = observed(points(ticks * FIVE, prices), [issue()])
    row = only(found, -1)
    assert row["censor"] == Censor.GAP
    assert (row["visited"], row["mirror_visited"], row["swept"]) == (-1, -1, -1)
    assert row["visit_ns"] == 20 * FIVE
    assert (found.flow[0].episodes, found.flow[0].censored, found.flow[0].scored) == (2, 2, 0)


def test_dropping_unvisited_windows_only_would_bias_the_rate():
    """The planted mistake: keep a censored window if its visit was seen. It raises the rate."""
    rng = np.random.default_rng(8)
    found = []
    for k in range(300):
        prices = 100 * np.exp(np.cumsum(rng.normal(0, 0.0029, 100)))
        cut = 36 if k % 2 else 100
        issued = issue(
            k=12, mark=float(prices[12]), bands=[(prices[12] * 1.02, prices[12] * 1.021)]
        )
        found.append(observed(points(np.arange(cut) * FIVE, prices[:cut]), [issued]).outcomes)
    rows = np.concatenate(found)
    watched = rows["censor"] == Censor.NONE
    honest = rows["visited"][watched].mean()
    seen = rows["visit_ns"] >= 0
    flattered = seen[watched | seen].mean()
    assert abs(honest - rows["brownian"][watched].mean()) < 0.08
    assert flattered > honest + 0.05


def test_the_null_of_an_outcome_uses_the_time_exposed_since_the_mark():
    issued = issue(k=12, mark_ts=11 * FIVE)
    row = only(observed(flat_path(), [issued]), -1)
    expected = touch_probability(
        distance=np.log(1.015),
        sigma_1d=SIGMA,
        from_ns=2 * FIVE,
        until_ns=48 * FIVE,
        spacing_ns=FIVE,
    )
    assert row["brownian"] == pytest.approx(float(expected), abs=1e-12)


def test_one_cluster_seen_for_three_days_counts_once():
    """Every half hour for three days: 144 snapshots, one episode of seven days."""
    config = EvaluationConfig(horizons_ns=(7 * DAY_NS,), floor=0.01)
    forecasts = [issue(k=6 * i, bands=[(101.5, 102.0)]) for i in range(2, 146)]
    found = observed(flat_path(), forecasts, config)
    assert (found.flow[0].eligible, found.flow[0].episodes) == (144, 1)
    assert found.outcomes["birth"].tolist() == [True] + [False] * 143


def test_flicker_is_not_a_new_cluster():
    """It vanishes for an hour and comes back a little elsewhere: still the same."""
    away = [issue(k=12, bands=[(101.5, 102.0)])]
    away += [issue(k=12 + 6 * i, bands=[]) for i in (1, 2)]
    away += [issue(k=30, bands=[(101.6, 102.05)])]
    found = observed(flat_path(), away)
    assert found.flow[0].episodes == 1
    assert found.outcomes["episode"].tolist() == [0, 0]


def test_after_expiry_it_enters_again():
    forecasts = [issue(k=12 + 12 * i, bands=[(101.5, 102.0)]) for i in range(5)]
    found = observed(flat_path(), forecasts)
    assert found.outcomes["episode"].tolist() == [0, 0, 0, 0, 1]
    assert found.outcomes["birth"].tolist() == [True, False, False, False, True]


def test_a_visit_does_not_open_a_second_episode_before_expiry():
    forecasts = [issue(k=12 + 12 * i, bands=[(101.5, 102.0)]) for i in range(4)]
    found = observed(flat_path(t14=103.0), forecasts)
    assert found.flow[0].episodes == 1


def test_birth_waits_for_eligibility_and_then_freezes_the_geometry():
    """Too far at first (5.1 %), eligible once the mark has come nearer."""
    first = issue(k=12, mark=100.0, bands=[(105.2, 105.5)])
    second = issue(k=24, mark=102.0, bands=[(105.3, 105.6)])
    third = issue(k=36, mark=102.0, bands=[(105.35, 105.65)])
    found = observed(flat_path(price=102.0), [first, second, third])
    assert found.outcomes["birth"].tolist() == [True, False]
    assert found.outcomes["near"].tolist() == [105.3, 105.35]


def test_sides_never_link():
    first = issue(k=12, mark=100.0, bands=[(101.0, 101.5)])
    second = issue(k=24, mark=103.0, bands=[(101.0, 101.5)])
    found = observed(flat_path(), [first, second])
    assert found.outcomes["side"].tolist() == [-1, 1]
    assert found.outcomes["episode"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("prices", "outcome"),
    [
        ({"t20": 101.5}, FirstSide.UP),
        ({"t20": 98.5}, FirstSide.DOWN),
        ({"t20": 101.4, "t30": 98.6}, FirstSide.NEITHER),
        ({"t20": 98.5, "t21": 101.5}, FirstSide.DOWN),
        ({"t12": 101.5, "t21": 98.5}, FirstSide.DOWN),
        ({"t60": 101.5}, FirstSide.NEITHER),
    ],
)
def test_first_side(prices, outcome):
    row = observed(flat_path(**prices), [issue()]).first_sides[0]
    assert row["scored"]
    assert not row["tie"]
    assert row["outcome"] == outcome
    expected = two_barrier_probabilities(
        up=np.log(1.015),
        down=-np.log(0.985),
        sigma_1d=SIGMA,
        from_ns=FIVE,
        until_ns=47 * FIVE,
        spacing_ns=FIVE,
    )
    assert (row["q_up"], row["q_down"], row["q_neither"]) == pytest.approx(
        tuple(float(p) for p in expected), abs=1e-12
    )


def test_the_nearest_eligible_levels_are_taken():
    bands = [(100.1, 100.2), (101.5, 102.0), (103.0, 103.2), (97.0, 97.5), (98.0, 98.5)]
    row = observed(flat_path(), [issue(bands=bands)]).first_sides[0]
    assert (row["up"], row["down"]) == pytest.approx((101.5, 98.5))


def test_both_sides_in_one_bar_are_a_tie():
    low, high = np.full(400, 99.5), np.full(400, 100.5)
    low[3], high[3] = 98.0, 102.0
    path = bars(np.arange(400) * HOUR_NS, HOUR_NS, low, high)
    row = observed(path, [issue()]).first_sides[0]
    assert row["tie"]
    assert row["outcome"] == FirstSide.NEITHER
    earlier = low.copy()
    earlier[2] = 98.0
    path = bars(np.arange(400) * HOUR_NS, HOUR_NS, earlier, high)
    row = observed(path, [issue()]).first_sides[0]
    assert not row["tie"]
    assert row["outcome"] == FirstSide.DOWN


def test_a_landmark_without_both_sides_is_counted_and_not_scored():
    found = observed(flat_path(), [issue(bands=[(101.5, 102.0)])])
    assert not found.first_sides[0]["scored"]
    assert np.isnan(found.first_sides[0]["down"])
    row = found.landmarks[0]
    assert (row.landmarks, row.one_sided, row.censored, row.scored) == (1, 1, 0, 0)


def test_landmarks_do_not_overlap():
    forecasts = [issue(k=12 + 12 * i) for i in range(20)]
    first_sides = observed(flat_path(), forecasts).first_sides
    assert np.diff(first_sides["at"]).tolist() == [4 * HOUR_NS] * 4
    assert landmark_rows(np.array([0, 3, 4, 11, 12]), 4).tolist() == [0, 2, 3]


def test_an_outcome_matures_when_no_record_of_its_window_can_still_come():
    row = observed(flat_path(), [issue(k=12)]).first_sides[0]
    assert row["matured_ns"] == 60 * FIVE + HOUR_NS + 1
    config = EvaluationConfig(horizons_ns=(4 * HOUR_NS,), latency_ns=2 * HOUR_NS)
    row = observed(flat_path(), [issue(k=12)], config).first_sides[0]
    assert row["matured_ns"] == 60 * FIVE + 2 * HOUR_NS + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 102.0}, r"forecast 0 has a cluster of side -1 on \[102, 102\)"),
        ({"low": 103.0}, "0 < low < high"),
        ({"low": -1.0}, "0 < low < high"),
        ({"side": 0}, "expected side ±1"),
        ({"peak": 90.0}, "the peak between them"),
        ({"high": np.inf}, "0 < low < high"),
        ({"low": np.nan}, "0 < low < high"),
    ],
)
def test_clusters_that_cannot_be_right_are_named(change, message):
    issued = issue(bands=[(101.5, 102.0)])
    for name, value in change.items():
        issued.clusters[0][name] = value
    with pytest.raises(DataError, match=message):
        flatten("A", [issued])


def test_overlapping_clusters_and_bad_forecasts_are_named():
    with pytest.raises(DataError, match="A: forecast 1 has clusters of one side that overlap"):
        flatten("A", [issue(), issue(k=13, bands=[(101.0, 102.0), (101.9, 103.0)])])
    with pytest.raises(DataError, match="A: forecast 1 is not issued after"):
        flatten("A", [issue(k=13), issue(k=13)])
    with pytest.raises(DataError, match="A: forecast 0 has mark 100 and sigma_1d nan"):
        flatten("A", [forecast(0, 100.0, clusters_at(100.0, []), sigma_1d=np.nan)])
    with pytest.raises(DataError, match="A: forecast 0 uses a mark of after its issue"):
        flatten("A", [issue(mark_ts=DAY_NS)])
    with pytest.raises(DataError, match="A: no forecast to evaluate"):
        flatten("A", [])


def test_markets_need_distinct_names():
    market = MarketInput(symbol="A", forecasts=[issue()], path=flat_path())
    with pytest.raises(ConfigError, match="none called 'pooled'"):
        observe([market, market], FOUR_HOURS)
    with pytest.raises(ConfigError, match="at least one"):
        observe([], FOUR_HOURS)


def test_forecasts_without_any_cluster_give_counts_and_no_rows():
    found = observed(flat_path(), [issue(bands=[])])
    assert len(found.outcomes) == 0
    assert found.flow[0].episodes == 0


def test_a_horizon_longer_than_the_data_is_censored():
    config = EvaluationConfig(horizons_ns=(30 * DAY_NS,), floor=0.01)
    found = observed(flat_path(), [issue()], config)
    assert (found.outcomes["censor"] == Censor.DATA_END).all()
    assert found.flow[0].scored == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizons_ns": ()}, "evaluation.horizons"),
        ({"horizons_ns": (MINUTE_NS,)}, "longer than the latency"),
        ({"horizons_ns": (2 * HOUR_NS, HOUR_NS)}, "increasing"),
        ({"latency_ns": -1}, "evaluation.latency"),
        ({"floor": 3.0}, "evaluation.distance_floor"),
        ({"iou": 0.0}, "evaluation.iou"),
        ({"bands": (1.0,)}, "evaluation.bands"),
        ({"bootstrap_reps": 5}, "evaluation.bootstrap_reps"),
    ],
)
def test_a_protocol_that_cannot_be_right_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationConfig(**change)


def test_horizons_are_written_as_in_the_configuration():
    assert [horizon_name(h) for h in (HOUR_NS, 36 * HOUR_NS, 2 * DAY_NS, 90 * MINUTE_NS)] == [
        "1h",
        "36h",
        "2d",
        "90min",
    ]
    assert horizon_name(90_000_000_000) == "90s"


def test_each_horizon_ends_its_own_window():
    """The first point after four hours counts for a day and not for four hours."""
    config = EvaluationConfig(horizons_ns=(4 * HOUR_NS, DAY_NS), floor=0.1)
    for k, expected in [(59, [1, 1]), (60, [0, 1]), (61, [0, 1])]:
        found = observed(flat_path(**{f"t{k}": 103.0}), [issue(bands=[(101.5, 102.0)])], config)
        assert found.outcomes["visited"].tolist() == expected, k


def test_of_two_equal_overlaps_the_earliest_born_wins():
    """Bands [½, ¾) and [1, 1¼), then [½, 1¼) over both: each covers a third of it."""
    episode, birth = link_episodes(
        np.array([0, 1]),
        np.array([0, 2, 3]),
        np.array([-1, -1, -1], np.int8),
        np.array([0.5, 1.0, 0.5]),
        np.array([0.75, 1.25, 1.25]),
        np.ones(3, bool),
        10,
        0.25,
    )
    assert episode.tolist() == [0, 1, 0]
    assert birth.tolist() == [True, True, False]


def test_the_densest_is_one_eligible_cluster_of_each_forecast():
    rng = np.random.default_rng(5)
    market = brownian_market(rng, days=12, kind="points")
    flat = flatten(market.symbol, market.forecasts)
    clusters = flat.clusters.copy()
    clusters["notional_usd"] = rng.integers(1, 4, len(clusters))  # ties, too
    flat = dataclasses.replace(flat, clusters=clusters)
    eligible = rng.random(len(flat.clusters)) < 0.5
    mask = densest(flat, eligible)
    for i in range(len(flat.at)):
        rows = range(flat.offsets[i], flat.offsets[i + 1])
        best, most = None, 0.0
        for r in rows:
            cluster = flat.clusters[r]
            density = cluster["notional_usd"] / math.log(cluster["high"] / cluster["low"])
            if eligible[r] and density > most:
                best, most = r, density
        assert [r for r in rows if mask[r]] == ([] if best is None else [best])

"""The price path and what a window watches of it."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_world import bars, points

from liqbt.errors import DataError
from liqbt.evaluation.path import Censor, price_path, watch
from liqbt.types import EVENT_DTYPE, HOUR_NS, MINUTE_NS, Kind

FIVE = 5 * MINUTE_NS


def events(rows, kind=Kind.MARK):
    """`(ts_event, low, high, span_s[, ts_known[, instrument]])` as events."""
    result = np.zeros(len(rows), EVENT_DTYPE)
    for i, (ts, low, high, span, *rest) in enumerate(rows):
        known = rest[0] if rest else ts + MINUTE_NS
        result[i] = (
            known,
            ts,
            kind,
            0,
            rest[1] if len(rest) > 1 else 0,
            span,
            low,
            high,
            low,
            high,
            0,
        )
        if kind == Kind.TRADE:
            result[i]["p1"] = 0.25
    return result


def windows_of(path, opened, closed):
    return watch(path, np.array([opened], np.int64), np.array([closed], np.int64))


def test_a_bar_covers_what_lies_before_its_stamp():
    path = price_path(events([(HOUR_NS, 9, 11, 3600), (2 * HOUR_NS, 10, 12, 3600)]), Kind.MARK)
    assert path.start_ns.tolist() == [0, HOUR_NS]
    assert path.end_ns.tolist() == [HOUR_NS, 2 * HOUR_NS]
    assert (path.low.tolist(), path.high.tolist(), path.close.tolist()) == (
        [9, 10],
        [11, 12],
        [11, 12],
    )
    assert path.spacing_ns == 0
    assert path.max_gap_ns == HOUR_NS


def test_points_carry_their_spacing_and_ignore_other_kinds():
    rows = np.concatenate(
        [
            events([(k * FIVE, 10 + k, 10 + k, 0) for k in range(4)]),
            events([(FIVE, 500, 500, 0)], Kind.TRADE),
        ]
    )
    path = price_path(rows, Kind.MARK)
    assert path.spacing_ns == FIVE
    assert path.max_gap_ns == 3 * FIVE
    assert path.high.tolist() == [10, 11, 12, 13]


def test_a_trade_is_a_point_at_its_price_not_its_size():
    path = price_path(
        events([(FIVE, 500, 500, 0), (2 * FIVE, 501, 501, 0)], Kind.TRADE), Kind.TRADE
    )
    assert path.low.tolist() == path.high.tolist() == path.close.tolist() == [500, 501]


def test_event_time_orders_the_path_whatever_was_known_first():
    rows = events([(2 * FIVE, 12, 12, 0, 3 * FIVE), (FIVE, 11, 11, 0, 4 * FIVE)])
    assert price_path(rows, Kind.MARK).low.tolist() == [11, 12]


def test_what_comes_too_late_cannot_change_an_outcome():
    """Otherwise an outcome that has trained a calibration could change afterwards."""
    limit = FIVE + HOUR_NS
    rows = events([(FIVE, 11, 11, 0, limit), (FIVE + 1, 50, 50, 0, limit + 2)])
    path = price_path(rows, Kind.MARK)
    assert (path.high.tolist(), path.n_late, path.max_delay_ns) == ([11], 1, HOUR_NS)
    path = price_path(rows, Kind.MARK, max_delay_ns=2 * HOUR_NS)
    assert (path.high.tolist(), path.n_late, path.max_delay_ns) == ([11, 50], 0, 2 * HOUR_NS)
    with pytest.raises(DataError, match="all 2 mark events became known more than 60 s"):
        price_path(rows, Kind.MARK, max_delay_ns=MINUTE_NS)


def test_later_points_cannot_move_the_spacing():
    """The spacing enters the null of early forecasts: it must come from a prefix."""
    early = [(k * FIVE, 10, 10, 0) for k in range(2100)]
    late = [(2100 * FIVE + k * 10 * FIVE, 10, 10, 0) for k in range(9000)]
    assert price_path(events(early + late), Kind.MARK).spacing_ns == FIVE


def test_a_correction_replaces_its_bar():
    rows = events([(HOUR_NS, 9, 11, 3600, HOUR_NS + 1), (HOUR_NS, 9, 14, 3600, 2 * HOUR_NS)])
    assert price_path(rows, Kind.MARK).high.tolist() == [14]
    assert price_path(rows[::-1], Kind.MARK).high.tolist() == [14]


def test_a_period_keeps_whole_bars_and_is_half_open_for_points():
    rows = events([(k * HOUR_NS, 9, 11, 3600) for k in (1, 2, 3)])
    assert price_path(rows, Kind.MARK, 30 * MINUTE_NS, 2 * HOUR_NS).end_ns.tolist() == [2 * HOUR_NS]
    rows = events([(k * FIVE, 9, 9, 0) for k in (1, 2, 3)])
    assert price_path(rows, Kind.MARK, FIVE, 3 * FIVE).end_ns.tolist() == [FIVE, 2 * FIVE]


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        (
            [(FIVE, 9, 9, 0), (HOUR_NS, 9, 11, 3600)],
            Kind.MARK,
            "1 mark points are mixed with 1 bars",
        ),
        (
            [(FIVE, 9, 9, 0, 1, 0), (2 * FIVE, 9, 9, 0, 1, 3)],
            Kind.MARK,
            r"2 instruments \(codes \[0, 3\]",
        ),
        ([(HOUR_NS, 9, 11, 3600), (HOUR_NS + FIVE, 9, 11, 3600)], Kind.BAR, r"rows \[1\] of 2"),
        ([(HOUR_NS, 12, 11, 3600)], Kind.BAR, r"rows \[0\] of 1"),
        ([(FIVE, 0, 0, 0)], Kind.MARK, r"rows \[0\] of 1"),
        ([(FIVE, np.nan, np.nan, 0)], Kind.MARK, r"rows \[0\] of 1"),
        ([], Kind.MARK, "no mark event in the period"),
        ([(FIVE, 9, 9, 0)], Kind.FUNDING, "funding events carry no price"),
    ],
)
def test_what_cannot_be_a_path_is_refused(rows, kind, message):
    given = events(rows, Kind.MARK if kind == Kind.FUNDING else kind)
    with pytest.raises(DataError, match=message):
        price_path(given, kind)


def test_a_path_is_read_only():
    path = points([0, FIVE], [1, 2])
    with pytest.raises(ValueError, match="read-only"):
        path.high[0] = 3.0


def test_hourly_bars_after_a_minute_watch_three_of_four_hours():
    path = bars(np.arange(10) * HOUR_NS, HOUR_NS, np.full(10, 9.0), np.full(10, 11.0))
    seen = windows_of(path, HOUR_NS + MINUTE_NS, 5 * HOUR_NS)
    assert (seen.first[0], seen.stop[0]) == (2, 5)
    assert seen.exposed_start_ns[0] == 2 * HOUR_NS
    assert seen.exposed_end_ns[0] == 5 * HOUR_NS
    assert seen.censor[0] == Censor.NONE


def test_points_are_watched_half_open():
    path = points(np.arange(100) * FIVE, np.full(100, 10.0))
    seen = windows_of(path, 2 * FIVE, 20 * FIVE)
    assert (seen.exposed_start_ns[0], seen.exposed_end_ns[0]) == (2 * FIVE, 19 * FIVE)
    seen = windows_of(path, 2 * FIVE + 1, 20 * FIVE + 1)
    assert (seen.exposed_start_ns[0], seen.exposed_end_ns[0]) == (3 * FIVE, 20 * FIVE)


def test_the_end_of_the_data_censors_and_its_last_whole_window_does_not():
    path = points(np.arange(100) * FIVE, np.full(100, 10.0))
    assert windows_of(path, 50 * FIVE, 100 * FIVE).censor[0] == Censor.NONE
    assert windows_of(path, 50 * FIVE, 101 * FIVE).censor[0] == Censor.NONE  # below the gap
    assert windows_of(path, 50 * FIVE, 102 * FIVE).censor[0] == Censor.DATA_END
    assert windows_of(path, 500 * FIVE, 600 * FIVE).censor[0] == Censor.DATA_END
    hourly = bars(np.arange(10) * HOUR_NS, HOUR_NS, np.full(10, 9.0), np.full(10, 11.0))
    assert windows_of(hourly, 0, 10 * HOUR_NS + MINUTE_NS).censor[0] == Censor.NONE
    assert windows_of(hourly, 0, 11 * HOUR_NS).censor[0] == Censor.DATA_END


@pytest.mark.parametrize(
    ("missing", "opened", "closed", "censored"),
    [
        (range(50, 52), 40, 60, True),  # in the middle, 15 minutes
        (range(50, 51), 40, 60, False),  # one point: 10 minutes
        (range(40, 45), 40, 60, True),  # at the start
        (range(56, 62), 40, 60, True),  # at the end
        (range(60, 70), 40, 60, False),  # after
        (range(30, 40), 40, 60, False),  # before
        (range(38, 62), 40, 60, True),  # all of it
    ],
)
def test_a_gap_censors_the_windows_that_hold_it_and_no_other(missing, opened, closed, censored):
    ticks = np.array([k for k in range(200) if k not in missing])
    path = points(ticks * FIVE, np.full(len(ticks), 10.0))
    seen = windows_of(path, opened * FIVE, closed * FIVE)
    assert (seen.censor[0] == Censor.GAP) == censored
    assert seen.censor[0] in (Censor.GAP, Censor.NONE)


def test_a_missing_bar_censors():
    start = np.array([0, 1, 2, 4, 5, 6]) * HOUR_NS
    path = bars(start, HOUR_NS, np.full(6, 9.0), np.full(6, 11.0))
    assert windows_of(path, 0, 7 * HOUR_NS).censor[0] == Censor.GAP
    assert windows_of(path, 4 * HOUR_NS, 7 * HOUR_NS).censor[0] == Censor.NONE


def test_a_window_shorter_than_a_bar_is_not_watched():
    path = bars(np.arange(9) * HOUR_NS, HOUR_NS, np.full(9, 9.0), np.full(9, 11.0))
    seen = windows_of(path, HOUR_NS + MINUTE_NS, HOUR_NS + 31 * MINUTE_NS)
    assert seen.censor[0] == Censor.UNWATCHED
    assert seen.exposed_end_ns[0] == -1

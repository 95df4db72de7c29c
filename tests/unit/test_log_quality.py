"""What `liqbt log quality` says of a log, each number against one that is known by construction."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from liqbt.cli import cli
from liqbt.errors import DataError, LogError
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.quality.measure import log_quality, plain
from liqbt.quality.summary import describe_quality
from liqbt.report.pages.quality import write_quality_page
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Kind

T0 = 1_767_225_600_000_000_000
"""2026-01-01 UTC."""


def source(number: int, latency: list[dict] | None = None, **more) -> dict:
    return {"file": f"f{number}", "file_sha256": f"{number}", "latency": latency or [], **more}


def lag(kind: str, latency_is: str, symbol: str = "BTC") -> dict:
    row = {"venue": "v", "symbol": symbol, "kind": kind, "latency_s": 1.0, "feed": "pushed"}
    return {**row, "latency_is": latency_is}


def points(kind: Kind, at: np.ndarray, known_after: int = MINUTE_NS, **columns):
    """A table of one instrument, `v/BTC`."""
    return event_table(
        kind,
        {"ts_event": at, "ts_known": at + known_after, "venue": "v", "symbol": "BTC", **columns},
    )


def mark(at: np.ndarray, price: np.ndarray, **columns):
    return points(
        Kind.MARK, at, **dict.fromkeys(("open", "high", "low", "close"), price), **columns
    )


def write(folder: Path, *commits) -> Path:
    log = EventLog.create(folder / "log")
    for i, (tables, said) in enumerate(commits):
        log.append(tables, {**source(i), **said})
    return log.path


def walk(n: int, seed: int = 1) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 1e-3, n)))


def feed(quality, kind: str, span_s: int = 0):
    (found,) = (f for f in quality.feeds if f.kind == kind and f.span_s == span_s)
    return found


def test_gaps_are_counted_to_the_slot_and_listed_longest_first(tmp_path):
    slots = np.setdiff1d(np.arange(200), [10, 50, 51, 52, 120, 121])
    at = T0 + slots * 5 * MINUTE_NS
    found = log_quality(write(tmp_path, ([(Kind.MARK, mark(at, walk(len(at))))], {})))
    marks = feed(found, "mark")
    assert (marks.cadence_s, marks.present, marks.missing, marks.n_gaps) == (300, 194, 6, 3)
    assert marks.complete == pytest.approx(194 / 200)
    assert [g.missing for g in marks.gaps] == [3, 2, 1]
    assert marks.gaps[0].start_ns == T0 + 49 * 5 * MINUTE_NS
    assert marks.gaps[0].end_ns == T0 + 53 * 5 * MINUTE_NS


def test_jitter_makes_no_gap(tmp_path):
    jitter = np.random.default_rng(2).integers(-2, 3, 500) * SECOND_NS
    at = T0 + np.arange(500) * 5 * MINUTE_NS + jitter
    marks = feed(log_quality(write(tmp_path, ([(Kind.MARK, mark(at, walk(500)))], {}))), "mark")
    assert (marks.missing, marks.n_gaps) == (0, 0)
    assert marks.cadence_s == pytest.approx(300, abs=1)


def test_what_comes_when_it_comes_has_no_cadence_and_its_silence_is_no_gap(tmp_path):
    at = T0 + np.cumsum(np.random.default_rng(3).exponential(60e9, 400)).astype(np.int64)
    found = log_quality(write(tmp_path, ([(Kind.MARK, mark(at, walk(400)))], {})))
    marks = feed(found, "mark")
    assert math.isnan(marks.cadence_s)
    assert math.isnan(marks.complete)
    assert (marks.n_gaps, marks.missing) == (0, 0)
    assert marks.gaps[0].end_ns - marks.gaps[0].start_ns == np.diff(at).max()


def test_buckets_and_instants_of_one_name_are_two_feeds(tmp_path):
    hours = T0 + np.arange(1, 50) * HOUR_NS
    minutes = T0 + np.arange(300) * MINUTE_NS
    tables = [
        (
            Kind.OPEN_INTEREST,
            points(
                Kind.OPEN_INTEREST,
                hours,
                open_interest_coins=walk(49),
                open_interest_usd=np.nan,
                span_s=3600,
            ),
        ),
        (
            Kind.OPEN_INTEREST,
            points(
                Kind.OPEN_INTEREST, minutes, open_interest_coins=walk(300), open_interest_usd=np.nan
            ),
        ),
    ]
    found = log_quality(write(tmp_path, (tables, {})))
    assert feed(found, "open_interest", 3600).cadence_s == 3600
    assert feed(found, "open_interest").cadence_s == 60


def test_doubles_from_two_files_and_twins_of_one(tmp_path):
    at = T0 + np.array([0, 0, 1, 2]) * SECOND_NS
    fills = {"price": np.array([100.0, 100.0, 101.0, 102.0]), "size_coins": 1.0, "side": 1}
    numbered = T0 + np.arange(10, 15) * SECOND_NS
    ids = {"price": walk(5), "size_coins": 1.0, "side": 1, "seq": np.arange(5)}
    one = points(Kind.TRADE, at, **fills)
    two = points(Kind.TRADE, at[2:], **{**fills, "price": fills["price"][2:]})
    three = points(Kind.TRADE, numbered, **ids)
    four = points(Kind.TRADE, numbered, known_after=2 * MINUTE_NS, **ids)
    commits = [([(Kind.TRADE, table)], {}) for table in (one, two, three, four)]
    trades = feed(log_quality(write(tmp_path, *commits)), "trade")
    assert (trades.rows, trades.events) == (16, 9)
    assert (trades.rows_repeated, trades.ids_repeated, trades.twins) == (2, 5, 1)


def test_latency_is_as_it_was_and_whether_it_was_observed(tmp_path):
    at = T0 + np.arange(1000) * SECOND_NS
    late = np.arange(1000) * 1_000_000
    table = event_table(
        Kind.TRADE,
        {
            "ts_event": at,
            "ts_known": at + late,
            "venue": "v",
            "symbol": "BTC",
            "price": walk(1000),
            "size_coins": 1.0,
        },
    )
    said = {"latency": [lag("trade", "observed")]}
    trades = feed(log_quality(write(tmp_path, ([(Kind.TRADE, table)], said))), "trade")
    assert trades.latency_is == "observed"
    assert trades.latency_s == pytest.approx((0, 0.04995, 0.4995, 0.94905, 0.98901, 0.999))
    assert trades.late_order == 0


def test_late_arrivals_are_counted(tmp_path):
    at = T0 + np.arange(10) * SECOND_NS
    known = at + MINUTE_NS
    known[4] += 3 * SECOND_NS  # then 5, 6 are known before it
    table = event_table(
        Kind.TRADE,
        {
            "ts_event": at,
            "ts_known": known,
            "venue": "v",
            "symbol": "B",
            "price": 1.0,
            "size_coins": 1.0,
        },
    )
    trades = feed(log_quality(write(tmp_path, ([(Kind.TRADE, table)], {}))), "trade")
    assert trades.late_order == 2


def test_a_planted_spike_and_a_zero_are_the_oddest(tmp_path):
    n = 500
    at = T0 + np.arange(n) * MINUTE_NS
    coins = 1000 * walk(n) / 100
    coins[100] *= 1.3
    coins[200] = 0.0
    table = points(Kind.OPEN_INTEREST, at, open_interest_coins=coins, open_interest_usd=np.nan)
    held = feed(log_quality(write(tmp_path, ([(Kind.OPEN_INTEREST, table)], {}))), "open_interest")
    assert held.n_odd == 3
    assert (held.odd[0].at_ns, held.odd[0].what) == (at[200], "is 0")
    assert {o.at_ns for o in held.odd[1:]} == {at[100], at[101]}
    assert all(abs(o.z) > 100 for o in held.odd[1:])


def test_calm_series_have_nothing_odd_and_a_jump_across_a_gap_is_none(tmp_path):
    slots = np.concatenate((np.arange(300), np.arange(900, 1200)))
    price = np.concatenate((walk(300), 2 * walk(300, seed=2)))
    table = mark(T0 + slots * MINUTE_NS, price)
    marks = feed(log_quality(write(tmp_path, ([(Kind.MARK, table)], {}))), "mark")
    assert marks.n_gaps == 1
    assert marks.n_odd == 0


def test_a_rate_at_its_clamp_does_not_make_every_other_rate_odd(tmp_path):
    rng = np.random.default_rng(4)
    rate = np.where(rng.random(500) < 0.7, 1.25e-5, rng.normal(1.25e-5, 1e-6, 500))
    rate[250] = 5e-4
    at = T0 + np.arange(500) * HOUR_NS
    table = points(Kind.FUNDING, at, rate=rate, interval_hours=1.0)
    found = feed(log_quality(write(tmp_path, ([(Kind.FUNDING, table)], {}))), "funding")
    assert [o.at_ns for o in found.odd] == [at[250]]


def test_a_value_that_stands_still_is_seen(tmp_path):
    price = walk(200)
    price[50:81] = price[50]
    table = mark(T0 + np.arange(200) * MINUTE_NS, price)
    found = log_quality(write(tmp_path, ([(Kind.MARK, table)], {})))
    assert feed(found, "mark").longest_same_s == 30 * 60
    assert "stood still for 30 min" in describe_quality(found)


def liquidations(at, size, side, **columns):
    return points(
        Kind.LIQUIDATION,
        at,
        known_after=SECOND_NS,
        price=100.0,
        size_coins=size,
        side=side,
        **columns,
    )


def test_coverage_is_liquidated_over_summed_decline_day_by_day(tmp_path):
    at = T0 + np.arange(0, 48 * 60 + 1, 5) * MINUTE_NS
    coins = 1000.0 + 10.0 * (np.arange(len(at)) % 2)  # falls by 10 at every second snapshot
    held = points(Kind.OPEN_INTEREST, at, open_interest_coins=coins, open_interest_usd=np.nan)
    when = T0 + np.array([1, 2, 25]) * HOUR_NS + 1
    shut = liquidations(when, np.array([8.0, 6.4, 7.2]), np.array([1, -1, 1]))
    path = write(tmp_path, ([(Kind.OPEN_INTEREST, held), (Kind.LIQUIDATION, shut)], {}))
    (pair,) = log_quality(path).coverage
    assert pair.one_venue
    assert pair.cadence_s == 300
    assert [d.day_ns for d in pair.days] == [T0, T0 + DAY_NS]
    # both reach from the first liquidation to the last: 23 h of the first day, 1 h of the next
    declines = [10.0 * 6 * 23, 10.0 * 6]
    assert [d.declined_coins for d in pair.days] == pytest.approx(declines)
    assert [d.liquidated_coins for d in pair.days] == pytest.approx([14.4, 7.2])


def test_totals_are_turned_into_coins_at_the_price_of_their_time(tmp_path):
    hours = T0 + np.arange(1, 25) * HOUR_NS
    at = T0 + np.arange(0, 24 * 60 + 1, 5) * MINUTE_NS
    coins = 1000.0 - np.arange(len(at))
    held = points(Kind.OPEN_INTEREST, at, open_interest_coins=coins, open_interest_usd=coins * 50.0)
    total = points(Kind.LIQUIDATION_TOTAL, hours, long_usd=400.0, short_usd=200.0, span_s=3600)
    tables = [(Kind.OPEN_INTEREST, held), (Kind.LIQUIDATION_TOTAL, total)]
    (pair,) = log_quality(write(tmp_path, (tables, {}))).coverage
    assert pair.ratio == pytest.approx(24 * 600 / 50 / (len(at) - 1))


def test_an_exact_thousand_of_one_side_looks_capped(tmp_path):
    at = T0 + np.arange(1500) * SECOND_NS
    side = np.where(np.arange(1500) < 1000, 1, -1)
    path = write(tmp_path, ([(Kind.LIQUIDATION, liquidations(at, 1.0, side))], {}))
    found = log_quality(path)
    assert feed(found, "liquidation").capped == ("long",)
    assert "looks capped" in describe_quality(found)


def test_overlapping_feeds_say_how_they_differ(tmp_path):
    hours = T0 + np.arange(1, 101) * HOUR_NS
    price = walk(100)
    bars = [
        event_table(
            Kind.BAR,
            {
                "ts_event": hours,
                "ts_known": hours + MINUTE_NS,
                "venue": venue,
                "symbol": symbol,
                "span_s": 3600,
                "volume_coins": np.nan,
                **dict.fromkeys(("open", "high", "low", "close"), price * factor),
            },
        )
        for venue, symbol, factor in (("a", "BTCUSDT", 1.0), ("b", "BTC-USDT-SWAP", 1.001))
    ]
    path = write(tmp_path, *(([(Kind.BAR, table)], {}) for table in bars))
    (pair,) = log_quality(path).overlaps
    assert (pair.coin, pair.hours, pair.compared) == ("BTC", 100, "median price difference, bp")
    assert pair.value == pytest.approx(-1e4 * math.log(1.001))
    assert pair.correlation == pytest.approx(1.0)


@pytest.fixture
def small(tmp_path) -> Path:
    slots = np.setdiff1d(np.arange(400), [100, 101])
    at = T0 + slots * 5 * MINUTE_NS
    coins = 1000 + 10 * np.sin(np.arange(len(at)) / 5)
    tables = [
        (Kind.MARK, mark(at, walk(len(at)))),
        (
            Kind.OPEN_INTEREST,
            points(Kind.OPEN_INTEREST, at, open_interest_coins=coins, open_interest_usd=np.nan),
        ),
        (Kind.LIQUIDATION, liquidations(at[::9] + 1, 0.5, 1)),
    ]
    said = {"latency": [lag("mark", "observed")], "notes": {"throttle": "<b>one</b> a second"}}
    return write(tmp_path, (tables, said))


def test_the_command_prints_a_table_and_json(small):
    text = CliRunner().invoke(cli, ["log", "quality", str(small)])
    assert text.exit_code == 0
    assert "gaps of mark v/BTC" in text.output
    assert "2 missing" in text.output
    told = CliRunner().invoke(cli, ["log", "quality", str(small), "--json"])
    value = json.loads(told.output)
    assert value == plain(log_quality(small))
    assert [f["missing"] for f in value["feeds"]] == [2, 2, 0]


def test_a_log_of_one_instant_has_a_page(tmp_path):
    at = np.array([T0])
    log = write(tmp_path, ([(Kind.LIQUIDATION, liquidations(at, 0.5, 1))], {}))
    page = write_quality_page(plain(log_quality(log)), tmp_path / "page")  # and no warning
    assert "liquidation" in page.read_text(encoding="utf-8")


def test_the_page_stands_alone_escapes_and_is_the_same_twice(small, tmp_path):
    value = plain(log_quality(small))
    one = write_quality_page(value, tmp_path / "one").read_bytes()
    two = write_quality_page(value, tmp_path / "two").read_bytes()
    assert one == two
    text = one.decode()
    assert "<script" not in text
    assert "http" not in text.split("</style>")[1].replace("data:image", "")
    assert "&lt;b&gt;one" in text
    assert text.count("<figure>") == 4  # presence, coverage, latency, the leak test
    assert json.loads((tmp_path / "one" / "quality.json").read_text(encoding="utf-8")) == value


def test_a_log_without_events_and_no_log_are_one_sentence(tmp_path):
    EventLog.create(tmp_path / "empty")
    with pytest.raises(DataError, match="nothing to measure"):
        log_quality(tmp_path / "empty")
    with pytest.raises(LogError):
        log_quality(tmp_path / "nowhere")

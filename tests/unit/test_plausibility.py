"""What cannot be what it is said to be: found where it is planted, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.cli import cli
from liqbt.errors import DataError
from liqbt.log.schema import table_columns
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.plausibility.feeds import feeds_of_columns
from liqbt.plausibility.findings import findings
from liqbt.plausibility.interest import believed
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection
from liqbt.types import Instrument, Kind

S = 10**9
MINUTE = 60 * S
T0 = 1_704_067_200 * S
BTC = Instrument("v", "BTCUSDT")
N = 3000
RNG = np.random.default_rng(7)
PRICE = 42_000 * np.exp(np.cumsum(RNG.normal(0, 1e-3, N)))
COINS = 80_000 * np.exp(np.cumsum(RNG.normal(0, 1e-3, N)))
AT = T0 + np.arange(N) * 5 * MINUTE


def table(kind, at=AT, known=60 * S, span_s=0, side=0, instrument=BTC, **payload):
    return event_table(
        kind,
        {
            "ts_event": at,
            "ts_known": at + known,
            "venue": instrument.venue,
            "symbol": instrument.symbol,
            "span_s": np.full(len(at), span_s, dtype=np.int64),
            "side": np.broadcast_to(np.int64(side), (len(at),)),
            **payload,
        },
    )


def mark(price=PRICE, at=AT, **more):
    point = dict.fromkeys(("open", "high", "low", "close"), price)
    return Kind.MARK, table(Kind.MARK, at, **point, **more)


def interest(coins=COINS, usd=None, **more):
    usd = coins * PRICE if usd is None else usd
    payload = {"open_interest_coins": coins, "open_interest_usd": usd}
    return Kind.OPEN_INTEREST, table(Kind.OPEN_INTEREST, **payload, **more)


def forced(at, side, **more):
    n = len(at)
    payload = {"price": np.full(n, 42_000.0), "size_coins": 1 + np.arange(n) / n}
    return Kind.LIQUIDATION, table(Kind.LIQUIDATION, at, known=S, side=side, **payload, **more)


def checks(*tables, observed=False):
    feeds = [
        feed
        for kind, held in tables
        for feed in feeds_of_columns(kind, *table_columns(held), observed=observed)
    ]
    return {found.check: found for found in findings(feeds)}


def with_value(values, place, value):
    out = values.copy()
    out[place] = value
    return out


def falls(n=400):
    """Times after which the price has moved, and the side that such a move closes."""
    moved = np.log(PRICE[2:] / PRICE[:-2])
    rows = np.argsort(-np.abs(moved))[:n] + 2
    return AT[rows], np.where(moved[rows - 2] < 0, 1, -1)


def test_clean_feeds_say_nothing():
    at, side = falls()
    rate = table(
        Kind.FUNDING,
        at=T0 + np.arange(90) * 480 * MINUTE,
        rate=RNG.normal(1e-4, 5e-5, 90),
        interval_hours=np.full(90, 8.0),
    )
    assert checks(mark(), interest(), forced(at, side), (Kind.FUNDING, rate)) == {}


@pytest.mark.parametrize("share", [100.0, 10.0, 0.001])
def test_contracts_taken_for_coins(share):
    found = checks(mark(), interest(COINS * share, COINS * PRICE))["implied_price"]
    assert f"a unit of it is {1 / share:g} coins" in found.text
    other = mark(instrument=Instrument("v", "ETHUSDT"))
    assert checks(other, interest(COINS * share, COINS * PRICE)) == {}


def test_a_multiple_of_a_coin_is_known_by_its_name():
    thousand = Instrument("w", "1000BTCUSDT")
    assert checks(mark(), interest(COINS / 1000, COINS * PRICE, instrument=thousand)) == {}


def test_open_interest_of_nothing_and_of_one_row():
    coins = COINS.copy()
    coins[500:600] = 0
    coins[[1000, 1500]] *= 0.5
    coins[2000] *= 10
    found = checks(mark(), interest(coins, COINS * PRICE))
    assert found["interest_of_nothing"].count == 100
    assert found["interest_of_one_row"].count == 3


@pytest.mark.parametrize("turned", [False, True])
def test_sides_that_are_turned_around(turned):
    at, side = falls()
    found = checks(mark(), forced(at, -side if turned else side))
    assert list(found) == (["sides_turned_around"] if turned else [])
    moved = np.log(PRICE[1:] / PRICE[:-1])
    longs, shorts = np.exp(-600 * moved), np.exp(600 * moved)
    longs, shorts = (shorts, longs) if turned else (longs, shorts)
    totals = table(Kind.LIQUIDATION_TOTAL, AT[1:], span_s=300, long_usd=longs, short_usd=shorts)
    found = checks(mark(), (Kind.LIQUIDATION_TOTAL, totals))
    assert list(found) == (["sides_turned_around"] if turned else [])


@pytest.mark.parametrize("percent", [False, True])
def test_a_funding_rate_in_percent(percent):
    at = T0 + np.arange(90) * 480 * MINUTE
    rate = np.full(90, 1e-4) * (100 if percent else 1)
    kept = (Kind.FUNDING, table(Kind.FUNDING, at, rate=rate, interval_hours=np.full(90, 8.0)))
    assert list(checks(kept)) == (["funding_in_percent"] if percent else [])


def test_bars_that_are_stamped_at_the_wrong_end():
    hours = T0 + np.arange(1, N) * 60 * MINUTE
    bars = mark(PRICE[1:], hours)
    early = mark(PRICE[1:], hours - 60 * MINUTE, instrument=Instrument("w", "BTCUSDT"))
    (found,) = checks(bars, early).values()
    assert found.check == "prices_apart"
    assert "mark w/BTCUSDT" in found.feed
    assert "1 h later" in found.text
    assert checks(bars, mark(PRICE[1:], hours, instrument=Instrument("w", "BTCUSDT"))) == {}


def test_clocks_numbers_and_rounded_times():
    at = T0 + np.sort(RNG.integers(0, 10**6, 200)) * 1_000_003
    side = np.where(np.arange(200) % 2, 1, -1)
    trades = {"price": np.full(200, 5.0), "size_coins": np.ones(200)}
    seq = np.delete(np.arange(203), [50, 51, 120])
    feed = (Kind.TRADE, table(Kind.TRADE, at, known=0, side=side, seq=seq, **trades))
    found = checks(feed, observed=True)
    assert list(found) == ["one_clock", "missing_numbers"]
    assert found["missing_numbers"].count == 3
    assert "2 holes, the widest from 49 to 52" in found["missing_numbers"].text
    rounded = (
        Kind.TRADE,
        table(Kind.TRADE, at // (100 * S) * 100 * S, side=side, seq=seq, **trades),
    )
    assert "multiples of 100 s" in checks(rounded)["rounded_times"].text


def test_a_feed_that_is_silent_while_the_price_falls():
    price = np.where(np.arange(N) >= 1500, PRICE * 0.9, PRICE)
    spoke = AT[(np.abs(np.arange(N) - 1500) > 40) & (np.arange(N) % 7 == 0)]
    found = checks(mark(price), forced(spoke, 1))
    assert found["silent_feed"].count == 1
    heard = np.sort(np.append(spoke, AT[1501] + S))
    assert "silent_feed" not in checks(mark(price), forced(heard, 1))


def log_of(folder, *tables):
    log = EventLog.create(folder / "log")
    for kind, held in tables:
        log.append([(kind, held)], {})
    return log


SELECTION = Selection(kinds={Kind.MARK: (BTC,), Kind.OPEN_INTEREST: (BTC,)})


def test_the_tape_leaves_out_what_is_not_believed(tmp_path):
    coins = COINS.copy()
    coins[500:616] = 0
    coins[[1000, 1500]] *= 0.5
    coins[2000] = 1e30
    coins[2500:] *= 0.6  # a move that stays
    log = log_of(tmp_path, mark(), interest(coins, COINS * PRICE))
    tape = build_tape(log, SELECTION, tmp_path / "cache")
    (masked,) = tape.masked
    assert (masked.nothing, masked.alone, masked.waited) == (116, 3, 1)
    kept = tape.of(Kind.OPEN_INTEREST)
    good = np.delete(np.arange(N), [*range(500, 616), 1000, 1500, 2000])
    assert kept["ts_event"].tolist() == AT[good].tolist()
    late = kept["ts_known"] - kept["ts_event"] - 60 * S
    assert late[good == 2500] == 5 * MINUTE
    assert np.count_nonzero(late) == 1
    assert build_tape(log, SELECTION, tmp_path / "cache").masked == tape.masked
    whole = build_tape(log, SELECTION, tmp_path / "cache", outliers="keep")
    assert (whole.masked, len(whole.of(Kind.OPEN_INTEREST))) == ((), N)
    with pytest.raises(DataError, match=r"open interest v/BTCUSDT: 116 values of 0 and 3 single"):
        build_tape(log, SELECTION, outliers="refuse")


@pytest.mark.parametrize(
    "zeros",
    [
        [*range(500, 616)],
        [0, 1, N - 1],
        [499, 501, 999, 1001, 2000, 2002],  # beside jumps, before and after the value that confirms
        [*range(400, 520), *range(521, 700)],
        RNG.choice(N, 900, replace=False).tolist(),
    ],
)
def test_a_tape_with_zeros_is_that_without_these_rows(tmp_path, zeros):
    """What leaving out costs is what missing rows cost, and nothing of their neighbours."""
    coins = COINS.copy()
    coins[[500, 1000, 1500]] *= 0.5
    coins[2001:] *= 0.6
    faulty, kept = with_value(coins, zeros, 0.0), np.delete(np.arange(N), zeros)
    (tmp_path / "out").mkdir()
    whole = log_of(tmp_path, mark(), interest(faulty, faulty * PRICE))
    left = interest(coins[kept], coins[kept] * PRICE[kept], at=AT[kept])
    tape, other = (
        build_tape(log, SELECTION) for log in (whole, log_of(tmp_path / "out", mark(), left))
    )
    assert tape.digest == other.digest
    assert tape.masked[0].nothing == len(zeros)


def test_next_to_nothing_is_nothing_for_a_day(tmp_path):
    coins = COINS.copy()
    coins[500:616] *= 1e-9  # ten hours
    coins[2000:] *= 1e-9  # a market that ends
    log = log_of(tmp_path, mark(), interest(coins, COINS * PRICE))
    tape = build_tape(log, SELECTION)
    gone = [*range(500, 616), *range(2000, 2288)]
    (masked,) = tape.masked
    assert (masked.nothing, masked.alone, masked.waited, masked.tiny) == (0, 0, 1, len(gone))
    assert "0 values of 0, 404 next to 0 and 0 single jumps left out" in masked.text()
    kept = tape.of(Kind.OPEN_INTEREST)["ts_event"]
    assert kept.tolist() == AT[np.delete(np.arange(N), gone)].tolist()
    told = checks(mark(), interest(coins))["interest_of_one_row"]
    assert (told.count, "404 values are next to 0" in told.text) == (404, True)
    fewer = COINS * np.exp(-np.arange(N) / 100)  # falls by far more, and never at once
    assert "interest_of_one_row" not in checks(mark(), interest(fewer, fewer * PRICE))


def test_a_price_that_jumps_is_named():
    for rows, words in (
        ([1000, 2000], {"price_of_one_row": 2, "price_jumps": 4}),
        ([1000, 1001, 1002], {"price_jumps": 2}),
    ):
        price = with_value(PRICE, rows, PRICE[rows] / 10)
        found = checks(mark(price))
        assert {check: found[check].count for check in found} == words
    assert "nearly twice or half of the value before, the first" in found["price_jumps"].text
    assert not checks(mark(np.where(np.arange(N) > 1000, 1.7 * PRICE, PRICE)))


def test_a_feed_that_stands_still_is_named():
    still = with_value(COINS, slice(500, 620), COINS[500])
    found = checks(mark(), interest(still))["frozen_feed"]
    assert (found.count, "open interest v/BTCUSDT: stood still" in found.text) == (120, True)
    assert checks(mark(with_value(PRICE, slice(9, 40), PRICE[9])))["frozen_feed"].count == 31
    seldom = COINS[np.arange(N) // 20 * 20]  # what never moves more often than so
    assert "frozen_feed" not in checks(mark(), interest(seldom))
    quiet = COINS.copy()  # moves always, but for quiet hours that come again and again
    for first in range(100, N - 60, 150):
        quiet[first : first + 20 + first % 29] = quiet[first]
    assert "frozen_feed" not in checks(mark(), interest(quiet))


def test_what_was_received_long_after_it_happened_is_named():
    at = AT[::3]
    assert "late_clock" not in checks(forced(at, 1), observed=True)
    price = {"price": np.full(len(at), 42_000.0), "size_coins": 1 + np.arange(len(at)) / 1000}
    hour = (Kind.LIQUIDATION, table(Kind.LIQUIDATION, at, known=3601 * S, side=1, **price))
    found = checks(hour, observed=True)["late_clock"]
    assert "received 1.00 h after they happened or later" in found.text
    assert "late_clock" not in checks(hour)


def test_what_is_masked_is_said_of_the_selection_alone(tmp_path):
    """Neither of what is known before it, nor of what is known at its end or later."""
    coins = COINS.copy()
    coins[[500, 1500, 2500]] = 0
    coins[[600, 1600, 2600]] *= 0.3
    coins[2700:] *= 0.3  # a move that stays
    log = log_of(tmp_path, mark(), interest(coins, COINS * PRICE))
    start, end = (int(AT[i]) + 60 * S for i in (1000, 2000))
    chosen = replace(SELECTION, start_ns=start, end_ns=end)
    (masked,) = build_tape(log, chosen).masked
    assert (masked.nothing, masked.alone, masked.waited) == (1, 1, 0)
    clean = replace(SELECTION, start_ns=start, end_ns=int(AT[1500]) + 60 * S)
    assert build_tape(log, clean, outliers="refuse").masked == ()


def test_a_clean_tape_is_what_it_was(tmp_path):
    log = log_of(tmp_path, mark(), interest())
    masked, kept = (build_tape(log, SELECTION, outliers=o) for o in ("mask", "keep"))
    assert (masked.digest, masked.masked) == (kept.digest, ())


@given(st.lists(st.sampled_from([0.0, 1.0, 1.1, 3.0, 10.0, 11.0]), max_size=14), st.integers(0, 14))
@settings(max_examples=200, deadline=None)
def test_what_is_believed_by_a_time_does_not_depend_on_what_follows(values, cut):
    coins = np.array(values)
    known = np.arange(len(values), dtype=np.int64) * 5 * MINUTE
    keep, since = believed(known, coins)
    part, part_since = believed(known[:cut], coins[:cut])
    end = known[cut] if cut < len(values) else known[-1:].max(initial=0) + 1
    whole = {(i, int(since[i])) for i in np.flatnonzero(keep) if since[i] < end}
    assert whole == {(i, int(part_since[i])) for i in np.flatnonzero(part) if part_since[i] < end}


def test_the_commands_say_it(tmp_path):
    """Ingest and quality name what a file cannot be, in text and as JSON."""
    rows = [
        f"{t // S},{p:.2f},{c * 100:.2f},{c * p:.2f}"
        for t, p, c in zip(AT, PRICE, COINS, strict=True)
    ]
    (tmp_path / "a.csv").write_text("t,px,oi,usd\n" + "\n".join(rows) + "\n")
    (tmp_path / "m.yaml").write_text(
        "time: {column: t, unit: s}\nstamp: instant\nfeed: polled\nlatency: 60s\nvenue: okx\n"
        "symbol: BTC-USDT-SWAP\nemit:\n- {kind: mark, fields: {price: px}}\n"
        "- {kind: open_interest, fields: {open_interest_coins: oi, open_interest_usd: usd}}\n"
    )
    run = CliRunner().invoke
    log = str(tmp_path / "log")
    done = run(cli, ["ingest", str(tmp_path / "m.yaml"), str(tmp_path / "a.csv"), "--log", log])
    assert "a unit of it is 0.01 coins" in done.output
    said = run(cli, ["log", "quality", log])
    assert "what cannot be what it is said to be\n  open interest okx/BTC-USDT-SWAP" in said.output
    value = json.loads(run(cli, ["log", "quality", log, "--json"]).output)
    assert [f["check"] for f in value["findings"]] == ["implied_price"]

"""The census: what it holds, what has gone, what it covers, and that it sees its past alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import yaml
from estimator_events import START, at, event, events, mark, market, open_interest

from liqbt.audit.lookahead import poisoned
from liqbt.errors import ConfigError
from liqbt.estimators import MarketSpec
from liqbt.estimators.census import Census, CensusParams
from liqbt.forecasts import forecast_bytes
from liqbt.ingest.colmap import parse_map
from liqbt.log.tables import event_table
from liqbt.study.estimator_config import check_needs
from liqbt.tape.build import tape_from_tables
from liqbt.tape.positions import price_only_tape, shifted_tape
from liqbt.tape.values import Selection, tape_from_events
from liqbt.types import HOUR_NS, MINUTE_NS, SECOND_NS, Instrument, Kind

WHERE = Instrument("v", "X")


def made(**changes):
    base = {"step": 0.001, "fine_bins": 900, "coarse": 10, "sigma_window": 30 * MINUTE_NS}
    return Census(CensusParams(**(base | changes)), MarketSpec(symbol="X"))


def position(second, price, coins, side):
    return event(Kind.POSITION, second, price, coins, side=side)


MARKS = [mark(300 * i, 100 + (i % 2)) for i in range(13)]


def held(forecast):
    """USD by price."""
    out = {}
    for i, side in enumerate((1, -1)):
        edges = forecast.grid.prices(forecast.mark_bin, side, forecast.density_usd.shape[1])
        for j in np.flatnonzero(forecast.density_usd[i]):
            out[round(math.sqrt(edges[j] * edges[j + 1]), 1)] = float(forecast.density_usd[i, j])
    return out


def test_it_holds_the_last_census_alone_and_ages_it():
    estimator = made(half_life=HOUR_NS, sigma_window=4 * HOUR_NS, sigma_min_coverage=0.1)
    estimator.update(events(*MARKS, position(0, 80.05, 5, 1), position(1800, 90.05, 2, 1)))
    estimator.update(events(position(1800, 120.05, 3, -1), position(1800, math.nan, 4, 1)))
    estimator.update(events(position(900, 70, 9, 1)))  # an older one that came late
    found = held(estimator.forecast(at(5400)))
    assert [round(price) for price in found] == [90, 120]
    assert list(found.values()) == pytest.approx([90.05, 1.5 * 120.05], rel=1e-4)
    assert all(math.isnan(share) for share in estimator.coverage())
    estimator.update(events(open_interest(3600, 10.0)))
    assert estimator.coverage() == pytest.approx((0.6, 0.3))


def test_what_the_price_has_passed_since_is_gone_and_what_it_passed_before_is_not():
    rows = [*MARKS, mark(3800, 95), mark(4300, 100)]
    early = made()
    early.update(events(*rows, position(3000, 97, 1, 1), position(3000, 94, 1, 1)))
    assert [round(p) for p in held(early.forecast(at(4600)))] == [94]
    late = made()
    late.update(events(*rows, position(4300, 97, 1, 1), position(4300, 94, 1, 1)))
    assert [round(p) for p in held(late.forecast(at(4600)))] == [97, 94]


def test_without_a_census_or_with_an_old_one_there_is_no_map():
    estimator = made(oldest=2 * HOUR_NS, sigma_window=8 * HOUR_NS, sigma_min_coverage=0.01)
    estimator.update(events(*MARKS))
    assert estimator.forecast(at(3700)) is None
    estimator.update(events(position(3600, 80, 1, 1)))
    assert estimator.forecast(at(3700)) is not None
    assert estimator.forecast(at(3600 + 3 * 3600)) is None
    with pytest.raises(ConfigError, match="oldest"):
        made(oldest=9 * 24 * HOUR_NS)
    with pytest.raises(ConfigError, match=r"reads position, and 's\.X\.events' names no position"):
        check_needs("census", "census", {Kind.MARK: 0}, None, "s.X")


def census_tape(seed=3):
    tape = market(seed=seed, days=3)
    rng = np.random.default_rng(seed)
    rows = [tape]
    for hour in range(2, 70, 4):
        rows += [
            position(hour * 3600, rng.uniform(60, 140), 1.0, rng.choice([-1, 1])) for _ in range(3)
        ]
    return events(*rows)


def test_it_is_the_same_however_it_is_fed_and_notices_no_future():
    rows = census_tape()
    tape = tape_from_events(rows, (WHERE,))
    cut = START + 40 * HOUR_NS
    options = {"sigma_window": 6 * HOUR_NS}
    before = int(np.searchsorted(rows["ts_known"], cut))
    honest, parted = made(**options), made(**options)
    honest.update(tape.events[:before])
    for part in np.array_split(np.arange(before), 23):
        saved, parted = parted.state(), made(**options)
        parted.restore(saved)
        parted.update(tape.events[part[0] : part[-1] + 1])
    expected = forecast_bytes(honest.forecast(cut))
    assert forecast_bytes(parted.forecast(cut)) == expected
    other = poisoned(tape, cut, np.random.default_rng(0)).events
    assert (other[before:]["kind"] == Kind.POSITION).any()
    blind = made(**options)
    blind.update(other[: int(np.searchsorted(other["ts_known"], cut))])
    assert forecast_bytes(blind.forecast(cut)) == expected


def test_who_is_told_of_prices_alone_or_of_another_time_is_told_of_no_position():
    tape = tape_from_events(census_tape(), (WHERE,))
    assert (tape.events["kind"] == Kind.POSITION).any()
    assert not (price_only_tape(tape).events["kind"] == Kind.POSITION).any()
    long = tape_from_events(events(market(seed=4, days=30), position(7200, 90, 1, 1)), (WHERE,))
    assert not (shifted_tape(long, 0.5).events["kind"] == Kind.POSITION).any()


def test_positions_are_events_with_both_clocks_and_alike_ones_both_count():
    at_ns = np.array([START, START, START])
    columns = {"ts_event": at_ns, "ts_known": at_ns + SECOND_NS, "venue": "v", "symbol": "X"}
    columns |= {"side": [1, 1, -1], "liquidation_price": [80.0, 80.0, math.nan]}
    columns |= {"size_coins": [2.0, 2.0, 1.0], "occurrence": [0, 1, 0]}
    table = event_table(Kind.POSITION, columns)
    tape = tape_from_tables({Kind.POSITION: table}, Selection(kinds={Kind.POSITION: (WHERE,)}))
    assert tape.events["p1"].tolist().count(2.0) == 2
    assert set(tape.events["ts_known"] - tape.events["ts_event"]) == {SECOND_NS}


def test_a_map_of_positions_needs_sides_and_liquidation_prices(root):
    text = (root / "experiments/sources/hyperliquid-positions.yaml").read_text()
    assert parse_map(yaml.safe_load(text), "m").emit[0].kind == Kind.POSITION
    for gone, says in (
        ("side: {column: direction, means: position_side}\n", "needs key 'side'"),
        ("liquidation_price: liquidation_px, ", "'liquidation_price' is missing"),
    ):
        with pytest.raises(ConfigError, match=says):
            parse_map(yaml.safe_load(text.replace(gone, "")), "m")

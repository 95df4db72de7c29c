"""Walls before clusters against a naive twin; reflected; and depth that was not known yet."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from evaluation_world import clusters_at, forecast, points
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.claims.wall import held_days
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.depth import WALL, market_depth
from liqbt.evaluation.walls import BEHIND, WINDOW_NS, walled_clusters
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, MINUTE_NS, Instrument, Kind

START = 19_700 * DAY_NS
STEP = 5 * MINUTE_NS
DAYS = 6
SIGMA = 0.03
EDGES = (0.0, 0.002, 0.01, 0.02, 0.03, 0.04, 0.05)
CONFIG = EvaluationConfig()
SEED = st.integers(0, 2**32 - 1)


def market_of(seed, *, mirrored=False):
    """Hourly forecasts, and depth in bands with walls of chance; `mirrored`: log price times −1."""
    rng = np.random.default_rng(seed)
    sign = -1 if mirrored else 1
    x = np.cumsum(rng.normal(0.0, SIGMA / np.sqrt(288), DAYS * 288 + 1))
    ts = START + np.arange(len(x)) * STEP
    forecasts, bands = [], []
    for hour in range(3 * 24, DAYS * 24):
        mark = x[hour * 12]
        centres = mark + rng.uniform(-0.05, 0.05, 8)
        edges = [np.array([c - 4e-4, c + 4e-4]) for c in centres if abs(c - mark) > 1e-3]
        by_price = sorted(tuple(sorted(np.exp(sign * e))) for e in edges)
        rows = clusters_at(np.exp(sign * mark), by_price)
        away = np.abs(np.log(rows["low"] * rows["high"]) / 2 - sign * mark)
        rows["density_rank"] = np.round(away * 997 % 1, 6)
        at = int(START + hour * HOUR_NS)
        forecasts.append(forecast(at, float(np.exp(sign * mark)), rows, sigma_1d=SIGMA))
        for way in (1, -1):
            for near, far in pairwise(EDGES):
                usd = 1e9 * (far - near) * (4.0 if rng.random() < 0.2 else 1.0)
                a, b = sorted((sign * (mark + way * near), sign * (mark + way * far)))
                bands.append((at - MINUTE_NS, -way * sign, np.exp(a), np.exp(b), usd))
    events = np.zeros(len(bands), EVENT_DTYPE)
    for i, (known, side, low, high, usd) in enumerate(bands):
        events[i]["ts_known"], events[i]["ts_event"] = known, known - 1
        events[i]["kind"], events[i]["side"] = Kind.DEPTH, side
        events[i]["p0"], events[i]["p1"], events[i]["p2"], events[i]["p3"] = low, high, 0.0, usd
    path = points(ts, np.exp(sign * x))
    return MarketInput(symbol="A", forecasts=forecasts, path=path, depth=market_depth(events))


def naive_rows(market):
    """Every band before a cluster, by its time and place."""
    depth, path, out = market.depth, market.path, {}
    x, ends = np.log(path.close), path.end_ns
    for f in market.forecasts:
        known = [i for i in range(len(depth.known_ns)) if depth.known_ns[i] < f.at]
        if not known or f.at - depth.known_ns[known[-1]] >= 2 * HOUR_NS:
            continue
        if f.at + WINDOW_NS - ends[-1] >= path.max_gap_ns:
            continue
        inside = (ends >= f.at + CONFIG.latency_ns) & (ends < f.at + WINDOW_NS)
        mark, sigma = np.log(f.mark), f.sigma_1d * np.sqrt(WINDOW_NS / DAY_NS)
        bands = range(depth.starts[known[-1]], depth.starts[known[-1] + 1])
        place = {
            b: sorted(int(depth.above[b]) * (e - mark) for e in (depth.low[b], depth.high[b]))
            for b in bands
        }
        for b in bands:
            way, (near, far) = int(depth.above[b]), place[b]
            ranks = [
                float(c["density_rank"])
                for c in f.clusters
                if c["side"] == -way
                and near <= way * (np.log(c["low"] if way > 0 else c["high"]) - mark) < far + BEHIND
            ]
            if not ranks or not 0.25 * sigma <= far <= 2.5 * sigma:
                continue
            mirror = any(
                depth.wall[q]
                for q in bands
                if depth.above[q] == -way and place[q][0] < (near + far) / 2 <= place[q][1]
            )
            ahead = (way * (x[inside] - mark) >= far).any()
            behind = (-way * (x[inside] - mark) >= far).any()
            out[(f.at, way, round(far / sigma, 9))] = (
                float(depth.wall[b]), float(mirror), max(ranks), float(ahead) - float(behind)
            )  # fmt: skip
    return out


@settings(deadline=None, max_examples=4)
@given(seed=SEED)
def test_rows_like_the_naive_twin(seed):
    market = market_of(seed)
    found, expected = walled_clusters(market, CONFIG), naive_rows(market)
    assert len(found.at) == len(expected) > 20
    for i in range(len(found.at)):
        key = (int(found.at[i]), int(found.outward[i]), round(float(found.distance_sigma[i]), 9))
        row = (found.wall[i], found.mirror_wall[i], found.rank[i], found.passed[i])
        assert row == pytest.approx(expected[key])


@settings(deadline=None, max_examples=4)
@given(seed=SEED)
def test_the_mirror_image_of_a_market_scores_the_same(seed):
    a, b = (walled_clusters(market_of(seed, mirrored=m), CONFIG) for m in (False, True))
    order = [
        np.lexsort((x.distance_sigma, way, x.at)) for x, way in ((a, a.outward), (b, -b.outward))
    ]
    for name in ("at", "distance_sigma", "wall", "mirror_wall", "rank", "passed", "trend"):
        one, other = getattr(a, name)[order[0]], getattr(b, name)[order[1]]
        np.testing.assert_allclose(one, other, atol=1e-9)
    assert held_days(a).ratio == pytest.approx(held_days(b).ratio, rel=1e-6)


def test_a_wall_is_a_band_that_stands_out_and_is_known_before():
    market = market_of(3)
    depth = market.depth
    assert WALL == 1.5
    assert 0.1 < depth.wall.mean() < 0.3
    late = replace(market, depth=replace(depth, known_ns=depth.known_ns + 2 * MINUTE_NS))
    rows = walled_clusters(late, CONFIG)  # each forecast sees what was known an hour before
    before = walled_clusters(market, CONFIG)
    assert rows.at.min() > before.at.min()
    old = replace(market, depth=replace(depth, known_ns=depth.known_ns - 10 * DAY_NS))
    assert not len(walled_clusters(old, CONFIG).at)
    assert walled_clusters(replace(market, depth=None), CONFIG) is None


def test_a_planted_wall_is_found_at_its_size():
    rng = np.random.default_rng(1)
    rows = [walled_clusters(market_of(seed), CONFIG) for seed in range(4)]
    for one in rows:
        held = -0.3 * one.wall + 0.01 * rng.standard_normal(len(one.wall))
        planted = replace(one, passed=held)
        assert held_days(planted).ratio == pytest.approx(0.3, abs=0.01)


def test_decoys_are_shown_and_move_nothing():
    world = World(name="small", days=3, warmup_days=1, depth_every_s=3600)
    plain, shown = (simulate(replace(world, depth_decoys=p), seed=4) for p in (0.0, 0.5))
    for kind, table in plain.tables.items():
        assert (kind == Kind.DEPTH) != table.equals(shown.tables[kind])
    np.testing.assert_array_equal(plain.truth["SIM"].path_price, shown.truth["SIM"].path_price)
    selection = Selection(kinds={Kind.DEPTH: (Instrument("simulated", "SIM"),)})
    depths = [market_depth(tape_from_tables(m.tables, selection).events) for m in (plain, shown)]
    assert not depths[0].wall.any()
    assert 0.02 < depths[1].wall.mean() < 0.3

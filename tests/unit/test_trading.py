"""Forecasts as trades: what is known, what is filled, what it earns by hand, and the placebos."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from liqbt import trading
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.touches import COSTS
from liqbt.strategies import LEAST_AGE_NS, STRATEGIES, Path, Plan, planned
from liqbt.types import CLUSTER_DTYPE, DAY_NS, HOUR_NS, MINUTE_NS, DensityGrid, Forecast, Side

START = 1_759_276_800_000_000_000  # 2025-10-01
STEP = HOUR_NS // 2
LATENCY = MINUTE_NS
SIGMA = 0.02


@dataclass(frozen=True, kw_only=True)
class Made:
    """What trading reads of a run."""

    maps: dict[str, list[Forecast]]
    paths: dict[str, dict[str, np.ndarray]]
    path: str = "results/made/0"
    manifest: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(
        default_factory=lambda: {
            "evaluation": {"latency": "1min", "distance_floor": 0.25, "distance_ceiling": 2.5}
        }
    )
    fed: dict[str, np.ndarray] | None = None

    def forecasts(self, symbol, estimator=None):
        return self.maps[symbol]

    def prices(self, symbol):
        return self.paths[symbol]

    def funding(self, symbol):
        return self.fed

    def outcomes(self, estimator=None):
        rows = [(name, f.at) for name, maps in self.maps.items() for f in maps]
        names, times = zip(*rows, strict=True)
        return pa.table({"market": list(names), "at": np.array(times, np.int64)})


def forecast(at, mark, clusters, symbol="SIM", asymmetry=0.0):
    rows = np.zeros(len(clusters), CLUSTER_DTYPE)
    for row, (side, low, high, rank) in zip(rows, clusters, strict=True):
        row["side"], row["low"], row["high"] = side, low, high
        row["peak"], row["density_rank"], row["notional_usd"] = (low + high) / 2, rank, 1e6
    return Forecast(
        symbol=symbol,
        at=at,
        latest_known=at - 1,
        mark=mark,
        mark_ts=at - STEP,
        sigma_1d=SIGMA,
        grid=DensityGrid(anchor=100.0),
        mark_bin=0,
        density_usd=np.zeros((2, 1), np.float32),
        clusters=rows,
        asymmetry=asymmetry,
        asymmetry_reach=0.1,
    )


def points(close):
    close = np.asarray(close, float)
    ts = START + np.arange(len(close), dtype=np.int64) * STEP
    return {"ts": ts, "low": close, "high": close, "close": close}


def made(maps, paths, **more):
    manifest = {
        "seed": 3,
        "symbols": {s: {"latency": [{"kind": "mark", "latency_s": 60.0}]} for s in maps},
    }
    return Made(maps=maps, paths=paths, manifest=manifest, **more)


def one_trade(after, *, clusters=((Side.SHORT, 102.0, 103.0, 1.0),), **more):
    """Prices of 100 and an empty map for eight days; then one map, and the prices after it."""
    n = 8 * 48 + 1
    maps = [forecast(START, 100.0, []), forecast(START + (n - 1) * STEP, 100.0, clusters, **more)]
    close = np.concatenate([np.full(n, 100.0), after, np.full(60, after[-1])])
    return made({"SIM": maps}, {"SIM": points(close)})


def orders_of(portfolio, *column):
    """Order records of the column that ends so."""
    records = portfolio.orders.records
    names = portfolio.wrapper.columns
    return records[[names[c][-len(column) :] == column for c in records["col"]]]


def walk(n_days=24, seed=1, symbol="SIM"):
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, SIGMA / np.sqrt(48), n_days * 48)))
    path = points(close)
    maps = []
    for i in range(48, len(close), 2):
        mark = close[i - 1]
        edges = mark * np.exp(SIGMA * rng.uniform(0.3, 1.2, 2))
        maps.append(
            forecast(
                int(path["ts"][i]),
                mark,
                [
                    (Side.SHORT, edges[0], edges[0] * 1.002, rng.random()),
                    (Side.LONG, mark**2 / edges[1] * 0.998, mark**2 / edges[1], rng.random()),
                ],
                symbol,
                asymmetry=rng.uniform(-1, 1),
            )
        )
    return maps, path


def test_costs_are_those_of_the_claim_about_stops():
    assert math.isclose(2 * (trading.TAKER_FEE + trading.SLIPPAGE), COSTS)


def test_a_portfolio_by_hand():
    """Up to the target: bought after the latency, sold where the point lies, funding in between."""
    run = one_trade([100.5, 101.0, 103.5, 90.0])
    fee, slip = 1e-3, 2e-3
    rates = pd.Series(
        [0.5, 0.01, -0.002, 0.5],  # before, twice while it is open, after
        pd.to_datetime(START + np.array([768, 771, 772, 776]) * (STEP // 2), utc=True),
    )
    found = trading.portfolio(run, "cluster_target", fees=fee, slippage=slip, funding=rates)
    mine = orders_of(found, "map")
    assert list(mine["side"]) == [0, 1]
    bought, sold = 100.5 * (1 + slip), 103.5 * (1 - slip)
    coins = 100.0 / (bought * (1 + fee))
    paid = coins * (0.01 * 100.5 - 0.002 * 101.0)
    assert np.allclose(mine["price"], [bought, sold])
    assert np.allclose(mine["size"], coins)
    money = coins * sold * (1 - fee) - paid
    assert math.isclose(found.final_value()["SIM", "target", "map"], money, rel_tol=1e-12)

    sold, bought = 100.5 * (1 - slip), 103.5 * (1 + slip)  # the mirror image lost
    coins = 100.0 / (sold * (1 + fee))
    paid = -coins * (0.01 * 100.5 - 0.002 * 101.0)
    money = 100.0 + coins * (sold * (1 - fee) - bought * (1 + fee)) - paid
    assert math.isclose(found.final_value()["SIM", "target", "mirrored"], money, rel_tol=1e-12)


def test_funding_is_the_runs_own_where_it_was_fed():
    run = one_trade([100.5, 101.0, 103.5, 90.0])
    times = START + np.array([736, 755, 771, 790]) * (STEP // 2)
    fed = {"ts_known": times, "rate": np.full(4, 0.02)}
    asked = trading.portfolio(
        run, funding=pd.Series([0.02 / 2], pd.to_datetime(times[2:3], utc=True))
    )
    own = trading.portfolio(replace(run, fed=fed))
    assert np.allclose(own.final_value(), asked.final_value(), rtol=1e-12)
    assert (own.final_value() != trading.portfolio(run).final_value()).any()


def test_every_strategy_fills_at_the_first_price_after_what_it_rests_on():
    maps, path = walk()
    run = made({"SIM": maps}, {"SIM": path})
    issued = np.array([f.at for f in maps])
    for strategy in STRATEGIES:
        found = trading.signals(run, strategy)
        rows = np.flatnonzero((found.entries | found.short_entries).any(axis=1))
        assert len(rows) >= 8, strategy
        if strategy != "sweep_fade":
            for row in rows:
                known = issued[issued + LATENCY < path["ts"][row]].max() + LATENCY
                assert path["ts"][row - 1] <= known
        slip = 1e-3
        done = trading.portfolio(run, strategy, fees=0.0, slippage=slip)
        for order in done.orders.records.itertuples():
            close = path["close"][order.idx]
            assert math.isclose(order.price, close * (1 + slip * (1 if order.side == 0 else -1)))


def test_a_swept_level_is_faded_after_it_was_seen():
    """Passed at the second point, known a minute later: opened at the third."""
    run = one_trade([101.0, 104.0, 104.5, 103.0, 103.0, 103.0])
    found = trading.signals(run, "sweep_fade")
    mine = found.short_entries["SIM", "fade", "map"]
    assert list(np.flatnonzero(mine)) == [387]
    assert not found.entries["SIM", "fade", "map"].any()
    step = SIGMA / math.sqrt(24)
    assert math.isclose(found.sl_stop["SIM", "fade", "map"].iloc[387], math.exp(step) - 1)
    assert math.isclose(found.tp_stop["SIM", "fade", "map"].iloc[387], 1 - math.exp(-step))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_future_moves_no_earlier_entry(strategy):
    maps, path = walk(n_days=30)
    cut = 20 * 48
    t = path["ts"][cut]
    garbage = {k: v.copy() for k, v in path.items()}
    for name in ("low", "high", "close"):
        garbage[name][cut:] *= np.random.default_rng(5).uniform(0.9, 1.1)
    later = [
        replace(f, mark=f.mark * 3, asymmetry=-f.asymmetry) if f.at + LATENCY >= t else f
        for f in maps
    ]
    a = trading.signals(made({"SIM": maps}, {"SIM": path}), strategy)
    b = trading.signals(made({"SIM": later}, {"SIM": garbage}), strategy)
    for name in ("entries", "short_entries", "sl_stop", "tp_stop"):
        first, second = (getattr(one, name).iloc[:cut] for one in (a, b))
        assert first.equals(second), name
    assert a.entries.iloc[:cut].to_numpy().any()
    assert not a.entries.equals(b.entries)


def test_a_plan_is_redated_from_a_week_before_or_more():
    chosen = [forecast(START + i * DAY_NS, 100.0, [], asymmetry=1.0) for i in range(12)]
    asked = []

    def rule(issued, _):
        asked.append(issued.at)
        return [Plan(direction=1, target=float(len(asked)))]

    rng = np.random.default_rng(2)
    found = planned(chosen, rule, "redated", (0.25, 2.5), rng)
    assert [one.forecast.at for one in found] == [f.at for f in chosen[7:]]
    for one in found:
        drawn = asked[int(one.plans[0].target) - 1]
        assert drawn <= one.forecast.at - LEAST_AGE_NS
    assert len({one.plans[0].target for one in found}) > 1


def test_a_walk_earns_nothing_before_costs_whatever_the_distances():
    """Every path of four steps of ±1, a stop between the steps: what it saves, it costs."""
    paths, maps = {}, {}
    for i, steps in enumerate(product((-1.0, 1.0), repeat=4)):
        clusters = [(Side.LONG, 97.4, 98.6, 1.0)]
        one = one_trade(100.0 + np.cumsum([0.0, *steps]), clusters=clusters)
        paths[f"S{i:02}"], maps[f"S{i:02}"] = one.paths["SIM"], one.maps["SIM"]
    found = trading.portfolio(made(maps, paths), "cluster_stop", fees=0.0, slippage=0.0)
    value = found.final_value()
    assert value.std() > 0.5
    for name in ("inside", "beyond"):
        assert math.isclose(value.xs((name, "map"), level=(1, 2)).mean(), 100.0, rel_tol=1e-12)
    stopped = value.xs(("inside", "map"), level=(1, 2)) < 98.5
    assert 0.2 < stopped.mean() < 0.8


def filled(bars, *, direction=1, stop=math.nan, target=math.nan):
    """What vectorbt pays for a position that is opened at the first bar's close."""
    vbt = pytest.importorskip("vectorbt")
    rows = np.array(bars, float)
    opened = np.zeros(len(rows), bool)
    opened[0] = True
    found = vbt.Portfolio.from_signals(
        open=rows[:, 0],
        high=rows[:, 1],
        low=rows[:, 2],
        close=rows[:, 3],
        entries=opened & (direction > 0),
        exits=np.zeros(len(rows), bool),
        short_entries=opened & (direction < 0),
        short_exits=np.zeros(len(rows), bool),
        sl_stop=stop,
        tp_stop=target,
        stop_entry_price="price",
        stop_exit_price="stopmarket",
        freq="1h",
    )
    records = found.orders.records
    return [(int(r.idx), round(float(r.price), 9)) for r in records.itertuples()][1:]


def test_what_vectorbt_does_inside_a_bar_and_in_gaps():
    flat = (100.0, 100.0, 100.0, 100.0)
    wide = (100.0, 110.0, 90.0, 100.0)
    assert filled([wide, flat], stop=0.05) == []  # the bar that opens a position is not watched
    assert filled([flat, wide], stop=0.05) == [(1, 95.0)]
    assert filled([flat, wide], target=0.05) == [(1, 105.0)]
    assert filled([flat, wide], stop=0.05, target=0.05) == [(1, 95.0)]  # the stop comes first
    assert filled([flat, wide], direction=-1, stop=0.05, target=0.05) == [(1, 105.0)]
    assert filled([flat, (93.0, 94.0, 92.0, 93.5)], stop=0.05) == [(1, 93.0)]  # a gap, at the open
    assert filled([flat, (107.0, 108.0, 106.0, 107.0)], target=0.05) == [(1, 107.0)]
    unopened = (math.nan, 110.0, 90.0, 92.0)
    assert filled([flat, unopened], stop=0.05) == [(1, 92.0)]  # without an open: at the close


def test_a_bar_is_watched_from_its_open_and_a_gap_is_paid():
    run = one_trade([100.0, 97.0, 97.0], clusters=[(Side.LONG, 98.0, 98.8, 1.0)])
    path = {k: v.copy() for k, v in run.paths["SIM"].items()}
    path["low"][386], path["high"][386], path["close"][386] = 97.0, 101.0, 99.0
    found = trading.signals(made(run.maps, {"SIM": path}), "cluster_stop")
    assert found.open["SIM", "inside", "map"].iloc[386] == 100.0
    done = trading.portfolio(made(run.maps, {"SIM": path}), "cluster_stop", fees=0.0, slippage=0.0)
    sold = orders_of(done, "inside", "map")["price"].iloc[1]
    assert math.isclose(sold, 98.4)  # the peak, inside the bar
    path["low"][386], path["high"][386], path["close"][386] = 96.0, 97.0, 96.5
    done = trading.portfolio(made(run.maps, {"SIM": path}), "cluster_stop", fees=0.0, slippage=0.0)
    sold = orders_of(done, "inside", "map")["price"].iloc[1]
    assert math.isclose(sold, 97.0)  # where it resumes


def test_the_range_of_a_bar_is_not_seen_again_at_the_times_of_others():
    maps, path = walk(n_days=12)
    bars = {k: v[::2].copy() for k, v in path.items()}
    bars["low"], bars["high"] = bars["low"] * 0.99, bars["high"] * 1.01
    found = trading.signals(made({"A": maps, "B": maps}, {"A": bars, "B": path}), "crowded_side")
    between = found.close.index.get_indexer(pd.to_datetime(path["ts"][1::2], utc=True))
    for name in ("open", "high", "low"):
        held = getattr(found, name)["A"].to_numpy()[between]
        assert np.array_equal(held, found.close["A"].to_numpy()[between - 1])


def test_placebos_are_compared_by_day_with_what_was_tried():
    maps, path = walk(n_days=40)
    run = made({"SIM": maps}, {"SIM": path})
    done = trading.portfolio(run, "crowded_side", fees=0.0, slippage=0.0)
    found = trading.compared(done, trials=7)
    assert list(found.index.names) == ["symbol", "variant", "beside"]
    row = found.loc["SIM", "crowd", "mirrored"]
    value = done.value()["SIM", "crowd"].resample("1D").last()
    daily = value / value.shift(fill_value=100.0) - 1
    difference = (daily["map"] - daily["mirrored"]).mean()
    assert math.isclose(row["difference_bp"], 1e4 * difference)
    assert row["ci_low_bp"] < row["difference_bp"] < row["ci_high_bp"]
    mine = daily["map"]
    ratio = mine.mean() / mine.std()
    assert math.isclose(row["sharpe"], ratio * math.sqrt(365))
    # Bailey and López de Prado 2014, equations 1 and 2, by hand
    from scipy.stats import kurtosis, norm, skew

    n, tried, euler = len(mine), 7, 0.5772156649015329
    best = math.sqrt(1 / n) * (
        (1 - euler) * norm.ppf(1 - 1 / tried) + euler * norm.ppf(1 - 1 / (tried * math.e))
    )
    spread = 1 - skew(mine) * ratio + (kurtosis(mine, fisher=False) - 1) / 4 * ratio**2
    by_hand = norm.cdf((ratio - best) * math.sqrt(n - 1) / math.sqrt(spread))
    assert math.isclose(row["deflated_sharpe"], by_hand, rel_tol=1e-9)
    more = trading.compared(done, trials=70)["deflated_sharpe"]
    assert (more < found["deflated_sharpe"]).all()


def test_the_second_variant_is_held_against_the_first():
    maps, path = walk(n_days=30)
    done = trading.portfolio(made({"SIM": maps}, {"SIM": path}), "cluster_stop")
    found = trading.compared(done)
    assert ("SIM", "beyond", "inside") in found.index
    assert (found["trials"] == sum(len(rules) for rules in STRATEGIES.values())).all()


def test_bad_input_is_one_sentence():
    run = one_trade([101.0, 102.0])
    with pytest.raises(ConfigError, match=r"no strategy 'cluster_targt'.*cluster_target"):
        trading.signals(run, "cluster_targt")
    short = made({"SIM": run.maps["SIM"][1:]}, run.paths)
    with pytest.raises(DataError, match=r"found 1 days .* expected more than 7"):
        trading.signals(short)
    naive = pd.Series([0.1], pd.to_datetime(["2025-10-02"]))
    with pytest.raises(DataError, match="without a zone"):
        trading.portfolio(run, funding=naive)
    with pytest.raises(DataError, match="not finite"):
        trading.portfolio(run, funding=math.nan)


def test_a_map_without_clusters_trades_nothing():
    maps, path = walk()
    empty = [replace(f, clusters=np.zeros(0, CLUSTER_DTYPE)) for f in maps]
    done = trading.portfolio(made({"SIM": empty}, {"SIM": path}))
    assert done.orders.count().sum() == 0
    assert trading.compared(done)["sharpe"].isna().all()


def test_a_path_is_read_by_name():
    assert Path(**points([1.0, 2.0])).ranged is False


@pytest.mark.parametrize(
    "program",
    [
        "import liqbt, liqbt.__main__",
        "import liqbt.cli; liqbt.cli.cli.main(['--help'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(program):
    program += (
        "\nimport sys"
        "\nprint(sorted({'vectorbt', 'pandas', 'pyarrow', 'dask', 'distributed', 'matplotlib'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_vectorbt_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "vectorbt", None)
    with pytest.raises(ConfigError, match=r"liqbt\[trading\]"):
        trading.portfolio(one_trade([101.0, 102.0]))

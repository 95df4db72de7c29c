"""`liqbt truth`: distances and their intervals, recorded maps, who is asked, the page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from estimator_events import event, events

from liqbt.cli import cli
from liqbt.config.schema import HoldoutConfig
from liqbt.errors import ConfigError, DataError
from liqbt.estimators.rivals import EqualBrackets
from liqbt.evaluation.path import price_path
from liqbt.report.figures.distances import ranked
from liqbt.report.pages.truth import describe_truth, nearer_words
from liqbt.sources.hyperliquid.positions import Positions
from liqbt.study.contestants import contestants
from liqbt.study.map_distances import (
    BINS,
    WIDTH,
    TrueMaps,
    distance_rows,
    distances,
    interval,
)
from liqbt.study.map_truth import liquidated_maps, map_truth, recorded_maps, within
from liqbt.study.schema import load_experiment
from liqbt.types import DAY_NS, HOUR_NS, Kind

START = int(np.datetime64("2026-01-01", "ns").astype(np.int64))
WORLD = "name: small\ndays: 12\nwarmup_days: 4\n"
EXPERIMENT = """
name: small
data: {world: world.yaml, seed: 3}
symbols:
  SIM:
    events: {mark: simulated/SIM, open_interest: simulated/SIM, bar: simulated/SIM}
    margin: {tiers: BTCUSDT}
estimators:
  mine: {use: equal_brackets, params: {leverages: [10, 30]}}
schedule: {warm_up: 2d}
seed: 3
"""


def true_maps(days=8, places=(10, 30)):
    at = np.arange(2 * days) * DAY_NS // 2
    usd = np.zeros((len(at), 2, BINS))
    usd[:, 0, places[0]] = usd[:, 1, places[1]] = 3.0
    return TrueMaps(what="positions", at=at, price=np.full(len(at), 100.0), usd=usd, holders=usd**2)


def test_a_map_that_is_the_truth_is_at_no_distance_and_a_shifted_one_at_its_shift():
    true = true_maps(places=(10, 12))
    shifted = np.roll(true.usd, 2, axis=2)
    assert distances(true.usd * 7, true, 0.1) == pytest.approx(np.zeros((16, 2)))
    assert distances(shifted, true, 0.1) == pytest.approx(np.full((16, 2), 2 * WIDTH))
    missing = np.where(np.arange(16)[:, None, None] == 3, np.nan, shifted)
    assert np.isnan(distances(missing, true, 0.1)[3]).all()


def test_rows_are_paired_by_day_and_say_as_how_many_days_they_count():
    true = true_maps()
    rng = np.random.default_rng(0)
    noise = rng.random((16, 2, BINS))
    maps = {"first": noise, "same": noise * 2, "exact": true.usd}
    rows = distance_rows(maps, dict.fromkeys(maps, "named"), true, "X")
    assert [(r["reach"], r["estimator"]) for r in rows[:3]] == [
        (0.1, "first"), (0.1, "same"), (0.1, "exact"),
    ]  # fmt: skip
    at = {(r["estimator"], r["reach"]): r for r in rows}
    same, exact = at["same", 0.3], at["exact", 0.3]
    assert same["less_first"] == pytest.approx(0.0)
    assert (exact["w1"], exact["n_maps"], exact["n_days"]) == (0.0, 16, 8)
    assert exact["less_high"] < 0.0
    expected = 100 * distances(noise, true, 0.3).reshape(8, 4).mean(axis=1)
    assert at["first", 0.3]["w1"] == pytest.approx(expected.mean())
    assert exact["less_first"] == pytest.approx(-expected.mean())
    assert at["first", 0.1]["positions"] == 1.0
    assert ranked(rows)[0] == "exact"
    assert "exact" in nearer_words(rows)


def test_intervals_widen_with_dependence_and_cover():
    rng = np.random.default_rng(1)
    alone = rng.standard_normal(400)
    slow = np.convolve(rng.standard_normal(404), np.ones(5) / 5, "valid")
    assert interval(alone)[3] > 300
    assert interval(slow)[3] < 0.5 * 400
    covered = [
        low < 0.0 < high
        for _, low, high, _ in (interval(rng.standard_normal(30)) for _ in range(400))
    ]
    assert 0.90 < np.mean(covered) < 0.99


def census():
    """Two snapshots of one coin at 100: a long at 90, shorts at 110 and at 95 (wrong side)."""
    at = START + np.array([1, 1, 1, 2, 2]) * HOUR_NS
    side = np.array([1, -1, -1, 1, 1], np.int8)
    size, level = np.array([2.0, 1, 1, 4, 4]), np.array([90.0, 110, 95, 90, np.nan])
    ones = np.ones(5)
    return Positions(
        accounts=("a",), coins=("X",), snapshot_ns=at, account=np.arange(5),
        coin=np.zeros(5, np.int64), side=side, size_coins=size, entry_usd=100 * ones,
        leverage=ones, value_usd=size * 100.0, unrealized_usd=0 * ones,
        account_value_usd=ones, liquidation_usd=level,
    )  # fmt: skip


def test_recorded_positions_lie_at_their_liquidation_prices():
    true = recorded_maps(census(), "X")
    assert true.price.tolist() == [100.0, 100.0]
    below, above = int(-np.log(0.9) / WIDTH), int(np.log(1.1) / WIDTH)
    assert true.usd[:, 0, below].tolist() == [180.0, 360.0]
    assert true.usd[0, 1, above] == pytest.approx(110.0)
    assert true.usd.sum() == pytest.approx(180 + 360 + 110)


HOUR_S = 2800
"""From the tests' start to a full hour."""


def liquidated():
    """Marks every five minutes from 100, 5 % down in the first of two hours; four liquidations."""
    marks = [
        event(Kind.MARK, HOUR_S + 300 * i, p, p, p, p)
        for i, p in enumerate(np.interp(np.arange(25), [0, 12, 24], [100.0, 95.0, 95.0]))
    ]
    forced = [
        event(Kind.LIQUIDATION, HOUR_S + 600, 99.0, 2.0, side=1),
        event(Kind.LIQUIDATION, HOUR_S + 900, 94.5, 1.0, side=1),  # its bankruptcy, beyond the mark
        event(Kind.LIQUIDATION, HOUR_S + 1200, 98.0, 1.0, side=-1),  # opened in this hour
        event(Kind.LIQUIDATION, HOUR_S + 3600, 95.5, 3.0, side=-1),
    ]
    rows = events(*marks, *forced)
    return liquidated_maps(rows, price_path(rows, Kind.MARK))


def test_single_liquidations_lie_at_their_own_prices_as_far_as_the_hour_went():
    true = liquidated()
    assert (true.at - true.at[0]).tolist() == [0, HOUR_NS]
    assert true.price.tolist() == [100.0, 95.0]
    at = (-np.log([0.99, 0.945]) / true.width).astype(int)
    assert np.flatnonzero(true.usd[0, 0]).tolist() == at.tolist()
    assert true.usd[0, 0, at].tolist() == [198.0, 94.5]
    assert true.usd[0, 1].sum() == 0.0
    assert true.crossed[0].tolist() == pytest.approx([-np.log(0.945), 0.0])
    assert true.crossed[1].tolist() == pytest.approx([0.0, np.log(95.5 / 95.0)])
    even = np.ones_like(true.usd)
    rows = distance_rows({"even": even, "exact": true.usd}, {"even": "x", "exact": "x"}, true, "X")
    first = np.abs(np.cumsum(true.usd[0, 0, :114] / 292.5 - 1 / 114)).sum() * true.width
    second = np.abs(np.cumsum(true.usd[1, 1, :11] / true.usd[1, 1].sum() - 1 / 11)).sum()
    assert rows[0]["w1"] == pytest.approx(50 * (first + second * true.width))
    assert (rows[1]["w1"], rows[0]["n_days"]) == (0.0, 2)
    assert rows[0]["reach"] == pytest.approx(true.crossed[true.crossed > 0].mean())


def test_an_hour_that_ends_in_a_sealed_holdout_is_not_looked_at(home):
    true, experiment = liquidated(), load_experiment(home / "small.yaml")
    second = str(np.datetime64(int(true.at[1]), "ns").astype("datetime64[s]")) + "Z"
    for end, left in (("1", 1), ("2", 2)):
        start = (np.datetime64(second[:-1]) + np.timedelta64(int(end) * 60 - 60, "m")).item()
        sealed = HoldoutConfig(start=f"{start:%Y-%m-%dT%H:%MZ}", end="2099-01-02")
        assert len(within(true, experiment.model_copy(update={"holdout": sealed})).at) == left


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    (folder / "world.yaml").write_text(WORLD)
    (folder / "small.yaml").write_text(EXPERIMENT)
    return folder


def test_everybody_who_can_is_asked_and_the_others_say_why(home):
    found = contestants(load_experiment(home / "small.yaml"), "SIM")
    assert next(iter(found.told)) == "mine"
    assert isinstance(found.told["mine"], EqualBrackets)
    assert "equal_brackets" not in found.told  # it is `mine`
    assert {"mine twin"} == set(found.twins)
    kinds = found.kinds
    assert (kinds["tier_decay"], kinds["uniform"], kinds["swings"], kinds["mirror"]) == (
        "rival", "baseline", "structure", "null",
    )  # fmt: skip
    assert list(found.left_out) == ["census", "structured"]
    assert found.left_out["census"].startswith("reads position, and 'symbols.SIM.events' names no")


def test_nothing_of_a_sealed_holdout_is_looked_at(home):
    true, experiment = recorded_maps(census(), "X"), load_experiment(home / "small.yaml")
    assert within(true, experiment) is true
    sealed = HoldoutConfig(start="2026-01-01T02:00Z", end="2026-01-02")
    kept = within(true, experiment.model_copy(update={"holdout": sealed}))
    assert kept.at.tolist() == [START + HOUR_NS]
    assert kept.usd.sum() == pytest.approx(180 + 110)


def test_a_simulated_market_is_held_against_its_truth(home):
    run = CliRunner().invoke(
        cli, ["truth", str(home / "small.yaml"), "--results", str(home / "results"), "--json"]
    )
    assert run.exit_code == 0, run.output
    value = json.loads(run.stdout[run.stdout.index("{") :])
    rows = [row for row in value["distances"] if row["reach"] == 0.3]
    assert rows[0]["estimator"] == "mine"
    assert {"mine twin", "oi_flow", "uniform", "tier_decay"} < {r["estimator"] for r in rows}
    assert all(0.0 < row["w1"] < 30.0 for row in rows)
    assert {row["truth"] for row in rows} == {"simulated"}
    assert {row["n_days"] for row in rows} == {6}
    page = home / "results" / "small" / "truth"
    assert {p.name for p in page.iterdir()} == {"truth.html", "truth.json", "SIM-simulated.svg"}
    words = describe_truth(value)
    assert "left out: census" in words
    assert "SIM, simulated positions" in words


def test_without_a_truth_or_with_another_coins_it_is_one_sentence(home, tmp_path, monkeypatch):
    from liqbt.study import map_truth as module

    monkeypatch.setattr(module, "positions", lambda _path: census())
    with pytest.raises(DataError, match="holds positions in X; expected a coin that is a market"):
        map_truth(home / "small.yaml", home / "results", recorded=tmp_path / "p.csv")
    opened = module.open_events

    def real(*args, **kwargs):
        from dataclasses import replace

        return replace(opened(*args, **kwargs), world=None)

    monkeypatch.setattr(module, "open_events", real)
    with pytest.raises(
        ConfigError, match="there is no truth in its period to hold its maps against"
    ):
        map_truth(home / "small.yaml", home / "results")

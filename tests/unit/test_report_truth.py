"""The truth beside a simulated run's figures: in the folder, on the page, never before the end."""

from __future__ import annotations

import gc
import importlib
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from report_run import make_run
from scipy import stats

from liqbt.errors import DataError
from liqbt.report.pages.run import write_report
from liqbt.report.truth import truth_section
from liqbt.simulate.effects.maps import mass_by_distance
from liqbt.simulate.market import simulate
from liqbt.study.ground_truth import _check_same
from liqbt.study.run import run_experiment
from liqbt.study.store import load_run
from liqbt.study.worlds import load_world
from liqbt.types import DAY_NS

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: small\ndays: 24\nwarmup_days: 5\nmagnet: 2.0\n"
EXPERIMENT = """
name: small
data: {world: world.yaml, seed: 3}
symbols:
  COIN:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 5d}
evaluation: {bootstrap_reps: 200}
seed: 3
"""


SNOOP = """
import gc

from liqbt.estimators import OIFlow
from liqbt.simulate.truth import Truth

SEEN, ASKED = [], []


class Snoop(OIFlow):
    '''Looks for a truth in the whole process when it is asked for a forecast.'''

    def forecast(self, at):
        if len(ASKED) % 97 == 0:
            SEEN.append(sum(type(x) is Truth for x in gc.get_objects()))
        ASKED.append(at)
        return super().forecast(at)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    (folder / "world.yaml").write_text(WORLD)
    (folder / "small.yaml").write_text(EXPERIMENT)
    return folder


@pytest.fixture(scope="module")
def run(home):
    return run_experiment(home / "small.yaml", home / "results", finish=write_report)


def test_the_folder_holds_the_truth_and_its_digest(run):
    truth = json.loads((run.path / "truth.json").read_text())
    assert truth["planted"] == {"world": "small", "seed": 3, "magnet": 2.0}
    assert {"truth.json", "truth_map.parquet"} <= set(run.manifest["files"])
    assert run.truth() == truth
    assert {r["symbol"] for part in ("effects", "twin", "maps") for r in truth[part]} == {"COIN"}
    assert {(r["horizon"], r["subset"]) for r in truth["twin"]} >= {("24h", "all"), ("4h", "all")}


def test_the_visits_are_those_of_the_run(run):
    by = {(s.statistic, s.horizon): s for s in run.scores if s.side == "both"}
    for row in run.truth()["twin"]:
        suffix = "" if row["subset"] == "all" else "_densest"
        score = by[f"hit_rate{suffix}", row["horizon"]]
        assert row["n"] == score.n_episodes
        assert row["visited"] == pytest.approx(score.value)
        assert row["brownian"] == pytest.approx(score.null)
        mirror = by[f"mirror_lift{suffix}", row["horizon"]]
        assert row["visited"] - row["mirror"] == pytest.approx(mirror.value)
        assert row["agreement"] == 1.0  # the truth's own path gives the same visits
        assert row["visited"] - row["twin"] == pytest.approx(row["twin_lift"])
        assert row["twin_lift"] > 0


def test_the_true_map_is_the_truths(run, home):
    truth = simulate(load_world(home / "world.yaml"), seed=3).truth["SIM"]
    last = run.forecasts("COIN")[-1]
    found = run.true_map("COIN")
    i = int(np.searchsorted(truth.snapshot_ns, last.at, "right")) - 1
    assert set(found["ts_ns"].tolist()) == {int(truth.snapshot_ns[i])}
    assert last.at - truth.snapshot_ns[i] <= 3600 * 10**9
    for side, row in (("long", 0), ("short", 1)):
        mine = found["side"] == side
        np.testing.assert_allclose(found["notional_usd"][mine], truth.density_usd[i, row])
        inner = found["high"][mine][0] if side == "long" else found["low"][mine][0]
        assert inner == pytest.approx(truth.snapshot_mark[i], rel=6e-4)


def test_map_distances_are_those_of_the_maps(run, home):
    truth = simulate(load_world(home / "world.yaml"), seed=3).truth["SIM"]
    rows = {(r["reach"], r["side"], r["measure"]): r for r in run.truth()["maps"]}
    assert len(rows) == 12
    snapshot = {t: i for i, t in enumerate(truth.snapshot_ns.tolist())}
    # the run's scored forecasts, one a day; the first has no past to be compared with
    daily = {}
    for f in run.forecasts("COIN"):
        if f.at in snapshot and f.at >= run.outcomes()["at"].to_numpy().min():
            daily.setdefault(f.at // DAY_NS, f)
    at = (np.arange(60) + 0.5) * 0.005
    found = []
    for f in list(daily.values())[1:]:
        i = snapshot[f.at]
        price = float(truth.snapshot_mark[i])
        one, other = (
            mass_by_distance(d, g, b, price=price, width=0.005, bins=60)[0]
            for d, g, b in (
                (f.density_usd, f.grid, f.mark_bin),
                (truth.density_usd[i], truth.grid, int(truth.mark_bin[i])),
            )
        )
        found.append(
            (
                stats.wasserstein_distance(at, at, one, other),
                stats.wasserstein_distance(at, at, np.ones(60), other),
                np.corrcoef(one, other)[0, 1],
            )
        )
    row = rows[0.3, "long", "wasserstein"]
    assert row["n_days"] == len(found)
    assert row["estimated"] == pytest.approx(np.mean([d for d, _, _ in found]))
    assert row["even"] == pytest.approx(np.mean([e for _, e, _ in found]))
    told = rows[0.3, "long", "correlation"]
    assert told["estimated"] == pytest.approx(np.mean([c for _, _, c in found]))
    assert told["even"] is None
    assert all(0 < r["twin"] < 1 for r in rows.values() if r["measure"] == "wasserstein")
    assert all(0 <= r["outside"] < 1 and 0 <= r["true_outside"] < 1 for r in rows.values())


def test_no_truth_exists_while_an_estimator_is_asked(home):
    (home / "liqbt_snoop.py").write_text(SNOOP)
    text = EXPERIMENT.replace("name: small", "name: snoop", 1)
    (home / "snoop.yaml").write_text(text + "estimator: {name: 'liqbt_snoop:Snoop'}\n")
    run_experiment(home / "snoop.yaml", home / "results")
    module = importlib.import_module("liqbt_snoop")
    assert len(module.ASKED) > 400
    assert set(module.SEEN) == {0}
    kept = simulate(load_world(home / "world.yaml"), seed=3).truth["SIM"]
    assert sum(x is kept for x in gc.get_objects()) == 1  # it would have been seen


def test_prices_of_another_market_are_refused(home):
    world = load_world(home / "world.yaml")
    one, other = (simulate(world, seed=s).truth["SIM"] for s in (3, 4))
    path = SimpleNamespace(end_ns=one.path_ns, close=one.path_price)
    market = SimpleNamespace(symbol="COIN", path=path)
    _check_same(market, one)
    with pytest.raises(DataError, match=r"COIN: \d+ prices of the run are not those"):
        _check_same(market, other)


def test_the_page_shows_it_with_its_banner(run):
    page = (run.path / "report.html").read_text()
    text = (run.path / "report.md").read_text()
    section = truth_section(load_run(run.path))
    assert section.banner.startswith("Simulated market (world small, seed 3): the truth is known.")
    assert "Planted: magnet 2" in section.banner
    for shown in (page, text):
        assert "The truth beside the figures" in shown
        assert "Simulated market (world small, seed 3): the truth is known" in shown
    row = next(r for r in run.truth()["twin"] if (r["horizon"], r["subset"]) == ("24h", "all"))
    cells = section.visits.rows[[r[1] for r in section.visits.rows].index("24 h")]
    assert cells[3] == f"{100 * row['visited']:.1f}"
    assert cells[6] == f"{100 * row['twin']:.1f}"
    assert all(len(r) == len(t.head) for t in (section.visits, section.effects, section.maps)
               for r in t.rows)  # fmt: skip
    assert (run.path / "figures" / "truth-1-coin.svg").is_file()
    assert "figures/truth-1-coin.svg" in text


def test_a_real_run_has_no_such_section(tmp_path):
    real = make_run(("BTCUSDT",), n=60)
    assert truth_section(real) is None
    path = write_report(real, tmp_path)
    assert "truth beside" not in path.read_text()


def test_nothing_planted_is_said_and_hostile_names_are_text(tmp_path, run):
    truth = run.truth()
    truth["planted"] = {"world": "<script>x</script>", "seed": 1, "magnet": 0.0}
    truth["effects"][0]["value"] = None
    fake = make_run(("COIN",), n=60)
    fake = replace(fake, known=truth, true_maps={"COIN": run.true_map("COIN")})
    page = write_report(fake, tmp_path).read_text()
    assert "nothing is planted" in page
    assert "<script>" not in page
    assert truth_section(fake).effects.rows[0][3] == "—"  # not known
    assert not math.isnan(fake.known["effects"][1]["value"])

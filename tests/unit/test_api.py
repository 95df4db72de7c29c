"""What a notebook holds: frames that agree with the run's tables, pictures, explanations."""

from __future__ import annotations

import html
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from estimator_events import events, mark, open_interest
from report_run import make_run

import liqbt
from liqbt.cli import cli
from liqbt.evaluation.outcomes import OUTCOME_DTYPE
from liqbt.study.explain import notional_within
from liqbt.study.store import forecast_table, load_run, structured_table, write_run
from liqbt.study.tables import clusters_table
from liqbt.tape.build import store_cached
from liqbt.tape.values import tape_from_events
from liqbt.types import DAY_NS, Instrument, Side


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder, two markets and some three weeks, with one hostile name."""
    made = make_run(("BTC", "<b>&"), n=500)
    rows = np.zeros(4, OUTCOME_DTYPE)
    rows["birth"] = [True, True, True, False]
    rows["side"] = [1, -1, 1, 1]
    rows["visited"] = [1, 0, -1, 1]
    rows["swept"] = [0, 0, -1, 1]
    rows["censor"] = [0, 0, 2, 0]
    rows["horizon_ns"] = DAY_NS
    rows["at"] = made.maps["BTC"][30].at
    rows["visit_ns"] = rows["at"] + np.array([10, -1, 20, 30])
    outcomes = structured_table(rows, {"market": ["BTC", "BTC", "BTC", "BTC"]})
    prices = [
        pa.table({"symbol": [symbol] * len(path["ts"]), **path})
        for symbol, path in made.paths.items()
    ]
    issued = [f for maps in made.maps.values() for f in maps]
    clusters = clusters_table(issued)
    names = pa.array([""] * clusters.num_rows, pa.string())
    run = write_run(
        tmp_path_factory.mktemp("results") / "made" / made.manifest["run_id"],
        manifest=made.manifest,
        config=made.config,
        scores=made.scores,
        verdicts=made.verdicts,
        tables={"flow": made.flow, "landmarks": [], "bands": made.bands, "sensitivities": []},
        parquet={
            "forecasts.parquet": [forecast_table(issued)],
            "clusters.parquet": [clusters.append_column("estimator", names)],
            "outcomes.parquet": [outcomes],
            "prices.parquet": prices,
        },
    )
    return run.path


def test_frames_are_the_runs_tables(folder):
    run, shown = load_run(folder), liqbt.load(str(folder))
    issued = run.forecasts("BTC")
    frame = shown.forecasts
    assert len(frame) == len(issued) + len(run.forecasts("<b>&"))
    assert list(frame["at"].astype("int64"))[:3] == [f.at for f in issued[:3]]
    assert str(frame["at"].dt.tz) == "UTC"
    assert set(frame["crowded_side"].dropna()) <= {"long", "short"}
    clusters = shown.clusters
    one = clusters[(clusters["symbol"] == "BTC") & (clusters["at"] == frame["at"].iloc[7])]
    assert np.array_equal(one["notional_usd"], issued[7].clusters["notional_usd"])
    assert list(one["side"]) == ["short" if s < 0 else "long" for s in issued[7].clusters["side"]]
    assert ((clusters["distance"] > 0) == (clusters["side"] == "short")).all()
    low = one[one["side"] == "long"].iloc[0]
    assert math.isclose(
        low["distance_sigma"], math.log(low["high"] / issued[7].mark) / issued[7].sigma_1d
    )
    assert clusters[["p", "p_placebo"]].isna().all().all()
    assert len(shown.scores) == len(run.scores)
    assert list(shown.verdicts["verdict"]) == [one.word.value for one in run.verdicts]
    assert len(shown.prices) == sum(len(run.prices(s)["ts"]) for s in ("BTC", "<b>&"))


def test_episodes_say_what_is_not_known(folder):
    found = liqbt.load(folder).episodes
    assert list(found["side"]) == ["long", "short", "long"]
    assert list(found["visited"].fillna(False)) == [True, False, False]
    assert list(found["visited"].isna()) == list(found["swept"].isna()) == [False, False, True]
    assert list(found["visited_at"].isna()) == [False, True, True]
    assert list(found["censored"]) == ["none", "none", "gap"]
    assert (found["horizon"] == pd.Timedelta("24h")).all()


def test_events_are_missing_in_one_sentence_where_the_tape_is(folder):
    with pytest.raises(liqbt.LiqbtError, match="found no tape of BTC"):
        _ = liqbt.load(folder).events


def test_it_shows_itself_and_draws(folder, tmp_path):
    shown = liqbt.load(folder)
    page = shown._repr_html_()
    assert "<b>&" not in page
    assert html.escape("<b>&") in page
    assert "24 h" in repr(shown)
    picture = shown.map.plot("BTC", recent=True)
    assert picture.save(tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    assert "data:image/png" in picture._repr_html_()
    assert shown.plot("flow").figure.name == "flow.svg"
    with pytest.raises(liqbt.LiqbtError, match=r"no figure 'flaw'; expected one of .*flow"):
        shown.plot("flaw")
    with pytest.raises(liqbt.LiqbtError, match=r"no market 'BTX'.*BTC"):
        shown.map.plot("BTX")


def test_an_explanation_adds_up(folder):
    issued = load_run(folder).forecasts("BTC")
    last = issued[200]
    cluster = last.cluster(int(np.argmax(last.clusters["notional_usd"])))
    at = pd.Timestamp(last.at, unit="ns", tz="UTC") + pd.Timedelta("59min")
    found = liqbt.load(folder).explain(at, (cluster.low * cluster.high) ** 0.5)
    assert found.cluster == cluster
    assert found.holds
    left = found.days["added_usd"].sum() - found.days["gone_usd"].sum()
    held = notional_within(last, cluster.side, cluster.low, cluster.high)
    assert math.isclose(left, held, rel_tol=1e-9)
    assert math.isclose(held, cluster.notional_usd, rel_tol=1e-4)
    assert found.since <= last.at
    k = [f.at for f in issued].index(found.since)
    assert k == 0 or not any(
        row["side"] == cluster.side and row["low"] < cluster.high and row["high"] > cluster.low
        for row in issued[k - 1].clusters
    )
    assert f"{cluster.notional_usd:,.0f} USD" in found.text
    assert "<table" in found._repr_html_()
    below = liqbt.load(folder).explain(at, last.mark * 0.2)
    assert below.cluster.side == Side.LONG
    assert not below.holds


def test_liqbt_explain(folder):
    last = load_run(folder).forecasts("BTC")[-1]
    asked = ["explain", str(folder), "--at", "2026-01-01T00:00Z", "--price", f"{last.mark}"]
    done = CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False)
    value = json.loads(done.output)
    assert value["symbol"] == "BTC"
    assert value["days"]
    for change, said in (
        (["--at", "soon"], "soon"),
        (["--symbol", "ETH"], "no market 'ETH'"),
        (["--price", "-1"], "above 0"),
        (["--at", "2020-01-01T00:00Z"], "was issued by 2020-01-01"),
    ):
        done = CliRunner().invoke(cli, [*asked, *change])
        assert done.exit_code != 0
        assert said in f"{done.output}{done.exception}"


def test_the_card_names_every_claim_and_the_runs_identity(folder, tmp_path):
    run = load_run(folder)
    asked = ["card", str(folder), "--out", str(tmp_path / "card")]
    done = CliRunner().invoke(cli, asked, catch_exceptions=False)
    page = (tmp_path / "card" / "card.html").read_text()
    assert "<b>&" not in page
    for text in (done.output, page):
        for verdict in run.verdicts:
            assert f"{verdict.claim}" in text
            assert verdict.word.value in text
        for part in (run.run_id, run.manifest["hashes"]["code"], "liqbt run btc-2025-12.yaml"):
            assert part in text
        assert "not registered" in text
    value = json.loads((tmp_path / "card" / "card.json").read_text())
    printed = CliRunner().invoke(cli, ["card", str(folder), "--json"], catch_exceptions=False)
    assert json.loads(printed.output) == value
    assert len(value["verdicts"]["rows"]) == len(run.verdicts)


def test_times_need_a_zone(folder):
    shown = liqbt.load(folder)
    for at in ("soon", pd.Timestamp("2025-10-20"), 7):
        with pytest.raises(liqbt.LiqbtError, match="a time with a zone"):
            shown.explain(at, 100.0)
    assert liqbt.line(shown, symbol="BTC", at="2025-10-20T00:00Z").startswith("BTC 2025-10-")
    assert liqbt.line(folder, symbol="BTC") == liqbt.line(shown.run, symbol="BTC")


def test_an_experiment_in_memory_is_run_as_its_file_would_be(tmp_path, monkeypatch, folder):
    path = tmp_path / "memory.yaml"
    path.write_text(
        "name: memory\ndata: {world: w.yaml}\nsymbols: {XYZ: {events: {mark: simulated/XYZ}}}\n"
        "estimators: {naive: {use: distance_kernel}}\n"
    )
    asked = []
    monkeypatch.setattr("liqbt.study.plan.prepare_experiment", lambda *told: asked.append(told[:3]))
    monkeypatch.setattr("liqbt.api.prepare_experiment", lambda *told: asked.append(told))
    monkeypatch.setattr("liqbt.api.run_plan", lambda *_: load_run(folder))
    assert liqbt.run(str(path), str(tmp_path / "r")).path == folder
    liqbt.run(liqbt.load_experiment(path), tmp_path / "r", beside=str(tmp_path))
    assert asked[0] == asked[1] == (liqbt.load_experiment(path), path, tmp_path / "r")


def test_events_are_those_of_the_tape_beside_the_run(folder, tmp_path):
    rows = events(mark(0, 100.0), open_interest(60, 5.0), mark(300, 101.0))
    tape = tape_from_events(rows, [Instrument("v", "XYZ")])
    store_cached(tmp_path / ".cache" / "tapes" / "0", "key", [tape.events], tape.instruments)
    manifest = {"symbols": {"XYZ": {}}, "hashes": {"tape": {"XYZ": tape.digest}}}
    run = replace(load_run(folder), path=tmp_path / "memory" / "0", manifest=manifest)
    found = liqbt.Result(run).events
    assert list(found["kind"]) == ["mark", "open_interest", "mark"]
    assert list(found["ts_known"].astype("int64")) == list(rows["ts_known"])
    assert list(found["close"].dropna()) == [100.0, 101.0]
    assert list(found["open_interest_coins"].dropna()) == [5.0]
    assert set(found["instrument"]) == {"v/XYZ"}

"""Every shipped experiment, shortened: other processes, batches, orders of files, and resumed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from shell import call

from liqbt.audit.audits import audit_checkpoint, audit_chunks, audit_order, audit_ties

EXPERIMENTS = {
    "demo": None,
    "btc-2025-12": 21,
    "eth-2025-12": 16,
    "hyperliquid-2025": 30,
    "okx-2026-03-04": 16,
}
"""How many days of each; the demo's world is made shorter instead."""

FED_ALIKE = {
    "panel-2025-12": "eth-2025-12",
    "btc-liquidated": "btc-2025-12",
    "hyperliquid-positions-2026-02": "hyperliquid-2025",
}
"""Experiments of the same estimator on feeds of the same kinds as one that is tried; the census has
the same properties in its own tests (`test_estimators_census`)."""


NIGHTLY = {"eth-2025-12", "hyperliquid-2025", "okx-2026-03-04"}


@pytest.fixture(scope="module")
def home(root, tmp_path_factory) -> Path:
    """The experiments, with a short world for the demo."""
    folder = tmp_path_factory.mktemp("sameness")
    shutil.copytree(root / "experiments", folder / "experiments")
    world = (root / "liqbt" / "data" / "worlds" / "demo.yaml").read_text()
    text = re.sub(r"^days: \d+", "days: 18", world, flags=re.MULTILINE)
    (folder / "experiments" / "short.yaml").write_text(text)
    demo = folder / "experiments" / "demo.yaml"
    demo.write_text(demo.read_text().replace("world: demo", "world: short.yaml"))
    return folder


def test_no_shipped_experiment_is_forgotten(root):
    shipped = {path.stem for path in (root / "experiments").glob("*.yaml")}
    assert shipped == set(EXPERIMENTS) | set(FED_ALIKE)
    assert set(FED_ALIKE.values()) <= set(EXPERIMENTS)


def marked(name: str) -> object:
    """All need real data but the demo; those that one other stands for are tried every night."""
    marks = [] if name == "demo" else [pytest.mark.data]
    return pytest.param(name, marks=[*marks, pytest.mark.nightly] if name in NIGHTLY else marks)


@pytest.mark.slow
@pytest.mark.parametrize("name", [marked(name) for name in EXPERIMENTS])
def test_a_shipped_experiment_is_the_same_however_it_is_run(name, home, request, monkeypatch):
    if name != "demo":
        monkeypatch.setenv("LIQBT_DATA", str(request.getfixturevalue("data_root")))
    path, results = home / "experiments" / f"{name}.yaml", home / "results"
    days = EXPERIMENTS[name]
    for audit, options in (
        (audit_chunks, {"splits": 1, "processes": 1}),
        (audit_order, {}),
        (audit_checkpoint, {"points": 2}),
        (audit_ties, {"permutations": 1}),
    ):
        found = audit(path, results, days=days, **options)
        assert found.passed, found.sentence
        for detail in found.details:
            assert detail["trials"] >= 1
            assert detail["compared"] > 200 or audit is audit_ties


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "world.yaml").write_text("name: w\ndays: 8\nwarmup_days: 3\n")
    (folder / "x.yaml").write_text(
        "name: x\ndata: {world: world.yaml, seed: 1}\n"
        "symbols:\n  SIM:\n    events: {mark: simulated/SIM, open_interest: simulated/SIM}\n"
        "    margin: {tiers: BTCUSDT}\n"
        "schedule: {warm_up: 5d, every: 2h}\nevaluation: {bootstrap_reps: 200, horizons: [4h]}\n"
    )
    return folder


def test_all_audits_by_command_and_who_fails_which(monkeypatch, capsys, small):
    arguments = ("audit", "all", small / "x.yaml", "--results", small / "r", "--days", "7")
    cheater = ("--estimator", "cheaters:HashOfAWord", "--json")
    code, out, _ = call(monkeypatch, capsys, *arguments, *cheater)
    found = json.loads(out)
    assert (code, found["passed"]) == (1, False)
    assert set(found["audits"]) == {"lookahead", "chunks", "order", "ties", "checkpoint"}
    failed = {
        name: a["details"][0]["first"]
        for name, a in found["audits"].items()
        if a["passed"] is False
    }
    assert set(failed) == {"chunks", "checkpoint"}
    for first in failed.values():
        assert (first["what"], first["field"]) == ("forecast SIM", "asymmetry")
        assert "new process" in first["trial"]


def test_the_order_of_loading_is_caught_by_command(monkeypatch, capsys, small):
    arguments = ("audit", "order", small / "x.yaml", "--results", small / "r")
    assert call(monkeypatch, capsys, *arguments)[0] == 0
    cheater = ("--estimator", "cheaters:ReadsLoadOrder")
    code, out, _ = call(monkeypatch, capsys, *arguments, *cheater)
    assert code == 1
    assert ", SIM: FAILED; forecast SIM at 2" in out
    assert "differs in 'asymmetry': the log's rows shuffled" in out


@pytest.mark.parametrize("audit", ["chunks", "order", "ties", "checkpoint", "all"])
def test_bad_input_is_one_sentence(monkeypatch, capsys, tmp_path, audit):
    code, out, err = call(monkeypatch, capsys, "audit", audit, tmp_path / "none.yaml")
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_an_estimator_that_is_not_there_is_one_sentence(monkeypatch, capsys, small):
    arguments = ("audit", "chunks", small / "x.yaml", "--results", small / "r")
    code, _, err = call(monkeypatch, capsys, *arguments, "--estimator", "nowhere:Thing")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "nowhere" in err

"""The command line: help with examples, JSON, exit codes, one sentence on bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from shell import call

from liqbt.cli import cli
from liqbt.cli.formatting import progress
from liqbt.errors import EstimatorError

pytestmark = pytest.mark.usefixtures("undrawn")

HEAVY = {"pandas", "numba", "scipy", "statsmodels", "arch", "matplotlib", "pyarrow", "numpy"}


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", sorted(commands()), ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(path):
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"liqbt {' '.join(path)}" in result.output
    assert "--json" in result.output


@pytest.mark.parametrize("code", ["import liqbt", "from liqbt.cli import cli"])
def test_nothing_heavy_is_imported_before_it_is_used(code):
    out = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert HEAVY & set(out.split()) == set()


def test_what_must_be_said_is_said_where_no_progress_is_shown(capsys):
    with progress() as stage:
        stage("ingest", 1, 2)
        stage("LIQBT_DATA: data from /there, not from data.root '.'", 0, 0)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "LIQBT_DATA: data from /there, not from data.root '.'\n")


def test_what_only_inference_needs_is_imported_by_inference_alone():
    """An ingest or an audit must not pay for arch and statsmodels."""
    heavy = {"arch", "statsmodels", "matplotlib", "scipy.stats"}
    program = f"import sys, liqbt.study; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"


def test_a_whole_evaluation_imports_neither_arch_nor_statsmodels():
    """They cost a run two seconds, for two formulas."""
    program = """
import sys
import numpy as np
from evaluation_world import brownian_market, evaluated
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.evaluation.config import EvaluationConfig
market = brownian_market(np.random.default_rng(1), days=30, kind="points")
config = EvaluationConfig(bootstrap_reps=200)
done = evaluated([market], config)
assert verdicts(done.details, withheld={})
print(sorted({"arch", "statsmodels", "scipy.stats"} & set(sys.modules)))
"""
    out = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    ).stdout
    assert out.strip() == "[]"


def test_public_names_resolve():
    import liqbt

    assert all(getattr(liqbt, name) is not None for name in liqbt.__all__)
    assert len(liqbt.__all__) == len(set(liqbt.__all__))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = liqbt.nothing


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "none.yaml"], "none.yaml: cannot be read"),
        (["report", "nowhere"], "is nowhere the folder of a run"),
        (["line", "nowhere"], "is nowhere the folder of a run"),
        (["log", "info", "nowhere"], "nowhere"),
        (["log", "verify", "nowhere"], "nowhere"),
        (["simulate", "none.yaml", "--seed", "1", "--log", "x"], "none.yaml: cannot be read"),
        (["ingest", "none.yaml", "a.csv", "--log", "x"], "none.yaml"),
        (["audit", "lookahead", "none.yaml"], "none.yaml: cannot be read"),
        (["register", "none.yaml"], "none.yaml: cannot be read"),
        (["unseal", "none.yaml"], "--reason"),
        (["runn"], "No such command 'runn'"),
        (["run"], "Missing argument"),
        (["simulate", "w.yaml", "--seed", "x", "--log", "l"], "--seed"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(monkeypatch, capsys, tmp_path, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert out == ""
    assert says in err
    assert "Traceback" not in err
    assert sum(1 for line in err.splitlines() if line.startswith("liqbt:")) <= 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback_and_keeps_the_exit_code(monkeypatch, capsys, tmp_path):
    code, out, err = call(monkeypatch, capsys, "--debug", "run", tmp_path / "none.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback")
    assert "ConfigError" in err.splitlines()[-1]


@pytest.fixture
def own_csv(tmp_path) -> tuple[Path, Path]:
    """A quant's own file and the map that describes it."""
    rows = [f"{1_700_000_000 + 300 * i},{100 + i % 7},{5000 + i}" for i in range(50)]
    (tmp_path / "mine.csv").write_text("t,px,oi\n" + "\n".join(rows) + "\n")
    (tmp_path / "mine.yaml").write_text(
        "time: {column: t, unit: s}\n"
        "stamp: instant\n"
        "feed: polled\n"
        "latency: 60s\n"
        "venue: mine\n"
        "symbol: XYZ\n"
        "emit:\n"
        "  - kind: mark\n"
        "    fields: {price: px}\n"
        "  - kind: open_interest\n"
        "    fields: {open_interest_coins: oi}\n"
    )
    return tmp_path / "mine.yaml", tmp_path / "mine.csv"


def test_ingest_twice_info_and_verify(monkeypatch, capsys, tmp_path, own_csv):
    column_map, file = own_csv
    log = tmp_path / "log"
    code, out, _ = call(monkeypatch, capsys, "ingest", column_map, file, "--log", log, "--json")
    assert code == 0
    [first] = json.loads(out)
    assert (first["rows"], first["events"], first["added"]) == (50, 100, True)
    code, out, _ = call(monkeypatch, capsys, "ingest", column_map, file, "--log", log)
    assert (code, "already in the log, nothing added" in out) == (0, True)
    code, out, _ = call(monkeypatch, capsys, "log", "info", log, "--json")
    assert json.loads(out)["kinds"]["mark"]["events"] == 50
    code, out, _ = call(monkeypatch, capsys, "log", "verify", log)
    assert (code, "as it was written" in out) == (0, True)
    segment = next((log / "segments").glob("*.parquet"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    code, out, _ = call(monkeypatch, capsys, "log", "verify", log)
    assert code == 1
    assert segment.name in out


def test_bad_rows_are_quarantined_or_refuse_the_file(monkeypatch, capsys, tmp_path, own_csv):
    column_map, file = own_csv
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:10], "1700002900,0,5009", *lines[11:]]) + "\n")
    log = tmp_path / "log"
    code, _, err = call(monkeypatch, capsys, "ingest", column_map, file, "--log", log)
    assert code == 2
    assert "mine.csv" in err
    assert not log.exists()
    code, out, _ = call(
        monkeypatch, capsys, "ingest", column_map, file, "--log", log, "--max-bad", "0.1"
    )
    assert (code, "1 rows quarantined in" in out) == (0, True)
    [kept] = (log / "quarantine").iterdir()
    assert "price" in kept.read_text()


def test_run_line_report_and_audit(monkeypatch, capsys, tmp_path):
    (tmp_path / "world.yaml").write_text("name: w\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n")
    (tmp_path / "x.yaml").write_text(
        "name: x\ndata: {world: world.yaml, seed: 1}\n"
        "symbols:\n  SIM:\n    events: {mark: simulated/SIM, open_interest: simulated/SIM}\n"
        "    margin: {tiers: BTCUSDT}\n"
        "schedule: {warm_up: 5d, every: 2h}\nevaluation: {bootstrap_reps: 200}\n"
    )
    results = tmp_path / "r"
    code, out, err = call(
        monkeypatch, capsys, "run", tmp_path / "x.yaml", "--results", results, "--json"
    )
    assert (code, err) == (0, "")
    value = json.loads(out)
    run = Path(value["path"])
    assert set(value) == {"run_id", "path", "metrics"}
    assert run.name == value["run_id"]
    assert (run / "report.html").is_file()
    assert (run / "report.md").is_file()
    before = (run / "report.html").read_bytes()
    assert call(monkeypatch, capsys, "report", run)[0] == 0
    assert (run / "report.html").read_bytes() == before
    code, out, _ = call(monkeypatch, capsys, "line", run)
    assert code == 0
    assert out.startswith("SIM ")
    assert len(out.splitlines()) == 1
    code, _, err = call(monkeypatch, capsys, "line", run, "--at", "1999-01-01")
    assert code == 2
    code, _, err = call(monkeypatch, capsys, "line", run, "--at", "yesterday")
    assert (code, "not a time" in err) == (2, True)
    arguments = ("audit", "lookahead", tmp_path / "x.yaml", "--results", results)
    arguments += ("--cuts", "3", "--days", "8")
    code, out, _ = call(monkeypatch, capsys, *arguments, "--json")
    assert code == 0
    assert json.loads(out)["passed"] is True
    code, out, _ = call(
        monkeypatch, capsys, *arguments, "--estimator", "cheaters:CapturedTape", "--json"
    )
    assert code == 1
    found = json.loads(out)
    assert found["passed"] is False
    assert found["details"][0]["first"]["field"] == "asymmetry"


def test_an_interrupt_that_a_library_makes_an_error_of_is_one_all_the_same(monkeypatch, capsys):
    """As pydantic, numba and pybind do with what is raised inside of their callbacks."""

    def swallowed(*_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise EstimatorError("estimator X failed with SystemError") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("liqbt.study.store.load_run", swallowed)
    try:
        code, _, err = call(monkeypatch, capsys, "report", "somewhere")
        assert (code, err) == (130, "interrupted; nothing half-written was kept\n")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_that_is_no_refusal_is_not_hidden(monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("liqbt.study.store.load_run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        call(monkeypatch, capsys, "report", "somewhere")

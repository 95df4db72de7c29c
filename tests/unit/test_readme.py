"""The README stays true: its files are written, its commands run, its pictures and links exist.

With it, in one folder, the commands of the tutorial and of the how-to pages: each once.
"""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from shell import call

from liqbt.audit.audits import audit_checkpoint, audit_lookahead
from liqbt.forecasts import forecasts_digest
from liqbt.replay import replay, replay_many
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.estimators import build_estimator, build_estimators
from liqbt.study.events import load_world
from liqbt.study.pipeline import forecast_times
from liqbt.study.schema import load_experiment, parse_experiment
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import Kind

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "research/docs"
REGISTER = DOCS / "how-to/register.md"  # last: a registered experiment is run anew
PAGES = [
    path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        DOCS / "tutorial.md",
        *sorted({*DOCS.glob("how-to/*")} - {REGISTER}),
        REGISTER,
    )
]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def own_csv(path: Path) -> None:
    """What the README calls `mine.csv`: a month of five-minute prices and open interest."""
    tables = simulate(World(name="mine", days=30, warmup_days=5), seed=4).tables
    marks, interest = tables[Kind.MARK], tables[Kind.OPEN_INTEREST]
    price = dict(zip(marks["ts_event"].to_pylist(), marks["close"].to_pylist(), strict=True))
    lines = ["time_ms,price_usd,oi_coins"]
    for at, coins in zip(
        interest["ts_event"].to_pylist(),
        interest["open_interest_coins"].to_pylist(),
        strict=True,
    ):
        if at in price:
            lines.append(f"{at // 10**6},{price[at]},{coins}")
    path.write_text("\n".join(lines) + "\n")
    assert len(lines) > 8000
    their_csv(path.with_name("theirs.csv"), price)


def their_csv(path: Path, price: dict[int, float]) -> None:
    """What the README calls `theirs.csv`: levels at 1 and 2 % of the price, twice a day."""
    lines = ["at,symbol,side,low,high,notional"]
    for at in sorted(price)[4 * 288 :: 144]:
        when = np.datetime64(at, "ns").astype("datetime64[s]")
        for side, sign in (("long", -1), ("short", 1)):
            for percent in (1, 2):
                centre = price[at] * (1 + sign * percent / 100)
                low, high = centre * 0.999, centre * 1.001
                lines.append(f"{when}Z,XYZ,{side},{low},{high},{percent}000000")
    path.write_text("\n".join(lines) + "\n")


def written_files(folder: Path) -> None:
    """Write every file that the README shows."""
    for text in (*blocks("yaml"), *blocks("python")):
        first, _, body = text.partition("\n")
        name = re.fullmatch(r"# (\S+\.(?:yaml|py))", first)
        assert name, f"a block of the README must begin with its file's name, not {first!r}"
        (folder / name[1]).write_text(body)


def test_the_estimator_of_ones_own_runs_as_written(tmp_path):
    """Its parameters move what it says; it passes the audits; nothing of it is private."""
    written_files(tmp_path)
    source = (tmp_path / "mymodule.py").read_text()
    assert not re.search(r"\b_[a-z]|\._", source)
    assert len(source.splitlines()) <= 40
    path = tmp_path / "heat.yaml"
    text = path.read_text()
    for there, here in (("log: mylog", "world: w.yaml"), ("mine/", "simulated/"), ("14d", "5d")):
        text = text.replace(there, here)
    path.write_text(text)
    (tmp_path / "w.yaml").write_text("name: w\ndays: 14\nwarmup_days: 5\nsymbols: [XYZ]\n")
    experiment = load_experiment(path)
    world = load_world(tmp_path / "w.yaml")
    tables = simulate(world, seed=4).tables
    tape = tape_from_tables(tables, Selection(kinds=dict(experiment.symbols["XYZ"].events)))
    times = forecast_times(experiment, tape)[::12]
    issued = replay_many(tape, build_estimators(experiment, "XYZ"), times)
    assert list(issued) == ["mine", "naive"]
    assert len(issued["mine"]) == len(issued["naive"]) > 10
    assert max(len(f.clusters) for f in issued["mine"]) >= 4
    for key, value in (("window", "1d"), ("leverages", [5])):
        other = yaml.safe_load(path.read_text())
        other["estimators"]["mine"]["params"][key] = value
        varied = build_estimator(parse_experiment(other, path), "XYZ")
        assert forecasts_digest(replay(tape, varied, times)) != forecasts_digest(issued["mine"])
    for audit in (audit_lookahead, audit_checkpoint):
        assert audit(path, results=tmp_path / "r", estimator="mine", days=7).passed


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_first_hour_runs_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own_csv(tmp_path / "mine.csv")
    written_files(tmp_path)
    ran: set[tuple[str, ...]] = set()
    for text in (block for page in PAGES for block in blocks("sh", page)):
        for line in text.splitlines():
            command, *arguments = words = shlex.split(line, comments=True) or [""]
            if command not in ("liqbt", "python") or tuple(words) in ran:
                continue
            ran.add(tuple(words))
            found = sorted(tmp_path.glob("results/mine/*/manifest.json"))
            arguments = [
                str(found[0].parent) if a == "results/mine/RUN_ID" else a for a in arguments
            ]
            if command == "python":
                runpy.run_path(arguments[0], run_name="__main__")
                continue
            code, _, errors = call(monkeypatch, capsys, *arguments)
            assert code == 0, f"{line}: {errors}"
            assert "Traceback" not in errors
    assert len(ran) >= 16


def test_links_and_pictures_exist():
    more = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", README + more)
    assert targets
    for target in targets:
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_two_first_commands_are_make_targets():
    makefile = (ROOT / "Makefile").read_text()
    first = re.findall(r"^    make (\w+)", README, flags=re.MULTILINE)[:2]
    assert first == ["demo", "test"]
    assert all(re.search(rf"^{name}:", makefile, flags=re.MULTILINE) for name in first)


def test_what_is_cited_is_the_version_that_is_built():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["version"], cited["license"]) == (built["version"], built["license"])


def test_the_table_of_the_readme_is_the_measured_one():
    measured = (ROOT / "research/first_runs/table.md").read_text(encoding="utf-8")
    rows = [line for line in README.splitlines() if re.match(r"\| (btc|eth|hyperliquid)-", line)]
    assert len(rows) >= 3
    table = [[cell.strip() for cell in line.split("|")] for line in measured.splitlines()]
    for row in rows:
        name, market, horizon, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        [line] = [r for r in table if r[1:4] == [name, market, horizon]]
        assert np.isin(cells, line).all(), (row, line)

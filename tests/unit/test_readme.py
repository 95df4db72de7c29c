"""The README stays true: its files are written, its commands run, its pictures and links exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.types import Kind

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


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


@pytest.mark.slow
def test_the_first_hour_runs_as_written(tmp_path):
    own_csv(tmp_path / "mine.csv")
    for text in blocks("yaml"):
        first, _, body = text.partition("\n")
        name = re.fullmatch(r"# (\S+\.yaml)", first)
        assert name, f"a YAML block of the README must begin with its file's name, not {first!r}"
        (tmp_path / name[1]).write_text(body)
    ran = 0
    for text in blocks("sh"):
        for line in text.splitlines():
            command, *arguments = shlex.split(line, comments=True) or [""]
            if command != "liqbt":
                continue
            found = sorted(tmp_path.glob("results/mine/*/manifest.json"))
            arguments = [
                str(found[0].parent) if a == "results/mine/RUN_ID" else a for a in arguments
            ]
            done = subprocess.run(
                [sys.executable, "-m", "liqbt", *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            assert "Traceback" not in done.stderr
            ran += 1
    assert ran >= 6


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_two_first_commands_are_make_targets():
    makefile = (ROOT / "Makefile").read_text()
    first = re.findall(r"^    make (\w+)", README, flags=re.MULTILINE)[:2]
    assert first == ["demo", "test"]
    assert all(re.search(rf"^{name}:", makefile, flags=re.MULTILINE) for name in first)


def test_the_table_of_the_readme_is_the_measured_one():
    measured = (ROOT / "research/first_runs/table.md").read_text(encoding="utf-8")
    rows = [line for line in README.splitlines() if re.match(r"\| (btc|eth|hyperliquid)-", line)]
    assert len(rows) >= 3
    table = [[cell.strip() for cell in line.split("|")] for line in measured.splitlines()]
    for row in rows:
        name, market, horizon, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        [line] = [r for r in table if r[1:4] == [name, market, horizon]]
        assert np.isin(cells, line).all(), (row, line)

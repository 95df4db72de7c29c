"""How cost grows: seconds a file as a log grows, memory of a run by symbols and by years.

python -m research.scaling.measure OUT --checkout after=. --checkout before=../older

from the folder of a checkout. Every figure is of a process of its own, so that each checkout runs
its own code; data are generated here, and ingested before. OUT gets `growth.json` and
`growth.svg`: what is asked for with `--files`, `--symbols` or `--years` is measured again, the
rest is as it was there. Memory is the most that a process held that no file backs, sampled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

STEP_MS = 300_000
START_MS = 1_735_689_600_000  # 2025-01-01
MAP = """\
about: Columns timestamp_ms, coins, usd.
time: {column: timestamp_ms, unit: ms}
stamp: instant
feed: polled
latency: 60s
venue: made
symbol: {file_name: '^([A-Z0-9]+)'}
derive: {mark_usd: usd / coins}
emit:
  - {kind: mark, fields: {price: mark_usd}, price_is: mark}
  - {kind: open_interest, fields: {open_interest_coins: coins, open_interest_usd: usd}}
"""
INGEST = """
import json, sys, time
from pathlib import Path
from liqbt.study.ingest import ingest_files
at = []
files = sorted(Path(sys.argv[1]).glob("*.csv"))
ingest_files(sys.argv[2], files, sys.argv[3], stage=lambda *_: at.append(time.process_time()))
print(json.dumps(at))
"""
PREPARE = """
import sys
from pathlib import Path
from liqbt.study.plan import prepare
prepare(Path(sys.argv[1]), Path(sys.argv[2]))
print(0)
"""
WATCHED = """
import json, resource, sys, threading, time
from pathlib import Path
def held():
    said = Path("/proc/self/status").read_text()
    return int(said.partition("RssAnon:")[2].split()[0]) / 1024
most = [held()]
def watch():
    while True:
        time.sleep(0.01)
        most[0] = max(most[0], held())
threading.Thread(target=watch, daemon=True).start()
"""
"""Begins a program that knows what it held at most that no file backs: `most[0]`, in MB."""
RUN = (
    WATCHED
    + """
from liqbt.study.run import run_experiment
run_experiment(Path(sys.argv[1]), Path(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([most[0], used.ru_utime + used.ru_stime]))
"""
)


def rows(symbol: int, days: int) -> list[str]:
    """Return one market: open interest around 100,000 coins, a price that walks."""
    rng, n = np.random.default_rng(symbol), days * 288
    price = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, n)))
    coins = 1e5 * np.exp(np.cumsum(rng.normal(0.0, 0.001, n)))
    at = START_MS + STEP_MS * np.arange(n)
    return [
        f"{t},{c!r},{c * p!r}"
        for t, c, p in zip(at.tolist(), coins.tolist(), price.tolist(), strict=True)
    ]


def write(path: Path, lines: list[str]) -> None:
    """Write a file of the layout that `MAP` reads."""
    path.write_text("timestamp_ms,coins,usd\n" + "\n".join(lines) + "\n")


def measured(code: str, checkout: Path, *words: object) -> Any:
    """Return what a program prints that runs on the code of a checkout."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"}
    env.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as the command line does
    env.pop("LIQBT_DATA", None)
    made = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=env, check=True, stdout=subprocess.PIPE, text=True, cwd=checkout,
    )  # fmt: skip
    return json.loads(made.stdout)


def ingest_growth(checkout: Path, folder: Path, files: int) -> list[float]:
    """Return CPU milliseconds of each of many daily files of one market, in order."""
    source = folder / "days"
    if not source.is_dir():
        source.mkdir()
        lines = rows(0, files)
        for day in range(files):
            write(source / f"COIN-{day:05d}.csv", lines[day * 288 : (day + 1) * 288])
    with tempfile.TemporaryDirectory(dir=folder) as place:
        at = measured(INGEST, checkout, source, folder / "map.yaml", Path(place) / "log")
    return [1000.0 * (b - a) for a, b in pairwise(at)]


def run_memory(
    checkout: Path, folder: Path, symbols: int, days: int, every: str = "30min"
) -> tuple[float, float]:
    """Return the MB that no file backs and the CPU seconds of a run of so many symbols."""
    names = [f"C{i:03d}D{days}" for i in range(symbols)]
    for i, name in enumerate(names):
        if not (folder / f"{name}.csv").is_file():
            write(folder / f"{name}.csv", rows(i, days))
    market = "events: {mark: made/@, open_interest: made/@}, margin: {flat_rate: 0.004, "
    market += "max_leverage: 100}"
    markets = "".join(f"  {n}: {{{market.replace('@', n)}}}\n" for n in names)
    path = folder / f"panel-{symbols}-{days}.yaml"
    path.write_text(
        f"name: {path.stem}\ndata:\n  root: .\n  sources:\n"
        f"    - {{map: map.yaml, files: [{', '.join(f'{n}.csv' for n in names)}]}}\n"
        f"symbols:\n{markets}schedule: {{every: {every}, warm_up: 5d}}\n"
    )
    with tempfile.TemporaryDirectory(dir=folder) as place:
        measured(PREPARE, checkout, path, place)
        peak, seconds = measured(RUN, checkout, path, place)
    return peak, seconds


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw both curves of every checkout."""
    from liqbt.report.figures.style import GREY, LONG, SHORT, as_svg, canvas, drawing

    with drawing():
        figure = canvas(12.0, 3.4)
        left, middle, right = figure.subplots(1, 3)
        for (name, curves), colour in zip(found.items(), (LONG, SHORT, GREY), strict=False):
            if "ingest_ms" in curves:
                held, size = curves["ingest_ms"], curves["files"] / len(curves["ingest_ms"])
                at = size * (np.arange(len(held)) + 0.5)
                left.plot(at, held, color=colour, label=name)
            for axes, key in ((middle, "held_mb"), (right, "years_mb")):
                peaks = {int(n): peak for n, peak in curves.get(key, {}).items()}
                axes.plot(list(peaks), list(peaks.values()), "o-", color=colour, label=name)
        left.set(xlabel="commits in the log", ylabel="CPU ms a file (median)", ylim=(0, None))
        left.set_title("A daily file into a log")
        for axes, unit in ((middle, "symbols"), (right, "years of hourly forecasts")):
            axes.set(xlabel=unit, ylabel="MB of a run that no file backs", ylim=(0, None))
        middle.set_title("A run, without its report")
        right.set_title("A run of one symbol")
        for axes in (left, middle, right):
            if axes.get_lines():
                axes.legend()
        path.write_bytes(as_svg(figure))


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkout", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--files", type=int, default=1600, help="0: as they were")
    parser.add_argument("--symbols", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--days", type=int, default=60, help="of those symbols")
    parser.add_argument("--years", type=int, nargs="*", default=[1, 2, 5])
    asked = parser.parse_args()
    file = asked.out / "growth.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "map.yaml").write_text(MAP)
        for text in asked.checkout or ["here=."]:
            name, _, where = text.partition("=")
            checkout, curves = Path(where).resolve(), found.setdefault(name, {})
            if asked.files:
                ms = ingest_growth(checkout, folder, asked.files)
                tenth = max(len(ms) // 10, 1)
                print(
                    f"{name}: {len(ms)} files, first tenth {np.median(ms[:tenth]):.1f} ms a file, "
                    f"last {np.median(ms[-tenth:]):.1f} ms, all {sum(ms) / 1000:.1f} s CPU",
                    flush=True,
                )
                sixteenths = [round(float(np.median(x)), 2) for x in np.array_split(ms, 16)]
                curves |= {"files": len(ms), "ingest_ms": sixteenths}
            for key, sizes in (("held_mb", asked.symbols), ("years_mb", asked.years)):
                peaks: dict[str, int] = {}
                for n in sizes:
                    one = (n, asked.days) if key == "held_mb" else (1, 365 * n, "1h")
                    peak, seconds = run_memory(checkout, folder, *one)
                    peaks[str(n)] = round(peak)
                    what = f"{one[0]} symbols, {one[1]} days"
                    print(f"{name}: {what}, {peak:.0f} MB, {seconds:.1f} s CPU", flush=True)
                curves |= {key: peaks} if peaks else {}
            file.write_text(json.dumps(found) + "\n")
    draw(found, asked.out / "growth.svg")


if __name__ == "__main__":
    main()

"""CSV and Parquet into a log beside polars reading, sorting and deduplicating them; tapes of a log.

python research/benchmarks/reading.py --rows 1000000 --polars OTHER/bin/python

polars is in no lock of ours: it runs in a Python of its own, by file. Every step is a process of
its own, in turns; CPU seconds of the best of some rounds, without what starting it and reading a
tenth of the file costs. Tapes: the peak of memory while one is built, by row; the tapes of many
symbols of one file, each read alone and all together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

MAP = """\
about: Trades, made here.
time: {column: time_ms, unit: ms}
stamp: instant
feed: pushed
latency: 1s
venue: made
symbol: {column: symbol}
id: id
side: {column: side, means: taker}
emit: [{kind: trade, fields: {price: price, size_coins: size}}]
"""
OURS = """
import sys, time, json
from liqbt.study.ingest import ingest_files
begun = time.process_time()
ingest_files(sys.argv[1], [sys.argv[2]], sys.argv[3])
print(json.dumps(time.process_time() - begun))
"""
POLARS = """
import sys, time, json
import polars as pl
begun = time.process_time()
read = pl.read_csv if sys.argv[1].endswith(".csv") else pl.read_parquet
table = read(sys.argv[1]).sort("time_ms", maintain_order=True)
table.unique("id", maintain_order=True, keep="first")
print(json.dumps(time.process_time() - begun))
"""
TAPES = """
import sys, time, json
from pathlib import Path
from liqbt.log.store import EventLog
from liqbt.tape.build import build_tape, build_tapes
from liqbt.tape.values import Selection
from liqbt.types import Kind
log, how = EventLog.open(sys.argv[1]), sys.argv[2]
found = log.info().instruments[Kind.TRADE]
asked = {str(i): Selection(kinds={Kind.TRADE: (i,)}) for i in found}
def peak():
    said = Path("/proc/self/status").read_text()
    return int(said.partition("VmHWM:")[2].split()[0]) * 1024
Path("/proc/self/clear_refs").write_text("5")
before, begun = peak(), time.process_time()
if how == "together":
    tapes = build_tapes(log, asked)
elif how == "alone":
    tapes = {name: build_tape(log, selection) for name, selection in asked.items()}
else:
    tapes = {"all": build_tape(log, Selection(kinds={Kind.TRADE: found}))}
used = peak() - before
digests = {name: tape.digest for name, tape in tapes.items()}
print(json.dumps([time.process_time() - begun, used, digests]))
"""


def write(folder: Path, name: str, rows: int, symbols: int) -> list[Path]:
    """Write trades out of order by some rows, a hundredth of them twice, as CSV and Parquet."""
    rng = np.random.default_rng(0)
    at = 1_735_689_600_000 + np.sort(rng.integers(0, 30 * 86_400_000, rows))
    table = pa.table(
        {
            "id": np.arange(rows),
            "time_ms": at,
            "symbol": np.array([f"C{i:03d}" for i in range(symbols)])[np.arange(rows) % symbols],
            "side": np.where(rng.random(rows) < 0.5, "buy", "sell"),
            "price": np.round(100.0 + np.cumsum(rng.normal(0, 0.001, rows)), 4),
            "size": rng.integers(1, 5000, rows) / 1000,
        }
    )
    table = table.take(np.argsort(np.arange(rows) + rng.uniform(0.0, 50.0, rows)))
    table = pa.concat_tables([table, table.slice(rows // 2, rows // 100)])
    pa.csv.write_csv(table, folder / f"{name}.csv")
    pa.parquet.write_table(table, folder / f"{name}.parquet")
    return [folder / f"{name}.csv", folder / f"{name}.parquet"]


def done(python: str, code: str, *words: object) -> Any:
    """Return what a program prints."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    env.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as the command line does
    made = subprocess.run(
        [python, "-c", code, *map(str, words)], env=env, check=True, stdout=subprocess.PIPE
    )
    return json.loads(made.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--symbols", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--polars", help="A Python that has polars.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "map.yaml").write_text(MAP)
        whole = write(folder, "whole", asked.rows, 1)
        tenth = write(folder, "tenth", asked.rows // 10, 1)
        best: dict[tuple[str, str], float] = {}
        for turn in range(asked.rounds):
            for file in (*tenth, *whole):
                log = folder / f"log-{turn}-{file.name}"
                took = {"liqbt": done(sys.executable, OURS, folder / "map.yaml", file, log)}
                if asked.polars:
                    took["polars"] = done(asked.polars, POLARS, file)
                for who, seconds in took.items():
                    best[who, file.name] = min(seconds, best.get((who, file.name), np.inf))
        for kind in ("csv", "parquet"):
            rates = {
                who: 1e9 * (best[who, file] - best[who, f"tenth.{kind}"]) / (0.9 * asked.rows)
                for who, file in best
                if file == f"whole.{kind}"
            }
            said = ", ".join(f"{who} {ns:.0f} ns a row" for who, ns in rates.items())
            print(f"{kind}: {said}; {rates['liqbt'] / rates.get('polars', np.nan):.2f} times")
        _, peak, _ = done(sys.executable, TAPES, folder / "log-0-whole.csv", "one")
        print(f"a tape of {asked.rows:,} trades: peak {peak / asked.rows:.0f} B a row")
        [many, _] = write(folder, "many", asked.rows, asked.symbols)
        done(sys.executable, OURS, folder / "map.yaml", many, folder / "many")
        alone, _, one = done(sys.executable, TAPES, folder / "many", "alone")
        together, _, all_ = done(sys.executable, TAPES, folder / "many", "together")
        print(
            f"{asked.symbols} symbols of one file: {alone:.1f} s each alone, {together:.1f} s in "
            f"one read; digests {'equal' if one == all_ else 'DIFFER'}"
        )


if __name__ == "__main__":
    main()

"""Score two published records without their makers' code: true positions, and round numbers.

1. `positions`: open positions of a venue's large accounts with the venue's own liquidation prices
   (65 snapshots in eleven days, irregular), as a vendor would sell them: bands of a quarter of a
   per cent, ISO times with an offset, one symbol, CSV. They are facts, not forecasts, so there is
   no estimator to blame.
2. `rounds`: levels without width at the five multiples of a thousand dollars on either side, every
   six hours for two months, with one probability for all of them: a map that knows nothing.

Both go through `liqbt score` as anybody's file would. Needs the real data (LIQBT_DATA).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import liqbt

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BAND = 0.0025
HEAD = ("at", "symbol", "side", "low", "high", "notional")


def position_rows(data: Path) -> Iterator[tuple[Any, ...]]:
    """Yield liquidation prices of BTC positions as bands, a snapshot at a time."""
    path = data / "hyperliquid" / "positions-2026-02.parquet"
    with pq.ParquetFile(path) as file:
        rows = file.read(use_threads=False).to_pylist()
    bands: dict[tuple[str, str, int], float] = {}
    for row in rows:
        price = row["liquidation_px"]
        if row["coin"] == "BTC" and price is not None and price > 0:
            side = "long" if row["direction"] == "Long" else "short"
            # what a reader could hold a minute after the snapshot
            moment = datetime.fromisoformat(row["snapshot_utc"]) + timedelta(minutes=1)
            key = (moment.isoformat(timespec="seconds"), side, int(np.log(price) // BAND))
            bands[key] = bands.get(key, 0.0) + row["position_value_usd"]
    for (at, side, band), notional in sorted(bands.items()):
        low, high = float(np.exp(band * BAND)), float(np.exp((band + 1) * BAND))
        yield at, "BTCUSDT", side, f"{low:.10g}", f"{high:.10g}", round(notional)


def round_rows(data: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the five thousands on either side of the last mark, every six hours."""
    path = data / "binance-um" / "BTCUSDT-open-interest-5m.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = [
            (
                int(r["timestamp_ms"]),
                float(r["sum_open_interest_value"]) / float(r["sum_open_interest"]),
            )
            for r in csv.DictReader(file)
        ]
    stamps = np.array([ms for ms, _ in rows])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at < datetime(2026, 3, 1, tzinfo=UTC):
        # the last mark that was known a minute later
        known = int(np.searchsorted(stamps, (at.timestamp() - 60) * 1000)) - 1
        below = int(rows[known][1] // 1000)
        for k in range(5):
            for side, level in (("long", below - k), ("short", below + 1 + k)):
                yield at.isoformat(), "BTCUSDT", side, level * 1000, level * 1000, 1e6, 0.85
        at += timedelta(hours=6)


def score(file: Path, log: Path, results: Path, *options: str) -> liqbt.Run:
    """Score a file by the command line, as a stranger would."""
    command = [sys.executable, "-m", "liqbt", "score", str(file), "--log", str(log)]
    done = subprocess.run(
        [*command, "--out", str(results), "--json", *options],
        check=True,
        capture_output=True,
        text=True,
    )
    return liqbt.load_run(Path(json.loads(done.stdout)["path"]))


def points(row: liqbt.Score) -> str:
    """Write a share with its interval in per cent or points."""
    return f"{100 * row.value:.1f} [{100 * row.ci_low:.1f}, {100 * row.ci_high:.1f}]"


def table_rows(name: str, run: liqbt.Run) -> Iterator[str]:
    """Yield a run as rows of Markdown, a horizon each."""
    for horizon in ("4h", "24h", "7d"):
        found = {
            s.statistic: s
            for s in run.scores
            if (s.symbol, s.horizon, s.side) == ("BTCUSDT", horizon, "both")
        }
        hit, mirror = found["hit_rate"], found["mirror_lift"]
        brier = found.get("stated_brier")
        stated = "" if brier is None else f"{brier.value:.3f} / {brier.null:.3f}"
        yield (
            f"| {name} | {horizon} | {points(hit)} | {100 * hit.null:.1f} | {points(mirror)} "
            f"| {stated} | {hit.n_episodes:,} | {hit.n_days} |"
        )


def main() -> None:
    """Write the files, score them, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    results = parser.parse_args().results
    data = Path(os.environ.get("LIQBT_DATA", ROOT.parent / "shared" / "data"))
    work = results / "published_levels"
    work.mkdir(parents=True, exist_ok=True)
    source = ROOT / "experiments" / "sources" / "binance-um-open-interest-5m.yaml"
    liqbt.ingest_files(
        source, [data / "binance-um" / "BTCUSDT-open-interest-5m.csv.gz"], work / "log"
    )
    lines = [
        "| file | horizon | hit rate, % [95 %] | random walk, % | mirror lift, points [95 %] "
        "| Brier: stated / random walk | episodes | days |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, head, rows, options in (
        ("positions", HEAD, position_rows(data), ()),
        ("rounds", (*HEAD, "p_visit_24h"), round_rows(data), ()),
    ):
        file = work / f"{name}.csv"
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)
        lines += table_rows(name, score(file, work / "log", results, *options))
    text = "\n".join(lines) + "\n"
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Two months of real BTC with faults put into its open interest: what a run says and names.

Needs the real data (LIQBT_DATA). About a minute for each fault on a free core.
"""

from __future__ import annotations

import csv
import gzip
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from liqbt.study.ingest import ingest_files
from liqbt.study.run import run_experiment
from liqbt.study.store import Run
from liqbt.types import DAY_NS, FloatArray, IntArray

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("LIQBT_DATA") or HERE.parents[2] / "shared" / "data")
SOURCE: Final = "binance-um/BTCUSDT-open-interest-5m.csv.gz"
HEAD: Final = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
SLOT_MS: Final = 300_000
ROWS: Final = 62 * 288


def _times(n: int, factor: float) -> Callable[[FloatArray], FloatArray]:
    """Return what multiplies `n` single values, spread over the second half, by a factor."""

    def change(coins: FloatArray) -> FloatArray:
        changed = coins.copy()
        at = np.linspace(len(coins) // 3, len(coins) - 500, n).astype(int)
        changed[at] *= factor
        return changed

    return change


def _nothing(coins: FloatArray) -> FloatArray:
    """Return 116 values of 0, an evening and a morning, as a public report has them."""
    changed = coins.copy()
    first = 35 * 288 + 186
    changed[first : first + 116] = 0.0
    return changed


FAULTS: Final[dict[str, Callable[[FloatArray], FloatArray]]] = {
    "none": lambda coins: coins,
    "116 values of 0": _nothing,
    "ten single values of half": _times(10, 0.5),
    "one value of ten times": _times(1, 10.0),
    "one value of 1e30": _times(1, 1e25),
}


def _real() -> tuple[IntArray, FloatArray, FloatArray]:
    """Return slots in ms, coins and prices of the first two months."""
    with gzip.open(DATA / SOURCE, "rt") as file:
        rows = list(csv.DictReader(file))
    at = np.array([int(row["timestamp_ms"]) // SLOT_MS * SLOT_MS for row in rows])
    at, first = np.unique(at, return_index=True)
    coins = np.array([float(row["sum_open_interest"]) for row in rows])[first]
    value = np.array([float(row["sum_open_interest_value"]) for row in rows])[first]
    return at[:ROWS], coins[:ROWS], (value / coins)[:ROWS]


def _write(folder: Path, at: IntArray, coins: FloatArray, price: FloatArray) -> list[Path]:
    """Write one `metrics` file a day."""
    folder.mkdir()
    files = []
    days = (at * 1_000_000 - 1) // DAY_NS
    for day, rows in groupby(range(len(at)), key=lambda i: int(days[i])):
        name = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
        lines = [HEAD]
        for i in rows:
            when = datetime.fromtimestamp(int(at[i]) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
            lines.append(f"{when},BTCUSDT,{coins[i]:.8f},{coins[i] * price[i]:.8f},1,1,1,1")
        files.append(folder / f"BTCUSDT-metrics-{name}.csv")
        files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


def _run(folder: Path, number: int, files: list[Path]) -> Run:
    log = folder / f"log{number}"
    ingest_files("binance-um", files, log)
    raw: dict[str, Any] = {
        "name": f"fault-{number}",
        "data": {"log": log.name},
        "symbols": {
            "BTC": {
                "events": {
                    "mark": "binance-um-metrics/BTCUSDT",
                    "open_interest": "binance-um/BTCUSDT",
                },
                "margin": {"tiers": "BTCUSDT"},
            }
        },
        "seed": 1,
    }
    path = folder / f"fault-{number}.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return run_experiment(path, folder / "results")


def _cell(run: Run, statistic: str, horizon: str) -> str:
    for score in run.scores:
        if (score.statistic, score.horizon, score.side) == (statistic, horizon, "both"):
            return (
                f"{100 * score.value:+.2f} [{100 * score.ci_low:+.1f}, {100 * score.ci_high:+.1f}]"
            )
    return "–"


def main() -> None:
    """Print and write the table."""
    at, coins, price = _real()
    lines = [
        "| fault | episodes, 24 h | lift over a random walk | over the mirror | 7 d | named |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (word, change) in enumerate(FAULTS.items()):
            run = _run(folder, number, _write(folder / f"files{number}", at, change(coins), price))
            flow = [r for r in run.flow if str(r["horizon"]) == "24h"]
            said = run.manifest["symbols"]["BTC"].get("plausibility", ())
            lines.append(
                f"| {word} | {int(flow[0]['scored']):,} | {_cell(run, 'brownian_lift', '24h')} | "
                f"{_cell(run, 'mirror_lift', '24h')} | {_cell(run, 'mirror_lift', '7d')} | "
                f"{'; '.join(found['text'] for found in said) or '–'} |"
            )
            print(lines[-1], flush=True)
    (HERE / "faults.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

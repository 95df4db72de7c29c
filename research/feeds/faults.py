"""The BTC experiment on its real feed as metrics files, and with faults that were published.

Needs the real data (LIQBT_DATA, or ../shared/data beside the checkout). Five runs; a fault is
injected into the file of open interest, and nothing else is told to the run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from liqbt.errors import LiqbtError
from liqbt.study.run import run_experiment
from liqbt.study.store import Run

HERE = Path(__file__).resolve().parent
EXPERIMENTS = HERE.parents[1] / "experiments"
DATA = Path(os.environ.get("LIQBT_DATA") or HERE.parents[2] / "shared" / "data")
OPEN_INTEREST: Final = "binance-um/BTCUSDT-open-interest-5m.csv.gz"
COLUMNS: Final = ["sum_open_interest", "sum_open_interest_value"]
RATIOS: Final = [
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
]
TENTH: Final = 0.1
"""The tolerance: a figure moves by no more than a tenth of half its clean 95 % interval."""


def evening(rows: pd.DataFrame) -> pd.Index:
    """Return the 116 rows of an evening and the morning after it, as in 2022-03."""
    start = int(pd.Timestamp("2026-01-05 15:30", tz="UTC").value // 1_000_000)
    return rows.index[rows.timestamp_ms >= start][:116]


def scattered(rows: pd.DataFrame) -> pd.Index:
    """Return ten single rows."""
    return rows.index[np.linspace(6000, len(rows) - 500, 10).astype(int)]


def one(rows: pd.DataFrame) -> pd.Index:
    """Return a single row."""
    return rows.index[[20_000]]


FAULTS: Final[dict[str, tuple[Callable[[pd.DataFrame], pd.Index], float, str]]] = {
    "clean": (one, 1.0, "the feed as it is"),
    "zero": (evening, 0.0, "116 rows running say 0"),
    "half": (scattered, 0.5, "ten single rows say half"),
    "spike": (one, 10.0, "one row says ten times as much"),
    "phantom": (one, 1e25, "one row says 1e30"),
}


def main() -> None:
    """Run, compare with the clean run, write the table; exit 1 above the tolerance."""
    rows = pd.read_csv(DATA / OPEN_INTEREST)
    lines = [
        "| what the feed says | what the run says of it | figures | verdicts that change "
        "| largest shift, half intervals | above a tenth | 24 h lift over Brownian, points |",
        "|---|---|---|---|---|---|---|",
    ]
    clean: Any = None
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        for word, (picked, factor, text) in FAULTS.items():
            try:
                run = run_experiment(_experiment(Path(name), word, rows, picked, factor), name)
            except LiqbtError as error:
                lines.append(f"| {text} | refused: {error} | | | | | |")
                bad += 1
                continue
            clean = clean or run
            line, above = _row(text, run, clean)
            lines.append(line)
            bad += above
            print(line, flush=True)
    table = "\n".join(lines) + "\n"
    (HERE / "faults.md").write_text(table, encoding="utf-8")
    print(table)
    sys.exit(bool(bad))


def _experiment(
    folder: Path,
    word: str,
    rows: pd.DataFrame,
    picked: Callable[[pd.DataFrame], pd.Index],
    factor: float,
) -> Path:
    """Write the experiment whose open interest has a fault, and return its file."""
    faulty = rows.copy()
    faulty.loc[picked(rows), COLUMNS] *= factor
    content = yaml.safe_load((EXPERIMENTS / "btc-2025-12.yaml").read_text(encoding="utf-8"))
    content["name"] = f"btc-{word}"
    content["data"]["root"] = str(DATA)
    for source in content["data"]["sources"]:
        source["map"] = str(EXPERIMENTS / source["map"])
    content["data"]["sources"][0] = {
        "format": "binance-um/metrics",
        "files": _metrics(folder / word, faulty),
    }
    content["symbols"]["BTC"]["events"]["mark"] = "binance-um-metrics/BTCUSDT"
    path = folder / f"{word}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _metrics(folder: Path, rows: pd.DataFrame) -> list[str]:
    """Write rows as the venue's own files, one a day, each label the end of its five minutes."""
    folder.mkdir()
    step = 300_000
    stamp = pd.to_datetime(rows.timestamp_ms // step * step, unit="ms")
    table = pd.DataFrame(
        {
            "create_time": stamp.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "symbol": "BTCUSDT",
            **{name: rows[name] for name in COLUMNS},
            **dict.fromkeys(RATIOS, 1),
        }
    )[~stamp.duplicated()]
    files = []
    for day, part in table.groupby((stamp - pd.Timedelta(seconds=1)).dt.date):
        files.append(str(folder / f"BTCUSDT-metrics-{day}.csv"))
        part.to_csv(files[-1], index=False)
    return files


def _row(text: str, run: Run, clean: Run) -> tuple[str, int]:
    """Return a run as a row, and how many of its figures are off by more than the tolerance."""
    here = {_key(score): score for score in run.scores}
    shifts = []
    for score in clean.scores:
        half = (score.ci_high - score.ci_low) / 2
        other = here.get(_key(score))
        if half > 0 and np.isfinite(score.value):
            gone = other is None or not np.isfinite(other.value)
            shifts.append(np.inf if gone else abs(other.value - score.value) / half)
    turned = sum(
        one.word != other.word for one, other in zip(run.verdicts, clean.verdicts, strict=True)
    )
    lift = next(
        s
        for s in run.scores
        if (s.statistic, s.horizon, s.side) == ("brownian_lift", "24h", "both")
    )
    found = run.manifest["symbols"]["BTC"].get("plausibility", ())
    said = "; ".join(row["text"] for row in found) or "nothing"
    above = int((np.array(shifts) > TENTH).sum())
    points = f"{100 * lift.value:+.2f} [{100 * lift.ci_low:+.2f}, {100 * lift.ci_high:+.2f}]"
    line = (
        f"| {text} | {said} | {len(shifts)} | {turned} | {max(shifts):.3f} | {above} | {points} |"
    )
    return line, above + turned


def _key(score: Any) -> tuple[Any, ...]:
    return score.statistic, score.symbol, score.estimator, score.horizon, score.side


if __name__ == "__main__":
    main()

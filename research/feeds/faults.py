"""The BTC experiment on its real feed as metrics files, and with faults that were published.

Needs the real data (LIQBT_DATA, or ../shared/data beside the checkout). A fault is injected into
the open interest, and nothing else is told to the run. Beside the clean run stands one without the
faulty rows: what leaving out can give at best. What many rows running may move is what deleting as
many elsewhere moves (decision 0058).
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
"""The tolerance of single rows: a figure moves by at most a tenth of half its clean interval."""
DRAWS: Final = 39
"""Blocks of as many rows, deleted elsewhere: either figure is beyond all of them by chance with
probability 1/40."""
SEED: Final = 58
MARKS: Final = {
    "time": {"column": "timestamp_ms", "unit": "ms"},
    "stamp": "instant",
    "feed": "polled",
    "latency": "60s",
    "venue": "marks",
    "symbol": "BTCUSDT",
    "derive": {"mark": "sum_open_interest_value / sum_open_interest"},
    "emit": [{"kind": "mark", "fields": {"price": "mark"}, "price_is": "mark"}],
}
"""A column map that reads the marks of the clean file, and nothing else."""


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


FAULTS: Final[dict[str, tuple[Callable[[pd.DataFrame], pd.Index], float, bool, str]]] = {
    "zero": (evening, 0.0, False, "116 rows running say 0"),
    "half": (scattered, 0.5, False, "ten single rows say half"),
    "spike": (one, 10.0, False, "one row says ten times as much"),
    "phantom": (one, 1e25, False, "one row says 1e30"),
    "zero-marked": (evening, 0.0, True, "116 rows running say 0, marks from a file of their own"),
}
"""Which rows, times what, whether marks come from another file, in words."""


def main() -> None:
    """Run, compare, write the table; exit 1 where a fault moves a figure beyond the tolerance."""
    rows = pd.read_csv(DATA / OPEN_INTEREST)
    lines = [
        "| open interest | what the run says of it | figures | verdicts that change "
        "| largest shift | above a tenth | largest shift, rows left out | above a tenth "
        "| 24 h lift over Brownian, points |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    notes: list[str] = []
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = {own: _run(folder, f"clean-{own}", rows, marks=own) for own in (False, True)}
        for word, (picked, factor, own, text) in FAULTS.items():
            faulty = rows.copy()
            faulty.loc[picked(rows), COLUMNS] *= factor
            run = _run(folder, word, faulty, marks=own)
            without = _run(folder, f"{word}-out", rows.drop(picked(rows)), marks=own)
            many = picked is evening
            line, above = _row(text, run, clean[own], without, many=many)
            lines.append(line)
            print(line, flush=True)
            if many:
                believed = _run(folder, f"{word}-kept", faulty, marks=own, outliers="keep")
                said, above_all = _envelope(folder, word, rows, (run, believed), clean[own])
                notes.append(f"**{text}.** {said}")
                print(said, flush=True)
            bad += above + (above_all if many else 0)
    table = "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"
    (HERE / "faults.md").write_text(table, encoding="utf-8")
    sys.exit(bool(bad))


def _envelope(
    folder: Path, word: str, rows: pd.DataFrame, runs: tuple[Run, Run], clean: Run
) -> tuple[str, int]:
    """Hold zeros against blocks deleted elsewhere; the same zeros believed must be outside.

    Returns what there is to say, and how much of it is not as decision 0058 has it.
    """
    block = evening(rows)
    n, first = len(block), rows.index.get_loc(block[0])
    starts = np.arange(1, len(rows) - n)
    starts = starts[np.abs(starts - first) > n]
    drawn = np.random.default_rng(SEED).choice(starts, DRAWS, replace=False)
    largest, counts, turned = [], [], 0
    for i, start in enumerate(drawn.tolist()):
        left = rows.drop(rows.index[start : start + n])
        run = _run(folder, f"{word}-draw-{i}", left, marks=word.endswith("marked"))
        shifts = [x for x in _shifts(run, clean) if np.isfinite(x)]
        largest.append(max(shifts))
        counts.append(sum(x > TENTH for x in shifts))
        turned += _turned(run, clean) > 0
        print(f"{word} {i}: {start} {largest[-1]:.3f} {counts[-1]}", flush=True)
    figures = [(max(x), sum(y > TENTH for y in x)) for x in (_shifts(r, clean) for r in runs)]
    outside = [one > max(largest) or many > max(counts) for one, many in figures]
    above = (sum(x >= figures[0][0] for x in largest), sum(x >= figures[0][1] for x in counts))
    text = (
        f"{DRAWS} blocks of {n} rows deleted elsewhere: largest shift {min(largest):.3f} to "
        f"{max(largest):.3f} (median {np.median(largest):.3f}), figures above a tenth "
        f"{min(counts)} to {max(counts)} (median {np.median(counts):g}), {turned} with a verdict "
        f"that changes. The zeros: {figures[0][0]:.3f} and {figures[0][1]}, which {above[0]} and "
        f"{above[1]} of the {DRAWS} reach: {'outside' if outside[0] else 'inside'}. The same "
        f"zeros believed: {figures[1][0]:.3f} and {figures[1][1]}, "
        f"{'outside' if outside[1] else 'inside'}, and {_turned(runs[1], clean)} verdicts change."
    )
    return text, outside[0] + (not outside[1])


def _run(
    folder: Path, word: str, rows: pd.DataFrame, *, marks: bool, outliers: str = "mask"
) -> Run:
    """Run the experiment on some rows of open interest."""
    content = yaml.safe_load((EXPERIMENTS / "btc-2025-12.yaml").read_text(encoding="utf-8"))
    content["name"] = word.lower()
    content["data"] |= {"root": str(DATA), "outliers": outliers}
    sources = content["data"]["sources"]
    for source in sources:
        source["map"] = str(EXPERIMENTS / source["map"])
    sources[0] = {"format": "binance-um/metrics", "files": _metrics(folder / word, rows)}
    content["symbols"]["BTC"]["events"]["mark"] = "binance-um-metrics/BTCUSDT"
    if marks:
        (folder / "marks.yaml").write_text(yaml.safe_dump(MARKS), encoding="utf-8")
        sources.append({"map": str(folder / "marks.yaml"), "files": [OPEN_INTEREST]})
        content["symbols"]["BTC"]["events"]["mark"] = "marks/BTCUSDT"
    path = folder / f"{word}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return run_experiment(path, folder / "results")


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


def _shifts(run: Run, other: Run) -> list[float]:
    """Return how far each figure of a run lies from another's, in half intervals of the other."""
    here = {_key(score): score for score in run.scores}
    shifts = []
    for score in other.scores:
        half = (score.ci_high - score.ci_low) / 2
        mine = here.get(_key(score))
        if half > 0 and np.isfinite(score.value):
            gone = mine is None or not np.isfinite(mine.value)
            shifts.append(np.inf if gone else abs(mine.value - score.value) / half)
    return shifts


def _turned(run: Run, clean: Run) -> int:
    """Return how many verdicts have another word than on the clean feed."""
    pairs = zip(run.verdicts, clean.verdicts, strict=True)
    return sum((one.claim, one.word) != (other.claim, other.word) for one, other in pairs)


def _row(text: str, run: Run, clean: Run, without: Run, *, many: bool) -> tuple[str, int]:
    """Return a run as a row, and how much of it is not as it has to be.

    Single rows may move no figure beyond a tenth; many rows must give exactly what the feed without
    them gives.
    """
    moved, left = _shifts(run, clean), _shifts(run, without)
    turned = _turned(run, clean)
    lift = next(
        s
        for s in run.scores
        if (s.statistic, s.horizon, s.side) == ("brownian_lift", "24h", "both")
    )
    found = run.manifest["symbols"]["BTC"].get("plausibility", ())
    said = "; ".join(row["text"] for row in found) or "nothing"
    above, beyond = (sum(x > TENTH for x in shifts) for shifts in (moved, left))
    points = f"{100 * lift.value:+.2f} [{100 * lift.ci_low:+.2f}, {100 * lift.ci_high:+.2f}]"
    cells = (text, said, len(moved), turned, f"{max(moved):.3f}", above, f"{max(left):.3f}", beyond)
    wrong = sum(x > 0 for x in left) if many else above + beyond
    named = bool(found)
    return f"| {' | '.join(map(str, cells))} | {points} |", wrong + turned + (not named)


def _key(score: Any) -> tuple[Any, ...]:
    return score.statistic, score.symbol, score.estimator, score.horizon, score.side


if __name__ == "__main__":
    main()

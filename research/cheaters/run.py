"""What each way to cheat gets: from the run, from the claims' own rules, and from the audits.

Names of cheats (as in `CHEATS`) may follow: then these alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from liqbt.audit.audits import audit_chunks, audit_lookahead
from liqbt.errors import DataError
from liqbt.evaluation.claims.register import CLAIMS
from liqbt.evaluation.claims.verdict import find_score, verdict
from liqbt.study.pipeline import Study, study
from liqbt.study.plan import prepare
from liqbt.study.run import run_experiment
from liqbt.study.validity import DOCUMENT, PINNED, SHIPPED
from liqbt.types import Kind
from liqbt.watch import watched

HERE = Path(__file__).resolve().parent
CHEATS = {
    "DateHash": "date hash with its mark moved",
    "StaleMark": "mark of six hours ago",
    "FileReader": "prices to come from a file",
    "BuiltFromFile": "the same, read once when it is built",
    "NativeReader": "the same, read outside of Python",
    "FittedWeights": "weights fitted on the whole record",
    "FineNoise": "noise on a fine grid",
    "AuditAware": "prices to come, unless audited",
    "LandmarkLeak": "the tape's next day, at midnight alone",
}
AUDITED_DAYS = 20
CLAIMS_ASKED = ("magnet", "direction", "accuracy_85")


def experiment_file(folder: Path, cheat: str, params: Mapping[str, Any] | None = None) -> Path:
    """Write an experiment of one cheat on a market in which nothing is planted."""
    kinds = ("mark", "open_interest", "bar", "liquidation")
    raw = {
        "name": cheat.lower(),
        "data": {"world": "gbm", "seed": 5},
        "symbols": {
            "SIM": {
                "events": dict.fromkeys(kinds, "simulated/SIM"),
                "margin": {"tiers": "BTCUSDT"},
            }
        },
        "estimators": {"cheat": {"use": f"cheats:{cheat}", **(params or {})}},
        "seed": 5,
    }
    path = folder / f"{cheat.lower()}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def said(done: Study) -> str:
    """Return what the claims' own rules say, the gate left aside."""
    details = done.first.details
    words = []
    for claim in CLAIMS:
        if claim.id in CLAIMS_ASKED:
            found = verdict(claim, find_score(claim, details), withheld=None, others=details)
            words.append(f"{claim.id} *{found.word.value}*")
    return ", ".join(words)


def replayed(path: Path, results: Path) -> str:
    """Return what a run says, in one sentence."""
    work = prepare(path, results)
    try:
        with watched() as watch:
            found = said(study(work.experiment, work.tapes))
    except DataError as error:
        return f"refused: {error}"
    named = "; ".join(f"it {one.text()}" for one in sorted(watch.seen))
    return f"{found}{named and f'; named: {named}'}"


def audited(path: Path, results: Path) -> str:
    """Return which audits a cheat fails, on the first days."""
    try:
        reports = {
            "look-ahead": audit_lookahead(path, results, days=AUDITED_DAYS),
            "chunks": audit_chunks(path, results, days=AUDITED_DAYS),
        }
    except DataError:
        return "refused, as by the run"
    failed = [name for name, report in reports.items() if not report.passed]
    rows = [row for report in reports.values() for each in report.details for row in each["told"]]
    seen = [
        row for report in reports.values() for each in report.details for row in each["reached"]
    ]
    named = "; ".join(dict.fromkeys(f"it {row['text']}" for row in (*seen, *rows)))
    return (f"fails {' and '.join(failed)}" if failed else "passes") + (named and f": {named}")


def edited_document(folder: Path) -> str:
    """Return why magnet is withheld where somebody wrote *cleared* into the gate's document."""
    results = folder / "edited"
    (results / "validity").mkdir(parents=True)
    for name in (DOCUMENT, PINNED):
        shutil.copy(SHIPPED / name, results / "validity" / name)
    file = results / "validity" / DOCUMENT
    held = json.loads(file.read_text())
    for gate in held["gates"]:
        gate["word"] = "cleared"
    file.write_text(json.dumps(held))
    run = run_experiment(experiment_file(folder, "FineNoise"), results)
    found = next(v for v in run.verdicts if v.claim == "magnet")
    return f"magnet *{found.word.value}*: {found.reason}"


def keep_prices(folder: Path, results: Path) -> None:
    """Write the record's marks to a file; no tape stays in memory, for a cheat to find."""
    work = prepare(experiment_file(folder, "FineNoise"), results)
    marks = work.tapes["SIM"].of(Kind.MARK)
    at, price = marks["ts_known"].astype(float), np.array(marks["p0"])
    np.save(folder / "prices.npy", np.array([at, price]))
    pq.write_table(pa.table({"at": at, "price": price}), folder / "prices.parquet")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HERE / "cheats.py", folder)
        results = folder / "results"
        keep_prices(folder, results)
        os.environ["CHEATED_PRICES"] = str(folder / "prices.npy")
        print("| cheat | the run, and the rules with the gate left aside | the audits |")
        print("|---|---|---|")
        asked = sys.argv[1:] or list(CHEATS)
        for cheat in asked:
            path = experiment_file(folder, cheat)
            if cheat == "FittedWeights":
                path = fitted(folder, results)
            row = (CHEATS[cheat], replayed(path, results), audited(path, results))
            print("| " + " | ".join(row) + " |", flush=True)
        if len(asked) < len(CHEATS):
            return
        print(f"| *cleared* written into the gate's document | {edited_document(folder)} | — |")


def fitted(folder: Path, results: Path) -> Path:
    """Return the experiment of the lean that scores best on the whole record."""
    best, found = -np.inf, 0.0
    for lean in np.linspace(-2.0, 2.0, 9):
        path = experiment_file(folder, "FittedWeights", {"params": {"lean": float(lean)}})
        work = prepare(path, results)
        magnet = next(claim for claim in CLAIMS if claim.id == "magnet")
        row = find_score(magnet, study(work.experiment, work.tapes).first.details)
        if row is not None and row.score.value > best:
            best, found = row.score.value, float(lean)
    return experiment_file(folder, "FittedWeights", {"params": {"lean": found}})


if __name__ == "__main__":
    sys.exit(main())

"""Another process: the same market replayed, or resumed, where nothing is left in memory.

The other process has another `PYTHONHASHSEED`, so that what follows the order of a set or the hash
of a word differs there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.audit.shuffle import reversed_log, shuffle_file, shuffled_log
from liqbt.audit.subject import Opened, Place, Subject, issued, open_place
from liqbt.audit.values import hashed
from liqbt.errors import DataError, LiqbtError
from liqbt.ingest.colmap import load_map
from liqbt.log.store import EventLog
from liqbt.replay import load_checkpoint, replay_from
from liqbt.study.events import open_events
from liqbt.study.progress import silent
from liqbt.study.schema import Experiment, data_root
from liqbt.study.traces import AuditTrace, forecast_items
from liqbt.watch import watched

_CODE: Final = "import numpy; from liqbt.audit.subprocess import main; main()"
"""NumPy first: it takes its kernels from the environment as it was when this process's was read."""


def replay_elsewhere(place: Place, hash_seed: int) -> dict[str, list[AuditTrace]]:
    """Return what each market issues in a new process, by symbol, `hashed`.

    Raises
    ------
    DataError
        If the other process fails; says how.
    """
    found = _ask(place, hash_seed, [])
    return {symbol: items[0] for symbol, items in found.items()}


def resume_elsewhere(
    place: Place, hash_seed: int, symbol: str, checkpoints: Sequence[Path]
) -> list[list[AuditTrace]]:
    """Return what one market issues in a new process after each checkpoint: forecasts, `hashed`.

    Raises
    ------
    DataError
        If the other process fails; says how.
    """
    asked = [[symbol, str(path.resolve())] for path in checkpoints]
    return _ask(place, hash_seed, asked)[symbol]


def _ask(
    place: Place, hash_seed: int, checkpoints: list[list[str]]
) -> dict[str, list[list[AuditTrace]]]:
    with tempfile.TemporaryDirectory(prefix="liqbt-audit-") as folder:
        answer = Path(folder) / "answer.json"
        where = {key: value if key == "days" else str(value) for key, value in _plain(place)}
        task = {"place": where, "checkpoints": checkpoints, "answer": str(answer)}
        paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        done = subprocess.run(
            [sys.executable, "-c", _CODE],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "PYTHONHASHSEED": str(hash_seed),
                "PYTHONPATH": paths,
            },
        )
        if done.returncode != 0 or not answer.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise DataError(f"{place.path}: the audit's second process failed: {last}")
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return {symbol: [_unpacked(items) for items in lists] for symbol, lists in found.items()}


def _plain(place: Place) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in asdict(place).items() if value is not None]


def _packed(items: Sequence[AuditTrace]) -> list[Any]:
    return [[i.at, i.what, {k: v.hex() for k, v in i.fields.items()}] for i in hashed(items)]


def _unpacked(items: list[Any]) -> list[AuditTrace]:
    return [
        AuditTrace(at=at, what=what, fields={k: bytes.fromhex(v) for k, v in fields.items()})
        for at, what, fields in items
    ]


def main() -> None:
    """Do what standard input asks for: the other process's side."""
    task = json.load(sys.stdin)
    where = task["place"]
    place = Place(
        path=Path(where["path"]),
        results=Path(where["results"]),
        estimator=where.get("estimator"),
        days=where.get("days"),
    )
    try:
        with watched(refuses=False):  # what it reaches for is told by the process that asks
            found = _replayed(open_place(place, silent), task["checkpoints"])
    except LiqbtError as error:
        sys.exit(str(error))
    Path(task["answer"]).write_text(json.dumps(found), encoding="utf-8")


def _replayed(opened: Opened, checkpoints: Sequence[Sequence[str]]) -> dict[str, list[Any]]:
    """Return what each market issues, or what it issues after each checkpoint, `_packed`."""
    found: dict[str, list[Any]] = {}
    for symbol, path in checkpoints:
        items = _resumed(opened.subject(symbol), Path(path))
        found.setdefault(symbol, []).append(_packed(items))
    if not checkpoints:
        names = sorted(opened.experiment.symbols)
        found = {name: [_packed(issued(opened.subject(name)))] for name in names}
    return found


def _resumed(subject: Subject, path: Path) -> list[AuditTrace]:
    """Return the forecasts after a checkpoint."""
    steps = replay_from(load_checkpoint(path), subject.tape, subject.make(), subject.times)
    forecasts = [forecast for _, forecast in steps if forecast is not None]
    return forecast_items(subject.symbol, forecasts)


def backwards(opened: Opened, folder: Path) -> Opened:
    """Return the experiment on a log of the same rows, the last first."""
    return _on_log(opened, reversed_log(opened.origin.log, folder / "log"), folder / "tapes")


def reread(
    opened: Opened,
    folder: Path,
    rng: np.random.Generator,
    notes: list[str],
) -> Iterator[tuple[str, Opened]]:
    """Yield the experiment read in another order, with what had been changed."""
    log = shuffled_log(opened.origin.log, folder / "log", rng)
    yield "the log's rows shuffled, in two commits", _on_log(opened, log, folder / "tapes")
    if not opened.experiment.data.sources:
        return
    root = data_root(opened.experiment, opened.place.path)
    notes += [
        f"{name} was read as it is: its rows cannot be told apart safely"
        for name in _files(opened.experiment, opened.place.path, root)
        if not shuffle_file(root / name, folder / "files" / name, rng)
    ]
    turned = _turned(opened.experiment)
    origin = open_events(turned, opened.place.path, folder / "cache", root=folder / "files")
    name = "the files' rows shuffled, the last file read first"
    yield name, replace(opened, origin=origin, cache=folder / "cache")


def _on_log(opened: Opened, log: EventLog, cache: Path) -> Opened:
    return replace(opened, origin=replace(opened.origin, log=log), cache=cache)


def _files(experiment: Experiment, path: Path, root: Path) -> list[str]:
    """Return every file that the experiment reads below its data root, those joined too."""
    names = [name for source in experiment.data.sources for name in source.files]
    joins = [load_map(path.parent / s.map).join for s in experiment.data.sources if s.map]
    names += [join.file for join in joins if join is not None and (root / join.file).is_file()]
    return list(dict.fromkeys(names))


def _turned(experiment: Experiment) -> Experiment:
    """Return the experiment with its sources, and the files of each, in the opposite order."""
    sources = tuple(
        source.model_copy(update={"files": source.files[::-1]})
        for source in reversed(experiment.data.sources)
    )
    data = experiment.data.model_copy(update={"sources": sources})
    return experiment.model_copy(update={"data": data})

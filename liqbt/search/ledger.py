"""The trial ledger of a search: a line for every trial that ended, failures too.

`results/searches/<name>/trials.jsonl` is only ever added to. Each line carries the SHA-256 of the
line before it, so that one which was altered or taken out shows. What was being written when a
process was killed is no line, and is gone with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.experiment.chain import add_line, read_chain
from liqbt.experiment.store import json_value

__all__ = ["FAILED", "FINISHED", "Trial", "add_trial", "numbers", "read_ledger", "searches_folder"]

FINISHED: Final = "finished"
FAILED: Final = "failed"
_LEDGER: Final = "trials.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial that ended.

    Attributes
    ----------
    number : int
        Of its configuration: the same configuration has the same number in every line; 0 is the
        first base of the search.
    base : int
        Number of the base that its `keys` are replaced in; its own where it is a base.
    keys : mapping
        What was replaced, by dotted key.
    configuration : str
        Hash of the whole configuration.
    experiment : str
        Name of the experiment: its run is in `runs/<experiment>/<run_id>`.
    state : str
        `finished` or `failed`.
    run_id : str
        Of its run; empty where it failed before it had one.
    events : str
        Digest of its tapes; empty where it failed before it had them.
    reason : str
        Why it failed; empty otherwise.
    """

    number: int
    base: int
    keys: Mapping[str, Any]
    configuration: str
    experiment: str
    state: str
    run_id: str
    events: str
    reason: str


def searches_folder(results: Path) -> Path:
    """Return where all searches are kept."""
    return results / "searches"


def read_ledger(folder: Path) -> list[Trial]:
    """Return every trial that ended in a search, the first one first.

    Parameters
    ----------
    folder : Path
        That of the search.

    Raises
    ------
    DataError
        If a line was altered or taken out; names file and line.
    """
    return [trial for trial, _ in _lines(folder)]


def _lines(folder: Path) -> list[tuple[Trial, bytes]]:
    """Return the ledger's trials with their lines; an unfinished last line is none."""
    path = folder / _LEDGER
    whole = path.read_bytes().rpartition(b"\n")[0] if path.is_file() else b""
    return read_chain(path, whole.split(b"\n") if whole else [], lambda _, row: Trial(**row))


def add_trial(folder: Path, trial: Trial) -> None:
    """Add a line and return once it is on the disk; one that says the same of it is there already.

    Parameters
    ----------
    folder : Path
        That of the search; the caller holds its lock.
    trial : Trial
        What ended.
    """
    lines = _lines(folder)
    if any(asdict(kept) == json_value(asdict(trial)) for kept, _ in lines):
        return
    add_line(folder / _LEDGER, [line for _, line in lines], json_value(asdict(trial)))


def numbers(trials: list[Trial]) -> dict[str, int]:
    """Return the number of every configuration that was ever tried."""
    return {trial.configuration: trial.number for trial in trials}

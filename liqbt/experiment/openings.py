"""The ledger of openings: how often a sealed period was opened; and how a run stands to its cards.

`results/registrations/<experiment>/unsealed.jsonl` has a line for each time that a holdout of the
experiment was opened; each line carries the SHA-256 of the line before it, so that a line which was
altered or taken out shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.experiment.chain import add_line, read_chain
from liqbt.experiment.registration import nearest_card, registrations_folder
from liqbt.log.disk import locked

__all__ = ["Opening", "count_opening", "openings", "standing"]

_LEDGER: Final = "unsealed.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One time that a holdout was opened.

    Attributes
    ----------
    number : int
        1 for the first of the experiment.
    date, reason : str
        When (ISO), and why.
    hash : str
        Of the registration whose holdout it was.
    run_id : str
        The run that was about to read it.
    """

    number: int
    date: str
    reason: str
    hash: str
    run_id: str


def openings(results: Path, experiment: str) -> list[Opening]:
    """Return every time that a holdout of the experiment was opened, the first one first.

    Raises
    ------
    DataError
        If the ledger cannot be read, or a line was altered or taken out; names file and line.
    """
    return [opening for opening, _ in _ledger(registrations_folder(results, experiment))]


def _ledger(folder: Path) -> list[tuple[Opening, bytes]]:
    """Return the ledger's entries with their lines."""
    path = folder / _LEDGER
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return read_chain(path, lines, _opening)


def _opening(number: int, row: dict[str, Any]) -> Opening:
    if row["number"] != number:
        raise ValueError("it does not follow the line before it")
    return Opening(**row)


def count_opening(results: Path, experiment: str, made: Callable[[int], Opening]) -> Opening:
    """Add a line to the ledger of an experiment and return once it is on the disk.

    Parameters
    ----------
    results, experiment
        Folder of all runs, and the experiment's name.
    made : callable
        Returns the entry of a number.

    Raises
    ------
    DataError
        If the ledger was altered.
    AlreadyRunningError
        If another process is opening or registering.
    """
    folder = registrations_folder(results, experiment)
    with locked(folder.parent / ".lock"):
        kept = [line for _, line in _ledger(folder)]
        opening = made(len(kept) + 1)
        add_line(folder / _LEDGER, kept, asdict(opening))
    return opening


def standing(results: Path, experiment: str, found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how a run stands to the registrations of its experiment; None where it has none.

    Parameters
    ----------
    results, experiment
        Folder of all runs, and the experiment's name.
    found : mapping
        What the run is made of (`parts_of`).

    Returns
    -------
    dict or None
        `hash` and `date` of the registration that it deviates from least, its `deviations` by
        part, what was `before` it, and how often a holdout of the experiment was `unsealed`.
    """
    nearest = nearest_card(results, experiment, found)
    if nearest is None:
        return None
    card, parts = nearest
    return {
        "hash": card.hash,
        "date": card.date,
        "deviations": parts,
        "before": dict(card.before),
        "unsealed": len(openings(results, experiment)),
    }

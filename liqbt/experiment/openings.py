"""The ledger of openings: how often a sealed period was opened; and how a run stands to its cards.

`results/registrations/<experiment>/unsealed.jsonl` has a line for each time that a holdout of the
experiment was opened; each line carries the SHA-256 of the line before it, so that a line which was
altered or taken out shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.errors import DataError, first_line
from liqbt.experiment.identity import canonical_json
from liqbt.experiment.registration import nearest_card, registrations_folder
from liqbt.log.disk import locked, replace, sha256

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
    found: list[tuple[Opening, bytes]] = []
    for number, line in enumerate(lines, start=1):
        before = sha256(found[-1][1]) if found else ""
        try:
            row = json.loads(line)
            if row.pop("before") != before or row["number"] != number:
                raise ValueError("it does not follow the line before it")
            found.append((Opening(**row), line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}: line {number} is not as it was written ({first_line(error)}); the ledger "
                "is only ever added to: bring it back as it was"
            ) from error
    return found


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
        row = {**asdict(opening), "before": sha256(kept[-1]) if kept else ""}
        lines = [*kept, canonical_json(row).encode()]
        replace(folder / _LEDGER, b"".join(line + b"\n" for line in lines))
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

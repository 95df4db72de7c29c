"""Registrations: what was fixed before a run, and when.

`results/registrations/<experiment>/<hash>.json` is one of them: its date, and the digests of
configuration, code, lock file, claims and open events that its hash is made of. It is written once
and never changed, and the digest of all of it is its last line. Openings of its holdout
are counted in a ledger beside (`holdout_ledger`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.errors import ConfigError, DataError, first_line
from liqbt.log.disk import locked, publish_new
from liqbt.registry.ledger import add_line, read_chain, run_identity

PARTS: Final = ("configuration", "code", "lock", "claims", "tape")
"""What a registration fixes, and what a run can deviate in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One registration.

    Attributes
    ----------
    experiment : str
        Its name.
    hash : str
        Of `experiment` and `fixed`: 16 hex digits.
    date : str
        When it was registered, ISO.
    holdout : mapping of str to str, or None
        `start` and `end` of the sealed period, ISO in UTC; None where nothing is sealed.
    of : sequence of str
        The instruments whose events it is about; a simulated one with its world and seed.
    seed : int
        Root of every random number of its runs.
    fixed : mapping
        By part (`PARTS`), the digests that are fixed.
    before : mapping
        The trial ledger at its date: how many `runs` of the experiment there were, in how many
        each part was another (`deviating`), and how many had `read_holdout`.
    configuration : mapping
        The configuration in full, for people; `fixed` has its digest.
    """

    experiment: str
    hash: str
    date: str
    holdout: Mapping[str, str] | None
    of: Sequence[str]
    seed: int
    fixed: Mapping[str, Any]
    before: Mapping[str, Any]
    configuration: Mapping[str, Any]


def registrations_folder(results: Path, experiment: str) -> Path:
    """Return where the registrations of an experiment are kept."""
    return results / "registrations" / experiment


def parts_of(hashes: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is made of by part, as far as a registration fixes it.

    Parameters
    ----------
    hashes, claims : mapping
        As a run's manifest holds them.
    """
    return {
        "configuration": hashes["config"],
        "code": {"package": hashes["code"], "estimators": dict(hashes.get("estimators", {}))},
        "lock": hashes["lock"],
        "claims": {name: run_identity({"claim": claim}) for name, claim in claims.items()},
        "tape": dict(hashes["tape"]),
    }


def card_hash(experiment: str, fixed: Mapping[str, Any]) -> str:
    """Return the hash of a registration: 16 hex digits of what it fixes and its name."""
    return run_identity({"experiment": experiment, **fixed})


def deviations(fixed: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the parts in which `found` is not what was `fixed`.

    Examples
    --------
    >>> fixed = dict.fromkeys(PARTS, "a")
    >>> deviations(fixed, {**fixed, "code": "b"})
    ['code']
    """
    return [part for part in PARTS if fixed[part] != found[part]]


def registered_cards(results: Path, experiment: str) -> list[Registration]:
    """Return the registrations of an experiment, the oldest first.

    Raises
    ------
    DataError
        If one cannot be read, or is not what its hash says; names the file.
    """
    folder = registrations_folder(results, experiment)
    cards = [_read_card(path) for path in sorted(folder.glob("*.json"))]
    return sorted(cards, key=lambda card: (card.date, card.hash))


def _read_card(path: Path) -> Registration:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        digest = row.pop("digest")
        card = Registration(**row)
        whole = (
            digest == run_identity(row)
            and path.stem == card.hash == card_hash(card.experiment, card.fixed)
            and path.parent.name == card.experiment
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a registration ({first_line(error)})") from error
    if not whole:
        raise DataError(
            f"{path}: not what its hash says: a registration is never edited; bring it back as it "
            "was written"
        )
    return card


def nearest_registration(
    results: Path, experiment: str, found: Mapping[str, Any]
) -> tuple[Registration, list[str]] | None:
    """Return the registration that a run deviates from least, and in what.

    Of several the newest; None where the experiment has none.

    Parameters
    ----------
    results, experiment
        Folder of all runs, and the experiment's name.
    found : mapping
        What the run is made of (`parts_of`).
    """
    cards = registered_cards(results, experiment)
    if not cards:
        return None
    return min(
        ((card, deviations(card.fixed, found)) for card in reversed(cards)),
        key=lambda pair: len(pair[1]),
    )


def keep_card(results: Path, card: Registration) -> tuple[Registration, bool]:
    """Write a registration, or return the one that is there already, which stays as it is.

    Returns
    -------
    card : Registration
        What is kept.
    new : bool
        Whether it was written now.

    Raises
    ------
    ConfigError
        If its holdout overlaps that of another registration of the same instruments.
    AlreadyRunningError
        If another process is registering.
    """
    folder = registrations_folder(results, card.experiment)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / ".lock"):
        path = folder / f"{card.hash}.json"
        if path.exists():
            return _read_card(path), False
        for other in _all_cards(results):
            _refuse_overlap(card, other)
        folder.mkdir(exist_ok=True)
        row = {**asdict(card), "digest": run_identity(asdict(card))}
        text = json.dumps(row, indent=1, ensure_ascii=False, allow_nan=False)
        publish_new(path, (text + "\n").encode())
    return card, True


def _all_cards(results: Path) -> Iterator[Registration]:
    for folder in sorted((results / "registrations").iterdir()):
        if folder.is_dir():
            yield from registered_cards(results, folder.name)


def sealing_registrations(results: Path, of: Collection[str]) -> list[Registration]:
    """Return the registrations whose holdout is of any of these instruments, the first one first.

    Parameters
    ----------
    results : Path
        Folder of all runs.
    of : collection of str
        Instruments, a simulated one with its world and seed.
    """
    if not (results / "registrations").is_dir():
        return []
    found = [c for c in _all_cards(results) if c.holdout is not None and set(of) & set(c.of)]
    return sorted(found, key=lambda card: ((card.holdout or {})["start"], card.hash))


def _refuse_overlap(card: Registration, other: Registration) -> None:
    shared = sorted(set(card.of) & set(other.of))
    if card.holdout is None or other.holdout is None or not shared:
        return
    if (
        card.holdout["start"] < other.holdout["end"]
        and other.holdout["start"] < card.holdout["end"]
    ):
        raise ConfigError(
            f"{card.experiment}: its holdout {_period(card)} of {shared[0]} overlaps "
            f"{_period(other)} of registration {other.hash} ({other.experiment}, {other.date}), "
            f"and this one would be {card.hash}; a sealed period belongs to one registration: "
            "choose another period"
        )


def _period(card: Registration) -> str:
    return "{start} to {end}".format(**(card.holdout or {}))


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


def holdout_ledger(results: Path, experiment: str) -> list[Opening]:
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


def registration_status(
    results: Path, experiment: str, found: Mapping[str, Any]
) -> dict[str, Any] | None:
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
    nearest = nearest_registration(results, experiment, found)
    if nearest is None:
        return None
    card, parts = nearest
    return {
        "hash": card.hash,
        "date": card.date,
        "deviations": parts,
        "before": dict(card.before),
        "unsealed": len(holdout_ledger(results, experiment)),
    }

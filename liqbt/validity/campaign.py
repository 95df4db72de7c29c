"""The campaign: batches on any executor, kept as tallies in one small file, so that it can go on.

A killed run loses the few batches since the file was last written. What another code, another
world's file or another claim has found is dropped, and nothing else: a claim's tallies hold while
its terms are the same and the pinned replications of what its verdict reads reproduce.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from liqbt.errors import ConfigError, DataError
from liqbt.study.executors import Executor, serially
from liqbt.study.pinned import (
    Numbers,
    code_stamp,
    differences,
    joined_numbers,
    pinned_numbers,
)
from liqbt.study.progress import Stage, silent
from liqbt.study.trials import TESTS
from liqbt.study.validity import stale_claims, terms_of
from liqbt.validity.jobs import Job, cell_identity, claims_of, job_of, one_batch, tallied_names
from liqbt.validity.tallies import Tally, tally_of_row

CAMPAIGN: Final = "campaign.json"
_FORMAT: Final = "tallies of a validity campaign, 1"
_EVERY: Final = 1.0
"""Seconds after which the file is written, with all that is tallied."""

Progress: TypeAlias = Callable[[int, int], object]
"""Called with how many batches are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCell:
    """The tallies of one cell.

    Attributes
    ----------
    of : str
        Digest of what it simulates (see `cell_identity`).
    unit : str
        Of the effect that is measured from the truth; empty: none.
    tallies : dict of str to Tally
        By claim, and by what is shown beside a claim's test.
    """

    of: str
    unit: str = ""
    tallies: dict[str, Tally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What was found so far.

    Attributes
    ----------
    root : int
        Root seed.
    cells : dict of str to KeptCell
        By `Job.cell`.
    terms : dict of str to mapping
        By claim, what its test asked.
    stamp : str
        Of the code that the pinned replications were last tried with.
    pinned : list of mapping
        `batch` (see `pinned_numbers`) and `numbers`, what it gave.
    """

    root: int
    cells: dict[str, KeptCell] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    stamp: str = ""
    pinned: list[dict[str, Any]] = field(default_factory=list)

    @property
    def statistics(self) -> Numbers:
        """The pinned numbers of all batches, statistic by statistic."""
        return joined_numbers([(one["batch"], one["numbers"]) for one in self.pinned])


def read_campaign(path: Path, root: int) -> Campaign:
    """Return what a file keeps; an empty campaign where there is none.

    Raises
    ------
    DataError
        If it is no such file.
    ConfigError
        If it is of another root seed.
    """
    if not path.is_file():
        return Campaign(root=root)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["format"] != _FORMAT:
            raise ValueError(f"its format is '{kept['format']}'")
        cells = {
            name: KeptCell(
                of=cell["of"],
                unit=cell["unit"],
                tallies={key: tally_of_row(row) for key, row in cell["tallies"].items()},
            )
            for name, cell in kept["cells"].items()
        }
        for name in cells:
            job_of(name)
        found = Campaign(
            root=int(kept["root"]),
            cells=cells,
            terms=dict(kept["terms"]),
            stamp=kept["stamp"],
            pinned=[{"batch": o["batch"], "numbers": o["numbers"]} for o in kept["pinned"]],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: found no tallies of a campaign ({error}); delete the file to begin anew"
        ) from error
    if found.root != root:
        raise ConfigError(
            f"{path}: it is a campaign of root seed {found.root}, and {root} is asked for; choose "
            "another --out"
        )
    return found


def write_campaign(campaign: Campaign, path: Path) -> None:
    """Write it, whole or not at all; a line for each cell and pinned batch."""
    cells = {
        name: {
            "of": cell.of,
            "unit": cell.unit,
            "tallies": {key: tally.row for key, tally in sorted(cell.tallies.items())},
        }
        for name, cell in sorted(campaign.cells.items())
    }
    lines = {
        "format": json.dumps(_FORMAT),
        "root": json.dumps(campaign.root),
        "stamp": json.dumps(campaign.stamp),
        "terms": _listed(campaign.terms),
        "cells": _listed(cells),
        "pinned": "[\n" + ",\n".join(f"  {json.dumps(one)}" for one in campaign.pinned) + "\n ]",
    }
    text = ",\n".join(f' "{key}": {value}' for key, value in lines.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text("{\n" + text + "\n}\n", encoding="utf-8")
    part.replace(path)


def _listed(values: Mapping[str, Any]) -> str:
    inner = ",\n".join(f"  {json.dumps(key)}: {json.dumps(held)}" for key, held in values.items())
    return "{\n" + inner + "\n }" if inner else "{}"


def still_true(
    campaign: Campaign,
    batches: Sequence[Mapping[str, Any]],
    worlds: Path,
    stage: Stage = silent,
) -> Campaign:
    """Return a campaign without what this code, its claims and the worlds' files do not hold to.

    Parameters
    ----------
    campaign : Campaign
        As it was kept.
    batches : sequence of mapping
        What is pinned now (see `pinned_batches`).
    worlds : Path
        Folder of the worlds' files.
    stage : callable
        Progress: another code runs the pinned replications.
    """
    stamp = code_stamp()
    held = [one for one in campaign.pinned if one["batch"] in batches]
    differ: dict[str, str] = {}
    if campaign.stamp != stamp and held:
        found = _pins([one["batch"] for one in held], campaign.root, stage)
        before, now = (
            joined_numbers([(one["batch"], one["numbers"]) for one in pins])
            for pins in (held, found)
        )
        differ = differences(before, now)
        held = [_renewed(old, new, differ) for old, new in zip(held, found, strict=True)]
    known = [one["batch"] for one in held]
    missing = [dict(batch) for batch in batches if batch not in known]
    pinned = {json.dumps(o["batch"]): o for o in (*held, *_pins(missing, campaign.root, stage))}
    planted = {job_of(name).world for name in campaign.cells if name.startswith("power/")}
    stale = stale_claims(
        {"tests": campaign.terms, "power": [{"claim": claim} for claim in planted]},
        {"statistics": joined_numbers([(o["batch"], o["numbers"]) for o in held])},
        differ,
    )
    if not held:
        stale = dict.fromkeys(TESTS, "nothing is pinned")
    return Campaign(
        root=campaign.root,
        cells={
            name: _kept_cell(cell, stale, differ)
            for name, cell in campaign.cells.items()
            if _same_world(name, cell, worlds)
        },
        terms={name: terms_of(claim) for name, claim in TESTS.items()},
        stamp=stamp,
        pinned=[pinned[json.dumps(batch)] for batch in batches],
    )


def _pins(batches: Sequence[Mapping[str, Any]], root: int, stage: Stage) -> list[dict[str, Any]]:
    out = []
    for done, batch in enumerate(batches):
        stage("pinned replications", done, len(batches))
        out.append({"batch": dict(batch), "numbers": pinned_numbers([batch], root)})
    if batches:
        stage("pinned replications", len(batches), len(batches))
    return out


def _renewed(
    old: Mapping[str, Any], new: Mapping[str, Any], differ: Mapping[str, str]
) -> dict[str, Any]:
    """Return a pinned batch with the old numbers of what reproduces."""
    numbers = {
        name: old["numbers"].get(name, rows) if name not in differ else rows
        for name, rows in new["numbers"].items()
    }
    return {"batch": old["batch"], "numbers": numbers}


def _same_world(name: str, cell: KeptCell, worlds: Path) -> bool:
    try:
        return cell.of == cell_identity(job_of(name), worlds)
    except (ConfigError, KeyError):  # its file is gone, or its claim
        return False


def _kept_cell(cell: KeptCell, stale: Mapping[str, str], differ: Mapping[str, str]) -> KeptCell:
    held = {}
    for name, tally in cell.tallies.items():
        claim, _, statistic = name.partition(" beside ")
        if claim in TESTS and claim not in stale and statistic not in differ:
            held[name] = tally
    return KeptCell(of=cell.of, unit=cell.unit, tallies=held)


def left_of(
    campaign: Campaign, jobs: Sequence[Job], claims: Collection[str] = tuple(TESTS)
) -> list[tuple[Job, tuple[str, ...]]]:
    """Return the batches that are not tallied yet, each with the claims that lack it.

    Parameters
    ----------
    campaign : Campaign
        What was found so far.
    jobs : sequence of Job
        What is asked for; the batches of a cell in their order.
    claims : collection of str
        Those that are tried.
    """
    short = min((job.days for job in jobs), default=0)
    asked: dict[str, tuple[str, ...]] = {}
    left = []
    for job in jobs:
        if job.cell not in asked:
            asked[job.cell] = claims_of(job, short)
        cell = campaign.cells.get(job.cell)
        done = cell.tallies if cell else {}
        lack = tuple(
            claim
            for claim in asked[job.cell]
            if claim in claims
            and any(
                done.get(name, Tally()).batches <= job.batch for name in tallied_names(job, claim)
            )
        )
        if lack:
            left.append((job, lack))
    return left


def run_campaign(
    campaign: Campaign,
    jobs: Sequence[Job],
    *,
    worlds: Path,
    kept: Path,
    executor: Executor = serially,
    seconds: float | None = None,
    claims: Collection[str] = tuple(TESTS),
    progress: Progress = lambda _done, _total: None,
) -> Campaign:
    """Run what is not tallied yet, and return the campaign; the file is written on the way.

    Parameters
    ----------
    campaign : Campaign
        Of `still_true`; its tallies are added to.
    jobs : sequence of Job
        What is asked for.
    worlds : Path
        Folder of the worlds' files.
    kept : Path
        The file that it is kept in.
    executor : callable
        Where the batches run; what they give does not depend on it.
    seconds : float, optional
        After which no further batch is waited for.
    claims : collection of str
        Those that are tried: of the others nothing is computed, and what is tallied stands.
    progress : callable
        Told after every batch.
    """
    left = left_of(campaign, jobs, claims)
    done = len(jobs) - len(left)
    progress(done, len(jobs))
    begun = written = time.monotonic()
    work = partial(one_batch, folder=worlds, root=campaign.root)
    results = executor(work, left)
    write_campaign(campaign, kept)
    try:
        for (job, _), (tallies, unit) in zip(left, results, strict=False):
            _add(campaign, job, tallies, unit, worlds)
            done += 1
            progress(done, len(jobs))
            if time.monotonic() - written > _EVERY:
                write_campaign(campaign, kept)
                written = time.monotonic()
            if seconds is not None and time.monotonic() - begun > seconds:
                break
    finally:
        write_campaign(campaign, kept)
        close = getattr(results, "close", None)
        if close is not None:
            close()
    return campaign


def _add(
    campaign: Campaign, job: Job, tallies: Mapping[str, Tally], unit: str, worlds: Path
) -> None:
    """Add a batch to its cell: to the tallies of the claims that have all batches before it."""
    cell = campaign.cells.get(job.cell)
    if cell is None:
        cell = KeptCell(of=cell_identity(job, worlds))
    held = dict(cell.tallies)
    for name, tally in tallies.items():
        before = held.get(name, Tally())
        if before.batches == job.batch:
            held[name] = before + tally
    campaign.cells[job.cell] = KeptCell(of=cell.of, unit=unit or cell.unit, tallies=held)

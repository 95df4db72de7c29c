"""Audits of an experiment's file: every estimator and market of it, from the disk on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from liqbt.audit.checkpoint import checkpoints
from liqbt.audit.chunks import chunks
from liqbt.audit.formatting import AuditReport, detail
from liqbt.audit.lookahead import lookahead
from liqbt.audit.order import order
from liqbt.audit.reached import reaching
from liqbt.audit.subject import Opened, Place, Subject, open_place
from liqbt.audit.subprocess import backwards, replay_elsewhere, reread, resume_elsewhere
from liqbt.audit.ties import ties
from liqbt.audit.values import AuditResult
from liqbt.log.schema import table_columns
from liqbt.study.pipeline import issue
from liqbt.study.progress import Stage, silent
from liqbt.study.schema import Experiment, with_estimator
from liqbt.study.traces import AuditTrace
from liqbt.tape.values import Tape
from liqbt.types import Events, Kind, Ns

Tell = Callable[[int, int], None]
_HASH_SEEDS: Final = tuple(n for n in (1, 2, 3) if str(n) != os.environ.get("PYTHONHASHSEED"))[:2]
"""Two that this process does not have."""


def audit_lookahead(
    path: Path,
    results: Path,
    *,
    estimator: str | None = None,
    days: int | None = None,
    cuts: int = 6,
    seed: int = 0,
    stage: Stage = silent,
) -> AuditReport:
    """Hold the poison property against every estimator and market of an experiment's file.

    Parameters
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of runs; its cache is used.
    estimator : str, optional
        Audit this one alone: by a name that the experiment gives, or a built-in's name or
        `module:Class`, which takes the place of the first. By default all of the experiment.
    days : int, optional
        Only so many days from the first event on.
    cuts, seed : int
        How many prefixes are tried, and the seed that chooses them and the garbage.
    stage : callable
        Progress: called with a name, how many are done, of how many.

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used, or nothing is issued.
    """
    place = Place(path=path, results=results, estimator=estimator, days=days)

    def one(opened: Opened, symbol: str, rng: np.random.Generator, tell: Tell) -> AuditResult:
        return lookahead(
            partial(opened.tape, symbol),
            partial(_issue_on_views, opened.experiment, symbol),
            cuts=cuts,
            rng=rng,
            progress=lambda done: tell(done, max(cuts, done)),
        )

    return _audit("lookahead", place, one, seed, stage)


def audit_chunks(
    path: Path,
    results: Path,
    *,
    estimator: str | None = None,
    days: int | None = None,
    splits: int = 3,
    processes: int = 2,
    seed: int = 0,
    stage: Stage = silent,
) -> AuditReport:
    """Replay every market in other pieces, on other schedules and in other processes.

    Parameters are those of `audit_lookahead`; `splits` is the number of random splits, `processes`
    that of new processes, at most 2, each with another `PYTHONHASHSEED`.
    """
    place = Place(path=path, results=results, estimator=estimator, days=days)
    found: dict[tuple[Place, int], dict[str, list[AuditTrace]]] = {}

    def one(opened: Opened, symbol: str, rng: np.random.Generator, tell: Tell) -> AuditResult:
        elsewhere = {}
        for hash_seed in _HASH_SEEDS[:processes]:
            if (opened.place, hash_seed) not in found:
                found[opened.place, hash_seed] = replay_elsewhere(opened.place, hash_seed)
            name = f"in a new process under PYTHONHASHSEED={hash_seed}"
            elsewhere[name] = found[opened.place, hash_seed][symbol]
        subject = opened.subject(symbol)
        return chunks(subject, splits=splits, rng=rng, elsewhere=elsewhere, progress=tell)

    return _audit("chunks", place, one, seed, stage)


def audit_order(
    path: Path,
    results: Path,
    *,
    estimator: str | None = None,
    days: int | None = None,
    seed: int = 0,
    stage: Stage = silent,
) -> AuditReport:
    """Read every market's records again in another order: shuffled files, shuffled logs.

    The rows of the log are shuffled, parted at random and committed in two parts, the later first;
    where the experiment names files, their rows are shuffled and they are read the last one first.
    Parameters are those of `audit_lookahead`.
    """
    place = Place(path=path, results=results, estimator=estimator, days=days)
    with tempfile.TemporaryDirectory(prefix="liqbt-audit-") as folder:

        def one(opened: Opened, symbol: str, rng: np.random.Generator, tell: Tell) -> AuditResult:
            notes: list[str] = []
            label = next(iter(opened.experiment.estimators))
            others = reread(opened, Path(folder) / label / symbol, rng, notes)
            # read one by one, so that no other log is in memory while the honest one is replayed
            tapes = ((name, other.tape(symbol)) for name, other in others)
            trials = 2 if opened.experiment.data.sources else 1
            found = order(opened.subject(symbol), tapes, trials=trials, progress=tell)
            return replace(found, notes=tuple(notes))

        return _audit("order", place, one, seed, stage)


def audit_ties(
    path: Path,
    results: Path,
    *,
    estimator: str | None = None,
    days: int | None = None,
    permutations: int = 3,
    seed: int = 0,
    strict: bool = False,
    stage: Stage = silent,
) -> AuditReport:
    """Say what depends on the order of records of one instant; fail where the order is not total.

    Parameters are those of `audit_lookahead`; `permutations` is how many times ties are permuted on
    the tape. With `strict` a forecast that changes then fails the audit; else it is reported.
    """
    place = Place(path=path, results=results, estimator=estimator, days=days)
    with tempfile.TemporaryDirectory(prefix="liqbt-audit-") as folder:
        made: list[Opened] = []

        def one(opened: Opened, symbol: str, rng: np.random.Generator, tell: Tell) -> AuditResult:
            if not made:
                made.append(backwards(opened, Path(folder)))
            subject = opened.subject(symbol)
            found = ties(
                subject,
                numbered=_numbered(opened, subject),
                rebuilt=partial(made[0].tape, symbol),
                permutations=permutations,
                rng=rng,
                progress=tell,
            )
            if strict and found.passed and found.reported is not None:
                return replace(found, first=found.reported)
            return found

        return _audit("ties", place, one, seed, stage)


def audit_checkpoint(
    path: Path,
    results: Path,
    *,
    estimator: str | None = None,
    days: int | None = None,
    points: int = 4,
    seed: int = 0,
    stage: Stage = silent,
) -> AuditReport:
    """Stop every market's replay at `points` places and resume it, here and in a new process.

    Parameters are those of `audit_lookahead`.
    """
    place = Place(path=path, results=results, estimator=estimator, days=days)
    with tempfile.TemporaryDirectory(prefix="liqbt-audit-") as folder:

        def one(opened: Opened, symbol: str, rng: np.random.Generator, tell: Tell) -> AuditResult:
            resume = partial(resume_elsewhere, opened.place, _HASH_SEEDS[0], symbol)
            subject = opened.subject(symbol)
            return checkpoints(
                subject,
                Path(folder),
                points=points,
                rng=rng,
                resume=resume,
                progress=tell,
            )

        return _audit("checkpoint", place, one, seed, stage)


AUDITS: Final[Mapping[str, Callable[..., AuditReport]]] = {
    "lookahead": audit_lookahead,
    "chunks": audit_chunks,
    "order": audit_order,
    "ties": audit_ties,
    "checkpoint": audit_checkpoint,
}
"""Every audit by its name; all take `path`, `results`, `estimator`, `days`, `seed`, `stage`."""


def _audit(
    name: str,
    place: Place,
    one: Callable[[Opened, str, np.random.Generator, Tell], AuditResult],
    seed: int,
    stage: Stage,
) -> AuditReport:
    """Open the experiment, audit each estimator on each market, and say what was found."""
    opened = open_place(place, stage)
    symbols = sorted(opened.experiment.symbols)
    details = []
    seeds = np.random.SeedSequence(seed).spawn(len(symbols))
    for alone in _each(opened):
        label = next(iter(alone.experiment.estimators))
        for symbol, child in zip(symbols, seeds, strict=True):
            shown = partial(stage, f"audit {name} {label} {symbol}")
            with reaching(alone.experiment) as reached:
                found = one(alone, symbol, np.random.default_rng(child), shown)
            details.append(detail(label, symbol, found, reached))
    return AuditReport(audit=name, details=details)


def _each(opened: Opened) -> Iterator[Opened]:
    """Yield the experiment with each of its estimators alone."""
    names = list(opened.experiment.estimators)
    for name in names:
        place = opened.place if len(names) == 1 else replace(opened.place, estimator=name)
        alone = with_estimator(opened.experiment, name) if len(names) > 1 else opened.experiment
        yield replace(opened, place=place, experiment=alone)


def _numbered(opened: Opened, subject: Subject) -> frozenset[tuple[Kind, int]]:
    """Return the feeds whose records have a number of the venue's."""
    found = set()
    market = opened.experiment.symbols[subject.symbol]
    for kind, instruments in market.events.items():
        for instrument in instruments:
            table = opened.origin.log.read(kind, [instrument])
            known = instrument in subject.tape.instruments
            if known and (table_columns(table)[0]["seq"] >= 0).any():
                found.add((kind, subject.tape.instruments.index(instrument)))
    return frozenset(found)


def _issue_on_views(
    experiment: Experiment, symbol: str, tape: Tape, until: Ns | None
) -> list[AuditTrace]:
    return issue(experiment, symbol, tape, until, slicer=_view)


def _view(events: Events, start: int, stop: int) -> Events:
    """Cut a slice whose base is the whole tape: bait for whoever climbs."""
    return events[start:stop]

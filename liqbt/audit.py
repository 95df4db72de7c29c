"""Audits: properties of any configured estimator, held against it by trying to break them.

`lookahead` replaces everything that was not yet known at a cut by schema-valid garbage and asks
whether any forecast issued by then has changed. What cannot see the future cannot notice.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.experiment import (
    Experiment,
    Issued,
    Tape,
    iso,
    issue,
    load_experiment,
    make_importable,
    market_tape,
    open_events,
    tape_from_events,
    with_estimator,
)
from liqbt.types import HOUR_NS, PAYLOAD, Events, Kind, Ns

__all__ = ["AuditReport", "AuditResult", "Difference", "audit_lookahead", "lookahead", "poisoned"]

Pipeline: TypeAlias = Callable[[Tape, Ns | None], Sequence[Issued]]
"""From a tape, and the last time of issue (None: all), to what is issued: bytes by field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first item that changed although nothing known at its time did.

    Attributes
    ----------
    cut : int
        Everything known at or after this time was replaced, ns.
    at : int
        Time of issue of the item that changed, ns.
    what, field : str
        The item (such as `forecast BTC`) and its first field that differs.
    """

    cut: Ns
    at: Ns
    what: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What an audit found.

    Attributes
    ----------
    passed : bool
        True when nothing changed.
    cuts : int
        Number of prefixes tried.
    compared : int
        Number of issued items compared.
    first : Difference or None
        The first difference, by cut and time.
    """

    passed: bool
    cuts: int
    compared: int
    first: Difference | None


def lookahead(
    load: Callable[[], Tape],
    pipeline: Pipeline,
    *,
    cuts: int,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None = None,
) -> AuditResult:
    """Hold the poison property against a pipeline of estimator and calibration.

    Parameters
    ----------
    load : callable
        Returns the tape. It is called anew for every cut and the tape is dropped in between, so
        that an estimator which went looking for a tape in memory finds only the poisoned one.
    pipeline : callable
        Builds everything anew from the tape it is given and returns what it issues.
    cuts : int
        How many prefixes are tried: spread over the times of issue, with the first and the last.
    rng : numpy.random.Generator
        Chooses the cuts and the garbage.
    progress : callable, optional
        Called with the number of cuts done.

    Returns
    -------
    AuditResult

    Raises
    ------
    DataError
        If nothing is issued at all: that is no pass.

    Notes
    -----
    The pipeline should hand the estimator *views* of the tape, not copies: copies starve one that
    climbs a slice's `.base`, and what is starved is not caught.
    """
    tape = load()
    honest = list(pipeline(tape, None))
    times = np.array(sorted({item.at for item in honest}), dtype=np.int64)
    del tape
    if len(times) == 0:
        raise DataError("nothing was issued, so there is nothing to audit")
    chosen = _choose(times, cuts, rng)
    compared = 0
    first = None
    for done, cut in enumerate(chosen.tolist()):
        gc.collect()
        tape = poisoned(load(), cut, rng)
        gc.collect()
        again = list(pipeline(tape, cut))
        del tape
        expected = [item for item in honest if item.at <= cut]
        compared += len(expected)
        first = _first_difference(expected, again, cut)
        if progress is not None:
            progress(done + 1)
        if first is not None:
            break
    return AuditResult(passed=first is None, cuts=len(chosen), compared=compared, first=first)


def _choose(
    times: npt.NDArray[np.int64], cuts: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Choose the first and the last time, and one at random from each stretch between."""
    edges = np.linspace(0, len(times) - 1, max(cuts - 1, 2)).astype(int)
    inner = [int(rng.integers(low, high)) for low, high in pairwise(edges) if high > low]
    return np.unique(times[[0, *inner, len(times) - 1]])


def _first_difference(
    expected: Sequence[Issued], again: Sequence[Issued], cut: Ns
) -> Difference | None:
    for old, new in zip(expected, again, strict=False):
        if (old.at, old.what) != (new.at, new.what):
            return Difference(cut=cut, at=min(old.at, new.at), what=old.what, field="issued")
        for name, value in old.fields.items():
            if new.fields.get(name) != value:
                return Difference(cut=cut, at=old.at, what=old.what, field=name)
    if len(expected) != len(again):
        rest = (expected if len(expected) > len(again) else again)[min(len(expected), len(again))]
        return Difference(cut=cut, at=rest.at, what=rest.what, field="issued")
    return None


def poisoned(tape: Tape, cut: Ns, rng: np.random.Generator) -> Tape:
    """Return `tape` with everything known at or after `cut` replaced by schema-valid garbage.

    Kinds and instruments stay those of the tape. Prices wander off by up to a factor of four and
    sizes are of another order. Instants get other times and another number; of the bars, totals
    and averages some are left out and the others keep their buckets, which must not overlap.
    """
    events = tape.events
    keep = int(np.searchsorted(events["ts_known"], cut, side="left"))
    rest = events[keep:]
    if len(rest) == 0:
        return tape
    bucketed = rest["span_s"] > 0
    instants = np.flatnonzero(~bucketed)
    buckets = np.flatnonzero(bucketed)
    n = int(len(instants) * rng.uniform(0.5, 1.5))
    moved = rest[rng.choice(instants, n)] if n else rest[:0].copy()
    moved["ts_known"] = rng.integers(cut, int(rest["ts_known"][-1]) + n + 2, n)
    moved["ts_event"] = moved["ts_known"] - rng.integers(0, HOUR_NS, n)
    kept = rest[buckets[rng.random(len(buckets)) < _KEPT]]
    garbage = np.concatenate([moved, kept])
    for kind in Kind:
        _garble(garbage, kind, rng)
    payload = tuple(garbage[f"p{i}"] for i in range(4, -1, -1))
    order = np.lexsort(
        (*payload, garbage["instrument"], garbage["kind"], garbage["ts_event"], garbage["ts_known"])
    )
    return tape_from_events(np.concatenate([events[:keep], garbage[order]]), tape.instruments)


_PRICES: Final = {"price", "open", "high", "low", "close"}
_KEPT: Final = 0.9


def _garble(garbage: Events, kind: Kind, rng: np.random.Generator) -> None:
    """Replace the payloads of one kind, in place, by values that the schema allows."""
    rows = np.flatnonzero(garbage["kind"] == kind)
    names = PAYLOAD[kind]
    wander = np.exp(rng.uniform(-1.4, 1.4, len(rows)))
    for i, name in enumerate(names):
        if name == "interval_hours":
            continue
        factor = wander if name in _PRICES else np.exp(rng.normal(0.0, 2.0, len(rows)))
        garbage[f"p{i}"][rows] *= factor


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """An audit of a whole experiment.

    Attributes
    ----------
    passed : bool
        Whether every market passed.
    sentence : str
        What was found, for people.
    details : list of mapping
        One per market: what was tried, and the first difference.
    """

    passed: bool
    sentence: str
    details: list[dict[str, Any]]


def audit_lookahead(
    path: Path,
    results: Path,
    *,
    estimator: str | None = None,
    cuts: int = 6,
    seed: int = 0,
    stage: Callable[[str, int, int], None] | None = None,
) -> AuditReport:
    """Hold the poison property against every market of an experiment's file.

    Parameters
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of runs; its cache is used.
    estimator : str, optional
        Audit this estimator instead of the configured one.
    cuts, seed : int
        How many prefixes are tried, and the seed that chooses them and the garbage.
    stage : callable, optional
        Progress.
    """
    tell = stage or (lambda _name, _done, _total: None)
    experiment = load_experiment(path)
    if estimator is not None:
        experiment = with_estimator(experiment, estimator)
    make_importable(path.parent)
    cache = results / ".cache"
    origin = open_events(experiment, path, cache, tell)
    seeds = np.random.SeedSequence(seed).spawn(len(experiment.symbols))
    details = []
    for symbol, child in zip(experiment.symbols, seeds, strict=True):
        found = lookahead(
            partial(market_tape, origin, experiment, symbol, cache),
            partial(_issue_on_views, experiment, symbol),
            cuts=cuts,
            rng=np.random.default_rng(child),
            progress=partial(_tell, tell, f"audit {symbol}", cuts),
        )
        first = None if found.first is None else {**asdict(found.first), "at": iso(found.first.at)}
        details.append({"symbol": symbol, **asdict(found), "first": first})
    passed = all(detail["passed"] for detail in details)
    return AuditReport(
        passed=passed, sentence="\n".join(_sentence(d) for d in details), details=details
    )


def _tell(tell: Callable[[str, int, int], None], name: str, total: int, done: int) -> None:
    tell(name, done, max(total, done))


def _issue_on_views(
    experiment: Experiment, symbol: str, tape: Tape, until: Ns | None
) -> list[Issued]:
    return issue(experiment, symbol, tape, until, slicer=_view)


def _view(events: Events, start: int, stop: int) -> Events:
    """Cut a slice whose base is the whole tape: bait for whoever climbs."""
    return events[start:stop]


def _sentence(detail: dict[str, Any]) -> str:
    symbol, first = detail["symbol"], detail["first"]
    if first is None:
        return (
            f"{symbol}: passed; {detail['compared']:,} issued items stayed bit-identical under "
            f"{detail['cuts']} poisoned futures"
        )
    return (
        f"{symbol}: FAILED; {first['what']} issued at {first['at']} changed in '{first['field']}' "
        f"when only events known at or after {iso(first['cut'])} were replaced"
    )

"""Pinned replications: a few of a campaign's own markets whose numbers are kept with its document.

A campaign of the validity gate takes hours; what it found holds for any code that computes the same
numbers. So some of its markets, of every world, the planted ones and an oracle's, are kept with
their scores, statistic by statistic. Code that gives these numbers again keeps the campaign's
words, whatever was renamed or moved; where it does not, the claims that read a statistic which
changed are stale, and no others.

What that can prevent, and what not. Twenty-odd markets are a sample: a change that shows in none of
them (a branch that they do not take, a record of real data) is not seen. Numbers are compared to
one part in 10⁷, since processors differ in a last bit. The document's digest stands in the pinned
file and the pinned numbers' digests stand in the document, so that neither can be edited alone;
but there is no secret: whoever edits both and computes the digests anew is stopped by nothing here,
only by a campaign that is run again from the same seed and does not give the same document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from liqbt.errors import LiqbtError
from liqbt.kernel_cache import cache_folder
from liqbt.registry.ledger import run_identity
from liqbt.study.identity import (
    APART,
    REPLICATION,
    code_digest,
    installed_digest,
    read_cached,
    write_cached,
)
from liqbt.study.progress import Stage, silent
from liqbt.study.replications import RAN_AWAY, batch_found
from liqbt.study.worlds import world_from

Numbers: TypeAlias = dict[str, list[list[float | None]]]
"""By statistic a row for every market: the fields of a score (see `_FIELDS`); by claim the word of
its verdict (see `_WORDS`)."""

EVERYTHING: Final = "*"
"""Stands for all statistics where the markets cannot be replicated any more."""

_FIELDS: Final = ("value", "ci_low", "ci_high", "agree", "n_episodes", "n_days", "null", "mde")
_WORDS: Final = ("supported", "specific", "refuted", "suspect", "testable")
_DIGITS: Final = 9
_RELATIVE: Final = 1e-7
_ABSOLUTE: Final = 1e-9


def code_stamp() -> str:
    """Return what tells code apart that may give other numbers: its sources and its libraries."""
    code = code_digest(REPLICATION, APART)
    return run_identity({"code": code, "installed": installed_digest()})


def effect_name(claim: str, statistic: str) -> str:
    """Return what an effect that is measured from the truth is called among the numbers."""
    return f"{claim} from the truth: {statistic}"


def pinned_numbers(
    batches: Sequence[Mapping[str, Any]], root: int, stage: Stage = silent
) -> Numbers:
    """Replicate the pinned markets.

    Parameters
    ----------
    batches : sequence of mapping
        `world` (keys of a world), `changes` (keys in place of its own), `numbers` (of the markets),
        `cheat` (whether they are an oracle's) and `claim` (whose mechanism is planted, or None).
    root : int
        Root seed of the campaign.
    stage : callable
        Progress.
    """
    name = "pinned replications"
    found = []
    for i, batch in enumerate(batches):
        stage(name, i, len(batches))
        world = replace(world_from(batch["world"], "the pinned replications"), **batch["changes"])
        how = {"cheat": bool(batch["cheat"]), "claim": batch["claim"]}
        found.append(batch_found(world, batch["numbers"], root, **how))
    stage(name, len(batches), len(batches))
    return numbers_of(batches, found)


def numbers_of(batches: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Numbers:
    """Return what was found of batches (see `batch_found`) by statistic, at nine digits."""
    scores: list[Mapping[str, Any]] = []
    effects: Numbers = {}
    for batch, each in zip(batches, found, strict=True):
        scores += each["scores"]
        for statistic, value in each["effects"].items():
            effects.setdefault(effect_name(batch["claim"], statistic), []).append([_short(value)])
    width = {name: len(row) for rows in scores for name, row in rows.items() if name != RAN_AWAY}
    rows: Numbers = {
        name: [_row(each.get(name), width[name]) for each in scores] for name in sorted(width)
    }
    return {**rows, **dict(sorted(effects.items()))}


def joined_numbers(parts: Sequence[tuple[Mapping[str, Any], Numbers]]) -> Numbers:
    """Return the numbers of several batches as one, from those of each (see `numbers_of`).

    Parameters
    ----------
    parts : sequence of (mapping, Numbers)
        Batches, and what each gave.
    """
    effects = {name for _, held in parts for name, rows in held.items() if len(rows[0]) == 1}
    names = sorted({name for _, held in parts for name in held} - effects)
    joined: Numbers = {}
    for name in names:
        width = next(len(held[name][0]) for _, held in parts if name in held)
        nothing: list[float | None] = [None] * width
        joined[name] = [
            row
            for batch, held in parts
            for row in held.get(name, [nothing] * len(batch["numbers"]))
        ]
    told = {name: [row for _, held in parts for row in held.get(name, [])] for name in effects}
    return {**joined, **dict(sorted(told.items()))}


def _row(row: Sequence[Any] | None, width: int) -> list[float | None]:
    return [None] * width if row is None else [_short(float(value)) for value in row]


def _short(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def pinned_digests(pinned: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a pinned file's markets and of each statistic's numbers in them."""
    markets = run_identity({key: pinned[key] for key in ("root", "batches")})
    numbers = pinned["statistics"].items()
    return {"markets": markets, **{name: run_identity({name: rows}) for name, rows in numbers}}


def differences(kept: Numbers, found: Numbers) -> dict[str, str]:
    """Return how each statistic differs, in words; those that reproduce are absent.

    Parameters
    ----------
    kept, found : Numbers
        Of the same markets in the same order. What only `found` has is no difference.
    """
    out = {}
    for name, rows in kept.items():
        if name not in found:
            out[name] = "it is not computed any more"
            continue
        pairs = enumerate(zip(rows, found[name], strict=True))
        differ = [k for k, (one, other) in pairs if not all(map(_equal, one, other))]
        if differ:
            out[name] = _said(rows, found[name], differ)
    return out


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)


def _said(
    kept: Sequence[Sequence[float | None]],
    found: Sequence[Sequence[float | None]],
    differ: Sequence[int],
) -> str:
    """Return in how many markets a statistic differs, and by how much at most."""
    most: dict[str, float] = {}
    for k in differ:
        fields = _WORDS if len(kept[k]) == len(_WORDS) else _FIELDS
        for field, one, other in zip(fields, kept[k], found[k], strict=False):
            if not _equal(one, other):
                change = math.inf if one is None or other is None else abs(other - one)
                most[field] = max(most.get(field, 0.0), change)
    changes = ", ".join(f"{field} by up to {change:.2g}" for field, change in most.items())
    return f"{len(differ)} of {len(kept)} pinned markets differ ({changes})"


def pinned_differences(
    pinned: Mapping[str, Any], stage: Stage = silent, *, again: bool = False
) -> dict[str, str]:
    """Return the statistics that this code does not reproduce, and how they differ.

    Nothing is replicated where the pinned file was stamped by this very code and these libraries,
    nor where they were tried before on this machine: the answer is kept beside the kernels' cache.

    Parameters
    ----------
    pinned : mapping
        The pinned file.
    stage : callable
        Progress.
    again : bool
        Whether to replicate in any case.

    Returns
    -------
    dict of str to str
        Empty where everything reproduces; `EVERYTHING` where the markets cannot be simulated.
    """
    stamp = code_stamp()
    if pinned["stamp"] == stamp and not again:
        return {}
    tried = {key: pinned[key] for key in ("root", "batches", "statistics")}
    kept = cache_folder() / f"pinned-{run_identity({'stamp': stamp, 'pinned': tried})}.json"
    known = read_cached(kept)
    if "differ" in known and not again:
        return dict(known["differ"])
    try:
        numbers = pinned_numbers(pinned["batches"], int(pinned["root"]), stage)
        found = differences(pinned["statistics"], numbers)
    except LiqbtError as error:
        found = {EVERYTHING: f"the pinned markets cannot be replicated: {error}"}
    write_cached(kept, {"differ": found})
    return found

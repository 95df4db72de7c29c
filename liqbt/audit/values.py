"""What audits say: whether everything stayed as it was, and if not, what differed first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

from liqbt.study.traces import AuditTrace
from liqbt.types import Ns

Trial: TypeAlias = tuple[str, Sequence[AuditTrace], Sequence[AuditTrace]]
"""What had been changed, what is expected, and what was issued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One issued item that changed although nothing that it may depend on did.

    Attributes
    ----------
    trial : str
        What had been changed.
    at : int
        Time of issue of the item, ns.
    what, field : str
        The item (such as `forecast BTC`) and its first field that differs; the field is `issued`
        where an item is missing or new.
    """

    trial: str
    at: Ns
    what: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What an audit of one market found.

    Attributes
    ----------
    audit : str
        Its name.
    trials : int
        How many times something was changed.
    compared : int
        Number of issued items compared, over all trials.
    first : Difference or None
        The first difference that fails the audit.
    reported : Difference or None
        The first difference that is told and fails nothing.
    counts : mapping of str to int
        What was counted on the way, by name.
    notes : tuple of str
        Sentences for people.
    """

    audit: str
    trials: int
    compared: int
    first: Difference | None = None
    reported: Difference | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing changed that must not."""
        return self.first is None


def differences(
    expected: Sequence[AuditTrace], again: Sequence[AuditTrace], trial: str
) -> Iterator[Difference]:
    """Yield every item that differs, with its first field that does; ends where items part.

    Examples
    --------
    >>> a = AuditTrace(at=5, what="forecast BTC", fields={"mark": b"1", "clusters": b"2"})
    >>> b = AuditTrace(at=5, what="forecast BTC", fields={"mark": b"1", "clusters": b"3"})
    >>> [d.field for d in differences([a], [b], "shuffled")]
    ['clusters']
    >>> [d.field for d in differences([a], [], "shuffled")]
    ['issued']
    """
    for old, new in zip(expected, again, strict=False):
        if (old.at, old.what) != (new.at, new.what):
            earlier = old if old.at <= new.at else new
            yield Difference(trial=trial, at=earlier.at, what=earlier.what, field="issued")
            return
        if old.fields != new.fields:
            names = [
                *old.fields,
                *(name for name in new.fields if name not in old.fields),
            ]
            name = next(n for n in names if old.fields.get(n) != new.fields.get(n))
            yield Difference(trial=trial, at=old.at, what=old.what, field=name)
    if len(expected) != len(again):
        longer = expected if len(expected) > len(again) else again
        rest = longer[min(len(expected), len(again))]
        yield Difference(trial=trial, at=rest.at, what=rest.what, field="issued")


def first_difference(
    expected: Sequence[AuditTrace], again: Sequence[AuditTrace], trial: str
) -> Difference | None:
    """Return the first item that differs, or None."""
    return next(differences(expected, again, trial), None)


def compared(
    audit: str,
    trials: Iterable[Trial],
    total: int,
    progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Compare trial after trial, until one differs.

    Parameters
    ----------
    audit : str
        Its name.
    trials : iterable of Trial
        May be lazy: what follows a difference is not asked for.
    total : int
        How many there are, for `progress`.
    progress : callable, optional
        Called with the trials done, of how many.
    """
    first: Difference | None = None
    done = items = 0
    for trial, expected, again in trials:
        done += 1
        items += len(expected)
        first = first_difference(expected, again, trial)
        if progress is not None:
            progress(done, max(total, done))
        if first is not None:
            break
    return AuditResult(audit=audit, trials=done, compared=items, first=first)


def hashed(items: Sequence[AuditTrace]) -> list[AuditTrace]:
    """Return items with a short hash in place of each field: small enough to leave a process."""
    return [
        AuditTrace(
            at=item.at,
            what=item.what,
            fields={k: blake2b(v, digest_size=8).digest() for k, v in item.fields.items()},
        )
        for item in items
    ]

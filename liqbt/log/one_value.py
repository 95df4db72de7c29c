"""One instant, one value: rows of a log that contradict each other, and those that are one.

A mark, a bar, open interest, a funding rate, a bucket's total and a band of depth have one value
per instrument, span and instant. An event with the venue's own number has one content per number.
Rows that say the same are one row. Rows that differ are either a *revision*, known later and in
force from then on, or a contradiction that nothing here can settle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.log.order import lexicographic_order, same_as_previous
from liqbt.log.schema import Columns
from liqbt.types import PAYLOAD, Instrument, IntArray, Kind, Mask, Ns

ONE_VALUE: Final = frozenset(
    {
        Kind.BAR,
        Kind.MARK,
        Kind.OPEN_INTEREST,
        Kind.LIQUIDATION_TOTAL,
        Kind.FUNDING,
        Kind.DEPTH,
    }
)
"""Kinds with one value per instrument, span and instant."""

Revisions: TypeAlias = Literal["refuse", "last_known"]
"""What becomes of a second value: it is refused, or stands from when it was known."""

SAME: Final = 1e-6
"""Values that differ by a smaller fraction differ in how they were written down."""

_BAND: Final = ("low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """Two rows that cannot both be right; the first of `count` such pairs.

    Attributes
    ----------
    kind, instrument, ts_event
        What they speak about.
    seq : int
        The venue's number, -1 where the two share none.
    field : str
        The first field in which they differ.
    first, second : int
        Their places in the columns that were compared.
    values : tuple of (float, float)
        What each says.
    count : int
        How many rows contradict the one before them.
    """

    kind: Kind
    instrument: Instrument
    ts_event: Ns
    seq: int
    field: str
    first: int
    second: int
    values: tuple[float, float]
    count: int

    def what(self) -> str:
        """Return whose value it is, and of when."""
        name = f"{self.kind.name.lower()} {self.instrument}"
        if self.seq >= 0:
            return f"{name} number {self.seq}"
        return f"{name} at {when(self.ts_event)}"

    def both(self) -> str:
        """Return the two values in words."""
        one, other = (_written(value) for value in self.values)
        more = f" (and {self.count - 1} more such rows)" if self.count > 1 else ""
        return f"{self.field} {one} and {other}{more}"


def when(ns: Ns) -> str:
    """Return a time as ISO 8601 in UTC, with milliseconds where there are some.

    Examples
    --------
    >>> when(1_704_067_200_000_000_000), when(1_704_067_200_250_000_000)
    ('2024-01-01T00:00:00Z', '2024-01-01T00:00:00.250Z')
    """
    return f"{np.datetime64(ns // 1_000_000, 'ms')}Z".replace(".000Z", "Z")


def _written(value: float) -> str:
    return f"{value:.10g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Rows beside the one before them that speaks about the same thing; arrays of shape (m,).

    Attributes
    ----------
    order : ndarray of int64
        Places of the rows that have one value, those about one thing together, as they were known.
    same : ndarray of bool
        Whether a row says what the row before it says of the same thing.
    differs : ndarray of bool
        Whether it says something else of it.
    """

    order: IntArray
    same: Mask
    differs: Mask


def compare(kind: Kind, columns: Columns) -> Compared:
    """Hold each row against the one known before it about the same instrument, span and instant.

    Parameters
    ----------
    kind : Kind
        What the rows are.
    columns : mapping of str to ndarray, each of shape (n,)
        Of an event table; `venue` and `symbol` may be any codes. An unknown value (NaN) contradicts
        nothing.
    """
    numbered = columns["seq"] >= 0
    parts = []
    if numbered.any():
        keys = ("venue", "symbol", "seq")
        parts.append(_compare(kind, columns, np.flatnonzero(numbered), keys))
    if kind in ONE_VALUE and not numbered.all():
        band = _BAND if kind == Kind.DEPTH else ()
        keys = ("ts_event", "venue", "symbol", "span_s", "side", *band)
        parts.append(_compare(kind, columns, np.flatnonzero(~numbered), keys))
    if len(parts) == 1:
        return parts[0]
    none = np.zeros(0, dtype=bool)
    return Compared(
        order=np.concatenate([np.zeros(0, dtype=np.int64), *(p.order for p in parts)]),
        same=np.concatenate([none, *(p.same for p in parts)]),
        differs=np.concatenate([none, *(p.differs for p in parts)]),
    )


def _compare(kind: Kind, columns: Columns, rows: IntArray, names: Sequence[str]) -> Compared:
    keys = [bits(columns[name][rows]) for name in names]
    if len(rows) and _alone(keys, names):
        none = np.zeros(len(rows), dtype=bool)
        return Compared(order=rows, same=none, differs=none)
    values = [columns[name][rows] for name in PAYLOAD[kind]]
    known = columns["ts_known"][rows]
    ties = [columns[name][rows] for name in ("ts_event", "side", "span_s") if name not in names]
    order = lexicographic_order([*keys, known, *ties, *(bits(v) for v in values)])
    about = np.flatnonzero(same_as_previous(keys, order))
    same, differs = np.zeros(len(order), dtype=bool), np.zeros(len(order), dtype=bool)
    before, after = order[about - 1], order[about]
    pairs = [(v[before], v[after]) for v in values]
    unlike = np.any([_unlike(*pair) for pair in pairs], axis=0)
    if names[-1] == "seq":
        side = columns["side"][rows]
        unlike |= side[before] != side[after]
    fuller = np.any([np.isnan(one) & ~np.isnan(other) for one, other in pairs], axis=0)
    same[about] = ~unlike & ~fuller
    differs[about] = unlike
    if kind == Kind.LIQUIDATION_TOTAL:
        differs[about] &= ~_halves(*pairs)
    return Compared(order=rows[order], same=same, differs=differs)


def _alone(keys: Sequence[npt.NDArray[Any]], names: Sequence[str]) -> bool:
    """Return whether one market's numbers, or one feed's times, only rise: none is there twice."""
    rising = keys[names.index("seq" if "seq" in names else "ts_event")]
    if not (rising[1:] > rising[:-1]).all():
        return False
    return all((key == key[0]).all() for key in keys if key is not rising)


def _unlike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Mask:
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.abs(one - other) > SAME * np.maximum(np.abs(one), np.abs(other)), dtype=bool
        )


def _halves(
    longs: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    shorts: tuple[npt.NDArray[Any], npt.NDArray[Any]],
) -> Mask:
    """Return which pairs are the longs and the shorts of one bucket in a row each."""
    apart = (longs[0] == 0) & (shorts[1] == 0)
    return np.asarray(apart | ((shorts[0] == 0) & (longs[1] == 0)), dtype=bool)


def first_clash(
    kind: Kind,
    columns: Columns,
    names: Mapping[str, Sequence[str]],
    revisions: Revisions = "refuse",
    *,
    found: Compared | None = None,
) -> Clash | None:
    """Return the first two rows that cannot both be right, None where there are none.

    With `revisions` `last_known` a value that was known later is no contradiction; two that were
    known at the same time still are one: nothing says which came last. What has the venue's own
    number is never revised.

    Parameters
    ----------
    kind, columns
        As `compare`.
    names : mapping of str to sequence of str
        The names that `venue` and `symbol` index.
    revisions : str
        `refuse` or `last_known`.
    found : Compared, optional
        What `compare` gave.
    """
    found = compare(kind, columns) if found is None else found
    places = np.flatnonzero(found.differs)
    if revisions == "last_known" and len(places):
        before, after = found.order[places - 1], found.order[places]
        together = columns["ts_known"][before] == columns["ts_known"][after]
        places = places[together | (columns["seq"][after] >= 0)]
    if not len(places):
        return None
    place = places[np.argmin(columns["ts_event"][found.order[places]])]
    one, other = sorted((int(found.order[place - 1]), int(found.order[place])))
    field = next(
        (n for n in PAYLOAD[kind] if _unlike(columns[n][[one]], columns[n][[other]])[0]), "side"
    )
    numbered = int(columns["seq"][one])
    return Clash(
        kind=kind,
        instrument=Instrument(
            names["venue"][int(columns["venue"][one])], names["symbol"][int(columns["symbol"][one])]
        ),
        ts_event=int(columns["ts_event"][one]),
        seq=numbered,
        field=field,
        first=one,
        second=other,
        values=(float(columns[field][one]), float(columns[field][other])),
        count=len(places),
    )


def standing_rows(kind: Kind, columns: Columns) -> tuple[Mask, int]:
    """Return which rows say something new when they are known, and how many of them revise.

    Of rows that say the same the first known stands; of rows with one number the first known
    stands, whatever the others say.

    Parameters
    ----------
    kind, columns
        As `compare`; rows without a number of a kind that has no one value all stand.
    """
    found = compare(kind, columns)
    keep = np.ones(len(columns["seq"]), dtype=bool)
    numbered = columns["seq"][found.order] >= 0
    keep[found.order[found.same | (found.differs & numbered)]] = False
    return keep, int((found.differs & ~numbered).sum())


def replaced_at_once(kind: Kind, columns: Columns) -> Mask:
    """Return which rows another one replaced at the moment at which they were known, shape (n,).

    Parameters
    ----------
    kind, columns
        As `compare`, with the column `arrival`: of rows known at one time the largest came last.
    """
    band = _BAND if kind == Kind.DEPTH else ()
    names = ("ts_event", "venue", "symbol", "span_s", "side", *band, "ts_known")
    keys = [bits(columns[name]) for name in names]
    order = lexicographic_order([*keys, columns["arrival"]])
    values = [columns[name] for name in PAYLOAD[kind]]
    out = np.zeros(len(order), dtype=bool)
    about = np.flatnonzero(same_as_previous(keys, order))
    before, after = order[about - 1], order[about]
    unlike = np.any([_unlike(v[before], v[after]) for v in values], axis=0)
    if kind == Kind.LIQUIDATION_TOTAL:
        unlike &= ~_halves(*[(v[before], v[after]) for v in values])
    out[before[unlike]] = True
    return out


def bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return floats as their bits, which have an order; anything else as it is."""
    return values.view(np.uint64) if values.dtype.kind == "f" else values

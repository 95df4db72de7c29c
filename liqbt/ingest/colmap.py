"""ColumnMap: what a column map says, as checked values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from liqbt.ingest.expressions import Expression
from liqbt.ingest.files import CsvShape
from liqbt.types import Kind

Filter: TypeAlias = Mapping[str, tuple[Any, ...]]
"""Column to the values of which a row must have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What the time of a row means.

    Attributes
    ----------
    column, unit, zone : str
        Where the time is, `s`, `ms`, `us`, `ns` or `iso` (None: the column has timestamps), and the
        zone of times that carry none.
    at : str
        `instant`, or `open` or `close` of a bucket.
    span_s : int
        Length of the bucket in seconds, 0 for an instant.
    """

    column: str
    unit: str | None
    zone: str
    at: str
    span_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a row could be known.

    Attributes
    ----------
    feed : str
        `polled` or `pushed`.
    latency_ns : int
        Added to the time of the event, or to the time in `column` (a map gives 0 there).
    observed : bool
        Whether that was measured; otherwise it is modelled.
    column, unit : str or None
        The receive time, where the file has one.
    """

    feed: str
    latency_ns: int
    observed: bool
    column: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A venue or a symbol: a constant, a column, or a part of the file's name."""

    constant: str | None = None
    column: str | None = None
    pattern: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRule:
    """Whose side a column names, and its words (lower case) for `buy`, `sell`, `long`, `short`."""

    column: str
    means: str
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A constant that depends on a column, such as the face value by coin."""

    column: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Columns from a second file, of the row with the same time.

    Attributes
    ----------
    file : str
        Path relative to the data root.
    shape : CsvShape
        How that file is written, if it is a CSV.
    stamp : Stamp
        What its times mean; rows meet where the times of their events agree.
    latency_ns : int
        When its rows are known, after their events.
    match : mapping of str to str
        Column here to column there: values that must agree as well.
    where : Filter
        Which of its rows count.
    columns : mapping of str to Expression
        New column to arithmetic over its columns.
    skip_unmatched : bool
        Whether a row that meets none is left out and counted, not quarantined.
    """

    file: str
    shape: CsvShape
    stamp: Stamp
    latency_ns: int
    match: Mapping[str, str]
    where: Filter
    columns: Mapping[str, Expression]
    skip_unmatched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """One kind of event that a row gives.

    Attributes
    ----------
    kind : Kind
        What it is.
    fields : mapping of str to Expression
        Payload field to arithmetic; an optional field that is not named is NaN.
    venue, symbol : Name
        Whose it is.
    side : SideRule or None
        How its side is told.
    where : Filter
        Which rows give it.
    arrival : Arrival
        When it is known.
    optional : bool
        Whether a row whose fields are all empty gives none, without being wrong.
    price_is : str
        What the price is, such as `mark`, `last`, `spot` or `bankruptcy`; empty where not said.
    """

    kind: Kind
    fields: Mapping[str, Expression]
    venue: Name
    symbol: Name
    side: SideRule | None
    where: Filter
    arrival: Arrival
    optional: bool
    price_is: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """How the rows of a file become events; made by `load_map` or `parse_map`.

    Attributes
    ----------
    name : str
        The map's name.
    sha256 : str
        Of its content, not of its comments or its layout.
    shape : CsvShape
        How a CSV is written.
    stamp : Stamp
        What the time of a row means.
    id_column : str or None
        The venue's own number of each row.
    where : Filter
        Which rows count.
    scales : mapping of str to float
        Column to the factor that brings it to the project's units.
    constants : mapping of str to float or Lookup
        Names for expressions.
    join : Join or None
        A second file.
    derive : mapping of str to Expression
        Further columns, in order; a later one may use an earlier one.
    emit : tuple of Emit
        The events that a row gives.
    """

    name: str
    sha256: str
    shape: CsvShape
    stamp: Stamp
    id_column: str | None
    where: Filter
    scales: Mapping[str, float]
    constants: Mapping[str, float | Lookup]
    join: Join | None
    derive: Mapping[str, Expression]
    emit: tuple[Emit, ...]

"""What `liqbt record` wrote: one venue's messages as they came, one a line, as events.

A line is the time of receipt (ns UTC), a space, and one of

    {...}                                               a message that the venue pushed
    {"poll": NAME, "asked": NS, "data": ...}            what it answered to a question
    {"gap": REASON, "since": NS}                        nothing was received since then

Both clocks are observed. Which rows a message gives is the venue's own matter (`RowsOf`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.files import NoRowsError, RawTable, is_silent, open_stream
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing
from liqbt.log.one_value import when
from liqbt.log.schema import EARLIEST_NS, LATEST_NS
from liqbt.types import FloatArray, Kind, Ns

READER: Final = "recording 1"
"""Goes up when the same file would give other events."""
RECORDING: Final = "recording"
"""The name of this format in every venue's `FORMATS`."""

_MAX_LINE: Final = 64 << 20
_FIELDS: Final = {
    Kind.MARK: ("price", ""),
    Kind.OPEN_INTEREST: ("open_interest_coins", "open_interest_usd"),
    Kind.LIQUIDATION: ("price", "size_coins"),
    Kind.FUNDING: ("rate", "interval_hours"),
    Kind.POSITION: ("liquidation_price", "size_coins"),
    Kind.DEPTH: ("low", "high", "depth_coins", "depth_usd"),
}
_CELLS: Final = ("one", "two", "three", "four")
_MOST: Final = 1e15
"""No price and no size in a book is larger."""
BANDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""How far from the middle of a book its bands end, as fractions of it."""


_BOOK_SIDE: Final = {"column": "side", "means": "book_side"}


class Row(NamedTuple):
    """One event of a message.

    Attributes
    ----------
    kind : Kind
        Mark, open interest, liquidation, funding, position or depth.
    symbol : str
        The venue's name.
    time_ns : int
        When it happened; 0 where the message does not say.
    one, two : float
        Mark: price. Open interest: coins, USD. Liquidation: price, coins. Funding: rate, hours.
        Position: liquidation price, coins. Depth: low, high; a low of NaN is a book that no band
        can be had from. NaN is unknown.
    side : str
        Of the position: `long` or `short`, of depth `bid` or `ask`; empty where there is none.
    number : str
        What tells equal liquidations apart; empty where two that are equal are one.
    three, four : float
        Depth: coins, USD.
    """

    kind: Kind
    symbol: str
    time_ns: Ns
    one: float
    two: float = float("nan")
    side: str = ""
    number: str = ""
    three: float = float("nan")
    four: float = float("nan")


RowsOf: TypeAlias = Callable[[Mapping[str, Any]], Iterator[Row]]
"""The rows of a message; none where it is about something else."""


@dataclass(slots=True)
class _Found:
    """What the lines of a recording hold."""

    rows: list[Row] = field(default_factory=list)
    known: list[Ns] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    torn: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    held: Counter[Row] = field(default_factory=Counter)


def read_recording(
    path: Path,
    venue: str,
    rows_of: RowsOf,
    *,
    polled: Collection[Kind] = (),
    price_is: str,
    wrong: Callable[[str], str | None] = lambda _: None,
    notes: Mapping[str, Any] | None = None,
    max_bad: float,
    max_bytes: int,
) -> Ingested:
    """Read what `liqbt record` wrote of one venue; nothing is written.

    What a later message repeats of a liquidation in every field (venues do after a reconnect)
    counts once (`repeated_pushes`); equal ones of one message are twins. The times at which
    nothing was received are in the note `gaps`.

    Parameters
    ----------
    path : Path
        The recording, packed or not.
    venue : str
        Its name.
    rows_of : callable
        The venue's reading of a message.
    polled : collection of Kind
        What was asked for; everything else was pushed.
    price_is : str
        What the price of a liquidation is.
    wrong : callable
        Why a symbol cannot be read, None where it can.
    notes : mapping, optional
        What the venue's reader says of such recordings.
    max_bad, max_bytes
        As `ingest_file`.

    Raises
    ------
    DataError
        The file cannot be read, is no recording, or too much of it cannot be right.
    """
    name = f"{venue}/{RECORDING}"
    found = _Found() if is_silent(path, max_bytes) else _read(path, rows_of, max_bytes)
    if found.torn and not (found.rows or found.notes or found.gaps):
        raise DataError(
            f"{path}: none of its {len(found.torn)} lines is a count of ns and a JSON object: it "
            "was not written by `liqbt record`"
        )
    told = {**(notes or {}), **found.notes, **({"gaps": found.gaps} if found.gaps else {})}
    if not found.rows and not found.torn:
        return nothing(path, name, reader=READER, notes=told)
    kinds = {row.kind for row in found.rows}
    mapping = parse_map(_map(name, venue, polled, price_is, depth=Kind.DEPTH in kinds), name)
    rows = _rows(path, found, wrong, told)
    try:
        return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=READER)
    except NoRowsError:
        return nothing(path, name, reader=READER, notes=told)


def _read(path: Path, rows_of: RowsOf, max_bytes: int) -> _Found:
    found = _Found()
    with open_stream(path, max_bytes) as stream:
        number = 0
        while data := stream.readline(_MAX_LINE):
            number += 1
            known, message = _parsed(data)
            if known is None or message is None:
                found.torn.append((number, data[:200].decode("utf-8", "replace")))
            elif "gap" in message:
                since = count(message.get("since")) or known
                reason = _clean(str(message["gap"]), 200)
                found.gaps.append(f"{when(since)} to {when(known)}: {reason}")
            else:
                _take(found, number, known, list(rows_of(message)))
    return found


def _take(found: _Found, line: int, known: Ns, rows: list[Row]) -> None:
    """Keep the rows of a message, those of a liquidation that was told before apart."""
    if not rows:
        found.notes["other_messages"] += 1
    here: Counter[Row] = Counter()
    for row in rows:
        if row.kind == Kind.DEPTH and math.isnan(row.one):
            found.notes["books_without_bands"] += 1
            continue
        if row.kind == Kind.LIQUIDATION:
            if row.two == 0:
                found.notes["unfilled_pushes"] += 1
                continue
            here[row] += 1
            if here[row] <= found.held[row]:
                found.notes["repeated_pushes"] += 1
                continue
            found.held[row] = here[row]
        found.rows.append(row)
        found.known.append(known)
        found.lines.append(line)


def _rows(
    path: Path, found: _Found, wrong: Callable[[str], str | None], notes: Mapping[str, Any]
) -> SourceRows:
    rows = found.rows
    symbols = [_clean(row.symbol, 80) for row in rows]
    known = np.array(found.known, dtype=np.int64)
    table = pa.table(
        {
            "kind": pa.array([row.kind.name for row in rows], pa.string()),
            "symbol": pa.array(symbols, pa.string()),
            "time": pa.array([row.time_ns for row in rows], pa.int64()),
            "known": pa.array(known),
            **{c: pa.array([getattr(row, c) for row in rows], pa.float64()) for c in _CELLS},
            "side": pa.array([row.side for row in rows], pa.string()),
        }
    )
    names = np.array(symbols, dtype=object)
    reasons = {symbol: wrong(symbol) for symbol in sorted(set(symbols))}
    return SourceRows(
        raw=RawTable(file=path.name, table=table, ragged=tuple(found.torn)),
        number=np.array(found.lines, dtype=np.int64),
        total=len(found.lines) + len(found.torn),
        bad={
            reason: np.asarray(names == symbol, dtype=bool)
            for symbol, reason in reasons.items()
            if reason is not None
        },
        notes=notes,
    )


def _map(
    name: str, venue: str, polled: Collection[Kind], price_is: str, *, depth: bool
) -> dict[str, Any]:
    emits = []
    for kind, fields in _FIELDS.items():
        if kind == Kind.DEPTH and not depth:
            continue  # the map of such a file is what it was
        columns = {f: c for f, c in zip(fields, _CELLS, strict=False) if f}
        emits.append(
            {
                "kind": kind.name.lower(),
                "where": {"kind": kind.name},
                "fields": columns,
                "feed": "polled" if kind in polled else "pushed",
                **({"price_is": price_is} if kind == Kind.LIQUIDATION else {}),
                **({"price_is": "mark"} if kind == Kind.MARK else {}),
                **({"side": _BOOK_SIDE} if kind == Kind.DEPTH else {}),
            }
        )
    return {
        "name": name,
        "time": {"column": "time", "unit": "ns"},
        "stamp": "instant",
        "received": {"column": "known", "unit": "ns", "tolerance": "1s"},
        "revisions": "last_known",
        "venue": venue,
        "symbol": {"column": "symbol"},
        "side": {"column": "side", "means": "position_side"},
        "emit": emits,
    }


def _parsed(data: bytes) -> tuple[Ns | None, Mapping[str, Any] | None]:
    received, _, text = data.partition(b" ")
    try:
        message = json.loads(text)
        return count(received.decode()) or None, message if isinstance(message, dict) else None
    except (ValueError, RecursionError):
        return None, None


def _clean(text: str, most: int) -> str:
    """Return text as a file can hold it."""
    return text[:most].encode("utf-8", "replace").decode()


def number(value: Any) -> float:
    """Return a cell as a float; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")


def count(value: Any) -> Ns:
    """Return a count of ns; 0 where it is none from 2009 to 2100."""
    text = str(value) if isinstance(value, str | int) else ""
    good = len(text) == 19 and text.isascii() and text.isdigit()
    return int(text) if good and EARLIEST_NS <= int(text) < LATEST_NS else 0


def ms(value: Any) -> Ns:
    """Return a count of milliseconds as ns; 0 where it is none from 2009 to 2100."""
    return count(f"{value}000000") if isinstance(value, str | int) else 0


def documents(message: Mapping[str, Any], key: str = "data") -> list[Mapping[str, Any]]:
    """Return the objects below a key: one, or a list of them."""
    data = message.get(key)
    return [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict)]


def book_levels(bids: Any, asks: Any) -> tuple[FloatArray, FloatArray] | None:
    """Return the levels of a book, best first: price and size, of shape (n, 2) on each side.

    None where a side is empty or out of order, a cell is no price or amount, or the two cross.

    Parameters
    ----------
    bids, asks : list
        Of lists that begin with a price and a size, as text or numbers.
    """
    try:
        sides = [np.array([[float(c) for c in level[:2]] for level in s]) for s in (bids, asks)]
    except (TypeError, ValueError, LookupError, OverflowError):
        return None
    for side, sign in zip(sides, (-1, 1), strict=True):
        if side.ndim != 2 or side.shape[1] != 2 or not (side <= _MOST).all():
            return None
        if (
            (side[:, 0] <= 0).any()
            or (side[:, 1] < 0).any()
            or (np.diff(sign * side[:, 0]) <= 0).any()
        ):
            return None
    return (sides[0], sides[1]) if sides[0][0, 0] < sides[1][0, 0] else None


def no_bands(symbol: str, time_ns: Ns) -> Row:
    """Return the row of a book that no band can be had from."""
    return Row(Kind.DEPTH, symbol, time_ns, float("nan"), side="bid")


def book_rows(
    symbol: str,
    time_ns: Ns,
    bids: Any,
    asks: Any,
    coins: Callable[[FloatArray, FloatArray], FloatArray] = lambda size, _: size,
) -> Iterator[Row]:
    """Yield the bands of a book between the middle and each of `BANDS`, as far as it is shown.

    What lies beyond the outermost level is not empty but unseen: a band that reaches further is
    none. Where even the first does, there is one a side, up to the outermost level.

    Parameters
    ----------
    symbol, time_ns
        Of the rows.
    bids, asks
        As `book_levels`.
    coins : callable
        Takes sizes and prices, and returns coins; by default sizes are coins.

    Examples
    --------
    >>> bids, asks = [["99.99", "2"], ["99.96", "1"]], [["100.01", "3"]]
    >>> for row in book_rows("X", 0, bids, asks):
    ...     print(row.side, round(row.one, 2), round(row.two, 2), row.three, round(row.four, 2))
    bid 99.98 100.0 2.0 199.98
    ask 100.0 100.01 3.0 300.03
    """
    sides = book_levels(bids, asks)
    if sides is None:
        yield no_bands(symbol, time_ns)
        return
    middle = (sides[0][0, 0] + sides[1][0, 0]) / 2
    for word, sign, (price, size) in (("bid", -1, sides[0].T), ("ask", 1, sides[1].T)):
        held = coins(size, price)
        edges = middle * (1 + sign * np.array(BANDS))
        edges = edges[sign * (price[-1] - edges) >= 0]
        if not len(edges):
            edges = price[-1:] if sign < 0 else np.nextafter(price[-1:], np.inf)
        edges = np.concatenate([[middle], edges])
        for one, other in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            low, high = min(one, other), max(one, other)
            inside = (price >= low) & (price < high)
            amount, usd = held[inside].sum(), (held * price)[inside].sum()
            yield Row(
                Kind.DEPTH, symbol, time_ns, low, high, word, three=float(amount), four=float(usd)
            )

"""Tardis: daily CSV files of many venues, with both clocks observed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError
from liqbt.ingest.cells import as_numbers
from liqbt.ingest.colmap import ColumnMap
from liqbt.ingest.detect_format import column_names, detect_format
from liqbt.ingest.files import MAX_BYTES, NoRowsError
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing
from liqbt.sources.tardis.book import book
from liqbt.sources.tardis.tables import deals, ticker
from liqbt.sources.tardis.units import Face

__all__ = ["FORMATS", "OPTIONS", "Face", "read"]

OPTIONS: Final = {"face_coins": float, "face_usd": float}
"""What `read` takes beside the file, each from its text."""

READER: Final = "tardis 1"
"""Goes up when the same file would give other events."""

_DEALS: Final = (
    "exchange",
    "symbol",
    "timestamp",
    "local_timestamp",
    "id",
    "side",
    "price",
    "amount",
)
_COLUMNS: Final = {
    "trades": _DEALS,
    "liquidations": _DEALS,
    "derivative_ticker": (
        "timestamp",
        "local_timestamp",
        "funding_rate",
        "open_interest",
        "mark_price",
    ),
    "book_snapshot_5": ("timestamp", "local_timestamp", "asks[0].price", "bids[4].amount"),
    "book_snapshot_25": ("timestamp", "local_timestamp", "asks[0].price", "bids[24].amount"),
}
FORMATS: Final = tuple(_COLUMNS)
"""The vendor's data types. Columns and units of time: read in its documentation; that a
liquidation's `buy` closed a short: read in its own client, which turns Bybit's side around."""


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    face_coins: float | None = None,
    face_usd: float | None = None,
) -> Ingested:
    """Read one of the vendor's CSV files; nothing is written.

    Latency is observed: a row is known at `local_timestamp`, or at `timestamp` where the local
    clock lies up to 10 s behind it (counted in the note `clock_behind_rows`). `one_clock_rows`
    counts rows whose two times are equal: there the venue gave none, and the latency of 0 is the
    vendor's substitute, not an observation.

    The venue is the vendor's own name of it (`binance-futures`), so that events of the same market
    from another vendor, whose ids may count something else, never merge with these.

    Parameters
    ----------
    path : Path
        CSV, plain, gzip or zip.
    format : str, optional
        One of `FORMATS`; by default told by the columns, and by the name where trades and
        liquidations have the same ones.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.
    face_coins, face_usd : float, optional
        What one unit of `amount` is, where the instrument is not known: so many coins (linear), or
        so many US dollars (inverse).

    Raises
    ------
    LiqbtError
        The file cannot be read as that format, or the unit of its amounts is not known.
    """
    path = Path(path)
    face = _face(face_coins, face_usd)
    name = _told(path, format)
    try:
        mapping, rows = _rows(path, name, face, "" if face is None else str(face), max_bytes)
    except NoRowsError:
        return nothing(path, f"tardis/{name}", reader=READER)
    rows = _filled(rows, name)
    mapping = mapping.model_copy(update={"revisions": "last_known"})  # both clocks are observed
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=READER)


def _filled(rows: SourceRows, name: str) -> SourceRows:
    """Return the rows; of liquidations those of which something was closed, the others counted."""
    if name != "liquidations":
        return rows
    unfilled = as_numbers(rows.raw.table["amount"])[0] == 0
    if not unfilled.any():
        return rows
    return replace(rows.pick(~unfilled), notes={**rows.notes, "unfilled_rows": int(unfilled.sum())})


def _rows(
    path: Path, name: str, face: Face | None, about: str, max_bytes: int
) -> tuple[ColumnMap, SourceRows]:
    if name in ("trades", "liquidations"):
        return deals(path, name.removesuffix("s"), face, about, max_bytes)
    if name == "derivative_ticker":
        return ticker(path, face, about, max_bytes)
    return book(path, name, face, about, max_bytes)


def _face(coins: float | None, usd: float | None) -> Face | None:
    if coins is not None and usd is not None:
        raise ConfigError("face_coins and face_usd contradict each other: give one")
    if coins is not None:
        return Face(unit="coins", size=float(coins))
    return None if usd is None else Face(unit="usd", size=float(usd))


def _told(path: Path, given: str | None) -> str:
    formats = dict(_COLUMNS)
    if given is None:
        words = path.name.lower()
        for one, other in (("liquidations", "trades"), ("trades", "liquidations")):
            if one in words and other not in words:
                del formats[other]
        if "bids[24].amount" in column_names(path):
            del formats["book_snapshot_5"]
    return detect_format(path, "tardis", formats, given)

"""Recordings of cryptofeed: liquidations, open interest and funding, with both clocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError
from liqbt.ingest.cells import as_words
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.detect_format import column_names
from liqbt.ingest.files import MAX_BYTES, NoRowsError
from liqbt.ingest.json_lines import json_names
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing, read_rows
from liqbt.log.symbols import no_dollar

READER: Final = "cryptofeed 1"
"""Goes up when the same file would give other events."""

FORMATS: Final = ("liquidations", "open-interest", "funding")
"""What its callbacks' objects write of themselves, as CSV or JSON lines, told by the columns. Read
in the library's source, not checked on a file."""

_IN_COINS: Final = {"BINANCE_FUTURES": "binance-um", "BYBIT": "bybit"}
"""Exchanges whose sizes are coins, and their venues here."""


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
) -> Ingested:
    """Read what a callback wrote with `to_dict` beside the receipt time; nothing is written.

    Columns are `exchange, symbol, timestamp, receipt_timestamp` (seconds) and, of liquidations,
    `side, quantity` (before 2.0 `leaves_qty`) and `price`; of open interest `open_interest`; of
    funding `rate`. Sizes are those of the venue: only of Binance's USD-M futures and of Bybit are
    they coins, and rows of others are refused. A side is the order's, of Bybit the position's.

    Parameters
    ----------
    path : Path
        CSV, JSON lines or Parquet, packed or not.
    format : str, optional
        One of `FORMATS`; by default told by the columns.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.

    Raises
    ------
    LiqbtError
        The file cannot be read as that format; one sentence.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"cryptofeed has no format {format!r}: it has {list(FORMATS)}")
    told = json_names(path, max_bytes)
    names = set(column_names(path)) if told is None else told[0]
    chosen = format or _told(path, names)
    name = f"cryptofeed/{chosen}"
    size = "quantity" if "quantity" in names else "leaves_qty"
    content: dict[str, Any] = {
        "name": name,
        "time": {"column": "timestamp", "unit": "s"},
        "stamp": "instant",
        "feed": "pushed",
        "received": {"column": "receipt_timestamp", "unit": "s", "tolerance": "1s"},
        "venue": {"column": "exchange", "rename": _IN_COINS},
        "symbol": {"column": "symbol"},
        "emit": _emits(chosen, size),
        **({} if told is None else {"jsonl": {}}),
    }
    mapping = parse_map(content, name, default_name=name)
    try:
        rows = read_rows(mapping, path, also=("exchange", "symbol"), max_bytes=max_bytes)
    except NoRowsError:
        return nothing(path, name, reader=READER)
    return ingest_rows(mapping, _checked(rows), path, max_bad=max_bad, reader=READER)


def _told(path: Path, names: set[str]) -> str:
    if names.issuperset(("exchange", "symbol", "side", "price", "status")):
        return "liquidations"
    if names.issuperset(("exchange", "symbol", "open_interest")):
        return "open-interest"
    if names.issuperset(("exchange", "symbol", "rate", "next_funding_time")):
        return "funding"
    has = sorted(name[:40] for name in names)[:12]
    raise DataError(f"{path}: its columns {has} are none of cryptofeed's {list(FORMATS)}")


def _emits(chosen: str, size: str) -> list[dict[str, Any]]:
    if chosen == "open-interest":
        return [{"kind": "open_interest", "fields": {"open_interest_coins": "open_interest"}}]
    if chosen == "funding":
        return [{"kind": "funding", "fields": {"rate": "rate"}}]
    gone: dict[str, Any] = {
        "kind": "liquidation",
        "fields": {"price": "price", "size_coins": size},
        "price_is": "bankruptcy",
    }
    order = {"column": "side", "means": "order_side"}
    position = {
        "column": "side",
        "means": "position_side",
        "values": {"buy": "long", "sell": "short"},
    }
    return [
        gone | {"where": {"exchange": "BINANCE_FUTURES"}, "side": order, "optional": True},
        gone | {"where": {"exchange": "BYBIT"}, "side": position, "optional": True},
    ]


def _checked(rows: SourceRows) -> SourceRows:
    """Note rows of exchanges whose sizes are contracts, and of quotes that are no dollar."""
    bad = dict(rows.bad)
    words, codes = as_words(rows.raw.table["exchange"])
    for i, word in enumerate(words):
        if word.strip() not in _IN_COINS:
            reason = (
                f"sizes of {word.strip()[:40]} are its own contracts, whose coins a recording does "
                "not say: read the venue's own messages, or use a column map"
            )
            bad[reason] = np.asarray(codes == i)
    words, codes = as_words(rows.raw.table["symbol"])
    for i, word in enumerate(words):
        quote = no_dollar(word.strip())
        if quote is not None:
            bad[f"{word[:40]} is quoted in {quote}, not in a dollar"] = np.asarray(codes == i)
    return replace(rows, bad=bad)

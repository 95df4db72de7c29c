"""Coinalyze: exports of its history of liquidations, open interest and prices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.detect_format import column_names
from liqbt.ingest.files import MAX_BYTES, NoRowsError
from liqbt.ingest.json_lines import json_names
from liqbt.ingest.spacing import UNKNOWN_SPAN, bucket_span
from liqbt.ingest.table import Ingested, ingest_rows, nothing, read_rows

FORMATS: Final = ("liquidations", "ohlcv", "open-interest")
"""By bucket: `liquidations` (`t, l, s`), `ohlcv` (`t, o, h, l, c, v`), `open-interest`
(`t, o, h, l, c`, which funding has too). Read in public code, not checked on a file."""

OPTIONS: Final = {"symbol": str, "unit": str, "span": str}
"""What `read` takes beside the file, each from its text."""

READER: Final = "coinalyze 1"
"""Goes up when the same file would give other events."""


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    symbol: str | None = None,
    unit: str | None = None,
    span: str | None = None,
) -> Ingested:
    """Read an answer of the vendor's interface, as JSON, or its rows as CSV; nothing is written.

    A bucket is stamped at its open (seconds) and known at its end: its length is the spacing of the
    rows. The newest bucket of an answer may not have ended when it was asked for: leave it out.

    Parameters
    ----------
    path : Path
        JSON (`[{"symbol": ..., "history": [...]}]`) or CSV, packed or not.
    format : str, optional
        One of `FORMATS`; told by the columns but for `open-interest`.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.
    symbol : str, optional
        The market, where the rows have no column `symbol`.
    unit : str, optional
        What the numbers are, which the answer does not say: liquidations are read in `usd`
        (`convert_to_usd=true`), open interest in `coins`.
    span : str, optional
        Length of a bucket, such as `1h`, where it is not that of most steps.

    Raises
    ------
    LiqbtError
        The file cannot be read as that format; one sentence.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"coinalyze has no format {format!r}: it has {list(FORMATS)}")
    told = json_names(path, max_bytes)
    names = set(column_names(path)) if told is None else told[0]
    if not names and told is not None:
        return nothing(path, "coinalyze/liquidations", reader=READER)
    chosen = format or _told(path, names)
    content: dict[str, Any] = {
        "name": f"coinalyze/{chosen}",
        "time": {"column": "t", "unit": "s"},
        "stamp": "open",
        "feed": "polled",
        "latency": "60s",
        "venue": "coinalyze",
        "symbol": symbol or {"column": "symbol"},
        "emit": [_emit(path, chosen, unit)],
    }
    if told is not None:
        content["jsonl"] = {"rows": told[1].rows}
    name = f"coinalyze/{chosen}"
    mapping = parse_map(content | {"span": span or UNKNOWN_SPAN}, name, default_name=name)
    try:
        rows = read_rows(mapping, path, max_bytes=max_bytes)
    except NoRowsError:
        return nothing(path, name, reader=READER)
    if span is None:
        length = bucket_span(rows, mapping)
        mapping = parse_map(content | {"span": length}, name, default_name=name)
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=READER)


def _told(path: Path, names: set[str]) -> str:
    if names.issuperset(("t", "l", "s")):
        return "liquidations"
    if names.issuperset(("t", "o", "h", "l", "c", "v")):
        return "ohlcv"
    has = sorted(name[:40] for name in names)[:12]
    raise DataError(
        f"{path}: its columns {has} are no liquidations and no prices of coinalyze; of open "
        "interest say coinalyze/open-interest?unit=coins"
    )


def _emit(path: Path, chosen: str, unit: str | None) -> dict[str, Any]:
    """Return what a row gives; refuse numbers of a unit that nobody stated."""
    if chosen == "ohlcv":
        prices = {"open": "o", "high": "h", "low": "l", "close": "c", "volume_coins": "v"}
        return {"kind": "bar", "price_is": "last", "fields": prices}
    wanted = "usd" if chosen == "liquidations" else "coins"
    if unit != wanted:
        how = "convert_to_usd=true" if wanted == "usd" else "convert_to_usd=false"
        raise DataError(
            f"{path}: whether its numbers are USD or coins is not in the file, and {chosen} are "
            f"read in {wanted}: ask with {how} and say coinalyze/{chosen}?unit={wanted}"
        )
    if wanted == "usd":
        return {"kind": "liquidation_total", "fields": {"long_usd": "l", "short_usd": "s"}}
    return {"kind": "open_interest", "fields": {"open_interest_coins": "c"}}

"""Coinglass: exports of its history of liquidations, and of open interest in coins."""

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

FORMATS: Final = ("liquidations", "open-interest")
"""`liquidations`: of one venue or aggregated, by bucket, in USD; `open-interest`: open, high, low
and close by bucket. Read in public code, not checked on a file."""

OPTIONS: Final = {"symbol": str, "unit": str, "span": str}
"""What `read` takes beside the file, each from its text."""

READER: Final = "coinglass 1"
"""Goes up when the same file would give other events."""

_LIQUIDATED: Final = (
    ("aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd"),
    ("long_liquidation_usd", "short_liquidation_usd"),
    ("longLiquidationUsd", "shortLiquidationUsd"),
)
_TIMES: Final = ("time", "t", "createTime")


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

    A bucket is stamped at its open and known at its end: its length is the spacing of the rows. The
    newest bucket of an answer may not have ended when it was asked for: leave it out.

    Parameters
    ----------
    path : Path
        JSON (`{"data": [...]}`) or CSV, packed or not.
    format : str, optional
        One of `FORMATS`; by default liquidations. Open, high, low and close may be of anything, so
        that `open-interest` is said.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that may come out of a packed file.
    symbol : str, optional
        The coin or contract; by default the first three capitals or more of the file's name.
    unit : str, optional
        Of open interest: `coins`. In USD it says nothing of coins and is refused.
    span : str, optional
        Length of a bucket, such as `1h`, where it is not that of most steps.

    Raises
    ------
    LiqbtError
        The file cannot be read as that format; one sentence.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"coinglass has no format {format!r}: it has {list(FORMATS)}")
    told = json_names(path, max_bytes)
    names = set(column_names(path)) if told is None else told[0]
    if not names and told is not None:
        return nothing(path, "coinglass/liquidations", reader=READER)
    time = next((name for name in _TIMES if name in names), "time")
    pair = next((pair for pair in _LIQUIDATED if names.issuperset(pair)), None)
    shared: dict[str, Any] = {
        "time": {"column": time, "unit": "ms"},
        "stamp": "open",
        "feed": "polled",
        "latency": "60s",
        "venue": "coinglass",
        "symbol": symbol or {"file_name": "([A-Z0-9]{3,})"},
    }
    if told is not None:
        shared["jsonl"] = {"rows": told[1].rows}
    if format != "open-interest":
        if pair is None:
            has = sorted(name[:40] for name in names)[:12]
            raise DataError(
                f"{path}: its columns {has} are no liquidations of coinglass; of open interest say "
                "coinglass/open-interest?unit=coins"
            )
        name, emit = "coinglass/liquidations", _totals(pair)
    elif unit != "coins":
        raise DataError(
            f"{path}: open interest in USD does not say how many coins it is: ask for "
            "unit=coin and say coinglass/open-interest?unit=coins"
        )
    else:
        name = "coinglass/open-interest"
        emit = {"kind": "open_interest", "fields": {"open_interest_coins": "close"}}
    content = shared | {"name": name, "emit": [emit]}
    mapping = parse_map(content | {"span": span or UNKNOWN_SPAN}, name, default_name=name)
    try:
        rows = read_rows(mapping, path, max_bytes=max_bytes)
    except NoRowsError:
        return nothing(path, name, reader=READER)
    if span is None:
        length = bucket_span(rows, mapping)
        mapping = parse_map(content | {"span": length}, name, default_name=name)
    return ingest_rows(mapping, rows, path, max_bad=max_bad, reader=READER)


def _totals(pair: tuple[str, str]) -> dict[str, Any]:
    return {"kind": "liquidation_total", "fields": {"long_usd": pair[0], "short_usd": pair[1]}}

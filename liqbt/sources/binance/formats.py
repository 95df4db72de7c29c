"""Each type of archive file as a column map: columns, old and new headers, what a row gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from liqbt.errors import DataError
from liqbt.ingest.cells import UNIT_NS
from liqbt.ingest.colmap import ColumnMap, parse_map
from liqbt.ingest.files import MAX_BYTES, NoRowsError, header_shape, read_head
from liqbt.log.schema import EARLIEST_NS, LATEST_NS
from liqbt.sources.binance.layout import (
    INTERVAL_S,
    KLINES,
    PREMIUM,
    VENUES,
    FileName,
    face_usd,
)

_KLINE: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "metrics": (
        "create_time",
        "symbol",
        "sum_open_interest",
        "sum_open_interest_value",
        "count_toptrader_long_short_ratio",
        "sum_toptrader_long_short_ratio",
        "count_long_short_ratio",
        "sum_taker_long_short_vol_ratio",
    ),
    "klines": _KLINE,
    "markPriceKlines": _KLINE,
    "indexPriceKlines": _KLINE,
    "premiumIndexKlines": _KLINE,
    "aggTrades": (
        "agg_trade_id",
        "price",
        "quantity",
        "first_trade_id",
        "last_trade_id",
        "transact_time",
        "is_buyer_maker",
    ),
    "liquidationSnapshot": (
        "time",
        "side",
        "order_type",
        "time_in_force",
        "original_quantity",
        "price",
        "average_price",
        "order_status",
        "last_fill_quantity",
        "accumulated_fill_quantity",
    ),
    "fundingRate": ("calc_time", "funding_interval_hours", "last_funding_rate"),
    "bookDepth": ("timestamp", "percentage", "depth", "notional"),
}
"""The columns of each type, in the order of files without a header."""
TIME_COLUMN: Final = {
    "metrics": "create_time",
    "aggTrades": "transact_time",
    "liquidationSnapshot": "time",
    "fundingRate": "calc_time",
    "bookDepth": "timestamp",
}
_ALIASES: Final = {
    "aggregate_tradeid": "agg_trade_id",
    "aggregate_trade_id": "agg_trade_id",
    "qty": "quantity",
    "first_tradeid": "first_trade_id",
    "last_tradeid": "last_trade_id",
    "was_the_buyer_the_maker": "is_buyer_maker",
    "quote_asset_volume": "quote_volume",
    "base_asset_volume": "quote_volume",
    "number_of_trades": "count",
    "trades": "count",
    "taker_buy_base_asset_volume": "taker_buy_volume",
    "taker_buy_quote_asset_volume": "taker_buy_quote_volume",
    "funding_time": "calc_time",
    "funding_rate": "last_funding_rate",
}
_COUNTED_MS: Final = ("aggTrades", *(kind for kind in KLINES if kind != PREMIUM))
"""Types of which a spot file looks the same, but for microseconds since 2025."""
_LOOK: Final = 50
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?")
_PUSHED: Final = {"feed": "pushed", "latency": "1s"}
_POLLED: Final = {"feed": "polled", "latency": "60s"}


def archive_map(
    path: Path, market: str, name: FileName, *, max_bytes: int = MAX_BYTES
) -> ColumnMap:
    """Return how the rows of an archive file become events, after a look at its first lines.

    Whether there is a header, and whether times count milliseconds or microseconds, is told from
    the lines themselves: both changed over the years.

    Raises
    ------
    DataError
        The file cannot be read, or its first lines are not those of its type.
    """
    head = read_head(path, lines=_LOOK, max_bytes=max_bytes)
    has_header = not _is_data(head[0])
    columns = _header(head[0], name.format) if has_header else COLUMNS[name.format]
    if not has_header and len(head[0]) != len(columns):
        raise DataError(
            f"{path} has {len(head[0])} columns and no header: a file of {name.format} has "
            f"{len(columns)}"
        )
    time_column = TIME_COLUMN.get(name.format, "open_time")
    if time_column not in columns:
        has = [name[:40] for name in columns[:20]]
        raise DataError(f"{path} has no column {time_column!r}; it has {has}")
    place = columns.index(time_column)
    unit = _time_unit(path, [row[place] for row in head[has_header:] if len(row) > place])
    if unit in ("us", "ns") and name.format in _COUNTED_MS:
        raise DataError(
            f"{path}: {time_column!r} counts {unit}, and files of futures count ms: this is a spot "
            "file, whose prices are not those of the perpetual"
        )
    content = _content(market, name, {"column": time_column, "unit": unit})
    content["name"] = f"{VENUES[market]}/{name.format}"
    mapping = parse_map(content, str(path))
    shape = header_shape(path, columns, skip=int(has_header))
    return mapping.model_copy(update={"csv": shape})


def _is_data(cells: Sequence[str]) -> bool:
    first = cells[0].strip() if cells else ""
    return bool(_NUMBER.fullmatch(first) or _ISO.fullmatch(first))


def _header(cells: Sequence[str], kind: str) -> list[str]:
    """Return a header's names as they are today; unknown and repeated ones become nobody's."""
    names: list[str] = []
    for i, cell in enumerate(cells):
        plain = re.sub(r"\s+", "_", cell.strip().lower())
        name = _ALIASES.get(plain, plain)
        if name == "timestamp" and kind == "aggTrades":
            name = "transact_time"
        names.append(name if name not in names else f"{name}#{i}")
    return names


def _time_unit(path: Path, cells: Sequence[str]) -> str:
    for cell in (c.strip() for c in cells):
        if _ISO.fullmatch(cell):
            return "iso"
        if _NUMBER.fullmatch(cell):
            for unit, factor in UNIT_NS.items():
                if EARLIEST_NS // factor <= float(cell) < LATEST_NS // factor:
                    return unit
    if not cells:
        raise NoRowsError(f"{path} has a header but no rows")
    raise DataError(f"{path}: the first times, such as {cells[0][:40]!r}, are none")


def _content(market: str, name: FileName, time: dict[str, str]) -> dict[str, Any]:
    """Return the column map of a type as plain values."""
    venue = VENUES[market]
    base: dict[str, Any] = {"time": time, "stamp": "instant", "venue": venue, "symbol": name.symbol}
    if market == "cm":
        base["constants"] = {"face_usd": face_usd(name.symbol)}
    if name.format in ("klines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines"):
        return {**base, **_klines(market, venue, name)}
    return {**base, **_BUILDERS[name.format](market, venue)}


def _metrics(market: str, venue: str) -> dict[str, Any]:
    """Open interest every five minutes, and the mark that its value implies.

    UM: coins and USDT. CM: contracts and coins (checked: 5,578,700 contracts of 100 USD worth
    18,265.009 BTC at 2023-06-25T00:00Z are 30,543 USD a coin). The implied mark is a point: it has
    a venue of its own, for points and bars of one instrument would not mix.
    """
    coins, usd = "sum_open_interest", "sum_open_interest_value"
    if market == "cm":
        coins, usd = "sum_open_interest_value", "sum_open_interest * face_usd"
    interest = {"open_interest_coins": coins, "open_interest_usd": usd}
    mark = {"price": f"({usd}) / {coins}"}
    return {
        **_POLLED,
        "symbol": {"column": "symbol"},
        "emit": [
            {
                "kind": "mark",
                "venue": f"{venue}-metrics",
                "fields": mark,
                "price_is": "mark",
                "optional": True,
            },
            {"kind": "open_interest", "fields": interest, "optional": True},
        ],
    }


def _klines(market: str, venue: str, name: FileName) -> dict[str, Any]:
    """Bars, stamped at their open and known at their close.

    The eighth column is the quote volume of UM and the volume **in coins** of CM.
    """
    prices = {k: k for k in ("open", "high", "low", "close")}
    emit: dict[str, Any] = {"kind": "bar", "fields": prices, "price_is": "last"}
    if name.format == "klines":
        volume = "volume" if market == "um" else "quote_volume"
        emit["fields"] = {**prices, "volume_coins": volume}
    elif name.format == "markPriceKlines":
        emit = {"kind": "mark", "fields": prices, "price_is": "mark"}
    else:
        emit = {**emit, "venue": f"{venue}-index", "price_is": "index"}
    span = f"{INTERVAL_S[name.interval]}s"
    closes = {"closes": "close_time"}
    return {**_PUSHED, "stamp": "open", "span": span, "derive": closes, "emit": [emit]}


def _trades(market: str, _venue: str) -> dict[str, Any]:
    size = "quantity" if market == "um" else "quantity * face_usd / price"
    return {
        **_PUSHED,
        "id": "agg_trade_id",
        # the buyer was the maker: the taker sold
        "side": {
            "column": "is_buyer_maker",
            "means": "taker",
            "values": {"true": "sell", "false": "buy"},
        },
        "price_is": "last",
        "emit": [{"kind": "trade", "fields": {"price": "price", "size_coins": size}}],
    }


def _liquidations(market: str, _venue: str) -> dict[str, Any]:
    """Orders that closed positions, at what they were filled for; a push may be a second late."""
    filled = "accumulated_fill_quantity"
    size = filled if market == "um" else f"{filled} * face_usd / average_price"
    return {
        "feed": "pushed",
        "latency": "2s",
        "side": {"column": "side", "means": "order_side"},
        "price_is": "average",
        "emit": [{"kind": "liquidation", "fields": {"price": "average_price", "size_coins": size}}],
    }


def _funding(_market: str, _venue: str) -> dict[str, Any]:
    fields = {"rate": "last_funding_rate", "interval_hours": "funding_interval_hours"}
    return {**_POLLED, "emit": [{"kind": "funding", "fields": fields}]}


def _depth(_market: str, _venue: str) -> dict[str, Any]:
    """Bands between the archive's percentages, in the columns that `bands` makes."""
    fields = {k: k for k in ("low", "high", "depth_coins", "depth_usd")}
    return {
        **_POLLED,
        "side": {"column": "book_side", "means": "book_side"},
        "emit": [{"kind": "depth", "fields": fields}],
    }


_BUILDERS: Final = {
    "metrics": _metrics,
    "aggTrades": _trades,
    "liquidationSnapshot": _liquidations,
    "fundingRate": _funding,
    "bookDepth": _depth,
}

"""OKX's own liquidation orders as JSON: one REST answer, or pushes of the channel, one a line.

Both hold `data`, a list of `{instId, details: [{side, posSide, bkPx, sz, bkLoss, ts}]}` with every
number as text (read in several public clients; the channel is `liquidation-orders`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.files import NoRowsError, RawTable, is_silent, open_stream
from liqbt.ingest.table import SourceRows

COLUMNS: Final = ("instId", "side", "posSide", "bkPx", "sz", "ts")
_MAX_DOCUMENT: Final = 64 << 20
_MAX_LINE: Final = 4 << 20
_TORN: Final = "the line is no JSON object"


def message_rows(path: Path, max_bytes: int) -> SourceRows:
    """Return the liquidations of a file of messages as rows of text, with `COLUMNS`.

    Messages about something else (answers to a subscription, other channels) are counted in the
    note `other_messages`; what a later message repeats in every field (the channel does after a
    reconnect) counts once, and is counted in `repeated_pushes`; a line that is no JSON object is a
    row that cannot be right.

    Raises
    ------
    NoRowsError
        Nobody was liquidated: the recording is empty, or holds messages about something else.
    DataError
        The file cannot be read, or holds no message.
    """
    if is_silent(path, max_bytes):
        raise NoRowsError(f"{path} is empty")
    cells: list[tuple[str | None, ...]] = []
    torn: list[bool] = []
    others = repeated = 0
    known = False
    held: Counter[tuple[str | None, ...]] = Counter()
    for message in _messages(path, max_bytes):
        if message is None:
            cells.append((None,) * len(COLUMNS))
            torn.append(True)
            continue
        found = list(_details(message))
        others += not found
        known = known or isinstance(message.get("data"), list) or "event" in message
        fresh = _fresh(found, held)
        repeated += len(found) - len(fresh)
        cells += fresh
        torn += [False] * len(fresh)
    if known and not cells:
        raise NoRowsError(f"{path} holds no liquidation")
    if not cells or all(torn):
        raise DataError(f"{path} holds no message with the details of a liquidation")
    columns = {
        name: pa.chunked_array([pa.array([row[i] for row in cells], pa.string())])
        for i, name in enumerate(COLUMNS)
    }
    return SourceRows(
        raw=RawTable(file=path.name, table=pa.table(columns)),
        number=np.arange(1, len(cells) + 1, dtype=np.int64),
        total=len(cells),
        bad={_TORN: np.array(torn, dtype=bool)},
        notes={
            **({"other_messages": others} if others else {}),
            **({"repeated_pushes": repeated} if repeated else {}),
        },
    )


def _fresh(
    found: list[tuple[str | None, ...]], held: Counter[tuple[str | None, ...]]
) -> list[tuple[str | None, ...]]:
    """Return what a message says that none before it said, and remember it in `held`.

    Equal details of one message are twins; the same details in a later message are a repetition,
    as after a reconnect.
    """
    here: Counter[tuple[str | None, ...]] = Counter()
    fresh = []
    for detail in found:
        here[detail] += 1
        if here[detail] > held[detail]:
            held[detail] = here[detail]
            fresh.append(detail)
    return fresh


def _messages(path: Path, max_bytes: int) -> Iterator[Mapping[str, Any] | None]:
    """Yield one message a line, or the one that the file is; None for what is none."""
    with open_stream(path, max_bytes) as stream:
        first = stream.readline(_MAX_LINE)
        while first and not first.strip():
            first = stream.readline(_MAX_LINE)
        if _parsed(first) is None:
            rest = stream.read(_MAX_DOCUMENT)
            whole = None if len(rest) == _MAX_DOCUMENT else _parsed(first + rest)
            if whole is not None:
                yield whole
                return
            raise DataError(f"{path} is neither one JSON object nor one a line")
        line = first
        while line:
            if line.strip():
                yield _parsed(line)
            line = stream.readline(_MAX_LINE)


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) else None


def _details(message: Mapping[str, Any]) -> Iterator[tuple[str | None, ...]]:
    data = message.get("data")
    for item in data if isinstance(data, list) else []:
        details = item.get("details") if isinstance(item, Mapping) else None
        for detail in details if isinstance(details, list) else []:
            if isinstance(detail, Mapping):
                name = item.get("instId") or detail.get("instId")
                yield (_cell(name), *(_cell(detail.get(column)) for column in COLUMNS[1:]))


def _cell(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        text = str(value)[:400]
        text.encode()
    except ValueError:  # an integer with more digits than Python writes, or half a character
        return None
    return text

"""JSON, one message a line: the cells of each message, or of each row in a list that it holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from liqbt.errors import DataError
from liqbt.ingest.files import NoRowsError, RawTable, is_silent, open_stream
from liqbt.types import IntArray

_SUFFIXES: Final = (".jsonl", ".ndjson")
_MAX_LINE: Final = 16 << 20
_MAX_DOCUMENT: Final = 256 << 20


class JsonShape(BaseModel):
    """How a file of JSON lines is written.

    Attributes
    ----------
    rows : str
        Where in a message its rows are, as a dotted path to a list (or to one row); empty where the
        message is the row.
    before : str
        The name of the column for what stands in front of a message, such as a recorder's time;
        empty where nothing does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: str = ""
    before: str = ""


def read_json_lines(
    path: Path, wanted: Collection[str], shape: JsonShape, max_bytes: int
) -> tuple[RawTable, IntArray]:
    """Return the columns `wanted` of a file of messages as text, and the line of each row.

    A column's name is a dotted path (`o.ap`; a place in a list is a number, `0`) in a row, or,
    where the row has no such cell, in its message. Lines that are no JSON are given as `ragged`;
    messages without rows (answers to a subscription) give none.

    Raises
    ------
    NoRowsError
        The file is empty, or none of its messages has a row.
    DataError
        The file cannot be read, no line is JSON, or no row has a wanted column.
    """
    if is_silent(path, max_bytes):
        raise NoRowsError(f"{path} is empty")
    names = list(dict.fromkeys(wanted))
    cells: dict[str, list[str | None]] = {name: [] for name in names}
    lines: list[int] = []
    torn: list[tuple[int, str]] = []
    first: Mapping[str, Any] | None = None
    for line, before, message, text in _messages(path, shape, max_bytes):
        if message is None:
            torn.append((line, text[:200]))
            continue
        for one in _documents(message, shape.rows):
            rows = _rows(one, shape.rows)
            whole = _flat(one) if rows and rows != [one] else {}
            for row in rows:
                own = _flat(row)
                if shape.before:
                    own[shape.before] = before
                first = {**whole, **own} if first is None else first
                lines.append(line)
                for name in names:
                    cells[name].append(own[name] if name in own else whole.get(name))
    if not lines and not torn:
        raise NoRowsError(f"{path} has messages but no rows")
    if not lines:
        raise DataError(f"{path}: none of its {len(torn)} lines is JSON; the first is {torn[0][0]}")
    for name in names:
        if all(cell is None for cell in cells[name]):
            has = [key[:40] for key in list(first or {})[:20]]
            raise DataError(f"{path} has no column {name!r}; its first row has {has}")
    table = pa.table({name: pa.array(values, pa.string()) for name, values in cells.items()})
    return RawTable(file=path.name, table=table, ragged=tuple(torn)), np.array(
        lines, dtype=np.int64
    )


def told_shape(path: Path, column: str, max_bytes: int) -> JsonShape | None:
    """Return how a file of messages is written whose map does not say; None where it is no JSON.

    Its rows lie where the column of times does: in the message, or in the one list of it.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    if path.suffix == ".parquet" or is_silent(path, max_bytes):
        return JsonShape() if path.suffix in _SUFFIXES else None
    with open_stream(path, max_bytes) as stream:
        if stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
            return None
    for _, _, message, _ in _messages(path, JsonShape(), max_bytes):
        if not isinstance(message, dict):
            return None
        if column in _flat(message):
            return JsonShape()
        places = [key for key, rows in message.items() if _holds(rows, column)]
        if len(places) == 1:
            return JsonShape(rows=places[0])
    return None


def _holds(rows: Any, column: str) -> bool:
    first = rows[0] if isinstance(rows, list) and rows else rows
    return isinstance(first, dict) and column in _flat(first)


def _messages(
    path: Path, shape: JsonShape, max_bytes: int
) -> Iterator[tuple[int, str, Any | None, str]]:
    """Yield line, what stands before it, message and text; the whole file where it is one."""
    with open_stream(path, max_bytes) as stream:
        number = 0
        while data := stream.readline(_MAX_LINE):
            number += 1
            text = data.decode("utf-8-sig", "replace").strip()
            if not text:
                continue
            before, message = _parsed(text, shape)
            if message is None and number == 1:
                rest = stream.read(_MAX_DOCUMENT).decode("utf-8", "replace")
                whole = _parsed(text + rest, shape)[1]
                if whole is not None:
                    yield 1, "", whole, ""
                    return
                yield 1, before, None, text
                yield from (
                    (i, *_parsed(line.strip(), shape), line)
                    for i, line in enumerate(rest.split("\n"), start=2)
                    if line.strip()
                )
                return
            yield number, before, message, text


def _parsed(text: str, shape: JsonShape) -> tuple[str, Any | None]:
    before = ""
    if shape.before:
        places = [text.find(mark) for mark in "{[" if mark in text]
        start = min(places) if places else 0
        before, text = text[:start].strip().rstrip(",;:\t"), text[start:]
    try:
        value = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return before, None
    return before, value if isinstance(value, dict | list) else None


def _documents(message: Any, place: str) -> list[Any]:
    """Return the messages of a message: its elements, where it is a list and each holds rows."""
    if place and isinstance(message, list) and all(isinstance(one, dict) for one in message):
        return message
    return [message]


def json_names(path: Path, max_bytes: int) -> tuple[set[str], JsonShape] | None:
    """Return the names in the first row of a file of messages, and its shape; None: no JSON.

    The rows are the one list of a message, or of the first of a list of messages.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    if path.suffix == ".parquet" or is_silent(path, max_bytes):
        return None
    with open_stream(path, max_bytes) as stream:
        if stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
            return None
    for _, _, message, _ in _messages(path, JsonShape(), max_bytes):
        first = message[0] if isinstance(message, list) and message else message
        if not isinstance(first, dict):
            return set(), JsonShape()
        places = [key for key, rows in first.items() if isinstance(rows, list)]
        if len(places) != 1:
            return set(_flat(first)), JsonShape()
        rows = first[places[0]]
        return set(_flat(rows[0])) if rows else set(), JsonShape(rows=places[0])
    return None


def _rows(message: Any, place: str) -> list[Any]:
    """Return the rows of a message: what lies at `place`, or a list's own elements."""
    found = message
    for step in place.split(".") if place else ():
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, list):
        nested = [row for row in found if isinstance(row, dict | list)]
        return nested if nested or not found or place else [found]
    return [found] if isinstance(found, dict) else []


def _flat(value: Any, path: str = "") -> dict[str, str | None]:
    """Return the cells below a value by their dotted path."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        out: dict[str, str | None] = {}
        for key, inner in pairs:
            out.update(_flat(inner, f"{path}.{key}" if path else str(key)))
        return out
    if value is None or not path:
        return {path: None} if path else {}
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {path: text.encode("utf-8", "replace").decode()}

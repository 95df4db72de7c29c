"""The same records in another order: shuffled files, shuffled logs."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.errors import DataError
from liqbt.log.disk import read_parquet
from liqbt.log.store import EventLog
from liqbt.types import Kind


def shuffled_log(log: EventLog, folder: Path, rng: np.random.Generator) -> EventLog:
    """Return a new log of the same rows: shuffled, parted at random, in two commits.

    Parameters
    ----------
    log : EventLog
        Read as it stands, duplicates between its commits included.
    folder : Path
        Where the new log is made; it must not exist.
    rng : numpy.random.Generator
        Shuffles.
    """
    parts: list[list[tuple[Kind, pa.Table]]] = [[], []]
    for kind in reversed(Kind):
        table = log.read(kind)
        n = table.num_rows
        shuffled = table.take(pa.array(rng.permutation(n)))
        middle = int(rng.integers(0, n + 1))
        parts[0].append((kind, shuffled.slice(middle)))
        parts[1].append((kind, shuffled.slice(0, middle)))
    return _written(folder, parts)


def reversed_log(log: EventLog, folder: Path) -> EventLog:
    """Return a new log of the same rows, the last first, in one commit."""
    tables = [(kind, log.read(kind)) for kind in reversed(Kind)]
    backwards = [(k, t.take(pa.array(np.arange(t.num_rows)[::-1].copy()))) for k, t in tables]
    return _written(folder, [backwards])


def _written(folder: Path, parts: Iterable[list[tuple[Kind, pa.Table]]]) -> EventLog:
    made = EventLog.create(folder)
    for i, tables in enumerate(parts):
        made.append(tables, _source(i))
    return made


def _source(number: int) -> dict[str, Any]:
    return {"file": f"part {number}", "file_sha256": f"part {number}"}


def shuffle_file(source: Path, target: Path, rng: np.random.Generator) -> bool:
    """Write the rows of a table file in another order; return whether that could be done.

    Parquet and CSV, plain, in gzip or as the one member of a zip, keep their form and name. What is
    none of these, or has quotes (a cell might hold the end of a line), is copied as it is.

    Parameters
    ----------
    source, target : Path
        The file, and where it is written.
    rng : numpy.random.Generator
        Shuffles.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    if data[:4] == b"PAR1":
        table = read_parquet(source)
        pq.write_table(table.take(pa.array(rng.permutation(table.num_rows))), target)
        return True
    shuffled = _shuffled_bytes(data, rng)
    target.write_bytes(data if shuffled is None else shuffled)
    return shuffled is not None


def _shuffled_bytes(data: bytes, rng: np.random.Generator) -> bytes | None:
    if data[:2] == b"\x1f\x8b":
        inner = _shuffled_lines(gzip.decompress(data), rng)
        return None if inner is None else gzip.compress(inner, compresslevel=1, mtime=0)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = packed.namelist()
            inner = _shuffled_lines(packed.read(names[0]), rng) if len(names) == 1 else None
        return None if inner is None else _zipped(names[0], inner)
    return _shuffled_lines(data, rng)


def _zipped(name: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr(zipfile.ZipInfo(name), data)
    return sink.getvalue()


def _shuffled_lines(data: bytes, rng: np.random.Generator) -> bytes | None:
    if b'"' in data or b"\x00" in data:
        return None
    lines = data.splitlines()
    head = lines[:1] if lines and _is_header(lines[0]) else []
    rows = lines[len(head) :]
    return b"\n".join([*head, *(rows[i] for i in rng.permutation(len(rows)))]) + b"\n"


def _is_header(line: bytes) -> bool:
    """Return whether no cell of a line is a number."""
    for cell in line.replace(b";", b",").replace(b"\t", b",").split(b","):
        try:
            float(cell)
        except ValueError:
            continue
        return False
    return True

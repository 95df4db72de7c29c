"""Mutators that know what a table looks like: bytes, lines, cells, headers, packings, YAML."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "mutate_bytes",
    "mutate_json",
    "mutate_lines",
    "mutate_yaml",
    "packed",
    "parquet_of",
]

CELLS = [
    b"", b" ", b"0", b"-0", b"-1", b"nan", b"NaN", b"inf", b"-inf", b"null", b"None", b"N/A",
    b"1e309", b"-1e309", b"1e-320", b"1e18", b"1.5", b"0x10", b"1_000", b"1,000", b"\xd9\xa1",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"9" * 25, b"1" * 400,
    b"18446744073709551616", b"1700000000", b"1700000000000", b"1700000000000000",
    b"1700000000000000000", b"1700000000.5", b"1.7e12", b"-62135596800", b"253402300799",
    b"2025-01-01", b"2025-02-30", b"2025-01-01T00:00:00Z", b"2025-01-01 00:00:00+05:30",
    b"2025-13-01T99:99:99", b"0001-01-01", b"9999-12-31T23:59:59.999999999", b"1677-09-21",
    b"2262-04-12T00:00:00", b"true", b"false", b"True", b"buy", b"SELL", b"Buy ", b"long", b"S",
    b'"', b'""', b'"a', b'"a\nb"', b"'", b"\x00", b"a\x00b", b"\xff\xfe", b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae", b"\xef\xbf\xbd", b"\xef\xbb\xbf", b"../../etc/passwd", b"a/b", b"-", b"--help",
    b"=1+1", b"x" * 70, b"x" * 5000, b"\t", b"\\", b"{}", b"[]", b"{{}}", b"%s", b"\x1b[31m",
    b"BTCUSDT", b"btcusdt", "ВТС".encode(), "１２".encode(), b"1e", b"+5", b".5", b"5.", b"--5",
    b"1 2",
]  # fmt: skip


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with a few bytes flipped, cut, repeated, put in or exchanged."""
    if not data:
        return rng.choice(CELLS)
    i = rng.randrange(len(data))
    j = min(len(data), i + rng.choice([1, 1, 2, 4, 16, 64]))
    match rng.randrange(8):
        case 0:
            return data[:i] + bytes([data[i] ^ (1 << rng.randrange(8))]) + data[i + 1 :]
        case 1:
            return data[:i] + bytes([rng.randrange(256)]) + data[i + 1 :]
        case 2:
            return data[:i] + data[j:]
        case 3:
            return data[:i] + data[i:j] * rng.choice([2, 3, 50]) + data[j:]
        case 4:
            return data[:i]
        case 5:
            return data[:i] + rng.choice(CELLS) + data[i:]
        case 6:
            return (
                data[:i] + bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9))) + data[j:]
            )
        case _:
            k = rng.randrange(len(data))
            return data[:i] + data[k : k + j - i] + data[j:]


def mutate_lines(data: bytes, rng: random.Random, delimiter: bytes = b",") -> bytes:
    """Return the CSV `data` with cells, rows, columns or its header changed."""
    end = b"\r\n" if b"\r\n" in data else b"\n"
    lines = data.split(end)
    i = rng.randrange(len(lines))
    cells = lines[i].split(delimiter)
    c = rng.randrange(len(cells))
    match rng.randrange(18):
        case 0 | 1 | 2 | 3 | 4:
            cells[c] = rng.choice(CELLS)
            lines[i] = delimiter.join(cells)
        case 5:
            cells[c] = mutate_bytes(cells[c], rng)
            lines[i] = delimiter.join(cells)
        case 6:
            other = rng.choice(lines).split(delimiter)
            cells[c] = rng.choice(other)
            lines[i] = delimiter.join(cells)
        case 7:
            lines[i] = delimiter.join(cells[:c] + cells[c + 1 :])
        case 8:
            lines[i] = delimiter.join([*cells[:c], rng.choice(CELLS), *cells[c:]])
        case 9:
            lines.insert(i, rng.choice(lines))
        case 10:
            del lines[i]
        case 11:
            k = rng.randrange(len(lines))
            lines[i], lines[k] = lines[k], lines[i]
        case 12:  # one column, everywhere
            cell = rng.choice(CELLS)
            lines = [_with(line, c, cell, delimiter) if r else line for r, line in enumerate(lines)]
        case 13:  # two columns change places below the header
            k = rng.randrange(len(cells))
            lines = [_swapped(line, c, k, delimiter) if r else line for r, line in enumerate(lines)]
        case 14:
            end = rng.choice([b"\r\n", b"\r", b"\n\n", b"\n\r", b" \n"])
        case 15:
            delimiter = rng.choice([b";", b"\t", b" ", b"|", b",,"])
            lines = [line.replace(b",", delimiter) for line in lines]
        case 16:
            head = rng.choice(
                [b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"#c\n", b'"', b"PAR1", b"PK\x03\x04"]
            )
            lines[0] = head + lines[0]
        case _:
            lines = lines[: rng.randrange(3)] if rng.random() < 0.3 else lines[:1] + lines[i:]
    return end.join(lines)


_JSON: list[object] = [
    None, True, False, 0, -1, 1.5, 1e308, 2**63, 10**400, "", "nan", "x" * 5000, "\0",
    "\ud800", "buy",
    [], {}, [[]], {"a": {}}, [{"details": [1]}], "BTCUSDT", "1e999", "1700000000000", 1_700_000_000,
]  # fmt: skip


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Return JSON lines with a value somewhere in one of them exchanged, dropped or doubled."""
    lines = data.split(b"\n")
    i = rng.randrange(len(lines))
    try:
        value = json.loads(lines[i])
    except (ValueError, RecursionError):
        return mutate_bytes(data, rng)
    draw = rng.random()
    if draw < 0.05:
        lines[i] = b"[" * 5_000 + b"]" * 5_000
    elif draw < 0.1:
        lines[i] = rng.choice([b"NaN", b"Infinity", b"1" * 5000, b'{"a": ' * 3000, b"{}", b'""'])
    else:
        lines[i] = json.dumps(_other(value, rng)).encode()
    return b"\n".join(lines)


def _other(value: object, rng: random.Random) -> object:
    if rng.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return rng.choice(_JSON)
    if isinstance(value, list):
        k = rng.randrange(len(value))
        return [*value[:k], _other(value[k], rng), *value[k + rng.randrange(2) :]]
    key = rng.choice(list(value))
    if rng.random() < 0.15:
        return {k: v for k, v in value.items() if k != key}
    return {**value, key: _other(value[key], rng)}


def _with(line: bytes, column: int, cell: bytes, delimiter: bytes) -> bytes:
    cells = line.split(delimiter)
    if column < len(cells):
        cells[column] = cell
    return delimiter.join(cells)


def _swapped(line: bytes, a: int, b: int, delimiter: bytes) -> bytes:
    cells = line.split(delimiter)
    if max(a, b) < len(cells):
        cells[a], cells[b] = cells[b], cells[a]
    return delimiter.join(cells)


def _zip(data: bytes, rng: random.Random) -> bytes:
    out = io.BytesIO()
    names = ["a.csv", "a.txt", "a.CSV", "a.exe", "../a.csv", "/a.csv", "d/a.csv", "a.csv/", "\x01"]
    name = "a.csv" if rng.random() < 0.7 else rng.choice(names)
    how = rng.choice(
        [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    with zipfile.ZipFile(out, "w", how) as archive:
        archive.writestr(name, data)
        for k in range(rng.choice([0, 0, 0, 0, 1, 2])):
            archive.writestr(f"more{k}.csv", data)
    return out.getvalue()


def packed(data: bytes, rng: random.Random) -> bytes:
    """Return `data` as it is, or in a gzip or a zip, perhaps a damaged one."""
    draw = rng.random()
    if draw < 0.7:
        return data
    out = gzip.compress(data, 1, mtime=0) if draw < 0.85 else _zip(data, rng)
    return mutate_bytes(out, rng) if rng.random() < 0.5 else out


def _texts(column: pa.ChunkedArray) -> list[str]:
    return [f"{i}" if v is None else v for i, v in enumerate(_strings(column))]


def _strings(column: pa.ChunkedArray) -> list[str | None]:
    try:
        found: list[str | None] = column.cast(pa.string()).to_pylist()
    except (pa.ArrowException, ValueError):  # nested, or no text at all
        found = [None] * len(column)
    return found


_TYPES: list[Callable[[pa.ChunkedArray], pa.Array]] = [
    lambda c: pa.array([None] * len(c)),
    lambda c: pa.array(_texts(c)),
    lambda c: pa.array(_texts(c), pa.large_string()),
    lambda c: pa.array([v.encode() for v in _texts(c)]),
    lambda c: pa.array(_texts(c)).dictionary_encode(),
    lambda c: pa.array([bool(v) for v in _texts(c)]),
    lambda c: pa.array([[v] for v in _texts(c)]),
    lambda c: pa.array([{"a": v} for v in _texts(c)]),
    lambda c: pa.array(range(len(c)), pa.timestamp("ns")),
    lambda c: pa.array(range(len(c)), pa.timestamp("us", "Europe/Berlin")),
    lambda c: pa.array([2**62] * len(c), pa.timestamp("ms")),
    lambda c: pa.array([2**50] * len(c), pa.timestamp("us", "America/New_York")),
    lambda c: pa.array(range(len(c)), pa.timestamp("s", "Not/AZone")),
    lambda c: pa.array([2**30] * len(c), pa.date32()),
    lambda c: pa.array([2**40 * 86_400_000 // 2**20] * len(c), pa.date64()),
    lambda c: pa.array([20_000] * len(c), pa.date32()),
    lambda c: pa.array([5] * len(c), pa.time64("us")),
    lambda c: pa.array([5] * len(c), pa.duration("s")),
    lambda c: pa.array([2**64 - 1] * len(c), pa.uint64()),
    lambda c: pa.array([1] * len(c), pa.int8()),
    lambda c: pa.array([1] * len(c), pa.decimal128(20, 3)),
    lambda c: pa.array([float("inf")] * len(c)),
    lambda c: pa.array([1.5] * len(c), pa.float32()),
    lambda c: pa.array([1.7e12] * len(c)),
    lambda c: pa.array([1.5] * len(c)).cast(pa.float16()),
]


def parquet_of(table: pa.Table, rng: random.Random) -> bytes:
    """Return a table as Parquet, perhaps with a column of another type, perhaps damaged."""
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(len(table.schema.names))
        name, column = table.schema.names[at], table.column(at)
        match rng.randrange(6):
            case 0:
                table = table.remove_column(at) if table.num_columns > 1 else table
            case 1:
                table = table.append_column(name, column)
            case 2:
                table = table.slice(0, rng.randrange(3))
            case _:
                table = table.set_column(at, name, rng.choice(_TYPES)(column))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=rng.choice(["zstd", "snappy", "none"]))
    data = sink.getvalue().to_pybytes()
    return mutate_bytes(data, rng) if rng.random() < 0.4 else data


WORDS = [
    "null", "~", "true", "no", "0", "-1", "1e400", ".inf", ".nan", "1:30", "9" * 30, "0x1F", "0o7",
    "2025-01-01", "2025-99-99", "9999-12-31", "0001-01-01", "''", '""', '"\\0"', '"a\\nb"',
    "[]", "{}",
    "[[[[[]]]]]", "{a: {b: {c: {}}}}", "!!python/object/apply:os.system [ls]", "!!binary aGk=",
    "!!set {a}", "!!timestamp 2025-01-01", "!!omap [a: 1]", "!x y", "&a b", "*a", "<<: {a: 1}",
    "? [a]\n: b", "../../x", "/etc/passwd", "x" * 300, "ВТС", "\u202e", "a\tb", "60s", "0s",
    "99999999d",
    "1e9d", "-5min", "5m", "1.5h", "0.0000001s", "300y", "1e-320", "1e308", "5e-324", "mark",
    "trade",
    "simulated/SIM", "a/b/c", "/", "%n", "- a", "|", ">", "|\n  text", "@x", "`x`", "{{ x }}",
]  # fmt: skip


def mutate_yaml(text: str, rng: random.Random) -> str:
    """Return a YAML text with values, keys or lines changed."""
    lines = text.split("\n")
    i = rng.randrange(len(lines))
    line = lines[i]
    key, colon, _ = line.partition(": ")
    match rng.randrange(12):
        case 0 | 1 | 2 | 3:
            lines[i] = f"{key}: {rng.choice(WORDS)}" if colon else f"{line} {rng.choice(WORDS)}"
        case 4:
            at = rng.randrange(len(line) + 1)
            lines[i] = line[:at] + rng.choice(WORDS) + line[at:]
        case 5:
            lines[i] = mutate_bytes(line.encode(), rng).decode(errors="replace")
        case 6:
            lines.insert(i, rng.choice(lines))
        case 7:
            del lines[i]
        case 8:
            other = rng.choice(lines).partition(": ")[2]
            lines[i] = f"{key}: {other}" if colon else line
        case 9:
            lines[i] = (" " * rng.randrange(5)) + line.lstrip()
        case 10:  # one word of a flow mapping
            words = line.split(" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            lines[i] = " ".join(words)
        case _:
            return mutate_bytes(text.encode(), rng).decode(errors="replace")
    return "\n".join(lines)

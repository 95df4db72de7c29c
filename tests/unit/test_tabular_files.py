"""Files that are broken, hostile or not what they say: one clear sentence each."""

from __future__ import annotations

import gzip
import io
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqbt.errors import DataError
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.files import CsvShape, read_columns
from liqbt.ingest.table import ingest_file

T0 = 1_767_225_600
MAP = parse_map(
    {
        "time": {"column": "t", "unit": "s"},
        "stamp": "instant",
        "feed": "pushed",
        "latency": "1s",
        "venue": "v",
        "symbol": "BTC",
        "emit": [{"kind": "trade", "fields": {"price": "px", "size_coins": "sz"}}],
    },
    "m.yaml",
)
GOOD = ("t,px,sz\n" + "\n".join(f"{T0 + i},{100 + i % 7},1" for i in range(3000)) + "\n").encode()


def zipped(*members, **more):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return sink.getvalue()


def parquet():
    sink = io.BytesIO()
    pd.read_csv(io.BytesIO(GOOD)).to_parquet(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "starts with an empty line"),
        (b"t,price,sz\n1,2,3\n", r"no column 'px'; .*it has \['t', 'price', 'sz'\]"),
        (b"t,pxx,sz\n1,2,3\n", "no column 'px'; nearest: 'pxx'"),
        (b"t,px,px,sz\n1,2,3,4\n", "has the column 'px' twice"),
        (b"\xff\xfe\x00t,px,sz\n", "first line is not UTF-8"),
        (b"t,px,sz\n\xff\xff,1,1\n", "'t' is no time from 2009 to 2100"),
        (GOOD[:100].replace(b"\n", b"\x00\n"), "cannot be right|no column|no readable"),
        (gzip.compress(GOOD, mtime=0)[:500], "truncated or damaged"),
        (gzip.compress(GOOD, mtime=0)[:-4] + b"abcd", "truncated or damaged"),
        (gzip.compress(GOOD, mtime=0)[:3], "truncated or damaged"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"\x1f\x8b" + b"\x00" * 50, "truncated or damaged"),
        (zipped(("a.csv", GOOD))[:400], "damaged or locked zip"),
        (zipped(), "without exactly one member"),
        (zipped(("a.csv", GOOD), ("b.csv", GOOD)), "holds 2 files: exactly one is expected"),
        (zipped(("../a.csv", GOOD)), r"holds '\.\./a.csv', a path that leaves its folder"),
        (zipped(("/etc/a.csv", GOOD)), "a path that leaves its folder"),
        (zipped(("x\\..\\..\\a.csv", GOOD)), "a path that leaves its folder"),
        (zipped(("a.exe", GOOD)), "holds 'a.exe': a .csv or .jsonl is expected"),
        (zipped(("a.csv", b"")), "is empty"),
        (parquet()[:600], "no readable Parquet file"),
        (parquet()[:-9] + b"PAR1", "no readable Parquet file"),
        (b"PAR1", "no readable Parquet file"),
        (b"PAR1" + b"\x00" * 100, "no readable Parquet file"),
    ],
    # the bytes of an archive hold the second at which it was packed: never a test's name
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_bad_file_is_one_sentence(tmp_path, data, message):
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        ingest_file(MAP, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_member_of_a_zip(tmp_path):
    data = bytearray(zipped(("a.csv", GOOD)))
    data[60:200] = bytes(140)
    (tmp_path / "a.zip").write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"truncated or damaged|damaged or locked"):
        ingest_file(MAP, tmp_path / "a.zip")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match=r"none.csv cannot be read: No such file"):
        ingest_file(MAP, tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        ingest_file(MAP, tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip", "a.parquet"])
def test_nothing_expands_beyond_the_limit(tmp_path, name):
    packed = {
        "a.csv": GOOD,
        "a.csv.gz": gzip.compress(GOOD, mtime=0),
        "a.zip": zipped(("a.csv", GOOD)),
        "a.parquet": parquet(),
    }[name]
    path = tmp_path / name
    path.write_bytes(packed)
    assert ingest_file(MAP, path, max_bytes=10_000_000).summary.rows == 3000
    with pytest.raises(DataError, match="expands to more than 5000 bytes"):
        ingest_file(MAP, path, max_bytes=5000)


def test_a_zip_that_lies_about_its_size(tmp_path):
    """The member's header says 10 bytes; what comes out is counted, not believed."""
    data = bytearray(zipped(("a.csv", GOOD)))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(bytes(data))
    with pytest.raises(DataError):
        ingest_file(MAP, tmp_path / "a.zip", max_bytes=5000)


def test_an_encrypted_zip(tmp_path):
    data = bytearray(zipped(("a.csv", GOOD)))
    data[6] |= 1
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged or locked zip"):
        ingest_file(MAP, tmp_path / "a.zip")


def test_hostile_file_names(tmp_path):
    for name in ("a\nb.csv", "a'; drop.csv", "é\u202e.csv", "-rf.csv"):
        path = tmp_path / name
        path.write_bytes(GOOD)
        done = ingest_file(MAP, path)
        assert done.summary.file == name
        assert done.summary.events == {"trade": 3000}


def test_a_parquet_file_that_lacks_text_is_one_sentence(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"t": [1], "px": [1.0], "sym": ["A"], "many": [["A"]]})
    pq.write_table(table, path)
    for name, says in (("coin", "has no column 'coin'"), ("many", "column 'many' holds list")):
        with pytest.raises(DataError, match=says):
            read_columns(path, numbers=["px"], integers=["t"], texts=[name], shape=CsvShape())


def test_words_that_repeat_are_read_as_words_and_others_as_text(tmp_path):
    path, n = tmp_path / "a.parquet", 5000
    times = [f"2026-01-01T00:{i // 60 % 60:02d}:{i % 60:02d}.{i:06d}Z" for i in range(n)]
    names = [["BTC", "ETH", None][i % 3] for i in range(n)]
    pq.write_table(pa.table({"sym": names, "at": times, "n": [*range(n)]}), path)
    raw = read_columns(path, numbers=[], integers=[], texts=["sym", "at", "n"], shape=CsvShape())
    kinds = {field.name: pa.types.is_dictionary(field.type) for field in raw.table.schema}
    assert kinds == {"sym": True, "at": False, "n": False}
    assert raw.table["sym"].cast(pa.string()).to_pylist() == names
    assert raw.table["at"].to_pylist() == times

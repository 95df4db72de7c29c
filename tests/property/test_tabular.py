"""Expressions, id sequences and mutated files, driven by hypothesis."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import naive
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import DataError
from liqbt.ingest.cells import as_words
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.expressions import evaluate, parse_expression
from liqbt.ingest.faults import going_back
from liqbt.ingest.table import ingest_file
from liqbt.log.schema import row_faults, table_columns

T0 = 1_767_225_600
WORD = pa.dictionary(pa.int32(), pa.string())
VALUES = {"a": 3.5, "b": -2.0, "c c": 0.25}


def expressions() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["a", "b", "`c c`", "2", "0.5", "1e3", ".25"])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(" ".join),
            inner.map(lambda e: f"({e})"),
            inner.map(lambda e: f"-({e})"),
        ),
        max_leaves=8,
    )


@given(expressions())
def test_arithmetic_is_that_of_python(text):
    plain = text.replace("`c c`", "c")
    try:
        expected = eval(plain, {"__builtins__": {}}, {**VALUES, "c": 0.25})
    except ZeroDivisionError:
        expected = None
    got = float(evaluate(parse_expression(text), VALUES))
    if expected is None:
        assert not np.isfinite(got) or got == 0.0
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_one_sentence(text):
    said = repr(text)
    try:
        parse_expression(text)
    except ValueError as error:
        said = str(error)
    assert said.startswith(repr(text))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_the_fewest_rows_go(rows):
    numbers, times = (np.array([r[i] for r in rows], dtype=np.int64) for i in (0, 1))
    bad = going_back(numbers, times)
    assert int(bad.sum()) == naive.fewest_going_back(numbers.tolist(), times.tolist())
    kept = sorted(zip(numbers[~bad].tolist(), times[~bad].tolist(), strict=True))
    assert [t for _, t in kept] == sorted(t for _, t in kept)


WORDS = st.lists(st.lists(st.sampled_from(["", "a", "b", "ä", None]), max_size=5), max_size=3)


@given(WORDS, st.lists(st.sampled_from(["a", "b", "never", None]), max_size=4))
def test_words_are_the_same_however_a_column_holds_them(chunks, before):
    cells = [cell or "" for chunk in chunks for cell in chunk]
    plain = pa.chunked_array(chunks, pa.string())
    held = []
    for chunk in chunks:
        names = [*before, *chunk]  # some never occur, some are there twice, one may be none
        indices = pa.array([i + len(before) for i in range(len(chunk))], pa.int32())
        held.append(pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())))
    for column in (plain, plain.dictionary_encode(), pa.chunked_array(held, WORD)):
        words, codes = as_words(column)
        assert words == sorted(set(cells))
        assert [words[i] for i in codes.tolist()] == cells


MAP = parse_map(
    {
        "time": {"column": "t", "unit": "ms"},
        "stamp": "instant",
        "feed": "pushed",
        "latency": "1s",
        "venue": {"column": "v"},
        "symbol": {"column": "c"},
        "id": "i",
        "side": {"column": "s", "means": "order_side"},
        "emit": [
            {"kind": "liquidation", "fields": {"price": "px", "size_coins": "sz * 0.01"}},
            {"kind": "funding", "fields": {"rate": "f"}, "optional": True},
        ],
    },
    "m.yaml",
)
HEADER = "t,px,sz,v,c,s,f,i\n"
LINES = [f"{T0 + i}000,{100 + i},5,v,BTC,{'buy' if i % 2 else 'sell'},0.01,{i}" for i in range(30)]
GOOD = (HEADER + "\n".join(LINES) + "\n").encode()
PACKED = {"csv": GOOD, "gz": gzip.compress(GOOD, mtime=0)}


def outcome(data: bytes, max_bad: float):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated_file"
        path.write_bytes(data)
        message = ""
        try:
            return ingest_file(MAP, path, max_bad=max_bad, max_bytes=1_000_000)
        except DataError as error:
            message = str(error)
        # a fault of a file names it, and one of a row or a map its column
        assert path.name in message or "'f'" in message
        assert "\n" not in message
        return None


def check(done) -> None:
    """Whatever came through is right by the rules, and nothing was lost without a word."""
    summary = done.summary
    for kind, table in done.tables.items():
        columns, names = table_columns(table)
        assert row_faults(kind, columns, names) == []
        assert table.num_rows <= summary.rows - summary.quarantined
    liquidations = summary.events.get("liquidation", 0)
    assert liquidations == summary.rows - summary.quarantined - summary.filtered


@given(
    st.sampled_from(sorted(PACKED)),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=150)
def test_mutated_bytes_never_trace_back(packing, edits, cut):
    data = bytearray(PACKED[packing])
    for at, new in edits:
        start = at % len(data)
        data[start : start + (0 if cut else len(new))] = new
    done = outcome(bytes(data), 1.0)
    if done is not None:
        check(done)


CELLS = st.one_of(
    st.sampled_from(
        ["", "nan", "-1", "0", "1e400", "inf", "1,5", '"', "9" * 25, "buy", "\t1 ", "٣"]
    ),
    st.text(max_size=6),
    st.floats().map(str),
)


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 7), CELLS), min_size=1, max_size=6))
@settings(max_examples=150)
def test_any_cell_is_an_event_or_has_a_reason(edits):
    rows = [line.split(",") for line in LINES]
    for row, column, cell in edits:
        rows[row][column] = cell
    text = HEADER + "\n".join(",".join(r) for r in rows) + "\n"
    done = outcome(text.encode("utf-8", "surrogatepass"), 1.0)
    if done is not None:
        check(done)
        assert (done.quarantined["reason"] != "").all()

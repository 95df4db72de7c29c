"""Event tables: schema, validation, canonical form, logical identity."""

from __future__ import annotations

import math
import struct

import numpy as np
import pyarrow as pa
import pytest

from liqbt.errors import DataError
from liqbt.log.order import lexicographic_order, number_repeats
from liqbt.log.schema import event_schema, name_codes, row_faults
from liqbt.log.tables import canonical, event_table, logical_hash
from liqbt.types import PAYLOAD, Kind

T = 1_700_000_000_000_000_000


def trades(**changes):
    base = {
        "ts_known": [T + 1, T + 2, T + 3],
        "ts_event": [T, T + 1, T + 2],
        "venue": "v",
        "symbol": ["A", "B", "A"],
        "side": [1, -1, 0],
        "price": [10.0, 11.0, 12.0],
        "size_coins": [1.0, 2.0, 3.0],
    }
    return event_table(Kind.TRADE, {**base, **changes})


@pytest.mark.parametrize("kind", list(Kind))
def test_schema_names_types_and_units(kind):
    schema = event_schema(kind)
    head = ["ts_known", "ts_event", "venue", "symbol", "seq", "side", "span_s"]
    assert schema.names == [*head, *PAYLOAD[kind], "occurrence"]
    assert all(field.metadata[b"unit"] for field in schema)
    assert schema.field("ts_known").type == pa.int64()
    assert {schema.field(n).type for n in PAYLOAD[kind]} == {pa.float64()}


def test_defaults_are_filled_and_scalars_repeated():
    table = trades()
    assert table["seq"].to_pylist() == [-1, -1, -1]
    assert table["span_s"].to_pylist() == [0, 0, 0]
    assert table["venue"].to_pylist() == ["v"] * 3
    assert table.schema.equals(event_schema(Kind.TRADE), check_metadata=True)


def test_rows_are_put_in_canonical_order():
    table = trades(ts_known=[T + 9, T + 9, T + 3], symbol=["B", "A", "C"], ts_event=[T, T, T])
    assert table["symbol"].to_pylist() == ["C", "A", "B"]


def test_identical_rows_are_numbered_and_ids_are_not():
    same = {"ts_known": T + 1, "ts_event": T, "symbol": "A", "side": 1, "price": 1.0}
    assert trades(**same, size_coins=[2.0] * 3)["occurrence"].to_pylist() == [0, 1, 2]
    numbered = trades(**same, size_coins=[2.0] * 3, seq=[7, 7, 7])
    assert numbered["occurrence"].to_pylist() == [0, 0, 0]


def test_occurrence_does_not_look_at_when_a_row_was_known():
    table = trades(
        ts_known=[T + 5, T + 1, T + 3], ts_event=T, symbol="A", side=1, price=1.0, size_coins=2.0
    )
    assert table["ts_known"].to_pylist() == [T + 1, T + 3, T + 5]
    assert table["occurrence"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prise": 1.0}, r"no column 'prise'; nearest: 'price'"),
        ({"price": [1.0, 2.0]}, "differ in length"),
        ({"price": ["a", "b", "c"]}, "price is not numeric"),
        ({"ts_event": [0.5, 1.5, 2.5]}, "ts_event needs integers"),
        ({"side": [1, -1, 300]}, "side leaves the range of int8"),
        ({"price": [10.0, 0.0, 12.0]}, r"price is not above 0 at rows \[1\]"),
        ({"price": [10.0, math.nan, 12.0]}, r"price is missing at rows \[1\]"),
        ({"size_coins": [1.0, 2.0, math.inf]}, r"size_coins is infinite at rows \[2\]"),
        ({"size_coins": [-1.0, 2.0, 3.0]}, r"size_coins is not above 0 at rows \[0\]"),
        ({"ts_known": [T - 1, T + 2, T + 3]}, r"ts_known lies before ts_event at rows \[0\]"),
        ({"ts_event": [0, T, T]}, r"ts_event lies outside 2009 to 2100 at rows \[0\]"),
        ({"venue": "a/b"}, "venue is not a name"),
        ({"symbol": ["A", "B", ""]}, r"symbol is not a name .* at rows \[2\]"),
        ({"symbol": ["A", "B\n", "C"]}, r"symbol is not a name .* at rows \[1\]"),
        ({"symbol": ["A", None, "C"]}, "symbol holds 1 nulls"),
        ({"symbol": [1, 2, 3]}, "symbol needs text"),
        ({"seq": [-2, 0, 1]}, r"seq is below -1 at rows \[0\]"),
        ({"span_s": 60}, "a trade has no span"),
        ({"side": [2, 0, 1]}, r"side is not -1, 0 or 1 at rows \[0\]"),
    ],
)
def test_a_row_that_cannot_be_right_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        trades(**changes)


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match=r"trade needs the columns .*'price'"):
        event_table(Kind.TRADE, {"ts_known": [T], "ts_event": [T], "venue": "v", "symbol": "s"})


BAR = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume_coins": 5.0}


@pytest.mark.parametrize(
    ("kind", "payload", "side", "span", "reason"),
    [
        (Kind.BAR, BAR, 0, 60, None),
        (Kind.BAR, {**BAR, "volume_coins": math.nan}, 0, 60, None),
        (Kind.BAR, {**BAR, "volume_coins": -1.0}, 0, 60, "volume_coins is negative"),
        (Kind.BAR, BAR, 0, 0, "a bar needs a span above 0"),
        (Kind.BAR, BAR, 1, 60, "a bar has no side"),
        (Kind.BAR, {**BAR, "high": 8.0}, 0, 60, "high is below low"),
        (Kind.BAR, {**BAR, "high": 10.5}, 0, 60, "high is below open or close"),
        (Kind.BAR, {**BAR, "low": 10.5}, 0, 60, "low is above open or close"),
        (Kind.MARK, dict.fromkeys(PAYLOAD[Kind.MARK], 5.0), 0, 0, None),
        (Kind.MARK, {k: BAR[k] for k in PAYLOAD[Kind.MARK]}, 0, 60, None),
        (Kind.MARK, {k: BAR[k] for k in PAYLOAD[Kind.MARK]}, 0, 0, "is not one price"),
        (
            Kind.OPEN_INTEREST,
            {"open_interest_coins": 0.0, "open_interest_usd": math.nan},
            0,
            0,
            None,
        ),
        (
            Kind.OPEN_INTEREST,
            {"open_interest_coins": math.nan, "open_interest_usd": 1.0},
            0,
            0,
            "open_interest_coins is missing",
        ),
        (Kind.LIQUIDATION, {"price": 1.0, "size_coins": 1.0}, -1, 0, None),
        (Kind.LIQUIDATION, {"price": 1.0, "size_coins": 1.0}, 0, 0, "neither long nor short"),
        (Kind.LIQUIDATION_TOTAL, {"long_usd": 0.0, "short_usd": 1.0}, 0, 60, None),
        (
            Kind.LIQUIDATION_TOTAL,
            {"long_usd": -1.0, "short_usd": 1.0},
            0,
            60,
            "long_usd is negative",
        ),
        (Kind.FUNDING, {"rate": -0.001, "interval_hours": 8.0}, 0, 0, None),
        (Kind.FUNDING, {"rate": 1.5, "interval_hours": 8.0}, 0, 0, "rate is 100 % or more"),
        (Kind.FUNDING, {"rate": 0.0, "interval_hours": 0.0}, 0, 0, "interval_hours is not above 0"),
        (
            Kind.DEPTH,
            {"low": 1.0, "high": 2.0, "depth_coins": 1.0, "depth_usd": math.nan},
            1,
            0,
            None,
        ),
        (
            Kind.DEPTH,
            {"low": 1.0, "high": 2.0, "depth_coins": math.nan, "depth_usd": math.nan},
            1,
            0,
            "depth is missing",
        ),
        (
            Kind.DEPTH,
            {"low": 2.0, "high": 2.0, "depth_coins": 1.0, "depth_usd": 1.0},
            1,
            0,
            "high is not above low",
        ),
    ],
)
def test_rules_by_kind(kind, payload, side, span, reason):
    columns = {
        "ts_known": np.array([T]),
        "ts_event": np.array([T]),
        "venue": np.array([0]),
        "symbol": np.array([0]),
        "seq": np.array([-1]),
        "side": np.array([side], dtype=np.int8),
        "span_s": np.array([span], dtype=np.uint32),
        **{name: np.array([value]) for name, value in payload.items()},
    }
    found = [r for r, _ in row_faults(kind, columns, {"venue": ["v"], "symbol": ["s"]})]
    if reason is None:
        assert found == []
    else:
        assert any(reason in r for r in found)


def test_negative_zero_and_nan_bits_do_not_change_the_identity():
    odd_nan = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000123))[0]
    common = {"ts_known": [T], "ts_event": [T], "venue": "v", "symbol": "s"}
    one = event_table(Kind.FUNDING, {**common, "rate": [0.0], "interval_hours": [math.nan]})
    two = event_table(Kind.FUNDING, {**common, "rate": [-0.0], "interval_hours": [odd_nan]})
    assert logical_hash(one) == logical_hash(two)
    assert one["rate"].to_numpy().tobytes() == two["rate"].to_numpy().tobytes()
    assert one["interval_hours"].to_numpy().tobytes() == two["interval_hours"].to_numpy().tobytes()


def test_logical_hash_does_not_see_chunks_or_dictionaries():
    table = trades()
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1, 2)])
    assert chunked["price"].num_chunks == 2
    words = pa.array(["unused", "B", "A"])
    renumbered = pa.DictionaryArray.from_arrays(pa.array([2, 1, 2], pa.int32()), words)
    other = table.set_column(3, table.schema.field("symbol"), renumbered)
    assert logical_hash(table) == logical_hash(chunked) == logical_hash(other)


def test_logical_hash_sees_every_column_and_the_kind():
    table = trades()
    hashes = {logical_hash(table)}
    for changes in (
        {"price": [10.0, 11.0, 12.5]},
        {"side": [1, -1, 1]},
        {"symbol": ["A", "B", "C"]},
        {"venue": "w"},
        {"seq": [1, 2, 3]},
        {"ts_known": [T + 1, T + 2, T + 4]},
    ):
        hashes.add(logical_hash(trades(**changes)))
    liquidation = event_table(
        Kind.LIQUIDATION,
        {
            "ts_known": [T],
            "ts_event": [T],
            "venue": "v",
            "symbol": "s",
            "side": 1,
            "price": 1.0,
            "size_coins": 1.0,
        },
    )
    trade = event_table(
        Kind.TRADE,
        {
            "ts_known": [T],
            "ts_event": [T],
            "venue": "v",
            "symbol": "s",
            "side": 1,
            "price": 1.0,
            "size_coins": 1.0,
        },
    )
    hashes |= {logical_hash(liquidation), logical_hash(trade)}
    assert len(hashes) == 9


def test_logical_hash_is_the_documented_one():
    """Recorded once: it must not change with pyarrow, numpy or the platform."""
    assert logical_hash(trades()) == RECORDED


RECORDED = "1f7276a49338cb0c62dcea3f26c9085cab57ea64f86a04aa26d803970ae15aa5"


def test_canonical_refuses_other_columns_and_nulls():
    with pytest.raises(DataError, match="needs the columns"):
        canonical(Kind.BAR, trades())
    table = trades()
    field = table.schema.field("price").with_nullable(True)
    holes = table.set_column(7, field, pa.array([1.0, None, 2.0]))
    with pytest.raises(DataError, match="price holds 1 nulls"):
        canonical(Kind.TRADE, holes)


def test_an_empty_table_is_a_table():
    table = trades(
        ts_known=np.empty(0, np.int64),
        ts_event=np.empty(0, np.int64),
        symbol=[],
        side=np.empty(0, np.int8),
        price=[],
        size_coins=[],
    )
    assert table.num_rows == 0
    assert table.schema.equals(event_schema(Kind.TRADE))


def test_order_of_no_rows_and_of_one():
    empty = np.empty(0, np.int64)
    assert lexicographic_order([empty, empty]).tolist() == []
    assert number_repeats([empty], empty).tolist() == []
    assert lexicographic_order([np.array([3]), np.array([1])]).tolist() == [0]


@pytest.mark.parametrize("names", [["a", None], ["a", "b", None], [None]])
def test_a_name_that_is_missing_is_no_other(names):
    with pytest.raises(DataError, match="1 names are missing"):
        name_codes(pa.chunked_array([names], pa.string()))

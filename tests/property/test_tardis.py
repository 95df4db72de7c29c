"""Tickers and books of Tardis against a plain reading of the same rows, one after the other."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.ingest.table import Ingested
from liqbt.sources import tardis
from liqbt.types import Kind, Side

T = 1_700_000_000_000_000
HEAD = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,"
    "predicted_funding_rate,open_interest,last_price,index_price,mark_price\n"
)
cell = st.sampled_from(["", "1", "2", "3"])
ticker_rows = st.lists(st.tuples(st.sampled_from("AB"), cell, cell), min_size=1, max_size=30)


def read(text: str, name: str) -> Ingested:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        return tardis.read(path)


def naive_changes(rows, column: int) -> list[tuple[int, str, float]]:
    """Walk through the rows: what a cell says that its instrument did not say before."""
    last: dict[str, str] = {}
    out = []
    for i, row in enumerate(rows):
        symbol, value = row[0], row[column]
        if value and last.get(symbol) != value:
            out.append((i, symbol, float(value)))
            last[symbol] = value
    return out


@settings(max_examples=60)
@given(ticker_rows)
def test_a_ticker_says_each_change_once(rows):
    lines = [
        f"binance-futures,{s},{T + i},{T + i + 3},,,,{held},,,{mark}"
        for i, (s, held, mark) in enumerate(rows)
    ]
    done = read(HEAD + "\n".join(lines) + "\n", "t.csv")
    for kind, field, column in (
        (Kind.OPEN_INTEREST, "open_interest_coins", 1),
        (Kind.MARK, "close", 2),
    ):
        table = done.tables.get(kind)
        found = table.to_pylist() if table is not None else []
        told = [(r["ts_event"] // 1000 - T, r["symbol"], r[field]) for r in found]
        assert told == naive_changes(rows, column)


amounts = st.lists(st.integers(1, 9), min_size=0, max_size=5)


@settings(max_examples=60)
@given(amounts, amounts, st.integers(1, 5))
def test_a_band_holds_every_level_that_is_shown(asks, bids, gap):
    def cells(side: list[int], sign: int) -> list[tuple[str, str]]:
        shown = [(str(100 + sign * (gap + i)), str(n)) for i, n in enumerate(side)]
        return shown + [("", "")] * (5 - len(side))

    levels = zip(cells(asks, 1), cells(bids, -1), strict=True)
    line = ",".join(x for ask, bid in levels for x in (*ask, *bid))
    head = ",".join(
        f"asks[{i}].price,asks[{i}].amount,bids[{i}].price,bids[{i}].amount" for i in range(5)
    )
    text = (
        f"exchange,symbol,timestamp,local_timestamp,{head}\nbinance-futures,B,{T},{T + 3},{line}\n"
    )
    table = read(text, "b.csv").tables.get(Kind.DEPTH)
    bands = {r["side"]: r for r in (table.to_pylist() if table is not None else [])}
    for side, sign, levels_of in ((Side.SHORT, 1, asks), (Side.LONG, -1, bids)):
        assert (side in bands) == bool(levels_of)
        if not levels_of:
            continue
        prices = [100 + sign * (gap + i) for i in range(len(levels_of))]
        band = bands[side]
        assert band["depth_coins"] == sum(levels_of)
        value = math.fsum(p * n for p, n in zip(prices, levels_of, strict=True))
        assert band["depth_usd"] == pytest.approx(value, rel=1e-12)
        assert all(band["low"] <= p < band["high"] for p in prices)

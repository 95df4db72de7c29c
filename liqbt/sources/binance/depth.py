"""From the archive's cumulative depth to bands: `[low, high)` in price, by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.ingest.cells import as_numbers, as_words
from liqbt.ingest.table import SourceRows
from liqbt.sources.binance.layout import face_usd

_GROUP = ["snapshot", "side"]
_MOST = 1e18
"""No amount in a book is larger; sums of such numbers are still finite."""


def bands(rows: SourceRows, market: str, symbol: str) -> SourceRows:
    """Return the bands between the percentages of each snapshot, with their prices.

    A row says how much stands between the mid and so many percent away from it, in coins and in
    notional, so the difference of two rows is a band. The file gives no price: the mid is the mean
    of what the innermost bids and the innermost asks cost on average. It lies between the two, so
    it is off by at most half of their distance (`mid_error` in the notes: the median of that, as a
    fraction; about 0.005 where the innermost band is 1 %, 0.001 where it is 0.2 %).

    Rows are put aside where a side is missing, an amount falls as the band grows, or a band's
    average price lies outside of it. Snapshots that repeat the one before in every number are left
    out and counted: the feed froze at times. The units of COIN-M are not documented: they are told
    from which side's ratio is the larger.

    Parameters
    ----------
    rows : SourceRows
        With the columns `timestamp`, `percentage`, `depth`, `notional`.
    market, symbol : str
        Whose depth it is.

    Raises
    ------
    DataError
        A COIN-M file whose units cannot be told.
    """
    frame, bad = _cells(rows)
    frame, units = _in_coins(frame, market, symbol, rows.raw.file)
    frozen = _frozen(frame)
    frame = frame.sort_values([*_GROUP, "distance", "place"], kind="stable")
    with np.errstate(all="ignore"):  # what is no price is put aside below
        frame = _with_prices(frame)
    for reason, mask in _faults(frame).items():
        bad[reason] = np.zeros(len(rows.number), dtype=bool)
        bad[reason][frame["place"].to_numpy()[mask]] = True
    frame = frame.sort_values("place", kind="stable")
    table = rows.raw.table
    sides = pa.array(np.where(frame["side"] > 0, "ask", "bid").tolist(), pa.string())
    table = table.append_column("book_side", sides.dictionary_encode())
    for name in ("low", "high", "depth_coins", "depth_usd"):
        table = table.append_column(name, pa.array(frame[name].to_numpy(dtype=np.float64)))
    error = float(np.nanmedian(frame["error"])) if frame["error"].notna().any() else -1.0
    notes = {"depth_units": units, "mid_error": error, "frozen_rows": int(frozen.sum())}
    done = replace(rows, raw=replace(rows.raw, table=table), bad=bad, notes=notes)
    return done.pick(~frozen)


def _cells(rows: SourceRows) -> tuple[pd.DataFrame, dict[str, npt.NDArray[np.bool_]]]:
    """Return numbers by row, and the rows that hold none."""
    table = rows.raw.table
    columns: dict[str, Any] = {"place": np.arange(table.num_rows)}
    bad = {}
    for name in ("percentage", "depth", "notional"):
        values, broken = as_numbers(table[name])
        wrong = broken | ~np.isfinite(values)
        if name == "percentage":
            wrong |= (values == 0) | (np.abs(values) >= 100)
        else:
            wrong |= (values < 0) | (values > _MOST)
        bad[f"{name!r} cannot be right"] = wrong
        columns[name] = np.where(wrong, np.nan, values)
    columns["snapshot"] = as_words(table["timestamp"])[1]
    frame = pd.DataFrame(columns)
    frame["side"] = np.sign(frame["percentage"]).fillna(0).astype(np.int64)
    frame["distance"] = frame["percentage"].abs() / 100
    return frame, bad


def _in_coins(frame: pd.DataFrame, market: str, symbol: str, file: str) -> tuple[pd.DataFrame, str]:
    """Add cumulative `coins` and `usd`, and say what the file's columns were."""
    if market == "um":
        return frame.assign(coins=frame["depth"], usd=frame["notional"]), "coins and USD"
    ratio = frame["notional"] / frame["depth"].where(frame["depth"] > 0)
    by_side = ratio.groupby(frame["side"]).median()
    bids, asks = by_side.get(-1, np.nan), by_side.get(1, np.nan)
    if bids < asks:
        return frame.assign(coins=frame["depth"], usd=frame["notional"]), "coins and USD"
    if bids > asks:
        usd = frame["depth"] * face_usd(symbol)
        return frame.assign(coins=frame["notional"], usd=usd), "contracts and coins"
    raise DataError(
        f"{file}: bids and asks have the same notional per depth, so no price can be told from them"
    )


def _frozen(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return the rows of snapshots that repeat the one before in every number."""
    cells = pd.util.hash_pandas_object(frame[["percentage", "coins", "usd"]], index=False)
    snapshot = cells.groupby(frame["snapshot"]).sum()
    same = (snapshot == snapshot.shift(fill_value=0)) & (snapshot.index > 0)
    return same.reindex(frame["snapshot"]).to_numpy(dtype=bool)


def _with_prices(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the mid, its error, and each band's edges and amounts."""
    group = frame.groupby(_GROUP, sort=False)
    first = group.head(1).set_index("snapshot")
    price = first["usd"] / first["coins"].where(first["coins"] > 0)
    bid, ask = (price[first["side"] == s].reindex(frame["snapshot"]).to_numpy() for s in (-1, 1))
    mid = (bid + ask) / 2
    inner = group["distance"].shift(fill_value=0.0)
    near, far = (1 + frame["side"] * d for d in (inner, frame["distance"]))
    return frame.assign(
        inner=inner,
        error=(ask - bid) / 2 / mid,
        low=mid * np.minimum(near, far),
        high=mid * np.maximum(near, far),
        depth_coins=frame["coins"] - group["coins"].shift(fill_value=0.0),
        depth_usd=frame["usd"] - group["usd"].shift(fill_value=0.0),
    )


def _faults(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the rows that cannot be right, in the order of `frame`, by reason."""
    coins, usd, error = frame["depth_coins"], frame["depth_usd"], frame["error"]
    price = usd / coins.where(coins > 0)
    outside = (price < frame["low"] * (1 - error)) | (price > frame["high"] * (1 + error))
    found = {
        "no price: bids or asks are missing": error.isna(),
        "bids cost more than asks": error < 0,
        "a percentage is given twice": frame["distance"] == frame["inner"],
        "the amount falls as the band grows": (coins < 0) | (usd < 0),
        "a band's average price lies outside of it": outside & (error >= 0),
    }
    return {reason: mask.to_numpy(dtype=bool) for reason, mask in found.items()}

"""From cells to values: numbers, whole numbers, words and times, and which cells are none."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from liqbt.errors import DataError
from liqbt.log.schema import EARLIEST_NS, LATEST_NS, name_codes
from liqbt.types import SECOND_NS, FloatArray, IntArray, Mask

UNIT_NS: Final = {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
_FIRST_LOCAL: Final = pd.Timestamp("2008-12-30")
_LAST_LOCAL: Final = pd.Timestamp("2100-01-03")
_WORD: Final = pa.dictionary(pa.int32(), pa.string())
_WHOLE: Final = r"^[+-]?[0-9]{1,18}$|^[+-]?[0-9]{19}$"


def as_numbers(column: pa.ChunkedArray) -> tuple[FloatArray, Mask]:
    """Return a column as floats, NaN where empty, and the cells that are something else.

    Examples
    --------
    >>> values, bad = as_numbers(pa.chunked_array([["1.5", None, "x"]]))
    >>> values.tolist(), bad.tolist()
    ([1.5, nan, nan], [False, False, True])
    """
    if _is_number(column.type) or pa.types.is_null(column.type):
        values = pc.cast(column, pa.float64(), safe=False).to_numpy()
        return np.array(values, dtype=np.float64), np.zeros(len(values), dtype=bool)
    text = _text_series(column)
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    written_nan = text.str.strip().str.lower().isin(["nan", ""]).to_numpy(dtype=bool)
    return values, np.isnan(values) & text.notna().to_numpy() & ~written_nan


def as_integers(column: pa.ChunkedArray) -> tuple[IntArray, Mask]:
    """Return a column as whole numbers, and the cells that are none (0 there).

    Examples
    --------
    >>> values, bad = as_integers(pa.chunked_array([["7", None, "7.5"]]))
    >>> values.tolist(), bad.tolist()
    ([7, 0, 0], [False, True, True])
    """
    if pa.types.is_integer(column.type):
        good = pc.is_valid(column).to_numpy()
        clipped = pc.cast(pc.fill_null(column, 0), pa.int64(), safe=False)
        return np.array(clipped.to_numpy(), dtype=np.int64), ~good
    if pa.types.is_floating(column.type):
        values, _ = as_numbers(column)
        whole = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2.0**53)
        return np.where(whole, values, 0.0).astype(np.int64), ~whole
    text = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    whole = pc.fill_null(pc.match_substring_regex(text, _WHOLE), False)
    digits = pc.if_else(whole, text, "0")
    try:
        values = pc.cast(digits, pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # 19 digits may be too many
        numbers = [int(d) for d in digits.to_pylist()]
        fits = np.array([abs(v) < 2**63 for v in numbers], dtype=bool)
        values = np.array([v if ok else 0 for v, ok in zip(numbers, fits, strict=True)])
        return values.astype(np.int64), ~(whole.to_numpy() & fits)
    return np.array(values, dtype=np.int64), ~whole.to_numpy()


def as_words(column: pa.ChunkedArray) -> tuple[list[str], IntArray]:
    """Return the distinct words of a column, sorted, and each row's index; empty is `''`.

    Examples
    --------
    >>> words, codes = as_words(pa.chunked_array([["b", None, "b"]]))
    >>> words, codes.tolist()
    (['', 'b'], [1, 0, 1])
    """
    if pa.types.is_dictionary(column.type):
        if column.type.value_type == pa.string():
            return name_codes(pa.chunked_array([_worded(c) for c in column.chunks], _WORD))
        column = column.cast(pa.string())
    elif pa.types.is_floating(column.type):
        column = pa.chunked_array([pa.array([f"{v:.15g}" for v in column.to_pylist()])])
    elif not pa.types.is_string(column.type):
        column = pc.cast(column, pa.string())
    return name_codes(pc.fill_null(column, ""))


def _worded(chunk: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return words of which none is missing: `''` stands for those that were."""
    if chunk.type == _WORD and not (chunk.null_count or chunk.dictionary.null_count):
        return chunk
    words = [word or "" for word in chunk.dictionary.to_pylist()]
    indices = pc.fill_null(chunk.indices.cast(pa.int32()), len(words))
    return pa.DictionaryArray.from_arrays(indices, pa.array([*words, ""], pa.string()))


def as_times(
    column: pa.ChunkedArray, unit: str | None, zone: str, what: str, *, layout: str | None = None
) -> tuple[IntArray, Mask]:
    """Return a column as ns UTC, and the cells that are no time from 2009 to 2100 (0 there).

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Numbers, ISO 8601 text, or timestamps.
    unit : str or None
        `s`, `ms`, `us`, `ns` or `iso`; None where the column has timestamps of its own.
    zone : str
        IANA name of the zone of times that carry none.
    what : str
        Names the column and the file in messages.
    layout : str, optional
        How text is written, such as `%m/%d/%Y %H:%M` (as `strptime` has it); instead of a unit.

    Raises
    ------
    DataError
        The column is of another type than the unit says, or most of its times are in another unit.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _in_range(*_stamps(column, zone))
    if layout is not None:
        return _in_range(*_written(column, layout, zone, what))
    if unit is None:
        raise DataError(f"{what} holds {column.type}, no timestamps: the map must name time.unit")
    if unit == "iso":
        return _in_range(*_iso(column, zone, what))
    return _counted(column, unit, what)


def _stamps(column: pa.ChunkedArray, zone: str) -> tuple[IntArray, Mask]:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    series = pd.Series(column.to_pandas(timestamp_as_object=False))
    return _series_ns(series, zone)


def _iso(column: pa.ChunkedArray, zone: str, what: str) -> tuple[IntArray, Mask]:
    text = _text_series(column).str.strip()
    if text.str.endswith(("UTC", "GMT")).any():
        text = text.str.replace(r"\s*(?:UTC|GMT)$", "+00:00", regex=True)
    utc = zone == "UTC"
    try:
        series = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=utc)
    except (ValueError, TypeError):
        raise DataError(f"{what} mixes times with and without an offset") from None
    if not utc and series.dt.tz is not None:
        raise DataError(f"{what} carries offsets of its own: the map must not name time.zone")
    return _series_ns(series, zone)


def _written(column: pa.ChunkedArray, layout: str, zone: str, what: str) -> tuple[IntArray, Mask]:
    """Return times that are written by a layout; the fraction of a second may be absent."""
    text = _text_series(column).str.strip()
    utc = zone == "UTC"
    try:
        series = pd.to_datetime(text, format=layout, errors="coerce", utc=utc)
        if layout.endswith(".%f"):
            plain = pd.to_datetime(
                text, format=layout.removesuffix(".%f"), errors="coerce", utc=utc
            )
            series = series.fillna(plain)
    except (ValueError, TypeError) as error:
        reason = str(error).split("\n")[0][:120]
        raise DataError(f"{what}: time.format {layout!r} cannot be used: {reason}") from None
    if not utc and series.dt.tz is not None:
        raise DataError(f"{what} carries offsets of its own: the map must not name time.zone")
    return _series_ns(series, zone)


def _series_ns(series: pd.Series[Any], zone: str) -> tuple[IntArray, Mask]:
    """Return ns since the epoch. pandas parses to microseconds: the unit is set here."""
    if series.dt.tz is None:
        writable = (series >= _FIRST_LOCAL) & (series < _LAST_LOCAL)  # Python knows few years
        series = _localised(series.where(writable), ZoneInfo(zone))
    known = series.notna().to_numpy()
    low, high = (pd.Timestamp(ns, unit="ns", tz="UTC") for ns in (EARLIEST_NS, LATEST_NS))
    sane = known & ((series >= low) & (series < high)).to_numpy()
    stamps = series.where(sane).dt.tz_convert("UTC").dt.as_unit("ns")
    out = np.zeros(len(stamps), dtype=np.int64)
    out[sane] = stamps[sane].astype("int64").to_numpy()
    return out, ~sane


def _localised(series: pd.Series[Any], zone: ZoneInfo) -> pd.Series[Any]:
    """Return times of a local clock as instants; NaT where the clock leaves two, or none.

    In the hour that a clock shows twice, the order of the rows tells the two apart: where a run of
    such rows goes back once, the rows before that are of the first pass, and where the clock stands
    still over an even number of rows, the first half is. Anything else is unknown.
    """
    done: pd.Series[Any] = series.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    first = series.dt.tz_localize(
        zone, ambiguous=np.ones(len(series), dtype=bool), nonexistent="NaT"
    )
    twice = np.flatnonzero((done.isna() & first.notna()).to_numpy())
    if not len(twice):
        return done
    local = series.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    told = np.flatnonzero(done.notna().to_numpy())
    newest_first = len(told) > 1 and local[told[0]] > local[told[-1]]
    second = series.dt.tz_localize(
        zone, ambiguous=np.zeros(len(series), dtype=bool), nonexistent="NaT"
    )
    for run in np.split(twice, np.flatnonzero(np.diff(twice) > 1) + 1):
        rows = run[::-1] if newest_first else run
        steps = np.diff(local[rows])
        back = np.flatnonzero(steps < 0) + 1
        split = int(back[0]) if len(back) == 1 else 0
        if not steps.any() and len(rows) % 2 == 0:
            split = len(rows) // 2
        if split:
            done.iloc[rows[:split]] = first.iloc[rows[:split]]
            done.iloc[rows[split:]] = second.iloc[rows[split:]]
    return done


def _counted(column: pa.ChunkedArray, unit: str, what: str) -> tuple[IntArray, Mask]:
    factor = UNIT_NS[unit]
    _refuse_coarse(column, unit, what)
    counts, bad = as_integers(column)
    fraction = np.zeros(len(counts), dtype=np.int64)
    if bad.any():
        values, _ = as_numbers(column)
        decimal = bad & np.isfinite(values) & (np.abs(values) < 2.0**53)
        whole = np.floor(np.where(decimal, values, 0.0))
        counts = np.where(decimal, whole.astype(np.int64), counts)
        micro = np.round((np.where(decimal, values, 0.0) - whole) * (factor / 1000.0))
        fraction = (micro * 1000.0).astype(np.int64)
        bad = bad & ~decimal
    _check_unit(counts[~bad], unit, what)
    outside = (counts < EARLIEST_NS // factor) | (counts >= LATEST_NS // factor)
    bad = bad | outside
    return np.where(bad, 0, counts) * factor + np.where(bad, 0, fraction), bad


def _refuse_coarse(column: pa.ChunkedArray, unit: str, what: str) -> None:
    """Refuse counts in floats that cannot tell a second from the next."""
    if not (pa.types.is_float32(column.type) or pa.types.is_float16(column.type)):
        return
    values = column.to_numpy()
    step = float(np.nanmax(np.spacing(np.abs(values)))) if len(values) else 0.0
    if step * UNIT_NS[unit] > SECOND_NS:
        off = step * UNIT_NS[unit] / 2 / SECOND_NS
        raise DataError(
            f"{what} holds times as {column.type}: they are off by up to {off:g} s; write them as "
            "float64 or whole numbers"
        )


def _check_unit(counts: IntArray, unit: str, what: str) -> None:
    if not len(counts):
        return
    median = int(np.median(counts))
    for other, factor in UNIT_NS.items():
        if other != unit and EARLIEST_NS // factor <= median < LATEST_NS // factor:
            raise DataError(f"{what} looks like {other} (median {median}), the map says {unit}")


def _in_range(ns: IntArray, bad: Mask) -> tuple[IntArray, Mask]:
    bad = bad | (ns < EARLIEST_NS) | (ns >= LATEST_NS)
    return np.where(bad, 0, ns), bad


def _text_series(column: pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(pc.cast(column, pa.string()).to_pandas(), dtype="str")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

"""What a row of each kind must satisfy to be believed, wherever rows enter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from liqbt.log.schema import Columns
from liqbt.types import PAYLOAD, Kind, Mask

__all__ = ["EARLIEST_NS", "LATEST_NS", "MAX_NAME", "MAY_BE_NAN", "row_faults"]

EARLIEST_NS: Final = 1_230_768_000_000_000_000
"""2009-01-01 UTC: no venue is older."""
LATEST_NS: Final = 4_102_444_800_000_000_000
"""2100-01-01 UTC."""
MAX_NAME: Final = 64
"""Longest name of a venue or a symbol, in characters."""


MAY_BE_NAN: Final = frozenset({"volume_coins", "open_interest_usd", "interval_hours"})
"""Fields that may be unknown; of a depth band, one of its two amounts may be as well."""
_ABOVE_ZERO: Final = {"price", "open", "high", "low", "close", "size_coins", "interval_hours"}
_INSTANT: Final = {Kind.TRADE, Kind.LIQUIDATION, Kind.DEPTH}
_BUCKET: Final = {Kind.BAR, Kind.LIQUIDATION_TOTAL}
_SIDED: Final = {Kind.LIQUIDATION, Kind.DEPTH}


def row_faults(
    kind: Kind, columns: Columns, names: Mapping[str, Sequence[str]]
) -> list[tuple[str, Mask]]:
    """Return the reasons for which rows cannot be right, each with the rows it holds for.

    Parameters
    ----------
    kind : Kind
        What the rows are.
    columns : mapping of str to ndarray, each of shape (n,)
        The columns of an event table of `kind` (`occurrence` is not looked at).
    names : mapping of str to sequence of str
        The names that the columns `venue` and `symbol` index.

    Returns
    -------
    list of (str, ndarray of bool, shape (n,))
        Only reasons that hold somewhere; empty where every row can be right.
    """
    with np.errstate(invalid="ignore"):
        found = [*_times(columns), *_names(columns, names), *_shape(kind, columns)]
        found += _numbers(kind, columns)
        if kind in (Kind.BAR, Kind.MARK):
            found += _bar(kind, columns)
        if kind == Kind.DEPTH:
            found += _depth(columns)
        if kind == Kind.FUNDING:
            found.append(("rate is 100 % or more", np.abs(columns["rate"]) >= 1.0))
    return [(reason, mask) for reason, mask in found if mask.any()]


def _times(c: Columns) -> Iterator[tuple[str, Mask]]:
    for name in ("ts_event", "ts_known"):
        ts = c[name]
        yield f"{name} lies outside 2009 to 2100", (ts < EARLIEST_NS) | (ts >= LATEST_NS)
    yield "ts_known lies before ts_event", c["ts_known"] < c["ts_event"]


def _names(c: Columns, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Mask]]:
    for role, words in names.items():
        bad = [i for i, word in enumerate(words) if not _good_name(word, role)]
        yield f"{role} is not a name of 1 to {MAX_NAME} printable characters", np.isin(c[role], bad)


def _good_name(value: str, role: str) -> bool:
    clean = 0 < len(value) <= MAX_NAME and value.isprintable() and value == value.strip()
    clean = clean and "\ufffd" not in value  # what bytes that are no UTF-8 were read as
    return clean and not (role == "venue" and "/" in value)


def _shape(kind: Kind, c: Columns) -> Iterator[tuple[str, Mask]]:
    side, span = c["side"], c["span_s"]
    yield "seq is below -1", c["seq"] < -1
    if kind in _SIDED:
        yield "side is neither long nor short", (side != 1) & (side != -1)
    elif kind == Kind.TRADE:
        yield "side is not -1, 0 or 1", (side < -1) | (side > 1)
    else:
        yield f"a {kind.name.lower()} has no side", side != 0
    if kind in _INSTANT:
        yield f"a {kind.name.lower()} has no span", span != 0
    if kind in _BUCKET:
        yield f"a {kind.name.lower()} needs a span above 0", span == 0


def _numbers(kind: Kind, c: Columns) -> Iterator[tuple[str, Mask]]:
    for name in PAYLOAD[kind]:
        values = c[name]
        if name not in MAY_BE_NAN and kind != Kind.DEPTH:
            yield f"{name} is missing", np.isnan(values)
        yield f"{name} is infinite", np.isinf(values)
        if name in _ABOVE_ZERO:
            yield f"{name} is not above 0", values <= 0
        elif name != "rate":
            yield f"{name} is negative", values < 0


def _bar(kind: Kind, c: Columns) -> Iterator[tuple[str, Mask]]:
    o, h, lo, cl = (c[n] for n in ("open", "high", "low", "close"))
    yield "high is below low", h < lo
    yield "high is below open or close", (h < o) | (h < cl)
    yield "low is above open or close", (lo > o) | (lo > cl)
    if kind == Kind.MARK:
        point = (c["span_s"] == 0) & ~((o == h) & (h == lo) & (lo == cl))
        yield "a mark without a span is not one price", point & ~np.isnan(o + h + lo + cl)


def _depth(c: Columns) -> Iterator[tuple[str, Mask]]:
    yield "low is missing", np.isnan(c["low"])
    yield "high is not above low", ~(c["high"] > c["low"])
    yield "depth is missing", np.isnan(c["depth_coins"]) & np.isnan(c["depth_usd"])

"""The price path that decides outcomes, and the part of a window that it really watches.

Outcomes live on event time. A **bar** covers `[start, end)` and shows the true high and low inside
it; a **point** (start = end) shows one instant, and a touch between two points is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError
from liqbt.types import HOUR_NS, SECOND_NS, Events, FloatArray, IntArray, Kind, Ns

_SPACING_SAMPLE: Final = 2016
_PRICE_FIELDS: Final = {
    Kind.TRADE: ("p0", "p0", "p0"),
    Kind.BAR: ("p2", "p1", "p3"),
    Kind.MARK: ("p2", "p1", "p3"),
}


class Censor(IntEnum):
    """Why a window has no outcome; a property of the window, never of what happened in it.

    Attributes
    ----------
    NONE
        The window was watched: it has an outcome.
    DATA_END
        The path ends before the window does.
    GAP
        The path leaves `max_gap_ns` or more of the window unwatched, at its start or inside.
    UNWATCHED
        The window is too short to hold one full bar or one point.
    """

    NONE = 0
    DATA_END = 1
    GAP = 2
    UNWATCHED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePath:
    """Prices in order of event time; read-only.

    Attributes
    ----------
    start_ns, end_ns : ndarray of int64, shape (n,)
        What each entry covers, `[start, end)`; equal for points.
    low, high, close : ndarray of float64, shape (n,)
        Prices in USD.
    spacing_ns : int
        0 for bars with true highs and lows; else the median spacing of the first 2,016 points
        (a prefix, so that later data cannot move an earlier null).
    max_gap_ns : int
        A stretch of a window this long without an entry censors it.
    max_delay_ns : int
        Every entry was known this long after its end, at the latest: so much later an outcome is
        final. What came later was left out.
    n_late : int
        How many records were left out for that reason.
    """

    start_ns: IntArray
    end_ns: IntArray
    low: FloatArray
    high: FloatArray
    close: FloatArray
    spacing_ns: Ns
    max_gap_ns: Ns
    max_delay_ns: Ns = HOUR_NS
    n_late: int = 0

    def __post_init__(self) -> None:
        """Check the entries once.

        Raises
        ------
        DataError
            Names the first rows that cannot be right.
        """
        bad = ~(
            (self.low > 0)
            & (self.low <= self.high)
            & np.isfinite(self.high)
            & (self.end_ns >= self.start_ns)
        )
        _refuse(bad, "low and high must be positive, finite and in order, the end not before start")
        late = np.zeros(len(self.start_ns), bool)
        late[1:] = (self.start_ns[1:] < self.end_ns[:-1]) | (self.end_ns[1:] < self.end_ns[:-1])
        _refuse(late, "an entry must not begin before the one before it has ended")
        if self.max_gap_ns <= 0 or self.spacing_ns < 0:
            raise DataError(
                f"price path: found max_gap_ns {self.max_gap_ns}, spacing_ns {self.spacing_ns}; "
                "expected a positive gap and no negative spacing"
            )
        for name in ("start_ns", "end_ns", "low", "high", "close"):
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.start_ns)

    @property
    def bar_ns(self) -> Ns:
        """Median length of the first 2,016 entries; 0 for points."""
        return int(np.median((self.end_ns - self.start_ns)[:_SPACING_SAMPLE]))


def _refuse(bad: npt.NDArray[np.bool_], expected: str) -> None:
    if bad.any():
        rows = np.flatnonzero(bad)[:5].tolist()
        raise DataError(f"price path: rows {rows} of {len(bad)} cannot be right; {expected}")


def price_path(
    events: Events,
    kind: Kind,
    start: Ns | None = None,
    end: Ns | None = None,
    *,
    max_gap_ns: Ns | None = None,
    max_delay_ns: Ns = HOUR_NS,
) -> PricePath:
    """Build the price path of one market from events of one kind.

    An outcome must not change once something may have been learnt from it. So a record that became
    known more than `max_delay_ns` after its event is left out (and counted), and outcomes mature
    that long after their window. Of two bars of the same bucket (a correction) the one known last,
    within that delay, decides.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE
        Events of one market, any order; other kinds are left out.
    kind : Kind
        MARK, BAR or TRADE.
    start, end : int, optional
        Keep what lies in `[start, end)` of event time: all of a bar, ns.
    max_gap_ns : int, optional
        Default: three spacings of points, one length of a bar.
    max_delay_ns : int
        Later records than this are left out.

    Raises
    ------
    DataError
        If the kind has no price, no event is left, several instruments are mixed, points are mixed
        with bars, or bars overlap.
    """
    if kind not in _PRICE_FIELDS:
        raise DataError(f"price path: {kind.name.lower()} events carry no price; use mark or bar")
    rows = _select(events, kind, start, end)
    in_time = rows["ts_known"] - rows["ts_event"] <= max_delay_ns
    n_late = int(len(rows) - in_time.sum())
    rows = rows[in_time]
    if not len(rows):
        raise DataError(
            f"price path: all {n_late} {kind.name.lower()} events became known more than "
            f"{max_delay_ns / SECOND_NS:g} s after they happened"
        )
    span = rows["span_s"].astype(np.int64) * SECOND_NS
    points = span == 0
    if points.any() and not points.all():
        raise DataError(
            f"price path: {int(points.sum())} {kind.name.lower()} points are mixed with "
            f"{int((~points).sum())} bars; expected one or the other"
        )
    is_points = bool(points.all())
    rows, span = _last_known(rows, span) if not is_points else (rows, span)
    low, high, close = (rows[name].astype(np.float64) for name in _PRICE_FIELDS[kind])
    end_ns = rows["ts_event"].astype(np.int64)
    step = _typical_spacing(end_ns) if is_points else int(np.median(span[:_SPACING_SAMPLE]))
    return PricePath(
        start_ns=end_ns - span,
        end_ns=end_ns,
        low=low,
        high=high,
        close=close,
        spacing_ns=step if is_points else 0,
        max_gap_ns=max_gap_ns or max(1, 3 * step if is_points else step),
        max_delay_ns=max_delay_ns,
        n_late=n_late,
    )


def _select(events: Events, kind: Kind, start: Ns | None, end: Ns | None) -> npt.NDArray[Any]:
    """Return the events of `kind` inside `[start, end)`, in order of event time."""
    rows = events[events["kind"] == kind]
    begins = rows["ts_event"] - rows["span_s"].astype(np.int64) * SECOND_NS
    keep = np.ones(len(rows), bool)
    if start is not None:
        keep &= begins >= start
    if end is not None:
        keep &= np.where(rows["span_s"] == 0, rows["ts_event"] < end, rows["ts_event"] <= end)
    rows = rows if keep.all() else rows[keep]
    if not len(rows):
        raise DataError(f"price path: no {kind.name.lower()} event in the period asked for")
    codes = np.unique(rows["instrument"])
    if len(codes) > 1:
        raise DataError(
            f"price path: {kind.name.lower()} events of {len(codes)} instruments "
            f"(codes {codes[:5].tolist()}); expected one"
        )
    at, known = rows["ts_event"], rows["ts_known"]
    if ((at[1:] > at[:-1]) | ((at[1:] == at[:-1]) & (known[1:] >= known[:-1]))).all():
        return np.asarray(rows)
    return np.asarray(rows[np.lexsort((known, at))])


def _last_known(rows: npt.NDArray[Any], span: IntArray) -> tuple[npt.NDArray[Any], IntArray]:
    """Keep, of bars with the same end and length, the one known last."""
    keep = np.ones(len(rows), bool)
    keep[:-1] = (rows["ts_event"][1:] != rows["ts_event"][:-1]) | (span[1:] != span[:-1])
    return rows[keep], span[keep]


def _typical_spacing(at_ns: IntArray) -> int:
    steps = np.diff(at_ns[: _SPACING_SAMPLE + 1])
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What a path watches of each of `n` windows.

    Attributes
    ----------
    first, stop : ndarray of int64, shape (n,)
        Entries `first:stop` of the path lie inside the window.
    exposed_start_ns, exposed_end_ns : ndarray of int64, shape (n,)
        From the first entry's start to the last one's end; -1 where there is none.
    censor : ndarray of uint8, shape (n,)
        `Censor` codes.
    """

    first: IntArray
    stop: IntArray
    exposed_start_ns: IntArray
    exposed_end_ns: IntArray
    censor: npt.NDArray[np.uint8]


def watch(path: PricePath, open_ns: IntArray, close_ns: IntArray) -> Windows:
    """Return what `path` watches of the windows `[open_ns, close_ns)`.

    Only bars that lie wholly inside count. A window is censored where `max_gap_ns` or more of it
    goes by without an entry (at the start, between two entries, or at the end), whether or not a
    level had been touched before: dropping only the windows whose visit is missing would raise
    every hit rate.

    Parameters
    ----------
    path : PricePath
        The prices.
    open_ns, close_ns : ndarray of int64, shape (n,)
        The windows; all times in ns UTC.
    """
    n = len(path)
    is_point = path.start_ns[:1] == path.end_ns[:1]
    first = np.searchsorted(path.start_ns, open_ns, "left")
    stop = np.searchsorted(path.end_ns, close_ns, "left" if is_point.all() else "right")
    stop = np.maximum(stop, first)
    watched = stop > first
    begin = np.where(watched, path.start_ns[np.minimum(first, n - 1)], -1)
    finish = np.where(watched, path.end_ns[np.maximum(stop - 1, 0)], -1)
    holes = np.zeros(n, np.int64)
    holes[1:] = np.cumsum(path.start_ns[1:] - path.end_ns[:-1] >= path.max_gap_ns)
    inner = holes[np.maximum(stop - 1, 0)] > holes[np.minimum(first, n - 1)]
    head = begin - open_ns >= path.max_gap_ns
    tail = close_ns - finish >= path.max_gap_ns
    ended = (stop == n) & (close_ns - path.end_ns[-1] >= path.max_gap_ns)
    censor = np.select(
        [ended, ~watched & (close_ns - open_ns < path.max_gap_ns), ~watched | head | inner | tail],
        [Censor.DATA_END, Censor.UNWATCHED, Censor.GAP],
        Censor.NONE,
    )
    censor = np.where((censor == Censor.NONE) & ~watched, Censor.UNWATCHED, censor)
    return Windows(
        first=first.astype(np.int64),
        stop=stop.astype(np.int64),
        exposed_start_ns=begin.astype(np.int64),
        exposed_end_ns=finish.astype(np.int64),
        censor=censor.astype(np.uint8),
    )

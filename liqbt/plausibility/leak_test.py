"""The leak test on feeds with one value per instant: answers to returns after their stamp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.errors import DataError
from liqbt.log.symbols import coin_of
from liqbt.plausibility.feeds import Feed
from liqbt.plausibility.leaks import LeakProfile, leak_profile
from liqbt.types import MINUTE_NS, SECOND_NS, FloatArray, IntArray, Kind, Ns

_TRIED: Final = (Kind.OPEN_INTEREST, Kind.LIQUIDATION_TOTAL, Kind.BAR, Kind.MARK)
_AROUND: Final = 6
"""At most so many returns before the stamp, and so many after it."""
_P: Final = 1e-4
"""A leak is a response after the stamp that chance would show less often than this ..."""
_SHARE: Final = 0.02
"""... and that is more than this of all the response there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLeak:
    """What the leak test says of one feed.

    Attributes
    ----------
    feed, price : str
        Whose values, and whose returns; the price is empty where there was none to hold against.
    changes : int
        How many changes were used.
    step_s : float
        Length of each return.
    leak_p, after_share : float
        As in `LeakProfile`; NaN where nothing could be tried.
    lag_s : float
        End of the last return after the stamp that is answered by itself (|t| above 4); 0 where
        none is.
    leaks : bool
        Whether the feed has seen returns after its stamp.
    why_not : str
        Why it could not be tried, empty where it was.
    cause : str
        What the declaration most likely should have been, where it leaks; empty where it does not.
    offset_s, response, t : tuple of float
        The profile: start of each return relative to the stamp, and as in `LeakProfile`.
    """

    feed: str
    price: str
    changes: int
    step_s: float
    leak_p: float
    after_share: float
    lag_s: float
    leaks: bool
    why_not: str
    cause: str = ""
    offset_s: tuple[float, ...] = ()
    response: tuple[float, ...] = ()
    t: tuple[float, ...] = ()

    def text(self) -> str:
        """Return it as a sentence."""
        if self.why_not:
            return f"{self.feed}: not tried: {self.why_not}"
        figures = (
            f"p {self.leak_p:.2g}, {self.after_share:.0%} of the response after the stamp, "
            f"{self.changes:,} changes against {self.price} by {self.step_s / 60:g} min"
        )
        if self.leaks:
            return (
                f"{self.feed}: LEAKS: answers returns up to {self.lag_s / 60:g} min after its "
                f"stamp ({figures}){self.cause and f': {self.cause}'}"
            )
        return f"{self.feed}: no leak seen ({figures})"


def leak_tests(feeds: Sequence[Feed]) -> list[FeedLeak]:
    """Run the leak test on every feed with one value per instant.

    A feed is held against the finest price of its coin that is another feed.

    Parameters
    ----------
    feeds : sequence of Feed
        Those of a log or of a tape, each value once.
    """
    able = [feed for feed in feeds if feed.kind in _TRIED]
    return [_tried(feed, able) for feed in able]


def _tried(feed: Feed, feeds: Sequence[Feed]) -> FeedLeak:
    found: LeakProfile | None = None
    why, price = "no other price of its coin that is as fine", ""
    for other in _finer(feed, feeds):
        cadence, own = _cadence(feed), _cadence(other)
        step = max(own, round(cadence / _AROUND / own) * own)
        around = max(1, min(_AROUND, round(cadence / step)))
        closes = other.price
        assert closes is not None
        try:
            found = leak_profile(
                feed.ts_event[1:],
                _changes(feed, cadence),
                other.ts_event,
                closes,
                step_ns=step,
                before=around + 1,
                after=around,
            )
        except DataError as error:
            why = str(error)
            continue
        price = other.name
        break
    if found is None:
        nan = float("nan")
        return FeedLeak(
            feed=_named(feed),
            price="",
            changes=0,
            step_s=nan,
            leak_p=nan,
            after_share=nan,
            lag_s=0.0,
            leaks=False,
            why_not=why,
        )
    answered = np.flatnonzero((found.offset_ns >= 0) & (np.abs(found.t) > 4.0))
    last = int(found.offset_ns[answered[-1]]) + found.step_ns if len(answered) else 0
    leaks = found.leak_p < _P and found.after_share > _SHARE and last > 0
    return FeedLeak(
        feed=_named(feed),
        price=price,
        changes=found.n,
        step_s=found.step_ns / SECOND_NS,
        leak_p=found.leak_p,
        after_share=found.after_share,
        lag_s=last / SECOND_NS,
        leaks=leaks,
        why_not="",
        cause=_cause(feed, last) if leaks else "",
        offset_s=tuple((found.offset_ns / SECOND_NS).tolist()),
        response=tuple(found.response.tolist()),
        t=tuple(found.t.tolist()),
    )


def _named(feed: Feed) -> str:
    """Return whose, with the length of its buckets: one symbol may have feeds of several."""
    return feed.name + (f" by {feed.span_s / 60:g} min" if feed.span_s else "")


def _cause(feed: Feed, lag: Ns) -> str:
    """Return what most likely is wrong with the declaration of a feed that leaks up to `lag`."""
    cadence = _cadence(feed)
    if 2 * lag <= cadence:
        return ""
    span = f"{cadence / MINUTE_NS:g} min"
    if feed.span_s:
        return (
            f"its buckets of {feed.span_s / 60:g} min are most likely stamped at their open and "
            "declared as closes (`stamp: open`)"
        )
    return (
        f"its values most likely are means over the {span} after their stamp, declared as instants "
        f"(`stamp: open`, `span`)"
    )


def _finer(feed: Feed, feeds: Sequence[Feed]) -> Iterator[Feed]:
    """Yield other prices of the coin that are at least as fine and reach into its time."""
    coin = coin_of(feed.instrument.symbol)[0]
    able = [
        f
        for f in feeds
        if f is not feed
        and f.price is not None
        and coin_of(f.instrument.symbol)[0] == coin
        and 0 < _cadence(f) <= _cadence(feed)
        and f.ts_event[0] < feed.ts_event[-1]
        and f.ts_event[-1] > feed.ts_event[0]
    ]
    yield from sorted(able, key=_cadence)


def _cadence(feed: Feed) -> Ns:
    steps = np.diff(np.unique(feed.ts_event[:20_000]))
    return int(np.median(steps)) if len(steps) else 0


def _changes(feed: Feed, cadence: Ns) -> FloatArray:
    """Return what a feed says anew at each event but the first; NaN across a gap."""
    steps: IntArray = np.diff(feed.ts_event)
    if feed.kind == Kind.LIQUIDATION_TOTAL:
        longs, shorts = feed.payload["long_usd"][1:], feed.payload["short_usd"][1:]
        with np.errstate(all="ignore"):
            return np.asarray((longs - shorts) / (longs + shorts))
    name = "open_interest_coins" if feed.kind == Kind.OPEN_INTEREST else "close"
    with np.errstate(all="ignore"):
        change = np.diff(np.log(feed.payload[name]))
    near = (steps > 0) & (steps < 1.5 * cadence)
    return np.where(near & np.isfinite(change), change, np.nan)

"""Observed liquidations against the open interest that vanished, and feeds that overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from liqbt.log.symbols import coin_of
from liqbt.quality.feeds import LATE, price_of
from liqbt.quality.rows import FeedRows
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, FloatArray, IntArray, Kind, Ns

_PRICED: Final = (Kind.MARK, Kind.BAR)
_FORCED: Final = (Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL)
_LEAST_HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageDay:
    """One UTC day: liquidated coins and the coins by which open interest fell, summed."""

    day_ns: Ns
    liquidated_coins: float
    declined_coins: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedCoverage:
    """Observed liquidations of one feed over the summed decline of one open interest.

    Attributes
    ----------
    coin, liquidations, open_interest : str
        The coin, and `venue/symbol` of the two feeds.
    kind : str
        `liquidation` or `liquidation_total`.
    one_venue : bool
        Whether both are of one venue; otherwise the ratio compares two, and may exceed 1.
    cadence_s : float
        Spacing of the open interest: a finer one sums more declines, so ratios at different
        spacings do not compare.
    days : tuple of CoverageDay
        Days on which both have events; a part of a day counts as far as both reach.
    """

    coin: str
    liquidations: str
    open_interest: str
    kind: str
    one_venue: bool
    cadence_s: float
    days: tuple[CoverageDay, ...]

    @property
    def ratio(self) -> float:
        """Liquidated over declined coins, all days together; NaN where nothing declined."""
        declined = sum(d.declined_coins for d in self.days)
        return sum(d.liquidated_coins for d in self.days) / declined if declined else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two feeds of one kind and coin over the hours that both have.

    Attributes
    ----------
    kind, coin, one, other : str
        What overlaps.
    hours : int
        Hours in which both have an event.
    compared : str
        What `value` is: `median price difference, bp`, `median ratio` (open interest) or `ratio of
        sums` (liquidations).
    value : float
        Of one against the other.
    correlation : float
        Of hourly changes (prices, open interest) or hourly sums (liquidations).
    """

    kind: str
    coin: str
    one: str
    other: str
    hours: int
    compared: str
    value: float
    correlation: float


def feed_coverages(feeds: Sequence[FeedRows]) -> Iterator[FeedCoverage]:
    """Yield the coverage of each liquidation feed by open interest of the same coin.

    That of its own venue, where there is one; otherwise every other.
    """
    held = [f for f in feeds if f.kind == Kind.OPEN_INTEREST]
    for gone in feeds:
        if gone.kind not in _FORCED:
            continue
        coin = coin_of(gone.instrument.symbol)[0]
        same_coin = [f for f in held if coin_of(f.instrument.symbol)[0] == coin]
        own = [f for f in same_coin if f.instrument.venue == gone.instrument.venue]
        for open_interest in own or same_coin:
            found = _coverage(coin, gone, open_interest, feeds)
            if found.days:
                yield found


def _coverage(coin: str, gone: FeedRows, held: FeedRows, feeds: Sequence[FeedRows]) -> FeedCoverage:
    start = max(int(gone.ts_event[0]) - max(gone.span_s * SECOND_NS, 1), int(held.ts_event[0]))
    end = min(int(gone.ts_event[-1]), int(held.ts_event[-1]))
    cadence = float(np.median(np.diff(held.ts_event))) if len(held.ts_event) > 1 else math.nan
    at, declined = _declines(held, cadence)
    declined = declined * coin_of(held.instrument.symbol)[1]
    coins = _liquidated_coins(gone, held, coin, feeds)
    days: list[CoverageDay] = []
    if end > start:
        for day in range(start // DAY_NS, end // DAY_NS + 1):
            low, high = max(day * DAY_NS, start), min((day + 1) * DAY_NS, end + 1)
            lost = float(declined[(at > low) & (at <= high)].sum())
            shut = coins[(gone.ts_event > low) & (gone.ts_event <= high)]
            if lost > 0 or len(shut):
                days.append(
                    CoverageDay(
                        day_ns=day * DAY_NS,
                        liquidated_coins=float(np.nansum(shut)),
                        declined_coins=lost,
                    )
                )
    return FeedCoverage(
        coin=coin,
        liquidations=str(gone.instrument),
        open_interest=str(held.instrument),
        kind=gone.kind.name.lower(),
        one_venue=gone.instrument.venue == held.instrument.venue,
        cadence_s=cadence / SECOND_NS,
        days=tuple(days),
    )


def _declines(held: FeedRows, cadence: float) -> tuple[IntArray, FloatArray]:
    """Return when open interest fell, and by how many coins; nothing across a gap.

    Across less than an hour the difference still is a decline, if a net one.
    """
    step = np.diff(held.payload["open_interest_coins"])
    near = np.diff(held.ts_event) <= max(LATE * cadence, HOUR_NS)
    return held.ts_event[1:], np.where(near, np.maximum(-step, 0.0), 0.0)


def _liquidated_coins(
    gone: FeedRows, held: FeedRows, coin: str, feeds: Sequence[FeedRows]
) -> FloatArray:
    """Return coins per event; totals in USD at the last price of the same coin before them."""
    if gone.kind == Kind.LIQUIDATION:
        return gone.payload["size_coins"] * coin_of(gone.instrument.symbol)[1]
    times = coin_of(held.instrument.symbol)[1]
    usd = gone.payload["long_usd"] + gone.payload["short_usd"]
    at, price = (
        held.ts_event,
        held.payload["open_interest_usd"]
        / np.where(
            held.payload["open_interest_coins"] > 0, held.payload["open_interest_coins"], np.nan
        ),
    )
    if np.isnan(price).all():
        for feed in feeds:
            own = price_of(feed.payload)
            if (
                feed.kind in _PRICED
                and own is not None
                and coin_of(feed.instrument.symbol)[0] == coin
            ):
                at, price = feed.ts_event, own
                times = coin_of(feed.instrument.symbol)[1]
                break
    place = np.searchsorted(at, gone.ts_event, side="right") - 1
    return np.asarray(np.where(place >= 0, usd * times / price[np.maximum(place, 0)], np.nan))


def overlaps(feeds: Sequence[FeedRows]) -> Iterator[Overlap]:
    """Yield every pair of feeds of one kind and coin that have a day of hours in common."""
    kinds = (*_PRICED, Kind.OPEN_INTEREST, *_FORCED)
    for one, other in combinations([f for f in feeds if f.kind in kinds], 2):
        coins = coin_of(one.instrument.symbol)[0], coin_of(other.instrument.symbol)[0]
        if one.kind == other.kind and coins[0] == coins[1]:
            found = _overlap(coins[0], one, other)
            if found.hours >= _LEAST_HOURS:
                yield found


def _overlap(coin: str, one: FeedRows, other: FeedRows) -> Overlap:
    total = one.kind in _FORCED
    (h1, v1), (h2, v2) = (_hourly(f) for f in (one, other))
    hours, i, j = np.intersect1d(h1, h2, return_indices=True)
    a, b = v1[i], v2[j]
    value = math.nan
    with np.errstate(all="ignore"):
        if len(hours) and total:
            value = float(a.sum() / b.sum())
        elif len(hours) and one.kind == Kind.OPEN_INTEREST:
            value = float(np.median(a / b))
        elif len(hours):
            value = float(np.median(np.log(a / b))) * 1e4
        x, y = (a, b) if total else (np.diff(np.log(a)), np.diff(np.log(b)))
        good = np.isfinite(x) & np.isfinite(y)
        varied = good.sum() > 2 and x[good].std() > 0 and y[good].std() > 0
        correlation = float(np.corrcoef(x[good], y[good])[0, 1]) if varied else math.nan
    return Overlap(
        kind=one.kind.name.lower(),
        coin=coin,
        one=str(one.instrument),
        other=str(other.instrument),
        hours=len(hours),
        compared="median price difference, bp"
        if one.kind in _PRICED
        else ("ratio of sums" if total else "median ratio"),
        value=value,
        correlation=correlation,
    )


def _hourly(feed: FeedRows) -> tuple[IntArray, FloatArray]:
    """Return the hours with an event, and each one's last value; of liquidations the sum, USD.

    Prices are of one coin, and open interest counts coins, whatever multiple the symbol is of.
    """
    times = coin_of(feed.instrument.symbol)[1]
    hour = (feed.ts_event - 1) // HOUR_NS  # what ends an hour belongs to it
    if feed.kind == Kind.LIQUIDATION:
        value = feed.payload["price"] * feed.payload["size_coins"]
    elif feed.kind == Kind.LIQUIDATION_TOTAL:
        value = feed.payload["long_usd"] + feed.payload["short_usd"]
    elif feed.kind == Kind.OPEN_INTEREST:
        value = feed.payload["open_interest_coins"] * times
    else:
        value = feed.payload["close"] / times
    hours, first = np.unique(hour, return_index=True)
    if feed.kind in _FORCED:
        return hours, np.add.reduceat(value, first)
    return hours, value[np.append(first[1:], len(value)) - 1]

"""What cannot be what it is said to be, each in one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from liqbt.log.one_value import when
from liqbt.log.symbols import coin_of
from liqbt.plausibility.feeds import Feed
from liqbt.plausibility.interest import MOST, believed, next_to_nothing
from liqbt.types import HOUR_NS, MINUTE_NS, SECOND_NS, FloatArray, IntArray, Kind, Ns

_LEAST: Final = 30
"""Fewer values than this are held against nothing."""
_OFF: Final = 0.05
"""A price implied by open interest may lie so far from the price of its coin."""
_SIGMA: Final = 4.0
"""Sides are turned around where returns speak against them by so many standard errors."""
_RATE: Final = 0.003
"""The median size of a funding rate above which it most likely is a percent."""
_APART: Final = 0.3
"""Two prices of one coin correlate less than this at lag 0 ..."""
_ALIKE: Final = 0.8
"""... and more than this at another lag."""
_LAGS: Final = 3
_FALL: Final = 0.03
"""A fall of the price within an hour in which somebody is liquidated."""
_GRACE_NS: Final = 10 * MINUTE_NS
"""So long after such an hour somebody still may be."""
_FROZEN: Final = 12
"""So many equal values running, at least, are a feed that stands still ..."""
_CHANCE: Final = 1e-6
"""... where as many would hardly ever follow each other, by how often values repeat elsewhere."""
_LATE_NS: Final = 10 * MINUTE_NS
"""What is known so long after it happened, always, nobody received as it happened."""
_ROUND_NS: Final = 10 * SECOND_NS
_EVENTFUL: Final = (Kind.TRADE, Kind.LIQUIDATION, Kind.POSITION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that cannot be what it is said to be.

    Attributes
    ----------
    check : str
        Which check found it.
    feed : str
        Whose: kind, venue and symbol.
    count : int
        How many values it concerns.
    text : str
        What, in one sentence.
    """

    check: str
    feed: str
    count: int
    text: str


def findings(feeds: Sequence[Feed]) -> tuple[Finding, ...]:
    """Return everything about some feeds that cannot be what it is said to be.

    Parameters
    ----------
    feeds : sequence of Feed
        Those of a log, of a file, or of a tape.
    """
    found: list[Finding] = []
    for feed in feeds:
        for check in (_interest, _jumps, _frozen, _rate, _clocks, _rounded, _numbers):
            found += check(feed)
        if feed.kind == Kind.OPEN_INTEREST:
            found += _implied(feed, feeds)
        if feed.kind == Kind.LIQUIDATION:
            found += _sides(feed, feeds)
            found += _silent(feed, feeds)
        if feed.kind == Kind.LIQUIDATION_TOTAL:
            found += _total_sides(feed, feeds)
    for one, other in combinations([f for f in feeds if f.kind in (Kind.MARK, Kind.BAR)], 2):
        found += _lagging(one, other)
    return tuple(found)


def _interest(feed: Feed) -> Iterator[Finding]:
    if feed.kind != Kind.OPEN_INTEREST:
        return
    coins = feed.payload["open_interest_coins"]
    zero = np.flatnonzero(coins <= 0)
    if len(zero):
        yield Finding(
            check="interest_of_nothing",
            feed=feed.name,
            count=len(zero),
            text=f"{feed.name}: {len(zero)} values are 0, the first at "
            f"{when(int(feed.ts_event[zero[0]]))}: missing, not nothing",
        )
    yield from _alone(feed, coins, "interest_of_one_row")


def _alone(feed: Feed, values: FloatArray, check: str) -> Iterator[Finding]:
    """Yield that single values jump, if some do."""
    order = np.argsort(feed.ts_known, kind="stable")
    keep, _ = believed(feed.ts_known[order], values[order])
    tiny = next_to_nothing(keep, values[order])
    if tiny.any():
        first = int(order[tiny].min())
        yield Finding(
            check=check,
            feed=feed.name,
            count=int(tiny.sum()),
            text=f"{feed.name}: {int(tiny.sum())} values are next to 0, the first "
            f"{values[first]:.6g} at {when(int(feed.ts_event[first]))}",
        )
    alone = np.sort(order[~keep & (values[order] > 0) & ~tiny])
    if len(alone):
        first = int(alone[0])
        yield Finding(
            check=check,
            feed=feed.name,
            count=len(alone),
            text=f"{feed.name}: {len(alone)} single values jump and are not confirmed by the next, "
            f"the first {values[first]:.6g} at {when(int(feed.ts_event[first]))}",
        )


def _jumps(feed: Feed) -> Iterator[Finding]:
    """Yield that a price jumps: it is named, and believed, as nothing stands in its place."""
    if feed.kind not in (Kind.MARK, Kind.BAR) or feed.price is None:
        return
    yield from _alone(feed, feed.price, "price_of_one_row")
    step = np.diff(np.log(feed.price))
    far = np.flatnonzero((np.abs(step) > MOST) & (np.diff(feed.ts_event) <= HOUR_NS))
    if len(far):
        first = int(far[0])
        yield Finding(
            check="price_jumps",
            feed=feed.name,
            count=len(far),
            text=f"{feed.name}: {len(far)} times it is nearly twice or half of the value before, "
            f"the first {feed.price[first + 1]:.6g} after {feed.price[first]:.6g} at "
            f"{when(int(feed.ts_event[first + 1]))}",
        )


def _frozen(feed: Feed) -> Iterator[Finding]:
    """Yield that a feed stands still for longer than it ever would by itself."""
    interest = feed.kind == Kind.OPEN_INTEREST
    values = feed.payload["open_interest_coins"] if interest else feed.price
    if values is None or feed.kind == Kind.TRADE or len(values) < _LEAST:
        return
    same = np.diff(values) == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    if not len(lengths) or lengths.max() < _FROZEN:
        return
    place = int(np.argmax(lengths))
    rest = len(same) - int(lengths[place])
    share = (int(same.sum()) - int(lengths[place])) / rest if rest else 1.0
    tenth = int(np.sort(lengths)[-10]) if len(lengths) >= 10 else 0  # quiet hours come in clusters
    if len(same) * share ** int(lengths[place]) < _CHANCE and lengths[place] > 3 * tenth:
        first = int(starts[place])
        last = first + int(lengths[place])
        yield Finding(
            check="frozen_feed",
            feed=feed.name,
            count=last - first + 1,
            text=f"{feed.name}: stood still, at {values[first]:.6g} {last - first + 1} times from "
            f"{when(int(feed.ts_event[first]))} on, until {when(int(feed.ts_event[last]))}",
        )


def _rate(feed: Feed) -> Iterator[Finding]:
    if feed.kind != Kind.FUNDING or len(feed.ts_event) < _LEAST:
        return
    size = float(np.median(np.abs(feed.payload["rate"])))
    if size > _RATE:
        yield Finding(
            check="funding_in_percent",
            feed=feed.name,
            count=len(feed.ts_event),
            text=f"{feed.name}: half of its rates are above {size:.3%}: most likely percents taken "
            "for fractions (units: percent)",
        )


def _clocks(feed: Feed) -> Iterator[Finding]:
    n = len(feed.ts_event)
    if feed.observed and n >= _LEAST and (feed.ts_known == feed.ts_event).all():
        yield Finding(
            check="one_clock",
            feed=feed.name,
            count=n,
            text=f"{feed.name}: both clocks are equal on all {n} rows: nobody observed when they "
            "were known",
        )
    least = int((feed.ts_known - feed.ts_event).min()) if feed.observed and n >= _LEAST else 0
    if least > _LATE_NS:
        yield Finding(
            check="late_clock",
            feed=feed.name,
            count=n,
            text=f"{feed.name}: all {n} rows were received {least / HOUR_NS:.2f} h after they "
            "happened or later: a clock of another zone, or history that was fetched later",
        )


def _rounded(feed: Feed) -> Iterator[Finding]:
    n = len(feed.ts_event)
    if feed.kind not in _EVENTFUL or n < _LEAST:
        return
    step = _ROUND_NS
    if (feed.ts_event % step != 0).any() or (feed.ts_event % MINUTE_NS == 0).all():
        return  # what is counted by the minute is no rounded decimal
    while (feed.ts_event % (10 * step) == 0).all() and step < 10**6 * SECOND_NS:
        step *= 10
    yield Finding(
        check="rounded_times",
        feed=feed.name,
        count=n,
        text=f"{feed.name}: all {n} times are multiples of {step // SECOND_NS} s: a "
        "spreadsheet has rounded them",
    )


def _numbers(feed: Feed) -> Iterator[Finding]:
    seq = np.sort(feed.seq[feed.seq >= 0])  # np.unique hashes numbers in a row badly
    seq = seq[np.concatenate(([True], seq[1:] != seq[:-1]))] if len(seq) else seq
    if len(seq) < 2:
        return
    steps = np.diff(seq)
    lacking = int((steps - 1).sum())
    if lacking and float(np.median(steps)) == 1.0:
        widest = int(np.argmax(steps))
        yield Finding(
            check="missing_numbers",
            feed=feed.name,
            count=lacking,
            text=f"{feed.name}: {lacking} of the venue's numbers are missing in "
            f"{int((steps > 1).sum())} holes, the widest from {seq[widest]} to {seq[widest + 1]}",
        )


def _price_at(at: IntArray, coin: str, feeds: Sequence[Feed], venue: str) -> FloatArray:
    """Return the last price of a coin at some times, NaN where it is older than an hour."""
    priced = [f for f in feeds if f.price is not None and coin_of(f.instrument.symbol)[0] == coin]
    marks = [f for f in priced if f.kind == Kind.MARK and "metrics" not in f.instrument.venue]
    own = [f for f in marks if f.instrument.venue == venue]
    chosen = next(iter([*own, *marks, *priced]), None)
    if chosen is None or chosen.price is None:
        return np.full(len(at), np.nan)
    place = np.searchsorted(chosen.ts_event, at, side="right") - 1
    near = (place >= 0) & (at - chosen.ts_event[np.maximum(place, 0)] <= HOUR_NS)
    times = coin_of(chosen.instrument.symbol)[1]
    return np.where(near, chosen.price[np.maximum(place, 0)] / times, np.nan)


def _implied(feed: Feed, feeds: Sequence[Feed]) -> Iterator[Finding]:
    coin, times = coin_of(feed.instrument.symbol)
    coins, usd = feed.payload["open_interest_coins"], feed.payload["open_interest_usd"]
    with np.errstate(all="ignore"):
        implied = usd / (coins * times)
        ratio = _price_at(feed.ts_event, coin, feeds, feed.instrument.venue) / implied
    good = ratio[np.isfinite(ratio) & (ratio > 0)]
    if len(good) < _LEAST:
        return
    middle = float(np.median(good))
    if abs(math.log(middle)) > _OFF:
        power = round(math.log10(middle))
        unit = f": a unit of it is {10.0**-power:g} coins" if power and _near(middle, power) else ""
        yield Finding(
            check="implied_price",
            feed=feed.name,
            count=len(good),
            text=f"{feed.name}: its value over its coins is {float(np.nanmedian(implied)):.6g} "
            f"USD, and the price {middle:.4g} times that{unit}",
        )


def _near(ratio: float, power: int) -> bool:
    return abs(math.log(ratio / 10.0**power)) < _OFF


def _returns(ends: IntArray, span: Ns, coin: str, feeds: Sequence[Feed], venue: str) -> FloatArray:
    before = _price_at(ends - span, coin, feeds, venue)
    with np.errstate(all="ignore"):
        return np.asarray(np.log(_price_at(ends, coin, feeds, venue) / before))


def _turned(feed: Feed, signed: FloatArray, what: str) -> Iterator[Finding]:
    """Yield that sides are turned around where moves against them are the rule.

    `signed` is above 0 where the price moved against the side that was closed, as it must.
    """
    good = signed[np.isfinite(signed)]
    if len(good) < _LEAST or not good.std() > 0:
        return
    error = good.std(ddof=1) / math.sqrt(len(good))
    if good.mean() < -_SIGMA * error:
        yield Finding(
            check="sides_turned_around",
            feed=feed.name,
            count=len(good),
            text=f"{feed.name}: longs are closed while the price rises and shorts while it falls "
            f"({what}, {good.mean() / error:.1f} standard errors): the sides are turned around",
        )


def _sides(feed: Feed, feeds: Sequence[Feed]) -> Iterator[Finding]:
    coin, _ = coin_of(feed.instrument.symbol)
    span = HOUR_NS // 6
    moved = _returns(feed.ts_event, span, coin, feeds, feed.instrument.venue)
    block = feed.ts_event // HOUR_NS  # liquidations of one hour are one move
    signed = -moved * feed.side
    hours, place = np.unique(block[np.isfinite(signed)], return_inverse=True)
    if len(hours):
        total = np.bincount(place, weights=signed[np.isfinite(signed)])
        signed = total / np.bincount(place)
    yield from _turned(feed, signed, "ten minutes before each, by hours")


def _total_sides(feed: Feed, feeds: Sequence[Feed]) -> Iterator[Finding]:
    coin, _ = coin_of(feed.instrument.symbol)
    longs, shorts = feed.payload["long_usd"], feed.payload["short_usd"]
    span = max(feed.span_s, 1) * SECOND_NS
    moved = _returns(feed.ts_event, span, coin, feeds, feed.instrument.venue)
    with np.errstate(all="ignore"):
        share = (longs - shorts) / (longs + shorts)
    yield from _turned(feed, -moved * share, "over each bucket")


def _silent(feed: Feed, feeds: Sequence[Feed]) -> Iterator[Finding]:
    coin, _ = coin_of(feed.instrument.symbol)
    first, last = int(feed.ts_event[0]), int(feed.ts_event[-1])
    ends = np.arange(first + HOUR_NS, last + 1, HOUR_NS, dtype=np.int64)
    if len(ends) < _LEAST:
        return
    fell = _returns(ends, HOUR_NS, coin, feeds, feed.instrument.venue) < -_FALL
    until = np.searchsorted(feed.ts_event, ends + _GRACE_NS)
    spoke = until > np.searchsorted(feed.ts_event, ends - HOUR_NS)
    mute = np.flatnonzero(fell & ~spoke)
    if len(mute):
        yield Finding(
            check="silent_feed",
            feed=feed.name,
            count=len(mute),
            text=f"{feed.name}: says nothing in {len(mute)} hours in which the price fell by more "
            f"than {_FALL:.0%}, the first until {when(int(ends[mute[0]]))}: it was not heard",
        )


def _lagging(one: Feed, other: Feed) -> Iterator[Finding]:
    if coin_of(one.instrument.symbol)[0] != coin_of(other.instrument.symbol)[0]:
        return
    (h1, v1), (h2, v2) = _hourly(one), _hourly(other)
    if len(h1) < _LEAST or len(h2) < _LEAST:
        return
    best, at_zero = (0, 0.0), math.nan
    for lag in range(-_LAGS, _LAGS + 1):
        value = _correlation(h1, v1, h2 + lag, v2)
        if lag == 0:
            at_zero = value
        if math.isfinite(value) and value > best[1]:
            best = (lag, value)
    if best[0] and best[1] > _ALIKE and not at_zero > _APART:
        late, early = (one, other) if best[0] > 0 else (other, one)
        yield Finding(
            check="prices_apart",
            feed=early.name,
            count=len(h1),
            text=f"{early.name} and {late.name} have a correlation of {at_zero:.2f} at one time "
            f"and of {best[1]:.2f} where the first is taken {abs(best[0])} h later: one of "
            "the two is stamped at the wrong end",
        )


def _hourly(feed: Feed) -> tuple[IntArray, FloatArray]:
    """Return the hours and the logarithm of the last price of each."""
    price = feed.price
    assert price is not None
    hour = (feed.ts_event - 1) // HOUR_NS
    hours, first = np.unique(hour, return_index=True)
    return hours, np.log(price[np.append(first[1:], len(price)) - 1])


def _correlation(h1: IntArray, v1: FloatArray, h2: IntArray, v2: FloatArray) -> float:
    hours, i, j = np.intersect1d(h1, h2, return_indices=True)
    if len(hours) < _LEAST:
        return math.nan
    x, y = np.diff(v1[i]), np.diff(v2[j])
    next_hour = np.diff(hours) == 1
    x, y = x[next_hour], y[next_hour]
    if len(x) < _LEAST or not x.std() > 0 or not y.std() > 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])

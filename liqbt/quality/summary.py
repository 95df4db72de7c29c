"""The quality of a log as text for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from liqbt.quality.coverage import FeedCoverage, Overlap
from liqbt.quality.feeds import FeedQuality
from liqbt.quality.measure import LogQuality
from liqbt.study.summary import iso

_MANY: Final = 60
_SMALL: Final = 50
_FROZEN: Final = 6
"""Cadences for which a value that repeats is worth a line."""


def describe_quality(quality: LogQuality, *, gaps: int = 3) -> str:
    """Return tables of feeds, gaps, oddities, coverage, overlaps and notes.

    Parameters
    ----------
    quality : LogQuality
        From `log_quality`.
    gaps : int
        How many gaps and odd values to list for each feed.
    """
    parts = [
        f"{quality.name}: {len(quality.feeds)} feeds, {iso(quality.start_ns)} to "
        f"{iso(quality.end_ns)}, {quality.quarantined:,} rows quarantined",
        "\n".join(_feeds(quality.feeds)),
        "\n".join(_gaps(quality.feeds, gaps)),
        "\n".join(_odd(quality.feeds, gaps)),
        "\n".join(_doubts(quality.feeds)),
        "\n".join(_findings(quality)),
        "\n".join(_leaks(quality)),
        "\n".join(_coverage(quality.coverage)),
        "\n".join(_overlaps(quality.overlaps)),
        "\n".join(_notes(quality.notes)),
    ]
    return "\n\n".join(part for part in parts if part)


def _name(feed: FeedQuality) -> str:
    span = f" by {_span(feed.span_s)}" if feed.span_s else ""
    return f"{feed.kind} {feed.venue}/{feed.symbol}{span}"


def _small(feed: FeedQuality) -> bool:
    """Whether a feed is too small for a row of its own where there are many."""
    return feed.events < _SMALL and math.isnan(feed.cadence_s)


def _span(seconds: float) -> str:
    if math.isnan(seconds):
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2%}"


def _feeds(feeds: Sequence[FeedQuality]) -> Iterator[str]:
    small = [f for f in feeds if _small(f)] if len(feeds) > _MANY else []
    wide = max(len(_name(f)) for f in feeds) + 2
    yield (
        f"{'feed':<{wide}}{'events':>11}{'cadence':>10}{'complete':>10}{'gaps':>6}{'doubled':>9}"
        f"{'twins':>8}{'late':>6}  latency (5 %, median, 99 %)"
    )
    for f in feeds:
        if f in small:
            continue
        low, middle, high = (_span(f.latency_s[i]) for i in (1, 2, 4))
        spread = middle if low == high else f"{low}, {middle}, {high}"
        yield (
            f"{_name(f):<{wide}}{f.events:>11,}{_span(f.cadence_s):>10}{_share(f.complete):>10}"
            f"{f.n_gaps:>6,}{f.ids_repeated + f.rows_repeated:>9,}{f.twins:>8,}"
            f"{f.late_order:>6,}  {spread} {f.latency_is}"
        )
    if small:
        events = sum(f.events for f in small)
        yield f"and {len(small)} feeds of fewer than {_SMALL} events each, {events:,} together"


def _gaps(feeds: Sequence[FeedQuality], most: int) -> Iterator[str]:
    for f in feeds:
        for i, gap in enumerate(f.gaps[:most] if f.n_gaps else ()):
            if i == 0:
                left = f" (of {f.n_gaps:,})" if f.n_gaps > most else ""
                yield f"gaps of {_name(f)}, longest first{left}"
            yield (
                f"  {iso(gap.start_ns)} to {iso(gap.end_ns)}, "
                f"{_span((gap.end_ns - gap.start_ns) / 1e9)}, {gap.missing:,} missing"
            )


def _odd(feeds: Sequence[FeedQuality], most: int) -> Iterator[str]:
    for f in feeds:
        for i, odd in enumerate(f.odd[:most]):
            if i == 0:
                left = f" (of {f.n_odd:,})" if f.n_odd > most else ""
                yield f"odd values of {_name(f)}, oddest first{left}"
            far = "" if math.isinf(odd.z) else f", {abs(odd.z):.0f} robust standard deviations"
            yield f"  {iso(odd.at_ns)} {odd.what}{far}"


def _doubts(feeds: Sequence[FeedQuality]) -> Iterator[str]:
    for f in feeds:
        for side in f.capped:
            yield (f"{_name(f)} looks capped: {side} positions come to an exact multiple of 1,000")
        if f.revised:
            yield f"{_name(f)}: {f.revised:,} values were revised later"
        if f.longest_same_s >= _FROZEN * f.cadence_s:
            yield f"{_name(f)} stood still for {_span(f.longest_same_s)}"


def _findings(quality: LogQuality) -> Iterator[str]:
    if quality.findings:
        yield "what cannot be what it is said to be"
    for found in quality.findings:
        yield f"  {found.text}"


def _leaks(quality: LogQuality) -> Iterator[str]:
    if quality.leaks:
        yield "whether feeds have seen returns after their stamp"
    for one in quality.leaks:
        yield f"  {one.text()}"


def _coverage(pairs: Sequence[FeedCoverage]) -> Iterator[str]:
    if pairs:
        yield "liquidated coins over the summed decline of open interest"
    for pair in pairs:
        by_day = sorted(
            d.liquidated_coins / d.declined_coins for d in pair.days if d.declined_coins > 0
        )
        spread = f", days {by_day[0]:.2%} to {by_day[-1]:.2%}" if by_day else ""
        other = "" if pair.one_venue else " (different venues)"
        yield (
            f"  {pair.coin}: {pair.kind} {pair.liquidations} over {pair.open_interest} every "
            f"{_span(pair.cadence_s)}{other}: {_share(pair.ratio)} on {len(pair.days)} days{spread}"
        )


def _overlaps(pairs: Sequence[Overlap]) -> Iterator[str]:
    if pairs:
        yield "overlapping feeds"
    for p in pairs:
        yield (
            f"  {p.kind} {p.coin}: {p.one} against {p.other}, {p.hours:,} h: {p.compared} "
            f"{p.value:.4g}, correlation {p.correlation:.3f}"
        )


def _notes(notes: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    if notes:
        yield "said by the readers"
    for file, name, text in notes:
        yield f"  {file}: {name.replace('_', ' ')}: {text}"

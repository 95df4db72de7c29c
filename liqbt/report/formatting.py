"""Numbers, times and names as words: one way of writing each, for page, figures and line.

NaN is an em dash everywhere. A minus is a true minus sign, so that it aligns with a plus.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from liqbt.types import SECOND_NS, Ns

DASH = "—"
MINUS = "−"
_SCALES: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    """Write `value` with so many decimals; NaN is an em dash, zero has no sign.

    Examples
    --------
    >>> fixed(-1234.56, 1), fixed(0.04, 1, signed=True), fixed(float("nan"), 2)
    ('−1,234.6', '0.0', '—')
    """
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):,.{decimals}f}"
    if not any(c in "123456789" for c in text):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def count(n: float) -> str:
    """Write a count.

    Examples
    --------
    >>> count(25920)
    '25,920'
    """
    return fixed(float(n), 0)


def percent(fraction: float, decimals: int = 1, *, signed: bool = False) -> str:
    """Write a fraction as a percentage.

    Examples
    --------
    >>> percent(0.0173, signed=True), percent(float("nan"))
    ('+1.7%', '—')
    """
    text = fixed(fraction * 100.0, decimals, signed=signed)
    return text if text == DASH else f"{text}%"


def usd(amount_usd: float, *, short: bool = False) -> str:
    """Write an amount in USD with three significant digits and K, M, B or T.

    Parameters
    ----------
    amount_usd : float
        The amount.
    short : bool
        Drop trailing zeros, as on an axis.

    Examples
    --------
    >>> usd(20e6, short=True)
    '$20M'

    >>> usd(1.2345e9), usd(56.12e6), usd(999_900), usd(0.0), usd(float("nan"))
    ('$1.23B', '$56.1M', '$1.00M', '$0', '—')
    """
    if math.isnan(amount_usd):
        return DASH
    if abs(amount_usd) < 0.5:
        return "$0"
    rounded = float(f"{abs(amount_usd):.2e}")
    scale, suffix = next((s for s in _SCALES if rounded >= s[0]), (1.0, ""))
    shown = rounded / scale
    decimals = max(0, 2 - math.floor(math.log10(max(shown, 1.0)))) if suffix else 0
    text = f"{shown:,.{decimals}f}"
    if short and "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{MINUS if amount_usd < 0 else ''}${text}{suffix}"


def price(price_usd: float) -> str:
    """Write a price with five significant digits or more.

    Examples
    --------
    >>> price(87650.4), price(3412.56), price(0.51234), price(float("nan"))
    ('87,650', '3,412.6', '0.51234', '—')
    """
    if not math.isfinite(price_usd) or price_usd <= 0.0:
        return fixed(price_usd, 0)
    return fixed(price_usd, max(0, 4 - math.floor(math.log10(price_usd))))


def decimals_for(half_width: float, *, most: int = 4) -> int:
    """Return the decimals that give a half width two significant digits.

    Examples
    --------
    >>> decimals_for(33.0), decimals_for(3.3), decimals_for(0.033), decimals_for(float("nan"))
    (0, 1, 3, 1)
    >>> decimals_for(0.9999999)
    1
    """
    if not math.isfinite(half_width) or half_width <= 0.0:
        return 1
    return min(most, max(0, 1 - math.floor(math.log10(float(f"{half_width:.1e}")))))


def estimate(
    value: float,
    ci_low: float,
    ci_high: float,
    *,
    scale: float = 1.0,
    signed: bool = False,
    decimals: int | None = None,
) -> str:
    """Write a value with its interval, to two significant digits of the half width.

    Parameters
    ----------
    value, ci_low, ci_high : float
        The estimate and its bounds; NaN bounds are written as an em dash.
    scale : float
        Applied to all three (100 turns fractions into points).
    signed : bool
        Whether positive numbers carry a plus.
    decimals : int, optional
        Of a value that has no interval; one of a hundredth, three of anything else by default.

    Examples
    --------
    >>> estimate(0.0102, -0.0561, 0.0768, scale=100, signed=True)
    '+1.0 [−5.6, +7.7]'
    >>> estimate(0.41, float("nan"), float("nan"), scale=100)
    '41.0 [—]'
    """
    if math.isnan(value):
        return DASH
    half = (ci_high - ci_low) / 2.0 * scale
    if math.isfinite(half):
        decimals = decimals_for(half)
    elif decimals is None:
        decimals = 1 if scale == 100.0 else 3
    centre = fixed(value * scale, decimals, signed=signed)
    if math.isnan(half):
        return f"{centre} [{DASH}]"
    low = fixed(ci_low * scale, decimals, signed=signed)
    return f"{centre} [{low}, {fixed(ci_high * scale, decimals, signed=signed)}]"


def instant(ns: Ns) -> str:
    """Write a time, to the minute.

    Examples
    --------
    >>> instant(1_767_222_000_000_000_000)
    '2025-12-31 23:00 UTC'
    """
    return f"{datetime.fromtimestamp(ns // SECOND_NS, tz=UTC):%Y-%m-%d %H:%M} UTC"


def day(ns: Ns) -> str:
    """Write the UTC day of a time.

    Examples
    --------
    >>> day(1_767_222_000_000_000_000)
    '2025-12-31'
    """
    return f"{datetime.fromtimestamp(ns // SECOND_NS, tz=UTC):%Y-%m-%d}"


def duration(seconds: float) -> str:
    """Write a length of time in its natural unit.

    Examples
    --------
    >>> duration(60), duration(5400), duration(200_000), duration(float("nan"))
    ('60 s', '90 min', '2.3 d', '—')
    """
    if math.isnan(seconds):
        return DASH
    for limit, unit, word in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {word}"
    days = seconds / 86400.0
    return f"{fixed(days, 1 if days < 100 else 0)} d"


def horizon_hours(horizon: str) -> float:
    """Return the hours of a horizon such as `4h` or `7d`; anything else sorts last.

    Examples
    --------
    >>> horizon_hours("24h"), horizon_hours("7d"), horizon_hours("soon")
    (24.0, 168.0, inf)
    """
    number, unit = horizon[:-1], horizon[-1:]
    hours = {"m": 1.0 / 60.0, "h": 1.0, "d": 24.0}.get(unit)
    return float(number) * hours if hours is not None and number.isdecimal() else math.inf


def horizon_words(horizon: str) -> str:
    """Write a horizon with its unit apart.

    Examples
    --------
    >>> horizon_words("24h")
    '24 h'
    """
    return f"{horizon[:-1]} {horizon[-1]}" if math.isfinite(horizon_hours(horizon)) else horizon


def list_words(items: list[str]) -> str:
    """Join names as English does.

    Examples
    --------
    >>> list_words(["a"]), list_words(["a", "b"]), list_words(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def further(n_left: int, what: str, where: str) -> str:
    """Say, at the end of a caption, how much a figure left out; nothing where it shows all.

    Examples
    --------
    >>> further(3, "feed", "the table"), further(0, "feed", "the table")
    (' 3 further feed(s) are in the table only.', '')
    """
    return f" {n_left} further {what}(s) are in {where} only." if n_left > 0 else ""


def number(value: float | None) -> float:
    """Return a number of a JSON document, NaN where it has none.

    Examples
    --------
    >>> number(None), number(2)
    (nan, 2.0)
    """
    return math.nan if value is None else float(value)


def one_line(text: str, limit: int = 80) -> str:
    r"""Return a foreign string as printable characters on one line, shortened to `limit`.

    Examples
    --------
    >>> one_line("BTC\nUSDT\x1b[31m")
    'BTC?USDT?[31m'
    """
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"

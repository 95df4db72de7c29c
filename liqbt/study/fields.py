"""The fields of a configuration: what people write to the values that are kept, and back.

Durations are written as `5min`, `24h`, `7d` and kept as int64 nanoseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from liqbt.study.yaml import nearest
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Instrument, Kind

_UNITS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}
_LONGEST_NS: Final = 3653 * DAY_NS
_YEARS: Final = range(2009, 2100)


def duration_ns(text: str | int) -> int:
    """Return a duration such as `60s`, `5min`, `24h` or `7d` in nanoseconds.

    Raises
    ------
    ValueError
        It is none, or longer than ten years.

    Examples
    --------
    >>> duration_ns("5min")
    300000000000
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", str(text).strip())
    if match is None:
        raise ValueError(f"'{text}' is not a duration; write one such as 60s, 5min, 24h or 7d")
    duration = float(match[1]) * _UNITS[match[2]]
    if duration > _LONGEST_NS:
        raise ValueError(f"'{text}' is longer than ten years")
    return round(duration)


def format_duration(ns: int) -> str:
    """Write nanoseconds the way a configuration does.

    Examples
    --------
    >>> format_duration(7 * DAY_NS), format_duration(24 * HOUR_NS), format_duration(90 * SECOND_NS)
    ('7d', '24h', '90s')
    """
    for unit, least in (("d", 2), ("h", 1), ("min", 1)):
        if ns % _UNITS[unit] == 0 and ns >= least * _UNITS[unit]:
            return f"{ns // _UNITS[unit]}{unit}"
    return f"{ns / SECOND_NS:g}s"


def instant_ns(value: Any) -> int:
    """Return an ISO date or time, UTC unless it says otherwise, in nanoseconds.

    Raises
    ------
    ValueError
        It is none, or not of the years 2009 to 2099.
    """
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a time; write one such as 2025-12-01") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.year not in _YEARS:
        raise ValueError(f"'{value}' is no time from 2009 to 2100")
    return round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND_NS


def moment_ns(value: Any) -> int:
    """Return an ISO date (its midnight, UTC), or a time that says its zone, in nanoseconds.

    Raises
    ------
    ValueError
        It is none, not of the years 2009 to 2099, or a time of day without a zone.

    Examples
    --------
    >>> moment_ns("2025-10-01") == moment_ns("2025-10-01T02:00+02:00")
    True
    """
    ns = instant_ns(value)
    text = str(value)
    if len(text) > len("2025-10-01") and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"'{text}' has no zone; write one such as 2025-10-01T00:00Z")
    return ns


def _format_instant(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND_NS, UTC).isoformat()


def _instrument(text: Any) -> Instrument:
    venue, slash, symbol = str(text).partition("/")
    if not (venue and slash and symbol):
        raise ValueError(f"'{text}' is not an instrument; write venue/symbol")
    return Instrument(venue, symbol)


def _instruments(value: Any) -> tuple[Instrument, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(v if isinstance(v, Instrument) else _instrument(v) for v in values)


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            f"'{name}' cannot be a name; use up to 64 letters, digits, '.', '_' or '-'"
        )
    return name


def _place(name: str) -> str:
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > 4000:
        raise ValueError(f"{name[:80]!r} cannot be the name of a file")
    return name


def _to_kind(name: Any) -> Kind:
    try:
        return Kind[str(name).upper()]
    except KeyError:
        raise ValueError(
            f"'{name}' is not a kind of event; {nearest(str(name), [k.name.lower() for k in Kind])}"
        ) from None


Duration = Annotated[
    int, BeforeValidator(duration_ns), PlainSerializer(format_duration, return_type=str)
]
PositiveDuration = Annotated[
    int,
    BeforeValidator(duration_ns),
    Field(gt=0),
    PlainSerializer(format_duration, return_type=str),
]
Instant = Annotated[
    int, BeforeValidator(instant_ns), PlainSerializer(_format_instant, return_type=str)
]
Moment = Annotated[
    int, BeforeValidator(moment_ns), PlainSerializer(_format_instant, return_type=str)
]
Name = Annotated[str, AfterValidator(_plain)]
Place = Annotated[str, AfterValidator(_place)]
Instruments = Annotated[
    tuple[Instrument, ...],
    BeforeValidator(_instruments),
    PlainSerializer(lambda v: [str(i) for i in v], return_type=list[str]),
]
KindKey = Annotated[
    Kind, BeforeValidator(_to_kind), PlainSerializer(lambda k: k.name.lower(), return_type=str)
]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

"""The fields of a configuration: what people write to the values that are kept, and back.

Durations are written as `300s`, `5m` (or `5min`), `24h`, `7d` and kept as int64 nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from liqbt.config.yaml import nearest
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Instrument, Kind

_UNITS: Final = {
    "ms": SECOND_NS // 1000,
    "s": SECOND_NS,
    "m": MINUTE_NS,
    "min": MINUTE_NS,
    "h": HOUR_NS,
    "d": DAY_NS,
}
_LONGEST_NS: Final = 3653 * DAY_NS
"""Ten years: a time of 2099 and a few durations still fit in int64."""
_YEARS: Final = range(2009, 2100)


def duration_ns(text: str | int) -> int:
    """Return a duration such as `60s`, `5m`, `24h` or `7d` in nanoseconds; `m` and `min` are one.

    Raises
    ------
    ValueError
        It is none, or longer than ten years.

    Examples
    --------
    >>> duration_ns("5m") == duration_ns("5min") == duration_ns("300s") == 300_000_000_000
    True
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)", str(text).strip())
    if match is None:
        raise ValueError(f"'{text}' is not a duration; write one such as 60s, 5m, 24h or 7d")
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
    if ns % SECOND_NS == 0:
        return f"{ns // SECOND_NS}s"
    return f"{ns / _UNITS['ms']:.6f}".rstrip("0").rstrip(".") + "ms"


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


def in_unit(value: Any, *, unit_ns: int) -> Any:
    """Return a duration that is written with its unit as a number of `unit_ns`; a number as it is.

    Examples
    --------
    >>> in_unit("2d", unit_ns=HOUR_NS), in_unit("90s", unit_ns=MINUTE_NS), in_unit(7, unit_ns=1)
    (48, 1.5, 7)
    """
    if not isinstance(value, str):
        return value
    whole, rest = divmod(duration_ns(value), unit_ns)
    return whole + rest / unit_ns if rest else whole


def none_of(value: Any, known: Iterable[str]) -> str:
    """Return what is said of a word that is none of those that are known.

    Examples
    --------
    >>> none_of("opne", ["open", "close"])
    "'opne' is none of ['close', 'open']; did you mean 'open'?"
    """
    near = nearest(str(value), known)
    hint = f"; {near}" if near.startswith("did") else ""
    return f"{value!r:.80} is none of {sorted(known)}{hint}"


def must(holds: Callable[[Any], bool], expected: str) -> AfterValidator:
    """Return a check of a field: where it does not hold, the sentence says what is expected."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


_Written = PlainSerializer(format_duration, return_type=str)
DURATION_SCHEMA: Final = {
    "type": "string",
    "format": "duration",
    "pattern": r"^\d+(\.\d+)?(ms|s|m|min|h|d)$",
    "examples": ["5min", "1h", "14d"],
}
_TIME_SCHEMA: Final = {"type": "string", "examples": ["2025-10-01", "2025-10-01T00:00Z"]}
_INSTRUMENT_SCHEMA: Final = {"type": "string", "pattern": "^[^/]+/.+$"}
Duration = Annotated[
    int, BeforeValidator(duration_ns), _Written, WithJsonSchema(dict(DURATION_SCHEMA))
]
PositiveDuration = Annotated[Duration, Field(gt=0)]
Instant = Annotated[
    int,
    BeforeValidator(instant_ns),
    PlainSerializer(_format_instant, return_type=str),
    WithJsonSchema(dict(_TIME_SCHEMA)),
]
Moment = Annotated[
    int,
    BeforeValidator(moment_ns),
    PlainSerializer(_format_instant, return_type=str),
    WithJsonSchema(dict(_TIME_SCHEMA)),
]
Seconds = BeforeValidator(partial(in_unit, unit_ns=SECOND_NS))
Minutes = BeforeValidator(partial(in_unit, unit_ns=MINUTE_NS))
Hours = BeforeValidator(partial(in_unit, unit_ns=HOUR_NS))
Days = BeforeValidator(partial(in_unit, unit_ns=DAY_NS))
Name = Annotated[str, AfterValidator(_plain)]
Place = Annotated[str, AfterValidator(_place)]
Instruments = Annotated[
    tuple[Instrument, ...],
    BeforeValidator(_instruments),
    PlainSerializer(lambda v: [str(i) for i in v], return_type=list[str]),
    WithJsonSchema({"anyOf": [_INSTRUMENT_SCHEMA, {"type": "array", "items": _INSTRUMENT_SCHEMA}]}),
]
KindKey = Annotated[
    Kind,
    BeforeValidator(_to_kind),
    PlainSerializer(lambda k: k.name.lower(), return_type=str),
    WithJsonSchema({"enum": [kind.name.lower() for kind in Kind]}),
]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

_EXPECTED: Final = {
    "greater_than": "a value above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "a value below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "finite_number": "a finite number",
    "float_type": "a finite number",
    "float_parsing": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (quote it)",
    "string_too_short": "a text, not empty",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "names and values",
    "model_type": "keys: {keys}",
    "dataclass_type": "keys: {keys}",
    "invalid_key": "a name",
    "too_short": "{min_length} or more entries",
    "is_instance_of": "a {class}",
}
"""What pydantic's kinds of complaint ask for, in words."""


def complaint(error: ValidationError, model: type) -> str:
    """Return pydantic's first complaint about a configuration as one sentence.

    An unknown key comes before everything else: it is often why another is missing.

    Parameters
    ----------
    error : ValidationError
        What was raised.
    model : type
        What was validated: its keys are known, and so are those of what it holds.
    """
    errors = error.errors(include_url=False)
    first = next((e for e in errors if e["type"] in _UNKNOWN), errors[0])
    where = [part for part in first["loc"] if part != "[key]"]
    path = ".".join(str(part) for part in where)
    others = len({(e["loc"][-1:], e["msg"]) for e in errors}) - 1  # what is inherited is said once
    more = f" (and {others} more)" if others else ""
    if first["type"] in _UNKNOWN:
        near = nearest(str(where[-1]), known_keys(model, where[:-1]))
        return f"unknown key '{path}'; {near}{more}"
    if first["type"] == "missing":
        return f"key '{path}' is missing{more}"
    found, said = first.get("input"), first["msg"].removeprefix("Value error, ")
    shown = f", found {found!r:.80}" if isinstance(found, str | int | float | bool) else ""
    if first["type"] in _EXPECTED:
        keys = ", ".join(known_keys(model, where))
        said = "expected " + _EXPECTED[first["type"]].format(**first.get("ctx", {}), keys=keys)
        shown = f", found {found!r:.80}"
    elif first["type"] == "literal_error":
        said, shown = none_of(found, re.findall(r"'([^']*)'", first["ctx"]["expected"])), ""
    elif isinstance(found, str) and found in said:
        shown = ""
    return f"{f'key {path!r}: ' if path else ''}{said}{shown}{more}"


_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def known_keys(model: type, where: Iterable[Any] = ()) -> list[str]:
    """Return the keys that a model knows at a place below it, such as `("symbols", "BTC")`.

    Examples
    --------
    >>> from pydantic import create_model
    >>> Inner = create_model("Inner", x=int)
    >>> Outer = create_model("Outer", many=dict[str, Inner | None])
    >>> known_keys(Outer), known_keys(Outer, ("many", "a"))
    (['many'], ['x'])
    """
    here: list[Any] = [model]
    for part in where:
        here = [kind for each in here for kind in _below(each, part)]
    return sorted({key for each in here for key in _fields(each)})


def _below(kind: Any, part: Any) -> list[Any]:
    """Return the models, and the containers of such, that stand under a key of `kind`."""
    fields = _fields(kind)
    if fields:
        return unwrapped(fields.get(part))
    return [each for argument in get_args(kind) for each in unwrapped(argument)]


def unwrapped(kind: Any) -> list[Any]:
    """Return what a type may be: the members of a union, without their annotations."""
    if get_origin(kind) is Annotated:
        return unwrapped(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [each for member in get_args(kind) for each in unwrapped(member)]
    return [kind]


def _fields(kind: Any) -> dict[str, Any]:
    """Return the types of the keys of a model or a dataclass of pydantic; none of anything else."""
    fields = getattr(kind, "__pydantic_fields__", {})
    return {field.alias or name: field.annotation for name, field in fields.items()}

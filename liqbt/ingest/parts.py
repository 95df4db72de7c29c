"""The parts of a column map, each checked by itself.

What cannot be right is a ConfigError that names the file and the key (`where`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from liqbt.errors import ConfigError
from liqbt.ingest.cells import UNIT_NS
from liqbt.ingest.colmap import Arrival, Filter, Lookup, Name, SideRule, Stamp
from liqbt.ingest.expressions import Expression, parse_expression
from liqbt.ingest.files import CsvShape
from liqbt.ingest.mapfile import allowed, duration_ns, text_of
from liqbt.types import SECOND_NS, Kind

MIN_POLLED_NS: Final = 60 * SECOND_NS
_UNITS: Final = {"percent": 0.01, "basis_points": 1e-4, "thousand": 1e3, "million": 1e6}
_MEANS: Final = {
    "order_side": ("buy", "sell"),
    "position_side": ("long", "short"),
    "taker": ("buy", "sell", "none"),
    "book_side": ("bid", "ask"),
}
SIDE_OF: Final = {
    Kind.TRADE: ("taker",),
    Kind.LIQUIDATION: ("order_side", "position_side"),
    Kind.DEPTH: ("book_side",),
}


def parse_stamp(value: Mapping[str, Any], where: str) -> Stamp:
    """Return what the time of a row means."""
    time = value["time"]
    time = {"column": time} if isinstance(time, str) else time
    time = allowed(time, f"{where}: time", ("column", "unit", "zone"), required=("column",))
    at = text_of(value["stamp"], f"{where}: stamp", ("instant", "open", "close"))
    span = duration_ns(value["span"], f"{where}: span") if "span" in value else 0
    if at == "instant" and span:
        raise ConfigError(f"{where}: span: an instant has none; a bucket is stamped open or close")
    if at != "instant" and (span <= 0 or span % SECOND_NS):
        raise ConfigError(f"{where}: a bucket stamped {at} needs a span of whole seconds")
    unit = time.get("unit")
    if unit is not None:
        text_of(unit, f"{where}: time.unit", (*UNIT_NS, "iso"))
    zone = text_of(time.get("zone", "UTC"), f"{where}: time.zone")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"{where}: time.zone: {zone!r} is no IANA time zone") from None
    if zone != "UTC" and unit in UNIT_NS:
        raise ConfigError(f"{where}: time.zone: a count of {unit} is UTC by definition")
    column = text_of(time["column"], f"{where}: time.column")
    return Stamp(column=column, unit=unit, zone=zone, at=at, span_s=span // SECOND_NS)


def parse_arrival(value: Mapping[str, Any], where: str) -> Arrival:
    """Return when a row is known."""
    feed = text_of(value.get("feed"), f"{where}: feed", ("polled", "pushed"))
    if value.get("received") is not None:
        if value.get("latency") is not None or value.get("latency_is") is not None:
            raise ConfigError(f"{where}: a receive time leaves no place for latency")
        got = allowed(value["received"], f"{where}: received", ("column", "unit"), ("column",))
        unit = got.get("unit")
        if unit is not None:
            text_of(unit, f"{where}: received.unit", (*UNIT_NS, "iso"))
        column = text_of(got["column"], f"{where}: received.column")
        return Arrival(feed=feed, latency_ns=0, observed=True, column=column, unit=unit)
    said = text_of(
        value.get("latency_is", "modelled"), f"{where}: latency_is", ("modelled", "observed")
    )
    if value.get("latency") is None:
        raise ConfigError(f"{where}: key 'latency' is missing: when is a row known?")
    latency = duration_ns(value["latency"], f"{where}: latency")
    if said == "modelled" and latency <= 0:
        raise ConfigError(f"{where}: latency: 0 must be observed (latency_is: observed)")
    if said == "modelled" and feed == "polled" and latency < MIN_POLLED_NS:
        raise ConfigError(
            f"{where}: latency: a polled feed needs at least 60s unless latency_is: observed"
        )
    return Arrival(feed=feed, latency_ns=latency, observed=said == "observed")


def parse_expressions(value: Any, where: str) -> dict[str, Expression]:
    """Return names and their arithmetic."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected names and arithmetic, got {value!r}")
    return {
        text_of(name, where): parse_expression(text, f"{where}.{name}")
        for name, text in value.items()
    }


def parse_name(value: Any, where: str) -> Name:
    """Return whose an event is."""
    if isinstance(value, str):
        return Name(constant=value)
    value = allowed(value, where, ("column", "file_name", "rename"))
    if ("column" in value) == ("file_name" in value):
        raise ConfigError(f"{where}: expected a name, or one of column and file_name")
    rename = value.get("rename", {})
    if not isinstance(rename, Mapping):
        raise ConfigError(f"{where}: rename: expected old: new, got {rename!r}")
    words = {str(k): text_of(v, f"{where}: rename.{k}") for k, v in rename.items()}
    if "column" in value:
        return Name(column=text_of(value["column"], f"{where}: column"), rename=words)
    pattern = text_of(value["file_name"], f"{where}: file_name")
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ConfigError(f"{where}: file_name: {pattern!r} is no pattern ({error})") from None
    if groups != 1:
        raise ConfigError(f"{where}: file_name: {pattern!r} needs one group in parentheses")
    return Name(pattern=pattern, rename=words)


def parse_side(value: Any, kind: Kind, where: str) -> SideRule:
    """Return whose side a column names."""
    value = allowed(value, where, ("column", "means", "values"), ("column", "means"))
    column = text_of(value["column"], f"{where}: column")
    means = text_of(value["means"], f"{where}: means", tuple(_MEANS))
    if means not in SIDE_OF[kind]:
        raise ConfigError(
            f"{where}: means: the side of a {kind.name.lower()} is {' or '.join(SIDE_OF[kind])}, "
            f"not {means}"
        )
    words = {word: word for word in _MEANS[means]}
    given = value.get("values")
    if given is not None:
        if not isinstance(given, Mapping) or not given:
            raise ConfigError(f"{where}: values: expected word: {' or '.join(_MEANS[means])}")
        words = {
            _word(k): text_of(v, f"{where}: values.{k}", _MEANS[means]) for k, v in given.items()
        }
    return SideRule(column=column, means=means, words=words)


def _word(value: Any) -> str:
    return str(value).strip().lower()


def parse_filter(value: Any, where: str) -> Filter:
    """Return which rows count."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected column: value, got {value!r}")
    out = {}
    for column, wanted in value.items():
        values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
        if not values or not all(isinstance(v, str | int | float) for v in values):
            raise ConfigError(f"{where}.{column}: expected a value or a list of values")
        out[text_of(column, where)] = values
    return out


def parse_scales(value: Any, where: str) -> dict[str, float]:
    """Return the factor of each column that has a unit."""
    value = allowed(value, where, list(value)) if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected column: unit, got {value!r}")
    out = {}
    for column, unit in value.items():
        if isinstance(unit, str):
            out[str(column)] = _UNITS[text_of(unit, f"{where}.{column}", tuple(_UNITS))]
        else:
            out[str(column)] = _number(unit, f"{where}.{column}")
    return out


def parse_constants(value: Any, where: str) -> dict[str, float | Lookup]:
    """Return numbers by name, or by what a column holds."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected name: number, got {value!r}")
    out: dict[str, float | Lookup] = {}
    for name, number in value.items():
        place = f"{where}.{name}"
        if isinstance(number, Mapping):
            table = allowed(number, place, ("column", "values"), ("column", "values"))
            if not isinstance(table["values"], Mapping) or not table["values"]:
                raise ConfigError(f"{place}: values: expected word: number")
            values = {str(k): _number(v, f"{place}.{k}") for k, v in table["values"].items()}
            column = text_of(table["column"], f"{place}: column")
            out[text_of(name, where)] = Lookup(column=column, values=values)
        else:
            out[text_of(name, where)] = _number(number, place)
    return out


def parse_shape(value: Any, where: str) -> CsvShape:
    """Return how a CSV is written."""
    value = allowed(value, where, ("delimiter", "columns"))
    delimiter = text_of(value.get("delimiter", ","), f"{where}: delimiter")
    if len(delimiter) != 1:
        raise ConfigError(f"{where}: delimiter: one character is expected, got {delimiter!r}")
    columns = value.get("columns", [])
    if not isinstance(columns, list) or len({str(c) for c in columns}) < len(columns):
        raise ConfigError(f"{where}: columns: expected a list of different names")
    names = tuple(text_of(c, f"{where}: columns") for c in columns)
    return CsvShape(delimiter=delimiter, columns=names)


def _number(value: Any, where: str) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value == 0:
        raise ConfigError(f"{where}: expected a number other than 0, got {value!r}")
    return float(value)


def parse_flag(value: Any, where: str) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: expected true or false, got {value!r}")
    return value

"""ColumnMap: what a column map says, checked; whatever is not understood is refused by name.

The keys are those of `liqbt.ingest`, and mean what is written there; durations are kept in ns.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from liqbt.config.fields import Duration, KindKey, complaint, none_of
from liqbt.config.yaml import nearest, read_yaml
from liqbt.errors import ConfigError
from liqbt.ingest.cells import UNIT_NS
from liqbt.ingest.expressions import Expression, parse_expression
from liqbt.ingest.files import CsvShape
from liqbt.ingest.json_lines import JsonShape
from liqbt.log.schema import MAY_BE_NAN
from liqbt.types import PAYLOAD, SECOND_NS, Kind

_LEAST_POLLED_NS: Final = 60 * SECOND_NS
_SCALES: Final = {"percent": 0.01, "basis_points": 1e-4, "thousand": 1e3, "million": 1e6}
_MEANS: Final = {
    "order_side": ("buy", "sell"),
    "position_side": ("long", "short"),
    "taker": ("buy", "sell", "none"),
    "book_side": ("bid", "ask"),
}
_SIDE_OF: Final = {
    Kind.TRADE: ("taker",),
    Kind.LIQUIDATION: ("order_side", "position_side"),
    Kind.DEPTH: ("book_side",),
    Kind.POSITION: ("position_side",),
}
_ARRIVAL: Final = ("feed", "latency", "latency_is", "received")
_SHARED: Final = ("venue", "symbol", "side", "price_is", *_ARRIVAL)
"""Keys that an event has from the top of the map, unless it has its own."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no IANA time zone") from None
    return name


def _number(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value == 0:
        raise ValueError("expected a number other than 0")
    return float(value)


def _scale(value: Any) -> float:
    if isinstance(value, str):
        if value not in _SCALES:
            raise ValueError(none_of(value, _SCALES))
        return _SCALES[value]
    return _number(value)


def _values(value: Any) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(v, str | int | float) for v in values):
        raise ValueError("expected a value or a list of values")
    return values


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"{text!r} is no pattern ({error})") from None
    if groups != 1:
        raise ValueError(f"{text!r} needs one group in parentheses")
    return text


def _below_root(file: str) -> str:
    parts = PurePosixPath(file.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"{file!r} must lie below the data root")
    return file


Text = Annotated[str, Field(min_length=1)]
Label = Annotated[str, BeforeValidator(lambda key: str(key).strip())]
Number = Annotated[float, PlainValidator(_number)]
Unit = Literal["s", "ms", "us", "ns", "iso"]
Arithmetic = Annotated[Expression, PlainValidator(parse_expression)]
Filter: TypeAlias = Mapping[str, tuple[Any, ...]]
"""Column to the values of which a row must have one."""
Where = dict[Text, Annotated[tuple[Any, ...], PlainValidator(_values)]]


class _Part(BaseModel):
    """A part of a map; a plain word may stand for its one key `plain`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    plain: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_plain(cls, value: Any) -> Any:
        plain = cls.plain and not isinstance(value, Mapping | list | BaseModel)
        return {cls.plain: value} if plain else value


class TimeColumn(_Part):
    """A column of times."""

    plain: ClassVar[str] = "column"
    column: str
    unit: Unit | None = None
    format: Text | None = None
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _one_way(self) -> TimeColumn:
        if self.format is not None and self.unit not in (None, "iso"):
            raise ValueError(f"format: a count of {self.unit} has none; give one of the two")
        return self

    @model_validator(mode="after")
    def _counts_are_utc(self) -> TimeColumn:
        if self.zone != "UTC" and self.unit in UNIT_NS:
            raise ValueError(f"zone: a count of {self.unit} is UTC by definition")
        return self


class Timed(_Part):
    """What the rows of a file, or of a second one, have in common."""

    csv: CsvShape = CsvShape()
    jsonl: JsonShape | None = None
    time: TimeColumn
    stamp: Literal["instant", "open", "close"]
    span: Duration = 0
    where: Where = {}

    @property
    def span_s(self) -> int:
        """Length of the bucket in seconds."""
        return self.span // SECOND_NS

    @model_validator(mode="after")
    def _span_of_a_bucket(self) -> Timed:
        if self.stamp == "instant" and self.span:
            raise ValueError("span: an instant has none; a bucket is stamped open or close")
        if self.stamp != "instant" and (self.span <= 0 or self.span % SECOND_NS):
            raise ValueError(f"a bucket stamped {self.stamp} needs a span of whole seconds")
        return self


class Naming(_Part):
    """A venue or a symbol: a constant, a column, or a part of the file's name."""

    plain: ClassVar[str] = "constant"
    constant: Text | None = None
    column: Text | None = None
    file_name: Annotated[str, AfterValidator(_pattern)] | None = None
    rename: dict[Label, Text] = {}

    @model_validator(mode="after")
    def _one_place(self) -> Naming:
        if sum(x is not None for x in (self.constant, self.column, self.file_name)) != 1:
            raise ValueError("expected a name, or one of column and file_name")
        return self


class SideRule(_Part):
    """Whose side a column names, and the file's words for it."""

    column: Text
    means: Literal["order_side", "position_side", "taker", "book_side"]
    values: dict[Label, Text] = {}

    @model_validator(mode="after")
    def _known_words(self) -> SideRule:
        for word, meaning in self.values.items():
            if meaning not in _MEANS[self.means]:
                raise ValueError(f"values.{word}: {none_of(meaning, _MEANS[self.means])}")
        return self

    @property
    def words(self) -> dict[str, str]:
        """The file's words (lower case) for `buy`, `sell`, `long`, `short` and the like."""
        given = {word.lower(): meaning for word, meaning in self.values.items()}
        return given or {word: word for word in _MEANS[self.means]}


class Constant(_Part):
    """A number, or one that depends on a column, such as the face value by coin."""

    plain: ClassVar[str] = "number"
    number: Number | None = None
    column: Text | None = None
    values: dict[Label, Number] = {}

    @model_validator(mode="after")
    def _one_kind(self) -> Constant:
        looked_up = [self.column is not None, bool(self.values)]
        if looked_up != [self.number is None] * 2:
            raise ValueError("expected a number, or 'column' and 'values' (word: number)")
        return self


class Join(Timed):
    """Columns from a second file, of the row with the same time."""

    file: Annotated[Text, AfterValidator(_below_root)]
    latency: Duration
    match: dict[Text, Text] = {}
    columns: dict[Text, Arithmetic]
    unmatched: Literal["quarantine", "skip"] = "quarantine"


class Received(_Part):
    """The time at which each row arrived, where the file has one."""

    column: str
    unit: Unit | None = None
    format: Text | None = None
    tolerance: Duration = 0


class Shared(_Part):
    """What may be said of all events of a map, or of one."""

    venue: Naming | None = None
    symbol: Naming | None = None
    side: SideRule | None = None
    feed: Literal["polled", "pushed"] | None = None
    latency: Duration | None = None
    latency_is: Literal["modelled", "observed"] | None = None
    received: Received | None = None
    price_is: Literal["mark", "last", "spot", "index", "bankruptcy", "order", "average"] | None = (
        None
    )


class Emit(Shared):
    """One kind of event that a row gives."""

    kind: KindKey
    venue: Naming
    symbol: Naming
    feed: Literal["polled", "pushed"]
    latency: Duration = 0
    fields: dict[Text, Arithmetic]
    where: Where = {}
    optional: StrictBool = False

    @property
    def observed(self) -> bool:
        """Whether it was measured when a row was known."""
        return self.latency_is == "observed"

    @model_validator(mode="before")
    @classmethod
    def _arrival(cls, value: Any) -> Any:
        """Refuse a latency beside a receive time, and neither of the two."""
        if not isinstance(value, Mapping):
            return value
        late = [k for k in ("latency", "latency_is") if value.get(k) is not None]
        if value.get("received") is None:
            if "latency" not in late:
                raise ValueError("key 'latency' is missing: when is a row known?")
            return {"latency_is": "modelled", **value}
        if late:
            raise ValueError("a receive time leaves no place for latency")
        return {**value, "latency": "0s", "latency_is": "observed"}

    @model_validator(mode="after")
    def _late_enough(self) -> Emit:
        if not self.observed and self.latency <= 0:
            raise ValueError("latency: 0 must be observed (latency_is: observed)")
        if not self.observed and self.feed == "polled" and self.latency < _LEAST_POLLED_NS:
            raise ValueError(
                "latency: a polled feed needs at least 60s unless latency_is: observed"
            )
        return self

    @model_validator(mode="after")
    def _side_of_its_kind(self) -> Emit:
        kind = self.kind.name.lower()
        if self.kind in (Kind.LIQUIDATION, Kind.DEPTH, Kind.POSITION) and self.side is None:
            raise ValueError(f"a {kind} needs key 'side'")
        known = _SIDE_OF.get(self.kind, ())
        if self.side is not None and self.side.means not in known:
            raise ValueError(
                f"side: means: the side of a {kind} is {' or '.join(known)}, not {self.side.means}"
            )
        return self

    @model_validator(mode="after")
    def _payload(self) -> Emit:
        point = self.kind == Kind.MARK and "price" in self.fields
        names = ("price",) if point else PAYLOAD[self.kind]
        for name in self.fields:
            if name not in names:
                raise ValueError(f"fields: unknown key {name!r}; {nearest(name, names)}")
        told = MAY_BE_NAN - {"liquidation_price"}  # a census that has none of them is none
        missing = [n for n in names if n not in told and n not in self.fields]
        if missing:
            raise ValueError(f"fields: key {missing[0]!r} is missing")
        return self

    def refuse_stamp(self, span: int) -> None:
        """Raise ValueError where rows that span so many ns cannot give this event."""
        kind, point = self.kind.name.lower(), "price" in self.fields
        if self.kind == Kind.MARK and point and span:
            raise ValueError("fields: one price is a point: stamp must be instant")
        if self.kind == Kind.MARK and not point and not span:
            raise ValueError("fields: a mark at an instant has one field, price")
        if self.kind in (Kind.BAR, Kind.LIQUIDATION_TOTAL) and not span:
            raise ValueError(f"fields: a {kind} needs stamp: open or close, and a span")
        if self.kind in (Kind.TRADE, Kind.LIQUIDATION, Kind.DEPTH, Kind.POSITION) and span:
            raise ValueError(f"fields: a {kind} needs stamp: instant")


class ColumnMap(Timed, Shared):
    """How the rows of a file become events; made by `load_map` or `parse_map`."""

    name: Text
    about: Any = ""
    id: Text | None = None
    units: dict[Text, Annotated[float, PlainValidator(_scale)]] = {}
    constants: dict[Text, Constant] = {}
    join: Join | None = None
    revisions: Literal["refuse", "last_known"] = "refuse"
    derive: dict[Text, Arithmetic] = {}
    emit: Annotated[tuple[Emit, ...], Field(min_length=1)]
    _sha256: str = PrivateAttr(default="")

    @property
    def sha256(self) -> str:
        """Digest of the map's content, not of its comments or its layout."""
        return self._sha256

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, value: Any) -> Any:
        """Give every event what is said at the top, unless it says it itself."""
        if not isinstance(value, Mapping) or not isinstance(value.get("emit"), list):
            return value
        top = {key: value[key] for key in _SHARED if key in value}
        return {**value, "emit": [_with(top, emit) for emit in value["emit"]]}

    @field_validator("emit", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise ValueError(f"expected a list of events, found {value!r}")
        return value

    @model_validator(mode="after")
    def _stamped_alike(self) -> ColumnMap:
        for i, emit in enumerate(self.emit):
            try:
                emit.refuse_stamp(self.span)
            except ValueError as error:
                raise ValueError(f"emit.{i}.{error}") from None
        return self

    @model_validator(mode="after")
    def _names_once(self) -> ColumnMap:
        """Refuse a name that is made in two places, and one that is used before it is made."""
        made = [*self.constants, *(self.join.columns if self.join else ()), *self.derive]
        twice = sorted({n for n in made if made.count(n) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is defined twice")
        for name in self.units:
            if name in made:
                raise ValueError(f"units.{name}: only columns of the file have units")
        order = list(self.derive)
        for i, (name, expression) in enumerate(self.derive.items()):
            late = sorted(set(expression.names) & set(order[i:]))
            if late:
                raise ValueError(f"derive.{name} uses {late[0]!r} before it is defined")
        return self


def _with(top: Mapping[str, Any], emit: Any) -> Any:
    """Return what an event says, with what it does not say itself taken from the top."""
    if not isinstance(emit, Mapping):
        return emit
    own_arrival = "latency" in emit or "received" in emit
    left = ("latency", "latency_is", "received") if own_arrival else ()
    merged = {**{key: held for key, held in top.items() if key not in left}, **emit}
    if str(merged.get("kind")).upper() not in {kind.name for kind in _SIDE_OF}:
        merged.pop("side", None)
    return merged


def load_map(path: Path | str) -> ColumnMap:
    """Read a column map.

    Raises
    ------
    ConfigError
        It cannot be read or says something unknown; names the file and the key.
    """
    path = Path(path)
    return parse_map(read_yaml(path), str(path), default_name=path.stem)


def parse_map(value: Mapping[str, Any], where: str, *, default_name: str = "map") -> ColumnMap:
    """Return the column map that `value` says; `where` names it in messages.

    Raises
    ------
    ConfigError
        It says something unknown, or two things that contradict each other; names the key.
    """
    try:
        text = json.dumps(value, sort_keys=True, default=str)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: not a plain column map") from None
    try:
        mapping = ColumnMap.model_validate({"name": default_name, **value})
    except ValidationError as error:
        raise ConfigError(f"{where}: {complaint(error, ColumnMap)}") from error
    mapping._sha256 = hashlib.sha256(text.encode()).hexdigest()
    return mapping

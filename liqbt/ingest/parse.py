"""From the YAML of a column map to a ColumnMap, refusing whatever it does not understand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from liqbt.errors import ConfigError
from liqbt.ingest.colmap import ColumnMap, Emit, Join, Stamp
from liqbt.ingest.expressions import Expression
from liqbt.ingest.mapfile import allowed, duration_ns, read_mapping, text_of
from liqbt.ingest.parts import (
    SIDE_OF,
    parse_arrival,
    parse_constants,
    parse_expressions,
    parse_filter,
    parse_flag,
    parse_name,
    parse_scales,
    parse_shape,
    parse_side,
    parse_stamp,
)
from liqbt.log.schema import MAY_BE_NAN
from liqbt.types import PAYLOAD, Kind

_KEYS: Final = [
    "name",
    "about",
    "csv",
    "time",
    "stamp",
    "span",
    "feed",
    "latency",
    "latency_is",
    "received",
    "venue",
    "symbol",
    "side",
    "id",
    "where",
    "units",
    "constants",
    "join",
    "derive",
    "emit",
    "price_is",
]
_EMIT_KEYS: Final = [
    "kind",
    "fields",
    "venue",
    "symbol",
    "side",
    "where",
    "feed",
    "latency",
    "latency_is",
    "received",
    "optional",
    "price_is",
]
_JOIN_KEYS: Final = [
    "file",
    "csv",
    "time",
    "stamp",
    "span",
    "latency",
    "match",
    "where",
    "columns",
    "unmatched",
]
_PRICES: Final = ("mark", "last", "spot", "index", "bankruptcy", "order", "average")


def load_map(path: Path | str) -> ColumnMap:
    """Read a column map.

    Raises
    ------
    ConfigError
        It cannot be read or says something unknown; names the file and the key.
    """
    path = Path(path)
    return parse_map(read_mapping(path), str(path), default_name=path.stem)


def parse_map(value: Mapping[str, Any], where: str, *, default_name: str = "map") -> ColumnMap:
    """Return the column map that `value` says; `where` names it in messages.

    Raises
    ------
    ConfigError
        It says something unknown, or two things that contradict each other; names the key.
    """
    value = allowed(value, where, _KEYS, required=("time", "stamp", "emit"))
    if not isinstance(value["emit"], list) or not value["emit"]:
        raise ConfigError(f"{where}: emit: expected a list of events, got {value['emit']!r}")
    stamp = parse_stamp(value, where)
    emits = [_emit(e, value, stamp, f"{where}: emit[{i}]") for i, e in enumerate(value["emit"])]
    parsed = ColumnMap(
        name=text_of(value.get("name", default_name), f"{where}: name"),
        sha256=_content_digest(value, where),
        shape=parse_shape(value.get("csv", {}), f"{where}: csv"),
        stamp=stamp,
        id_column=text_of(value["id"], f"{where}: id") if "id" in value else None,
        where=parse_filter(value.get("where", {}), f"{where}: where"),
        scales=parse_scales(value.get("units", {}), f"{where}: units"),
        constants=parse_constants(value.get("constants", {}), f"{where}: constants"),
        join=_join(value["join"], f"{where}: join") if "join" in value else None,
        derive=parse_expressions(value.get("derive", {}), f"{where}: derive"),
        emit=tuple(emits),
    )
    _check_names(parsed, where)
    return parsed


def _content_digest(value: Mapping[str, Any], where: str) -> str:
    try:
        text = json.dumps(value, sort_keys=True, default=str)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: not a plain column map") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _emit(value: Any, top: Mapping[str, Any], stamp: Stamp, where: str) -> Emit:
    value = allowed(value, where, _EMIT_KEYS, required=("kind", "fields"))
    names = [k.name.lower() for k in Kind]
    kind = Kind[text_of(value["kind"], f"{where}: kind", names).upper()]
    for key in ("venue", "symbol"):
        if key not in value and key not in top:
            raise ConfigError(f"{where}: key {key!r} is missing")
    arrival_keys = ("feed", "latency", "latency_is", "received")
    own = {k: value[k] for k in arrival_keys if k in value}
    shared = {k: top[k] for k in arrival_keys if k in top}
    if "latency" in own or "received" in own:
        shared = {k: v for k, v in shared.items() if k == "feed"}
    side = value.get("side", top.get("side"))
    if kind in (Kind.LIQUIDATION, Kind.DEPTH) and side is None:
        raise ConfigError(f"{where}: a {kind.name.lower()} needs key 'side'")
    price_is = value.get("price_is", top.get("price_is"))
    return Emit(
        kind=kind,
        fields=_fields(kind, value["fields"], stamp, f"{where}: fields"),
        venue=parse_name(value.get("venue", top.get("venue")), f"{where}: venue"),
        symbol=parse_name(value.get("symbol", top.get("symbol")), f"{where}: symbol"),
        side=parse_side(side, kind, f"{where}: side") if side and kind in SIDE_OF else None,
        where=parse_filter(value.get("where", {}), f"{where}: where"),
        arrival=parse_arrival({**shared, **own}, where),
        optional=parse_flag(value.get("optional", False), f"{where}: optional"),
        price_is=text_of(price_is, f"{where}: price_is", _PRICES) if price_is else "",
    )


def _fields(kind: Kind, value: Any, stamp: Stamp, where: str) -> dict[str, Expression]:
    names = PAYLOAD[kind]
    if kind == Kind.MARK and isinstance(value, Mapping) and "price" in value:
        if stamp.span_s:
            raise ConfigError(f"{where}: one price is a point: stamp must be instant")
        names = ("price",)
    value = allowed(value, where, names, [n for n in names if n not in MAY_BE_NAN])
    bucket = kind in (Kind.BAR, Kind.LIQUIDATION_TOTAL)
    instant = kind in (Kind.TRADE, Kind.LIQUIDATION, Kind.DEPTH)
    if bucket and not stamp.span_s:
        raise ConfigError(f"{where}: a {kind.name.lower()} needs stamp: open or close, and a span")
    if instant and stamp.span_s:
        raise ConfigError(f"{where}: a {kind.name.lower()} needs stamp: instant")
    if kind == Kind.MARK and "price" not in value and not stamp.span_s:
        raise ConfigError(f"{where}: a mark at an instant has one field, price")
    return parse_expressions(value, where)


def _join(value: Any, where: str) -> Join:
    value = allowed(value, where, _JOIN_KEYS, ("file", "time", "stamp", "latency", "columns"))
    file = text_of(value["file"], f"{where}: file")
    parts = PurePosixPath(file.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise ConfigError(f"{where}: file: {file!r} must lie below the data root")
    match = value.get("match", {})
    if not isinstance(match, Mapping):
        raise ConfigError(f"{where}: match: expected column here: column there, got {match!r}")
    unmatched = value.get("unmatched", "quarantine")
    return Join(
        file=file,
        shape=parse_shape(value.get("csv", {}), f"{where}: csv"),
        stamp=parse_stamp(value, where),
        latency_ns=duration_ns(value["latency"], f"{where}: latency"),
        match={
            text_of(k, f"{where}: match"): text_of(v, f"{where}: match.{k}")
            for k, v in match.items()
        },
        where=parse_filter(value.get("where", {}), f"{where}: where"),
        columns=parse_expressions(value["columns"], f"{where}: columns"),
        skip_unmatched=text_of(unmatched, f"{where}: unmatched", ("quarantine", "skip")) == "skip",
    )


def _check_names(parsed: ColumnMap, where: str) -> None:
    """Refuse a name that is made in two places, and one that is used before it is made."""
    made = [*parsed.constants, *(parsed.join.columns if parsed.join else ()), *parsed.derive]
    twice = sorted({n for n in made if made.count(n) > 1})
    if twice:
        raise ConfigError(f"{where}: {twice[0]!r} is defined twice")
    for name in parsed.scales:
        if name in made:
            raise ConfigError(f"{where}: units.{name}: only columns of the file have units")
    order = list(parsed.derive)
    for i, (name, expression) in enumerate(parsed.derive.items()):
        late = sorted(set(expression.names) & set(order[i:]))
        if late:
            raise ConfigError(f"{where}: derive.{name} uses {late[0]!r} before it is defined")

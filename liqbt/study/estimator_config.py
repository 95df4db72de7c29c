"""The estimators of an experiment: which ones, their parameters checked by their own classes.

`estimators:` maps names to `{use, params}`. The older single `estimator:` (a `name` and its keys
side by side) is read as `estimators` of one; that of a symbol changes it for that symbol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from liqbt.config.fields import duration_ns, format_duration
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError, LiqbtError, first_line
from liqbt.estimators.base import registered_estimators
from liqbt.estimators.config import MapParams
from liqbt.study.own_code import own_class
from liqbt.types import Kind

REFERENCE: Final = "oi_flow"
_OLD_KEYS: Final = {"brackets", "shift_days"} | {field.name for field in fields(MapParams)}
"""What `estimator:` could always hold, whether the estimator that it names reads it or not."""
_EXACT: Final = re.compile(r"estimator(?:\.|$)|symbols\.[^.]+\.estimator(?:\.|$)")


class EstimatorConfig(BaseModel):
    """An estimator: `use` is a built-in's name or `module:Class`, `params` those of its class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str
    params: dict[str, Any] = {}


class EstimatorChange(BaseModel):
    """What is otherwise for one symbol; the rest is as for all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str | None = None
    params: dict[str, Any] = {}


def estimator_class(use: str) -> Any:
    """Return the class of a built-in estimator, or of one's own by `module:Class`.

    Raises
    ------
    ConfigError
        If there is no such estimator (names the nearest one), or a class of one's own is none.
    """
    if ":" in use:
        return _checked(use, own_class(use))
    known = registered_estimators()
    if use not in known:
        raise ConfigError(
            f"no estimator is called '{use}'; {nearest(use, known)} - or name your own as "
            "module:Class"
        )
    return known[use]


def _checked(use: str, found: Any) -> Any:
    """Return a class of one's own; refuse what experiments cannot make an estimator of."""
    params, needs = getattr(found, "Params", None), getattr(found, "needs", ())
    lacking = [n for n in ("update", "forecast", "state") if not callable(getattr(found, n, None))]
    if not isinstance(found, type) or lacking:
        what = f"it has no '{lacking[0]}'" if isinstance(found, type) else "it is no class"
        wrong = f"{what}; expected a class with update, forecast and state"
    elif params is not None and not (isinstance(params, type) and _has_fields(params)):
        wrong = f"its Params is {params!r}; expected a frozen dataclass or a pydantic model"
    elif not isinstance(needs, tuple | list | set | frozenset) or not all(
        isinstance(kind, Kind) for kind in needs
    ):
        wrong = f"its needs is {needs!r}; expected a tuple of Kind, such as (Kind.TRADE,)"
    else:
        return found
    raise ConfigError(f"estimator '{use}': {wrong}")


def params_of(config: EstimatorConfig, where: str) -> Any:
    """Return the parameters as the estimator takes them: an instance of its class's `Params`.

    Parameters
    ----------
    config : EstimatorConfig
        The estimator.
    where : str
        What its parameters are called in messages, such as `estimators.mine.params`.

    Returns
    -------
    object
        None where the class has no `Params`.

    Raises
    ------
    ConfigError
        If a parameter is unknown (names the nearest), missing or refused, or is a set: its order
        is another in each process.
    """
    kind = getattr(estimator_class(config.use), "Params", None)
    known = _names(kind)
    for name in config.params:
        if name not in known:
            hint = nearest(name, known) if known else f"'{config.use}' has no parameters"
            raise ConfigError(f"unknown key '{where}.{name}'; {hint}")
    if kind is None:
        return None
    try:
        params = _adapter(kind).validate_python(config.params, context=_GRAMMAR)
        held = _adapter(kind).dump_python(params, context=_GRAMMAR, warnings=False)
        for name, value in held.items():
            if _holds_set(value):
                raise ConfigError(f"'{name}' is a set, whose order is not fixed; expected a tuple")
        return params
    except ValidationError as error:
        raise ConfigError(_sentence(error, kind, where)) from error
    except LiqbtError as error:
        raise ConfigError(f"key '{where}': {error}") from error
    except Exception as error:  # the checks of somebody's own class
        raise ConfigError(f"key '{where}': {first_line(error)}") from error


def filled_in(config: EstimatorConfig, where: str) -> EstimatorConfig:
    """Return the configuration checked, every parameter written out, defaults too."""
    return config.model_copy(update={"params": written(params_of(config, where))})


def stated(config: EstimatorConfig) -> dict[str, Any]:
    """Return the parameters, as they are written, that differ from the class's defaults."""
    params = written(params_of(config, "params"))
    defaults = _defaults(getattr(estimator_class(config.use), "Params", None))
    return {k: v for k, v in params.items() if k not in defaults or defaults[k] != v}


def changed(config: EstimatorConfig, change: EstimatorChange) -> EstimatorConfig:
    """Return an estimator with what is otherwise for one symbol.

    Another `use` keeps the parameters that were stated and that it has too.
    """
    if change.use is None or change.use == config.use:
        return config.model_copy(update={"params": {**config.params, **change.params}})
    known = _names(getattr(estimator_class(change.use), "Params", None))
    kept = {name: value for name, value in stated(config).items() if name in known}
    return EstimatorConfig(use=change.use, params={**kept, **change.params})


def check_needs(
    use: str, named: str, kinds: Mapping[Kind, Any], margin: object, where: str
) -> None:
    """Refuse an estimator of a market that lacks what it reads.

    Parameters
    ----------
    use, named : str
        The estimator, and its name in the experiment.
    kinds : mapping of Kind
        The events that the market has.
    margin : object
        Its margin rule; None where there is none.
    where : str
        The market, such as `symbols.BTC`.

    Raises
    ------
    ConfigError
        Names what is missing, and estimators that do without.
    """
    found = estimator_class(use)
    lacking = [kind for kind in getattr(found, "needs", ()) if kind not in kinds]
    either = _either(found, kinds)
    unruled = margin is None and getattr(found, "needs_margin", False)
    if lacking:
        name = lacking[0].name.lower()
        what = f"reads {name}, and '{where}.events' names no {name}"
    elif either:
        names = " or ".join(kind.name.lower() for kind in either)
        what = f"reads {names}, and '{where}.events' names neither"
    elif unruled:
        what = f"places levels by the venue's margin rule, and '{where}.margin' is missing"
    else:
        return
    able = [
        name
        for name, each in registered_estimators().items()
        if all(kind in kinds for kind in getattr(each, "needs", ()))
        and not _either(each, kinds)
        and (margin is not None or not getattr(each, "needs_margin", False))
    ]
    raise ConfigError(
        f"estimator '{named}'{'' if use == named else f' ({use})'} {what}; add it, or use one that "
        f"does without: {', '.join(able)}"
    )


def _either(found: object, kinds: Mapping[Kind, Any]) -> tuple[Kind, ...]:
    """Return the kinds of which an estimator needs one, where there is none of them."""
    wanted: tuple[Kind, ...] = getattr(found, "needs_any", ())
    return () if any(kind in kinds for kind in wanted) else wanted


def names_own(raw: Mapping[str, Any]) -> bool:
    """Return whether an experiment's mapping names an estimator of one's own anywhere."""
    symbols = raw.get("symbols")
    found = []
    for part in (raw, *(symbols.values() if isinstance(symbols, Mapping) else ())):
        if isinstance(part, Mapping):
            several = part.get("estimators")
            found += [(part.get("estimator"), "name")]
            found += [(e, "use") for e in several.values()] if isinstance(several, Mapping) else []
    return any(":" in str(one.get(key)) for one, key in found if isinstance(one, Mapping))


def named_estimators(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return an experiment's mapping with `estimators` in the place of any `estimator`.

    Returns
    -------
    raw : dict
        The mapping, otherwise as it was.
    spelled : dict
        How the file calls what is now called otherwise, for messages.

    Raises
    ------
    ConfigError
        If both are given, or `estimator` is no mapping, or of a symbol does not say of which.
    """
    out, spelled = dict(raw), dict[str, str]()
    old = out.pop("estimator", None)
    if old is not None:
        if "estimators" in out:
            raise ConfigError("give either 'estimators' or 'estimator', the older form, not both")
        use, given = _flat(old, "estimator", REFERENCE)
        name = name_of(use)
        out["estimators"] = {name: {"use": use, "params": given}}
        spelled[f"estimators.{name}.params"] = "estimator"
    out.setdefault("estimators", {REFERENCE: {"use": REFERENCE}})
    if isinstance(out.get("symbols"), Mapping) and isinstance(out["estimators"], Mapping):
        out["symbols"] = {
            symbol: _named_market(market, f"symbols.{symbol}", out["estimators"], spelled)
            for symbol, market in out["symbols"].items()
        }
    return out, spelled


def name_of(use: str) -> str:
    """Return the name that an estimator goes by where an experiment gives it none.

    Examples
    --------
    >>> name_of("oi_flow"), name_of("mine.maps:HeatMap")
    ('oi_flow', 'HeatMap')
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", use.rpartition(":")[2])
    return plain.strip("_.-")[:64] or "own"


def _named_market(
    raw: Any, where: str, estimators: Mapping[str, Any], spelled: dict[str, str]
) -> Any:
    if not (isinstance(raw, Mapping) and "estimator" in raw):
        return raw
    market = {key: value for key, value in raw.items() if key != "estimator"}
    if raw["estimator"] is None:
        return market
    if "estimators" in raw or len(estimators) != 1:
        raise ConfigError(
            f"key '{where}.estimator': the experiment has {len(estimators)} estimators; say of "
            f"which with '{where}.estimators.NAME.params'"
        )
    [(name, base)] = estimators.items()
    common = base.get("use", REFERENCE) if isinstance(base, Mapping) else REFERENCE
    use, given = _flat(raw["estimator"], f"{where}.estimator", str(common))
    market["estimators"] = {name: {"use": use, "params": given}}
    spelled[f"{where}.estimators.{name}.params"] = f"{where}.estimator"
    return market


def _flat(raw: Any, where: str, use: str) -> tuple[str, dict[str, Any]]:
    """Return what the older form names, and those of its keys that the estimator has."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"key '{where}': expected a mapping of keys to values, found {raw!r}")
    use = str(raw.get("name", use))
    known = _names(getattr(estimator_class(use), "Params", None))
    given = {k: v for k, v in raw.items() if k != "name" and (k in known or k not in _OLD_KEYS)}
    return use, given


def current_key(key: str, raw: Mapping[str, Any]) -> str:
    """Return what a dotted key of the older form is called in an experiment that was read.

    Examples
    --------
    >>> current_key("estimator.brackets.2.half_life", {"estimators": {"oi_flow": {}}})
    'estimators.oi_flow.params.brackets.2.half_life'
    >>> current_key("schedule.every", {})
    'schedule.every'
    """
    if not _EXACT.match(key) or len(raw["estimators"]) != 1:
        return key
    before, _, rest = key.partition("estimator")
    inner = rest.removeprefix(".")
    part = "use" if inner == "name" else f"params.{inner}".rstrip(".")
    return f"{before}estimators.{next(iter(raw['estimators']))}.{part}"


def _write(ns: int) -> str:
    """Write a duration so that reading it gives the same one."""
    text = format_duration(ns)
    try:
        exact = duration_ns(text) == ns
    except ValueError:
        exact = False
    return text if exact else f"{ns // 10**9}.{ns % 10**9:09d}s"


_GRAMMAR: Final = {"read": duration_ns, "write": _write}


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def written(params: Any) -> dict[str, Any]:
    """Return parameters as a file would state them."""
    if params is None:
        return {}
    kind: Any = type(params)
    return dict(_adapter(kind).dump_python(params, mode="json", context=_GRAMMAR))


def _names(kind: Any) -> tuple[str, ...]:
    """Return the names of the parameters of a `Params`: a dataclass or a pydantic model."""
    if kind is None:
        return ()
    model = getattr(kind, "model_fields", None)
    return tuple(model) if model is not None else tuple(f.name for f in fields(kind))


def _has_fields(kind: Any) -> bool:
    return is_dataclass(kind) or hasattr(kind, "model_fields")


def _holds_set(value: Any) -> bool:
    """Return whether a set is anywhere in what a parameter holds."""
    inner = value.values() if isinstance(value, Mapping) else value
    return isinstance(value, set | frozenset) or (
        isinstance(value, Mapping | list | tuple) and any(map(_holds_set, inner))
    )


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    """Return the parameters that have a default, as a file would state them."""
    if kind is None:
        return {}
    model = getattr(kind, "model_fields", None)
    if model is not None:
        held = {
            name: field.get_default(call_default_factory=True)
            for name, field in model.items()
            if not field.is_required()
        }
        return dict(kind.model_construct(**held).model_dump(mode="json", context=_GRAMMAR))
    hints = get_type_hints(kind, include_extras=True)
    out = {}
    for field in fields(kind):
        value = field.default if field.default_factory is MISSING else field.default_factory()
        if value is not MISSING:
            adapter = TypeAdapter(hints[field.name])
            out[field.name] = adapter.dump_python(value, mode="json", context=_GRAMMAR)
    return out


def _sentence(error: ValidationError, kind: Any, where: str) -> str:
    """Turn pydantic's first complaint about parameters into one sentence."""
    first = error.errors(include_url=False)[0]
    key = ".".join([where, *map(str, first["loc"])])
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _names(_inner(kind, first["loc"][:-1]))
        hint = f"; {nearest(str(first['loc'][-1]), known)}" if known else ""
        return f"unknown key '{key}'{hint}"
    if first["type"].startswith("missing"):
        return f"key '{key}' is missing"
    found = first.get("input")
    message = first["msg"].removeprefix("Value error, ")
    told = not isinstance(found, str | int | float | bool) or str(found) in message
    return f"key '{key}': {message}{'' if told else f', found {found!r}'}"


def _inner(kind: Any, way: tuple[int | str, ...]) -> Any:
    """Return the class that lies along `way` in the fields of a type; None where it is not one."""
    for part in (*way, None):
        if get_origin(kind) in (Union, UnionType):
            kind, *others = (each for each in get_args(kind) if each is not type(None))
            kind = None if others else kind  # which of them was meant is not known
        if part is None or kind is None:
            break
        inner = get_args(kind)
        at = 1 if isinstance(part, str) else 0  # the values of a mapping, or the parts of a tuple
        kind = inner[at] if len(inner) > at else get_type_hints(kind).get(str(part))
    return kind if isinstance(kind, type) and _has_fields(kind) else None

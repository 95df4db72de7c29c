"""The configuration of an experiment: a strict schema, whose defaults are METHOD's.

A frozen `Experiment` is everything that a run depends on besides the data and the code. Durations
are written as `5min`, `24h`, `7d` and kept as int64 nanoseconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from liqbt.errors import ConfigError
from liqbt.study.estimators import (
    EstimatorChange,
    EstimatorConfig,
    changed,
    check_needs,
    filled_in,
    name_of,
    named_estimators,
    names_own,
)
from liqbt.study.fields import (
    Duration,
    Instant,
    Instruments,
    KindKey,
    Moment,
    Name,
    Place,
    Positive,
    PositiveDuration,
    Share,
)
from liqbt.study.own_code import make_importable
from liqbt.study.yaml import nearest, read_yaml
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Kind


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class SourceConfig(_Frozen):
    """A column map, or a vendor's format, and the files that it reads, below the data root."""

    map: Place | None = None
    format: str | None = None
    files: tuple[Place, ...] = Field(min_length=1)
    max_bad: Share = 0.001

    @model_validator(mode="after")
    def _one_reader(self) -> SourceConfig:
        if (self.map is None) == (self.format is None):
            raise ValueError("give either 'map' (a column map) or 'format' (vendor/format)")
        return self


class DataConfig(_Frozen):
    """Where the events come from: files with column maps, an event log, or a simulated world."""

    root: Place = "."
    sources: tuple[SourceConfig, ...] = ()
    log: Place | None = None
    world: Place | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_origin(self) -> DataConfig:
        if sum(map(bool, (self.sources, self.log, self.world))) != 1:
            raise ValueError("give exactly one of 'sources', 'log' and 'world'")
        return self


class MarginConfig(_Frozen):
    """The venue's maintenance rule: a symbol of the shipped tiers, or an explicit flat rate."""

    tiers: str | None = None
    flat_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_leverage: Positive | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> MarginConfig:
        if (self.tiers is None) == (self.flat_rate is None):
            raise ValueError("give either 'tiers' (a symbol) or 'flat_rate'")
        if self.flat_rate is not None and self.max_leverage is None:
            raise ValueError("'flat_rate' needs 'max_leverage'")
        return self


class MarketConfig(_Frozen):
    """One market: which instrument gives which kind of event, its margin rule, its estimators."""

    events: dict[KindKey, Instruments]
    margin: MarginConfig | None = None
    estimators: dict[Name, EstimatorChange] = {}

    @model_validator(mode="after")
    def _usable(self) -> MarketConfig:
        if not {Kind.MARK, Kind.BAR, Kind.TRADE} & set(self.events):
            raise ValueError("'events' names no price: give mark, or bar or trade to stand in")
        for kind, instruments in self.events.items():
            if len(instruments) != 1 and kind != Kind.LIQUIDATION_TOTAL:
                raise ValueError(
                    f"'events' gives {len(instruments)} instruments for {kind.name.lower()}; "
                    "only liquidation_total may have several"
                )
        return self

    @property
    def price_kind(self) -> Kind:
        """The kind whose price is used: the mark, or what stands in for it."""
        for kind in (Kind.MARK, Kind.BAR):
            if kind in self.events:
                return kind
        return Kind.TRADE


class ScheduleConfig(_Frozen):
    """When forecasts are issued, and from when on they are scored."""

    every: PositiveDuration = HOUR_NS
    warm_up: Duration = 14 * DAY_NS
    start: Instant | None = None
    end: Instant | None = None


class HoldoutConfig(_Frozen):
    """A sealed period `[start, end)`: a run reads nothing of it until it is unsealed."""

    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _some_time(self) -> HoldoutConfig:
        if self.end <= self.start:
            raise ValueError("'end' must lie after 'start'")
        return self


class EvaluationOptions(_Frozen):
    """How forecasts are scored; defaults are METHOD's."""

    horizons: tuple[Duration, ...] = (4 * HOUR_NS, 24 * HOUR_NS, 7 * DAY_NS)
    latency: Duration = MINUTE_NS
    distance_floor: Annotated[float, Field(ge=0)] = 0.25
    distance_ceiling: Positive = 2.5
    iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_gap: Duration | None = None
    bootstrap_reps: Annotated[int, Field(ge=200, le=100_000)] = 2000
    ridge: Positive = 25.0
    latencies: tuple[Duration, ...] = (MINUTE_NS, 5 * MINUTE_NS)


_TAKEN: Final = ("baselines", "registrations", "searches", "validity")


class Experiment(_Frozen):
    """A frozen configuration: with the tape and the code it determines every byte of a run."""

    name: Name
    description: str = ""
    data: DataConfig
    symbols: dict[Name, MarketConfig] = Field(min_length=1)
    schedule: ScheduleConfig = ScheduleConfig()
    estimators: dict[Name, EstimatorConfig] = Field(min_length=1)
    evaluation: EvaluationOptions = EvaluationOptions()
    seed: int = Field(default=0, ge=0)
    holdout: HoldoutConfig | None = None

    @model_validator(mode="after")
    def _free_name(self) -> Experiment:
        if self.name in _TAKEN:
            raise ValueError(f"'name': '{self.name}' is a folder that results/ has for itself")
        return self

    @model_validator(mode="after")
    def _holdout_within(self) -> Experiment:
        if self.holdout is not None:
            first, last = self.schedule.start, self.schedule.end
            if first is not None and self.holdout.start <= first:
                raise ValueError("'holdout.start' must lie after 'schedule.start'")
            if last is not None and self.holdout.end > last:
                raise ValueError("'holdout.end' must not lie after 'schedule.end'")
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no holdout where there is none: older configurations stay what they were."""
        written: dict[str, Any] = handler(self)
        return {k: v for k, v in written.items() if k != "holdout" or v is not None}

    @property
    def last(self) -> int | None:
        """The time from which on nothing is read: the schedule's end, or where a seal begins."""
        ends = (self.schedule.end, self.holdout.start if self.holdout else None)
        return min((end for end in ends if end is not None), default=None)

    def estimators_of(self, symbol: str) -> dict[str, EstimatorConfig]:
        """Return the estimators of `symbol` by name, what is otherwise for it taken in."""
        changes = self.symbols[symbol].estimators
        return {
            name: changed(config, changes[name]) if name in changes else config
            for name, config in self.estimators.items()
        }

    def in_full(self) -> Experiment:
        """Return the experiment with every parameter written out for symbols that differ, too."""
        symbols = {}
        for symbol, market in self.symbols.items():
            merged = self.estimators_of(symbol)
            changes = {
                name: EstimatorChange(**filled_in(merged[name], f"{name}.params").model_dump())
                for name in market.estimators
            }
            symbols[symbol] = market.model_copy(update={"estimators": changes})
        return self.model_copy(update={"symbols": symbols})


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment's YAML file.

    Raises
    ------
    ConfigError
        Names the file and the key, what was found and what is expected; an unknown key is
        answered with the nearest known one.
    """
    return parse_experiment(read_yaml(path), path)


def with_estimator(experiment: Experiment, name: str) -> Experiment:
    """Return `experiment` with one estimator for every market, all else alike.

    Parameters
    ----------
    experiment : Experiment
        What is changed.
    name : str
        One that the experiment names, or a built-in's name or `module:Class`: that takes the
        place of the first, with those of its parameters that it has too.

    Raises
    ------
    ConfigError
        If there is no such estimator, or a market lacks what it reads.
    """
    known = experiment.estimators
    first = name if name in known else next(iter(known))
    use = None if name in known else name
    label = name if name in known else name_of(name)

    def other(config: EstimatorConfig) -> EstimatorConfig:
        return changed(config, EstimatorChange(use=use))

    symbols = {}
    for symbol, market in experiment.symbols.items():
        own = {label: other(experiment.estimators_of(symbol)[first]).model_dump()}
        changes = {k: EstimatorChange(**v) for k, v in own.items() if first in market.estimators}
        symbols[symbol] = market.model_copy(update={"estimators": changes})
    update = {"estimators": {label: other(known[first])}, "symbols": symbols}
    return _with_checked_estimators(experiment.model_copy(update=update), {})


def parse_experiment(raw: Mapping[str, Any], path: Path) -> Experiment:
    """Check a mapping against the schema, and parameters against the estimators' own classes.

    Parameters
    ----------
    raw : mapping
        The configuration; an estimator of one's own is looked for beside `path`.
    path : Path
        Its file, which errors name.

    Raises
    ------
    ConfigError
        As `load_experiment`.
    """
    if names_own(raw):
        make_importable(path.parent)
    try:
        named, spelled = named_estimators(raw)
        return _with_checked_estimators(Experiment.model_validate(named), spelled)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _with_checked_estimators(experiment: Experiment, spelled: Mapping[str, str]) -> Experiment:
    """Return the experiment with every parameter of its estimators written out, and checked."""

    def where(key: str) -> str:
        return spelled.get(key, key)

    checked = {
        name: filled_in(config, where(f"estimators.{name}.params"))
        for name, config in experiment.estimators.items()
    }
    whole = experiment.model_copy(update={"estimators": checked})
    symbols = {}
    for symbol, market in whole.symbols.items():
        place = f"symbols.{symbol}"
        for name in market.estimators:
            if name not in checked:
                raise ConfigError(
                    f"unknown key '{place}.estimators.{name}'; {nearest(name, checked)}"
                )
        changes = dict(market.estimators)
        for name, config in whole.estimators_of(symbol).items():
            check_needs(config.use, name, market.events, market.margin, place)
            if name in changes:
                full = filled_in(config, where(f"{place}.estimators.{name}.params"))
                params = {key: full.params[key] for key in changes[name].params}
                changes[name] = changes[name].model_copy(update={"params": params})
        symbols[symbol] = market.model_copy(update={"estimators": changes})
    return whole.model_copy(update={"symbols": symbols})


def _sentence(error: ValidationError) -> str:
    """Turn pydantic's first complaint into one sentence."""
    first = error.errors(include_url=False)[0]
    parts = [str(part) for part in first["loc"] if part != "[key]"]
    where = ".".join(parts) or "the configuration"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        return f"unknown key '{where}'; {nearest(key, _known_keys(first['loc'][:-1]))}{more}"
    if first["type"] == "missing":
        return f"key '{where}' is missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    found = first.get("input")
    shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
    if isinstance(found, str) and found in message:
        shown = ""
    key = f"key '{where}': " if parts else ""
    return f"{key}{message}{shown}{more}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Walk the models along `location` and return the keys that are known there."""
    models: dict[str, type[BaseModel]] = {
        "data": DataConfig,
        "sources": SourceConfig,
        "schedule": ScheduleConfig,
        "holdout": HoldoutConfig,
        "estimators": EstimatorConfig,
        "evaluation": EvaluationOptions,
        "margin": MarginConfig,
    }
    if not location:
        return list(Experiment.model_fields)
    for part in reversed(location):
        if part in models:
            return list(models[str(part)].model_fields)
    return list(MarketConfig.model_fields)


def demo_experiment() -> Path:
    """Return the file of the embedded experiment, which needs no data."""
    return Path(__file__).resolve().parent.parent / "data" / "demo.yaml"


def data_root(experiment: Experiment, path: Path) -> Path:
    """Return the folder of the data files: `LIQBT_DATA`, or `data.root` beside the experiment."""
    env = os.environ.get("LIQBT_DATA")
    return Path(env) if env else (path.parent / experiment.data.root).resolve()

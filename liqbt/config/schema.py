"""The configuration of an experiment: a strict schema, whose defaults are METHOD's.

A frozen `Experiment` is everything that a run depends on besides the data and the code. Durations
are written as `5min`, `24h`, `7d` and kept as int64 nanoseconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from liqbt.config import MAX_BAD
from liqbt.config.fields import (
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
    complaint,
    unwrapped,
)
from liqbt.config.yaml import read_yaml
from liqbt.errors import ConfigError
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Kind

SCHEMA_VERSION: Final = 1
"""Goes up when what a configuration says would mean something else: a default that changes, say.
A key that is added with a default leaves it as it is: what differs from no default is unsaid."""

DISTANCE_BANDS: Final = (0.25, 0.5, 1.0, 1.5, 2.5)
"""Edges of the bands of distance, in σ: clusters are eligible, and densities ranked, within."""

_MOST_SAMPLES: Final = 1_000_000


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class SourceConfig(_Frozen):
    """A column map, or a vendor's format, and the files that it reads, below the data root."""

    map: Place | None = None
    format: str | None = None
    files: tuple[Place, ...] = Field(min_length=1)
    max_bad: Share = MAX_BAD

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


class BracketConfig(_Frozen):
    """One leverage bracket of the estimator."""

    leverage: Annotated[float, Field(gt=1)]
    weight: Annotated[float, Field(ge=0)]
    half_life: PositiveDuration
    position_notional_usd: Positive = 10_000.0


_PUBLISHED = tuple(
    BracketConfig.model_validate({"leverage": leverage, "weight": weight, "half_life": f"{hours}h"})
    for leverage, weight, hours in (
        (5, 0.08, 168),
        (10, 0.22, 120),
        (20, 0.32, 72),
        (50, 0.25, 36),
        (100, 0.13, 18),
    )
)


class EstimatorConfig(_Frozen):
    """Which estimator, and its assumptions. `name` is a built-in's, or `module:Class`.

    Built in: `oi_flow`; the baselines `uniform`, `distance_kernel`, `volume_profile`; the nulls
    `mirror`, `time_shift` (by `shift_days`), and the structural ones `swings`, `round_numbers`,
    `prior_extremes`.
    """

    name: str = "oi_flow"
    brackets: tuple[BracketConfig, ...] = _PUBLISHED
    sigma_window: PositiveDuration = 3 * DAY_NS
    sigma_sampling: PositiveDuration = 5 * MINUTE_NS
    sigma_min_coverage: Share = 0.5
    step: Annotated[float, Field(gt=0, le=0.01)] = 5e-4
    reach: Annotated[float, Field(gt=0.02, le=2)] = 0.92
    smoothing_bins: Annotated[int, Field(ge=1, le=101)] = 7
    prominence: Annotated[float, Field(gt=0, lt=1)] = 0.10
    asymmetry_reach: Annotated[float, Field(gt=0, le=1)] = 0.10
    shift_days: Annotated[int, Field(ge=1, le=60)] = 7

    def over(self, own: EstimatorConfig | None) -> EstimatorConfig:
        """Return these assumptions with the keys that `own` states in their place."""
        stated = own.model_fields_set if own is not None else ()
        return self.model_copy(update={key: getattr(own, key) for key in stated})

    @model_validator(mode="after")
    def _fits(self) -> EstimatorConfig:
        samples = self.sigma_window // self.sigma_sampling
        if samples > _MOST_SAMPLES:
            raise ValueError(
                f"'sigma_window' holds {samples} times 'sigma_sampling'; at most {_MOST_SAMPLES}"
            )
        return self


def _stated(config: EstimatorConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_unset=True)


class MarketConfig(_Frozen):
    """One market: which instrument gives which kind of event, its margin rule, its estimator.

    Its own `estimator` overrides the keys of the experiment's that it states, and no others.
    """

    events: dict[KindKey, Instruments]
    margin: MarginConfig
    estimator: Annotated[EstimatorConfig, PlainSerializer(_stated)] | None = None

    @model_validator(mode="after")
    def _usable(self) -> MarketConfig:
        if not {Kind.MARK, Kind.BAR, Kind.TRADE} & set(self.events):
            raise ValueError("'events' names no price: give mark, or bar or trade to stand in")
        if Kind.OPEN_INTEREST not in self.events:
            raise ValueError("'events' names no open_interest")
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
    distance_floor: Annotated[float, Field(ge=0)] = DISTANCE_BANDS[0]
    distance_ceiling: Positive = DISTANCE_BANDS[-1]
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
    estimator: EstimatorConfig = EstimatorConfig()
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

    @model_validator(mode="after")
    def _estimators_fit(self) -> Experiment:
        for symbol in self.symbols:
            whole = self.estimator_of(symbol).model_dump(mode="json")
            try:
                EstimatorConfig.model_validate(whole)
            except ValidationError as error:
                said = complaint(error, EstimatorConfig)
                raise ValueError(f"the estimator of '{symbol}': {said}") from None
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

    def estimator_of(self, symbol: str) -> EstimatorConfig:
        """Return the estimator's configuration for `symbol`: the experiment's under its own."""
        return self.estimator.over(self.symbols[symbol].estimator)


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
    """Return `experiment` with another estimator for every market, all else alike."""
    update = {"estimator": experiment.estimator.model_copy(update={"name": name})}
    symbols = {
        symbol: market.model_copy(
            update={
                "estimator": market.estimator and market.estimator.model_copy(update={"name": name})
            }
        )
        for symbol, market in experiment.symbols.items()
    }
    return experiment.model_copy(update={**update, "symbols": symbols})


def parse_experiment(raw: Mapping[str, Any], path: Path) -> Experiment:
    """Check a mapping against the schema; `path` is named in errors."""
    try:
        return Experiment.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {complaint(error, Experiment)}") from error


def demo_experiment() -> Path:
    """Return the file of the embedded experiment, which needs no data."""
    return Path(__file__).resolve().parent.parent / "data" / "demo.yaml"


def data_root(experiment: Experiment, path: Path) -> Path:
    """Return the folder of the data files: `data.root`, beside the experiment where it is relative.

    Then `LIQBT_DATA` stands in its place, where that is set.
    """
    env = os.environ.get("LIQBT_DATA")
    if env and not Path(experiment.data.root).is_absolute():
        return Path(env)
    return (path.parent / experiment.data.root).resolve()


def configuration_of(experiment: Experiment, **dumped: Any) -> dict[str, Any]:
    """Return the configuration without where the data lie: the tape's digest says what they are."""
    config = experiment.model_dump(mode="json", **dumped)
    data = {key: value for key, value in config["data"].items() if key not in {"root", "log"}}
    return {**config, "data": data}


def configuration_identity(experiment: Experiment) -> dict[str, Any]:
    """Return what a configuration is known by: the keys that differ from their defaults.

    So a key that is added with a default changes no identity; a default that changes does, by
    `SCHEMA_VERSION`.
    """
    config = configuration_of(experiment, exclude_defaults=True)
    shared = experiment.estimator.model_dump(mode="json")
    for market in config["symbols"].values():
        own = market.pop("estimator", {})
        differs = {key: value for key, value in own.items() if value != shared[key]}
        market |= {"estimator": differs} if differs else {}
    return {"schema": SCHEMA_VERSION, "config": config}


def with_defaults(config: Mapping[str, Any], model: type[BaseModel] = Experiment) -> dict[str, Any]:
    """Return a configuration as it was written, with the keys that it lacks at their defaults.

    Parameters
    ----------
    config : mapping
        As a run's `config.yaml` holds it; keys that are not known any more stay.
    model : type
        What it is a configuration of.
    """
    out = dict(model.model_construct().model_dump(mode="json"))
    for key, value in config.items():
        field = model.model_fields.get(key)
        out[key] = value if field is None else _filled(field.annotation, value)
    return out


def _filled(kind: Any, value: Any) -> Any:
    for each in unwrapped(kind):
        inner = [argument for argument in get_args(each) if argument is not ...]
        if isinstance(value, Mapping) and isinstance(each, type) and issubclass(each, BaseModel):
            return with_defaults(value, each)
        if isinstance(value, Mapping) and len(inner) == 2:
            return {key: _filled(inner[1], held) for key, held in value.items()}
        if isinstance(value, list) and inner:
            return [_filled(inner[0], held) for held in value]
    return value

"""The sections of an experiment's configuration: strict, with METHOD's defaults.

Durations are written as `5min`, `24h`, `7d` and kept as int64 nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from liqbt.config import MAX_BAD
from liqbt.config.fields import (
    Duration,
    Instant,
    Moment,
    Place,
    Positive,
    PositiveDuration,
    Share,
    unwrapped,
)
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS

SCHEMA_VERSION: Final = 1
"""Goes up when what a configuration says would mean something else: a default that changes, say.
A key that is added with a default leaves it as it is: what differs from no default is unsaid."""

DISTANCE_BANDS: Final = (0.25, 0.5, 1.0, 1.5, 2.5)
"""Edges of the bands of distance, in σ: clusters are eligible, and densities ranked, within."""


class Frozen(BaseModel):
    """A section: no other keys than those, and no change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class SourceConfig(Frozen):
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


class DataConfig(Frozen):
    """Where the events come from: files with column maps, an event log, or a simulated world."""

    root: Place = "."
    sources: tuple[SourceConfig, ...] = ()
    log: Place | None = None
    world: Place | None = None
    seed: int = Field(default=0, ge=0)
    outliers: Literal["mask", "keep", "refuse"] = "mask"

    @model_validator(mode="after")
    def _one_origin(self) -> DataConfig:
        if sum(map(bool, (self.sources, self.log, self.world))) != 1:
            raise ValueError("give exactly one of 'sources', 'log' and 'world'")
        return self


class MarginConfig(Frozen):
    """The venue's maintenance rule: a symbol of the shipped tiers, or an explicit flat rate.

    `rule` names that of a contract which is margined in its coin (`liqbt margin` has them); without
    it contracts are linear.
    """

    rule: Literal["binance_inverse", "bitmex_inverse", "bybit_inverse", "okx_inverse"] | None = None
    tiers: str | None = None
    flat_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_leverage: Positive | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> MarginConfig:
        if (self.tiers is None) == (self.flat_rate is None):
            raise ValueError("give either 'tiers' (a symbol) or 'flat_rate'")
        if self.flat_rate is not None and self.max_leverage is None:
            raise ValueError("'flat_rate' needs 'max_leverage'")
        if self.max_leverage and self.flat_rate and not 1 <= self.max_leverage < 1 / self.flat_rate:
            raise ValueError(
                f"'max_leverage': found {self.max_leverage:g}; expected 1 or more, and below "
                f"{1 / self.flat_rate:g}, where the margin at opening is all that 'flat_rate' "
                f"{self.flat_rate:g} asks to be kept"
            )
        if self.rule is not None and self.tiers is not None:
            raise ValueError(
                f"no tiers are shipped for '{self.rule}': state 'flat_rate' and 'max_leverage'"
            )
        return self


class ScheduleConfig(Frozen):
    """When forecasts are issued, and from when on they are scored.

    `max_forecasts` is how many a run may issue, of all markets and estimators: each takes some
    25 kB of memory, and too many are refused before anything is computed.
    """

    every: PositiveDuration = HOUR_NS
    warm_up: Duration = 14 * DAY_NS
    start: Instant | None = None
    end: Instant | None = None
    max_forecasts: Annotated[int, Field(ge=1)] = 500_000


class HoldoutConfig(Frozen):
    """A sealed period `[start, end)`: a run reads nothing of it until it is unsealed."""

    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _some_time(self) -> HoldoutConfig:
        if self.end <= self.start:
            raise ValueError("'end' must lie after 'start'")
        return self


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    """Return each value once, the smallest first: in which order they are named says nothing."""
    return tuple(sorted(set(values)))


class EvaluationOptions(Frozen):
    """How forecasts are scored."""

    horizons: Annotated[tuple[Duration, ...], AfterValidator(_rising)] = (
        4 * HOUR_NS,
        24 * HOUR_NS,
        7 * DAY_NS,
    )
    latency: Duration = MINUTE_NS
    distance_floor: Annotated[float, Field(ge=0)] = DISTANCE_BANDS[0]
    distance_ceiling: Positive = DISTANCE_BANDS[-1]
    iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_gap: Duration | None = None
    bootstrap_reps: Annotated[int, Field(ge=200, le=100_000)] = 2000
    ridge: Positive = 25.0
    latencies: tuple[Duration, ...] = (MINUTE_NS, 5 * MINUTE_NS)


def with_defaults(config: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
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

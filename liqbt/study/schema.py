"""An experiment: a frozen configuration, its estimators checked by their own classes.

A frozen `Experiment` is everything that a run depends on besides the data and the code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from liqbt.config.fields import Instruments, KindKey, Name, complaint
from liqbt.config.schema import (
    SCHEMA_VERSION,
    DataConfig,
    EvaluationOptions,
    Frozen,
    HoldoutConfig,
    MarginConfig,
    ScheduleConfig,
)
from liqbt.config.yaml import nearest, read_yaml
from liqbt.errors import ConfigError
from liqbt.log.symbols import is_inverse
from liqbt.study.estimator_config import (
    REFERENCE,
    EstimatorChange,
    EstimatorConfig,
    changed,
    check_needs,
    filled_in,
    name_of,
    named_estimators,
    names_own,
    stated,
)
from liqbt.study.own_code import make_importable
from liqbt.types import Kind


class MarketConfig(Frozen):
    """One market: which instrument gives which kind of event, its margin rule, its estimators."""

    events: dict[KindKey, Instruments]
    margin: MarginConfig | None = None
    estimators: dict[Name, EstimatorChange] = Field(default_factory=dict)

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

    @model_validator(mode="after")
    def _own_rule(self) -> MarketConfig:
        """Refuse positions of one type of contract under a margin rule for the other."""
        held = Kind.OPEN_INTEREST if Kind.OPEN_INTEREST in self.events else Kind.TRADE
        for instrument in self.events.get(held, ()):
            if self.margin is None or is_inverse(*instrument) == (self.margin.rule is not None):
                continue
            if self.margin.rule is None:
                what = "an inverse contract (margined in its coin), and 'margin' is the rule of "
                what += "linear ones"
                instead = "name the venue's as 'margin.rule', such as okx_inverse (`liqbt margin`)"
            else:
                what = (
                    f"not known to be an inverse contract, and 'margin.rule' is {self.margin.rule}"
                )
                instead = "leave it out"
            raise ValueError(
                f"events.{held.name.lower()}: {instrument} is {what}: its liquidation prices would "
                f"be off by hundreds of basis points; {instead}"
            )
        return self

    @property
    def price_kind(self) -> Kind:
        """The kind whose price is used: the mark, or what stands in for it."""
        for kind in (Kind.MARK, Kind.BAR):
            if kind in self.events:
                return kind
        return Kind.TRADE


_TAKEN: Final = ("baselines", "registrations", "searches", "validity")


class Experiment(Frozen):
    """A frozen configuration: with the tape and the code it determines every byte of a run."""

    name: Name
    description: str = ""
    data: DataConfig
    symbols: dict[Name, MarketConfig] = Field(min_length=1)
    schedule: ScheduleConfig = ScheduleConfig()
    estimators: dict[Name, EstimatorConfig] = Field(
        default_factory=lambda: {REFERENCE: EstimatorConfig(use=REFERENCE)}, min_length=1
    )
    evaluation: EvaluationOptions = EvaluationOptions()
    seed: int = Field(default=0, ge=0)
    holdout: HoldoutConfig | None = None
    randomise: int = Field(default=0, ge=0, le=100_000)

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
        """Write no holdout or histories where there are none: older files stay what they were."""
        written: dict[str, Any] = handler(self)
        return {k: v for k, v in written.items() if v or k not in ("holdout", "randomise")}

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


def load_experiment(path: Path | str) -> Experiment:
    """Read and check an experiment's YAML file.

    Raises
    ------
    ConfigError
        Names the file and the key, what was found and what is expected; an unknown key is
        answered with the nearest known one.
    """
    path = Path(path)
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
        raise ConfigError(f"{path}: {complaint(error, Experiment)}") from error
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
    config = experiment.in_full().model_dump(mode="json", **dumped)
    data = {key: value for key, value in config["data"].items() if key not in {"root", "log"}}
    return {**config, "data": data}


def configuration_identity(experiment: Experiment) -> dict[str, Any]:
    """Return what a configuration is known by: the keys that differ from their defaults.

    Of several estimators their order, too: verdicts are about the first.

    So a key that is added with a default changes no identity; a default that changes does, by
    `SCHEMA_VERSION`.
    """
    config = configuration_of(experiment, exclude_defaults=True)
    shared = {name: _told(one) for name, one in experiment.estimators.items()}
    for symbol, market in config["symbols"].items():
        market.pop("estimators", None)
        merged = {name: _told(one) for name, one in experiment.estimators_of(symbol).items()}
        differs = {name: one for name, one in merged.items() if one != shared[name]}
        market |= {"estimators": differs} if differs else {}
    order = {"order": list(shared)} if len(shared) > 1 else {}  # the first owns the verdicts
    return {"schema": SCHEMA_VERSION, "config": {**config, "estimators": shared}, **order}


def _told(config: EstimatorConfig) -> dict[str, Any]:
    """Return an estimator by what differs from its class's defaults."""
    return {"use": config.use, "params": stated(config)}

"""What a search asks for: a base experiment, and the keys of it that are varied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liqbt.config.fields import Name, Place, complaint, known_keys
from liqbt.config.yaml import nearest, read_yaml
from liqbt.errors import ConfigError
from liqbt.registry.ledger import canonical_json, run_identity
from liqbt.study.estimator_config import current_key
from liqbt.study.identity import SIGMA_KEYS
from liqbt.study.schema import Experiment, configuration_identity, load_experiment, parse_experiment
from liqbt.types import DAY_NS

MOST_TRIALS: Final = 200


class SearchConfig(BaseModel):
    """A search's file: a strict schema, as that of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    experiment: Place
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    block_days: Annotated[int, Field(ge=1)] | None = None
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One configuration that a search tries.

    Attributes
    ----------
    keys : mapping
        What is replaced in the base, by dotted key; empty for the base itself.
    experiment : Experiment
        The configuration.
    configuration : str
        Its hash: that of `configuration_identity`.
    """

    keys: Mapping[str, Any]
    experiment: Experiment
    configuration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search as it is asked for, checked.

    Attributes
    ----------
    config : SearchConfig
        As it was written.
    base : Path
        The experiment's file.
    asked : tuple of Asked
        Every configuration, the base first, none twice.
    estimator : str
        Whose trials are compared: the one of which keys are varied, else the first.
    """

    config: SearchConfig
    base: Path
    asked: tuple[Asked, ...]
    estimator: str


def load_search(path: Path) -> Search:
    """Read a search's YAML and every configuration that it asks for; nothing is run.

    Parameters
    ----------
    path : Path
        The file; the name of the experiment in it is relative to it.

    Raises
    ------
    ConfigError
        If a key is unknown, a value is refused, a configuration is asked for twice, there are more
        than `MOST_TRIALS`, or what is varied is not the forecasts but what they are scored on.
    """
    raw = read_yaml(path)
    try:
        config = SearchConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {complaint(error, SearchConfig)}") from error
    base = path.parent / config.experiment
    experiment = load_experiment(base)
    if DAY_NS not in experiment.evaluation.horizons:
        raise ConfigError(
            f"{base}: key 'evaluation.horizons': a search compares P(visit) within 24h; add 24h"
        )
    n_trials = 1 + math.prod(len(values) for values in config.vary.values())
    if n_trials > MOST_TRIALS:
        raise ConfigError(
            f"{path}: key 'vary': asks for {n_trials} trials with the base; at most {MOST_TRIALS}"
        )
    estimator = _estimator(config, experiment, path)
    asked = tuple(_asked(config, experiment, path))
    return Search(config=config, base=base, asked=asked, estimator=estimator)


def _estimator(config: SearchConfig, base: Experiment, path: Path) -> str:
    """Return the estimator whose keys are varied, by default the first: trials compare one."""
    ways = [key.split(".") for key in config.vary]
    names = dict.fromkeys(
        way[at]
        for way in ways
        for at in (1, 3)
        if way[at - 1 : at] == ["estimators"] and way[at:] and (at == 1 or way[0] == "symbols")
    )
    known = [name for name in base.estimators if name in names]
    if len(known) > 1:
        raise ConfigError(
            f"{path}: key 'vary': varies the estimators {known[0]} and {known[1]}; a search "
            "compares the trials of one, so give each a search of its own"
        )
    return known[0] if known else next(iter(base.estimators))


def _asked(config: SearchConfig, base: Experiment, path: Path) -> Iterator[Asked]:
    """Yield the base and then the product of all values, each configuration once."""
    first = Asked(keys={}, experiment=base, configuration=_hash(base))
    yield first
    seen: dict[str, Mapping[str, Any]] = {}
    for values in product(*config.vary.values()):
        keys = dict(zip(config.vary, values, strict=True))
        experiment = parse_experiment(with_keys(base, keys, path), path)
        _refuse_other_scoring(experiment, base, path)
        configuration = _hash(experiment)
        if configuration in seen:
            raise ConfigError(
                f"{path}: key 'vary': {_shown(keys)} is the same configuration as "
                f"{_shown(seen[configuration])}; name each value once"
            )
        seen[configuration] = keys
        if configuration != first.configuration:  # the base itself is in most products
            yield Asked(keys=keys, experiment=experiment, configuration=configuration)
    if set(seen) == {first.configuration}:
        raise ConfigError(f"{path}: key 'vary': asks for nothing but the base itself")


def with_keys(base: Experiment, keys: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return an experiment's configuration with other values, as a file would hold it.

    Parameters
    ----------
    base : Experiment
        The experiment.
    keys : mapping
        Values by dotted key.
    path : Path
        The file that names them.

    Raises
    ------
    ConfigError
        If the experiment has no such key.
    """
    raw = base.model_dump(mode="json")
    for key, value in keys.items():
        _replace(raw, current_key(key, raw), value, path)
    return raw


def _hash(experiment: Experiment) -> str:
    return run_identity(configuration_identity(experiment))


def _shown(keys: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={canonical_json(value)}" for key, value in keys.items())


def _replace(raw: dict[str, Any], key: str, value: Any, path: Path) -> None:
    """Put a value in the place that a dotted key names; a number names an entry of a list."""
    *way, last = key.split(".")
    here: Any = raw
    for i, part in enumerate(way):
        place = _place(here, part, ".".join(way[: i + 1]), path)
        if isinstance(place, str) and here.get(place) is None:
            here[place] = {}  # a market that has no estimator of its own, say
        here = here[place]
    here[_place(here, last, key, path)] = value


def _place(here: Any, part: str, key: str, path: Path) -> str | int:
    """Return under what `part` stands in `here`, or might stand."""
    way = [int(name) if name.isdecimal() else name for name in key.split(".")[:-1]]
    named = way[-1:] in (["params"], ["estimators"])  # the estimator's own class decides
    if isinstance(here, dict) and (part in here or named or part in known_keys(Experiment, way)):
        return part
    if isinstance(here, list) and part.isdecimal() and int(part) < len(here):
        return int(part)
    if isinstance(here, dict):
        said = nearest(part, here or known_keys(Experiment, way))
    elif isinstance(here, list):
        said = f"its entries are 0 to {len(here) - 1}"
    else:
        said = f"'{key.rpartition('.')[0]}' holds {here!r} and no keys"
    raise ConfigError(f"{path}: key 'vary.{key}': the experiment has no such key; {said}")


def _refuse_other_scoring(trial: Experiment, base: Experiment, path: Path) -> None:
    """Refuse a trial that changes what is scored: a search may only vary what forecasts."""
    ours, theirs = _scoring(base), _scoring(trial)
    for key in (*ours, *theirs):
        if theirs.get(key) != ours.get(key):
            raise ConfigError(
                f"{path}: key 'vary': '{key}' decides what is scored, and trials are compared on "
                "the same levels and outcomes; vary the estimator (but not how it takes σ), margin "
                "or evaluation.ridge"
            )


def _scoring(experiment: Experiment) -> dict[str, Any]:
    """Return what decides which levels are scored and how, by key."""
    written = experiment.model_dump(mode="json")
    rest = {k: v for k, v in written.items() if k not in {"symbols", "estimators", "evaluation"}}
    out = {**rest, "symbols": sorted(experiment.symbols)}
    for key, value in written["evaluation"].items():
        if key != "ridge":
            out[f"evaluation.{key}"] = value
    for symbol, market in written["symbols"].items():
        out[f"symbols.{symbol}.events"] = market["events"]
    chosen = {symbol: experiment.estimators_of(symbol) for symbol in experiment.symbols}
    for name, key in product(experiment.estimators, SIGMA_KEYS):
        out[f"estimators.{name}.params.{key}"] = {
            symbol: estimators[name].params.get(key) for symbol, estimators in chosen.items()
        }
    return out

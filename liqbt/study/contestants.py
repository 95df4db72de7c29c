"""Who stands beside an experiment's estimators: baselines, structures, rivals, nulls, twins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from liqbt.errors import LiqbtError, one_line
from liqbt.estimators.base import registered_estimators
from liqbt.estimators.config import MapParams
from liqbt.replay import Estimator
from liqbt.study.estimator_config import check_needs, params_of
from liqbt.study.estimators import build_estimators, market_spec
from liqbt.study.schema import Experiment

_ROOMS: Final = {
    "baselines": "baseline",
    "structural": "structure",
    "rivals": "rival",
    "nulls": "null",
}
"""What the classes of a room of `liqbt.estimators` are; those of the others are references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestants:
    """Estimators of one market, each fresh.

    Attributes
    ----------
    told : mapping of str to Estimator
        By name, of the whole tape; the experiment's own first.
    twins : mapping of str to Estimator
        Price-only twins of the experiment's own, for a tape of prices alone.
    kinds : mapping of str to str
        By name: `named` (by the experiment), `twin`, `reference`, `baseline`, `structure`, `rival`
        or `null`.
    left_out : mapping of str to str
        Why, of those that cannot be made for this market.
    """

    told: Mapping[str, Estimator]
    twins: Mapping[str, Estimator]
    kinds: Mapping[str, str]
    left_out: Mapping[str, str]


def contestants(experiment: Experiment, symbol: str) -> Contestants:
    """Return everybody who can be asked for a map of a market of an experiment.

    Each built-in that the experiment does not use stands beside with its defaults; grid, σ and
    reach are those of the experiment's first estimator.

    Raises
    ------
    LiqbtError
        If one of the experiment's own cannot be built.
    """
    own = experiment.estimators_of(symbol)
    told: dict[str, Estimator] = dict(build_estimators(experiment, symbol))
    twins = {f"{n} twin": e for n, e in build_estimators(experiment, symbol).items()}
    kinds = dict.fromkeys(told, "named") | dict.fromkeys(twins, "twin")
    left_out: dict[str, str] = {}
    market, spec = experiment.symbols[symbol], market_spec(experiment, symbol)
    shared = _shared(params_of(next(iter(own.values())), "params"))
    used = {config.use for config in own.values()} | set(own)
    for name, cls in registered_estimators().items():
        if name in used:
            continue
        try:
            check_needs(name, name, market.events, market.margin, f"symbols.{symbol}")
            told[name] = cls(cls.Params(**shared), spec)
        except LiqbtError as error:
            why = one_line(str(error)).split("; ")[0]
            left_out[name] = why.removeprefix(f"estimator '{name}' ")
            continue
        room = cls.__module__.removeprefix("liqbt.estimators.").split(".")[0]
        kinds[name] = _ROOMS.get(room, "reference")
    return Contestants(told=told, twins=twins, kinds=kinds, left_out=left_out)


def _shared(params: Any) -> dict[str, Any]:
    """Return what all maps share, of one's parameters; nothing where they are of another class."""
    if not isinstance(params, MapParams):
        return {}
    return {field.name: getattr(params, field.name) for field in fields(MapParams)}

"""From a configuration to an estimator: the built-ins by name, anybody's own by `module:Class`."""

from __future__ import annotations

import csv
import importlib
import inspect
import math
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.config.schema import EstimatorConfig, Experiment, MarginConfig
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError, LiqbtError, first_line
from liqbt.estimators.baselines import DistanceKernel, Uniform, VolumeProfile
from liqbt.estimators.config import PriceConfig
from liqbt.estimators.nulls import Mirror, TimeShift
from liqbt.estimators.oi_flow.config import OIFlowConfig
from liqbt.estimators.oi_flow.estimator import OIFlow
from liqbt.estimators.structural import PriorExtremes, RoundNumbers, Swings
from liqbt.log.disk import sha256_file
from liqbt.margin.tiers import Tiers, TierTable, flat_tiers
from liqbt.replay import Estimator
from liqbt.types import HOUR_NS, SECOND_NS, Kind

_FILE = "binance-um-margin-tiers.csv"


@cache
def shipped_tiers() -> dict[str, TierTable]:
    """Return the shipped Binance USDⓈ-M maintenance tiers, by symbol.

    A date is when a tier table was seen: an upper bound of when it took effect.
    """
    rows: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    text = resources.files("liqbt").joinpath("data", _FILE).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        rows[row["symbol"]][row["seen_on"]].append(row)
    return {symbol: _table(symbol, dates) for symbol, dates in sorted(rows.items())}


def _table(symbol: str, dates: dict[str, list[dict[str, str]]]) -> TierTable:
    days = sorted(dates)
    return TierTable(
        symbol=symbol,
        effective_ns=np.array([_day_ns(day) for day in days], dtype=np.int64),
        tiers=tuple(_tiers(symbol, day, dates[day]) for day in days),
    )


def _day_ns(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def _tiers(symbol: str, day: str, rows: list[dict[str, str]]) -> Tiers:
    ordered = sorted(rows, key=lambda row: int(row["tier"]))

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(row[name]) for row in ordered])

    return Tiers(
        floor_usd=column("notional_floor_usdt"),
        cap_usd=column("notional_cap_usdt"),
        rate=column("maintenance_margin_rate"),
        amount_usd=column("maintenance_amount_usdt"),
        max_leverage=column("max_leverage"),
        symbol=symbol,
        effective_ns=_day_ns(day),
    )


def margin_tiers(margin: MarginConfig, where: str) -> TierTable:
    """Return the tiers that a market's `margin` asks for.

    Raises
    ------
    ConfigError
        If the symbol is not among the shipped ones; names the alternatives.
    """
    if margin.flat_rate is not None:
        return flat_tiers("flat", margin.flat_rate, float(margin.max_leverage or 1.0))
    tables = shipped_tiers()
    symbol = str(margin.tiers)
    if symbol not in tables:
        raise ConfigError(
            f"{where}: no margin tiers are shipped for '{symbol}'; {nearest(symbol, tables)} "
            "- or state the venue's own rate as 'flat_rate' and 'max_leverage'"
        )
    return tables[symbol]


def estimator_config(experiment: Experiment, symbol: str) -> OIFlowConfig:
    """Return what the estimator of `symbol` is configured with.

    Weights are rescaled to sum to one.

    Raises
    ------
    ConfigError, MarginError
        If a value is out of range, the margin tiers are not known, or a bracket is not allowed.
    """
    market = experiment.symbols[symbol]
    chosen = experiment.estimator_of(symbol)
    total = math.fsum(bracket.weight for bracket in chosen.brackets)
    if not total > 0:
        raise ConfigError(f"{experiment.name}: the brackets of {symbol} have no positive weight")
    return OIFlowConfig(
        symbol=symbol,
        price=price_config(chosen, market.price_kind),
        step=chosen.step,
        reach=chosen.reach,
        smoothing=chosen.smoothing_bins,
        prominence=chosen.prominence,
        asymmetry_reach=chosen.asymmetry_reach,
        tiers=margin_tiers(market.margin, experiment.name),
        leverages=tuple(bracket.leverage for bracket in chosen.brackets),
        weights=tuple(bracket.weight / total for bracket in chosen.brackets),
        half_lives_h=tuple(bracket.half_life / HOUR_NS for bracket in chosen.brackets),
        position_notional_usd=tuple(b.position_notional_usd for b in chosen.brackets),
    )


def price_config(chosen: EstimatorConfig, price_kind: Kind) -> PriceConfig:
    """Return how the mark and σ are taken."""
    return PriceConfig(
        price_kind=price_kind,
        sigma_window_ns=chosen.sigma_window,
        sigma_sampling_ns=chosen.sigma_sampling,
        sigma_min_coverage=chosen.sigma_min_coverage,
    )


ESTIMATORS: dict[str, Callable[[OIFlowConfig, EstimatorConfig], Estimator]] = {
    "oi_flow": lambda config, _: OIFlow(config),
    "uniform": lambda config, _: Uniform(config),
    "distance_kernel": lambda config, _: DistanceKernel(config),
    "volume_profile": lambda config, _: VolumeProfile(config),
    "mirror": lambda config, _: Mirror(OIFlow(config)),
    "time_shift": lambda config, chosen: TimeShift(OIFlow(config), days=chosen.shift_days),
    "swings": lambda config, _: Swings(config),
    "round_numbers": lambda config, _: RoundNumbers(config),
    "prior_extremes": lambda config, _: PriorExtremes(config),
}
"""The built-in estimators: the reference; baselines; `mirror` and `time_shift`, nulls that emit a
map of the reference; and structural nulls, which emit one of what anybody sees on a chart."""

STRUCTURES: Final = ("swings", "volume_profile", "round_numbers", "prior_extremes")
"""The structural maps that the dose-response of every run must survive beside."""


def build_estimator(experiment: Experiment, symbol: str) -> Estimator:
    """Return a fresh estimator for `symbol`.

    A name with a colon, `module:Class`, is imported and called with the `OIFlowConfig` that the
    reference estimator would get.

    Raises
    ------
    ConfigError
        If there is no such estimator; names the nearest one.
    """
    chosen = experiment.estimator_of(symbol)
    config = estimator_config(experiment, symbol)
    if ":" in chosen.name:
        try:
            made: Estimator = _imported(chosen.name)(config)
        except LiqbtError:
            raise
        except Exception as error:
            raise ConfigError(
                f"estimator '{chosen.name}' cannot be built from its configuration alone: "
                f"{first_line(error)}"
            ) from error
        return made
    if chosen.name not in ESTIMATORS:
        raise ConfigError(
            f"{experiment.name}: no estimator is called '{chosen.name}'; "
            f"{nearest(chosen.name, ESTIMATORS)} - or name your own as module:Class"
        )
    return ESTIMATORS[chosen.name](config, chosen)


def build_structures(experiment: Experiment, symbol: str) -> dict[str, Estimator]:
    """Return a fresh estimator of each structural map of `symbol`, by name.

    They reach as far as the asymmetry, or 3 σ of seven days where that is more: always beyond the
    2.5 σ of a day within which the dose is taken.
    """
    chosen = experiment.estimator_of(symbol)
    config = estimator_config(experiment, symbol)
    near = replace(config, reach=config.asymmetry_reach)
    return {name: ESTIMATORS[name](near, chosen) for name in STRUCTURES}


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a user's module may raise anything
        raise ConfigError(f"estimator '{name}' cannot be imported: {first_line(error)}") from error


def make_importable(folder: Path) -> None:
    """Let estimators be named that lie beside an experiment's file."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)


def estimator_sources(experiment: Experiment) -> dict[str, str]:
    """Return the SHA-256 of the file of every estimator that is not a built-in.

    What such a file imports in turn is not looked at.
    """
    names = {experiment.estimator_of(symbol).name for symbol in experiment.symbols}
    found = {}
    for name in sorted(name for name in names if ":" in name):
        file = inspect.getsourcefile(_imported(name))
        found[name] = sha256_file(Path(file)) if file else "built in"
    return found


def default_estimator(symbol: str) -> Estimator:
    """Return the reference estimator with the published brackets and the shipped BTC tiers."""
    return OIFlow(OIFlowConfig(symbol=symbol, tiers=shipped_tiers()["BTCUSDT"]))

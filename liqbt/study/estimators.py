"""From a configuration to estimators: the built-ins by name, anybody's own by `module:Class`."""

from __future__ import annotations

import csv
import dataclasses
from collections import defaultdict
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np

from liqbt.config.schema import MarginConfig
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError, LiqbtError, MarginError, first_line
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.margin.tiers import Tiers, TierTable, flat_tiers
from liqbt.replay import Estimator
from liqbt.study.estimator_config import EstimatorConfig, estimator_class, params_of, stated
from liqbt.study.own_code import imported_by, own_files, own_sources
from liqbt.study.schema import Experiment
from liqbt.types import SECOND_NS, Kind
from liqbt.watch import Phase, during, note

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
        most, rule = float(margin.max_leverage or 1.0), margin.rule or ""
        return flat_tiers(rule or "flat", margin.flat_rate, most, rule)
    tables = shipped_tiers()
    symbol = str(margin.tiers)
    if symbol not in tables:
        raise ConfigError(
            f"{where}: no margin tiers are shipped for '{symbol}'; {nearest(symbol, tables)} "
            "- or state the venue's own rate as 'flat_rate' and 'max_leverage'"
        )
    return tables[symbol]


STRUCTURES: Final = ("swings", "volume_profile", "round_numbers", "prior_extremes")
"""The structural maps that the dose-response of every run must survive beside."""


def market_spec(experiment: Experiment, symbol: str) -> MarketSpec:
    """Return what estimators are told of a market.

    Raises
    ------
    ConfigError
        If the margin tiers that it asks for are not shipped.
    """
    market = experiment.symbols[symbol]
    return MarketSpec(
        symbol=symbol,
        price_kind=market.price_kind,
        tiers=None if market.margin is None else margin_tiers(market.margin, experiment.name),
    )


def build_estimators(experiment: Experiment, symbol: str) -> dict[str, Estimator]:
    """Return a fresh estimator for `symbol` of each name that the experiment gives, in its order.

    Raises
    ------
    ConfigError, MarginError
        If one cannot be built from its parameters, the margin tiers are not known, or a bracket is
        not allowed.
    """
    return {n: build_estimator(experiment, symbol, n) for n in experiment.estimators_of(symbol)}


def build_estimator(experiment: Experiment, symbol: str, name: str | None = None) -> Estimator:
    """Return a fresh estimator for `symbol`: the one of a name, or the first."""
    chosen = experiment.estimators_of(symbol)
    first = next(iter(chosen)) if name is None else name
    try:
        return _built(first, chosen[first], market_spec(experiment, symbol))
    except MarginError as error:
        said = str(error).replace("'params.", f"'estimators.{first}.params.")
        also = [other for other in experiment.symbols if _is_refused(experiment, other, first)]
        alike = f"; of several markets alike: {', '.join(also)}" if len(also) > 1 else ""
        raise MarginError(f"{experiment.name}: {symbol}: {said}{alike}") from error


def _is_refused(experiment: Experiment, symbol: str, name: str) -> bool:
    """Return whether a market's margin rules refuse what an estimator assumes of it."""
    try:
        _built(name, experiment.estimators_of(symbol)[name], market_spec(experiment, symbol))
    except MarginError:
        return True
    except LiqbtError:
        pass
    return False


def _built(name: str, config: EstimatorConfig, market: MarketSpec) -> Estimator:
    params = params_of(config, f"estimators.{name}.params")
    given = (market,) if params is None else (params, market)
    cls = estimator_class(config.use)
    own = ":" in config.use
    for seen in imported_by(config.use) if own else ():
        note(seen)
    try:
        with during(Phase.BUILT, cls.__name__, own_files(cls)) if own else nullcontext():
            made: Estimator = cls(*given)
    except LiqbtError:
        raise
    except Exception as error:
        raise ConfigError(
            f"estimator '{name}' ({config.use}) cannot be built from its parameters and its "
            f"market: {first_line(error)}"
        ) from error
    return made


def build_competing_maps(experiment: Experiment, symbol: str) -> dict[str, Estimator]:
    """Return a fresh estimator of each structural map of `symbol`, by name.

    Price and grid are those of the first estimator. They reach as far as the asymmetry, or 3 σ of
    seven days where that is more: always beyond the 2.5 σ of a day within which the dose is taken.
    """
    first = next(iter(experiment.estimators_of(symbol).values()))
    params = params_of(first, "params")
    shared = {
        field.name: getattr(params, field.name)
        for field in dataclasses.fields(MapParams)
        if isinstance(params, MapParams)  # another class's of such a name may mean anything
    }
    near = shared | {"reach": shared.get("asymmetry_reach", MapParams().asymmetry_reach)}
    market = market_spec(experiment, symbol)
    made = {}
    for name in STRUCTURES:
        cls = estimator_class(name)
        made[name] = cls(cls.Params(**near), market)
    return made


def needed_kinds(experiment: Experiment, symbol: str, name: str | None = None) -> tuple[Kind, ...]:
    """Return the kinds of events that the estimators of `symbol` cannot do without, price first.

    Of all of them, or of the one of a name.
    """
    kinds = [experiment.symbols[symbol].price_kind]
    for each, config in experiment.estimators_of(symbol).items():
        if name in (None, each):
            kinds += getattr(estimator_class(config.use), "needs", ())
    return tuple(dict.fromkeys(kinds))


def estimator_identity(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Return what each estimator's forecasts depend on besides events and the package's code.

    Returns
    -------
    dict
        By name: `use`, `params` (those that differ from the defaults of its class), `sources` (of
        one's own; see `own_sources`), and `symbols`: `use` and `params` where a symbol's differ.
    """
    found = {}
    for name, config in experiment.estimators.items():
        own: dict[str, Any] = _identity(config)
        for symbol in sorted(experiment.symbols):
            other = _identity(experiment.estimators_of(symbol)[name])
            if other != {k: v for k, v in own.items() if k != "symbols"}:
                own.setdefault("symbols", {})[symbol] = other
        found[name] = own
    return found


def _identity(config: EstimatorConfig) -> dict[str, Any]:
    own = {"sources": own_sources(config.use)} if ":" in config.use else {}
    return {"use": config.use, "params": stated(config), **own}


def estimator_sources(experiment: Experiment) -> dict[str, str]:
    """Return the SHA-256 of every file that estimators of one's own are made of, by path."""
    uses = {
        config.use
        for symbol in experiment.symbols
        for config in experiment.estimators_of(symbol).values()
        if ":" in config.use
    }
    return {file: digest for use in sorted(uses) for file, digest in own_sources(use).items()}


def default_estimator(symbol: str) -> Estimator:
    """Return the reference estimator with the published brackets and the shipped BTC tiers."""
    market = MarketSpec(symbol=symbol, tiers=shipped_tiers()["BTCUSDT"])
    return OIFlow(OIFlowParams(), market)


def learnt_mix(symbol: str, *, intervals: bool = True) -> Estimator:
    """Return the learnt mix with its other defaults and the shipped BTC tiers."""
    market = MarketSpec(symbol=symbol, tiers=shipped_tiers()["BTCUSDT"])
    return LevMix(LevMixParams(intervals=intervals), market)

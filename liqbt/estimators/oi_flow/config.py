"""What the reference estimator assumes, and the constants that follow from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liqbt.errors import ConfigError, MarginError
from liqbt.estimators.config import ASSUMED, MapConfig
from liqbt.estimators.oi_flow.kernels import Plan
from liqbt.margin import bracket_ratios
from liqbt.margin.tiers import TierTable
from liqbt.types import HOUR_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class OIFlowConfig(MapConfig):
    """The reference estimator's assumptions; the defaults are a published set, not tuned here.

    Attributes
    ----------
    tiers : TierTable
        The venue's dated margin tiers; those of a snapshot's date place what it opens.
    leverages : tuple of float, length n
        The leverage brackets, each above 1.
    weights : tuple of float, length n
        Share of newly opened coins in each bracket; they sum to 1.
    half_lives_h : tuple of float, length n
        Age at which half of a bracket's positions are gone by themselves, hours.
    position_notional_usd : float or tuple of float, length n
        Notional at entry of the position that stands for a bracket: it chooses the margin tier.

    Raises
    ------
    ConfigError
        If lengths differ or a value is out of range; names the key.
    MarginError
        If a bracket is not allowed by the venue on any date of its tiers; names it. A bracket that
        only some dates do not allow is an error when a snapshot of such a date is met.
    """

    tiers: TierTable
    leverages: tuple[float, ...] = tuple(b.leverage for b in ASSUMED.brackets)
    weights: tuple[float, ...] = tuple(b.weight for b in ASSUMED.brackets)
    half_lives_h: tuple[float, ...] = tuple(b.half_life / HOUR_NS for b in ASSUMED.brackets)
    position_notional_usd: float | tuple[float, ...] = ASSUMED.brackets[0].position_notional_usd

    def __post_init__(self) -> None:
        MapConfig.__post_init__(self)
        n = len(self.leverages)
        checks: dict[str, tuple[Sequence[float], bool]] = {
            "leverages": (self.leverages, n > 0 and all(x > 1.0 for x in self.leverages)),
            "weights": (
                self.weights,
                all(x >= 0.0 for x in self.weights)
                and math.isclose(math.fsum(self.weights), 1.0, abs_tol=1e-9),
            ),
            "half_lives_h": (self.half_lives_h, all(x > 0.0 for x in self.half_lives_h)),
            "position_notional_usd": (self.notionals, all(x > 0.0 for x in self.notionals)),
        }
        for name, (values, holds) in checks.items():
            if not holds or len(values) != n:
                raise ConfigError(
                    f"{self.symbol}: {name} is {list(values)}: expected {n} values, leverages "
                    "above 1, weights that sum to 1, half-lives and notionals above 0"
                )
        errors = [self.unusable(i) for i in range(len(self.tiers.tiers))]
        if all(errors):
            raise MarginError(errors[-1])

    @property
    def notionals(self) -> tuple[float, ...]:
        """The position notional of each bracket, USD."""
        if isinstance(self.position_notional_usd, tuple):
            return self.position_notional_usd
        return (self.position_notional_usd,) * len(self.leverages)

    def unusable(self, date: int) -> str:
        """Return why the brackets cannot be placed under the tiers of a date; empty if they can."""
        try:
            bracket_ratios(self.tiers.tiers[date], self.leverages, self.notionals)
        except MarginError as error:
            return str(error)
        return ""


def plan_of(config: OIFlowConfig) -> Plan:
    """Return the constants of the fold: for each tier date, bins from entry to liquidation.

    A shift is ln(LP / EP) in bins, rounded to the nearest (halves up).
    """
    dates = len(config.tiers.tiers)
    shifts = np.zeros((dates, 2, len(config.leverages)), dtype=np.int64)
    usable = np.array([not config.unusable(i) for i in range(dates)])
    for i in np.flatnonzero(usable):
        ratios = bracket_ratios(config.tiers.tiers[i], config.leverages, config.notionals)
        shifts[i] = np.floor(np.log(np.array(ratios)) / config.step + 0.5)
    return Plan(
        weights=np.array(config.weights, dtype=np.float64),
        half_lives_ns=np.array(config.half_lives_h, dtype=np.float64) * float(HOUR_NS),
        dates=np.array(config.tiers.effective_ns, dtype=np.int64),
        usable=usable,
        shifts=shifts,
    )

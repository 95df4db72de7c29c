"""Structural nulls: maps of what anybody sees on a chart, and that knows nothing of leverage.

Swings, prior highs and lows, round numbers; volume nodes are the baseline `VolumeProfile`. Each is
an estimator like any other, so that a claim can be asked to survive beside them at equal distance.

Known bias: positions are opened, and stops placed, at such levels. A structural null isolates what
is specific to liquidations, and gives it nothing of what both have in common.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.estimators.base import MapEstimator, registered
from liqbt.estimators.config import Duration, MapParams, MarketSpec
from liqbt.estimators.emission import Issue
from liqbt.estimators.state import read_only
from liqbt.estimators.structural.kernels import fold_days, fold_swings, issue_levels
from liqbt.types import DAY_NS, HOUR_NS, Events, FloatArray, Ns

__all__ = ["PriorExtremes", "RoundNumbers", "Swings", "round_levels"]

_DAY: Final = np.dtype([("day", "<i8"), ("high", "<f8"), ("low", "<f8")])
_ZIGZAG: Final = np.dtype(
    [
        ("direction", "<i8"),
        ("extreme", "<f8"),
        ("extreme_ts", "<i8"),
        ("latest_ts", "<i8"),
        ("count", "<i8"),
    ]
)
_SWING: Final = np.dtype([("price", "<f8"), ("ts_event", "<i8"), ("kind", "<i8")])


class _Levels(MapEstimator):
    """An estimator whose mass lies at levels that `_levels` names."""

    @abstractmethod
    def _levels(self, at: Ns) -> tuple[FloatArray, FloatArray]:
        """Return the prices of the levels at `at`, USD, and their weights."""

    def _issue(self, at: Ns) -> Issue:
        prices, weights = self._levels(at)
        issue: Issue = issue_levels(self._market, at, self._emission.scratch, prices, weights)
        return issue


def round_levels(low: float, high: float, unit: float) -> tuple[FloatArray, FloatArray]:
    """Return the multiples of `unit` in [low, high] and their weights.

    Multiples of ten units weigh 4, of five 2, the others 1.

    Examples
    --------
    >>> prices, weights = round_levels(8_900, 10_100, 100)
    >>> prices[weights > 1].tolist(), weights[weights > 1].tolist()
    ([9000.0, 9500.0, 10000.0], [4.0, 2.0, 4.0])
    """
    number = np.arange(np.ceil(low / unit), np.floor(high / unit) + 1)
    weights = np.select([number % 10 == 0, number % 5 == 0], [4.0, 2.0], 1.0)
    return number * unit, weights


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundParams(MapParams):
    """Parameters of `RoundNumbers`.

    Attributes
    ----------
    share : float
        The unit as a share of the mark's power of ten, in (0, 1].
    """

    share: float = 0.02

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        self.check(share=0.0 < self.share <= 1.0)


@registered("round_numbers")
class RoundNumbers(_Levels):
    """Mass at round prices: multiples of a fiftieth of the mark's power of ten.

    At 50,000 the unit is 200 (a fiftieth of 10,000), so that thousands and two thousands stand out.
    Round numbers are not scale-free: that is what they are.
    """

    Params = RoundParams
    params: RoundParams

    def _levels(self, _at: Ns) -> tuple[FloatArray, FloatArray]:
        mark = float(self._market.head[0]["mark"])
        if not mark > 0.0:
            return np.zeros(0), np.zeros(0)
        unit = self.params.share * 10.0 ** np.floor(np.log10(mark))
        reach = np.exp(self.params.reach)
        return round_levels(mark / reach, mark * reach, unit)


@registered("prior_extremes")
class PriorExtremes(_Levels):
    """Mass at the highs and lows of the day before, of the last 7 days and of the last 30.

    A day's own extremes count once the day is over (UTC). The longer the span, the heavier: 1, 2
    and 3.
    """

    _SPANS: Final = ((1, 1.0), (7, 2.0), (30, 3.0))

    def __init__(self, params: MapParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self._days = np.zeros(32, dtype=_DAY)
        self._days["day"] = -1

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        super().update(events)
        fold_days(read_only(events), int(self.market.price_kind), self._days)

    def _levels(self, at: Ns) -> tuple[FloatArray, FloatArray]:
        today = at // DAY_NS
        prices, weights = [], []
        for span, weight in self._SPANS:
            past = self._days[(self._days["day"] < today) & (self._days["day"] >= today - span)]
            if len(past):
                prices += [past["high"].max(), past["low"].min()]
                weights += [weight, weight]
        return np.array(prices, np.float64), np.array(weights, np.float64)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {**super()._arrays(), "days": self._days}


@dataclass(frozen=True, slots=True, kw_only=True)
class SwingParams(MapParams):
    """Parameters of `Swings`.

    Attributes
    ----------
    reversal : float
        Log distance that makes a turn, positive.
    half_life : int
        Age at which a swing weighs half, ns.
    """

    reversal: float = 0.01
    half_life: Duration = 168 * HOUR_NS

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        self.check(reversal=self.reversal > 0.0, half_life=self.half_life > 0)


@registered("swings")
class Swings(_Levels):
    """Mass at swing highs and lows: extremes from which the price came back by `reversal`.

    A swing weighs 1 when it is made and half of it after each half-life; the last 512 are kept.
    """

    Params = SwingParams
    params: SwingParams

    def __init__(self, params: SwingParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self._zigzag = np.zeros(1, dtype=_ZIGZAG)
        self._swings = np.zeros(512, dtype=_SWING)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order."""
        super().update(events)
        fold_swings(
            read_only(events),
            int(self.market.price_kind),
            self.params.reversal,
            self._zigzag,
            self._swings,
        )

    def _levels(self, at: Ns) -> tuple[FloatArray, FloatArray]:
        made = self._swings[: min(int(self._zigzag[0]["count"]), len(self._swings))]
        mark = float(self._market.head[0]["mark"])
        # a swing high above the mark, a swing low below it: what the price has not yet passed
        ahead = made[np.sign(made["price"] - mark) == made["kind"]]
        age_h = (at - ahead["ts_event"]) / HOUR_NS
        half_life_h = self.params.half_life / HOUR_NS
        return ahead["price"].copy(), np.asarray(0.5 ** (age_h / half_life_h))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {**super()._arrays(), "zigzag": self._zigzag, "swings": self._swings}

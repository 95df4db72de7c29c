"""Brackets and lives fitted on earlier censuses: how a record's positions are spread, not which.

The books of `levmix` (entries by price, a class for each leverage and life), weighed by what fits
recorded positions instead of what was liquidated. At every census, once it is over, the cumulative
shares of its notional by distance from the mark are regressed on those of the classes, with weights
from 0 up (Lawson and Hanson 1974, ch. 23): sums of squares over all censuses so far, forgotten by
half-life, beside a ridge toward equal weights. A census is known when a live reader could have had
it, so that a map knows earlier ones alone.

Unlike `census` it holds no position of the record: between two of them, or where the record ends,
it says where positions as those were would lie now. It does not read liquidations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.estimators.base import registered
from liqbt.estimators.config import Duration, MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.types import DAY_NS, HOUR_NS, Events, FloatArray, Forecast, Kind, Ns

__all__ = ["Structured", "StructuredParams"]

_BIN: Final = 0.01
_NONE: Final = -1
_LIQUIDATIONS: Final = (Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredParams(LevMixParams):
    """Parameters of `Structured`.

    Attributes
    ----------
    fit_reach : float
        Log distance within which a census is fitted.
    forget_censuses : int
        Half-life of what censuses taught, ns.
    ridge : float
        How many sides of a census the equal weights are worth, above 0.
    intervals : bool
        False: those of `levmix` are of weights that liquidations taught.
    """

    leverage_low: float = 1.5
    life_high: Duration = 960 * HOUR_NS
    n_lives: int = 3
    freshness_share: float = 0.0
    fit_reach: float = 0.6
    forget_censuses: Duration = 30 * DAY_NS
    ridge: float = 1.0
    intervals: bool = False

    def __post_init__(self) -> None:
        LevMixParams.__post_init__(self)
        self.check(
            fit_reach=_BIN <= self.fit_reach <= self.grid_span,
            forget_censuses=self.forget_censuses > 0,
            ridge=self.ridge > 0.0,
            intervals=not self.intervals,
        )


@registered("structured")
class Structured(LevMix):
    """Books by class, weighed by earlier censuses: see the module's docstring."""

    Params = StructuredParams
    params: StructuredParams
    needs = (Kind.POSITION,)

    def __init__(self, params: StructuredParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        n = len(params.prior)
        self._fit: dict[str, npt.NDArray[Any]] = {
            "census_usd": np.zeros((2, len(self._market.centres))),
            "census_ns": np.full(2, _NONE, np.int64),
            "gram": np.zeros((n, n)),
            "moment": np.zeros(n),
            "fitted": params.prior.copy(),
            "fitted_ns": np.full(1, _NONE, np.int64),
        }

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order.

        A census is fitted with the books as they were when it was known, once anything later is.

        Raises
        ------
        MarginError
            As `levmix`.
        """
        told = events[~np.isin(events["kind"], _LIQUIDATIONS)]
        taught = told["ts_known"][told["kind"] == Kind.POSITION]
        pending = self._fit["census_ns"]
        for known in np.unique(np.concatenate([pending[:1][pending[:1] >= 0], taught])).tolist():
            # books up to the census, then its positions, then what comes later
            first, last = np.searchsorted(told["ts_known"], [known, known + 1])
            super().update(told[:first])
            self._note(told[first:last])
            super().update(told[first:last])
            told = told[last:]
            if len(told):
                self._learn()
        super().update(told)

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the forecast at `at`; None until a census has been fitted."""
        self._learn()
        if self._fit["fitted_ns"][0] == _NONE:
            return None
        self._plan.prior[:] = self._fit["fitted"]
        issued = super().forecast(at)
        if issued is None:
            return None
        return replace(issued, prior_from_long=math.nan, prior_from_short=math.nan)

    def weights(self) -> FloatArray:
        """Return what each class's entries weigh: see `LevMix.weights`."""
        self._plan.prior[:] = self._fit["fitted"]
        return super().weights()

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return super()._arrays() | self._fit

    def _note(self, events: Events) -> None:
        """Add positions to the census that is being read, USD by the bin of their price."""
        rows = events[events["kind"] == Kind.POSITION]
        if not len(rows) or not self.mark > 0.0:
            return
        newest = max(int(rows["ts_event"].max()), int(self._fit["census_ns"][1]))
        if newest > self._fit["census_ns"][1]:  # the last one at a time stands
            self._fit["census_usd"][:] = 0.0
        self._fit["census_ns"][:] = int(rows["ts_known"][0]), newest
        rows = rows[rows["ts_event"] == newest]
        price = rows["p0"]
        bins = np.searchsorted(self._market.edges, price, side="right") - 1
        inside = (price > 0.0) & (bins >= 0) & (bins < len(self._market.centres))
        side = (rows["side"] < 0).astype(np.int64)
        where = side[inside], bins[inside]
        np.add.at(self._fit["census_usd"], where, (rows["p1"] * price)[inside])

    def _learn(self) -> None:
        """Fit the weights to all censuses so far, the one that was just read among them."""
        fit, params = self._fit, self.params
        known, census = int(fit["census_ns"][0]), fit["census_usd"].copy()
        if known == _NONE:
            return
        fit["census_usd"][:] = 0.0
        fit["census_ns"][:] = _NONE
        life = np.arange(len(params.prior)) // params.n_leverages % params.n_lives
        coins = self._book.coins * self._book.scale[life][None, :, None]
        age = 0.0 if fit["fitted_ns"][0] == _NONE else known - float(fit["fitted_ns"][0])
        kept = 0.5 ** (age / params.forget_censuses)
        fit["gram"] *= kept
        fit["moment"] *= kept
        for side in range(2):
            of_classes = self._shares(coins[side] * self._market.centres, side)
            true = self._shares(census[side][None, :], side)[0]
            whole, unit = true[-1], of_classes[:, -1].mean()
            if whole > 0.0 and unit > 0.0:
                of_classes /= unit
                fit["gram"] += of_classes @ of_classes.T / of_classes.shape[1]
                fit["moment"] += of_classes @ (true / whole) / of_classes.shape[1]
        fit["fitted"][:] = self._solved()
        fit["fitted_ns"][0] = known

    def _solved(self) -> FloatArray:
        """Return the weights from 0 up that fit best, on a sum of 1; equal ones where none do."""
        from scipy.optimize import nnls  # 0.1 s that other estimators need not wait for

        gram, moment, equal = self._fit["gram"], self._fit["moment"], self.params.prior
        n, ridge = len(moment), self.params.ridge / len(moment)
        # equal weights at the level at which they fit best
        level = max(float(equal @ moment) / max(float(equal @ gram @ equal), 1e-300), 0.0)
        upper = np.linalg.cholesky(gram + ridge * np.eye(n)).T
        found, _ = nnls(upper, np.linalg.solve(upper.T, moment + ridge * level * equal))
        return np.asarray(found / found.sum()) if found.sum() > 0.0 else equal

    def _shares(self, usd: FloatArray, side: int) -> FloatArray:
        """Return cumulative USD of rows by distance from the mark, every 1 % up to the reach."""
        n = math.ceil(self.params.fit_reach / _BIN)
        at = np.arange(1, n + 1) * _BIN * (1 if side else -1)
        edges = np.log(self._market.edges / self.mark)
        below = np.concatenate([np.zeros((len(usd), 1)), np.cumsum(usd, axis=1)], axis=1)
        here = np.array([np.interp(0.0, edges, row) for row in below])[:, None]
        there = np.array([np.interp(at, edges, row) for row in below])
        return np.asarray(np.abs(there - here))

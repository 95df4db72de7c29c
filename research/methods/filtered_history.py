"""Filtered history: paths made of the market's own past moves, at the volatility of now.

GARCH(1, 1) is fitted to hourly returns of the past (Bollerslev 1986); what is left over, hour by
hour with its high and its low, is strung together again in blocks of hours and scaled by the
volatility that the model expects (Barone-Adesi, Giannopoulos and Vosper 1999, VaR without
correlations for portfolios of derivative securities, equations 1 to 4). The mean is taken out and
each block is turned over as often as not, so that no path has a drift.

Known bias: misspecification. Volatility that jumps, or that follows the open interest, is not in
the model; a mark inside an hour is taken for one at its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError
from liqbt.evaluation.nulls.levels import Anchors
from liqbt.evaluation.path import PricePath
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns
from research.methods.filtered_kernels import garch_extremes

_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredConfig:
    """How paths are made.

    Attributes
    ----------
    paths : int
        Simulated paths for each anchor.
    block_hours : int
        Length of the blocks of residuals.
    least_hours : int
        Below so many past hours there is no probability.
    refit_ns : int
        The model is fitted anew at every multiple of this since 1970.
    """

    paths: int = 500
    block_hours: int = 6
    least_hours: int = 240
    refit_ns: Ns = 14 * DAY_NS

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names the key.
        """
        if min(self.paths, self.block_hours, self.refit_ns) <= 0 or self.least_hours < 100:
            raise ConfigError(
                f"filtered history: found paths {self.paths}, block_hours {self.block_hours}, "
                f"least_hours {self.least_hours}, refit_ns {self.refit_ns}; expected positive ones "
                "and 100 hours or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredHistory:
    """Hourly steps of a path.

    Attributes
    ----------
    end_ns : ndarray of int64, shape (n,)
        End of each hour.
    move : ndarray of float64, shape (n, 3)
        Log close, low and high of the hour, from the close of the hour before it.
    """

    end_ns: IntArray
    move: FloatArray


def hourly_steps(path: PricePath) -> FilteredHistory:
    """Return the hourly steps of a path; hours without an entry are left out.

    Parameters
    ----------
    path : PricePath
        Points or bars no longer than an hour.
    """
    hour = (path.end_ns - 1) // HOUR_NS
    starts = np.flatnonzero(np.diff(hour, prepend=hour[:1] - 1))
    low = np.log(np.minimum.reduceat(path.low, starts))
    high = np.log(np.maximum.reduceat(path.high, starts))
    stops = np.append(starts[1:], len(hour)) - 1
    close = np.log(path.close[stops])
    before = close[:-1]
    follows = np.diff(hour[starts]) == 1
    move = np.column_stack([close[1:] - before, low[1:] - before, high[1:] - before])
    return FilteredHistory(end_ns=(hour[starts][1:][follows] + 1) * HOUR_NS, move=move[follows])


def _fit(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ω, α, β and the conditional variances, the one after the last return included."""
    from arch import arch_model

    model = arch_model(_PERCENT * returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    # short records stop at a bound now and then; what is found there is used all the same
    fit: Any = model.fit(disp="off", show_warning=False)
    omega, alpha, beta = (float(fit.params[name]) for name in ("omega", "alpha[1]", "beta[1]"))
    variance = np.asarray(fit.conditional_volatility, np.float64) ** 2
    following = omega + alpha * (_PERCENT * returns[-1]) ** 2 + beta * variance[-1]
    parameters = np.array([omega / _PERCENT**2, alpha, beta])
    return parameters, np.append(variance, following) / _PERCENT**2


def _filtered(returns: FloatArray, parameters: FloatArray, first: float) -> FloatArray:
    """Return the conditional variance of each hour and of the one after the last."""
    variance = np.empty(len(returns) + 1)
    variance[0] = first
    omega, alpha, beta = parameters
    for i, value in enumerate(returns):
        variance[i + 1] = omega + alpha * value * value + beta * variance[i]
    return variance


def _shapes(move: FloatArray, variance: FloatArray) -> FloatArray:
    """Return past hours over their deviation, without their mean, upright and turned over."""
    centred = move - move[:, :1].mean()
    upright = centred / np.sqrt(variance)[:, None]
    turned = -upright[:, [0, 2, 1]]
    return np.concatenate([upright, turned])


def _drawn(
    rng: np.random.Generator, n_past: int, hours: int, config: FilteredConfig
) -> npt.NDArray[np.int64]:
    """Return which past hour comes next on each path: blocks, each upright or turned over.

    Drawn block by block for all paths, so that the first hours do not depend on how many follow.
    """
    n_blocks = -(-hours // config.block_hours)
    start = rng.integers(0, 2 * n_past, (n_blocks, config.paths)).T[:, :, None]
    rows = (start + np.arange(config.block_hours)) % n_past + start // n_past * n_past
    return np.ascontiguousarray(rows.reshape(config.paths, -1)[:, :hours])


def filtered_probability(
    anchors: Anchors,
    path: PricePath,
    config: FilteredConfig,
    owner: IntArray,
    side: FloatArray,
    distance: FloatArray,
    *,
    horizon_ns: Ns,
    latency_ns: Ns,
    seed: int,
) -> FloatArray:
    """Return the probability of a visit from filtered historical simulation.

    Parameters
    ----------
    anchors : Anchors
        Times of issue.
    path : PricePath
        Prices; an hour is used once more than `max_delay_ns` have passed since its end.
    config : FilteredConfig
        Paths, blocks, schedule.
    owner : ndarray of int64, shape (n,)
        Anchor of each level, not decreasing.
    side : ndarray of float64, shape (n,)
        +1 above the mark, −1 below.
    distance : ndarray of float64, shape (n,)
        Log distance from the mark.
    horizon_ns, latency_ns : int
        The window is `[at + latency, at + horizon)`.
    seed : int
        Each refit draws from (seed, its number), so that what is issued does not depend on how far
        the record goes on.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN while fewer than `least_hours` were known at the refit.
    """
    steps = hourly_steps(path)
    known = np.searchsorted(steps.end_ns, anchors.at - path.max_delay_ns, "left")
    hours = (anchors.at + horizon_ns - anchors.mark_ts) // HOUR_NS
    waits = -(-(anchors.at + latency_ns - anchors.mark_ts) // HOUR_NS) * (path.bar_ns > 0)
    epoch = anchors.at // config.refit_ns
    p = np.full(len(owner), np.nan)
    for number in np.unique(epoch[owner]):
        mine = np.flatnonzero(epoch[owner] == number)
        until = int(number) * config.refit_ns - path.max_delay_ns
        past = int(np.searchsorted(steps.end_ns, until, "left"))
        if past < config.least_hours:
            continue
        rng = np.random.default_rng([seed, int(number)])
        model = _model(steps, past, int(hours[owner[mine]].max()), config, rng)
        for rows in np.split(mine, np.flatnonzero(np.diff(owner[mine])) + 1):
            i = owner[rows[0]]
            p[rows] = _reached(
                model, known[i], int(waits[i]), int(hours[i]), side[rows], distance[rows]
            )
    return p


class _Model(NamedTuple):
    """A fit: shapes of past hours, ω α β, the order of hours, variance before each hour."""

    shape: FloatArray
    parameters: FloatArray
    draws: npt.NDArray[np.int64]
    variance: FloatArray


def _model(
    steps: FilteredHistory, past: int, hours: int, config: FilteredConfig, rng: np.random.Generator
) -> _Model:
    parameters, variance = _fit(steps.move[:past, 0])
    return _Model(
        shape=_shapes(steps.move[:past], variance[:-1]),
        parameters=parameters,
        draws=_drawn(rng, past, hours, config),
        variance=_filtered(steps.move[:, 0], parameters, float(variance[0])),
    )


def _reached(
    model: _Model, known: int, skipped: int, hours: int, side: FloatArray, distance: FloatArray
) -> FloatArray:
    """Return the share of paths that reach each level of one anchor."""
    lowest, highest = garch_extremes(
        model.draws,
        model.shape,
        model.parameters,
        float(model.variance[known]),
        skipped,
        np.array([hours], np.int64),
    )
    up, down = np.sort(highest[0]), np.sort(-lowest[0])
    above = len(up) - np.searchsorted(up, distance, "left")
    below = len(down) - np.searchsorted(down, distance, "left")
    return np.asarray(np.where(side > 0, above, below) / len(up))

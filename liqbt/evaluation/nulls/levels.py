"""Random levels on the observed path, and what was known when each was placed.

The raw material of the placebo model and of analogs. An **anchor** is a time at which a level may
be placed: a time of issue with its mark and volatility. Its covariates use only entries of the path
that were final by then: an entry may be corrected until `max_delay_ns` after its end, so that the
newest hour is not looked at, except through the anchor's own mark and volatility.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.kernels.nulls import window_extremes
from liqbt.evaluation.nulls.brownian import touch_probability
from liqbt.evaluation.path import Censor, PricePath, watch
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

LEVEL_COVARIATES: Final = (
    "volatility_3h",
    "volatility_12h",
    "volatility_7d",
    "trend_1d",
    "trend_3d",
    "open_interest_1d",
    "day_sine",
    "day_cosine",
    "weekend",
)
"""Columns of `covariates`. `volatility_*`: ln of realised volatility over σ; `trend_*`: log return
over its own σ, positive for a rise; `open_interest_1d`: change of log open interest, tenfold."""

_VOLATILITY: Final = (3 * HOUR_NS, 12 * HOUR_NS, 7 * DAY_NS)
_TREND: Final = (DAY_NS, 3 * DAY_NS)
_CLIP: Final = 1.5
_CLIP_TREND: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Times at which levels may be placed, in order.

    Attributes
    ----------
    at, mark_ts : ndarray of int64, shape (n,)
        Times of issue (increasing) and of the marks, ns.
    log_mark, sigma_1d : ndarray of float64, shape (n,)
        Log of the mark, and its volatility over one day.
    open_interest_usd : ndarray of float64, shape (n,)
        Open interest known by then; NaN where none was.
    """

    at: IntArray
    mark_ts: IntArray
    log_mark: FloatArray
    sigma_1d: FloatArray
    open_interest_usd: FloatArray

    def __post_init__(self) -> None:
        """Refuse anchors out of order.

        Raises
        ------
        DataError
            Names the first that is not after the one before it.
        """
        late = np.flatnonzero(np.diff(self.at) <= 0)
        if len(late):
            raise DataError(f"anchors: number {late[0] + 1} is not after the one before it")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelConfig:
    """How random levels are placed.

    Attributes
    ----------
    per_side : int
        Levels above, and below, each anchor that is used.
    reach_sigma : float
        Distances are uniform on (0, reach_sigma] σ_h, one in each `per_side`-th of it.
    every_ns : int
        At most one anchor is used in each stretch of this length (on the clock): windows overlap,
        so that more of them cost time and teach little.
    """

    per_side: int = 4
    reach_sigma: float = 3.0
    every_ns: Ns = 4 * HOUR_NS

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names the key.
        """
        if self.per_side < 1 or not self.reach_sigma > 0 or self.every_ns <= 0:
            raise ConfigError(
                f"random levels: found per_side {self.per_side}, reach_sigma {self.reach_sigma:g}, "
                f"every_ns {self.every_ns}; expected all positive"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomLevels:
    """Random levels of one horizon whose windows were watched through.

    Attributes
    ----------
    anchor : ndarray of int64, shape (n,)
        The anchor of each, not decreasing.
    side : ndarray of float64, shape (n,)
        +1 above the mark, −1 below.
    distance_sigma : ndarray of float64, shape (n,)
        Distance from the mark in σ_h.
    visited : ndarray of float64, shape (n,)
        1 where the price touched it inside the window, else 0.
    matured_ns : ndarray of int64, shape (n,)
        When that is final: from then on, and not before, it may be learnt from.
    """

    anchor: IntArray
    side: FloatArray
    distance_sigma: FloatArray
    visited: FloatArray
    matured_ns: IntArray


def covariates(anchors: Anchors, path: PricePath) -> FloatArray:
    """Return what was known of the market at each anchor.

    Parameters
    ----------
    anchors : Anchors
        When.
    path : PricePath
        Prices; an entry is used where it ended more than `max_delay_ns` before the anchor.

    Returns
    -------
    ndarray of float64, shape (n, len(LEVEL_COVARIATES))
        What is not known is 0, its neutral value.
    """
    log_close = np.log(path.close)
    squared = np.concatenate([[0.0], np.cumsum(np.diff(log_close, prepend=log_close[:1]) ** 2)])
    known = np.searchsorted(path.end_ns, anchors.at - path.max_delay_ns, "left")
    columns = [
        _volatility(path.end_ns, squared, known, window, anchors.sigma_1d) for window in _VOLATILITY
    ]
    columns += [*trends(anchors, path, _TREND).T, _open_interest(anchors)]
    angle = 2.0 * np.pi * ((anchors.at % DAY_NS) / DAY_NS)
    weekend = (anchors.at // DAY_NS + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    columns += [np.sin(angle), np.cos(angle), weekend.astype(np.float64)]
    return np.column_stack(columns)


def trends(anchors: Anchors, path: PricePath, windows_ns: Sequence[Ns]) -> FloatArray:
    """Return log returns of trailing windows over their own σ, within ±3.

    Parameters
    ----------
    anchors : Anchors
        When.
    path : PricePath
        Prices; an entry is used where it ended more than `max_delay_ns` before the anchor.
    windows_ns : sequence of int
        Lengths.

    Returns
    -------
    ndarray of float64, shape (n, len(windows_ns))
        Positive for a rise; 0 where it is not known.
    """
    log_close = np.log(path.close)
    known = np.searchsorted(path.end_ns, anchors.at - path.max_delay_ns, "left")
    columns = np.zeros((len(anchors.at), len(windows_ns)))
    for i, window in enumerate(windows_ns):
        back = np.searchsorted(path.end_ns, anchors.mark_ts - window, "right")
        usable = (back > 0) & (back <= known)
        past = log_close[np.maximum(back - 1, 0)]
        trend = (anchors.log_mark - past) / (anchors.sigma_1d * np.sqrt(window / DAY_NS))
        columns[:, i] = np.where(usable, np.clip(trend, -_CLIP_TREND, _CLIP_TREND), 0.0)
    return columns


def _volatility(
    end_ns: IntArray, squared: FloatArray, known: IntArray, window: Ns, sigma_1d: FloatArray
) -> FloatArray:
    """Return ln(realised volatility of the trailing window / σ); 0 where it is not known."""
    last = np.maximum(known - 1, 0)
    back = np.searchsorted(end_ns, end_ns[last] - window, "left")
    span = end_ns[last] - end_ns[back]
    total = squared[last + 1] - squared[back + 1]
    usable = (known > 0) & (span >= window // 2) & (total > 0)
    daily = np.where(usable, total, 1.0) / np.where(usable, span / DAY_NS, 1.0)
    ratio = 0.5 * np.log(daily) - np.log(sigma_1d)
    return np.asarray(np.where(usable, np.clip(ratio, -_CLIP, _CLIP), 0.0))


def _open_interest(anchors: Anchors) -> FloatArray:
    """Return ten times the change of log open interest (in coins) over a day; 0 if not known."""
    coins = np.log(anchors.open_interest_usd) - anchors.log_mark
    back = np.searchsorted(anchors.at, anchors.at - DAY_NS, "right") - 1
    change = np.where(back >= 0, 10.0 * (coins - coins[np.maximum(back, 0)]), np.nan)
    return np.asarray(np.where(np.isfinite(change), np.clip(change, -_CLIP, _CLIP), 0.0))


def nominal_brownian(
    anchors: Anchors,
    path: PricePath,
    owner: IntArray,
    distance: FloatArray,
    *,
    horizon_ns: Ns,
    latency_ns: Ns,
) -> FloatArray:
    """Return the Brownian probability of a visit over the time that should be watched.

    Unlike the null of an outcome, which uses the time that was really watched, it depends on
    nothing after the anchor: bars are taken to go on at their length, points without a gap.

    Parameters
    ----------
    anchors : Anchors
        Where levels are placed.
    path : PricePath
        Its first entries say whether it holds bars, and how long they are.
    owner : ndarray of int64, shape (n,)
        Anchor of each level.
    distance : ndarray of float64, shape (n,)
        Log distance from the mark, 0 or more.
    horizon_ns, latency_ns : int
        The window is `[at + latency, at + horizon)`.
    """
    opened, closed = anchors.at + latency_ns, anchors.at + horizon_ns
    length = path.bar_ns
    if length:
        phase = int(path.start_ns[0]) % length
        opened = -(-(opened - phase) // length) * length + phase
        closed = np.maximum((closed - phase) // length * length + phase, opened)
    return touch_probability(
        distance=distance,
        sigma_1d=anchors.sigma_1d[owner],
        from_ns=(opened - anchors.mark_ts)[owner],
        until_ns=(closed - anchors.mark_ts)[owner],
        spacing_ns=path.spacing_ns,
    )


def random_levels(
    anchors: Anchors,
    path: PricePath,
    config: LevelConfig,
    *,
    horizon_ns: Ns,
    latency_ns: Ns,
    rng: np.random.Generator,
) -> RandomLevels:
    """Place random levels at anchors, and see which of them the price visited.

    Anchors are used from the first on; what is drawn for one does not depend on how many follow.

    Parameters
    ----------
    anchors : Anchors
        Where they may be placed.
    path : PricePath
        The prices that decide.
    config : LevelConfig
        How many, how far, how often.
    horizon_ns, latency_ns : int
        The window is `[at + latency, at + horizon)`.
    rng : numpy.random.Generator
        Draws the distances.
    """
    stretch = anchors.at // config.every_ns
    used = np.flatnonzero(np.diff(stretch, prepend=stretch[:1] - 1) > 0)
    uniform = 1.0 - rng.random((len(used), 2, config.per_side))
    rank = np.arange(config.per_side) + uniform
    distance_sigma = config.reach_sigma * rank / config.per_side
    windows = watch(path, anchors.at[used] + latency_ns, anchors.at[used] + horizon_ns)
    lowest, highest = window_extremes(
        np.log(path.low), np.log(path.high), windows.first, windows.stop
    )
    sigma_h = anchors.sigma_1d[used] * np.sqrt(horizon_ns / DAY_NS)
    distance = distance_sigma * sigma_h[:, None, None]
    centre = anchors.log_mark[used][:, None]
    above = highest[:, None] >= centre + distance[:, 0]
    below = lowest[:, None] <= centre - distance[:, 1]
    visited = np.stack([above, below], axis=1).astype(np.float64)
    watched = windows.censor == Censor.NONE
    side = np.broadcast_to(np.array([1.0, -1.0])[None, :, None], distance.shape)
    owner = np.broadcast_to(used[:, None, None], distance.shape)
    wait = max(latency_ns, path.max_delay_ns) + 1
    anchor = np.ascontiguousarray(owner[watched]).ravel()
    return RandomLevels(
        anchor=anchor,
        side=np.ascontiguousarray(side[watched]).ravel(),
        distance_sigma=np.ascontiguousarray(distance_sigma[watched]).ravel(),
        visited=np.ascontiguousarray(visited[watched]).ravel(),
        matured_ns=anchors.at[anchor] + horizon_ns + wait,
    )

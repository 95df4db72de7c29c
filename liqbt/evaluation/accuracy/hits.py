"""The readings of "a hit": what happened, and what no information would have scored.

- `nearest`: the nearest cluster, of whichever side, is visited;
- `either_side`: at least one of the nearest above and the nearest below is visited;
- `first_side`: of these two, the crowded side's is touched first (neither touched: a miss);
- `first_side_decided`: the same, windows that touch neither left out;
- `direction`: the price ends the window on the crowded side's side of the mark.

Three nulls stand beside each. **Brownian**: the closed form at the same distances over the time
watched. **Other times**: the same calls, at the same distances in σ_h and sides, held against every
other window of the same market. **Mirror**: the reflection of the call about the mark, in the same
window. Their biases differ (volatility error; calls that come with a state of the market;
momentum): skill must stand over each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.accuracy.landmarks import NEVER, Landmarks, LogPath, log_path, touches
from liqbt.evaluation.nulls.brownian import touch_probability, two_barrier_probabilities
from liqbt.evaluation.path import PricePath
from liqbt.types import FloatArray, IntArray, Ns

READINGS: Final = {
    "nearest": "the nearest cluster is visited",
    "either_side": "the nearest cluster above or the nearest below is visited",
    "first_side": "of these two the crowded side's is touched first",
    "first_side_decided": "the same, leaving out windows that touch neither",
    "direction": "the price ends on the crowded side",
}
"""Readings of the claim, in words."""

_CHUNK: Final = 1_000_000
_PARTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of one market and horizon; every array has a row for each landmark it scores.

    Attributes
    ----------
    name : str
        One of `READINGS`.
    at : ndarray of int64
        Times of issue, ns.
    low, high : ndarray of float64
        Hits, 1 or 0, with ties (both sides touched in one entry, no move) read against the call
        and for it.
    brownian : ndarray of float64
        Probability of a hit under Brownian motion.
    mirror : ndarray of float64
        Hits of the reflected call, ties half; NaN where the reading has none.
    over_others : ndarray of float64
        Scores whose mean is the hit rate less that of the same calls at all other times, and whose
        day sums carry the uncertainty of both; NaN where the reading has none.
    distance_sigma : ndarray of float64
        Distance of the nearest cluster, for `first_side` of the called one, in σ_h; NaN for
        `direction`.
    distance : ndarray of float64
        The same in log units.
    n_inside, n_unscored : int
        Of the scored: a cluster holds the price at issue. Landmarks without a call or a level.
    """

    name: str
    at: IntArray
    low: FloatArray
    high: FloatArray
    brownian: FloatArray
    mirror: FloatArray
    over_others: FloatArray
    distance_sigma: FloatArray
    distance: FloatArray
    n_inside: int
    n_unscored: int

    @property
    def hit(self) -> FloatArray:
        """Hits, a tie being half of one."""
        return np.asarray(0.5 * (self.low + self.high))


_Bounds = tuple[FloatArray, FloatArray]


def _hits(
    touched: IntArray, distance: FloatArray, call: IntArray, move: FloatArray
) -> dict[str, _Bounds]:
    """Return by reading the hits, ties read against the call and for it.

    `touched` has shape (..., n, 2); `distance` (n, 2) and `call` (n,) are the calls'; `move`
    broadcasts to (..., n).
    """
    up, down = touched[..., 0], touched[..., 1]
    above = np.isnan(distance[:, 1]) | (distance[:, 0] <= distance[:, 1])
    nearest = (np.where(above, up, down) < NEVER).astype(np.float64)
    either = (np.minimum(up, down) < NEVER).astype(np.float64)
    called = np.where(call > 0, up, down)
    other = np.where(call > 0, down, up)
    before = (called < other).astype(np.float64)
    no_later = ((called <= other) & (called < NEVER)).astype(np.float64)
    along = np.sign(move) * call
    return {
        "nearest": (nearest, nearest),
        "either_side": (either, either),
        "first_side": (before, no_later),
        "first_side_decided": (before, no_later),
        "direction": ((along > 0).astype(np.float64), (along >= 0).astype(np.float64)),
    }


def market_readings(
    path: PricePath, marks: Landmarks, apart: Sequence[IntArray] | None = None
) -> dict[str, Reading]:
    """Return every reading of one market and horizon.

    Parameters
    ----------
    path : PricePath
        The prices.
    marks : Landmarks
        The windows, one or more.
    apart : sequence of ndarray of int64, optional
        Which of them are held against each other as other times: windows that do not overlap. By
        default all.
    """
    everyone, logs = np.arange(len(marks)), log_path(path)
    distance = marks.distance
    touched = touches(logs, marks, everyone, marks.levels[:, None], distance[:, None])[:, 0]
    own = _hits(touched, distance, marks.call, marks.move)
    flipped = 2.0 * marks.log_mark[:, None] - marks.levels[:, ::-1]
    back = touches(logs, marks, everyone, flipped[:, None], distance[:, None, ::-1])[:, 0]
    mirror = _hits(back, distance[:, ::-1], -marks.call, marks.move)
    scored = _scored(marks, own["either_side"][0] > 0)
    others = _over_others(logs, marks, own, scored, [everyone] if apart is None else apart)
    brownian = _brownian(path.spacing_ns, marks)
    absent = np.full(len(marks), np.nan)
    result = {}
    for name in READINGS:
        use = scored[name]
        is_mirrored = name != "first_side_decided"
        away = _distance_of(name, marks)
        result[name] = Reading(
            name=name,
            at=marks.at[use],
            low=own[name][0][use],
            high=own[name][1][use],
            brownian=brownian[name][use],
            mirror=(0.5 * (mirror[name][0] + mirror[name][1]) if is_mirrored else absent)[use],
            over_others=others.get(name, absent)[use],
            distance_sigma=(away / marks.sigma_h)[use],
            distance=away[use],
            n_inside=int((distance[use] == 0.0).any(axis=1).sum()),
            n_unscored=int((~use).sum()),
        )
    return result


def _scored(marks: Landmarks, decided: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which landmarks each reading scores."""
    has = np.isfinite(marks.distance)
    called = marks.call != 0
    both = has.all(axis=1) & called
    return {
        "nearest": has.any(axis=1),
        "either_side": has.any(axis=1),
        "first_side": both,
        "first_side_decided": both & decided,
        "direction": called,
    }


def _distance_of(name: str, marks: Landmarks) -> FloatArray:
    if name == "direction":
        return np.full(len(marks), np.nan)
    if name in {"nearest", "either_side"}:
        return np.asarray(np.fmin(marks.distance[:, 0], marks.distance[:, 1]))
    return np.where(marks.call > 0, marks.distance[:, 0], marks.distance[:, 1])


def _over_others(
    path: LogPath,
    marks: Landmarks,
    own: dict[str, _Bounds],
    scored: dict[str, npt.NDArray[np.bool_]],
    apart: Sequence[IntArray],
) -> dict[str, FloatArray]:
    """Return, for each landmark, its score against the same calls at all other times.

    With H_ji whether call `i` hits in window `j`, the skill is mean_i [H_ii − mean_{j≠i} H_ji]: a
    ratio of sums over pairs. Its first-order term for landmark `i` (Hoeffding 1948, A class of
    statistics with asymptotically normal distribution, section 5) counts `i` as a call and as a
    window, so that day sums of these scores have the variance of the whole.
    """
    names = [name for name in scored if name != "first_side_decided"]
    result = {name: np.full(len(marks), np.nan) for name in names}
    for phase in apart:
        as_call, as_window = _cross_hits(path, marks, phase, {n: scored[n][phase] for n in names})
        for name in names:
            use = scored[name][phase]
            size = int(use.sum())
            if size < 2:
                continue
            call, window = as_call[name] / size, as_window[name] / size
            hit = 0.5 * (own[name][0] + own[name][1])[phase]
            skill = (hit - call - (window - call[use].mean())) * size / (size - 1)
            result[name][phase] = skill
    return result


def _cross_hits(
    path: LogPath, marks: Landmarks, phase: IntArray, scored: dict[str, npt.NDArray[np.bool_]]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return, of some landmarks, in how many windows each call hits, and how many hit in each.

    Only calls and windows that a reading scores count.
    """
    n = len(phase)
    as_call = {name: np.zeros(n) for name in scored}
    as_window = {name: np.zeros(n) for name in scored}
    distance, sigma = marks.distance[phase], marks.sigma_h[phase]
    call, move, centre = marks.call[phase], marks.move[phase], marks.log_mark[phase]
    reach = distance / sigma[:, None] * np.array([1.0, -1.0])
    step = max(1, _CHUNK // (2 * max(n, 1)))
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        levels = centre[rows, None, None] + reach * sigma[rows, None, None]
        touched = touches(path, marks, phase[rows], levels, distance)
        found = _hits(touched, distance, call, move[rows, None])
        for name, use in scored.items():
            half = 0.5 * (found[name][0] + found[name][1])
            as_call[name] += half[use[rows]].sum(axis=0)
            as_window[name][rows] = half[:, use].sum(axis=1)
    return as_call, as_window


def brownian_pairs(
    up: FloatArray,
    down: FloatArray,
    *,
    sigma_1d: FloatArray,
    from_ns: IntArray,
    until_ns: IntArray,
    spacing_ns: Ns,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return `two_barrier_probabilities` of many pairs, narrow ones apart from wide ones.

    The series of images needs the more terms the narrower the pair is, and as many for all that are
    asked for together.

    Parameters
    ----------
    up, down : ndarray of float64, shape (n,)
        Log distances, not both 0; NaN gives NaN.
    sigma_1d, from_ns, until_ns, spacing_ns
        As in `two_barrier_probabilities`, of shape (n,).
    """
    out = np.full((3, len(up)), np.nan)
    order = np.argsort((up + down) / (sigma_1d * np.sqrt(until_ns)))
    for part in np.array_split(order, _PARTS):
        if len(part):
            out[:, part] = two_barrier_probabilities(
                up=up[part],
                down=down[part],
                sigma_1d=sigma_1d[part],
                from_ns=from_ns[part],
                until_ns=until_ns[part],
                spacing_ns=spacing_ns,
            )
    return out[0], out[1], out[2]


def _brownian(spacing_ns: Ns, marks: Landmarks) -> dict[str, FloatArray]:
    """Return by reading the probability of a hit under Brownian motion, for each landmark."""
    up, down = marks.distance.T
    inside = marks.distance == 0.0
    nearest = np.fmin(up, down)
    single = touch_probability(
        distance=nearest,
        sigma_1d=marks.sigma_1d,
        from_ns=marks.from_ns,
        until_ns=marks.until_ns,
        spacing_ns=spacing_ns,
    )
    single = np.where(inside.any(axis=1), 1.0, single)
    q_up, q_down = np.full(len(marks), np.nan), np.full(len(marks), np.nan)
    pair = np.isfinite(marks.distance).all(axis=1) & ~inside.any(axis=1)
    q_up[pair], q_down[pair], _ = brownian_pairs(
        up[pair],
        down[pair],
        sigma_1d=marks.sigma_1d[pair],
        from_ns=marks.from_ns[pair],
        until_ns=marks.until_ns[pair],
        spacing_ns=spacing_ns,
    )
    held = inside.any(axis=1)
    share = inside / np.maximum(inside.sum(axis=1), 1)[:, None]
    q_up = np.where(held, share[:, 0], q_up)
    q_down = np.where(held, share[:, 1], q_down)
    called = np.where(marks.call > 0, q_up, q_down)
    return {
        "nearest": single,
        "either_side": np.where(np.isnan(q_up + q_down), single, q_up + q_down),
        "first_side": called,
        "first_side_decided": called / (q_up + q_down),
        "direction": np.full(len(marks), 0.5),
    }

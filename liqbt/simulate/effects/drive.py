"""What a drive by the asymmetry's ratio, or by its size, amounts to: METHOD's claim 6."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from liqbt.simulate.effects.levels import within_reach
from liqbt.simulate.effects.logit import held_out, need_folds
from liqbt.simulate.effects.values import Effect, joined, ratio, sum_by_day
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, FloatArray, IntArray, Ns


def drive_effects(
    truths: Iterable[Truth],
    *,
    horizon_ns: Ns = DAY_NS,
    reach: float = 0.04,
    mechanism: str = "ratio",
) -> tuple[Effect, ...]:
    """Measure what ratio and size of the true asymmetry tell of the next move's sign.

    Landmarks lie `horizon_ns` apart. R = ln(N_down/N_up); S = (N_down − N_up)/level and
    ln(N_down + N_up), with level the market's mean of N_down + N_up. Gains in log score (nats a
    landmark) of logistic models, each fitted to the other markets: `ratio_gain` R over a constant,
    `absolute_gain` S over a constant, `ratio_given_absolute` R and S over S, and
    `absolute_given_ratio` R and S over R. Out of sample a gain is **below zero without a
    mechanism**, by half a covariate over the landmarks that it was fitted to.

    The same four questions without that price, zero without a mechanism: `ratio_toward`,
    `absolute_toward`, `ratio_toward_given_absolute` and `absolute_toward_given_ratio` are
    Σ z·(fall − ½)/Σ|z|, how much more often than half the price goes where z points, weighted by
    its size: z is R, S, R less its line on S, and S less its line on R, lines through the origin
    fitted to the other markets.

    Parameters
    ----------
    truths : iterable of Truth
        Two markets or more.
    horizon_ns : int
        What is foretold is whether the price falls over the horizon.
    reach : float
        Log distance within which notional counts.
    mechanism : str
        Written into the rows.

    Raises
    ------
    ConfigError
        If there are fewer than two markets.
    """
    rows = [_drive_rows(truth, horizon_ns, reach) for truth in truths]
    at, fall, r, s, size = (np.concatenate([row[k] for row in rows]) for k in range(5))
    fold = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    need_folds(fold)
    one = np.ones_like(r)
    columns = {"": [one], "r": [one, r], "s": [one, s, size], "rs": [one, r, s, size]}
    score = {k: held_out(np.column_stack(v), fall, fold) for k, v in columns.items()}
    pairs = {
        "ratio_gain": ("r", ""),
        "absolute_gain": ("s", ""),
        "ratio_given_absolute": ("rs", "s"),
        "absolute_given_ratio": ("rs", "r"),
    }
    gains = [
        _gain(score[a] - score[b], at, fold, mechanism, name) for name, (a, b) in pairs.items()
    ]
    pointers = {
        "ratio_toward": r,
        "absolute_toward": s,
        "ratio_toward_given_absolute": r - _line(r, s, fold),
        "absolute_toward_given_ratio": s - _line(s, r, fold),
    }
    return (*gains, *(_toward(z, fall, at, fold, mechanism, n) for n, z in pointers.items()))


def _line(y: FloatArray, x: FloatArray, fold: IntArray) -> FloatArray:
    """Return each row's y on the line through the origin that is fitted to all other folds."""
    out = np.empty(y.size)
    for name in np.unique(fold):
        mine = fold == name
        out[mine] = x[mine] * ((x[~mine] @ y[~mine]) / (x[~mine] @ x[~mine]))
    return out


def _toward(
    z: FloatArray, fall: FloatArray, at: IntArray, fold: IntArray, mechanism: str, statistic: str
) -> Effect:
    sums = joined(
        sum_by_day((z * (fall - 0.5))[fold == i], np.abs(z)[fold == i], at[fold == i])
        for i in np.unique(fold)
    )
    return ratio(sums, mechanism=mechanism, statistic=statistic, unit="share")


def _gain(
    value: FloatArray, at: IntArray, fold: IntArray, mechanism: str, statistic: str
) -> Effect:
    sums = joined(
        sum_by_day(value[fold == i], np.ones(int((fold == i).sum())), at[fold == i])
        for i in np.unique(fold)
    )
    return ratio(sums, mechanism=mechanism, statistic=statistic, unit="nats")


def _drive_rows(truth: Truth, horizon_ns: Ns, reach: float) -> Sequence[FloatArray | IntArray]:
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    at = np.arange(truth.path_ns[0], truth.path_ns[-1] - horizon_ns + 1, horizon_ns)
    i = (at - truth.path_ns[0]) // spacing
    x = np.log(truth.path_price)
    move = x[i + horizon_ns // spacing] - x[i]
    down, up = within_reach(truth, at, reach)
    floor = 1e-3 * float((down + up).mean()) + 1e-300
    level = float((down + up).mean()) + 1e-300
    return (
        at,
        (move < 0).astype(np.float64),
        np.log((down + floor) / (up + floor)),
        (down - up) / level,
        np.log((down + up + floor) / level),
    )

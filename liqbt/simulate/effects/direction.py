"""What a lean of large moves to the crowded side amounts to: METHOD's claim 5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from liqbt.simulate.effects.levels import within_reach
from liqbt.simulate.effects.logit import held_out, need_folds
from liqbt.simulate.effects.values import Effect, joined, ratio, sum_by_day
from liqbt.simulate.effects.windows import SIGMA_WINDOW_NS
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray

_QUANTILE: Final = 0.99
_TRAILING_H: Final = 30 * 24
_LEAST_H: Final = 14 * 24
_MOVE_SIGMA: Final = 2.0
_APART_H: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascades:
    """Cascades by METHOD's definition, from the true forced flow.

    Attributes
    ----------
    start_ns : ndarray of int64, shape (n,)
        Start of the hour in which one began.
    down : ndarray of float64, shape (n,)
        1 where longs were forced and the price fell, 0 where shorts were and it rose.
    """

    start_ns: IntArray
    down: FloatArray


def cascades_of(truth: Truth) -> Cascades:
    """Find the cascades of a truth: METHOD's definition.

    An hour whose one-sided forced notional exceeds the 99th percentile of its trailing 30 days (14
    at least) and whose signed move is 2 σ_1h or more, σ_1h realised over the three days before it;
    closer than 24 h they are one.
    """
    move, sigma = _hours(truth)
    usd = _forced_usd(truth, move.size)
    found: list[tuple[int, float]] = []
    for side, sign in ((0, -1.0), (1, 1.0)):
        for h in np.flatnonzero(sign * move >= _MOVE_SIGMA * sigma).tolist():
            past = usd[side, max(h - _TRAILING_H, 0) : h]
            if past.size >= _LEAST_H and usd[side, h] > np.quantile(past, _QUANTILE):
                found.append((h, float(sign < 0)))
    return _apart(found, truth)


def _hours(truth: Truth) -> tuple[FloatArray, FloatArray]:
    """Return each hour's log move, and σ_1h realised over the three days before it (inf: none)."""
    per_hour = HOUR_NS // int(truth.path_ns[1] - truth.path_ns[0])
    x = np.log(truth.path_price)
    hours = (x.size - 1) // per_hour
    edges = np.arange(hours + 1) * per_hour
    squared = np.concatenate([[0.0], np.cumsum(np.diff(x) ** 2)])[edges]
    back = SIGMA_WINDOW_NS // HOUR_NS
    sigma = np.full(hours, np.inf)
    sigma[back:] = np.sqrt((squared[back:hours] - squared[: hours - back]) / back)
    return np.diff(x[edges]), sigma


def _apart(found: Iterable[tuple[int, float]], truth: Truth) -> Cascades:
    """Keep the first of each run of hours that are less than 24 h from the one before."""
    kept: list[tuple[int, float]] = []
    last = -(10**9)
    for h, down in sorted(found):
        if h - last >= _APART_H:
            kept.append((h, down))
        last = h
    start = np.array([h for h, _ in kept], dtype=np.int64) * HOUR_NS + truth.path_ns[0]
    return Cascades(start_ns=start, down=np.array([d for _, d in kept], dtype=np.float64))


def _forced_usd(truth: Truth, hours: int) -> FloatArray:
    """Return USD forced by side and hour, shape (2, hours); an hour holds (start, end]."""
    forced = truth.liquidations
    hour = np.clip((forced["ts_ns"] - truth.path_ns[0] - 1) // HOUR_NS, 0, hours - 1)
    usd = forced["mark"] * forced["size_coins"]
    longs = forced["side"] > 0
    return np.stack([np.bincount(hour[m], usd[m], minlength=hours) for m in (longs, ~longs)])


def _asymmetry(truth: Truth, at_ns: IntArray, reach: float) -> FloatArray:
    down, up = within_reach(truth, at_ns, reach)
    return np.asarray((down - up) / np.maximum(down + up, 1e-300))


def large_moves(truth: Truth) -> Cascades:
    """Find the hours whose move is 2 σ_1h or more, forced or not; closer than 24 h they are one."""
    move, sigma = _hours(truth)
    large = np.flatnonzero(np.abs(move) >= _MOVE_SIGMA * sigma).tolist()
    return _apart([(h, float(move[h] < 0)) for h in large], truth)


def two_sided_moves(truth: Truth) -> Cascades:
    """Find the large moves that would have forced a cascade's flow whichever way they had gone.

    At the start of such an hour the true map holds, within the size of the move, more than the 99th
    percentile of the side's hourly forced notional of the trailing 30 days (14 at least), on *both*
    sides. Map, size and past decide about that, never the sign.
    """
    move, sigma = _hours(truth)
    usd = _forced_usd(truth, move.size)
    found: list[tuple[int, float]] = []
    for h in np.flatnonzero(np.abs(move) >= _MOVE_SIGMA * sigma).tolist():
        past = usd[:, max(h - _TRAILING_H, 0) : h]
        at = np.array([truth.path_ns[0] + h * HOUR_NS])
        if past.shape[1] >= _LEAST_H and at[0] >= truth.snapshot_ns[0]:
            held = np.concatenate(within_reach(truth, at, abs(float(move[h]))))
            if (held > np.quantile(past, _QUANTILE, axis=1)).all():
                found.append((h, float(move[h] < 0)))
    return _apart(found, truth)


def direction_effects(
    truths: Iterable[Truth], *, reach: float = 0.04, mechanism: str = "direction"
) -> tuple[Effect, ...]:
    """Measure how much the true asymmetry tells of the side of what comes, out of sample.

    With A = (N_down − N_up)/(N_down + N_up) of true notional within `reach` before the hour in
    question, gains are mean[ln p(side | A) − ln p(side)], p logistic in A against a constant, each
    fitted to the other markets.

    - `skill_given_move`: over hours that move by 2 σ_1h or more, whatever was forced, and
      `crowded_move`, the share of them toward the crowded side, less ½. Zero without a mechanism.
    - `skill_given_cascade`, `crowded_cascade`: over cascades. **Not zero without a mechanism**: an
      hour is a cascade where much notional was forced, and it can only be forced where it lies, so
      that the crowded side is chosen by the definition. Compare with the same world unplanted.
    - `crowded_either_way`: the share of moves to the crowded side, less ½, among the large moves
      that would have been a cascade either way (`two_sided_moves`). Zero without a mechanism.
    - `skill_per_day`: the first gain over all days: that of an up/down/none forecast whose rate of
      large moves is constant.

    Parameters
    ----------
    truths : iterable of Truth
        Two markets or more; cascades need 14 days of past.
    reach : float
        Log distance within which the asymmetry is taken.
    mechanism : str
        Written into the rows.

    Raises
    ------
    ConfigError
        If fewer than two markets have any large move; rows of cascades are left out where fewer
        than two markets have any.
    """
    markets = list(truths)
    out: list[Effect] = []
    for what, find in (("move", large_moves), ("cascade", cascades_of)):
        found = [find(truth) for truth in markets]
        if what == "cascade" and sum(f.down.size > 0 for f in found) < 2:
            continue
        a = [_asymmetry(t, f.start_ns, reach) for t, f in zip(markets, found, strict=True)]
        gain, crowded = _told(a, [f.down for f in found])
        at = [f.start_ns for f in found]
        out += [
            _mean(gain, at, (mechanism, f"skill_given_{what}", "nats")),
            _mean(crowded, at, (mechanism, f"crowded_{what}", "share")),
        ]
        if what == "move":
            out.append(_per_day(gain, at, markets, mechanism))
    return (*out, _either_way(markets, reach, mechanism))


def _either_way(markets: Sequence[Truth], reach: float, mechanism: str) -> Effect:
    """Return the lean of moves that would have been a cascade whichever way they had gone."""
    found = [two_sided_moves(truth) for truth in markets]
    a = [_asymmetry(t, f.start_ns, reach) for t, f in zip(markets, found, strict=True)]
    lean = [_crowded(row, f.down) for row, f in zip(a, found, strict=True)]
    at = [f.start_ns for f in found]
    return _mean(lean, at, (mechanism, "crowded_either_way", "share"))


def _crowded(asymmetry: FloatArray, down: FloatArray) -> FloatArray:
    """Return ½ where a move went to the crowded side, -½ where not, 0 where none is crowded."""
    return np.asarray(np.sign(asymmetry) * (down - 0.5))


def _told(
    asymmetry: Sequence[FloatArray], down: Sequence[FloatArray]
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return, by market, each row's gain in log score and whether it went to the crowded side."""
    a, y = np.concatenate(asymmetry), np.concatenate(down)
    fold = np.repeat(np.arange(len(down)), [d.size for d in down])
    need_folds(fold)
    one = np.ones((a.size, 1))
    gain = held_out(np.column_stack([one, a]), y, fold) - held_out(one, y, fold)
    crowded = _crowded(a, y)
    ends = np.cumsum([d.size for d in down])[:-1]
    return np.split(gain, ends), np.split(crowded, ends)


def _mean(
    value: Sequence[FloatArray], at: Sequence[IntArray], name: tuple[str, str, str]
) -> Effect:
    sums = joined(sum_by_day(v, np.ones_like(v), t) for v, t in zip(value, at, strict=True))
    return ratio(sums, mechanism=name[0], statistic=name[1], unit=name[2])


def _per_day(
    gain: Sequence[FloatArray], at: Sequence[IntArray], markets: Sequence[Truth], mechanism: str
) -> Effect:
    """Spread the gains over every day of the markets."""
    rows = []
    for g, t, truth in zip(gain, at, markets, strict=True):
        days = np.arange(truth.path_ns[0], truth.path_ns[-1], DAY_NS)
        total = np.concatenate([g, np.zeros(days.size)])
        weight = np.concatenate([np.zeros(g.size), np.ones(days.size)])
        rows.append(sum_by_day(total, weight, np.concatenate([t, days])))
    return ratio(joined(rows), mechanism=mechanism, statistic="skill_per_day", unit="nats")

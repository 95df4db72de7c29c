"""How much true positions tell of what is forced, given the path: METHOD's claim 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from liqbt.simulate.effects.values import Effect
from liqbt.simulate.effects.windows import log_path
from liqbt.simulate.truth import Truth
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray

_AGES_H = (2.0, 24.0)


def location_effects(truths: Iterable[Truth], *, mechanism: str = "location") -> tuple[Effect, ...]:
    """Measure what the true map tells of forced notional, and how much of it is published.

    A unit is an hour of the truth's snapshots and a side; M the true notional between the price at
    the hour's start and the hour's extreme on that side, F what was forced of that side in it. Of
    ln(1 + F/f) on ln(1 + M/m) (f, m medians of what is positive), given the hour's two extremes,
    its end, realised volatility, and the bins crossed as far as they have refilled since the price
    was there (half-lives of 2 h and 24 h), `information_true` is −½ ln(1 − R²) with R² the partial
    one of M: the information in nats of a Gaussian model (Cover and Thomas 2006, Elements of
    information theory, equation 8.56). `open_interest_own` is the R² of hourly changes of the
    traders' own log open interest on those of the published. `information_told` is their product:
    what inflow and outflow that are known with that R² tell of the map's information, to first
    order. Standard errors are those over markets.

    Parameters
    ----------
    truths : iterable of Truth
        Markets of one world.
    mechanism : str
        Written into the rows.
    """
    rows = np.array([list(_market(truth)) for truth in truths], np.float64)
    names = (
        ("information_told", "nats"),
        ("information_true", "nats"),
        ("open_interest_own", "share"),
    )
    columns = np.column_stack([rows[:, 0] * rows[:, 1], rows[:, 0], rows[:, 1]])
    n, days = int(rows[:, 2].sum()), int(rows[:, 3].sum())
    error = (
        columns.std(axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.full(3, np.nan)
    )
    return tuple(
        Effect(
            mechanism=mechanism,
            statistic=name,
            unit=unit,
            value=float(columns[:, k].mean()),
            null=0.0,
            standard_error=float(error[k]),
            n=n,
            n_days=days,
        )
        for k, (name, unit) in enumerate(names)
    )


def _market(truth: Truth) -> Iterator[float]:
    """Yield information of the true map, R² of published open interest, hours and sides, days."""
    hourly = np.flatnonzero(truth.snapshot_ns % HOUR_NS == 0)
    spacing = int(truth.path_ns[1] - truth.path_ns[0])
    per_hour = HOUR_NS // spacing
    first = (truth.snapshot_ns[hourly] - truth.path_ns[0]) // spacing
    x = log_path(truth)
    whole = first + per_hour < x.size
    hourly, first = hourly[whole], first[whole]
    window = x[first[:, None] + np.arange(per_hour + 1)]
    start, end = window[:, 0], window[:, -1]
    below, above = start - window.min(axis=1), window.max(axis=1) - start
    realised = np.sqrt((np.diff(window, axis=1) ** 2).sum(axis=1))
    forced = truth.liquidations
    hour = (forced["ts_ns"] - truth.snapshot_ns[hourly[0]] - 1) // HOUR_NS
    usd = forced["mark"] * forced["size_coins"]
    fresh = _refilled(x, first, per_hour, truth.grid.step)
    parts = []
    for row, reach, other in ((0, below, above), (1, above, below)):
        mine = (hour >= 0) & (hour < len(hourly)) & (forced["side"] == (1 if row == 0 else -1))
        f = np.asarray(np.bincount(hour[mine], usd[mine], len(hourly)), np.float64)
        m = _crossed(truth, hourly, row, np.where(row, start + reach, start - reach))
        away = end - start if row else start - end
        path = [reach, np.sqrt(reach), other, np.sqrt(other), away, realised, *fresh[:, :, row]]
        parts.append(np.column_stack([_logged(f), _logged(m), *path]))
    held = np.concatenate(parts)
    side = np.repeat([0.0, 1.0], len(hourly))
    controls = np.column_stack([np.ones(len(held)), side, held[:, 2:]])
    y, z = (_left(held[:, k], controls) for k in (0, 1))
    square = float(y @ z) ** 2 / max(float(y @ y) * float(z @ z), 1e-300)
    yield -0.5 * np.log(max(1.0 - square, 1e-12))
    yield _told(truth, spacing)
    yield float(len(held))
    yield float(np.unique(truth.snapshot_ns[hourly] // DAY_NS).size)


def _refilled(x: FloatArray, first: IntArray, per_hour: int, step: float) -> FloatArray:
    """Return how many bins each hour crosses, as far as they have refilled, (half-lives, n, 2)."""
    at = np.floor(x / step).astype(np.int64)
    low = int(at.min()) - 1
    last = np.full(int(at.max()) - low + 2, -(1 << 40), np.int64)
    out = np.zeros((len(_AGES_H), len(first), 2))
    seen = 0
    for i, begin in enumerate(first.tolist()):
        for k in range(seen, begin):
            a, b = sorted((at[max(k - 1, 0)], at[k]))
            last[a - low : b - low + 1] = k
        seen = begin
        here = at[begin : begin + per_hour + 1]
        for row, (a, b) in enumerate(((here.min(), at[begin]), (at[begin] + 1, here.max() + 1))):
            age = (begin - last[a - low : b - low]) / per_hour
            for k, tau in enumerate(_AGES_H):
                out[k, i, row] = np.log1p((1.0 - 0.5 ** (age / tau)).sum())
    return out


def _crossed(truth: Truth, hourly: IntArray, row: int, reached: FloatArray) -> FloatArray:
    """Return the true notional up to a log price, of snapshots and one side, USD."""
    density = truth.density_usd[hourly, row].astype(np.float64)
    edges = truth.grid.outward_edges(density.shape[1]).astype(np.float64)
    place = (reached - np.log(truth.grid.anchor)) / truth.grid.step
    inner = truth.mark_bin[hourly] + (1.0 if row else 0.0)
    depth = place - inner if row else inner - place
    held = np.concatenate([np.zeros((len(density), 1)), np.cumsum(density, axis=1)], axis=1)
    out = [float(np.interp(d, edges, h)) for d, h in zip(depth, held, strict=True)]
    return np.array(out, np.float64)


def _logged(values: FloatArray) -> FloatArray:
    positive = values[values > 0.0]
    return np.log1p(values / (float(np.median(positive)) if positive.size else 1.0))


def _left(values: FloatArray, controls: FloatArray) -> FloatArray:
    """Return what the controls leave of values, by least squares."""
    fit = np.linalg.lstsq(controls, values, rcond=None)[0]
    return np.asarray(values - controls @ fit)


def _told(truth: Truth, spacing: int) -> float:
    """Return the R² of hourly changes of the traders' own open interest on the published ones'."""
    own = np.concatenate([[truth.open_interest_start], truth.steps["open_interest"]])
    if not truth.published_lots.size:
        return 1.0
    every = max(round(HOUR_NS / (spacing * ((truth.path_ns.size - 1) / (own.size - 1)))), 1)
    changes = [np.diff(np.log(lots[::every])) for lots in (own, truth.published_lots)]
    return float(np.corrcoef(changes[0], changes[1])[0, 1] ** 2)

"""Facts by which markets are compared: pure functions of marks, open interest and forced flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY = 288
"""Five-minute steps a day."""
LAGS = (1, 2, 3, 6, 12, 24, 36, 72, 144, 216, 288, 432, 576, 864, 1152, 1440, 2016, 3024, 4032)
"""Lags of the autocorrelation of abs(r), in five minutes: to two weeks."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One market.

    Attributes
    ----------
    ts_s : ndarray, shape (n,)
        Times of the marks, five minutes apart, seconds UTC.
    mark : ndarray, shape (n,)
        USD.
    open_interest : ndarray, shape (n,)
        Coins or lots.
    forced : ndarray or None, shape (2, hours)
        Notional forced in each hour as a share of mean open interest: longs, shorts.
    """

    ts_s: np.ndarray
    mark: np.ndarray
    open_interest: np.ndarray
    forced: np.ndarray | None


def excess_kurtosis(x):
    """Return m₄/m₂² − 3."""
    x = x - x.mean()
    return float((x**4).mean() / (x**2).mean() ** 2 - 3)


def autocorrelation(x, lags):
    """Return the sample autocorrelation at `lags`; NaN beyond a third of the length."""
    x = x - x.mean()
    variance = (x * x).mean()
    return np.array(
        [(x[k:] * x[:-k]).mean() / variance if k < x.size / 3 else np.nan for k in lags]
    )


def returns(market, steps):
    """Return log returns over so many five-minute steps, aligned with the clock."""
    first = int(np.flatnonzero(market.ts_s % (300 * steps) == 0)[0])
    return np.diff(np.log(market.mark[first::steps]))


def profile(market, by):
    """Return mean |r| of five minutes by UTC hour or weekday, over its mean; Monday is 0."""
    start = market.ts_s[:-1]
    key = start // 3600 % 24 if by == "hour" else (start // 86_400 + 3) % 7
    r = np.abs(np.diff(np.log(market.mark)))
    mean = np.bincount(key, r) / np.bincount(key)
    return mean / mean.mean()


def facts(market):
    """Return the facts of one market by name."""
    five, hour, day = (returns(market, k) for k in (1, 12, DAY))
    change = np.diff(np.log(market.open_interest))
    daily = np.diff(np.log(market.open_interest[::DAY]))
    whole = five.size // DAY * DAY
    variation = np.sqrt((five[:whole].reshape(-1, DAY) ** 2).sum(axis=1))
    out = {
        "daily volatility, %": 100 * float(np.sqrt((five**2).mean() * DAY)),
        "log deviation of daily volatility": float(np.log(variation).std()),
        "excess kurtosis, 5 min": excess_kurtosis(five),
        "excess kurtosis, 1 h": excess_kurtosis(hour),
        "excess kurtosis, 1 d": excess_kurtosis(day),
        "autocorrelation of r, 5 min": float(autocorrelation(five, (1,))[0]),
        "autocorrelation of r, 1 d": float(autocorrelation(day, (1,))[0]),
    }
    size = autocorrelation(np.abs(five), (1, 12, 144, DAY, 7 * DAY, 14 * DAY))
    for name, value in zip(("5 min", "1 h", "12 h", "1 d", "7 d", "14 d"), size, strict=True):
        out[f"autocorrelation of abs(r), {name}"] = float(value)
    hours = profile(market, "hour")
    out["busiest over quietest hour"] = float(hours.max() / hours.min())
    week = profile(market, "weekday")
    out["weekend over weekday"] = float(week[5:].mean() / week[:5].mean())
    out |= {
        "open interest, 5-min change, %": 100 * float(change.std()),
        "open interest, excess kurtosis, 5 min": excess_kurtosis(change),
        "open interest, daily change, %": 100 * float(daily.std()),
        "open interest, 99.9 % rise in 5 min, %": 100 * float(np.quantile(change, 0.999)),
        "open interest, 99.9 % fall in 5 min, %": -100 * float(np.quantile(change, 0.001)),
        "correlation of abs(r) and abs(change)": float(
            np.corrcoef(np.abs(five), np.abs(change))[0, 1]
        ),
    }
    return out | (forced_facts(market, hour) if market.forced is not None else {})


def forced_facts(market, hour):
    """Return the facts of forced flow, hour by hour."""
    out = {}
    n = min(market.forced.shape[1], hour.size)
    for side, name, sign in ((0, "longs", -1), (1, "shorts", 1)):
        flow = market.forced[side, :n]
        out[f"forced a day, {name}, % of open interest"] = 2400 * float(flow.mean())
        for q in QUANTILES:
            out[f"forced in an hour over its mean, {name}, {100 * q:g} %"] = float(
                np.quantile(flow, q) / flow.mean()
            )
        top = np.sort(flow)[-max(n // 100, 1) :].sum() / flow.sum()
        out[f"share of the busiest 1 % of hours, {name}"] = float(top)
        capped = np.minimum(flow, np.quantile(flow, 0.99))
        out[f"autocorrelation of forced flow, 1 h, {name}"] = float(
            autocorrelation(capped, (1,))[0]
        )
        for low, high in ((0.002, 0.005), (0.01, 0.02)):
            mine = (sign * hour[:n] > low) & (sign * hour[:n] <= high)
            out[f"forced in an hour that moves {100 * low:g}–{100 * high:g} %, {name}, ‰"] = (
                1000 * float(flow[mine].mean()) if mine.any() else np.nan
            )
    return out

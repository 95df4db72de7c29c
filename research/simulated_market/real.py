"""The real markets to compare with, from the data folder; every trap in its README is minded."""

from __future__ import annotations

import os
from pathlib import Path

import facts
import numpy as np
import pandas as pd

ROOT = Path(os.environ.get("LIQBT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def open_interest(coin):
    """Return marks and open interest every five minutes; value / coins is the mark."""
    frame = pd.read_csv(ROOT / "binance-um" / f"{coin}USDT-open-interest-5m.csv.gz")
    step = np.rint(frame["timestamp_ms"].to_numpy() / 300_000).astype(np.int64)
    keep = np.concatenate([[True], np.diff(step) > 0])
    coins = frame["sum_open_interest"].to_numpy()[keep]
    usd = frame["sum_open_interest_value"].to_numpy()[keep]
    step = step[keep]
    every = np.arange(step[0], step[-1] + 1)
    at = np.searchsorted(step, every, "right") - 1  # a missing slot keeps the last value
    return every * 300, (usd / coins)[at], coins[at]


def forced():
    """Return BTC's hourly totals as shares of mean open interest; five hours are missing.

    Summed over venues, over one venue's open interest: an upper bound of the share.
    """
    frame = pd.read_csv(ROOT / "aggregated" / "BTC-1h-ohlc-liquidations-oi-funding.csv.gz")
    level = frame["oi_close"].mean()
    usd = frame[["liquidation_long_usd", "liquidation_short_usd"]].to_numpy().T
    move = np.log(frame["price_close"] / frame["price_open"]).to_numpy()
    return usd / level, move


def market(coin):
    """Return a real market; BTC has no forced flow here, since its hours need their own prices."""
    ts, mark, coins = open_interest(coin)
    return facts.Market(ts_s=ts, mark=mark, open_interest=coins, forced=None)


def forced_facts():
    """Return the facts of BTC's forced flow, each hour beside the move of that very hour."""
    flow, move = forced()
    return facts.forced_facts(
        facts.Market(ts_s=np.zeros(0), mark=np.zeros(0), open_interest=np.zeros(0), forced=flow),
        move,
    )


def long_returns(coin):
    """Return 2.8 years of hourly spot returns and the hours' times, s."""
    frame = pd.read_csv(ROOT / "candles" / f"{coin}USDT-1h.csv.gz")
    ts = pd.to_datetime(frame["timestamp"], utc=True).dt.as_unit("s").astype("int64").to_numpy()
    close = frame["close"].to_numpy()
    if (np.diff(ts) != 3600).any():
        raise SystemExit(f"{coin}: hourly candles leave out hours")
    return ts[1:], np.diff(np.log(close))


def long_facts(coin):
    """Return what hourly candles tell of 2.8 years; other facts need five minutes."""
    ts, hour = long_returns(coin)
    first = int(np.flatnonzero(ts % 86_400 == 0)[0])
    days = (hour.size - first) // 24
    day = hour[first : first + days * 24].reshape(days, 24).sum(axis=1)
    size = facts.autocorrelation(np.abs(hour), (1, 12, 24, 168, 336))
    key = ts // 3600 % 24
    hours = np.bincount(key, np.abs(hour)) / np.bincount(key)
    weekday = (ts // 86_400 + 3) % 7
    week = np.bincount(weekday, np.abs(hour)) / np.bincount(weekday)
    out = {
        "daily volatility, %": 100 * float(np.sqrt((hour**2).mean() * 24)),
        "excess kurtosis, 1 h": facts.excess_kurtosis(hour),
        "excess kurtosis, 1 d": facts.excess_kurtosis(day),
        "autocorrelation of r, 1 d": float(facts.autocorrelation(day, (1,))[0]),
        "busiest over quietest hour": float(hours.max() / hours.min()),
        "weekend over weekday": float(week[5:].mean() / week[:5].mean()),
    }
    for name, value in zip(("1 h", "12 h", "1 d", "7 d", "14 d"), size, strict=True):
        out[f"autocorrelation of hourly abs(r), {name}"] = float(value)
    return out

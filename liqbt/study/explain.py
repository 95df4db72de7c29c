"""What a run knows of the cluster at a price: how large, how old, and when it came and went.

A run keeps the densities that were issued. So what is said is of the estimated notional inside the
cluster's band, forecast by forecast; an estimator's leverage brackets are its own, and not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from liqbt.errors import ConfigError
from liqbt.study.frames import utc
from liqbt.study.store import Run, json_value
from liqbt.types import Cluster, Forecast, Ns, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The cluster at a price, and what became of its band.

    Attributes
    ----------
    forecast : Forecast
        The last one issued by then.
    cluster : Cluster
        The one that holds the price, or the nearest.
    holds : bool
        Whether the price lies in it.
    since : int
        Issue of the first forecast of an unbroken row of them that had a cluster of this side
        there, ns.
    days : DataFrame
        By UTC day since then: `added_usd`, rises of the estimated notional in the band from one
        forecast to the next; `gone_usd`, falls (passed by the price, closed, or aged); `left_usd`,
        at the day's last forecast; `liquidated_usd`, seen of that side in the whole market in the
        day before that forecast, missing where none is fed.
    """

    forecast: Forecast
    cluster: Cluster
    holds: bool
    since: Ns
    days: pd.DataFrame

    @property
    def text(self) -> str:
        """The same in words."""
        one, issued = self.cluster, self.forecast
        where = "below" if one.side == Side.LONG else "above"
        near = one.high if one.side == Side.LONG else one.low
        sigma = abs(np.log(near / issued.mark)) / issued.sigma_1d
        age = pd.Timedelta(issued.at - self.since, "ns")
        total = self.days[["added_usd", "gone_usd"]].sum()
        head = "the price lies in it" if self.holds else "the nearest cluster to the price"
        lines = [
            f"{issued.symbol} {_when(issued.at)}, mark {issued.mark:,.6g}: {one.side.name.lower()} "
            f"cluster {where}, {one.low:,.6g} to {one.high:,.6g} ({head})",
            f"estimated notional {one.notional_usd:,.0f} USD, {abs(near / issued.mark - 1):.2%} or "
            f"{sigma:.2f} σ of a day away, rank {one.density_rank:.2f} in its distance band",
            f"there since {_when(self.since)} ({age.total_seconds() / 3600:g} h): "
            f"{total['added_usd']:,.0f} USD came, {total['gone_usd']:,.0f} went (passed, closed or "
            "aged)",
            "",
            self.days.to_string(na_rep="-", float_format="{:,.0f}".format),
        ]
        return "\n".join(lines)

    def value(self) -> dict[str, Any]:
        """Return the same as values that JSON can hold."""
        rows = [
            {"day": f"{day:%Y-%m-%d}", **{k: json_value(float(v)) for k, v in row.items()}}
            for day, row in zip(self.days.index, self.days.to_dict("records"), strict=True)
        ]
        return {
            "symbol": self.forecast.symbol,
            "at": _when(self.forecast.at),
            "mark": self.forecast.mark,
            "holds": self.holds,
            **asdict(self.cluster),
            "side": self.cluster.side.name.lower(),
            "since": _when(self.since),
            "days": rows,
        }

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        words = escape(self.text.partition("\n\n")[0])
        return f"<pre>{words}</pre>{self.days.to_html(float_format='{:,.0f}'.format)}"


def explain(
    run: Run, at: Ns, price: float, *, symbol: str | None = None, estimator: str | None = None
) -> Explanation:
    """Explain the cluster at a price.

    Parameters
    ----------
    run : Run
        A finished run.
    at : int
        The last forecast issued by then is taken, ns.
    price : float
        In the cluster, or near it.
    symbol, estimator : str, optional
        By default the first ones.

    Raises
    ------
    ConfigError
        If there is no such market, no forecast by then, or no cluster in it.
    """
    known = list(run.manifest["symbols"])
    name = known[0] if symbol is None else symbol
    if name not in known:
        raise ConfigError(f"no market '{name}' in this run; expected one of {', '.join(known)}")
    if not (np.isfinite(price) and price > 0.0):
        raise ConfigError(f"found the price {price:g}; expected one above 0")
    issued = [f for f in run.forecasts(name, estimator) if f.at <= at]
    if not issued:
        raise ConfigError(f"no forecast of {name} was issued by {_when(at)}")
    last = issued[-1]
    if not len(last.clusters):
        raise ConfigError(f"the forecast of {name} at {_when(last.at)} has no cluster")
    rows = last.clusters
    away = np.maximum(np.log(rows["low"] / price), np.log(price / rows["high"]))
    place = int(np.argmin(np.maximum(away, 0.0)))
    cluster = last.cluster(place)
    chain = _unbroken(issued, cluster)
    return Explanation(
        forecast=last,
        cluster=cluster,
        holds=bool(cluster.low <= price < cluster.high),
        since=chain[0].at,
        days=_by_day(chain, cluster),
    )


def _unbroken(issued: Sequence[Forecast], cluster: Cluster) -> list[Forecast]:
    """Return the last forecasts, in order, that all have a cluster of its side in its band."""
    first = len(issued)
    while first:
        rows = issued[first - 1].clusters
        there = (rows["side"] == cluster.side) & (rows["low"] < cluster.high)
        if not (there & (rows["high"] > cluster.low)).any():
            break
        first -= 1
    return list(issued[first:])


def notional_within(forecast: Forecast, side: Side, low: float, high: float) -> float:
    """Return a side's estimated notional between two prices, USD; bins count by their share."""
    row = forecast.density_usd[0 if side == Side.LONG else 1].astype(np.float64)
    edges = np.log(forecast.grid.prices(forecast.mark_bin, side, len(row)))
    a, b = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    inside = np.minimum(b, np.log(high)) - np.maximum(a, np.log(low))
    return float((row * np.clip(inside / (b - a), 0.0, 1.0)).sum())


def _by_day(chain: Sequence[Forecast], cluster: Cluster) -> pd.DataFrame:
    held = np.array([notional_within(f, cluster.side, cluster.low, cluster.high) for f in chain])
    change = np.diff(held, prepend=0.0)
    side = "long" if cluster.side == Side.LONG else "short"
    frame = pd.DataFrame(
        {
            "day": utc([f.at for f in chain]).floor("D"),
            "added_usd": np.maximum(change, 0.0),
            "gone_usd": np.maximum(-change, 0.0),
            "left_usd": held,
            "liquidated_usd": [getattr(f, f"observed_{side}_usd") for f in chain],
        }
    )
    grouped = frame.groupby("day")
    return (
        grouped[["added_usd", "gone_usd"]]
        .sum()
        .join(grouped[["left_usd", "liquidated_usd"]].last())
    )


def _when(ns: Ns) -> str:
    return f"{pd.Timestamp(ns, unit='ns'):%Y-%m-%d %H:%MZ}"

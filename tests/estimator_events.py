"""Small event arrays for the tests of estimators."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from liqbt.estimators.config import MarketSpec
from liqbt.estimators.oi_flow import Bracket, OIFlow
from liqbt.margin.tiers import flat_tiers
from liqbt.types import EVENT_DTYPE, HOUR_NS, SECOND_NS, Kind

START = 1_700_000_000 * SECOND_NS
LATENCY_S = 60


def event(kind, second, *payload, span_s=0, side=0, latency_s=LATENCY_S):
    """One event `second` seconds after START, known `latency_s` later."""
    row = np.zeros(1, dtype=EVENT_DTYPE)
    row["ts_event"] = START + int(second * SECOND_NS)
    row["ts_known"] = row["ts_event"] + int(latency_s * SECOND_NS)
    row["kind"], row["side"], row["span_s"] = kind, side, span_s
    for k in range(5):
        row[f"p{k}"] = payload[k] if k < len(payload) else math.nan
    return row


def mark(second, price):
    return event(Kind.MARK, second, price, price, price, price)


def mark_bar(second, low, high, close, span_s=300):
    return event(Kind.MARK, second, low, high, low, close, span_s=span_s)


def bar(second, low, high, close, volume, span_s=300):
    return event(Kind.BAR, second, low, high, low, close, volume, span_s=span_s)


def trade(second, price, size):
    return event(Kind.TRADE, second, price, size)


def open_interest(second, coins):
    return event(Kind.OPEN_INTEREST, second, coins)


def events(*rows):
    """The rows as one read-only array, in canonical order."""
    out = np.concatenate([*rows]) if rows else np.zeros(0, dtype=EVENT_DTYPE)
    order = np.lexsort((out["kind"], out["ts_event"], out["ts_known"]))
    out = out[order]
    out.setflags(write=False)
    return out


def at(second):
    """START plus `second` seconds, ns."""
    return START + int(second * SECOND_NS)


def market(seed=0, days=5, every_s=300, trades=0, vol=0.03, oi_vol=0.004, totals=False):
    """A random walk: marks and open interest every `every_s`, `trades` trades between two."""
    rng = np.random.default_rng(seed)
    n = days * 86_400 // every_s
    kinds = 2 + trades + (1 if totals else 0)
    out = np.zeros(n * kinds, dtype=EVENT_DTYPE)
    for k in range(5):
        out[f"p{k}"] = np.nan
    price = 100 * np.exp(np.cumsum(rng.standard_normal(n) * vol * math.sqrt(every_s / 86_400)))
    coins = 1000 * np.exp(np.cumsum(rng.standard_normal(n) * oi_vol))
    seconds = np.arange(1, n + 1) * every_s
    for j in range(trades):
        rows = out[j::kinds]
        rows["kind"], rows["p1"] = Kind.TRADE, rng.exponential(1.0, n)
        rows["p0"] = price * np.exp(rng.standard_normal(n) * 5e-4)
        rows["ts_event"] = seconds - every_s + (j + 1) * every_s // (trades + 1)
    rows = out[trades::kinds]
    rows["kind"], rows["ts_event"] = Kind.MARK, seconds
    for k in range(4):
        rows[f"p{k}"] = price
    rows = out[trades + 1 :: kinds]
    rows["kind"], rows["ts_event"], rows["p0"] = Kind.OPEN_INTEREST, seconds, coins
    if totals:
        rows = out[trades + 2 :: kinds]
        rows["kind"], rows["ts_event"], rows["span_s"] = Kind.LIQUIDATION_TOTAL, seconds, every_s
        rows["p0"], rows["p1"] = rng.exponential(100, n), rng.exponential(100, n)
    out["ts_event"] = START + out["ts_event"] * SECOND_NS
    out["ts_known"] = out["ts_event"] + LATENCY_S * SECOND_NS
    out = out[np.lexsort((out["kind"], out["ts_event"], out["ts_known"]))]
    out.setflags(write=False)
    return out


TIERS = flat_tiers("X", 0.004, 125)
STEP = 0.01
NAMES = {
    Kind.TRADE: "trade",
    Kind.BAR: "bar",
    Kind.MARK: "mark",
    Kind.OPEN_INTEREST: "open_interest",
}
# bin and place inside it, away from the edges, where a logarithm may round either way
PLACES = st.tuples(st.integers(-34, 33), st.floats(0.05, 0.95))


def price(place):
    return 100.0 * math.exp((place[0] + place[1]) * STEP)


@st.composite
def one_event(draw, second):
    kind = draw(st.sampled_from(list(NAMES)))
    if kind == Kind.TRADE:
        return event(kind, second, price(draw(PLACES)), draw(st.floats(0.1, 10)))
    if kind == Kind.OPEN_INTEREST:
        return event(kind, second, draw(st.floats(0, 1000)))
    places = sorted(draw(st.lists(PLACES, min_size=3, max_size=3)))
    low, close, high = (price(p) for p in places)
    span = draw(st.sampled_from([0, 300, 3600])) if kind == Kind.MARK else 300
    if span == 0:
        return event(kind, second, close, close, close, close)
    volume = draw(st.sampled_from([0.0, 3.0, math.nan]))
    payload = (low, high, low, close) + ((volume,) if kind == Kind.BAR else ())
    return event(kind, second, *payload, span_s=span)


@st.composite
def tapes(draw):
    """A price kind and events, the first of them a price of 100 of that kind."""
    kind = draw(st.sampled_from([Kind.MARK, Kind.BAR, Kind.TRADE]))
    rows = [event(kind, 0, 100.0, 1.0 if kind == Kind.TRADE else 100.0, 100.0, 100.0, math.nan)]
    second = 0
    for _ in range(draw(st.integers(0, 40))):
        second += draw(st.sampled_from([0, 7, 300, 3600]))
        # some happened long before they were known
        late = draw(st.sampled_from([0, 0, 0, 600]))
        row = draw(one_event(max(second - late, 0)))
        row["ts_known"] = START + (second + LATENCY_S) * SECOND_NS
        rows.append(row)
    out = np.concatenate(rows)
    order = np.lexsort((out["kind"], out["ts_event"], out["ts_known"]))
    # the anchor stays first
    rest = order[order != 0]
    out = out[np.concatenate(([0], rest))]
    out.setflags(write=False)
    return kind, out


def of(make, **options):
    """Parameters and market of an estimator, brackets given as columns, half-lives in hours."""
    names = ("symbol", "price_kind", "tiers")
    market = MarketSpec(**{"symbol": "X"} | {k: options.pop(k) for k in names if k in options})
    if "leverages" in options:
        columns = zip(
            options.pop("leverages"),
            options.pop("weights"),
            options.pop("half_lives_h"),
            strict=True,
        )
        notional = {"position_notional_usd": options.pop("position_notional_usd", 10_000.0)}
        options["brackets"] = tuple(
            Bracket(leverage=leverage, weight=weight, half_life=round(hours * HOUR_NS), **notional)
            for leverage, weight, hours in columns
        )
    return make.Params(**options), market


def small_config(kind, make=OIFlow, **changes):
    base = {
        "tiers": TIERS,
        "price_kind": kind,
        "step": STEP,
        "grid_span": 0.3,
        "reach": 0.25,
        "fine_bins": 10,
        "coarse": 5,
        "sigma_window": 6 * HOUR_NS,
    }
    if make is OIFlow:
        base |= {
            "leverages": (5.0, 20.0, 60.0),
            "weights": (0.5, 0.3, 0.2),
            "half_lives_h": (24.0, 6.0, 1.0),
        }
    return of(make, **(base | changes))


def rows_of(array):
    return [
        {
            "kind": NAMES[Kind(row["kind"])],
            "ts_known": int(row["ts_known"]),
            "ts_event": int(row["ts_event"]),
            "span_s": int(row["span_s"]),
            "p": tuple(float(row[f"p{k}"]) for k in range(5)),
        }
        for row in array
    ]

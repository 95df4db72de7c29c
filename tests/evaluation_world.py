"""A Brownian market with levels that know nothing, for the tests of evaluation."""

from __future__ import annotations

import numpy as np

from liqbt.evaluation.bins import Dose, response_blocks
from liqbt.evaluation.config import MarketInput
from liqbt.evaluation.evaluate import evaluate
from liqbt.evaluation.evidence import Evidence, Observed
from liqbt.evaluation.first_passage import FIRST_SIDE_DTYPE
from liqbt.evaluation.inference.days import pooled
from liqbt.evaluation.inference.estimates import estimate
from liqbt.evaluation.outcomes import OUTCOME_DTYPE
from liqbt.evaluation.path import PricePath
from liqbt.types import CLUSTER_DTYPE, DAY_NS, HOUR_NS, SECOND_NS, DensityGrid, Forecast

START = 19_700 * DAY_NS
STEP_S = 300
MAP_SIGMA = 0.025


def clusters_at(mark, bands, *, rank=1.0):
    """Clusters of one forecast from `(low, high)` price bands, in canonical order."""
    rows = np.zeros(len(bands), CLUSTER_DTYPE)
    for i, (low, high) in enumerate(bands):
        side = -1 if low > mark else 1
        rows[i] = (side, low, high, (low + high) / 2, 1e6, rank)
    outward = np.where(rows["side"] < 0, rows["low"], -rows["high"])
    return rows[np.lexsort((outward, rows["side"]))]


def forecast(at, mark, clusters, *, mark_ts=None, sigma_1d=0.02, asymmetry=0.0, symbol="A"):
    return Forecast(
        symbol=symbol,
        at=at,
        latest_known=at - 1,
        mark=mark,
        mark_ts=at if mark_ts is None else mark_ts,
        sigma_1d=sigma_1d,
        grid=DensityGrid(anchor=100.0),
        mark_bin=0,
        density_usd=np.zeros((2, 3), np.float32),
        clusters=clusters,
        asymmetry=asymmetry,
        asymmetry_reach=0.1,
    )


def points(ts, prices, *, spacing_ns=STEP_S * SECOND_NS, max_gap_ns=None):
    ts, prices = np.asarray(ts, np.int64), np.asarray(prices, np.float64)
    return PricePath(
        start_ns=ts,
        end_ns=ts.copy(),
        low=prices,
        high=prices.copy(),
        close=prices.copy(),
        spacing_ns=spacing_ns,
        max_gap_ns=max_gap_ns or 3 * spacing_ns,
    )


def bars(start, length, low, high, *, max_gap_ns=None):
    start = np.asarray(start, np.int64)
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return PricePath(
        start_ns=start,
        end_ns=start + length,
        low=low,
        high=high,
        close=(low + high) / 2,
        spacing_ns=0,
        max_gap_ns=max_gap_ns or length,
    )


def brownian_path(rng, days, sigma_1d):
    """Log price at 5-minute steps, and the exact highs and lows of the bridges between them."""
    n = days * DAY_NS // (STEP_S * SECOND_NS)
    variance = sigma_1d**2 * STEP_S / 86_400
    log_price = np.concatenate([[0.0], np.cumsum(rng.normal(0.0, np.sqrt(variance), n))])
    a, b = log_price[:-1], log_price[1:]
    reach = [np.sqrt((b - a) ** 2 - 2 * variance * np.log(rng.random(n))) for _ in range(2)]
    return log_price, 0.5 * (a + b - reach[0]), 0.5 * (a + b + reach[1])


def brownian_market(rng, *, days, kind, sigma_1d=0.025, symbol="A", per_side=6, clairvoyant=False):
    """Hourly forecasts of random bands (drawn anew each 12 hours) on a Brownian path.

    `kind`: 5-minute points, or hourly bars with true highs and lows. A clairvoyant market adds, at
    each forecast, the level that the price will reach farthest within a day: a look-ahead.
    """
    log_price, low, high = brownian_path(rng, days, sigma_1d)
    step = STEP_S * SECOND_NS
    ts = START + np.arange(len(log_price)) * step
    prices = 100.0 * np.exp(log_price)
    if kind == "points":
        path = points(ts, prices)
    else:
        hourly = (100.0 * np.exp(x.reshape(-1, 12)) for x in (low, high))
        lows, highs = next(hourly).min(axis=1), next(hourly).max(axis=1)
        path = bars(ts[:-1:12], HOUR_NS, lows, highs)
    forecasts = []
    for i in range(0, len(low), 12):
        if i % 144 == 0:
            centre = np.sort(rng.uniform(-0.12, 0.12, 2 * per_side))
            half = min(0.001, 0.4 * np.diff(centre).min())
            edges = 100.0 * np.exp(log_price[i] + centre[:, None] + [-half, half])
            rank = rng.random(len(edges))
        mark = prices[i]
        bands = [tuple(e) for e in edges if e[0] > mark or e[1] < mark]
        if clairvoyant:
            ahead = prices[i + 1 : i + 276]
            if len(ahead):
                reached = ahead.max() if ahead.max() / mark > mark / ahead.min() else ahead.min()
                bands = [(reached * 0.9999, reached * 1.0001)]
                bands = [b for b in bands if b[0] > mark or b[1] < mark]
        rows = clusters_at(mark, bands)
        rows["density_rank"] = rank[0] if clairvoyant else rng.random(len(rows))
        forecasts.append(
            forecast(
                int(ts[i]),
                float(mark),
                rows,
                sigma_1d=sigma_1d,
                asymmetry=float(rng.uniform(-1, 1)),
                symbol=symbol,
            )
        )
    return MarketInput(symbol=symbol, forecasts=forecasts, path=path)


def map_forecast(at, mark, density, *, step=5e-4, fine=200, coarse=10, sigma=MAP_SIGMA):
    """A forecast of a density and no cluster."""
    grid = DensityGrid(anchor=100.0, step=step, fine_bins=fine, coarse=coarse)
    return Forecast(
        symbol="A",
        at=int(at),
        latest_known=int(at) - 1,
        mark=float(mark),
        mark_ts=int(at),
        sigma_1d=sigma,
        grid=grid,
        mark_bin=grid.bin_of(mark),
        density_usd=np.asarray(density, np.float32),
        clusters=clusters_at(mark, []),
        asymmetry=0.0,
        asymmetry_reach=0.1,
    )


def map_market(seed, days, *, pull=0.0, every=24):
    """Daily maps of random density; the price drifts by `pull` σ a day toward the denser side."""
    rng = np.random.default_rng(seed)
    log_price, _, _ = brownian_path(rng, days, MAP_SIGMA)
    density = rng.exponential(1.0, (days, 2, 200)) * rng.uniform(0.2, 1.0, (days, 2, 1))
    heavier = np.sign(density[:, 1].sum(axis=1) - density[:, 0].sum(axis=1))
    drift = np.repeat(pull * MAP_SIGMA * heavier / 288, 288)
    log_price = log_price + np.concatenate([[0.0], np.cumsum(drift)])
    ts = START + np.arange(len(log_price)) * STEP_S * SECOND_NS
    path = points(ts, 100.0 * np.exp(log_price))
    forecasts = [
        map_forecast(ts[i * 288], 100.0 * np.exp(log_price[i * 288]), density[i])
        for i in range(0, days, every // 24)
    ]
    return forecasts, path


def reflected(market, about=100.0):
    """The same market upside down: every price p becomes about² / p."""
    path = market.path
    flipped = PricePath(
        start_ns=path.start_ns,
        end_ns=path.end_ns,
        low=about**2 / path.high,
        high=about**2 / path.low,
        close=about**2 / path.close,
        spacing_ns=path.spacing_ns,
        max_gap_ns=path.max_gap_ns,
    )
    forecasts = []
    for f in market.forecasts:
        rows = f.clusters.copy()
        rows["side"] = -f.clusters["side"]
        rows["low"], rows["high"] = about**2 / f.clusters["high"], about**2 / f.clusters["low"]
        rows["peak"] = about**2 / f.clusters["peak"]
        rows = np.concatenate([rows[rows["side"] < 0], rows[rows["side"] > 0]])
        fields = {name: getattr(f, name) for name in f.__dataclass_fields__}
        fields |= {
            "density_usd": f.density_usd[::-1],
            "clusters": rows,
            "mark": about**2 / f.mark,
            "asymmetry": -f.asymmetry,
        }
        forecasts.append(type(f)(**fields))
    return MarketInput(symbol=market.symbol, forecasts=forecasts, path=flipped)


def evaluated(markets, config, root=1, **options):
    """The whole evaluation of markets."""
    return evaluate(Evidence(markets=markets, config=config, root=root, **options))


def evidence_with(symbols, at, config, *, models=None, levels=None, episodes=None, placebo=None):
    """Evidence whose tables are given: times that are spanned, models, levels, episodes and p̂."""
    nowhere = points([START], [100.0])
    evidence = Evidence(
        markets=[MarketInput(symbol=name, forecasts=[], path=nowhere) for name in symbols],
        config=config,
        root=1,
    )
    spanned = np.zeros(len(at), FIRST_SIDE_DTYPE)
    spanned["at"] = at
    none = np.zeros(0, OUTCOME_DTYPE)
    vars(evidence)["observed"] = Observed(
        symbols=tuple(symbols), outcomes=none, first_sides=spanned, flow=(), landmarks=()
    )
    if models is not None:
        vars(evidence)["models"] = models
    for kind, held in (levels or {}).items():
        evidence._made["levels", kind] = held
    if episodes is not None:
        evidence._made["episodes", 0, DAY_NS] = episodes
        evidence._made["placebo", 0, DAY_NS] = placebo
    return evidence


def response_bins(forecasts, path, config, *, horizon_ns):
    """All pairs of bins of a market at once."""
    (bins,) = response_blocks(forecasts, path, config, horizon_ns=horizon_ns, at_once=10**6)
    return bins


def paired_response(markets, draws, covariates=()):
    """β across the mark of markets together; `covariates`: other maps of each, map by map."""
    parts = [
        Dose(bins, *maps).days(maps=True) for bins, *maps in zip(markets, *covariates, strict=True)
    ]
    return estimate(pooled(parts), markets[0].horizon_ns, draws)

"""Forecasts as trades: signals for vectorbt, its portfolios, and matched placebos beside them.

The one room that knows vectorbt (extra `trading`), and it imports it only when a portfolio is made.
No verdict rests on what is here.

>>> from liqbt import trading
>>> portfolio = trading.portfolio("results/demo/RUN_ID", "cluster_target")  # doctest: +SKIP
>>> trading.compared(portfolio)  # doctest: +SKIP

What vectorbt does, measured in `tests/unit/test_trading.py`, and what is made of it here
(decision 0041):

- A stop or a target is looked for from the row **after** the one that opened the position. What is
  opened is therefore filled at a bar's close, where the next one opens, and all of that is watched.
- Of a stop and a target inside one bar the **stop** is taken: a bar does not say which came first.
- A bar that opens beyond a stop or a target fills at its open: a gap is paid, or received.
- A bar without an open would be filled at its *close*. Bars are given the close before them, moved
  into their own range; a run keeps no opens. Points are given as they are: what a point has passed
  fills at the point, beyond the level. So a walk without drift earns nothing before costs, whatever
  the distances of stop and target.
- It knows no funding. Payments while a position is open are charged when it closes, as a part of
  that order's fees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from liqbt.config.fields import duration_ns
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.inference.days import DaySums, draw, stream
from liqbt.evaluation.inference.estimates import estimate
from liqbt.strategies import (
    HORIZON_NS,
    LEVELS,
    OFFERED,
    STRATEGIES,
    Path,
    Trade,
    decisions,
    planned,
    trades,
)
from liqbt.study.store import Run, load_run
from liqbt.types import DAY_NS, HOUR_NS, SECOND_NS, FloatArray, IntArray, Ns

if TYPE_CHECKING:
    from vectorbt import Portfolio

TAKER_FEE: Final = 5e-4
"""Of an order's value: what a taker pays at Binance without a discount; as in claim 9."""
SLIPPAGE: Final = 2e-4
"""Of the price: half a spread and what the order moves; as in claim 9."""
REPS: Final = 2000
_FUNDED_NS: Final = 8 * HOUR_NS
_YEAR_DAYS: Final = 365

Finished: TypeAlias = "Run | FilePath | str | Any"
"""A run, its folder, or what holds it as `run`: the facade's `Result`."""
Funding: TypeAlias = "float | pd.Series[float] | Mapping[str, pd.Series[float]] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What `vectorbt.Portfolio.from_signals` takes, under its names; a column a variant.

    Rows are the price path of the run: `ts`, UTC, the time of a point or the end of a bar. Columns
    are (`symbol`, `variant`, `levels`), the last one of `map`, `mirrored` and `redated`.

    Attributes
    ----------
    entries, short_entries : DataFrame of bool
        Where a position is opened, at that row's close: the first price after what it rests on was
        known.
    exits, short_exits : DataFrame of bool
        Where a position's time is over: closed at that row's close.
    sl_stop, tp_stop : DataFrame of float
        At entries: distance of stop and target from the close, as a share of it; NaN for none.
    open, high, low, close : DataFrame of float
        Prices, USD.
    """

    entries: pd.DataFrame
    short_entries: pd.DataFrame
    exits: pd.DataFrame
    short_exits: pd.DataFrame
    sl_stop: pd.DataFrame
    tp_stop: pd.DataFrame
    open: pd.DataFrame
    high: pd.DataFrame
    low: pd.DataFrame
    close: pd.DataFrame

    def arguments(self) -> dict[str, pd.DataFrame]:
        """Return the frames by the names of `from_signals`' arguments."""
        return {name: getattr(self, name) for name in self.__slots__}


def signals(
    run: Finished,
    strategy: str = "cluster_target",
    *,
    estimator: str | None = None,
    seed: int | None = None,
) -> Signals:
    """Return the signals of a strategy and of its placebos.

    Parameters
    ----------
    run : Result, Run, Path or str
        A finished run, or its folder.
    strategy : str
        `cluster_target`: to the densest cluster within reach, out as far on the other side.
        `sweep_fade`: against the move once the densest cluster of a side was swept.
        `cluster_stop`: leaning on the densest cluster, the stop `inside` it or just `beyond`.
        `crowded_side`: to the side with more estimated notional.
    estimator : str, optional
        Whose forecasts; by default the first one's.
    seed : int, optional
        Of the days that levels are redated from; by default the run's.

    Raises
    ------
    ConfigError
        If there is no such strategy; names the nearest.
    DataError
        If the run is too short for a placebo: a plan is redated from a week before, or more.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"no strategy {strategy!r}; {nearest(strategy, STRATEGIES)}")
    run = _opened(run)
    root = int(run.manifest.get("seed", 0)) if seed is None else seed
    columns: dict[tuple[str, str, str], tuple[Path, list[Trade]]] = {}
    scored = run.outcomes(estimator)
    for symbol in run.manifest["symbols"]:
        first = pc.min(scored["at"].filter(pc.equal(scored["market"], symbol))).as_py()
        columns |= _columns(run, symbol, strategy, estimator, root, first)
    index = _instants(np.unique(np.concatenate([path.ts for path, _ in columns.values()])))
    parts = {key: _frame(path, found, index) for key, (path, found) in columns.items()}
    names = pd.MultiIndex.from_tuples(list(parts), names=["symbol", "variant", "levels"])
    return Signals(
        **{
            name: pd.concat([part[name] for part in parts.values()], axis=1).set_axis(names, axis=1)
            for name in Signals.__slots__
        }
    )


def _opened(run: Finished) -> Run:
    if isinstance(run, FilePath | str):
        return load_run(FilePath(run))
    found: Run = getattr(run, "run", run)
    return found


def _columns(
    run: Run, symbol: str, strategy: str, estimator: str | None, root: int, since: Ns | None
) -> dict[tuple[str, str, str], tuple[Path, list[Trade]]]:
    options = run.config["evaluation"]
    reach = (float(options["distance_floor"]), float(options["distance_ceiling"]))
    path = Path(**run.prices(symbol))
    issued = [] if since is None else run.forecasts(symbol, estimator)
    chosen = [] if since is None else decisions(issued, since)
    made = {}
    for variant, rule in STRATEGIES[strategy].items():
        for levels in LEVELS:
            decided = planned(chosen, rule, levels, reach, stream(root, "trading", symbol))
            if not decided:
                raise DataError(
                    f"{run.path}: {symbol}: found {len(chosen)} days of scored forecasts; expected "
                    "more than 7, since a placebo's levels are those of a week before or earlier"
                )
            made[symbol, variant, levels] = (
                path,
                trades(
                    decided,
                    path,
                    latency=duration_ns(options["latency"]),
                    delay=_price_delay(run, symbol),
                ),
            )
    return made


def _price_delay(run: Run, symbol: str) -> Ns:
    """Return how long after its time a price is known, at the latest that is declared."""
    said = [
        float(row["latency_s"])
        for row in run.manifest["symbols"][symbol].get("latency", ())
        if row["kind"] in ("mark", "bar", "trade")
    ]
    return round(max(said, default=0.0) * SECOND_NS)


def _instants(ns: IntArray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(ns.astype("datetime64[ns]"), tz="UTC", name="ts")


def _ns(index: pd.Index[Any]) -> IntArray:
    return pd.DatetimeIndex(index).as_unit("ns").asi8.astype(np.int64)


def _frame(path: Path, found: list[Trade], index: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a column for each field of `Signals`, of one variant, at the times of all markets.

    At the times of others a market stands where it stood: its last bar's range is not seen again.
    """
    n = len(path.ts)
    entries, shorts, exits = (np.zeros(n, bool) for _ in range(3))
    stop, target = np.full(n, np.nan), np.full(n, np.nan)
    for trade in found:
        (entries if trade.direction > 0 else shorts)[trade.entry] = True
        exits[trade.exit] = True
        stop[trade.entry], target[trade.entry] = trade.stop, trade.target
    before = np.concatenate([path.close[:1], path.close[:-1]])
    marked = pd.DataFrame(
        {"entries": entries, "short_entries": shorts, "exits": exits, "short_exits": exits},
        _instants(path.ts),
    ).reindex(index, fill_value=False)
    priced = pd.DataFrame(
        {
            "sl_stop": stop,
            "tp_stop": target,
            "open": np.clip(before, path.low, path.high),  # of a point: the point
            "high": path.high,
            "low": path.low,
            "close": path.close,
        },
        _instants(path.ts),
    ).reindex(index)
    priced["close"] = priced["close"].ffill().bfill()
    for name in ("open", "high", "low"):
        priced[name] = priced[name].fillna(priced["close"])
    return marked.join(priced)


def portfolio(
    run: Finished,
    strategy: str = "cluster_target",
    *,
    estimator: str | None = None,
    fees: float = TAKER_FEE,
    slippage: float = SLIPPAGE,
    funding: Funding = None,
    seed: int | None = None,
) -> Portfolio:
    """Return a strategy's portfolio and its placebos': a `vectorbt.Portfolio`, a column a variant.

    Every position takes all of its column's money, without leverage, long or short.

    Parameters
    ----------
    run, strategy, estimator, seed
        As for `signals`.
    fees : float
        Share of an order's value, of every order.
    slippage : float
        Share of the price, of every order, stops and targets too.
    funding : float, Series or mapping of str to Series, optional
        A rate of eight hours, paid at 00:00, 08:00 and 16:00 UTC; or rates as they were paid, by
        the times of the payments, of every market or by market. Positive: longs pay. By default
        what the run was fed; nothing where it was fed none.

    Raises
    ------
    ConfigError
        If vectorbt is not installed, or there is no such strategy.
    DataError
        If the run is too short, or a funding rate is not finite.
    """
    vbt = _vectorbt()
    run = _opened(run)
    made = signals(run, strategy, estimator=estimator, seed=seed)
    options: dict[str, Any] = {
        **made.arguments(),
        "size": 1.0,
        "size_type": "percent",
        "slippage": slippage,
        "stop_entry_price": "price",
        "stop_exit_price": "stopmarket",
        "freq": pd.Timedelta(int(np.median(np.diff(_ns(made.close.index)))), "ns"),
    }
    plain = vbt.Portfolio.from_signals(fees=fees, **options)
    charged = _funded(run, plain, made.close, funding)
    return plain if charged is None else vbt.Portfolio.from_signals(fees=fees + charged, **options)


def _vectorbt() -> Any:
    try:
        import vectorbt
    except ImportError:
        raise ConfigError(
            "portfolios are vectorbt's, which is not installed: pip install 'liqbt[trading]'"
        ) from None
    return vectorbt


def _funded(run: Run, plain: Portfolio, close: pd.DataFrame, funding: Funding) -> FloatArray | None:
    """Return what each closing order is charged for funding, as a share of its value.

    Payments r(k) are due at prices P(k); of a position that is closed at P it is ±Σ r(k) P(k) / P.
    """
    ts = _ns(close.index)
    payments = {s: _payments(run, s, funding, ts) for s in close.columns.unique("symbol")}
    if not any(len(times) for times, _ in payments.values()):
        return None
    charged = np.zeros(close.shape)
    paid = {}
    for symbol, (times, rates) in payments.items():
        within = (times > ts[0]) & (times <= ts[-1])
        times, rates = times[within], rates[within]
        price = close[symbol].to_numpy()[:, 0][np.searchsorted(ts, times, "right") - 1]
        due = np.zeros(len(ts))
        np.add.at(due, np.searchsorted(ts, times, "left"), rates * price)  # by the row after it
        paid[symbol] = np.cumsum(due)
    for row in plain.exit_trades.records.itertuples():
        due = paid[close.columns[row.col][0]]
        side = 1.0 if row.direction == 0 else -1.0
        owed = side * (due[row.exit_idx] - due[row.entry_idx])
        charged[row.exit_idx, row.col] += owed / row.exit_price
    return charged


def _payments(run: Run, symbol: str, funding: Funding, ts: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the times of a market's funding payments and the rates paid."""
    if funding is None:
        fed = run.funding(symbol)
        if fed is None:
            return np.zeros(0, np.int64), np.zeros(0)
        times, rates = fed["ts_known"], fed["rate"]
        span = np.minimum(np.diff(times, prepend=times[0] - _FUNDED_NS), _FUNDED_NS)
        return times, rates * span / _FUNDED_NS
    if isinstance(funding, float | int):
        times = np.arange(ts[0] // _FUNDED_NS + 1, ts[-1] // _FUNDED_NS + 1) * _FUNDED_NS
        rates = np.full(len(times), float(funding))
    else:
        held = funding[symbol] if isinstance(funding, Mapping) else funding
        index = pd.DatetimeIndex(held.index)
        if index.tz is None:
            raise DataError(f"funding of {symbol}: found times without a zone; expected UTC")
        times = _ns(index)
        rates = np.asarray(held, np.float64)
    if not np.isfinite(rates).all():
        raise DataError(f"funding of {symbol}: found a rate that is not finite")
    return times, rates


def compared(portfolio: Portfolio, *, trials: int | None = None, seed: int = 0) -> pd.DataFrame:
    """Return what each variant earned beside its placebos, paired by day.

    Parameters
    ----------
    portfolio : vectorbt.Portfolio
        As `portfolio` returns it.
    trials : int, optional
        Rules that were looked at before this one was chosen. By default all that are offered here,
        of every market; give more where more were tried, estimators and parameters included.
    seed : int
        Of the bootstrap of days.

    Returns
    -------
    DataFrame
        A row for each variant and what it is held against, `beside`: a placebo, or the strategy's
        first variant. `trades` and `trades_beside`; `mean_bp`, `beside_bp`, `difference_bp` with
        `ci_low_bp` and `ci_high_bp` (95 %, union of a HAC and a stationary-bootstrap interval): of
        daily returns, in hundredths of a percent of the money; `mde_bp`: the least difference that
        could have been seen; `n_days`. `sharpe` is of daily returns, a year of 365 days;
        `deflated_sharpe` the probability that it exceeds what the best of `trials` rules without
        skill would show (Bailey and López de Prado 2014, equation 2; by vectorbt, with 1/days as
        the variance of such rules' daily ratios).
    """
    value = portfolio.value().resample("1D").last()
    first = float(np.ravel(portfolio.init_cash)[0])
    daily = value.div(value.shift(fill_value=first)) - 1.0
    counts = portfolio.exit_trades.count()
    markets = daily.columns.unique("symbol")
    trials = OFFERED * len(markets) if trials is None else trials
    horizon_draws = draw(stream(seed, "bootstrap", "trading"), reps=REPS, n_days=len(daily))
    rows = []
    for symbol, variant, levels in daily.columns:
        if levels != LEVELS[0]:
            continue
        base = daily.columns.get_level_values("variant")[0]
        others = [(variant, name) for name in LEVELS[1:]]
        others += [(base, LEVELS[0])] if variant != base else []
        for name, kind in others:
            mine, theirs = daily[symbol, variant, levels], daily[symbol, name, kind]
            first_day = int(daily.index[0].value // DAY_NS)
            days = DaySums(
                total=(mine - theirs).to_numpy(),
                count=np.ones(len(daily)),
                size=(mine.abs() + theirs.abs()).to_numpy(),
                first_day=first_day,
            )
            found = estimate(days, HORIZON_NS, horizon_draws)
            rows.append(
                {
                    "symbol": symbol,
                    "variant": variant,
                    "beside": kind if name == variant else name,
                    "trades": int(counts[symbol, variant, levels]),
                    "trades_beside": int(counts[symbol, name, kind]),
                    "mean_bp": 1e4 * float(mine.mean()),
                    "beside_bp": 1e4 * float(theirs.mean()),
                    "difference_bp": 1e4 * found.value,
                    "ci_low_bp": 1e4 * found.ci_low,
                    "ci_high_bp": 1e4 * found.ci_high,
                    "mde_bp": 1e4 * found.mde,
                    "n_days": len(daily),
                    **_sharpe(mine, trials),
                }
            )
    return pd.DataFrame(rows).set_index(["symbol", "variant", "beside"])


def _sharpe(daily: pd.Series[float], trials: int) -> dict[str, float]:
    """Return a Sharpe ratio with what must stand beside it."""
    if float(daily.std()) == 0.0:
        return {"sharpe": math.nan, "trials": trials, "deflated_sharpe": math.nan}
    _vectorbt()
    accessor: Any = daily
    returns = accessor.vbt.returns(freq="1D", year_freq=f"{_YEAR_DAYS}D")
    unskilled = _YEAR_DAYS / len(daily)
    return {
        "sharpe": float(returns.sharpe_ratio()),
        "trials": trials,
        "deflated_sharpe": float(
            returns.deflated_sharpe_ratio(nb_trials=trials, var_sharpe=unskilled)
        ),
    }

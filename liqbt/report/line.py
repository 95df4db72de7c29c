"""The one line that a trading report would carry: what the map says, and nothing more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from liqbt.errors import ConfigError
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.report import formatting as fmt
from liqbt.report.tables import Chances, LevelRow, chances_of, nearest
from liqbt.types import Forecast, Ns, Side, Verdict

if TYPE_CHECKING:
    from liqbt.study.store import Run


def latest_forecast(forecasts: list[Forecast], at: Ns | None) -> Forecast | None:
    """Return the last forecast issued at or before `at` (the last of all where it is None)."""
    issued = [f for f in forecasts if at is None or f.at <= at]
    return max(issued, key=lambda f: f.at) if issued else None


def verdict_notes(verdicts: tuple[Verdict, ...]) -> list[str]:
    """Return what may be said beyond the map: the verdict's word, or that nothing was tested."""
    words = {verdict.claim: f"verdict {verdict.word.value}" for verdict in verdicts}
    return [
        f"{one.line}: {words[one.claim]}" if one.claim in words else f"{one.line} not tested"
        for one in STATISTICS
        if one.line
    ]


def _side_words(row: LevelRow | None, side: Side) -> str:
    where = "above" if side == Side.SHORT else "below"
    if row is None:
        return f"no cluster {where}"
    owner = "shorts" if side == Side.SHORT else "longs"
    band = f"{fmt.price(row.cluster.low)}–{fmt.price(row.cluster.high)}"
    far = f"{fmt.percent(row.distance, signed=True)}, {fmt.fixed(row.distance_sigma, 2)} σ"
    interval = f" [{row.interval_words}]" if row.interval_words else ""
    held = [owner, f"{fmt.usd(row.cluster.notional_usd)}{interval}", far]
    if not math.isnan(row.p):
        chance, null = fmt.percent(row.p, 0), fmt.percent(row.p_placebo, 0)
        held.append(f"P(visit in 24 h) {chance}, of a random level {null}")
    return f"nearest {where} {band} ({', '.join(held)})"


def _crowd_words(forecast: Forecast) -> str:
    reach = fmt.percent(forecast.asymmetry_reach, 0)
    side = forecast.crowded_side
    who = {Side.LONG: "longs", Side.SHORT: "shorts", Side.NONE: "neither"}[side]
    asymmetry = fmt.fixed(forecast.asymmetry, 2, signed=True)
    return f"crowded side {who} (asymmetry {asymmetry} within {reach})"


def forecast_line(
    forecast: Forecast,
    verdicts: tuple[Verdict, ...],
    *,
    price_stand_in: str | None,
    chances: Chances | None = None,
) -> str:
    """Write one forecast as one line.

    Parameters
    ----------
    forecast : Forecast
        What is written down.
    verdicts : tuple of Verdict
        The run's; of those claims that a line names, it gives the word.
    price_stand_in : str or None
        What stands in for the mark price; None where the run has one.
    chances : ndarray of float64, shape (n_clusters, 2), optional
        P(visit) of each cluster, and of a random level there: see `chances_of`.

    Returns
    -------
    str
        Without a line break. σ is the standard deviation of one day's log return, distances are
        to the near edge.
    """
    mark_word = "mark" if price_stand_in is None else "price in place of mark"
    head = (
        f"{fmt.one_line(forecast.symbol)} {fmt.instant(forecast.at)}, "
        f"{mark_word} {fmt.price(forecast.mark)}"
    )
    parts = [
        head,
        _side_words(nearest(forecast, Side.SHORT, chances), Side.SHORT),
        _side_words(nearest(forecast, Side.LONG, chances), Side.LONG),
        _crowd_words(forecast),
        *verdict_notes(verdicts),
    ]
    return "; ".join(parts)


def line(run: Run, symbol: str | None = None, at: Ns | None = None) -> str:
    """Write the last forecast issued at or before `at`, one line a symbol.

    Parameters
    ----------
    run : Run
        A finished run.
    symbol : str, optional
        One of the run's symbols; all of them where it is left out.
    at : int, optional
        Time in ns UTC; the end of the run where it is left out.

    Raises
    ------
    ConfigError
        If the run has no such symbol, or no forecast of it by then.
    """
    known = list(run.manifest["symbols"])
    if symbol is not None and symbol not in known:
        names = ", ".join(fmt.one_line(name) for name in known)
        raise ConfigError(f"symbol {fmt.one_line(symbol)} is not in this run, which has: {names}")
    lines = []
    for name in known if symbol is None else [symbol]:
        forecasts = run.forecasts(name)
        found = latest_forecast(forecasts, at)
        if found is None:
            shown = fmt.one_line(name)
            if not forecasts:
                raise ConfigError(f"the run holds no forecast of {shown}")
            when = fmt.instant(at if at is not None else 0)
            first = fmt.instant(min(f.at for f in forecasts))
            raise ConfigError(f"no forecast of {shown} at or before {when}: the first is {first}")
        stand_in = run.manifest["symbols"][name].get("price_stand_in")
        lines.append(
            forecast_line(
                found, run.verdicts, price_stand_in=stand_in, chances=chances_of(run, found)
            )
        )
    return "\n".join(lines)

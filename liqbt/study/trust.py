"""Only the map is believed: mark, σ and open interest of a forecast are those of the tape.

An estimator says where liquidations lie: densities, clusters, stated probabilities. What everything
is measured from and in is read from the events themselves, as of the time of issue. An estimator
whose own mark or σ is another has drawn its map about another price, and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from liqbt.config.fields import duration_ns, format_duration
from liqbt.errors import DataError
from liqbt.estimators.config import MapParams
from liqbt.estimators.state import Reading, market_readings
from liqbt.forecasts import column, kept_forecasts, restated
from liqbt.study.estimator_config import params_of
from liqbt.study.estimators import market_spec
from liqbt.study.schema import Experiment
from liqbt.tape.values import Tape
from liqbt.types import Forecast, Kind, Ns

MARK_TOLERANCE: Final = 0.01
"""How far an estimator's mark may lie from the tape's, in σ of a day."""

SIGMA_TOLERANCE: Final = 0.01
"""How far its σ may lie from the tape's, as a share of that."""

_SAMPLINGS: Final = tuple(
    duration_ns(text) for text in ("5min", "15min", "30min", "1h", "2h", "4h")
)
_SAMPLE: Final = 2016
_RULE: Final = ("sigma_window", "sigma_sampling", "sigma_min_coverage")


def sampled_as(tape: Tape, kind: Kind, of: str) -> Ns:
    """Return how finely σ is sampled where nobody says: no finer than the price feed.

    That is 5 minutes, or where the feed is coarser the next of a few round spacings. The feed's
    spacing is the median of its first 2,016 prices: a prefix, so that later ones cannot move what
    was issued before them.

    Parameters
    ----------
    tape : Tape
        The events.
    kind : Kind
        Of the price.
    of : str
        Whose price it is, for messages.

    Raises
    ------
    DataError
        If prices are more than four hours apart.
    """
    at = np.unique(tape.of(kind)["ts_event"][:_SAMPLE])
    spacing = int(np.median(np.diff(at))) if len(at) > 1 else 0
    for sampling in _SAMPLINGS:
        if spacing <= sampling + sampling // 20:
            return sampling
    raise DataError(
        f"the {kind.name.lower()} of {of} comes every {format_duration(spacing)}; σ needs "
        f"a price every {format_duration(_SAMPLINGS[-1])} or sooner"
    )


def sigma_rule(experiment: Experiment, symbol: str, name: str, tape: Tape) -> MapParams:
    """Return by which rule σ of an estimator's forecasts is taken from the tape.

    Window, sampling and coverage are what the estimator's own parameters say of them, since an
    experiment states these openly: another window is another σ, and no wrong one. Of what they do
    not say, METHOD's defaults hold, sampled no finer than the feed.

    Parameters
    ----------
    experiment, symbol, tape
        The market.
    name : str
        Of the estimator; empty: the first.
    """
    chosen = experiment.estimators_of(symbol)
    config = chosen[name or next(iter(chosen))]
    params = params_of(config, f"estimators.{name}.params")
    if isinstance(params, MapParams):
        return params
    given: dict[str, Any] = {key: getattr(params, key) for key in _RULE if hasattr(params, key)}
    if "sigma_sampling" not in given:
        given["sigma_sampling"] = sampled_as(tape, experiment.symbols[symbol].price_kind, symbol)
    return MapParams(**given)


def believed(
    experiment: Experiment, symbol: str, forecasts: Sequence[Forecast], tape: Tape, name: str = ""
) -> Sequence[Forecast]:
    """Return an estimator's maps with the tape's mark, σ and open interest, held as they were.

    Where the tape gives no σ there is no forecast.

    Parameters
    ----------
    experiment, symbol, tape, name
        As in `sigma_rule`.
    forecasts : sequence of Forecast
        What was issued, in order.

    Raises
    ------
    DataError
        If a mark or a σ is not the tape's, within `MARK_TOLERANCE` and `SIGMA_TOLERANCE`: names
        estimator, market and time, with both numbers.
    """
    rule = sigma_rule(experiment, symbol, name, tape)
    at = column(forecasts, "at")
    readings = market_readings(tape.events, at, rule, market_spec(experiment, symbol))
    told = np.isfinite(readings["sigma_1d"])
    issued, readings = kept_forecasts(forecasts, told), readings[told]
    mark, sigma = column(issued, "mark"), column(issued, "sigma_1d")
    apart = np.abs(np.log(mark / readings["mark"])) / readings["sigma_1d"]
    other = np.abs(sigma / readings["sigma_1d"] - 1.0)
    for i in np.flatnonzero(~((apart <= MARK_TOLERANCE) & (other <= SIGMA_TOLERANCE))).tolist():
        reading = Reading._make(readings[i].tolist())
        _check(issued[i], reading, name or next(iter(experiment.estimators)))
    return restated(issued, readings)


def _check(forecast: Forecast, reading: Reading, name: str) -> None:
    """Refuse a forecast whose mark or σ is not the tape's."""
    apart = abs(math.log(forecast.mark / reading.mark)) / reading.sigma_1d
    other = abs(forecast.sigma_1d / reading.sigma_1d - 1.0)
    if apart <= MARK_TOLERANCE and other <= SIGMA_TOLERANCE:
        return
    moment = np.datetime64(forecast.at, "ns").astype("datetime64[s]")
    if not apart <= MARK_TOLERANCE:
        said = (
            f"a mark of {forecast.mark:.10g} where the tape's is {reading.mark:.10g}, "
            f"{apart:.2g} σ of a day apart; expected within {MARK_TOLERANCE:g} σ"
        )
    else:
        said = (
            f"a σ of {forecast.sigma_1d:.4g} a day where the tape's is {reading.sigma_1d:.4g}, "
            f"{other:.0%} apart; expected within {SIGMA_TOLERANCE:.0%}"
        )
    raise DataError(f"estimator {name}, asked for {moment}Z of {forecast.symbol}, issued {said}")

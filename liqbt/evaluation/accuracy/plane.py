"""The 85 % audit: the plane of horizons and distances, with no information and with the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.accuracy.hits import market_readings
from liqbt.evaluation.accuracy.landmarks import Landmarks, market_landmarks, scored_span_ns
from liqbt.evaluation.accuracy.levels import PlainLevels, plain_levels
from liqbt.evaluation.accuracy.rows import CellRow, ReadingRow, cell_rows, reading_rows
from liqbt.evaluation.accuracy.rule import ReadingVerdict, reading_verdicts
from liqbt.evaluation.config import METHOD, MarketInput, horizon_name
from liqbt.evaluation.inference.days import Draws, draw
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Ns

DEFAULT_HORIZONS_NS: Final = tuple(hours * HOUR_NS for hours in (1, 2, 4, 8, 24, 72, 168))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneConfig:
    """The protocol of the audit.

    Attributes
    ----------
    horizons_ns : tuple of int
        Horizons, increasing.
    latency_ns : int
        From issue to the first moment that is watched.
    step_sigma, reach_sigma : float
        Plain levels lie this far apart, from 0 to the reach, in σ_h.
    edges : tuple of float
        Edges of the cells of the map, in σ_h.
    target : float
        The rate whose place on the plane is looked for.
    least_landmarks : int
        A horizon with fewer watched windows in every market is not shown.
    bootstrap_reps : int
        Replications of the stationary bootstrap of days.
    """

    horizons_ns: tuple[Ns, ...] = DEFAULT_HORIZONS_NS
    latency_ns: Ns = METHOD.latency
    step_sigma: float = 0.05
    reach_sigma: float = 3.0
    edges: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
    target: float = 0.85
    least_landmarks: int = 8
    bootstrap_reps: int = METHOD.bootstrap_reps

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names what was found and what is expected.
        """
        names = [horizon_name(h) for h in self.horizons_ns]
        if not names or list(self.horizons_ns) != sorted(set(self.horizons_ns)):
            raise ConfigError(
                f"claims plane: found horizons {', '.join(names) or 'none'}; "
                "expected one or more, increasing, each once"
            )
        if self.horizons_ns[0] <= self.latency_ns:
            raise ConfigError(
                f"claims plane: found a horizon of {names[0]}; expected it longer than the "
                f"latency of {horizon_name(self.latency_ns)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """The audit's result.

    Attributes
    ----------
    symbols : tuple of str
        Markets.
    n_days : int
        UTC days from the first landmark to the last.
    sigma_1d : float
        Median volatility of a day, as a log return.
    target : float
        The rate that is looked for.
    levels : tuple of PlainLevels
        No information, by horizon.
    readings : tuple of ReadingRow
        The map, by symbol (several markets: each, then pooled), horizon and reading.
    cells : tuple of CellRow
        The map over the plane, pooled.
    verdicts : tuple of ReadingVerdict
        What claim 10 comes to, for each reading at its horizon.
    """

    symbols: tuple[str, ...]
    n_days: int
    sigma_1d: float
    target: float
    levels: tuple[PlainLevels, ...]
    readings: tuple[ReadingRow, ...]
    cells: tuple[CellRow, ...]
    verdicts: tuple[ReadingVerdict, ...]


def supported_horizons(markets: Sequence[MarketInput], config: PlaneConfig) -> tuple[Ns, ...]:
    """Return the horizons that the data can show.

    Raises
    ------
    DataError
        If none is left; says how many windows are needed.
    """
    shortest = min(scored_span_ns(market) for market in markets)
    found = [
        horizon_ns
        for horizon_ns in config.horizons_ns
        if horizon_ns <= shortest
        and max(len(marks) for marks in _landmarks(markets, horizon_ns, config))
        >= config.least_landmarks
    ]
    if not found:
        raise DataError(
            f"claims plane: too few landmarks, none of the horizons "
            f"{', '.join(horizon_name(h) for h in config.horizons_ns)} has "
            f"{config.least_landmarks} windows that do not overlap and were watched through"
        )
    return tuple(found)


def _landmarks(
    markets: Sequence[MarketInput], horizon_ns: Ns, config: PlaneConfig
) -> list[Landmarks]:
    return [
        market_landmarks(market, horizon_ns=horizon_ns, latency_ns=config.latency_ns)
        for market in markets
    ]


def audit_plane(
    markets: Sequence[MarketInput],
    config: PlaneConfig,
    rng: np.random.Generator,
    *,
    withheld: str | None,
) -> Plane:
    """Draw the plane.

    Parameters
    ----------
    markets : sequence of MarketInput
        Forecasts to be scored, and the prices that decide.
    config : PlaneConfig
        The protocol.
    rng : numpy.random.Generator
        For the bootstrap.
    withheld : str or None
        Why claim 10's verdict is withheld; None where its test has passed the validity gate.

    Raises
    ------
    DataError
        If a horizon is longer than the data or has too few landmarks; says how many are needed.
    """
    found = [_landmarks(markets, horizon_ns, config) for horizon_ns in config.horizons_ns]
    for horizon_ns, marks in zip(config.horizons_ns, found, strict=True):
        _refuse_few(marks, horizon_ns, config)
    days = np.concatenate([part.at for marks in found for part in marks]) // DAY_NS
    n_days = int(np.ptp(days)) + 1
    draws = draw(rng, reps=config.bootstrap_reps, n_days=n_days)
    levels: list[PlainLevels] = []
    readings: list[ReadingRow] = []
    cells: list[CellRow] = []
    for marks in found:
        some = [(m, part) for m, part in zip(markets, marks, strict=True) if len(part)]
        plain, rows, mapped = _horizon(some, config, draws)
        levels.append(plain)
        readings += rows
        cells += mapped
    symbols = tuple(market.symbol for market in markets)
    order = {symbol: i for i, symbol in enumerate((*symbols, POOLED))}
    sigma = np.concatenate([part.sigma_1d for part in found[0]])
    pooled = [row for row in readings if row.symbol == POOLED]
    return Plane(
        symbols=symbols,
        n_days=n_days,
        sigma_1d=float(np.median(sigma)),
        target=config.target,
        levels=tuple(levels),
        readings=tuple(sorted(readings, key=lambda row: order[row.symbol])),
        cells=tuple(cells),
        verdicts=reading_verdicts(pooled, withheld=withheld),
    )


def _refuse_few(marks: Sequence[Landmarks], horizon_ns: Ns, config: PlaneConfig) -> None:
    most = max(len(part) for part in marks)
    if most < config.least_landmarks:
        raise DataError(
            f"claims plane: found {most} landmarks at {horizon_name(horizon_ns)} (windows that do "
            f"not overlap and were watched through); at least {config.least_landmarks} are needed"
        )


def _horizon(
    markets: Sequence[tuple[MarketInput, Landmarks]], config: PlaneConfig, draws: Draws
) -> tuple[PlainLevels, list[ReadingRow], list[CellRow]]:
    """Return one horizon: plain levels, the readings of each market and pooled, the cells."""
    horizon = horizon_name(markets[0][1].horizon_ns)
    steps = round(config.reach_sigma / config.step_sigma)
    grid: FloatArray = np.linspace(0.0, config.step_sigma * steps, steps + 1, dtype=np.float64)
    plain = plain_levels(
        horizon, [(marks, m.path.spacing_ns) for m, marks in markets], grid, config.target
    )
    scored = [(marks, market_readings(market.path, marks)) for market, marks in markets]
    rows = reading_rows(POOLED, horizon, scored, draws)
    if len(markets) > 1:
        for (market, _), part in zip(markets, scored, strict=True):
            rows += reading_rows(market.symbol, horizon, [part], draws)
    else:  # one market is all of them
        rows += [replace(row, symbol=markets[0][0].symbol) for row in rows]
    walk = (grid, np.array(plain.brownian_level), np.array(plain.brownian_pair))
    paths = [(market.path, marks) for market, marks in markets]
    return plain, rows, cell_rows(horizon, paths, np.array(config.edges), walk, draws)

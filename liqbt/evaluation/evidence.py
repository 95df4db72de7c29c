"""What was observed of the markets of a study, and what was issued for it: tables, one row a unit.

`Evidence` is everything that statistics read. Each table is made when it is first asked for, so
that only those are made that the chosen statistics need:

- *episodes*: the life of each cluster (`OUTCOME_DTYPE`), with p̂ of it and of its mirror image;
- *landmarks*: windows that do not overlap (`FIRST_SIDE_DTYPE`), with calibrated probabilities, and
  those of the primary horizon with their covariates and models (`LANDMARK_DTYPE`);
- *levels*: units and clusters (`VISIT_DTYPE`), with the probability that they are visited;
- *dose*: how visits at one distance on both sides of the mark answer to density, by day (`Dose`);
- *hours*: every forecast, with its near asymmetry and the return after it (`Hours`);
- *bursts*: moments at which positions were forced, and moments at which none were, with what led
  to them and what followed (`Bursts`), and the next cluster ahead of each (`NextLevels`);
- *touches*: arrivals at bins of a standing map (`TOUCH_DTYPE`), and what followed;
- *crossings*: an hour and a side (`CROSSING_DTYPE`): what the price crosses of each map, and what
  was forced, with the models of it that walk forward;
- *walls*: bands of published depth before clusters (`WalledClusters`).

Everything that learns walks forward: what was issued for a row rests on outcomes that were final
before it, of the rows that are scored and of `training`, which is learnt from alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.accuracy.hits import Reading, market_readings
from liqbt.evaluation.accuracy.landmarks import every_landmark, phases, scored_span_ns
from liqbt.evaluation.bins import Dose, anchors_of, market_dose
from liqbt.evaluation.bursts import (
    Bursts,
    NextLevels,
    hour_bursts,
    instant_bursts,
    next_levels,
)
from liqbt.evaluation.config import PRIMARY_NS, EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.covariates import LANDMARK_DTYPE, landmark_table
from liqbt.evaluation.crossings import crossing_table
from liqbt.evaluation.episodes import MarketClusters, flatten
from liqbt.evaluation.first_passage import market_first_sides
from liqbt.evaluation.forced_models import ForcedModels, forced_models
from liqbt.evaluation.hours import RETURNS_NS, Hours, hours_over, market_hours
from liqbt.evaluation.inference.days import stream
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.evaluation.levels import VISIT_DTYPE, cluster_levels, current_levels, unit_levels
from liqbt.evaluation.nulls.levels import covariates
from liqbt.evaluation.nulls.placebo import (
    Placebo,
    PlaceboConfig,
    fit_placebo,
    placebo_probability,
)
from liqbt.evaluation.outcomes import market_outcomes, market_windows
from liqbt.evaluation.path import Censor
from liqbt.evaluation.touches import Matched, touch_table
from liqbt.evaluation.walls import WalledClusters, walled_clusters
from liqbt.forecasts import column
from liqbt.learn.models import (
    MAP_COVARIATES,
    LandmarkPredictions,
    VisitModels,
    VisitPredictions,
    calibrate_landmarks,
    fit_visits,
    predict_landmarks,
    predict_visits,
)
from liqbt.learn.walk import ModelOptions
from liqbt.types import DAY_NS, FloatArray, IntArray, Mask, Ns

Table: TypeAlias = npt.NDArray[Any]

LEVELS: Final = ("units", "clusters")
"""Kinds of levels that a probability of a visit is stated for."""

SCORED: Final = "scored"
TRAINING: Final = "training"
_AT_EVERY_HORIZON: Final = ("episodes", "placebo", "landmarks", "dose", "hours")
OF_EVERY: Final = ("structures", "twin", "readings")
"""What a statistic needs of every market; of the rest it needs some market's."""
AT_PRIMARY: Final = ("touches", "crossings", "readings")
"""What there is at the primary horizon alone."""
_LARGE: Final = ("episodes", "placebo", "readings")
"""Tables of one market and horizon, by the first and the last part of their keys."""
_AT_ONCE: Final = 512
"""Forecasts whose clusters are looked at together."""
_OF_ONE_PATH: Final = 10.0
"""Episodes that begin on one side in a day share one path: about so many count as one."""

CHANCE_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("at", "<i8"),
        ("distance_sigma", "<f8"),
        ("p", "<f8"),
        ("p_placebo", "<f8"),
    ]
)
"""One row a cluster and forecast. `distance_sigma`: of the near edge in σ of the primary horizon, 0
or less where the mark is inside. `p_placebo`: p̂, P(visit) within that horizon that random levels of
the past give at the same distance, side and time; `p`: that, with what earlier clusters add to it.
Both NaN outside the distances that are scored, and until a model has been fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRow:
    """How many are left at each step, for one symbol and horizon.

    Attributes
    ----------
    symbol, horizon : str
        Market and horizon.
    snapshots : int
        Forecasts.
    clusters : int
        Clusters in all of them, each counted as often as it was issued.
    inside : int
        Of these, already reached at issue: flagged, never a hit.
    eligible : int
        Of these, within the distances that count.
    episodes : int
        Distinct lives among the eligible.
    censored : int
        Episodes whose window was not watched through.
    scored : int
        Episodes with an outcome.
    """

    symbol: str
    horizon: str
    snapshots: int
    clusters: int
    inside: int
    eligible: int
    episodes: int
    censored: int
    scored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkRow:
    """How many landmarks are left at each step, for one symbol and horizon.

    Attributes
    ----------
    symbol, horizon : str
        Market and horizon.
    landmarks : int
        Non-overlapping windows.
    one_sided : int
        Of these, without an eligible cluster on one side or both: not scored.
    censored : int
        Of the others, not watched through.
    scored : int
        With an outcome.
    ties : int
        Of the scored, both sides touched in one bar.
    """

    symbol: str
    horizon: str
    landmarks: int
    one_sided: int
    censored: int
    scored: int
    ties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What happened, before any calibration or statistic.

    Attributes
    ----------
    symbols : tuple of str
        Markets; `symbol` in the arrays indexes them.
    outcomes : ndarray of OUTCOME_DTYPE
        Eligible and inside clusters, by symbol, horizon, forecast, cluster.
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Landmarks, by symbol, horizon, time.
    flow : tuple of FlowRow
        Counts of episodes.
    landmarks : tuple of LandmarkRow
        Counts of landmarks.
    """

    symbols: tuple[str, ...]
    outcomes: npt.NDArray[Any]
    first_sides: npt.NDArray[Any]
    flow: tuple[FlowRow, ...]
    landmarks: tuple[LandmarkRow, ...]


def observe(markets: Sequence[MarketInput], config: EvaluationConfig) -> Observed:
    """Decide what befell every cluster and every landmark.

    Raises
    ------
    ConfigError
        If there is no market, or two have one name.
    DataError
        If forecasts or paths cannot be right.
    """
    require_names(tuple(market.symbol for market in markets))
    return joined([observe_market(market, config) for market in markets])


def require_names(symbols: tuple[str, ...]) -> None:
    """Refuse no market, or two of one name.

    Raises
    ------
    ConfigError
        Says which there are.
    """
    if not symbols or len(set(symbols)) < len(symbols) or POOLED in symbols:
        raise ConfigError(
            f"evaluation: found markets {list(symbols)}; expected at least one, each once, "
            f"none called '{POOLED}'"
        )


def observe_market(market: MarketInput, config: EvaluationConfig) -> Observed:
    """Decide what befell every cluster and every landmark of one market, which is number 0."""
    flat = flatten(market.symbol, market.forecasts)
    windows = market_windows(flat, market.path, config)
    outcomes = market_outcomes(market, flat, windows, config, symbol=0)
    first_sides = market_first_sides(market, flat, windows, config, symbol=0)
    return Observed(
        symbols=(market.symbol,),
        outcomes=outcomes,
        first_sides=first_sides,
        flow=tuple(_flow(market.symbol, flat, outcomes, config)),
        landmarks=tuple(_landmarks(market.symbol, first_sides, config)),
    )


def joined(parts: Sequence[Observed]) -> Observed:
    """Return what was observed of markets apart, numbered in this order."""
    if len(parts) == 1:
        return parts[0]
    return Observed(
        symbols=tuple(symbol for part in parts for symbol in part.symbols),
        outcomes=numbered([part.outcomes for part in parts]),
        first_sides=numbered([part.first_sides for part in parts]),
        flow=tuple(row for part in parts for row in part.flow),
        landmarks=tuple(row for part in parts for row in part.landmarks),
    )


def numbered(tables: Sequence[Table]) -> Table:
    """Return the tables of markets as one: `symbol` of the rows of the i-th is i."""
    rows = np.concatenate(tables)
    rows["symbol"] = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return rows


def _flow(
    symbol: str, flat: MarketClusters, outcomes: npt.NDArray[Any], config: EvaluationConfig
) -> list[FlowRow]:
    result = []
    for horizon_ns in config.horizons_ns:
        mine = outcomes["horizon_ns"] == horizon_ns
        births = mine & outcomes["birth"]
        episodes = int(births.sum())
        censored = int((births & (outcomes["censor"] != Censor.NONE)).sum())
        result.append(
            FlowRow(
                symbol=symbol,
                horizon=horizon_name(horizon_ns),
                snapshots=len(flat.at),
                clusters=len(flat.clusters),
                inside=int(flat.inside.sum()),
                eligible=int((mine & outcomes["eligible"]).sum()),
                episodes=episodes,
                censored=censored,
                scored=episodes - censored,
            )
        )
    return result


def _landmarks(
    symbol: str, first_sides: npt.NDArray[Any], config: EvaluationConfig
) -> list[LandmarkRow]:
    result = []
    for horizon_ns in config.horizons_ns:
        rows = first_sides[first_sides["horizon_ns"] == horizon_ns]
        one_sided = np.isnan(rows["up"]) | np.isnan(rows["down"])
        result.append(
            LandmarkRow(
                symbol=symbol,
                horizon=horizon_name(horizon_ns),
                landmarks=len(rows),
                one_sided=int(one_sided.sum()),
                censored=int((~one_sided & (rows["censor"] != Censor.NONE)).sum()),
                scored=int(rows["scored"].sum()),
                ties=int(rows["tie"].sum()),
            )
        )
    return result


def counted(outcomes: Table) -> Table:
    """Return the watched rows that any subset counts: births, of episodes and of the densest ones.

    Most rows are later sightings of a cluster that lives on, which count nowhere.
    """
    born = outcomes["birth"] | outcomes["densest_birth"]
    return np.asarray(outcomes[born & (outcomes["censor"] == Censor.NONE)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """The observed tables of the markets of a study, for one estimator.

    Attributes
    ----------
    markets : sequence of MarketInput
        Forecasts to be scored, and the prices that decide; two have no name in common.
    config : EvaluationConfig
        The protocol.
    training : sequence of MarketInput
        What was issued before: it is learnt from, each outcome when it has matured, and not scored.
    root : int
        Root seed: each purpose has a stream of its own.
    estimator : str
        Whose forecasts, by the experiment's name for it.
    stated : callable, optional
        Probabilities of a visit that somebody stated: takes rows of OUTCOME_DTYPE, gives one for
        each, NaN where none was stated.
    shared : dict
        What does not depend on a map is made once for all evidence of the same prices that is
        given the same: the fits of the placebo model.

    Raises
    ------
    ConfigError
        If there is no market, or two have one name.
    DataError
        If forecasts or paths cannot be right.
    """

    markets: Sequence[MarketInput]
    config: EvaluationConfig
    training: Sequence[MarketInput] = ()
    root: int = 0
    estimator: str = ""
    stated: Callable[[Table], FloatArray] | None = None
    shared: dict[Any, Any] = field(default_factory=dict, repr=False)
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the markets, by number."""
        return tuple(market.symbol for market in self.markets)

    @cached_property
    def observed(self) -> Observed:
        """What befell every cluster and every landmark.

        Of markets that were summed apart (`liqbt.evaluation.parts`) only the clusters that begin
        an episode.
        """
        require_names(self.symbols)
        return self._observed(SCORED, self.markets)

    @cached_property
    def trained(self) -> Observed | None:
        """What befell those of `training`; None where there is none."""
        return self._observed(TRAINING, self.training) if self.training else None

    def _observed(self, role: str, markets: Sequence[MarketInput]) -> Observed:
        made = [self._made.get(("observed", role, one.symbol)) for one in markets]
        return joined(
            [
                observe_market(market, self.config) if part is None else part
                for market, part in zip(markets, made, strict=True)
            ]
        )

    def levels_of(self, kind: str, role: str, number: int) -> Table:
        """Return the levels of a kind of one market, scored or learnt from, as number 0."""
        markets, seen = self.markets, self.observed
        if role == TRAINING:
            assert self.trained is not None
            markets, seen = self.training, self.trained
        market = markets[number]

        def make() -> Table:
            if kind == "units":
                return unit_levels([market], self.config)
            mine = seen.outcomes[seen.outcomes["symbol"] == number]
            mine["symbol"] = 0
            return cluster_levels(mine, [market], self.config)

        found: Table = self.once(("levels of", kind, role, market.symbol), make)
        return found

    def issued_days(self, number: int) -> tuple[int, ...]:
        """Return the first and the last UTC day on which forecasts of a market were issued."""
        market = self.markets[number]

        def make() -> tuple[int, ...]:
            days = (column(market.forecasts, "at") // PRIMARY_NS).tolist()
            return (min(days), max(days)) if days else ()

        found: tuple[int, ...] = self.once(("days", market.symbol), make)
        return found

    def has(self, need: str, horizon_ns: Ns) -> bool:
        """Return whether something was observed that a statistic may need.

        Parameters
        ----------
        need : str
            `episodes`, `placebo`, `landmarks`, `dose`, `hours`: at every horizon. `models` (of
            landmarks), `levels`, `readings` (of a hit): at the primary one. `structures`, `twin`:
            maps that stand beside the market's own. `stated`: probabilities that somebody stated,
            for episodes of the horizon. `bursts`, `burst_hours`, `depth`: forced flow, and depth,
            of any market. `crossings`: its forced notional by the hour, at the primary one.
            `touches`: there, of a path that is fine enough to show them.
        horizon_ns : int
            Horizon.
        """
        primary = horizon_ns == PRIMARY_NS
        if need in _AT_EVERY_HORIZON:
            return True
        if need == "models":
            return primary and len(self.models[0]) > 0
        if need == "levels":
            return primary
        if need in AT_PRIMARY and not primary:
            return False
        every = all if need in OF_EVERY else any
        return every(self.market_has(need, i, horizon_ns) for i in range(len(self.markets)))

    def market_has(self, need: str, number: int, horizon_ns: Ns) -> bool:
        """Return whether of one market something was observed."""
        market = self.markets[number]
        found: dict[str, Callable[[], bool]] = {
            "depth": lambda: market.depth is not None,
            "bursts": lambda: self.bursts(number) is not None,
            "burst_hours": lambda: self.burst_hours(number) is not None,
            "structures": lambda: bool(market.competing_maps),
            "twin": lambda: bool(market.twin),
            "stated": lambda: (
                self.stated is not None
                and bool((~np.isnan(self.stated_of(number, horizon_ns))).any())
            ),
            "touches": lambda: len(self.touches(number)) > 0,
            "crossings": lambda: market.forced is not None,
            "readings": lambda: scored_span_ns(market) >= horizon_ns,
        }
        if need not in found:
            return False
        there: bool = self.once(("has", need, market.symbol, horizon_ns), found[need])
        return there

    @property
    def held(self) -> Mapping[Any, Any]:
        """What was made so far, by its key."""
        return self._made

    def holding(self, made: Mapping[Any, Any]) -> Evidence:
        """Return this evidence with what was made of its markets elsewhere."""
        self._made.update(made)
        return self

    def let_go(self, horizon_ns: Ns) -> None:
        """Hold the large tables of one horizon no longer: who asks again has them made again."""
        for key in [key for key in self._made if key[0] in _LARGE and key[-1] == horizon_ns]:
            del self._made[key]

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what was made under a key, which is made when it is first asked for."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def episodes(self, market: int, horizon_ns: Ns) -> Table:
        """Return the watched births of one market and horizon, OUTCOME_DTYPE."""

        def make() -> Table:
            rows = self.once("counted", lambda: counted(self.observed.outcomes))
            mine = (rows["symbol"] == market) & (rows["horizon_ns"] == horizon_ns)
            return np.asarray(rows[mine])

        found: Table = self.once(("episodes", market, horizon_ns), make)
        return found

    def stated_of(self, market: int, horizon_ns: Ns) -> FloatArray:
        """Return the stated probabilities of `episodes`, NaN where none was stated."""
        rows = self.episodes(market, horizon_ns)
        return np.full(len(rows), np.nan) if self.stated is None else self.stated(rows)

    def placebo(self, market: int, horizon_ns: Ns) -> tuple[FloatArray, FloatArray]:
        """Return p̂ of `episodes`, and of their mirror images; NaN where a cluster lies inside."""

        def make() -> tuple[FloatArray, FloatArray]:
            return self.placebo_of(self.episodes(market, horizon_ns), market, horizon_ns)

        found: tuple[FloatArray, FloatArray] = self.once(("placebo", market, horizon_ns), make)
        return found

    def placebo_of(self, rows: Table, market: int, horizon_ns: Ns) -> tuple[FloatArray, FloatArray]:
        """Return p̂ of clusters of one market and horizon, as it was known when they were issued.

        What befell the clusters is not looked at. Each market and horizon draws its random levels
        from a stream of its own.
        """
        if not len(rows):
            return np.zeros(0), np.zeros(0)
        return cluster_placebo(self._placebo_model(market, horizon_ns), rows)

    def _placebo_model(self, market: int, horizon_ns: Ns) -> Placebo:
        source, latency_ns = self.markets[market], self.config.latency_ns
        anchors = source.anchors or anchors_of(source.forecasts)
        of_anchors = tuple(getattr(anchors, f.name).tobytes() for f in fields(anchors))
        key = ("placebo", source.symbol, horizon_ns, latency_ns, self.root, of_anchors)
        if key not in self.shared:
            self.shared[key] = fit_placebo(
                anchors,
                source.path,
                PlaceboConfig(),
                horizon_ns=horizon_ns,
                latency_ns=latency_ns,
                rng=stream(self.root, "placebo", source.symbol, horizon_name(horizon_ns)),
            )
        found: Placebo = self.shared[key]
        return found

    @cached_property
    def chances(self) -> Table:
        """P(visit) within the primary horizon of every cluster of every forecast, CHANCE_DTYPE.

        Market by market, forecast by forecast, cluster by cluster. p is p̂ tilted by what the
        density rank and the asymmetry of earlier episodes taught, final by the last refit.
        """
        models, parts = self.visit_models, [np.zeros(0, CHANCE_DTYPE)]
        for i in range(len(self.markets)):
            for rows in self.current_of(i):
                found = chances_of(rows, models, self.config)
                found["symbol"] = i
                parts.append(found)
        return np.concatenate(parts)

    @cached_property
    def visit_models(self) -> VisitModels | None:
        """What all markets together taught of clusters; None where 24 h is not scored."""
        if PRIMARY_NS not in self.config.horizons_ns:
            return None
        roles = [(TRAINING, i) for i in range(len(self.training))]
        roles += [(SCORED, i) for i in range(len(self.markets))]
        options = ModelOptions(
            ridge=_OF_ONE_PATH * self.config.ridge,
            ridge_constant=_OF_ONE_PATH * ModelOptions().ridge_constant,
        )
        training = np.concatenate([self._born(role, i) for role, i in roles])
        at = [self.asked_of(i) for i in range(len(self.markets))]
        asked = np.concatenate([training["at"], *at])
        return fit_visits(training, options, asked=asked, models={"map": MAP_COVARIATES})

    def asked_of(self, number: int) -> IntArray:
        """Return at which refits of models clusters of a market are asked about."""
        market = self.markets[number]

        def make() -> IntArray:
            at = [asked_at(rows, self.config) for rows in self.current_of(number)]
            return np.unique(np.concatenate([np.zeros(0, np.int64), *at]))

        found: IntArray = self.once(("asked", market.symbol), make)
        return found

    def current_of(self, number: int) -> Iterator[Table]:
        """Yield every cluster of every forecast of one market, VISIT_DTYPE, as number 0, by parts.

        `brownian` is p̂ at the distances that are scored.
        """
        market = self.markets[number]
        if not len(market.forecasts):
            return
        if PRIMARY_NS not in self.config.horizons_ns:
            known = covariates(market.anchors or anchors_of(market.forecasts), market.path)
        else:
            known = self._placebo_model(number, PRIMARY_NS).known
        for first in range(0, len(market.forecasts), _AT_ONCE):
            rows = current_levels(market, self.config, known, first, _AT_ONCE)
            if PRIMARY_NS in self.config.horizons_ns:
                asked = _asked(rows, self.config)
                rows[asked] = self._from_placebo(rows[asked], number)
            yield rows

    def born_of(self, role: str, number: int) -> Table:
        """Return `levels_of` clusters of one market with p̂ in the place of `brownian`."""
        symbol = (self.training if role == TRAINING else self.markets)[number].symbol

        def make() -> Table:
            rows = self.levels_of("clusters", role, number)
            return self._from_placebo(rows, self.symbols.index(symbol))

        found: Table = self.once(("born", role, symbol), make)
        return found

    def _born(self, role: str, number: int) -> Table:
        rows = self.born_of(role, number).copy()
        symbol = (self.training if role == TRAINING else self.markets)[number].symbol
        rows["symbol"] = self.symbols.index(symbol)
        return rows

    def _from_placebo(self, rows: Table, number: int) -> Table:
        """Return levels of one market with p̂ as the probability that a model starts from."""
        based = rows.copy()
        if len(rows):
            model = self._placebo_model(number, PRIMARY_NS)
            based["brownian"] = _of_random_levels(model, rows)
        return based

    @cached_property
    def first_sides(self) -> Table:
        """Landmarks of all markets and horizons with their calibrated probabilities."""
        rows = self.observed.first_sides.copy()
        older = None if self.trained is None else self.trained.first_sides
        for horizon_ns in self.config.horizons_ns:
            mine = rows["horizon_ns"] == horizon_ns
            early = None if older is None else older[older["horizon_ns"] == horizon_ns]
            rows[mine] = calibrate_landmarks(rows[mine], ridge=self.config.ridge, training=early)
        return rows

    def landmarks(self, market: int, horizon_ns: Ns) -> Table:
        """Return the scored landmarks of one market and horizon, FIRST_SIDE_DTYPE."""
        rows = self.first_sides
        mine = (rows["symbol"] == market) & (rows["horizon_ns"] == horizon_ns) & rows["scored"]
        return np.asarray(rows[mine])

    @cached_property
    def models(self) -> tuple[Table, LandmarkPredictions]:
        """Landmarks of the primary horizon with covariates, LANDMARK_DTYPE, and their models."""
        table = landmark_tables(self.observed.first_sides, self.markets, self.config)
        early = None
        if self.trained is not None:
            early = landmark_tables(self.trained.first_sides, self.training, self.config)
        options = ModelOptions(ridge=self.config.ridge)
        return table, predict_landmarks(table, options, training=early)

    def levels(self, kind: str) -> tuple[Table, VisitPredictions]:
        """Return the levels of a kind of all markets, VISIT_DTYPE, and what was issued for them."""

        def drawn(role: str, n: int) -> Table:
            return numbered([self.levels_of(kind, role, i) for i in range(n)])

        def make() -> tuple[Table, VisitPredictions]:
            table, early = np.zeros(0, VISIT_DTYPE), None
            if PRIMARY_NS in self.config.horizons_ns:
                table = drawn(SCORED, len(self.markets))
                if self.training:
                    early = drawn(TRAINING, len(self.training))
            options = ModelOptions(ridge=self.config.ridge)
            return table, predict_visits(table, options, training=early)

        found: tuple[Table, VisitPredictions] = self.once(("levels", kind), make)
        return found

    def hours(self, market: int, horizon_ns: Ns = RETURNS_NS[0]) -> Hours:
        """Return every forecast of one market, with what was known and the return after it.

        Of the horizons that claims rest on, which are in one table, or over another one.
        """
        source = self.markets[market]
        found: Hours = self.once(("hours", market), lambda: market_hours(source, self.config))
        if horizon_ns in RETURNS_NS:
            return found
        other: Hours = self.once(
            ("hours", market, horizon_ns),
            lambda: hours_over(found, source, self.config, horizon_ns),
        )
        return other

    def dose(self, market: int, horizon_ns: Ns) -> Dose:
        """Return how visits of one market and horizon answer to its map.

        Its other maps can stand beside it where they were issued: at the landmarks of the primary
        horizon.
        """
        source = self.markets[market]
        others = source.competing_maps.values() if horizon_ns == PRIMARY_NS else ()
        found: Dose = self.once(
            ("dose", market, horizon_ns),
            lambda: market_dose(source, self.config, others, horizon_ns=horizon_ns),
        )
        return found

    def bursts(self, market: int) -> Bursts | None:
        """Return one market's single liquidations as bursts; None where there can be none."""
        found: Bursts | None = self.once(
            ("bursts", market), lambda: instant_bursts(self.markets[market])
        )
        return found

    def burst_hours(self, market: int) -> Bursts | None:
        """Return one market's hours as bursts; None where no liquidation is fed."""
        found: Bursts | None = self.once(
            ("burst hours", market), lambda: hour_bursts(self.markets[market])
        )
        return found

    def next_levels(self, market: int) -> NextLevels | None:
        """Return the next cluster ahead of each row of `bursts`."""

        def make() -> NextLevels | None:
            bursts = self.bursts(market)
            return None if bursts is None else next_levels(self.markets[market], bursts)

        found: NextLevels | None = self.once(("next levels", market), make)
        return found

    def walled_clusters(self, market: int) -> WalledClusters | None:
        """Return the bands of depth before clusters; None where no depth is fed."""
        found: WalledClusters | None = self.once(
            ("walled clusters", market),
            lambda: walled_clusters(self.markets[market], self.config),
        )
        return found

    def readings(self, market: int, horizon_ns: Ns) -> dict[str, Reading]:
        """Return every reading of a hit of one market and horizon, each forecast a landmark.

        Other times are those of the same time of the horizon; empty where no window was watched.
        """

        def make() -> dict[str, Reading]:
            source, latency_ns = self.markets[market], self.config.latency_ns
            marks = every_landmark(source, horizon_ns=horizon_ns, latency_ns=latency_ns)
            return market_readings(source.path, marks, phases(marks)) if len(marks) else {}

        found: dict[str, Reading] = self.once(("readings", market, horizon_ns), make)
        return found

    def touches(self, market: int) -> Table:
        """Return the touches of one market, TOUCH_DTYPE."""
        found: Table = self.once(
            ("touches", market), lambda: touch_table(self.markets[market], self.config)
        )
        return found

    def matched(self, market: int, name: str, match: Callable[[Table], Matched]) -> Matched:
        """Return touches of one market beside their placebos, matched once for each name."""
        found: Matched = self.once(("matched", market, name), lambda: match(self.touches(market)))
        return found

    def crossings(self, market: int) -> Table:
        """Return the hours of one market with what each map and the path say of them.

        Those of `training` too, which come first. CROSSING_DTYPE; empty where no liquidation is
        fed.
        """

        def make() -> Table:
            source = self.markets[market]
            early = [
                f for one in self.training if one.symbol == source.symbol for f in one.forecasts
            ]
            issued = [*early, *source.forecasts] if early else source.forecasts
            return crossing_table(source, issued)

        found: Table = self.once(("crossings", market), make)
        return found

    def forced_models(self, market: int) -> ForcedModels | None:
        """Return the models of one market's forced notional; None where there is too little."""

        def make() -> ForcedModels | None:
            source = self.markets[market]
            if not len(source.forecasts):
                return None
            return forced_models(self.crossings(market), source.forecasts[0].at)

        found: ForcedModels | None = self.once(("forced_models", market), make)
        return found


def chances_of(rows: Table, models: VisitModels | None, config: EvaluationConfig) -> Table:
    """Return P(visit) of clusters of one market, CHANCE_DTYPE, as number 0.

    Parameters
    ----------
    rows : ndarray of VISIT_DTYPE
        From `Evidence.current_of`.
    models : VisitModels or None
        `Evidence.visit_models` of all markets.
    config : EvaluationConfig
        The protocol.
    """
    out = np.zeros(len(rows), CHANCE_DTYPE)
    out["at"], out["distance_sigma"] = rows["at"], rows["distance_sigma"]
    out["p"] = out["p_placebo"] = np.nan
    if models is None:
        return out
    asked = _asked(rows, config)
    based = rows[asked]
    issued = models.issue(based)
    taught = issued.n_trained > 0
    use = np.flatnonzero(asked)[taught]
    out["p"][use] = issued.p["map"][taught]
    out["p_placebo"][use] = based["brownian"][taught]
    return out


def asked_at(rows: Table, config: EvaluationConfig) -> IntArray:
    """Return the refits of models that are asked about clusters, rows of VISIT_DTYPE."""
    week = ModelOptions().refit_ns
    return np.unique(rows["at"][_asked(rows, config)] // week * week)


def _asked(rows: Table, config: EvaluationConfig) -> Mask:
    far = rows["distance_sigma"]
    return np.asarray((far > 0.0) & (far >= config.floor) & (far <= config.ceiling))


def landmark_tables(
    first_sides: Table, markets: Sequence[MarketInput], config: EvaluationConfig
) -> Table:
    """Return the landmarks of the primary horizon, market by market, with their covariates.

    Parameters
    ----------
    first_sides : ndarray of FIRST_SIDE_DTYPE
        Of all markets and horizons.
    markets : sequence of MarketInput
        In the order of `first_sides["symbol"]`.
    config : EvaluationConfig
        The protocol.

    Returns
    -------
    ndarray of LANDMARK_DTYPE
        Empty where the primary horizon is not scored.
    """
    mine = first_sides[first_sides["horizon_ns"] == PRIMARY_NS]
    parts = [np.zeros(0, LANDMARK_DTYPE)]
    for i, market in enumerate(markets):
        anchors = market.anchors or anchors_of(market.forecasts)
        rows = mine[mine["symbol"] == i]
        parts.append(landmark_table(rows, anchors, market.funding, market.cascades, config))
    return np.concatenate(parts)


def _of_random_levels(placebo: Placebo, levels: Table) -> FloatArray:
    """Return p̂ of levels, VISIT_DTYPE, of the placebo model's market and horizon."""
    anchors = placebo.anchors
    owner = np.searchsorted(anchors.at, levels["at"])
    sigma_h = anchors.sigma_1d[owner] * np.sqrt(placebo.horizon_ns / DAY_NS)
    outward = -levels["side"].astype(np.float64)
    return placebo_probability(placebo, owner, outward, levels["distance_sigma"] * sigma_h)


def cluster_placebo(placebo: Placebo, outcomes: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return p̂ of clusters and of their mirror images.

    Parameters
    ----------
    placebo : Placebo
        Of the market and horizon of the rows; its anchors hold their times of issue.
    outcomes : ndarray of OUTCOME_DTYPE
        Rows of one market and horizon.

    Returns
    -------
    p, mirror : ndarray of float64, shape (n,)
        NaN where a cluster lies inside.

    Raises
    ------
    DataError
        If a row is of another horizon, or was issued when no anchor was.
    """
    owner = np.searchsorted(placebo.anchors.at, outcomes["at"])
    owner = np.minimum(owner, len(placebo.anchors.at) - 1)
    bad = np.flatnonzero(
        (placebo.anchors.at[owner] != outcomes["at"])
        | (outcomes["horizon_ns"] != placebo.horizon_ns)
    )
    if len(bad):
        raise DataError(
            f"placebo: outcome {bad[0]} is of another horizon, or was issued at a time that is no "
            "anchor of the placebo model"
        )
    outward = -outcomes["side"].astype(np.float64)
    outside = ~outcomes["inside"]
    p, mirror = np.full(len(outcomes), np.nan), np.full(len(outcomes), np.nan)
    for into, side in ((p, outward), (mirror, -outward)):
        into[outside] = placebo_probability(
            placebo, owner[outside], side[outside], outcomes["distance"][outside]
        )
    return p, mirror

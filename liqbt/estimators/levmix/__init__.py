"""The learnt mix: who holds what leverage is read off what was liquidated.

Positions are of classes: a leverage and a life, both log-spaced, and what they came in with, volume
or open interest. Every class has a book of its own, of longs and of shorts, in which *all* that
came in is entered as if everybody were of that class; a map is the books weighed by class. So
nothing about the mix has to be known when positions are opened. What it does with events:

- **Mark, entries.** As `oi_flow`: a grid anchored at the first price; where the mark passes, books
  are emptied; traded coins by bin, else a bar's volume over its range, else time on the mark's
  path. Where no volume is known coins come in at the rate of the last bar that was too long to
  place, and evenly in time where there never was one.
- **Up to date.** With a price that comes `settle_every` after the last time (or a snapshot of open
  interest half of that after it) books are aged, each class by its life and by nothing else, and
  entries placed `ln(LP / EP)` away, as longs and as shorts. What thereby lies beyond the mark is
  consumed. A fall of open interest closes nothing: it would count an exit twice.
- **Open interest.** A rise is entered in classes of its own, where coins came in since the last,
  in units of volume (by the ratio of all rises to all entries so far). It counts as far as their
  weights say.
- **Exposure.** What the mark passes of a class in a slot of time (`credit_every`) could have been
  liquidated there: its exposure.
- **Learning.** What was liquidated in the slot falls to the classes in proportion to what was
  expected of them. A class's weight is what fell to it over its exposure, both forgotten with
  `forget`, beside a prior that is worth so many days of a mean class's exposure: what was learnt of
  the next higher leverage. So the mix is flat in log leverage from where nothing is learnt on, and
  before anything is. Totals are taken where there ever were any, else
  single liquidations, whose slots count once a later one shows that the feed was alive. Without
  either the map is the prior's.

A class of which price has passed less than the prior is worth keeps its prior, nearly: its weight
cannot be known. So a forecast says beyond which distance the map rests on such classes
(`Forecast.prior_from_long`, `prior_from_short`). A forecast mixes in a little of a kernel that
refills with the time since the price was there and falls with distance: it needs no position.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, MarginError
from liqbt.estimators.base import BatchEstimator, registered
from liqbt.estimators.config import Duration, MapParams, MarketSpec
from liqbt.estimators.levmix.ensemble import (
    ERROR,
    Ensemble,
    cluster_intervals,
)
from liqbt.estimators.levmix.kernels import (
    LEDGER_DTYPE,
    RULES_DTYPE,
    SLOT_DTYPE,
    Book,
    Plan,
    held_bins,
    run,
    weights_now,
)
from liqbt.margin import bracket_ratios
from liqbt.margin.tiers import Tiers, TierTable
from liqbt.types import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    Events,
    FloatArray,
    Forecast,
    IntArray,
    Ns,
    Side,
)

__all__ = ["LevMix", "LevMixParams"]

_SOURCES = 2
"""Volume, and rises of open interest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevMixParams(MapParams):
    """What the learnt mix assumes.

    Attributes
    ----------
    leverage_low, leverage_high : float
        Ends of the ladder of leverages, above 1. What a venue does not allow on a date has no
        entries then.
    n_leverages : int
        Rungs, log-spaced.
    life_low, life_high : int
        Ends of the ladder of half-lives, ns.
    n_lives : int
        Rungs, log-spaced.
    position_notional_usd : float
        Notional at entry of the position that stands for every class: it chooses the margin tier.
    open_interest_share : float
        Share of the prior that rises of open interest have, in [0, 1].
    prior_days : float
        How many days of a mean class's exposure the prior is worth, above 0.
    forget : int
        Half-life of what was learnt, ns.
    settle_every : int
        How often books are brought up to date, ns.
    credit_every : int
        Length of the slots in which what was liquidated meets what could have been, ns. It divides
        a day, and is no shorter than the bars that give the price.
    freshness_share : float
        Share of the map that is the freshness kernel, in [0, 1].
    freshness_half_life : int
        How long it takes a bin to refill by half, ns.
    intervals : bool
        Whether a forecast states how sure each cluster is (`liqbt.estimators.levmix.ensemble`),
        which takes about five times as long as the map.
    """

    leverage_low: float = 3.0
    leverage_high: float = 125.0
    n_leverages: int = 12
    life_low: Duration = 6 * HOUR_NS
    life_high: Duration = 240 * HOUR_NS
    n_lives: int = 2
    position_notional_usd: float = 10_000.0
    open_interest_share: float = 0.5
    prior_days: float = 1.0
    forget: Duration = 60 * DAY_NS
    settle_every: Duration = 5 * MINUTE_NS
    credit_every: Duration = HOUR_NS
    freshness_share: float = 0.05
    freshness_half_life: Duration = 24 * HOUR_NS
    intervals: bool = True

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        self.check(
            leverage_low=self.leverage_low > 1.0,
            leverage_high=self.leverage_high >= self.leverage_low,
            n_leverages=1 <= self.n_leverages <= 64,
            life_low=self.life_low > 0,
            life_high=self.life_high >= self.life_low,
            n_lives=1 <= self.n_lives <= 16,
            position_notional_usd=self.position_notional_usd > 0.0,
            open_interest_share=0.0 <= self.open_interest_share <= 1.0,
            prior_days=self.prior_days > 0.0,
            forget=self.forget > 0,
            settle_every=self.settle_every > 0,
            credit_every=MINUTE_NS <= self.credit_every <= DAY_NS
            and DAY_NS % self.credit_every == 0,
            freshness_share=0.0 <= self.freshness_share <= 1.0,
            freshness_half_life=self.freshness_half_life > 0,
        )

    @property
    def leverages(self) -> FloatArray:
        """The ladder of leverages, rising."""
        return np.geomspace(self.leverage_low, self.leverage_high, self.n_leverages)

    @property
    def lives(self) -> FloatArray:
        """The ladder of half-lives, ns, rising."""
        return np.geomspace(self.life_low, self.life_high, self.n_lives)

    @property
    def prior(self) -> FloatArray:
        """The prior weight of every class: by source, then life, then leverage; they sum to 1."""
        shares = (1.0 - self.open_interest_share, self.open_interest_share)
        classes = self.n_lives * self.n_leverages
        return np.repeat(shares, classes) / classes


@registered("levmix")
class LevMix(BatchEstimator):
    """Books by class, weighed by what was liquidated: see the package's docstring.

    With `params.intervals` it is a `LevMixIntervals`.

    Parameters
    ----------
    params : LevMixParams
        The assumptions.
    market : MarketSpec
        The market, with the venue's dated tiers.

    Raises
    ------
    ConfigError
        If the market has no tiers.
    MarginError
        If the venue allows no leverage of the ladder on any date.
    """

    Params = LevMixParams
    needs_margin = True

    params: LevMixParams

    def __new__(cls, params: LevMixParams, market: MarketSpec) -> LevMix:  # noqa: ARG004
        """Return one that states intervals where the parameters ask for them."""
        stated = cls is LevMix and params.intervals
        return super().__new__(LevMixIntervals if stated else cls)

    def __init__(self, params: LevMixParams, market: MarketSpec) -> None:
        if market.tiers is None:
            raise ConfigError(f"{market.symbol}: no margin tiers are known, and levmix needs them")
        super().__init__(params, market)
        self._tiers = market.tiers
        self._plan = plan_of(params, market.tiers, len(self._market.centres))
        self._book = book_arrays(params, len(self._market.centres))
        parts = (self._market, self._book, self._plan, self._emission.scratch, self._issued)
        self._work = tuple(map(tuple, parts))

    def weights(self) -> FloatArray:
        """Return what each class's entries weigh, by source, life and leverage, on a sum of 1.

        Returns
        -------
        ndarray of float64, shape (2, n_lives, n_leverages)
            Source 0 is volume, 1 rises of open interest.
        """
        weights_now(tuple(self._book), tuple(self._plan))
        params = self.params
        found = self._plan.weights.reshape(_SOURCES, params.n_lives, params.n_leverages)
        return np.asarray(found / found.sum())

    def _run(self, events: Events, cuts: IntArray, at: IntArray, first: int) -> int:
        return int(run(events, cuts, at, first, *self._work))

    def _refused(self, ts_event: Ns) -> MarginError:
        return MarginError(_unusable(self.params, self._tiers.at(ts_event)))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        market, book = super()._arrays(), self._book._asdict()
        assert not market.keys() & book.keys()
        return market | book


class LevMixIntervals(LevMix):
    """The same map, each of whose clusters says how sure it is.

    An ensemble is told at the begin of each day what was known then, and asked at each forecast, so
    that it is made one by one and not in batches.

    Parameters
    ----------
    params, market
        As in `LevMix`.
    """

    def __init__(self, params: LevMixParams, market: MarketSpec) -> None:
        super().__init__(params, market)
        self._ensemble = Ensemble(params)

    def update(self, events: Events) -> None:
        """Take in the next events of this market, in canonical order.

        Raises
        ------
        MarginError
            If events of a date are met on which the venue's tiers are unknown, or allow no leverage
            of the ladder.
        """
        start = 0
        for cut, day in self._days(events["ts_known"]):
            super().update(events[start:cut])
            self._note_day(day)
            start = cut
        super().update(events[start:])

    def _days(self, known: IntArray) -> Iterable[tuple[int, int]]:
        """Yield the first event of each day that begins among these, and the day's number."""
        if not len(known):
            return
        noted = int(self._ensemble.arrays["ensemble_noted"][0])
        if int(known[-1]) // DAY_NS > noted:
            day = known // DAY_NS
            begun = np.flatnonzero(np.diff(day, prepend=noted) > 0).tolist()
            yield from ((i, int(day[i])) for i in begun)

    def _note_day(self, day: int) -> None:
        """Tell the ensemble what is known when a day begins."""
        if day > self._ensemble.arrays["ensemble_noted"][0]:
            book = self._book
            self._ensemble.note(day, book.credit, book.exposure, float(book.ledger["days"][0]))

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue the forecast at `at`: where it rests on the prior, and how sure clusters are."""
        found = super().forecast(at)
        if found is None:
            return None
        self._note_day(at // DAY_NS)
        return replace(found, notional_interval=self.intervals(found))

    def intervals(
        self,
        forecast: Forecast,
        *,
        reach: float | None = None,
        error: tuple[float, float, float] = ERROR,
    ) -> FloatArray:
        """Return the interval of the notional of every cluster of the forecast issued last.

        Parameters
        ----------
        forecast : Forecast
            With nothing taken in since.
        reach : float, optional
            The log distance within which a side's notional is taken as known: intervals are of the
            share of it. By default all that is open.
        error : tuple of float
            As in `cluster_intervals`.

        Returns
        -------
        ndarray of float64, shape (n_clusters, 2)
            Lower and upper end, USD; NaN where the books hold nothing of the cluster.
        """
        book, params, clusters = self._book, self.params, forecast.clusters
        life = np.arange(len(params.prior)) // params.n_leverages % params.n_lives
        elapsed = forecast.at - int(book.ledger["settled_known"][0])
        aged = (book.scale * 0.5 ** (elapsed / self._plan.lives_ns))[life]
        whole, held = (np.zeros((n, len(params.prior))) for n in (2, len(clusters)))
        far = np.inf if reach is None else reach
        first, last = self._bins(forecast.mark * np.exp(np.array([-far, far])))
        for side in range(2):
            low, high = max(first, book.bounds[side, 0]), min(last, book.bounds[side, 1] + 1)
            whole[side] = book.coins[side, :, low:high].sum(axis=1)
        row = (clusters["side"] == Side.SHORT).astype(np.int64)
        bins = self._bins(np.column_stack([clusters["low"], clusters["high"]]))
        held_bins(book.coins, row, bins, held)
        found = cluster_intervals(
            clusters,
            held * aged,
            whole[row] * aged,
            self.weights().ravel(),
            self._ensemble.weights,
            error,
        )
        found.setflags(write=False)
        return found

    def _bins(self, prices: FloatArray) -> IntArray:
        """Return the bins that begin at prices which are edges of the grid."""
        bins = np.searchsorted(self._market.edges, prices * (1.0 + 1e-12), "right") - 1
        return np.clip(bins, 0, len(self._market.centres))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return super()._arrays() | self._ensemble.arrays


def plan_of(params: LevMixParams, tiers: TierTable, n_grid: int) -> Plan:
    """Return the constants of the fold: for each tier date, bins from entry to liquidation.

    A shift is ln(LP / EP) in bins, rounded to the nearest (halves up).

    Raises
    ------
    MarginError
        If no leverage is allowed on any date.
    """
    dates, n = len(tiers.tiers), params.n_leverages
    usable, shifts = np.zeros((dates, n), dtype=np.bool_), np.zeros((dates, 2, n), dtype=np.int64)
    for i, at in enumerate(tiers.tiers):
        for k, leverage in enumerate(params.leverages.tolist()):
            try:
                ratios = bracket_ratios(at, (leverage,), params.position_notional_usd)
            except MarginError:  # the venue does not allow it
                continue
            usable[i, k] = True
            shifts[i, :, k] = np.floor(np.log(np.array(ratios)[:, 0]) / params.step + 0.5)
    if not usable.any():
        raise MarginError(_unusable(params, tiers.tiers[-1]))
    rules = np.zeros(1, dtype=RULES_DTYPE)
    rules["settle_ns"] = params.settle_every
    rules["slot_ns"] = params.credit_every
    rules["forget_ns"] = params.forget
    rules["prior_days"] = params.prior_days
    rules["freshness_share"] = params.freshness_share
    rules["freshness_ns"] = params.freshness_half_life
    return Plan(
        rules=rules,
        lives_ns=params.lives,
        prior=params.prior,
        dates=np.array(tiers.effective_ns, dtype=np.int64),
        usable=usable,
        shifts=shifts,
        inverse=any(bool(each.rule) for each in tiers.tiers),
        weights=params.prior.copy(),
        beyond=np.zeros((2, n_grid + params.smoothing_bins + params.coarse + params.fine_bins + 2)),
    )


def _unusable(params: LevMixParams, tiers: Tiers) -> str:
    """Say that a venue allows no leverage of the ladder."""
    return (
        f"{tiers.symbol} from {tiers.date}: no leverage from {params.leverage_low:g}x to "
        f"{params.leverage_high:g}x is allowed for {params.position_notional_usd:g} USD; expected "
        "a 'leverage_low' that is"
    )


def book_arrays(params: LevMixParams, n_grid: int) -> Book:
    """Return books without entries."""
    classes, n_slots = len(params.prior), max(DAY_NS // params.credit_every, 2)
    ledger = np.zeros(1, dtype=LEDGER_DTYPE)
    for name in ("settled_known", "credited", "newest"):
        ledger[name] = -1
    ledger["flow_rate"] = 1.0
    forced = np.zeros(n_slots, dtype=SLOT_DTYPE)
    forced["slot"] = -1
    return Book(
        ledger=ledger,
        bounds=np.tile(np.array([n_grid, -1], dtype=np.int64), (6, 1)),
        spans=np.tile(np.array([n_grid, -1], dtype=np.int64), (2, classes, 1)),
        coins=np.zeros((2, classes, n_grid)),
        scale=np.ones(params.n_lives),
        entries=np.zeros((4, n_grid)),
        visited=np.zeros(n_grid, dtype=np.int64),
        forced=forced,
        crossed=np.zeros((n_slots, 2, classes)),
        credit=np.zeros(classes),
        exposure=np.zeros(classes),
    )

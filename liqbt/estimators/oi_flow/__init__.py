"""The reference estimator: where open interest would be liquidated, from how it flowed in.

What it does with the events of one market, in their order:

- **Mark.** The grid is anchored at the first price. Where the mark passes, positions are gone:
  longs in the bin of the mark (of a bar's low) and above it, shorts in the bin of the mark (of a
  bar's high) and below it, are taken out and counted as consumed. A price that happened before the
  last one is ignored.
- **Entries.** Since the last snapshot of open interest, traded coins are summed by bin. Trades
  count where they were; where no trade arrived, a bar's volume counts evenly in log price over its
  range; where neither did, time on the mark's path does (a point: evenly over the log segment from
  the last one; a bar of marks: evenly over its range). A bar is used only if it began after the
  last snapshot (event times, with 5 % of its length to spare for a feed's jitter): an hourly bar is
  not the volume of a 5-minute interval. Intervals run from arrival to arrival, so that a difference
  between the latencies of two feeds shifts one against the other.
- **Snapshot of open interest.** The first is only remembered: what was open at the start is
  unknown and is not placed. A rise is opened, the same coins long and short, because every coin
  of open interest is one of each: spread over the brackets by weight and placed `ln(LP / EP)`
  from their entry, from the tiers of the snapshot's date; what thereby lies beyond the current
  mark is consumed at once and counted for the next snapshot. Of a fall, what the mark has
  consumed on a side since the last snapshot is taken off first; the rest is closed there in
  proportion, as a share of the previous open interest. Where the mark consumed more than open
  interest fell nothing is opened in its place: that the estimated positions were not there is as
  likely as that they were replaced, and scaling the survivors at emission makes up for them where
  the others are.
- **Age.** A bracket's coins halve with its half-life, applied at snapshots, by `ts_known`.
- **Observed liquidations** are evidence and remove nothing.

A forecast ages the book to `at`, scales the survivors of each side to the current open interest in
coins (the state is not touched), values each bin at its centre and finds clusters on the fine grid.
Coins placed beyond the grid are counted as outside and are not among the survivors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, MarginError
from liqbt.estimators.base import BatchEstimator, registered
from liqbt.estimators.config import Duration, MapParams, MarketSpec
from liqbt.estimators.oi_flow.kernels import Book, Plan, run
from liqbt.margin import bracket_ratios
from liqbt.margin.tiers import ALWAYS, Tiers, TierTable
from liqbt.types import HOUR_NS, Events, FloatArray, IntArray, Kind, Ns

__all__ = ["Bracket", "OIFlow", "OIFlowParams"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One leverage bracket.

    Attributes
    ----------
    leverage : float
        Above 1.
    weight : float
        Its share of newly opened coins, beside the weights of the other brackets.
    half_life : int
        Age at which half of its positions are gone by themselves, ns.
    position_notional_usd : float
        Notional at entry of the position that stands for it: it chooses the margin tier.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    leverage: float
    weight: float
    half_life: Duration
    position_notional_usd: float = 10_000.0

    def __post_init__(self) -> None:
        holds = {
            "leverage": self.leverage > 1.0,
            "weight": self.weight >= 0.0,
            "half_life": self.half_life > 0,
            "position_notional_usd": self.position_notional_usd > 0.0,
        }
        for name, held in holds.items():
            if not held:
                raise ConfigError(
                    f"a bracket's {name} is {getattr(self, name):g}; expected a leverage above 1, "
                    "a weight from 0 up, a half-life and a notional above 0"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class OIFlowParams(MapParams):
    """The reference estimator's assumptions; the defaults are a published set, not tuned here.

    Attributes
    ----------
    brackets : tuple of Bracket
        The leverage brackets; their weights are rescaled to sum to 1.
    above_maximum : {'refuse', 'fit'}
        What becomes of brackets above the highest leverage that the venue allows on a date: they
        are an error, or are fitted to it (`fitted_brackets`).
    """

    brackets: tuple[Bracket, ...] = (
        Bracket(leverage=5.0, weight=0.08, half_life=168 * HOUR_NS),
        Bracket(leverage=10.0, weight=0.22, half_life=120 * HOUR_NS),
        Bracket(leverage=20.0, weight=0.32, half_life=72 * HOUR_NS),
        Bracket(leverage=50.0, weight=0.25, half_life=36 * HOUR_NS),
        Bracket(leverage=100.0, weight=0.13, half_life=18 * HOUR_NS),
    )
    above_maximum: Literal["refuse", "fit"] = "refuse"

    def __post_init__(self) -> None:
        MapParams.__post_init__(self)
        if not math.fsum(bracket.weight for bracket in self.brackets) > 0.0:
            raise ConfigError("the brackets have no positive weight")


@registered("oi_flow")
class OIFlow(BatchEstimator):
    """Open interest in at traded prices, out where the mark passes: see the package's docstring.

    Parameters
    ----------
    params : OIFlowParams
        The assumptions.
    market : MarketSpec
        The market, with the venue's dated tiers: those of a snapshot's date place what it opens.

    Raises
    ------
    ConfigError
        If the market has no tiers.
    MarginError
        If a bracket is not allowed by the venue on any date of its tiers, and is not to be fitted
        to what it allows; names it. A bracket that only some dates do not allow is an error when a
        snapshot of such a date is met.
    """

    Params = OIFlowParams
    needs = (Kind.OPEN_INTEREST,)
    needs_margin = True

    params: OIFlowParams

    def __init__(self, params: OIFlowParams, market: MarketSpec) -> None:
        if market.tiers is None:
            raise ConfigError(f"{market.symbol}: no margin tiers are known, and oi_flow needs them")
        super().__init__(params, market)
        self._tiers = market.tiers
        self._plan = plan_of(params, market.tiers)
        self._book = book_arrays(len(params.brackets), len(self._market.centres))
        parts = (self._market, self._book, self._plan, self._emission.scratch, self._issued)
        self._work = tuple(map(tuple, parts))

    def assumed(self, since: Ns, until: Ns) -> tuple[str, ...]:
        """Return, in sentences, what the venue's tiers of a period made of the brackets.

        Parameters
        ----------
        since, until : int
            First and last time of open interest, ns.
        """
        first, last = (
            int(np.searchsorted(self._tiers.effective_ns, at, "right")) - 1 for at in (since, until)
        )
        held = self._tiers.tiers[max(first, 0) : last + 1]
        return tuple(filter(None, (_fitted_words(self.params, tiers) for tiers in held)))

    def _run(self, events: Events, cuts: IntArray, at: IntArray, first: int) -> int:
        return int(run(events, cuts, at, first, *self._work))

    def _refused(self, ts_event: Ns) -> MarginError:
        self._tiers.at(ts_event)
        date = int(np.searchsorted(self._tiers.effective_ns, ts_event, "right")) - 1
        return MarginError(_unusable(self.params, self._tiers, date))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        book = self._book
        return {
            **super()._arrays(),
            "counts": book.counts,
            "bounds": book.bounds,
            "coins": book.coins,
            "scale": book.scale,
            "entries": book.entries,
        }


def fitted_brackets(brackets: Sequence[Bracket], tiers: Tiers) -> tuple[Bracket, ...]:
    """Return brackets as a venue allows them: of those above its maximum one at most is left.

    Whoever would take more than the venue allows takes what it allows. So the lowest of the
    brackets above the maximum stands at it, unless another bracket does already; those above it
    have no weight, and what they had goes to all others in proportion (weights are rescaled where
    they are used). The maximum is that of the tier of a bracket's own notional.

    Parameters
    ----------
    brackets : sequence of Bracket
        As configured.
    tiers : Tiers
        The tiers of the symbol and date.

    Returns
    -------
    tuple of Bracket
        As many, in the same order: a weight of 0 is a bracket that the venue does not have.

    Examples
    --------
    >>> from liqbt.margin.tiers import flat_tiers
    >>> for most in (40, 20):
    ...     found = fitted_brackets(OIFlowParams().brackets, flat_tiers("X", 0.0125, most).at(0))
    ...     print([(one.leverage, one.weight) for one in found if one.weight])
    [(5.0, 0.08), (10.0, 0.22), (20.0, 0.32), (40.0, 0.25)]
    [(5.0, 0.08), (10.0, 0.22), (20.0, 0.32)]
    """
    most = [float(tiers.max_leverage[tiers.index(b.position_notional_usd)]) for b in brackets]
    above = [k for k, b in enumerate(brackets) if b.leverage > most[k] > 1.0]
    held = {b.leverage for k, b in enumerate(brackets) if k not in above}
    lowest = min(above, key=lambda k: brackets[k].leverage, default=-1)
    out = list(brackets)
    for k in above:
        stays = k == lowest and most[k] not in held
        out[k] = replace(out[k], leverage=most[k], weight=out[k].weight if stays else 0.0)
    return tuple(out)


def plan_of(params: OIFlowParams, tiers: TierTable) -> Plan:
    """Return the constants of the fold: for each tier date, bins from entry to liquidation.

    A shift is ln(LP / EP) in bins, rounded to the nearest (halves up).

    Raises
    ------
    MarginError
        If the brackets are allowed on no date.
    """
    dates, n = len(tiers.tiers), len(params.brackets)
    errors = [_unusable(params, tiers, i) for i in range(dates)]
    if all(errors):
        raise MarginError(errors[-1])
    usable = np.array([not error for error in errors])
    weights, shifts = np.zeros((dates, n)), np.zeros((dates, 2, n), dtype=np.int64)
    for i in np.flatnonzero(usable):
        brackets = brackets_of(params, tiers.tiers[i])
        total = math.fsum(bracket.weight for bracket in brackets)
        weights[i] = [bracket.weight / total for bracket in brackets]
        ratios = _ratios(brackets, tiers.tiers[i])
        shifts[i] = np.floor(np.log(np.array(ratios)) / params.step + 0.5)
    return Plan(
        half_lives_ns=np.array([b.half_life for b in params.brackets], dtype=np.float64),
        dates=np.array(tiers.effective_ns, dtype=np.int64),
        usable=usable,
        weights=weights,
        shifts=shifts,
        inverse=any(bool(each.rule) for each in tiers.tiers),
        left=np.ones(n),
    )


def brackets_of(params: OIFlowParams, tiers: Tiers) -> tuple[Bracket, ...]:
    """Return the brackets that stand under the tiers of one date, in the order configured."""
    fit = params.above_maximum == "fit"
    return fitted_brackets(params.brackets, tiers) if fit else params.brackets


def _fitted_words(params: OIFlowParams, tiers: Tiers) -> str:
    """Return what becomes of brackets above the maximum of one date; empty where nothing does."""
    pairs = list(zip(params.brackets, brackets_of(params, tiers), strict=True))
    stands = [f"{a.leverage:g}x stands at {b.leverage:g}x" for a, b in pairs if a != b and b.weight]
    out = [f"{a.leverage:g}x" for a, b in pairs if a.weight and not b.weight]
    said = [*stands, *([f"{' and '.join(out)} left out"] if out else [])]
    since = "" if tiers.effective_ns == ALWAYS else f" by its tiers from {tiers.date}"
    return (
        f"brackets above the venue's maximum leverage{since}: {', '.join(said)}; weights are "
        "rescaled over what is left"
        if said
        else ""
    )


def _ratios(brackets: Sequence[Bracket], tiers: Tiers) -> tuple[FloatArray, FloatArray]:
    return bracket_ratios(
        tiers,
        tuple(bracket.leverage for bracket in brackets),
        tuple(bracket.position_notional_usd for bracket in brackets),
    )


def _unusable(params: OIFlowParams, tiers: TierTable, date: int) -> str:
    """Return why the brackets cannot be placed under the tiers of a date; empty if they can."""
    at = tiers.tiers[date]
    try:
        brackets = brackets_of(params, at)
        _ratios(brackets, at)
    except MarginError as error:
        fit = ", or set 'params.above_maximum' to fit" if params.above_maximum == "refuse" else ""
        return f"{error}; change 'params.brackets'{fit}"
    if not math.fsum(bracket.weight for bracket in brackets) > 0.0:
        return f"{at.symbol} from {at.date}: no bracket with a weight is allowed"
    return ""


def book_arrays(n_brackets: int, n_grid: int) -> Book:
    """Return a book without positions."""
    return Book(
        counts=np.zeros((2, 2)),
        bounds=np.tile(np.array([n_grid, -1], dtype=np.int64), (5, 1)),
        coins=np.zeros((2, n_brackets, n_grid)),
        scale=np.ones((2, n_brackets)),
        entries=np.zeros((3, n_grid)),
    )

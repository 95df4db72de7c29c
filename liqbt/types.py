"""Record layouts, enums and the values that travel between the rooms.

Everything here is a value: frozen, read-only, without behaviour that needs a file, a clock or a
configuration. Times are int64 nanoseconds UTC. Prices are in quote currency (USD) per coin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Ns: TypeAlias = int
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Events: TypeAlias = npt.NDArray[Any]
"""A one-dimensional array of `EVENT_DTYPE`, in canonical order, read-only."""
Clusters: TypeAlias = npt.NDArray[Any]
"""A one-dimensional array of `CLUSTER_DTYPE`, read-only."""

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS


class Kind(IntEnum):
    """What an event is; the value is also its place in the total order at one instant.

    Prices come before open interest, so that a snapshot meets the price that it was taken at.
    """

    TRADE = 1
    BAR = 2
    MARK = 3
    OPEN_INTEREST = 4
    LIQUIDATION = 5
    LIQUIDATION_TOTAL = 6
    FUNDING = 7
    DEPTH = 8
    POSITION = 9


class Side(IntEnum):
    """The side of a position. Long positions are liquidated below the price, shorts above it.

    On a trade it is the taker's side (LONG = the taker bought), on a depth band LONG is the bids.
    """

    SHORT = -1
    NONE = 0
    LONG = 1


class FirstSide(IntEnum):
    """Which of the two nearest clusters the price entered first inside the window."""

    DOWN = -1
    NEITHER = 0
    UP = 1


PAYLOAD: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.TRADE: ("price", "size_coins"),
    Kind.BAR: ("open", "high", "low", "close", "volume_coins"),
    Kind.MARK: ("open", "high", "low", "close"),
    Kind.OPEN_INTEREST: ("open_interest_coins", "open_interest_usd"),
    Kind.LIQUIDATION: ("price", "size_coins"),
    Kind.LIQUIDATION_TOTAL: ("long_usd", "short_usd"),
    Kind.FUNDING: ("rate", "interval_hours"),
    Kind.DEPTH: ("low", "high", "depth_coins", "depth_usd"),
    Kind.POSITION: ("liquidation_price", "size_coins"),
}
"""The meaning of `p0` to `p4` of an event, by kind; payload fields beyond these are NaN.

A mark that is a point has `open = high = low = close` and a span of 0. NaN means unknown and is
allowed only in `volume_coins`, `open_interest_usd`, `interval_hours`, one of the two depths and
`liquidation_price` (no price closes the position). A POSITION is one that a census found open; all
of one census share `ts_event`, and the next census stands in its place.
"""

EVENT_DTYPE: Final = np.dtype(
    [
        ("ts_known", "<i8"),
        ("ts_event", "<i8"),
        ("kind", "u1"),
        ("side", "i1"),
        ("instrument", "<u2"),
        ("span_s", "<u4"),
        ("p0", "<f8"),
        ("p1", "<f8"),
        ("p2", "<f8"),
        ("p3", "<f8"),
        ("p4", "<f8"),
    ]
)
"""One event for replay, 64 bytes.

`ts_event` is when the venue says it happened; for a bar, a total or an average it is the **end**
of its bucket and `span_s` the bucket's length in seconds (0 for an instant). `ts_known` is the
earliest time at which a live reader could have held it. `instrument` indexes the tape's
instruments.
"""

CLUSTER_DTYPE: Final = np.dtype(
    [
        ("side", "i1"),
        ("low", "<f8"),
        ("high", "<f8"),
        ("peak", "<f8"),
        ("notional_usd", "<f8"),
        ("density_rank", "<f8"),
    ]
)
"""Clusters of one forecast: `[low, high)` and `peak` are prices; see `Cluster`."""


class Instrument(NamedTuple):
    """A symbol at a venue; written `venue/symbol`."""

    venue: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.symbol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A maximal band of dense levels.

    Attributes
    ----------
    side : Side
        The side of the positions that would be closed: LONG lies below the mark, SHORT above.
    low, high : float
        The band `[low, high)`, prices in USD.
    peak : float
        The price at the centre of the densest bin of the smoothed density.
    notional_usd : float
        Estimated forced notional inside the band, from the density before smoothing.
    density_rank : float
        In (0, 1]: share of the bins of the same forecast, side and distance band whose smoothed
        density is at or below the cluster's mean density.
    """

    side: Side
    low: float
    high: float
    peak: float
    notional_usd: float
    density_rank: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityGrid:
    """The log-price grid on which an estimator's density lives.

    Bin `i` covers `[anchor · exp(i · step), anchor · exp((i + 1) · step))`. A forecast's density is
    given outward from the bin that holds its mark: the first `fine_bins` bins one by one, then in
    groups of `coarse` bins.

    Attributes
    ----------
    anchor : float
        The tape's first mark, in USD: a fixed anchor would break scale invariance.
    step : float
        Width of a bin in log price (5e-4 is 5 bp).
    fine_bins : int
        How many bins on each side of the mark are given one by one.
    coarse : int
        How many bins each later entry sums up.
    """

    anchor: float
    step: float = 5e-4
    fine_bins: int = 200
    coarse: int = 10

    def bin_of(self, price: float) -> int:
        """Return the bin that holds `price`.

        Examples
        --------
        >>> DensityGrid(anchor=100.0).bin_of(100.0)
        0
        >>> DensityGrid(anchor=100.0).bin_of(99.99)
        -1
        """
        return math.floor(math.log(price / self.anchor) / self.step)

    def outward_edges(self, n: int) -> IntArray:
        """Return the `n + 1` edges of a density row, in bins outward from the mark's own bin.

        Examples
        --------
        >>> DensityGrid(anchor=1.0, fine_bins=2, coarse=10).outward_edges(4).tolist()
        [0, 1, 2, 12, 22]
        """
        return _outward_edges(self.fine_bins, self.coarse, n)

    def prices(self, mark_bin: int, side: Side, n: int) -> FloatArray:
        """Return the `n + 1` edge prices of a density row in USD, outward from the mark's bin.

        Parameters
        ----------
        mark_bin : int
            The bin that holds the mark.
        side : Side
            LONG: edges fall from the lower edge of the mark's bin; SHORT: they rise from its upper.
        n : int
            Length of the density row.
        """
        out = self.outward_edges(n)
        edges = mark_bin - out if side == Side.LONG else mark_bin + 1 + out
        prices: FloatArray = self.anchor * np.exp(edges * self.step)
        return prices


@lru_cache(maxsize=64)
def _outward_edges(fine_bins: int, coarse: int, n: int) -> IntArray:
    j = np.arange(n + 1, dtype=np.int64)
    edges = np.where(j <= fine_bins, j, fine_bins + (j - fine_bins) * coarse)
    edges.setflags(write=False)
    return edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Clusters and densities issued at `at`, from events with `ts_known < at` and nothing else.

    Attributes
    ----------
    symbol : str
        The experiment's name of the market.
    at : int
        Time of issue, ns UTC. What is claimed concerns `[at, at + horizon)`.
    latest_known : int
        The largest `ts_known` among the events used, ns; always less than `at`.
    mark : float
        The last known mark price (or the price that stands in for it), USD.
    mark_ts : int
        `ts_event` of that mark, ns.
    sigma_1d : float
        Standard deviation of the log return over one day, from past returns only.
    grid : DensityGrid
        The grid of `density_usd`.
    mark_bin : int
        The grid's bin that holds the mark.
    density_usd : ndarray of float32, shape (2, n)
        Estimated forced notional in USD per grid entry, outward from the mark's bin; row 0 longs
        (below), row 1 shorts (above). A coarse entry is the **sum** over its bins.
    clusters : ndarray of CLUSTER_DTYPE
        Sorted by side (shorts first, as -1 < 1), then by distance from the mark.
    asymmetry : float
        (N_down − N_up)/(N_down + N_up) of estimated notional within `asymmetry_reach`, in [−1, 1];
        positive: more longs below. 0 where there is none on either side.
    asymmetry_reach : float
        Log distance from the mark within which the asymmetry is taken.
    open_interest_usd : float
        Open interest at the last snapshot, one side, valued at the mark; NaN where none is known.
    observed_long_usd, observed_short_usd : float
        Evidence: liquidations seen in the day before `at`, USD; NaN where no such feed was seen.
    prior_from_long, prior_from_short : float
        Log distance from the mark, below and above it, beyond which no octave of distance holds
        more that was learnt from liquidations than rests on the estimator's assumptions: price
        never crossed what would have taught it. At 0 all of the map rests on them. NaN where an
        estimator does not say.
    notional_interval : ndarray of float64, shape (n_clusters, 2), optional
        Lower and upper end of an interval of 80 % of each cluster's notional, USD; NaN where none
        is known. None where an estimator does not say.
    """

    symbol: str
    at: Ns
    latest_known: Ns
    mark: float
    mark_ts: Ns
    sigma_1d: float
    grid: DensityGrid
    mark_bin: int
    density_usd: npt.NDArray[np.float32]
    clusters: Clusters
    asymmetry: float
    asymmetry_reach: float
    open_interest_usd: float = math.nan
    observed_long_usd: float = math.nan
    observed_short_usd: float = math.nan
    prior_from_long: float = math.nan
    prior_from_short: float = math.nan
    notional_interval: FloatArray | None = None

    @property
    def crowded_side(self) -> Side:
        """The side with more estimated notional within reach; NONE where they are equal."""
        return Side(int(np.sign(self.asymmetry)))

    def cluster(self, i: int) -> Cluster:
        """Return cluster `i` as a value."""
        row = self.clusters[i]
        return Cluster(
            side=Side(int(row["side"])),
            low=float(row["low"]),
            high=float(row["high"]),
            peak=float(row["peak"]),
            notional_usd=float(row["notional_usd"]),
            density_rank=float(row["density_rank"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of the one score schema, wherever a score is written or read.

    Attributes
    ----------
    claim : str
        Identifier of the claim that the statistic belongs to.
    symbol : str
        Market, or `pooled`.
    horizon : str
        `4h`, `24h` or `7d`.
    side : str
        `long` (clusters below), `short` (above) or `both`.
    statistic : str
        What `value` is, such as `hit_rate` or `mirror_lift`.
    value : float
        The statistic. Rates and lifts are fractions, skills are nats; NaN where it has no episodes.
    null : float
        What no information would have scored, in the same units.
    ci_low, ci_high : float
        95 % interval of `value`; NaN where it cannot be had.
    n_episodes, n_days : int
        Independent units, and UTC days on which they began.
    mde : float
        Minimum detectable effect: 2.8 standard errors (one-sided 2.5 %, power 80 %).
    unit : str
        How it is shown, such as `points` (hundredths); empty for a plain number.
    estimator : str
        Whose forecasts, by the experiment's name for it; empty where there is one alone.
    """

    claim: str
    symbol: str
    horizon: str
    side: str
    statistic: str
    value: float
    null: float
    ci_low: float
    ci_high: float
    n_episodes: int
    n_days: int
    mde: float
    unit: str = ""
    estimator: str = ""


class VerdictWord(StrEnum):
    """The words that a verdict may use."""

    SUPPORTED = "supported"
    SPECIFIC = "supported, specific"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    UNDERPOWERED = "underpowered"
    NOT_TESTABLE = "not testable on this data"
    WITHHELD = "withheld"
    SUSPECT = "suspect"

    @property
    def supports(self) -> bool:
        """Whether the claim is supported, specific or not."""
        return self in (VerdictWord.SUPPORTED, VerdictWord.SPECIFIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the code decides about one claim.

    Attributes
    ----------
    claim : str
        Identifier of the claim.
    word : VerdictWord
        What it is.
    reason : str
        One sentence: why this word.
    score : Score or None
        The row that the verdict rests on; None where the claim is not testable.
    """

    claim: str
    word: VerdictWord
    reason: str
    score: Score | None

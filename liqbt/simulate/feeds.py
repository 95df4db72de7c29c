"""What a venue publishes of a market, and what goes wrong with it on the way."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong with one feed; zero throughout is a clean feed.

    Attributes
    ----------
    missing : float
        Share of records that are lost, each on its own.
    delayed, delay_s : float
        Share of records that are known later, and the mean of the (exponential) extra delay.
    duplicated : float
        Share of records that are sent twice; the second is known a second later.
    gaps_per_day, gap_minutes : float
        Poisson outages with exponential lengths: whatever happens inside is lost.
    """

    missing: float = 0.0
    delayed: float = 0.0
    delay_s: float = 30.0
    duplicated: float = 0.0
    gaps_per_day: float = 0.0
    gap_minutes: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Which feeds there are, how often, how late.

    Attributes
    ----------
    oi_every_s, oi_latency_s : int
        Open interest is sampled and polled so.
    bars_every_s, totals_every_s : int
        Length of last-price bars and of liquidation totals; 0 leaves the feed out.
    feed_latency_s : int
        Latency of everything but open interest.
    mark_bars : bool
        Publish the mark as bars of `step_s` with their highs and lows instead of points.
    trades : bool
        Publish, for each step, one print of all that takers bought and one of all they sold.
    funding : bool
        Publish the funding rate at each settlement.
    liquidations : bool
        Publish forced orders.
    bankruptcy_price : bool
        A forced order's price is the position's bankruptcy price, not the mark that triggered it.
    throttle : str
        `none` publishes every forced order; `latest` and `largest` at most one per second.
    execution_s : int
        Forced orders of one instant are sent evenly over so many seconds, in order; 0 at once.
    depth_every_s : int
        Depth is published so often, in bands to 5 % on both sides; 0 leaves it out.
    depth_share : float
        Depth within 1 % of the price at mean volatility, as a share of open interest.
    mark_faults, bar_faults, trade_faults, oi_faults, liquidation_faults, totals_faults,
    funding_faults, depth_faults : Faults
        What goes wrong with each.
    """

    oi_every_s: int = 300
    oi_latency_s: int = 60
    bars_every_s: int = 3600
    totals_every_s: int = 3600
    feed_latency_s: int = 1
    mark_bars: bool = False
    trades: bool = False
    funding: bool = True
    liquidations: bool = True
    bankruptcy_price: bool = False
    throttle: str = "none"
    execution_s: int = 0
    depth_every_s: int = 0
    depth_share: float = 0.01
    mark_faults: Faults = field(default_factory=Faults)
    bar_faults: Faults = field(default_factory=Faults)
    trade_faults: Faults = field(default_factory=Faults)
    oi_faults: Faults = field(default_factory=Faults)
    liquidation_faults: Faults = field(default_factory=Faults)
    totals_faults: Faults = field(default_factory=Faults)
    funding_faults: Faults = field(default_factory=Faults)
    depth_faults: Faults = field(default_factory=Faults)

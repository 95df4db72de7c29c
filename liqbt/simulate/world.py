"""What a simulated market is made of: one frozen, validated value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from liqbt.errors import ConfigError
from liqbt.margin import TierTable
from liqbt.simulate.checks import check_world
from liqbt.types import DAY_NS, Ns

__all__ = ["World"]

START_NS: Final = 1_735_689_600_000_000_000
"""2025-01-01 00:00 UTC, where a simulated market begins unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A leveraged market to be simulated; rates are per day, volatilities per square root of a day.

    With `magnet = 0` the log price is a martingale with symmetric, mean-zero returns (no Itô term:
    up and down are mirror images) and does not depend on the traders at all.

    The defaults are near BTC perpetual futures of December 2025 to March 2026 in volatility (level,
    spread, clustering) and in open interest (deviation of 5-minute and daily changes, rises a day).
    They differ where the leverage mix that estimators assume forces it: about 3 % of open interest
    a day is liquidated on each side, against some 0.4 % in reported totals; daily returns have
    thinner tails; there is no daily season.

    Attributes
    ----------
    name : str
        What the world is called in manifests.
    symbols : tuple of str
        One market each, at `venue`; their shocks correlate by `common_factor`.
    venue : str
        The venue's name in event tables.
    days, warmup_days : int
        Published days, and days simulated before them so that the first positions have a past.
        Nothing of the warm-up is published and no mechanism acts in it.
    start_ns : int
        First published instant, ns UTC.
    step_s, substeps : int
        Marks are published every `step_s` seconds; the one path that marks, bars and liquidations
        share is drawn `substeps` times as finely.
    initial_price_usd : float
        The price at `start_ns`.
    daily_volatility : float
        Root mean square of the daily log return.
    volatility_slow_sd, volatility_slow_half_life_h, volatility_fast_sd, volatility_fast_half_life_h
        Log volatility is the sum of two stationary autoregressions with these deviations.
    shock_df : float
        Degrees of freedom of the Student-t shocks, above 2 (variance is normalised).
    common_factor : float
        Correlation of the symbols' shocks, in [0, 1].
    open_interest_usd : float
        Level of open interest, one side, at the initial price.
    open_interest_pull : float
        Entries are scaled by (level / open interest) to this power.
    lot_coins : float
        The contract: every position is a whole number of lots, so accounts close exactly.
    leverages, weights : tuple of float
        Leverage brackets, ascending, and the share of levered entries in each; weights sum to one.
    unlevered_share : float
        Share of all entries that are backed in full and have no liquidation price, in [0, 1):
        hedgers, spot-margined and well covered accounts.
    entries_per_day, turnover_per_day : float
        Pairs (one long, one short) opened a day at the level, and the share of open interest that
        they make up; their ratio gives the mean size.
    position_tail, position_cap : float
        Pareto index of sizes (above 1), and the largest position as a share of open interest.
    activity_sd, activity_half_life_h : float
        Log intensity of entries, and of exits, is an autoregression with these.
    activity_volatility : float
        Power of volatility in both intensities.
    bursts_per_day, burst_size, burst_minutes : float
        Bursts of entries, and of exits: how many a day, by how many times the base rate each adds
        on average (exponentially distributed), and for how long on average.
    exit_half_life_h : float
        Half-life of voluntary exits, in hours of the exits' own activity clock.
    loser_exit_ratio : float
        Losing positions leave at this fraction of the winners' rate, in (0, 1].
    churn_per_day : float
        Volume that opens and closes nothing, as a multiple of open interest a day.
    maintenance_rate : float
        The venue's one flat maintenance-margin rate, where `tiers` is None.
    tiers : TierTable or None
        Dated maintenance tiers; those of `start_ns` hold throughout. A position that is too large
        for its bracket gets the highest bracket that its tier permits.
    oi_every_s, oi_latency_s : int
        Open interest is sampled and polled so.
    bars_every_s, totals_every_s : int
        Length of last-price bars and of liquidation totals; 0 leaves the feed out.
    feed_latency_s : int
        Latency of marks, bars, liquidations and totals.
    mark_bars : bool
        Publish the mark as bars of `step_s` with their highs and lows instead of points.
    liquidations : bool
        Publish every forced order.
    truth_every_s : int
        How often the true map is kept.
    magnet : float
        Strength of the planted magnet, in [0, 4]: the price drifts toward the densest true cluster
        within `magnet_reach_sigma`, by `magnet` × σ per day, σ being the volatility per square root
        of a day that holds at that step. The pull feeds on itself, since swept clusters lie behind
        the price and full ones ahead: it makes momentum, too (at 1 and 2 daily volatility rises
        from 2.7 % to 3.8 % and 5.3 %, and daily returns correlate by .3 and .4).
    magnet_reach_sigma : float
        How far the magnet reaches, in units of `daily_volatility`.

    Raises
    ------
    ConfigError
        Where a value cannot be right; the message names the key and what is expected.

    Examples
    --------
    >>> World(name="w", days=2).steps
    576
    >>> World(name="w", weights=(0.5, 0.5, 0.5, 0.0, 0.0))
    Traceback (most recent call last):
    ...
    liqbt.errors.ConfigError: world w: weights sum to 1.5, expected 1
    """

    name: str
    symbols: tuple[str, ...] = ("SIM",)
    venue: str = "simulated"
    days: int = 120
    warmup_days: int = 10
    start_ns: Ns = START_NS
    step_s: int = 300
    substeps: int = 5
    initial_price_usd: float = 50_000.0
    daily_volatility: float = 0.027
    volatility_slow_sd: float = 0.35
    volatility_slow_half_life_h: float = 48.0
    volatility_fast_sd: float = 0.45
    volatility_fast_half_life_h: float = 2.0
    shock_df: float = 4.5
    common_factor: float = 0.0
    open_interest_usd: float = 5e9
    open_interest_pull: float = 2.0
    lot_coins: float = 1e-3
    leverages: tuple[float, ...] = (5.0, 10.0, 20.0, 50.0, 100.0)
    weights: tuple[float, ...] = (0.08, 0.22, 0.32, 0.25, 0.13)
    unlevered_share: float = 0.6
    entries_per_day: float = 400.0
    turnover_per_day: float = 0.15
    position_tail: float = 1.7
    position_cap: float = 0.005
    activity_sd: float = 0.5
    activity_half_life_h: float = 2.0
    activity_volatility: float = 1.0
    bursts_per_day: float = 8.0
    burst_size: float = 6.0
    burst_minutes: float = 10.0
    exit_half_life_h: float = 96.0
    loser_exit_ratio: float = 2 / 3
    churn_per_day: float = 2.0
    maintenance_rate: float = 0.004
    tiers: TierTable | None = None
    oi_every_s: int = 300
    oi_latency_s: int = 60
    bars_every_s: int = 3600
    totals_every_s: int = 3600
    feed_latency_s: int = 1
    mark_bars: bool = False
    liquidations: bool = True
    truth_every_s: int = 3600
    magnet: float = 0.0
    magnet_reach_sigma: float = 1.5

    def __post_init__(self) -> None:
        """Refuse what cannot be right."""
        check_world(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, source: str) -> World:
        """Build a world from parsed YAML; lists become tuples, an unknown key is an error.

        Parameters
        ----------
        mapping : Mapping
            Field name to value.
        source : str
            What the mapping came from, for the message.

        Raises
        ------
        ConfigError
            Naming `source`, the key and, for an unknown key, the nearest known one.

        Examples
        --------
        >>> World.from_mapping({"name": "w", "magnett": 1}, source="w.yaml")
        Traceback (most recent call last):
        ...
        liqbt.errors.ConfigError: w.yaml: unknown key 'magnett', did you mean 'magnet'?
        """
        if not isinstance(mapping, Mapping):
            raise ConfigError(f"{source}: expected a mapping, found {type(mapping).__name__}")
        known = [f.name for f in fields(cls)]
        for key in mapping:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
                raise ConfigError(f"{source}: unknown key {key!r}, did you mean {near[0]!r}?")
        if "name" not in mapping:
            raise ConfigError(f"{source}: key 'name' is missing")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in mapping.items()
        }
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    @property
    def steps(self) -> int:
        """Published steps."""
        return self.days * 86_400 // self.step_s

    @property
    def warmup_steps(self) -> int:
        """Steps before the first published instant."""
        return self.warmup_days * 86_400 // self.step_s

    @property
    def level_lots(self) -> float:
        """The level of open interest in lots, one side."""
        return self.open_interest_usd / self.initial_price_usd / self.lot_coins

    @property
    def end_ns(self) -> Ns:
        """End of the published time, ns UTC (half-open)."""
        return self.start_ns + self.days * DAY_NS

"""The sections of a `World`, each a frozen value of plain keys with their ranges.

Rates are per day, volatilities per square root of a day. A key whose name ends in a unit (`_s`,
`_m`, `_minutes`, `_h`, `_hours`, `days`) takes a number of these, or a duration such as `5m`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    ConfigDict,
    Field,
    InstanceOf,
    StrictBool,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from liqbt.config.fields import Days, Hours, Minutes, Seconds, complaint, must
from liqbt.errors import ConfigError
from liqbt.margin.tiers import TierTable

HOUR_PROFILE: Final = (
    0.98, 1.05, 0.97, 0.82, 0.76, 0.75, 0.80, 0.84, 0.85, 0.82, 0.77, 0.79,
    0.88, 1.26, 1.66, 1.49, 1.20, 1.25, 1.13, 1.09, 1.02, 0.97, 0.99, 0.84,
)  # fmt: skip
"""Mean absolute hourly return by UTC hour over its mean, BTC spot 2023-06 to 2026-03."""

DAY_PROFILE: Final = (1.21, 1.16, 1.10, 1.09, 1.12, 0.57, 0.75)
"""The same by weekday, Monday first."""

MAGNET_LIMIT: Final = 4.0
"""Above this pull the price runs away: swept clusters lie behind it and full ones ahead, so that
the pull feeds on itself. At 4 the daily volatility is already three times the noise's."""

STRICT: Final = ConfigDict(extra="forbid")


def above(limit: float, why: str) -> Any:
    """Return a check of a field whose value lies above `limit`."""
    return must(lambda value: value > limit, f"more than {limit:g}, {why}")


def at_most(limit: float, of_what: str = "") -> Any:
    """Return a check of a field whose value lies within `limit` of zero."""
    return must(
        lambda value: abs(value) <= limit, f"at most {limit:g}{f' ({of_what})' if of_what else ''}"
    )


Text: TypeAlias = Annotated[str, Field(min_length=1)]
Real: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NotNegative: TypeAlias = Annotated[Real, Field(ge=0)]
Above0: TypeAlias = Annotated[Real, Field(gt=0)]
Part: TypeAlias = Annotated[Real, Field(ge=0, le=1)]
Whole: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
Count: TypeAlias = Annotated[int, Field(strict=True, gt=0)]
Pull: TypeAlias = Annotated[
    NotNegative,
    at_most(MAGNET_LIMIT, "a stronger pull drowns the noise and the price runs away"),
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Section:
    """A part of a world."""

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """Refuse in one sentence what is built by hand; a world says it of its own sections."""
        if not isinstance(value, ArgsKwargs):
            return handler(value)
        try:
            return handler(value)
        except ValidationError as error:
            raise ConfigError(f"{cls.__name__}: {complaint(error, cls)}") from error


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Price(Section):
    r"""The latent price: what moves it when no trader does. No key here knows a trader but one.

    With ε the shocks of unit variance and dt a substep in days, the log price moves by::

        σ_t     = daily_volatility · season_t^season · regime_t · exp(slow + fast + drifting − E)
        noise_t = σ_t √dt ε_t + jumps + drift_per_day · dt + regime drift
        r_t     = noise_t + momentum · (1 − k_m) S_m − mean_reversion · (1 − k_r) S_r

    where S = Σ k^(j−1) · noise_{t−j} and k = ½^(dt / half-life): a shock is followed by `momentum`
    of itself in all, or taken back by `mean_reversion` of itself in all.

    Attributes
    ----------
    daily_volatility : float
        Root mean square of the daily log return without jumps, regimes and feedback.
    volatility_slow_sd, volatility_slow_half_life_h, volatility_fast_sd, volatility_fast_half_life_h
        Log volatility is a sum of stationary autoregressions with these deviations …
    volatility_drift_sd, volatility_drift_half_life_h
        … the third of them over weeks.
    shock_df : float
        Degrees of freedom of the Student-t shocks, above 2 (variance is normalised).
    common_factor : float
        Correlation of the symbols' shocks, in [0, 1].
    season : float
        Power of the hourly and weekly profile of volatility (and so of activity): 0 is none.
    jumps_per_day, jump_sigma, jump_minutes : float
        Poisson jumps of symmetric sign: how many a day, deviation of their (Laplace) size in units
        of `daily_volatility`, and over how many minutes a jump unfolds (0: within one substep). One
        that unfolds can be seen coming once it has begun: the price is a martingale no longer.
    drift_per_day : float
        Log drift.
    momentum, momentum_half_life_h : float
        Share of a move that follows it, and how long half of that takes.
    mean_reversion, mean_reversion_half_life_h : float
        Share of a move that is taken back, at most 1, and how long half of that takes.
    regime_days, regime_volatility, regime_drift, regime_tilt : float
        Two states that alternate after exponential times of this mean (0: no regimes). In the
        second, volatility is `regime_volatility` times the first's, the price drifts by
        `regime_drift` σ a day with a sign drawn per spell, and leverage tilts by `regime_tilt`.
    oi_volatility : float
        Volatility is multiplied by (open interest / level) to this power. The only key of this
        section that lets the price depend on the traders.
    tick_usd : float
        The price is a whole number of these.
    """

    daily_volatility: Annotated[Above0, at_most(0.3, "30 % a day")] = 0.0265
    volatility_slow_sd: Annotated[NotNegative, at_most(1.5, "a log deviation")] = 0.30
    volatility_slow_half_life_h: Annotated[Above0, Hours] = 72.0
    volatility_fast_sd: Annotated[NotNegative, at_most(1.5, "a log deviation")] = 0.45
    volatility_fast_half_life_h: Annotated[Above0, Hours] = 2.0
    volatility_drift_sd: Annotated[NotNegative, at_most(1.5, "a log deviation")] = 0.25
    volatility_drift_half_life_h: Annotated[Above0, Hours] = 360.0
    shock_df: Annotated[
        NotNegative, must(lambda v: v > 2, "more than 2, or the variance is infinite")
    ] = 4.5
    common_factor: Part = 0.0
    season: Annotated[NotNegative, at_most(3, "a power of the profile")] = 1.0
    jumps_per_day: Annotated[NotNegative, at_most(100)] = 0.3
    jump_sigma: Annotated[Above0, at_most(10, "daily deviations")] = 0.6
    jump_minutes: Annotated[NotNegative, at_most(1440, "a day"), Minutes] = 0.0
    drift_per_day: Annotated[Real, at_most(0.1, "in log price")] = 0.0
    momentum: Annotated[NotNegative, at_most(2, "each move would be followed by thrice it")] = 0.0
    momentum_half_life_h: Annotated[Above0, Hours] = 12.0
    mean_reversion: Part = 0.0
    mean_reversion_half_life_h: Annotated[Above0, Hours] = 24.0
    regime_days: Annotated[NotNegative, Days] = 0.0
    regime_volatility: Annotated[Above0, at_most(10)] = 1.0
    regime_drift: Annotated[Real, at_most(5, "σ a day")] = 0.0
    regime_tilt: Real = 0.0
    oi_volatility: Annotated[Real, at_most(5, "a power")] = 0.0
    tick_usd: Above0 = 0.01


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Traders(Section):
    """Who trades, how large, how levered, for how long.

    Attributes
    ----------
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
        hedgers and spot-margined accounts.
    cross_share : float
        Share of the levered entries that are cross-margined: the account holds (1 + extra) times
        the bracket's initial margin, pays funding from it, and gains and loses elsewhere.
    cross_extra : float
        Mean of that extra (exponentially distributed).
    transfers_per_day, transfer_sd : float
        How often a cross account's collateral changes for reasons outside this market (deposits,
        withdrawals, other positions), and the deviation of the change as a share of it.
    tilt_sd, tilt_half_life_h : float
        The mix moves in time: weight i is multiplied by exp(tilt · c_i), c from -1 (the lowest
        bracket) to 1 (the highest); tilt is a stationary autoregression with these.
    crowding_sd, crowding_half_life_h : float
        A second one, added to the longs' tilt and taken from the shorts': it makes one side more
        levered than the other.
    crowding_trend : float
        Crowding leans to the trailing day's latent return, by so much per `daily_volatility`.
    entries_per_day, turnover_per_day : float
        Pairs (one long, one short) opened a day at the level, and the share of open interest that
        they make up; their ratio gives the mean size.
    position_tail, position_cap : float
        Pareto index of sizes (above 1), and the largest position as a share of open interest.
    activity_sd, activity_half_life_h : float
        Log intensity of entries, and of exits, is an autoregression with these.
    activity_volatility : float
        Power of volatility (and so of its season) in both intensities.
    bursts_per_day, burst_size, burst_minutes : float
        Bursts of entries, and of exits: how many a day, by how many times the base rate each adds
        on average (exponentially distributed), and for how long on average.
    exit_half_life_h : float
        Half-life of voluntary exits, in hours of the exits' own activity clock.
    loser_exit_ratio : float
        Losing positions leave at this fraction of the winners' rate, in (0, 1].
    churn_per_day : float
        Volume that opens and closes nothing, as a multiple of open interest a day.
    """

    open_interest_usd: Above0 = 5e9
    open_interest_pull: NotNegative = 2.0
    lot_coins: Above0 = 1e-3
    leverages: Annotated[tuple[Real, ...], Field(min_length=1)] = (5.0, 10.0, 20.0, 50.0, 100.0)
    weights: Annotated[tuple[Real, ...], Field(min_length=1)] = (0.08, 0.22, 0.32, 0.25, 0.13)
    unlevered_share: Annotated[NotNegative, must(lambda v: v < 1, "a share below 1")] = 0.6
    cross_share: Part = 0.85
    cross_extra: NotNegative = 12.0
    transfers_per_day: NotNegative = 0.1
    transfer_sd: Annotated[NotNegative, at_most(1)] = 0.3
    tilt_sd: Annotated[NotNegative, at_most(1.5, "a log deviation")] = 0.3
    tilt_half_life_h: Annotated[Above0, Hours] = 72.0
    crowding_sd: Annotated[NotNegative, at_most(1.5, "a log deviation")] = 0.3
    crowding_half_life_h: Annotated[Above0, Hours] = 48.0
    crowding_trend: Real = 0.0
    entries_per_day: Above0 = 400.0
    turnover_per_day: Above0 = 0.18
    position_tail: Annotated[
        NotNegative, must(lambda v: v > 1, "more than 1, or the mean is infinite")
    ] = 1.7
    position_cap: Annotated[Above0, at_most(1, "a share")] = 0.005
    activity_sd: Annotated[NotNegative, at_most(1.5, "a log deviation")] = 0.5
    activity_half_life_h: Annotated[Above0, Hours] = 2.0
    activity_volatility: NotNegative = 1.0
    bursts_per_day: NotNegative = 8.0
    burst_size: NotNegative = 16.0
    burst_minutes: Annotated[Above0, Minutes] = 10.0
    exit_half_life_h: Annotated[Above0, Hours] = 96.0
    loser_exit_ratio: Annotated[Above0, at_most(1, "a ratio in (0, 1]")] = 2 / 3
    churn_per_day: NotNegative = 2.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Exchange(Section):
    """The venue's rules: margin, liquidation, fees, funding.

    All money is a whole number of units of `lot_coins` × `tick_usd`, so that wallets, margins,
    unrealised profit, fees and the insurance fund sum to zero exactly, at every step.

    Attributes
    ----------
    maintenance_rate : float
        The venue's one flat maintenance-margin rate, where `tiers` is None.
    tiers : TierTable or None
        Dated maintenance tiers; those of `start_ns` hold throughout. A position that is too large
        for its bracket gets the highest bracket that its tier permits.
    cut_above_usd, cut_share, cut_cooldown_s : float
        A position above this notional is liquidated in steps, `cut_share` of it at a time, so many
        seconds apart, while its margin lasts (0: every position at once).
    taker_fee, maker_fee, liquidation_fee : float
        Fees as a share of notional; the last is taken from what a liquidation leaves.
    insurance_usd : float
        The insurance fund at the start. It takes what liquidations leave beyond their fee, and pays
        what they lack; below zero it owes what auto-deleveraging would have taken.
    funding_every_h : int
        Funding is settled so often; 0 is never.
    funding_base, funding_crowding, funding_noise, funding_cap : float
        The rate per settlement is clip(base + crowding · A + noise · z, ±cap): A the asymmetry of
        true liquidation notional within reach (positive where more longs lie below), z an
        autoregression of unit deviation and a half-life of a day. Longs pay shorts where positive:
        cross accounts from their collateral (which moves their liquidation prices), all others
        from their wallets.
    """

    maintenance_rate: Above0 = 0.004
    tiers: InstanceOf[TierTable] | None = None
    cut_above_usd: NotNegative = 2e7
    cut_share: Annotated[Above0, at_most(1)] = 0.2
    cut_cooldown_s: Annotated[NotNegative, Seconds] = 30.0
    taker_fee: Annotated[NotNegative, at_most(0.05, "5 % of notional")] = 5e-4
    maker_fee: Annotated[Real, at_most(0.05, "5 % of notional")] = 2e-4
    liquidation_fee: Annotated[NotNegative, at_most(0.05, "5 % of notional")] = 2e-3
    insurance_usd: NotNegative = 1e8
    funding_every_h: Annotated[Whole, Hours] = 8
    funding_base: Annotated[Real, at_most(0.05, "5 % of notional")] = 1e-4
    funding_crowding: Annotated[Real, at_most(0.05, "5 % of notional")] = 1e-4
    funding_noise: Annotated[NotNegative, at_most(0.05, "5 % of notional")] = 5e-5
    funding_cap: Annotated[NotNegative, at_most(0.05, "5 % of notional")] = 3e-3


MECHANISMS: Final = (
    "magnet",
    "ratio",
    "absolute",
    "fuel",
    "impact",
    "stops",
    "direction",
    "acceleration",
    "sweep_reversal",
    "walls",
)
"""The mechanisms that move the price, in the order of the truth's columns; `placement` moves only
the traders."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Mechanisms(Section):
    """The planted mechanisms. None acts in the warm-up; all are alike up and down.

    Below, σ is the volatility per square root of a day at the step, dt its part of a day, n the
    lots by liquidation price per 5 bp bin (smoothed by a 7-bin triangle), *reach* `reach_sigma` ×
    `daily_volatility` from the price, N_down and N_up the long lots below and the short lots above
    within reach, A = (N_down − N_up)/(N_down + N_up), and *level* the level of open interest.

    Attributes
    ----------
    magnet : float
        Pull toward the densest bin within reach: Δx = ± magnet · σ · dt. It feeds on itself, since
        swept clusters lie behind the price and full ones ahead; it makes momentum, too: at 0.5, 1
        and 2 the densest true level's mirror lift over a day is 13, 30 and 54 points, and daily
        returns correlate by .1, .2 and .4 (research/simulated_market measures it anew).
    ratio : float
        Drive by the asymmetry: Δx = − ratio · σ · dt · A.
    absolute : float
        Drive by signed size: Δx = − absolute · σ · dt · clip((N_down − N_up)/(level / 20), ±4).
    reach_sigma : float
        How far magnet, ratio, absolute, direction, walls and stops look.
    fuel : float
        Price impact of forced flow, log displacement per unit of (lots forced / level): long
        liquidations push down, short ones up, at the next substep.
    impact : float
        The same for non-forced flow (entries by their initiators, voluntary exits net), so that
        fuel = impact is a market in which a forced order is like any other.
    impact_permanent, impact_half_life_m : float
        The share of an impact (of fuel, impact and stops) that stays, and the half-life of the
        rest.
    direction : float
        In [0, 1]: a jump's sign leans to the crowded side: P(toward it) = ½ (1 + direction · |A|).
        Needs `jumps_per_day` above 0.
    placement : float
        In [0, 1]: entries come 1 + 2 · placement times as often within 0.5 % of a confirmed swing
        high or low, and a share `placement` of levered entrants choose the leverage that puts their
        liquidation price up to 0.4 % beyond the nearest swing low (longs) or high (shorts), where a
        leverage between the lowest and the highest bracket does so.
    swing_h : int
        A swing is an hourly high (low) above (below) those of so many hours on both sides.
    acceleration : float
        The noise is multiplied by 1 + acceleration · clip((q − 1)/4, 0, 1), q the mean density
        within 3 bins of the price (what was forced in the last step included) over that within
        reach.
    sweep_reversal, sweep_share, sweep_hours : float
        Once forced lots of one side (half-life 30 minutes) exceed `sweep_share` of level, the price
        drifts back by sweep_reversal · σ a day for `sweep_hours`; the latest sweep decides.
    walls, wall_share, wall_hours : float
        Each hour, on a side without one, a wall appears with probability `wall_share` just before
        the densest cluster within reach, for `wall_hours`. It holds the price until it has absorbed
        walls · `daily_volatility` of displacement. Depth bands show it.
    stops, stop_share : float
        Impact of stop orders (as `fuel`). Where it is above 0, a share `stop_share` of entrants
        park a stop in the densest cluster of their side within reach, if that comes before their
        liquidation. Stops trigger on the last price and are not reported as liquidations.
    """

    magnet: Pull = 0.0
    ratio: Pull = 0.0
    absolute: Pull = 0.0
    reach_sigma: Above0 = 1.5
    fuel: NotNegative = 0.0
    impact: Annotated[NotNegative, at_most(5)] = 0.0
    impact_permanent: Part = 0.5
    impact_half_life_m: Annotated[Above0, Minutes] = 60.0
    direction: Part = 0.0
    placement: Part = 0.0
    swing_h: Annotated[Count, at_most(48, "hours"), Hours] = 6
    acceleration: Annotated[NotNegative, at_most(10, "times the noise")] = 0.0
    sweep_reversal: Pull = 0.0
    sweep_share: Above0 = 0.002
    sweep_hours: Annotated[Above0, Hours] = 4.0
    walls: Annotated[NotNegative, at_most(5, "daily deviations: more would not be crossed")] = 0.0
    wall_share: Part = 0.3
    wall_hours: Annotated[Above0, Hours] = 12.0
    stops: NotNegative = 0.0
    stop_share: Part = 0.3


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Faults(Section):
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

    missing: Annotated[Part, must(lambda v: v < 1, "a share below 1")] = 0.0
    delayed: Part = 0.0
    delay_s: Annotated[NotNegative, Seconds] = 30.0
    duplicated: Part = 0.0
    gaps_per_day: NotNegative = 0.0
    gap_minutes: Annotated[NotNegative, Minutes] = 30.0

    @model_validator(mode="after")
    def _something_left(self) -> Faults:
        if self.gaps_per_day * self.gap_minutes / 1440 > 0.5:
            raise ValueError("gaps_per_day: expected gaps that leave half of the time")
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Feed(Section):
    """Which feeds there are, how often, how late.

    Attributes
    ----------
    oi_every_s, oi_latency_s : int
        Open interest is sampled and polled so.
    oi_of_others : float
        Which power of the published open interest is that of *others*, the rest being that of the
        traders: another crowd like them, on the same price and as busy when it is volatile, whose
        liquidations are nowhere published. At 1 open interest says of liquidations only what the
        price does.
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
    depth_decoys : float
        Each hour, on a side without one, a wall that holds nothing is shown in the depth with this
        probability, where `walls` would put one, for `wall_hours`: a third of a daily σ large.
    census_every_s : int
        Positions are published so often, one a bin of the true map; 0 leaves them out.
    census_share : float
        Share of the bins of half a per cent of price whose positions are published, the same at
        every census.
    mark_faults, bar_faults, trade_faults, oi_faults, liquidation_faults, totals_faults,
    funding_faults, depth_faults : Faults
        What goes wrong with each.
    """

    oi_every_s: Annotated[Count, Seconds] = 300
    oi_latency_s: Annotated[Whole, at_most(86_400, "a day"), Seconds] = 60
    oi_of_others: Part = 0.0
    bars_every_s: Annotated[Whole, Seconds] = 3600
    totals_every_s: Annotated[Whole, Seconds] = 3600
    feed_latency_s: Annotated[Whole, at_most(86_400, "a day"), Seconds] = 1
    mark_bars: StrictBool = False
    trades: StrictBool = False
    funding: StrictBool = True
    liquidations: StrictBool = True
    bankruptcy_price: StrictBool = False
    throttle: Literal["none", "latest", "largest"] = "none"
    execution_s: Annotated[Whole, at_most(86_400, "a day"), Seconds] = 0
    depth_every_s: Annotated[Whole, Seconds] = 0
    depth_share: Above0 = 0.01
    depth_decoys: Part = 0.0
    census_every_s: Annotated[Whole, Seconds] = 0
    census_share: Part = 0.3
    mark_faults: Faults = Faults()
    bar_faults: Faults = Faults()
    trade_faults: Faults = Faults()
    oi_faults: Faults = Faults()
    liquidation_faults: Faults = Faults()
    totals_faults: Faults = Faults()
    funding_faults: Faults = Faults()
    depth_faults: Faults = Faults()

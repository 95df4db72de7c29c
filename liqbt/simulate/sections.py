"""The parts of a `World`: price, traders and exchange, each a frozen value of plain keys.

Rates are per day, volatilities per square root of a day, `h` hours and `m` minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from liqbt.margin.tiers import TierTable

HOUR_PROFILE: Final = (
    0.98, 1.05, 0.97, 0.82, 0.76, 0.75, 0.80, 0.84, 0.85, 0.82, 0.77, 0.79,
    0.88, 1.26, 1.66, 1.49, 1.20, 1.25, 1.13, 1.09, 1.02, 0.97, 0.99, 0.84,
)  # fmt: skip
"""Mean absolute hourly return by UTC hour over its mean, BTC spot 2023-06 to 2026-03."""

DAY_PROFILE: Final = (1.21, 1.16, 1.10, 1.09, 1.12, 0.57, 0.75)
"""The same by weekday, Monday first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
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

    daily_volatility: float = 0.0265
    volatility_slow_sd: float = 0.30
    volatility_slow_half_life_h: float = 72.0
    volatility_fast_sd: float = 0.45
    volatility_fast_half_life_h: float = 2.0
    volatility_drift_sd: float = 0.25
    volatility_drift_half_life_h: float = 360.0
    shock_df: float = 4.5
    common_factor: float = 0.0
    season: float = 1.0
    jumps_per_day: float = 0.3
    jump_sigma: float = 0.6
    jump_minutes: float = 0.0
    drift_per_day: float = 0.0
    momentum: float = 0.0
    momentum_half_life_h: float = 12.0
    mean_reversion: float = 0.0
    mean_reversion_half_life_h: float = 24.0
    regime_days: float = 0.0
    regime_volatility: float = 1.0
    regime_drift: float = 0.0
    regime_tilt: float = 0.0
    oi_volatility: float = 0.0
    tick_usd: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Traders:
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

    open_interest_usd: float = 5e9
    open_interest_pull: float = 2.0
    lot_coins: float = 1e-3
    leverages: tuple[float, ...] = (5.0, 10.0, 20.0, 50.0, 100.0)
    weights: tuple[float, ...] = (0.08, 0.22, 0.32, 0.25, 0.13)
    unlevered_share: float = 0.6
    cross_share: float = 0.85
    cross_extra: float = 12.0
    transfers_per_day: float = 0.1
    transfer_sd: float = 0.3
    tilt_sd: float = 0.3
    tilt_half_life_h: float = 72.0
    crowding_sd: float = 0.3
    crowding_half_life_h: float = 48.0
    crowding_trend: float = 0.0
    entries_per_day: float = 400.0
    turnover_per_day: float = 0.18
    position_tail: float = 1.7
    position_cap: float = 0.005
    activity_sd: float = 0.5
    activity_half_life_h: float = 2.0
    activity_volatility: float = 1.0
    bursts_per_day: float = 8.0
    burst_size: float = 16.0
    burst_minutes: float = 10.0
    exit_half_life_h: float = 96.0
    loser_exit_ratio: float = 2 / 3
    churn_per_day: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
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

    maintenance_rate: float = 0.004
    tiers: TierTable | None = None
    cut_above_usd: float = 2e7
    cut_share: float = 0.2
    cut_cooldown_s: float = 30.0
    taker_fee: float = 5e-4
    maker_fee: float = 2e-4
    liquidation_fee: float = 2e-3
    insurance_usd: float = 1e8
    funding_every_h: int = 8
    funding_base: float = 1e-4
    funding_crowding: float = 1e-4
    funding_noise: float = 5e-5
    funding_cap: float = 3e-3

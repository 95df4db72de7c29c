"""What may be planted in a market: one strength each, zero by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanisms:
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

    magnet: float = 0.0
    ratio: float = 0.0
    absolute: float = 0.0
    reach_sigma: float = 1.5
    fuel: float = 0.0
    impact: float = 0.0
    impact_permanent: float = 0.5
    impact_half_life_m: float = 60.0
    direction: float = 0.0
    placement: float = 0.0
    swing_h: int = 6
    acceleration: float = 0.0
    sweep_reversal: float = 0.0
    sweep_share: float = 0.002
    sweep_hours: float = 4.0
    walls: float = 0.0
    wall_share: float = 0.3
    wall_hours: float = 12.0
    stops: float = 0.0
    stop_share: float = 0.3

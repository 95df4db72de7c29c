"""What each planted mechanism amounts to, measured from the truth in the units of METHOD's claims.

Power is to be stated against these effects, not against the world's knobs. Nothing here estimates:
it reads the true map, the true path, and the displacement that each mechanism applied. A statistic
whose null is not zero in a market without mechanisms says so; the same world unplanted, with the
same seeds, is the comparison that needs no argument.
"""

from __future__ import annotations

from liqbt.simulate.effects.acceleration import acceleration_effects
from liqbt.simulate.effects.direction import direction_effects
from liqbt.simulate.effects.drive import drive_effects
from liqbt.simulate.effects.fuel import fuel_effects
from liqbt.simulate.effects.magnet import MagnetEffect, level_effects, magnet_effect
from liqbt.simulate.effects.maps import correlation, mass_by_distance, outside_share, wasserstein
from liqbt.simulate.effects.placement import placement_effects
from liqbt.simulate.effects.reversal import reversal_effects
from liqbt.simulate.effects.stops import stop_effects
from liqbt.simulate.effects.twin import twin_visits
from liqbt.simulate.effects.values import DaySums, Effect, ratio, sum_by_day
from liqbt.simulate.effects.walls import wall_effects

__all__ = [
    "DaySums",
    "Effect",
    "MagnetEffect",
    "acceleration_effects",
    "correlation",
    "direction_effects",
    "drive_effects",
    "fuel_effects",
    "level_effects",
    "magnet_effect",
    "mass_by_distance",
    "outside_share",
    "placement_effects",
    "ratio",
    "reversal_effects",
    "stop_effects",
    "sum_by_day",
    "twin_visits",
    "wall_effects",
    "wasserstein",
]

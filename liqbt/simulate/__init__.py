"""A leveraged market whose truth is known: events as a venue would publish them, truth beside them.

Nothing here may use an estimator: the market would mark its own homework.
"""

from __future__ import annotations

from liqbt.simulate.effects import Effect, MagnetEffect, level_effects, magnet_effect
from liqbt.simulate.market import Market, simulate
from liqbt.simulate.mechanisms import MECHANISMS
from liqbt.simulate.truth import Truth, truth_tables
from liqbt.simulate.world import World

__all__ = [
    "MECHANISMS",
    "Effect",
    "MagnetEffect",
    "Market",
    "Truth",
    "World",
    "level_effects",
    "magnet_effect",
    "simulate",
    "truth_tables",
]

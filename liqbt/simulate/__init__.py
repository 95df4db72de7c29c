"""A leveraged market whose truth is known: events as a venue would publish them, truth beside them.

Nothing here may use an estimator: the market would mark its own homework.
"""

from __future__ import annotations

from liqbt.simulate.effect import MagnetEffect, magnet_effect
from liqbt.simulate.market import Market, simulate
from liqbt.simulate.truth import Truth, truth_tables
from liqbt.simulate.world import World

__all__ = [
    "MagnetEffect",
    "Market",
    "Truth",
    "World",
    "magnet_effect",
    "simulate",
    "truth_tables",
]

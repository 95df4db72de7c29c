"""From what a statistic is to the effect that it stands for, and how far a record reaches.

A slope or a dose is not the effect: a planted magnet of 18 points shows in the dose at a third of
its size. So a claim whose statistic is another thing than its effect states what one unit of it
amounts to, measured from the truth of simulated markets in which the mechanism is planted, with the
error of that. What a verdict says of sizes it says on this scale, the *causal scale*.

The scale is that of a map which knows as much of positions as the reference estimator does in those
markets; a map that knows less shows less of the same effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_BOUND: Final = 1.959964
"""Standard errors from an estimate to its 95 % bounds."""
_YEAR_DAYS: Final = 365.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalScale:
    """What one unit of a statistic amounts to, as an effect.

    Attributes
    ----------
    per_unit : float
        Effect, in the claim's unit, for each unit of the statistic.
    error : float
        Its standard error as a share of it: of the calibration, and of what is no straight line.
    effect : str
        What the effect is, in words; empty: it is the statistic itself.
    """

    per_unit: float = 1.0
    error: float = 0.0
    effect: str = ""

    def of(self, value: float) -> float:
        """Return the effect that a value of the statistic stands for."""
        return self.per_unit * value

    def bounds(self, value: float, low: float, high: float) -> tuple[float, float]:
        """Return the 95 % bounds of the effect: the statistic's, and the scale's error with them.

        Independent errors add as squares (first-order propagation).

        Parameters
        ----------
        value, low, high : float
            Of the statistic less its null.

        Examples
        --------
        >>> CausalScale(per_unit=2.0).bounds(1.0, 0.0, 2.0)
        (0.0, 4.0)
        >>> low, high = CausalScale(per_unit=2.0, error=0.5).bounds(1.0, 0.0, 2.0)
        >>> round(low, 2), round(high, 2)
        (-0.8, 4.8)
        """
        centre, scaled = self.of(value), _BOUND * self.error * abs(value)
        below, above = (math.hypot(x - value, scaled) for x in (low, high))
        return centre - self.per_unit * below, centre + self.per_unit * above


OWN_SCALE: Final = CausalScale()
"""Of a claim whose statistic is the effect itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How small an effect a record can show, and how long one would have to be.

    Attributes
    ----------
    detectable : float
        Effect that would be found with 80 % power here, on the causal scale.
    years : float
        Length of this record, in years of all its markets together.
    needed : float
        Years of the same markets after which the smallest effect of interest would be found with
        80 % power; infinite where the pass rule asks for more than that effect.
    """

    detectable: float
    years: float
    needed: float


def reach_of(
    mde: float, n_days: int, *, scale: CausalScale, least_bound: float, smallest_effect: float
) -> Reach:
    """Return what a record reaches, and what it would take.

    The standard error falls with the root of the length (days are nearly independent), and the
    bound that the pass rule asks for stays.

    Parameters
    ----------
    mde : float
        Minimum detectable effect of the statistic over its null, 2.8 standard errors.
    n_days : int
        Days that it rests on.
    scale : CausalScale
        Of the claim.
    least_bound : float
        What the lower bound must exceed, in the unit of the statistic.
    smallest_effect : float
        Of interest, on the causal scale.

    Examples
    --------
    >>> found = reach_of(0.1, 365, scale=OWN_SCALE, least_bound=0.0, smallest_effect=0.05)
    >>> round(found.detectable, 2), round(found.years, 2), round(found.needed, 1)
    (0.1, 1.0, 4.0)
    """
    years = n_days / _YEAR_DAYS
    room = smallest_effect / scale.per_unit - least_bound
    return Reach(
        detectable=scale.of(mde + least_bound),
        years=years,
        needed=years * (mde / room) ** 2 if room > 0.0 else math.inf,
    )

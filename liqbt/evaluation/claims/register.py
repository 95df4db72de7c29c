"""The claims, each one frozen entry that is fixed before any run.

The numbers are those of the published account that the claims were taken from; `visit` is not one
of them, and is there because every other claim rests on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from liqbt.evaluation.inference.estimates import POOLED


class ClaimStatus(StrEnum):
    """Whether this version computes what decides a claim."""

    TESTABLE = "testable"
    NOT_YET = "not yet testable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim, fixed before the run.

    Attributes
    ----------
    id : str
        Identifier, as in `Score.claim`.
    words : str
        What is claimed, in plain words.
    estimand, null : str
        What is estimated, and what no information would give.
    statistic, symbol, horizon, side : str
        The score that decides.
    unit : str
        Of the statistic and the effects: `share`, `nats` or `ratio`.
    smallest_effect : float
        Smallest effect of interest.
    least_value : float
        What the estimate less its null must reach to be supported, besides its lower bound.
    least_bound : float
        What the lower bound less the null must exceed to be supported.
    also_above : tuple of str
        Further statistics whose lower bound must lie above their null.
    also_positive : tuple of str
        Further statistics whose value must lie above their null.
    alpha : float
        One-sided size; the bounds are those of `Score.ci_low` and `ci_high`.
    min_episodes, min_days : int
        Below these it is not testable.
    pass_rule : str
        When it is supported, in words.
    number : str
        Its number in the published account, empty for none.
    primary : bool
        Whether it is one of the primary claims that share the family-wise alpha (Holm).
    status : ClaimStatus
        Whether this version computes its statistic.
    """

    id: str
    words: str
    estimand: str
    null: str
    statistic: str
    symbol: str = POOLED
    horizon: str = "24h"
    side: str = "both"
    unit: str
    smallest_effect: float
    least_value: float = 0.0
    least_bound: float = 0.0
    also_above: tuple[str, ...] = ()
    also_positive: tuple[str, ...] = ()
    alpha: float = 0.025
    min_episodes: int = 30
    min_days: int = 20
    pass_rule: str
    number: str = ""
    primary: bool = False
    status: ClaimStatus = ClaimStatus.NOT_YET


VISIT: Final = Claim(
    id="visit",
    words="Prices visit the estimated clusters more often than a price without memory would.",
    estimand="mean(Y − q): visits of episodes within 24 h, less their Brownian probability",
    null="0: driftless Brownian motion at the past volatility, over the time watched",
    statistic="brownian_lift",
    unit="share",
    smallest_effect=0.02,
    pass_rule="97.5 % lower bound above 0",
    status=ClaimStatus.TESTABLE,
)

LOCATION: Final = Claim(
    id="location",
    words="Liquidation prices are predictable from entry zones and leverage brackets.",
    estimand="information gain per liquidation, conditional on the path, in nats",
    null="0 against every baseline, and against maps permuted within distance and side",
    statistic="information_gain",
    unit="nats",
    smallest_effect=0.01,
    pass_rule="97.5 % lower bound above 0 against every baseline; nearer to true positions than "
    "every baseline where they are published",
    number="1",
)

PLACEMENT: Final = Claim(
    id="placement",
    words="Clusters lie just past obvious support and resistance.",
    estimand="realised forced notional per traversed bin just beyond swings, over matched bins",
    null="1: as much as in bins at the same distance that are not beyond a swing",
    statistic="beyond_swing_ratio",
    unit="ratio",
    smallest_effect=0.1,
    least_bound=0.1,
    pass_rule="97.5 % lower bound of the ratio above 1.1 (the estimator's own clusters would be "
    "circular: only realised liquidations count)",
    number="2",
)

MAGNET: Final = Claim(
    id="magnet",
    words="Dense clusters attract the price.",
    estimand="dose-response across the mark: P(visit) at the highest density rank less that at the "
    "lowest, at equal distances on both sides, given the trends known at issue, 24 h",
    null="0: of two bins at one distance the denser is visited as often as the other; 1 point is "
    "left for trends that no control knows",
    statistic="dose_response",
    unit="share",
    smallest_effect=0.02,
    least_value=0.02,
    least_bound=0.01,
    also_above=("dose_response_beside_structures",),
    also_positive=("mirror_lift_densest",),
    pass_rule="97.5 % lower bound above 1 point, an effect of 2 points or more from the lowest to "
    "the highest density, mirror lift of the densest cluster above 0, and a lower bound above 0 "
    "beside the structural maps",
    number="3",
    primary=True,
    status=ClaimStatus.TESTABLE,
)

CHAIN: Final = Claim(
    id="chain",
    words="Each liquidation pushes the price toward the next (fuel, chain reaction).",
    estimand="impact, and hazard of reaching the next cluster, after forced flow less after equal "
    "shocks that were not forced, in the same state",
    null="0; and a time-varying Poisson process out of sample",
    statistic="forced_flow_impact",
    unit="share",
    smallest_effect=0.02,
    pass_rule="all 97.5 % lower bounds above 0",
    number="4",
)

ACCELERATION: Final = Claim(
    id="acceleration",
    words="Moves accelerate where leverage was hiding; long liquidations below are fast and "
    "springy.",
    estimand="speed and range while traversing dense less matched sparse bins; rebound after "
    "sweeps below less after sweeps above",
    null="0: matched sparse bins of the same side, distance and approach speed",
    statistic="traverse_speed",
    unit="share",
    smallest_effect=0.05,
    pass_rule="97.5 % lower bound above 0",
    number="4b",
)

DIRECTION: Final = Claim(
    id="direction",
    words="The crowded side tells which side the price reaches first, and a cascade's direction.",
    estimand="mean(ln p with the asymmetry − ln p without it) of {up, down, neither} at landmarks "
    "24 h apart, of models that learn from matured outcomes and know distances, trend, volatility, "
    "funding and the change of open interest",
    null="0: the same model without the asymmetry",
    statistic="first_side_gain",
    unit="nats",
    smallest_effect=0.005,
    also_above=(
        "first_side_skill",
        "first_side_over_coin",
        "first_side_over_momentum",
        "first_side_over_funding",
        "first_side_over_nearest",
        "cascade_gain",
        "cascade_side_gain",
        "large_move_side_gain",
    ),
    pass_rule="97.5 % lower bound above 0, against two-barrier Brownian, a coin, momentum, the "
    "sign of funding and the nearest side too; and for cascades (up, down, none, and the side "
    "given one) and the side of large moves, against the same model without asymmetry and "
    "distances",
    number="5",
    primary=True,
    status=ClaimStatus.TESTABLE,
)

ASYMMETRY: Final = Claim(
    id="asymmetry",
    words="The asymmetry matters more than the absolute numbers.",
    estimand="log-score gain out of sample of ln(N_down/N_up), beside the controls and the signed "
    "sizes; and of the signed sizes beside the ratio",
    null="0: the model without it",
    statistic="asymmetry_gain",
    unit="nats",
    smallest_effect=0.005,
    pass_rule="97.5 % lower bound above 0 for the ratio, and not for the signed sizes",
    number="6",
)

SWEEP: Final = Claim(
    id="sweep",
    words="The market visits clusters before the real move (sweep and reversal).",
    estimand="P(return by kσ before an extension by kσ) at the sweep, dense less placebo touches "
    "of the same approach speed",
    null="0: touches of random levels at the same approach speed",
    statistic="reversal_lift",
    unit="share",
    smallest_effect=0.02,
    pass_rule="97.5 % lower bound above 0",
    number="7",
)

WALL: Final = Claim(
    id="wall",
    words="A wall just before a cluster is a different setup from a naked cluster.",
    estimand="wall × cluster interaction on visit, pass-through and the move after the touch",
    null="0: no interaction",
    statistic="wall_interaction",
    unit="share",
    smallest_effect=0.05,
    pass_rule="two-sided p below 0.05 after Holm, of the registered sign",
    number="8",
)

STOPS: Final = Claim(
    id="stops",
    words="Stops inside clusters get hit more.",
    estimand="stop-hit difference at the last price, dense less sparse, same side, within 0.1 σ, "
    "matched on the covariates of the placebo probability; and the net outcome after costs",
    null="0: a stop as far away outside a cluster",
    statistic="stop_hit_difference",
    unit="share",
    smallest_effect=0.02,
    least_bound=0.02,
    pass_rule="97.5 % lower bound above 2 points, and the sparse stop loses less",
    number="9",
)

ACCURACY: Final = Claim(
    id="accuracy_85",
    words="85 %: a backtest estimate, not audited live results.",
    estimand="hit rate under each registered reading (nearest cluster, either side, first side, "
    "direction) over the whole plane of horizon × distance, from distance 0",
    null="the hit rate that no information has at the same horizon and distance: Brownian motion, "
    "the same calls at other times, and their mirror, each",
    statistic="hit_rate",
    unit="share",
    smallest_effect=0.02,
    pass_rule="97.5 % lower bound of 85 % or more, and 97.5 % lower bound of the skill over the "
    "null above 0",
    number="10",
    status=ClaimStatus.TESTABLE,
)

CLAIMS: Final = (VISIT, MAGNET, DIRECTION)
"""The claims that a run decides."""

REGISTER: Final = (
    VISIT,
    LOCATION,
    PLACEMENT,
    MAGNET,
    CHAIN,
    ACCELERATION,
    DIRECTION,
    ASYMMETRY,
    SWEEP,
    WALL,
    STOPS,
    ACCURACY,
)
"""All claims, in the order of their numbers."""


def effect_words(claim: Claim, effect: float) -> str:
    """Return an effect in a claim's unit.

    Examples
    --------
    >>> from liqbt.evaluation.claims.register import CLAIMS
    >>> effect_words(CLAIMS[0], 0.02)
    '2 points'
    """
    if claim.unit == "share":
        return f"{100.0 * effect:.2g} points"
    return f"{effect:.2g} {claim.unit}" if claim.unit == "nats" else f"a ratio of {1 + effect:.3g}"


def describe_claims(claims: Sequence[Claim]) -> str:
    """Return one paragraph for each claim."""
    return "\n\n".join(_paragraph(claim) for claim in claims)


def _paragraph(claim: Claim) -> str:
    number = f"{claim.number}. " if claim.number else ""
    primary = ", primary" if claim.primary else ""
    smallest = effect_words(claim, claim.smallest_effect)
    return "\n".join(
        [
            f"{number}{claim.id} ({claim.status}{primary}): {claim.words}",
            f"  estimand   {claim.estimand}",
            f"  null       {claim.null}",
            f"  statistic  {claim.statistic} ({claim.symbol}, {claim.horizon}, {claim.side})",
            f"  smallest effect of interest {smallest}, one-sided alpha {claim.alpha:g}",
            f"  supported when {claim.pass_rule}",
        ]
    )

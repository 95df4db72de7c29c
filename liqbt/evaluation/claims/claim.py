"""A claim as a value: what is claimed, what decides it, and what would make it true or false.

The numbers are those of the published account that the claims were taken from; `visit` is not one
of them, and is there because every other claim rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from liqbt.evaluation.claims.scale import OWN_SCALE, CausalScale, Reach, reach_of
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.types import Score


class ClaimStatus(StrEnum):
    """Whether this version decides a claim.

    What is descriptive is computed and shown beside its null, and no verdict rests on it: its test
    was tried and cannot find what it is about.
    """

    TESTABLE = "testable"
    DESCRIPTIVE = "descriptive"
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
        Of the effects: `share`, `ratio`, or what is written behind a number.
    smallest_effect : float
        Smallest effect of interest, on the causal scale.
    scale : CausalScale
        From the statistic to the effect.
    least_value : float
        What the estimate less its null must reach to be supported, besides its lower bound.
    least_bound : float
        What the lower bound less the null must exceed to be supported.
    also_above : tuple of str
        Further statistics whose lower bound must lie above their null.
    also_positive : tuple of str
        Further statistics whose value must lie above their null.
    not_above : tuple of str
        Further statistics whose lower bound must not lie above their null.
    specific : str
        The statistic that says that the effect is not the price path's alone: where its lower
        bound lies above its null too, *supported* becomes *supported, specific*. Empty for none.
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
        Whether this version decides it.
    target : float or None
        What the statistic itself is held against, in the place of its null; None: its null.
    refuted_over : tuple of str, optional
        Of a claim with a target, those of `also_above` that can refute it; all by default. A null
        that is too high where nothing is there asks more of what supports, and refutes what is
        true.
    absent : str
        Why it cannot be tested where its statistic has no row, in words; empty: that there is none.
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
    scale: CausalScale = OWN_SCALE
    least_value: float = 0.0
    least_bound: float = 0.0
    also_above: tuple[str, ...] = ()
    also_positive: tuple[str, ...] = ()
    not_above: tuple[str, ...] = ()
    specific: str = ""
    alpha: float = 0.025
    min_episodes: int = 30
    min_days: int = 20
    pass_rule: str
    number: str = ""
    primary: bool = False
    status: ClaimStatus = ClaimStatus.NOT_YET
    target: float | None = None
    refuted_over: tuple[str, ...] | None = None
    absent: str = ""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The statistics that its verdict reads: the one that decides, and further conditions."""
        further = (*self.also_above, *self.also_positive, *self.not_above)
        return (self.statistic, *further, *((self.specific,) if self.specific else ()))

    def value(self) -> dict[str, Any]:
        """Return it as plain values, without what it does not have."""
        return {key: held for key, held in asdict(self).items() if held is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Where a claim is true, how strong that is planted, and where it is false.

    Attributes
    ----------
    strengths : tuple of float
        Of the simulator's key that has the name of `world`.
    measure : str
        What measures effects from the truths of a batch of markets: a module of
        `liqbt.simulate.effects` and a function in it, such as `magnet.level_effects`.
    effects : (str, str)
        Which of them are kept: what the mechanism caused (or told), and that of the factual path.
    beside : tuple of str
        Statistics whose power is shown beside that of the claim's test, to tell a blunt test from
        a mechanism that is weak; they decide nothing.
    keys : callable, optional
        Of a world and a strength: the keys of the world that plant the mechanism, where they are
        not its own key alone.
    world : str
        Name of the world in which the mechanism is planted; empty: the claim's.
    also_true : tuple of str
        Claims in whose worlds this one is true as well, and nuisance worlds in which it is: what
        is found there says nothing of size. Everywhere else it is false.
    true_by_default : bool
        Whether it is true in every world but its nulls: of what needs no mechanism.
    nulls : tuple of str
        Worlds beside those where nothing is planted in which this claim is false, and others may
        be true.
    causal : bool
        Whether the first of `effects` is on the scale of the claim's smallest effect, so that it
        tells, beside the mean of the statistic, where a refutation is wrong.
    oracle : bool
        Whether forecasts that know where the price goes must be found: not by a claim that is
        about something else.
    """

    strengths: tuple[float, ...]
    measure: str
    effects: tuple[str, str]
    beside: tuple[str, ...] = ()
    keys: Callable[[Any, float], dict[str, float]] | None = None
    world: str = ""
    also_true: tuple[str, ...] = ()
    true_by_default: bool = False
    nulls: tuple[str, ...] = ()
    causal: bool = False
    oracle: bool = True


def effect_words(claim: Claim, effect: float) -> str:
    """Return an effect in a claim's unit.

    Examples
    --------
    >>> from liqbt.evaluation.claims.visit import CLAIM
    >>> effect_words(CLAIM, 0.02)
    '2 points'
    >>> effect_words(CLAIM, 1.07)
    '107 points'
    """
    if claim.unit == "ratio":
        return f"a ratio of {1 + effect:.3g}"
    size, unit = (100.0 * effect, "points") if claim.unit == "share" else (effect, claim.unit)
    return f"{size:,.0f} {unit}" if abs(size) >= 99.5 else f"{size:.2g} {unit}"


def reach(claim: Claim, score: Score) -> Reach:
    """Return how small an effect the record behind a claim's score can show, on the causal scale.

    Examples
    --------
    >>> from liqbt.evaluation.claims.visit import CLAIM
    >>> score = Score(claim="visit", symbol="X", horizon="24h", side="both", statistic="lift",
    ...     value=0.0, null=0.0, ci_low=0.0, ci_high=0.0, n_episodes=9, n_days=365, mde=0.04)
    >>> round(reach(CLAIM, score).needed, 1)
    4.0
    """
    return reach_of(
        score.mde,
        score.n_days,
        scale=claim.scale,
        least_bound=claim.least_bound,
        smallest_effect=claim.smallest_effect,
    )


def reach_words(claim: Claim, score: Score) -> str:
    """Return a record's reach in one sentence; empty where nothing is known of it.

    Examples
    --------
    >>> from liqbt.evaluation.claims.visit import CLAIM
    >>> score = Score(claim="visit", symbol="X", horizon="24h", side="both", statistic="lift",
    ...     value=0.0, null=0.0, ci_low=0.0, ci_high=0.0, n_episodes=9, n_days=365, mde=0.04)
    >>> said, takes = reach_words(CLAIM, score).split("; ")
    >>> print(said)
    365 days of these markets show an effect of 4 points with 80 % power
    >>> print(takes)
    2 points would matter, and that takes about 4 years of them
    """
    if not (math.isfinite(score.mde) and score.mde > 0.0 and score.n_days):
        return ""
    found = reach(claim, score)
    what = f" ({claim.scale.effect})" if claim.scale.effect else ""
    shown = effect_words(claim, found.detectable)
    smallest = effect_words(claim, claim.smallest_effect)
    takes = "and no length of record would show that"
    if math.isfinite(found.needed):
        takes = f"and that takes about {years_words(found.needed)} of them"
    if found.detectable <= claim.smallest_effect:
        takes = "so that this record is long enough"
    return (
        f"{score.n_days} days of these markets show an effect{what} of {shown} with 80 % power; "
        f"{smallest} would matter, {takes}"
    )


def years_words(years: float) -> str:
    """Return a length of record in words.

    Examples
    --------
    >>> years_words(0.345), years_words(12.4), years_words(1234.0)
    ('0.34 years', '12 years', '1,230 years')
    """
    return f"{years:.2g} years" if years < 100.0 else f"{round(years, -1):,.0f} years"


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

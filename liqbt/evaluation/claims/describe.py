"""Claims in words, for people."""

from __future__ import annotations

from collections.abc import Sequence

from liqbt.evaluation.claims.register import Claim

__all__ = ["describe_claims", "effect_words"]


def effect_words(claim: Claim, effect: float) -> str:
    """Return an effect in a claim's unit.

    Examples
    --------
    >>> from liqbt.evaluation.claims import CLAIMS
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

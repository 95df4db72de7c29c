"""The rule that turns a score into one of the words of a verdict.

The order of the rule, each word only where none above it applies:

1. *suspect*: the 97.5 % upper bound of a statistic of the claim lies so far on the wrong side of
   its null, at any horizon, as no honest map puts it (`Statistic.wrong_sign`): look for look-ahead.
   It judges what came in and not the claim, so it needs no clearance;
2. *not testable on this data*: too few episodes or days, or no interval;
3. *withheld*: the claim's test has not passed the validity gate;
4. *refuted*: the 97.5 % upper bound lies below the smallest effect of interest, both on the causal
   scale (an effect that is positive and smaller than that is refuted too: it is too small to
   matter). What is refuted is said of this map: that liquidations do nothing is another claim;
5. *supported*: the 97.5 % lower bound lies above the null, bound and estimate reach what the pass
   rule asks of them, and so do the claim's further conditions (`also_above`, `also_positive`,
   `not_above`); a primary claim also stays within alpha once it shares that with the other primary
   ones that are released (Holm). *Supported, specific* where the claim's `specific` statistic, too,
   has its lower bound above its null: the effect is not what prices alone would have drawn;
6. *underpowered*: undecided, and the minimum detectable effect exceeds the smallest effect of
   interest, so that the smallest effect would have been missed more than one time in five;
7. *inconclusive*: undecided although an effect of that size would have been found with 80 % power,
   or HAC and bootstrap do not agree.

Where HAC and bootstrap disagree, 1, 4 and 5 cannot be reached, and neither is a further condition
met that asks for a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from scipy.special import ndtr, ndtri

from liqbt.evaluation.claims.claim import Claim, effect_words
from liqbt.evaluation.claims.register import CLAIMS, STATISTICS
from liqbt.evaluation.inference.estimates import AGREEMENT_FACTOR, MDE_FACTOR, ScoreDetail
from liqbt.evaluation.inference.multiple import holm
from liqbt.types import Verdict, VerdictWord

_LEAST_WIDTH: Final = 1e-6
"""Of a detectable effect, as a share of the smallest that matters: below it nothing varied."""


def find_score(claim: Claim, details: Sequence[ScoreDetail]) -> ScoreDetail | None:
    """Return the row that decides `claim`, or None."""
    return _row(claim, claim.statistic, details)


def _row(claim: Claim, statistic: str, details: Sequence[ScoreDetail]) -> ScoreDetail | None:
    for detail in details:
        row = detail.score
        if (row.statistic, row.symbol, row.horizon, row.side) == (
            statistic,
            claim.symbol,
            claim.horizon,
            claim.side,
        ):
            return detail
    return None


def power_at(effect: float, mde: float, *, alpha: float = 0.025) -> float:
    """Return the power of a one-sided normal test against `effect`.

    Parameters
    ----------
    effect : float
        In the units of `mde`.
    mde : float
        Minimum detectable effect, 2.8 standard errors.
    alpha : float
        One-sided size.

    Examples
    --------
    >>> round(power_at(0.05, 0.05), 2), round(power_at(0.0, 0.05), 3)
    (0.8, 0.025)
    """
    return float(ndtr(effect * MDE_FACTOR / mde + ndtri(alpha)))


def verdict(
    claim: Claim,
    detail: ScoreDetail | None,
    *,
    withheld: str | None,
    others: Sequence[ScoreDetail] = (),
    shared_p: float = 0.0,
) -> Verdict:
    """Decide what is said about `claim`.

    Parameters
    ----------
    claim : Claim
        The claim.
    detail : ScoreDetail or None
        Its score and the making of its interval; None where there is no such row.
    withheld : str or None
        Why nothing may be concluded: the claim's test has not shown its size at the validity gate.
        None where it has.
    others : sequence of ScoreDetail
        All scores of the evaluation: those that the claim's further conditions ask for.
    shared_p : float
        Its one-sided p-value adjusted for the claims that it shares alpha with; 0 for none.
    """
    alarm = next(filter(None, (_wrong_sign(claim, x) for x in (detail, *others))), None)
    if alarm is not None:
        return alarm
    held = [_row(claim, name, others) for name in claim.also_above]
    conditions = [one for one in held if one is not None]
    lacking = _lacking(claim, detail)
    if lacking is None and claim.target is not None:  # what it is over decides it as well
        lacking = next(filter(None, (_lacking(claim, one) for one in conditions)), None)
    if detail is None or lacking is not None:
        reason = lacking or "no score"
        return Verdict(claim=claim.id, word=VerdictWord.NOT_TESTABLE, reason=reason, score=None)
    unmet = _unmet(claim, others)
    if withheld is not None:
        word, reason = VerdictWord.WITHHELD, withheld
    else:
        word, reason = _decide(claim, detail, conditions, unmet or _crowded_out(claim, shared_p))
        if word == VerdictWord.SUPPORTED and claim.specific:
            word, why = _specificity(_row(claim, claim.specific, others))
            reason = f"{reason}; {why}"
        elif word == VerdictWord.REFUTED and claim.specific:
            reason = f"{reason}; {_of_prices(_row(claim, claim.specific, others))}"
    return Verdict(claim=claim.id, word=word, reason=reason, score=detail.score)


def _lacking(claim: Claim, detail: ScoreDetail | None) -> str | None:
    """Return why the claim cannot be tested, or None."""
    if detail is None:
        absent = f"there is no {claim.statistic} for {claim.symbol} at {claim.horizon} here"
        return claim.absent or absent
    row = detail.score
    if row.n_episodes < claim.min_episodes or row.n_days < claim.min_days:
        return (
            f"{row.n_episodes} episodes on {row.n_days} days; "
            f"at least {claim.min_episodes} on {claim.min_days} days are needed"
        )
    if not all(map(math.isfinite, (row.value, row.ci_low, row.ci_high, row.mde))) or row.mde <= 0:
        return (
            f"{row.n_episodes} episodes on {row.n_days} days give no interval: their scores are "
            "all equal, or the record is no longer than the dependence to be allowed for"
        )
    if claim.target is None and claim.scale.of(row.mde) < _LEAST_WIDTH * claim.smallest_effect:
        return (
            f"an interval {row.ci_high - row.ci_low:.1g} wide is that of rounding: this map says "
            "nothing that what stands beside it does not say"
        )
    return None


def _wrong_sign(claim: Claim, found: ScoreDetail | None) -> Verdict | None:
    """Return the alarm where a row lies where no honest map puts it, or None.

    Rows of every horizon are asked: what was known an hour too soon shows in the shortest.
    """
    row = None if found is None else found.score
    statistic = next((one for one in STATISTICS if row and one.id == row.statistic), None)
    if found is None or row is None or statistic is None or statistic.claim != claim.id:
        return None
    few = row.n_episodes < claim.min_episodes or row.n_days < claim.min_days
    if few or (row.symbol, row.side) != (claim.symbol, claim.side) or not found.estimate.agree:
        return None
    if not row.ci_high - row.null < -statistic.wrong_sign:
        return None
    points = (row.value - row.null, row.ci_high - row.null, -statistic.wrong_sign)
    value, high, least = (f"{statistic.unit.scale * x:+.1f}" for x in points)
    reason = (
        f"look for look-ahead: {row.statistic} at {row.horizon} is {value} {statistic.unit.name}, "
        f"at most {high}, where an honest map puts it no lower than {least} except by chance; is a "
        "clock ahead?"
    )
    return Verdict(claim=claim.id, word=VerdictWord.SUSPECT, reason=reason, score=row)


def _crowded_out(claim: Claim, shared_p: float) -> str | None:
    """Return, in words, that a claim does not stay within alpha among those it shares it with."""
    if shared_p <= claim.alpha:
        return None
    return (
        f"not among the primary claims together: p = {shared_p:.2g} after Holm, {claim.alpha:g} "
        "allowed"
    )


def _unmet(claim: Claim, others: Sequence[ScoreDetail]) -> str | None:
    """Return the first further condition that is not met, in words, or None."""
    for statistic in (*claim.also_above, *claim.also_positive, *claim.not_above):
        found = _row(claim, statistic, others)
        if found is None:
            return f"its further condition {statistic} was not computed here"
        row = found.score
        if statistic in claim.not_above:
            if row.ci_low > row.null and found.estimate.agree:
                return f"its further condition fails: {statistic} is above its null, too"
            continue
        if statistic in claim.also_above and math.isnan(row.ci_low):
            return (
                f"its further condition {statistic} has no interval here "
                f"({row.n_episodes} episodes)"
            )
        if not row.value > row.null:
            return f"its further condition fails: {statistic} is not above its null"
        if statistic in claim.also_above and not row.ci_low > row.null:
            return f"its further condition is undecided: the interval of {statistic} holds its null"
        if statistic in claim.also_above and not found.estimate.agree:
            return f"its further condition is undecided: the intervals of {statistic} do not agree"
    return None


def _specificity(found: ScoreDetail | None) -> tuple[VerdictWord, str]:
    """Return which word a supported claim gets, and what its specific statistic says."""
    if found is None:
        return VerdictWord.SUPPORTED, "whether liquidations are the cause was not asked here"
    row, held = found.score, found.estimate.agree and found.score.ci_low > found.score.null
    if held:
        return VerdictWord.SPECIFIC, f"{row.statistic} lies above its null too"
    return VerdictWord.SUPPORTED, (
        f"that liquidations are the cause is not shown: the interval of {row.statistic} holds its "
        "null"
    )


def _of_prices(found: ScoreDetail | None) -> str:
    """Return whether a map of prices alone would have been refuted alike."""
    if found is None:
        return "whether a map of prices alone does the same was not asked here"
    row = found.score
    if found.estimate.agree and not row.ci_low <= row.null <= row.ci_high:
        where = "above" if row.ci_low > row.null else "below"
        return f"a map of prices alone differs: {row.statistic} lies {where} its null"
    return (
        "what a map of prices alone does, such as turn back, is in it: the interval of "
        f"{row.statistic} holds its null"
    )


def _decide(
    claim: Claim, detail: ScoreDetail, conditions: Sequence[ScoreDetail], unmet: str | None = None
) -> tuple[VerdictWord, str]:
    """Apply the rule to a score that can be tested and whose test has passed the gate."""
    row, agree = detail.score, detail.estimate.agree
    show = partial(effect_words, claim)
    base = row.null if claim.target is None else claim.target
    value, low = row.value - base, row.ci_low - base
    bounds = claim.scale.bounds(value, low, row.ci_high - base)
    mde = row.mde
    if claim.target is not None:  # the smallest effect is one over its nulls
        mde = max((one.score.mde for one in conditions), default=mde)
        agree = agree and all(one.estimate.agree for one in conditions)
    room = claim.smallest_effect / claim.scale.per_unit - claim.least_bound
    power = power_at(room, mde, alpha=claim.alpha)
    detectable = claim.scale.of(mde + claim.least_bound)
    smallest = show(claim.smallest_effect)
    ends = (show(end) for end in bounds)
    if claim.target is not None:
        ends = (f"{100.0 * end:.1f} %" for end in (row.ci_low, row.ci_high))
    interval = f"95 % interval {' to '.join(ends)}, {row.n_episodes} episodes"
    tail = f"({interval}; power against {smallest}: {power:.0%})"
    reached = low > claim.least_bound or (claim.target is not None and low >= 0.0)
    enough = agree and reached and value >= claim.least_value
    excluded = _excluded(claim, bounds[1], detail, conditions)
    met = enough and unmet is None
    if excluded is not None and not (met and claim.target is not None):
        return VerdictWord.REFUTED, f"of this map, {excluded} {tail}"
    if met:
        return VerdictWord.SUPPORTED, f"{claim.pass_rule}: met {tail}"
    if enough and (claim.target is None or detectable <= claim.smallest_effect):
        return VerdictWord.INCONCLUSIVE, f"above its null, but {unmet} {tail}"
    if detectable > claim.smallest_effect:
        return VerdictWord.UNDERPOWERED, (
            f"an effect of {show(detectable)} would have been found with 80 % power, and "
            f"{smallest} would matter {tail}"
        )
    if not agree:
        return VerdictWord.INCONCLUSIVE, f"HAC and bootstrap intervals do not agree {tail}"
    if low > 0.0:
        short = "estimate" if value < claim.least_value else "lower bound"
        return VerdictWord.INCONCLUSIVE, (
            f"above its null, and its {short} is short of the pass rule {tail}"
        )
    return VerdictWord.INCONCLUSIVE, (
        f"the interval holds both no effect and the smallest that would matter {tail}"
    )


def _excluded(
    claim: Claim, high: float, detail: ScoreDetail, conditions: Sequence[ScoreDetail]
) -> str | None:
    """Return, in words, what an upper bound excludes, or None.

    A claim with a target is refuted where the target is excluded, or the smallest effect over a
    null that can refute it, and its pass rule, which asks for no such effect, is not met; another
    where its smallest effect is excluded. Where HAC and bootstrap do not agree, nothing is excluded
    but for a claim with a target: there by an interval that is wider by the factor up to which they
    would have agreed, and if it is of a null, only of one that the score is not above, so that the
    pass rule fails with it whatever the others are.
    """
    smallest = effect_words(claim, claim.smallest_effect)
    if claim.target is None:
        excluded = detail.estimate.agree and high < claim.smallest_effect
        return f"an effect of {smallest} or more is excluded" if excluded else None
    if _highest(detail) < claim.target:
        return f"the target of {claim.target:.0%} is excluded"
    known = detail.estimate.agree and all(one.estimate.agree for one in conditions)
    for one in conditions:
        row = one.score
        if claim.refuted_over is not None and row.statistic not in claim.refuted_over:
            continue
        decides = known or row.ci_low <= row.null
        if decides and _highest(one) - row.null < claim.smallest_effect:
            bounds = (row.ci_low, _highest(one))
            ends = " to ".join(effect_words(claim, x - row.null) for x in bounds)
            return f"an effect of {smallest} or more is excluded by {row.statistic}, {ends}"
    return None


def _highest(detail: ScoreDetail) -> float:
    """Return the upper bound, as far away again as HAC and bootstrap may differ where they do."""
    row = detail.score
    wider = 1.0 if detail.estimate.agree else AGREEMENT_FACTOR
    return row.value + wider * (row.ci_high - row.value)


def verdicts(details: Sequence[ScoreDetail], *, withheld: Mapping[str, str]) -> tuple[Verdict, ...]:
    """Decide all claims of this version.

    Parameters
    ----------
    details : sequence of ScoreDetail
        The scores of an evaluation.
    withheld : mapping of str to str
        Why, for each claim whose test has not passed the validity gate.
    """
    shared = _shared_p(details, withheld)
    return tuple(
        verdict(
            claim,
            find_score(claim, details),
            withheld=withheld.get(claim.id),
            others=details,
            shared_p=shared.get(claim.id, 0.0),
        )
        for claim in CLAIMS
    )


def _shared_p(details: Sequence[ScoreDetail], withheld: Mapping[str, str]) -> dict[str, float]:
    """Return the released primary claims' one-sided p-values, adjusted; untestable ones have 1."""
    primary = [claim for claim in CLAIMS if claim.primary and claim.id not in withheld]
    p = [_one_sided_p(claim, find_score(claim, details)) for claim in primary]
    return (
        {claim.id: float(q) for claim, q in zip(primary, holm(p), strict=True)} if primary else {}
    )


def _one_sided_p(claim: Claim, detail: ScoreDetail | None) -> float:
    """Return the normal p-value of an effect of no more than the least that the rule asks for."""
    if detail is None or _lacking(claim, detail) is not None:
        return 1.0
    row = detail.score
    return float(ndtr(-(row.value - row.null - claim.least_bound) * MDE_FACTOR / row.mde))

"""The rule of the 85 % claim, held against each reading by itself.

The claim does not say which reading it means, and a choice among them after the fact would be a
search. So there is one verdict for each reading, at the horizon that the register names; none of
them is the best of several.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from liqbt.evaluation.accuracy.rows import ReadingRow
from liqbt.evaluation.claims.register import ACCURACY
from liqbt.types import VerdictWord


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingVerdict:
    """What the claim comes to under one reading.

    Attributes
    ----------
    reading, horizon : str
        Which.
    word : VerdictWord
        The verdict.
    reason : str
        One sentence: why this word, and what the rule would need.
    rate_reached, skill_shown : bool
        Whether the lower bound of the hit rate reaches the target; whether that of the skill lies
        above 0 over every null. Both are figures: a verdict also needs the validity gate.
    """

    reading: str
    horizon: str
    word: VerdictWord
    reason: str
    rate_reached: bool
    skill_shown: bool


def reading_verdict(
    rows: Sequence[ReadingRow], *, target: float, gate_passed: bool
) -> tuple[ReadingVerdict, ...]:
    """Hold the rule against each reading at the claim's horizon; none where it is not shown.

    *Supported* where HAC and bootstrap agree, the lower bound of the hit rate is `target` or more
    and that of the skill lies above 0 over every null; *refuted* where they agree and an upper
    bound excludes the target, or (over any null) the smallest effect of interest.

    Parameters
    ----------
    rows : sequence of ReadingRow
        Of one symbol.
    target : float
        The rate claimed.
    gate_passed : bool
        Whether the tests have shown their size and power at the validity gate.
    """
    return tuple(
        _verdict(row, target, gate_passed) for row in rows if row.horizon == ACCURACY.horizon
    )


def _verdict(row: ReadingRow, target: float, gate_passed: bool) -> ReadingVerdict:
    rate = row.hit_rate.score
    lows = {null: skill.score.ci_low for null, skill in row.skill.items()}
    reached, shown = rate.ci_low >= target, bool(lows) and all(x > 0.0 for x in lows.values())
    lacking = _lacking(row)
    needs = _needs(rate.ci_low, lows, target)
    if lacking is not None:
        word, reason = VerdictWord.NOT_TESTABLE, lacking
    elif not gate_passed:
        word = VerdictWord.WITHHELD
        reason = f"its test has not passed the validity gate; the rule needs {needs}"
    else:
        word, reason = _decide(row, target, reached and shown), f"the rule needs {needs}"
    return ReadingVerdict(
        reading=row.reading,
        horizon=row.horizon,
        word=word,
        reason=reason,
        rate_reached=reached,
        skill_shown=shown,
    )


def _lacking(row: ReadingRow) -> str | None:
    rate = row.hit_rate.score
    if rate.n_episodes < ACCURACY.min_episodes or rate.n_days < ACCURACY.min_days:
        return (
            f"{rate.n_episodes} landmarks on {rate.n_days} days; at least "
            f"{ACCURACY.min_episodes} on {ACCURACY.min_days} days are needed"
        )
    bounds = [rate.ci_low, *(skill.score.ci_low for skill in row.skill.values())]
    if not row.skill or not all(map(math.isfinite, bounds)):
        return (
            f"{rate.n_episodes} landmarks on {rate.n_days} days give no interval: they all came "
            "out alike"
        )
    return None


_OVER: Final = {
    "brownian": "Brownian motion",
    "other_times": "other times",
    "mirror": "the mirror",
}


def _needs(rate_low: float, lows: Mapping[str, float], target: float) -> str:
    least = min(lows, key=lambda null: lows[null], default="")
    return (
        f"a lower bound of {100 * target:.0f} % for the hit rate (it is {100 * rate_low:.1f} %) "
        f"and one above 0 for the skill over every null (the least is "
        f"{100 * lows.get(least, math.nan):+.1f} points, over {_OVER.get(least, 'none')})"
    )


def _decide(row: ReadingRow, target: float, met: bool) -> VerdictWord:
    rate = row.hit_rate
    agree = rate.estimate.agree and all(s.estimate.agree for s in row.skill.values())
    effect = ACCURACY.smallest_effect
    if agree and met:
        return VerdictWord.SUPPORTED
    excluded = any(s.score.ci_high < effect for s in row.skill.values())
    if agree and (rate.score.ci_high < target or excluded):
        return VerdictWord.REFUTED
    if max(s.score.mde for s in row.skill.values()) > effect:
        return VerdictWord.UNDERPOWERED
    return VerdictWord.INCONCLUSIVE

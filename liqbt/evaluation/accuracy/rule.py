"""Claim 10 under each reading, by the rule of all claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liqbt.evaluation.accuracy.rows import ReadingRow
from liqbt.evaluation.claims.accuracy import CLAIM, claim_of
from liqbt.evaluation.claims.verdict import verdict
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
        One sentence: why this word.
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


def reading_verdicts(
    rows: Sequence[ReadingRow], *, withheld: str | None
) -> tuple[ReadingVerdict, ...]:
    """Decide the claim under each reading at its horizon; none where that is not shown.

    Parameters
    ----------
    rows : sequence of ReadingRow
        Of one symbol.
    withheld : str or None
        Why its verdict is withheld, where its test has not passed the validity gate.
    """
    return tuple(_decided(row, withheld) for row in rows if row.horizon == CLAIM.horizon)


def _decided(row: ReadingRow, withheld: str | None) -> ReadingVerdict:
    found = verdict(
        claim_of(row.reading, tuple(row.skill)),
        row.hit_rate if row.skill else None,
        withheld=withheld,
        others=[row.hit_rate, *row.skill.values()],
    )
    lows = [skill.score.ci_low for skill in row.skill.values()]
    return ReadingVerdict(
        reading=row.reading,
        horizon=row.horizon,
        word=found.word,
        reason=found.reason,
        rate_reached=row.hit_rate.score.ci_low >= (CLAIM.target or 0.0),
        skill_shown=bool(lows) and all(low > 0.0 for low in lows),
    )

"""The answer of a run in plain words: a few sentences that never say more than the verdicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from liqbt.evaluation.claims.claim import Claim, reach
from liqbt.evaluation.claims.register import REGISTER, statistic_of
from liqbt.evaluation.statistic import Better
from liqbt.report import formatting as fmt
from liqbt.report.scores import PRIMARY, find, is_known, main_symbol, own_scores
from liqbt.types import Score, Verdict, VerdictWord

if TYPE_CHECKING:
    from liqbt.study.store import Run

_TOLD: Final[dict[VerdictWord, str]] = {
    VerdictWord.SUPPORTED: "supported",
    VerdictWord.SPECIFIC: "supported, and specific to liquidations",
    VerdictWord.REFUTED: "refuted for this map",
    VerdictWord.INCONCLUSIVE: "inconclusive",
    VerdictWord.UNDERPOWERED: "out of reach of a record this short",
    VerdictWord.NOT_TESTABLE: "not testable on these data",
    VerdictWord.SUSPECT: "suspect: something looks ahead",
    VerdictWord.WITHHELD: "withheld: their tests have not passed the gate for such a record",
}


def answer(run: Run) -> list[str]:
    """Return the answer: verdicts in numbers, visits beside their null, what could be seen.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    held = [(claim, v) for claim in REGISTER for v in run.verdicts if v.claim == claim.id]
    if not held:
        return ["This run tests no claim.", *_visits(run)]
    return [_counted([v for _, v in held]), *_visits(run), *_leaning(held), *_within_reach(held)]


def _counted(verdicts: list[Verdict]) -> str:
    n = len(verdicts)
    supported = [v for v in verdicts if v.word.supports]
    first = (
        f"Of {fmt.count(n)} claims about these levels, "
        f"{fmt.count(len(supported)) if supported else 'none'} "
        f"{'is' if len(supported) < 2 else 'are'} supported by this record"
    )
    words = dict.fromkeys(v.word for v in verdicts)
    parts = [
        f"{fmt.count(sum(v.word == word for v in verdicts))} {_TOLD[word]}"
        for word in words
        if word != VerdictWord.SUPPORTED
    ]
    return f"{first}: {'; '.join(parts)}." if parts else f"{first}."


def _visits(run: Run) -> list[str]:
    """Say how often levels were visited, beside what a random walk would have visited."""
    score = find(own_scores(run), "hit_rate", main_symbol(run), PRIMARY)
    if score is None or not is_known(score):
        return []
    return [
        f"Within 24 h the price visited {fmt.percent(score.value)} of "
        f"{fmt.count(score.n_episodes)} clusters, where a random walk would have visited "
        f"{fmt.percent(score.null)}."
    ]


def _apart(score: Score) -> bool:
    return score.ci_low > score.null or score.ci_high < score.null


def _leaning(held: list[tuple[Claim, Verdict]]) -> list[str]:
    """Name the deciding figures whose intervals exclude their null, and which way."""
    known = [(c, v, v.score) for c, v in held if v.score is not None and _finite(v.score)]
    apart = [(claim, v, score) for claim, v, score in known if _apart(score)]
    if not known:
        return []
    if not apart:
        return ["No deciding figure's interval excludes what no information gives."]
    names = [c.id if _favours(score) else f"{c.id} (against the claim)" for c, _, score in apart]
    text = (
        f"Intervals that exclude what no information gives: {fmt.list_words(names)}, "
        f"{fmt.count(len(apart))} of {fmt.count(len(known))} deciding figures"
    )
    bare = any(not v.word.supports for _, v, _ in apart)
    return [f"{text}; without its verdict none of them is a finding." if bare else f"{text}."]


def _favours(score: Score) -> bool:
    """Return whether the whole interval lies on the claim's side of what no information gives."""
    if statistic_of(score.statistic).better == Better.LOWER:
        return score.ci_high < score.null
    return score.ci_low > score.null


def _finite(score: Score) -> bool:
    return math.isfinite(score.ci_low) and math.isfinite(score.ci_high)


def _within_reach(held: list[tuple[Claim, Verdict]]) -> list[str]:
    """Say for how many claims the record is long enough to show what would matter."""
    seen = [
        (claim, reach(claim, v.score))
        for claim, v in held
        if v.score is not None and math.isfinite(v.score.mde) and v.score.mde > 0.0
    ]
    if not seen:
        return []
    enough = [claim.id for claim, one in seen if one.detectable <= claim.smallest_effect]
    whose = f"{fmt.list_words(enough)} only" if enough else "none"
    return [
        f"Of the {fmt.count(len(seen))} claims with a figure, the record is long enough to show "
        f"the smallest effect that would matter for {whose}."
    ]

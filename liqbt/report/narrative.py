"""What the numbers say, in words made by code from the rows: never stronger than the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from liqbt.errors import one_line
from liqbt.report import formatting as fmt
from liqbt.report.select import PRIMARY, find, horizons, main_symbol, verdict_of
from liqbt.types import Score, Verdict, VerdictWord

if TYPE_CHECKING:
    from liqbt.study.store import Run


VERDICT_WORDS: Final[dict[VerdictWord, str]] = {
    VerdictWord.SUPPORTED: (
        "the rule that was fixed before the run is met, by a test that passed its validity gate."
    ),
    VerdictWord.REFUTED: (
        "the whole interval lies below the smallest effect of interest: whatever effect there may "
        "be is too small to matter."
    ),
    VerdictWord.INCONCLUSIVE: (
        "the data neither show the effect nor rule it out. This is a result, and no reason to tune."
    ),
    VerdictWord.UNDERPOWERED: (
        "the data are too few for this test to see the smallest effect of interest, so its silence "
        "says nothing."
    ),
    VerdictWord.NOT_TESTABLE: "these data hold too little of what the claim is about.",
    VerdictWord.WITHHELD: (
        "the test behind this claim has not yet passed its own examination, which asks whether it "
        "stays silent on markets without the effect and speaks on markets with it. Until then the "
        "figures are shown and no claim is called supported or refuted, whatever they look like."
    ),
}


def _known(score: Score | None) -> bool:
    return score is not None and score.n_episodes > 0 and not math.isnan(score.value)


def _points(score: Score) -> str:
    text = fmt.estimate(score.value, score.ci_low, score.ci_high, scale=100, signed=True)
    return f"{text} points"


def rests_on(score: Score, verdict: Verdict | None) -> str:
    """Return the clause that keeps an interval away from zero from saying more than its verdict.

    Parameters
    ----------
    score : Score
        A row whose interval excludes zero.
    verdict : Verdict or None
        The verdict that rests on that very row.
    """
    if verdict is None:
        return (
            "no verdict rests on this row; among this many rows some intervals miss zero by chance"
        )
    if verdict.word == VerdictWord.SUPPORTED and score.ci_low > 0:
        return "the verdict is supported"
    return f"but the verdict is {verdict.word.value}: it is not to be read as a finding"


def _unseen(score: Score, unit: str, scale: float) -> str:
    if not math.isfinite(score.mde):
        return "how small an effect could have been seen is not known"
    decimals = fmt.decimals_for(score.mde * scale)
    size = fmt.fixed(score.mde * scale, decimals)
    return f"effects below {size} {unit} could not have been seen reliably"


def _effect(score: Score, verdict: Verdict | None, *, unit: str, scale: float) -> str:
    """Judge one lift or skill by its interval and, where there is one, by its verdict."""
    if not (math.isfinite(score.ci_low) and math.isfinite(score.ci_high)):
        return "No interval could be had, so nothing can be said."
    if score.ci_low <= 0.0 <= score.ci_high:
        text = f"The interval contains zero: no effect found; {_unseen(score, unit, scale)}."
        if verdict is not None and verdict.word == VerdictWord.REFUTED:
            text += (
                " The verdict is refuted: an effect of the smallest size of interest is excluded."
            )
        return text
    where = "above" if score.ci_low > 0 else "below"
    return f"The interval lies {where} zero, {rests_on(score, verdict)}."


def _visit_sentences(run: Run, symbol: str, horizon: str) -> list[str]:
    hit = find(run.scores, "hit_rate", symbol, horizon)
    mirror = find(run.scores, "mirror_lift", symbol, horizon)
    walk = find(run.scores, "brownian_lift", symbol, horizon)
    if not _known(hit) or hit is None:
        return ["No episode could be scored, so nothing can be said."]
    days = f"{fmt.count(hit.n_episodes)} episodes on {fmt.count(hit.n_days)} days"
    out = [
        f"{days}: the price entered {fmt.percent(hit.value)} of the clusters, where a random "
        f"walk of the same volatility would have entered {fmt.percent(hit.null)}."
    ]
    if mirror is None or not _known(mirror):
        return [*out, "There is no comparison with mirror images, so nothing more can be said."]
    out.append(
        f"Against mirror images at the same distance the difference is {_points(mirror)}. "
        + _effect(mirror, verdict_of(run, mirror), unit="points", scale=100)
    )
    top = find(run.scores, "mirror_lift_densest", symbol, horizon)
    if top is not None and _known(top):
        out.append(
            f"The densest cluster of each forecast alone ({fmt.count(top.n_episodes)} episodes) "
            f"differs from its mirror by {_points(top)}. "
            + _effect(top, verdict_of(run, top), unit="points", scale=100)
        )
    if walk is not None and _excludes(walk) and not _excludes(mirror):
        out.append(
            f"The difference from the random walk, {_points(walk)}, excludes zero while that from "
            "the mirror does not: misjudged volatility or a trend would do the same, so it alone "
            "does not show an effect of clusters."
        )
    return out


def _excludes(score: Score) -> bool:
    return score.ci_low > 0.0 or score.ci_high < 0.0


def _direction_sentence(run: Run, symbol: str, horizon: str) -> list[str]:
    skill = find(run.scores, "first_side_skill", symbol, horizon)
    if skill is None or not _known(skill):
        return []
    value = fmt.estimate(skill.value, skill.ci_low, skill.ci_high, signed=True)
    judged = _effect(skill, verdict_of(run, skill), unit="nats", scale=1.0)
    count = f"{fmt.count(skill.n_episodes)} landmarks"
    return [
        f"Which side is reached first, {count}: the asymmetry adds {value} nats to a two-barrier "
        f"random walk. {judged}{_tie_words(run, symbol, horizon)}",
        *_gain_sentence(run, symbol, horizon),
    ]


def _gain_sentence(run: Run, symbol: str, horizon: str) -> list[str]:
    """Say what the asymmetry adds to a model that knows the rest, where there is one."""
    gain = find(run.scores, "first_side_gain", symbol, horizon)
    if gain is None or not _known(gain):
        return []
    value = fmt.estimate(gain.value, gain.ci_low, gain.ci_high, signed=True)
    judged = _effect(gain, verdict_of(run, gain), unit="nats", scale=1.0)
    return [
        f"To a model that knows distances, trends and volatility it adds {value} nats at "
        f"{fmt.count(gain.n_episodes)} landmarks. {judged}"
    ]


def _tie_words(run: Run, symbol: str, horizon: str) -> str:
    """Give both readings of ties (both sides touched in one bar) where they differ."""
    low, high = (
        find(run.scores, f"first_side_skill_{end}", symbol, horizon) for end in ("low", "high")
    )
    if low is None or high is None or not low.value < high.value:
        return ""
    bounds = [fmt.fixed(s.value, 4, signed=True) for s in (low, high)]
    if bounds[0] == bounds[1]:
        return ""
    return f" Ties, both sides touched in one bar, read either way: {' to '.join(bounds)}."


def reading(run: Run) -> list[tuple[str, str]]:
    """Return the plain-words reading: a heading and a paragraph for each horizon.

    Parameters
    ----------
    run : Run
        A finished run. Its headline market is read: pooled, or its only one.
    """
    symbol = main_symbol(run)
    out = []
    for horizon in horizons(run.scores):
        rank = "primary" if horizon == PRIMARY else "secondary"
        sentences = [
            *_visit_sentences(run, symbol, horizon),
            *_direction_sentence(run, symbol, horizon),
        ]
        out.append((f"{fmt.horizon_words(horizon)} ({rank})", " ".join(sentences)))
    return out


def _verdict_words(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "no claim tested"
    by_word: dict[str, list[str]] = {}
    for verdict in verdicts:
        by_word.setdefault(verdict.word.value, []).append(fmt.one_line(verdict.claim))
    parts = [f"{fmt.list_words(claims)} {word}" for word, claims in by_word.items()]
    return f"verdicts: {'; '.join(parts)}"


def verdict_reasons(run: Run) -> str:
    """Return why each verdict is what it is: a line for each reason, with the claims it holds for.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    by_reason: dict[str, list[str]] = {}
    for verdict in run.verdicts:
        by_reason.setdefault(f"{verdict.word.value}: {verdict.reason}", []).append(verdict.claim)
    return "\n".join(
        f"  {fmt.one_line(fmt.list_words(claims))}: {one_line(reason)}"
        for reason, claims in by_reason.items()
    )


def headline(run: Run) -> str:
    """Return the run in one sentence: hit rate beside its null, and the verdicts.

    It speaks of 24 h, or, where the run does not score that, of its shortest horizon.
    """
    symbol = main_symbol(run)
    scored = horizons(run.scores)
    horizon = PRIMARY if PRIMARY in scored or not scored else scored[0]
    names = fmt.list_words([fmt.one_line(name) for name in run.manifest["symbols"]])
    hit = find(run.scores, "hit_rate", symbol, horizon)
    mirror = find(run.scores, "mirror_lift", symbol, horizon)
    verdicts = _verdict_words(run.verdicts)
    where = f"{names}, {fmt.horizon_words(horizon)}"
    if hit is None or not _known(hit):
        return f"{where}: no episode could be scored; {verdicts}."
    text = (
        f"{where}: {fmt.count(hit.n_episodes)} episodes, hit rate "
        f"{fmt.percent(hit.value)} where a random walk gives {fmt.percent(hit.null)}"
    )
    if mirror is not None and _known(mirror):
        text += f"; lift over the mirror {_points(mirror)}"
    return f"{text}; {verdicts}."

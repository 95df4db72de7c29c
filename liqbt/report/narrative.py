"""What the numbers say, in words made by code from the rows: never stronger than the verdict.

Of levels that somebody else published also what was read, and what cannot be checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from liqbt.errors import one_line
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.statistic import Better, Group, Reading, Statistic
from liqbt.report import formatting as fmt
from liqbt.report.scores import (
    DECIDING,
    PRIMARY,
    estimators,
    find,
    has_null,
    horizons,
    is_known,
    main_symbol,
    market_names,
    mde_cell,
    null_words,
    own_scores,
    statistics_of,
    value_words,
    verdict_of,
    with_unit,
)
from liqbt.types import Score, Verdict, VerdictWord

if TYPE_CHECKING:
    from liqbt.study.store import Run


VERDICT_WORDS: Final[dict[VerdictWord, str]] = {
    VerdictWord.SUPPORTED: (
        "the rule that was fixed before the run is met, by a test that passed its validity gate. "
        "It says that these levels do it, and not that liquidations are the cause."
    ),
    VerdictWord.SPECIFIC: (
        "the rule is met, and more: beside what prices alone and chart structures would have "
        "drawn, the map's own levels still do it."
    ),
    VerdictWord.REFUTED: (
        "the whole interval lies below the smallest effect of interest: whatever effect this map's "
        "levels may have is too small to matter. It speaks of this map; another may know more."
    ),
    VerdictWord.INCONCLUSIVE: (
        "the data neither show the effect nor rule it out. This is a result, and no reason to tune."
    ),
    VerdictWord.UNDERPOWERED: (
        "the data are too few for this test to see the smallest effect of interest, so its silence "
        "says nothing."
    ),
    VerdictWord.NOT_TESTABLE: "these data hold too little of what the claim is about.",
    VerdictWord.SUSPECT: (
        "the figure lies on the wrong side, and farther than chance or an honest map takes it: "
        "something in the events or the map is of another time than it says. It says nothing of "
        "the claim until that is found."
    ),
    VerdictWord.WITHHELD: (
        "the test behind this claim has not yet passed its own examination, which asks whether it "
        "stays silent on markets without the effect and speaks on markets with it. Until then the "
        "figures are shown and no claim is called supported or refuted, whatever they look like."
    ),
}


def rests_on(score: Score, verdict: Verdict | None) -> str:
    """Return the clause that keeps an interval away from zero from saying more than its verdict.

    Parameters
    ----------
    score : Score
        A row whose interval excludes its null.
    verdict : Verdict or None
        The verdict that rests on that very row.
    """
    if verdict is None:
        return (
            "no verdict rests on this row; among this many rows some intervals miss zero by chance"
        )
    if verdict.word.supports and _favours(score):
        return f"the verdict is {verdict.word.value}"
    return f"but the verdict is {verdict.word.value}: it is not to be read as a finding"


def _favours(score: Score) -> bool:
    """Return whether the whole interval lies on the better side of the null."""
    if statistic_of(score.statistic).better == Better.LOWER:
        return score.ci_high < score.null
    return score.ci_low > score.null


def _excludes(score: Score) -> bool:
    return score.ci_low > score.null or score.ci_high < score.null


def _effect(score: Score, verdict: Verdict | None) -> str:
    """Judge one difference by its interval and, where there is one, by its verdict."""
    if not (math.isfinite(score.ci_low) and math.isfinite(score.ci_high)):
        return "No interval could be had, so nothing can be said."
    base = "zero" if score.null == 0.0 else null_words(score)
    if not _excludes(score):
        unseen = "how small an effect could have been seen is not known"
        if math.isfinite(score.mde):
            size = with_unit(statistic_of(score.statistic), mde_cell(score))
            unseen = f"effects below {size} could not have been seen reliably"
        text = f"The interval contains {base}: no effect found; {unseen}."
        if verdict is not None and verdict.word == VerdictWord.REFUTED:
            text += (
                " The verdict is refuted: an effect of the smallest size of interest is excluded."
            )
        return text
    where = "above" if score.ci_low > score.null else "below"
    return f"The interval lies {where} {base}, {rests_on(score, verdict)}."


def sentences(
    run: Run, symbol: str, horizon: str, statistics: Sequence[Statistic]
) -> Iterator[str]:
    """Yield what each statistic says of one market and horizon, as its `Reading` has it.

    One that decides a claim and has no reading of its own is told by its label.
    """
    scores = own_scores(run)
    silent: set[Group] = set()
    for one in statistics:
        plain = Reading(text=f"{one.label}: {{value}}.") if one.id in DECIDING else None
        told = one.reading or plain
        if told is None or one.group in silent:
            continue
        score = find(scores, one.id, symbol, horizon)
        if score is None or not is_known(score):
            if told.absent:
                silent |= {one.group} if one.group is not None else set()
                yield told.absent
            continue
        if told.positive and not score.value > 0.0:
            continue
        text = told.text.format(
            value=value_words(score),
            null=null_words(score),
            n=fmt.count(score.n_episodes),
            days=fmt.count(score.n_days),
        )
        judged = [_effect(score, verdict_of(run, score))] if one.unit.signed else []
        yield " ".join([text, *judged, *_asides(scores, told, score)])


def _asides(scores: Sequence[Score], told: Reading, score: Score) -> Iterator[str]:
    """Yield what a weaker comparison shows alone, and both readings of what is undecided."""
    weaker, *bounds = (
        find(scores, name, score.symbol, score.horizon) for name in (told.weaker, *told.bounds)
    )
    if weaker is not None and _excludes(weaker) and not _excludes(score):
        yield told.weaker_text.format(value=value_words(weaker))
    if len(bounds) == 2 and bounds[0] is not None and bounds[1] is not None:
        statistic = statistic_of(score.statistic)
        low, high = (
            fmt.fixed(one.value * statistic.unit.scale, 1, signed=statistic.unit.signed)
            for one in (bounds[0], bounds[1])
        )
        if bounds[0].value < bounds[1].value and low != high:
            yield told.bounds_text.format(low=low, high=with_unit(statistic, high))


def reading(run: Run) -> list[tuple[str, str]]:
    """Return the plain-words reading: for each horizon a heading, and a line for each statistic.

    Parameters
    ----------
    run : Run
        A finished run. Its headline market is read: pooled, or its only one.
    """
    symbol, statistics = main_symbol(run), statistics_of(own_scores(run))
    out = []
    for horizon in horizons(run.scores):
        rank = "primary" if horizon == PRIMARY else "secondary"
        text = "\n".join(sentences(run, symbol, horizon, statistics))
        if text:
            out.append((f"{fmt.horizon_words(horizon)} ({rank})", text))
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
    name = _first_of_several(run)
    whose = f" of {name}" if name else ""
    return "\n".join(
        f"  {fmt.one_line(fmt.list_words(claims))}{whose}: {one_line(reason)}"
        for reason, claims in by_reason.items()
    )


def _first_of_several(run: Run) -> str:
    """Return whose figures a line gives, the first estimator's; "" where there is no other one."""
    names = estimators(run)
    return fmt.one_line(names[0], 40) if len(names) > 1 else ""


def headline(run: Run) -> str:
    """Return the run in one sentence: the statistics of the headline, and the verdicts.

    Of several estimators it names the first, whose they are. It speaks of 24 h, or, where the run
    does not score that, of its shortest horizon; a rate stands beside its null.
    """
    symbol, scores = main_symbol(run), own_scores(run)
    scored = horizons(scores)
    horizon = PRIMARY if PRIMARY in scored or not scored else scored[0]
    names = market_names(run)
    chosen = sorted(
        (one for one in statistics_of(scores) if one.headline), key=lambda one: one.headline
    )
    found = [find(scores, one.id, symbol, horizon) for one in chosen]
    known = [score for score in found if score is not None and is_known(score)]
    whose = _first_of_several(run)
    where = f"{f'{whose} on ' if whose else ''}{names}, {fmt.horizon_words(horizon)}"
    verdicts = _verdict_words(run.verdicts)
    if not known:
        return f"{where}: no episode could be scored; {verdicts}."
    group = statistic_of(known[0].statistic).group
    units = "units" if group is None else group.units.lower()
    told = "; ".join(_headline_words(score) for score in known)
    return f"{where}: {fmt.count(known[0].n_episodes)} {units}, {told}; {verdicts}."


def _headline_words(score: Score) -> str:
    statistic = statistic_of(score.statistic)
    name = statistic.label[:1].lower() + statistic.label[1:]
    text = f"{name} {value_words(score)}"
    if has_null(statistic):
        text += f" where {statistic.null} gives {null_words(score)}"
    return text


PUBLISHED: Final = "This is a map as it was published; what it was made of is for its maker to say."
"""What closes the caption of a published map."""


def published_section(run: Run) -> dict[str, Any] | None:
    """Return the sentences on a file that was scored; None for any other run.

    Returns
    -------
    dict or None
        `banner` (what cannot be checked) and `facts` (what was read).
    """
    about = run.manifest.get("published")
    if about is None:
        return None
    return {
        "banner": fmt.one_line(str(about["unseen"]), 600),
        "facts": [fmt.one_line(text, 600) for text in _facts(about)],
    }


def _facts(about: Mapping[str, Any]) -> list[str]:
    """Return what was read of the file, a sentence or two each."""
    return [
        f"{about['file']}: {fmt.count(about['rows'])} rows at {fmt.count(about['times'])} "
        "times. Clusters are the rows as published; the price and its volatility are of the event "
        "log, from what was known at each time. The density spreads each row's notional evenly "
        "over it.",
        *_counted(about),
        "A peak inside a row is not published: its middle stands in. A time without any row cannot "
        "be told from one at which nothing was issued.",
    ]


def _counted(about: Mapping[str, Any]) -> list[str]:
    """Return what was out of the ordinary in the file, and how often; none where nothing was."""
    out = []
    if about["single_levels"]:
        out.append(
            f"{fmt.count(about['single_levels'])} levels had no width: each is one bin (5 bp) "
            "wide, outward from the published price, which is where a visit counts."
        )
    if about.get("merged"):
        out.append(
            f"{fmt.count(about['merged'])} rows overlap others of their side and time: each such "
            "group is one band, with the sum of their notional, visited when the nearest of them "
            "is (--overlaps refuse refuses them)."
        )
    if about["wrong_side"]:
        out.append(
            f"{fmt.count(about['wrong_side'])} rows lay on the wrong side of the price when they "
            "were issued: counted as inside, never a hit."
        )
    if about.get("moved"):
        out.append(
            f"{fmt.count(about['moved'])} times waited for a price: the newest one known was more "
            "than 14.4 minutes old (a tenth of σ of a day), so their rows are issued, and watched, "
            "from the first price of their time or later."
        )
    if about.get("dropped"):
        out.append(
            f"{fmt.count(about['dropped'])} times are not scored: no price came before the next "
            "rows, or before the end."
        )
    if about["without_sigma"]:
        out.append(
            f"{fmt.count(about['without_sigma'])} times came before the volatility was known, "
            "and are not scored."
        )
    if about["ignored_columns"]:
        names = [fmt.one_line(str(name), 40) for name in about["ignored_columns"][:20]]
        out.append(f"Columns that were not read: {fmt.list_words(names)}.")
    return out


def published_limits(run: Run) -> list[str]:
    """Return the limits that only a published map has; none for any other run."""
    about = run.manifest.get("published")
    if about is None:
        return []
    return [
        fmt.one_line(str(about["unseen"]), 600),
        "A time of issue counts as the moment at which a reader could have held the row. If it is "
        "the moment that the map describes, and it was published later, every score is too good.",
    ]


def published_summary(run: Run) -> str:
    """Return a scored file in a few lines for a terminal: headline, what lacks, what is unseen."""
    about = run.manifest["published"]
    lines = [headline(run)]
    lines += [
        f"{verdict.claim}: {verdict.reason}"
        for verdict in run.verdicts
        if verdict.word == VerdictWord.NOT_TESTABLE
    ]
    lines += _stated_lines(run)
    lines += _counted(about)
    return "\n".join([*lines, str(about["unseen"])])


def _stated_lines(run: Run) -> list[str]:
    """Return what became of probabilities that were stated, a line a horizon."""
    stated = [one for one in statistics_of(run.scores) if "stated" in one.needs]
    out = []
    for horizon in horizons(run.scores):
        text = " ".join(sentences(run, main_symbol(run), horizon, stated))
        if text:
            out.append(f"stated probabilities, {fmt.horizon_words(horizon)}: {text}")
    return out

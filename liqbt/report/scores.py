"""A run's scores as the report shows them: which rows, in which order, and each number in words.

Everything is read from the fields of a row's statistic; nothing is computed, and nothing knows one
statistic from another by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from liqbt.evaluation.claims.register import CLAIMS, STATISTICS, statistic_of
from liqbt.evaluation.statistic import Statistic
from liqbt.report import formatting as fmt
from liqbt.report.traced import Traced
from liqbt.types import Score, Verdict

if TYPE_CHECKING:
    from liqbt.study.store import Run


POOLED: Final = "pooled"
PRIMARY: Final = "24h"
DRAWN: Final = 3
"""Markets whose own rows and pictures a report's first page shows, unless it is asked for others:
the first ones in the order of the configuration, which is known before any result."""
DECIDING: Final = frozenset(claim.statistic for claim in CLAIMS)
"""The statistics that decide a claim."""


def score_symbols(run: Run) -> list[str]:
    """Return the markets in the order shown: pooled first where there are several.

    Of a run of several, those that it has rows of (`of_markets`).
    """
    symbols = list(run.manifest["symbols"])
    if len(symbols) < 2:
        return symbols
    held = {score.symbol for score in run.scores} | {str(row["symbol"]) for row in run.flow}
    return [POOLED, *(symbol for symbol in symbols if symbol in held)]


def market_slug(index: int, symbol: str) -> str:
    """Return a symbol as a part of a file name; its place in the run, from 1, keeps it unique.

    Examples
    --------
    >>> market_slug(1, "../BTC USDT")
    '1-btc-usdt'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", symbol.lower()).strip("-")[:32]
    return f"{index}-{plain or 'symbol'}"


def market_names(run: Run) -> str:
    """Return the markets in words: all of a few, else the first ones and how many more."""
    names = [fmt.one_line(name) for name in run.manifest["symbols"]]
    more = len(names) - DRAWN
    return fmt.list_words([*names[:DRAWN], f"{more} others"] if more > 1 else names)


def of_markets(run: Run, symbols: Collection[str]) -> Run:
    """Return a run with its pooled rows and those of some markets alone; what it is stays said."""
    kept = {POOLED, *symbols}

    def mine(rows: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
        return tuple(row for row in rows if row["symbol"] in kept)

    return replace(
        run,
        scores=tuple(score for score in run.scores if score.symbol in kept),
        flow=mine(run.flow),
        bands=mine(run.bands),
        compared=mine(run.compared),
        twin=mine(run.twin),
        twin_scores=mine(run.twin_scores),
        pooling=mine(run.pooling),
    )


def main_symbol(run: Run) -> str:
    """Return the market that the headline speaks of: pooled, or the only one."""
    return score_symbols(run)[0]


def horizons(rows: Iterable[Mapping[str, Any] | Score]) -> list[str]:
    """Return the horizons that occur, the shortest first."""
    found = {row.horizon if isinstance(row, Score) else str(row["horizon"]) for row in rows}
    return sorted(found, key=lambda h: (fmt.horizon_hours(h), h))


def estimators(run: Run) -> list[str]:
    """Return whose forecasts were scored; the run's own tables are of the first one."""
    return list(dict.fromkeys(score.estimator for score in run.scores))


def own_scores(run: Run) -> list[Score]:
    """Return the scores of the first estimator."""
    return [s for s in run.scores if s.estimator == run.scores[0].estimator]


def statistics_of(scores: Iterable[Score]) -> list[Statistic]:
    """Return the statistics that occur: in the order of the claims, unknown ones last."""
    found = dict.fromkeys(score.statistic for score in scores)
    known = [one for one in STATISTICS if one.id in found]
    return [*known, *(statistic_of(name) for name in found if name not in {s.id for s in known})]


def find(
    scores: Iterable[Score], statistic: str, symbol: str, horizon: str, side: str = "both"
) -> Score | None:
    """Return the row of one statistic, or None where there is none."""
    key = (statistic, symbol, horizon, side)
    for score in scores:
        if (score.statistic, score.symbol, score.horizon, score.side) == key:
            return score
    return None


def verdict_of(run: Run, score: Score) -> Verdict | None:
    """Return the verdict that rests on this very row, or None.

    Where a run has one market, its row and the pooled row are one and the same.
    """
    symbols = {score.symbol, POOLED} if len(run.manifest["symbols"]) == 1 else {score.symbol}
    for verdict in run.verdicts:
        rests = verdict.score
        if rests is not None and rests.symbol in symbols:
            same = (rests.statistic, rests.horizon, rests.side)
            if same == (score.statistic, score.horizon, score.side):
                return verdict
    return None


def smallest_effect(run: Run, statistic: Statistic) -> float | None:
    """Return the smallest effect of interest of a statistic's claim, where both have one unit."""
    claim = run.manifest.get("claims", {}).get(statistic.claim, {})
    stated = claim.get("smallest_effect")
    deciding = [statistic_of(one.statistic) for one in CLAIMS if one.id == statistic.claim]
    same = bool(deciding) and deciding[0].unit == statistic.unit
    return float(stated) if same and stated is not None else None


def is_known(score: Score | None) -> bool:
    """Return whether there is a number at all."""
    return score is not None and score.n_episodes > 0 and not math.isnan(score.value)


def has_null(statistic: Statistic) -> bool:
    """Return whether a number must not stand without what no information would give: a rate."""
    return not statistic.unit.signed and bool(statistic.null)


def column_head(statistic: Statistic) -> str:
    """Return a heading with its unit.

    Examples
    --------
    >>> column_head(statistic_of("something_else"))
    'something else [95%]'
    """
    interval = not statistic.total and statistic.sampled is None
    return f"{in_unit(statistic, statistic.heading)}{' [95%]' if interval else ''}"


def in_unit(statistic: Statistic, name: str) -> str:
    """Return a heading with the unit of a statistic behind it."""
    return f"{name}, {statistic.unit.name}" if statistic.unit.name else name


def value_cell(score: Score | None) -> str:
    """Write a value with its interval, in its statistic's unit, without the unit's name."""
    if score is None:
        return fmt.DASH
    statistic = statistic_of(score.statistic)
    unit = statistic.unit
    if statistic.total or statistic.sampled is not None:
        alone = fmt.fixed(score.value * unit.scale, unit.decimals, signed=unit.signed)
        return Traced(alone, score, "value")
    text = fmt.estimate(
        score.value,
        score.ci_low,
        score.ci_high,
        scale=unit.scale,
        signed=unit.signed,
        decimals=unit.decimals,
    )
    return Traced(text, score, "value")


def null_cell(score: Score | None) -> str:
    """Write what no information would give, in the statistic's unit, without the unit's name."""
    if score is None or math.isnan(score.value):
        return fmt.DASH
    unit = statistic_of(score.statistic).unit
    text = fmt.fixed(score.null * unit.scale, unit.decimals, signed=unit.signed)
    return Traced(text, score, "null")


def mde_cell(score: Score | None) -> str:
    """Write the smallest effect that could be seen, in the statistic's unit, without its name."""
    if score is None or math.isnan(score.mde):
        return fmt.DASH
    size = score.mde * statistic_of(score.statistic).unit.scale
    return Traced(fmt.fixed(size, fmt.decimals_for(size)), score, "mde")


def count_cells(score: Score | None) -> tuple[str, str]:
    """Write how many units and days a row rests on."""
    if score is None:
        return fmt.DASH, fmt.DASH
    return (
        Traced(fmt.count(score.n_episodes), score, "n_episodes"),
        Traced(fmt.count(score.n_days), score, "n_days"),
    )


def with_unit(statistic: Statistic, text: str) -> str:
    """Return a number with the name of its unit behind it.

    Examples
    --------
    >>> from liqbt.evaluation.claims.register import STATISTICS
    >>> [with_unit(one, "1.0") for one in STATISTICS[:2]]
    ['1.0%', '1.0 points']
    """
    name = statistic.unit.name
    return f"{text}{name}" if name == "%" else f"{text} {name}".rstrip()


def value_words(score: Score) -> str:
    """Write a value with its unit in running text: a rate alone, a difference with its interval."""
    statistic = statistic_of(score.statistic)
    unit = statistic.unit
    alone = fmt.fixed(score.value * unit.scale, unit.decimals)
    return with_unit(statistic, value_cell(score) if unit.signed else alone)


def null_words(score: Score) -> str:
    """Write what no information would give, with its unit, in running text."""
    return with_unit(statistic_of(score.statistic), null_cell(score))


def effect_name(statistic: Statistic) -> str:
    """Return the unit of a difference of two values, such as `points` of two percentages."""
    return {"%": "points"}.get(statistic.unit.name, statistic.unit.name)


def row_words(score: Score) -> str:
    """Write a whole row on one line, with what it was made of; a rate never without its null."""
    statistic = statistic_of(score.statistic)
    null = f", null {null_words(score)}" if has_null(statistic) else ""
    return (
        f"{statistic.label}, {score.symbol}, {fmt.horizon_words(score.horizon)}: "
        f"{with_unit(statistic, value_cell(score))}{null}; "
        f"n {fmt.count(score.n_episodes)} on {fmt.count(score.n_days)} days"
    )

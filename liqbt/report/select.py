"""Which of a run's rows the report shows, and in which order; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from liqbt.report.formatting import horizon_hours
from liqbt.types import Score, Verdict

if TYPE_CHECKING:
    from liqbt.study.store import Run


POOLED: Final = "pooled"
PRIMARY: Final = "24h"


def score_symbols(run: Run) -> list[str]:
    """Return the markets in the order shown: pooled first where there are several."""
    symbols = list(run.manifest["symbols"])
    return [POOLED, *symbols] if len(symbols) > 1 else symbols


def main_symbol(run: Run) -> str:
    """Return the market that the headline speaks of: pooled, or the only one."""
    return score_symbols(run)[0]


def horizons(rows: Iterable[Mapping[str, Any] | Score]) -> list[str]:
    """Return the horizons that occur, the shortest first."""
    found = {row.horizon if isinstance(row, Score) else str(row["horizon"]) for row in rows}
    return sorted(found, key=lambda h: (horizon_hours(h), h))


def find(
    scores: Iterable[Score], statistic: str, symbol: str, horizon: str, side: str = "both"
) -> Score | None:
    """Return the row of one statistic, or None where the run has none."""
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


def in_nats(statistic: str) -> bool:
    """Return whether a statistic is a skill or a gain in nats; every other one is a share."""
    gains = "_skill" in statistic or "_gain" in statistic
    return gains or statistic.startswith("first_side_over_")


def smallest_effect(run: Run, claim: str) -> float | None:
    """Return the claim's smallest effect of interest, or None where the run does not state it."""
    stated = run.manifest.get("claims", {}).get(claim, {}).get("smallest_effect")
    return None if stated is None else float(stated)

"""The rows that scores are written in, market by market and for all markets together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy.typing as npt

from liqbt.evaluation.inference import Estimate
from liqbt.types import Score

__all__ = ["POOLED", "ScoreDetail", "detail", "markets"]

POOLED: Final = "pooled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDetail:
    """A score with what its interval was made of.

    Attributes
    ----------
    score : Score
        The row.
    estimate : Estimate
        Standard errors, lag, block, and whether HAC and bootstrap agree.
    """

    score: Score
    estimate: Estimate


def markets(
    symbols: Sequence[str], rows: npt.NDArray[Any]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield every market's name and rows, then all of them as `POOLED`.

    Parameters
    ----------
    symbols : sequence of str
        Names of the markets, by number.
    rows : structured ndarray
        With a field `symbol`, the number.
    """
    for i, symbol in enumerate(symbols):
        yield symbol, rows[rows["symbol"] == i]
    yield POOLED, rows


def detail(
    claim: str, symbol: str, horizon: str, side: str, statistic: str, null: float, found: Estimate
) -> ScoreDetail:
    """Return an estimate as a row of the one score schema, with what its interval was made of.

    Parameters
    ----------
    claim, symbol, horizon, side, statistic : str
        As in `Score`.
    null : float
        What no information would give, in the statistic's unit.
    found : Estimate
        Value, interval, counts.
    """
    score = Score(
        claim=claim,
        symbol=symbol,
        horizon=horizon,
        side=side,
        statistic=statistic,
        value=found.value,
        null=null,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        n_episodes=found.n_episodes,
        n_days=found.n_days,
        mde=found.mde,
    )
    return ScoreDetail(score=score, estimate=found)

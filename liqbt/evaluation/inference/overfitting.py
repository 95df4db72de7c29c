"""The probability that the best configuration in sample is below the median out of sample."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np

from liqbt.errors import DataError
from liqbt.types import FloatArray

_MOST: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """What combinatorially symmetric splits say of a configuration search.

    Attributes
    ----------
    probability : float
        Share of splits in which the best in sample ends in the lower half out of sample (PBO).
    logits : ndarray of float64, shape (n_splits,)
        Logit of its relative rank out of sample, in order of the splits.
    """

    probability: float
    logits: FloatArray


def backtest_overfitting(scores: FloatArray, *, blocks: int = 10) -> Overfitting:
    """Estimate the probability of backtest overfitting.

    Bailey, Borwein, López de Prado and Zhu (2017), The probability of backtest overfitting, section
    2.2: days are cut into an even number of blocks; for every choice of half of them, the
    configuration with the best mean there is ranked by its mean on the other half.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_days, n_configurations)
        Scores by day, larger is better, of all configurations that were tried.
    blocks : int
        Even, 2 to 16; days that do not fill the last block are left out.

    Raises
    ------
    DataError
        If there are fewer days than blocks, fewer than two configurations, or a score is not
        finite.

    Examples
    --------
    One configuration is better on every day: it is never below the median.

    >>> backtest_overfitting(np.tile([1.0, 0.0, 0.5], (8, 1)), blocks=4).probability
    0.0
    """
    from scipy.stats import rankdata

    if blocks < 2 or blocks % 2 or blocks > _MOST:
        raise DataError(f"PBO: found {blocks} blocks; expected an even number from 2 to {_MOST}")
    if scores.ndim != 2 or scores.shape[0] < blocks or scores.shape[1] < 2:
        raise DataError(
            f"PBO: found scores of shape {scores.shape}; expected {blocks} days or more, and two "
            "configurations or more"
        )
    if not np.isfinite(scores).all():
        raise DataError("PBO: found a score that is not finite")
    length = scores.shape[0] // blocks
    sums = scores[: length * blocks].reshape(blocks, length, -1).sum(axis=1)
    whole = sums.sum(axis=0)
    logits = np.empty(comb(blocks, blocks // 2))
    for i, chosen in enumerate(combinations(range(blocks), blocks // 2)):
        inside = sums[list(chosen)].sum(axis=0)
        best = int(np.argmax(inside))
        share = rankdata(whole - inside)[best] / (scores.shape[1] + 1)
        logits[i] = np.log(share / (1.0 - share))
    return Overfitting(probability=float((logits <= 0.0).mean()), logits=logits)

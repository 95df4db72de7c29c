"""Evidence that may be looked at every day: an e-process on windows that do not overlap.

At each midnight (UTC) the densest eligible cluster of a map is a bet that the price visits it
within the primary horizon; p̂, the placebo probability, is its fair price. Whoever stakes a share λ
of a capital of 1 on each has, if p̂ is right, never more to expect than 1; the largest capital so
far exceeds 1/α with a probability of at most α, whenever one stops (Ville 1939).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from liqbt.errors import DataError
from liqbt.evaluation.config import PRIMARY_NS
from liqbt.evaluation.episodes import densest, eligible, flatten
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.path import Censor
from liqbt.types import FloatArray, Ns

STAKES: Final = np.linspace(0.1, 0.9, 9)
"""Shares of the capital: nine players begin with a ninth each, so that none has to be chosen."""

BET_DTYPE: Final = np.dtype(
    [("symbol", "<u2"), ("at", "<i8"), ("watched", "?"), ("visited", "?"), ("placebo", "<f8")]
)
"""One row a market and midnight: whether the window was watched to its end, whether the densest
cluster was visited in it, and p̂ of that as it was known at issue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """What windows that have ended say of a map.

    Attributes
    ----------
    issued, ended : int
        Bets, and those whose window was watched to its end.
    precision, placebo : float
        The share of those that were visited, and the mean of p̂; NaN where none has ended.
    log_e, log_e_max : float
        Logarithm of the capital now, and at its highest so far.
    """

    issued: int
    ended: int
    precision: float
    placebo: float
    log_e: float
    log_e_max: float


def bets(evidence: Evidence) -> npt.NDArray[Any]:
    """Return the bets of one estimator in every market, BET_DTYPE, by time.

    Parameters
    ----------
    evidence : Evidence
        Of one estimator; the primary horizon is among those it is scored at.
    """
    parts = [np.zeros(0, BET_DTYPE)]
    for i in range(len(evidence.markets)):
        found = market_bets(evidence, i).copy()
        found["symbol"] = i
        parts.append(found)
    joined = np.concatenate(parts)
    return joined[np.lexsort((joined["symbol"], joined["at"]))]


def market_bets(evidence: Evidence, number: int) -> npt.NDArray[Any]:
    """Return the bets of one market as number 0, by time; made once."""
    market = evidence.markets[number]

    def make() -> npt.NDArray[Any]:
        flat = flatten(market.symbol, market.forecasts)
        counts = eligible(flat, evidence.config, horizon_ns=PRIMARY_NS)
        chosen = np.flatnonzero(densest(flat, counts))
        owner = flat.owner[chosen]
        cluster = (chosen - flat.offsets[owner])[flat.at[owner] % PRIMARY_NS == 0]
        owner = owner[flat.at[owner] % PRIMARY_NS == 0]
        outcomes = evidence.observed.outcomes
        rows = outcomes[(outcomes["symbol"] == number) & (outcomes["horizon_ns"] == PRIMARY_NS)]
        keys = rows["forecast"].astype(np.int64) << 32 | rows["cluster"]
        rows = rows[np.isin(keys, owner.astype(np.int64) << 32 | cluster)]
        found = np.zeros(len(rows), BET_DTYPE)
        found["at"] = rows["at"]
        found["watched"] = rows["censor"] == Censor.NONE
        found["visited"] = rows["visited"] == 1
        found["placebo"] = evidence.placebo_of(rows, number, PRIMARY_NS)[0]
        return found

    made: npt.NDArray[Any] = evidence.once(("bets", market.symbol), make)
    return made


def log_capital(gains: FloatArray) -> FloatArray:
    """Return the logarithm of a capital of 1 after each of some bets.

    Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B
    86(1), equation 20, with constant stakes averaged over `STAKES`.

    Parameters
    ----------
    gains : ndarray of float64, shape (n,)
        Of each bet, outcome less its fair price: in [−1, 1], its conditional mean 0 or less under
        the null.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    DataError
        If a gain is outside [−1, 1].

    Examples
    --------
    >>> np.exp(log_capital(np.array([0.5, -0.5]))).round(4).tolist()
    [1.25, 0.9208]
    """
    if not ((gains >= -1.0) & (gains <= 1.0)).all():
        raise DataError("e-process: a gain lies outside [-1, 1], or is no number")
    steps = np.log1p(STAKES[:, None] * gains[None, :])
    held: FloatArray = logsumexp(np.cumsum(steps, axis=1), axis=0) - np.log(len(STAKES))
    return held


def monitored(rows: npt.NDArray[Any]) -> Monitored:
    """Return what bets say.

    Markets of one midnight move together: their mean is one bet, whatever their dependence.

    Parameters
    ----------
    rows : ndarray of BET_DTYPE
        From `bets`: all of them, or some midnights.
    """
    ended = rows[rows["watched"]]
    gain = ended["visited"] - ended["placebo"]
    at, owner = np.unique(ended["at"], return_inverse=True)
    held = log_capital(np.bincount(owner, gain, len(at)) / np.bincount(owner, minlength=len(at)))
    return Monitored(
        issued=len(rows),
        ended=len(ended),
        precision=float(ended["visited"].mean()) if len(ended) else float("nan"),
        placebo=float(ended["placebo"].mean()) if len(ended) else float("nan"),
        log_e=float(held[-1]) if len(held) else 0.0,
        log_e_max=max(0.0, float(held.max())) if len(held) else 0.0,
    )


def window_end(at: Ns) -> Ns:
    """Return when the window of a bet is over: what is written down later was no forecast."""
    return at + PRIMARY_NS

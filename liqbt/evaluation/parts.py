"""Markets that are observed apart, and put together: each keeps what the others need of it.

What is learnt of all markets together, and what is drawn of their days, needs of one market its day
sums, its landmarks and levels, and the clusters that begin an episode: a few megabytes. Its
forecasts, and the tables that only its own statistics read, are let go. So that a study holds one
market at a time, wherever it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, overload

import numpy as np

from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import PRIMARY_NS, MarketInput
from liqbt.evaluation.evaluate import sums_key
from liqbt.evaluation.evidence import (
    AT_PRIMARY,
    LEVELS,
    OF_EVERY,
    SCORED,
    TRAINING,
    Evidence,
    Observed,
    Table,
    asked_at,
)
from liqbt.evaluation.statistic import Cell, Statistic
from liqbt.types import Forecast, Ns

OF_ALL: Final = frozenset({"landmarks", "models", "levels"})
"""What is learnt of all markets together: statistics that need it wait for all of them."""
_KEPT: Final = frozenset(
    {"observed", "levels of", "day sums", "has", "days", "asked", "born", "bets"}
)
"""What is kept of a market, by the first words of its keys in `Evidence.held`."""


@dataclass(frozen=True, slots=True)
class LetGo(Sequence[Forecast]):
    """Forecasts that were observed and are no longer held: how many they were."""

    size: int

    def __len__(self) -> int:
        """Return how many they were."""
        return self.size

    @overload
    def __getitem__(self, index: int) -> Forecast: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Forecast]: ...

    def __getitem__(self, index: int | slice) -> Forecast | Sequence[Forecast]:
        """Refuse: whoever reads a forecast does so while its market is observed.

        Raises
        ------
        RuntimeError
            Always.
        """
        raise RuntimeError("the forecasts of a market that was summed are no longer held")


def summed(evidence: Evidence, statistics: Sequence[Statistic]) -> Evidence:
    """Return the evidence of one market without its forecasts and tables.

    Parameters
    ----------
    evidence : Evidence
        Of one market, not yet scored.
    statistics : sequence of Statistic
        What will be scored.

    Returns
    -------
    Evidence
        It gives the day sums that the whole gives, and what `joined` evidence is learnt from.
    """
    only_begun(evidence)
    if PRIMARY_NS in evidence.config.horizons_ns:
        for role, markets in ((SCORED, evidence.markets), (TRAINING, evidence.training)):
            for kind in LEVELS if markets else ():
                evidence.levels_of(kind, role, 0)
    _sum(evidence, statistics)
    evidence.issued_days(0)
    _refuse_learnt(evidence)
    light = replace(
        evidence,
        markets=[_light(market) for market in evidence.markets],
        training=[_light(market) for market in evidence.training],
        shared={},
    )
    return light.holding({k: v for k, v in evidence.held.items() if k[0] in _KEPT})


def only_begun(evidence: Evidence) -> None:
    """Let go of the clusters of one market that begin no episode: nothing is counted of them."""
    for name, role, markets in (
        ("observed", SCORED, evidence.markets),
        ("trained", TRAINING, evidence.training),
    ):
        for market in markets:
            key, seen = ("observed", role, market.symbol), getattr(evidence, name)
            if key not in evidence.held:
                evidence.holding({key: replace(seen, outcomes=_begun(seen))})
                del vars(evidence)[name]  # it is made of what is held, when it is asked for next


def current(evidence: Evidence) -> Iterator[Table]:
    """Yield the clusters of one market as levels, and hold what models of all need of it.

    Parameters
    ----------
    evidence : Evidence
        Of one market, forecasts held.

    Yields
    ------
    ndarray of VISIT_DTYPE
        `Evidence.current_of`, to be kept elsewhere: it holds them no more.
    """
    refits = [np.zeros(0, np.int64)]
    for rows in evidence.current_of(0):
        refits.append(asked_at(rows, evidence.config))
        yield rows
    evidence.holding({("asked", evidence.symbols[0]): np.unique(np.concatenate(refits))})
    if PRIMARY_NS in evidence.config.horizons_ns:
        for role, markets in ((SCORED, evidence.markets), (TRAINING, evidence.training)):
            for number in range(len(markets)):
                evidence.born_of(role, number)


def together(parts: Sequence[Evidence]) -> Evidence:
    """Return the evidence of markets that were observed apart, in this order.

    Parameters
    ----------
    parts : sequence of Evidence
        At least one; of one estimator and one protocol.
    """
    shared: dict[Any, Any] = {}
    held: dict[Any, Any] = {}
    for part in parts:
        shared |= part.shared
        held |= {key: made for key, made in part.held.items() if key[0] in _KEPT}
    whole = replace(
        parts[0],
        markets=[market for part in parts for market in part.markets],
        training=[market for part in parts for market in part.training],
        shared=shared,
    )
    return whole.holding(held)


def _begun(seen: Observed) -> Table:
    """Return the clusters that begin an episode: of others nothing is counted."""
    rows = seen.outcomes
    return np.asarray(rows[rows["birth"] | rows["densest_birth"]])


def _sum(evidence: Evidence, statistics: Sequence[Statistic]) -> None:
    """Make the day sums of one market, and find out what there is of it, horizon by horizon."""
    counted = {one.id: one for one in (*STATISTICS, *statistics)}
    alone = [one for one in statistics if OF_ALL.isdisjoint(one.needs)]
    other = [one.horizon_ns for one in alone if one.horizon_ns]
    for horizon_ns in dict.fromkeys((*evidence.config.horizons_ns, *other)):
        for one in alone:
            own = (one.horizon_ns,) if one.horizon_ns else evidence.config.horizons_ns
            if horizon_ns in own and _may_be_scored(evidence, one, horizon_ns):
                needed = [one, *([counted[one.requires.statistic]] if one.requires else [])]
                for each in needed:
                    for side in each.sides:
                        cell = Cell(market=0, horizon_ns=horizon_ns, side=side)
                        if each.day_sums is not None:
                            make = partial(each.day_sums, evidence, cell)
                            evidence.once(sums_key(evidence, each, cell), make)
        evidence.let_go(horizon_ns)


def _may_be_scored(evidence: Evidence, statistic: Statistic, horizon_ns: Ns) -> bool:
    """Return whether a statistic may be scored of this market and of others, whatever these are."""
    there = {
        need: evidence.market_has(need, 0, horizon_ns)
        for need in statistic.needs
        if need not in AT_PRIMARY or horizon_ns == PRIMARY_NS
    }
    of_every = (*OF_EVERY, *(("stated",) if evidence.stated is None else ()))
    return all(need in there for need in statistic.needs) and all(
        has for need, has in there.items() if need in of_every
    )


def _refuse_learnt(evidence: Evidence) -> None:
    """Refuse a statistic that reads what is learnt of all markets, and does not say so."""
    if {"first_sides", "models"} & set(vars(evidence)) or any(
        key[0] == "levels" for key in evidence.held
    ):
        raise RuntimeError(
            f"a statistic reads what is learnt of all markets together; its 'needs' name one of "
            f"{sorted(OF_ALL)}"
        )


def _light(market: MarketInput) -> MarketInput:
    return replace(
        market,
        forecasts=LetGo(len(market.forecasts)),
        anchors=market.anchors or anchors_of(market.forecasts),
        competing_maps={name: LetGo(len(each)) for name, each in market.competing_maps.items()},
        twin=None if market.twin is None else LetGo(len(market.twin)),
        forced=None,
        depth=None,
    )

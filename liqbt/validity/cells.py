"""Size: how often each test found something where there was nothing, and what follows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS
from liqbt.validity.campaign import Results
from liqbt.validity.jobs import NUISANCE, RAN_AWAY, TESTS

ALPHA: Final = 0.025
"""One-sided size of each test."""
FAMILY: Final = 0.05
"""Chance that any cell of a campaign of right tests lies above its limit."""
CLEARING: Final = 1000
"""Replications of each world that can clear a test; fewer catch gross failure only."""


class TestWord(StrEnum):
    """What the gate says of one test."""

    __test__ = False

    CLEARED = "cleared"
    BLOCKED = "blocked"
    TOO_FEW = "too few replications"
    BLIND = "blind to the oracle"
    UNDERPOWERED = "underpowered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One test in one world where its claim is false.

    Attributes
    ----------
    claim, statistic, world : str
        The test and the world.
    replications : int
        Markets in which the test gave an interval, and those whose price ran away.
    rejections : int
        Of these, how often its lower bound lay above the claim's, both errors agreeing; one that
        ran away counts as found, so that dropping it can flatter nothing.
    ran_away : int
        How many did.
    limit : int
        More rejections than this block: right tests exceed it in any cell of the campaign with
        probability 5 % or less.
    few : int
        Fewer than this are conservative.
    opposite : int
        How often the upper bound lay below the null.
    mean, spread : float
        Of the statistic over the replications.
    n_days, n_episodes : float
        Means over the replications.
    """

    claim: str
    statistic: str
    world: str
    replications: int
    rejections: int
    ran_away: int
    limit: int
    few: int
    opposite: int
    mean: float
    spread: float
    n_days: float
    n_episodes: float

    @property
    def word(self) -> str:
        """`above` (it blocks), `conservative` or `within`."""
        if self.rejections > self.limit:
            return "above"
        return "conservative" if self.rejections < self.few else "within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is decided of one test.

    Attributes
    ----------
    claim, statistic : str
        The test.
    word : TestWord
        What the gate says of it.
    reason : str
        Why, in words.
    """

    claim: str
    statistic: str
    word: TestWord
    reason: str


def claim_of(name: str) -> Claim:
    """Return the entry of a primary claim: its tests are held against what its verdict asks."""
    found: Claim = next(claim for claim in CLAIMS if claim.id == name)
    return found


def rejects(row: Sequence[Any], bound: float) -> bool:
    """Return whether a kept score's lower bound lies above `bound`, both errors agreeing."""
    return bool(row[3]) and math.isfinite(row[1]) and row[1] > bound


def size_cells(results: Results) -> list[Cell]:
    """Return every test in every nuisance world that was replicated, in order."""
    groups = {
        (claim, statistic, world): list(_rows(results, "size", world, statistic))
        for claim, statistic in TESTS.items()
        for world in NUISANCE
    }
    held = {key: rows for key, rows in groups.items() if rows}
    lost = {
        world: sum(
            RAN_AWAY in scores
            for job, found in results.items()
            if (job.role, job.world) == ("size", world)
            for scores in found["scores"]
        )
        for world in NUISANCE
    }
    return [_cell(*key, rows, lost[key[2]], len(held)) for key, rows in held.items()]


def _rows(results: Results, role: str, world: str, statistic: str) -> Iterator[list[Any]]:
    """Yield the kept scores of one statistic that have an interval."""
    for job, found in results.items():
        if (job.role, job.world) == (role, world):
            for scores in found["scores"]:
                if statistic in scores and math.isfinite(scores[statistic][1]):
                    yield scores[statistic]


def _cell(
    claim: str, statistic: str, world: str, rows: Sequence[Sequence[Any]], ran_away: int, n: int
) -> Cell:
    from scipy.stats import binom

    values = [row[0] for row in rows]
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1))
    share, tried = FAMILY / n, len(rows) + ran_away
    bound = claim_of(claim).least_bound
    return Cell(
        claim=claim,
        statistic=statistic,
        world=world,
        replications=tried,
        rejections=sum(rejects(row, bound) for row in rows) + ran_away,
        ran_away=ran_away,
        limit=int(binom.ppf(1.0 - share, tried, ALPHA)),
        few=int(binom.ppf(share, tried, ALPHA)),
        opposite=sum(bool(row[3]) and row[2] < 0.0 for row in rows),
        mean=mean,
        spread=spread,
        n_days=math.fsum(row[5] for row in rows) / len(rows),
        n_episodes=math.fsum(row[4] for row in rows) / len(rows),
    )


def gate_of(results: Results) -> list[Gate]:
    """Decide every test: its size must hold in all eight worlds, and it must see the oracle."""
    cells = size_cells(results)
    return [
        _gate(claim, s, cells, list(_rows(results, "oracle", "gbm", s)))
        for claim, s in TESTS.items()
    ]


def _gate(claim: str, statistic: str, cells: list[Cell], seen: list[list[Any]]) -> Gate:
    mine = [cell for cell in cells if cell.claim == claim]
    above = [cell for cell in mine if cell.word == "above"]
    missed = sum(not rejects(row, claim_of(claim).least_bound) for row in seen)
    absent = [name for name in NUISANCE if name not in {cell.world for cell in mine}]
    fewest = min((cell.replications for cell in mine), default=0)
    word, reason = TestWord.CLEARED, f"its size holds in all {len(NUISANCE)} worlds"
    if above:
        worst = max(above, key=lambda cell: cell.rejections / cell.replications)
        word = TestWord.BLOCKED
        reason = (
            f"in {worst.world} it found something in {worst.rejections} of {worst.replications} "
            f"markets where there was nothing; at most {worst.limit} are chance"
        )
    elif missed:
        word = TestWord.BLIND
        reason = f"it missed {missed} of {len(seen)} markets whose forecasts knew the future"
    elif absent or fewest < CLEARING:
        word = TestWord.TOO_FEW
        reason = (
            f"{fewest} markets of each world and none of {', '.join(absent)}"
            if absent
            else f"{fewest} markets of each world"
        ) + f"; {CLEARING} are needed to clear a test"
    elif not seen:
        word, reason = TestWord.TOO_FEW, "no market whose forecasts knew the future"
    return Gate(claim=claim, statistic=statistic, word=word, reason=reason)

"""What clears a test: its size where nothing is, an oracle that it must see, and its power.

The rule takes counts, so that a document of the validity gate can be decided again by whoever reads
it: the words that stand in it are never believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS

TESTS: Final[dict[str, Claim]] = {claim.id: claim for claim in CLAIMS if claim.primary}
"""The claims whose tests are replicated: a test is the statistic that decides its claim."""

NUISANCE: Final = (
    "gbm",
    "stochastic_volatility",
    "momentum",
    "mean_reversion",
    "jumps",
    "drift",
    "oi_linked_volatility",
    "regimes",
)
"""Worlds in which no claim is true, and something else may be mistaken for it."""

ALPHA: Final = 0.025
"""One-sided size of each test."""
FAMILY: Final = 0.05
"""Chance that any cell of a campaign of right tests lies above its limit."""
CLEARING: Final = 1000
"""Replications of each world that can clear a test; fewer catch gross failure only."""
ASKED: Final = 0.8
"""Power that a test must reach at some effect that was tried."""
LEAST_MARKETS: Final = 30
"""Fewer show a power and clear nothing."""


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
class Seen:
    """One test in markets whose forecasts knew the future: how many there were, and were missed."""

    claim: str
    statistic: str
    markets: int
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """One test where its claim is true.

    Attributes
    ----------
    claim, statistic : str
        The test.
    strength : float
        Of the mechanism, as the simulator's setting.
    days : int
        Length of each market.
    replications, found : int
        Markets, and those in which the lower bound lay above the claim's; one without an interval,
        and one whose price ran away, found nothing.
    ran_away : int
        Markets whose price ran away: they found nothing, and are in neither mean nor effect.
    refuted : int
        Those in which the upper bound lay below the smallest effect of interest, both errors
        agreeing, though the effect was as large; 0 where it was smaller.
    mean, error : float
        Mean of the statistic, and its standard error.
    effect, effect_error : float
        What the mechanism caused (or told), measured from the truth: mean over the batches, and
        its standard error.
    factual, factual_error : float
        The same question asked of the factual path with the true map.
    """

    claim: str
    statistic: str
    strength: float
    days: int
    replications: int
    found: int
    ran_away: int
    refuted: int
    mean: float
    error: float
    effect: float
    effect_error: float
    factual: float
    factual_error: float

    @property
    def refuted_limit(self) -> int:
        """More wrong refutations than this are not chance (97.5 % of a right test's)."""
        from scipy.stats import binom

        return int(binom.ppf(1.0 - ALPHA, self.replications - self.ran_away, ALPHA))

    @property
    def power(self) -> float:
        """Share of the markets in which the test found it."""
        return self.found / self.replications if self.replications else math.nan


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


def rejects(row: Sequence[Any], bound: float) -> bool:
    """Return whether a kept score's lower bound lies above `bound`, both errors agreeing."""
    return bool(row[3]) and math.isfinite(row[1]) and row[1] > bound


def limits(tried: int, cells: int) -> tuple[int, int]:
    """Return the most rejections of `tried` markets that are chance, and the fewest that are.

    Parameters
    ----------
    tried : int
        Markets.
    cells : int
        Of the campaign: right tests exceed the limit in any of them with probability 5 % or less.
    """
    from scipy.stats import binom

    share = FAMILY / cells
    return int(binom.ppf(1.0 - share, tried, ALPHA)), int(binom.ppf(share, tried, ALPHA))


def size_gates(cells: Sequence[Cell], seen: Sequence[Seen]) -> list[Gate]:
    """Decide every test: its size must hold in all eight worlds, and it must see the oracle."""
    return [_gate(claim, cells, seen) for claim in TESTS.values()]


def _gate(claim: Claim, cells: Sequence[Cell], seen: Sequence[Seen]) -> Gate:
    key = (claim.id, claim.statistic)
    mine = [cell for cell in cells if (cell.claim, cell.statistic) == key]
    shown = [each for each in seen if (each.claim, each.statistic) == key]
    markets, missed = sum(each.markets for each in shown), sum(each.missed for each in shown)
    above = [cell for cell in mine if cell.word == "above"]
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
        reason = f"it missed {missed} of {markets} markets whose forecasts knew the future"
    elif absent or fewest < CLEARING:
        word = TestWord.TOO_FEW
        reason = (
            f"{fewest} markets of each world and none of {', '.join(absent)}"
            if absent
            else f"{fewest} markets of each world"
        ) + f"; {CLEARING} are needed to clear a test"
    elif not markets:
        word, reason = TestWord.TOO_FEW, "no market whose forecasts knew the future"
    return Gate(claim=claim.id, statistic=claim.statistic, word=word, reason=reason)


def gates_with_power(gates: Sequence[Gate], points: Sequence[PowerPoint]) -> list[Gate]:
    """Return what is decided of every test, with *underpowered* in the place of a hollow clearance.

    A test that hardly ever finds anything passes every test of size, and its narrow interval about
    zero would refute what is there. So one that reached 80 % of `LEAST_MARKETS` at no strength and
    length is not cleared; neither is one that, where the effect is as large as the smallest that
    matters, would refute it more often than its size allows; nor one that was not tried.

    Parameters
    ----------
    gates : sequence of Gate
        By size and oracle.
    points : sequence of PowerPoint
        Of all claims.
    """
    return [_with_power(gate, points) if gate.word == TestWord.CLEARED else gate for gate in gates]


def _with_power(gate: Gate, points: Sequence[PowerPoint]) -> Gate:
    key = (gate.claim, gate.statistic)
    mine = [p for p in points if (p.claim, p.statistic) == key and p.replications]
    wrong = next((p for p in mine if p.refuted > p.refuted_limit), None)
    if wrong is not None:
        reason = (
            f"its size holds, but at an effect of {wrong.effect:.3g} it would have refuted the "
            f"claim in {wrong.refuted} of {wrong.replications} markets (strength "
            f"{wrong.strength:g}, {wrong.days} days); at most {wrong.refuted_limit} are chance"
        )
        return replace(gate, word=TestWord.UNDERPOWERED, reason=reason)
    best = max(
        (p for p in mine if p.replications >= LEAST_MARKETS), key=lambda p: p.power, default=None
    )
    if best is None:
        reason = (
            f"its size holds, but it was not tried in {LEAST_MARKETS} markets of any strength in "
            "which its claim is true"
        )
        return replace(gate, word=TestWord.TOO_FEW, reason=reason)
    if best.power >= ASKED:
        return gate
    reason = (
        f"its size holds, but where its claim is true it found at most {best.found} of "
        f"{best.replications} markets (strength {best.strength:g}, {best.days} days)"
    )
    return replace(gate, word=TestWord.UNDERPOWERED, reason=reason)


def document_gates(document: Mapping[str, Any]) -> list[Gate]:
    """Decide every test again from the counts in a document of the validity gate.

    Parameters
    ----------
    document : mapping
        `size`, `oracle` and `power` of it are read; limits and words are not.
    """
    size = document["size"]
    cells = []
    for row in size:
        limit, few = limits(int(row["replications"]), len(size))
        cells.append(Cell(**_of(Cell, row) | {"limit": limit, "few": few}))
    seen = [Seen(**_of(Seen, row)) for row in document["oracle"]]
    points = [PowerPoint(**_of(PowerPoint, row)) for row in document["power"]]
    return gates_with_power(size_gates(cells, seen), points)


def _of(kind: type[Cell | Seen | PowerPoint], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row; JSON has no NaN: null stands for it."""
    return {f.name: math.nan if row[f.name] is None else row[f.name] for f in fields(kind)}

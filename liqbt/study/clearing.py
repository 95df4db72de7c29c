"""What clears a test: its size where its claim is false, an oracle that it must see, and its power.

The rule takes counts, so that a document of the validity gate can be decided again by whoever reads
it: the words that stand in it are never believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
from scipy.special import bdtr

from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import TRIALS, statistic_of
from liqbt.study.trials import LENGTHS, TESTS, Place, Where, places

FAMILY: Final = 0.05
"""Chance that any cell of a claim whose test is right lies above its limit."""
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
    claim, statistic : str
        The test: the claim's verdict, and the statistic that decides it.
    where, world, days : str, str, int
        The place (see `Place`).
    markets : int
        That were replicated.
    replications : int
        Of these, the ones in which the claim could be tested; where that is `LEAST_MARKETS` or
        more, also those whose price ran away.
    rejections : int
        Of these, how often the verdict was *supported*; one that ran away counts as found, so that
        dropping it can flatter nothing.
    ran_away : int
        How many did.
    refuted, suspect : int
        How often the verdict was *refuted*, and *suspect*.
    above : int
        How often the statistic that decides would have been enough, without further conditions.
    expected : float
        Rejections of a right test on average: its alpha times the replications.
    limit : int
        More rejections than this block: right tests exceed it in any cell of their claim with
        probability 5 % or less. It is no expectation.
    few : int
        Fewer than this are conservative.
    opposite : int
        How often the statistic's upper bound lay below the null.
    mean, spread : float
        Of the statistic less its null over the replications.
    n_days, n_episodes : float
        Means over the replications.
    """

    claim: str
    statistic: str
    where: str
    world: str
    days: int
    markets: int
    replications: int
    rejections: int
    ran_away: int
    refuted: int
    suspect: int
    above: int
    expected: float
    limit: int
    few: int
    opposite: int
    mean: float
    spread: float
    n_days: float
    n_episodes: float

    @property
    def tested(self) -> int:
        """In how many markets the claim could be tested."""
        return max(self.replications - self.ran_away, 0)

    @property
    def word(self) -> str:
        """`above` (it blocks), `conservative`, `within`, or `untested`."""
        if not self.replications:
            return "untested"
        if self.rejections > self.limit:
            return "above"
        return "conservative" if self.rejections < self.few else "within"

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(where=Where(self.where), world=self.world, days=self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One test in markets whose forecasts knew the future: how many there were, and were missed.

    Missed by the statistic that decides: an oracle shows that a score can see what there is.
    """

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
        The test; or a statistic that is shown beside it, found where its lower bound lies above its
        null.
    strength : float
        Of the mechanism, as the simulator's setting.
    days : int
        Length of each market.
    replications, found : int
        Markets, and those in which the claim's verdict was *supported*; one that could not be
        tested, and one whose price ran away, found nothing.
    ran_away : int
        Markets whose price ran away: they found nothing, and are in neither mean nor effect.
    refuted : int
        Those in which the verdict was *refuted* though the effect was as large as the smallest of
        interest, by the mean of the statistic, or by what was caused where that is on its scale; 0
        where it was smaller.
    suspect : int
        Those in which it was *suspect*.
    above : int
        Those in which the statistic that decides would have been enough, without further
        conditions.
    mean, error : float
        Mean of the statistic less its null, and its standard error.
    effect, effect_error : float
        What the mechanism caused (or told), measured from the truth: mean over the batches, and
        its standard error.
    unit : str
        Of the effect (see `Effect.unit`).
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
    suspect: int
    above: int
    mean: float
    error: float
    effect: float
    effect_error: float
    unit: str
    factual: float
    factual_error: float

    @property
    def tried(self) -> int:
        """Markets whose price stayed in range."""
        return self.replications - self.ran_away

    @property
    def refuted_limit(self) -> int:
        """More wrong refutations than this are let pass by no right test, 97.5 % of the time."""
        alpha = TESTS[self.claim].alpha
        return _binomial_quantile(1.0 - alpha, self.tried, alpha)

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
    days : tuple of int
        Lengths of records for which its size was tried in full.
    """

    claim: str
    statistic: str
    word: TestWord
    reason: str
    days: tuple[int, ...] = ()


def limits(tried: int, cells: int, alpha: float) -> tuple[int, int]:
    """Return the most rejections of `tried` markets that are let pass, and the fewest.

    Parameters
    ----------
    tried : int
        Markets.
    cells : int
        Of the claim: a right test exceeds the limit in any of them with probability 5 % or less.
    alpha : float
        Size of the test: `alpha · tried` are expected.
    """
    share = FAMILY / max(cells, 1)
    return _binomial_quantile(1.0 - share, tried, alpha), _binomial_quantile(share, tried, alpha)


def _binomial_quantile(share: float, n: int, p: float) -> int:
    """Return the fewest of `n` that are not exceeded with probability `share`.

    Without `scipy.stats`, which takes most of a second to import.
    """
    below = bdtr(np.arange(n + 1), n, p)
    return int(np.searchsorted(below, share * (1.0 - 1e-12)))


def let_pass(limit: int, expected: float) -> str:
    """Return a limit in words, with what is expected beside it.

    Examples
    --------
    >>> let_pass(39, 25.0)
    'a right test finds 25 on average, and up to 39 would be let pass'
    """
    return f"a right test finds {expected:.3g} on average, and up to {limit} would be let pass"


def size_gates(cells: Sequence[Cell], seen: Sequence[Seen]) -> list[Gate]:
    """Decide every test: its size must hold wherever its claim is false, and it must see."""
    return [_gate(claim, cells, seen) for claim in TESTS.values()]


def _gate(claim: Claim, cells: Sequence[Cell], seen: Sequence[Seen]) -> Gate:
    key = (claim.id, claim.statistic)
    mine = [cell for cell in cells if (cell.claim, cell.statistic) == key]
    shown = [each for each in seen if (each.claim, each.statistic) == key]
    markets, missed = sum(each.markets for each in shown), sum(each.missed for each in shown)
    asked = claim.id not in TRIALS or TRIALS[claim.id].oracle
    above = [cell for cell in mine if cell.word == "above"]
    earned, lacking = _earned(claim, mine)
    # where another claim is true one length alone is tried: what is found there is of every length
    if not any(cell.where == Where.PLANTED for cell in above):
        earned = tuple(days for days in earned if all(cell.days != days for cell in above))
    whole = [cell for cell in mine if cell.days in earned]
    word, reason = TestWord.CLEARED, f"its size holds in all {len(whole)} cells where it is false"
    worst = max(above, key=lambda cell: cell.rejections / cell.replications, default=None)
    if worst is not None and earned and all(cell.days not in earned for cell in above):
        reason = (
            f"{reason}; not over {worst.days} days: in {worst.world} it found something in "
            f"{worst.rejections} of {worst.replications} markets, {worst.ran_away} of them since "
            "the price ran away"
        )
        worst = None
    if worst is not None:
        word = TestWord.BLOCKED
        reason = (
            f"in {worst.world} it found something in {worst.rejections} of {worst.replications} "
            f"markets of {worst.days} days where there was nothing; "
            f"{let_pass(worst.limit, worst.expected)}"
        )
    elif asked and missed:
        word = TestWord.BLIND
        reason = f"it missed {missed} of {markets} markets whose forecasts knew the future"
    elif not earned:
        word, reason = TestWord.TOO_FEW, lacking
    elif asked and not markets:
        word, reason = TestWord.TOO_FEW, "no market whose forecasts knew the future"
    return Gate(claim=claim.id, statistic=claim.statistic, word=word, reason=reason, days=earned)


def _earned(claim: Claim, cells: Sequence[Cell]) -> tuple[tuple[int, ...], str]:
    """Return the lengths at which a claim's size was tried in full, and else what is lacking.

    What is lacking where another claim is true is lacking at every length.
    """
    held = {cell.place: cell for cell in cells}
    lengths = tuple(sorted({cell.days for cell in cells if cell.where != Where.PLANTED}))
    lacking: dict[int, str] = {}
    for place in places(claim, lengths or LENGTHS):
        cell = held.get(place)
        markets, tried = (cell.markets, cell.tested) if cell else (0, 0)
        where = f"markets of {place.days} days of {place.world}, where it is false"
        if markets < place.needed:
            said = f"{markets} of {place.needed} {where}, have been drawn"
        elif tried < LEAST_MARKETS:  # its feed is lacking there, and so is a size
            said = f"it could be tested in {tried} of {markets} {where}"
        else:
            continue
        every = place.where == Where.PLANTED
        for days in (lengths or LENGTHS) if every else (place.days,):
            lacking.setdefault(days, said)
    earned = tuple(days for days in lengths if days not in lacking)
    return earned, next(iter(lacking.values()), "")


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
        expected = TESTS[gate.claim].alpha * wrong.tried
        reason = (
            f"its size holds, but at an effect of {effect_said(wrong)} it would have refuted the "
            f"claim in {wrong.refuted} of {wrong.replications} markets (strength "
            f"{wrong.strength:g}, {wrong.days} days); "
            f"{let_pass(wrong.refuted_limit, expected)}"
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
        return replace(gate, reason=f"{gate.reason}; {_at_what(mine)}")
    reason = (
        f"its size holds, but where its claim is true it found at most {best.found} of "
        f"{best.replications} markets (an effect of {effect_said(best)}, strength "
        f"{best.strength:g}, {best.days} days)"
    )
    return replace(gate, word=TestWord.UNDERPOWERED, reason=reason)


def _at_what(points: Sequence[PowerPoint]) -> str:
    """Say from which effect on a test finds it four times in five, at each length."""
    parts = []
    enough = [p for p in points if p.replications >= LEAST_MARKETS]
    for days in sorted({p.days for p in enough}):
        mine = [p for p in enough if p.days == days]
        found = smallest_found(mine)
        said = (
            "at no effect that was tried"
            if found is None
            else f"from {_said(found, mine[0].unit)} on"
        )
        parts.append(f"{said} over {days} days")
    return "found four times in five " + ", ".join(parts)


EFFECT_UNITS: Final[dict[str, tuple[str, float]]] = {
    "share": ("points", 100.0),
    "nats": ("millinats", 1000.0),
    "bp_per_percent": ("bp for 1 %", 1.0),
    "ratio": ("times", 1.0),
}
"""How an effect that is measured from the truth is written, and what it is times."""


def effect_unit(unit: str) -> tuple[str, float]:
    """Return how an effect of a unit is written, and what it is times."""
    return EFFECT_UNITS.get(unit, (unit, 1.0))


def _said(effect: float, unit: str) -> str:
    name, scale = effect_unit(unit)
    return f"{scale * effect:.3g} {name}".strip()


def effect_said(point: PowerPoint) -> str:
    """Return the effect of a point in words; where none was measured, its statistic's mean."""
    if math.isfinite(point.effect):
        return _said(point.effect, point.unit)
    unit = statistic_of(point.statistic).unit
    return f"{unit.scale * point.mean:.3g} {unit.name}".strip()


def smallest_found(points: Sequence[PowerPoint], power: float = ASKED) -> float | None:
    """Return the smallest effect that is found with `power`, between the points by straight lines.

    None where no strength that was tried in `LEAST_MARKETS` reaches it: the test is underpowered at
    that length, or was not tried enough.

    Parameters
    ----------
    points : sequence of PowerPoint
        Of one statistic and length.
    power : float
        Asked for.
    """
    before: tuple[float, float] = (0.0, 0.0)
    enough = [point for point in points if point.replications >= LEAST_MARKETS]
    for point in sorted(enough, key=lambda p: p.strength):
        if point.power >= power:
            if point.power == before[1]:
                return point.effect
            share = (power - before[1]) / (point.power - before[1])
            return before[0] + share * (point.effect - before[0])
        before = (point.effect, point.power)
    return None


def document_gates(document: Mapping[str, Any]) -> list[Gate]:
    """Decide every test again from the counts in a document of the validity gate.

    Parameters
    ----------
    document : mapping
        `size`, `oracle` and `power` of it are read; limits and words are not.
    """
    cells = with_limits([_of(Cell, row) for row in document["size"] if row["claim"] in TESTS])
    seen = [Seen(**_of(Seen, row)) for row in document["oracle"]]
    points = [PowerPoint(**_of(PowerPoint, row)) for row in document["power"]]
    return gates_with_power(size_gates(cells, seen), [p for p in points if p.claim in TESTS])


def with_limits(rows: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Return cells with what a right test finds in each: expected, at most, and at least.

    Parameters
    ----------
    rows : iterable of mapping
        Fields of `Cell`; those three are computed. The family is all cells of a claim, those that
        have not been tried yet among them.
    """
    held = list(rows)
    family: dict[str, int] = {}
    for claim in TESTS.values():
        mine = [row for row in held if row["claim"] == claim.id]
        lengths = tuple(sorted({int(row["days"]) for row in mine}))
        family[claim.id] = max(len(mine), len(places(claim, lengths or LENGTHS)))
    out = []
    for row in held:
        alpha, tried = TESTS[row["claim"]].alpha, int(row["replications"])
        limit, few = limits(tried, family[row["claim"]], alpha)
        out.append(Cell(**{**row, "expected": alpha * tried, "limit": limit, "few": few}))
    return out


def _of(kind: type[Cell | Seen | PowerPoint], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row; JSON has no NaN: null stands for it."""
    return {f.name: math.nan if row[f.name] is None else row[f.name] for f in fields(kind)}

"""A statistic as a value: what it is called, how it is read, and how a day adds to it.

A statistic is a function of day sums of what was observed. Because the sums of a day add up, one
object is pooled over markets, bootstrapped by days, kept in a baseline and paired with another run
without reading a row twice. Whoever shows, holds or validates a number reads the fields of its
statistic; nobody reads its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from liqbt.evaluation.inference.days import DaySums
from liqbt.evaluation.inference.estimates import Estimate, ScoreDetail
from liqbt.types import Ns, Score

if TYPE_CHECKING:
    from liqbt.evaluation.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How a number is written.

    Attributes
    ----------
    name : str
        After the number, such as `points`; empty where it has no unit.
    scale : float
        From the statistic to that unit.
    signed : bool
        Whether a positive number carries a plus: it is a difference from something.
    decimals : int
        Of a number that has no interval.
    """

    name: str
    scale: float = 1.0
    signed: bool = True
    decimals: int = 3


PERCENT: Final = Unit(name="%", scale=100.0, signed=False, decimals=1)
POINTS: Final = Unit(name="points", scale=100.0, decimals=1)
MILLINATS: Final = Unit(name="millinats", scale=1000.0, decimals=1)
THOUSANDTHS: Final = Unit(name="thousandths", scale=1000.0, decimals=1)
RATIO: Final = Unit(name="", signed=False, decimals=3)
SCORE: Final = Unit(name="", signed=False, decimals=3)
SIGMA_A_DAY: Final = Unit(name="σ a day", decimals=2)
COUNT: Final = Unit(name="", signed=False, decimals=0)


class Better(StrEnum):
    """In which direction a statistic is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one row of scores is about, within one market.

    Attributes
    ----------
    market : int
        Its number in the evidence.
    horizon_ns : int
        Horizon.
    side : str
        `long`, `short` or `both`.
    """

    market: int
    horizon_ns: Ns
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A table of a report: its columns are the statistics that name it.

    Attributes
    ----------
    id, title : str
        Name and heading.
    units : str
        What is counted in it, such as `Episodes`.
    intro : str
        One sentence below the heading; empty for none.
    note : str
        How the table is read, below it; empty for none.
    folded : bool
        Whether a page opens it only when it is asked to.
    charts : tuple of str
        Kinds of charts that are drawn of it, by their names in `liqbt.report.figures.drawn`.
    """

    id: str
    title: str
    units: str
    intro: str = ""
    note: str = ""
    folded: bool = False
    charts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a statistic is told in plain words; what its interval says is added to it.

    Attributes
    ----------
    text : str
        The sentence, with `{value}`, `{null}`, `{n}` and `{days}` where they are wanted.
    absent : str
        Said where there is no number, of this and of what else is in its group; empty: nothing.
    positive : bool
        Told only where the value lies above 0.
    weaker, weaker_text : str
        A statistic that may exclude its null while this one does not, and the sentence that says
        so then, with its `{value}`.
    bounds : tuple of str
        Two statistics, one that decides what is undecided against this one and one that decides it
        for this one; empty for none.
    bounds_text : str
        The sentence that gives both where they differ, with `{low}` and `{high}`.
    """

    text: str
    absent: str = ""
    positive: bool = False
    weaker: str = ""
    weaker_text: str = ""
    bounds: tuple[str, ...] = ()
    bounds_text: str = ""


Summed: TypeAlias = "Callable[[Evidence, Cell], DaySums | None]"
"""What a market's days add to a statistic; None where it has nothing to add."""

Sampled: TypeAlias = "Callable[[Evidence, Sequence[Cell]], tuple[Estimate, float] | None]"
"""Estimate and null of the cells together, of what is no function of day sums; None: no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Days with an event, of each side, below which an interval would say nothing.

    Attributes
    ----------
    statistic : str
        The count, by its id; it has a row for each side.
    days : int
        Fewer on either side: the value is shown without an interval.
    """

    statistic: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A function of day sums of one table, with everything that others must know of it.

    Attributes
    ----------
    id : str
        As in `Score.statistic`.
    claim : str
        The claim that it speaks to.
    label : str
        What it is, in words that stand alone: a row's name.
    column : str
        Its heading in its group's table; empty: the label.
    unit : Unit
        How it is written.
    better : Better
        What counts as a loss.
    null : str
        What stands beside it, in words: what no information would give.
    day_sums : callable or None
        Of one market's evidence; None where it is not computed, or needs the whole sample.
    needs : tuple of str
        What must have been observed, by the names of `Evidence.has`.
    sides : tuple of str
        Sides that have a row of their own.
    sampled : callable or None
        In the place of day sums, of what needs the whole sample: there is no interval.
    group : Group or None
        The table of a report that it stands in; None: in the list of all only.
    tolerance : float
        How far it may move on the same tape, in its own unit; NaN: a twentieth of its interval.
    bounds : tuple of float
        What it cannot leave: intervals are cut there.
    total : bool
        It is a count: the sum itself, without an interval.
    requires : Requirement or None
        What an interval needs.
    headline : int
        Its place in a run's one-sentence summary; 0: not there.
    conditional : bool
        Whether the sensitivities repeat it under other choices.
    pairs_maps : bool
        Whether its units do not depend on what a map draws, nor its null: two runs that differ in
        their maps alone are paired on it.
    reading : Reading or None
        How it is told in plain words; None: not told, or, of one that decides a claim, by its
        label.
    line : str
        What a forecast's one line calls that which its verdict is about; empty: not named there.
    effect : str
        What the truth of a simulated market measures in its place, with the unit: an axis.
    wrong_sign : float
        An alarm: a map cannot honestly put it this far below its null, in its own unit, so that an
        upper bound there says look-ahead, and nothing of the claim; NaN: no alarm.
    horizon_ns : int
        Its own horizon, the only one that it has a row of, whichever the protocol asks for; 0: it
        has one of each of those.
    like : str
        Another statistic, whose bootstrap it draws: the same row then has the same interval; empty:
        its own.
    """

    id: str
    claim: str
    label: str
    unit: Unit
    null: str
    day_sums: Summed | None
    needs: tuple[str, ...] = ()
    better: Better = Better.HIGHER
    sides: tuple[str, ...] = ("both",)
    sampled: Sampled | None = None
    group: Group | None = None
    tolerance: float = math.nan
    bounds: tuple[float, float] = (-math.inf, math.inf)
    total: bool = False
    requires: Requirement | None = None
    headline: int = 0
    conditional: bool = True
    pairs_maps: bool = False
    column: str = ""
    reading: Reading | None = None
    line: str = ""
    effect: str = ""
    wrong_sign: float = math.nan
    horizon_ns: Ns = 0
    like: str = ""

    @property
    def drawn(self) -> str:
        """The name of the bootstrap that it draws."""
        return self.like or self.id

    @property
    def heading(self) -> str:
        """What its column is called in the table of its group."""
        return self.column or self.label

    @property
    def computed(self) -> bool:
        """Whether this version computes it."""
        return self.day_sums is not None or self.sampled is not None


def detail(
    statistic: Statistic,
    where: tuple[str, str, str],
    null: float,
    found: Estimate,
    days: DaySums | None = None,
    *,
    estimator: str = "",
) -> ScoreDetail:
    """Return an estimate as a row of the one score schema, with what it was made of.

    Parameters
    ----------
    statistic : Statistic
        What was estimated.
    where : (str, str, str)
        Symbol, horizon and side.
    null : float
        What no information would give, in the statistic's own unit.
    found : Estimate
        Value, interval, counts.
    days : DaySums, optional
        Its day sums.
    estimator : str
        Whose forecasts.
    """
    symbol, horizon, side = where
    score = Score(
        claim=statistic.claim,
        symbol=symbol,
        horizon=horizon,
        side=side,
        statistic=statistic.id,
        value=found.value,
        null=null,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        n_episodes=found.n_episodes,
        n_days=found.n_days,
        mde=found.mde,
        unit=statistic.unit.name,
        estimator=estimator,
    )
    return ScoreDetail(score=score, estimate=found, days=days)


BY_HORIZON: Final = Group(
    id="by_horizon",
    title="What decides, over every horizon",
    units="Windows",
    intro="The same statistics over each horizon that the experiment is scored at.",
    note="A claim is decided over the horizon that was fixed with it, before the run, which the "
    "table of verdicts names. A row of another horizon decides nothing, whatever it shows, and "
    "more of them are more tries; how fast an effect fades is what they are for. "
    "Claims that are not here rest on what has no other horizon: an hour's liquidations, a burst, "
    "a touch, a wall; for accuracy see liqbt claims plane.",
    folded=True,
)


def over_horizons(one: Statistic) -> Statistic:
    """Return a statistic of one horizon as it is over each that the protocol asks for.

    It decides nothing, is told nowhere else, and rings no alarm.
    """
    return replace(
        one,
        id=f"{one.id}_by_horizon",
        label=f"{one.label}, by horizon",
        column=one.label,
        group=BY_HORIZON,
        horizon_ns=0,
        like=one.id,
        conditional=False,
        headline=0,
        reading=None,
        line="",
        effect="",
        wrong_sign=math.nan,
    )

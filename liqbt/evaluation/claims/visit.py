"""Whether prices visit the estimated clusters more often than other levels.

- Episodes: hit rate beside the Brownian one, and what is left over Brownian motion, over p̂ (the
  placebo probability, learnt from random levels of the past) and over the mirror image.
- Levels: what the map adds to a probability of a visit that does without it, as a gain in the
  logarithmic score (Good 1952), of levels that no map draws and of clusters.
- Stated probabilities: their Brier and logarithmic scores beside those of Brownian motion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.claims.claim import Claim, ClaimStatus
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.inference.estimates import Estimate
from liqbt.evaluation.lifts import SUBSETS, births_of, on_side
from liqbt.evaluation.probability import Corp, brier_score, corp, log_score
from liqbt.evaluation.statistic import (
    MILLINATS,
    PERCENT,
    POINTS,
    RATIO,
    SCORE,
    THOUSANDTHS,
    Better,
    Cell,
    Group,
    Reading,
    Sampled,
    Statistic,
    Summed,
)
from liqbt.types import DAY_NS, FloatArray

CLAIM: Final = Claim(
    id="visit",
    words="Prices visit the estimated clusters more often than other levels as far away.",
    estimand="mean(Y − p̂): visits of episodes within 24 h, less the placebo probability: that with "
    "which a random level of the same distance, side, volatility, trend, season and change of open "
    "interest is visited",
    null="0: p̂, learnt from random levels of the past of the same market",
    statistic="level_lift",
    unit="share",
    smallest_effect=0.02,
    pass_rule="none: its test holds its size, and finds nothing where clusters attract (decision "
    "0037); it is shown, and decides nothing",
    status=ClaimStatus.DESCRIPTIVE,
)


GROUPS: Final = {
    "": Group(
        id="visits",
        title="Visits",
        units="Episodes",
        note="The lift over the random walk also moves when volatility is misjudged; the lift over "
        "the mirror does not, but is biased when prices trend.",
        charts=("bands", "forest"),
    ),
    "_dense": Group(
        id="visits_dense",
        title="Visits of dense clusters",
        units="Episodes",
        intro="The densest fifth of their side and distance band.",
        folded=True,
    ),
    "_densest": Group(
        id="visits_densest",
        title="Visits of the densest cluster",
        units="Episodes",
        intro="Episodes that began as the densest eligible cluster of a forecast, of both sides: "
        "that with the most notional per width.",
        folded=True,
    ),
}
"""Visits of all episodes, of dense ones, and of those that a densest cluster began."""
PLACEBO: Final = Group(
    id="placebo",
    title="Over the placebo probability",
    units="Episodes",
    intro="What is left over a probability that was learnt from random levels of the past.",
    note="The placebo probability is the chance that a random level of the same distance would "
    "have been visited, as past random levels taught it: volatility, trend, season and open "
    "interest known at issue. Expected: its sum over the episodes. A lift of 0, and a ratio of 1, "
    "is what no information gives. Where it differs from the lift over the random walk, the random "
    "walk erred. Placebo out: the lift over the mirror less what the placebo probability gives of "
    "it, the lower end of a bracket whose upper end is the lift over the mirror.",
)
GAINS: Final = Group(
    id="visit_gains",
    title="What the map adds to a probability of a visit",
    units="Levels",
    note="Whether a level is visited within 24 h: what the model that knows the map (how dense the "
    "level is, and to which side the map leans) gains in the logarithmic score. Levels at set "
    "distances do not depend on the map, so that two maps can be compared on them.",
    charts=("reliability",),
)
STATED: Final = Group(
    id="stated",
    title="Stated probabilities",
    units="Episodes with a probability",
    intro="The probability that was stated when an episode was born, against what became of it.",
    note="Brier score: mean of (probability − outcome)², smaller is better; it is miscalibration − "
    "discrimination + uncertainty, which is that of the base rate. Gain: how much smaller it is "
    "than the random walk's. Logarithmic skill: how much better than the random walk; there is "
    "none where what came to pass had been called impossible.",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Births:
    """Episodes of one cell: rows of OUTCOME_DTYPE, and p̂ where it is asked for."""

    rows: npt.NDArray[Any]
    use: npt.NDArray[np.bool_]

    @property
    def hit(self) -> FloatArray:
        """Whether each was visited, 0 or 1."""
        return np.asarray(self.rows["visited"][self.use], np.float64)

    @property
    def mirror_hit(self) -> FloatArray:
        """Whether the mirror image of each was visited, 0 or 1."""
        return np.asarray(self.rows["mirror_visited"][self.use], np.float64)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a field of OUTCOME_DTYPE."""
        return np.asarray(self.rows[name][self.use])


def births(evidence: Evidence, cell: Cell, subset: str) -> Births:
    """Return the episodes of a cell that a subset counts."""
    rows = evidence.episodes(cell.market, cell.horizon_ns)
    use = births_of(rows, subset, dense_rank=evidence.config.dense_rank)
    return Births(rows=rows, use=use & on_side(rows, cell.side))


def _hit_rate(subset: str) -> Summed:
    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        born = births(evidence, cell, subset)
        return day_sums(born.hit, born.column("at"), null=born.column("brownian"))

    return summed


def lift_over(chance: Callable[[Births], FloatArray], subset: str) -> Summed:
    """Return the day sums of visits less something, of the episodes of a subset."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        born = births(evidence, cell, subset)
        hit = born.hit
        return day_sums(hit - chance(born), born.column("at"), hits=hit)

    return summed


def _level_lift(subset: str) -> Summed:
    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        born = births(evidence, cell, subset)
        p, _ = evidence.placebo(cell.market, cell.horizon_ns)
        return day_sums(born.hit - p[born.use], born.column("at"), hits=born.hit)

    return summed


def _observed_over_expected(evidence: Evidence, cell: Cell) -> DaySums:
    """Sum visits and p̂: ΣY / Σp̂, 1 without information.

    The standardised ratio of Breslow and Day (1987), Statistical methods in cancer research II,
    equation 2.3, with day sums in place of a Poisson error.
    """
    born = births(evidence, cell, "")
    p, _ = evidence.placebo(cell.market, cell.horizon_ns)
    seen = day_sums(born.hit, born.column("at"))
    expected = day_sums(p[born.use], born.column("at")).total
    return DaySums(
        total=seen.total,
        count=expected,
        first_day=seen.first_day,
        n_units=seen.units,
        size=np.maximum(seen.total, 1.0),
        null=expected,
    )


def _gain(kind: str, other: str) -> Summed:
    """Return what the map's probability gains over another one, level by level, nats.

    Only levels enter for which the models had been fitted: before that all issue the same base.
    """

    def summed(evidence: Evidence, cell: Cell) -> DaySums:
        table, issued = evidence.levels(kind)
        use = table["scored"] & (issued.n_trained > 0) & (table["symbol"] == cell.market)
        if not use.any():
            return day_sums(np.zeros(0), table["at"][:0])
        brownian = np.clip(table["brownian"], 1e-9, 1.0 - 1e-9)
        q = brownian if other == "brownian" else issued.p[other]
        if not use.any():
            return day_sums(np.zeros(0), table["at"][use])
        y = table["visited"][use].astype(np.float64)
        gain = log_score(issued.p["full"][use], y) - log_score(q[use], y)
        return day_sums(gain, table["at"][use])

    return summed


Scoring: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""Takes stated and Brownian probabilities and outcomes; gives a score of each."""


def _stated(evidence: Evidence, cell: Cell) -> tuple[FloatArray, FloatArray, FloatArray, Any]:
    """Return stated and Brownian probabilities, outcomes and births of one cell's episodes."""
    rows = evidence.episodes(cell.market, cell.horizon_ns)
    p = evidence.stated_of(cell.market, cell.horizon_ns)
    use = rows["birth"] & ~np.isnan(p)
    y = rows["visited"][use].astype(np.float64)
    return p[use], rows["brownian"][use], y, rows["at"][use]


def _of_stated(score: Scoring, null: Scoring | None = None) -> Summed:
    """Return the day sums of a score of what was stated; none of a market where nothing was."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        p, q, y, at = _stated(evidence, cell)
        if not len(y):
            return None
        return day_sums(score(p, q, y), at, null=None if null is None else null(p, q, y))

    return summed


def _log_skill(p: FloatArray, q: FloatArray, y: FloatArray) -> FloatArray:
    return log_score(p, y) - log_score(q, y)


def _corp(part: str) -> Sampled:
    """Return a part of the stated probabilities' Brier score, and that of Brownian motion."""

    def sampled(evidence: Evidence, cells: Sequence[Cell]) -> tuple[Estimate, float] | None:
        columns = [_stated(evidence, cell) for cell in cells]
        p, q, y, at = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        if not len(y):
            return None
        found: tuple[Corp, Corp] = corp(p, y), corp(q, y)
        n_days = len(np.unique(at // DAY_NS))
        ours = Estimate(value=getattr(found[0], part), n_episodes=len(y), n_days=n_days)
        return ours, float(getattr(found[1], part))

    return sampled


OVER_WALK: Final = "brownian_lift"
"""Lift over the random walk: a weaker comparison than p̂, and than the mirror."""
SIDES: Final = ("long", "short", "both")
SIZES: Final = {"": "", "_dense": ", dense clusters", "_densest": ", the densest cluster"}
"""What a subset adds to a label."""


_HIT_RATE: Final = Reading(
    text="{n} episodes on {days} days: the price entered {value} of the clusters, where a random "
    "walk of the same volatility would have entered {null}.",
    absent="No episode could be scored, so nothing can be said.",
)
_LEVELS: Final = Reading(
    text="Over random levels of the same distance and state, as past ones taught it, it is {value}."
)
_WALK: Final = Reading(text="Over that random walk the difference is {value}.")


def _of_episodes(subset: str) -> tuple[Statistic, ...]:
    sides = ("both",) if subset else SIDES
    return (
        Statistic(
            id=f"hit_rate{subset}",
            claim="visit",
            label=f"Hit rate{SIZES[subset]}",
            column="Hit rate",
            unit=PERCENT,
            null="a random walk",
            day_sums=_hit_rate(subset),
            needs=("episodes",),
            better=Better.NEITHER,
            sides=sides,
            group=GROUPS[subset],
            tolerance=0.005,
            bounds=(0.0, 1.0),
            headline=0 if subset else 1,
            reading=None if subset else _HIT_RATE,
        ),
        Statistic(
            id=f"{OVER_WALK}{subset}",
            claim="visit",
            label=f"Lift over random walk{SIZES[subset]}",
            column="Lift over random walk",
            unit=POINTS,
            null="a random walk",
            day_sums=lift_over(lambda born: born.column("brownian"), subset),
            needs=("episodes",),
            sides=sides,
            group=GROUPS[subset],
            tolerance=0.005,
            reading=None if subset else _WALK,
        ),
        Statistic(
            id=f"level_lift{subset}",
            claim="visit",
            label=f"Lift over random levels{SIZES[subset]}",
            column=f"Level lift{SIZES[subset]}",
            unit=POINTS,
            null="the placebo probability",
            day_sums=_level_lift(subset),
            needs=("episodes", "placebo"),
            group=PLACEBO,
            tolerance=0.005,
            conditional=False,
            headline=0 if subset else 2,
            reading=None if subset else _LEVELS,
        ),
    )


def _gain_statistic(name: str, column: str, kind: str, other: str, null: str) -> Statistic:
    return Statistic(
        id=name,
        claim="visit",
        label=f"Probability of a visit: {column[:1].lower()}{column[1:]}",
        column=column,
        unit=MILLINATS,
        null=null,
        day_sums=_gain(kind, other),
        needs=("levels",),
        group=GAINS,
        tolerance=0.002,
        conditional=False,
        pairs_maps=kind == "units" and other == "brownian",
    )


def _stated_statistic(name: str, column: str, **fields: Any) -> Statistic:
    given: dict[str, Any] = {
        "claim": "visit",
        "null": "a random walk",
        "unit": SCORE,
        "day_sums": None,
        "better": Better.NEITHER,
        "needs": ("stated",),
        "group": STATED,
        "conditional": False,
    }
    label = f"Stated probabilities: {column}"
    return Statistic(id=f"stated_{name}", label=label, column=column, **{**given, **fields})


STATISTICS: Final = (
    *(one for subset in SUBSETS for one in _of_episodes(subset)),
    Statistic(
        id="observed_over_expected",
        claim="visit",
        label="Observed over expected",
        unit=RATIO,
        null="the placebo probability",
        day_sums=_observed_over_expected,
        needs=("episodes", "placebo"),
        better=Better.NEITHER,
        group=PLACEBO,
        bounds=(0.0, np.inf),
        conditional=False,
    ),
    _gain_statistic(
        "visit_gain",
        "Levels at set distances, gain over the model without the map",
        "units",
        "ablated",
        "the same model without the map",
    ),
    _gain_statistic(
        "visit_gain_over_brownian",
        "Levels at set distances, gain over the random walk",
        "units",
        "brownian",
        "a random walk",
    ),
    _gain_statistic(
        "cluster_visit_gain",
        "Clusters, gain over the model without the map",
        "clusters",
        "ablated",
        "the same model without the map",
    ),
    _stated_statistic(
        "brier",
        "Brier score",
        day_sums=_of_stated(lambda p, _, y: brier_score(p, y), lambda _, q, y: brier_score(q, y)),
        better=Better.LOWER,
        bounds=(0.0, 1.0),
        reading=Reading(
            text="Brier score {value} of the probabilities that were stated, where a random walk's "
            "have {null}, {n} episodes."
        ),
    ),
    _stated_statistic(
        "brier_gain",
        "Brier score, gain",
        day_sums=_of_stated(lambda p, q, y: brier_score(q, y) - brier_score(p, y)),
        reading=Reading(text="Their gain is {value}."),
        unit=THOUSANDTHS,
        better=Better.HIGHER,
        tolerance=0.002,
    ),
    _stated_statistic(
        "log_skill",
        "Logarithmic skill",
        day_sums=_of_stated(_log_skill),
        unit=MILLINATS,
        better=Better.HIGHER,
        tolerance=0.002,
    ),
    _stated_statistic(
        "impossible",
        "Outcomes called impossible",
        day_sums=_of_stated(lambda *given: np.isneginf(_log_skill(*given)).astype(np.float64)),
        reading=Reading(
            text="What had been called impossible came to pass: {value} of {n} episodes.",
            positive=True,
        ),
        unit=PERCENT,
        bounds=(0.0, 1.0),
    ),
    *(
        _stated_statistic(part, part.capitalize(), sampled=_corp(part))
        for part in ("miscalibration", "discrimination", "uncertainty")
    ),
)

"""Whether liquidations fall where the map says, given where the price went.

The unit is an hour and a side. Given the hour's path, what was forced before and the season, a map
enters through the mass that the price crosses in the hour (`ForcedModels`). What decides is what it
tells beyond everything that knows the path alone, its own **price-only twin** among it: a map of
prices and open interest is nearly a map of prices, and crosses much mass where much is forced
whatever open interest was. Each stand-in is also an opponent: a map that predicts worse than
freshness does is no map of liquidations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from liqbt.evaluation.claims.claim import Claim, ClaimStatus, Trial
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.forced_models import STAND_INS, TWIN, ForcedModels
from liqbt.evaluation.inference.days import DaySums, day_sums
from liqbt.evaluation.statistic import MILLINATS, Cell, Group, Reading, Statistic, Summed
from liqbt.types import FloatArray

CLAIM: Final = Claim(
    id="location",
    words="Liquidation prices are predictable from entry zones and leverage brackets.",
    estimand="information gain per hour and side on what was forced, given the hour's path, of the "
    "mass of the map that the price crosses, in nats",
    null="0: beside the price-only twin, freshness, distance and extent together; 0.002 nats are "
    "left for what no stand-in knows of the path; and against each of them in the map's place",
    statistic="information_gain",
    unit="nats",
    smallest_effect=0.003,
    least_bound=0.002,
    also_above=(
        "information_gain_over_twin",
        "information_gain_over_freshness",
        "information_gain_over_kernel",
        "information_gain_over_uniform",
    ),
    pass_rule="97.5 % lower bound above 0.002 nats beside everything that knows the path alone, "
    "and above 0 in the place of each: the price-only twin, freshness, distance kernel, uniform",
    number="1",
    status=ClaimStatus.TESTABLE,
    absent="no liquidation is fed (or the map has no price-only twin): there is nothing that the "
    "map could have told",
)

TRIAL: Final = Trial(
    strengths=(0.25, 0.5, 1.0),
    measure="location.location_effects",
    effects=("information_told", "information_true"),
    beside=("information_gain_realised", "information_gain_over_freshness"),
    keys=lambda _world, strength: {"oi_of_others": 1.0 - strength},
    true_by_default=True,
    nulls=("others", "others_regimes"),
    oracle=False,
)

LOCATION: Final = Group(
    id="location",
    title="Where liquidations fall",
    units="Hours and sides",
    intro="How much the mass that the price crosses tells of what was forced in an hour, given the "
    "hour's path.",
    note="Given how far the price went, its volatility, new extremes, season, and what was forced "
    "before. Beside all: what the map tells beyond the price-only twin, freshness (bins that "
    "refill with age since the price was there), distance and extent together; the location claim "
    "rests on it. Over each: the map in its place. 0 is what no information gives; a map that only "
    "knows the path has nothing beside all, and may lose to freshness.",
)

_ALL: Final = (*STAND_INS, *TWIN)
_OPPONENTS: Final = {
    "twin": (("twin",), "Price-only twin", "the price-only twin in its place"),
    "freshness": (("fresh_2h", "fresh_24h"), "Freshness", "freshness in its place"),
    "kernel": (("kernel",), "Distance kernel", "a kernel of distance in its place"),
    "uniform": (("uniform",), "Uniform", "equal mass everywhere in its place"),
}
"""What may stand in the map's place."""


def _of_models(gain: Callable[[ForcedModels], FloatArray], *, twin: bool) -> Summed:
    """Return the day sums of a gain; none of a market without liquidations, or without its twin."""

    def summed(evidence: Evidence, cell: Cell) -> DaySums | None:
        models = evidence.forced_models(cell.market)
        if models is None or (twin and not models.has_twin):
            return None
        return day_sums(gain(models), models.at[models.scored])

    return summed


def _statistic(
    suffix: str,
    column: str,
    null: str,
    gain: Callable[[ForcedModels], FloatArray],
    *,
    twin: bool = False,
    **fields: Any,
) -> Statistic:
    return Statistic(
        id=f"information_gain{suffix}",
        claim="location",
        label=f"Information on what is forced: {column[:1].lower()}{column[1:]}",
        column=column,
        unit=MILLINATS,
        null=null,
        day_sums=_of_models(gain, twin=twin),
        needs=("crossings", "twin") if twin else ("crossings",),
        group=LOCATION,
        tolerance=0.0005,
        conditional=False,
        **fields,
    )


def _over(beside: tuple[str, ...]) -> Callable[[ForcedModels], FloatArray]:
    return lambda models: models.realised(("map",), beside)


STATISTICS: Final = (
    _statistic(
        "",
        "Beside all",
        "the path, its stand-ins and the price-only twin together",
        lambda models: models.information((*_ALL, "map"), _ALL),
        twin=True,
        reading=Reading(
            text="Of what is forced in an hour, given its path, the map tells {value} more than "
            "everything that knows the path alone, its price-only twin included, {n} hours and "
            "sides."
        ),
        effect="Told by the true map beside the path, millinats",
    ),
    _statistic(
        "_realised",
        "Beside all, realised",
        "the path, its stand-ins and the price-only twin together",
        lambda models: models.realised((*_ALL, "map"), _ALL),
        twin=True,
    ),
    _statistic(
        "_gamma",
        "Beside all, realised, gamma model",
        "the path, its stand-ins and the price-only twin together",
        lambda models: models.gamma((*_ALL, "map"), _ALL),
        twin=True,
    ),
    _statistic(
        "_beside_path",
        "Beside the path and its stand-ins",
        "the path and its stand-ins",
        lambda models: models.information((*STAND_INS, "map"), STAND_INS),
    ),
    *(
        _statistic(
            f"_over_{name}", f"Over: {column[:1].lower()}{column[1:]}", null, _over(beside),
            twin=name == "twin",
        )
        for name, (beside, column, null) in _OPPONENTS.items()
    ),
)  # fmt: skip

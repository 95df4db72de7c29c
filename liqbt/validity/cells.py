"""Size: how often each test found something where its claim is false, and missed an oracle."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from liqbt.evaluation.claims.claim import Claim
from liqbt.study.clearing import LEAST_MARKETS, Cell, Seen, with_limits
from liqbt.study.trials import NUISANCE, TESTS, Place, Where, places
from liqbt.validity.campaign import Campaign
from liqbt.validity.jobs import job_of
from liqbt.validity.tallies import Tally, mean_of


def size_cells(campaign: Campaign) -> list[Cell]:
    """Return every test in every world in which its claim is false, as far as it was replicated.

    Of a world in which another claim is true all strengths are one cell.
    """
    found: dict[tuple[str, Place], list[Tally]] = {}
    for name, cell in sorted(campaign.cells.items()):
        job = job_of(name)
        if job.role == "oracle":
            continue
        where = Where.NUISANCE if job.world in NUISANCE else Where.NULL
        where = Where.PLANTED if job.role == "power" else where
        place = Place(where=where, world=job.world, days=job.days)
        for claim, tally in cell.tallies.items():
            found.setdefault((claim, place), []).append(tally)
    lengths = tuple(sorted({place.days for _, place in found}))
    rows = [
        _row(claim, place, _together(found[claim.id, place]))
        for claim in TESTS.values()
        for place in (places(claim, lengths) if lengths else ())
        if (claim.id, place) in found
    ]
    return with_limits([row for row in rows if row["markets"]])


def oracle_seen(campaign: Campaign) -> list[Seen]:
    """Return how many markets of an oracle each test missed: the score, not further conditions."""
    cells = sorted(campaign.cells.items())
    tallies = [cell.tallies for name, cell in cells if name.startswith("oracle/")]
    found = []
    for claim in TESTS.values():
        mine = _together(each[claim.id] for each in tallies if claim.id in each)
        if mine.markets:
            missed = mine.markets - mine.above
            found.append(
                Seen(claim=claim.id, statistic=claim.statistic, markets=mine.markets, missed=missed)
            )
    return found


def _together(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total += tally
    return total


def _row(claim: Claim, place: Place, tally: Tally) -> dict[str, Any]:
    mean, spread = mean_of(tally.valued, tally.value, tally.value2)
    # where the feed is not, none would have found it
    lost = tally.ran_away if tally.tested >= LEAST_MARKETS else 0
    return {
        "claim": claim.id,
        "statistic": claim.statistic,
        "where": str(place.where),
        "world": place.world,
        "days": place.days,
        "markets": tally.markets,
        "replications": tally.tested + lost,
        "rejections": tally.found + lost,
        "ran_away": tally.ran_away,
        "refuted": tally.refuted,
        "suspect": tally.suspect,
        "above": tally.above + lost,
        "opposite": tally.opposite,
        "mean": mean,
        "spread": spread,
        "n_days": tally.n_days / tally.valued if tally.valued else math.nan,
        "n_episodes": tally.n_episodes / tally.valued if tally.valued else math.nan,
    }

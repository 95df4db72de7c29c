"""Size: how often each test found something where there was nothing, and missed an oracle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from liqbt.evaluation.claims.claim import Claim
from liqbt.study.clearing import NUISANCE, TESTS, Cell, Seen, limits, rejects
from liqbt.study.replications import RAN_AWAY
from liqbt.validity.campaign import Results


def size_cells(results: Results) -> list[Cell]:
    """Return every test in every nuisance world that was replicated, in order."""
    groups = {
        (claim.id, world): list(_rows(results, "size", world, claim.statistic))
        for claim in TESTS.values()
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
    return [
        _cell(TESTS[claim], world, rows, lost[world], len(held))
        for (claim, world), rows in held.items()
    ]


def oracle_seen(results: Results) -> list[Seen]:
    """Return how many markets of an oracle each test missed."""
    found = []
    for claim in TESTS.values():
        rows = list(_rows(results, "oracle", "gbm", claim.statistic))
        missed = sum(not rejects(row, claim.least_bound) for row in rows)
        found.append(
            Seen(claim=claim.id, statistic=claim.statistic, markets=len(rows), missed=missed)
        )
    return found


def _rows(results: Results, role: str, world: str, statistic: str) -> Iterator[list[Any]]:
    """Yield the kept scores of one statistic that have an interval."""
    for job, found in results.items():
        if (job.role, job.world) == (role, world):
            for scores in found["scores"]:
                if statistic in scores and math.isfinite(scores[statistic][1]):
                    yield scores[statistic]


def _cell(
    claim: Claim, world: str, rows: Sequence[Sequence[Any]], ran_away: int, cells: int
) -> Cell:
    values = [row[0] for row in rows]
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1))
    tried = len(rows) + ran_away
    limit, few = limits(tried, cells)
    return Cell(
        claim=claim.id,
        statistic=claim.statistic,
        world=world,
        replications=tried,
        rejections=sum(rejects(row, claim.least_bound) for row in rows) + ran_away,
        ran_away=ran_away,
        limit=limit,
        few=few,
        opposite=sum(bool(row[3]) and row[2] < 0.0 for row in rows),
        mean=mean,
        spread=spread,
        n_days=math.fsum(row[5] for row in rows) / len(rows),
        n_episodes=math.fsum(row[4] for row in rows) / len(rows),
    )

"""The gate as one JSON document, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from liqbt.simulate.world import World
from liqbt.study.clearing import TESTS, PowerPoint, gates_with_power, size_gates
from liqbt.study.replicate import world_experiment
from liqbt.study.store import json_value
from liqbt.study.validity import first_estimator, scope, terms_of
from liqbt.types import DAY_NS
from liqbt.validity.campaign import Results
from liqbt.validity.cells import oracle_seen, size_cells
from liqbt.validity.power import power_points, smallest_found

RULE: Final = (
    "A verdict is released where the run's estimator has the name and the keys under 'tried' (its "
    "brackets, the sampling of sigma and the source of its prices are the venue's), where its "
    "protocol has those keys (other horizons beside the one that decides, more draws of the "
    "bootstrap and another longest gap are no matter), and where its record has as many scored "
    "days as the markets that were tried, or a tenth less than the shortest, or a tenth more than "
    "the longest."
)
"""What the clearance of a test covers, in words; `liqbt.study.validity.scope` is what decides."""


def gate_document(
    results: Results, *, identity: str, root: int, levels: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that a campaign found; `sign` makes it a document that verdicts believe.

    Parameters
    ----------
    results : mapping of Job to dict
        From `run_campaign`.
    identity : str
        Digest of the code, worlds and seed that they depend on.
    root : int
        Root seed.
    levels : mapping
        What random levels on real data show: of `random_levels_entry`.

    Returns
    -------
    dict
        Numbers that JSON has not (of effects that were not measured) are None.
    """
    cells, seen, points = size_cells(results), oracle_seen(results), power_points(results)
    groups: dict[tuple[str, str, int], list[PowerPoint]] = {}
    for point in points:
        groups.setdefault((point.claim, point.statistic, point.days), []).append(point)
    smallest = [
        {"claim": claim, "statistic": statistic, "days": days, "effect": smallest_found(mine)}
        for (claim, statistic, days), mine in groups.items()
    ]
    document: dict[str, Any] = json_value(
        {
            "identity": identity,
            "seed": root,
            "rule": RULE,
            "tried": tried_scope(results),
            "tests": {name: terms_of(claim) for name, claim in TESTS.items()},
            "gates": [
                {**asdict(gate), "word": str(gate.word)}
                for gate in gates_with_power(size_gates(cells, seen), points)
            ],
            "size": [asdict(cell) | {"word": cell.word} for cell in cells],
            "oracle": [asdict(each) for each in seen],
            "power": [asdict(point) | {"power": point.power} for point in points],
            "found_with_80_percent": smallest,
            "random_levels": dict(levels),
        }
    )
    return document


def tried_scope(results: Results) -> dict[str, Any]:
    """Return what the tests were tried with: estimator, protocol, and the lengths of records."""
    experiment = world_experiment(World(name="any"))
    chosen = [first_estimator(experiment, symbol) for symbol in experiment.symbols]
    found = scope(chosen, experiment.evaluation, experiment.schedule.every, 0.0)
    warm_up = experiment.schedule.warm_up / DAY_NS
    return {**found, "scored_days": sorted({job.days - warm_up for job in results})}


def describe_document(document: Mapping[str, Any]) -> str:
    """Return the gate's tables as text."""
    lines = [
        f"{g['claim']} ({g['statistic']}): {g['word']}: {g['reason']}" for g in document["gates"]
    ]
    levels = document["random_levels"]
    lines.append(f"random levels on real prices: {levels['word']}: {levels['reason']}")
    if document["size"]:
        lines += ["", f"{'nothing planted':24}{'test':20}{'found':>14}{'limit':>8}   mean, spread"]
    lines += [
        f"{c['world']:24}{c['statistic']:20}{c['rejections']:>6} of {c['replications']:<5}"
        f"{c['limit']:>7}   {c['mean']:+.4f}, {c['spread']:.4f}  {c['word']}"
        for c in document["size"]
    ]
    if document["power"]:
        lines += ["", f"{'planted':24}{'test':20}{'found':>14}   effect from the truth"]
    for p in document["power"]:
        what = f"{p['claim']} {p['strength']:g}, {p['days']} d"
        effect = f"{_number(p['effect']):+.4f} ({_number(p['effect_error']):.4f})"
        found = f"{p['found']:>6} of {p['replications']:<5}"
        lines.append(f"{what:24}{p['statistic']:20}{found}   {effect}")
    lines += [
        f"{s['claim']}, {s['days']} d: smallest effect {s['statistic']} finds at 80 %: "
        f"{_smallest(s)}"
        for s in document["found_with_80_percent"]
    ]
    return "\n".join(lines)


def describe_pinned(found: Mapping[str, Any]) -> str:
    """Return what the pinned replications gave as text (see `check_pinned`)."""
    lines = [
        f"document {found['document']}, campaign {found['identity']}: "
        f"{found['statistics'] - len(found['differ'])} of {found['statistics']} pinned statistics "
        "reproduce"
    ]
    lines += [f"{name}: {how}" for name, how in found["differ"].items()]
    lines += [f"{name}: its test's word stands" for name in found["stands"]]
    lines += [f"{name}: {why}" for name, why in found["stale"].items()]
    return "\n".join(lines)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _smallest(row: Mapping[str, Any]) -> str:
    return "none that was tried" if row["effect"] is None else f"{row['effect']:+.4f}"

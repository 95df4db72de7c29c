"""The gate as one JSON document, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from liqbt.registry.ledger import run_identity
from liqbt.simulate.world import World
from liqbt.study.clearing import (
    LEAST_MARKETS,
    PowerPoint,
    effect_unit,
    gates_with_power,
    size_gates,
    smallest_found,
)
from liqbt.study.replicate import world_experiment
from liqbt.study.store import json_value
from liqbt.study.trials import TESTS
from liqbt.study.validity import FORMAT, first_estimator, scope, terms_of
from liqbt.types import DAY_NS
from liqbt.validity.campaign import Campaign
from liqbt.validity.cells import oracle_seen, size_cells
from liqbt.validity.jobs import job_of
from liqbt.validity.power import power_points

RULE: Final = (
    "A verdict is released where the run's estimator has the name and the keys under 'tried' (its "
    "brackets, the sampling of sigma and the source of its prices are the venue's), where its "
    "protocol has those keys (other horizons beside the one that decides, more draws of the "
    "bootstrap and another longest gap are no matter), and where its record has as many scored "
    "days as the markets in which the claim's size was tried in full, or a tenth less than the "
    "shortest, or a tenth more than the longest."
)
"""What the clearance of a test covers, in words; `liqbt.study.validity.scope` is what decides."""


def gate_document(campaign: Campaign, *, levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a campaign found; `sign` makes it a document that verdicts believe.

    Parameters
    ----------
    campaign : Campaign
        Finished or not: what is lacking is said claim by claim, and holds up no other.
    levels : mapping
        What random levels on real data show: of `random_levels_entry`.

    Returns
    -------
    dict
        Numbers that JSON has not (of effects that were not measured) are None.
    """
    cells, seen, points = size_cells(campaign), oracle_seen(campaign), power_points(campaign)
    groups: dict[tuple[str, str, int], list[PowerPoint]] = {}
    for point in points:
        if point.replications >= LEAST_MARKETS:
            groups.setdefault((point.claim, point.statistic, point.days), []).append(point)
    smallest = [
        {
            "claim": claim,
            "statistic": statistic,
            "days": days,
            "effect": smallest_found(mine),
            "unit": mine[0].unit,
        }
        for (claim, statistic, days), mine in groups.items()
    ]
    worlds = {name: cell.of for name, cell in sorted(campaign.cells.items())}
    found: dict[str, Any] = json_value(
        {
            "format": FORMAT,
            "identity": run_identity({"root": campaign.root, "worlds": worlds}),
            "seed": campaign.root,
            "rule": RULE,
            "tried": tried_scope(campaign),
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
    return found


def tried_scope(campaign: Campaign) -> dict[str, Any]:
    """Return what the tests were tried with: estimator, protocol, and the lengths of records."""
    experiment = world_experiment(World(name="any"))
    chosen = [first_estimator(experiment, symbol) for symbol in experiment.symbols]
    found = scope(chosen, experiment.evaluation, experiment.schedule.every, 0.0)
    warm_up = experiment.schedule.warm_up / DAY_NS
    lengths = sorted({job_of(name).days for name in campaign.cells})
    return {**found, "warm_up_days": warm_up, "scored_days": [days - warm_up for days in lengths]}


def describe_document(document: Mapping[str, Any]) -> str:
    """Return the gate's tables as text."""
    lines = [
        f"{g['claim']} ({g['statistic']}): {g['word']}: {g['reason']}" for g in document["gates"]
    ]
    levels = document["random_levels"]
    lines.append(f"random levels on real prices: {levels['word']}: {levels['reason']}")
    if document["size"]:
        lines += [
            "",
            f"{'where it is false':30}{'claim':14}{'found':>14}  "
            f"{'expected, let pass':>18}  mean less null",
        ]
    lines += [_size_line(cell) for cell in document["size"]]
    if document["power"]:
        lines += [
            "",
            f"{'where it is true':24}{'statistic':28}{'found':>14}   effect from the truth",
        ]
    for p in document["power"]:
        what = f"{p['claim']} {p['strength']:g}, {p['days']} d"
        name, scale = effect_unit(p["unit"])
        effect, error = (scale * _number(p[key]) for key in ("effect", "effect_error"))
        found = f"{p['found']:>6} of {p['replications']:<5}"
        shown = f"{effect:+.4g}" + (f" ({error:.2g})" if math.isfinite(error) else "")
        lines.append(f"{what:24}{p['statistic']:28}{found}   {shown} {name}")
    lines += [
        f"{s['claim']}, {s['days']} d: smallest effect {s['statistic']} finds at 80 %: "
        f"{_smallest(s)}"
        for s in document["found_with_80_percent"]
    ]
    return "\n".join(lines)


def _size_line(cell: Mapping[str, Any]) -> str:
    """Return one cell of size as text: what a right test finds more often than 5 % is let pass."""
    where = f"{cell['world']}, {cell['days']} d"
    if not cell["replications"]:
        none = f"could not be tested in any of {cell['markets']} markets"
        return f"{where:30}{cell['claim']:14}{none}"
    passed = f"{cell['expected']:.3g}, {cell['limit']}"
    moments = f"{_number(cell['mean']):+.3g} ± {_number(cell['spread']):.3g}"
    found = f"{cell['rejections']:>6} of {cell['replications']:<5}"
    return f"{where:30}{cell['claim']:14}{found}  {passed:>18}  {moments}  {cell['word']}"


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
    if row["effect"] is None:
        return "none that was tried"
    name, scale = effect_unit(row["unit"])
    return f"{scale * row['effect']:+.4g} {name}".strip()

"""The gate as one JSON document, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from liqbt.study.identity import rooms_digest
from liqbt.validity.campaign import Results
from liqbt.validity.cells import gate_of, size_cells
from liqbt.validity.power import PowerPoint, gates_with_power, power_points, smallest_found


def gate_document(
    results: Results, *, identity: str, root: int, levels: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that a campaign found, for `validity.json`.

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
    """
    points = power_points(results)
    groups: dict[tuple[str, str, int], list[PowerPoint]] = {}
    for point in points:
        groups.setdefault((point.claim, point.statistic, point.days), []).append(point)
    smallest = [
        {"claim": claim, "statistic": statistic, "days": days, "effect": smallest_found(mine)}
        for (claim, statistic, days), mine in groups.items()
    ]
    return {
        "identity": identity,
        "code": rooms_digest(),
        "seed": root,
        "gates": [asdict(gate) for gate in gates_with_power(gate_of(results), points)],
        "size": [asdict(cell) | {"word": cell.word} for cell in size_cells(results)],
        "power": [asdict(point) | {"power": point.power} for point in points],
        "found_with_80_percent": smallest,
        "random_levels": dict(levels),
    }


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
        effect = f"{p['effect']:+.4f} ({p['effect_error']:.4f})"
        found = f"{p['found']:>6} of {p['replications']:<5}"
        lines.append(f"{what:24}{p['statistic']:20}{found}   {effect}")
    lines += [
        f"{s['claim']}, {s['days']} d: smallest effect {s['statistic']} finds at 80 %: "
        f"{_smallest(s)}"
        for s in document["found_with_80_percent"]
    ]
    return "\n".join(lines)


def _smallest(row: Mapping[str, Any]) -> str:
    return "none that was tried" if row["effect"] is None else f"{row['effect']:+.4f}"

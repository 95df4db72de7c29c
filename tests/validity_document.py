"""A campaign made up by hand: its counts, and a signed document with a few real pinned markets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from liqbt.config.yaml import read_yaml
from liqbt.evaluation.claims.register import CLAIMS
from liqbt.study.clearing import NUISANCE
from liqbt.study.pinned import Numbers, pinned_numbers
from liqbt.study.worlds import WORLDS
from liqbt.validity.campaign import Results
from liqbt.validity.jobs import BATCH, Job
from liqbt.validity.summary import gate_document
from liqbt.validity.validate import write_signed

STATISTICS = [claim.statistic for claim in CLAIMS if claim.primary]


def row(found: bool, value: float = 0.1) -> list:
    return [value, value - (0.05 if found else 0.2), value + 0.2, True, 105, 106]


def results(replications: int, found: dict[str, int], oracle: int = 8) -> Results:
    """A campaign in which `magnet` finds something so often in each world, `direction` never."""
    out = {}
    for world in NUISANCE:
        for batch in range(replications // BATCH):
            k = range(batch * BATCH, (batch + 1) * BATCH)
            scores = [
                {"dose_response": row(i < found.get(world, 25)), "first_side_gain": row(i < 25)}
                for i in k
            ]
            job = Job(role="size", world=world, strength=0.0, days=120, batch=batch)
            out[job] = {"scores": scores, "effects": {}}
    for batch in range(2):
        k = range(batch * BATCH, (batch + 1) * BATCH)
        scores = [dict.fromkeys(STATISTICS, row(i < oracle)) for i in k]
        job = Job(role="oracle", world="gbm", strength=0.0, days=120, batch=batch)
        out[job] = {"scores": scores, "effects": {}}
    return out


def planted(
    powers: dict[float, int], effect=lambda s: 0.1 * s, batches: int = 5, claim: str = "magnet"
) -> Results:
    statistic = {c.id: c.statistic for c in CLAIMS}[claim]
    names = ("dose_response_twin", "dose_response_raw")
    if claim == "direction":
        names = ("skill_per_day", "crowded_move")
    out = {}
    for strength, found in powers.items():
        for batch in range(batches):
            scores = [{statistic: row(batch * BATCH + k < found)} for k in range(BATCH)]
            job = Job(role="power", world=claim, strength=strength, days=120, batch=batch)
            effects = dict(zip(names, (effect(strength), 0.2), strict=True))
            out[job] = {"scores": scores, "effects": effects}
    return out


BATCHES = [
    {"world": dict(read_yaml(WORLDS / f"{name}.yaml")), "changes": {"days": 45},
     "numbers": numbers, "cheat": False, "claim": claim}
    for name, numbers, claim in (
        ("regimes", [0], None), ("magnet", [0, 1], "magnet"), ("direction", [0, 1], "direction"),
    )
]  # fmt: skip
"""Five short markets."""


@cache
def numbers() -> Numbers:
    return pinned_numbers(BATCHES, 1)


def signed(folder: Path, found: dict[str, int] | None = None) -> dict[str, Any]:
    """Write into `folder` a document that clears both tests, or those with few enough findings."""
    every = results(1000, found or {})
    for claim in ("magnet", "direction"):
        every |= planted({1.0: 40}, batches=10, claim=claim)
    levels = {"word": "absent", "reason": "no candles"}
    document = gate_document(every, identity="by hand", root=1, levels=levels)
    return write_signed(folder, document, BATCHES, numbers())

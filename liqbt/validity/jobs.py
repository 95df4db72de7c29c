"""What the gate replicates: worlds, strengths, and the batches that they are done in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from liqbt.errors import ConfigError
from liqbt.experiment import load_world, nearest
from liqbt.simulate import World

__all__ = [
    "BATCH",
    "NUISANCE",
    "PLANTED",
    "TESTS",
    "Job",
    "campaign_jobs",
    "world_of",
]

BATCH: Final = 4
"""Markets in a batch: effects of direction are measured out of sample, between markets."""

TESTS: Final = {
    "magnet": "dose_response",
    "direction": "first_side_skill",
}
"""The test of each primary claim: its statistic, whose lower bound must lie above the null."""

NUISANCE: Final = (
    "gbm",
    "stochastic_volatility",
    "momentum",
    "mean_reversion",
    "jumps",
    "drift",
    "oi_linked_volatility",
    "regimes",
)
"""Worlds in which no claim is true, and something else may be mistaken for it."""

PLANTED: Final = {
    "magnet": (0.25, 0.5, 1.0, 2.0),
    "direction": (0.25, 0.5, 0.75, 1.0),
}
"""Mechanisms whose claim is true, and the strengths (of the simulator's knob) that are tried."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Job:
    """A batch of replications: what is simulated, and which ones.

    Attributes
    ----------
    role : str
        `size`, `power` or `oracle`.
    world : str
        Name of the world.
    strength : float
        Of the planted mechanism, 0 for none.
    days : int
        Length of each market after the simulator's own warm-up.
    batch : int
        Replications `BATCH · batch` to `BATCH · (batch + 1) − 1`.
    """

    role: str
    world: str
    strength: float
    days: int
    batch: int

    @property
    def key(self) -> str:
        """What it is called where results are kept."""
        return f"{self.role}/{self.world}/{self.strength:g}/{self.days}/{self.batch}"


def campaign_jobs(
    replications: int,
    worlds: Sequence[str] = (*NUISANCE, *PLANTED),
    *,
    days: int = 120,
    powered: int | None = None,
) -> list[Job]:
    """Return the batches of a campaign, in turn over its worlds: a part of it is a part of each.

    Parameters
    ----------
    replications : int
        Of each nuisance world; rounded up to whole batches.
    worlds : sequence of str
        Nuisance worlds, and mechanisms to plant.
    days : int
        Length of each market.
    powered : int, optional
        Replications of each strength of a planted mechanism; a fifth of `replications` by default.

    Raises
    ------
    ConfigError
        If a world is none of those, or nothing is asked for.
    """
    known = (*NUISANCE, *PLANTED)
    for name in worlds:
        if name not in known:
            raise ConfigError(f"validate: no world is called '{name}'; {nearest(name, known)}")
    if replications < 1 or not worlds:
        raise ConfigError(
            f"validate: found {replications} replications of {len(worlds)} worlds; expected at "
            "least one of each"
        )
    of_power = -(-replications // 5) if powered is None else powered
    cells = [("size", name, 0.0, replications) for name in worlds if name in NUISANCE]
    for name in worlds:
        cells += [("power", name, s, of_power) for s in PLANTED.get(name, ())]
    if any(name in NUISANCE for name in worlds):
        cells.append(("oracle", "gbm", 0.0, min(replications, 2 * BATCH)))
    return sorted(
        (
            Job(role=role, world=world, strength=strength, days=days, batch=batch)
            for role, world, strength, n in cells
            for batch in range(-(-n // BATCH))
        ),
        key=lambda job: (job.batch, job.role, job.world, job.strength),
    )


def world_of(job: Job, folder: Path) -> World:
    """Return the world of a job: its file in `folder`, at the job's length and strength.

    Raises
    ------
    ConfigError
        If the file is missing or wrong.
    """
    changed: dict[str, Any] = {"days": job.days}
    if job.role == "power":
        changed[job.world] = job.strength
    return replace(load_world(folder / f"{job.world}.yaml"), **changed)

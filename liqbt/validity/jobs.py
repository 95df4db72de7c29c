"""What the gate replicates: worlds, strengths, and the batches that they are done in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.evaluation.claims.register import TRIALS
from liqbt.simulate.world import World
from liqbt.study.clearing import NUISANCE
from liqbt.study.replications import batch_found
from liqbt.study.worlds import load_world

BATCH: Final = 4
"""Markets in a batch: effects of direction are measured out of sample, between markets."""

PLANTED: Final = {claim: trial.strengths for claim, trial in TRIALS.items()}
"""Mechanisms whose claim is true, and the strengths that are tried (see `planted_keys`)."""

SIZE_DAYS: Final = 120
"""Length of the markets where nothing is planted: four months."""

POWER_DAYS: Final = (120, 365)
"""Lengths at which power is measured: four months, and a year."""


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
        Of the planted mechanism (see `planted_keys`), 0 for none.
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
    days: int = SIZE_DAYS,
    powered: int | None = None,
    power_days: Sequence[int] = POWER_DAYS,
) -> list[Job]:
    """Return the batches of a campaign, in turn over its worlds: a part of it is a part of each.

    Parameters
    ----------
    replications : int
        Of each nuisance world; rounded up to whole batches.
    worlds : sequence of str
        Nuisance worlds, and mechanisms to plant.
    days : int
        Length of each market where nothing is planted, and of an oracle's.
    powered : int, optional
        Replications of each strength of a planted mechanism at the shortest of `power_days`; a
        tenth of `replications` by default. A longer one gets as many days in fewer markets.
    power_days : sequence of int
        Lengths of the markets where something is planted.

    Raises
    ------
    ConfigError
        If a world is none of those, or nothing is asked for.
    """
    known = (*NUISANCE, *PLANTED)
    for name in worlds:
        if name not in known:
            raise ConfigError(f"validate: no world is called '{name}'; {nearest(name, known)}")
    if replications < 1 or not worlds or not power_days:
        raise ConfigError(
            f"validate: found {replications} replications of {len(worlds)} worlds, power at "
            f"{len(power_days)} lengths; expected at least one of each"
        )
    of_power = -(-replications // 10) if powered is None else powered
    cells = [("size", name, 0.0, days, replications) for name in worlds if name in NUISANCE]
    for length in sorted(set(power_days)):
        n = -(-of_power * min(power_days) // length)
        for name in worlds:
            strengths = PLANTED.get(name, ())
            cells += [("power", name, s, length, n) for s in strengths]
    if any(name in NUISANCE for name in worlds):
        cells.append(("oracle", "gbm", 0.0, days, min(replications, 2 * BATCH)))
    return sorted(
        (
            Job(role=role, world=world, strength=strength, days=length, batch=batch)
            for role, world, strength, length, n in cells
            for batch in range(-(-n // BATCH))
        ),
        key=lambda job: (job.batch, job.role, job.world, job.strength, job.days),
    )


def planted_keys(world: World, mechanism: str, strength: float) -> dict[str, float]:
    """Return the keys that plant a mechanism at a strength.

    Parameters
    ----------
    world : World
        As its file has it.
    mechanism : str
        The claim that it makes true.
    strength : float
        One of `PLANTED`.
    """
    keys = TRIALS[mechanism].keys
    return {world_name(mechanism): strength} if keys is None else keys(world, strength)


def world_name(name: str) -> str:
    """Return the name of the world of a job: its own, or where its claim's trial plants it."""
    return (TRIALS[name].world if name in TRIALS else "") or name


def world_of(job: Job, folder: Path) -> World:
    """Return the world of a job: its file in `folder`, at the job's length and strength.

    Raises
    ------
    ConfigError
        If the file is missing or wrong.
    """
    return replace(load_world(folder / f"{world_name(job.world)}.yaml"), **changes_of(job, folder))


def changes_of(job: Job, folder: Path) -> dict[str, Any]:
    """Return the keys of a job's world in place of those in its file: length and strength."""
    world = load_world(folder / f"{world_name(job.world)}.yaml")
    planted = planted_keys(world, job.world, job.strength) if job.role == "power" else {}
    return {"days": job.days, **planted}


def one_batch(job: Job, folder: Path, root: int) -> dict[str, Any]:
    """Return what a batch of replications found: see `batch_found`.

    Parameters
    ----------
    job : Job
        What is replicated.
    folder : Path
        Where the worlds' files are.
    root : int
        Root seed of the campaign.
    """
    return batch_found(
        world_of(job, folder),
        range(job.batch * BATCH, (job.batch + 1) * BATCH),
        root,
        cheat=job.role == "oracle",
        claim=job.world if job.role == "power" else None,
    )

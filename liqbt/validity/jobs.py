"""What the gate replicates: worlds, strengths, and the batches that they are done in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.simulate.world import World
from liqbt.study.events import load_world

BATCH: Final = 4
"""Markets in a batch: effects of direction are measured out of sample, between markets."""

RAN_AWAY: Final = "ran_away"
"""Kept in the place of the scores of a market whose price left the range of the true map."""

TESTS: Final = {
    "magnet": "dose_response",
    "direction": "first_side_gain",
}
"""The test of each primary claim: its statistic, whose lower bound must exceed the claim's."""

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
    "magnet": (0.5, 1.0, 1.5, 2.0),
    "direction": (1.0, 2.0, 4.0, 8.0),
}
"""Mechanisms whose claim is true, and the strengths that are tried (see `planted_keys`)."""

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
    days: int = 120,
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

    Up to 1 the strength is the simulator's key. Beyond 1, `direction` cannot lean farther: then
    every jump leans (by the asymmetry), there are `strength` times as many, and volatility is
    smaller by the root of that, so that their sum moves the price about as far in a day as before.

    Parameters
    ----------
    world : World
        As its file has it.
    mechanism : str
        The key that plants it.
    strength : float
        One of `PLANTED`.
    """
    if mechanism != "direction" or strength <= 1.0:
        return {mechanism: strength}
    return {
        "direction": 1.0,
        "jumps_per_day": world.price.jumps_per_day * strength,
        "daily_volatility": world.price.daily_volatility / math.sqrt(strength),
    }


def world_of(job: Job, folder: Path) -> World:
    """Return the world of a job: its file in `folder`, at the job's length and strength.

    Raises
    ------
    ConfigError
        If the file is missing or wrong.
    """
    world = load_world(folder / f"{job.world}.yaml")
    changed: dict[str, Any] = {"days": job.days}
    if job.role == "power":
        changed |= planted_keys(world, job.world, job.strength)
    return replace(world, **changed)

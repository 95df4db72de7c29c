"""What the gate replicates: worlds, strengths, and the batches that they are done in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from liqbt.config.yaml import nearest, read_yaml
from liqbt.errors import ConfigError
from liqbt.evaluation.claims.register import TRIALS
from liqbt.registry.ledger import run_identity
from liqbt.simulate.world import World
from liqbt.study.replications import replicated_batch
from liqbt.study.trials import (
    LENGTHS,
    NEEDED,
    NEEDED_ELSEWHERE,
    NUISANCE,
    TESTS,
    Where,
    places,
    statistics_read,
)
from liqbt.study.worlds import load_world
from liqbt.validity.tallies import Tally, beside_tally, claim_tally

BATCH: Final = 4
"""Markets in a batch: some effects are measured out of sample, between markets."""

PLANTED: Final = {claim: trial.strengths for claim, trial in TRIALS.items()}
"""The claims that are made true, and the strengths at which they are (see `planted_keys`)."""

NULLS: Final = tuple(dict.fromkeys(world for trial in TRIALS.values() for world in trial.nulls))
"""Worlds in which something is planted that is no claim's."""

SHOWN: Final = {"depth_every_s": 3600, "depth_decoys": 0.3}
"""What a market publishes whose world's file has no depth, with walls that hold nothing, so that
*wall* is tested where it is false. No price and no other feed is drawn otherwise for it."""

WORLDS_TRIED: Final = (*NUISANCE, *NULLS, *PLANTED)
"""All names that a campaign may be asked for: worlds, and claims that are made true."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Job:
    """A batch of replications: what is simulated, and which ones.

    Attributes
    ----------
    role : str
        `size`, `power` or `oracle`.
    world : str
        Name of the world; where a claim is made true, of the claim.
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
    def cell(self) -> str:
        """What it is a part of, as it is called where tallies are kept."""
        return f"{self.role}/{self.world}/{self.strength:g}/{self.days}"

    @property
    def file(self) -> str:
        """The world's file, without its suffix."""
        return (TRIALS[self.world].world or self.world) if self.role == "power" else self.world


def job_of(cell: str) -> Job:
    """Return the first job of a cell, by what it is called.

    Raises
    ------
    ValueError
        If it is called otherwise.
    """
    role, world, strength, days = cell.split("/")
    return Job(role=role, world=world, strength=float(strength), days=int(days), batch=0)


def campaign_jobs(
    replications: int,
    worlds: Sequence[str] = WORLDS_TRIED,
    *,
    days: Sequence[int] = LENGTHS,
    powered: int | None = None,
) -> list[Job]:
    """Return the batches of a campaign, in turn over its worlds: a part of it is a part of each.

    Parameters
    ----------
    replications : int
        Of each nuisance world at the shortest length, rounded up to whole batches. A longer one
        gets three tenths of that, as does a world in which another claim is true, all strengths
        together.
    worlds : sequence of str
        Some of `WORLDS_TRIED`.
    days : sequence of int
        Lengths of the markets.
    powered : int, optional
        Replications of each strength of a planted mechanism at the shortest length; a tenth of
        `replications` by default. A longer one gets as many days in fewer markets.

    Raises
    ------
    ConfigError
        If a world is none of those, or nothing is asked for.
    """
    for name in worlds:
        if name not in WORLDS_TRIED:
            raise ConfigError(
                f"validate: no world is called '{name}'; {nearest(name, WORLDS_TRIED)}"
            )
    if replications < 1 or not worlds or not days:
        raise ConfigError(
            f"validate: found {replications} replications of {len(worlds)} worlds at {len(days)} "
            "lengths; expected at least one of each"
        )
    short = min(days)
    fewer = -(-replications * NEEDED_ELSEWHERE // NEEDED)
    of_power = -(-replications // 10) if powered is None else powered
    cells = []
    for length in sorted(set(days)):
        for name in worlds:
            if name in PLANTED:
                n = -(-of_power * short // length)
                if length == short and powered is None:
                    n = max(n, -(-fewer // len(PLANTED[name])))
                cells += [("power", name, s, length, n) for s in PLANTED[name]]
            else:
                full = name in NUISANCE and length == short
                cells.append(("size", name, 0.0, length, replications if full else fewer))
    if any(name in NUISANCE for name in worlds):
        cells.append(("oracle", NUISANCE[0], 0.0, short, min(replications, 2 * BATCH)))
    return sorted(
        (
            Job(role=role, world=world, strength=strength, days=length, batch=batch)
            for role, world, strength, length, n in cells
            for batch in range(-(-n // BATCH))
        ),
        key=lambda job: (job.batch, job.role, job.world, job.strength, job.days),
    )


def claims_of(job: Job, short: int) -> tuple[str, ...]:
    """Return the claims that a job's markets say something of, in their order.

    Parameters
    ----------
    job : Job
        What is replicated.
    short : int
        The shortest length of the campaign: there every claim is held against the worlds in which
        another one is true.
    """
    if job.role == "oracle":
        return tuple(name for name in TESTS if name not in TRIALS or TRIALS[name].oracle)
    if job.role == "power":
        false_in = (Where.PLANTED, job.world, job.days)
    else:
        where = Where.NUISANCE if job.world in NUISANCE else Where.NULL
        false_in = (where, job.world, job.days)
    lengths = tuple(sorted({short, job.days}))
    return tuple(
        claim.id
        for claim in TESTS.values()
        if (job.role == "power" and claim.id == job.world)
        or false_in in {(p.where, p.world, p.days) for p in places(claim, lengths)}
    )


def planted_keys(world: World, claim: str, strength: float) -> dict[str, float]:
    """Return the keys that make a claim true at a strength.

    Parameters
    ----------
    world : World
        As its file has it.
    claim : str
        Whose mechanism it is.
    strength : float
        One of `PLANTED`.
    """
    trial = TRIALS[claim]
    return {trial.world or claim: strength} if trial.keys is None else trial.keys(world, strength)


def world_of(job: Job, folder: Path) -> World:
    """Return the world of a job: its file in `folder`, with the job's length, strength and depth.

    Raises
    ------
    ConfigError
        If the file is missing or wrong.
    """
    return replace(load_world(folder / f"{job.file}.yaml"), **changes_of(job, folder))


def changes_of(job: Job, folder: Path) -> dict[str, Any]:
    """Return the keys of a job's world in place of those in its file: length, strength, depth."""
    world = load_world(folder / f"{job.file}.yaml")
    planted = planted_keys(world, job.world, job.strength) if job.role == "power" else {}
    shown = {} if world.feed.depth_every_s else SHOWN
    return {"days": job.days, **shown, **planted}


def cell_identity(job: Job, folder: Path) -> str:
    """Return the digest of what a job's cell simulates: the world's file, and what is changed."""
    world = dict(read_yaml(folder / f"{job.file}.yaml"))
    return run_identity({"world": world, "changes": changes_of(job, folder)})


def tallied_names(job: Job, claim: str) -> tuple[str, ...]:
    """Return what a claim's tallies in a job's cell are called: its own, and of what is beside."""
    if (job.role, job.world) != ("power", claim):
        return (claim,)
    return (claim, *(f"{claim} beside {statistic}" for statistic in TRIALS[claim].beside))


def one_batch(
    work: tuple[Job, tuple[str, ...]], folder: Path, root: int
) -> tuple[dict[str, Tally], str]:
    """Return what a batch of replications adds to the tallies of its cell.

    Parameters
    ----------
    work : (Job, tuple of str)
        What is replicated, and the claims that are asked about.
    folder : Path
        Where the worlds' files are.
    root : int
        Root seed of the campaign.

    Returns
    -------
    tallies : dict of str to Tally
        By what they are called (see `tallied_names`).
    unit : str
        Of the effect that was measured from the truth; empty where none was.
    """
    job, claims = work
    planted = job.world if job.role == "power" else None
    batch = replicated_batch(
        world_of(job, folder),
        range(job.batch * BATCH, (job.batch + 1) * BATCH),
        root,
        cheat=job.role == "oracle",
        claim=planted,
        statistics=statistics_read(
            claims, beside=(planted,) if planted in claims else (), specific=False
        ),
    )
    out = {claim: claim_tally(TESTS[claim], batch, planted) for claim in claims}
    if planted in claims:
        trial = TRIALS[planted]
        for name, statistic in zip(tallied_names(job, planted)[1:], trial.beside, strict=True):
            out[name] = beside_tally(TESTS[planted], statistic, batch)
    caused = batch.effects.get(TRIALS[planted].effects[0]) if planted else None
    return out, caused.unit if caused else ""

"""The gate from end to end: replicate, decide, sign, write; and whether a document still holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from liqbt.config.yaml import nearest, read_yaml
from liqbt.errors import ConfigError
from liqbt.registry.ledger import run_identity
from liqbt.study.executors import Executor, serially
from liqbt.study.pinned import Numbers, code_stamp, pinned_differences, pinned_digests
from liqbt.study.progress import Stage, silent
from liqbt.study.trials import LENGTHS, TESTS
from liqbt.study.validity import DOCUMENT, PINNED, SHIPPED, gate_folder, read_gate, stale_claims
from liqbt.study.worlds import WORLDS
from liqbt.validity.campaign import (
    CAMPAIGN,
    Campaign,
    read_campaign,
    run_campaign,
    still_true,
)
from liqbt.validity.candles import absent, random_levels_entry
from liqbt.validity.jobs import PLANTED, WORLDS_TRIED, Job, campaign_jobs, changes_of, job_of
from liqbt.validity.summary import gate_document

_PINNED: Final = {"size": 1, "oracle": 1, "power": 2}
"""Markets that are pinned of a world: where something is planted, as many as an effect needs."""


def validate(
    out: Path,
    *,
    worlds_from: Path = WORLDS,
    worlds: Sequence[str] = WORLDS_TRIED,
    claims: Sequence[str] = tuple(TESTS),
    replications: int = 1000,
    powered: int | None = None,
    days: Sequence[int] = LENGTHS,
    executor: Executor = serially,
    minutes: float | None = None,
    seed: int = 0,
    data: Path | None = None,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Replicate, decide every test, and write and sign `validity.json`.

    It goes on from `campaign.json` in the same folder: what is tallied there is not run again, but
    for the claims whose terms or pinned numbers are others now.

    Parameters
    ----------
    out : Path
        Folder of the document, of its pinned replications and of the tallies.
    worlds_from : Path
        Folder of the worlds' files; those that ship with liqbt.
    worlds : sequence of str
        Worlds, and claims to be made true.
    claims : sequence of str
        Those that are tried now; what is tallied of the others stands.
    replications, powered : int
        Markets of each nuisance world, and of each strength of a planted mechanism (see
        `campaign_jobs`).
    days : sequence of int
        Lengths of the markets.
    executor : callable
        Where the batches run; the document does not depend on it.
    minutes : float, optional
        After which it stops by itself: the document is that of what is finished.
    seed : int
        Root seed.
    data : Path, optional
        Folder of real data, on which random levels are tried too.
    stage : callable
        Progress: told after every batch.

    Returns
    -------
    dict
        The document (see `gate_document`).

    Raises
    ------
    ConfigError
        If a world or a claim is unknown, its file is wrong, nothing is asked for, or what is kept
        is of another root seed.
    DataError
        If what is kept cannot be read.
    """
    for claim in claims:
        if claim not in TESTS:
            raise ConfigError(
                f"validate: no claim that is tried is called '{claim}'; {nearest(claim, TESTS)}"
            )
    jobs = campaign_jobs(replications, worlds, days=days, powered=powered)
    levels = absent("no real data was asked for, so that they were not tried")
    if data is not None:
        levels = random_levels_entry(out, data, root=seed, stage=stage)
    kept = read_campaign(out / CAMPAIGN, seed)
    known = [job_of(name) for name in kept.cells]
    campaign = still_true(kept, pinned_batches([*known, *jobs], worlds_from), worlds_from, stage)
    run_campaign(
        campaign,
        jobs,
        worlds=worlds_from,
        kept=out / CAMPAIGN,
        executor=executor,
        seconds=None if minutes is None else 60.0 * minutes,
        claims=claims,
        progress=partial(stage, "replicate"),
    )
    return write_document(out, campaign, levels)


def write_document(out: Path, campaign: Campaign, levels: Mapping[str, Any]) -> dict[str, Any]:
    """Write and sign the document of a campaign as far as it went, and return it."""
    document = gate_document(campaign, levels=levels)
    batches = [one["batch"] for one in campaign.pinned]
    return write_signed(out, document, batches, campaign.statistics)


def pinned_batches(jobs: Iterable[Job], worlds: Path) -> list[dict[str, Any]]:
    """Return which markets of a campaign are pinned, in the order of its cells.

    The first of every world where a claim is false, the first of an oracle's, and of each planted
    mechanism the first two of the second strongest, all as short as the campaign has them.

    Parameters
    ----------
    jobs : iterable of Job
        Of the campaign; cells whose file is gone are left out.
    worlds : Path
        Folder of the worlds' files.
    """
    first = {job.cell: job for job in jobs if job.batch == 0}
    shortest = min((job.days for job in first.values()), default=0)
    return [
        {
            "world": dict(read_yaml(worlds / f"{job.file}.yaml")),
            "changes": changes_of(job, worlds),
            "numbers": list(range(_PINNED[job.role])),
            "cheat": job.role == "oracle",
            "claim": job.world if job.role == "power" else None,
        }
        for _, job in sorted(first.items())
        if job.days == shortest and job.strength == _pinned_strength(job)
    ]


def _pinned_strength(job: Job) -> float:
    """Return the last strength but one of a claim, or its only one; 0 where none is true."""
    return PLANTED[job.world][-2:][0] if job.role == "power" else 0.0


def write_signed(
    out: Path, document: Mapping[str, Any], batches: Sequence[Mapping[str, Any]], numbers: Numbers
) -> dict[str, Any]:
    """Write a document and its pinned replications, each with the other's digest, and return it.

    Parameters
    ----------
    out : Path
        Folder; made where there is none.
    document : mapping
        From `gate_document`.
    batches, numbers
        The pinned markets and what they gave (see `pinned_numbers`).
    """
    markets = {"root": document["seed"], "batches": list(batches), "statistics": numbers}
    signed = {**document, "pinned": pinned_digests(markets)}
    pinned = {"document": run_identity(signed), "stamp": code_stamp(), **markets}
    out.mkdir(parents=True, exist_ok=True)
    _write(out / DOCUMENT, json.dumps(signed, indent=1, ensure_ascii=False))
    _write(out / PINNED, _in_lines(pinned))
    return signed


def _in_lines(value: Mapping[str, Any]) -> str:
    """Return JSON with a line for each key, and for each item of a list or mapping below it."""
    parts = []
    for key, held in value.items():
        if isinstance(held, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in held.items())
            text = f"{{\n{inner}\n }}"
        elif isinstance(held, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(v)}" for v in held) + "\n ]"
        else:
            text = json.dumps(held)
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def check_pinned(results: Path, *, stamp: bool = False, stage: Stage = silent) -> dict[str, Any]:
    """Run the pinned replications of the document that runs ask, whatever is known of them.

    Parameters
    ----------
    results : Path
        Folder of all runs: where it has no document of its own, the one that ships with liqbt.
    stamp : bool
        Whether code that gives the same numbers is noted in the pinned file, so that nobody else
        who has it needs to run them.
    stage : callable
        Progress.

    Returns
    -------
    dict
        `document` (where it is) and its `identity`, `statistics` (how many are pinned), `differ`
        (statistic to how), `stale` (claim to why) and `stands` (the claims whose
        test's word holds with this code).

    Raises
    ------
    DataError
        If the document cannot be read; names the file.
    """
    folder = gate_folder(results)
    document, pinned = read_gate(folder)
    differ = {} if pinned is None else pinned_differences(pinned, stage, again=True)
    stale = stale_claims(document, pinned, differ)
    if stamp and pinned is not None and not differ:
        _write(folder / PINNED, _in_lines({**pinned, "stamp": code_stamp()}))
    return {
        "document": "that ships with liqbt" if folder == SHIPPED else f"in {folder}",
        "identity": document["identity"],
        "statistics": 0 if pinned is None else len(pinned["statistics"]),
        "differ": differ,
        "stale": stale,
        "stands": [name for name in TESTS if name not in stale],
    }

"""The gate from end to end: replicate, decide, sign, write; and whether a document still holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from liqbt.config.yaml import read_yaml
from liqbt.log.disk import sha256_file
from liqbt.registry.ledger import run_identity
from liqbt.study.clearing import NUISANCE, TESTS
from liqbt.study.identity import APART, REPLICATION, code_digest
from liqbt.study.pinned import Numbers, code_stamp, numbers_of, pinned_differences, pinned_digests
from liqbt.study.progress import Stage, silent
from liqbt.study.validity import DOCUMENT, PINNED, SHIPPED, gate_folder, read_gate, stale_claims
from liqbt.study.worlds import WORLDS
from liqbt.validity.campaign import run_campaign
from liqbt.validity.candles import absent, random_levels_entry
from liqbt.validity.jobs import (
    BATCH,
    PLANTED,
    POWER_DAYS,
    SIZE_DAYS,
    Job,
    campaign_jobs,
    changes_of,
    world_name,
)
from liqbt.validity.summary import gate_document

KEPT: Final = "replications.jsonl"
_PINNED: Final = 2


def validate(
    out: Path,
    *,
    worlds_from: Path = WORLDS,
    worlds: Sequence[str] = (*NUISANCE, *PLANTED),
    replications: int = 1000,
    powered: int | None = None,
    days: int = SIZE_DAYS,
    power_days: Sequence[int] = POWER_DAYS,
    processes: int = 1,
    seed: int = 0,
    data: Path | None = None,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Replicate, decide every test, and write and sign `validity.json`; what is finished is kept.

    Parameters
    ----------
    out : Path
        Folder of the document, of its pinned replications and, in `replications.jsonl`, of every
        finished batch.
    worlds_from : Path
        Folder of the worlds' files; those that ship with liqbt.
    worlds : sequence of str
        Nuisance worlds, and mechanisms to plant.
    replications, powered : int
        Markets of each nuisance world, and of each strength of a planted mechanism.
    days : int
        Length of each market where nothing is planted.
    power_days : sequence of int
        Lengths of those where something is.
    processes : int
        How many work at once; the document does not depend on it.
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
        If a world is unknown, its file is wrong, or nothing is asked for.
    DataError
        If what is kept cannot be read.
    """
    jobs = campaign_jobs(replications, worlds, days=days, powered=powered, power_days=power_days)
    identity = campaign_identity(worlds_from, {job.world for job in jobs}, seed)
    levels = absent("no real data was asked for, so that they were not tried")
    if data is not None:
        levels = random_levels_entry(out, data, root=seed, stage=stage)
    results = run_campaign(
        jobs,
        worlds=worlds_from,
        kept=out / KEPT,
        identity=identity,
        root=seed,
        processes=processes,
        progress=partial(stage, "replicate"),
    )
    document = gate_document(results, identity=identity, root=seed, levels=levels)
    batches = pinned_batches(jobs, worlds_from)
    numbers = numbers_of(list(batches.values()), [_part(results[job]) for job in batches])
    return write_signed(out, document, list(batches.values()), numbers)


def campaign_identity(worlds: Path, names: Iterable[str], root: int) -> str:
    """Return the digest of code, worlds' files and root seed; 16 hex digits.

    Parameters
    ----------
    worlds : Path
        Folder of the worlds' files; one that is missing is left out (a job that needs it says so).
    names : iterable of str
        The worlds.
    root : int
        Root seed.
    """
    paths = {name: worlds / f"{world_name(name)}.yaml" for name in names}
    files = {name: sha256_file(path) for name, path in paths.items() if path.is_file()}
    return run_identity({"code": code_digest(REPLICATION, APART), "worlds": files, "root": root})


def pinned_batches(jobs: Iterable[Job], worlds: Path) -> dict[Job, dict[str, Any]]:
    """Return which markets of a campaign are pinned: of each first batch, by its job.

    Two of every world where nothing is planted, two of an oracle's, and of each planted mechanism
    four of the second strongest, all as short as the campaign has them.

    Parameters
    ----------
    jobs : iterable of Job
        Of the campaign.
    worlds : Path
        Folder of the worlds' files.
    """
    first = [job for job in jobs if job.batch == 0]
    shortest = min(job.days for job in first)
    return {
        job: {
            "world": dict(read_yaml(worlds / f"{world_name(job.world)}.yaml")),
            "changes": changes_of(job, worlds),
            "numbers": list(range(BATCH if job.role == "power" else _PINNED)),
            "cheat": job.role == "oracle",
            "claim": job.world if job.role == "power" else None,
        }
        for job in first
        if job.days == shortest and (job.role != "power" or job.strength == _pinned_strength(job))
    }


def _pinned_strength(job: Job) -> float:
    """Return the last strength but one of a claim, or its only one."""
    return PLANTED[job.world][-2:][0]


def _part(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job found as far as it is pinned."""
    whole = found["scores"] if found["effects"] else found["scores"][:_PINNED]
    return {"scores": whole, "effects": found["effects"]}


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

"""The gate from end to end: replicate, decide, write."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from liqbt.study.progress import Stage, silent
from liqbt.validity.campaign import run_campaign
from liqbt.validity.candles import absent, random_levels_entry
from liqbt.validity.identity import campaign_identity
from liqbt.validity.jobs import NUISANCE, PLANTED, POWER_DAYS, campaign_jobs
from liqbt.validity.summary import gate_document

KEPT: Final = "replications.jsonl"
DOCUMENT: Final = "validity.json"


def validate(
    out: Path,
    *,
    worlds_from: Path,
    worlds: Sequence[str] = (*NUISANCE, *PLANTED),
    replications: int = 1000,
    powered: int | None = None,
    days: int = 120,
    power_days: Sequence[int] = POWER_DAYS,
    processes: int = 1,
    seed: int = 0,
    data: Path | None = None,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Replicate, decide every test, and write `validity.json`; what was finished before is kept.

    Parameters
    ----------
    out : Path
        Folder of the document and, in `replications.jsonl`, of every finished batch.
    worlds_from : Path
        Folder of the worlds' files.
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
        levels = random_levels_entry(out, worlds_from, data, root=seed, stage=stage)
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
    text = json.dumps(_finite(document), indent=1, ensure_ascii=False) + "\n"
    part = out / f".{DOCUMENT}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(out / DOCUMENT)
    return document


def _finite(value: Any) -> Any:
    """Return the value with null for every number that is none."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

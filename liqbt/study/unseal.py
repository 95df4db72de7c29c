"""Registering an experiment, and opening its sealed holdout: once, dated, with a reason, counted.

A registration says before any result what is tested and how. A holdout is then read by one command
alone, and each time that it is stands in a ledger before anything of it is computed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from liqbt.config.schema import HoldoutConfig
from liqbt.errors import ConfigError, DataError
from liqbt.registry.ledger import run_identity
from liqbt.registry.registrations import (
    Opening,
    Registration,
    card_hash,
    count_opening,
    deviations,
    keep_card,
    nearest_registration,
    parts_of,
    registration_status,
    registrations_folder,
)
from liqbt.study.events import market_tapes
from liqbt.study.pipeline import forecast_times
from liqbt.study.plan import Plan, claims_value, prepare, subjects
from liqbt.study.progress import Stage, silent
from liqbt.study.run import run_plan
from liqbt.study.schema import Experiment
from liqbt.study.store import Run, read_manifest
from liqbt.study.summary import iso
from liqbt.study.validity import clearance, experiment_scope

_RUN_ID: Final = "[0-9a-f]" * 16


def register_experiment(
    path: Path, results: Path = Path("results"), *, on: date, stage: Stage = silent
) -> tuple[Registration, Path, bool]:
    """Register what an experiment's file says now; what is registered already stays as it is.

    Parameters
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of all runs and registrations.
    on : date
        Today.
    stage : callable
        Progress.

    Returns
    -------
    card : Registration
        Its `date` is that of the first time.
    file : Path
        Where it is kept.
    new : bool
        Whether it was registered now.

    Raises
    ------
    LiqbtError
        If the experiment cannot be run, or its holdout overlaps that of another registration of
        the same instruments. Nothing is left behind.
    """
    work = prepare(path, results, stage)
    card, new = keep_card(results, _card(work, results, on))
    return card, registrations_folder(results, card.experiment) / f"{card.hash}.json", new


def describe_registration(card: Registration, file: Path, new: bool) -> str:
    """Return a registration in words, for people, and whether it was made now."""
    before = card.before
    differing = ", ".join(f"{n} in {part}" for part, n in before["deviating"].items())
    lines = [
        f"{card.experiment} {'is' if new else 'was'} registered as {card.hash} on {card.date}"
        f"{'' if new else ', and nothing changes'}: {file}",
        *(
            f"  {part:<14}{value if isinstance(value, str) else run_identity(value)}"
            for part, value in card.fixed.items()
        ),
        f"  {'seed':<14}{card.seed}",
        f"  {'holdout':<14}"
        + ("none" if card.holdout is None else "{start} to {end}, sealed".format(**card.holdout)),
        f"  {'runs before':<14}{before['runs']}"
        + (f", differing {differing}" if differing else "")
        + (f"; {before['read_holdout']} read the holdout" if before["read_holdout"] else ""),
    ]
    return "\n".join(lines)


def _card(work: Plan, results: Path, on: date) -> Registration:
    fixed = parts_of(work.hashes, claims_value())
    name, holdout = work.experiment.name, work.holdout
    return Registration(
        experiment=name,
        hash=card_hash(name, fixed),
        date=on.isoformat(),
        holdout=None if holdout is None else holdout.model_dump(mode="json"),
        of=subjects(work.experiment, work.origin),
        seed=work.experiment.seed,
        fixed=fixed,
        before=trials(results, name, fixed, holdout),
        configuration=work.config,
    )


def trials(
    results: Path, experiment: str, fixed: Mapping[str, Any], holdout: HoldoutConfig | None
) -> dict[str, Any]:
    """Return the trial ledger: what was run of an experiment so far, besides opened holdouts.

    Trials of a search are among it.

    Parameters
    ----------
    results, experiment
        Folder of all runs, and the experiment's name.
    fixed : mapping
        What the others are held against (`parts_of`).
    holdout : HoldoutConfig or None
        The period that nobody should have read.

    Returns
    -------
    dict
        `runs`: how many; `deviating`: by part, how many of them differ in it; `read_holdout`: how
        many read events of the holdout, because their configuration did not seal it.
    """
    finished = sorted((results / experiment).glob(f"{_RUN_ID}/manifest.json"))
    finished += sorted(results.glob(f"searches/*/runs/{experiment}/{_RUN_ID}/manifest.json"))
    manifests = [
        manifest
        for manifest in map(read_manifest, finished)
        if manifest.get("holdout", {}).get("state") != "unsealed"
    ]
    differing = Counter(
        part
        for manifest in manifests
        for part in deviations(fixed, parts_of(manifest["hashes"], manifest["claims"]))
    )
    start = None if holdout is None else iso(holdout.start)
    seen = [m for m in manifests if start is not None and _last(m) >= start]
    return {
        "runs": len(manifests),
        "deviating": dict(sorted(differing.items())),
        "read_holdout": len(seen),
    }


def _last(manifest: Mapping[str, Any]) -> str:
    """Return when the last event of a run was known, ISO in UTC."""
    return max(str(about["last"]) for about in manifest["symbols"].values())


def unseal_experiment(
    path: Path,
    results: Path = Path("results"),
    *,
    reason: str,
    on: date,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> tuple[Run, Opening]:
    """Open the holdout of a registered experiment, count that, and run the experiment over it.

    Estimators and calibration learn from all that was known before, point in time; only what is
    issued within the holdout is scored. The opening is counted before anything is computed: what
    is interrupted, or fails after that, has been counted too.

    Parameters
    ----------
    path, results, finish, stage
        As in `run_experiment`.
    reason : str
        Why it is opened now; kept in the ledger.
    on : date
        Today.

    Raises
    ------
    ConfigError
        Without a reason, a holdout, or a registration of exactly this; and wherever the
        environment variable `CI` is set, since a machine that runs by itself must not look.
    LiqbtError
        If the experiment cannot be run, or nothing is known in the holdout yet.
    """
    if os.environ.get("CI"):
        raise ConfigError("the environment variable CI is set: no holdout is unsealed by CI")
    if not reason.strip():
        raise ConfigError("unsealing needs a reason, which the ledger keeps; found an empty one")
    sealed = prepare(path, results, stage)
    card = _registered(sealed, results, path)
    work = _opened(sealed, results)
    opening = count_opening(
        results,
        card.experiment,
        lambda number: Opening(
            number=number,
            date=on.isoformat(),
            reason=" ".join(reason.split()),
            hash=card.hash,
            run_id=_numbered(work, card, number).run_id,
        ),
    )
    work = _numbered(work, card, opening.number)
    told = registration_status(results, card.experiment, card.fixed)
    work = replace(work, registration={**(told or {}), "opening": _told(opening)})
    return run_plan(work, results, finish, stage), opening


def _told(opening: Opening) -> dict[str, Any]:
    return {"number": opening.number, "date": opening.date, "reason": opening.reason}


def _registered(work: Plan, results: Path, path: Path) -> Registration:
    """Return the registration that a run is exactly of."""
    name = work.experiment.name
    if work.holdout is None:
        raise ConfigError(f"{path}: names no holdout, so there is nothing to unseal")
    nearest = nearest_registration(results, name, parts_of(work.hashes, claims_value()))
    if nearest is None:
        raise ConfigError(f"{path}: {name} is not registered; liqbt register {path} does that")
    card, parts = nearest
    if parts:
        raise ConfigError(
            f"{path}: differs from registration {card.hash} of {card.date} in "
            f"{', '.join(parts)}; its holdout is opened only by what was registered"
        )
    return card


def _opened(sealed: Plan, results: Path) -> Plan:
    """Return the work with the events of the holdout.

    Raises
    ------
    DataError
        If no forecast can be issued in it.
    """
    experiment = _without_seal(sealed.experiment)
    tapes = market_tapes(sealed.origin, experiment, results / ".cache")
    work = replace(sealed, experiment=experiment, tapes=tapes, opened=True)
    cleared = clearance(results, experiment_scope(experiment, tapes, work.since))
    work = replace(
        work,
        withheld=cleared.withheld,
        gate=cleared.shown,
        hashes={**work.hashes, "gate": cleared.digest},
    )
    for symbol, tape in tapes.items():
        times = forecast_times(experiment, tape)
        if not (times >= (work.since or 0)).any():
            raise DataError(
                f"{experiment.name}: the last event of {symbol} is known at "
                f"{iso(int(tape.events['ts_known'][-1]))}, before a forecast of the holdout can be "
                "issued; extend the data first (nothing was counted)"
            )
    return work


def _without_seal(experiment: Experiment) -> Experiment:
    """Return the experiment that reads to the end of its holdout, and no further."""
    end = None if experiment.holdout is None else experiment.holdout.end
    schedule = experiment.schedule.model_copy(update={"end": end})
    return experiment.model_copy(update={"holdout": None, "schedule": schedule})


def _numbered(work: Plan, card: Registration, number: int) -> Plan:
    """Return the work whose run is that of one opening."""
    tapes = {symbol: tape.digest for symbol, tape in work.tapes.items()}
    own = {"tape": tapes, "registration": card.hash, "unsealing": number}
    return replace(work, hashes={**work.hashes, **own})

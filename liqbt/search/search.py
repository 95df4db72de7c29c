"""A search from end to end: run the trials, keep the ledger, say what the best is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from liqbt.errors import DataError
from liqbt.log.disk import locked, replace
from liqbt.search.schema import load_search
from liqbt.search.selection_tests import worth
from liqbt.search.summary import search_document
from liqbt.search.trials import (
    RUNS,
    Finish,
    Trial,
    read_ledger,
    run_trials,
    searches_folder,
    standings,
)
from liqbt.search.units import day_losses
from liqbt.study.executors import Executor, serially
from liqbt.study.progress import Stage, silent
from liqbt.study.store import read_manifest

DOCUMENT: Final = "search.json"


def run_search(
    path: Path,
    results: Path = Path("results"),
    *,
    finish: Finish | None = None,
    executor: Executor = serially,
    stage: Stage = silent,
) -> tuple[dict[str, Any], Path]:
    """Run every trial of a search's file, and write what they are worth to `search.json`.

    Trials that are finished are not run again; whatever the search of this name tried before, under
    other values or another base, counts too.

    Parameters
    ----------
    path : Path
        The search's YAML.
    results : Path
        Folder of all runs; the search has `searches/<name>` in it.
    finish : callable, optional
        Adds to a trial's run before it becomes visible.
    executor : callable
        Where the trials run; the base runs here, before them.
    stage : callable
        Progress.

    Returns
    -------
    document : dict
        See `search_document`.
    folder : Path
        That of the search.

    Raises
    ------
    ConfigError
        If the file or a configuration in it is refused; nothing was run.
    DataError
        If the base fails, finished trials share no unit or too few days, or the ledger was altered.
    AlreadyRunningError
        If another process is at this search.
    """
    search = load_search(path)
    folder = searches_folder(results) / search.config.name
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        try:
            now = run_trials(search, folder, results, finish=finish, executor=executor, stage=stage)
            found = standings(folder, read_ledger(folder), now, search.estimator)
            losses = day_losses([one.units for one in found if one.units is not None])
            value = worth(
                losses, seed=search.config.seed, least_block=search.config.block_days or 1
            )
        except DataError as error:
            raise DataError(f"search {search.config.name}: {error}") from error
        document = search_document(
            search.config,
            now[0].experiment,
            found,
            losses,
            value,
            others=_others(results, search.config.name, now[0].experiment),
            reads_sealed=_sealed(folder, now[0]),
        )
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        replace(folder / DOCUMENT, text.encode())
    return document, folder


def _others(results: Path, name: str, experiment: str) -> list[dict[str, Any]]:
    """Return the other searches of an experiment, and how many configurations each tried."""
    found = []
    for ledger in sorted(searches_folder(results).glob("*/trials.jsonl")):
        trials = [t for t in read_ledger(ledger.parent) if t.experiment == experiment]
        if ledger.parent.name != name and trials:
            n = len({trial.configuration for trial in trials})
            found.append({"search": ledger.parent.name, "trials": n})
    return found


def _sealed(folder: Path, base: Trial) -> list[dict[str, Any]]:
    """Return the holdouts of registrations that the base reads, and every other trial with it."""
    manifest = read_manifest(folder / RUNS / base.experiment / base.run_id / "manifest.json")
    return list(manifest.get("reads_sealed", ()))

"""Running the trials of a search, each kept as any other run is, and a line for each that ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from liqbt.errors import AlreadyRunningError, DataError, LiqbtError
from liqbt.experiment.compose import executed
from liqbt.experiment.identity import run_identity
from liqbt.experiment.progress import Stage, silent
from liqbt.experiment.store import Run
from liqbt.experiment.work import Work, prepared_experiment
from liqbt.search.ledger import FAILED, FINISHED, Trial, add_trial, numbers, read_ledger
from liqbt.search.schema import Asked, Search

__all__ = ["RUNS", "run_trials"]

RUNS = "runs"
"""The folder of the trials' runs, in that of the search."""

Finish: TypeAlias = Callable[[Run, Path], object]


def run_trials(
    search: Search,
    folder: Path,
    results: Path,
    *,
    finish: Finish | None = None,
    stage: Stage = silent,
) -> list[Trial]:
    """Run every trial that is asked for; those that are finished are not run again.

    A trial that fails has its line and does not stop the others.

    Parameters
    ----------
    search : Search
        What is asked for.
    folder : Path
        That of the search; the caller holds its lock.
    results : Path
        Folder of all runs: caches, the validity gate and registrations are those of other runs.
    finish : callable, optional
        Adds to a run's folder before it becomes visible.
    stage : callable
        Progress.

    Returns
    -------
    list of Trial
        In the order asked for: the base first.

    Raises
    ------
    DataError
        If the base fails: without it nothing can be compared.
    AlreadyRunningError
        If another process is writing one of these runs.
    """
    done: list[Trial] = []
    for i, asked in enumerate(search.asked):
        stage("trials", i, len(search.asked))
        known = numbers(read_ledger(folder))
        number = known.get(asked.configuration, max(known.values(), default=-1) + 1)
        base = done[0].number if done else number
        ended = _run(asked, (number, base), search.base, (folder, results), finish, stage)
        add_trial(folder, ended)
        done.append(ended)
        if done[0].state == FAILED:
            raise DataError(
                f"{search.base}: the base of the search failed, so that nothing can be compared: "
                f"{ended.reason}"
            )
    stage("trials", len(search.asked), len(search.asked))
    return done


def _run(
    asked: Asked,
    numbered: tuple[int, int],
    path: Path,
    folders: tuple[Path, Path],
    finish: Finish | None,
    stage: Stage,
) -> Trial:
    """Run one trial, given its number and that of its base, and return how it ended."""
    folder, results = folders
    work: Work | None = None
    reason = ""
    try:
        work = prepared_experiment(asked.experiment, path, results, stage)
        executed(work, folder / RUNS, finish, stage)
    except AlreadyRunningError:
        raise
    except LiqbtError as error:
        reason = str(error) or type(error).__name__
    return Trial(
        number=numbered[0],
        base=numbered[1],
        keys=asked.keys,
        configuration=asked.configuration,
        experiment=asked.experiment.name,
        state=FAILED if reason else FINISHED,
        run_id="" if work is None else work.run_id,
        events="" if work is None else events_of(work),
        reason=reason,
    )


def events_of(work: Work) -> str:
    """Return the digest of what happened: of all tapes."""
    return run_identity({symbol: tape.digest for symbol, tape in work.tapes.items()})

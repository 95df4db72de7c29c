"""Running the trials of a search, each kept as any other run is, and a line for each that ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from liqbt.errors import AlreadyRunningError, DataError, LiqbtError
from liqbt.registry.ledger import add_line, read_chain, run_identity
from liqbt.search.schema import Asked, Search
from liqbt.search.selection_tests import need_days
from liqbt.search.units import VISITS, Units, comparable, day_losses, read_units
from liqbt.study.executors import Executor, going_on, serially
from liqbt.study.plan import Plan, prepare_experiment
from liqbt.study.progress import Stage, silent
from liqbt.study.run import run_plan
from liqbt.study.store import Run, json_value, read_manifest
from liqbt.study.written import is_intact

FINISHED: Final = "finished"
FAILED: Final = "failed"
_LEDGER: Final = "trials.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial that ended.

    Attributes
    ----------
    number : int
        Of its configuration: the same configuration has the same number in every line; 0 is the
        first base of the search.
    base : int
        Number of the base that its `keys` are replaced in; its own where it is a base.
    keys : mapping
        What was replaced, by dotted key.
    configuration : str
        Hash of the whole configuration.
    experiment : str
        Name of the experiment: its run is in `runs/<experiment>/<run_id>`.
    state : str
        `finished` or `failed`.
    run_id : str
        Of its run; empty where it failed before it had one.
    events : str
        Digest of its tapes; empty where it failed before it had them.
    reason : str
        Why it failed; empty otherwise.
    """

    number: int
    base: int
    keys: Mapping[str, Any]
    configuration: str
    experiment: str
    state: str
    run_id: str
    events: str
    reason: str


def searches_folder(results: Path) -> Path:
    """Return where all searches are kept."""
    return results / "searches"


def read_ledger(folder: Path) -> list[Trial]:
    """Return every trial that ended in a search, the first one first.

    Parameters
    ----------
    folder : Path
        That of the search.

    Raises
    ------
    DataError
        If a line was altered or taken out; names file and line.
    """
    return [trial for trial, _ in _lines(folder)]


def _lines(folder: Path) -> list[tuple[Trial, bytes]]:
    """Return the ledger's trials with their lines; an unfinished last line is none."""
    path = folder / _LEDGER
    whole = path.read_bytes().rpartition(b"\n")[0] if path.is_file() else b""
    return read_chain(path, whole.split(b"\n") if whole else [], lambda _, row: Trial(**row))


def add_trial(folder: Path, trial: Trial) -> None:
    """Add a line and return once it is on the disk; one that says the same of it is there already.

    Parameters
    ----------
    folder : Path
        That of the search; the caller holds its lock.
    trial : Trial
        What ended.
    """
    lines = _lines(folder)
    if any(asdict(kept) == json_value(asdict(trial)) for kept, _ in lines):
        return
    add_line(folder / _LEDGER, [line for _, line in lines], json_value(asdict(trial)))


def numbers(trials: list[Trial]) -> dict[str, int]:
    """Return the number of every configuration that was ever tried."""
    return {trial.configuration: trial.number for trial in trials}


RUNS = "runs"
"""The folder of the trials' runs, in that of the search."""

Finish: TypeAlias = Callable[[Run, Path], object]


def run_trials(
    search: Search,
    folder: Path,
    results: Path,
    *,
    finish: Finish | None = None,
    executor: Executor = serially,
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
    executor : callable
        Where the trials run; the base runs here, before them.
    stage : callable
        Progress.

    Returns
    -------
    list of Trial
        In the order asked for: the base first.

    Raises
    ------
    DataError
        If the base fails, or has too few days: without it nothing can be compared.
    AlreadyRunningError
        If another process is writing one of these runs.
    """
    first, *others = search.asked
    known = numbers(read_ledger(folder))
    for asked in search.asked:
        known.setdefault(asked.configuration, max(known.values(), default=-1) + 1)
    base = known[first.configuration]
    work = partial(_run, base=base, path=search.base, folders=(folder, results), finish=finish)
    stage("trials", 0, len(search.asked))
    done = [work((first, base), stage=stage)]
    add_trial(folder, done[0])
    if done[0].state == FAILED:
        raise DataError(
            f"{search.base}: the base of the search failed, so that nothing can be compared: "
            f"{done[0].reason}"
        )
    need_days(day_losses([_read(folder, done[0], search.estimator)]))
    tasks = [(asked, known[asked.configuration]) for asked in others]
    for ended in going_on(executor, work, tasks, partial(_failed, base)):
        stage("trials", len(done), len(search.asked))
        add_trial(folder, ended)
        done.append(ended)
    stage("trials", len(search.asked), len(search.asked))
    return done


def _run(
    numbered: tuple[Asked, int],
    base: int,
    path: Path,
    folders: tuple[Path, Path],
    finish: Finish | None,
    stage: Stage = silent,
) -> Trial:
    """Run one trial, given with its number, and return how it ended."""
    (asked, _), (folder, results) = numbered, folders
    work: Plan | None = None
    reason = ""
    try:
        work = prepare_experiment(asked.experiment, path, results, stage)
        run_plan(work, folder / RUNS, finish, stage)
    except AlreadyRunningError:
        raise
    except LiqbtError as error:
        reason = str(error) or type(error).__name__
    ended = _failed(base, numbered, reason)
    if work is not None:
        ended = replace(ended, run_id=work.run_id, events=events_of(work))
    return ended if reason else replace(ended, state=FINISHED)


def _failed(base: int, numbered: tuple[Asked, int], reason: str) -> Trial:
    """Return a trial whose worker is killed whenever it is run."""
    asked, number = numbered
    return Trial(
        number=number,
        base=base,
        keys=asked.keys,
        configuration=asked.configuration,
        experiment=asked.experiment.name,
        state=FAILED,
        run_id="",
        events="",
        reason=reason,
    )


def events_of(work: Plan) -> str:
    """Return the digest of what happened: of all tapes."""
    return run_identity({symbol: tape.digest for symbol, tape in work.tapes.items()})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """How one trial stands.

    Attributes
    ----------
    trial : Trial
        Its last line; of one that was asked for now, how it ended now.
    units : Units or None
        What it is compared on; None where it is not.
    reason : str
        Why it is not compared: how it failed, or what is missing; empty otherwise.
    """

    trial: Trial
    units: Units | None
    reason: str


def standings(
    folder: Path, ledger: Sequence[Trial], now: Sequence[Trial], estimator: str | None = None
) -> list[Standing]:
    """Return how every trial that was ever made stands on the events and under the code of `now`.

    The first base that can be compared comes first, then the others by number.

    Parameters
    ----------
    folder : Path
        That of the search.
    ledger : sequence of Trial
        Everything that ended.
    now : sequence of Trial
        What was asked for now, its base first.
    estimator : str, optional
        Whose units are compared.

    Raises
    ------
    DataError
        If the units of a run that is compared cannot be read.
    """
    events, code = now[0].events, _code(folder, now[0])
    last = {trial.number: trial for trial in ledger}
    last |= {trial.number: trial for trial in ledger if trial.events == events}
    last |= {trial.number: trial for trial in now}
    benchmark = _benchmark(folder, last, events, code)
    first = _read(folder, last[benchmark], estimator)
    found = []
    for number in sorted(last, key=lambda number: (number != benchmark, number)):
        trial = last[number]
        reason = _missing(folder, trial, events, code)
        units = None if reason else _read(folder, trial, estimator)
        if units is not None:
            reason = comparable(first, units)
        found.append(Standing(trial=trial, units=None if reason else units, reason=reason))
    return found


def _benchmark(folder: Path, last: dict[int, Trial], events: str, code: str) -> int:
    """Return the number of the first base that can be compared: the one before all searching."""
    bases = sorted(number for number, trial in last.items() if trial.base == number)
    return next(n for n in bases if not _missing(folder, last[n], events, code))


def _missing(folder: Path, trial: Trial, events: str, code: str) -> str:
    """Return why the run of a trial cannot be used; empty where it can."""
    run = _standing_run(folder, trial)
    if trial.state == FAILED:
        return trial.reason
    if trial.events != events:
        return "it was run on other events"
    if not is_intact(run):
        return "its run is not at hand any more; run the search that asked for it again"
    if _code(folder, trial) != code:
        return "it was run by other code; run the search that asked for it again"
    return ""


def _code(folder: Path, trial: Trial) -> str:
    return str(read_manifest(_standing_run(folder, trial) / "manifest.json")["hashes"]["code"])


def _standing_run(folder: Path, trial: Trial) -> Path:
    return folder / RUNS / trial.experiment / trial.run_id


def _read(folder: Path, trial: Trial, estimator: str | None) -> Units:
    return read_units(_standing_run(folder, trial) / VISITS, estimator)

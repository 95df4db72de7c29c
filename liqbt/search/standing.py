"""How every trial of a ledger stands: compared, or why it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liqbt.experiment.keeping import is_intact
from liqbt.experiment.store import read_manifest
from liqbt.search.ledger import FAILED, Trial
from liqbt.search.trials import RUNS
from liqbt.search.units import VISITS, Units, comparable, read_units

__all__ = ["Standing", "standings"]


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


def standings(folder: Path, ledger: Sequence[Trial], now: Sequence[Trial]) -> list[Standing]:
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
    first = _read(folder, last[benchmark])
    found = []
    for number in sorted(last, key=lambda number: (number != benchmark, number)):
        trial = last[number]
        reason = _missing(folder, trial, events, code)
        units = None if reason else _read(folder, trial)
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
    run = _run(folder, trial)
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
    return str(read_manifest(_run(folder, trial) / "manifest.json")["hashes"]["code"])


def _run(folder: Path, trial: Trial) -> Path:
    return folder / RUNS / trial.experiment / trial.run_id


def _read(folder: Path, trial: Trial) -> Units:
    return read_units(_run(folder, trial) / VISITS)

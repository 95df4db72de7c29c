"""An experiment's records read again in another order, from its log and from its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from liqbt.audit.shuffle import reversed_log, shuffle_file, shuffled_log
from liqbt.audit.subject import Opened, Place
from liqbt.experiment import Experiment, open_events
from liqbt.experiment.schema import data_root
from liqbt.log import EventLog
from liqbt.tabular import load_map

__all__ = ["backwards", "reread"]


def backwards(opened: Opened, folder: Path) -> Opened:
    """Return the experiment on a log of the same rows, the last first."""
    return _on_log(opened, reversed_log(opened.origin.log, folder / "log"), folder / "tapes")


def reread(
    opened: Opened,
    place: Place,
    folder: Path,
    rng: np.random.Generator,
    notes: list[str],
) -> Iterator[tuple[str, Opened]]:
    """Yield the experiment read in another order, with what had been changed."""
    log = shuffled_log(opened.origin.log, folder / "log", rng)
    yield "the log's rows shuffled, in two commits", _on_log(opened, log, folder / "tapes")
    if not opened.experiment.data.sources:
        return
    root = data_root(opened.experiment, place.path)
    notes += [
        f"{name} was read as it is: its rows cannot be told apart safely"
        for name in _files(opened.experiment, place.path, root)
        if not shuffle_file(root / name, folder / "files" / name, rng)
    ]
    turned = _turned(opened.experiment)
    origin = open_events(turned, place.path, folder / "cache", root=folder / "files")
    name = "the files' rows shuffled, the last file read first"
    yield name, Opened(experiment=opened.experiment, origin=origin, cache=folder / "cache")


def _on_log(opened: Opened, log: EventLog, cache: Path) -> Opened:
    return replace(opened, origin=replace(opened.origin, log=log), cache=cache)


def _files(experiment: Experiment, path: Path, root: Path) -> list[str]:
    """Return every file that the experiment reads below its data root, those joined too."""
    names = [name for source in experiment.data.sources for name in source.files]
    joins = [load_map(path.parent / s.map).join for s in experiment.data.sources if s.map]
    names += [join.file for join in joins if join is not None and (root / join.file).is_file()]
    return list(dict.fromkeys(names))


def _turned(experiment: Experiment) -> Experiment:
    """Return the experiment with its sources, and the files of each, in the opposite order."""
    sources = tuple(
        source.model_copy(update={"files": source.files[::-1]})
        for source in reversed(experiment.data.sources)
    )
    data = experiment.data.model_copy(update={"sources": sources})
    return experiment.model_copy(update={"data": data})

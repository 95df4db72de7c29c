"""Where a run's events come from: files of one's own or a vendor's, a log, or a simulated world."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liqbt.config.schema import SourceConfig
from liqbt.errors import ConfigError, DataError
from liqbt.log.disk import locked, sha256_file
from liqbt.log.objects import place_of
from liqbt.log.store import EventLog
from liqbt.registry.ledger import canonical_json
from liqbt.simulate.market import simulate
from liqbt.simulate.sections import MECHANISMS
from liqbt.simulate.world import World
from liqbt.study.compiling import compiled_meanwhile
from liqbt.study.ground_truth import write_truth
from liqbt.study.identity import APART, INGEST, SIMULATION, TAPES, code_digest
from liqbt.study.ingest import LogOfFiles
from liqbt.study.progress import Stage, silent
from liqbt.study.readers import Reader, map_reader, vendor_reader
from liqbt.study.schema import Experiment, data_root
from liqbt.study.worlds import load_world, world_file
from liqbt.tape.build import build_tapes
from liqbt.tape.values import Selection, Tape


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The events of an experiment, and what is known about how they were made.

    Attributes
    ----------
    log : EventLog
        Holds every event that the run may use.
    sources : tuple of mapping
        One per commit: file name, digests, latency and whether it was observed or modelled.
    planted : mapping or None
        The truth that a simulated world states; None for anything real.
    world : World or None
        The simulated world that they come from; None for anything real.
    """

    log: EventLog
    sources: tuple[Mapping[str, Any], ...]
    planted: Mapping[str, Any] | None
    world: World | None = None


def open_log(path: Path | str) -> EventLog:
    """Return the event log at `path`.

    Raises
    ------
    LogError
        If there is none, or its commits are damaged.
    """
    return EventLog.open(path)


def simulate_world(
    path: Path, *, seed: int, log_dir: Path, truth_dir: Path | None = None
) -> EventLog:
    """Simulate the world in a YAML file into an event log, and its truth into a folder.

    Parameters
    ----------
    path : Path
        The world.
    seed : int
        Root of every random number.
    log_dir : Path
        The log; made where there is none. The same world and seed twice add nothing.
    truth_dir : Path, optional
        Folder for the truth tables; none are written by default.

    Raises
    ------
    ConfigError, LogError
        The world or the log cannot be used.
    """
    market = simulate(load_world(path), seed=seed)
    log = EventLog.open_or_create(log_dir)
    log.append(market.tables.items(), _world_source(path, seed))
    if truth_dir is not None:
        write_truth(market, truth_dir)
    return log


def _world_source(path: Path, seed: int) -> dict[str, Any]:
    return {
        "file": path.name,
        "file_sha256": sha256_file(path),
        "map_sha256": f"seed {seed}",
        "reader": f"simulate {code_digest(SIMULATION)[:16]}",
    }


def open_events(
    experiment: Experiment,
    path: Path,
    cache: Path,
    stage: Stage = silent,
    *,
    root: Path | None = None,
) -> Origin:
    """Return the events of an experiment, ingested or simulated into a cache where need be.

    Parameters
    ----------
    experiment : Experiment
        Its configuration.
    path : Path
        Its file: relative names in it are relative to that.
    cache : Path
        Folder for logs and tapes that can be made again.
    stage : callable
        Progress.
    root : Path, optional
        Folder of the data files, in place of what `data_root` says.

    Raises
    ------
    ConfigError, DataError, LogError
        If a map, a file, the world or the log cannot be used.
    """
    data = experiment.data
    if data.log is not None:
        log = EventLog.open(place_of(data.log, path.parent))
        return Origin(log=log, sources=_sources(log), planted=None)
    if data.world is not None:
        world_path = world_file(data.world, path.parent)
        world = load_world(world_path)
        key = _key(_world_source(world_path, data.seed))
        with _making(cache, key):
            log = EventLog.open_or_create(cache / "logs" / key)
            if not log.commits():
                stage("simulate", 0, 1)
                with compiled_meanwhile():
                    simulate_world(world_path, seed=data.seed, log_dir=log.path)
                stage("simulate", 1, 1)
        planted = _planted(world, data.seed)
        return Origin(log=log, sources=_sources(log), planted=planted, world=world)
    if root is None:
        root = data_root(experiment, path)
        if root.resolve() != (path.parent / data.root).resolve():
            stage(f"LIQBT_DATA: data from {root}, not from data.root '{data.root}'", 0, 0)
    log = _ingested(experiment, path, root, cache, stage)
    return Origin(log=log, sources=_sources(log), planted=None)


def _planted(world: World, seed: int) -> dict[str, Any]:
    """Return what a simulated world states of itself: its name and seed, and what is planted."""
    names = (*MECHANISMS, "placement")
    strengths = {name: getattr(world.mechanisms, name) for name in names}
    planted = {name: value for name, value in strengths.items() if value or name == "magnet"}
    return {"world": world.name, "seed": seed, **planted}


def _ingested(
    experiment: Experiment, path: Path, root: Path, cache: Path, stage: Stage
) -> EventLog:
    """Return the cached log of an experiment's files, reading those that it lacks."""
    if not root.is_dir():
        raise ConfigError(
            f"{path}: its data root {root} is not a folder; set LIQBT_DATA, or data.root"
        )
    wanted = [
        (_reader(source, path), root / name, source.max_bad)
        for source in experiment.data.sources
        for name in source.files
    ]
    for _, file, _ in wanted:
        if not file.is_file():
            raise DataError(f"{file}: no such file, which {path} names")
    identity = [[r.digest, f.name, sha256_file(f), bad] for r, f, bad in wanted]
    seconds = [root / reader.join for reader, _, _ in wanted if reader.join]
    identity += [[sha256_file(file)] for file in seconds if file.is_file()]
    key = _key({"files": identity, "code": code_digest(INGEST, APART)})
    done = cache / "logs" / f"{key}.complete"
    with _making(cache, key):
        log = EventLog.open_or_create(cache / "logs" / key)
        if not done.exists():
            with LogOfFiles(log.path) as into:
                for i, (reader, file, max_bad) in enumerate(wanted):
                    stage("ingest", i, len(wanted))
                    into.add(reader, file, max_bad=max_bad, root=root)
            stage("ingest", len(wanted), len(wanted))
            done.touch()
    return log


def _making(cache: Path, key: str) -> AbstractContextManager[None]:
    """Return a lock on a cached log: cells of a grid that need the same one make it once."""
    folder = cache / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return locked(folder / f".{key}.lock", wait=True)


def _reader(source: SourceConfig, path: Path) -> Reader:
    """Return what reads a source of the experiment in `path`."""
    if source.format is not None:
        return vendor_reader(source.format)
    column_map = path.parent / str(source.map)
    if not column_map.is_file():
        raise DataError(f"{column_map}: no such file, which {path} names")
    return map_reader(column_map)


def _key(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def _sources(log: EventLog) -> tuple[Mapping[str, Any], ...]:
    return tuple(dict(commit.source) for commit in log.standing())


def market_tapes(
    origin: Origin, experiment: Experiment, cache: Path, symbols: Collection[str] | None = None
) -> dict[str, Tape]:
    """Return the tape of every market, or of some: the events that its configuration selects.

    Nothing that is known in or after a sealed holdout is on it.

    Raises
    ------
    DataError
        If an instrument has no events in the log, or none is left in the period.
    """
    selections = {
        symbol: Selection(
            kinds=dict(experiment.symbols[symbol].events),
            start_ns=experiment.schedule.start,
            end_ns=experiment.last,
        )
        for symbol in sorted(symbols or experiment.symbols)
    }
    folder = cache / "tapes" / code_digest(TAPES, APART)[:16]
    return build_tapes(origin.log, selections, folder, outliers=experiment.data.outliers)

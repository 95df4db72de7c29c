"""A grid: one experiment under many values of any keys, each cell an ordinary run.

A search asks what the best of many estimators is worth, and so varies only what forecasts; a grid
asks nothing: symbols, periods and estimators may differ from cell to cell. What it shows is as many
results as there are cells, and the best of them is no evidence.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liqbt.config.fields import Name, Place, complaint
from liqbt.config.yaml import read_yaml
from liqbt.errors import AlreadyRunningError, ConfigError, LiqbtError
from liqbt.log.disk import locked, replace
from liqbt.registry.ledger import canonical_json, run_identity
from liqbt.search.schema import with_keys
from liqbt.search.trials import Finish
from liqbt.study.executors import Executor, going_on, serially
from liqbt.study.plan import prepare_experiment
from liqbt.study.progress import Stage, silent
from liqbt.study.run import run_plan
from liqbt.study.schema import Experiment, configuration_identity, load_experiment, parse_experiment
from liqbt.study.store import json_value
from liqbt.types import Verdict

MOST_CELLS: Final = 10_000
GRIDS: Final = "grids"
"""The folder of all grids, in that of all runs."""


class GridConfig(BaseModel):
    """A grid's file: a strict schema, as that of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    experiment: Place
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    together: list[Annotated[list[str], Field(min_length=2)]] = Field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a grid, and what came of it.

    Attributes
    ----------
    number : int
        Its place, from 0.
    keys : mapping
        What is replaced in the experiment, by dotted key.
    run_id, experiment : str
        Of its run, in `<results>/<experiment>/<run_id>`; empty where it failed.
    reason : str
        Why it failed; empty otherwise.
    verdicts : tuple of Verdict
        Of its run.
    """

    number: int
    keys: Mapping[str, Any]
    run_id: str = ""
    experiment: str = ""
    reason: str = ""
    verdicts: tuple[Verdict, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A grid as it is asked for, checked.

    Attributes
    ----------
    config : GridConfig
        As it was written.
    base : Path
        The experiment's file.
    keys : tuple of mapping
        Of every cell, in order: the first key varies slowest.
    """

    config: GridConfig
    base: Path
    keys: tuple[Mapping[str, Any], ...]


def load_grid(path: Path) -> Grid:
    """Read a grid's YAML; nothing is run.

    `vary` has a list of values for each dotted key, and the cells are their product; the keys of a
    group in `together` run in step: their lists are of one length, and are one factor.

    Parameters
    ----------
    path : Path
        The file; the name of the experiment in it is relative to it.

    Raises
    ------
    ConfigError
        If a key is unknown, lists that run in step differ in length, two cells are the same, or
        there are more than `MOST_CELLS`.
    """
    raw = read_yaml(path)
    try:
        config = GridConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {complaint(error, GridConfig)}") from error
    keys = tuple(_cells(config, path))
    base = path.parent / config.experiment
    experiment = load_experiment(base)
    for one in keys[:1]:
        with_keys(experiment, one, path)  # a key that the experiment lacks is no cell's fault
    return Grid(config=config, base=base, keys=keys)


def _cells(config: GridConfig, path: Path) -> Iterator[dict[str, Any]]:
    in_step = {key: group[0] for group in config.together for key in group}
    for key in in_step:
        if key not in config.vary:
            raise ConfigError(f"{path}: key 'together': names '{key}', which 'vary' does not have")
    factors: dict[str, list[dict[str, Any]]] = {}
    for key, values in config.vary.items():
        first = in_step.get(key, key)
        steps = factors.setdefault(first, [{} for _ in values])
        if len(steps) != len(values):
            raise ConfigError(
                f"{path}: key 'vary.{key}': has {len(values)} values, and those that run in step "
                f"with it {len(steps)}"
            )
        for step, value in zip(steps, values, strict=True):
            step[key] = value
    n = 1
    for steps in factors.values():
        n *= len(steps)
    if n > MOST_CELLS:
        raise ConfigError(f"{path}: key 'vary': asks for {n} cells; at most {MOST_CELLS}")
    seen: set[str] = set()
    for parts in product(*factors.values()):
        keys = {key: value for part in parts for key, value in part.items()}
        text = canonical_json(keys)
        if text in seen:
            raise ConfigError(f"{path}: key 'vary': asks for {text} twice; name each value once")
        seen.add(text)
        yield keys


def run_grid(
    path: Path,
    results: Path = Path("results"),
    *,
    finish: Finish | None = None,
    executor: Executor = serially,
    stage: Stage = silent,
) -> tuple[list[Cell], Path]:
    """Run every cell of a grid's file, and write `grid.json` and `grid.csv`.

    A cell is an ordinary run of the experiment with other keys: one that is finished, by whomever,
    is not run again. A cell that fails stops no other.

    Parameters
    ----------
    path : Path
        The grid's YAML.
    results : Path
        Folder of all runs; the grid has `grids/<name>` in it.
    finish : callable, optional
        Adds to a run before it becomes visible.
    executor : callable
        Where the cells run: what they give does not depend on it.
    stage : callable
        Progress.

    Returns
    -------
    cells : list of Cell
        In order.
    folder : Path
        That of the grid.

    Raises
    ------
    ConfigError
        If the file is refused; nothing was run.
    AlreadyRunningError
        If another process is at this grid, or at one of its runs.
    """
    grid = load_grid(path)
    experiment = load_experiment(grid.base)
    folder = results / GRIDS / grid.config.name
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(
        _cell, base=experiment, file=grid.base, grid=path, results=results, finish=finish
    )
    cells: list[Cell] = []
    with locked(folder / ".lock"):
        stage("cells", 0, len(grid.keys))
        for cell in going_on(executor, work, list(enumerate(grid.keys)), _lost):
            cells.append(cell)
            stage("cells", len(cells), len(grid.keys))
        _write(folder, grid, cells)
    return cells, folder


def _cell(
    task: tuple[int, Mapping[str, Any]],
    base: Experiment,
    file: Path,
    grid: Path,
    results: Path,
    finish: Finish | None,
) -> Cell:
    number, keys = task
    try:
        experiment = parse_experiment(with_keys(base, keys, grid), grid)
        run = run_plan(prepare_experiment(experiment, file, results), results, finish, silent)
    except AlreadyRunningError:
        raise
    except LiqbtError as error:
        return Cell(number=number, keys=keys, reason=str(error) or type(error).__name__)
    return Cell(
        number=number,
        keys=keys,
        run_id=run.run_id,
        experiment=experiment.name,
        verdicts=tuple(run.verdicts),
    )


def _lost(task: tuple[int, Mapping[str, Any]], reason: str) -> Cell:
    """Return a cell whose worker is killed whenever it is run."""
    return Cell(number=task[0], keys=task[1], reason=reason)


def _write(folder: Path, grid: Grid, cells: Sequence[Cell]) -> None:
    document = {
        "name": grid.config.name,
        "experiment": run_identity(configuration_identity(load_experiment(grid.base))),
        "vary": grid.config.vary,
        "together": grid.config.together,
        "cells": [json_value(asdict(cell)) for cell in cells],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace(folder / "grid.json", text.encode())
    replace(folder / "grid.csv", _table(grid, cells).encode())


SCORE_COLUMNS: Final = ("value", "null", "ci_low", "ci_high", "mde", "n_episodes", "n_days")


def _table(grid: Grid, cells: Sequence[Cell]) -> str:
    """Return a row for each cell and claim, for whoever reads it with pandas; empty: unknown."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    keys = list(grid.config.vary)
    rows.writerow(["cell", *keys, "run_id", "failed", "claim", "word", "statistic", *SCORE_COLUMNS])
    for cell in cells:
        said = [
            value if isinstance(value, str) else canonical_json(value)
            for value in (cell.keys[key] for key in keys)
        ]
        first = [cell.number, *said, cell.run_id, cell.reason]
        if not cell.verdicts:
            rows.writerow([*first, *[""] * (3 + len(SCORE_COLUMNS))])
        for verdict in cell.verdicts:
            score = verdict.score
            numbers = (
                [""] * (1 + len(SCORE_COLUMNS))
                if score is None
                else [score.statistic, *(getattr(score, name) for name in SCORE_COLUMNS)]
            )
            rows.writerow([*first, verdict.claim, verdict.word.value, *numbers])
    return out.getvalue()


def describe_grid(cells: Sequence[Cell], claims: Sequence[str]) -> str:
    """Return a line for each cell: its keys, its run, and what it says of some claims.

    Parameters
    ----------
    cells : sequence of Cell
        Of `run_grid`.
    claims : sequence of str
        Those that are shown.
    """
    lines = [_line(cell, claims) for cell in cells if not cell.reason]
    failed = [cell for cell in cells if cell.reason]
    lines += ["", f"{len(lines)} of {len(cells)} cells ran; the best of so many is no evidence: "
              "'liqbt search' says what it is worth"]  # fmt: skip
    lines += [f"failed: cell {cell.number} ({_said(cell)}): {cell.reason}" for cell in failed]
    return "\n".join(lines)


def _said(cell: Cell) -> str:
    return ", ".join(f"{key}={canonical_json(value)}" for key, value in cell.keys.items())


def _line(cell: Cell, claims: Sequence[str]) -> str:
    parts = []
    for verdict in cell.verdicts:
        if verdict.claim in claims:
            score = verdict.score
            interval = (
                ""
                if score is None
                else f" {score.value:.3g} [{score.ci_low:.3g}, {score.ci_high:.3g}] beside "
                f"{score.null:.3g}"
            )
            parts.append(f"{verdict.claim} {verdict.word.value}{interval}")
    return f"{_said(cell)}: {'; '.join(parts)} ({cell.experiment}/{cell.run_id[:12]})"

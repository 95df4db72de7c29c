"""The 85 % audit of an experiment: its run's forecasts against the prices that decided it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from liqbt.evaluation.accuracy.plane import (
    DEFAULT_HORIZONS_NS,
    Plane,
    PlaneConfig,
    audit_plane,
    supported_horizons,
)
from liqbt.evaluation.claims.accuracy import CLAIM
from liqbt.evaluation.inference.days import stream
from liqbt.study.events import market_tapes, open_events
from liqbt.study.pipeline import market_input
from liqbt.study.progress import Stage, silent
from liqbt.study.run import run_experiment
from liqbt.study.schema import load_experiment
from liqbt.study.store import Run
from liqbt.study.validity import clearance, experiment_scope
from liqbt.types import Ns


def experiment_plane(
    path: Path,
    results: Path = Path("results"),
    *,
    horizons_ns: tuple[Ns, ...] | None = None,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> tuple[Run, Plane]:
    """Return an experiment's run, made where there is none, and its 85 % audit.

    Parameters
    ----------
    path : Path
        The experiment's YAML.
    results : Path
        Folder of all runs.
    horizons_ns : tuple of int, optional
        Horizons that must be shown; by default those from one hour to seven days that can be.
    finish, stage
        As in `run_experiment`.

    Raises
    ------
    LiqbtError
        If the experiment cannot be run, a horizon is longer than the data, or there are too few
        landmarks.
    """
    experiment = load_experiment(path)
    config = PlaneConfig(
        horizons_ns=DEFAULT_HORIZONS_NS if horizons_ns is None else horizons_ns,
        latency_ns=experiment.evaluation.latency,
        bootstrap_reps=experiment.evaluation.bootstrap_reps,
    )
    run = run_experiment(path, results, finish=finish, stage=stage)
    origin = open_events(experiment, path, results / ".cache", stage)
    tapes = market_tapes(origin, experiment, results / ".cache")
    markets = [
        market_input(experiment, symbol, run.forecasts(symbol), tape)
        for symbol, tape in tapes.items()
    ]
    if horizons_ns is None:
        config = replace(config, horizons_ns=supported_horizons(markets, config))
    stage("plane", 0, 1)
    asked = clearance(results, experiment_scope(experiment, tapes), claims=(CLAIM,))
    rng = stream(experiment.seed, "plane")
    plane = audit_plane(markets, config, rng, withheld=asked.withheld.get(CLAIM.id))
    stage("plane", 1, 1)
    return run, plane

"""What one execution of an experiment works with: everything that comes in, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.config.fields import format_duration, moment_ns
from liqbt.config.schema import HoldoutConfig
from liqbt.errors import ConfigError
from liqbt.evaluation.claims.register import CLAIMS
from liqbt.registry.ledger import run_identity
from liqbt.registry.registrations import parts_of, registration_status, sealing_registrations
from liqbt.study.estimators import estimator_sources
from liqbt.study.events import Origin, market_tapes, open_events
from liqbt.study.identity import code_digest, lock_digest
from liqbt.study.own_code import make_importable
from liqbt.study.pipeline import Study
from liqbt.study.progress import Stage, silent
from liqbt.study.schema import Experiment, configuration_identity, configuration_of, load_experiment
from liqbt.study.validity import clearance, experiment_scope
from liqbt.tape.values import Tape
from liqbt.types import Forecast, Ns

_FORECAST_BYTES: Final = 25_000
"""What a forecast takes in memory; 20 to 30 kB of the built-in estimators were measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one execution works with.

    Attributes
    ----------
    experiment : Experiment
        What is run; where a holdout was opened, without its seal.
    origin, tapes
        The events.
    config : mapping
        The configuration as it was read, as `config.yaml` holds it.
    hashes : mapping
        What the run is identified by.
    withheld : mapping of str to str
        Why, for each claim whose test has not passed the validity gate.
    gate : mapping
        What is shown of the gate's document; empty where there is none.
    registration : mapping or None
        How it stands to the registrations of its experiment.
    holdout : HoldoutConfig or None
        The period that is sealed, or was opened.
    reads : sequence of mapping
        Holdouts of registrations, of its instruments, that it reads without a seal.
    opened : bool
        Whether it was opened: then only what is issued within it is scored.
    recorded : mapping of str to mapping of str to sequence of Forecast, optional
        By estimator and market: what was written down when it was issued, so that it is not
        replayed.
    begins : int or None
        Of a record: the time from which on is scored.
    told : callable, optional
        What else the manifest says of what came of it.
    """

    experiment: Experiment
    origin: Origin
    tapes: Mapping[str, Tape]
    config: Mapping[str, Any]
    hashes: Mapping[str, Any]
    withheld: Mapping[str, str]
    gate: Mapping[str, Any]
    registration: Mapping[str, Any] | None
    holdout: HoldoutConfig | None
    reads: Sequence[Mapping[str, str]]
    opened: bool = False
    recorded: Mapping[str, Mapping[str, Sequence[Forecast]]] | None = None
    begins: Ns | None = None
    told: Callable[[Study], Mapping[str, Any]] | None = None

    @property
    def run_id(self) -> str:
        """The run's identity."""
        return run_identity(self.hashes)

    @property
    def since(self) -> Ns | None:
        """The time from which on is scored, besides the warm-up; None: no such time."""
        return self.holdout.start if self.opened and self.holdout is not None else self.begins


def prepare(path: Path, results: Path, stage: Stage = silent) -> Plan:
    """Read and check everything that a run depends on; a sealed holdout is not among it.

    Parameters
    ----------
    path, results, stage
        As in `run_experiment`.

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used.
    """
    return prepare_experiment(load_experiment(path), path, results, stage)


def prepare_experiment(
    experiment: Experiment, path: Path, results: Path, stage: Stage = silent
) -> Plan:
    """Read and check everything that a run of `experiment` depends on.

    Parameters
    ----------
    experiment : Experiment
        What is run: what the file says, or that with other keys.
    path : Path
        Its file: relative names in it are relative to that.
    results, stage
        As in `run_experiment`.

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used.
    """
    make_importable(path.parent)
    origin = open_events(experiment, path, results / ".cache", stage)
    tapes = market_tapes(origin, experiment, results / ".cache")
    _require_size(experiment, tapes, path)
    cleared = clearance(results, experiment_scope(experiment, tapes), stage)
    hashes: dict[str, Any] = {
        "config": run_identity(configuration_identity(experiment)),
        "sources": run_identity({"sources": origin.sources}),
        "estimators": estimator_sources(experiment),
        "tape": {symbol: tape.digest for symbol, tape in tapes.items()},
        "code": code_digest(),
        "lock": lock_digest(),
        "gate": cleared.digest,
    }
    registration = registration_status(results, experiment.name, parts_of(hashes, claims_value()))
    if registration is not None:
        hashes["registration"] = run_identity(registration)
    reads = _read_seals(results, experiment, origin, tapes)
    if reads:
        hashes["reads"] = run_identity({"seals": reads})
    return Plan(
        experiment=experiment,
        origin=origin,
        tapes=tapes,
        config=configuration_of(experiment),
        hashes=hashes,
        withheld=cleared.withheld,
        gate=cleared.shown,
        registration=registration,
        holdout=experiment.holdout,
        reads=reads,
    )


def _require_size(experiment: Experiment, tapes: Mapping[str, Tape], path: Path) -> None:
    """Refuse a run that would issue more forecasts than its schedule allows."""
    every, most = experiment.schedule.every, experiment.schedule.max_forecasts
    spans = [int(t.events["ts_known"][-1]) - int(t.events["ts_known"][0]) for t in tapes.values()]
    issued = [len(experiment.estimators) * (span // every) for span in spans]
    n, held = sum(issued), max(issued)  # one market is held at a time
    if n > most:
        raise ConfigError(
            f"{path}: a forecast every {format_duration(every)} of each market by each estimator: "
            f"they make {n:,} forecasts, some "
            f"{held * _FORECAST_BYTES / 1e9:,.0f} GB of memory; at most {most:,}: choose a longer "
            "'schedule.every', or raise 'schedule.max_forecasts'"
        )


def subjects(experiment: Experiment, origin: Origin) -> list[str]:
    """Return the instruments that an experiment reads; a simulated one with its world and seed."""
    planted = origin.planted
    world = "" if planted is None else f"world {planted['world']} seed {planted['seed']}: "
    groups = (g for market in experiment.symbols.values() for g in market.events.values())
    return sorted({f"{world}{instrument}" for group in groups for instrument in group})


def _read_seals(
    results: Path, experiment: Experiment, origin: Origin, tapes: Mapping[str, Tape]
) -> list[dict[str, str]]:
    """Return the holdouts of other registrations that are on the tapes: nothing hides them."""
    first = min(int(tape.events["ts_known"][0]) for tape in tapes.values())
    last = max(int(tape.events["ts_known"][-1]) for tape in tapes.values())
    return [
        {"experiment": card.experiment, "hash": card.hash, **card.holdout}
        for card in sealing_registrations(results, subjects(experiment, origin))
        if card.holdout is not None
        and moment_ns(card.holdout["start"]) <= last
        and first < moment_ns(card.holdout["end"])
    ]


def claims_value() -> dict[str, Any]:
    """Return the claims that this version tests, as a manifest holds them."""
    return {claim.id: claim.value() for claim in CLAIMS}

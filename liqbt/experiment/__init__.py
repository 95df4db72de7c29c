"""Experiments: configuration, composition, run folders. The only room that joins all the others.

What the floors above (audits, benchmarks, report, command line) need of the rooms below is
re-exported here.
"""

from __future__ import annotations

from liqbt.evaluation import REGISTER, describe_claims
from liqbt.evaluation.plane import describe_plane, plane_value
from liqbt.experiment.build import build_estimator, default_estimator, make_importable
from liqbt.experiment.compose import run_experiment
from liqbt.experiment.describe import describe_log, iso, log_info, log_verify
from liqbt.experiment.events import (
    load_world,
    market_tape,
    open_events,
    open_log,
    simulate_world,
)
from liqbt.experiment.fetch import fetch_archive
from liqbt.experiment.fetched import FetchReport, describe_fetch
from liqbt.experiment.identity import code_digest, rooms_digest, sha256_file
from liqbt.experiment.ingest import IngestReport, describe_ingest, ingest_files
from liqbt.experiment.pipeline import Issued, forecast_items, forecast_times
from liqbt.experiment.plane import experiment_plane
from liqbt.experiment.progress import Stage, silent
from liqbt.experiment.register import (
    describe_registration,
    register_experiment,
    unseal_experiment,
)
from liqbt.experiment.replicate import Replication, replicate, world_experiment
from liqbt.experiment.schema import (
    EvaluationOptions,
    Experiment,
    demo_experiment,
    duration_ns,
    format_duration,
    instant_ns,
    load_experiment,
    with_estimator,
)
from liqbt.experiment.score import instrument_names, score_forecasts, score_options
from liqbt.experiment.store import Run, json_value, load_run
from liqbt.experiment.visits import issue, issued_items
from liqbt.experiment.yaml import nearest
from liqbt.replay import forecasts_digest, replay, schedule
from liqbt.tape import Tape, tape_from_events

__all__ = [
    "REGISTER",
    "EvaluationOptions",
    "Experiment",
    "FetchReport",
    "IngestReport",
    "Issued",
    "Replication",
    "Run",
    "Stage",
    "Tape",
    "build_estimator",
    "code_digest",
    "default_estimator",
    "demo_experiment",
    "describe_claims",
    "describe_fetch",
    "describe_ingest",
    "describe_log",
    "describe_plane",
    "describe_registration",
    "duration_ns",
    "experiment_plane",
    "fetch_archive",
    "forecast_items",
    "forecast_times",
    "forecasts_digest",
    "format_duration",
    "ingest_files",
    "instant_ns",
    "instrument_names",
    "iso",
    "issue",
    "issued_items",
    "json_value",
    "load_experiment",
    "load_run",
    "load_world",
    "log_info",
    "log_verify",
    "make_importable",
    "market_tape",
    "nearest",
    "open_events",
    "open_log",
    "plane_value",
    "register_experiment",
    "replay",
    "replicate",
    "rooms_digest",
    "run_experiment",
    "schedule",
    "score_forecasts",
    "score_options",
    "sha256_file",
    "silent",
    "simulate_world",
    "tape_from_events",
    "unseal_experiment",
    "with_estimator",
    "world_experiment",
]

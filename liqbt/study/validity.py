"""What the validity gate lets a run say: read from its document, beside the runs or shipped.

A verdict is released only where all of this holds, and the reason says which does not:

- the document is the one that its pinned replications sign (see `pinned`);
- its counts clear the claim's test, decided again here, and the claim asks now what it asked then;
- the pinned replications of what the claim's verdict reads reproduce with this code;
- the run's estimator, protocol and length are among those that the test was tried with;
- for a claim that rests on the placebo probability p̂: random levels on real prices have passed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liqbt.config.schema import EvaluationOptions
from liqbt.errors import DataError
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS, TRIALS, statistic_of
from liqbt.registry.ledger import run_identity
from liqbt.study.clearing import Gate, TestWord, document_gates
from liqbt.study.estimator_config import EstimatorConfig, filled_in
from liqbt.study.estimators import needed_kinds
from liqbt.study.pinned import EVERYTHING, effect_name, pinned_differences, pinned_digests
from liqbt.study.pipeline import scored_from
from liqbt.study.progress import Stage, silent
from liqbt.study.replications import verdict_name
from liqbt.study.schema import Experiment
from liqbt.study.trials import TESTS
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, Ns

FORMAT: Final = "document of the validity gate, 2"
"""What a document begins with: one of another form is none."""
DOCUMENT: Final = "validity.json"
PINNED: Final = "pinned.json"
SHIPPED: Final = Path(__file__).resolve().parent.parent / "data" / "validity"
"""Folder of the document that ships with liqbt."""

_CELL: Final = ("claim", "world", "days", "replications", "rejections", "expected", "limit")
_ABSENT: Final = "its conditions are not replicated"
_UNSIGNED: Final = (
    "its document is not the one that its pinned replications sign (edited since, or copied apart)"
)
_SHOWN: Final = "so that its figures are shown and nothing is concluded from them"
_FREE_KEYS: Final = ("above_maximum", "brackets", "sigma_sampling")
"""Of an estimator, what belongs to a venue and its feed (decision 0028); all else was tried."""
_PROTOCOL_KEYS: Final = ("latency", "distance_floor", "distance_ceiling", "iou", "ridge")
_TERMS: Final = (
    "statistic",
    "symbol",
    "horizon",
    "side",
    "alpha",
    "least_value",
    "least_bound",
    "smallest_effect",
    "also_above",
    "also_positive",
    "min_episodes",
    "min_days",
    "target",
)
_SLACK: Final = 0.1
"""A record may be so much shorter than the shortest that was tried, or longer than the longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """What the gate says to one run.

    Attributes
    ----------
    withheld : mapping of str to str
        Why each claim's verdict is withheld; a claim that may be decided is absent.
    shown : mapping
        What a manifest keeps of the document, so that a report can show it: `stale` (claim to
        reason), `tried`, `gates`, `size` (of each test the world in which it found the most),
        `found_with_80_percent`, `random_levels`.
    """

    withheld: Mapping[str, str]
    shown: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """What a run is identified by, as far as the gate goes."""
        return run_identity({**self.withheld, **self.shown})


def scope(
    estimators: Sequence[Mapping[str, Any]],
    options: EvaluationOptions,
    every: Ns | None,
    scored_days: float,
) -> dict[str, Any]:
    """Return what a test is tried with, or a run made with, as far as a clearance rests on it.

    The rule: the estimator's name and what shapes its map must be those tried; its brackets, how
    densely σ is sampled and where its prices come from may be those of the venue and the feed. The
    protocol must be the one tried, but for horizons besides the one that decides, the bootstrap's
    draws, and the longest gap. The record must be about as long as those tried.

    Parameters
    ----------
    estimators : sequence of mapping
        Of each market, as `EstimatorConfig` is written.
    options : EvaluationOptions
        The protocol.
    every : int or None
        Time between forecasts, ns; None where there is no schedule.
    scored_days : float
        From the first scored forecast to the end of the record.
    """
    written = options.model_dump(mode="json")
    maps = [{k: v for k, v in each.items() if k not in _FREE_KEYS} for each in estimators]
    return {
        "estimators": [m for i, m in enumerate(maps) if m not in maps[:i]],
        "protocol": {**{key: written[key] for key in _PROTOCOL_KEYS}, "every_ns": every},
        "scored_days": round(scored_days, 1),
    }


def experiment_scope(
    experiment: Experiment, tapes: Mapping[str, Tape], since: Ns | None = None
) -> dict[str, Any]:
    """Return the scope of a run of an experiment; only what is issued from `since` on is scored."""
    chosen = [first_estimator(experiment, symbol) for symbol in tapes]
    scored = [_scored_ns(experiment, symbol, tape, since or 0) for symbol, tape in tapes.items()]
    every = experiment.schedule.every
    return scope(chosen, experiment.evaluation, every, max(scored) / DAY_NS)


def first_estimator(experiment: Experiment, symbol: str) -> dict[str, Any]:
    """Return the estimator that verdicts are about, as a scope asks for it: name and parameters."""
    first = next(iter(experiment.estimators_of(symbol).values()))
    return {**filled_in(first, "params").params, "name": first.use}


def _scored_ns(experiment: Experiment, symbol: str, tape: Tape, since: Ns) -> Ns:
    if not any(len(tape.of(kind)) for kind in needed_kinds(experiment, symbol)):
        return 0
    start = max(scored_from(experiment, symbol, tape), since)
    return max(0, int(tape.events["ts_known"][-1]) - start)


def gate_folder(results: Path) -> Path:
    """Return where the document is that runs in `results` ask: their own, or what ships."""
    own = results / "validity"
    return own if (own / DOCUMENT).is_file() else SHIPPED


def read_gate(folder: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the document in a folder and its pinned replications; None where it is not signed.

    Raises
    ------
    DataError
        If a file cannot be read; names it.
    """
    document = _read(folder / DOCUMENT)
    if document.get("format") != FORMAT:
        raise DataError(_not_one(folder / DOCUMENT, f"its format is {document.get('format')!r}"))
    pinned = _read(folder / PINNED) if (folder / PINNED).is_file() else {}
    signed = bool(pinned) and (pinned.get("document"), document.get("pinned")) == (
        run_identity(document),
        pinned_digests(pinned),
    )
    return document, pinned if signed else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(_not_one(path, error)) from error


def _not_one(path: Path, error: object) -> str:
    return (
        f"{path}: not a document of the validity gate ({error}); expected what liqbt validate "
        "writes there"
    )


def clearance(
    results: Path,
    ran: Mapping[str, Any],
    stage: Stage = silent,
    *,
    claims: Sequence[Claim] = CLAIMS,
) -> Clearance:
    """Return what the gate says to a run.

    Parameters
    ----------
    results : Path
        Folder of all runs.
    ran : mapping
        What the run is made with (see `scope`).
    stage : callable
        Progress: where this code was never tried, and a claim is cleared for such a run, the
        pinned replications are run.
    claims : sequence of Claim
        Those that are asked about.

    Raises
    ------
    DataError
        If the gate's document cannot be read; names the file.
    """
    folder = gate_folder(results)
    document, pinned = read_gate(folder)
    try:
        gates = {gate.claim: gate for gate in document_gates(document)}
        levels = (str(document["random_levels"]["word"]), str(document["random_levels"]["reason"]))
        beyond = _beyond(document["tried"], ran)

        def held(stale: Mapping[str, str]) -> dict[str, str]:
            said = {}
            for claim in claims:
                gate = gates.get(claim.id)
                outside = beyond or _beyond_length(document["tried"], ran, gate)
                said[claim.id] = _withheld(claim, gate, stale.get(claim.id), outside, levels)
            return {name: why for name, why in said.items() if why}

        cleared = len(held({})) < len(claims)
        differ = pinned_differences(pinned, stage) if cleared and pinned is not None else {}
        stale = stale_claims(document, pinned, differ)
        withheld = held(stale)
        return Clearance(withheld=withheld, shown=_shown(document, list(gates.values()), stale))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(_not_one(folder / DOCUMENT, error)) from error


def _withheld(
    claim: Claim, gate: Gate | None, stale: str | None, beyond: str, levels: tuple[str, str]
) -> str:
    """Return why a claim's verdict is withheld, or nothing."""
    not_passed = "its test has not passed the validity gate"
    if gate is None:
        return f"{not_passed}: {_ABSENT}, {_SHOWN}"
    if stale is not None:
        return f"{not_passed} with this code: {stale} (liqbt validate --pinned); {_SHOWN}"
    if gate.word != TestWord.CLEARED:
        return f"{not_passed}: {gate.reason}; {_SHOWN}"
    if beyond:
        return f"its test has passed the validity gate, but {beyond}; {_SHOWN}"
    on_placebo = any("placebo" in statistic_of(name).needs for name in claim.conditions)
    if on_placebo and levels[0] != "passed":
        return f"random levels on real prices: {levels[0]}: {levels[1]}; {_SHOWN}"
    return ""


def terms_of(claim: Claim) -> dict[str, Any]:
    """Return what a claim's test asks, as far as a campaign's counts depend on it."""
    terms = {key: getattr(claim, key) for key in _TERMS}
    if claim.refuted_over is not None:
        terms["refuted_over"] = claim.refuted_over
    return {key: list(held) if isinstance(held, tuple) else held for key, held in terms.items()}


def stale_claims(
    document: Mapping[str, Any], pinned: Mapping[str, Any] | None, differ: Mapping[str, str]
) -> dict[str, str]:
    """Return why the document says nothing of a claim's test any more, for those that it is so of.

    Parameters
    ----------
    document, pinned
        Of `read_gate`.
    differ : mapping of str to str
        The pinned statistics that this code does not reproduce (see `pinned_differences`).
    """
    if pinned is None:
        return dict.fromkeys(TESTS, _UNSIGNED)
    if EVERYTHING in differ:
        return dict.fromkeys(TESTS, differ[EVERYTHING])
    out = {}
    planted = {row["claim"] for row in document["power"]}
    for claim in TESTS.values():
        effects = TRIALS[claim.id].effects if claim.id in planted else ()
        names = (
            *claim.conditions,
            verdict_name(claim.id),
            *(effect_name(claim.id, name) for name in effects),
        )
        unknown = [name for name in names if name not in pinned["statistics"]]
        changed = [name for name in names if name in differ]
        if claim.id not in document["tests"]:
            out[claim.id] = "no campaign has tried it"
        elif document["tests"][claim.id] != terms_of(claim):
            out[claim.id] = "the claim asks another thing than when its test was tried"
        elif unknown:
            out[claim.id] = f"{unknown[0]} has no pinned replications"
        elif changed:
            out[claim.id] = "stale: " + "; ".join(f"{n}: {differ[n]}" for n in changed)
    return out


def _beyond(tried: Mapping[str, Any], ran: Mapping[str, Any]) -> str:
    """Return in what a run goes beyond what was tried, in words, or nothing.

    A parameter that the document does not state was tried at the default of its class.
    """
    (known,) = tried["estimators"]
    for each in ran["estimators"]:
        if each["name"] != known["name"]:
            return f"for the estimator {known['name']} and not for {each['name']}"
        defaults = _defaults(known["name"])
        for key, value in (defaults | known).items():
            if (found := (defaults | each)[key]) != value:
                return f"with an estimator of {key} {value} and not {found}"
    for key, value in tried["protocol"].items():
        if ran["protocol"].get(key) != value:
            return f"under a protocol of {key} {value} and not {ran['protocol'].get(key)}"
    return ""


def _beyond_length(tried: Mapping[str, Any], ran: Mapping[str, Any], gate: Gate | None) -> str:
    """Return in words that a record is shorter or longer than those of a test's size, or nothing.

    Those are the lengths at which its size was tried in full.
    """
    scored = [days - tried["warm_up_days"] for days in (gate.days if gate else ())]
    if not scored:
        return ""
    shortest, longest = min(scored), max(scored)
    if (1 - _SLACK) * shortest <= ran["scored_days"] <= (1 + _SLACK) * longest:
        return ""
    held = f"{shortest:g}" if shortest == longest else f"{shortest:g} to {longest:g}"
    return f"on records of {held} scored days and not of {ran['scored_days']:g}"


def _defaults(use: str) -> dict[str, Any]:
    """Return what a scope holds of an estimator of which nothing is stated."""
    params = filled_in(EstimatorConfig(use=use), "params").params
    return {key: value for key, value in params.items() if key not in _FREE_KEYS}


def _shown(
    document: Mapping[str, Any], gates: Sequence[Gate], stale: Mapping[str, str]
) -> dict[str, Any]:
    worst: dict[str, dict[str, Any]] = {}
    for cell in document["size"]:
        held = worst.get(cell["claim"])
        if held is None or _share(cell) > _share(held):
            worst[cell["claim"]] = {key: cell[key] for key in _CELL}
    return {
        "stale": dict(stale),
        "tried": document["tried"],
        "gates": [{**asdict(gate), "word": str(gate.word)} for gate in gates],
        "size": list(worst.values()),
        "found_with_80_percent": document["found_with_80_percent"],
        "random_levels": {key: document["random_levels"][key] for key in ("word", "reason")},
    }


def _share(cell: Mapping[str, Any]) -> float:
    """Return how often a test found something in a cell; 0 where it could test no market of it."""
    return float(cell["rejections"]) / max(float(cell["replications"]), 1.0)

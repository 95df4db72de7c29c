"""What the page says of registration: what was fixed before the run, and what was kept sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from liqbt.report import words

if TYPE_CHECKING:
    from liqbt.experiment.store import Run

__all__ = ["registration_sentences"]

_PARTS: Final = {
    "configuration": "the configuration",
    "code": "the code",
    "lock": "the dependencies",
    "claims": "the claims",
    "tape": "the events",
}


def registration_sentences(run: Run) -> list[str]:
    """Return whether a run was registered, what it deviates in, and what is sealed.

    Published levels have no experiment that could be registered: of them only a seal is told.
    """
    manifest = run.manifest
    registration, holdout = manifest.get("registration"), manifest.get("holdout")
    told = [_sealed(holdout, registration or {})] if holdout else []
    told += [_read(seal) for seal in manifest.get("reads_sealed", ())]
    if manifest.get("published"):
        return told
    if registration is None:
        return [
            *told,
            "This run is not registered: nothing dated says that its configuration was chosen "
            "before its result was seen.",
        ]
    told += [_standing(registration), _before(registration["before"])]
    if "opening" not in registration:
        told += _unsealed(int(registration["unsealed"]))
    return [words.one_line(text, 900) for text in told]


def _standing(registration: Mapping[str, Any]) -> str:
    named = f"{registration['hash']} of {registration['date']}"
    if "opening" in registration:
        return (
            f"Its configuration, code, dependencies and claims are those of registration {named}."
        )
    parts = [_PARTS.get(str(part), str(part)) for part in registration["deviations"]]
    if not parts:
        return f"Registered {registration['date']}, {registration['hash']}: nothing deviates."
    return (
        f"This run deviates from registration {named} in {words.list_words(parts)}: it is not "
        "what was registered."
    )


def _before(before: Mapping[str, Any]) -> str:
    """Return the trial ledger at the date of the registration."""
    n = int(before["runs"])
    if not n:
        return "No run of the experiment was kept here before it was registered."
    differing = [
        f"{words.count(k)} in {_PARTS.get(str(part), str(part))}"
        for part, k in before["deviating"].items()
    ]
    seen = int(before["read_holdout"])
    return (
        f"Before it was registered, {_times(n, 'run')} of the experiment had been kept here"
        + (f"; of these differed {words.list_words(differing)}" if differing else "")
        + (f"; {words.count(seen)} had read events of the holdout" if seen else "")
        + "."
    )


def _sealed(holdout: Mapping[str, Any], registration: Mapping[str, Any]) -> str:
    period = _period(holdout)
    opening = registration.get("opening")
    if opening is None:
        return f"A holdout {period} is sealed: no event known in it is part of this run."
    n = int(opening["number"])
    return (
        f"The holdout {period} was unsealed for this run on {opening['date']}; holdouts of the "
        f"experiment were unsealed {_times(n, 'time')} by then. Reason: {opening['reason']}. Only "
        "forecasts issued within it are scored; what came before warms up and teaches."
    )


def _read(seal: Mapping[str, Any]) -> str:
    return (
        f"It reads events {_period(seal)} that registration {seal['hash']} of "
        f"{seal['experiment']} holds out: whoever saw this run has seen that period."
    )


def _period(seal: Mapping[str, Any]) -> str:
    return f"from {_short(seal['start'])} to {_short(seal['end'])} (UTC)"


def _unsealed(n: int) -> list[str]:
    if not n:
        return []
    return [
        f"Holdouts of the experiment were unsealed {_times(n, 'time')} before this run was made."
    ]


def _times(n: int, word: str) -> str:
    return f"{words.count(n)} {word}{'' if n == 1 else 's'}"


def _short(moment: str) -> str:
    """Write a time of the manifest as people do: a midnight as its day."""
    return str(moment).removesuffix("+00:00").removesuffix(":00").removesuffix("T00:00")

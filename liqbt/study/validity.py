"""What the validity gate lets a run say: read from `validity/validity.json` beside the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from liqbt.errors import DataError
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS, statistic_of
from liqbt.study.identity import rooms_digest

GATE_FILE: Final = Path("validity") / "validity.json"
_CELL: Final = ("claim", "world", "replications", "rejections", "limit")
_NEVER: Final = "its test has not been through the validity gate here (liqbt validate)"
_ABSENT: Final = "the validity gate replicates the primary claims alone, and not this one"
_SHOWN: Final = "so that its figures are shown and nothing is concluded from them"


def withheld_claims(results: Path, claims: Sequence[Claim] = CLAIMS) -> dict[str, str]:
    """Return why each claim's verdict is withheld; a claim whose test is cleared is absent.

    A gate that was run on other code says nothing of this one. A claim that rests on the placebo
    probability is withheld, too, unless random levels on real prices have passed.

    Parameters
    ----------
    results : Path
        Folder of all runs.
    claims : sequence of Claim
        Those that are asked about.

    Raises
    ------
    DataError
        If the gate's document cannot be read; names the file.
    """
    path = results / GATE_FILE
    if not path.is_file():
        return {claim.id: f"{_NEVER if claim.primary else _ABSENT}, {_SHOWN}" for claim in claims}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        stale = document["code"] != rooms_digest()
        gates = {str(gate["claim"]): gate for gate in document["gates"]}
        words = {name: (str(g["word"]), str(g["reason"])) for name, g in gates.items()}
        levels = document.get("random_levels", {"word": "absent", "reason": "not tried"})
        tried = (str(levels["word"]), str(levels["reason"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not a document of the validity gate ({error}); expected what "
            "liqbt validate writes there"
        ) from error
    out = {}
    for claim in claims:
        word, said = words.get(claim.id, ("absent", _ABSENT))
        if stale:
            said = "the gate was run on other code (liqbt validate)"
        if stale or word != "cleared":
            out[claim.id] = f"its test has not passed the validity gate: {said}; {_SHOWN}"
        elif _on_placebo(claim) and tried[0] != "passed":
            out[claim.id] = f"random levels on real prices: {tried[0]}: {tried[1]}; {_SHOWN}"
    return out


def gate_shown(results: Path) -> dict[str, Any]:
    """Return what a run's manifest keeps of the gate's document, so that its report can show it.

    Parameters
    ----------
    results : Path
        Folder of all runs.

    Returns
    -------
    dict
        `stale` (made with other code), `gates`, `size` (of each test the world in which it found
        the most), `found_with_80_percent` and `random_levels` (word and reason); empty where there
        is no document, or one that lacks these.
    """
    path = results / GATE_FILE
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        worst: dict[str, dict[str, Any]] = {}
        for cell in document["size"]:
            held = worst.get(cell["claim"])
            if held is None or _share(cell) > _share(held):
                worst[cell["claim"]] = {key: cell[key] for key in _CELL}
        return {
            "stale": document["code"] != rooms_digest(),
            "gates": document["gates"],
            "size": list(worst.values()),
            "found_with_80_percent": document["found_with_80_percent"],
            "random_levels": {key: document["random_levels"][key] for key in ("word", "reason")},
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _share(cell: Mapping[str, Any]) -> float:
    return float(cell["rejections"]) / float(cell["replications"])


def _on_placebo(claim: Claim) -> bool:
    """Return whether what decides a claim, or a further condition of it, rests on p̂."""
    return any("placebo" in statistic_of(name).needs for name in claim.conditions)

"""A search as one JSON document, and in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from liqbt.evaluation.inference.estimates import Estimate
from liqbt.evaluation.inference.multiple import SuperiorAbility
from liqbt.evaluation.inference.overfitting import Overfitting
from liqbt.search.schema import SearchConfig
from liqbt.search.selection_tests import ALPHA, PARTS, SET_ALPHA, SelectionTests
from liqbt.search.trials import FAILED, Standing
from liqbt.search.units import DayLosses
from liqbt.study.store import json_value
from liqbt.types import DAY_NS, SECOND_NS


def search_document(
    config: SearchConfig,
    experiment: str,
    found: Sequence[Standing],
    losses: DayLosses,
    value: SelectionTests,
    *,
    others: Sequence[Mapping[str, Any]] = (),
    reads_sealed: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return everything that a search found, for `search.json`; null where there is no number.

    Parameters
    ----------
    config : SearchConfig
        What was asked for.
    experiment : str
        Name of the base.
    found : sequence of Standing
        Every trial of the ledger.
    losses, value
        Of those that are compared, in that order.
    others : sequence of mapping
        Other searches of the same experiment: `search` and its `trials`, not counted here.
    reads_sealed : sequence of mapping
        Holdouts of registrations that the trials read.
    """
    compared = [one.trial.number for one in found if one.units is not None]
    column = {number: k for k, number in enumerate(compared)}
    kept = value.confidence_set
    document = {
        "name": config.name,
        "experiment": experiment,
        "seed": config.seed,
        "vary": config.vary,
        "trials": [_row(one, column, compared, value) for one in found],
        "benchmark": compared[0],
        "counts": {
            "trials": len(found),
            "compared": len(compared),
            "failed": sum(one.trial.state == FAILED for one in found),
            "distinct": len(set(value.same_as)),
        },
        "days": {
            "first": _iso(int(losses.day[0])),
            "last": _iso(int(losses.day[-1])),
            "n_days": len(losses.day),
            "without_units": int(np.ptp(losses.day)) + 1 - len(losses.day),
            "block_days": value.block_days,
        },
        "units": {"shared": losses.n_units, "dropped": losses.n_dropped},
        "superior_ability": {
            "no_map": _ability(value.no_map),
            "as_configured": _ability(value.as_configured),
        },
        "confidence_set": None
        if kept is None
        else {"alpha": SET_ALPHA, "trials": [compared[k] for k in kept.tolist()]},
        "overfitting": _overfitting(value.overfitting),
        "other_searches": list(others),
        "reads_sealed": list(reads_sealed),
    }
    plain: dict[str, Any] = json_value(document)
    return {**plain, "sentences": _sentences(plain)}


def _iso(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_NS // SECOND_NS, UTC).date().isoformat()


def _row(
    one: Standing, column: Mapping[int, int], compared: Sequence[int], value: SelectionTests
) -> dict[str, Any]:
    trial = one.trial
    row = {
        "number": trial.number,
        "base": trial.base,
        "keys": trial.keys,
        "state": trial.state,
        "reason": one.reason,
        "configuration": trial.configuration,
        "run_id": trial.run_id,
        "compared": one.units is not None,
    }
    if one.units is None:
        return row
    k = column[trial.number]
    kept = value.confidence_set
    return row | {
        "same_as": compared[value.same_as[k]],
        "gain": _estimate(value.gains[k]),
        "gain_over_base": _estimate(value.over_base[k]),
        "in_confidence_set": kept is None or k in kept,
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    return {
        "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "mde": found.mde,
        "n_days": found.n_days,
    }


def _ability(found: SuperiorAbility | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _overfitting(found: Overfitting | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "probability": found.probability,
        "blocks": PARTS,
        "n_splits": len(found.logits),
        "below": int(np.count_nonzero(found.logits <= 0.0)),
        "logits": found.logits.tolist(),
    }


def best_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the row of the trial with the largest gain; of equals the first."""
    compared = [row for row in document["trials"] if row["compared"]]
    best: Mapping[str, Any] = max(compared, key=lambda row: row["gain"]["value"])
    return best


def _sentences(document: Mapping[str, Any]) -> list[str]:
    """Return what the search is worth in three sentences, and what must be known beside them."""
    return [
        _best_sentence(document),
        _base_sentence(document),
        _overfitting_sentence(document),
        *_beside(document),
    ]


def _nats(row: Mapping[str, Any]) -> str:
    value, low, high = (row[key] for key in ("value", "ci_low", "ci_high"))
    interval = "no interval" if low is None else f"{low:+.5f} to {high:+.5f}"
    return f"{value:+.5f} nats [{interval}]"


def _best_sentence(document: Mapping[str, Any]) -> str:
    best, counts = best_of(document), document["counts"]
    said = (
        f"The best of {counts['trials']} trials, number {best['number']}{_varied(best)}, gains "
        f"{_nats(best['gain'])} a unit over no map; "
    )
    ability = document["superior_ability"]["no_map"]
    if ability is None:
        return said + "no trial says anything that the model without a map does not say."
    p = ability["consistent"]
    word = "one that is better was found" if p < ALPHA else "nothing was found"
    return f"{said}chosen among so many, SPA p = {_p(p)} (needed: below {ALPHA}): {word}."


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def _varied(row: Mapping[str, Any]) -> str:
    """Return what makes a trial another configuration, in brackets; a number alone names none."""
    keys = ", ".join(f"{key} {value}" for key, value in row["keys"].items())
    return f" ({keys or 'the base, as it was configured'})"


def _base_sentence(document: Mapping[str, Any]) -> str:
    ability, kept = document["superior_ability"]["as_configured"], document["confidence_set"]
    number = document["benchmark"]
    if ability is None or kept is None:
        return f"No trial issued other probabilities than trial {number}, the base."
    p = ability["consistent"]
    word = "a better one was found" if p < ALPHA else "no better one was found"
    inside = "the base among them" if number in kept["trials"] else "the base not among them"
    return (
        f"Against the base as it was configured, SPA p = {_p(p)}: {word}. The model confidence set "
        f"at {kept['alpha']:.0%} holds {len(kept['trials'])} of {document['counts']['compared']} "
        f"compared trials, {inside}."
    )


def _overfitting_sentence(document: Mapping[str, Any]) -> str:
    found = document["overfitting"]
    if found is None:
        return "PBO cannot be had: all trials issued the same probabilities."
    return (
        f"PBO {found['probability']:.2f}: the best in sample is in the lower half out of sample in "
        f"{found['below']} of {found['n_splits']} splits."
    )


def _beside(document: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know beside the three sentences."""
    counts, units, days = (document[key] for key in ("counts", "units", "days"))
    said = [
        f"{days['n_days']} days from {days['first']} to {days['last']}, {units['shared']} units; "
        f"{units['dropped']} units that only some trials have are left out, and "
        f"{days['without_units']} days without a unit."
    ]
    left = counts["trials"] - counts["compared"]
    if left:
        said.append(
            f"{left} of {counts['trials']} trials are not compared, {counts['failed']} of them "
            "because they failed; they are listed, and their number counts."
        )
    copies = counts["compared"] - counts["distinct"]
    if copies:
        said.append(
            f"{copies} trials issued the same probabilities as an earlier one: what they vary "
            "changes no P(visit)."
        )
    others = document["other_searches"]
    if others:
        n = sum(one["trials"] for one in others)
        named = ", ".join(one["search"] for one in others)
        said.append(
            f"{n} trials of other searches of this experiment ({named}) are not counted here."
        )
    said += [
        f"The trials read the period from {seal['start']} to {seal['end']}, which registration "
        f"{seal['hash']} of {seal['experiment']} holds sealed."
        for seal in document["reads_sealed"]
    ]
    return said


def describe_search(document: Mapping[str, Any]) -> str:
    """Return the sentences of a search as text, a line for each."""
    return "\n".join(document["sentences"])

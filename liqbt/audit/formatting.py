"""What an audit of an experiment says, for people and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from liqbt.audit.values import AuditResult, Difference
from liqbt.study.summary import iso


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """An audit of a whole experiment.

    Attributes
    ----------
    audit : str
        Its name.
    details : list of mapping
        One per estimator and market: what was tried, and the first difference.
    """

    audit: str
    details: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every estimator passed on every market."""
        return all(each["passed"] for each in self.details)

    @property
    def sentence(self) -> str:
        """What was found, for people: a line or more for each estimator and market."""
        return "\n".join(_sentence(each) for each in self.details)


def detail(estimator: str, symbol: str, found: AuditResult) -> dict[str, Any]:
    """Return a result as plain values."""
    return {
        "estimator": estimator,
        "symbol": symbol,
        "passed": found.passed,
        "trials": found.trials,
        "compared": found.compared,
        "first": _plain(found.first),
        "reported": _plain(found.reported),
        "counts": dict(found.counts),
        "notes": list(found.notes),
    }


def _plain(found: Difference | None) -> dict[str, Any] | None:
    return None if found is None else {**asdict(found), "at": iso(found.at)}


def _sentence(detail: Mapping[str, Any]) -> str:
    """Return what `detail` holds as a sentence."""
    where = f"{detail['estimator']}, {detail['symbol']}"
    first, reported = detail["first"], detail["reported"]
    if first is not None:
        text = (
            f"{where}: FAILED; {first['what']} at {first['at']} differs in '{first['field']}': "
            f"{first['trial']}"
        )
    else:
        text = (
            f"{where}: passed; trials: {detail['trials']}, issued items compared: "
            f"{detail['compared']:,}"
        )
    counts = detail["counts"]
    if counts:
        text += f"; {_ties(counts)}"
    if reported is not None:
        fields = [f"{k.removeprefix('changed ')} {v:,}" for k, v in counts.items() if " " in k]
        text += (
            f"; REPORTED: permuting them changed {counts['changed']:,} of {detail['compared']:,} "
            f"items ({', '.join(fields)}), first {reported['what']} at {reported['at']} in "
            f"'{reported['field']}'"
        )
    return "\n".join([text, *(f"  note: {note}" for note in detail["notes"])])


def _ties(counts: Mapping[str, int]) -> str:
    """Return how many records tie, and what puts them in order."""
    numbered = f"{counts['numbered']:,} in the venue's own order"
    if not counts["events"]:
        return f"records that tie: {numbered}, no others"
    return (
        f"records that tie: {numbered}, {counts['events']:,} others in {counts['groups']:,} "
        f"groups, {counts['differing_groups']:,} of which hold records that differ, in an order "
        "that is fixed and arbitrary"
    )

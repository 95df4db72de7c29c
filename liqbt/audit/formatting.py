"""What an audit of an experiment says, for people and as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from liqbt.audit.reached import Reached
from liqbt.audit.values import AuditResult, Difference
from liqbt.study.summary import iso
from liqbt.watch import CANNOT_SEE, Sighting

CAVEAT: Final = f"not seen by any audit: {'; '.join(CANNOT_SEE)}"
"""What every audit of an estimator of one's own says, whether it passed or not."""


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


def detail(
    estimator: str, symbol: str, found: AuditResult, reached: Reached | None = None
) -> dict[str, Any]:
    """Return a result as plain values; it is no pass where more than events was reached for."""
    seen = reached or Reached()
    return {
        "estimator": estimator,
        "symbol": symbol,
        "passed": found.passed and not seen.undeclared,
        "reached": [_seen(one, seen, True) for one in seen.undeclared],
        "told": [_seen(one, seen, False) for one in seen.told],
        "trials": found.trials,
        "compared": found.compared,
        "first": _plain(found.first),
        "reported": _plain(found.reported),
        "counts": dict(found.counts),
        "notes": list(found.notes),
    }


def _seen(one: Sighting, seen: Reached, fails: bool) -> dict[str, Any]:
    return {**asdict(one), "times": seen.seen[one], "text": one.text(), "fails": fails}


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
    elif detail["reached"]:
        text = f"{where}: FAILED; it {detail['reached'][0]['text']}"
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
    notes = [f"  note: {note}" for note in detail["notes"]]
    return "\n".join([text, *_reached(detail), *notes])


def _reached(detail: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an estimator reached for, a line each."""
    for one in detail["reached"]:
        hint = ""
        if one["phase"] != "asked" and one["what"] == "file":
            hint = "; if it needs it, let its class name it in 'files'"
        yield f"  REACHED: {one['text']}, {one['times']:,} times{hint}"
    for one in detail["told"]:
        hint = "; its class names it, what it holds was not looked at" if one["declared"] else ""
        yield f"  REPORTED: {one['text']}, {one['times']:,} times{hint}"


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

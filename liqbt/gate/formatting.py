"""What the gate and a comparison say: for people, and as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.paired import PairedDifference
from liqbt.gate.check import GateReport
from liqbt.gate.compare import Comparison, ForecastsCompared, RowCompared
from liqbt.gate.identity import IdentityDifference
from liqbt.gate.rules import Finding
from liqbt.study.store import Key, json_value
from liqbt.study.summary import iso
from liqbt.types import Score

_LINES: Final = 12
_CAUSES: Final = {
    "tape": "the events",
    "config": "the configuration",
    "estimators": "an estimator's own code",
    "code": "the package's code",
    "lock": "the dependencies",
    "versions": "the dependencies",
}
"""In the order in which they are believed to be the cause, by `IdentityDifference.what`."""
_ADVICE: Final = {
    "gain": " (better; make sure that it is not look-ahead, then renew the baseline)",
    "doubt": " (a loss beyond the tolerance cannot be excluded)",
    "interval": " (the same value, another interval)",
}


def report_text(report: GateReport) -> str:
    """Return a gate's report as lines."""
    failing = [finding for finding in report.findings if finding.fails]
    told = [finding for finding in report.findings if not finding.fails]
    lines = [headline(report), f"  cause: {cause(report)}"]
    lines += [f"  differs: {difference.sentence}" for difference in report.identity]
    mark = "FAILED " if report.same_tape else "told   "
    lines += [f"  {mark} verdict of {c}: {old} -> {new}" for c, old, new in report.verdicts]
    return "\n".join([*lines, *_most(failing, "FAILED "), *_most(told, "told   ")])


def cause(report: GateReport) -> str:
    """Return what differs between a run and its baseline that its figures could differ by.

    Whether the forecasts are the same tells a change of the map from one of how it is scored.

    Parameters
    ----------
    report : GateReport
        From `check`.

    Returns
    -------
    str
        A sentence without a full stop.
    """
    found = {difference.what for difference in report.identity}
    causes = list(dict.fromkeys(word for what, word in _CAUSES.items() if what in found))
    what = " and ".join(causes) if causes else "nothing that a run is made of"
    if not report.forecasts:
        return f"{what} changed"
    changed = [name for name, same in report.forecasts.items() if not same]
    if not changed:
        return f"{what} changed; the forecasts are the same"
    return f"{what} changed; the forecasts of {', '.join(changed)} are others"


def _most(found: list[Finding], mark: str) -> list[str]:
    """Return the findings that matter most, and how many more there are."""
    lines = [f"  {mark} {finding_text(finding)}" for finding in found[:_LINES]]
    rest = len(found) - _LINES
    return [*lines, f"  {mark} and {rest} more; --json lists them"] if rest > 0 else lines


def headline(report: GateReport) -> str:
    """Return whether a run held, and how many rows and verdicts did not."""
    failing = sum(finding.fails for finding in report.findings)
    verdicts = len(report.verdicts) if report.same_tape else 0
    how = "within tolerance" if report.same_tape else "not surely worse, by intervals"
    if report.passed:
        return f"PASSED: {report.rows} rows {how}"
    rows = len({finding.key for finding in report.findings if finding.fails})
    parts = [f"{rows} of {report.rows} rows ({failing} findings)"] if failing else []
    parts += [f"{verdicts} verdicts"] if verdicts else []
    return f"FAILED: {' and '.join(parts)}"


def finding_text(found: Finding) -> str:
    """Return one finding in words: what, which row, from what to what, how much was allowed."""
    text = f"{found.kind}: {' '.join(filter(None, found.key))}{_ADVICE.get(found.kind, '')}"
    unit = statistic_of(found.key.statistic).unit
    if found.kind == "count" and found.base is not None and found.new is not None:
        return (
            f"{text}: {found.base.n_episodes:,} -> {found.new.n_episodes:,}, "
            f"{found.tolerance:.3g} allowed"
        )
    if found.kind == "null" and found.base is not None and found.new is not None:
        return (
            f"{text}: {_value(found.base.null, unit.scale)} -> "
            f"{_value(found.new.null, unit.scale)} {unit.name}, "
            f"{found.tolerance * unit.scale:.3g} allowed"
        )
    text += f": {interval_words(found.base, unit.scale)} -> {interval_words(found.new, unit.scale)}"
    text += f" {unit.name}" if unit.name else ""
    if math.isfinite(found.change):
        text += f": {found.change * unit.scale:+.2f}, {found.tolerance * unit.scale:.3g} allowed"
    return text + _paired(found.paired, unit.scale)


def _paired(paired: PairedDifference | None, scale: float) -> str:
    if paired is None or math.isnan(paired.ci_low):
        return ""
    low, high = paired.ci_low * scale, paired.ci_high * scale
    return f"; the difference's own interval [{low:+.2f}, {high:+.2f}] over {paired.n_days} days"


def interval_words(score: Score | None, scale: float) -> str:
    """Write a value with its interval; a hit rate with its null, never without."""
    if score is None:
        return "nothing"
    if math.isnan(score.value):
        return "no value"
    ends = [_value(end, scale) for end in (score.ci_low, score.ci_high)]
    text = f"{_value(score.value, scale)} [{', '.join(ends)}]"
    if not statistic_of(score.statistic).unit.signed:
        return f"{text.replace('+', '')} null {score.null * scale:.2f}"
    return text


def _value(value: float, scale: float) -> str:
    return "none" if math.isnan(value) else f"{value * scale:+.2f}"


def report_value(report: GateReport) -> dict[str, Any]:
    """Return a gate's report as plain values."""
    return {
        "passed": report.passed,
        "cause": cause(report),
        "rows": report.rows,
        "same_tape": report.same_tape,
        "findings": [_finding_value(finding) for finding in report.findings],
        "verdicts": [
            {"claim": claim, "base": old, "new": new} for claim, old, new in report.verdicts
        ],
        "forecasts_same": dict(report.forecasts),
        "differs": [_identity_value(difference) for difference in report.identity],
    }


def _finding_value(found: Finding) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "fails": found.fails,
        **_key(found.key),
        "unit": statistic_of(found.key.statistic).unit.name,
        "base": _score(found.base),
        "new": _score(found.new),
        "change": json_value(found.change),
        "tolerance": json_value(found.tolerance),
        "paired": _paired_value(found.paired),
        "text": finding_text(found),
    }


def _key(key: Key) -> dict[str, str]:
    return key._asdict()


def _score(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    names = ("value", "null", "ci_low", "ci_high", "n_episodes", "n_days", "mde")
    return {name: json_value(getattr(score, name)) for name in names}


def _paired_value(paired: PairedDifference | None) -> dict[str, Any] | None:
    return None if paired is None else json_value(asdict(paired))


def _identity_value(difference: IdentityDifference) -> dict[str, Any]:
    return {**asdict(difference), "comparable": difference.comparable}


def comparison_text(found: Comparison) -> str:
    """Return two runs side by side as lines."""
    lines = [f"differs: {difference.sentence}" for difference in found.identity]
    lines += [_forecasts(symbol, each) for symbol, each in found.forecasts.items()]
    rows = [row for row in found.rows if row.differs]
    if not rows:
        lines.append(f"scores: all {len(found.rows)} rows are the same")
        return "\n".join(lines)
    lines.append(f"scores: {len(rows)} of {len(found.rows)} rows differ")
    lines += _table(rows)
    return "\n".join(lines)


def _forecasts(symbol: str, found: ForecastsCompared) -> str:
    if found.equal:
        return f"forecasts {symbol}: all {found.n_a:,} are the same"
    counts = f"forecasts {symbol}: {found.n_a:,} in a, {found.n_b:,} in b"
    if not (found.n_a and found.n_b):
        return counts
    same = f"the first {found.n_equal:,} are the same" if found.n_equal else "none is the same"
    return f"{counts}; {same}, and that of {iso(found.until or 0)} differs in '{found.field}'"


def _table(rows: list[RowCompared]) -> Iterator[str]:
    width = max(len(" ".join(filter(None, row.key))) for row in rows)
    yield f"  {'row':<{width}}  {'a':>32}  {'b':>32}  {'b - a':>8}  its own interval"
    for row in rows:
        unit = statistic_of(row.key.statistic).unit
        change = "" if math.isnan(row.change) else f"{row.change * unit.scale:+.2f}"
        own = ""
        if row.paired is not None and not math.isnan(row.paired.ci_low):
            low, high = row.paired.ci_low * unit.scale, row.paired.ci_high * unit.scale
            own = f"[{low:+.2f}, {high:+.2f}]"
        a, b = (interval_words(score, unit.scale) for score in (row.a, row.b))
        named = " ".join(filter(None, row.key))
        yield f"  {named:<{width}}  {a:>32}  {b:>32}  {change:>8}  {own} {unit.name}"


def comparison_value(found: Comparison) -> dict[str, Any]:
    """Return two runs side by side as plain values."""
    forecasts: Mapping[str, ForecastsCompared] = found.forecasts
    return {
        "differs": [_identity_value(difference) for difference in found.identity],
        "forecasts": {
            symbol: {
                **asdict(each),
                "equal": each.equal,
                "until": None if each.until is None else iso(each.until),
            }
            for symbol, each in forecasts.items()
        },
        "rows": [
            {
                **_key(row.key),
                "unit": statistic_of(row.key.statistic).unit.name,
                "a": _score(row.a),
                "b": _score(row.b),
                "change": json_value(row.change),
                "paired": _paired_value(row.paired),
                "same": not row.differs,
            }
            for row in found.rows
        ],
    }

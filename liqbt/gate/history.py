"""What a baseline was at each of its acceptances: read back from what each of them changed."""

from __future__ import annotations

from typing import Any, Final

from liqbt.evaluation.claims.register import REGISTER, statistic_of
from liqbt.gate.baseline import Baseline
from liqbt.study.store import json_value, key_of

_REASON: Final = 60
_OTHERS: Final = 3


def history_text(baseline: Baseline) -> str:
    """Return the acceptances as lines, the oldest first: run, rows that moved, reason."""
    lines = [f"{baseline.experiment}: accepted {len(baseline.history)} times"]
    for number, change in enumerate(baseline.history, start=1):
        rows = f"{len(change.changed)} changed, {len(change.added)} new, {len(change.removed)} gone"
        said = change.reason if len(change.reason) <= _REASON else f"{change.reason[:_REASON]}..."
        lines.append(f"  {number}  {change.run_id}  {rows}: {said}")
        lines += [f"     {other}" for other in change.other[:_OTHERS]]
        if len(change.other) > _OTHERS:
            lines.append(f"     and {len(change.other) - _OTHERS} more")
    return "\n".join(lines)


def trends(baseline: Baseline) -> list[dict[str, Any]]:
    """Return what decides each claim at each acceptance.

    Parameters
    ----------
    baseline : Baseline
        From `load_baseline`.

    Returns
    -------
    list of dict
        For each row that a verdict rests on: `claim`, `estimator`, `statistic`, `label`, `unit`,
        `values` (one for each acceptance, scaled to the unit, None where it had none), and of the
        last one `null`, `low` and `high`.
    """
    deciding = {(c.id, c.symbol, c.horizon, c.side, c.statistic) for c in REGISTER}
    found = []
    for row in baseline.scores:
        score = row.score()
        if key_of(score)[1:] not in deciding:
            continue
        name, statistic = " ".join(key_of(score)), statistic_of(score.statistic)
        value, values = row.value, [row.value]
        for change in reversed(baseline.history[1:]):
            moved = next((one for one in change.changed if one.row == name), None)
            value = None if name in change.added else value if moved is None else moved.old
            values.append(value)
        scale = statistic.unit.scale
        found.append(
            {
                "claim": score.claim,
                "estimator": score.estimator,
                "statistic": score.statistic,
                "label": statistic.label,
                "unit": statistic.unit.name,
                "values": [None if v is None else v * scale for v in reversed(values)],
                **{
                    key: json_value(held * scale)
                    for key, held in (
                        ("null", score.null),
                        ("low", score.ci_low),
                        ("high", score.ci_high),
                    )
                },
            }
        )
    return found

"""The margin table: every contract type's rule, with its worked examples computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liqbt.margin.rules import RULES

_TOLERANCE = 1e-4
"""Examples are worked to four decimals."""


_UNDATED = "; no dated table is shipped: the rate is the caller's"


def margin_rows() -> list[dict[str, Any]]:
    """Return one row a worked example: its rule, where that is from, by hand and computed."""
    return [
        {
            "rule": rule.id,
            "venue": rule.venue,
            "contract": rule.contract,
            "formula": rule.formula,
            "source": rule.source,
            "certainty": str(rule.certainty),
            "dated_tiers": rule.dated,
            "example": example.words,
            "by_hand": example.by_hand,
            "expected_usd": example.expected,
            "computed_usd": (computed := example.computed()),
            "same": abs(computed - example.expected) <= _TOLERANCE,
        }
        for rule in RULES
        for example in rule.examples
    ]


def describe_margin(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table as text: a block a rule, a line an example."""
    out: list[str] = []
    for i, row in enumerate(rows):
        if i == 0 or rows[i - 1]["rule"] != row["rule"]:
            out += [
                "",
                f"{row['rule']}: {row['venue']}, {row['contract']}",
                f"  LP = {row['formula']}",
                f"  {row['certainty']}: {row['source']}"
                + (f"; dated tiers in {row['dated_tiers']}" if row["dated_tiers"] else _UNDATED),
            ]
        mark = "=" if row["same"] else "DIFFERS from"
        out.append(
            f"    {row['example']}: {row['by_hand']} = {row['expected_usd']:,.4f} "
            f"{mark} {row['computed_usd']:,.4f} computed"
        )
    wrong = sum(not row["same"] for row in rows)
    rules = len({row["rule"] for row in rows})
    out += ["", f"{rules} rules, {len(rows)} worked examples, {wrong} of them not met"]
    return "\n".join(out).lstrip("\n")

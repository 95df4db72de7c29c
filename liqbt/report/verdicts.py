"""What a run says of every claim: one table, and under it each word with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from liqbt.evaluation.claims.claim import Claim, effect_words, reach, years_words
from liqbt.evaluation.claims.register import REGISTER, TRIALS, statistic_of
from liqbt.report import formatting as fmt
from liqbt.report.scores import null_words, value_cell, with_unit
from liqbt.report.tables import Table
from liqbt.report.traced import Traced
from liqbt.types import Score

if TYPE_CHECKING:
    from liqbt.study.store import Run

_SCALED: Final = {"share": (100.0, "points"), "nats": (1000.0, "millinats")}
_NO_YEARS: Final = "no length"


def verdict_table(run: Run) -> Table:
    """Return a row for each claim that the run decides, in the order of their numbers.

    What it says, the horizon of the row that decides it (fixed with it, whatever others are
    scored), how large the effect is beside what no information gives, how small an effect this
    record could show, how small a one would matter, and how long a record of these markets that
    would take. A simulated market says, too, whether the claim is true in it.
    """
    planted = dict(run.manifest.get("planted") or {}) if run.manifest.get("simulated") else None
    told = ["In this market"] if planted is not None else []
    head = ["Claim, horizon", "It says", *told, "Verdict", "Effect [95 %]", "No information"]
    head += ["Shown with 80 %", "Would matter", "Takes"]
    rows = []
    for claim in REGISTER:
        found = next((one for one in run.verdicts if one.claim == claim.id), None)
        if found is not None:
            true = [_truth(claim, planted)] if planted is not None else []
            name = f"{claim.number} {claim.id}".strip()
            name += f", {fmt.horizon_words(claim.horizon)}".replace(" h", "\N{NO-BREAK SPACE}h")
            row = [name, claim.words, *true, found.word.value]
            rows.append((*row, *_numbers(claim, found.score)))
    return Table(head=tuple(head), rows=tuple(rows), text_columns=3 + len(told))


def _numbers(claim: Claim, score: Score | None) -> list[str]:
    if score is None:
        return [fmt.DASH] * 3 + [size_words(claim, claim.smallest_effect), fmt.DASH]
    found = reach(claim, score)
    known = math.isfinite(score.mde) and score.mde > 0.0
    years = _NO_YEARS if math.isinf(found.needed) else years_words(found.needed)
    return [
        Traced(effect_interval(claim, score), score, "value"),
        Traced(null_effect(claim, score), score, "null"),
        Traced(size_words(claim, found.detectable), score, "mde") if known else fmt.DASH,
        size_words(claim, claim.smallest_effect),
        Traced(years, score, "mde") if known else fmt.DASH,
    ]


def effect_interval(claim: Claim, score: Score) -> str:
    """Write a claim's effect with its interval, on the causal scale where the claim has one."""
    if not claim.scale.effect:
        return with_unit(statistic_of(score.statistic), value_cell(score))
    value = score.value - score.null
    low, high = claim.scale.bounds(value, score.ci_low - score.null, score.ci_high - score.null)
    factor, unit = _SCALED.get(claim.unit, (1.0, claim.unit))
    numbers = [fmt.fixed(factor * x, 1, signed=True) for x in (claim.scale.of(value), low, high)]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}] {unit}"


def null_effect(claim: Claim, score: Score) -> str:
    """Write what no information gives, in the unit of `effect_interval`."""
    if claim.scale.effect:
        return f"0 {_SCALED.get(claim.unit, (1.0, claim.unit))[1]}"
    return null_words(score)


def size_words(claim: Claim, effect: float) -> str:
    """Write an effect in the unit that its interval has."""
    if claim.unit == "nats":
        return f"{1000.0 * effect:.2g} millinats"
    return effect_words(claim, effect)


def _truth(claim: Claim, planted: Mapping[str, Any]) -> str:
    """Return whether a claim is true in a simulated market, as far as that is known."""
    trial = TRIALS.get(claim.id)
    if trial is None:
        return "not planted"
    if trial.true_by_default and planted.get("world") not in trial.nulls:
        return "true"
    makers = {trial.world or claim.id, *(_planted_by(name) for name in trial.also_true)}
    strengths = [planted.get(key, 0.0) for key in makers]
    return "true" if any(isinstance(x, int | float) and x > 0 for x in strengths) else "false"


def _planted_by(name: str) -> str:
    """Return the key of a world that plants the mechanism of a claim."""
    return (TRIALS[name].world if name in TRIALS else "") or name

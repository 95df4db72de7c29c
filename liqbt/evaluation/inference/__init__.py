"""Inference: intervals from day sums, many claims at once, searches, monitoring."""

from __future__ import annotations

from liqbt.evaluation.inference.betting import (
    betting_process,
    likelihood_process,
)
from liqbt.evaluation.inference.days import (
    DaySums,
    Draws,
    automatic_block,
    day_sums,
    draw,
    fixed_b_critical,
    hac_error,
    hac_lag,
    hac_se,
    mean_block_days,
)
from liqbt.evaluation.inference.estimates import (
    AGREEMENT_FACTOR,
    MDE_FACTOR,
    Estimate,
    estimate,
    estimate_days,
    estimate_lift,
)
from liqbt.evaluation.inference.multiple import (
    SuperiorAbility,
    holm,
    model_confidence_set,
    step_superior,
    superior_ability,
)
from liqbt.evaluation.inference.overfitting import (
    Overfitting,
    backtest_overfitting,
)

__all__ = [
    "AGREEMENT_FACTOR",
    "MDE_FACTOR",
    "DaySums",
    "Draws",
    "Estimate",
    "Overfitting",
    "SuperiorAbility",
    "automatic_block",
    "backtest_overfitting",
    "betting_process",
    "day_sums",
    "draw",
    "estimate",
    "estimate_days",
    "estimate_lift",
    "fixed_b_critical",
    "hac_error",
    "hac_lag",
    "hac_se",
    "holm",
    "likelihood_process",
    "mean_block_days",
    "model_confidence_set",
    "step_superior",
    "superior_ability",
]

"""Scores: the tables of a run, and one function for each published score."""

from __future__ import annotations

from liqbt.evaluation.scores.duration import (
    Cause,
    Incidence,
    cumulative_incidence,
    episode_times,
    restricted_mean_time,
)
from liqbt.evaluation.scores.lifts import (
    cluster_placebo,
    difference_in_differences,
    level_lift,
    observed_over_expected,
)
from liqbt.evaluation.scores.probability import (
    Corp,
    ReliabilityRow,
    brier_score,
    corp,
    log_score,
    recalibrated,
    reliability,
)
from liqbt.evaluation.scores.ranking import (
    Curve,
    area_under_roc,
    molchan,
    molchan_skill,
    precision_recall,
    roc,
)
from liqbt.evaluation.scores.tables import (
    POOLED,
    BandRow,
    ScoreDetail,
    band_rows,
    crowded_lift,
    detail,
    episode_scores,
    first_side_scores,
    first_side_skill,
    scored_births,
)

__all__ = [
    "POOLED",
    "BandRow",
    "Cause",
    "Corp",
    "Curve",
    "Incidence",
    "ReliabilityRow",
    "ScoreDetail",
    "area_under_roc",
    "band_rows",
    "brier_score",
    "cluster_placebo",
    "corp",
    "crowded_lift",
    "cumulative_incidence",
    "detail",
    "difference_in_differences",
    "episode_scores",
    "episode_times",
    "first_side_scores",
    "first_side_skill",
    "level_lift",
    "log_score",
    "molchan",
    "molchan_skill",
    "observed_over_expected",
    "precision_recall",
    "recalibrated",
    "reliability",
    "restricted_mean_time",
    "roc",
    "scored_births",
]

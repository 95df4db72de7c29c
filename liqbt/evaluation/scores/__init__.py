"""Scores: the tables of a run, and one function for each published score."""

from __future__ import annotations

from liqbt.evaluation.scores.duration import (
    Cause,
    Incidence,
    cumulative_incidence,
    episode_times,
    restricted_mean_time,
)
from liqbt.evaluation.scores.episodes import (
    EPISODE_STATISTICS,
    SIDES,
    SUBSETS,
    BandRow,
    Fields,
    band_rows,
    births_of,
    counted,
    episode_scores,
    episode_values,
    scored_births,
)
from liqbt.evaluation.scores.landmarks import (
    crowded_lift,
    first_side_scores,
    first_side_skill,
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
from liqbt.evaluation.scores.rows import POOLED, ScoreDetail, detail
from liqbt.evaluation.scores.stated import stated_scores

__all__ = [
    "EPISODE_STATISTICS",
    "POOLED",
    "SIDES",
    "SUBSETS",
    "BandRow",
    "Cause",
    "Corp",
    "Curve",
    "Fields",
    "Incidence",
    "ReliabilityRow",
    "ScoreDetail",
    "area_under_roc",
    "band_rows",
    "births_of",
    "brier_score",
    "cluster_placebo",
    "corp",
    "counted",
    "crowded_lift",
    "cumulative_incidence",
    "detail",
    "difference_in_differences",
    "episode_scores",
    "episode_times",
    "episode_values",
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
    "stated_scores",
]

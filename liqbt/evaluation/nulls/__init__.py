"""Nulls that emit a probability: what would have happened without the information under test."""

from __future__ import annotations

from liqbt.evaluation.nulls.analogs import AnalogConfig, analog_probability
from liqbt.evaluation.nulls.brownian import (
    SPACING_CORRECTION,
    bivariate_normal_cdf,
    touch_probability,
    two_barrier_probabilities,
)
from liqbt.evaluation.nulls.filtered_history import FilteredConfig, filtered_probability
from liqbt.evaluation.nulls.levels import (
    LEVEL_COVARIATES,
    Anchors,
    LevelConfig,
    RandomLevels,
    covariates,
    nominal_brownian,
    random_levels,
)
from liqbt.evaluation.nulls.placebo import (
    Placebo,
    PlaceboConfig,
    fit_placebo,
    placebo_probability,
    restricted_cubic,
)

__all__ = [
    "LEVEL_COVARIATES",
    "SPACING_CORRECTION",
    "AnalogConfig",
    "Anchors",
    "FilteredConfig",
    "LevelConfig",
    "Placebo",
    "PlaceboConfig",
    "RandomLevels",
    "analog_probability",
    "bivariate_normal_cdf",
    "covariates",
    "filtered_probability",
    "fit_placebo",
    "nominal_brownian",
    "placebo_probability",
    "random_levels",
    "restricted_cubic",
    "touch_probability",
    "two_barrier_probabilities",
]

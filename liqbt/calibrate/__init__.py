"""Calibrated probabilities, walked forward: only outcomes whose window has ended may train."""

from __future__ import annotations

from liqbt.calibrate.models import (
    CASCADE_MODELS,
    FIRST_SIDE_MODELS,
    Foreseen,
    ModelOptions,
    foresee_landmarks,
)
from liqbt.calibrate.multinomial import class_probabilities, fit_multinomial, signed_design
from liqbt.calibrate.tilt import (
    Tilt,
    calibrate_landmarks,
    fit_tilt,
    tilt,
    walk_forward_tilt,
)
from liqbt.calibrate.walk import Walked, walk_forward_multinomial

__all__ = [
    "CASCADE_MODELS",
    "FIRST_SIDE_MODELS",
    "Foreseen",
    "ModelOptions",
    "Tilt",
    "Walked",
    "calibrate_landmarks",
    "class_probabilities",
    "fit_multinomial",
    "fit_tilt",
    "foresee_landmarks",
    "signed_design",
    "tilt",
    "walk_forward_multinomial",
    "walk_forward_tilt",
]

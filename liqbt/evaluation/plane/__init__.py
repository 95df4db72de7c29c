"""The audit of the 85 %: where no information scores it, and what the map scores there."""

from __future__ import annotations

from liqbt.evaluation.plane.audit import (
    DEFAULT_HORIZONS_NS,
    Plane,
    PlaneConfig,
    audit_plane,
    supported_horizons,
)
from liqbt.evaluation.plane.describe import describe_plane, plane_value, vendor_words
from liqbt.evaluation.plane.landmarks import Landmarks, market_landmarks
from liqbt.evaluation.plane.levels import PlainLevels, brownian_levels, plain_levels, real_levels
from liqbt.evaluation.plane.readings import READINGS, Reading, market_readings
from liqbt.evaluation.plane.rows import NULLS, CellRow, ReadingRow
from liqbt.evaluation.plane.rule import ReadingVerdict, reading_verdict

__all__ = [
    "DEFAULT_HORIZONS_NS",
    "NULLS",
    "READINGS",
    "CellRow",
    "Landmarks",
    "PlainLevels",
    "Plane",
    "PlaneConfig",
    "Reading",
    "ReadingRow",
    "ReadingVerdict",
    "audit_plane",
    "brownian_levels",
    "describe_plane",
    "market_landmarks",
    "market_readings",
    "plain_levels",
    "plane_value",
    "reading_verdict",
    "real_levels",
    "supported_horizons",
    "vendor_words",
]

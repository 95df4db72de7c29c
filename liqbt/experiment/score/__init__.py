"""Somebody else's published levels, scored by the protocol of a run without their code."""

from __future__ import annotations

from liqbt.experiment.score.compose import score_forecasts
from liqbt.experiment.score.options import instrument_names, score_options
from liqbt.experiment.score.reading import COLUMNS, PublishedRows, read_published
from liqbt.experiment.score.written import UNSEEN

__all__ = [
    "COLUMNS",
    "UNSEEN",
    "PublishedRows",
    "instrument_names",
    "read_published",
    "score_forecasts",
    "score_options",
]

"""Dose–response: whether the price goes where the estimated density is higher.

`bins` pairs what was estimated at one distance above and below the mark with what was visited;
`slope` is the effect of the dose, with its interval.
"""

from liqbt.evaluation.response.bins import (
    ResponseBins,
    anchors_of,
    beside_bins,
    landmark_times,
    outward_density,
    rank_contrast,
    response_bins,
)
from liqbt.evaluation.response.slope import (
    BESIDE_NS,
    drift_response,
    paired_response,
    raw_paired_response,
    response_scores,
    side_response,
)

__all__ = [
    "BESIDE_NS",
    "ResponseBins",
    "anchors_of",
    "beside_bins",
    "drift_response",
    "landmark_times",
    "outward_density",
    "paired_response",
    "rank_contrast",
    "raw_paired_response",
    "response_bins",
    "response_scores",
    "side_response",
]

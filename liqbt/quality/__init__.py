"""Quality of feeds: completeness, gaps, doubles, latency, oddities, coverage; and leaks."""

from __future__ import annotations

from liqbt.quality.coverage import CoverageDay, FeedCoverage, Overlap
from liqbt.quality.describe import describe_quality
from liqbt.quality.feeds import FeedQuality, Gap, Odd
from liqbt.quality.leaks import LeakProfile, leak_profile
from liqbt.quality.measure import LogQuality, log_quality, plain

__all__ = [
    "CoverageDay",
    "FeedCoverage",
    "FeedQuality",
    "Gap",
    "LeakProfile",
    "LogQuality",
    "Odd",
    "Overlap",
    "describe_quality",
    "leak_profile",
    "log_quality",
    "plain",
]

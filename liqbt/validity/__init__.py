"""The validity gate: whether a claim's test has the size and the power that it says it has.

Replications of simulated markets go through the pipeline that runs go through. In markets where
nothing acts a test may find something as rarely as it says (size); in markets where something was
planted it should find it (power, against the effect measured from the truth); and where the
forecasts were made from the future it must find it (oracle), or the score is broken.
"""

from __future__ import annotations

from liqbt.validity.campaign import Progress, run_campaign
from liqbt.validity.candles import absent, candles_root, random_levels_entry
from liqbt.validity.cells import Cell, Gate, TestWord, gate_of, size_cells
from liqbt.validity.describe import describe_document, gate_document
from liqbt.validity.jobs import NUISANCE, PLANTED, TESTS, Job, campaign_jobs
from liqbt.validity.power import PowerPoint, gates_with_power, power_points, smallest_found
from liqbt.validity.validate import validate

__all__ = [
    "NUISANCE",
    "PLANTED",
    "TESTS",
    "Cell",
    "Gate",
    "Job",
    "PowerPoint",
    "Progress",
    "TestWord",
    "absent",
    "campaign_jobs",
    "candles_root",
    "describe_document",
    "gate_document",
    "gate_of",
    "gates_with_power",
    "power_points",
    "random_levels_entry",
    "run_campaign",
    "size_cells",
    "smallest_found",
    "validate",
]

"""Where each item of the TRIPOD checklist is answered in a report.

Collins, Reitsma, Altman, Moons (2015), Transparent reporting of a multivariable prediction model
for individual prognosis or diagnosis (TRIPOD): the TRIPOD statement. BMJ 350:g7594, table 1. A
*participant* is an episode here, a *predictor* what the map and the tape told at issue, the
*outcome* a visit or a return.
"""

from __future__ import annotations

from typing import Final

from liqbt.report.tables import Table

_ITEMS: Final = (
    ("1", "Title", "title and first line: markets, period, estimator, run"),
    ("2", "Abstract", "the answer, the map and the verdict table"),
    ("3a", "Background and rationale", "each claim's words, in the verdict table"),
    ("3b", "Objectives: development or validation", "section 1; both, forward in time"),
    ("4a", "Source of data", "section 3: feeds, coverage, latency"),
    ("4b", "Dates of accrual", "first line; section 3"),
    ("5a", "Setting", "section 3: venue, instruments, price"),
    ("5b", "Eligibility", "section 4: eligible; section 2: counts"),
    ("5c", "Treatments", "does not apply: nothing is intervened in"),
    ("6a", "Outcome, how and when assessed", "section 4: visit, episode, censored"),
    ("6b", "Blinding of outcome assessment", "replay feeds a prefix; touches are computed"),
    ("7a", "Predictors, how and when measured", "section 4; config.yaml beside the report"),
    ("7b", "Blinding of predictors", "liqbt audit lookahead: forecasts must not notice the future"),
    ("8", "Sample size", "section 12; verdict table: what could be seen"),
    ("9", "Missing data", "section 3: gaps; section 2: censored and left out"),
    ("10a", "Handling of predictors", "config.yaml: every default stated"),
    ("10b", "Model type, building, validation", "section 9: walk-forward, past only"),
    ("10c", "Validation: how predictions were made", "section 9; cluster_visits.parquet"),
    ("10d", "Measures of performance", "sections 5 to 11"),
    ("10e", "Model updating", "section 9: refits on outcomes that were final"),
    ("11", "Risk groups", "section 5: distance bands; section 6: fifths of density"),
    ("12", "Development against validation data", "section 1: sealed holdout, where one is named"),
    ("13a", "Flow of participants", "section 2"),
    ("13b", "Characteristics of participants", "sections 2, 3 and 7: regimes"),
    ("13c", "Comparison with development data", "not reported: one record develops and validates"),
    ("14a", "Participants and events in each analysis", "n and days beside every figure"),
    ("14b", "Unadjusted associations", "section 6: doses; raw rows beside those beside trends"),
    ("15a", "Full prediction model", "the issued probabilities are stored; coefficients are not"),
    ("15b", "How to use the model", "section 17: what not to use it for"),
    ("16", "Performance with intervals", "sections 5 to 11; 95 % by day"),
    ("17", "Results of model updating", "not reported apart: refits are part of the walk-forward"),
    ("18", "Limitations", "section 17"),
    ("19a", "Interpretation against development data", "section 12: verdicts only as far as tried"),
    ("19b", "Overall interpretation", "first page; claims in plain words"),
    ("20", "Implications", "section 17"),
    ("21", "Supplementary information", "files beside the report; hashes below"),
    ("22", "Funding", "does not apply to a run; see the repository"),
)  # fmt: skip


def crosswalk() -> Table:
    """Return the checklist, item by item, with where this report answers it."""
    return Table(
        head=("Item", "Asks for", "Answered in"), rows=_ITEMS, text_columns=3, source="fixed words"
    )
